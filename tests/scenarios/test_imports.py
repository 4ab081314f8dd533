"""Tests that a scenario made of output of the AWS command line runs without edits."""

from __future__ import annotations

from pathlib import Path

import pytest

from clustersim.scenario.reader import read_scenario
from clustersim.study.single_run.run import run_scenario

IMPORTS = Path(__file__).parents[1] / "imports"
SCENARIOS = sorted(IMPORTS.glob("*.yaml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_imported_answers_run_without_editing(path: Path, tmp_path: Path) -> None:
    """Every service of every answer has tasks that ran, within two hours."""
    scenario = read_scenario(path, ["duration=2h"])
    run = run_scenario(scenario, tmp_path, checked=True)
    summary = run.summary
    assert summary["services"]
    assert all(service["running_mean"] > 0 for service in summary["services"].values())
    assert summary["tasks_started"] > 0


def test_every_answer_is_read_by_a_scenario() -> None:
    """No file of tests/imports is there for nothing."""
    read = {each.path for path in SCENARIOS for each in read_scenario(path).inputs}
    answers = {path.name for path in IMPORTS.glob("*.json")}
    assert {Path(path).name for path in read} >= answers
