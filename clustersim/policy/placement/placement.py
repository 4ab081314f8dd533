"""Task placement: filter the hosts that can take a task, narrow them rule by rule, choose the lowest slot.

ECS narrows the hosts (Developer Guide, "task placement strategies"): first by room, then by constraints, then each
strategy keeps its best set and the next one decides within it. Each rule is one tight loop over a column of scores.
If the hosts have an index that serves the chain, it gives the same answer without a loop over hosts. A chain without
a rule (RunTask without a strategy) chooses a fitting host at random (AWS does not specify this). The last rule may be
a function of the user, which is asked if several hosts are left (`policy.placement.custom_placement`).

The public names of `hosts` and `placement_strategies` are re-exported here. This module never changes a host, except
for scratch arrays and the bounds of the index; the transitions of the world call `choose_host`, then `reserve`.
"""

from typing import Any

import numpy as np

from clustersim.engine.callbacks import call_python
from clustersim.engine.compiled import kernel
from clustersim.engine.random_streams import uniform
from clustersim.policy.placement.best_fit_index import SLOT_BITS, SLOT_MASK, index_next, packed_room
from clustersim.policy.placement.constraint_program import program_holds
from clustersim.policy.placement.hosts import (
    ELIGIBLE,
    INDEX_FROM,
    NOT_OFFERED,
    Array,
    Hosts,
    PlacementRequest,
    close_host,
    grow_hosts,
    new_hosts,
    open_host,
    release,
    reserve,
)
from clustersim.policy.placement.placement_strategies import (
    BINPACK_CPU,
    BINPACK_MEMORY,
    CUSTOM,
    END,
    FEWEST_OF_GROUP,
    RANDOM,
    SPREAD_ATTRIBUTE,
    SPREAD_INSTANCE,
    ZONE,
    needs_group_counts,
    strategy_chain,
)
from clustersim.vocabulary import CPU, GPU, MEMORY, RESOURCES

__all__ = [
    "BINPACK_CPU",
    "BINPACK_MEMORY",
    "CUSTOM",
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
    "PlacementRequest",
    "choose_host",
    "close_host",
    "grow_hosts",
    "host_fits",
    "needs_group_counts",
    "new_hosts",
    "open_host",
    "release",
    "reserve",
    "strategy_chain",
]

EXCLUDED = 1 << 62  # the score of a host that is not a candidate
SCAN_BLOCK = 64  # slots compared at a time


@kernel
def choose_host(hosts: Hosts, request: PlacementRequest, ordinal: int) -> int:
    """Return the slot on which to place the task, or -1 if no host can take it.

    `ordinal` is the number of the task: the ordinal of its random choices in the random stream of the request.
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
def host_fits(hosts: Hosts, request: PlacementRequest, slot: int) -> bool:
    """Return whether the open host in `slot` has the resources that the task needs and meets its constraints."""
    for resource in range(RESOURCES):
        if hosts.free[resource, slot] < request.need[resource]:
            return False
    return meets_constraints(hosts, request, slot)


@kernel
def meets_constraints(hosts: Hosts, request: PlacementRequest, slot: int) -> bool:
    """Return whether static ports, distinctInstance and dynamic memberOf allow the task on the host in `slot`."""
    if request.distinct != 0 and hosts.group_tasks[slot] > 0:
        return False
    for word in range(request.ports.size):
        if hosts.ports[slot, word] & request.ports[word] != 0:
            return False
    return request.program.shape[0] == 0 or program_holds(
        request.program, request.truth, hosts.facts, hosts.instance_class[slot], slot
    )


@kernel
def _best_fit(hosts: Hosts, request: PlacementRequest, by_zone: bool) -> int:
    """Return the best fit from the index; with `by_zone` among the zones with the fewest tasks of the group.

    Classes with tied zones compete on (free amount, slot), as in the scan.
    """
    pool, directory = hosts.pool, hosts.directory
    key_row = directory[directory.shape[0] - 1, 1]
    least = request.need[key_row] << SLOT_BITS
    required_room = packed_room(request.need, key_row)
    best_count, best_key = EXCLUDED, EXCLUDED
    for instance_class in range(request.eligible.size):
        if request.eligible[instance_class] != ELIGIBLE:
            continue
        count = _zone_count(hosts, request, instance_class) if by_zone else 0
        if count > best_count:
            continue
        limit = best_key if count == best_count else EXCLUDED
        key = index_next(pool, directory, instance_class, least, limit, required_room)
        while key < limit and not host_fits(hosts, request, key & SLOT_MASK):
            key = index_next(pool, directory, instance_class, key + 1, limit, required_room)
        if key < limit:
            best_count, best_key = count, key
    return -1 if best_key == EXCLUDED else best_key & SLOT_MASK


@kernel
def _zone_count(hosts: Hosts, request: PlacementRequest, instance_class: int) -> int:
    """Return the group's tasks in the zone of an instance class; 0 for a class without a zone."""
    zone = hosts.values[ZONE, instance_class]
    return int(request.zone_count[zone]) if zone >= 0 else 0


@kernel
def _scan(hosts: Hosts, request: PlacementRequest, ordinal: int) -> int:
    """Choose a host with one pass for those that fit and one pass for every rule."""
    chain = request.chain
    if chain[0, 0] in (SPREAD_ATTRIBUTE, FEWEST_OF_GROUP):
        _score_classes(hosts, request, chain[0, 1] if chain[0, 0] == SPREAD_ATTRIBUTE else ZONE)
    else:
        hosts.class_score[:] = 0
    best = _score_candidates(hosts, request)
    if best != EXCLUDED and (
        request.distinct != 0 or request.program.shape[0] != 0 or _any_bit(request.ports)
    ):
        best = _exclude_by_constraints(hosts, request)
    if best == EXCLUDED:
        return -1
    if chain[0, 0] == END:
        return _choose_at_random(hosts, best, request.rng_key, ordinal)
    for rule in range(chain.shape[0]):
        code = chain[rule, 0]
        if code == END:
            break
        if code == BINPACK_CPU:
            best = _keep_lowest(hosts, best, hosts.free[CPU])
        elif code == BINPACK_MEMORY:
            best = _keep_lowest(hosts, best, hosts.free[MEMORY])
        elif code == SPREAD_INSTANCE:
            best = _keep_lowest(hosts, best, hosts.group_tasks)
        elif code == RANDOM:
            return _choose_at_random(hosts, best, request.rng_key, ordinal)
        elif code == CUSTOM:
            return _choose_by_function(hosts, best, chain[rule, 1], ordinal)
        elif code in (SPREAD_ATTRIBUTE, FEWEST_OF_GROUP):
            if rule > 0:
                _score_classes(hosts, request, chain[rule, 1] if code == SPREAD_ATTRIBUTE else ZONE)
                best = _keep_lowest_class(hosts, best)
            if code == FEWEST_OF_GROUP:
                best = _keep_lowest(hosts, best, hosts.group_tasks)
        else:
            raise RuntimeError("unknown placement strategy")
    return _lowest_slot(hosts, best)


@kernel
def _choose_by_function(hosts: Hosts, best: int, address: int, ordinal: int) -> int:
    """Return the slot that a function of the user chooses among the hosts with score `best`; a single one is taken."""
    scores = hosts.score[: hosts.size[0]]
    count, only = 0, -1
    for slot in range(scores.size):
        if scores[slot] == best:
            count, only = count + 1, slot
    if count < 2:
        return only
    chosen = call_python(address, best, ordinal)
    if chosen < 0:
        raise RuntimeError("a placement function failed")
    return int(chosen)


@kernel
def _any_bit(words: Array) -> bool:
    """Return whether any bit is set."""
    union = np.uint64(0)
    for word in words:
        union |= word
    return bool(union != 0)


@kernel
def _score_classes(hosts: Hosts, request: PlacementRequest, attribute: int) -> None:
    """Set `class_score` to the number of the group's tasks that share the class's value of the attribute.

    Zones are counted by the caller; for other attributes the tasks on open hosts are counted. Classes that lack the
    attribute share one value of their own.
    """
    class_scores, values = hosts.class_score, hosts.values[attribute]
    if attribute == ZONE:
        for instance_class in range(class_scores.size):
            class_scores[instance_class] = _zone_count(hosts, request, instance_class)
        return
    class_scores[:] = 0
    for slot in range(hosts.size[0]):
        if hosts.instance_class[slot] >= 0:
            class_scores[hosts.instance_class[slot]] += hosts.group_tasks[slot]
    for instance_class in range(class_scores.size):
        _share_score(class_scores, values, instance_class)


@kernel
def _share_score(class_scores: Array, values: Array, instance_class: int) -> None:
    """If `instance_class` is the first with its value, set the score of all classes with that value to their sum."""
    for earlier in range(instance_class):
        if values[earlier] == values[instance_class]:
            return
    total = 0
    for other in range(instance_class, class_scores.size):
        if values[other] == values[instance_class]:
            total += class_scores[other]
    for other in range(instance_class, class_scores.size):
        if values[other] == values[instance_class]:
            class_scores[other] = total


@kernel
def _score_candidates(hosts: Hosts, request: PlacementRequest) -> int:
    """Score every open host with room by its class, exclude all others, and return the lowest score.

    One loop per condition, not one loop for all, because only such loops are vectorised.
    """
    class_scores = hosts.class_score
    for instance_class in range(class_scores.size):
        class_scores[instance_class] = (
            class_scores[instance_class] if request.eligible[instance_class] == ELIGIBLE else EXCLUDED
        )
    size = hosts.size[0]
    scores, free, need = hosts.score[:size], hosts.free, request.need
    _score_by_class(scores, hosts.instance_class, class_scores)
    _require_both(scores, free[CPU], need[CPU], free[MEMORY], need[MEMORY])
    for resource in range(GPU, RESOURCES):
        if need[resource] > 0:
            _require(scores, free[resource], need[resource])
    return _lowest_score(scores)


@kernel
def _score_by_class(scores: Array, class_of_slot: Array, class_scores: Array) -> None:
    """Set every slot's score to that of its class; closed slots are EXCLUDED."""
    for slot in range(scores.size):
        instance_class = class_of_slot[slot]
        scores[slot] = class_scores[np.uint64(instance_class)] if instance_class >= 0 else EXCLUDED


@kernel
def _require_both(scores: Array, first: Array, first_need: int, second: Array, second_need: int) -> None:
    """Exclude slots that have less than required of one of two resources."""
    for slot in range(scores.size):
        room = (first[slot] >= first_need) & (second[slot] >= second_need)
        scores[slot] = scores[slot] if room else EXCLUDED


@kernel
def _require(scores: Array, free: Array, need: int) -> None:
    """Exclude slots that have less than `need`."""
    for slot in range(scores.size):
        scores[slot] = scores[slot] if free[slot] >= need else EXCLUDED


@kernel
def _lowest_score(scores: Array) -> int:
    """Return the lowest score; EXCLUDED if no candidate is left."""
    least = EXCLUDED
    for slot in range(scores.size):
        least = min(least, scores[slot])
    return least


@kernel
def _exclude_by_constraints(hosts: Hosts, request: PlacementRequest) -> int:
    """Exclude hosts that do not meet the task's constraints; return the lowest score of the others."""
    best = EXCLUDED
    scores = hosts.score
    for slot in range(hosts.size[0]):
        if scores[slot] == EXCLUDED:
            continue
        if meets_constraints(hosts, request, slot):
            best = min(best, scores[slot])
        else:
            scores[slot] = EXCLUDED
    return best


@kernel
def _keep_lowest(hosts: Hosts, best: int, values: Array) -> int:
    """Of the hosts with score `best`, keep those with the lowest of `values`; return that value."""
    least = EXCLUDED
    scores = hosts.score[: hosts.size[0]]
    for slot in range(scores.size):
        score = int(values[slot]) if scores[slot] == best else EXCLUDED
        scores[slot] = score
        least = min(least, score)
    return least


@kernel
def _keep_lowest_class(hosts: Hosts, best: int) -> int:
    """Of the hosts with score `best`, keep those of the class with the lowest score; return that score."""
    least = EXCLUDED
    scores = hosts.score
    for slot in range(hosts.size[0]):
        score = int(hosts.class_score[hosts.instance_class[slot]]) if scores[slot] == best else EXCLUDED
        scores[slot] = score
        least = min(least, score)
    return least


@kernel
def _choose_at_random(hosts: Hosts, best: int, rng_key: Any, ordinal: int) -> int:
    """Choose one of the hosts with score `best`, all equally likely; the draw has the ordinals (ordinal, 0)."""
    scores = hosts.score[: hosts.size[0]]
    count = 0
    for slot in range(scores.size):
        count += int(scores[slot] == best)
    left = int(uniform(rng_key, ordinal, 0) * count)
    for slot in range(scores.size):
        if scores[slot] == best:
            if left == 0:
                return slot
            left -= 1
    return -1


@kernel
def _lowest_slot(hosts: Hosts, best: int) -> int:
    """Return the lowest slot with score `best`: blocks of slots are tested before one of them is searched."""
    scores = hosts.score[: hosts.size[0]]
    start = 0
    while start + SCAN_BLOCK <= scores.size:
        hits = 0
        for slot in range(start, start + SCAN_BLOCK):
            hits += int(scores[slot] == best)
        if hits > 0:
            break
        start += SCAN_BLOCK
    for slot in range(start, scores.size):
        if scores[slot] == best:
            return slot
    return -1
