"""The task state machine: the only code that moves a task from one state to the next.

`move_task` checks that a transition is legal and counts it; every state change goes through it.
`resources.allocation` handles the resources of placed tasks, `tasks.lifecycle` decides when a task starts, ends and
stops. Nothing here decides where a task runs or when it should end. The states and their order are those of ECS
(Developer Guide: task lifecycle).
"""

from __future__ import annotations

import numpy as np

from clustersim.engine.compiled import inlined, kernel
from clustersim.vocabulary import (
    CPU,
    ENI,
    GPU,
    HOST_PORTS,
    MEMORY,
    NEVER,
    TaskState,
)
from clustersim.world.state.counters import WAKE_SCHEDULER
from clustersim.world.state.tables import State
from clustersim.world.state.usage import integrate_service, integrate_task_set

# Kinds of calendar entries, in the order in which they happen at one instant: the rank in the heap.
(
    INSTANCE_FAILS,
    INSTANCE_RECLAIMED,
    SPOT_NOTICE_DUE,
    AGENT_DISCONNECTS,
    IMAGES_CLEANED,
    TASK_STOPPED,
    TASK_EXITS,
    CONTAINER_EXITS,
    TASK_INTERRUPTED,
    TASK_RETIRED,
    PROVISION_TIMEOUT,
    START_FAILS,
    PULL_ENDS,
    IMAGE_PULLED,
    PULL_STARTS,
    CONTAINER_PULLS,
    TASK_STARTED,
    TASK_READY,
    TASK_HANGS,
    TASK_HEALTHY,
    TASK_UNHEALTHY,
    TARGET_UNHEALTHY,
    TASK_UNPROTECTED,
    TARGET_DEREGISTERED,
    FARGATE_ACCEPTED,
    INSTANCE_REGISTERS,
    AGENT_RECONNECTS,
    TASK_RETRIED,
) = range(28)

PROVISIONING = int(TaskState.PROVISIONING)
PENDING = int(TaskState.PENDING)
RUNNING = int(TaskState.RUNNING)
DEACTIVATING = int(TaskState.DEACTIVATING)
STOPPING = int(TaskState.STOPPING)
STOPPED = int(TaskState.STOPPED)

LEGAL = np.zeros((len(TaskState), len(TaskState)), np.bool_)
for _before, _after in (
    (PROVISIONING, PENDING),
    (PROVISIONING, STOPPED),
    (PENDING, RUNNING),
    (PENDING, STOPPED),
    (RUNNING, DEACTIVATING),
    (RUNNING, STOPPING),
    (RUNNING, STOPPED),
    (DEACTIVATING, STOPPING),
    (DEACTIVATING, STOPPED),
    (STOPPING, STOPPED),
):
    LEGAL[_before, _after] = True


@inlined
def _count(state: State, row: int, task_state: int, by: int) -> None:
    """Add `by` to the counts of tasks in a state, for task set `row` and for its service."""
    s = state.sets.rows[row]
    v = s.service
    if task_state == PROVISIONING:
        s.provisioning += by
        if v >= 0:
            state.services.rows[v].provisioning += by
    elif task_state < RUNNING:
        s.pending += by
        if v >= 0:
            state.services.rows[v].pending += by
    elif task_state == RUNNING:
        s.running += by
        if v >= 0:
            state.services.rows[v].running += by
    elif task_state < STOPPED:
        s.stopping += by


@kernel
def move_task(state: State, slot: int, to: int, now: int) -> None:
    """Move a task into state `to`.

    Raises RuntimeError if the transition is illegal, which is a defect and stops the run.
    """
    t = state.tasks.rows[slot]
    if not LEGAL[t.state, to]:
        raise RuntimeError("illegal state transition of a task")
    service = state.sets.rows[t.set].service
    if service >= 0:
        integrate_service(state, service, now)
        integrate_task_set(state, t.set, now)
    _count(state, t.set, int(t.state), -1)
    if t.state == PROVISIONING:
        state.capacity.providers[state.sets.strategy_items[t.strategy_item].provider].provisioning -= 1
    _count(state, t.set, to, 1)
    t.state = to


@kernel
def mark_service_dirty(state: State, service: int) -> None:
    """Mark `service` as one that the scheduler must reconcile; -1 (standalone) does nothing."""
    if service >= 0 and state.services.rows[service].dirty == 0:
        state.services.rows[service].dirty = 1
        state.services.dirty[state.counters.dirty_services] = service
        state.counters.dirty_services += 1
        state.counters.controllers_to_wake |= WAKE_SCHEDULER


@kernel
def mark_daemons_dirty(state: State) -> None:
    """Mark all DAEMON services dirty, because the set of instances they run on has changed."""
    for row in state.services.daemons:
        mark_service_dirty(state, state.sets.rows[row].service)


@kernel
def create_task(state: State, row: int, item_row: int, shape: int, ordinal: int, now: int) -> int:
    """Create a task of task set `row` in PROVISIONING and return its slot. The caller must have made room."""
    counters = state.counters
    counters.free_tasks -= 1
    slot = state.tasks.free[counters.free_tasks]
    t = state.tasks.rows[slot]
    q = state.sets.shapes[shape]
    t.task_id = counters.next_task_id
    counters.next_task_id += 1
    t.ordinal = ordinal
    t.created = now
    t.placed = t.pull_started = t.pull_stopped = t.started = t.healthy = NEVER
    t.stopping = t.stopped = t.duration = t.instance_id = NEVER
    t.accrued_until = now
    t.cost = 0.0
    t.set, t.strategy_item, t.resource_shape = row, item_row, shape
    t.instance_slot = t.reference = t.assigned_instance = NEVER
    t.attempt = 1
    t.cpu, t.memory, t.gpus = q.cpu, q.memory, q.gpus
    t.next_on_host = t.previous_on_host = t.next_waiting = t.previous_waiting = NEVER
    t.exit_code = t.next_exit_code = NEVER
    t.state = PROVISIONING
    t.zone = t.subnet = NEVER
    t.sentence = 0
    t.stop_code = t.reason = t.wait_reason = t.waiting = t.leaving = 0
    t.ready = t.hung = t.unhealthy = t.health = t.next_reason = 0
    t.protected_until = NEVER
    s = state.sets.rows[row]
    head = state.tasks.group_first[s.group]
    t.previous_of_group, t.next_of_group = NEVER, head
    if head >= 0:
        state.tasks.rows[head].previous_of_group = slot
    state.tasks.group_first[s.group] = slot
    item = state.sets.strategy_items[item_row]
    item.live += 1
    if item.fargate:
        state.capacity.fargate_quotas[item.bucket].cpu += q.cpu
    _count(state, row, PROVISIONING, 1)
    state.capacity.providers[item.provider].provisioning += 1
    return int(slot)


@kernel
def write_need(state: State, shape: int) -> None:
    """Write the resource requirements of `shape` into the scratch array `State.placement.need`."""
    q = state.sets.shapes[shape]
    state.placement.need[CPU] = q.cpu
    state.placement.need[MEMORY] = q.memory
    state.placement.need[GPU] = q.gpus
    state.placement.need[ENI] = state.sets.strategy_items[q.strategy_item].eni
    state.placement.need[HOST_PORTS] = q.host_ports
