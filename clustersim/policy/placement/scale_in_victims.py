"""The choice of tasks to stop on scale-in: the placement chain, applied in reverse.

Rules of the ECS Developer Guide ("task placement strategies", UpdateService): with a spread strategy, the task whose
removal leaves the best spread stops; with binpack, the one whose instance has the most free resources; without a
strategy, a task in the Availability Zone, and there on the instance, with the most tasks of the service. A custom
strategy chooses hosts only: tasks are then stopped as with `random`. The caller
supplies the candidates (not protected, of the right deployment); this module chooses among them, at random on a tie.
"""

import numpy as np

from clustersim.engine.compiled import kernel
from clustersim.engine.random_streams import uniform
from clustersim.policy.placement.hosts import Array, Hosts
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
)
from clustersim.vocabulary import CPU, MEMORY

EXCLUDED = -(1 << 62)  # the score of a candidate that is already chosen or excluded from this choice
WORK_ROWS, CHOICE_ROWS = 6, 11


@kernel
def choose_tasks_to_stop(
    hosts: Hosts,
    chain: Array,
    slots: Array,
    zones: Array,
    rng_key: np.uint64,
    ordinal: int,
    choices: Array,
    work: Array,
) -> None:
    """Fill `choices` with positions of candidates to stop, in order; its size is at most their number.

    `slots` and `zones` locate each candidate; slot -1 is a task without an instance (Fargate). Spread counts
    candidates that are not chosen yet. Binpack prefers the instance with the most free resources and on a tie the one
    with most tasks already chosen, so that it empties instances. Remaining ties are drawn with the ordinals (ordinal,
    number of the choice). `work` is `WORK_ROWS` rows of `new_choice_scratch`. The cost is the number of choices times
    that of candidates.
    """
    size = slots.size
    scores, stopped_on_host, keys, counts = work[0, :size], work[1, :size], work[2, :size], work[3, :size]
    chosen, key_counts = work[4, :size], work[5]
    stopped_on_host[:] = 0
    chosen[:] = 0
    key_counts[:] = 0
    for number in range(choices.size):
        for position in range(size):
            scores[position] = EXCLUDED if chosen[position] else 0
        for rule in range(chain.shape[0]):
            if chain[rule, 0] in (END, RANDOM, CUSTOM):
                break
            _apply_rule(
                hosts, chain[rule], slots, zones, chosen, scores, stopped_on_host, keys, counts, key_counts
            )
        position = _draw_one(scores, uniform(rng_key, ordinal, number))
        choices[number] = position
        chosen[position] = 1
        for other in range(size):
            stopped_on_host[other] += int(slots[other] == slots[position])


def scratch_width(hosts: Hosts, candidates: int, zones: int) -> int:
    """Return the width of scratch rows: enough for every candidate, slot, zone and attribute value, and for none."""
    most_values = int(hosts.values.max(initial=0))
    return max(candidates, hosts.instance_class.size + 2, zones + 2, most_values + 3)


def new_choice_scratch(hosts: Hosts, candidates: int, zones: int) -> Array:
    """Return scratch rows for a choice among `candidates` tasks.

    `WORK_ROWS` of them are for `choose_tasks_to_stop`, the others for its caller.
    """
    return np.zeros((CHOICE_ROWS, scratch_width(hosts, candidates, zones)), np.int64)


@kernel
def _apply_rule(
    hosts: Hosts,
    rule: Array,
    slots: Array,
    zones: Array,
    chosen: Array,
    scores: Array,
    stopped_on_host: Array,
    keys: Array,
    counts: Array,
    key_counts: Array,
) -> None:
    """Keep the candidates that one rule ranks first."""
    code = rule[0]
    if code not in (SPREAD_ATTRIBUTE, FEWEST_OF_GROUP, SPREAD_INSTANCE, BINPACK_CPU, BINPACK_MEMORY):
        raise RuntimeError("unknown placement strategy")
    if code in (SPREAD_ATTRIBUTE, FEWEST_OF_GROUP):
        attribute = rule[1] if code == SPREAD_ATTRIBUTE else ZONE
        for position in range(slots.size):
            keys[position] = 1 + _value(hosts, attribute, slots[position], zones[position])
        _keep_crowded(keys, key_counts, counts, chosen, scores)
    if code in (SPREAD_INSTANCE, FEWEST_OF_GROUP):
        for position in range(slots.size):
            keys[position] = 1 + slots[position]
        _keep_crowded(keys, key_counts, counts, chosen, scores)
    if code in (BINPACK_CPU, BINPACK_MEMORY):
        free = hosts.free[CPU if code == BINPACK_CPU else MEMORY]
        for position in range(slots.size):
            keys[position] = free[slots[position]] if slots[position] >= 0 else -1
        _keep_greatest(keys, scores)
        _keep_greatest(stopped_on_host, scores)


@kernel
def _value(hosts: Hosts, attribute: int, slot: int, zone: int) -> int:
    """Return the candidate's zone, or the number of its instance's value of another attribute; -1 without one."""
    if attribute == ZONE:
        return int(zone)
    if slot < 0 or hosts.instance_class[slot] < 0:
        return -1
    return int(hosts.values[attribute, hosts.instance_class[slot]])


@kernel
def _keep_crowded(keys: Array, key_counts: Array, counts: Array, chosen: Array, scores: Array) -> None:
    """Keep the candidates whose key most candidates share; `key_counts` is zero before and after."""
    for position in range(keys.size):
        key_counts[keys[position]] += 1 - chosen[position]
    for position in range(keys.size):
        counts[position] = key_counts[keys[position]]
    for position in range(keys.size):
        key_counts[keys[position]] = 0
    _keep_greatest(counts, scores)


@kernel
def _keep_greatest(values: Array, scores: Array) -> None:
    """Of the candidates not excluded, keep those with the greatest value."""
    greatest = EXCLUDED
    for position in range(scores.size):
        if scores[position] != EXCLUDED:
            greatest = max(greatest, values[position])
    for position in range(scores.size):
        if values[position] != greatest:
            scores[position] = EXCLUDED


@kernel
def _draw_one(scores: Array, u: float) -> int:
    """Choose one of the candidates not excluded, all equally likely; `u` is a uniform random number."""
    count = 0
    for score in scores:
        count += int(score != EXCLUDED)
    left = int(u * count)
    for position in range(scores.size):
        if scores[position] != EXCLUDED:
            if left == 0:
                return position
            left -= 1
    return -1
