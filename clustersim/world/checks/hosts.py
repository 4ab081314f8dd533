"""Rules of hosts: instances and providers count what their tasks add up to, and a queued task fits on no host.

It compares a `Recount` that `checks.tasks` has filled with the rows of instances, strategy items, sets, services,
zones and providers; what instances register with their providers is summed here.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.vocabulary import CPU, ENI, GPU, MEMORY, RESOURCES, InstanceState
from clustersim.world.checks.recount import (
    ALL,
    ASSIGNED,
    DISCONNECTED_AGENTS,
    NON_DAEMON,
    WAITING_TASKS,
    Recount,
)
from clustersim.world.checks.rules import (
    ASSIGNED_TASKS,
    DISCONNECTED,
    FITS,
    FREE,
    INSTANCES,
    NON_DAEMON_TASKS,
    OF_FARGATE,
    OF_PROVIDER,
    OF_SERVICE,
    OF_SET,
    OF_STRATEGY_ITEM,
    OF_ZONE,
    OPEN,
    OVERCOMMITTED,
    PORTS,
    PROVISIONING_OF_PROVIDER,
    PROVISIONING_THERE,
    REGISTERED_CPU,
    REGISTERED_MEMORY,
    SOUND,
    TASK_COUNT,
    WAITING,
)
from clustersim.world.state.tables import State

_ACTIVE = int(InstanceState.ACTIVE)
_DRAINING = int(InstanceState.DRAINING)


@kernel
def check_hosts(state: State, recount: Recount) -> int:
    """Return the first broken rule about instances; sum what they bring to their providers."""
    for slot in range(state.instances.rows.size):
        h = state.instances.rows[slot]
        if h.instance_id < 0:
            continue
        if h.state in (_ACTIVE, _DRAINING):
            broken = _check_room(state, recount, slot)
            if broken != SOUND:
                return broken
        if recount.on_host[ALL, slot] != h.task_count:
            return TASK_COUNT
        if recount.on_host[NON_DAEMON, slot] != h.non_daemon_tasks:
            return NON_DAEMON_TASKS
        is_open = state.instances.hosts.instance_class[slot] >= 0
        if is_open != (h.state == _ACTIVE and h.connected == 1):
            return OPEN
        recount.totals[DISCONNECTED_AGENTS] += h.connected == 0
        k = state.capacity.classes[h.instance_class]
        sums = recount.of_providers[k.provider]
        sums[INSTANCES] += 1
        if h.registered >= 0:
            sums[REGISTERED_CPU] += k.cpu
            sums[REGISTERED_MEMORY] += k.memory
    if recount.totals[DISCONNECTED_AGENTS] != state.counters.disconnected_agents:
        return DISCONNECTED
    return SOUND


@kernel
def _check_room(state: State, recount: Recount, slot: int) -> int:
    """Check that reserved resources are the sum over live tasks, and never more than registered."""
    instance_class = state.instances.rows[slot].instance_class
    k = state.capacity.classes[instance_class]
    sizes = (k.cpu, k.memory, k.gpus, k.enis, k.host_ports)
    for resource in range(RESOURCES):
        recount.detail[0] = resource
        free = state.instances.hosts.free[resource, slot]
        if free != sizes[resource] - recount.used[slot, resource]:
            return FREE
        if free < 0:
            return OVERCOMMITTED
    for word in range(recount.ports.shape[1]):
        taken = state.capacity.class_ports[instance_class, word] | recount.ports[slot, word]
        if state.instances.hosts.ports[slot, word] != taken:
            return PORTS
    return SOUND


@kernel
def compare_counts(state: State, recount: Recount) -> int:
    """Check the counts per set, service, strategy item and zone."""
    for row in range(state.sets.rows.size):
        s = state.sets.rows[row]
        phases = (s.provisioning, s.pending, s.running, s.healthy)
        marks = (s.unhealthy, s.ready, s.hung, s.stopping, s.leaving)
        for number in range(len(phases) + len(marks)):
            count = phases[number] if number < len(phases) else marks[number - len(phases)]
            if recount.of_sets[row, number] != count:
                recount.detail[0] = number
                return OF_SET
    for row in range(state.services.rows.size):
        v = state.services.rows[row]
        phases = (v.provisioning, v.pending, v.running, v.healthy)
        for number in range(len(phases)):
            if recount.of_services[row, number] != phases[number]:
                recount.detail[0] = number
                return OF_SERVICE
    for row in range(state.sets.strategy_items.size):
        if recount.of_strategy_items[row] != state.sets.strategy_items[row].live:
            return OF_STRATEGY_ITEM
    for group in range(state.placement.zone_counts.shape[0]):
        for zone in range(state.placement.zone_counts.shape[1]):
            if recount.of_zones[group, zone] != state.placement.zone_counts[group, zone]:
                return OF_ZONE
    return _compare_providers(state, recount)


@kernel
def _compare_providers(state: State, recount: Recount) -> int:
    """Check that reserved and registered resources of providers are the sums over their instances and Fargate tasks."""
    for row in range(state.capacity.providers.size):
        p = state.capacity.providers[row]
        sums = (p.registered_cpu, p.registered_memory, p.instances, p.cpu, p.memory, p.running)
        for number in range(len(sums)):
            if recount.of_providers[row, number] != sums[number]:
                recount.detail[0] = number
                return OF_PROVIDER
        if recount.of_providers[row, PROVISIONING_THERE] != p.provisioning:
            return PROVISIONING_OF_PROVIDER
    for row in range(state.capacity.fargate_quotas.size):
        if recount.of_buckets[row] != state.capacity.fargate_quotas[row].cpu:
            return OF_FARGATE
    return SOUND


@kernel
def check_waiting(state: State, recount: Recount) -> int:
    """Check that queues hold exactly the waiting tasks, and that none fits on a host.

    Only tasks whose placement is decided by plain resources are tried.
    """
    if recount.totals[WAITING_TASKS] != state.counters.waiting_tasks:
        return WAITING
    if recount.totals[ASSIGNED] != state.counters.assigned_tasks:
        return ASSIGNED_TASKS
    for shape in range(state.sets.shapes.size):
        if (
            recount.shape_waits[shape] == 1
            and state.sets.strategy_items[state.sets.shapes[shape].strategy_item].resources_only != 0
        ):
            for slot in range(state.instances.rows.size):
                if _fits(state, shape, slot):
                    recount.detail[0] = shape
                    return FITS
    return SOUND


@kernel
def _fits(state: State, shape: int, slot: int) -> bool:
    """Return whether an open instance has room for a task of this shape."""
    q = state.sets.shapes[shape]
    instance_class = state.instances.hosts.instance_class[slot]
    if instance_class < 0 or state.placement.eligible[q.strategy_item, instance_class] != 1:
        return False
    free = state.instances.hosts.free
    if free[CPU, slot] < q.cpu or free[MEMORY, slot] < q.memory:
        return False
    return bool(
        free[GPU, slot] >= q.gpus and free[ENI, slot] >= state.sets.strategy_items[q.strategy_item].eni
    )
