"""Assignment of waiting tasks to an instance that is being launched for them.

ECS Managed Instances launches for the tasks that wait, so each of them knows its instance in advance: it has left its
queue and is placed when the instance registers. Until then its two queue pointers link the list of the instance. If
the instance never registers, or has no room after all, the task is placed elsewhere or queued again.
`control.capacity.managed_instances` decides the assignment.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.vocabulary import NEVER
from clustersim.world.scheduling.provisioning import find_host, fits_on, renew_wait_reason
from clustersim.world.state.counters import WAKE_CAPACITY
from clustersim.world.state.provisioning_queues import join_queue, leave_queue, remove_assignment
from clustersim.world.state.tables import State
from clustersim.world.tasks.startup import place_on_host


@kernel_entry
def assign_to_instance(state: State, shape: int, count: int, host: int) -> None:
    """Assign the first `count` tasks in the queue of `shape` to the instance in slot `host`."""
    h = state.instances.rows[host]
    for _ in range(count):
        slot = state.sets.shapes[shape].head
        leave_queue(state, slot)
        t = state.tasks.rows[slot]
        t.assigned_instance = host
        t.previous_waiting, t.next_waiting = NEVER, h.first_assigned
        if h.first_assigned >= 0:
            state.tasks.rows[h.first_assigned].previous_waiting = slot
        h.first_assigned = slot
        state.counters.assigned_tasks += 1


@kernel
def place_assigned(state: State, host: int, now: int) -> None:
    """Place the tasks that are assigned to an instance, oldest first, when it has registered."""
    h = state.instances.rows[host]
    last = NEVER
    slot = h.first_assigned
    while slot >= 0:  # the list is newest first
        last = slot
        slot = state.tasks.rows[slot].next_waiting
    while last >= 0:
        slot = last
        last = state.tasks.rows[slot].previous_waiting
        remove_assignment(state, slot)
        if fits_on(state, state.tasks.rows[slot].resource_shape, host):
            place_on_host(state, slot, host, now)
        else:
            _place_again(state, slot, now)


@kernel
def unassign(state: State, host: int, now: int) -> None:
    """Place elsewhere, or queue again, the tasks assigned to an instance that will never register."""
    while state.instances.rows[host].first_assigned >= 0:
        slot = state.instances.rows[host].first_assigned
        remove_assignment(state, slot)
        _place_again(state, slot, now)


@kernel
def _place_again(state: State, slot: int, now: int) -> None:
    """Place a task that lost its assignment, or put it back into the queue of its shape."""
    t = state.tasks.rows[slot]
    host = (
        NEVER
        if state.sets.shapes[t.resource_shape].count > 0
        else find_host(state, t.resource_shape, t.ordinal)
    )
    if host >= 0:
        place_on_host(state, slot, host, now)
    else:
        renew_wait_reason(state, t.resource_shape, now)
        join_queue(state, slot)
        state.counters.controllers_to_wake |= WAKE_CAPACITY
