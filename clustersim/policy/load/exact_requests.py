"""The exact model of load: every request of a service, one by one, between two changes of its targets.

Decides when each request arrives, which target it is routed to, when its service begins and ends, and which requests
fail. It must not know the world: it receives the changes of targets with their instants
(`exact_tables.TargetChangeRow.dtype`), and advances all streams through them to the end of a metric period.
`control.load.exact_requests` owns the records and calls `advance_streams`.

  arrivals     a renewal process at the rates of the demand (`arrival_gaps`): the next one comes when the integral of
               the rate since the last has grown by a random number with mean 1, exponential by default (Poisson)
  randomness   the n-th request of a service draws with the ordinal n, so its numbers are the same in any cluster
  in a task    all requests share the CPU (`exact_sharing`); with a limit, `workers` of them are in service at a time,
               first come, first served
  contention   with a limit, a request that begins with n in service, itself included, takes its service time times
               max(1, share, n x share / vCPU), fixed from then on; `share` is the CPU part of that time
  time-outs    without a limit a request that is not answered within the timeout fails then; with one, a request that
               would wait longer fails at once, without CPU, and one in service is answered
  draining     a deregistered target completes its outstanding requests; those left when its task ends fail
  denied       a share of the answered requests fails if the task role does not allow a call, drawn for each
  hung         a hung target still receives requests; its requests fail when they time out

With a limit the begin and end of a request are known when it arrives. A ring buffer of each target holds its
outstanding requests by end. The next free worker has the `workers`-th from the last of them, so
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
from clustersim.policy.load.exact_outstanding import count_usage, insert_outstanding
from clustersim.policy.load.exact_sharing import (
    advance_target,
    join_sharing,
    note_next_end,
    share_to_end_of_period,
    take_off_cpu,
)
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
from clustersim.policy.load.response_curves import LEAST_OUTSTANDING, WEIGHTED_RANDOM

Changes = Table[TargetChangeRow]

_MS_PER_SECOND = 1_000.0


# --- requests ------------------------------------------------------------------------------------------------


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
    advance_target(requests, row, at_s)
    target = requests.targets[row]
    ring = requests.rings[row]
    server = requests.servers[target.server]
    timeout_s = requests.streams[server.stream].timeout_s
    server.requests += 1.0
    if target.hung:
        insert_outstanding(target, ring, number, at_s + timeout_s, at_s, at_s, -1.0, at_s)
        note_next_end(requests, row)
        return bool(target.count + target.sharing < ring.size)
    alone_s = service_draw * server.scale
    if server.workers == 0:
        work_s = alone_s * server.cpu_share
        join_sharing(requests, row, number, at_s, work_s, max(alone_s - work_s / min(server.vcpu, 1.0), 0.0))
        return bool(target.count + target.sharing < ring.size)
    start_s = at_s
    if target.count >= server.workers:
        start_s = ring[(target.head + target.count - server.workers) & (ring.size - 1)].finish_s
        if start_s - at_s > timeout_s:
            server.failed += 1.0
            return True
    stretch = server.min_stretch
    if server.contention * server.workers > stretch:
        stretch = max(stretch, server.contention * _concurrency(target, ring, server.workers, start_s))
    finish_s, work_s = start_s + alone_s * stretch, alone_s * server.cpu_share
    insert_outstanding(target, ring, number, finish_s, at_s, start_s, work_s, at_s)
    target.next_s = min(target.next_s, finish_s)
    return bool(target.count < ring.size)


@kernel
def least_loaded_target(requests: RequestTables, pool: int, at_s: float) -> int:
    """Return the target with the fewest requests outstanding at `at_s`; on a tie the first in turn."""
    p = requests.pools[pool]
    row = best = requests.targets[p.turn].next
    fewest = np.int64(1 << 62)
    for _ in range(p.count):
        target = requests.targets[row]
        if target.next_s <= at_s:
            advance_target(requests, row, at_s)
        if target.count + target.sharing < fewest:
            best, fewest = row, target.count + target.sharing  # type: ignore[assignment]  # numba widens it
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
        target.head = target.count = target.first = target.sharing = 0
        target.next_s = np.inf
    target = requests.targets[row]
    if target.pool >= 0:
        return
    target.registered_s, target.ramp_end_s, target.credit, target.hung = at_s, 0.0, 0.0, 0
    join_pool(requests, row, server_pool(requests, server))
    begin_slow_start(requests, row, at_s)


@kernel
def _hang_target(requests: RequestTables, row: int, at_s: float) -> None:
    """Hang a target: its outstanding requests will time out, in order of arrival."""
    advance_target(requests, row, at_s)
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
            count_usage(requests, server, request, at_s)
            server.in_system_s = in_system_s
        arrival_s, number, entered_s = request.arrival_s, request.number, request.entered_s
        finish_s = max(arrival_s + timeout_s, at_s)
        insert_outstanding(target, ring, number, finish_s, arrival_s, at_s, -1.0, entered_s)
    take_off_cpu(requests, row, at_s)
    note_next_end(requests, row)
    target.hung = 1


@kernel
def _end_target(requests: RequestTables, slot: int, at_s: float) -> None:
    """End a target with its task: its outstanding requests fail, its row becomes free."""
    row = requests.target_of[slot]
    advance_target(requests, row, at_s)
    leave_pool(requests, row)
    target = requests.targets[row]
    ring = requests.rings[row]
    server = requests.servers[target.server]
    for number in range(target.count):
        count_usage(requests, server, ring[(target.head + number) & (ring.size - 1)], at_s)
    share_to_end_of_period(requests, row, at_s)
    server.failed += target.count + target.sharing
    target.count = target.sharing = 0
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
    else:
        raise RuntimeError("unknown change of a target")


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
        if target.server >= 0 and target.count + target.sharing > 0:
            advance_target(requests, row, until_s)
            share_to_end_of_period(requests, row, until_s)
            ring = requests.rings[row]
            server = requests.servers[target.server]
            for number in range(target.count):
                count_usage(requests, server, ring[(target.head + number) & (ring.size - 1)], until_s)
            server.backlog += target.count + target.sharing
    requests.span[0] = until_s
