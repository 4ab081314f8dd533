"""The random part of a queue: the requests that wait because arrivals and CPU times vary, though there is capacity.

Decides how many requests more than at work are in the tasks of a backend, and at which stationary utilisation its
response times are read. `policy.load.fluid_model` calls it once per metric period; it must not know the clock.

A queue does not know its utilisation at once: near saturation it takes hours to grow. The work that arrives is served
or makes the queue longer, and the queue is taken to be that of the stationary utilisation `u` at which it has its
present length (pointwise stationary fluid flow approximation: Wang, Tipper and Banerjee 1996):

    u x capacity + increase of the queue = arrivals,    queue = excess of the curve at u

In a steady load `u` is the utilisation itself. Arrivals beyond the capacity are the backlog of the fluid model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.engine.compiled import kernel
from clustersim.policy.load.response_curves import congestion_of, curve_value

_MOST_CONGESTION = 1e6
_TOLERANCE = 1e-9


@kernel
def stationary_queue(curve: np.ndarray, row: Any, servers: float, utilization: float) -> float:
    """Return the mean number of requests in excess of those at work in a steady load."""
    slowdown = curve_value(curve, 0, congestion_of(row.routing, row.capacity_vcpu, utilization))
    return float(servers * utilization * max(slowdown - 1.0, 0.0))


@kernel
def _surplus(
    curve: np.ndarray, row: Any, servers: float, congestion: float, work: float, room: float
) -> float:
    """Return how far a utilisation of 1 - 1 / congestion is above that at which `work` is served or queued."""
    utilization = 1.0 - 1.0 / congestion
    return utilization + stationary_queue(curve, row, servers, utilization) / room - work


@kernel
def settle_queue(curve: np.ndarray, row: Any, offered: float, completions: float, servers: float) -> float:
    """Move the queue of a backend through a period with room for `completions`, of which `offered` are wanted.

    Returns the stationary utilisation of the period; `row.queue` is the queue at its end. False position on
    1 / (1 - utilisation), in which the queue is nearly linear (Illinois variant).
    """
    work = (offered + row.queue) / completions
    if work <= 0.0:
        return 0.0
    low, below = 1.0, -work
    high = 1.0 / (1.0 - min(offered / completions, 1.0 - 1.0 / _MOST_CONGESTION))
    above = _surplus(curve, row, servers, high, work, completions)
    while above < -_TOLERANCE and high < _MOST_CONGESTION:
        low, below, high = high, above, min(2.0 * high, _MOST_CONGESTION)
        above = _surplus(curve, row, servers, high, work, completions)
    guess, last_side = high, 0
    if above > _TOLERANCE:
        for _ in range(60):
            guess = (low * above - high * below) / (above - below)
            value = _surplus(curve, row, servers, guess, work, completions)
            if -_TOLERANCE < value < _TOLERANCE or high - low < _TOLERANCE * high:
                break
            if value < 0.0:
                low, below = guess, value
                above = 0.5 * above if last_side == 1 else above
                last_side = 1
            else:
                high, above = guess, value
                below = 0.5 * below if last_side == -1 else below
                last_side = -1
    utilization = 1.0 - 1.0 / guess
    row.queue = stationary_queue(curve, row, servers, utilization)
    return utilization
