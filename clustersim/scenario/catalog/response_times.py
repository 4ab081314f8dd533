"""The table of response times of tasks that share their CPU, as `policy.load.response_curves` interpolates it.

Decides how the rows of the file become an array; `tools/build_response_times.py` makes the file. It must not know
services. `control.load.traffic` reads it for the first service with a fluid load of requests.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from clustersim.policy.load.response_curves import COLUMNS, CURVE_SIZE, LEAST_OUTSTANDING, POINTS, TABLE_SHAPE
from clustersim.scenario.catalog.bundled_prices import read_lines

_KEYS = 5  # columns before the times
_ALGORITHMS = ("round_robin", "least_outstanding_requests")


@cache
def read_response_times() -> npt.NDArray[np.float64]:
    """Return the logarithms of all times: a row for each combination, its utilisations one after the other.

    The file has no row of one task behind least outstanding requests, since it is that of round robin.
    """
    lines = read_lines("response_times.csv")[1:]
    times = np.log(np.array([line[_KEYS:] for line in lines], np.float64))
    algorithms, tasks, services, arrivals = TABLE_SHAPE
    table = np.empty((algorithms, tasks, services * arrivals, POINTS * COLUMNS))
    first = services * arrivals * POINTS
    rows = times.reshape(-1, services * arrivals, POINTS * COLUMNS)
    if lines[first * tasks][0] != _ALGORITHMS[LEAST_OUTSTANDING]:
        raise AssertionError("response_times.csv has its rows in another order")
    table[0], table[1, 0], table[1, 1:] = rows[:tasks], rows[0], rows[tasks:]
    return np.ascontiguousarray(table.reshape(-1, CURVE_SIZE))
