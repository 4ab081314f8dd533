"""What a placed task holds, taken and given back: resources of a host or a Fargate slot, and every count of them.

Called by `lives`. Which host was the placer's choice; this module only keeps the books.
"""

from __future__ import annotations

from clustersim.engine.compiled import inlined, kernel
from clustersim.policy.placement.hosts import release, reserve
from clustersim.policy.tasks.subnet_addresses import NO_SUBNET, roomiest
from clustersim.vocabulary import (
    NEVER,
    InstanceState,
)
from clustersim.world.state.tables import (
    BELL_CAPACITY,
    BELLS,
    CAPACITY_EPOCH,
    FREED,
    State,
)
from clustersim.world.state.task_states import PENDING, fill_need, move, ring_daemons
from clustersim.world.state.usage import touch_instance, touch_provider

_SHORT = 1 << 30  # counts for so many tasks: more than anybody has
_ACTIVE = int(InstanceState.ACTIVE)
_DRAINING = int(InstanceState.DRAINING)


@kernel
def mark_freed(state: State, host: int) -> None:
    """Note that a host may now take what it could not: the waiting are served at the end of the instant."""
    h = state.instances[host]
    state.clock[CAPACITY_EPOCH] += 1
    if h.freed == 0 and h.state == _ACTIVE:
        h.freed = 1
        state.freed[state.clock[FREED]] = host
        state.clock[FREED] += 1


@kernel
def hold_host(state: State, slot: int, host: int, now: int) -> None:
    """Reserve what the task needs on container instance `host`."""
    t = state.tasks[slot]
    h = state.instances[host]
    provider = state.classes[h.klass].provider  # of the host: a launch type has none of its own
    touch_instance(state, host, now)
    touch_provider(state, provider, now)
    fill_need(state, t.shape)
    reserve(state.hosts, host, state.need, state.lane_ports[t.lane])
    move(state, slot, PENDING, now)
    t.placed = t.accrued = now
    t.slot, t.instance_id = host, h.instance_id
    t.zone = state.classes[h.klass].zone
    t.previous_on_host, t.next_on_host = NEVER, h.first_task
    if h.first_task >= 0:
        state.tasks[h.first_task].previous_on_host = slot
    h.first_task = slot
    h.task_count += 1
    h.changed = now
    h.working += 1 - state.sets[t.set].daemon
    h.tasks_started += 1
    h.used_cpu += t.cpu
    h.used_memory += t.memory
    p = state.providers[provider]
    p.cpu += t.cpu
    p.memory += t.memory
    p.running += 1
    group = state.sets[t.set].group
    state.zone_counts[group, t.zone] += 1
    state.hosts.facts[0, host] = h.task_count
    if state.fact_row[group] >= 0:
        state.hosts.facts[state.fact_row[group], host] += 1
    if state.program.shape[0] > 0:
        mark_freed(state, host)  # another task may be waiting for just this company


@kernel
def fargate_zone(state: State, number: int) -> int:
    """The zone for the next task of lane `number` on Fargate: of those with capacity the one that holds the
    fewest tasks of the group; -1 where none has any.

    Fargate does not look at addresses: where tasks found none lately, the next one only goes if it has to.
    """
    lane = state.lanes[number]
    group = state.sets[lane.set].group
    zone, fewest = -1, 0
    for z in range(state.lane_zones.shape[1]):
        if state.lane_zones[number, z] == 0 or state.fargate_closed[lane.bucket, z] > 0:
            continue
        count = state.zone_counts[group, z] + _SHORT * ((lane.short_zones >> z) & 1)
        if zone < 0 or count < fewest:
            zone, fewest = z, count
    return zone


@kernel
def has_address(state: State, number: int, zone: int) -> bool:
    """Whether the next task of lane `number` would find an address in `zone`, if it needs one."""
    if state.lanes[number].addresses == 0:
        return True
    allowed = state.lane_subnets[number]
    return bool(roomiest(state.free_addresses, state.subnet_zones, allowed, zone) != NO_SUBNET)


@kernel
def take_address(state: State, slot: int, zone: int) -> bool:
    """Take an address in `zone` for a task that needs one; False: no subnet of the task has any there."""
    t = state.tasks[slot]
    lane = state.lanes[t.lane]
    if lane.addresses == 0:
        return True
    subnet = roomiest(state.free_addresses, state.subnet_zones, state.lane_subnets[t.lane], zone)
    if subnet == NO_SUBNET:
        lane.short_zones |= 1 << zone
        return False
    state.free_addresses[subnet] -= 1
    t.subnet = subnet
    lane.short_zones = 0
    return True


@kernel
def hold_fargate(state: State, slot: int, now: int) -> None:
    """Take a slot of AWS's own fleet; the caller made sure that some zone has capacity."""
    t = state.tasks[slot]
    lane = state.lanes[t.lane]
    group = state.sets[t.set].group
    zone = t.zone  # of zone rebalancing's choice, unless it has been closed since
    if zone < 0 or state.fargate_closed[lane.bucket, zone] > 0:
        zone = fargate_zone(state, t.lane)
    touch_provider(state, lane.provider, now)
    move(state, slot, PENDING, now)
    t.placed = now
    t.accrued = NEVER
    t.zone = zone
    p = state.providers[lane.provider]
    p.cpu += t.cpu
    p.memory += t.memory
    p.running += 1
    state.zone_counts[group, zone] += 1
    if state.sets[t.set].pulls == 0:
        bill_fargate(state, slot, now)


@kernel
def bill_fargate(state: State, slot: int, now: int) -> None:
    """From now on a Fargate task is billed: from the pull of its images on, without one from its placement."""
    t = state.tasks[slot]
    if t.accrued < 0:
        t.accrued = now
        state.providers[state.lanes[t.lane].provider].usd_per_hour += _usd_per_hour(state, slot)


@inlined
def _usd_per_hour(state: State, slot: int) -> float:
    """What a Fargate task costs."""
    t = state.tasks[slot]
    price = state.fargate_prices[state.lanes[t.lane].price]
    return float(3_600_000.0 * (t.cpu * price.usd_per_cpu_ms + t.memory * price.usd_per_mib_ms))


@kernel
def let_go(state: State, slot: int, now: int) -> None:
    """Give back what a placed task held."""
    t = state.tasks[slot]
    lane = state.lanes[t.lane]
    provider = lane.provider if lane.fargate else state.classes[state.instances[t.slot].klass].provider
    touch_provider(state, provider, now)
    p = state.providers[provider]
    p.cpu -= t.cpu
    p.memory -= t.memory
    p.running -= 1
    if t.subnet >= 0:
        state.free_addresses[t.subnet] += 1
    if lane.fargate:
        if t.accrued >= 0:
            p.usd_per_hour -= _usd_per_hour(state, slot)
        state.clock[CAPACITY_EPOCH] += 1  # a vCPU quota has room again
        return
    touch_instance(state, t.slot, now)
    h = state.instances[t.slot]
    h.task_count -= 1
    h.changed = now
    h.working -= 1 - state.sets[t.set].daemon
    if h.working == 0 and h.state == _DRAINING:
        state.clock[BELLS] |= BELL_CAPACITY  # who drains it may now terminate it
        ring_daemons(state)
    h.used_cpu -= t.cpu
    h.used_memory -= t.memory
    if t.next_on_host >= 0:
        state.tasks[t.next_on_host].previous_on_host = t.previous_on_host
    if t.previous_on_host >= 0:
        state.tasks[t.previous_on_host].next_on_host = t.next_on_host
    else:
        h.first_task = t.next_on_host
    fill_need(state, t.shape)
    release(state.hosts, t.slot, state.need, state.lane_ports[t.lane])
    state.hosts.facts[0, t.slot] = h.task_count
    row = state.fact_row[state.sets[t.set].group]
    if row >= 0:
        state.hosts.facts[row, t.slot] -= 1
    mark_freed(state, t.slot)
