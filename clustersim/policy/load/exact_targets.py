"""The pools of targets of the exact request model, and the routing algorithms of an ALB.

Targets join and leave pools, and requests are routed among them. This module reads outstanding requests only as
counts. `policy.load.exact_requests` calls it.

ELB User Guide (target groups): round robin is the default; `least_outstanding_requests` chooses the target with the
fewest requests in progress (ties by turn, our choice); `weighted_random` chooses evenly at random (its weights, which
follow anomalies of targets, stay equal here). In slow start a target's share grows linearly to that of the
others; a target starts slowly only if another target of its pool does not (targets of one instant are registered
together), and no longer than it is registered.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.engine.random_streams import uniform
from clustersim.policy.load.exact_tables import NO_ROW, RequestTables


@kernel
def join_pool(requests: RequestTables, row: int, pool: int) -> None:
    """Append a target to a pool: it is chosen after all others have been."""
    target, p = requests.targets[row], requests.pools[pool]
    if p.count == 0:
        target.next = target.previous = p.turn = row
    else:
        last = requests.targets[p.turn]
        target.previous, target.next = p.turn, last.next
        requests.targets[last.next].previous = row
        last.next = p.turn = row
    target.pool = pool
    p.count += 1


@kernel
def leave_pool(requests: RequestTables, row: int) -> None:
    """Remove a target from its pool; if it was its turn, the next one follows."""
    target = requests.targets[row]
    if target.pool < 0:
        return
    p = requests.pools[target.pool]
    requests.targets[target.previous].next = target.next
    requests.targets[target.next].previous = target.previous
    p.count -= 1
    if p.turn == row:
        p.turn = target.previous if p.count > 0 else NO_ROW
    target.pool = NO_ROW
    target.ramp_end_s = 0.0


@kernel
def server_pool(requests: RequestTables, server: int) -> int:
    """Return the pool of the targets of a server: its own while it has a weight, else that of its stream."""
    s = requests.servers[server]
    return int(requests.streams.size + server if s.weight >= 0.0 else s.stream)


@kernel
def begin_slow_start(requests: RequestTables, row: int, at_s: float) -> None:
    """Start the slow start of a target that joined at `at_s`, if an earlier target is past its own."""
    target = requests.targets[row]
    slow_s = requests.streams[requests.servers[target.server].stream].slow_start_s
    if slow_s <= 0.0:
        return
    other = target.next
    while other != row:
        other_target = requests.targets[other]
        if other_target.registered_s < at_s and other_target.ramp_end_s <= at_s:
            target.ramp_end_s = at_s + slow_s
            return
        other = other_target.next


@kernel
def set_weight(requests: RequestTables, server: int, weight: float) -> None:
    """Set the share of a server in its stream.

    BY_TARGETS: in proportion to its targets, of what the weights of others leave.
    """
    s = requests.servers[server]
    p = requests.pools[server_pool(requests, server)]
    s.weight = weight
    pool = server_pool(requests, server)
    if p.count == 0 or requests.targets[p.turn].pool == pool:
        return
    row = requests.targets[p.turn].next
    for _ in range(p.count):
        target = requests.targets[row]
        next_row = target.next
        if target.server == server:
            ramp_end_s = target.ramp_end_s
            leave_pool(requests, row)
            join_pool(requests, row, pool)
            target.ramp_end_s = ramp_end_s
        row = next_row


@kernel
def choose_pool(requests: RequestTables, stream: int) -> int:
    """Return the pool of the stream's next request, drawn by weight if there are weights."""
    s = requests.streams[stream]
    weight_sum, weighted, unweighted = 0.0, 0, 0
    server = s.first
    while server >= 0:
        candidate = requests.servers[server]
        if candidate.weight >= 0.0:
            weight_sum += candidate.weight
            weighted += 1
        else:
            unweighted += 1
        server = candidate.next
    if weighted == 0:
        return stream
    if unweighted == 0 and weight_sum <= 0.0:
        return int(requests.streams.size + s.first)
    point = uniform(s.route_key, 0, s.ordinal) * (1.0 if unweighted > 0 else weight_sum)
    server = s.first
    while server >= 0:
        candidate = requests.servers[server]
        if candidate.weight > 0.0:
            point -= candidate.weight
            if point < 0.0:
                return int(requests.streams.size + server)
        server = candidate.next
    return stream


@kernel
def next_at_random(requests: RequestTables, pool: int, ordinal: int) -> int:
    """Return a target drawn for the `ordinal`-th request of a stream, each with the same probability."""
    p = requests.pools[pool]
    row = requests.targets[p.turn].next
    key = requests.streams[requests.servers[requests.targets[row].server].stream].route_key
    for _ in range(int(uniform(key, 1, ordinal) * p.count)):
        row = requests.targets[row].next
    return int(row)


@kernel
def next_round_robin(requests: RequestTables, pool: int, at_s: float) -> int:
    """Return the next target in turn; one in slow start is skipped until it has earned a turn."""
    p = requests.pools[pool]
    row = requests.targets[p.turn].next
    first = row
    for _ in range(p.count):
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
