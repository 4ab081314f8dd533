"""Which tasks stop when there are too many: the placement chain read backwards.

Rules of the ECS Developer Guide ("task placement strategies", UpdateService): with a strategy the task goes
whose removal leaves the best spread, or with binpack the most free resource on its instance; without one
the task goes that is in the Availability Zone, and there on the instance, with the most tasks of the
service. The caller offers the candidates (not protected, of the right deployment); this module only reads
them, and draws among equals.
"""

import numpy as np

from clustersim.engine.compiled import kernel
from clustersim.engine.random_streams import uniform
from clustersim.policy.placement.hosts import (
    BINPACK_CPU,
    BINPACK_MEMORY,
    END,
    FEWEST_OF_GROUP,
    RANDOM,
    SPREAD_ATTRIBUTE,
    SPREAD_INSTANCE,
    ZONE,
    Array,
    Hosts,
)
from clustersim.vocabulary import CPU, MEMORY

GONE = -(1 << 62)  # the score of a candidate that is chosen already or out of this choice
WORK_ROWS, CHOICE_ROWS = 6, 11


@kernel
def choose_victims(
    hosts: Hosts,
    chain: Array,
    slots: Array,
    zones: Array,
    luck: np.uint64,
    ordinal: int,
    victims: Array,
    work: Array,
) -> None:
    """Fill `victims` with positions of candidates to stop, in the order of choice; no more than there are.

    `slots` and `zones` say where each candidate runs; slot -1 is a task without an instance (Fargate). Spread
    counts candidates that are not chosen yet. Binpack prefers the instance with the most free and of equals
    the one that has already lost most, so that it empties instances. What still ties after the last rule is
    drawn with the address (ordinal, number of the choice). `work` is `WORK_ROWS` of `choice_scratch`. Costs the
    number of victims times that of candidates.
    """
    size = slots.size
    scores, lost, keys, counts = work[0, :size], work[1, :size], work[2, :size], work[3, :size]
    chosen, tally = work[4, :size], work[5]
    lost[:] = 0
    chosen[:] = 0
    tally[:] = 0
    for number in range(victims.size):
        for position in range(size):
            scores[position] = GONE if chosen[position] else 0
        for rule in range(chain.shape[0]):
            if chain[rule, 0] in (END, RANDOM):
                break
            _apply(hosts, chain[rule], slots, zones, chosen, scores, lost, keys, counts, tally)
        position = _drawn(scores, uniform(luck, ordinal, number))
        victims[number] = position
        chosen[position] = 1
        for other in range(size):
            lost[other] += int(slots[other] == slots[position])


def scratch_width(hosts: Hosts, candidates: int, zones: int) -> int:
    """How long the rows of scratch must be: for every candidate, slot, zone and attribute value, and for none."""
    most_values = int(hosts.values.max(initial=0))
    return max(candidates, hosts.klass.size + 2, zones + 2, most_values + 3)


def choice_scratch(hosts: Hosts, candidates: int, zones: int) -> Array:
    """What a choice among `candidates` tasks works on: `WORK_ROWS` for `choose_victims`, and rows for its caller."""
    return np.zeros((CHOICE_ROWS, scratch_width(hosts, candidates, zones)), np.int64)


@kernel
def _apply(
    hosts: Hosts,
    rule: Array,
    slots: Array,
    zones: Array,
    chosen: Array,
    scores: Array,
    lost: Array,
    keys: Array,
    counts: Array,
    tally: Array,
) -> None:
    """Keep the candidates that one rule finds best to stop."""
    code = rule[0]
    if code in (SPREAD_ATTRIBUTE, FEWEST_OF_GROUP):
        attribute = rule[1] if code == SPREAD_ATTRIBUTE else ZONE
        for position in range(slots.size):
            keys[position] = 1 + _value(hosts, attribute, slots[position], zones[position])
        _keep_crowded(keys, tally, counts, chosen, scores)
    if code in (SPREAD_INSTANCE, FEWEST_OF_GROUP):
        for position in range(slots.size):
            keys[position] = 1 + slots[position]
        _keep_crowded(keys, tally, counts, chosen, scores)
    if code in (BINPACK_CPU, BINPACK_MEMORY):
        free = hosts.free[CPU if code == BINPACK_CPU else MEMORY]
        for position in range(slots.size):
            keys[position] = free[slots[position]] if slots[position] >= 0 else -1
        _keep_greatest(keys, scores)
        _keep_greatest(lost, scores)


@kernel
def _value(hosts: Hosts, attribute: int, slot: int, zone: int) -> int:
    """The candidate's zone, or the number of its instance's value of another attribute; -1 without one."""
    if attribute == ZONE:
        return int(zone)
    if slot < 0 or hosts.klass[slot] < 0:
        return -1
    return int(hosts.values[attribute, hosts.klass[slot]])


@kernel
def _keep_crowded(keys: Array, tally: Array, counts: Array, chosen: Array, scores: Array) -> None:
    """Keep the candidates whose key most candidates share; `tally` is zero before and after."""
    for position in range(keys.size):
        tally[keys[position]] += 1 - chosen[position]
    for position in range(keys.size):
        counts[position] = tally[keys[position]]
    for position in range(keys.size):
        tally[keys[position]] = 0
    _keep_greatest(counts, scores)


@kernel
def _keep_greatest(values: Array, scores: Array) -> None:
    """Of the candidates still in, keep those with the greatest value."""
    greatest = GONE
    for position in range(scores.size):
        if scores[position] != GONE:
            greatest = max(greatest, values[position])
    for position in range(scores.size):
        if values[position] != greatest:
            scores[position] = GONE


@kernel
def _drawn(scores: Array, luck: float) -> int:
    """One of the candidates still in, all equally likely; `luck` is a uniform number."""
    count = 0
    for score in scores:
        count += int(score != GONE)
    left = int(luck * count)
    for position in range(scores.size):
        if scores[position] != GONE:
            if left == 0:
                return position
            left -= 1
    return -1
