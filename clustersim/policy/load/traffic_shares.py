"""How the requests of a service are shared out among its task sets, before a metric period is carried.

Decides what each backend gets and what all can answer together; what becomes of it is `policy.load.fluid_model`'s,
which calls this and owns the records.
"""

from __future__ import annotations

from typing import Any

from clustersim.engine.compiled import inlined, kernel
from clustersim.policy.load.load_series import advance_to


@inlined
def capacity_of(row: Any, ready_s: float) -> float:
    """Requests or messages that `ready_s` task-seconds can answer."""
    return float(ready_s * row.pace) if ready_s > 0.0 else 0.0


@kernel
def begin_period(load: Any, index: int, to_ms: float) -> None:
    """Open the period of a flow: what arrives, and what its backends have to meet it (`load.sums`)."""
    flow, sums = load.flows[index], load.sums[0]
    flow.requests = advance_to(load.readers[index, 0], load.times, load.rates, to_ms)
    flow.served = flow.failed = 0.0
    sums.targets_s = sums.capacity = sums.weighted = sums.free_s = 0.0
    sums.unweighted, sums.free_first = 0, -1
    sums.running_s = sums.busy = sums.reserved = sums.memory_used = sums.memory_reserved = sums.inside = 0.0
    sums.denied = 0.0
    b = flow.first
    while b >= 0:
        row = load.backends[b]
        ready_ms = load.passed[1, b]
        targets_s = (ready_ms + load.passed[2, b]) / 1_000.0
        sums.targets_s += targets_s
        if load.weights[b] >= 0.0:
            sums.weighted += load.weights[b]
        else:
            sums.unweighted += 1
            sums.free_s += targets_s
            sums.free_first = b if sums.free_first < 0 else sums.free_first
        sums.capacity += capacity_of(row, ready_ms / 1_000.0)
        b = row.next


@inlined
def share_of(sums: Any, is_newest: bool, index: int, weight: float, targets_s: float) -> float:
    """The share of its flow's requests that a backend gets: together they get all of them.

    Backends without a weight divide what the weights leave, by their targets; where they have none the newest
    is asked. Weights alone are scaled to one; if all are 0, the newest is asked.
    """
    if sums.unweighted == 0:
        if sums.weighted <= 0.0:
            return 1.0 if is_newest else 0.0
        return weight / float(sums.weighted)
    if weight >= 0.0:
        return weight
    rest = max(0.0, 1.0 - float(sums.weighted))
    if sums.free_s > 0.0:
        return rest * targets_s / float(sums.free_s)
    return rest if sums.free_first == index else 0.0
