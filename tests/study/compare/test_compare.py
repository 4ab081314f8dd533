"""Comparisons: their runs, the figures computed from them, and the same bytes with any number of workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import clustersim as cs
from clustersim import stats
from clustersim.study.compare.report import (
    build_wins_section,
    describe_break_evens,
    describe_operations_price,
    list_comparison_facts,
    list_notes,
)
from clustersim.study.compare.result import BILL, SERVERS, Comparison
from tests.harness import definition, job, service
from tests.study.small import contents

LIFE = {"distribution": "exponential", "mean": "20m"}
WEB = {
    "serviceName": "web",
    "taskDefinition": "app",
    "desiredCount": 4,
    "load": {"requestsPerSecond": 20, "cpuTimePerRequest": "50ms"},
    "behavior": {"timeToFailure": LIFE, "startupTime": "10s"},
}


def workload(**keys: Any) -> dict[str, Any]:
    """A service that fails, anywhere."""
    return {
        "name": "shop",
        "duration": "1h",
        "initialState": "running",
        "taskDefinitions": [definition()],
        "services": [WEB],
        **keys,
    }


def save(folder: Path, written: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "shop.yaml"
    path.write_text(json.dumps(written), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("comparison")
    operations = {"operations": {"usdPerInstanceMonth": 10}}
    path = save(folder, workload(pricing=operations))
    return cs.compare(path, replications=3, loads=[1, 2], jobs=1, out=folder / "out")


def test_options_and_loads_are_the_varied_paths(done: Comparison) -> None:
    assert done.paths == ("option", "load")
    assert done.options == ("ec2", "ecs-ec2", "ecs-fargate")
    assert len(done.points) == 6
    assert len(done.summary) == 18
    opened = cs.open(done.path)
    assert isinstance(opened, Comparison)
    assert opened.summary.to_arrow().equals(done.summary.to_arrow())


def test_figures_are_those_of_the_runs(done: Comparison) -> None:
    """A month is 730 hours; 10 dollars for each server; waiting from the table of tasks."""
    number = done.point("ecs-ec2")
    run = done.run(number, 1)
    values = {name: done.values(f"comparison.{name}", number)[1] for name in ("servers", "task_start_p50_s")}
    assert done.values(BILL, number)[1] == pytest.approx(730 * run.summary["cost_usd"])
    assert values["servers"] == pytest.approx(run.summary["instance_hours"])
    operations = done.values("comparison.operations_usd_per_month", number)[1]
    assert operations == pytest.approx(10 * values["servers"])
    total = done.values("comparison.total_usd_per_month", number)[1]
    assert total == pytest.approx(done.values(BILL, number)[1] + operations)
    tasks = run.tasks.to_pandas()
    late = tasks[tasks.created_at > tasks.created_at.min()]
    waits = (late.started_at - late.created_at).dt.total_seconds().dropna()
    assert len(waits) > 0
    assert values["task_start_p50_s"] == pytest.approx(waits.median())


def test_four_tasks_under_each_option_by_hand(done: Comparison) -> None:
    """Four machines, one instance, none: c6i.large at $0.085, m6i.large at $0.096, each with 30 GiB at $0.08 a month;
    four times 0.5 x $0.04048 + 1 x $0.004445 on Fargate, less what failed tasks were not there."""
    assert done.of_option(SERVERS, "ec2").mean == pytest.approx(4)  # type: ignore[union-attr]
    assert done.of_option(BILL, "ec2").mean == pytest.approx(4 * (730 * 0.085 + 2.4))  # type: ignore[union-attr]
    ecs = done.of_option(BILL, "ecs-ec2")
    assert ecs is not None
    assert ecs.mean >= 730 * 0.096 + 2.4 - 0.01
    fargate = done.of_option(BILL, "ecs-fargate")
    assert fargate is not None
    assert 0.9 * 72.08 < fargate.mean <= 1.05 * 72.08  # 4 x 0.024685 x 730
    assert done.of_option(SERVERS, "ecs-fargate").mean == 0  # type: ignore[union-attr]


def test_options_have_common_random_numbers(tmp_path: Path) -> None:
    """The first copies fail at the same instants, whatever they run on."""
    path = save(tmp_path, workload())
    found = cs.compare(
        path, options=["ecs-ec2", "ecs-fargate"], loads=[1], replications=1, jobs=1, out=tmp_path
    )
    stops = []
    for number in range(2):
        tasks = found.run(number).tasks.to_pandas()
        first = tasks[tasks.created_at == tasks.created_at.min()].sort_values("task_id")
        stops.append(list(first.stopping_at.dropna()))
    assert stops[0]
    assert stops[0] == stops[1]


def test_the_same_bytes_with_any_number_of_workers(tmp_path: Path) -> None:
    path = save(tmp_path, workload(duration="20m"))
    for jobs in (1, 2):
        cs.compare(path, loads=[1], replications=2, jobs=jobs, out=tmp_path / str(jobs))
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_a_complete_comparison_is_taken_up_again_with_more_replications(tmp_path: Path) -> None:
    """Earlier runs count, their figures included."""
    path = save(tmp_path, workload(duration="20m"))
    arguments: dict[str, Any] = {"options": ["ecs-fargate"], "loads": [1], "jobs": 1}
    cs.compare(path, replications=1, out=tmp_path / "a", **arguments)
    more = cs.compare(path, replications=2, out=tmp_path / "a", resume=True, **arguments)
    assert more.manifest["timings"]["reused"] == 1
    once = cs.compare(path, replications=2, out=tmp_path / "b", **arguments)
    assert more.summary.to_arrow().equals(once.summary.to_arrow())


def test_an_option_that_cannot_run_is_a_column_that_says_why(tmp_path: Path) -> None:
    path = save(tmp_path, workload(duration="10m", runTasks=[job("nightly", capacityProviderStrategy=[])]))
    found = cs.compare(path, loads=[1], replications=1, jobs=1, out=tmp_path)
    assert found.options == ("ecs-ec2", "ecs-fargate")
    assert "nightly runs single tasks" in dict(list_notes(found))["ec2"]


# --- what is wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"options": ["fargate"]}, "--options: there is no option 'fargate'; did you mean ecs-fargate?"),
        ({"options": []}, "--options: the list is empty"),
        ({"replications": 0}, "at least 1"),
        ({"loads": [0.0]}, "--loads: 0.0 is not above 0"),
        ({"set": ["duration=soon"]}, "duration"),
        ({"set": ["ecs-ec2:services.wbe.desiredCount=2"]}, "did you mean web"),
        ({"set": ["compare.option=[ec2]"]}, "did you mean options"),
    ],
)
def test_wrong_requests(arguments: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = save(tmp_path, workload())
    with pytest.raises(cs.ScenarioError) as error:
        cs.compare(path, jobs=1, out=tmp_path / "out", **arguments)
    assert words in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_workload_that_no_option_can_run_is_refused(tmp_path: Path) -> None:
    """64 vCPU: larger than any Fargate task and any type of the list; each option says so."""
    huge = workload(taskDefinitions=[definition(cpu=131_072, memory=1024)])
    with pytest.raises(cs.ScenarioError) as error:
        cs.compare(save(tmp_path, huge), jobs=1, out=tmp_path / "out")
    for option in ("ec2", "ecs-ec2", "ecs-fargate"):
        assert f"{option} cannot run this" in str(error.value)
    assert not (tmp_path / "out").exists()


# --- what is made of the numbers ---------------------------------------------------------------------------


def made_up(
    costs: dict[tuple[str, float], list[float]], servers: dict[str, float], price: float = 0.0
) -> Comparison:
    """A comparison of these bills by option and load, one for each replication."""
    options = list(dict.fromkeys(option for option, _ in costs))
    loads = sorted({load for _, load in costs})
    rows: dict[str, list[Any]] = {"point": [], "replication": [], "seed": [], "error": []}
    rows |= {"option": [], "load": [], BILL: [], SERVERS: [], "comparison.total_usd_per_month": []}
    for number, ((option, load), values) in enumerate(costs.items()):
        for replication, value in enumerate(values):
            line = (number, replication, 0, None, option, load, value, servers[option])
            for column, cell in zip(rows, (*line, value + price * servers[option]), strict=True):
                rows[column].append(cell)
    listed = [{"option": each, "changes": [], "why_not": []} for each in options]
    manifest = {
        "scenario": {"name": "made_up"},
        "design": {"paths": ["option", "load"], "sensitivity": False},
        "points": [{"values": list(each)} for each in costs],
        "comparison": {"options": listed, "loads": loads, "operations_usd_per_instance_month": price},
        "replications": 3,
    }
    return Comparison("nowhere", manifest, pa.table(rows))


SERVED = {"ecs-ec2": 2.0, "ecs-fargate": 0.0}


def test_the_break_even_lies_between_two_loads() -> None:
    """$100 dearer at 1 x, $300 cheaper at 2 x: a quarter of the way, 1.25 x."""
    found = made_up(
        {
            ("ecs-ec2", 1.0): [200, 201, 202],
            ("ecs-ec2", 2.0): [300, 301, 302],
            ("ecs-fargate", 1.0): [100, 101, 102],
            ("ecs-fargate", 2.0): [600, 601, 602],
        },
        SERVED,
    )
    (change,) = found.break_evens()
    assert (change.below, change.above, change.load) == ("ecs-fargate", "ecs-ec2", pytest.approx(1.25))
    assert (
        describe_break_evens(found)
        == "ecs-ec2 from about 1.2 times the load on, ecs-fargate below (between 1 and 2)"
    )


def test_the_price_of_operations_is_the_additional_bill_per_server() -> None:
    """$80, $100 and $120 dearer with two servers fewer: $50, from 25 to 75 by Student's t (4.303 x 10 / sqrt 3)."""
    found = made_up({("ecs-ec2", 1.0): [300, 300, 300], ("ecs-fargate", 1.0): [380, 400, 420]}, SERVED)
    (price,) = found.operations_prices()
    assert (price.servers, price.fargate) == ("ecs-ec2", "ecs-fargate")
    assert (price.usd.mean, price.usd.low) == (pytest.approx(50), pytest.approx(50 - 24.84, abs=0.01))
    assert "from $50.00 ±24.84 of operations per server and month on" in describe_operations_price(price)


def test_with_a_price_the_cheapest_is_of_both_together() -> None:
    costs = {("ecs-ec2", 1.0): [300.0, 301.0], ("ecs-fargate", 1.0): [400.0, 401.0]}
    assert made_up(costs, SERVED).cheapest() == "ecs-ec2"
    assert made_up(costs, SERVED, price=60).cheapest() == "ecs-fargate"


def test_a_winner_needs_a_significant_difference() -> None:
    """In pairs: 10 more in every replication is significant; 10 more on average, between 30 and -10, is not."""
    sure = made_up({("a", 1.0): [100, 200, 300], ("b", 1.0): [110, 210, 310.5]}, {"a": 1, "b": 1})
    bill = next(each for each in sure.verdicts() if each.criterion.measure == BILL)
    assert (bill.winners, bill.next) == (("a",), "b")
    noisy = made_up({("a", 1.0): [100, 200, 300], ("b", 1.0): [130, 190, 310]}, {"a": 1, "b": 1})
    bill = next(each for each in noisy.verdicts() if each.criterion.measure == BILL)
    assert (bill.winners, bill.next) == (("a", "b"), None)
    assert ("servers to manage", "no difference", "-") in build_wins_section(noisy).rows


def test_the_facts_of_a_comparison(done: Comparison) -> None:
    facts = dict(list_comparison_facts(done))
    assert facts["runs"] == "18, 3 of each option and load, with the same random numbers"
    assert {"cheapest", "break-even load", "operations"} <= facts.keys()
    interval = done.of_option(BILL, "ecs-fargate")
    assert isinstance(interval, stats.Interval)
    assert np.isfinite(interval.half_width)
    assert service()["serviceName"] == "web"
