"""The search: it finds what can be found by hand, says when nothing can be found, and takes the same course again."""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import clustersim as cs
from clustersim.errors import ScenarioError
from clustersim.study.execution.worker import Row, Task
from clustersim.study.search.constraints import Objective, read_objectives
from clustersim.study.search.search import Optimum
from clustersim.study.search.search_report import print_optimum
from clustersim.study.search.search_state import Goal, Tally
from tests.harness import definition, provider, service, world
from tests.study.small import contents, save

NODES = "capacityProviders.nodes.autoScalingGroupProvider.autoScalingGroup.desiredCapacity"
CPU = "taskDefinitions.app.cpu"
AVAILABLE = "services.web.availability"


def cluster() -> dict[str, Any]:
    """Four tasks of 2 vCPU on nodes of 4: two nodes are enough, each costs 0.36 USD an hour."""
    return world(
        duration="1h",
        capacityProviders=[provider(count=1)],
        taskDefinitions=[definition(cpu=2048, memory=1024)],
        services=[
            service("web", 4, behavior={"startupTime": {"distribution": "exponential", "mean": "10s"}})
        ],
    )


def search(folder: Path, out: str = "out", **more: Any) -> Optimum:
    asked: dict[str, Any] = {
        "vary": {NODES: {"from": 1, "to": 12, "integer": True}},
        "subject_to": [f"{AVAILABLE}>=0.9"],
        "trials": 16,
        "replications": 1,
        "confirm": 3,
    }
    return cs.optimize(save(folder, cluster()), out=folder / out, jobs=1, **{**asked, **more})


def printed(found: Optimum, terminal: bool = False) -> str:
    console = Console(record=True, width=80, force_terminal=terminal, file=io.StringIO())
    print_optimum(found, console)
    return console.export_text()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Optimum:
    return search(tmp_path_factory.mktemp("search"))


def test_the_cheapest_point_that_is_enough(found: Optimum) -> None:
    """Two nodes; one is cheaper and keeps no bound, three cost more."""
    assert found.values == {NODES: 2}
    assert found.confirmed["cost_usd"].mean == pytest.approx(found.searched["cost_usd"])
    assert found.confirmed[AVAILABLE].n == 3
    assert found.confirmed[AVAILABLE].mean > 0.9


def test_the_best_is_judged_by_luck_that_did_not_choose_it(found: Optimum) -> None:
    """Replication 0 chose; 1 to 3 judge."""
    assert found.point is not None
    run = {
        number: found.sweep.run(found.point, number).summary["services"]["web"]["availability"]
        for number in range(4)
    }
    assert found.searched[AVAILABLE] == run[0]
    assert found.confirmed[AVAILABLE].mean == pytest.approx(np.mean([run[1], run[2], run[3]]))
    assert run[0] not in (run[1], run[2], run[3])


def test_its_directory_is_a_sweeps(found: Optimum) -> None:
    again = cs.open(found.sweep.path)
    assert isinstance(again, cs.Sweep)
    assert again.manifest["kind"] == "search"
    assert again.manifest["search"]["subject_to"] == [f"{AVAILABLE}>=0.9"]
    assert len(again.points) <= 12, "a point that is proposed twice is run once"
    assert (Path(again.path) / "report.html").exists()


def test_the_same_course_again(found: Optimum, tmp_path: Path) -> None:
    """Generations are of one size and told in order, so neither time nor workers play a part."""
    again = search(tmp_path)
    assert again.values == found.values
    assert contents(Path(again.sweep.path)) == contents(Path(found.sweep.path))


def test_resuming_runs_nothing_twice(tmp_path: Path) -> None:
    first = search(tmp_path, trials=8)
    again = search(tmp_path, trials=8, resume=True)
    assert again.sweep.manifest["timings"]["reused"] == len(first.sweep.summary)
    assert again.values == first.values
    with pytest.raises(cs.ResultsError, match="trials was 8 and is 16"):
        search(tmp_path, resume=True)


def test_nothing_is_good_enough(tmp_path: Path) -> None:
    """At start all tasks are missing, so nobody is available always: which bound is hardest, and how near it came."""
    bounds = [f"{AVAILABLE}>=1", "cost_usd<=100"]
    found = search(tmp_path, trials=8, subject_to=bounds)
    assert (found.point, found.values, found.confirmed) == (None, {}, {})
    hardest, kept = found.nearest
    assert hardest.objective.measure == AVAILABLE
    assert 0.9 < hardest.mean < 1
    assert kept.objective.miss(kept.mean) < 0
    assert found.least_missing is not None
    for terminal in (False, True):
        text = printed(found, terminal)
        assert "none: no point keeps all bounds" in text
        assert "web available: never nearer than" in text
        lines = [line for line in text.splitlines() if str(tmp_path) not in line]
        assert max(map(len, lines)) <= 80 or not terminal


def test_a_small_space_is_looked_at_once(tmp_path: Path) -> None:
    """Four combinations are four points, however many trials are allowed; lists and texts may be varied too."""
    vary = {NODES: [2, 3], CPU: ["1024", "2048"]}
    found = search(tmp_path, vary=vary, trials=500)
    assert len(found.sweep.points) == 4
    assert found.values[NODES] == 2


def test_points_that_are_no_scenario_are_left_out(tmp_path: Path) -> None:
    """A desired capacity above the group's maximum is unsound only for some values of both."""
    largest = NODES.replace("desiredCapacity", "maxSize")
    found = search(tmp_path, vary={NODES: [1, 2, 9], largest: [1, 4, 9]}, trials=40)
    assert found.values[NODES] == 2
    assert found.unsound
    assert "no sound scenarios" in printed(found)


def test_luck_that_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A point that kept the bound by luck falls when it is run again, and the next best is taken."""
    real = Tally.add

    def lucky(self: Tally, row: Row) -> None:
        # One node looks good enough in the search, and not afterwards.
        if self.values[row.task.point] == (1,) and row.task.replication == 0:
            values = row.values.copy()
            values[row.names.index(AVAILABLE)] = 1.0
            row = Row(row.task, row.seed, row.names, values, row.whole)
        real(self, row)

    monkeypatch.setattr(Tally, "add", lucky)
    found = search(tmp_path, vary={NODES: [1, 2, 3]})
    assert found.values == {NODES: 2}
    assert found.fallen == 1
    assert "1 points kept the bounds in the search but not with fresh seeds" in printed(found)


def test_what_it_prints(found: Optimum) -> None:
    for terminal in (False, True):
        text = printed(found, terminal)
        for words in ("desiredCapacity=2", "fresh seeds", "web available", ">= 90.000%", "cost"):
            assert words in text
    runs = len(found.sweep.summary)
    assert f"{runs}: {len(found.sweep.points)} points x 1" in printed(found)


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("services.web.availability>=0.999", Objective("services.web.availability", True, 0.999)),
        ("services.web.availability >= 99.9 %", Objective("services.web.availability", True, 0.999)),
        ("cost_usd<=1e3", Objective("cost_usd", False, 1000.0)),
    ],
)
def test_bounds_as_they_are_written(text: str, objective: Objective) -> None:
    (found,) = read_objectives([text])
    assert found.bound == pytest.approx(objective.bound)
    assert (found.measure, found.at_least) == (objective.measure, objective.at_least)


def test_every_wrong_bound_at_once() -> None:
    with pytest.raises(ScenarioError) as caught:
        read_objectives(["cost_usd", "cost_usd<5", "cost_usd>=x", ">=1", "cost_usd>=1.2.3"])
    assert len(caught.value.problems) == 5


def test_a_measure_that_no_run_has_is_said_at_the_first_run(tmp_path: Path) -> None:
    with pytest.raises(cs.ResultsError, match="--subject-to: no run has the measure"):
        search(tmp_path, subject_to=["services.wbe.availability>=0.9"])
    with pytest.raises(
        cs.ResultsError, match="--minimize: no run has the measure 'cost'; did you mean cost_usd"
    ):
        search(tmp_path, out="other", minimize="cost")


def test_a_mean_that_is_not_there_keeps_no_bound() -> None:
    """Runs that failed have no numbers; such a point is neither feasible nor the nearest."""
    goal = Goal("cost_usd", (Objective(AVAILABLE, True, 0.9),), 1, 2, 2)
    tally = Tally(goal)
    tally.enter((1,), "a")
    tally.add(Row(Task(0, 0), 0, error="ValueError: no"))
    assert math.isnan(tally.means(0, goal.searching)["cost_usd"])
    assert (tally.feasible(), tally.nearest(), tally.least_missing()) == ([], (), None)


def test_optuna_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(cs.ResultsError, match=r"pip install clustersim\[tune\]"):
        search(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["shop.yaml"]
