"""Requests that share the CPU of their task: processor sharing, request by request.

Decides when a request has had its CPU time, if a task answers all its requests at once. It must not know streams or
routing. `policy.load.exact_requests` submits requests and advances targets.

  sharing      of k requests each gets the vCPUs of the task / k, one vCPU at most
  delay        the rest of the service time follows, without CPU; without it the request is answered
  time-outs    a request that is not answered within the timeout fails then; the CPU time it had is used

All requests of a task get CPU time at the same rate. A target keeps the time that each of them has had since the task
was idle (`attained_s`); a request that joins ends when it has grown by its own CPU time. So requests are kept in order
of the attained time at their end, and nothing has to be subtracted from each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.engine.compiled import inlined, kernel
from clustersim.policy.load.exact_outstanding import count_answer, finish_outstanding, insert_outstanding
from clustersim.policy.load.exact_tables import RequestTables


@inlined
def _pace(server: Any, target: Any) -> float:
    """Return the CPU time per second of each request on the CPU of a target."""
    return float(min(1.0, server.vcpu / target.sharing))


@inlined
def _share_until(server: Any, target: Any, at_s: float) -> None:
    """Give the requests on the CPU of a target their time up to `at_s`."""
    elapsed_s = at_s - target.shared_s
    if target.sharing > 0 and elapsed_s > 0.0:
        gained_s = elapsed_s * _pace(server, target)
        target.attained_s += gained_s
        server.busy_s += gained_s * target.sharing
        server.in_system_s += elapsed_s * target.sharing
    target.shared_s = at_s


@kernel
def note_next_end(requests: RequestTables, row: int) -> None:
    """Set the instant of the next event of a target: an end, a time-out."""
    target = requests.targets[row]
    next_s = np.inf
    if target.count > 0:
        next_s = requests.rings[row, target.head].finish_s
    if target.sharing > 0:
        server = requests.servers[target.server]
        first = requests.shares[row, target.first]
        end_s = target.shared_s + (first.end_s - target.attained_s) / _pace(server, target)
        next_s = min(next_s, end_s, target.oldest_s + requests.streams[server.stream].timeout_s)
    target.next_s = next_s


@kernel
def _answer_first(requests: RequestTables, row: int, at_s: float) -> None:
    """Take the first request off the CPU: it is answered, or its delay begins."""
    target = requests.targets[row]
    shares = requests.shares[row]
    server = requests.servers[target.server]
    request = shares[target.first]
    target.attained_s = request.end_s
    target.first = (target.first + 1) & (shares.size - 1)
    target.sharing -= 1
    if request.delay_s <= 0.0:
        count_answer(requests, server, request.number, at_s - request.arrival_s)
        return
    begin_delay(requests, row, request.number, request.arrival_s, at_s, request.delay_s)


@kernel
def begin_delay(
    requests: RequestTables, row: int, number: int, arrival_s: float, at_s: float, delay_s: float
) -> None:
    """Begin the part of a service time without CPU; a request that would be late fails at its timeout."""
    target = requests.targets[row]
    late_s = arrival_s + requests.streams[requests.servers[target.server].stream].timeout_s
    finish_s, work_s = at_s + delay_s, 0.0
    if finish_s > late_s:
        finish_s, work_s = late_s, -1.0
    insert_outstanding(target, requests.rings[row], number, finish_s, arrival_s, at_s, work_s, at_s)


@kernel
def _expire(requests: RequestTables, row: int, at_s: float) -> None:
    """Fail the requests on the CPU that came a timeout before `at_s`, and find the oldest of the others."""
    target = requests.targets[row]
    shares = requests.shares[row]
    server = requests.servers[target.server]
    timeout_s = requests.streams[server.stream].timeout_s
    last = shares.size - 1
    kept = 0
    oldest_s = np.inf
    for number in range(target.sharing):
        request = shares[(target.first + number) & last]
        if request.arrival_s + timeout_s <= at_s:
            server.failed += 1.0
            continue
        oldest_s = min(oldest_s, request.arrival_s)
        if kept < number:
            shares[(target.first + kept) & last] = shares[(target.first + number) & last]
        kept += 1
    target.sharing, target.oldest_s = kept, oldest_s


@kernel
def advance_target(requests: RequestTables, row: int, at_s: float) -> None:
    """Carry the requests of a target to `at_s`: those that end or time out by then are complete."""
    target = requests.targets[row]
    if target.next_s > at_s:
        return
    server = requests.servers[target.server]
    timeout_s = requests.streams[server.stream].timeout_s
    while target.sharing > 0:
        first = requests.shares[row, target.first]
        end_s = target.shared_s + (first.end_s - target.attained_s) / _pace(server, target)
        late_s = target.oldest_s + timeout_s
        if min(end_s, late_s) > at_s:
            break
        if end_s <= late_s:
            _share_until(server, target, max(end_s, target.shared_s))
            _answer_first(requests, row, target.shared_s)
        else:
            _share_until(server, target, max(late_s, target.shared_s))
            _expire(requests, row, late_s)
    finish_outstanding(requests, row, at_s)
    note_next_end(requests, row)


@kernel
def join_sharing(
    requests: RequestTables, row: int, number: int, at_s: float, work_s: float, delay_s: float
) -> None:
    """Put a request on the CPU of a target, which has been carried to `at_s`; there is room for it."""
    target = requests.targets[row]
    server = requests.servers[target.server]
    if work_s <= 0.0:
        begin_delay(requests, row, number, at_s, at_s, delay_s)
        note_next_end(requests, row)
        return
    _share_until(server, target, at_s)
    if target.sharing == 0:
        target.attained_s, target.oldest_s = 0.0, at_s
    shares = requests.shares[row]
    last = shares.size - 1
    end_s = target.attained_s + work_s
    position = target.first + target.sharing
    ahead = target.sharing
    while ahead > 0 and shares[(position - 1) & last].end_s > end_s:
        shares[position & last] = shares[(position - 1) & last]
        position -= 1
        ahead -= 1
    new = shares[position & last]
    new.end_s, new.arrival_s, new.delay_s, new.number = end_s, at_s, delay_s, number
    target.sharing += 1
    note_next_end(requests, row)


@kernel
def share_to_end_of_period(requests: RequestTables, row: int, at_s: float) -> None:
    """Count what the requests on the CPU of a target have used up to `at_s`."""
    target = requests.targets[row]
    _share_until(requests.servers[target.server], target, at_s)


@kernel
def take_off_cpu(requests: RequestTables, row: int, at_s: float) -> None:
    """Let the requests on the CPU of a target that hangs wait for their time-outs."""
    target = requests.targets[row]
    shares = requests.shares[row]
    server = requests.servers[target.server]
    _share_until(server, target, at_s)
    timeout_s = requests.streams[server.stream].timeout_s
    for number in range(target.sharing):
        request = shares[(target.first + number) & (shares.size - 1)]
        finish_s = max(request.arrival_s + timeout_s, at_s)
        insert_outstanding(
            target, requests.rings[row], request.number, finish_s, request.arrival_s, at_s, -1.0, at_s
        )
    target.sharing = 0
