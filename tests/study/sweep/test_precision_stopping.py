"""Sequential stopping: rounds depend on whole rounds only, and it always ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import clustersim as cs
from clustersim import stats
from clustersim.errors import ScenarioError
from clustersim.study.execution.worker import RunRow, RunSpec
from clustersim.study.sweep.precision_stopping import (
    MAX_REPLICATIONS,
    PrecisionTarget,
    parse_precision_target,
    plan_next_round,
)
from tests.study.small import COUNT, RATE, contents, save, shop

COST = PrecisionTarget("cost", 0.02, relative=True)


def rows(*points: list[float]) -> list[RunRow]:
    """A row per value: of point 0, of point 1 ..."""
    return [
        RunRow(RunSpec(point, number), 0, ("cost",), np.array([value]), np.array([False]))
        for point, values in enumerate(points)
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("cost_usd=2%", PrecisionTarget("cost_usd", 0.02, True)),
        ("services.web.availability=0.001", PrecisionTarget("services.web.availability", 0.001, False)),
        (" run_tasks.a=b.cost_usd = 1e-3 % ", PrecisionTarget("run_tasks.a=b.cost_usd", 1e-5, True)),
    ],
)
def test_precision_targets_are_parsed(text: str, width: PrecisionTarget) -> None:
    found = parse_precision_target(text)
    assert (found.measure, found.relative) == (width.measure, width.relative)
    assert found.width == pytest.approx(width.width)


@pytest.mark.parametrize(
    "text", ["cost_usd", "cost_usd=", "cost_usd=0", "=2%", "cost_usd=-1%", "cost_usd=1.2.3", "a=%"]
)
def test_invalid_precision_targets(text: str) -> None:
    with pytest.raises(ValueError, match="write it like cost_usd=2%"):
        parse_precision_target(text)


def test_only_points_that_need_more_get_more() -> None:
    """Point 0 does not vary at all; point 1 needs more, but at most twice what it has: its variance is uncertain."""
    wild = [90.0, 110.0, 95.0, 105.0, 100.0]
    needed = stats.replications_for(wild, 0.02, relative=True)
    assert needed > 10
    assert plan_next_round(rows([100.0] * 5, wild), [COST]) == [RunSpec(1, number) for number in range(5, 10)]


def test_the_widest_measure_decides() -> None:
    wild = rows([99.0, 101.0, 100.0, 100.0, 100.0])
    loose, tight = PrecisionTarget("cost", 10.0, False), PrecisionTarget("cost", 1.5, False)
    assert plan_next_round(wild, [loose]) == []
    assert plan_next_round(wild, [loose, tight]) == plan_next_round(wild, [tight]) != []


def test_targets_that_cannot_be_reached_end() -> None:
    """Runs that failed, a measure that is null, a mean of 0, and the most that is ever done."""
    failed = [RunRow(RunSpec(0, number), 0, error="ValueError") for number in range(5)]
    assert plan_next_round(failed, [COST]) == []
    assert plan_next_round(rows([-1.0, 1.0, -1.0, 1.0]), [COST]) == []
    wild = rows([float(number % 7 + 1) for number in range(MAX_REPLICATIONS)])
    assert plan_next_round(wild, [PrecisionTarget("cost", 1e-9, True)]) == []


def test_a_sweep_adds_replications_until_the_interval_is_narrow(tmp_path: Path) -> None:
    """And takes the same course when it is interrupted, and resumed with the same width."""
    asked: dict[str, Any] = {
        "vary": {COUNT: [2], RATE: [20, 100]},
        "until_width": {"tasks_created": "25%"},
        "jobs": 1,
    }
    scenario = save(tmp_path, shop("30m"))
    found = cs.sweep(scenario, out=tmp_path / "out", **asked)
    for point in range(2):
        interval = found.interval("tasks_created", point)
        assert interval is not None
        assert interval.width <= 0.25 * interval.mean
        assert interval.n >= 5
    counts = [len(found.values("tasks_created", point)) for point in range(2)]
    assert counts[0] > counts[1], "fewer jobs vary more, as a share of them"
    again = cs.sweep(scenario, out=tmp_path / "out", resume=True, **asked)
    assert again.manifest["timings"]["reused"] == len(found.summary)
    looser = cs.sweep(
        scenario, out=tmp_path / "out", resume=True, **{**asked, "until_width": {"tasks_created": "50%"}}
    )
    assert len(looser.summary) == len(found.summary), "what is there counts"
    cs.sweep(scenario, out=tmp_path / "other", **asked)
    assert {name: digest for name, digest in contents(tmp_path / "other").items() if "points/" in name} == {
        name: digest for name, digest in contents(tmp_path / "out").items() if "points/" in name
    }


def test_an_invalid_width_is_reported(tmp_path: Path) -> None:
    scenario = save(tmp_path, shop("5m"))
    with pytest.raises(ScenarioError, match="--until-width: 'cost_usd=wide'"):
        cs.sweep(scenario, vary={COUNT: [2]}, until_width={"cost_usd": "wide"}, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(cs.ResultsError, match="no run has the measure 'cost'; did you mean cost_usd"):
        cs.sweep(scenario, vary={COUNT: [2]}, until_width={"cost": "2%"}, jobs=1, out=tmp_path / "out")
