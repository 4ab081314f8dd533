"""Tests that the example scenarios are read without problems, run, and keep every invariant."""

from __future__ import annotations

from pathlib import Path

import pytest

from clustersim.scenario.reader import read_scenario
from clustersim.study.single_run.run import run_scenario

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
SHORT = {"big-fleet": "10m"}  # 300 instances: ten minutes are enough
NO_UNKNOWN = "is not simulated yet"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_runs(path: Path, tmp_path: Path) -> None:
    """A short piece of it, invariants checked at every instant; the bill and the tables agree."""
    scenario = read_scenario(path, [f"duration={SHORT.get(path.stem, '2h')}"])
    run = run_scenario(scenario, tmp_path, checked=True)
    assert run.path == tmp_path / scenario.name
    assert run.summary["tasks_created"] > 0
    billed = sum(run.costs.to_arrow(["BilledCost"]).column(0).to_pylist())
    assert run.summary["cost_usd"] == pytest.approx(billed)
    payers = [*run.summary["services"].values(), *run.summary["run_tasks"].values()]
    shared = sum(payer["cost_usd"] for payer in payers)
    others = [run.summary[f"cost_usd_{part}"] for part in ("idle", "commitment_unused", "shared")]
    assert shared + sum(others) == pytest.approx(billed)
    run.verify()


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_uses_only_what_is_simulated(path: Path) -> None:
    """An example that warns of its own features would teach mistrust."""
    assert [warning for warning in read_scenario(path).warnings if NO_UNKNOWN in warning] == []


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_says_how_to_run_it(path: Path) -> None:
    """Each is named in the README and begins with a comment that holds its own command."""
    name = f"scenarios/{path.name}"
    assert name in (ROOT / "README.md").read_text(encoding="utf-8")
    head = path.read_text(encoding="utf-8").split("\nname:")[0]
    assert f"clustersim run {name}" in head
