"""Rules of references, checked first: every row refers to existing rows, and task slots are live or free.

The other checks follow these numbers in compiled code, where an index outside its table would read arbitrary memory.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.vocabulary import NEVER
from clustersim.world.checks.recount import LIVE_TASKS, Recount
from clustersim.world.checks.rules import (
    DANGLING_REFERENCE,
    HEAP,
    LIVE_AND_FREE,
    PLACED_ON_NO_INSTANCE,
    SHARED_ID,
    SLOTS_LOST,
    SOUND,
)
from clustersim.world.state.tables import State

IN_TASKS, IN_INSTANCES, IN_SETS, IN_STRATEGY_ITEMS, IN_SHAPES = range(5)


@kernel
def check_references(state: State, recount: Recount) -> int:
    """Return the first broken rule about references, slots and ids."""
    table = _find_dangling(state)
    if table >= 0:
        recount.detail[0] = table
        return DANGLING_REFERENCE
    for t in state.tasks.rows:
        if t.task_id < 0 or t.placed < 0 or state.sets.strategy_items[t.strategy_item].fargate == 1:
            continue
        if t.instance_slot < 0 or state.instances.rows[t.instance_slot].instance_id < 0:
            return PLACED_ON_NO_INSTANCE
    return _check_slots(state, recount)


@kernel
def _find_dangling(state: State) -> int:
    """Return the table with a row that refers to a missing row; -1: none."""
    for slot in range(state.instances.rows.size):
        h = state.instances.rows[slot]
        if not -1 <= state.instances.hosts.instance_class[slot] < state.capacity.classes.size:
            return IN_INSTANCES
        if h.instance_id >= 0 and not 0 <= h.instance_class < state.capacity.classes.size:
            return IN_INSTANCES
        if h.instance_id >= 0 and not -1 <= h.subnet < state.capacity.free_addresses.size:
            return IN_INSTANCES
    for slot in range(state.tasks.rows.size):
        if state.tasks.rows[slot].task_id >= 0:
            table = _find_dangling_of(state, slot) if _has_valid_references(state, slot) else IN_TASKS
            if table >= 0:
                return table
    return -1


@kernel
def _has_valid_references(state: State, slot: int) -> bool:
    """Return whether all rows that a live task refers to exist."""
    t = state.tasks.rows[slot]
    if not (0 <= t.set < state.sets.rows.size and 0 <= t.strategy_item < state.sets.strategy_items.size):
        return False
    if not (
        0 <= t.resource_shape < state.sets.shapes.size and -1 <= t.instance_slot < state.instances.rows.size
    ):
        return False
    if not (
        -1 <= t.assigned_instance < state.instances.rows.size
        and -1 <= t.subnet < state.capacity.free_addresses.size
    ):
        return False
    if not -1 <= t.zone < state.placement.zone_counts.shape[1] or (t.placed >= 0 and t.zone < 0):
        return False
    for number in range(min(state.sets.rows[t.set].pulls, state.tasks.pulled_versions.shape[1])):
        if not -1 <= state.tasks.pulled_versions[slot, number] < state.images.versions.size:
            return False
    return True


@kernel
def _find_dangling_of(state: State, slot: int) -> int:
    """Return which of a live task's set, strategy item and shape refers to a missing row; -1: none."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    if not (
        -1 <= s.service < state.services.rows.size and 0 <= s.group < state.placement.zone_counts.shape[0]
    ):
        return IN_SETS
    if not 0 <= s.pulls <= state.tasks.pulled_versions.shape[1]:
        return IN_SETS
    if s.pulls > 0 and (s.first_pull < 0 or s.first_pull + s.pulls > state.images.pulls.size):
        return IN_SETS
    item = state.sets.strategy_items[t.strategy_item]
    first = 0 if item.fargate == 1 else NEVER
    if not (
        0 <= item.provider < state.capacity.providers.size
        and first <= item.bucket < state.capacity.fargate_quotas.size
    ):
        return IN_STRATEGY_ITEMS
    if not 0 <= state.sets.shapes[t.resource_shape].strategy_item < state.sets.strategy_items.size:
        return IN_SHAPES
    return -1


@kernel
def _check_slots(state: State, recount: Recount) -> int:
    """Check that a slot is either live or free, and that serials are unique."""
    free = state.counters.free_tasks
    if not 0 <= free <= state.tasks.free.size:
        return SLOTS_LOST
    live = 0
    shared = False
    for t in state.tasks.rows:
        if t.task_id >= 0:
            live += 1
            shared |= _has_been_seen(recount, t.task_id)
    recount.totals[LIVE_TASKS] = live
    if live + free != state.tasks.rows.size:
        return SLOTS_LOST
    for position in range(free):
        slot = state.tasks.free[position]
        if not 0 <= slot < state.tasks.rows.size:
            return SLOTS_LOST
        if state.tasks.rows[slot].task_id >= 0:
            return LIVE_AND_FREE
    if shared:
        return SHARED_ID
    if not 0 <= state.counters.heap_size <= state.calendar.heap.shape[0]:
        return HEAP
    return SOUND


@kernel
def _has_been_seen(recount: Recount, task_id: int) -> bool:
    """Return whether an id has been met in this check, and record that it has."""
    last = recount.ids.size - 1
    at = task_id & last
    while recount.ids[at] != 0:
        if recount.ids[at] == task_id + 1:
            return True
        at = (at + 1) & last
    recount.ids[at] = task_id + 1
    return False
