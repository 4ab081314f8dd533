"""The calendar: runs the routine lifecycle of tasks and instances in compiled code between two decisions.

`advance` processes due entries of the heap and arrivals, in the order below, up to the next instant at which Python
code can observe the clock. It stops early, at the end of an instant, when a controller must react, and at any point
when an array must grow or be emptied.

Order at one instant: heap entries by the rank in `state.task_states` (ends before starts before registrations), then
queued tasks are placed, then arrivals, each one placed before the next.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.engine.heap import RANK_SHIFT, pop
from clustersim.vocabulary import TerminationReason
from clustersim.world.instances.interruptions import (
    disconnect_agent,
    give_spot_notice,
    handle_fargate_reclaim,
    reconnect_agent,
)
from clustersim.world.instances.lifecycle import RECLAIMED, TERMINATED, end_instance, register_instance
from clustersim.world.resources.provider_strategy import choose_strategy_item, clear_refused
from clustersim.world.scheduling.provisioning import (
    accept_fargate_launch,
    expire_provisioning,
    has_room,
    place_waiting,
    try_place,
)
from clustersim.world.scheduling.steady_services import reconcile_dirty
from clustersim.world.state.counters import WAKE_SCHEDULER
from clustersim.world.state.random_durations import draw_duration
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import (
    AGENT_DISCONNECTS,
    AGENT_RECONNECTS,
    CONTAINER_EXITS,
    CONTAINER_PULLS,
    DEACTIVATING,
    FARGATE_ACCEPTED,
    IMAGE_PULLED,
    IMAGES_CLEANED,
    INSTANCE_FAILS,
    INSTANCE_RECLAIMED,
    INSTANCE_REGISTERS,
    PENDING,
    PROVISION_TIMEOUT,
    PROVISIONING,
    PULL_ENDS,
    PULL_STARTS,
    RUNNING,
    SPOT_NOTICE_DUE,
    START_FAILS,
    STOPPING,
    TARGET_DEREGISTERED,
    TARGET_UNHEALTHY,
    TASK_EXITS,
    TASK_HANGS,
    TASK_HEALTHY,
    TASK_INTERRUPTED,
    TASK_READY,
    TASK_RETIRED,
    TASK_RETRIED,
    TASK_STARTED,
    TASK_STOPPED,
    TASK_UNHEALTHY,
    TASK_UNPROTECTED,
    create_task,
)
from clustersim.world.tasks.containers import CONTAINER_SHIFT, ends_task, pull_dependent
from clustersim.world.tasks.health import (
    BY_CONTAINERS,
    BY_TARGET,
    mark_healthy,
    mark_hung,
    mark_ready,
    mark_unhealthy,
)
from clustersim.world.tasks.image_pulls import clean_images
from clustersim.world.tasks.lifecycle import (
    exit_task,
    expire_protection,
    finish_task,
    send_sigterm,
    start_task,
)
from clustersim.world.tasks.startup import continue_after_pull, fail_start, pull_images

IDLE, CONTROLLER_DUE, NEEDS_ROOM, NEEDS_ARRIVALS = range(4)
FOREVER = 1 << 62
DRAWN = -1  # ARRIVAL.duration: drawn from the set's distribution
ENDLESS = -2  # and: runs until stopped
ROOM_PER_ENTRY = 16
SLOTS = (1 << CONTAINER_SHIFT) - 1

_INSTANCE_FAILURE = int(TerminationReason.INSTANCE_FAILURE)


@kernel
def create_arrival(state: State, now: int) -> None:
    """Create one copy of the next arrival, a task of RunTask, and try to place it."""
    counters = state.counters
    a = state.calendar.arrivals[counters.next_arrival]
    row = int(a.set)
    item_row = choose_strategy_item(state, row)
    s = state.sets.rows[row]
    ordinal = a.ordinal + counters.arrival_copy
    slot = create_task(state, row, item_row, int(a.resource_shape) + item_row - s.first_item, ordinal, now)
    t = state.tasks.rows[slot]
    t.reference = a.reference
    if a.duration == DRAWN:
        t.duration = draw_duration(state, s.duration, s.duration_key, ordinal, 0)
    elif a.duration >= 0:
        t.duration = a.duration
    identity = t.task_id
    try_place(state, slot, now)
    if state.tasks.rows[slot].task_id != identity:  # its placement failed at once
        state.sets.strategy_items[item_row].refused += 1
    counters.arrival_copy += 1
    if counters.arrival_copy >= a.copies:
        counters.arrival_copy = 0
        counters.next_arrival += 1
        clear_refused(state, row)


@kernel
def _running_entry(state: State, kind: int, slot: int, now: int) -> None:
    """Process a due entry of a RUNNING task."""
    t = state.tasks.rows[slot]
    if kind == TASK_EXITS:
        exit_task(state, slot, now)
    elif kind == TASK_READY:
        mark_ready(state, slot, now)
    elif kind == TASK_HEALTHY:
        if t.healthy < 0:
            mark_healthy(state, slot, now)
    elif kind == TASK_HANGS:
        mark_hung(state, slot, now)
    elif kind == TASK_UNHEALTHY:
        mark_unhealthy(state, slot, now, BY_CONTAINERS)
    elif kind == TARGET_UNHEALTHY:
        mark_unhealthy(state, slot, now, BY_TARGET)
    elif kind == TASK_UNPROTECTED:
        expire_protection(state, slot, now)


@kernel
def _pending_entry(state: State, kind: int, slot: int, now: int) -> None:
    """Process a due entry of a task between placement and RUNNING."""
    if kind == TASK_STARTED:
        start_task(state, slot, now)
    elif kind == START_FAILS:
        fail_start(state, slot, now)
    elif kind == PULL_STARTS:
        pull_images(state, slot, now)
    elif kind == PULL_ENDS:
        continue_after_pull(state, slot, now)
    elif kind == IMAGE_PULLED:
        state.tasks.rows[slot].pull_stopped = now


@kernel
def _task_entry(state: State, kind: int, slot: int, now: int) -> None:
    """Process a due entry of a task, unless the task has moved on."""
    t = state.tasks.rows[slot]
    if t.state == RUNNING:
        _running_entry(state, kind, slot, now)
    elif t.state == PENDING and kind <= TASK_STARTED:
        _pending_entry(state, kind, slot, now)
    elif kind == TASK_STOPPED:
        if t.state == STOPPING:
            t.exit_code = t.next_exit_code
            finish_task(state, slot, now)
    elif kind == TARGET_DEREGISTERED:
        if t.state == DEACTIVATING:
            send_sigterm(state, slot, now)
    elif kind == PROVISION_TIMEOUT:
        expire_provisioning(state, slot, now)
    elif kind == FARGATE_ACCEPTED:
        if t.state == PROVISIONING:
            accept_fargate_launch(state, slot, now)
    elif kind == TASK_RETRIED and t.state == PROVISIONING:
        try_place(state, slot, now)


@kernel
def _instance_entry(state: State, kind: int, slot: int, now: int) -> None:
    """Process a due entry of a live instance."""
    if kind == INSTANCE_FAILS:
        end_instance(state, slot, now, _INSTANCE_FAILURE)
    elif kind == INSTANCE_RECLAIMED:
        end_instance(state, slot, now, RECLAIMED)
    elif kind == SPOT_NOTICE_DUE:
        give_spot_notice(state, slot, now)
    elif kind == AGENT_DISCONNECTS:
        disconnect_agent(state, slot, now)
    elif kind == AGENT_RECONNECTS:
        reconnect_agent(state, slot, now)
    elif kind == IMAGES_CLEANED:
        clean_images(state, slot, now)
    else:
        register_instance(state, slot, now)


@kernel
def _process_entry(state: State, kind: int, subject: int, serial: int, now: int) -> None:
    """Process one heap entry; drop it if it is stale, that is, if the serial in its slot has moved on."""
    if kind <= IMAGES_CLEANED or kind == INSTANCE_REGISTERS or kind == AGENT_RECONNECTS:
        h = state.instances.rows[subject]
        if h.instance_id == serial and h.state != TERMINATED:
            _instance_entry(state, kind, subject, now)
    elif kind == CONTAINER_EXITS or kind == CONTAINER_PULLS:
        slot, position = subject & SLOTS, subject >> CONTAINER_SHIFT
        t = state.tasks.rows[slot]
        if t.task_id != serial:
            return
        if kind == CONTAINER_PULLS:
            if t.state == PENDING:
                pull_dependent(state, slot, position, now)
        elif t.state == RUNNING and ends_task(state, slot, position, now):
            exit_task(state, slot, now)
    elif state.tasks.rows[subject].task_id == serial:
        if kind == TASK_INTERRUPTED or kind == TASK_RETIRED:
            handle_fargate_reclaim(state, kind, subject, now)
        else:
            _task_entry(state, kind, subject, now)


@kernel
def _room_for(state: State, kind: int, subject: int) -> bool:
    """Return whether the arrays have room for what an entry may do."""
    tasks = ROOM_PER_ENTRY + state.services.daemons.size
    if kind <= IMAGES_CLEANED or kind == INSTANCE_REGISTERS:
        tasks += 2 * state.instances.rows[subject].task_count + state.counters.assigned_tasks
        if state.outputs.terminated_instances.size - state.counters.terminated_instances < 1:
            return False
    return has_room(state, tasks)


@kernel_entry
def advance(state: State, now: int, limit: int) -> int:
    """Process everything due up to `now`, and everything before `limit`.

    Returns IDLE with the instant of the next entry in `clock.reached` (FOREVER: none); CONTROLLER_DUE with the
    instant at which a controller must run; NEEDS_ROOM when the caller must make room, or NEEDS_ARRIVALS when it must
    supply the next arrivals, and call again.
    """
    clock = state.clock
    counters = state.counters
    clock.now = max(clock.now, now)
    while True:
        if counters.next_arrival == state.calendar.arrivals.size and counters.arrivals_left > 0:
            return NEEDS_ARRIVALS
        due = state.calendar.heap[0, 0] if counters.heap_size > 0 else FOREVER
        arrival = (
            state.calendar.arrivals[counters.next_arrival].at
            if counters.next_arrival < state.calendar.arrivals.size
            else FOREVER
        )
        at = min(due, arrival)
        if counters.hosts_with_new_room > 0 and due > clock.now:
            if not place_waiting(state, clock.now):
                return NEEDS_ROOM
            continue
        if counters.controllers_to_wake != 0 and at > clock.now:
            # If another concern is due at this instant, the scheduler runs after it.
            if (
                counters.controllers_to_wake == WAKE_SCHEDULER
                and clock.now < limit
                and reconcile_dirty(state, clock.now)
            ):
                continue
            clock.reached = clock.now
            return CONTROLLER_DUE
        if at > now and at >= limit:
            clock.reached = at
            return IDLE
        clock.now = max(clock.now, at)
        if due <= arrival:
            kind = state.calendar.heap[0, 1] >> RANK_SHIFT
            subject = state.calendar.heap[0, 2]
            if not _room_for(state, kind, subject):
                return NEEDS_ROOM
            serial = state.calendar.heap[0, 3]
            pop(state.calendar.heap, counters.heap_size)
            counters.heap_size -= 1
            counters.entries_done += 1
            _process_entry(state, kind, subject, serial, clock.now)
        else:
            if not has_room(state, ROOM_PER_ENTRY):
                return NEEDS_ROOM
            counters.entries_done += 1
            create_arrival(state, clock.now)
