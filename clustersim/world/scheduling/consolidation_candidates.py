"""Idle and underutilised instances of ECS Managed Instances whose tasks fit elsewhere.

A *candidate* is an ACTIVE instance on which no task has been placed or ended for some time. One pass a minute counts
the candidates; `control.capacity.managed_instance_consolidation` acts on them.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from clustersim.engine.compiled import Array, inlined, kernel, kernel_entry
from clustersim.engine.records import Int64, Record, Table
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
from clustersim.world.state.task_states import write_need
from clustersim.world.state.usage import Slots


class ConsolidationCountsRow(Record):
    """One row per pool of Managed Instances."""

    candidate_after: Int64
    """Ms without a task placed or ended that make an instance a candidate; -1: never."""
    lifetime: Int64
    """Ms after which an instance is drained."""
    candidates: Int64
    empty: Int64
    """Candidates without tasks, or with daemons only."""
    past_lifetime: Int64


CandidateCounts = Table[ConsolidationCountsRow]
Room = Annotated[Array, np.int64, 2]

_ACTIVE = int(InstanceState.ACTIVE)
_RUNNING = int(TaskState.RUNNING)


@kernel_entry
def count_candidates(state: State, rows: CandidateCounts, first_pool: int, now: int) -> None:
    """Count candidates, empty candidates, and instances past their lifetime, per pool from `first_pool` on."""
    for r in range(rows.size):
        rows[r].candidates = rows[r].empty = rows[r].past_lifetime = 0
    for slot in range(state.instances.rows.size):
        h = state.instances.rows[slot]
        if h.instance_id < 0 or h.terminating or state.capacity.classes[h.instance_class].pool < first_pool:
            continue
        row = rows[state.capacity.classes[h.instance_class].pool - first_pool]
        row.past_lifetime += 1 if now - h.launched >= row.lifetime else 0
        if row.candidate_after >= 0 and is_candidate(state, slot, row.candidate_after, now):
            row.candidates += 1
            row.empty += 1 if h.non_daemon_tasks == 0 else 0


@inlined
def is_candidate(state: State, slot: int, after: int, now: int) -> bool:
    """Return whether an instance is ACTIVE and no task has been placed or ended there for `after` ms."""
    h = state.instances.rows[slot]
    return bool(
        h.state == _ACTIVE and h.notice_at < 0 and now - max(h.last_task_change, h.registered) >= after
    )


@inlined
def is_live_in_pool(state: State, slot: int, pool: int) -> bool:
    """Return whether an instance belongs to `pool` and is not to be terminated."""
    h = state.instances.rows[slot]
    return bool(
        h.instance_id >= 0 and h.terminating == 0 and state.capacity.classes[h.instance_class].pool == pool
    )


@kernel_entry
def find_candidates(state: State, pool: int, after: int, now: int, out: Slots) -> int:
    """Write the slots of a pool's candidates to `out`, in slot order; return their number."""
    count = 0
    for slot in range(state.instances.rows.size):
        if is_live_in_pool(state, slot, pool) and is_candidate(state, slot, after, now):
            out[count] = slot
            count += 1
    return count


@kernel_entry
def find_removable_instance(state: State, pool: int, after: int, now: int, room: Room) -> int:
    """Return the slot of an instance whose tasks fit on the others of its zone; -1: none.

    In each zone one candidate is tried: of those whose tasks can move, the one with the least reserved. `room` is
    scratch, int64[resource, slot].
    """
    for zone in range(state.placement.zone_counts.shape[1]):
        least = -1
        load = 0
        for slot in range(state.instances.rows.size):
            h = state.instances.rows[slot]
            if (
                not is_live_in_pool(state, slot, pool)
                or state.capacity.classes[h.instance_class].zone != zone
                or h.non_daemon_tasks == 0
            ):
                continue
            weight = WEIGHT_PER_CPU_UNIT * h.used_cpu + WEIGHT_PER_MIB * h.used_memory
            if (
                (least < 0 or weight < load)
                and is_candidate(state, slot, after, now)
                and has_movable_tasks_only(state, slot)
            ):
                least = slot
                load = weight
        if least >= 0 and tasks_fit_elsewhere(state, least, pool, zone, room):
            return least
    return -1


@kernel
def has_movable_tasks_only(state: State, slot: int) -> bool:
    """Return whether all tasks of an instance, except daemons, are RUNNING service tasks that need resources only."""
    task = state.instances.rows[slot].first_task
    while task >= 0:
        t = state.tasks.rows[task]
        s = state.sets.rows[t.set]
        if not s.daemon and (
            t.state != _RUNNING
            or s.service < 0
            or not state.sets.strategy_items[t.strategy_item].resources_only
        ):
            return False
        task = t.next_on_host
    return True


@kernel
def tasks_fit_elsewhere(state: State, slot: int, pool: int, zone: int, room: Array) -> bool:
    """Return whether the tasks of an instance fit on others of its zone, each placed where the least memory is left."""
    for other in range(state.instances.rows.size):
        h = state.instances.rows[other]
        usable = is_live_in_pool(state, other, pool) and h.state == _ACTIVE and h.connected and other != slot
        usable = usable and state.capacity.classes[h.instance_class].zone == zone
        for resource in range(RESOURCES):
            room[resource, other] = state.instances.hosts.free[resource, other] if usable else -1
    task = state.instances.rows[slot].first_task
    while task >= 0:
        t = state.tasks.rows[task]
        if not state.sets.rows[t.set].daemon:
            write_need(state, t.resource_shape)
            best = -1
            for other in range(state.instances.rows.size):
                better = room[CPU, other] >= 0 and (best < 0 or room[MEMORY, other] < room[MEMORY, best])
                if (
                    better
                    and state.placement.eligible[t.strategy_item, state.instances.rows[other].instance_class]
                    == ELIGIBLE
                ):
                    fits = True
                    for resource in range(RESOURCES):
                        fits = fits and room[resource, other] >= state.placement.need[resource]
                    best = other if fits else best
            if best < 0:
                return False
            for resource in range(RESOURCES):
                room[resource, best] -= state.placement.need[resource]
        task = t.next_on_host
    return True
