"""The exact model of load: every request of a service, one by one, between two changes of its targets.

Decides when each request arrives, which task is asked, when it begins and ends, and what fails. Knows no world:
it is told what befell which target at which instant (`request_records.CHANGE`) and carries all streams through
that to the end of a metric period. `control.requests` owns the records and calls `carry`.

  arrivals     Poisson at the rates of the demand: the next one comes when the integral of the rate since the last
               has grown by an exponential number with mean 1
  luck         what the n-th request of a service is drawn has the address n, so it is the same under any cluster
  in a task    at most `workers` requests are at work at a time, first come, first served
  contention   a request that begins with n at work, itself among them, takes its service time times
               max(1, need, n x need / vCPU), fixed for its life; `need` is the part of that time that is CPU
  time-outs    who would wait longer than the timeout fails at once and takes no CPU; who has begun is answered
  draining     a target that is asked no longer finishes what it has; what it has when its task ends fails
  denied       of what is answered a share fails where the task role does not allow a call, drawn for each
  hung         a target that no longer answers is asked on; what it has and gets fails when it times out

Since service is first come, first served, a request's begin and end are known when it arrives. A ring of a target
holds what is outstanding by its end. The worker that is free first is the one that finishes as the `workers`-th
from the last, so no list of workers is kept.

Conservation: requests = served + failed + change of what is outstanding, in every period.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np

from clustersim.engine.compiled import Array, inlined, kernel, kernel_entry
from clustersim.engine.random_streams import sample, uniform
from clustersim.policy.load.exact_tables import (
    CHANGE,
    CHANGES_DONE,
    CLOSED,
    FREE_TARGET,
    GONE,
    HUNG,
    LEAST_OUTSTANDING,
    NOBODY,
    OPENED,
    WEIGHED,
    Requests,
)
from clustersim.policy.load.exact_targets import (
    begin_slowly,
    choose_pool,
    join_pool,
    leave_pool,
    next_in_turn,
    own_pool,
    weigh,
)
from clustersim.policy.load.latency import latency_bucket

Changes = Annotated[Array, CHANGE, 1]

_MS_PER_SECOND = 1_000.0
_LEAST_NEED = 1e-300  # rounding at the end of a segment must not lose an arrival


# --- arrivals ----------------------------------------------------------------------------------------------


@kernel
def _next_segment(requests: Requests, stream: int) -> None:
    """Move a stream's reader to the next breakpoint of its demand."""
    cursor, s = requests.cursors[stream], requests.streams[stream]
    s.at_s = s.segment_end_s
    cursor.segment += 1
    if cursor.segment == cursor.last:
        cursor.segment = cursor.first
        cursor.cycle_ms += cursor.period_ms
    s.segment_end_s = segment_end_s(requests, stream)


@kernel
def segment_end_s(requests: Requests, stream: int) -> float:
    """When the rate that a stream reads changes; infinity for a last rate that holds for ever."""
    cursor = requests.cursors[stream]
    if cursor.segment + 1 < cursor.last:
        return float(cursor.cycle_ms + requests.times[cursor.segment + 1]) / _MS_PER_SECOND
    return float(cursor.cycle_ms + cursor.period_ms) / _MS_PER_SECOND if cursor.period_ms > 0 else np.inf


@inlined
def _arrival_before(requests: Requests, stream: int, until_s: float) -> float:
    """The instant of the stream's next request; infinity if it does not come before `until_s`."""
    s = requests.streams[stream]
    while True:
        rate = requests.rates[requests.cursors[stream].segment]
        if rate > 0.0:
            at_s = s.at_s + s.need / rate
            if at_s < s.segment_end_s:
                return float(at_s) if at_s < until_s else np.inf
        if s.segment_end_s >= until_s:
            return np.inf
        s.need = max(s.need - rate * (s.segment_end_s - s.at_s), _LEAST_NEED)
        _next_segment(requests, stream)


@inlined
def expect_next(requests: Requests, stream: int, at_s: float, ordinal: int) -> None:
    """Draw how long it takes until the next request comes, the `ordinal`-th, from `at_s` on."""
    s = requests.streams[stream]
    s.at_s, s.ordinal = at_s, ordinal
    s.need = -math.log(uniform(s.arrival_key, 0, ordinal))


# --- what is outstanding at a target -----------------------------------------------------------------------


@inlined
def _count_end(requests: Requests, server: Any, ended: Any, until_s: float) -> None:
    """Add a request's use of CPU and its time inside, as far as they lie in the period, up to `until_s`."""
    begin_s = requests.span[0]
    server.inside_s += until_s - max(ended.arrival_s, begin_s)
    if ended.work_s > 0.0:
        if ended.start_s >= begin_s and ended.finish_s <= until_s:
            server.busy_s += ended.work_s
        elif ended.start_s < until_s:
            share = (until_s - max(ended.start_s, begin_s)) / (ended.finish_s - ended.start_s)
            server.busy_s += ended.work_s * share


@kernel
def finish_until(requests: Requests, row: int, at_s: float) -> None:
    """Let a target finish what is due by `at_s`."""
    target = requests.targets[row]
    ring = requests.rings[row]
    last = ring.size - 1
    server = requests.servers[target.server]
    while target.count > 0:
        ended = ring[target.head]
        if ended.finish_s > at_s:
            return
        _count_end(requests, server, ended, ended.finish_s)
        response_s = ended.finish_s - ended.arrival_s
        if ended.work_s < 0.0:
            server.failed += 1.0
        else:
            server.served += 1.0
            server.response_s += response_s
            if server.failing > 0.0:
                key = requests.streams[server.stream].denial_key
                if uniform(key, 0, ended.number) < server.failing:
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
    """Put a request among those outstanding, in the order in which they end."""
    last = ring.size - 1
    place = target.head + target.count
    ahead = target.count
    while ahead > 0 and ring[(place - 1) & last].finish_s > finish_s:
        ring[place & last] = ring[(place - 1) & last]
        place -= 1
        ahead -= 1
    new = ring[place & last]
    new.finish_s, new.arrival_s, new.start_s, new.work_s = finish_s, arrival_s, start_s, work_s
    new.number = number
    target.count += 1


@inlined
def _at_work(target: Any, ring: np.ndarray, workers: int, start_s: float) -> int:
    """How many requests are at work when one begins at `start_s`, itself included."""
    if target.count < workers:
        return int(target.count + 1)
    last = ring.size - 1
    busy = 1
    for back in range(1, workers):
        busy += int(ring[(target.head + target.count - back) & last].finish_s > start_s)
    return busy


@kernel
def ask(requests: Requests, row: int, number: int, at_s: float, drawn: float) -> bool:
    """The `number`-th request arrives at a target, with the luck `drawn`; returns whether there is room for another."""
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
    alone_s = drawn * server.scale
    stretch = server.floor
    if server.crowding * server.workers > stretch:
        stretch = max(stretch, server.crowding * _at_work(target, ring, server.workers, start_s))
    _insert(target, ring, number, start_s + alone_s * stretch, at_s, start_s, alone_s * server.need)
    return bool(target.count < ring.size)


@kernel
def least_outstanding(requests: Requests, pool: int, at_s: float) -> int:
    """The target with the fewest requests outstanding at `at_s`; of equals the first in turn."""
    circle = requests.pools[pool]
    row = best = requests.targets[circle.turn].next
    fewest = np.int64(1 << 62)
    for _ in range(circle.count):
        target = requests.targets[row]
        if target.count > 0 and requests.rings[row, target.head].finish_s <= at_s:
            finish_until(requests, row, at_s)
        if target.count < fewest:
            best, fewest = row, target.count
        row = target.next
    return int(best)


@kernel
def run_stream(requests: Requests, stream: int, until_s: float) -> bool:
    """All of a stream's requests before `until_s`; false when a ring is full: make room and call again."""
    s = requests.streams[stream]
    while True:
        at_s = _arrival_before(requests, stream, until_s)
        if at_s >= until_s:
            return True
        pool = choose_pool(requests, stream)
        s.requests += 1.0
        room = True
        if requests.pools[pool].count == 0:
            s.refused += 1.0
        else:
            luck = uniform(s.service_key, 0, s.ordinal)
            drawn = sample(s.code, s.a, s.b, requests.values[s.first_value : s.last_value], luck)
            if s.routing == LEAST_OUTSTANDING:
                row = least_outstanding(requests, pool, at_s)
            else:
                row = next_in_turn(requests, pool, at_s)
            requests.pools[pool].turn = row
            room = ask(requests, row, s.ordinal, at_s, drawn)
        expect_next(requests, stream, at_s, s.ordinal + 1)
        if not room:
            return False


# --- what befalls targets ----------------------------------------------------------------------------------


@kernel
def _open(requests: Requests, slot: int, server: int, at_s: float) -> None:
    """A task is asked from now on; one that finishes what it has may come back."""
    row = requests.target_of[slot]
    if row < 0:
        row = requests.counters[FREE_TARGET]
        requests.counters[FREE_TARGET] = requests.targets[row].next
        requests.target_of[slot] = row
        target = requests.targets[row]
        target.server, target.pool = server, NOBODY
        target.head = target.count = 0
    target = requests.targets[row]
    if target.pool >= 0:
        return
    target.since_s, target.ramp_end_s, target.credit, target.hung = at_s, 0.0, 0.0, 0
    join_pool(requests, row, own_pool(requests, server))
    begin_slowly(requests, row, at_s)


@kernel
def _hang(requests: Requests, row: int, at_s: float) -> None:
    """A target stops working: what it has will time out, in the order of arrival."""
    finish_until(requests, row, at_s)
    target = requests.targets[row]
    ring = requests.rings[row]
    last = ring.size - 1
    server = requests.servers[target.server]
    timeout_s = requests.streams[server.stream].timeout_s
    held, target.count = target.count, 0
    for place in range(held):
        stuck = ring[(target.head + place) & last]
        if stuck.start_s < at_s:  # the CPU it has had
            inside_s = server.inside_s
            _count_end(requests, server, stuck, at_s)
            server.inside_s = inside_s
        arrival_s, number = stuck.arrival_s, stuck.number
        _insert(target, ring, number, max(arrival_s + timeout_s, at_s), arrival_s, at_s, -1.0)
    target.hung = 1


@kernel
def _end(requests: Requests, slot: int, at_s: float) -> None:
    """A task has ended: what it had is lost, its row is free."""
    row = requests.target_of[slot]
    finish_until(requests, row, at_s)
    leave_pool(requests, row)
    target = requests.targets[row]
    ring = requests.rings[row]
    server = requests.servers[target.server]
    for number in range(target.count):
        _count_end(requests, server, ring[(target.head + number) & (ring.size - 1)], at_s)
    server.failed += target.count
    target.count = 0
    target.server = NOBODY
    requests.target_of[slot] = NOBODY
    target.next = requests.counters[FREE_TARGET]
    requests.counters[FREE_TARGET] = row


@kernel
def _befall(requests: Requests, change: Any) -> None:
    """Carry out one change."""
    at_s = change.at / _MS_PER_SECOND
    if change.kind == WEIGHED:
        weigh(requests, change.set, change.weight)
        return
    if change.kind == OPENED:
        if change.set >= 0:
            _open(requests, change.slot, change.set, at_s)
        return
    row = requests.target_of[change.slot]
    if row < 0:
        return
    if change.kind == HUNG:
        _hang(requests, row, at_s)
    elif change.kind == CLOSED:
        leave_pool(requests, row)
    elif change.kind == GONE:
        _end(requests, change.slot, at_s)


@kernel
def _stream_of(requests: Requests, change: Any) -> int:
    """The stream that a change concerns; -1: none, or one that has given up the task set (nothing is left there)."""
    if change.kind == OPENED or change.kind == WEIGHED:  # noqa: PLR1714  (`in` would make a tuple)
        return int(requests.servers[change.set].stream) if change.set >= 0 else NOBODY
    row = requests.target_of[change.slot]
    return int(requests.servers[requests.targets[row].server].stream) if row >= 0 else NOBODY


@kernel_entry
def carry(requests: Requests, changes: Changes, until_ms: int) -> bool:
    """Carry all streams to `until_ms`, through `changes` (in order of time; `set` is a server).

    False when a ring is full: give all rings more room and call again; `counters[CHANGES_DONE]` remembers how far
    it came, and is 0 again at the end. The caller has made sure of a free target for each change that opens one.
    """
    while requests.counters[CHANGES_DONE] < changes.size:
        change = changes[requests.counters[CHANGES_DONE]]
        stream = _stream_of(requests, change)
        if stream >= 0 and not run_stream(requests, stream, change.at / _MS_PER_SECOND):
            return False
        _befall(requests, change)
        requests.counters[CHANGES_DONE] += 1
    until_s = until_ms / _MS_PER_SECOND
    for stream in range(requests.streams.size):
        if not run_stream(requests, stream, until_s):
            return False
    _close_period(requests, until_s)
    requests.counters[CHANGES_DONE] = 0
    return True


@kernel
def _close_period(requests: Requests, until_s: float) -> None:
    """Finish what is due, and count what is outstanding as far as it lies in the period."""
    for row in range(requests.targets.size):
        target = requests.targets[row]
        if target.server >= 0 and target.count > 0:
            finish_until(requests, row, until_s)
            ring = requests.rings[row]
            server = requests.servers[target.server]
            for number in range(target.count):
                _count_end(requests, server, ring[(target.head + number) & (ring.size - 1)], until_s)
            server.backlog += target.count
    requests.span[0] = until_s


@kernel_entry
def first_arrivals(requests: Requests) -> None:
    """Begin all streams at the first instant."""
    for stream in range(requests.streams.size):
        requests.streams[stream].segment_end_s = segment_end_s(requests, stream)
        expect_next(requests, stream, 0.0, 0)
