"""Containers with lifecycles of their own, in whole runs: dependencies, the end of the task, restarts.

Two containers in most examples: `main` takes 5 s to start, `side` begins with the task and takes 2 s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clustersim.errors import ScenarioError
from tests.harness import MINUTE, SECOND, Block, definition, job, run, scenario_of, service, world

CHECK = {"command": ["CMD-SHELL", "true"], "interval": 10}


def two(side: Block, side_life: Block, main: Block | None = None, main_life: Block | None = None) -> Block:
    """A task definition of `main` and `side`, and how they behave."""
    behaviors = {
        "main": {"startupTime": "5s", **(main_life or {})},
        "side": {"startupTime": "2s", **side_life},
    }
    app = definition(behavior={"containers": behaviors}, container=main or {})
    app["containerDefinitions"].append({"name": "side", "image": "side", "essential": False, **side})
    return app


def once(app: Block, tmp_path: Path, duration: str = "10m", **more: Any) -> Block:
    """The row of one standalone task of this definition."""
    (row,) = run(
        world(duration=duration, taskDefinitions=[app], runTasks=[job(at="0s", **more)]), tmp_path
    ).tasks()
    return row


def waiting(condition: str, **main: Any) -> Block:
    return {"dependsOn": [{"containerName": "side", "condition": condition}], **main}


@pytest.mark.parametrize(
    ("condition", "side", "life", "seconds"),
    [
        ("START", {}, {}, 7),  # 2 + 5
        ("COMPLETE", {}, {"duration": "10s", "exitCode": 1}, 17),  # 2 + 10 + 5
        ("SUCCESS", {}, {"duration": "10s", "exitCode": 0}, 17),
        ("HEALTHY", {"healthCheck": CHECK}, {"readyTime": "12s"}, 27),  # 2, its check at 20 s, 5
    ],
)
def test_a_container_waits_for_the_condition_of_another(
    condition: str, side: Block, life: Block, seconds: int, tmp_path: Path
) -> None:
    """botocore, ContainerDependency: the task is RUNNING when its last container has started."""
    row = once(two(side, life, waiting(condition)), tmp_path)
    assert row["started_at"] == seconds * SECOND


def test_a_container_without_dependencies_starts_at_once(tmp_path: Path) -> None:
    assert once(two({}, {}), tmp_path)["started_at"] == 5 * SECOND


def test_a_condition_that_cannot_be_met_any_more_stops_the_task(tmp_path: Path) -> None:
    """SUCCESS of a container that exits with 1 after 2 + 10 s: the task never reaches RUNNING."""
    row = once(two({}, {"duration": "10s", "exitCode": 1}, waiting("SUCCESS")), tmp_path)
    assert (row["started_at"], row["stopped_at"]) == (None, 12 * SECOND)
    assert row["stop_code"] == "TaskFailedToStart"
    assert "depends on" in row["stopped_reason"]


def test_a_dependency_not_met_within_its_start_timeout_fails_the_task(tmp_path: Path) -> None:
    """botocore, ContainerDefinition.startTimeout: 8 s for a side container that needs 12 s to complete."""
    side = {"startTimeout": 8}
    row = once(two(side, {"duration": "10s", "exitCode": 0}, waiting("SUCCESS")), tmp_path)
    assert (row["started_at"], row["stopped_at"]) == (None, 8 * SECOND)


def test_only_essential_containers_end_their_task(tmp_path: Path) -> None:
    """The side container exits with 3 at 2 + 60 s; the task ends with it only if it is essential."""
    life = {"timeToFailure": "60s", "exitCode": 3}
    assert once(two({}, life), tmp_path)["last_status"] == "RUNNING"
    row = once(two({"essential": True}, life), tmp_path)
    assert (row["stopping_at"], row["stop_code"]) == (62 * SECOND, "EssentialContainerExited")
    assert row["exit_code"] == 3


@pytest.mark.parametrize(
    ("policy", "fails_after", "ends"),
    [
        ({"enabled": True, "restartAttemptPeriod": 60}, "90s", None),  # longer than that: again and again
        ({"enabled": True, "restartAttemptPeriod": 120}, "90s", 92),
        ({"enabled": True}, "90s", 92),  # 300 s by default
        ({"enabled": True, "restartAttemptPeriod": 60, "ignoredExitCodes": [1]}, "90s", 92),
        ({"enabled": True, "restartAttemptPeriod": 60, "ignoredExitCodes": [0]}, "90s", None),
        ({"enabled": False}, "90s", 92),
    ],
)
def test_a_restart_policy_starts_a_container_again(
    policy: Block, fails_after: str, ends: int | None, tmp_path: Path
) -> None:
    """botocore, ContainerRestartPolicy: not before restartAttemptPeriod is over, and not for ignored exit codes."""
    side = {"essential": True, "restartPolicy": policy}
    row = once(two(side, {"timeToFailure": fails_after}), tmp_path)
    assert row["stopping_at"] == (None if ends is None else ends * SECOND)
    if ends is None:
        assert row["last_status"] == "RUNNING"


def test_containers_stop_in_the_reverse_order_of_their_start(tmp_path: Path) -> None:
    """main depends on side: side is asked to stop when main is gone, 10 s after SIGTERM, and takes 5 s itself."""
    app = two({}, {"stopTime": "5s"}, waiting("START"), {"stopTime": "10s", "stopExitCode": 0})
    written = world(duration="5m", taskDefinitions=[app], runTasks=[job(at="0s")])
    written["actions"] = [{"at": "60s", "stopTask": {"task": "1"}}]
    (row,) = run(written, tmp_path).tasks()
    assert (row["stopping_at"], row["stopped_at"], row["exit_code"]) == (MINUTE, 75 * SECOND, 0)
    alone = two({}, {"stopTime": "5s"}, {}, {"stopTime": "10s", "stopExitCode": 0})
    (row,) = run({**written, "taskDefinitions": [alone]}, tmp_path).tasks()
    assert row["stopped_at"] == 70 * SECOND


def test_a_container_that_fails_to_start_stops_the_task(tmp_path: Path) -> None:
    row = once(two({}, {"startFailureProbability": 1}), tmp_path)
    assert (row["started_at"], row["stop_code"]) == (None, "TaskFailedToStart")


def test_a_hanging_container_is_found_by_its_checks_and_replaced(tmp_path: Path) -> None:
    """It hangs 60 s after it is ready; of its checks every 10 s those at 70, 80 and 90 s fail (from its start at 5 s).

    The replacement starts first; when it is healthy, 5 + 10 s later, the hanging one stops.
    """
    app = two({}, {}, {"healthCheck": CHECK}, {"timeToHang": "60s"})
    ran = run(world(duration="3m", taskDefinitions=[app], services=[service()]), tmp_path)
    first, second, *_ = ran.tasks()
    assert (first["healthy_at"], second["created_at"]) == (15 * SECOND, 95 * SECOND)
    assert first["stopping_at"] == second["healthy_at"] == 110 * SECOND
    assert first["stopped_reason"] == "Task failed container health checks"
    assert first["health_status"] == "UNHEALTHY"


def test_behaviour_of_containers_that_do_not_exist_is_refused(tmp_path: Path) -> None:
    app = two({}, {})
    app["behavior"]["containers"]["sidecar"] = app["behavior"]["containers"].pop("side")
    with pytest.raises(ScenarioError, match="sidecar"):
        scenario_of(world(taskDefinitions=[app], services=[service()]), tmp_path)


def test_random_draws_of_containers_are_independent(tmp_path: Path) -> None:
    """Two containers with one distribution fail at different instants; a third beside them changes neither."""
    life = {"timeToFailure": {"distribution": "exponential", "mean": "2m"}, "exitCode": 7}
    app = two({"essential": True}, life, {}, {**life, "exitCode": 8})
    first = once(app, tmp_path, duration="1h")
    app["containerDefinitions"].append({"name": "third", "image": "x", "essential": False})
    app["behavior"]["containers"]["third"] = {"timeToFailure": "1h"}
    second = once(app, tmp_path, duration="1h")
    assert (first["stopping_at"], first["exit_code"]) == (second["stopping_at"], second["exit_code"])
