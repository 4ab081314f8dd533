"""The room that a container instance really has, and the tasks that its agent holds in PENDING until they fit.

ECS counts the room of a task as free from the moment its desired status is STOPPED, and places another task there; the
agent starts that one when the host has its room. It queues such tasks in order of arrival: one that does not fit holds
back those behind it (AWS What's New 2023-06-30; the agent's task engine). The host's free amount of a resource is what
ECS counts as free, less `lingering`: what stopping tasks still hold, less what held tasks are still to take.

This module keeps the queue and these amounts. It must not start a task: `tasks.startup` does, at placement or when the
calendar reaches the entry that `offer_room` schedules.
"""

from __future__ import annotations

import numpy as np

from clustersim.engine.compiled import kernel
from clustersim.vocabulary import (
    CPU,
    ENI,
    GPU,
    HOST_HAS_ROOM,
    HOST_PORTS,
    MEMORY,
    NEVER,
    InstanceState,
    WaitReason,
)
from clustersim.world.state.calendar_entries import schedule_entry
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import write_need

ADMITTED = 0
"""The result of `find_shortage` where the host has the room; otherwise it is the wait reason."""

_TERMINATED = int(InstanceState.TERMINATED)
_HOST_CPU = int(WaitReason.HOST_CPU)
_HOST_MEMORY = int(WaitReason.HOST_MEMORY)
_HOST_GPU = int(WaitReason.HOST_GPU)
_HOST_ENI = int(WaitReason.HOST_ENI)
_HOST_PORTS = int(WaitReason.HOST_PORTS)
_HOST_QUEUE = int(WaitReason.HOST_QUEUE)


@kernel
def _add_lingering(state: State, slot: int, by: int, keeps_interface: bool) -> None:
    """Add what a task needs to the lingering amounts of its host (by = 1), or subtract it (by = -1)."""
    t = state.tasks.rows[slot]
    h = state.instances.rows[t.instance_slot]
    write_need(state, t.resource_shape)
    h.lingering_cpu += by * state.placement.need[CPU]
    h.lingering_memory += by * state.placement.need[MEMORY]
    h.lingering_gpus += by * state.placement.need[GPU]
    h.lingering_ports += by * state.placement.need[HOST_PORTS]
    if not keeps_interface:
        h.lingering_enis += by * state.placement.need[ENI]


@kernel
def linger(state: State, slot: int) -> None:
    """Count the room of a task that begins to stop as held by the host alone."""
    state.instances.rows[state.tasks.rows[slot].instance_slot].stopping_tasks += 1
    _add_lingering(state, slot, 1, state.counters.holds_interfaces == 1)


@kernel
def end_lingering(state: State, slot: int) -> None:
    """Stop counting the room of a stopping task that is now STOPPED."""
    state.instances.rows[state.tasks.rows[slot].instance_slot].stopping_tasks -= 1
    _add_lingering(state, slot, -1, state.counters.holds_interfaces == 1)


@kernel
def hold_task(state: State, slot: int) -> None:
    """Append a task that has just been placed to the queue of its host's agent."""
    t = state.tasks.rows[slot]
    h = state.instances.rows[t.instance_slot]
    t.admitted = NEVER
    t.previous_waiting, t.next_waiting = h.last_held, NEVER
    if h.last_held >= 0:
        state.tasks.rows[h.last_held].next_waiting = slot
    else:
        h.first_held = slot
    h.last_held = slot
    _add_lingering(state, slot, -1, False)


@kernel
def leave_agent_queue(state: State, slot: int) -> None:
    """Remove a held task from the queue of its host's agent, at any position."""
    t = state.tasks.rows[slot]
    h = state.instances.rows[t.instance_slot]
    if t.previous_waiting >= 0:
        state.tasks.rows[t.previous_waiting].next_waiting = t.next_waiting
    else:
        h.first_held = t.next_waiting
    if t.next_waiting >= 0:
        state.tasks.rows[t.next_waiting].previous_waiting = t.previous_waiting
    else:
        h.last_held = t.previous_waiting
    t.previous_waiting = t.next_waiting = NEVER
    _add_lingering(state, slot, 1, False)


@kernel
def find_shortage(state: State, slot: int) -> int:
    """Return why a held task must wait: the resource that its host lacks, or another task; ADMITTED: it need not."""
    t = state.tasks.rows[slot]
    if t.previous_waiting >= 0:
        return _HOST_QUEUE
    h = state.instances.rows[t.instance_slot]
    free = state.instances.hosts.free[:, t.instance_slot]
    write_need(state, t.resource_shape)
    need = state.placement.need
    if free[CPU] - h.lingering_cpu < need[CPU]:
        return _HOST_CPU
    if free[MEMORY] - h.lingering_memory < need[MEMORY]:
        return _HOST_MEMORY
    if free[GPU] - h.lingering_gpus < need[GPU]:
        return _HOST_GPU
    if free[ENI] - h.lingering_enis < need[ENI]:
        return _HOST_ENI
    if free[HOST_PORTS] - h.lingering_ports < need[HOST_PORTS] or _has_taken_port(state, slot):
        return _HOST_PORTS
    return ADMITTED


@kernel
def _has_taken_port(state: State, slot: int) -> bool:
    """Return whether a task that has been admitted to the host of a held one still has one of its static ports."""
    t = state.tasks.rows[slot]
    other = state.instances.rows[t.instance_slot].first_task
    while other >= 0:
        o = state.tasks.rows[other]
        if o.admitted >= 0:
            for word in range(state.placement.item_ports.shape[1]):
                shared = (
                    state.placement.item_ports[t.strategy_item, word]
                    & state.placement.item_ports[o.strategy_item, word]
                )
                if shared != np.uint64(0):
                    return True
        other = o.next_on_host
    return False


@kernel
def offer_room(state: State, host: int, now: int) -> None:
    """Let the agent of an instance whose room may have changed look at its queue, after what ends at this instant."""
    h = state.instances.rows[host]
    if h.first_held >= 0 and h.state != _TERMINATED and find_shortage(state, h.first_held) == ADMITTED:
        schedule_entry(state, now, HOST_HAS_ROOM, h.first_held, state.tasks.rows[h.first_held].task_id)
