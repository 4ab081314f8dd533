"""Worked examples of the lifecycle of a task, as whole runs: healthy, stopped, drained, crashing, never starting."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.harness import HOUR, MINUTE, SECOND, definition, job, run, service, world


@pytest.mark.golden(13)
def test_task_without_checks_is_healthy_after_40_seconds(tmp_path: Path) -> None:
    """botocore, DeploymentConfiguration: no load balancer, no health check: 40 s after RUNNING."""
    web = service(behavior={"startupTime": "7s"})
    ran = run(world(duration="10m", services=[web]), tmp_path)
    (task,) = ran.tasks()
    assert (task["started_at"], task["healthy_at"]) == (7 * SECOND, 47 * SECOND)
    (steady,) = ran.rows("events", kind="SERVICE_STEADY_STATE")
    assert steady["time"] == 47 * SECOND


@pytest.mark.golden(13)
def test_rolling_update_waits_for_the_40_seconds(tmp_path: Path) -> None:
    """minimumHealthyPercent 100: the old task stops at the instant its replacement becomes healthy."""
    change = {"at": "10m", "updateService": {"service": "web", "taskDefinition": "app:2"}}
    written = world(
        taskDefinitions=[definition(), definition(cpu=256)],
        services=[service(taskDefinition="app:1", behavior={"startupTime": "5s"})],
        actions=[change],
    )
    old, new = run(written, tmp_path).tasks()
    assert new["started_at"] == 10 * MINUTE + 5 * SECOND
    assert old["stopping_at"] == new["healthy_at"] == 10 * MINUTE + 45 * SECOND


@pytest.mark.golden(76)
@pytest.mark.parametrize(
    ("behavior", "seconds", "exit_code"),
    [
        ({"stopTime": "never"}, 30, 137),
        ({"stopTime": "5s"}, 5, 143),
        ({"stopTime": "5s", "stopExitCode": 0}, 5, 0),
    ],
    ids=["ignored", "handled", "handled, own code"],
)
def test_stop_timeout_and_exit_codes(
    tmp_path: Path, behavior: dict[str, Any], seconds: int, exit_code: int
) -> None:
    """SIGTERM ignored: SIGKILL after the default stopTimeout of 30 s, exit 137; handled: its own time and exit code."""
    down = {"at": "10m", "updateService": {"service": "web", "desiredCount": 0}}
    ran = run(world(services=[service(behavior=behavior)], actions=[down]), tmp_path)
    (task,) = ran.tasks()
    assert task["stopping_at"] == 10 * MINUTE
    assert task["stopped_at"] == 10 * MINUTE + seconds * SECOND
    assert task["exit_code"] == exit_code
    assert task["stop_code"] == "ServiceSchedulerInitiated"
    assert ran.summary["tasks_failed"] == 0, "a user stopped it"


@pytest.mark.golden(79)
def test_drain_leaves_a_standalone_task_alone(tmp_path: Path) -> None:
    """botocore, UpdateContainerInstancesState: standalone tasks on a DRAINING instance run to their end."""
    drain = {
        "at": "5m",
        "updateContainerInstancesState": {"containerInstances": ["1"], "status": "DRAINING"},
    }
    written = world(
        runTasks=[
            job("long", at="0s", duration="20m"),
            job("late", at="6m", duration="1m", launchType="EC2"),
        ],
        actions=[drain],
    )
    ran = run(written, tmp_path)
    (long,) = ran.tasks(group="long")
    assert (long["stopped_at"], long["exit_code"]) == (20 * MINUTE, 0)
    assert long["stop_code"] == "EssentialContainerExited"
    (instance,) = ran.instances()
    assert (instance["draining_at"], instance["terminated_at"]) == (5 * MINUTE, None)
    (late,) = ran.tasks(group="late")
    assert late["placed_at"] is None, "a DRAINING instance takes no new task"


@pytest.mark.golden(80)
def test_crash_after_running_is_never_throttled(tmp_path: Path) -> None:
    """A task that exits 10 s after RUNNING, for ever: each is relaunched as soon as the last has stopped."""
    web = service(behavior={"timeToFailure": "10s"})
    ran = run(world(duration="30m", services=[web]), tmp_path)
    tasks = ran.tasks()
    assert len(tasks) == 180  # one every 10 s; the last one ends just outside
    for one, following in pairwise(tasks):
        assert one["stopped_at"] - one["started_at"] == 10 * SECOND
        assert following["created_at"] == one["stopped_at"]
        assert one["exit_code"] == 1
    assert ran.messages("SERVICE_TASK_START_IMPAIRED") == []


@pytest.mark.golden(80)
def test_start_failure_is_throttled_up_to_27_minutes(tmp_path: Path) -> None:
    """Tasks that never reach RUNNING are launched at growing intervals, without end.

    AWS publishes only the longest pause; the steps are ours (MODEL.md): 10 s, doubled each time.
    """
    web = service(behavior={"startFailureProbability": 1})
    ran = run(world(duration="4h", services=[web]), tmp_path)
    tasks = ran.tasks()
    assert all(task["started_at"] is None for task in tasks)
    assert {task["stop_code"] for task in tasks} == {"TaskFailedToStart"}
    pauses = [after["created_at"] - before["stopped_at"] for before, after in pairwise(tasks)]
    steps = [10, 20, 40, 80, 160, 320, 640, 1_280, 1_620]
    assert [pause // SECOND for pause in pauses[:9]] == steps
    assert set(pauses[8:]) == {27 * MINUTE}
    assert tasks[-1]["created_at"] > 4 * HOUR - 28 * MINUTE
    assert ran.messages("SERVICE_TASK_START_IMPAIRED") == [
        "(service web) is unable to consistently start tasks successfully."
    ]


@pytest.mark.golden(80)
def test_new_revision_ends_the_throttle_at_once(tmp_path: Path) -> None:
    """ECS Developer Guide, service throttle logic: updating the task definition returns to normal launching."""
    mended = {"at": "1h", "updateService": {"service": "web", "taskDefinition": "app:2"}}
    broken = definition(behavior={"startFailureProbability": 1})
    written = world(
        duration="2h",
        taskDefinitions=[broken, definition()],
        services=[service(taskDefinition="app:1")],
        actions=[mended],
    )
    ran = run(written, tmp_path)
    (good,) = ran.tasks(revision=2)
    assert (good["created_at"], good["last_status"]) == (HOUR, "RUNNING")
