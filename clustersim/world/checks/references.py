"""The first look: every row names rows that exist, and task slots are live or free.

What follows reads rows by these numbers, in compiled code, where a number outside its table would be read as
whatever lies there. So this comes before all counting.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.vocabulary import NEVER
from clustersim.world.checks.recount import LIVE_TASKS, Reading
from clustersim.world.checks.rules import (
    ASTRAY,
    HEAP,
    LIVE_AND_FREE,
    NOWHERE,
    SHARED_ID,
    SLOTS_LOST,
    SOUND,
)
from clustersim.world.state import tables
from clustersim.world.state.tables import State

IN_TASKS, IN_INSTANCES, IN_SETS, IN_LANES, IN_SHAPES = range(5)


@kernel
def read_references(state: State, reading: Reading) -> int:
    """The first broken rule about what names what, and about slots and ids."""
    where = _find_stray(state)
    if where >= 0:
        reading.detail[0] = where
        return ASTRAY
    for t in state.tasks:
        if t.task_id < 0 or t.placed < 0 or state.lanes[t.lane].fargate == 1:
            continue
        if t.slot < 0 or state.instances[t.slot].instance_id < 0:
            return NOWHERE
    return _check_slots(state, reading)


@kernel
def _find_stray(state: State) -> int:
    """The table with a row that names what is not there; -1: none."""
    for slot in range(state.instances.size):
        h = state.instances[slot]
        if not -1 <= state.hosts.klass[slot] < state.classes.size:
            return IN_INSTANCES
        if h.instance_id >= 0 and not 0 <= h.klass < state.classes.size:
            return IN_INSTANCES
        if h.instance_id >= 0 and not -1 <= h.subnet < state.free_addresses.size:
            return IN_INSTANCES
    for slot in range(state.tasks.size):
        if state.tasks[slot].task_id >= 0:
            where = _find_stray_of(state, slot) if _is_at_home(state, slot) else IN_TASKS
            if where >= 0:
                return where
    return -1


@kernel
def _is_at_home(state: State, slot: int) -> bool:
    """Whether all that a live task names is there."""
    t = state.tasks[slot]
    if not (0 <= t.set < state.sets.size and 0 <= t.lane < state.lanes.size):
        return False
    if not (0 <= t.shape < state.shapes.size and -1 <= t.slot < state.instances.size):
        return False
    if not (-1 <= t.promised < state.instances.size and -1 <= t.subnet < state.free_addresses.size):
        return False
    if not -1 <= t.zone < state.zone_counts.shape[1] or (t.placed >= 0 and t.zone < 0):
        return False
    for number in range(min(state.sets[t.set].pulls, state.holds.shape[1])):
        if not -1 <= state.holds[slot, number] < state.versions.size:
            return False
    return True


@kernel
def _find_stray_of(state: State, slot: int) -> int:
    """Which of a live task's set, lane and shape names what is not there; -1: none."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    if not (-1 <= s.service < state.services.size and 0 <= s.group < state.zone_counts.shape[0]):
        return IN_SETS
    if not 0 <= s.pulls <= state.holds.shape[1]:
        return IN_SETS
    if s.pulls > 0 and (s.first_pull < 0 or s.first_pull + s.pulls > state.pulls.size):
        return IN_SETS
    lane = state.lanes[t.lane]
    first = 0 if lane.fargate == 1 else NEVER
    if not (0 <= lane.provider < state.providers.size and first <= lane.bucket < state.buckets.size):
        return IN_LANES
    if not 0 <= state.shapes[t.shape].lane < state.lanes.size:
        return IN_SHAPES
    return -1


@kernel
def _check_slots(state: State, reading: Reading) -> int:
    """A slot is live or free, never both; serials are unique."""
    free = state.clock[tables.FREE_TASKS]
    if not 0 <= free <= state.free_tasks.size:
        return SLOTS_LOST
    live = 0
    shared = False
    for t in state.tasks:
        if t.task_id >= 0:
            live += 1
            shared |= _has_been_seen(reading, t.task_id)
    reading.totals[LIVE_TASKS] = live
    if live + free != state.tasks.size:
        return SLOTS_LOST
    for position in range(free):
        slot = state.free_tasks[position]
        if not 0 <= slot < state.tasks.size:
            return SLOTS_LOST
        if state.tasks[slot].task_id >= 0:
            return LIVE_AND_FREE
    if shared:
        return SHARED_ID
    if not 0 <= state.clock[tables.HEAP_SIZE] <= state.heap.shape[0]:
        return HEAP
    return SOUND


@kernel
def _has_been_seen(reading: Reading, task_id: int) -> bool:
    """Whether an id has been met in this reading; from now on it has."""
    last = reading.ids.size - 1
    at = task_id & last
    while reading.ids[at] != 0:
        if reading.ids[at] == task_id + 1:
            return True
        at = (at + 1) & last
    reading.ids[at] = task_id + 1
    return False
