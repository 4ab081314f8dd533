"""Response curves: the distribution of response times of a task set, over its utilisation.

Decides the response times of tasks that share their CPU among all their requests (processor sharing) behind the
algorithm of a load balancer, by interpolation in a table of simulated ones (`tools/build_response_times.py`). A
*curve* holds, for each utilisation of the table, the mean and some quantiles of the response time in units of the CPU
time of one request alone. It must not know services, periods or the clock. `policy.load.random_queues` and
`policy.load.fluid_sampling` read the curves of backends.

  algorithm     round robin and least outstanding requests are in the table; weighted random is one task whose
                arrivals are thinned: of a burstiness b, 1 + (b - 1) / tasks is left to each
  tasks         logarithm of the time linear in the number to the power -3/4; more than 64 count as 64
  variability   logarithm of the time linear in log(1 + CV) of CPU times, in log(1 + CV2) of arrivals; at most CV2 16
  utilisation   linear in 1 / (1 - utilisation), in proportion to which queues grow; beyond 95 % extrapolated
  distribution  the table has gamma, exponential and hyperexponential CPU times; a quantile is multiplied by that of the
                given CPU times over that of the table's
  vCPUs         a task of c > 1 answers c requests at full speed: round robin and random take the utilisation of one
                vCPU with the same mean slowdown (Erlang C), least outstanding requests c times as many tasks
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clustersim.engine.compiled import inlined, kernel

ROUND_ROBIN, LEAST_OUTSTANDING, WEIGHTED_RANDOM = range(3)
ROUTING = {
    "round_robin": ROUND_ROBIN,
    "least_outstanding_requests": LEAST_OUTSTANDING,
    "weighted_random": WEIGHTED_RANDOM,
}
"""The codes of the ELB attribute `load_balancing.algorithm.type`."""

LEVELS = np.array([0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999])
"""The shares of the quantiles of a curve."""
DEPTHS = -np.log1p(-LEVELS)  # an exponential time is linear in this
P50, P90, P99 = 6, 10, 13
"""Positions among the levels."""
UTILIZATIONS = np.array([0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95])
CONGESTIONS = 1.0 / (1.0 - UTILIZATIONS)
POINTS = UTILIZATIONS.size
COLUMNS = 1 + LEVELS.size  # the mean, and the quantiles
CURVE_SIZE = POINTS * COLUMNS

_TASKS = -(np.array([1.0, 2.0, 4.0, 16.0, 64.0]) ** -0.75)
_SERVICE = np.log1p(np.sqrt(np.array([0.0, 0.5, 1.0, 4.0, 16.0])))
_ARRIVAL = np.log1p(np.array([0.0, 1.0, 4.0, 16.0]))
TABLE_SHAPE = (2, _TASKS.size, _SERVICE.size, _ARRIVAL.size)
"""Of the rows of the table: algorithms, numbers of tasks, CV2 of CPU times, CV2 of arrivals."""
_PRECISION = 1e9  # curves are rounded, so that no library's logarithm can be told from another's


@inlined
def _position(grid: np.ndarray, value: float) -> tuple[int, float]:
    """Return the cell of a grid that holds `value`, and its place in the cell, from 0 to 1."""
    cell = 0
    while cell < grid.size - 2 and grid[cell + 1] < value:
        cell += 1
    part = (value - grid[cell]) / (grid[cell + 1] - grid[cell])
    return cell, min(max(part, 0.0), 1.0)


@kernel
def build_curve(
    table: np.ndarray,
    curve: np.ndarray,
    service_quantiles: np.ndarray,
    algorithm: int,
    tasks: float,
    vcpu: float,
    service_cv2: float,
    arrival_cv2: float,
) -> None:
    """Fill the curve of `tasks` (a mean number); `service_quantiles` are those of CPU times with mean 1."""
    count = max(tasks, 1.0)
    row = 0
    if algorithm == WEIGHTED_RANDOM:
        arrival_cv2 = 1.0 + (arrival_cv2 - 1.0) / count
        count = 1.0
    elif algorithm == LEAST_OUTSTANDING:
        count *= max(vcpu, 1.0)
        row = _TASKS.size * _SERVICE.size * _ARRIVAL.size
    n, n_part = _position(_TASKS, -(count**-0.75))
    s, s_part = _position(_SERVICE, math.log1p(math.sqrt(service_cv2)))
    a, a_part = _position(_ARRIVAL, math.log1p(arrival_cv2))
    row += (n * _SERVICE.size + s) * _ARRIVAL.size + a
    curve[:] = 0.0
    for corner in range(8):
        weight = n_part if corner & 4 else 1.0 - n_part
        weight *= s_part if corner & 2 else 1.0 - s_part
        weight *= a_part if corner & 1 else 1.0 - a_part
        if weight > 0.0:
            at = row + (corner & 1)
            at += _ARRIVAL.size * ((corner & 2) >> 1) + _SERVICE.size * _ARRIVAL.size * ((corner & 4) >> 2)
            for place in range(CURVE_SIZE):
                curve[place] += weight * table[at, place]
    for column in range(COLUMNS):
        scale = service_quantiles[column - 1] / math.exp(curve[column]) if column > 0 else 1.0
        for point in range(POINTS):
            place = point * COLUMNS + column
            curve[place] = np.floor(math.exp(curve[place]) * scale * _PRECISION + 0.5) / _PRECISION


@inlined
def curve_value(curve: np.ndarray, column: int, congestion: float) -> float:
    """Return the mean (column 0) or a quantile of the response time, in CPU times, at 1 / (1 - utilisation)."""
    point = 0
    while point < POINTS - 2 and CONGESTIONS[point + 1] < congestion:
        point += 1
    low, high = curve[point * COLUMNS + column], curve[(point + 1) * COLUMNS + column]
    part = (congestion - CONGESTIONS[point]) / (CONGESTIONS[point + 1] - CONGESTIONS[point])
    return float(low + (high - low) * part)


@kernel
def congestion_of(algorithm: int, vcpu: float, utilization: float) -> float:
    """Return 1 / (1 - utilisation), of one vCPU with the same mean slowdown if a task has more than one."""
    if vcpu <= 1.0 or algorithm == LEAST_OUTSTANDING:
        return 1.0 / (1.0 - utilization)
    return 1.0 + mean_delay_probability(vcpu, utilization) / (vcpu * (1.0 - utilization))


@kernel
def delay_probability(servers: int, utilization: float) -> float:
    """Return Erlang C: the probability that a request finds all `servers` busy.

    Computed from Erlang B as the sum 1/B = 1 + c/a + c(c-1)/a**2 + ..., whose terms are all positive, so it is stable
    for any c; the sum ends where the rest is below rounding.
    """
    if utilization <= 0.0:
        return 0.0
    if utilization >= 1.0:
        return 1.0
    offered = servers * utilization
    term = 1.0
    total = 1.0
    for busy in range(servers, 0, -1):
        term *= busy / offered
        total += term
        if total > 1e18:
            return 0.0
        if term < total * 1e-17:
            break
    blocked = 1.0 / total
    return blocked / (1.0 - utilization * (1.0 - blocked))


@kernel
def mean_delay_probability(servers: float, utilization: float) -> float:
    """Return Erlang C for a mean number of servers (at least 1): linear between the neighbouring whole numbers."""
    whole = int(max(servers, 1.0))
    share = max(servers, 1.0) - whole
    low = delay_probability(whole, utilization)
    if share < 1e-9:
        return low
    return low + share * (delay_probability(whole + 1, utilization) - low)


@kernel
def response_quantiles(
    curve: np.ndarray, service_quantiles: np.ndarray, congestion: float, row: Any, times_s: np.ndarray
) -> None:
    """Fill `times_s` with the quantiles of the response time (s) of a backend: sharing its CPU, then the rest of it."""
    longest = 0.0
    for level in range(LEVELS.size):
        shared_s = row.service_s * curve_value(curve, 1 + level, congestion)
        longest = max(longest, shared_s + row.delay_s * service_quantiles[level])
        times_s[level] = longest
