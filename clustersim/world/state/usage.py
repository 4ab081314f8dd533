"""Areas and money: what is summed while the world moves.

An *area* is a count times the ms it lasted, kept exact in integers and brought up to date just before the
count changes. Cost is accrued as weight x ms per payer and class of instance, so that nothing is lost to
rounding before a period's bill is written. Decides nothing; `transitions` and `fleet` call it at each change,
the meter at the end of each period.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from clustersim.engine.compiled import Array, inlined, kernel, kernel_entry
from clustersim.engine.heap import RANK_SHIFT, push
from clustersim.engine.random_streams import sample, uniform
from clustersim.vocabulary import WEIGHT_PER_CPU_UNIT, WEIGHT_PER_MIB
from clustersim.world.state.tables import END, EVENTS, HEAP_SIZE, SEQUENCE, SETS_USED, WINDOW_START, State

BILLING_MINIMUM_MS = 60_000  # EC2 (Linux) and Fargate: per second, one minute at least (MODEL.md)
SECOND_MS = 1_000
Slots = Annotated[Array, np.int64, 1]
Times = Annotated[Array, np.int64, 2]


@inlined
def note(state: State, at: int, rank: int, subject: int, serial: int) -> None:
    """Put a due entry on the calendar's heap: at one instant by rank, then in order of insertion."""
    clock = state.clock
    push(state.heap, clock[HEAP_SIZE], at, (rank << RANK_SHIFT) | clock[SEQUENCE], subject, serial)
    clock[HEAP_SIZE] += 1
    clock[SEQUENCE] += 1


@inlined
def tell(state: State, now: int, kind: int, instance_id: int, task_id: int, service: int) -> None:
    """Report an event: a row of `events` to be; the caller made sure of room."""
    tell_words(state, now, kind, instance_id, task_id, service, 0)


@inlined
def tell_words(
    state: State, now: int, kind: int, instance_id: int, task_id: int, service: int, sentence: int
) -> None:
    """Report an event that has words of its own."""
    i = state.events[state.clock[EVENTS]]
    i.at, i.kind, i.sentence, i.more = now, kind, sentence, 0
    i.instance_id, i.task_id, i.service = instance_id, task_id, service
    state.clock[EVENTS] += 1


@kernel
def draw(state: State, row: int, key: Any, entity: int, ordinal: int) -> int:
    """A duration in ms of distribution `row`, at the address (key, entity, ordinal)."""
    d = state.distributions[row]
    values = state.values[d.first : d.last]
    return int(sample(d.code, d.a, d.b, values, uniform(key, entity, ordinal)) + 0.5)  # never negative


@kernel_entry
def touch_service(state: State, service: int, now: int) -> None:
    """Bring the areas of a service up to `now`, before one of its counts changes."""
    s = state.services[service]
    passed = now - s.touched
    if passed <= 0:
        return
    s.running_area += s.running * passed
    if s.running >= s.threshold:
        s.available += passed
    if s.healthy >= s.threshold:
        s.available_healthy += passed
    s.touched = now


@kernel
def touch_set(state: State, row: int, now: int) -> None:
    """Bring the areas of a task set up to `now`, before one of its counts changes."""
    s = state.sets[row]
    passed = now - s.touched
    if passed > 0:
        s.running_area += s.running * passed
        s.ready_area += s.ready * passed
        s.hung_area += s.hung * passed
        s.touched = now


@kernel
def touch_provider(state: State, provider: int, now: int) -> None:
    """Bring the areas of a capacity provider up to `now`."""
    p = state.providers[provider]
    passed = now - p.touched
    if passed <= 0:
        return
    p.cpu_area += p.cpu * passed
    p.memory_area += p.memory * passed
    p.registered_cpu_area += p.registered_cpu * passed
    p.registered_memory_area += p.registered_memory * passed
    p.instance_area += p.instances * passed
    p.touched = now


@kernel
def touch_instance(state: State, slot: int, now: int) -> None:
    """Bring the reservation areas of an instance up to `now`."""
    h = state.instances[slot]
    passed = now - h.touched
    if passed > 0:
        h.cpu_area += h.used_cpu * passed
        h.memory_area += h.used_memory * passed
        h.touched = now


@kernel
def accrue_task(state: State, slot: int, until: int) -> None:
    """Accrue a placed task's share of its instance, or its Fargate charge, up to `until`.

    An instance is shared by reservation, a vCPU weighing as much as 9 GiB (MODEL.md: money); Fargate is
    charged for the configured size. Only time between the window's start and its end counts.
    """
    t = state.tasks[slot]
    if t.accrued < 0:
        return  # on Fargate, before the pull of its images
    passed = min(until, state.clock[END]) - max(t.accrued, state.clock[WINDOW_START])
    t.accrued = until
    if passed <= 0:
        return
    group = state.sets[t.set].group
    lane = state.lanes[t.lane]
    if lane.fargate:
        charge_fargate(state, slot, lane.price, passed)
        return
    k = state.instances[t.slot].klass
    weight = WEIGHT_PER_CPU_UNIT * t.cpu + WEIGHT_PER_MIB * t.memory
    state.weight_ms[group, k] += weight * passed
    c = state.classes[k]
    t.cost += weight * passed * (c.usd_per_hour / 3_600_000.0 / c.weight)


@kernel
def charge_fargate(state: State, slot: int, price: int, passed: int) -> None:
    """Add `passed` ms of a Fargate task's configured size to its payer's account."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    zones = state.lane_zones.shape[1]
    row = price * zones + t.zone
    state.fargate_ms[s.group, row, 0] += t.cpu * passed
    state.fargate_ms[s.group, row, 1] += t.memory * passed
    state.fargate_ms[s.group, row, 2] += s.extra_gib * passed
    p = state.fargate_prices[price]
    t.cost += passed * (
        t.cpu * p.usd_per_cpu_ms + t.memory * p.usd_per_mib_ms + s.extra_gib * p.usd_per_gib_ms
    )


@inlined
def rounding(length: int) -> int:
    """The ms that billing adds to an interval of `length` ms: up to a full second, at least a minute."""
    billed = (length + SECOND_MS - 1) // SECOND_MS * SECOND_MS
    return max(billed, BILLING_MINIMUM_MS) - length


@kernel
def settle_task(state: State, slot: int, now: int) -> None:
    """Accrue a task that ends, and for Fargate the rounding up of its billed time."""
    accrue_task(state, slot, now)
    t = state.tasks[slot]
    lane = state.lanes[t.lane]
    begun = t.pull_started if t.pull_started >= 0 else t.placed
    if lane.fargate and t.accrued >= 0 and begun >= state.clock[WINDOW_START]:
        charge_fargate(state, slot, lane.price, rounding(now - begun))


@kernel
def accrue_instance(state: State, slot: int, until: int) -> None:
    """Accrue an instance's billed time up to `until`, on its class's account and its own."""
    h = state.instances[slot]
    passed = min(until, state.clock[END]) - max(h.accrued, state.clock[WINDOW_START])
    h.accrued = until
    if passed > 0:
        state.class_ms[h.klass] += passed
        h.cost += passed * (state.classes[h.klass].usd_per_hour / 3_600_000.0)


@kernel
def settle_instance(state: State, slot: int, now: int) -> None:
    """Accrue an instance that is terminated, and the rounding up of its billed time."""
    accrue_instance(state, slot, now)
    h = state.instances[slot]
    if h.launched >= state.clock[WINDOW_START]:
        extra = rounding(now - h.launched)
        state.class_ms[h.klass] += extra
        h.cost += extra * (state.classes[h.klass].usd_per_hour / 3_600_000.0)


@kernel_entry
def accrue_all(state: State, now: int, task_slots: Slots, instance_slots: Slots) -> None:
    """Bring every live task's and instance's account up to `now`: the end of a cost period."""
    for slot in task_slots:
        if state.tasks[slot].placed >= 0:
            accrue_task(state, slot, now)
    for slot in instance_slots:
        accrue_instance(state, slot, now)


@kernel_entry
def read_times(state: State, now: int, times: Times) -> None:
    """The task-milliseconds of each task set up to `now`: running, able to answer, asked but no longer able."""
    for row in range(state.clock[SETS_USED]):
        touch_set(state, row, now)
        s = state.sets[row]
        times[0, row], times[1, row], times[2, row] = s.running_area, s.ready_area, s.hung_area


@kernel_entry
def touch_all(state: State, now: int, instance_slots: Slots) -> None:
    """Bring every area up to `now`: the end of a sample."""
    for service in range(state.services.size):
        touch_service(state, service, now)
    for row in range(state.clock[SETS_USED]):
        touch_set(state, row, now)
    for provider in range(state.providers.size):
        touch_provider(state, provider, now)
    for slot in instance_slots:
        if state.instances[slot].registered >= 0:
            touch_instance(state, slot, now)
