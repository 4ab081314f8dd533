"""A small world for kernel tests: a `Simulation` that has been set up and has not yet run.

At its first instant all instances are registered and nothing has been placed; tests then call kernels and let the
calendar process the entries that they scheduled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.engine.heap import AT
from clustersim.simulation import Simulation
from clustersim.vocabulary import NEVER
from clustersim.world.calendar import IDLE, NEEDS_ROOM, advance
from clustersim.world.scheduling.provisioning import try_place
from clustersim.world.scheduling.service_tasks import start_service_tasks
from clustersim.world.state.task_states import create_task
from clustersim.world.state.world import World
from tests.harness import Block, job, scenario_of, service, world

WEB, JOB = 0, 1  # the task sets: of the service, and of the runTasks entry


def small_world(directory: Path, nodes: int = 2, **keys: Any) -> World:
    """Return a world with a service `web` of zero tasks and an entry `job` that is never due, on `nodes` instances."""
    written: Block = world(
        nodes,
        **{"services": [service("web", 0)], "runTasks": [job("job", 1, at="59m", duration="10s")], **keys},
    )
    out = directory / "tables"
    out.mkdir(parents=True)
    return Simulation(scenario_of(written, directory), out).world


def start_service(cluster: World, count: int, now: int = 0) -> Array:
    """Start `count` tasks of the service; return their slots, oldest first."""
    cluster.make_room(4 * count + 64)
    ids = np.zeros(count, np.int64)
    done = start_service_tasks(cluster.core, WEB, count, now, ids)
    return slots_of(cluster, ids[:done])


def run_task(cluster: World, now: int = 0, duration: int = NEVER, row: int = JOB) -> int:
    """Create one task of set `row` and try to place it; return its slot, or -1 if it failed."""
    cluster.make_room()
    item_row = int(cluster.state.sets.rows[row]["first_item"])
    slot = int(create_task(cluster.core, row, item_row, cluster.first_shape[row], 0, now))
    cluster.state.tasks.rows[slot]["duration"] = duration
    identity = cluster.state.tasks.rows[slot]["task_id"]
    try_place(cluster.core, slot, now)
    return slot if cluster.state.tasks.rows[slot]["task_id"] == identity else NEVER


def slots_of(cluster: World, ids: Array) -> Array:
    """Return the slots of the tasks with these ids."""
    place = {int(cluster.state.tasks.rows["task_id"][slot]): int(slot) for slot in cluster.live_tasks()}
    return np.array([place[int(identity)] for identity in ids], np.int64)


def settle(cluster: World, now: int) -> None:
    """Process everything due up to `now` without running any controller."""
    outcome = NEEDS_ROOM
    while outcome != IDLE:
        cluster.make_room(256, 16)
        counters = cluster.state.counters
        counters.controllers_to_wake = counters.dirty_services = 0
        cluster.state.services.rows["dirty"] = 0
        earlier = counters.heap_size > 0 and cluster.state.calendar.heap[0, AT] < now
        outcome = advance(cluster.core, cluster.now if earlier else now, now + 1)
