"""The calendar: routine life, carried out in compiled code between two decisions.

`advance` takes what is due from the heap and from the list of arrivals, in the order written below, up to the
next instant at which Python could observe the clock. It stops early, at the end of an instant, when something
happened that a controller must answer, and anywhere when an array must grow or be emptied.

Order at one instant: heap entries by the rank in `transitions` (ends before starts before registrations), then
waiting tasks are served, then arrivals come, each one placed before the next.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.engine.heap import RANK_SHIFT, pop
from clustersim.vocabulary import TerminationReason
from clustersim.world.instances.interruptions import (
    befall_task,
    find_agent,
    give_notice,
    lose_agent,
)
from clustersim.world.instances.lifecycle import RECLAIMED, TERMINATED, end_instance, register
from clustersim.world.resources.provider_strategy import choose_lane, forget_missed
from clustersim.world.scheduling.provisioning import accept_on_fargate, give_up, has_room, seek, serve
from clustersim.world.scheduling.steady_services import look_at_dirty
from clustersim.world.state.tables import (
    ARRIVAL_COPY,
    ARRIVALS_LEFT,
    BELL_SCHEDULER,
    BELLS,
    ENTRIES_DONE,
    FREED,
    HEAP_SIZE,
    LOST,
    NEXT_ARRIVAL,
    NOW,
    PROMISED,
    REACHED,
    State,
)
from clustersim.world.state.task_states import (
    AGENT_BACK,
    AGENT_LOST,
    CONTAINER_EXITS,
    CONTAINER_PULLS,
    DEACTIVATING,
    FARGATE_ACCEPTED,
    IMAGE_PULLED,
    IMAGES_CLEANED,
    INSTANCE_FAILS,
    INSTANCE_NOTICED,
    INSTANCE_RECLAIMED,
    INSTANCE_REGISTERS,
    PENDING,
    PROVISION_TIMEOUT,
    PROVISIONING,
    PULL_ENDS,
    PULL_STARTS,
    RUNNING,
    START_FAILS,
    STOPPING,
    TARGET_DEREGISTERED,
    TARGET_UNWELL,
    TASK_EXITS,
    TASK_GONE,
    TASK_HANGS,
    TASK_HEALTHY,
    TASK_INTERRUPTED,
    TASK_READY,
    TASK_RETIRED,
    TASK_RETRIED,
    TASK_STARTED,
    TASK_UNPROTECTED,
    TASK_UNWELL,
    new_task,
)
from clustersim.world.state.usage import draw
from clustersim.world.tasks.containers import CELL_SHIFT, ends_task, pull_dependent
from clustersim.world.tasks.health import BY_CONTAINERS, BY_TARGET, hang, healthy, ready, turn_unwell
from clustersim.world.tasks.image_pulls import clean_images
from clustersim.world.tasks.lifecycle import (
    exits,
    finish,
    lose_protection,
    start,
    terminate,
)
from clustersim.world.tasks.startup import have_images, prepare, start_fails

IDLE, BELL, ROOM, ARRIVALS = range(4)
FOREVER = 1 << 62
DRAWN = -1  # ARRIVAL.duration: from the set's distribution
ENDLESS = -2
ROOM_PER_ENTRY = 16
SLOTS = (1 << CELL_SHIFT) - 1

_INSTANCE_FAILURE = int(TerminationReason.INSTANCE_FAILURE)


@kernel
def arrive(state: State, now: int) -> None:
    """One copy of the next arrival: RunTask creates a task, which then seeks its place."""
    clock = state.clock
    a = state.arrivals[clock[NEXT_ARRIVAL]]
    row = int(a.set)
    lane = choose_lane(state, row)
    s = state.sets[row]
    ordinal = a.ordinal + clock[ARRIVAL_COPY]
    slot = new_task(state, row, lane, int(a.shape) + lane - s.first_lane, ordinal, now)
    t = state.tasks[slot]
    t.reference = a.reference
    if a.duration == DRAWN:
        t.duration = draw(state, s.duration, s.duration_key, ordinal, 0)
    elif a.duration >= 0:
        t.duration = a.duration
    identity = t.task_id
    seek(state, slot, now)
    if state.tasks[slot].task_id != identity:  # refused at once
        state.lanes[lane].missed += 1
    clock[ARRIVAL_COPY] += 1
    if clock[ARRIVAL_COPY] >= a.copies:
        clock[ARRIVAL_COPY] = 0
        clock[NEXT_ARRIVAL] += 1
        forget_missed(state, row)


@kernel
def _running_entry(state: State, kind: int, slot: int, now: int) -> None:
    """Carry out what was due for a task that runs."""
    t = state.tasks[slot]
    if kind == TASK_EXITS:
        exits(state, slot, now)
    elif kind == TASK_READY:
        ready(state, slot, now)
    elif kind == TASK_HEALTHY:
        if t.healthy < 0:
            healthy(state, slot, now)
    elif kind == TASK_HANGS:
        hang(state, slot, now)
    elif kind == TASK_UNWELL:
        turn_unwell(state, slot, now, BY_CONTAINERS)
    elif kind == TARGET_UNWELL:
        turn_unwell(state, slot, now, BY_TARGET)
    elif kind == TASK_UNPROTECTED:
        lose_protection(state, slot, now)


@kernel
def _pending_entry(state: State, kind: int, slot: int, now: int) -> None:
    """Carry out what was due for a task on its way to RUNNING."""
    if kind == TASK_STARTED:
        start(state, slot, now)
    elif kind == START_FAILS:
        start_fails(state, slot, now)
    elif kind == PULL_STARTS:
        prepare(state, slot, now)
    elif kind == PULL_ENDS:
        have_images(state, slot, now)
    elif kind == IMAGE_PULLED:
        state.tasks[slot].pull_stopped = now


@kernel
def _task_entry(state: State, kind: int, slot: int, now: int) -> None:
    """Carry out what was due for a task, unless it has meanwhile moved on."""
    t = state.tasks[slot]
    if t.state == RUNNING:
        _running_entry(state, kind, slot, now)
    elif t.state == PENDING and kind <= TASK_STARTED:
        _pending_entry(state, kind, slot, now)
    elif kind == TASK_GONE:
        if t.state == STOPPING:
            t.exit_code = t.next_exit_code
            finish(state, slot, now)
    elif kind == TARGET_DEREGISTERED:
        if t.state == DEACTIVATING:
            terminate(state, slot, now)
    elif kind == PROVISION_TIMEOUT:
        give_up(state, slot, now)
    elif kind == FARGATE_ACCEPTED:
        if t.state == PROVISIONING:
            accept_on_fargate(state, slot, now)
    elif kind == TASK_RETRIED and t.state == PROVISIONING:
        seek(state, slot, now)


@kernel
def _instance_entry(state: State, kind: int, slot: int, now: int) -> None:
    """Carry out what was due for an instance that still lives."""
    if kind == INSTANCE_FAILS:
        end_instance(state, slot, now, _INSTANCE_FAILURE)
    elif kind == INSTANCE_RECLAIMED:
        end_instance(state, slot, now, RECLAIMED)
    elif kind == INSTANCE_NOTICED:
        give_notice(state, slot, now)
    elif kind == AGENT_LOST:
        lose_agent(state, slot, now)
    elif kind == AGENT_BACK:
        find_agent(state, slot, now)
    elif kind == IMAGES_CLEANED:
        clean_images(state, slot, now)
    else:
        register(state, slot, now)


@kernel
def _carry_out(state: State, kind: int, subject: int, serial: int, now: int) -> None:
    """Carry out one heap entry; an entry whose subject's serial has moved on is stale and dropped."""
    if kind <= IMAGES_CLEANED or kind == INSTANCE_REGISTERS or kind == AGENT_BACK:
        h = state.instances[subject]
        if h.instance_id == serial and h.state != TERMINATED:
            _instance_entry(state, kind, subject, now)
    elif kind == CONTAINER_EXITS or kind == CONTAINER_PULLS:
        slot, position = subject & SLOTS, subject >> CELL_SHIFT
        t = state.tasks[slot]
        if t.task_id != serial:
            return
        if kind == CONTAINER_PULLS:
            if t.state == PENDING:
                pull_dependent(state, slot, position, now)
        elif t.state == RUNNING and ends_task(state, slot, position, now):
            exits(state, slot, now)
    elif state.tasks[subject].task_id == serial:
        if kind == TASK_INTERRUPTED or kind == TASK_RETIRED:
            befall_task(state, kind, subject, now)
        else:
            _task_entry(state, kind, subject, now)


@kernel
def _room_for(state: State, kind: int, subject: int) -> bool:
    """Whether the arrays have room for what this entry may do."""
    lives = ROOM_PER_ENTRY + state.daemons.size
    if kind <= IMAGES_CLEANED or kind == INSTANCE_REGISTERS:
        lives += 2 * state.instances[subject].task_count + state.clock[PROMISED]
        if state.lost.size - state.clock[LOST] < 1:
            return False
    return has_room(state, lives)


@kernel_entry
def advance(state: State, now: int, limit: int) -> int:
    """Carry out everything due up to `now`, and everything before `limit`.

    Returns IDLE with the instant of the next entry in `clock[REACHED]` (FOREVER: none); BELL with the instant
    at which a controller is wanted; ROOM when the caller must make room, ARRIVALS when it must lay out the next
    ones, and call again.
    """
    clock = state.clock
    clock[NOW] = max(clock[NOW], now)
    while True:
        if clock[NEXT_ARRIVAL] == state.arrivals.size and clock[ARRIVALS_LEFT] > 0:
            return ARRIVALS
        due = state.heap[0, 0] if clock[HEAP_SIZE] > 0 else FOREVER
        arrival = (
            state.arrivals[clock[NEXT_ARRIVAL]].at if clock[NEXT_ARRIVAL] < state.arrivals.size else FOREVER
        )
        at = min(due, arrival)
        if clock[FREED] > 0 and due > clock[NOW]:
            if not serve(state, clock[NOW]):
                return ROOM
            continue
        if clock[BELLS] != 0 and at > clock[NOW]:
            # With another concern due at this instant the scheduler has its turn behind it.
            if clock[BELLS] == BELL_SCHEDULER and clock[NOW] < limit and look_at_dirty(state, clock[NOW]):
                continue
            clock[REACHED] = clock[NOW]
            return BELL
        if at > now and at >= limit:
            clock[REACHED] = at
            return IDLE
        clock[NOW] = max(clock[NOW], at)
        if due <= arrival:
            kind = state.heap[0, 1] >> RANK_SHIFT
            subject = state.heap[0, 2]
            if not _room_for(state, kind, subject):
                return ROOM
            serial = state.heap[0, 3]
            pop(state.heap, clock[HEAP_SIZE])
            clock[HEAP_SIZE] -= 1
            clock[ENTRIES_DONE] += 1
            _carry_out(state, kind, subject, serial, clock[NOW])
        else:
            if not has_room(state, ROOM_PER_ENTRY):
                return ROOM
            clock[ENTRIES_DONE] += 1
            arrive(state, clock[NOW])
