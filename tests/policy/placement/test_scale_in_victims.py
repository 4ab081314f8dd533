"""The tasks to stop on scale-in: the rules of section "task placement strategies", and a plain-Python twin."""

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
    new_hosts,
    open_host,
    strategy_chain,
)
from clustersim.policy.placement.scale_in_victims import choose_tasks_to_stop, new_choice_scratch
from clustersim.vocabulary import CPU, MEMORY

RNG_KEY = np.uint64(11)


def hosts_with(memory: list[int], classes: list[int] | None = None) -> Hosts:
    """Hosts by their free memory; class k is in zone k and in rack k // 2."""
    hosts = new_hosts(len(memory), 4, np.array([[0, 1, 2, 3], [0, 0, 1, -1]]), 1, 4, False)
    for slot, amount in enumerate(memory):
        hosts.free[MEMORY, slot] = amount
        hosts.free[CPU, slot] = 10_000 - amount
        open_host(hosts, slot, classes[slot] if classes else 0)
    return hosts


def choose_tasks(
    hosts: Hosts,
    rules: list[tuple[int, int]],
    slots: list[int],
    zones: list[int],
    count: int,
    rng_key: np.uint64 = RNG_KEY,
) -> list[int]:
    choices = np.zeros(min(count, len(slots)), np.int64)
    candidates = np.array([slots, zones], np.int64)
    work = new_choice_scratch(hosts, len(slots), max(zones, default=0) + 1)
    choose_tasks_to_stop(
        hosts, strategy_chain(*rules), candidates[0], candidates[1], rng_key, 5, choices, work
    )
    return choices.tolist()


def test_binpack_empties_the_emptiest_instance() -> None:
    """The task stops whose removal leaves the most free memory: 3,000 MiB are free in slot 2."""
    hosts = hosts_with([100, 2_000, 3_000])
    assert choose_tasks(hosts, [(BINPACK_MEMORY, 0)], [0, 1, 2, 0], [0, 0, 0, 0], 1) == [2]
    assert choose_tasks(hosts, [(BINPACK_CPU, 0)], [0, 1, 2], [0, 0, 0], 1) == [0]


def test_binpack_continues_on_the_same_instance() -> None:
    """Of two equally free instances the second task is chosen on the same one as the first: it becomes empty."""
    hosts = hosts_with([2_000, 2_000])
    first, second = choose_tasks(hosts, [(BINPACK_MEMORY, 0)], [0, 1, 0, 1], [0, 0, 0, 0], 2)
    assert first % 2 == second % 2


def test_spread_takes_from_the_fullest_zone() -> None:
    """Zones hold 3, 1 and 2 tasks: the first two choices leave 2, 1, 2 and then 1, 1, 2 or 2, 1, 1."""
    zones = [0, 0, 0, 1, 2, 2]
    choices = choose_tasks(hosts_with([0] * 6), [(SPREAD_ATTRIBUTE, ZONE)], [0, 1, 2, 3, 4, 5], zones, 3)
    remaining = sorted(zones[position] for position in range(6) if position not in choices)
    assert zones[choices[0]] == 0
    assert remaining == [0, 1, 2]


def test_without_a_strategy_zone_then_instance() -> None:
    """The zone with most tasks, and in it the instance with most tasks (UpdateService)."""
    zones, slots = [0, 0, 0, 1, 1], [0, 1, 1, 2, 2]
    assert choose_tasks(hosts_with([0] * 3), [(FEWEST_OF_GROUP, 0)], slots, zones, 1)[0] in (1, 2)


def test_spread_over_a_custom_attribute() -> None:
    """Classes 0 and 1 share a rack, so a task of the rack with three tasks stops, not of the zone with two."""
    hosts = hosts_with([0] * 4, [0, 1, 2, 2])
    choices = choose_tasks(hosts, [(SPREAD_ATTRIBUTE, 1)], [0, 0, 1, 2, 3], [0, 0, 1, 2, 2], 1)
    assert choices[0] in (0, 1, 2)


def test_fargate_tasks_have_no_instance() -> None:
    """Tasks without an instance are spread over zones; ties are drawn."""
    choices = choose_tasks(hosts_with([0]), [(SPREAD_ATTRIBUTE, ZONE)], [-1, -1, -1], [0, 1, 1], 2)
    assert {choices[0]} <= {1, 2}
    assert len(set(choices)) == 2


def test_all_stop_when_more_are_requested() -> None:
    """Requesting more tasks than there are candidates returns each of them once."""
    assert sorted(choose_tasks(hosts_with([5, 5]), [(RANDOM, 0)], [0, 1], [0, 0], 9)) == [0, 1]


def test_the_draw_depends_on_the_key_alone() -> None:
    """Equal keys choose equal tasks, another key others (of 40 equal candidates)."""
    hosts = hosts_with([0] * 40)
    draws = [choose_tasks(hosts, [], list(range(40)), [0] * 40, 5, np.uint64(key)) for key in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def twin(
    hosts: Hosts, rules: list[tuple[int, int]], slots: list[int], zones: list[int], count: int
) -> list[int]:
    """The same choice in plain Python."""
    remaining, choices = set(range(len(slots))), []
    stopped_on_host: dict[int, int] = {}

    def crowd_sizes(key: list[int]) -> dict[int, int]:
        return {p: sum(key[other] == key[p] for other in remaining) for p in remaining}

    for number in range(min(count, len(slots))):
        best = set(remaining)
        for code, argument in rules:
            scores: list[dict[int, int]] = []
            racks = [int(hosts.values[argument, hosts.instance_class[slot]]) for slot in slots]
            if code in (SPREAD_ATTRIBUTE, FEWEST_OF_GROUP):
                scores.append(crowd_sizes(zones if argument == ZONE else racks))
            if code in (SPREAD_INSTANCE, FEWEST_OF_GROUP):
                scores.append(crowd_sizes(slots))
            if code == BINPACK_MEMORY:
                scores.append({p: int(hosts.free[MEMORY, slots[p]]) for p in remaining})
                scores.append({p: stopped_on_host.get(slots[p], 0) for p in remaining})
            for score in scores:
                greatest = max(score[p] for p in best)
                best = {p for p in best if score[p] == greatest}
        ordered = sorted(best)
        choice = ordered[int(uniform(RNG_KEY, 5, number) * len(ordered))]
        choices.append(choice)
        remaining.discard(choice)
        stopped_on_host[slots[choice]] = stopped_on_host.get(slots[choice], 0) + 1
    return choices


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
    rules: list[tuple[int, int]], host_specs: list[tuple[int, int]], host_numbers: list[int], count: int
) -> None:
    """On any small cluster the kernel chooses the tasks that the plain twin chooses."""
    hosts = hosts_with(
        [memory * 100 for memory, _ in host_specs], [instance_class for _, instance_class in host_specs]
    )
    slots = [number_of_host % len(host_specs) for number_of_host in host_numbers]
    zones = [host_specs[slot][1] for slot in slots]
    assert choose_tasks(hosts, rules, slots, zones, count) == twin(hosts, rules, slots, zones, count)


@pytest.mark.parametrize("count", [0, 1])
def test_no_candidates(count: int) -> None:
    """No candidate is not an error."""
    assert choose_tasks(hosts_with([1]), [(FEWEST_OF_GROUP, 0)], [], [], count) == []
