"""Out-of-memory kills: tasks beyond their limit at the end of a metric period, and their replacement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.harness import MINUTE, Block, FinishedRun, definition, job, run, service, world

KILLED = "OutOfMemoryError: Container killed due to memory usage"


def hungry(directory: Path, per_second: Any, container: Block | None = None, **keys: Any) -> FinishedRun:
    """One task of a vCPU and 1,000 MiB: 300 MiB, and 50 MiB for each request of 1 s CPU in it."""
    load = {
        "requestsPerSecond": per_second,
        "cpuTimePerRequest": "1s",
        "timeout": "1m",
        "memoryPerTask": {"base": "300 MiB", "perConcurrentRequest": "50 MiB"},
    }
    task = definition(cpu=1024, memory=1000, container=container or {})
    of = service("web", 1, load=load, behavior={"startupTime": "5s", **keys.pop("behavior", {})})
    return run(world(taskDefinitions=[task], services=[of], initialState="running", **keys), directory)


def test_a_task_that_uses_more_than_its_memory_is_killed(tmp_path: Path) -> None:
    """At twice what it can answer requests wait in it, 30 on the average of the first minute: 300 + 31 x 50 MiB."""
    ran = hungry(tmp_path, 2, duration="10m")
    first, second = ran.tasks()[:2]
    assert (first["stopped_at"], first["exit_code"], first["stopped_reason"]) == (MINUTE, 137, KILLED)
    assert first["stop_code"] == "EssentialContainerExited"
    assert (second["created_at"], second["started_at"]) == (MINUTE, MINUTE + 5_000), (
        "replaced at once, no throttle"
    )
    assert ran.summary["tasks_failed"] >= 2
    assert ran.series("memory_utilization")[0] == (0, 100.0), "what is used beyond the limit is never seen"


def test_a_task_within_its_memory_lives(tmp_path: Path) -> None:
    """Half busy, about one request is in it: 300 + 50 MiB and a little."""
    ran = hungry(tmp_path, 0.5)
    assert ran.states() == {"RUNNING": 1}
    assert 35 <= ran.series("memory_utilization")[10][1] < 45


@pytest.mark.parametrize(("limit", "lives"), [(2_000, False), (10_000, True)])
def test_the_containers_own_hard_limit_holds(limit: int, lives: bool, tmp_path: Path) -> None:
    """Without a task size: memory is what kills, memoryReservation what placement and utilisation count."""
    container = {"memory": limit, "memoryReservation": 500, "cpu": 1024}
    task = definition(container=container)
    del task["memory"], task["cpu"]
    load = {
        "requestsPerSecond": 2,
        "cpuTimePerRequest": "1s",
        "timeout": "1m",
        "memoryPerTask": {"base": "300 MiB", "perConcurrentRequest": "60 MiB"},
    }
    written = world(
        taskDefinitions=[task],
        services=[service("web", 1, load=load)],
        initialState="running",
        duration="10m",
    )
    ran = run(written, tmp_path)
    assert (ran.tasks()[0]["stopped_reason"] is None) == lives
    assert ran.series("memory_utilization")[0][1] > 100, "percent of the reservation"


def test_all_equal_tasks_pass_their_limit_together_and_others_do_not(tmp_path: Path) -> None:
    """Three tasks share the load evenly: all are killed at the end of the first minute."""
    load = {
        "requestsPerSecond": 6,
        "cpuTimePerRequest": "1s",
        "timeout": "1m",
        "memoryPerTask": {"base": "300 MiB", "perConcurrentRequest": "50 MiB"},
    }
    tasks = [definition(cpu=1024, memory=1000), definition("other", cpu=1024, memory=1000)]
    services = [service("web", 3, load=load), service("other", 1, taskDefinition="other")]
    ran = run(
        world(2, taskDefinitions=tasks, services=services, initialState="running", duration="3m"), tmp_path
    )
    killed = ran.tasks(stopped_reason=KILLED, stopped_at=MINUTE)
    assert [task["service"] for task in killed] == ["web"] * 3
    assert ran.states(service="other") == {"RUNNING": 1}


def test_a_restart_policy_starts_the_container_again(tmp_path: Path) -> None:
    """Killed after a minute it begins again, 5 s later; killed 55 s after that it may not, and the task ends."""
    container = {"restartPolicy": {"enabled": True, "restartAttemptPeriod": 60}}
    first = hungry(tmp_path, 2, container, duration="3m").tasks()[0]
    assert (first["stopped_at"], first["exit_code"]) == (2 * MINUTE, 137)


@pytest.mark.parametrize("apart", [False, True])
def test_a_base_above_the_limit_kills_at_the_start(apart: bool, tmp_path: Path) -> None:
    """Known without any load: 20 s after RUNNING, when it is up; a standalone task tries as often as it may."""
    behavior: Block = {"memoryPerTask": {"base": "1.2 GiB"}, "readyTime": "20s"}
    if apart:
        behavior["containers"] = {"main": {"stopTime": "2s"}}
    ran = run(world(runTasks=[job(duration="10m", retries=1, behavior=behavior)]), tmp_path)
    assert [(t["stopped_at"], t["exit_code"], t["stopped_reason"]) for t in ran.tasks()] == [
        (20_000, 137, KILLED),
        (40_000, 137, KILLED),
    ]
