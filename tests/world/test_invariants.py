"""The second reading of the world: each kind of corruption is seen, and a sound world passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clustersim.errors import InvariantViolation
from clustersim.vocabulary import CPU, MEMORY, NEVER, TaskState
from clustersim.world.fleet import drain
from clustersim.world.invariants import check
from clustersim.world.tables import FREE_TASKS, WAITING_TASKS
from clustersim.world.world import World
from tests.world.small import WEB, ask_for, small_world, start_service


@pytest.fixture
def of(tmp_path: Path) -> World:
    """Two full instances, one of them draining, and a task that waits."""
    made = small_world(tmp_path)
    start_service(made, 16)
    ask_for(made)
    drain(made.core, made.live_instances()[1], 0)
    check(made)
    return made


def _set(table: str, row: int | str, column: str, change: int) -> Callable[[World], None]:
    def corrupt(of: World) -> None:
        array = getattr(of.state, table)
        slot = {"task": of.live_tasks()[0], "last": of.live_tasks()[-1], "host": of.live_instances()[0]}.get(
            str(row), row
        )
        array[slot][column] += change

    return corrupt


def _free(resource: int, change: int) -> Callable[[World], None]:
    def corrupt(of: World) -> None:
        of.state.hosts.free[resource, of.live_instances()[0]] += change

    return corrupt


def _clock(scalar: int, change: int) -> Callable[[World], None]:
    def corrupt(of: World) -> None:
        of.state.clock[scalar] += change

    return corrupt


def _forget_a_waiting_task(of: World) -> None:
    waiting = of.live_tasks()[of.state.tasks["waiting"][of.live_tasks()] == 1]
    of.state.tasks["waiting"][waiting] = 0


def _make_room_unseen(of: World) -> None:
    host = int(of.live_instances()[0])
    slot = next(s for s in of.live_tasks() if of.state.tasks["slot"][s] == host)
    of.state.tasks[slot]["cpu"] = of.state.tasks[slot]["memory"] = 0
    of.state.hosts.free[CPU, host] += 512
    of.state.hosts.free[MEMORY, host] += 1024


def _open_a_draining_host(of: World) -> None:
    of.state.hosts.klass[of.live_instances()[1]] = 0


def _share_an_id(of: World) -> None:
    of.state.tasks["task_id"][of.live_tasks()[:2]] = 7


def _lose_a_slot(of: World) -> None:
    of.state.tasks["task_id"][of.live_tasks()[-1]] = NEVER


def _move_to_another_zone(of: World) -> None:
    slot = of.live_tasks()[0]
    of.state.tasks[slot]["zone"] = (of.state.tasks[slot]["zone"] + 1) % 3


def _never_started(of: World) -> None:
    of.state.tasks[of.live_tasks()[0]]["started"] = NEVER


def _take_a_port(of: World) -> None:
    of.state.hosts.ports[of.live_instances()[0], 0] = 1


def _stopped_alive(of: World) -> None:
    of.state.tasks[of.live_tasks()[0]]["stopped"] = 0


CORRUPTIONS = {
    "memory forgotten": _free(MEMORY, -1),
    "memory from nowhere": _free(MEMORY, 1),
    "cpu forgotten": _free(CPU, -512),
    "set miscounts running": _set("sets", WEB, "running", 1),
    "set miscounts leaving": _set("sets", WEB, "leaving", -1),
    "service miscounts pending": _set("services", 0, "pending", 1),
    "set miscounts ready": _set("sets", WEB, "ready", -1),
    "set miscounts unwell": _set("sets", WEB, "unwell", 1),
    "lane miscounts": _set("lanes", 0, "live", 1),
    "host miscounts its tasks": _set("instances", "host", "task_count", -1),
    "provider miscounts instances": _set("providers", 0, "instances", 1),
    "provider miscounts registered cpu": _set("providers", 0, "registered_cpu", 4096),
    "provider miscounts reserved cpu": _set("providers", 0, "cpu", 1),
    "provider miscounts who waits": _set("providers", 0, "provisioning", 1),
    "Fargate miscounts": _set("buckets", 0, "cpu", 1024),
    "a port taken by nobody": _take_a_port,
    "state without a move": _set("tasks", "task", "state", int(TaskState.STOPPING) - int(TaskState.RUNNING)),
    "placed before it was created": _set("tasks", "task", "created", 5),
    "waiting miscounted": _clock(WAITING_TASKS, 1),
    "free slots miscounted": _clock(FREE_TASKS, -1),
    "a waiting task forgotten": _forget_a_waiting_task,
    "room that nobody saw": _make_room_unseen,
    "a draining host opened": _open_a_draining_host,
    "two tasks share an id": _share_an_id,
    "a slot lost": _lose_a_slot,
    "another zone": _move_to_another_zone,
    "runs, never started": _never_started,
    "stopped and alive": _stopped_alive,
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_planted_corruption_is_seen(of: World, name: str) -> None:
    """A check that never fails proves nothing: each of these must stop a checked run."""
    CORRUPTIONS[name](of)
    with pytest.raises(InvariantViolation):
        check(of)
