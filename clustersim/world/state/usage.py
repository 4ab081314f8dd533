"""Time integrals of counts, and accrued cost.

An *area* is a count multiplied by the ms for which it held, brought up to date just before the count changes. Areas are
whole numbers; those of a capacity provider, which 64 bits may not hold, are floats, exact up to 2^53. Cost is accrued
as weight x ms per payer and instance class, likewise, before the bill of a cost period is written. This module
decides nothing: the kernels of tasks and instances call it at each change, the series sampler and the cost ledger at
the end of each period.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.engine.records import Array
from clustersim.policy.pricing.billed_time import billing_round_up, paid_from, paid_until
from clustersim.vocabulary import WEIGHT_PER_CPU_UNIT, WEIGHT_PER_MIB
from clustersim.world.state.tables import State

Slots = Annotated[Array, np.int64, 1]
Times = Annotated[Array, np.int64, 2]


@kernel_entry
def integrate_service(state: State, service: int, now: int) -> None:
    """Bring the areas of a service up to `now`, before one of its counts changes."""
    s = state.services.rows[service]
    passed = now - s.integrated_until
    if passed <= 0:
        return
    s.running_area += s.running * passed
    if s.running >= s.threshold:
        s.available_ms += passed
    if s.healthy >= s.threshold:
        s.available_healthy_ms += passed
    s.integrated_until = now


@kernel
def integrate_task_set(state: State, row: int, now: int) -> None:
    """Bring the areas of a task set up to `now`, before one of its counts changes."""
    s = state.sets.rows[row]
    passed = now - s.integrated_until
    if passed > 0:
        s.running_area += s.running * passed
        s.ready_area += s.ready * passed
        s.hung_area += s.hung * passed
        s.integrated_until = now


@kernel
def integrate_provider(state: State, provider: int, now: int) -> None:
    """Bring the areas of a capacity provider up to `now`."""
    p = state.capacity.providers[provider]
    passed = now - p.integrated_until
    if passed <= 0:
        return
    length = np.float64(passed)  # 1,000 instances of 1.5 TiB for 90 days are more MiB x ms than 64 bits hold
    p.cpu_area += p.cpu * length
    p.memory_area += p.memory * length
    p.registered_cpu_area += p.registered_cpu * length
    p.registered_memory_area += p.registered_memory * length
    p.integrated_until = now


@kernel
def integrate_instance(state: State, slot: int, now: int) -> None:
    """Bring the reservation areas of an instance up to `now`."""
    h = state.instances.rows[slot]
    passed = now - h.integrated_until
    if passed > 0:
        h.cpu_area += h.used_cpu * passed
        h.memory_area += h.used_memory * passed
        h.integrated_until = now


@kernel
def accrue_task_cost(state: State, slot: int, now: int) -> None:
    """Accrue the cost of a placed task up to `now`: its share of its instance, or its Fargate charge.

    The cost of an instance is shared by reservation, where a vCPU weighs as much as 9 GiB (MODEL.md: money), and a
    task has reserved nothing once it is stopping. Fargate charges the configured size until it is STOPPED. Only time
    between the start of the measurement window and its end counts.
    """
    t = state.tasks.rows[slot]
    if t.accrued_until < 0:
        return  # on Fargate, before the pull of its images
    item = state.sets.strategy_items[t.strategy_item]
    until = paid_until(item.fargate, t.stopping, now)
    passed = min(until, state.clock.end) - max(t.accrued_until, state.clock.window_start)
    t.accrued_until = until
    if passed <= 0:
        return
    payer = state.sets.rows[t.set].payer
    if item.fargate:
        charge_fargate(state, slot, item.price, passed)
        return
    k = state.instances.rows[t.instance_slot].instance_class
    weight = WEIGHT_PER_CPU_UNIT * t.cpu + WEIGHT_PER_MIB * t.memory
    state.outputs.weight_ms[payer, k] += np.float64(weight) * passed
    c = state.capacity.classes[k]
    t.cost += weight * passed * (c.usd_per_hour / 3_600_000.0 / c.weight)


@kernel
def charge_fargate(state: State, slot: int, price: int, passed: int) -> None:
    """Charge `passed` ms of the configured size of a Fargate task to its payer."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    zones = state.placement.item_zones.shape[1]
    row = price * zones + t.zone
    state.outputs.fargate_ms[s.payer, row, 0] += t.cpu * passed
    state.outputs.fargate_ms[s.payer, row, 1] += t.memory * passed
    state.outputs.fargate_ms[s.payer, row, 2] += s.extra_gib * passed
    p = state.capacity.fargate_prices[price]
    t.cost += passed * (
        t.cpu * p.usd_per_cpu_ms + t.memory * p.usd_per_mib_ms + s.extra_gib * p.usd_per_gib_ms
    )


@kernel
def settle_task_cost(state: State, slot: int, now: int) -> None:
    """Accrue the cost of a task that ends; for Fargate this includes the rounding of the billed time."""
    accrue_task_cost(state, slot, now)
    t = state.tasks.rows[slot]
    item = state.sets.strategy_items[t.strategy_item]
    begun = paid_from(item.fargate, t.pull_started, t.placed)
    if item.fargate and t.accrued_until >= 0 and begun >= state.clock.window_start:
        charge_fargate(state, slot, item.price, billing_round_up(now - begun))


@kernel
def accrue_instance_cost(state: State, slot: int, until: int) -> None:
    """Accrue the billed time of an instance up to `until`, for its class and for itself."""
    h = state.instances.rows[slot]
    passed = min(until, state.clock.end) - max(h.accrued_until, state.clock.window_start)
    h.accrued_until = until
    if passed > 0:
        state.outputs.class_ms[h.instance_class] += passed
        h.cost += passed * (state.capacity.classes[h.instance_class].usd_per_hour / 3_600_000.0)


@kernel
def settle_instance_cost(state: State, slot: int, now: int) -> None:
    """Accrue the cost of an instance that is terminated, including the rounding of the billed time."""
    accrue_instance_cost(state, slot, now)
    h = state.instances.rows[slot]
    if h.launched >= state.clock.window_start:
        extra = billing_round_up(now - h.launched)
        state.outputs.class_ms[h.instance_class] += extra
        h.cost += extra * (state.capacity.classes[h.instance_class].usd_per_hour / 3_600_000.0)


@kernel_entry
def accrue_all_costs(state: State, now: int, task_slots: Slots, instance_slots: Slots) -> None:
    """Accrue the cost of all given tasks and instances up to `now`, at the end of a cost period."""
    for slot in task_slots:
        if state.tasks.rows[slot].placed >= 0:
            accrue_task_cost(state, slot, now)
    for slot in instance_slots:
        accrue_instance_cost(state, slot, now)


@kernel_entry
def read_task_times(state: State, now: int, times: Times) -> None:
    """Write the task-milliseconds of each task set up to `now` into `times`: running, ready, hung."""
    for row in range(state.counters.sets_used):
        integrate_task_set(state, row, now)
        s = state.sets.rows[row]
        times[0, row], times[1, row], times[2, row] = s.running_area, s.ready_area, s.hung_area


@kernel_entry
def integrate_all(state: State, now: int, instance_slots: Slots) -> None:
    """Bring all areas up to `now`, at the end of a sample."""
    for service in range(state.services.rows.size):
        integrate_service(state, service, now)
    for row in range(state.counters.sets_used):
        integrate_task_set(state, row, now)
    for provider in range(state.capacity.providers.size):
        integrate_provider(state, provider, now)
    for slot in instance_slots:
        if state.instances.rows[slot].registered >= 0:
            integrate_instance(state, slot, now)
