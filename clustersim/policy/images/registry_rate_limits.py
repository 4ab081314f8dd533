"""Whether a registry lets a pull through: limits on the rate of pulls, and outages.

Decides when a request that counts against a limit is let through. Limits are windows: the first request opens
one, `limit` requests fit into it, and it ends `per` ms later. Docker Hub answers with such a window
(`ratelimit-limit: 100;w=21600`), and AWS's quotas per second are taken as windows of a second. It must not
know images or hosts: the world keeps a window for each source that a registry counts (`SOURCES`).

Who is refused tries again for a while (the ECS agent and Fargate retry a pull some five times). So a request
that a later window lets through within `patience` only waits, as if it had tried again just then; it holds
its place there. Beyond that it is refused.
"""

from __future__ import annotations

import numpy as np

from clustersim.engine.compiled import Array, kernel
from clustersim.vocabulary import NEVER

BEGAN, USED = range(2)
"""Columns of a window: its first instant (ms), and the requests let through or waiting since then."""

SOURCES = ("account", "zone", "host")
"""Whom a registry counts as one: everybody, the hosts of a zone (behind one NAT gateway), each host."""


def new_windows(sources: int) -> Array:
    """Windows that nobody has opened: int64[sources, 2]."""
    return np.zeros((sources, 2), np.int64)


@kernel
def admit(windows: Array, source: int, now: int, amount: int, limit: int, per: int, patience: int) -> int:
    """The instant at which `amount` requests of `source` are let through; NEVER if they are refused.

    `limit` requests are let through in `per` ms, 0 being no limit. What is refused does not count.
    """
    if limit <= 0 or amount <= 0:
        return now
    began, used = windows[source, BEGAN], windows[source, USED]
    if used == 0 or now >= began + per * (1 + (used - 1) // limit):
        began, used = now, 0
    last = began + per * ((used + amount - 1) // limit)
    admitted = max(now, last)
    if admitted - now > patience:
        return NEVER
    windows[source, BEGAN] = began
    windows[source, USED] = used + amount
    return int(admitted)


@kernel
def out_until(begins: Array, ends: Array, now: int) -> int:
    """The end of the outage that holds at `now`; NEVER if there is none. Outages do not overlap."""
    for number in range(begins.size):
        if begins[number] <= now < ends[number]:
            return int(ends[number])
    return NEVER
