"""The oracle itself: it shares no code with the product, agrees with a run, and finds what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.harness import FinishedRun, fargate_definition, job, run, service, world
from tests.oracle import bill, scenario_text, settlement
from tests.oracle.bill import differences


@pytest.fixture
def ran(tmp_path: Path) -> FinishedRun:
    """A run with both kinds of capacity and of commitments, which starts at 10:20."""
    written = world(
        start="2026-06-01T10:20:00Z",
        duration="100m",
        taskDefinitions=[fargate_definition()],
        services=[service("web", 2), service("edge", 2, launchType="FARGATE")],
        runTasks=[job(count=2, schedule="rate(7 minutes)", duration="5m")],
        sampling={"costPeriod": "45m"},
        pricing={
            "savingsPlan": {"usdPerHour": 0.2, "discount": {"ec2": 0.28, "fargate": 0.2}},
            "reservedInstances": [{"instanceType": "test.node", "count": 1, "usdPerHour": 0.2}],
        },
    )
    return run(written, tmp_path)


def test_it_imports_nothing_of_the_product() -> None:
    """Else one mistake could be in both computations."""
    for module in (bill, scenario_text, settlement):
        text = Path(str(module.__file__)).read_text(encoding="utf-8")
        assert not re.search(r"^\s*(from|import) clustersim", text, re.MULTILINE)


def test_it_agrees_with_a_run(ran: FinishedRun, tmp_path: Path) -> None:
    """Rows, tasks, instances and summary."""
    assert differences(ran.run.path, tmp_path / "scenario.yaml") == []


@pytest.mark.parametrize("name", ["cost_usd", "cost_usd_idle", "cost_usd_commitment_unused"])
def test_it_finds_a_wrong_figure(ran: FinishedRun, tmp_path: Path, name: str) -> None:
    """A cent more in the summary."""
    path = ran.run.path / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(summary | {name: summary[name] + 0.01}), encoding="utf-8")
    (message,) = differences(ran.run.path, tmp_path / "scenario.yaml")
    assert message.startswith(f"{name} is ")


def test_it_finds_another_price(ran: FinishedRun, tmp_path: Path) -> None:
    """A text with another fee no longer fits the tables."""
    path = tmp_path / "other.yaml"
    text = (tmp_path / "scenario.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace('"savingsPlan": {"usdPerHour": 0.2', '"savingsPlan": {"usdPerHour": 0.3'))
    assert differences(ran.run.path, path)
