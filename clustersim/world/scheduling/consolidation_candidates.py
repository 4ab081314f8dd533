"""Instances of ECS Managed Instances that have been at rest, and which of them the others could do without.

One pass a minute counts them; only counts and looks: what follows is done by
`control.capacity.managed_instance_consolidation`.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from clustersim.engine.compiled import Array, inlined, kernel, kernel_entry
from clustersim.policy.placement.hosts import ELIGIBLE
from clustersim.vocabulary import (
    CPU,
    MEMORY,
    RESOURCES,
    WEIGHT_PER_CPU_UNIT,
    WEIGHT_PER_MIB,
    InstanceState,
    TaskState,
)
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import fill_need
from clustersim.world.state.usage import Slots

RESTED = np.dtype(
    [  # of a pool of Managed Instances
        ("after", np.int64),  # ms without a task placed or ended that make an instance rested; -1: none is
        ("lifetime", np.int64),  # ms after which an instance is aged
        ("rested", np.int64),
        ("idle", np.int64),  # rested, and without a task that is no daemon
        ("aged", np.int64),
    ],
    align=True,
)

Rests = Annotated[Array, RESTED, 1]
Room = Annotated[Array, np.int64, 2]

_ACTIVE = int(InstanceState.ACTIVE)
_RUNNING = int(TaskState.RUNNING)


@kernel_entry
def count_rested(state: State, rows: Rests, first_pool: int, now: int) -> None:
    """How many instances of each pool from `first_pool` on might be given up now."""
    for r in range(rows.size):
        rows[r].rested = rows[r].idle = rows[r].aged = 0
    for slot in range(state.instances.size):
        h = state.instances[slot]
        if h.instance_id < 0 or h.terminating or state.classes[h.klass].group < first_pool:
            continue
        row = rows[state.classes[h.klass].group - first_pool]
        row.aged += 1 if now - h.launched >= row.lifetime else 0
        if row.after >= 0 and is_rested(state, slot, row.after, now):
            row.rested += 1
            row.idle += 1 if h.working == 0 else 0


@inlined
def is_rested(state: State, slot: int, after: int, now: int) -> bool:
    """Whether an ACTIVE instance has seen no task begin or end for so long."""
    h = state.instances[slot]
    return bool(h.state == _ACTIVE and h.notice < 0 and now - max(h.changed, h.registered) >= after)


@inlined
def is_kept(state: State, slot: int, pool: int) -> bool:
    """Whether an instance is of `pool`, and nobody has given it up."""
    h = state.instances[slot]
    return bool(h.instance_id >= 0 and h.terminating == 0 and state.classes[h.klass].group == pool)


@kernel_entry
def rested_of(state: State, pool: int, after: int, now: int, out: Slots) -> int:
    """The slots of a pool's rested instances into `out`, by slot; their number."""
    count = 0
    for slot in range(state.instances.size):
        if is_kept(state, slot, pool) and is_rested(state, slot, after, now):
            out[count] = slot
            count += 1
    return count


@kernel_entry
def dispensable(state: State, pool: int, after: int, now: int, room: Room) -> int:
    """The instance that the others of its zone could do without; -1: none.

    Of the rested ones with tasks of services only, all running, the one with the least on it is tried, in each zone:
    the one whose tasks find room most easily. `room` is scratch, int64[resource, slot].
    """
    for zone in range(state.zone_counts.shape[1]):
        least = -1
        load = 0
        for slot in range(state.instances.size):
            h = state.instances[slot]
            if not is_kept(state, slot, pool) or state.classes[h.klass].zone != zone or h.working == 0:
                continue
            weight = WEIGHT_PER_CPU_UNIT * h.used_cpu + WEIGHT_PER_MIB * h.used_memory
            if (least < 0 or weight < load) and is_rested(state, slot, after, now) and can_move(state, slot):
                least = slot
                load = weight
        if least >= 0 and fits_elsewhere(state, least, pool, zone, room):
            return least
    return -1


@kernel
def can_move(state: State, slot: int) -> bool:
    """Whether all tasks of an instance, but for daemons, are a service's, run, and ask for nothing but room."""
    task = state.instances[slot].first_task
    while task >= 0:
        t = state.tasks[task]
        s = state.sets[t.set]
        if not s.daemon and (t.state != _RUNNING or s.service < 0 or not state.lanes[t.lane].plain):
            return False
        task = t.next_on_host
    return True


@kernel
def fits_elsewhere(state: State, slot: int, pool: int, zone: int, room: Array) -> bool:
    """Whether the tasks of an instance find room on others of its zone, each where the least memory is left."""
    for other in range(state.instances.size):
        h = state.instances[other]
        usable = is_kept(state, other, pool) and h.state == _ACTIVE and h.connected and other != slot
        usable = usable and state.classes[h.klass].zone == zone
        for resource in range(RESOURCES):
            room[resource, other] = state.hosts.free[resource, other] if usable else -1
    task = state.instances[slot].first_task
    while task >= 0:
        t = state.tasks[task]
        if not state.sets[t.set].daemon:
            fill_need(state, t.shape)
            best = -1
            for other in range(state.instances.size):
                better = room[CPU, other] >= 0 and (best < 0 or room[MEMORY, other] < room[MEMORY, best])
                if better and state.eligible[t.lane, state.instances[other].klass] == ELIGIBLE:
                    fits = True
                    for resource in range(RESOURCES):
                        fits = fits and room[resource, other] >= state.need[resource]
                    best = other if fits else best
            if best < 0:
                return False
            for resource in range(RESOURCES):
                room[resource, best] -= state.need[resource]
        task = t.next_on_host
    return True
