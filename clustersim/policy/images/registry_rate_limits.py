"""Limits of registries: the rate of pulls, and outages.

Decides when a request that counts against a limit is admitted. Limits are windows: the first request opens one,
`limit` requests fit in it, and it ends `per` ms later. Docker Hub uses such a window
(`ratelimit-limit: 100;w=21600`), and quotas per second of AWS are modelled as windows of a second. It must not know
images or hosts: the world keeps a window for each source that a registry counts (`SOURCES`).

A refused request is retried for a while (the ECS agent and Fargate retry a pull about five times). A request that
a later window admits within `patience` therefore only waits, as if it were retried at just that instant, and
takes its place in that window. Beyond `patience` it is refused.
"""

from __future__ import annotations

import numpy as np

from clustersim.engine.compiled import kernel
from clustersim.engine.records import Array
from clustersim.vocabulary import NEVER

WINDOW_START, WINDOW_USED = range(2)
"""Columns of a window: its first instant (ms), and the requests admitted or waiting since then."""

SOURCES = ("account", "zone", "host")
"""The units whose requests a registry counts together: the account, a zone (one NAT gateway), a host."""


def new_windows(sources: int) -> Array:
    """Return unopened windows: int64[sources, 2]."""
    return np.zeros((sources, 2), np.int64)


@kernel
def admit_requests(
    windows: Array, source: int, now: int, amount: int, limit: int, per: int, patience: int
) -> int:
    """Return the instant at which `amount` requests of `source` are admitted; NEVER if they are refused.

    `limit` requests are admitted in `per` ms; 0 is no limit. Refused requests do not count.
    """
    if limit <= 0 or amount <= 0:
        return now
    start, used = windows[source, WINDOW_START], windows[source, WINDOW_USED]
    if used == 0 or now >= start + per * (1 + (used - 1) // limit):
        start, used = now, 0
    last = start + per * ((used + amount - 1) // limit)
    admitted = max(now, last)
    if admitted - now > patience:
        return NEVER
    windows[source, WINDOW_START] = start
    windows[source, WINDOW_USED] = used + amount
    return int(admitted)


@kernel
def outage_end(begins: Array, ends: Array, now: int) -> int:
    """Return the end of the outage in progress at `now`; NEVER if there is none. Outages do not overlap."""
    for number in range(begins.size):
        if begins[number] <= now < ends[number]:
            return int(ends[number])
    return NEVER
