"""Distribution of the requests of a service among its task sets in a metric period.

Decides the share of each backend and the capacity of all of them together. `policy.load.fluid_model` calls it,
owns the records, and simulates what becomes of the requests.
"""

from __future__ import annotations

from typing import Any

from clustersim.engine.compiled import inlined, kernel
from clustersim.policy.load.load_series import advance_to


@inlined
def backend_capacity(row: Any, ready_s: float) -> float:
    """Return the requests or messages that `ready_s` task-seconds can answer."""
    return float(ready_s * row.rate_per_task) if ready_s > 0.0 else 0.0


@kernel
def begin_period(load: Any, index: int, to_ms: float) -> None:
    """Start the period of a flow: compute its arrivals and the capacity of its backends (`load.sums`)."""
    flow, sums = load.flows[index], load.sums[0]
    flow.requests = advance_to(load.readers[index, 0], load.times, load.rates, to_ms)
    flow.served = flow.failed = 0.0
    sums.targets_s = sums.capacity = sums.weight_sum = sums.unweighted_s = 0.0
    sums.unweighted, sums.first_unweighted = 0, -1
    sums.running_s = sums.busy = sums.reserved = sums.memory_used = sums.memory_reserved = sums.in_system = (
        0.0
    )
    sums.denied = sums.workers = sums.interrupted = 0.0
    b = flow.first
    while b >= 0:
        row = load.backends[b]
        ready_ms = load.elapsed[1, b]
        targets_s = (ready_ms + load.elapsed[2, b]) / 1_000.0
        sums.targets_s += targets_s
        if load.weights[b] >= 0.0:
            sums.weight_sum += load.weights[b]
        else:
            sums.unweighted += 1
            sums.unweighted_s += targets_s
            sums.first_unweighted = b if sums.first_unweighted < 0 else sums.first_unweighted
        sums.capacity += backend_capacity(row, ready_ms / 1_000.0)
        b = row.next


@inlined
def traffic_share(sums: Any, is_newest: bool, index: int, weight: float, targets_s: float) -> float:
    """Return the share of its flow's requests that a backend gets; the shares of all backends add up to 1.

    Backends without a weight divide what the weights leave, in proportion to their targets; if they have none, the
    newest gets it. If all have weights, these are scaled to 1; if all weights are 0, the newest gets everything.
    """
    if sums.unweighted == 0:
        if sums.weight_sum <= 0.0:
            return 1.0 if is_newest else 0.0
        return weight / float(sums.weight_sum)
    if weight >= 0.0:
        return weight
    rest = max(0.0, 1.0 - float(sums.weight_sum))
    if sums.unweighted_s > 0.0:
        return rest * targets_s / float(sums.unweighted_s)
    return rest if sums.first_unweighted == index else 0.0
