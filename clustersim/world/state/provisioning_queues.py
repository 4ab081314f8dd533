"""The queues of waiting tasks: one per shape, in order of arrival.

Tasks of one lane with equal requirements wait in one queue, so that a host that gains room is compared with
shapes, not with tasks. Who waits fits on no host: that is the invariant `waiting` keeps. Only lists here, also
those of tasks that are promised to an instance and wait for it (`promises`).
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.vocabulary import NEVER
from clustersim.world.state.tables import PROMISED, WAITING_SHAPES, WAITING_TASKS, State


@kernel
def forget_promise(state: State, slot: int) -> None:
    """Take a task out of the list of the instance it was promised to."""
    t = state.tasks[slot]
    if t.previous_waiting >= 0:
        state.tasks[t.previous_waiting].next_waiting = t.next_waiting
    else:
        state.instances[t.promised].first_promised = t.next_waiting
    if t.next_waiting >= 0:
        state.tasks[t.next_waiting].previous_waiting = t.previous_waiting
    t.previous_waiting = t.next_waiting = t.promised = NEVER
    state.clock[PROMISED] -= 1


@kernel
def join_queue(state: State, slot: int) -> None:
    """Put a task at the end of the queue of its shape."""
    t = state.tasks[slot]
    q = state.shapes[t.shape]
    t.waiting = 1
    t.previous_waiting, t.next_waiting = q.tail, NEVER
    if q.tail >= 0:
        state.tasks[q.tail].next_waiting = slot
    else:
        q.head = slot
    q.tail = slot
    q.count += 1
    clock = state.clock
    clock[WAITING_TASKS] += 1
    if q.position < 0:
        q.position = clock[WAITING_SHAPES]
        state.waiting_shapes[q.position] = t.shape
        clock[WAITING_SHAPES] += 1


@kernel
def leave_queue(state: State, slot: int) -> None:
    """Take a task out of the queue of its shape, wherever it stands in it."""
    t = state.tasks[slot]
    q = state.shapes[t.shape]
    t.waiting = 0
    if t.previous_waiting >= 0:
        state.tasks[t.previous_waiting].next_waiting = t.next_waiting
    else:
        q.head = t.next_waiting
    if t.next_waiting >= 0:
        state.tasks[t.next_waiting].previous_waiting = t.previous_waiting
    else:
        q.tail = t.previous_waiting
    t.previous_waiting = t.next_waiting = NEVER
    q.count -= 1
    clock = state.clock
    clock[WAITING_TASKS] -= 1
    if q.count == 0:
        clock[WAITING_SHAPES] -= 1
        moved = state.waiting_shapes[clock[WAITING_SHAPES]]
        state.waiting_shapes[q.position] = moved
        state.shapes[moved].position = q.position
        q.position = NEVER
