"""Task states: legal transitions, and the counts kept on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clustersim.vocabulary import StopCode, StoppedReason, TaskState
from clustersim.world.checks.invariants import check_invariants
from clustersim.world.scheduling.commands import stop_tasks
from clustersim.world.state.task_states import LEGAL, move_task
from clustersim.world.state.world import World
from tests.harness import MINUTE, SECOND, definition, service
from tests.world.small import run_task, settle, small_world, start_service

BY_SCHEDULER = (int(StopCode.ServiceSchedulerInitiated), int(StoppedReason.SCALING_ACTIVITY))


def _finished(cluster: World) -> np.ndarray:
    return cluster.state.outputs.finished_tasks[: cluster.state.counters.finished_tasks]


def _stop(cluster: World, slots: np.ndarray, now: int) -> None:
    cluster.make_room(256)
    stop_tasks(cluster.core, slots, now, *BY_SCHEDULER)


def test_only_legal_transitions_are_accepted(tmp_path: Path) -> None:
    """ECS Developer Guide, task lifecycle: no way back, nothing after STOPPED; all 64 pairs are tried."""
    cluster = small_world(tmp_path)
    slot = start_service(cluster, 1)[0]
    for before in TaskState:
        for after in TaskState:
            cluster.state.tasks.rows[slot]["state"] = before
            if LEGAL[before, after]:
                move_task(cluster.core, slot, int(after), 0)
                assert cluster.state.tasks.rows[slot]["state"] == after
            else:
                with pytest.raises(RuntimeError, match="illegal state transition"):
                    move_task(cluster.core, slot, int(after), 0)


def test_no_transition_leads_back() -> None:
    """Every legal transition leads onward, so there is no cycle; STOPPED leads nowhere."""
    assert not np.any(np.tril(LEGAL))
    assert not np.any(LEGAL[TaskState.STOPPED])


def test_the_instants_of_a_lifecycle(tmp_path: Path) -> None:
    """5 s to start, healthy 40 s after RUNNING, SIGTERM at 100 s, gone a second later with exit code 143."""
    cluster = small_world(tmp_path, services=[service("web", 0, behavior={"startupTime": "5s"})])
    slot = start_service(cluster, 1)[0]
    assert cluster.state.tasks.rows[slot]["state"] == TaskState.PENDING
    settle(cluster, 99 * SECOND)
    check_invariants(cluster)
    _stop(cluster, np.array([slot]), 100 * SECOND)
    assert cluster.state.tasks.rows[slot]["state"] == TaskState.STOPPING
    settle(cluster, 200 * SECOND)
    check_invariants(cluster)
    (task,) = _finished(cluster)
    instants = [
        int(task[name]) for name in ("created", "placed", "started", "healthy", "stopping", "stopped")
    ]
    assert instants == [0, 0, 5 * SECOND, 45 * SECOND, 100 * SECOND, 101 * SECOND]
    assert (task["exit_code"], task["stop_code"]) == (143, StopCode.ServiceSchedulerInitiated)


def test_a_task_that_ignores_sigterm_is_killed_after_stop_timeout(tmp_path: Path) -> None:
    """Golden 76: SIGKILL after stopTimeout, exit code 137."""
    cluster = small_world(
        tmp_path,
        taskDefinitions=[definition(container={"stopTimeout": 12})],
        services=[service("web", 0, behavior={"stopTime": "never"})],
    )
    slots = start_service(cluster, 1)
    _stop(cluster, slots, 0)
    settle(cluster, MINUTE)
    (task,) = _finished(cluster)
    assert (task["stopped"], task["exit_code"]) == (12 * SECOND, 137)


def test_behind_a_load_balancer_the_target_is_deregistered_first(tmp_path: Path) -> None:
    """DEACTIVATING for the deregistration delay, then SIGTERM; it no longer runs from the first moment."""
    cluster = small_world(
        tmp_path,
        taskDefinitions=[definition(container={"portMappings": [{"containerPort": 80}]})],
        targetGroups=[{"name": "front", "deregistrationDelay": "20s"}],
        services=[
            service(
                "web",
                0,
                loadBalancers=[{"targetGroupArn": "front", "containerName": "main", "containerPort": 80}],
            )
        ],
    )
    slots = start_service(cluster, 1)
    _stop(cluster, slots, 0)
    assert cluster.state.tasks.rows[slots[0]]["state"] == TaskState.DEACTIVATING
    assert cluster.state.services.rows[0]["running"] == 0
    settle(cluster, 20 * SECOND)
    assert cluster.state.tasks.rows[slots[0]]["state"] == TaskState.STOPPING
    settle(cluster, MINUTE)
    assert _finished(cluster)["stopped"].tolist() == [21 * SECOND]


def test_a_second_stop_request_changes_nothing(tmp_path: Path) -> None:
    """The first reason stays."""
    cluster = small_world(tmp_path)
    slots = start_service(cluster, 1)
    _stop(cluster, slots, 0)
    stop_tasks(cluster.core, slots, 500, int(StopCode.UserInitiated), int(StoppedReason.STOPPED_BY_USER))
    settle(cluster, MINUTE)
    (task,) = _finished(cluster)
    assert (task["stopping"], task["stopped"], task["stop_code"]) == (
        0,
        SECOND,
        StopCode.ServiceSchedulerInitiated,
    )


def test_a_reused_slot_is_another_task(tmp_path: Path) -> None:
    """Entries of the former task of a slot do not affect the next: ten tasks, one slot, no mix-up."""
    cluster = small_world(tmp_path)
    for n in range(10):
        slot = run_task(cluster, now=n * 10 * SECOND, duration=3 * SECOND)
        settle(cluster, (n + 1) * 10 * SECOND - 1)
        check_invariants(cluster)
        assert slot == next_free_slot(cluster)
    finished = _finished(cluster)
    assert finished["task_id"].tolist() == list(range(1, 11))
    assert (finished["stopped"] - finished["started"]).tolist() == [3 * SECOND] * 10


def next_free_slot(cluster: World) -> int:
    """Return the slot that the next task will get."""

    return int(cluster.state.tasks.free[cluster.state.counters.free_tasks - 1])
