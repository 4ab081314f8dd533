"""The gateway for tasks: what may follow what, and what is counted on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clustersim.vocabulary import StopCode, StoppedReason, TaskState
from clustersim.world.checks.invariants import check
from clustersim.world.scheduling.commands import stop_tasks
from clustersim.world.state.tables import FINISHED
from clustersim.world.state.task_states import LEGAL, move
from clustersim.world.state.world import World
from tests.harness import MINUTE, SECOND, definition, service
from tests.world.small import ask_for, settle, small_world, start_service

BY_SCHEDULER = (int(StopCode.ServiceSchedulerInitiated), int(StoppedReason.SCALING_ACTIVITY))


def _finished(of: World) -> np.ndarray:
    return of.state.finished[: of.state.clock[FINISHED]]


def _stop(of: World, slots: np.ndarray, now: int) -> None:
    of.make_room(256)
    stop_tasks(of.core, slots, now, *BY_SCHEDULER)


def test_exactly_the_legal_moves_are_carried_out(tmp_path: Path) -> None:
    """ECS Developer Guide, task lifecycle: no way back, nothing after STOPPED; 64 pairs tried."""
    of = small_world(tmp_path)
    slot = start_service(of, 1)[0]
    for before in TaskState:
        for after in TaskState:
            of.state.tasks[slot]["state"] = before
            if LEGAL[before, after]:
                move(of.core, slot, int(after), 0)
                assert of.state.tasks[slot]["state"] == after
            else:
                with pytest.raises(RuntimeError, match="illegal transition"):
                    move(of.core, slot, int(after), 0)


def test_no_state_has_a_way_back() -> None:
    """Every legal move goes onward, so no life has a circle; STOPPED leads nowhere."""
    assert not np.any(np.tril(LEGAL))
    assert not np.any(LEGAL[TaskState.STOPPED])


def test_a_life_in_stamps(tmp_path: Path) -> None:
    """5 s to start, healthy 40 s after RUNNING, SIGTERM at 100 s, gone a second later with exit code 143."""
    of = small_world(tmp_path, services=[service("web", 0, behavior={"startupTime": "5s"})])
    slot = start_service(of, 1)[0]
    assert of.state.tasks[slot]["state"] == TaskState.PENDING
    settle(of, 99 * SECOND)
    check(of)
    _stop(of, np.array([slot]), 100 * SECOND)
    assert of.state.tasks[slot]["state"] == TaskState.STOPPING
    settle(of, 200 * SECOND)
    check(of)
    (life,) = _finished(of)
    stamps = [int(life[name]) for name in ("created", "placed", "started", "healthy", "stopping", "stopped")]
    assert stamps == [0, 0, 5 * SECOND, 45 * SECOND, 100 * SECOND, 101 * SECOND]
    assert (life["exit_code"], life["stop_code"]) == (143, StopCode.ServiceSchedulerInitiated)


def test_who_ignores_sigterm_is_killed_after_stop_timeout(tmp_path: Path) -> None:
    """Golden 76: SIGKILL after stopTimeout, exit code 137."""
    of = small_world(
        tmp_path,
        taskDefinitions=[definition(container={"stopTimeout": 12})],
        services=[service("web", 0, behavior={"stopTime": "never"})],
    )
    slots = start_service(of, 1)
    _stop(of, slots, 0)
    settle(of, MINUTE)
    (life,) = _finished(of)
    assert (life["stopped"], life["exit_code"]) == (12 * SECOND, 137)


def test_behind_a_load_balancer_the_target_is_deregistered_first(tmp_path: Path) -> None:
    """DEACTIVATING for the deregistration delay, then SIGTERM; it no longer runs from the first moment."""
    of = small_world(
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
    slots = start_service(of, 1)
    _stop(of, slots, 0)
    assert of.state.tasks[slots[0]]["state"] == TaskState.DEACTIVATING
    assert of.state.services[0]["running"] == 0
    settle(of, 20 * SECOND)
    assert of.state.tasks[slots[0]]["state"] == TaskState.STOPPING
    settle(of, MINUTE)
    assert _finished(of)["stopped"].tolist() == [21 * SECOND]


def test_asked_twice_a_task_stops_once(tmp_path: Path) -> None:
    """The first reason stays."""
    of = small_world(tmp_path)
    slots = start_service(of, 1)
    _stop(of, slots, 0)
    stop_tasks(of.core, slots, 500, int(StopCode.UserInitiated), int(StoppedReason.STOPPED_BY_USER))
    settle(of, MINUTE)
    (life,) = _finished(of)
    assert (life["stopping"], life["stopped"], life["stop_code"]) == (
        0,
        SECOND,
        StopCode.ServiceSchedulerInitiated,
    )


def test_a_slot_used_again_is_another_task(tmp_path: Path) -> None:
    """What was due for the former task of a slot does not happen to the next: ten lives, one slot, no mix-up."""
    of = small_world(tmp_path)
    for n in range(10):
        slot = ask_for(of, now=n * 10 * SECOND, duration=3 * SECOND)
        settle(of, (n + 1) * 10 * SECOND - 1)
        check(of)
        assert slot == ask_for_slot(of)
    lives = _finished(of)
    assert lives["task_id"].tolist() == list(range(1, 11))
    assert (lives["stopped"] - lives["started"]).tolist() == [3 * SECOND] * 10


def ask_for_slot(of: World) -> int:
    """The slot that the next task will get."""
    from clustersim.world.state.tables import FREE_TASKS

    return int(of.state.free_tasks[of.state.clock[FREE_TASKS] - 1])
