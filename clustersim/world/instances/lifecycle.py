"""Lifecycle of container instances: launched, registered, draining, terminated.

The only code that changes the state of an instance, as `state.task_states` is for tasks. `control.capacity.capacity`
decides how many there should be; the time of a failure is drawn at registration.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.policy.placement.hosts import ELIGIBLE, close_host, open_host
from clustersim.policy.placement.placement import host_fits
from clustersim.policy.tasks.subnet_addresses import NO_SUBNET, subnet_with_most_free
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
    mark_gained_room,
)
from clustersim.world.scheduling.instance_assignments import place_assigned, unassign
from clustersim.world.scheduling.provisioning import make_placement_request
from clustersim.world.state.calendar_entries import schedule_entry
from clustersim.world.state.counters import WAKE_CAPACITY, WAKE_SCHEDULER
from clustersim.world.state.event_rows import emit_event
from clustersim.world.state.random_durations import draw_duration
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import (
    AGENT_DISCONNECTS,
    INSTANCE_FAILS,
    INSTANCE_REGISTERS,
    PENDING,
    RUNNING,
    SPOT_NOTICE_DUE,
    create_task,
    mark_daemons_dirty,
    mark_service_dirty,
)
from clustersim.world.state.usage import Slots, integrate_instance, integrate_provider, settle_instance_cost
from clustersim.world.tasks.image_pulls import preload_images, schedule_image_cleanup
from clustersim.world.tasks.lifecycle import finish_task, stop_task
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
def launch_instance(state: State, instance_class: int, ordinal: int, now: int, register_at: int) -> int:
    """Launch the `ordinal`-th instance of a group and return its slot.

    It is billed from now on and registers at `register_at`.
    """
    counters = state.counters
    counters.free_instances -= 1
    slot = state.instances.free[counters.free_instances]
    h = state.instances.rows[slot]
    h.instance_id = counters.next_instance_id
    counters.next_instance_id += 1
    h.ordinal = ordinal
    h.launched = h.accrued_until = now
    h.registered = h.draining = h.terminated = h.notice_at = NEVER
    h.integrated_until = h.last_task_change = now
    h.cpu_area = h.memory_area = h.tasks_started = 0
    h.cost = 0.0
    h.instance_class = instance_class
    h.first_task = h.first_assigned = NEVER
    h.task_count = h.non_daemon_tasks = h.used_cpu = h.used_memory = 0
    h.state = REGISTERING
    h.reason = h.gained_room = h.terminating = h.protected = 0
    h.connected = 1
    state.instances.hosts.facts[:, slot] = 0
    k = state.capacity.classes[instance_class]
    _take_addresses(state, slot)
    preload_images(state, slot, now)
    if k.interruption >= 0:
        schedule_before_end(
            state,
            now + draw_duration(state, k.interruption, k.interruption_key, ordinal, 0),
            SPOT_NOTICE_DUE,
            slot,
        )
    integrate_provider(state, k.provider, now)
    state.capacity.providers[k.provider].instances += 1
    state.capacity.providers[k.provider].usd_per_hour += k.usd_per_hour
    if register_at <= now:
        register_instance(state, slot, now)
    else:
        schedule_entry(state, register_at, INSTANCE_REGISTERS, slot, h.instance_id)
    return int(slot)


@kernel
def _take_addresses(state: State, slot: int) -> None:
    """Take the addresses of an instance. The caller has made sure that there are some."""
    h = state.instances.rows[slot]
    k = state.capacity.classes[h.instance_class]
    h.subnet = subnet_with_most_free(
        state.capacity.free_addresses,
        state.capacity.subnet_zones,
        state.capacity.pool_subnets[k.pool],
        k.zone,
    )
    if h.subnet != NO_SUBNET and state.capacity.free_addresses[h.subnet] < k.addresses:
        h.subnet = NO_SUBNET
    if h.subnet != NO_SUBNET:
        state.capacity.free_addresses[h.subnet] -= k.addresses


@kernel
def schedule_before_end(state: State, at: int, rank: int, slot: int) -> None:
    """Schedule an entry of an instance, unless it is due after the end of the run."""
    if at < state.clock.end:
        schedule_entry(state, at, rank, slot, state.instances.rows[slot].instance_id)


@kernel_entry
def launch_instances(
    state: State, classes: Slots, ordinals: Slots, now: int, at_once: bool, launched: Slots
) -> None:
    """Launch a batch of instances in its order and write their slots to `launched`.

    They register at once (the initial instances of a run) or after launchTime.
    """
    for i in range(classes.size):
        k = state.capacity.classes[classes[i]]
        delay = 0 if at_once else max(1, draw_duration(state, k.launch, k.launch_key, ordinals[i], 0))
        launched[i] = launch_instance(state, classes[i], ordinals[i], now, now + delay)


@kernel
def register_instance(state: State, slot: int, now: int) -> None:
    """Move an instance from REGISTERING to ACTIVE and offer its registered resources for placement."""
    h = state.instances.rows[slot]
    if h.state != REGISTERING:
        return
    k = state.capacity.classes[h.instance_class]
    h.state = ACTIVE
    h.registered = h.integrated_until = now
    free = state.instances.hosts.free
    free[CPU, slot] = k.cpu
    free[MEMORY, slot] = k.memory
    free[GPU, slot] = k.gpus
    free[ENI, slot] = k.enis
    free[HOST_PORTS, slot] = k.host_ports
    for word in range(state.capacity.class_ports.shape[1]):
        state.instances.hosts.ports[slot, word] = state.capacity.class_ports[h.instance_class, word]
    state.instances.hosts.facts[1, slot] = now
    state.instances.hosts.facts[2, slot] = h.instance_id
    state.instances.hosts.facts[3, slot] = 1
    open_host(state.instances.hosts, slot, h.instance_class)
    integrate_provider(state, k.provider, now)
    p = state.capacity.providers[k.provider]
    p.registered += 1
    p.registered_cpu += k.cpu
    p.registered_memory += k.memory
    if k.failure >= 0:
        lifetime = max(1, draw_duration(state, k.failure, k.failure_key, h.ordinal, 0))
        schedule_entry(state, now + lifetime, INSTANCE_FAILS, slot, h.instance_id)
    if k.disconnect >= 0:
        schedule_before_end(
            state,
            now + max(1, draw_duration(state, k.disconnect, k.agent_key, h.ordinal, 0)),
            AGENT_DISCONNECTS,
            slot,
        )
    schedule_image_cleanup(state, slot, now)
    if h.launched < now:
        mark_zones_changed(state)
    if state.counters.awaited:
        state.counters.controllers_to_wake |= WAKE_CAPACITY  # a group that rebalances its zones may continue
    _start_daemons(state, slot, now)
    place_assigned(state, slot, now)
    mark_gained_room(state, slot)
    if h.notice_at >= 0 and k.drains_on_notice:
        drain_instance(state, slot, now)


@kernel
def mark_zones_changed(state: State) -> None:
    """Record that a zone may have gained capacity: the scheduler checks whether services are spread evenly."""
    state.counters.zones_changed = 1
    state.counters.controllers_to_wake |= WAKE_SCHEDULER


@kernel
def _start_daemons(state: State, slot: int, now: int) -> None:
    """Start the daemons, the first tasks of a new instance (ECS Developer Guide: daemon scheduling)."""
    instance_class = state.instances.rows[slot].instance_class
    for row in state.services.daemons:
        s = state.sets.rows[row]
        if state.placement.eligible[s.first_item, instance_class] == ELIGIBLE and host_fits(
            state.instances.hosts, make_placement_request(state, s.first_shape), slot
        ):
            service = state.services.rows[s.service]
            task = create_task(state, row, s.first_item, s.first_shape, service.ordinal, now)
            service.ordinal += 1
            task_id = state.tasks.rows[task].task_id
            emit_event(state, now, _TASKS_STARTED, state.instances.rows[slot].instance_id, task_id, s.service)
            place_on_host(state, task, slot, now)
    mark_daemons_dirty(state)


@kernel_entry
def drain_instance(state: State, slot: int, now: int) -> None:
    """Move an instance from ACTIVE to DRAINING: it gets no new tasks.

    PENDING service tasks stop, RUNNING ones are to be replaced, and standalone tasks are untouched (botocore:
    UpdateContainerInstancesState; golden 79).
    """
    h = state.instances.rows[slot]
    if h.state != ACTIVE:
        return
    h.state = DRAINING
    h.draining = now
    close_host(state.instances.hosts, slot)
    state.counters.controllers_to_wake |= WAKE_CAPACITY
    mark_daemons_dirty(state)
    task = h.first_task
    while task >= 0:
        t = state.tasks.rows[task]
        following = t.next_on_host
        s = state.sets.rows[t.set]
        if s.daemon:
            pass  # daemons stop last
        elif s.service >= 0 and t.state == PENDING:
            stop_task(state, task, now, _SCHEDULER_INITIATED, _DRAINED)
        elif s.service >= 0 and t.state == RUNNING:
            t.leaving = 1
            s.leaving += 1
            mark_service_dirty(state, s.service)
        task = following


@kernel_entry
def activate_instance(state: State, slot: int, now: int) -> None:
    """Move an instance from DRAINING back to ACTIVE; its service tasks may stay."""
    h = state.instances.rows[slot]
    if h.state != DRAINING or h.terminating:
        return
    h.state = ACTIVE
    h.draining = NEVER
    mark_zones_changed(state)
    mark_daemons_dirty(state)
    if h.connected:
        open_host(state.instances.hosts, slot, h.instance_class)
    task = h.first_task
    while task >= 0:
        t = state.tasks.rows[task]
        if t.leaving:
            t.leaving = 0
            state.sets.rows[t.set].leaving -= 1
            mark_service_dirty(state, state.sets.rows[t.set].service)
        task = t.next_on_host
    mark_gained_room(state, slot)


@kernel_entry
def end_instance(state: State, slot: int, now: int, reason: int) -> None:
    """Terminate an instance and end every task on it."""
    h = state.instances.rows[slot]
    k = state.capacity.classes[h.instance_class]
    if h.state == ACTIVE:
        close_host(state.instances.hosts, slot)
    if h.connected == 0:
        state.counters.disconnected_agents -= 1
    h.state = TERMINATED
    while h.first_task >= 0:
        t = state.tasks.rows[h.first_task]
        if t.stopping < 0:
            t.stop_code = _SPOT_INTERRUPTION if reason == RECLAIMED else _TERMINATION_NOTICE
            t.reason = _HOST_TERMINATED
        finish_task(state, h.first_task, now)
    unassign(state, slot, now)
    if h.registered >= 0:
        integrate_instance(state, slot, now)
    settle_instance_cost(state, slot, now)
    h.terminated = now
    h.reason = reason
    if h.subnet != NO_SUBNET:
        state.capacity.free_addresses[h.subnet] += k.addresses
    integrate_provider(state, k.provider, now)
    p = state.capacity.providers[k.provider]
    p.instances -= 1
    p.usd_per_hour -= k.usd_per_hour
    if h.registered >= 0:
        p.registered -= 1
        p.registered_cpu -= k.cpu
        p.registered_memory -= k.memory
    counters = state.counters
    counters.capacity_epoch += 1
    counters.controllers_to_wake |= WAKE_CAPACITY
    mark_daemons_dirty(state)
    state.outputs.terminated_instances[counters.terminated_instances] = h
    counters.terminated_instances += 1
    h.instance_id = NEVER
    h.instance_class = NEVER
    state.instances.free[counters.free_instances] = slot
    counters.free_instances += 1
