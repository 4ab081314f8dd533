"""Container instances: launched, registered, draining, terminated.

The gateway for instances, as `transitions` is for tasks. How many there should be is the business of
`control.capacity.capacity`; what fails and when was drawn when the instance registered.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.policy.placement.hosts import ELIGIBLE, close_host, open_host
from clustersim.policy.placement.placement import fits
from clustersim.policy.tasks.subnet_addresses import NO_SUBNET, roomiest
from clustersim.vocabulary import (
    CPU,
    ENI,
    GPU,
    HOST_PORTS,
    MEMORY,
    NEVER,
    EventKind,
    InstanceState,
    StopCode,
    StoppedReason,
    TerminationReason,
)
from clustersim.world.resources.allocation import (
    mark_freed,
)
from clustersim.world.scheduling.instance_assignments import break_promises, keep_promises
from clustersim.world.scheduling.provisioning import request_of
from clustersim.world.state.tables import (
    AWAITED,
    BELL_CAPACITY,
    BELL_SCHEDULER,
    BELLS,
    CAPACITY_EPOCH,
    DISCONNECTED,
    END,
    FREE_INSTANCES,
    LOST,
    NEXT_INSTANCE,
    ZONES_CHANGED,
    State,
)
from clustersim.world.state.task_states import (
    AGENT_LOST,
    INSTANCE_FAILS,
    INSTANCE_NOTICED,
    INSTANCE_REGISTERS,
    PENDING,
    RUNNING,
    new_task,
    ring_daemons,
    ring_scheduler,
)
from clustersim.world.state.usage import (
    Slots,
    draw,
    note,
    settle_instance,
    tell,
    touch_instance,
    touch_provider,
)
from clustersim.world.tasks.image_pulls import furnish, note_cleaning
from clustersim.world.tasks.lifecycle import ask_stop, finish
from clustersim.world.tasks.startup import place_on_host

REGISTERING = int(InstanceState.REGISTERING)
ACTIVE = int(InstanceState.ACTIVE)
DRAINING = int(InstanceState.DRAINING)
TERMINATED = int(InstanceState.TERMINATED)

RECLAIMED = int(TerminationReason.SPOT_INTERRUPTION)

_TASKS_STARTED = int(EventKind.TASKS_STARTED)
_TERMINATION_NOTICE = int(StopCode.TerminationNotice)
_SPOT_INTERRUPTION = int(StopCode.SpotInterruption)
_SCHEDULER_INITIATED = int(StopCode.ServiceSchedulerInitiated)
_HOST_TERMINATED = int(StoppedReason.HOST_TERMINATED)
_DRAINED = int(StoppedReason.INSTANCE_DRAINING)


@kernel
def launch(state: State, klass: int, ordinal: int, now: int, register_at: int) -> int:
    """Request the `ordinal`-th instance of a group, of class `klass`; billed from now, registers at `register_at`."""
    clock = state.clock
    clock[FREE_INSTANCES] -= 1
    slot = state.free_instances[clock[FREE_INSTANCES]]
    h = state.instances[slot]
    h.instance_id = clock[NEXT_INSTANCE]
    clock[NEXT_INSTANCE] += 1
    h.ordinal = ordinal
    h.launched = h.accrued = now
    h.registered = h.draining = h.terminated = h.notice = NEVER
    h.touched = h.changed = now
    h.cpu_area = h.memory_area = h.tasks_started = 0
    h.cost = 0.0
    h.klass = klass
    h.first_task = h.first_promised = NEVER
    h.task_count = h.working = h.used_cpu = h.used_memory = 0
    h.state = REGISTERING
    h.reason = h.freed = h.terminating = h.protected = 0
    h.connected = 1
    state.hosts.facts[:, slot] = 0
    k = state.classes[klass]
    _take_addresses(state, slot)
    furnish(state, slot, now)
    if k.interruption >= 0:
        note_within(
            state, now + draw(state, k.interruption, k.interruption_key, ordinal, 0), INSTANCE_NOTICED, slot
        )
    touch_provider(state, k.provider, now)
    state.providers[k.provider].instances += 1
    state.providers[k.provider].usd_per_hour += k.usd_per_hour
    if register_at <= now:
        register(state, slot, now)
    else:
        note(state, register_at, INSTANCE_REGISTERS, slot, h.instance_id)
    return int(slot)


@kernel
def _take_addresses(state: State, slot: int) -> None:
    """An instance takes its addresses; whoever launched it made sure that there are some."""
    h = state.instances[slot]
    k = state.classes[h.klass]
    h.subnet = roomiest(state.free_addresses, state.subnet_zones, state.pool_subnets[k.group], k.zone)
    if h.subnet != NO_SUBNET and state.free_addresses[h.subnet] < k.addresses:
        h.subnet = NO_SUBNET
    if h.subnet != NO_SUBNET:
        state.free_addresses[h.subnet] -= k.addresses


@kernel
def note_within(state: State, at: int, rank: int, slot: int) -> None:
    """Note what happens to an instance, if it happens before the end: most lives are longer than a run."""
    if at < state.clock[END]:
        note(state, at, rank, slot, state.instances[slot].instance_id)


@kernel_entry
def launch_many(
    state: State, klasses: Slots, ordinals: Slots, now: int, at_once: bool, launched: Slots
) -> None:
    """`launch` for a whole batch, in its order; registered at once (the first ones of a run) or after launchTime.

    The slots of the instances go to `launched`.
    """
    for i in range(klasses.size):
        k = state.classes[klasses[i]]
        delay = 0 if at_once else max(1, draw(state, k.launch, k.launch_key, ordinals[i], 0))
        launched[i] = launch(state, klasses[i], ordinals[i], now, now + delay)


@kernel
def register(state: State, slot: int, now: int) -> None:
    """REGISTERING -> ACTIVE: the instance offers its registered size to the placer."""
    h = state.instances[slot]
    if h.state != REGISTERING:
        return
    k = state.classes[h.klass]
    h.state = ACTIVE
    h.registered = h.touched = now
    free = state.hosts.free
    free[CPU, slot] = k.cpu
    free[MEMORY, slot] = k.memory
    free[GPU, slot] = k.gpus
    free[ENI, slot] = k.enis
    free[HOST_PORTS, slot] = k.host_ports
    for word in range(state.class_ports.shape[1]):
        state.hosts.ports[slot, word] = state.class_ports[h.klass, word]
    state.hosts.facts[1, slot] = now
    state.hosts.facts[2, slot] = h.instance_id
    state.hosts.facts[3, slot] = 1
    open_host(state.hosts, slot, h.klass)
    touch_provider(state, k.provider, now)
    p = state.providers[k.provider]
    p.registered += 1
    p.registered_cpu += k.cpu
    p.registered_memory += k.memory
    if k.failure >= 0:
        life = max(1, draw(state, k.failure, k.failure_key, h.ordinal, 0))
        note(state, now + life, INSTANCE_FAILS, slot, h.instance_id)
    if k.disconnect >= 0:
        note_within(
            state, now + max(1, draw(state, k.disconnect, k.agent_key, h.ordinal, 0)), AGENT_LOST, slot
        )
    note_cleaning(state, slot, now)
    if h.launched < now:
        open_zone(state)
    if state.clock[AWAITED]:
        state.clock[BELLS] |= BELL_CAPACITY  # a group that balances its zones may go on
    _start_daemons(state, slot, now)
    keep_promises(state, slot, now)
    mark_freed(state, slot)
    if h.notice >= 0 and k.drains_on_notice:
        drain(state, slot, now)


@kernel
def open_zone(state: State) -> None:
    """A zone may have capacity that it had not: the scheduler looks whether services are spread evenly."""
    state.clock[ZONES_CHANGED] = 1
    state.clock[BELLS] |= BELL_SCHEDULER


@kernel
def _start_daemons(state: State, slot: int, now: int) -> None:
    """Daemons are the first tasks of a new instance (ECS Developer Guide: daemon scheduling)."""
    klass = state.instances[slot].klass
    for row in state.daemons:
        s = state.sets[row]
        if state.eligible[s.first_lane, klass] == ELIGIBLE and fits(
            state.hosts, request_of(state, s.first_shape), slot
        ):
            service = state.services[s.service]
            task = new_task(state, row, s.first_lane, s.first_shape, service.ordinal, now)
            service.ordinal += 1
            serial = state.tasks[task].task_id
            tell(state, now, _TASKS_STARTED, state.instances[slot].instance_id, serial, s.service)
            place_on_host(state, task, slot, now)
    ring_daemons(state)


@kernel_entry
def drain(state: State, slot: int, now: int) -> None:
    """ACTIVE -> DRAINING: no new tasks; PENDING service tasks stop, RUNNING ones are to be replaced.

    Standalone tasks are untouched (botocore: UpdateContainerInstancesState; golden 79).
    """
    h = state.instances[slot]
    if h.state != ACTIVE:
        return
    h.state = DRAINING
    h.draining = now
    close_host(state.hosts, slot)
    state.clock[BELLS] |= BELL_CAPACITY
    ring_daemons(state)
    task = h.first_task
    while task >= 0:
        t = state.tasks[task]
        following = t.next_on_host
        s = state.sets[t.set]
        if s.daemon:
            pass  # the last to stop
        elif s.service >= 0 and t.state == PENDING:
            ask_stop(state, task, now, _SCHEDULER_INITIATED, _DRAINED)
        elif s.service >= 0 and t.state == RUNNING:
            t.leaving = 1
            s.leaving += 1
            ring_scheduler(state, s.service)
        task = following


@kernel_entry
def activate(state: State, slot: int, now: int) -> None:
    """DRAINING -> ACTIVE again; its service tasks may stay."""
    h = state.instances[slot]
    if h.state != DRAINING or h.terminating:
        return
    h.state = ACTIVE
    h.draining = NEVER
    open_zone(state)
    ring_daemons(state)
    if h.connected:
        open_host(state.hosts, slot, h.klass)
    task = h.first_task
    while task >= 0:
        t = state.tasks[task]
        if t.leaving:
            t.leaving = 0
            state.sets[t.set].leaving -= 1
            ring_scheduler(state, state.sets[t.set].service)
        task = t.next_on_host
    mark_freed(state, slot)


@kernel_entry
def end_instance(state: State, slot: int, now: int, reason: int) -> None:
    """The instance is gone, and every task on it with it."""
    h = state.instances[slot]
    k = state.classes[h.klass]
    if h.state == ACTIVE:
        close_host(state.hosts, slot)
    if h.connected == 0:
        state.clock[DISCONNECTED] -= 1
    h.state = TERMINATED
    while h.first_task >= 0:
        t = state.tasks[h.first_task]
        if t.stopping < 0:
            t.stop_code = _SPOT_INTERRUPTION if reason == RECLAIMED else _TERMINATION_NOTICE
            t.reason = _HOST_TERMINATED
        finish(state, h.first_task, now)
    break_promises(state, slot, now)
    if h.registered >= 0:
        touch_instance(state, slot, now)
    settle_instance(state, slot, now)
    h.terminated = now
    h.reason = reason
    if h.subnet != NO_SUBNET:
        state.free_addresses[h.subnet] += k.addresses
    touch_provider(state, k.provider, now)
    p = state.providers[k.provider]
    p.instances -= 1
    p.usd_per_hour -= k.usd_per_hour
    if h.registered >= 0:
        p.registered -= 1
        p.registered_cpu -= k.cpu
        p.registered_memory -= k.memory
    clock = state.clock
    clock[CAPACITY_EPOCH] += 1
    clock[BELLS] |= BELL_CAPACITY
    ring_daemons(state)
    state.lost[clock[LOST]] = h
    clock[LOST] += 1
    h.instance_id = NEVER
    h.klass = NEVER
    state.free_instances[clock[FREE_INSTANCES]] = slot
    clock[FREE_INSTANCES] += 1
