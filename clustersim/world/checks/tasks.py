"""What each live task adds to the counts, and what must be true of it alone.

Reads a task with its set, lane and shape, and writes the sums into a `Reading`; `counts` and `hosts` compare
them with what the gateway keeps.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.vocabulary import CPU, ENI, GPU, HOST_PORTS, MEMORY, InstanceState, TaskState
from clustersim.world.checks.recount import ALL, BUSY, PROMISED, WAITING_TASKS, Reading
from clustersim.world.checks.rules import (
    ANSWERS_AND_NOT,
    CPU_UNITS,
    DISORDER,
    HEALTHY,
    HUNG,
    LEAVING,
    MIB,
    NEVER_STARTED,
    PENDING,
    PLACED_EARLY,
    PROMISE,
    PROVISIONING_TASKS,
    READY,
    RUNNING_TASKS,
    RUNNING_THERE,
    SOUND,
    STOPPED_ALIVE,
    STOPPING,
    UNWELL,
    WHO_WAITS,
)
from clustersim.world.state.tables import State

_PROVISIONING = int(TaskState.PROVISIONING)
_RUNNING = int(TaskState.RUNNING)
_REGISTERING = int(InstanceState.REGISTERING)


@kernel
def read_tasks(state: State, reading: Reading) -> int:
    """Count every live task; the first broken rule about one of them."""
    for slot in range(state.tasks.size):
        if state.tasks[slot].task_id < 0:
            continue
        broken = _check_life(state, reading, slot)
        if broken != SOUND:
            return broken
        _count_in_set(state, reading, slot)
        _count_in_lane(state, reading, slot)
        if state.tasks[slot].slot >= 0:
            _count_on_host(state, reading, slot)
    return SOUND


@kernel
def _check_life(state: State, reading: Reading, slot: int) -> int:
    """The stamps of a life come in order, and each state has the stamps it needs."""
    t = state.tasks[slot]
    before = t.created
    stamps = (t.placed, t.pull_started, t.pull_stopped, t.started, t.healthy, t.stopping)
    for number in range(len(stamps)):
        stamp = stamps[number]
        if stamp >= 0:
            if stamp < before:
                reading.detail[0] = number
                return DISORDER
            before = stamp
    if t.stopped >= 0:
        return STOPPED_ALIVE
    if t.state >= _RUNNING and t.started < 0:
        return NEVER_STARTED
    if t.state == _PROVISIONING and t.placed >= 0:
        return PLACED_EARLY
    if t.ready == 1 and t.hung == 1:
        return ANSWERS_AND_NOT
    if t.promised >= 0:
        launched = state.instances[t.promised].state == _REGISTERING
        if t.state != _PROVISIONING or t.waiting != 0 or not launched:
            return PROMISE
    return SOUND


@kernel
def _count_in_set(state: State, reading: Reading, slot: int) -> None:
    """A task among those of its set and its service, by state, and what waits."""
    t = state.tasks[slot]
    counts = reading.of_sets[t.set]
    running = t.state == _RUNNING
    if t.state == _PROVISIONING:
        phase = PROVISIONING_TASKS
    elif t.state < _RUNNING:
        phase = PENDING
    else:
        phase = RUNNING_TASKS if running else STOPPING
    well = running and t.healthy >= 0 and t.unwell == 0
    counts[phase] += 1
    counts[HEALTHY] += well
    counts[UNWELL] += running and t.unwell > 0
    counts[READY] += t.ready == 1
    counts[HUNG] += t.hung == 1
    counts[LEAVING] += t.leaving == 1
    service = state.sets[t.set].service
    if service >= 0:
        if phase != STOPPING:
            reading.of_services[service, phase] += 1
        reading.of_services[service, HEALTHY] += well
    if t.waiting == 1:
        reading.totals[WAITING_TASKS] += 1
        reading.waits[t.shape] = 1
    if t.promised >= 0:
        reading.totals[PROMISED] += 1


@kernel
def _count_in_lane(state: State, reading: Reading, slot: int) -> None:
    """A task in its lane, its zone, its provider and its Fargate quota."""
    t = state.tasks[slot]
    lane = state.lanes[t.lane]
    reading.of_lanes[t.lane] += 1
    if lane.fargate == 1:
        reading.of_buckets[lane.bucket] += t.cpu
    if t.state == _PROVISIONING:
        reading.of_providers[lane.provider, WHO_WAITS] += 1
    if t.placed < 0:
        return
    if t.state <= _RUNNING:
        reading.of_zones[state.sets[t.set].group, t.zone] += 1
    provider = lane.provider
    if lane.fargate != 1:
        provider = state.classes[state.instances[t.slot].klass].provider
    sums = reading.of_providers[provider]
    sums[CPU_UNITS] += t.cpu
    sums[MIB] += t.memory
    sums[RUNNING_THERE] += 1


@kernel
def _count_on_host(state: State, reading: Reading, slot: int) -> None:
    """What a task takes of its instance."""
    t = state.tasks[slot]
    used = reading.used[t.slot]
    used[CPU] += t.cpu
    used[MEMORY] += t.memory
    used[GPU] += t.gpus
    used[ENI] += state.lanes[t.lane].eni
    used[HOST_PORTS] += state.shapes[t.shape].host_ports
    for word in range(reading.ports.shape[1]):
        reading.ports[t.slot, word] |= state.lane_ports[t.lane, word]
    reading.on_host[ALL, t.slot] += 1
    if state.sets[t.set].daemon == 0:
        reading.on_host[BUSY, t.slot] += 1
