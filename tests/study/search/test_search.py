"""The search finds the optimum known by hand, reports when there is none, and is reproducible."""

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
from clustersim.study.execution.worker import RunRow, RunSpec
from clustersim.study.search.constraints import Bound, parse_bounds
from clustersim.study.search.search import Optimum
from clustersim.study.search.search_report import print_optimum
from clustersim.study.search.search_state import SearchGoal, SearchState
from tests.harness import definition, provider, service, world
from tests.study.small import contents, save

NODES = "capacityProviders.nodes.autoScalingGroupProvider.autoScalingGroup.desiredCapacity"
CPU = "taskDefinitions.app.cpu"
AVAILABLE = "services.web.availability"


def cluster() -> dict[str, Any]:
    """Four tasks of 2 vCPU on nodes of 4: two nodes are enough, each costs 0.36 USD an hour."""
    return world(
        duration="1h",
        capacityProviders=[provider(count=1, most=100)],
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
    assert found.confirmed["cost_usd"].mean == pytest.approx(found.search_means["cost_usd"])
    assert found.confirmed[AVAILABLE].n == 3
    assert found.confirmed[AVAILABLE].mean > 0.9


def test_the_best_point_is_confirmed_by_other_replications(found: Optimum) -> None:
    """Replication 0 selects; 1 to 3 confirm."""
    assert found.point is not None
    run = {
        number: found.sweep.run(found.point, number).summary["services"]["web"]["availability"]
        for number in range(4)
    }
    assert found.search_means[AVAILABLE] == run[0]
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
    """Generations have a fixed size and are reported in order, so timing and workers do not matter."""
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


def test_no_point_keeps_all_bounds(tmp_path: Path) -> None:
    """At the start all tasks are missing, so availability cannot be 1: the hardest bound, and its closest miss."""
    bounds = [f"{AVAILABLE}>=1", "cost_usd<=100"]
    found = search(tmp_path, trials=8, subject_to=bounds)
    assert (found.point, found.values, found.confirmed) == (None, {}, {})
    hardest, kept = found.closest_misses
    assert hardest.bound.measure == AVAILABLE
    assert 0.9 < hardest.mean < 1
    assert kept.bound.violation(kept.mean) < 0
    assert found.closest_point is not None
    for terminal in (False, True):
        text = printed(found, terminal)
        assert "none: no point keeps all bounds" in text
        assert "web available: missed by at least" in text
        lines = [line for line in text.splitlines() if str(tmp_path) not in line]
        assert max(map(len, lines)) <= 80 or not terminal


def test_a_small_space_is_run_completely_once(tmp_path: Path) -> None:
    """Four combinations are four points, however many trials are allowed; lists and texts may be varied too."""
    vary = {NODES: [2, 3], CPU: ["1024", "2048"]}
    found = search(tmp_path, vary=vary, trials=500)
    assert len(found.sweep.points) == 4
    assert found.values[NODES] == 2


def test_points_that_are_not_valid_scenarios_are_left_out(tmp_path: Path) -> None:
    """A desired capacity above the group's maximum is invalid only for some values of both."""
    largest = NODES.replace("desiredCapacity", "maxSize")
    found = search(tmp_path, vary={NODES: [1, 2, 9], largest: [1, 4, 9]}, trials=40)
    assert found.values[NODES] == 2
    assert found.invalid
    assert "not valid scenarios" in printed(found)


def test_a_lucky_point_is_not_confirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A point that kept the bound by chance is not confirmed, and the next best is taken."""
    real = SearchState.add_run

    def add_lucky_run(self: SearchState, row: RunRow) -> None:
        # One node looks good enough in the search, and not afterwards.
        if self.values[row.spec.point] == (1,) and row.spec.replication == 0:
            values = row.values.copy()
            values[row.names.index(AVAILABLE)] = 1.0
            row = RunRow(row.spec, row.seed, row.names, values, row.whole)
        real(self, row)

    monkeypatch.setattr(SearchState, "add_run", add_lucky_run)
    found = search(tmp_path, vary={NODES: [1, 2, 3]})
    assert found.values == {NODES: 2}
    assert found.unconfirmed == 1
    assert "1 points kept the bounds in the search but not with fresh seeds" in printed(found)


def test_the_printed_report(found: Optimum) -> None:
    for terminal in (False, True):
        text = printed(found, terminal)
        for words in ("desiredCapacity=2", "fresh seeds", "web available", ">= 90.000%", "cost"):
            assert words in text
    runs = len(found.sweep.summary)
    assert f"{runs}: {len(found.sweep.points)} points x 1" in printed(found)


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("services.web.availability>=0.999", Bound("services.web.availability", True, 0.999)),
        ("services.web.availability >= 99.9 %", Bound("services.web.availability", True, 0.999)),
        ("cost_usd<=1e3", Bound("cost_usd", False, 1000.0)),
    ],
)
def test_bounds_are_parsed(text: str, bound: Bound) -> None:
    (found,) = parse_bounds([text])
    assert found.limit == pytest.approx(bound.limit)
    assert (found.measure, found.at_least) == (bound.measure, bound.at_least)


def test_all_invalid_bounds_are_reported_at_once() -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_bounds(["cost_usd", "cost_usd<5", "cost_usd>=x", ">=1", "cost_usd>=1.2.3"])
    assert len(caught.value.problems) == 5


def test_an_unknown_measure_is_reported_at_the_first_run(tmp_path: Path) -> None:
    with pytest.raises(cs.ResultsError, match="--subject-to: no run has the measure"):
        search(tmp_path, subject_to=["services.wbe.availability>=0.9"])
    with pytest.raises(
        cs.ResultsError, match="--minimize: no run has the measure 'cost'; did you mean cost_usd"
    ):
        search(tmp_path, out="other", minimize="cost")


def test_a_missing_mean_keeps_no_bound() -> None:
    """Runs that failed have no numbers; such a point is neither feasible nor the closest."""
    goal = SearchGoal("cost_usd", (Bound(AVAILABLE, True, 0.9),), 1, 2, 2)
    state = SearchState(goal)
    state.add_point((1,), "a")
    state.add_run(RunRow(RunSpec(0, 0), 0, error="ValueError: no"))
    assert math.isnan(state.means(0, goal.search_replications)["cost_usd"])
    assert (state.feasible_points(), state.closest_misses(), state.closest_point()) == ([], (), None)


def test_optuna_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(cs.ResultsError, match=r"pip install clustersim\[tune\]"):
        search(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["shop.yaml"]
