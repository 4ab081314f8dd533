"""Queues of tasks that wait in PROVISIONING: one queue per resource shape, in order of arrival.

Tasks of one strategy item with equal requirements share a queue, so a host that gains room is compared with shapes
and not with single tasks. `scheduling.provisioning` keeps the invariant that a queued task fits on no host. This
module holds only the list operations, including the list of tasks that are assigned to an instance
(`scheduling.instance_assignments`).
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.vocabulary import NEVER
from clustersim.world.state.tables import State


@kernel
def remove_assignment(state: State, slot: int) -> None:
    """Remove a task from the list of the instance to which it is assigned."""
    t = state.tasks.rows[slot]
    if t.previous_waiting >= 0:
        state.tasks.rows[t.previous_waiting].next_waiting = t.next_waiting
    else:
        state.instances.rows[t.assigned_instance].first_assigned = t.next_waiting
    if t.next_waiting >= 0:
        state.tasks.rows[t.next_waiting].previous_waiting = t.previous_waiting
    t.previous_waiting = t.next_waiting = t.assigned_instance = NEVER
    state.counters.assigned_tasks -= 1


@kernel
def join_queue(state: State, slot: int) -> None:
    """Append a task to the queue of its resource shape."""
    t = state.tasks.rows[slot]
    q = state.sets.shapes[t.resource_shape]
    t.waiting = 1
    t.previous_waiting, t.next_waiting = q.tail, NEVER
    if q.tail >= 0:
        state.tasks.rows[q.tail].next_waiting = slot
    else:
        q.head = slot
    q.tail = slot
    q.count += 1
    counters = state.counters
    counters.waiting_tasks += 1
    if q.position < 0:
        q.position = counters.waiting_shapes
        state.placement.waiting_shapes[q.position] = t.resource_shape
        counters.waiting_shapes += 1


@kernel
def leave_queue(state: State, slot: int) -> None:
    """Remove a task from the queue of its resource shape, at any position.

    Its wait is over: it keeps the last refusal of its shape as its wait reason, and is counted under it.
    """
    t = state.tasks.rows[slot]
    q = state.sets.shapes[t.resource_shape]
    t.waiting = 0
    t.wait_reason = q.wait_reason
    state.placement.failures[q.wait_reason] += 1
    if t.previous_waiting >= 0:
        state.tasks.rows[t.previous_waiting].next_waiting = t.next_waiting
    else:
        q.head = t.next_waiting
    if t.next_waiting >= 0:
        state.tasks.rows[t.next_waiting].previous_waiting = t.previous_waiting
    else:
        q.tail = t.previous_waiting
    t.previous_waiting = t.next_waiting = NEVER
    q.count -= 1
    counters = state.counters
    counters.waiting_tasks -= 1
    if q.count == 0:
        counters.waiting_shapes -= 1
        moved = state.placement.waiting_shapes[counters.waiting_shapes]
        state.placement.waiting_shapes[q.position] = moved
        state.sets.shapes[moved].position = q.position
        q.position = NEVER
