"""Tests of scenarios/which-one: the README's table equals the output of `compare`, with the expected cheapest options.

Steady and large: ECS on EC2 costs less, unless the operation of the servers is priced in. Small, bursty or nightly:
Fargate.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

import clustersim as cs
from clustersim.scenario.reader import read_scenario
from clustersim.study.compare.report import describe_operations_price, format_figure
from clustersim.study.compare.result import BILL, SERVERS, Comparison

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scenarios" / "which-one"
SCENARIOS = sorted(FOLDER.glob("*.yaml"))
SHOWN = (
    BILL,
    "comparison.availability",
    "comparison.jobs_completed",
    "comparison.task_start_p50_s",
    "comparison.task_start_p99_s",
    SERVERS,
)
CHEAPEST = {
    "steady-large": "ecs-ec2",
    "bursty-small": "ecs-fargate",
    "nightly-batch": "ecs-fargate",
    "mixed": "ecs-fargate",
}


@cache
def compared(name: str) -> Comparison:
    """Return the comparison at load 1 with the default replications."""
    folder = mkdtemp(prefix="which-one-")
    return cs.compare(FOLDER / f"{name}.yaml", loads=[1], jobs=1, out=folder)


def rows_of(comparison: Comparison) -> list[str]:
    """Return the README's table rows of a scenario."""
    rows = []
    for each in comparison.requested_options:
        name = each["option"]
        if each["why_not"]:
            rows.append(f"| `{comparison.name}` | {name} | cannot run |  |  |  |  |  |")
            continue
        cells = [
            format_figure(measure, comparison.of_option(measure, name))
            if measure in comparison.measures
            else "-"
            for measure in SHOWN
        ]
        rows.append(f"| `{comparison.name}` | {name} | {' | '.join(cells)} |")
    return rows


@pytest.mark.parametrize("name", CHEAPEST)
def test_the_readmes_table_is_what_compare_prints(name: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [row for row in rows_of(compared(name)) if row not in readme] == []


@pytest.mark.parametrize("name", CHEAPEST)
def test_the_advice_comes_out(name: str) -> None:
    """The cheapest option is a significant winner."""
    found = compared(name)
    bill = next(each for each in found.verdicts() if each.criterion.measure == BILL)
    assert bill.winners == (CHEAPEST[name],)


def test_the_price_from_which_fargate_wins_the_steady_one_is_the_readmes() -> None:
    found = compared("steady-large")
    price = next(each for each in found.operations_prices() if each.servers == "ecs-ec2")
    assert price.usd.low > 0
    words = describe_operations_price(price).split(" from ")[1]
    assert words in " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


def test_a_tenth_of_the_steady_load_is_fargates(tmp_path: Path) -> None:
    """Below the break-even load instances are too large for their tasks."""
    options, loads = ["ecs-ec2", "ecs-fargate"], [0.1, 0.25, 1]
    path = FOLDER / "steady-large.yaml"
    found = cs.compare(
        path, options=options, loads=loads, replications=1, jobs=1, out=tmp_path, set=["duration=3h"]
    )
    (change,) = found.break_evens()
    assert (change.below, change.above) == ("ecs-fargate", "ecs-ec2")
    assert 0.1 < change.load < 0.25


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_says_how_to_compare_it_and_uses_only_what_is_simulated(path: Path) -> None:
    head = path.read_text(encoding="utf-8").split("\nname:")[0]
    assert f"clustersim compare scenarios/which-one/{path.name}" in head
    assert read_scenario(path).warnings == ()
    assert path.stem in CHEAPEST
