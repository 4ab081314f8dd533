"""Rules of single tasks, and what each live task adds to the counts.

It reads a task with its set, strategy item and shape, and adds it to a `Recount`; `hosts` compares the sums with
those that the world keeps.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.vocabulary import CPU, ENI, GPU, HOST_PORTS, MEMORY, InstanceState, TaskState
from clustersim.world.checks.recount import ALL, ASSIGNED, NON_DAEMON, WAITING_TASKS, Recount
from clustersim.world.checks.rules import (
    ASSIGNMENT,
    CPU_UNITS,
    HEALTHY,
    HUNG,
    INSTANTS_OUT_OF_ORDER,
    LEAVING,
    LIVE_BUT_STOPPED,
    MIB,
    NEVER_STARTED,
    PENDING,
    PLACED_EARLY,
    PROVISIONING_TASKS,
    PROVISIONING_THERE,
    READY,
    READY_AND_HUNG,
    RUNNING_TASKS,
    RUNNING_THERE,
    SOUND,
    STOPPING,
    UNHEALTHY,
)
from clustersim.world.state.tables import State

_PROVISIONING = int(TaskState.PROVISIONING)
_RUNNING = int(TaskState.RUNNING)
_REGISTERING = int(InstanceState.REGISTERING)


@kernel
def check_tasks(state: State, recount: Recount) -> int:
    """Count every live task; return the first broken rule about one of them."""
    for slot in range(state.tasks.rows.size):
        if state.tasks.rows[slot].task_id < 0:
            continue
        broken = _check_lifecycle(state, recount, slot)
        if broken != SOUND:
            return broken
        _count_in_set(state, recount, slot)
        _count_in_item(state, recount, slot)
        if state.tasks.rows[slot].instance_slot >= 0:
            _count_on_host(state, recount, slot)
    return SOUND


@kernel
def _check_lifecycle(state: State, recount: Recount, slot: int) -> int:
    """Check that the instants of a task are in order, and that each state has the instants it needs."""
    t = state.tasks.rows[slot]
    before = t.created
    instants = (t.placed, t.pull_started, t.pull_stopped, t.started, t.healthy, t.stopping)
    for number in range(len(instants)):
        instant = instants[number]
        if instant >= 0:
            if instant < before:
                recount.detail[0] = number
                return INSTANTS_OUT_OF_ORDER
            before = instant
    if t.stopped >= 0:
        return LIVE_BUT_STOPPED
    if t.state >= _RUNNING and t.started < 0:
        return NEVER_STARTED
    if t.state == _PROVISIONING and t.placed >= 0:
        return PLACED_EARLY
    if t.ready == 1 and t.hung == 1:
        return READY_AND_HUNG
    if t.assigned_instance >= 0:
        registering = state.instances.rows[t.assigned_instance].state == _REGISTERING
        if t.state != _PROVISIONING or t.waiting != 0 or not registering:
            return ASSIGNMENT
    return SOUND


@kernel
def _count_in_set(state: State, recount: Recount, slot: int) -> None:
    """Count a task in its set and its service, by state, and in the queues."""
    t = state.tasks.rows[slot]
    counts = recount.of_sets[t.set]
    running = t.state == _RUNNING
    if t.state == _PROVISIONING:
        phase = PROVISIONING_TASKS
    elif t.state < _RUNNING:
        phase = PENDING
    else:
        phase = RUNNING_TASKS if running else STOPPING
    healthy = running and t.healthy >= 0 and t.unhealthy == 0
    counts[phase] += 1
    counts[HEALTHY] += healthy
    counts[UNHEALTHY] += running and t.unhealthy > 0
    counts[READY] += t.ready == 1
    counts[HUNG] += t.hung == 1
    counts[LEAVING] += t.leaving == 1
    service = state.sets.rows[t.set].service
    if service >= 0:
        if phase != STOPPING:
            recount.of_services[service, phase] += 1
        recount.of_services[service, HEALTHY] += healthy
    if t.waiting == 1:
        recount.totals[WAITING_TASKS] += 1
        recount.shape_waits[t.resource_shape] = 1
    if t.assigned_instance >= 0:
        recount.totals[ASSIGNED] += 1


@kernel
def _count_in_item(state: State, recount: Recount, slot: int) -> None:
    """Count a task in its strategy item, zone, provider and Fargate quota."""
    t = state.tasks.rows[slot]
    item = state.sets.strategy_items[t.strategy_item]
    recount.of_strategy_items[t.strategy_item] += 1
    if item.fargate == 1:
        recount.of_buckets[item.bucket] += t.cpu
    if t.state == _PROVISIONING:
        recount.of_providers[item.provider, PROVISIONING_THERE] += 1
    if t.placed < 0:
        return
    if t.state <= _RUNNING:
        recount.of_zones[state.sets.rows[t.set].group, t.zone] += 1
    provider = item.provider
    if item.fargate != 1:
        provider = state.capacity.classes[state.instances.rows[t.instance_slot].instance_class].provider
    sums = recount.of_providers[provider]
    sums[CPU_UNITS] += t.cpu
    sums[MIB] += t.memory
    sums[RUNNING_THERE] += 1


@kernel
def _count_on_host(state: State, recount: Recount, slot: int) -> None:
    """Add what a task takes of its instance."""
    t = state.tasks.rows[slot]
    used = recount.used[t.instance_slot]
    used[CPU] += t.cpu
    used[MEMORY] += t.memory
    used[GPU] += t.gpus
    used[ENI] += state.sets.strategy_items[t.strategy_item].eni
    used[HOST_PORTS] += state.sets.shapes[t.resource_shape].host_ports
    for word in range(recount.ports.shape[1]):
        recount.ports[t.instance_slot, word] |= state.placement.item_ports[t.strategy_item, word]
    recount.on_host[ALL, t.instance_slot] += 1
    if state.sets.rows[t.set].daemon == 0:
        recount.on_host[NON_DAEMON, t.instance_slot] += 1
