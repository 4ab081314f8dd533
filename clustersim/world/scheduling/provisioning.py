"""Placement of tasks in PROVISIONING: a task is placed, waits, or fails.

RunTask with a launch type fails at once where nothing fits; with a capacity provider the task waits in PROVISIONING,
up to a limit and a timeout (MODEL.md). A queued task fits on no host, so only hosts that gained room are tried again,
once, at the end of the instant: tasks are then placed in order of arrival, and one that does not fit does not block a
later one that does. On Fargate a token bucket accepts launches (section 6.3). The placement policy chooses the host.
"""

from __future__ import annotations

from clustersim.engine.compiled import inlined, kernel, kernel_entry
from clustersim.policy.placement.hosts import ELIGIBLE, PlacementRequest
from clustersim.policy.placement.placement import choose_host, host_fits
from clustersim.policy.placement.placement_failure import find_placement_failure
from clustersim.vocabulary import (
    CPU,
    ENI,
    FARGATE_ACCEPTED,
    GPU,
    HOST_PORTS,
    MEMORY,
    MS_PER_MINUTE,
    PROVISION_TIMEOUT,
    RESOURCES,
    InstanceState,
    StopCode,
    StoppedReason,
    WaitReason,
)
from clustersim.world.resources.allocation import choose_fargate_zone
from clustersim.world.state.calendar_entries import schedule_entry
from clustersim.world.state.counters import WAKE_CAPACITY
from clustersim.world.state.provisioning_queues import join_queue, leave_queue
from clustersim.world.state.tables import State
from clustersim.world.state.target_changes import has_room_for_changes
from clustersim.world.state.task_states import PENDING, write_need
from clustersim.world.tasks.lifecycle import finish_task
from clustersim.world.tasks.startup import place_on_fargate, place_on_host

US_PER_MS = 1_000
LONG_AGO_MS = 1 << 50
COMPARISONS_PER_MS = 16
"""How many waiting shapes on hosts are compared to renew wait reasons, for each simulated ms."""

_FAILED_TO_START = int(StopCode.TaskFailedToStart)
_PLACEMENT_FAILED = int(StoppedReason.PLACEMENT_FAILED)
_PROVISIONING_LIMIT = int(WaitReason.PROVISIONING_LIMIT)
_VCPU_QUOTA = int(WaitReason.FARGATE_VCPU_QUOTA)
_FARGATE_CAPACITY = int(WaitReason.FARGATE_CAPACITY)
_AGENT = int(WaitReason.AGENT)
_NO_INSTANCES = int(WaitReason.NO_ACTIVE_INSTANCES)
_ACTIVE = int(InstanceState.ACTIVE)


@kernel_entry
def has_room(state: State, tasks: int) -> bool:
    """Return whether `tasks` tasks may be created, moved and ended before an array must grow or be emptied."""
    counters = state.counters
    return bool(
        counters.free_tasks >= tasks
        and state.calendar.heap.shape[0] - counters.heap_size >= counters.entries_per_task * tasks
        and state.outputs.finished_tasks.size - counters.finished_tasks >= tasks
        and state.outputs.events.size - counters.events >= tasks
        and has_room_for_changes(state, tasks)
    )


@kernel
def count_group_on_hosts(state: State, group: int, by: int) -> None:
    """Count the placed tasks of `group` per host (by = 1), or reset these counts (by = 0)."""
    on_host = state.instances.hosts.group_tasks
    slot = state.tasks.group_first[group]
    while slot >= 0:
        t = state.tasks.rows[slot]
        if t.instance_slot >= 0 and (by == 0 or (t.state >= PENDING and t.stopping < 0)):
            on_host[t.instance_slot] = (on_host[t.instance_slot] + 1) * by
        slot = t.next_of_group


@kernel
def make_placement_request(state: State, shape: int) -> PlacementRequest:
    """Return the placement request of a task of `shape`, valid until the next call.

    Its amounts are in `State.placement.need`.
    """
    write_need(state, shape)
    item_row = state.sets.shapes[shape].strategy_item
    item = state.sets.strategy_items[item_row]
    s = state.sets.rows[item.set]
    return PlacementRequest(
        state.placement.need,
        state.placement.item_ports[item_row],
        state.placement.eligible[item_row],
        state.placement.chains[item.set],
        state.placement.zone_counts[s.group],
        state.placement.program[item.program_from : item.program_to],
        int(s.distinct),
        s.place_key,
        state.placement.truth,
    )


@kernel
def find_host(state: State, shape: int, ordinal: int) -> int:
    """Return the host that the placement policy chooses for the next task of `shape`; -1 if none fits."""
    s = state.sets.rows[state.sets.strategy_items[state.sets.shapes[shape].strategy_item].set]
    if s.counts_group_per_host:
        count_group_on_hosts(state, s.group, 1)
    host = choose_host(state.instances.hosts, make_placement_request(state, shape), ordinal)
    if s.counts_group_per_host:
        count_group_on_hosts(state, s.group, 0)
    return host


@kernel
def fits_on(state: State, shape: int, host: int) -> bool:
    """Return whether a task of `shape` fits on this host, beside the tasks of its group."""
    s = state.sets.rows[state.sets.strategy_items[state.sets.shapes[shape].strategy_item].set]
    if s.counts_group_per_host:
        count_group_on_hosts(state, s.group, 1)
    fitting = host_fits(state.instances.hosts, make_placement_request(state, shape), host)
    if s.counts_group_per_host:
        count_group_on_hosts(state, s.group, 0)
    return bool(fitting)


@kernel_entry
def find_wait_reason(state: State, shape: int) -> int:
    """Return the wait reason of a task of `shape` that fits nowhere, and count it in `placement_failures`."""
    code = _determine_wait_reason(state, shape)
    state.placement.failures[code] += 1
    return code


@kernel
def _determine_wait_reason(state: State, shape: int) -> int:
    """Return the wait reason of tasks of a shape that fit nowhere; set `closest_host`, -1 if there is none."""
    s = state.sets.rows[state.sets.strategy_items[state.sets.shapes[shape].strategy_item].set]
    if s.counts_group_per_host:
        count_group_on_hosts(state, s.group, 1)
    code, closest = find_placement_failure(state.instances.hosts, make_placement_request(state, shape))
    if state.counters.disconnected_agents > 0:
        disconnected = _disconnected_host(state, shape)
        if disconnected >= 0:
            code, closest = _AGENT, disconnected
    if s.counts_group_per_host:
        count_group_on_hosts(state, s.group, 0)
    state.counters.closest_host = closest
    return code


@kernel
def _disconnected_host(state: State, shape: int) -> int:
    """Return the first instance that would have room for `shape` if its agent were connected; -1: none."""
    write_need(state, shape)
    item_row = state.sets.shapes[shape].strategy_item
    for slot in range(state.instances.hosts.size[0]):
        h = state.instances.rows[slot]
        if h.instance_id < 0 or h.state != _ACTIVE or h.connected:
            continue
        room = state.placement.eligible[item_row, h.instance_class] == ELIGIBLE
        for resource in range(RESOURCES):
            room = room and state.instances.hosts.free[resource, slot] >= state.placement.need[resource]
        if room:
            return slot
    return -1


@kernel
def renew_wait_reason(state: State, shape: int, now: int) -> None:
    """Renew the wait reason of a shape, since what is short may have changed: at most once a minute.

    Where many shapes wait on many hosts it is less often, so that the work stays small beside that of placement.
    """
    q = state.sets.shapes[shape]
    work = state.counters.waiting_shapes * state.instances.hosts.size[0]
    if now - q.wait_reason_at >= max(MS_PER_MINUTE, work // COMPARISONS_PER_MS):
        q.wait_reason = _determine_wait_reason(state, shape)
        q.wait_reason_at = now


@kernel
def _renew_wait_reasons(state: State, now: int) -> None:
    """Renew the wait reasons of the shapes that were refused on hosts that gained room.

    That there was no instance at all is no reason any more, however short ago it was found.
    """
    for position in range(state.counters.waiting_shapes):
        shape = state.placement.waiting_shapes[position]
        if state.sets.shapes[shape].wait_reason == _NO_INSTANCES:
            state.sets.shapes[shape].wait_reason_at = now - LONG_AGO_MS
        renew_wait_reason(state, shape, now)


@kernel_entry
def settle_wait_reasons(state: State, now: int) -> None:
    """Give every queued task its current wait reason and count it, at the end of a run."""
    for position in range(state.counters.waiting_shapes):
        shape = state.placement.waiting_shapes[position]
        renew_wait_reason(state, shape, now)
        q = state.sets.shapes[shape]
        slot = q.head
        while slot >= 0:
            state.tasks.rows[slot].wait_reason = q.wait_reason
            state.placement.failures[q.wait_reason] += 1
            slot = state.tasks.rows[slot].next_waiting


@kernel
def fail_placement(state: State, slot: int, now: int, code: int) -> None:
    """End a task that was never placed, with wait reason `code`."""
    t = state.tasks.rows[slot]
    t.wait_reason = code
    t.stop_code, t.reason = _FAILED_TO_START, _PLACEMENT_FAILED
    finish_task(state, slot, now)


@kernel
def try_place(state: State, slot: int, now: int) -> None:
    """Place a task in PROVISIONING, queue it, or fail it."""
    t = state.tasks.rows[slot]
    if state.sets.strategy_items[t.strategy_item].fargate:
        _request_fargate(state, slot, now)
        return
    q = state.sets.shapes[t.resource_shape]
    if q.count > 0:  # a task of this shape is already queued, so this one cannot fit either
        renew_wait_reason(state, t.resource_shape, now)
    else:
        host = find_host(state, t.resource_shape, t.ordinal)
        if host >= 0:
            place_on_host(state, slot, host, now)
            return
        q.wait_reason = _determine_wait_reason(state, t.resource_shape)
        q.wait_reason_at = now
    t.wait_reason = q.wait_reason
    if state.sets.strategy_items[t.strategy_item].can_wait == 0:
        state.placement.failures[q.wait_reason] += 1
        fail_placement(state, slot, now, q.wait_reason)
        return
    limit = state.counters.provisioning_limit
    if state.sets.strategy_items[t.strategy_item].managed:
        limit = -1  # the quota does not apply to Managed Instances
    if limit >= 0 and state.counters.waiting_tasks + state.counters.assigned_tasks >= limit:
        state.placement.failures[_PROVISIONING_LIMIT] += 1
        fail_placement(state, slot, now, _PROVISIONING_LIMIT)
        return
    join_queue(state, slot)
    if state.sets.strategy_items[t.strategy_item].managed:
        state.counters.controllers_to_wake |= WAKE_CAPACITY
    if state.counters.provisioning_timeout >= 0:
        schedule_entry(state, now + state.counters.provisioning_timeout, PROVISION_TIMEOUT, slot, t.task_id)


@kernel
def find_fargate_failure(state: State, item_row: int, cpu: int) -> int:
    """Return why Fargate refuses `cpu` more units: the vCPU quota, or no zone with capacity; 0: it accepts."""
    b = state.capacity.fargate_quotas[state.sets.strategy_items[item_row].bucket]
    if b.cpu_limit >= 0 and b.cpu + cpu > b.cpu_limit:
        return _VCPU_QUOTA
    return 0 if choose_fargate_zone(state, item_row) >= 0 else _FARGATE_CAPACITY


@kernel
def _request_fargate(state: State, slot: int, now: int) -> None:
    """Request Fargate capacity: the task fails, or is accepted when the token bucket allows (golden 67)."""
    t = state.tasks.rows[slot]
    b = state.capacity.fargate_quotas[state.sets.strategy_items[t.strategy_item].bucket]
    code = find_fargate_failure(state, t.strategy_item, 0)  # the quota already counts this task
    if code > 0:
        state.placement.failures[code] += 1
        fail_placement(state, slot, now, code)
        return
    now_us = now * US_PER_MS
    b.next_us = max(b.next_us, now_us)
    accepted_us = b.next_us - (b.burst - 1) * b.interval_us
    b.next_us += b.interval_us
    if accepted_us <= now_us:
        place_on_fargate(state, slot, now)
    else:
        schedule_entry(state, (accepted_us + US_PER_MS - 1) // US_PER_MS, FARGATE_ACCEPTED, slot, t.task_id)


@kernel
def accept_fargate_launch(state: State, slot: int, now: int) -> None:
    """Launch a task that the token bucket now accepts; fail it if the last zone has closed in the meantime."""
    if choose_fargate_zone(state, state.tasks.rows[slot].strategy_item) >= 0:
        place_on_fargate(state, slot, now)
    else:
        state.placement.failures[_FARGATE_CAPACITY] += 1
        fail_placement(state, slot, now, _FARGATE_CAPACITY)


@inlined
def _fits(state: State, shape: int, host: int) -> bool:
    """Return whether an open host has the resources for `shape` and is of an eligible class."""
    k = state.instances.hosts.instance_class[host]
    q = state.sets.shapes[shape]
    free = state.instances.hosts.free
    return bool(
        k >= 0
        and free[MEMORY, host] >= q.memory
        and free[CPU, host] >= q.cpu
        and free[GPU, host] >= q.gpus
        and free[ENI, host] >= state.sets.strategy_items[q.strategy_item].eni
        and free[HOST_PORTS, host] >= q.host_ports
        and state.placement.eligible[q.strategy_item, k] == 1
    )


@kernel
def _oldest_fitting_shape(state: State) -> int:
    """Return the shape of the longest queued task that fits, by resources, on a host with new room; -1: none."""
    counters = state.counters
    best = -1
    oldest = 0
    for position in range(counters.waiting_shapes):
        shape = state.placement.waiting_shapes[position]
        q = state.sets.shapes[shape]
        arrived = state.tasks.rows[q.head].task_id
        if q.tried_round == counters.serving_round or (best >= 0 and arrived > oldest):
            continue
        for f in range(counters.hosts_with_new_room):
            if _fits(state, shape, state.instances.hosts_with_new_room[f]):
                best = shape
                oldest = arrived
                break
    return best


@kernel
def place_waiting(state: State, now: int) -> bool:
    """Place queued tasks on the hosts that gained room; return False if an array must grow first (then call again)."""
    counters = state.counters
    counters.serving_round += 1
    while counters.waiting_shapes > 0:
        if not has_room(state, 8):
            return False
        shape = _oldest_fitting_shape(state)
        if shape < 0:
            break
        q = state.sets.shapes[shape]
        slot = q.head
        hosts = counters.hosts_with_new_room
        if hosts == 1 and state.sets.strategy_items[q.strategy_item].resources_only:
            host = state.instances.hosts_with_new_room[0]  # the only host that can have become large enough
        else:
            host = find_host(state, shape, state.tasks.rows[slot].ordinal)
        if host < 0:
            q.tried_round = counters.serving_round
            continue
        leave_queue(state, slot)
        place_on_host(state, slot, host, now)
        if counters.hosts_with_new_room > hosts:
            counters.serving_round += 1
    _renew_wait_reasons(state, now)
    for f in range(counters.hosts_with_new_room):
        state.instances.rows[state.instances.hosts_with_new_room[f]].gained_room = 0
    counters.hosts_with_new_room = 0
    return True


@kernel
def expire_provisioning(state: State, slot: int, now: int) -> None:
    """Stop a task that still waits at the provisioning timeout, with its last wait reason."""
    t = state.tasks.rows[slot]
    if t.waiting:
        renew_wait_reason(state, t.resource_shape, now)
    if t.waiting or t.assigned_instance >= 0:
        t.stop_code, t.reason = _FAILED_TO_START, _PLACEMENT_FAILED
        finish_task(state, slot, now)
