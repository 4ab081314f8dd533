"""A small world for tests of the gateway: a `Simulation` that has begun and not yet run.

At its first instant all instances are registered and nothing has been placed; tests then call kernels of the
gateway and let the calendar carry out what they noted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.engine.heap import AT
from clustersim.simulation import Simulation
from clustersim.vocabulary import NEVER
from clustersim.world.calendar import IDLE, ROOM, advance
from clustersim.world.scheduling.commands import start_tasks
from clustersim.world.scheduling.provisioning import seek
from clustersim.world.state.tables import BELLS, DIRTY, HEAP_SIZE
from clustersim.world.state.task_states import new_task
from clustersim.world.state.world import World
from tests.harness import Block, job, scenario_of, service, world

WEB, JOB = 0, 1  # the task sets: of the service, and of the runTasks entry


def small_world(directory: Path, nodes: int = 2, **keys: Any) -> World:
    """A service `web` that wants nothing yet and an entry `job` whose time never comes, on `nodes` instances."""
    written: Block = world(
        nodes,
        **{"services": [service("web", 0)], "runTasks": [job("job", 1, at="59m", duration="10s")], **keys},
    )
    out = directory / "tables"
    out.mkdir(parents=True)
    return Simulation(scenario_of(written, directory), out).world


def start_service(of: World, count: int, now: int = 0) -> Array:
    """Order `count` tasks of the service; their slots, oldest first."""
    of.make_room(4 * count + 64)
    ids = np.zeros(count, np.int64)
    done = start_tasks(of.core, WEB, of.first_shape[WEB], count, now, ids)
    return slots_of(of, ids[:done])


def ask_for(of: World, now: int = 0, duration: int = NEVER, row: int = JOB) -> int:
    """One task of set `row`, which seeks its place; its slot, or -1 if it was refused."""
    of.make_room()
    lane = int(of.state.sets[row]["first_lane"])
    slot = int(new_task(of.core, row, lane, of.first_shape[row], 0, now))
    of.state.tasks[slot]["duration"] = duration
    identity = of.state.tasks[slot]["task_id"]
    seek(of.core, slot, now)
    return slot if of.state.tasks[slot]["task_id"] == identity else NEVER


def slots_of(of: World, ids: Array) -> Array:
    """Where the tasks with these ids are."""
    place = {int(of.state.tasks["task_id"][slot]): int(slot) for slot in of.live_tasks()}
    return np.array([place[int(identity)] for identity in ids], np.int64)


def settle(of: World, now: int) -> None:
    """Carry out everything due up to `now`, answering no bell."""
    outcome = ROOM
    while outcome != IDLE:
        of.make_room(256, 16)
        clock = of.state.clock
        clock[BELLS] = clock[DIRTY] = 0
        of.state.services["dirty"] = 0
        earlier = clock[HEAP_SIZE] > 0 and of.state.heap[0, AT] < now
        outcome = advance(of.core, of.now if earlier else now, now + 1)
