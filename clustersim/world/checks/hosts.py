"""What instances and their providers keep is what their tasks add up to, and who waits fits on none of them.

Compares a `Reading` that `tasks` has filled with the rows of instances, lanes, sets, services, zones and
providers; what providers have registered is summed here.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.vocabulary import CPU, ENI, GPU, MEMORY, RESOURCES, InstanceState
from clustersim.world.checks.recount import ALL, BUSY, PROMISED, SILENT_AGENTS, WAITING_TASKS, Reading
from clustersim.world.checks.rules import (
    FITS,
    FREE,
    INSTANCES,
    OF_FARGATE,
    OF_LANE,
    OF_PROVIDER,
    OF_SERVICE,
    OF_SET,
    OF_ZONE,
    OPEN,
    OVERCOMMITTED,
    PORTS,
    PROMISED_TASKS,
    REGISTERED_CPU,
    REGISTERED_MEMORY,
    SILENT,
    SOUND,
    TASK_COUNT,
    WAITING,
    WAITS_FOR_PROVIDER,
    WHO_WAITS,
    WORKING,
)
from clustersim.world.state import tables
from clustersim.world.state.tables import State

_ACTIVE = int(InstanceState.ACTIVE)
_DRAINING = int(InstanceState.DRAINING)


@kernel
def read_hosts(state: State, reading: Reading) -> int:
    """The first broken rule about instances; what they bring to their providers is summed."""
    for slot in range(state.instances.size):
        h = state.instances[slot]
        if h.instance_id < 0:
            continue
        if h.state in (_ACTIVE, _DRAINING):
            broken = _check_room(state, reading, slot)
            if broken != SOUND:
                return broken
        if reading.on_host[ALL, slot] != h.task_count:
            return TASK_COUNT
        if reading.on_host[BUSY, slot] != h.working:
            return WORKING
        is_open = state.hosts.klass[slot] >= 0
        if is_open != (h.state == _ACTIVE and h.connected == 1):
            return OPEN
        reading.totals[SILENT_AGENTS] += h.connected == 0
        k = state.classes[h.klass]
        sums = reading.of_providers[k.provider]
        sums[INSTANCES] += 1
        if h.registered >= 0:
            sums[REGISTERED_CPU] += k.cpu
            sums[REGISTERED_MEMORY] += k.memory
    if reading.totals[SILENT_AGENTS] != state.clock[tables.DISCONNECTED]:
        return SILENT
    return SOUND


@kernel
def _check_room(state: State, reading: Reading, slot: int) -> int:
    """Reserved is the sum over live tasks, and never more than registered."""
    klass = state.instances[slot].klass
    k = state.classes[klass]
    sizes = (k.cpu, k.memory, k.gpus, k.enis, k.host_ports)
    for resource in range(RESOURCES):
        reading.detail[0] = resource
        free = state.hosts.free[resource, slot]
        if free != sizes[resource] - reading.used[slot, resource]:
            return FREE
        if free < 0:
            return OVERCOMMITTED
    for word in range(reading.ports.shape[1]):
        taken = state.class_ports[klass, word] | reading.ports[slot, word]
        if state.hosts.ports[slot, word] != taken:
            return PORTS
    return SOUND


@kernel
def compare_counts(state: State, reading: Reading) -> int:
    """Counts per set, service, lane and zone are those of the rows."""
    for row in range(state.sets.size):
        s = state.sets[row]
        phases = (s.provisioning, s.pending, s.running, s.healthy)
        marks = (s.unwell, s.ready, s.hung, s.stopping, s.leaving)
        for number in range(len(phases) + len(marks)):
            kept = phases[number] if number < len(phases) else marks[number - len(phases)]
            if reading.of_sets[row, number] != kept:
                reading.detail[0] = number
                return OF_SET
    for row in range(state.services.size):
        of = state.services[row]
        phases = (of.provisioning, of.pending, of.running, of.healthy)
        for number in range(len(phases)):
            if reading.of_services[row, number] != phases[number]:
                reading.detail[0] = number
                return OF_SERVICE
    for row in range(state.lanes.size):
        if reading.of_lanes[row] != state.lanes[row].live:
            return OF_LANE
    for group in range(state.zone_counts.shape[0]):
        for zone in range(state.zone_counts.shape[1]):
            if reading.of_zones[group, zone] != state.zone_counts[group, zone]:
                return OF_ZONE
    return _compare_providers(state, reading)


@kernel
def _compare_providers(state: State, reading: Reading) -> int:
    """What providers say is reserved and registered is the sum over their instances and Fargate tasks."""
    for row in range(state.providers.size):
        p = state.providers[row]
        sums = (p.registered_cpu, p.registered_memory, p.instances, p.cpu, p.memory, p.running)
        for number in range(len(sums)):
            if reading.of_providers[row, number] != sums[number]:
                reading.detail[0] = number
                return OF_PROVIDER
        if reading.of_providers[row, WHO_WAITS] != p.provisioning:
            return WAITS_FOR_PROVIDER
    for row in range(state.buckets.size):
        if reading.of_buckets[row] != state.buckets[row].cpu:
            return OF_FARGATE
    return SOUND


@kernel
def check_waiting(state: State, reading: Reading) -> int:
    """Who waits fits on no host, as far as plain resources decide; queues hold exactly the waiting."""
    if reading.totals[WAITING_TASKS] != state.clock[tables.WAITING_TASKS]:
        return WAITING
    if reading.totals[PROMISED] != state.clock[tables.PROMISED]:
        return PROMISED_TASKS
    for shape in range(state.shapes.size):
        if reading.waits[shape] == 1 and state.lanes[state.shapes[shape].lane].plain != 0:
            for slot in range(state.instances.size):
                if _fits(state, shape, slot):
                    reading.detail[0] = shape
                    return FITS
    return SOUND


@kernel
def _fits(state: State, shape: int, slot: int) -> bool:
    """Whether an open instance has room for a task of this shape."""
    q = state.shapes[shape]
    klass = state.hosts.klass[slot]
    if klass < 0 or state.eligible[q.lane, klass] != 1:
        return False
    free = state.hosts.free
    if free[CPU, slot] < q.cpu or free[MEMORY, slot] < q.memory:
        return False
    return bool(free[GPU, slot] >= q.gpus and free[ENI, slot] >= state.lanes[q.lane].eni)
