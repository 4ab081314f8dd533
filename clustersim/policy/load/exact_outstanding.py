"""The outstanding requests of a target whose ends are known: a ring buffer in order of their ends.

Decides how an end is counted: answered, failed, denied, and the CPU time and the time in the system of a period. It
must not know where requests come from. `policy.load.exact_requests` inserts requests that wait for a worker and those
of hung targets, `policy.load.exact_sharing` those that have had their CPU time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.engine.compiled import inlined, kernel
from clustersim.engine.random_streams import uniform
from clustersim.policy.load.exact_tables import RequestTables
from clustersim.policy.load.latency import latency_bucket


@inlined
def count_usage(requests: RequestTables, server: Any, request: Any, until_s: float) -> None:
    """Add a request's CPU time and time in the system, as far as they lie in the period, up to `until_s`."""
    begin_s = requests.span[0]
    server.in_system_s += until_s - max(request.entered_s, begin_s)
    if request.work_s > 0.0:
        if request.start_s >= begin_s and request.finish_s <= until_s:
            server.busy_s += request.work_s
        elif request.start_s < until_s:
            share = (until_s - max(request.start_s, begin_s)) / (request.finish_s - request.start_s)
            server.busy_s += request.work_s * share


@inlined
def count_answer(requests: RequestTables, server: Any, number: int, response_s: float) -> None:
    """Count an answered request of a server."""
    server.served += 1.0
    server.response_s += response_s
    if server.denied_share > 0.0:
        key = requests.streams[server.stream].denial_key
        if uniform(key, 0, number) < server.denied_share:
            server.denied += 1.0
    requests.histograms[server.stream, latency_bucket(response_s)] += 1.0


@kernel
def finish_outstanding(requests: RequestTables, row: int, at_s: float) -> None:
    """Complete the requests in the ring of a target that end by `at_s`."""
    target = requests.targets[row]
    ring = requests.rings[row]
    last = ring.size - 1
    server = requests.servers[target.server]
    while target.count > 0:
        request = ring[target.head]
        if request.finish_s > at_s:
            return
        count_usage(requests, server, request, request.finish_s)
        if request.work_s < 0.0:
            server.failed += 1.0
        else:
            count_answer(requests, server, request.number, request.finish_s - request.arrival_s)
        target.head = (target.head + 1) & last
        target.count -= 1


@inlined
def insert_outstanding(
    target: Any,
    ring: np.ndarray,
    number: int,
    finish_s: float,
    arrival_s: float,
    start_s: float,
    work_s: float,
    entered_s: float,
) -> None:
    """Insert a request among the outstanding ones, in order of their ends."""
    last = ring.size - 1
    position = target.head + target.count
    ahead = target.count
    while ahead > 0 and ring[(position - 1) & last].finish_s > finish_s:
        ring[position & last] = ring[(position - 1) & last]
        position -= 1
        ahead -= 1
    new = ring[position & last]
    new.finish_s, new.arrival_s, new.start_s, new.work_s = finish_s, arrival_s, start_s, work_s
    new.number, new.entered_s = number, entered_s
    target.count += 1
