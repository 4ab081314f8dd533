"""Whose turn it is: the circles of targets, joined and left, and the two ways in which an ALB chooses among them.

Knows what is outstanding at a target only by its count. `policy.load.exact_requests` calls it.

ELB User Guide (target groups): round robin is the default; `least_outstanding_requests` asks the target with the
fewest requests in progress (of equals: in turn, ours). In slow start a target's share grows linearly to that of
the others; it starts slowly only if another target of its pool does not (those of one instant are registered
together), and no longer than it is a target.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.engine.random_streams import uniform
from clustersim.policy.load.exact_tables import NOBODY, Requests


@kernel
def join_pool(requests: Requests, row: int, pool: int) -> None:
    """Put a target into a circle, to be asked when all others have been."""
    target, circle = requests.targets[row], requests.pools[pool]
    if circle.count == 0:
        target.next = target.previous = circle.turn = row
    else:
        last = requests.targets[circle.turn]
        target.previous, target.next = circle.turn, last.next
        requests.targets[last.next].previous = row
        last.next = circle.turn = row
    target.pool = pool
    circle.count += 1


@kernel
def leave_pool(requests: Requests, row: int) -> None:
    """Take a target out of its circle; who comes after it is asked next if it was its turn."""
    target = requests.targets[row]
    if target.pool < 0:
        return
    circle = requests.pools[target.pool]
    requests.targets[target.previous].next = target.next
    requests.targets[target.next].previous = target.previous
    circle.count -= 1
    if circle.turn == row:
        circle.turn = target.previous if circle.count > 0 else NOBODY
    target.pool = NOBODY
    target.ramp_end_s = 0.0


@kernel
def own_pool(requests: Requests, server: int) -> int:
    """The circle of a server's targets: its own while it has a weight, else its stream's."""
    s = requests.servers[server]
    return int(requests.streams.size + server if s.weight >= 0.0 else s.stream)


@kernel
def begin_slowly(requests: Requests, row: int, at_s: float) -> None:
    """Let a target that joined at `at_s` start slowly, if another that was there before does not."""
    target = requests.targets[row]
    slow_s = requests.streams[requests.servers[target.server].stream].slow_start_s
    if slow_s <= 0.0:
        return
    other = target.next
    while other != row:
        o = requests.targets[other]
        if o.since_s < at_s and o.ramp_end_s <= at_s:
            target.ramp_end_s = at_s + slow_s
            return
        other = o.next


@kernel
def weigh(requests: Requests, server: int, weight: float) -> None:
    """From now on a server gets this share of its stream, or (BY_TARGETS) its targets' part of what is left."""
    s = requests.servers[server]
    circle = requests.pools[own_pool(requests, server)]
    s.weight = weight
    pool = own_pool(requests, server)
    if circle.count == 0 or requests.targets[circle.turn].pool == pool:
        return
    row = requests.targets[circle.turn].next
    for _ in range(circle.count):
        target = requests.targets[row]
        following = target.next
        if target.server == server:
            ramp_end_s = target.ramp_end_s
            leave_pool(requests, row)
            join_pool(requests, row, pool)
            target.ramp_end_s = ramp_end_s
        row = following


@kernel
def choose_pool(requests: Requests, stream: int) -> int:
    """The circle that the stream's next request goes to, drawn by weight where there are weights."""
    s = requests.streams[stream]
    weights, weighted, free = 0.0, 0, 0
    server = s.first
    while server >= 0:
        v = requests.servers[server]
        if v.weight >= 0.0:
            weights += v.weight
            weighted += 1
        else:
            free += 1
        server = v.next
    if weighted == 0:
        return stream
    if free == 0 and weights <= 0.0:
        return int(requests.streams.size + s.first)
    point = uniform(s.route_key, 0, s.ordinal) * (1.0 if free > 0 else weights)
    server = s.first
    while server >= 0:
        v = requests.servers[server]
        if v.weight > 0.0:
            point -= v.weight
            if point < 0.0:
                return int(requests.streams.size + server)
        server = v.next
    return stream


@kernel
def next_in_turn(requests: Requests, pool: int, at_s: float) -> int:
    """The target whose turn it is; one that starts slowly is passed over until it has earned a turn."""
    circle = requests.pools[pool]
    row = requests.targets[circle.turn].next
    first = row
    for _ in range(circle.count):
        target = requests.targets[row]
        if target.ramp_end_s <= at_s:
            return int(row)
        slow_s = requests.streams[requests.servers[target.server].stream].slow_start_s
        target.credit += max(0.0, 1.0 - (target.ramp_end_s - at_s) / slow_s)
        if target.credit >= 1.0:
            target.credit -= 1.0
            return int(row)
        row = target.next
    return int(first)
