"""Where a task goes: filter the hosts that can take it, narrow them rule by rule, take the lowest slot.

ECS narrows (Developer Guide, "task placement strategies"): hosts with room, then constraints, then each
strategy keeps its best set and the next decides within it. Each rule is one tight loop over a column of
scores. Where the hosts keep an index and the chain is one it serves, the same answer is found without a
loop over hosts. A chain without a rule, which is RunTask without a strategy, takes a fitting host at random
(AWS leaves this unspecified).

Public names of the columns (`Hosts`, `Request`, codes, movements) are those of `policy.placement.hosts`. The module
reads and never changes a host, but for scratch and bounds; the world's transitions call `choose`, then
`reserve`.
"""

from typing import Any

import numpy as np

from clustersim.engine.compiled import kernel
from clustersim.engine.random_streams import uniform
from clustersim.policy.placement.best_fit_index import SLOT_BITS, SLOT_MASK, index_next, packed_room
from clustersim.policy.placement.constraint_program import holds
from clustersim.policy.placement.hosts import (
    BINPACK_CPU,
    BINPACK_MEMORY,
    ELIGIBLE,
    END,
    FEWEST_OF_GROUP,
    INDEX_FROM,
    NOT_OFFERED,
    RANDOM,
    SPREAD_ATTRIBUTE,
    SPREAD_INSTANCE,
    ZONE,
    Array,
    Hosts,
    Request,
    chain_of,
    close_host,
    grown_hosts,
    needs_counts,
    new_hosts,
    open_host,
    release,
    reserve,
)
from clustersim.vocabulary import CPU, GPU, MEMORY, RESOURCES

__all__ = [
    "BINPACK_CPU",
    "BINPACK_MEMORY",
    "ELIGIBLE",
    "END",
    "FEWEST_OF_GROUP",
    "INDEX_FROM",
    "NOT_OFFERED",
    "RANDOM",
    "SPREAD_ATTRIBUTE",
    "SPREAD_INSTANCE",
    "ZONE",
    "Hosts",
    "Request",
    "chain_of",
    "choose",
    "close_host",
    "fits",
    "grown_hosts",
    "needs_counts",
    "new_hosts",
    "open_host",
    "release",
    "reserve",
]

OUT = 1 << 62  # the score of a host that is no candidate
STRETCH = 64  # slots compared at once


@kernel
def choose(hosts: Hosts, request: Request, ordinal: int) -> int:
    """The slot where this task goes, or -1 when no host can take it.

    `ordinal` is the address of a random choice within the request's stream: the number of the task.
    """
    chain = request.chain
    if hosts.directory.size != 0:
        key_row = hosts.directory[hosts.directory.shape[0] - 1, 1]
        code = BINPACK_MEMORY if key_row == MEMORY else BINPACK_CPU
        if chain[0, 0] == code and chain[1, 0] == END:
            return _best_fit(hosts, request, False)
        if (
            chain[0, 0] == SPREAD_ATTRIBUTE
            and chain[0, 1] == ZONE
            and chain[1, 0] == code
            and chain[2, 0] == END
        ):
            return _best_fit(hosts, request, True)
    return _scan(hosts, request, ordinal)


@kernel
def fits(hosts: Hosts, request: Request, slot: int) -> bool:
    """Whether the open host in `slot` has all that the task needs and meets its constraints."""
    for resource in range(RESOURCES):
        if hosts.free[resource, slot] < request.need[resource]:
            return False
    return meets_constraints(hosts, request, slot)


@kernel
def meets_constraints(hosts: Hosts, request: Request, slot: int) -> bool:
    """Whether static ports, distinctInstance and dynamic memberOf allow the task on the host in `slot`."""
    if request.distinct != 0 and hosts.on_host[slot] > 0:
        return False
    for word in range(request.ports.size):
        if hosts.ports[slot, word] & request.ports[word] != 0:
            return False
    return request.program.shape[0] == 0 or holds(
        request.program, request.truth, hosts.facts, hosts.klass[slot], slot
    )


@kernel
def _best_fit(hosts: Hosts, request: Request, by_zone: bool) -> int:
    """Best fit from the index; `by_zone` looks in the zones with the fewest tasks of the group first.

    Classes whose zones tie compete on (free amount, slot), as in the scan.
    """
    pool, directory = hosts.pool, hosts.directory
    key_row = directory[directory.shape[0] - 1, 1]
    least = request.need[key_row] << SLOT_BITS
    wanted = packed_room(request.need, key_row)
    best_count, best_key = OUT, OUT
    for klass in range(request.eligible.size):
        if request.eligible[klass] != ELIGIBLE:
            continue
        count = _zone_count(hosts, request, klass) if by_zone else 0
        if count > best_count:
            continue
        limit = best_key if count == best_count else OUT
        key = index_next(pool, directory, klass, least, limit, wanted)
        while key < limit and not fits(hosts, request, key & SLOT_MASK):
            key = index_next(pool, directory, klass, key + 1, limit, wanted)
        if key < limit:
            best_count, best_key = count, key
    return -1 if best_key == OUT else best_key & SLOT_MASK


@kernel
def _zone_count(hosts: Hosts, request: Request, klass: int) -> int:
    """Tasks of the group in the zone of `klass`; 0 for a class without a zone."""
    zone = hosts.values[ZONE, klass]
    return int(request.zone_count[zone]) if zone >= 0 else 0


@kernel
def _scan(hosts: Hosts, request: Request, ordinal: int) -> int:
    """The choice by one pass for what fits and one pass for every rule."""
    chain = request.chain
    if chain[0, 0] in (SPREAD_ATTRIBUTE, FEWEST_OF_GROUP):
        _score_classes(hosts, request, chain[0, 1] if chain[0, 0] == SPREAD_ATTRIBUTE else ZONE)
    else:
        hosts.class_score[:] = 0
    best = _admit(hosts, request)
    if best != OUT and (request.distinct != 0 or request.program.shape[0] != 0 or _any(request.ports)):
        best = _strike_out(hosts, request)
    if best == OUT:
        return -1
    if chain[0, 0] == END:
        return _at_random(hosts, best, request.luck, ordinal)
    for rule in range(chain.shape[0]):
        code = chain[rule, 0]
        if code == END:
            break
        if code == BINPACK_CPU:
            best = _keep_least(hosts, best, hosts.free[CPU])
        elif code == BINPACK_MEMORY:
            best = _keep_least(hosts, best, hosts.free[MEMORY])
        elif code == SPREAD_INSTANCE:
            best = _keep_least(hosts, best, hosts.on_host)
        elif code == RANDOM:
            return _at_random(hosts, best, request.luck, ordinal)
        else:
            if rule > 0:
                _score_classes(hosts, request, chain[rule, 1] if code == SPREAD_ATTRIBUTE else ZONE)
                best = _keep_least_class(hosts, best)
            if code == FEWEST_OF_GROUP:
                best = _keep_least(hosts, best, hosts.on_host)
    return _first(hosts, best)


@kernel
def _any(words: Array) -> bool:
    """Whether any bit is set."""
    union = np.uint64(0)
    for word in words:
        union |= word
    return bool(union != 0)


@kernel
def _score_classes(hosts: Hosts, request: Request, attribute: int) -> None:
    """Write into `class_score` how many tasks of the group share each class's value of the attribute.

    Zones come counted by the caller; for another attribute the tasks on open hosts are counted. Classes that
    lack the attribute count as having one value of their own.
    """
    score, values = hosts.class_score, hosts.values[attribute]
    if attribute == ZONE:
        for klass in range(score.size):
            score[klass] = _zone_count(hosts, request, klass)
        return
    score[:] = 0
    for slot in range(hosts.size[0]):
        if hosts.klass[slot] >= 0:
            score[hosts.klass[slot]] += hosts.on_host[slot]
    for klass in range(score.size):
        _share_score(score, values, klass)


@kernel
def _share_score(score: Array, values: Array, klass: int) -> None:
    """If `klass` is the first class with its value, give all classes of that value their common sum."""
    for earlier in range(klass):
        if values[earlier] == values[klass]:
            return
    total = 0
    for other in range(klass, score.size):
        if values[other] == values[klass]:
            total += score[other]
    for other in range(klass, score.size):
        if values[other] == values[klass]:
            score[other] = total


@kernel
def _admit(hosts: Hosts, request: Request) -> int:
    """Give every open host with room its class's score and all others OUT; the least score.

    A loop per question, not one loop for all, because only such loops become vector instructions.
    """
    score = hosts.class_score
    for klass in range(score.size):
        score[klass] = score[klass] if request.eligible[klass] == ELIGIBLE else OUT
    size = hosts.size[0]
    standing, free, need = hosts.standing[:size], hosts.free, request.need
    _score_by_class(standing, hosts.klass, score)
    _require_both(standing, free[CPU], need[CPU], free[MEMORY], need[MEMORY])
    for resource in range(GPU, RESOURCES):
        if need[resource] > 0:
            _require(standing, free[resource], need[resource])
    return _least(standing)


@kernel
def _score_by_class(standing: Array, klass_of: Array, score: Array) -> None:
    """Every slot's score is its class's; OUT where nothing may be placed."""
    for slot in range(standing.size):
        klass = klass_of[slot]
        standing[slot] = score[np.uint64(klass)] if klass >= 0 else OUT


@kernel
def _require_both(standing: Array, first: Array, first_need: int, second: Array, second_need: int) -> None:
    """Put slots OUT that have less than is needed of one of two resources."""
    for slot in range(standing.size):
        room = (first[slot] >= first_need) & (second[slot] >= second_need)
        standing[slot] = standing[slot] if room else OUT


@kernel
def _require(standing: Array, free: Array, need: int) -> None:
    """Put slots OUT that have less than `need`."""
    for slot in range(standing.size):
        standing[slot] = standing[slot] if free[slot] >= need else OUT


@kernel
def _least(standing: Array) -> int:
    """The least score; OUT when nothing stands."""
    least = OUT
    for slot in range(standing.size):
        least = min(least, standing[slot])
    return least


@kernel
def _strike_out(hosts: Hosts, request: Request) -> int:
    """Put hosts OUT that do not meet the task's constraints; the least score of those left."""
    best = OUT
    standing = hosts.standing
    for slot in range(hosts.size[0]):
        if standing[slot] == OUT:
            continue
        if meets_constraints(hosts, request, slot):
            best = min(best, standing[slot])
        else:
            standing[slot] = OUT
    return best


@kernel
def _keep_least(hosts: Hosts, best: int, scores: Array) -> int:
    """Of the hosts standing at `best`, keep those with the least of `scores`; that least."""
    least = OUT
    standing = hosts.standing[: hosts.size[0]]
    for slot in range(standing.size):
        score = int(scores[slot]) if standing[slot] == best else OUT
        standing[slot] = score
        least = min(least, score)
    return least


@kernel
def _keep_least_class(hosts: Hosts, best: int) -> int:
    """Of the hosts standing at `best`, keep those whose class has the least score; that least."""
    least = OUT
    standing = hosts.standing
    for slot in range(hosts.size[0]):
        score = int(hosts.class_score[hosts.klass[slot]]) if standing[slot] == best else OUT
        standing[slot] = score
        least = min(least, score)
    return least


@kernel
def _at_random(hosts: Hosts, best: int, luck: Any, ordinal: int) -> int:
    """One of the hosts standing at `best`, all equally likely; the draw has the address (ordinal, 0)."""
    standing = hosts.standing[: hosts.size[0]]
    count = 0
    for slot in range(standing.size):
        count += int(standing[slot] == best)
    left = int(uniform(luck, ordinal, 0) * count)
    for slot in range(standing.size):
        if standing[slot] == best:
            if left == 0:
                return slot
            left -= 1
    return -1


@kernel
def _first(hosts: Hosts, best: int) -> int:
    """The lowest slot standing at `best`: whole stretches are counted before one is looked through."""
    standing = hosts.standing[: hosts.size[0]]
    start = 0
    while start + STRETCH <= standing.size:
        found = 0
        for slot in range(start, start + STRETCH):
            found += int(standing[slot] == best)
        if found > 0:
            break
        start += STRETCH
    for slot in range(start, standing.size):
        if standing[slot] == best:
            return slot
    return -1
