"""Tests that the scenarios of scenarios/pains and scenarios/releases about services behave as their comments say."""

from __future__ import annotations

from pathlib import Path

import pytest

from clustersim.scenario.reader import read_scenario
from tests.harness import HOUR, MINUTE, SECOND, FinishedRun, run

ROOT = Path(__file__).parents[2] / "scenarios"
PAGES = sorted((ROOT / "releases").glob("*.yaml")) + [
    ROOT / "pains" / f"{name}.yaml"
    for name in ("spike-needs-three-minutes", "two-tasks-75-125", "queue-by-backlog")
]
NOON = 1 * HOUR  # of the spike, which begins at 11:00


def page(name: str, directory: Path, *overrides: str) -> FinishedRun:
    """Run the scenario `name`."""
    path = ROOT / f"{name}.yaml"
    text = path.read_text(encoding="utf-8").replace("traces/", f"{path.parent}/traces/")
    return run(text, directory, *overrides, checked=False)


def decisions(ran: FinishedRun) -> list[tuple[int, int, int]]:
    """Return (instant, from, to) of each decision of a scaling policy."""
    return [(row["time"], row["from_count"], row["to_count"]) for row in ran.rows("scaling_activities")]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_simulated_whole_and_says_how_to_run_it(path: Path) -> None:
    """No part of it is left out with a warning, and its own command stands in its comments."""
    assert [line for line in read_scenario(path).warnings if "not simulated yet" in line] == []
    head = path.read_text(encoding="utf-8").split("\nname:")[0]
    assert f"clustersim run scenarios/{path.parent.name}/{path.name}" in head


@pytest.mark.parametrize(("resolution", "first"), [("60s", 3 * MINUTE), ("20s", MINUTE)])
def test_a_spike_is_seen_in_three_datapoints(resolution: str, first: int, tmp_path: Path) -> None:
    """At 100 % of 4 tasks and a target of 60: ceil(4 x 100 / 60) = 7, and until then half of 400 a second is lost."""
    setting = f"services.web.autoScaling.metricResolution={resolution}"
    ran = page("pains/spike-needs-three-minutes", tmp_path, setting)
    assert decisions(ran)[0] == (NOON + first, 4, 7)
    failed = ran.rows("service_series", service="web", time=NOON + MINUTE)[0]["failed_request_count"]
    lost = 12_000  # of 24,000: 4 tasks of one vCPU answer 50 a second each
    assert failed == pytest.approx(lost) if resolution == "60s" else failed < lost


def test_two_tasks_and_75_to_125_percent_never_move(tmp_path: Path) -> None:
    """ceil(1.5) = 2 must stay and floor(2.5) = 2 may run: said once, and for ever."""
    ran = page("pains/two-tasks-75-125", tmp_path)
    assert len(ran.tasks()) == 2
    assert [row["rollout_state"] for row in ran.rows("deployments")] == ["COMPLETED", "IN_PROGRESS"]
    assert sum("was unable to stop or start tasks" in message for message in ran.messages()) == 1


def test_with_150_percent_two_tasks_are_replaced_one_by_one(tmp_path: Path) -> None:
    """floor(3) = 3: a third task, 40 s until it is healthy, an old one away, and once more."""
    ran = page("pains/two-tasks-75-125", tmp_path, "services.web.deploymentConfiguration.maximumPercent=150")
    assert [row["rollout_state"] for row in ran.rows("deployments")] == ["COMPLETED", "COMPLETED"]
    assert max(count for _, count in ran.series("running_count", "web")) <= 3


def test_a_worker_by_cpu_waits_for_hours_one_by_backlog_for_minutes(tmp_path: Path) -> None:
    """Two tasks do a message a second, less than comes: the oldest is hours old. Pumping costs more than calm steps."""
    ran = page("pains/queue-by-backlog", tmp_path)
    oldest, most = {}, {}
    for name in ("by-cpu", "by-backlog", "calm"):
        oldest[name] = max(age or 0.0 for _, age in ran.series("oldest_message_age_s", name))
        most[name] = len(ran.tasks(service=name))
    assert oldest["by-cpu"] > 12 * 3_600
    assert oldest["by-backlog"] < 180
    assert oldest["calm"] < 120
    assert most["by-cpu"] == 2
    assert most["by-backlog"] > 20 * most["calm"]
    cost = {name: ran.summary["services"][name]["cost_usd"] for name in most}
    assert cost["by-cpu"] < cost["calm"] < 0.7 * cost["by-backlog"]


def test_a_release_that_never_starts_is_rolled_back_unnoticed(tmp_path: Path) -> None:
    """ceil(0.5 x 6) = 3 failures in a row; the six old tasks never left."""
    ran = page("releases/never-starts-rollback", tmp_path)
    failed = ran.rows("deployments")[1]
    assert (failed["rollout_state"], failed["failed_tasks"] >= 3) == ("FAILED", True)
    assert ran.summary["services"]["web"]["requests_failed"] == 0
    assert all(task["stopped_at"] is None for task in ran.tasks(revision=1))


def test_a_release_whose_checks_fail_is_rolled_back_while_the_old_tasks_answer(tmp_path: Path) -> None:
    ran = page("releases/fails-checks-rollback", tmp_path)
    failed = ran.rows("deployments")[1]
    assert failed["rollout_state"] == "FAILED"
    assert ran.summary["services"]["web"]["requests_failed"] == 0
    assert all(task["health_status"] != "HEALTHY" for task in ran.tasks(revision=2))


@pytest.mark.parametrize("name", ["never-starts-blue-green", "fails-checks-blue-green"])
def test_blue_green_waits_a_day_for_green_and_moves_no_traffic(name: str, tmp_path: Path) -> None:
    """No circuit breaker there: the 24 hours of a stage end it, and no customer notices."""
    ran = page(f"releases/{name}", tmp_path)
    green = ran.rows("deployments")[1]
    assert (green["rollout_state"], green["completed_at"]) == ("FAILED", 10 * MINUTE + 24 * HOUR)
    assert ran.summary["services"]["web"]["requests_failed"] == 0
    traffic = ran.rows("deployment_series", deployment_id=green["deployment_id"])
    assert {row["traffic_percent"] for row in traffic} == {0.0}


def test_an_alarm_rolls_a_hungry_release_back_once_everybody_has_met_it(tmp_path: Path) -> None:
    ran = page("releases/needs-more-cpu-rollback", tmp_path)
    states = [row["rollout_state"] for row in ran.rows("deployments")]
    assert "FAILED" in states
    assert any(task["started_at"] is not None for task in ran.tasks(revision=2))
    assert {task["revision"] for task in ran.tasks(last_status="RUNNING")} == {1}


def test_within_the_bake_time_traffic_goes_back_to_blue_at_once(tmp_path: Path) -> None:
    """All traffic on green, the alarm two minutes later, and no new task of blue has to start."""
    ran = page("releases/needs-more-cpu-blue-green", tmp_path)
    blue, green = ran.rows("deployments")
    shares = [row["traffic_percent"] for row in ran.rows("deployment_series", deployment_id="ecs-svc/2")]
    assert (green["rollout_state"], max(shares)) == ("FAILED", 100.0)
    assert blue["completed_at"] == green["completed_at"] < 25 * MINUTE
    begun = green["created_at"] + 30 * SECOND
    assert not [task for task in ran.tasks(revision=1) if task["created_at"] > begun]
