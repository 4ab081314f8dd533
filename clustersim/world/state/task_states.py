"""The gateway: the only code that moves a task from one state to the next.

`move` checks that a step is legal and counts it; everything that changes a task goes through it. What a task
holds while it is placed is in `holdings`, when it starts, ends and stops in `lives`. Nothing here decides where
a task goes or when it should end. The states and their order are ECS's (Developer Guide: task lifecycle).
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
from clustersim.world.state.tables import (
    BELL_SCHEDULER,
    BELLS,
    DIRTY,
    FREE_TASKS,
    NEXT_TASK,
    State,
)
from clustersim.world.state.usage import touch_service, touch_set

# What is due, in the order in which it happens at one instant (the rank of a heap entry).
(
    INSTANCE_FAILS,
    INSTANCE_RECLAIMED,
    INSTANCE_NOTICED,
    AGENT_LOST,
    IMAGES_CLEANED,
    TASK_GONE,
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
    TASK_UNWELL,
    TARGET_UNWELL,
    TASK_UNPROTECTED,
    TARGET_DEREGISTERED,
    FARGATE_ACCEPTED,
    INSTANCE_REGISTERS,
    AGENT_BACK,
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
    """Count a task of set `row` in or out of a state, for the set and for its service."""
    s = state.sets[row]
    v = s.service
    if task_state == PROVISIONING:
        s.provisioning += by
        if v >= 0:
            state.services[v].provisioning += by
    elif task_state < RUNNING:
        s.pending += by
        if v >= 0:
            state.services[v].pending += by
    elif task_state == RUNNING:
        s.running += by
        if v >= 0:
            state.services[v].running += by
    elif task_state < STOPPED:
        s.stopping += by


@kernel
def move(state: State, slot: int, to: int, now: int) -> None:
    """Move a task into state `to`; an illegal move is a defect and stops the run."""
    t = state.tasks[slot]
    if not LEGAL[t.state, to]:
        raise RuntimeError("an illegal transition of a task")
    service = state.sets[t.set].service
    if service >= 0:
        touch_service(state, service, now)
        touch_set(state, t.set, now)
    _count(state, t.set, int(t.state), -1)
    if t.state == PROVISIONING:
        state.providers[state.lanes[t.lane].provider].provisioning -= 1
    _count(state, t.set, to, 1)
    t.state = to


@kernel
def ring_scheduler(state: State, service: int) -> None:
    """Tell the scheduler, once, that it must look at `service`; -1 (standalone) rings nobody."""
    if service >= 0 and state.services[service].dirty == 0:
        state.services[service].dirty = 1
        state.dirty[state.clock[DIRTY]] = service
        state.clock[DIRTY] += 1
        state.clock[BELLS] |= BELL_SCHEDULER


@kernel
def ring_daemons(state: State) -> None:
    """Tell the scheduler that it must look at every DAEMON service: the instances they run on have changed."""
    for row in state.daemons:
        ring_scheduler(state, state.sets[row].service)


@kernel
def new_task(state: State, row: int, lane: int, shape: int, ordinal: int, now: int) -> int:
    """Open a task of set `row` in PROVISIONING and return its slot; the caller made sure of room."""
    clock = state.clock
    clock[FREE_TASKS] -= 1
    slot = state.free_tasks[clock[FREE_TASKS]]
    t = state.tasks[slot]
    q = state.shapes[shape]
    t.task_id = clock[NEXT_TASK]
    clock[NEXT_TASK] += 1
    t.ordinal = ordinal
    t.created = now
    t.placed = t.pull_started = t.pull_stopped = t.started = t.healthy = NEVER
    t.stopping = t.stopped = t.duration = t.instance_id = NEVER
    t.accrued = now
    t.cost = 0.0
    t.set, t.lane, t.shape = row, lane, shape
    t.slot = t.reference = t.promised = NEVER
    t.attempt = 1
    t.cpu, t.memory, t.gpus = q.cpu, q.memory, q.gpus
    t.next_on_host = t.previous_on_host = t.next_waiting = t.previous_waiting = NEVER
    t.exit_code = t.next_exit_code = NEVER
    t.state = PROVISIONING
    t.zone = t.subnet = NEVER
    t.sentence = 0
    t.stop_code = t.reason = t.wait = t.waiting = t.leaving = 0
    t.ready = t.hung = t.unwell = t.health = t.next_reason = 0
    t.protected_until = NEVER
    s = state.sets[row]
    head = state.group_first[s.group]
    t.previous_of_group, t.next_of_group = NEVER, head
    if head >= 0:
        state.tasks[head].previous_of_group = slot
    state.group_first[s.group] = slot
    way = state.lanes[lane]
    way.live += 1
    if way.fargate:
        state.buckets[way.bucket].cpu += q.cpu
    _count(state, row, PROVISIONING, 1)
    state.providers[way.provider].provisioning += 1
    return int(slot)


@kernel
def fill_need(state: State, shape: int) -> None:
    """Write what a task of `shape` asks of a host into the scratch `state.need`."""
    q = state.shapes[shape]
    state.need[CPU] = q.cpu
    state.need[MEMORY] = q.memory
    state.need[GPU] = q.gpus
    state.need[ENI] = state.lanes[q.lane].eni
    state.need[HOST_PORTS] = q.host_ports
