"""The exact model of load: every request of a service, one by one, between two changes of its targets.

Decides when each request arrives, which target it is routed to, when its service begins and ends, and which requests
fail. It must not know the world: it receives the changes of targets with their instants
(`exact_tables.TargetChangeRow.dtype`), and advances all streams through them to the end of a metric period.
`control.load.exact_requests` owns the records and calls `advance_streams`.

  arrivals     a renewal process at the rates of the demand (`arrival_gaps`): the next one comes when the integral of
               the rate since the last has grown by a random number with mean 1, exponential by default (Poisson)
  randomness   the n-th request of a service draws with the ordinal n, so its numbers are the same in any cluster
  in a task    at most `workers` requests are in service at a time, first come, first served
  contention   a request that begins with n in service, itself included, takes its service time times
               max(1, share, n x share / vCPU), fixed from then on; `share` is the CPU part of that time
  time-outs    a request that would wait longer than the timeout fails at once, without CPU; one in service is answered
  draining     a deregistered target completes its outstanding requests; those left when its task ends fail
  denied       a share of the answered requests fails if the task role does not allow a call, drawn for each
  hung         a hung target still receives requests; its requests fail when they time out

As service is first come, first served, the begin and end of a request are known when it arrives. A ring buffer of
each target holds its outstanding requests by end. The next free worker has the `workers`-th from the last of them, so
no list of workers is kept.

Conservation: requests = served + failed + change of outstanding requests, in every period.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.engine.compiled import inlined, kernel, kernel_entry
from clustersim.engine.random_streams import sample, uniform
from clustersim.engine.records import Table
from clustersim.policy.load.exact_arrivals import draw_next_arrival, next_arrival
from clustersim.policy.load.exact_tables import (
    CHANGES_DONE,
    DEREGISTERED,
    ENDED,
    FREE_TARGET,
    HUNG,
    NO_ROW,
    REGISTERED,
    REWEIGHTED,
    RequestTables,
    TargetChangeRow,
)
from clustersim.policy.load.exact_targets import (
    begin_slow_start,
    choose_pool,
    join_pool,
    leave_pool,
    next_at_random,
    next_round_robin,
    server_pool,
    set_weight,
)
from clustersim.policy.load.latency import latency_bucket
from clustersim.policy.load.response_curves import LEAST_OUTSTANDING, WEIGHTED_RANDOM

Changes = Table[TargetChangeRow]

_MS_PER_SECOND = 1_000.0


# --- outstanding requests of a target -----------------------------------------------------------------------


@inlined
def _count_usage(requests: RequestTables, server: Any, request: Any, until_s: float) -> None:
    """Add a request's CPU time and time in the system, as far as they lie in the period, up to `until_s`."""
    begin_s = requests.span[0]
    server.in_system_s += until_s - max(request.arrival_s, begin_s)
    if request.work_s > 0.0:
        if request.start_s >= begin_s and request.finish_s <= until_s:
            server.busy_s += request.work_s
        elif request.start_s < until_s:
            share = (until_s - max(request.start_s, begin_s)) / (request.finish_s - request.start_s)
            server.busy_s += request.work_s * share


@kernel
def finish_until(requests: RequestTables, row: int, at_s: float) -> None:
    """Complete the requests of a target that end by `at_s`."""
    target = requests.targets[row]
    ring = requests.rings[row]
    last = ring.size - 1
    server = requests.servers[target.server]
    while target.count > 0:
        request = ring[target.head]
        if request.finish_s > at_s:
            return
        _count_usage(requests, server, request, request.finish_s)
        response_s = request.finish_s - request.arrival_s
        if request.work_s < 0.0:
            server.failed += 1.0
        else:
            server.served += 1.0
            server.response_s += response_s
            if server.denied_share > 0.0:
                key = requests.streams[server.stream].denial_key
                if uniform(key, 0, request.number) < server.denied_share:
                    server.denied += 1.0
            requests.histograms[server.stream, latency_bucket(response_s)] += 1.0
        target.head = (target.head + 1) & last
        target.count -= 1


@inlined
def _insert(
    target: Any,
    ring: np.ndarray,
    number: int,
    finish_s: float,
    arrival_s: float,
    start_s: float,
    work_s: float,
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
    new.number = number
    target.count += 1


@inlined
def _concurrency(target: Any, ring: np.ndarray, workers: int, start_s: float) -> int:
    """Return how many requests are in service when one begins at `start_s`, itself included."""
    if target.count < workers:
        return int(target.count + 1)
    last = ring.size - 1
    in_service = 1
    for back in range(1, workers):
        in_service += int(ring[(target.head + target.count - back) & last].finish_s > start_s)
    return in_service


@kernel
def submit_request(requests: RequestTables, row: int, number: int, at_s: float, service_draw: float) -> bool:
    """Route a request to a target, with the draw of its service time; return whether there is room for another."""
    finish_until(requests, row, at_s)
    target = requests.targets[row]
    ring = requests.rings[row]
    server = requests.servers[target.server]
    timeout_s = requests.streams[server.stream].timeout_s
    server.requests += 1.0
    if target.hung:
        _insert(target, ring, number, at_s + timeout_s, at_s, at_s, -1.0)
        return bool(target.count < ring.size)
    start_s = at_s
    if target.count >= server.workers:
        start_s = ring[(target.head + target.count - server.workers) & (ring.size - 1)].finish_s
        if start_s - at_s > timeout_s:
            server.failed += 1.0
            return True
    alone_s = service_draw * server.scale
    stretch = server.min_stretch
    if server.contention * server.workers > stretch:
        stretch = max(stretch, server.contention * _concurrency(target, ring, server.workers, start_s))
    _insert(target, ring, number, start_s + alone_s * stretch, at_s, start_s, alone_s * server.cpu_share)
    return bool(target.count < ring.size)


@kernel
def least_loaded_target(requests: RequestTables, pool: int, at_s: float) -> int:
    """Return the target with the fewest requests outstanding at `at_s`; on a tie the first in turn."""
    p = requests.pools[pool]
    row = best = requests.targets[p.turn].next
    fewest = np.int64(1 << 62)
    for _ in range(p.count):
        target = requests.targets[row]
        if target.count > 0 and requests.rings[row, target.head].finish_s <= at_s:
            finish_until(requests, row, at_s)
        if target.count < fewest:
            best, fewest = row, target.count  # type: ignore[assignment]  # numba widens it
        row = target.next
    return int(best)


@kernel
def advance_stream(requests: RequestTables, stream: int, until_s: float) -> bool:
    """Simulate a stream's requests before `until_s`; False if a ring buffer is full: enlarge it, call again."""
    s = requests.streams[stream]
    while True:
        at_s = next_arrival(requests, stream, until_s)
        if at_s >= until_s:
            return True
        pool = choose_pool(requests, stream)
        s.requests += 1.0
        room = True
        if requests.pools[pool].count == 0:
            s.refused += 1.0
        else:
            u = uniform(s.service_key, 0, s.ordinal)
            service_draw = sample(s.code, s.a, s.b, requests.values[s.first_value : s.last_value], u)
            if s.routing == LEAST_OUTSTANDING:
                row = least_loaded_target(requests, pool, at_s)
            elif s.routing == WEIGHTED_RANDOM:
                row = next_at_random(requests, pool, s.ordinal)
            else:
                row = next_round_robin(requests, pool, at_s)
            requests.pools[pool].turn = row
            room = submit_request(requests, row, s.ordinal, at_s, service_draw)
        draw_next_arrival(requests, stream, at_s, s.ordinal + 1)
        if not room:
            return False


# --- changes of targets ----------------------------------------------------------------------------------


@kernel
def _register_target(requests: RequestTables, slot: int, server: int, at_s: float) -> None:
    """Register a task as a target; one that still completes its requests may return."""
    row = requests.target_of[slot]
    if row < 0:
        row = requests.counters[FREE_TARGET]
        requests.counters[FREE_TARGET] = requests.targets[row].next
        requests.target_of[slot] = row
        target = requests.targets[row]
        target.server, target.pool = server, NO_ROW
        target.head = target.count = 0
    target = requests.targets[row]
    if target.pool >= 0:
        return
    target.registered_s, target.ramp_end_s, target.credit, target.hung = at_s, 0.0, 0.0, 0
    join_pool(requests, row, server_pool(requests, server))
    begin_slow_start(requests, row, at_s)


@kernel
def _hang_target(requests: RequestTables, row: int, at_s: float) -> None:
    """Hang a target: its outstanding requests will time out, in order of arrival."""
    finish_until(requests, row, at_s)
    target = requests.targets[row]
    ring = requests.rings[row]
    last = ring.size - 1
    server = requests.servers[target.server]
    timeout_s = requests.streams[server.stream].timeout_s
    count, target.count = target.count, 0
    for position in range(count):
        request = ring[(target.head + position) & last]
        if request.start_s < at_s:  # the CPU time used so far
            in_system_s = server.in_system_s
            _count_usage(requests, server, request, at_s)
            server.in_system_s = in_system_s
        arrival_s, number = request.arrival_s, request.number
        _insert(target, ring, number, max(arrival_s + timeout_s, at_s), arrival_s, at_s, -1.0)
    target.hung = 1


@kernel
def _end_target(requests: RequestTables, slot: int, at_s: float) -> None:
    """End a target with its task: its outstanding requests fail, its row becomes free."""
    row = requests.target_of[slot]
    finish_until(requests, row, at_s)
    leave_pool(requests, row)
    target = requests.targets[row]
    ring = requests.rings[row]
    server = requests.servers[target.server]
    for number in range(target.count):
        _count_usage(requests, server, ring[(target.head + number) & (ring.size - 1)], at_s)
    server.failed += target.count
    target.count = 0
    target.server = NO_ROW
    requests.target_of[slot] = NO_ROW
    target.next = requests.counters[FREE_TARGET]
    requests.counters[FREE_TARGET] = row


@kernel
def _apply_change(requests: RequestTables, change: Any) -> None:
    """Apply one change."""
    at_s = change.at / _MS_PER_SECOND
    if change.kind == REWEIGHTED:
        set_weight(requests, change.set, change.weight)
        return
    if change.kind == REGISTERED:
        if change.set >= 0:
            _register_target(requests, change.slot, change.set, at_s)
        return
    row = requests.target_of[change.slot]
    if row < 0:
        return
    if change.kind == HUNG:
        _hang_target(requests, row, at_s)
    elif change.kind == DEREGISTERED:
        leave_pool(requests, row)
    elif change.kind == ENDED:
        _end_target(requests, change.slot, at_s)


@kernel
def _changed_stream(requests: RequestTables, change: Any) -> int:
    """Return the stream of a change; -1: none, or one that no longer has the task set (and no requests there)."""
    if change.kind == REGISTERED or change.kind == REWEIGHTED:  # noqa: PLR1714  (`in` would make a tuple)
        return int(requests.servers[change.set].stream) if change.set >= 0 else NO_ROW
    row = requests.target_of[change.slot]
    return int(requests.servers[requests.targets[row].server].stream) if row >= 0 else NO_ROW


@kernel_entry
def advance_streams(requests: RequestTables, changes: Changes, until_ms: int) -> bool:
    """Advance all streams to `until_ms`, through `changes` (in order of time; `set` is a server).

    Returns False if a ring buffer is full: enlarge all of them and call again; `counters[CHANGES_DONE]` records the
    progress, and is 0 again at the end. The caller ensures a free target row for each REGISTERED change.
    """
    while requests.counters[CHANGES_DONE] < changes.size:
        change = changes[requests.counters[CHANGES_DONE]]
        stream = _changed_stream(requests, change)
        if stream >= 0 and not advance_stream(requests, stream, change.at / _MS_PER_SECOND):
            return False
        _apply_change(requests, change)
        requests.counters[CHANGES_DONE] += 1
    until_s = until_ms / _MS_PER_SECOND
    for stream in range(requests.streams.size):
        if not advance_stream(requests, stream, until_s):
            return False
    _close_period(requests, until_s)
    requests.counters[CHANGES_DONE] = 0
    return True


@kernel
def _close_period(requests: RequestTables, until_s: float) -> None:
    """Complete the requests that end in the period, and count the outstanding ones as far as they lie in it."""
    for row in range(requests.targets.size):
        target = requests.targets[row]
        if target.server >= 0 and target.count > 0:
            finish_until(requests, row, until_s)
            ring = requests.rings[row]
            server = requests.servers[target.server]
            for number in range(target.count):
                _count_usage(requests, server, ring[(target.head + number) & (ring.size - 1)], until_s)
            server.backlog += target.count
    requests.span[0] = until_s
