"""Which task stops at scale-in: the laws of section "task placement strategies", and a plain twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.random_streams import uniform
from clustersim.policy.placement.placement import (
    BINPACK_CPU,
    BINPACK_MEMORY,
    FEWEST_OF_GROUP,
    RANDOM,
    SPREAD_ATTRIBUTE,
    SPREAD_INSTANCE,
    ZONE,
    Hosts,
    chain_of,
    new_hosts,
    open_host,
)
from clustersim.policy.placement.scale_in_victims import choice_scratch, choose_victims
from clustersim.vocabulary import CPU, MEMORY

LUCK = np.uint64(11)


def hosts_with(memory: list[int], classes: list[int] | None = None) -> Hosts:
    """Hosts by their free memory; class k is in zone k and in rack k // 2."""
    hosts = new_hosts(len(memory), 4, np.array([[0, 1, 2, 3], [0, 0, 1, -1]]), 1, 4, False)
    for slot, amount in enumerate(memory):
        hosts.free[MEMORY, slot] = amount
        hosts.free[CPU, slot] = 10_000 - amount
        open_host(hosts, slot, classes[slot] if classes else 0)
    return hosts


def stop(
    hosts: Hosts,
    rules: list[tuple[int, int]],
    slots: list[int],
    zones: list[int],
    k: int,
    luck: np.uint64 = LUCK,
) -> list[int]:
    victims = np.zeros(min(k, len(slots)), np.int64)
    places = np.array([slots, zones], np.int64)
    work = choice_scratch(hosts, len(slots), max(zones, default=0) + 1)
    choose_victims(hosts, chain_of(*rules), places[0], places[1], luck, 5, victims, work)
    return victims.tolist()


def test_binpack_empties_the_emptiest_instance() -> None:
    """The task goes whose removal leaves the most free memory: 3,000 MiB are free in slot 2."""
    hosts = hosts_with([100, 2_000, 3_000])
    assert stop(hosts, [(BINPACK_MEMORY, 0)], [0, 1, 2, 0], [0, 0, 0, 0], 1) == [2]
    assert stop(hosts, [(BINPACK_CPU, 0)], [0, 1, 2], [0, 0, 0], 1) == [0]


def test_binpack_goes_on_where_it_began() -> None:
    """Of two equally free instances the second victim comes from where the first was: one becomes empty."""
    hosts = hosts_with([2_000, 2_000])
    first, second = stop(hosts, [(BINPACK_MEMORY, 0)], [0, 1, 0, 1], [0, 0, 0, 0], 2)
    assert first % 2 == second % 2


def test_spread_takes_from_the_fullest_zone() -> None:
    """Zones hold 3, 1 and 2 tasks: the first two victims make it 2, 1, 2 and then 1, 1, 2 or 2, 1, 1."""
    zones = [0, 0, 0, 1, 2, 2]
    victims = stop(hosts_with([0] * 6), [(SPREAD_ATTRIBUTE, ZONE)], [0, 1, 2, 3, 4, 5], zones, 3)
    left = sorted(zones[position] for position in range(6) if position not in victims)
    assert zones[victims[0]] == 0
    assert left == [0, 1, 2]


def test_without_a_strategy_zone_then_instance() -> None:
    """The zone with most tasks, and in it the instance with most tasks (UpdateService)."""
    zones, slots = [0, 0, 0, 1, 1], [0, 1, 1, 2, 2]
    assert stop(hosts_with([0] * 3), [(FEWEST_OF_GROUP, 0)], slots, zones, 1)[0] in (1, 2)


def test_spread_over_a_custom_attribute() -> None:
    """Classes 0 and 1 share a rack, so the rack with three tasks gives the victim, not the zone with two."""
    hosts = hosts_with([0] * 4, [0, 1, 2, 2])
    victims = stop(hosts, [(SPREAD_ATTRIBUTE, 1)], [0, 0, 1, 2, 3], [0, 0, 1, 2, 2], 1)
    assert victims[0] in (0, 1, 2)


def test_fargate_tasks_have_no_instance() -> None:
    """Tasks without an instance are spread over zones; what ties is drawn."""
    victims = stop(hosts_with([0]), [(SPREAD_ATTRIBUTE, ZONE)], [-1, -1, -1], [0, 1, 1], 2)
    assert {victims[0]} <= {1, 2}
    assert len(set(victims)) == 2


def test_all_go_when_more_are_asked_for() -> None:
    """Asking for more victims than there are candidates gives each of them once."""
    assert sorted(stop(hosts_with([5, 5]), [(RANDOM, 0)], [0, 1], [0, 0], 9)) == [0, 1]


def test_the_draw_has_an_address() -> None:
    """Equal luck, equal victims; another stream, other victims (of 40 equals)."""
    hosts = hosts_with([0] * 40)
    draws = [stop(hosts, [], list(range(40)), [0] * 40, 5, np.uint64(key)) for key in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def twin(hosts: Hosts, rules: list[tuple[int, int]], slots: list[int], zones: list[int], k: int) -> list[int]:
    """The same choice in plain Python."""
    left, victims = set(range(len(slots))), []
    lost: dict[int, int] = {}

    def crowd(key: list[int]) -> dict[int, int]:
        return {p: sum(key[other] == key[p] for other in left) for p in left}

    for number in range(min(k, len(slots))):
        best = set(left)
        for code, argument in rules:
            scores: list[dict[int, int]] = []
            racks = [int(hosts.values[argument, hosts.klass[slot]]) for slot in slots]
            if code in (SPREAD_ATTRIBUTE, FEWEST_OF_GROUP):
                scores.append(crowd(zones if argument == ZONE else racks))
            if code in (SPREAD_INSTANCE, FEWEST_OF_GROUP):
                scores.append(crowd(slots))
            if code == BINPACK_MEMORY:
                scores.append({p: int(hosts.free[MEMORY, slots[p]]) for p in left})
                scores.append({p: lost.get(slots[p], 0) for p in left})
            for score in scores:
                most = max(score[p] for p in best)
                best = {p for p in best if score[p] == most}
        ordered = sorted(best)
        victim = ordered[int(uniform(LUCK, 5, number) * len(ordered))]
        victims.append(victim)
        left.discard(victim)
        lost[slots[victim]] = lost.get(slots[victim], 0) + 1
    return victims


RULES = st.lists(
    st.sampled_from(
        [
            (BINPACK_MEMORY, 0),
            (SPREAD_ATTRIBUTE, ZONE),
            (SPREAD_ATTRIBUTE, 1),
            (SPREAD_INSTANCE, 0),
            (FEWEST_OF_GROUP, 0),
        ]
    ),
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(
    RULES,
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8),
    st.lists(st.integers(0, 7), min_size=1, max_size=14),
    st.integers(0, 15),
)
def test_equals_the_plain_twin(
    rules: list[tuple[int, int]], machines: list[tuple[int, int]], homes: list[int], k: int
) -> None:
    """On any small cluster the kernel takes the victims that ten lines of Python take."""
    hosts = hosts_with([memory * 100 for memory, _ in machines], [klass for _, klass in machines])
    slots = [home % len(machines) for home in homes]
    zones = [machines[slot][1] for slot in slots]
    assert stop(hosts, rules, slots, zones, k) == twin(hosts, rules, slots, zones, k)


@pytest.mark.parametrize("k", [0, 1])
def test_no_candidates(k: int) -> None:
    """Nobody to stop is no error."""
    assert stop(hosts_with([1]), [(FEWEST_OF_GROUP, 0)], [], [], k) == []
