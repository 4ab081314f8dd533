"""How the requests of a service are shared out among its task sets, before a metric period is carried.

Decides what each backend gets and what all can answer together; what becomes of it is `policy.load`'s, which calls
this and owns the records.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.engine.compiled import inlined, lean
from clustersim.policy.demand import advance_to


@inlined
def capacity_of(row: Any, ready_s: float) -> float:
    """Requests or messages that `ready_s` task-seconds can answer."""
    return float(ready_s * row.pace) if ready_s > 0.0 else 0.0


@lean
def begin_period(
    load: Any, index: int, to_ms: float, ready_ms: np.ndarray, hung_ms: np.ndarray, weights: np.ndarray
) -> None:
    """Open the period of a flow: what arrives, and what its backends have to meet it."""
    flow = load.flows[index]
    flow.requests = advance_to(load.readers[index, 0], load.times, load.rates, to_ms)
    flow.served = flow.failed = flow.targets_s = flow.capacity = flow.weighted = flow.free_s = 0.0
    flow.unweighted, flow.free_first = 0, -1
    flow.running_s = flow.busy = flow.reserved = flow.memory_used = flow.memory_reserved = flow.inside = 0.0
    flow.denied = 0.0
    b = flow.first
    while b >= 0:
        row = load.backends[b]
        targets_s = (ready_ms[b] + hung_ms[b]) / 1_000.0
        flow.targets_s += targets_s
        if weights[b] >= 0.0:
            flow.weighted += weights[b]
        else:
            flow.unweighted += 1
            flow.free_s += targets_s
            flow.free_first = b if flow.free_first < 0 else flow.free_first
        flow.capacity += capacity_of(row, ready_ms[b] / 1_000.0)
        b = row.next


@inlined
def share_of(flow: Any, index: int, weight: float, targets_s: float) -> float:
    """The share of its flow's requests that a backend gets: together they get all of them.

    Backends without a weight divide what the weights leave, by their targets; where they have none the newest
    is asked. Weights alone are scaled to one; if all are 0, the newest is asked.
    """
    if flow.unweighted == 0:
        if flow.weighted <= 0.0:
            return 1.0 if flow.first == index else 0.0
        return weight / float(flow.weighted)
    if weight >= 0.0:
        return weight
    rest = max(0.0, 1.0 - float(flow.weighted))
    if flow.free_s > 0.0:
        return rest * targets_s / float(flow.free_s)
    return rest if flow.free_first == index else 0.0
