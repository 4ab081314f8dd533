"""Allocation of what placed tasks hold: resources of a host, a Fargate slot, an address, and every count of them.

The kernels of `tasks.startup` and `tasks.lifecycle` call it. It only keeps the accounts; the host was chosen by the
placement policy.
"""

from __future__ import annotations

from clustersim.engine.compiled import inlined, kernel
from clustersim.policy.placement.hosts import release, reserve
from clustersim.policy.tasks.subnet_addresses import NO_SUBNET, subnet_with_most_free
from clustersim.vocabulary import (
    NEVER,
    InstanceState,
)
from clustersim.world.state.counters import WAKE_CAPACITY
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import PENDING, mark_daemons_dirty, move_task, write_need
from clustersim.world.state.usage import integrate_instance, integrate_provider

_ADDRESS_PENALTY = 1 << 30  # added to a zone's task count: more than any group has
_ACTIVE = int(InstanceState.ACTIVE)
_DRAINING = int(InstanceState.DRAINING)


@kernel
def mark_gained_room(state: State, host: int) -> None:
    """Record that a host may now fit a task it could not before; queued tasks are tried at the end of the instant."""
    h = state.instances.rows[host]
    state.counters.capacity_epoch += 1
    if h.gained_room == 0 and h.state == _ACTIVE:
        h.gained_room = 1
        state.instances.hosts_with_new_room[state.counters.hosts_with_new_room] = host
        state.counters.hosts_with_new_room += 1


@kernel
def allocate_on_host(state: State, slot: int, host: int, now: int) -> None:
    """Reserve the resources of a task on container instance `host` and move the task to PENDING."""
    t = state.tasks.rows[slot]
    h = state.instances.rows[host]
    provider = state.capacity.classes[h.instance_class].provider  # the host's: a launch type has no provider
    integrate_instance(state, host, now)
    integrate_provider(state, provider, now)
    write_need(state, t.resource_shape)
    reserve(state.instances.hosts, host, state.placement.need, state.placement.item_ports[t.strategy_item])
    move_task(state, slot, PENDING, now)
    t.placed = t.accrued_until = now
    t.instance_slot, t.instance_id = host, h.instance_id
    t.zone = state.capacity.classes[h.instance_class].zone
    t.previous_on_host, t.next_on_host = NEVER, h.first_task
    if h.first_task >= 0:
        state.tasks.rows[h.first_task].previous_on_host = slot
    h.first_task = slot
    h.task_count += 1
    h.last_task_change = now
    h.non_daemon_tasks += 1 - state.sets.rows[t.set].daemon
    h.tasks_started += 1
    h.used_cpu += t.cpu
    h.used_memory += t.memory
    p = state.capacity.providers[provider]
    p.cpu += t.cpu
    p.memory += t.memory
    p.running += 1
    group = state.sets.rows[t.set].group
    state.placement.zone_counts[group, t.zone] += 1
    state.instances.hosts.facts[0, host] = h.task_count
    if state.placement.fact_row[group] >= 0:
        state.instances.hosts.facts[state.placement.fact_row[group], host] += 1
    if state.placement.program.shape[0] > 0:
        mark_gained_room(state, host)  # a memberOf constraint on task:group may have become true


@kernel
def choose_fargate_zone(state: State, item_row: int) -> int:
    """Return the zone for the next task of a strategy item on Fargate; -1 if no zone has capacity.

    It is the zone with capacity that holds the fewest tasks of the group. Fargate does not check addresses: a zone in
    which tasks recently found none is chosen only if there is no other.
    """
    item = state.sets.strategy_items[item_row]
    group = state.sets.rows[item.set].group
    zone, fewest = -1, 0
    for z in range(state.placement.item_zones.shape[1]):
        if state.placement.item_zones[item_row, z] == 0 or state.capacity.fargate_closed[item.bucket, z] > 0:
            continue
        count = state.placement.zone_counts[group, z] + _ADDRESS_PENALTY * (
            (item.zones_without_address >> z) & 1
        )
        if zone < 0 or count < fewest:
            zone, fewest = z, count
    return zone


@kernel
def has_address(state: State, item_row: int, zone: int) -> bool:
    """Return whether the next task of a strategy item would find an address in `zone`, or needs none."""
    if state.sets.strategy_items[item_row].addresses == 0:
        return True
    allowed = state.placement.item_subnets[item_row]
    return bool(
        subnet_with_most_free(state.capacity.free_addresses, state.capacity.subnet_zones, allowed, zone)
        != NO_SUBNET
    )


@kernel
def take_address(state: State, slot: int, zone: int) -> bool:
    """Take an address in `zone` for a task that needs one; return False if no subnet of the task has any there."""
    t = state.tasks.rows[slot]
    item = state.sets.strategy_items[t.strategy_item]
    if item.addresses == 0:
        return True
    subnet = subnet_with_most_free(
        state.capacity.free_addresses,
        state.capacity.subnet_zones,
        state.placement.item_subnets[t.strategy_item],
        zone,
    )
    if subnet == NO_SUBNET:
        item.zones_without_address |= 1 << zone
        return False
    state.capacity.free_addresses[subnet] -= 1
    t.subnet = subnet
    item.zones_without_address = 0
    return True


@kernel
def allocate_on_fargate(state: State, slot: int, now: int) -> None:
    """Take a Fargate slot and move the task to PENDING. The caller has checked that some zone has capacity."""
    t = state.tasks.rows[slot]
    item = state.sets.strategy_items[t.strategy_item]
    group = state.sets.rows[t.set].group
    zone = t.zone  # chosen by zone rebalancing, unless it has closed since
    if zone < 0 or state.capacity.fargate_closed[item.bucket, zone] > 0:
        zone = choose_fargate_zone(state, t.strategy_item)
    integrate_provider(state, item.provider, now)
    move_task(state, slot, PENDING, now)
    t.placed = now
    t.accrued_until = NEVER
    t.zone = zone
    p = state.capacity.providers[item.provider]
    p.cpu += t.cpu
    p.memory += t.memory
    p.running += 1
    state.placement.zone_counts[group, zone] += 1
    if state.sets.rows[t.set].pulls == 0:
        start_fargate_billing(state, slot, now)


@kernel
def start_fargate_billing(state: State, slot: int, now: int) -> None:
    """Start billing a Fargate task: from the pull of its images, or from its placement if it pulls none."""
    t = state.tasks.rows[slot]
    if t.accrued_until < 0:
        t.accrued_until = now
        state.capacity.providers[
            state.sets.strategy_items[t.strategy_item].provider
        ].usd_per_hour += _usd_per_hour(state, slot)


@inlined
def _usd_per_hour(state: State, slot: int) -> float:
    """Return the price of a Fargate task."""
    t = state.tasks.rows[slot]
    price = state.capacity.fargate_prices[state.sets.strategy_items[t.strategy_item].price]
    return float(3_600_000.0 * (t.cpu * price.usd_per_cpu_ms + t.memory * price.usd_per_mib_ms))


@kernel
def free_allocation(state: State, slot: int, now: int) -> None:
    """Free everything that a placed task holds."""
    t = state.tasks.rows[slot]
    item = state.sets.strategy_items[t.strategy_item]
    provider = (
        item.provider
        if item.fargate
        else state.capacity.classes[state.instances.rows[t.instance_slot].instance_class].provider
    )
    integrate_provider(state, provider, now)
    p = state.capacity.providers[provider]
    p.cpu -= t.cpu
    p.memory -= t.memory
    p.running -= 1
    if t.subnet >= 0:
        state.capacity.free_addresses[t.subnet] += 1
    if item.fargate:
        if t.accrued_until >= 0:
            p.usd_per_hour -= _usd_per_hour(state, slot)
        state.counters.capacity_epoch += 1  # a vCPU quota has room again
        return
    integrate_instance(state, t.instance_slot, now)
    h = state.instances.rows[t.instance_slot]
    h.task_count -= 1
    h.last_task_change = now
    h.non_daemon_tasks -= 1 - state.sets.rows[t.set].daemon
    if h.non_daemon_tasks == 0 and h.state == _DRAINING:
        state.counters.controllers_to_wake |= (
            WAKE_CAPACITY  # a draining instance without tasks may now be terminated
        )
        mark_daemons_dirty(state)
    h.used_cpu -= t.cpu
    h.used_memory -= t.memory
    if t.next_on_host >= 0:
        state.tasks.rows[t.next_on_host].previous_on_host = t.previous_on_host
    if t.previous_on_host >= 0:
        state.tasks.rows[t.previous_on_host].next_on_host = t.next_on_host
    else:
        h.first_task = t.next_on_host
    write_need(state, t.resource_shape)
    release(
        state.instances.hosts,
        t.instance_slot,
        state.placement.need,
        state.placement.item_ports[t.strategy_item],
    )
    state.instances.hosts.facts[0, t.instance_slot] = h.task_count
    row = state.placement.fact_row[state.sets.rows[t.set].group]
    if row >= 0:
        state.instances.hosts.facts[row, t.instance_slot] -= 1
    mark_gained_room(state, t.instance_slot)
