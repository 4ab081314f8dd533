"""Capacity arithmetic: groups, termination, reservation, packing, rates; worked examples and properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.capacity.instance_allocation import (
    TypeOffer,
    on_demand_count,
    order_types,
    order_zones,
    rebalancing_surplus,
)
from clustersim.policy.capacity.interruption_rates import (
    CapacityOffer,
    Closure,
    is_available,
    monthly_rate,
    split_rate,
)
from clustersim.policy.capacity.managed_instance_packing import TaskDemand, pack_cheapest
from clustersim.policy.capacity.termination_policies import (
    PurchaseMix,
    TerminationCandidate,
    choose_instances_to_terminate,
)
from clustersim.policy.scaling.capacity_provider_reservation import (
    ProviderCounts,
    reservation_datapoint,
    scale_in_step,
    target_capacity,
)
from clustersim.vocabulary import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, RESOURCES

# --- groups ------------------------------------------------------------------------------------------------

OFFERS = (
    TypeOffer("dear", 0.4, 0.30, 0.05),
    TypeOffer("cheap", 0.2, 0.10, 0.15),
    TypeOffer("middle", 0.3, 0.05, 0.15),
)


def test_on_demand_fills_its_base_and_rounds_its_share_up() -> None:
    """Base 10, 50 % (EC2 Auto Scaling User Guide): of 10, 20, 30 and 40 instances 10, 15, 20 and 25; of 13 12."""
    assert [on_demand_count(total, 10, 50) for total in (5, 10, 20, 30, 40, 13)] == [5, 10, 15, 20, 25, 12]


@pytest.mark.parametrize(
    ("strategy", "spot", "spot_by_type", "order"),
    [
        ("prioritized", False, {}, ["dear", "cheap", "middle"]),
        ("lowest-price", False, {}, ["cheap", "middle", "dear"]),
        ("lowest-price", True, {}, ["middle", "cheap", "dear"]),
        ("lowest-price", True, {"middle": 1}, ["cheap", "middle", "dear"]),
        ("capacity-optimized", True, {}, ["dear", "cheap", "middle"]),
        ("price-capacity-optimized", True, {}, ["dear", "middle", "cheap"]),
    ],
)
def test_allocation_strategies(
    strategy: str, spot: bool, spot_by_type: dict[str, int], order: list[str]
) -> None:
    """By the list, by price (of Spot over the two cheapest in turn), by the share of interruptions."""
    assert order_types(OFFERS, strategy, spot, spot_by_type, 2) == order


def test_zones_and_their_balance() -> None:
    """4/1/0 needs two moves into the empty zone; a group of at most 10 makes one at a time, of 20 two."""
    assert order_zones({0: 4, 1: 1, 2: 0}) == [2, 1, 0]
    assert rebalancing_surplus({0: 4, 1: 1, 2: 0}, [0, 1, 2], 10) == 1
    assert rebalancing_surplus({0: 4, 1: 1, 2: 0}, [0, 1, 2], 20) == 2
    assert rebalancing_surplus({0: 2, 1: 1, 2: 1}, [0, 1, 2], 20) == 0
    assert rebalancing_surplus({0: 4, 1: 0}, [0], 20) == 0, "the other zone has no capacity"


def test_termination_from_the_fullest_zone_then_by_the_next_billing_hour() -> None:
    """Zone 0 has three, zone 1 one. At minute 100 the instances of minutes 0, 30 and 50 begin their next hour in 20, 50
    and 10 minutes: the last is terminated first; the second one is again in zone 0, which still has more."""
    launched = {1: 0, 2: 30, 3: 50, 4: 0}
    candidates = [
        TerminationCandidate(slot, int(slot == 4), False, minute * MS_PER_MINUTE, 0.5)
        for slot, minute in launched.items()
    ]
    mix = PurchaseMix(0, 100, 4, 0)
    now = 100 * MS_PER_MINUTE
    assert choose_instances_to_terminate(candidates, {0: 3, 1: 1}, mix, ["Default"], 2, now) == [3, 1]
    assert choose_instances_to_terminate(candidates, {0: 3, 1: 1}, mix, ["NewestInstance"], 1, now) == [3]
    assert choose_instances_to_terminate(candidates, {0: 3, 1: 1}, mix, ["OldestInstance"], 1, now) == [1]


def test_a_mixed_group_terminates_the_excess_purchase_option() -> None:
    """Half and half: of 3 on-demand and 1 Spot an on-demand one is terminated, of 2 and 2 a Spot one."""
    for on_demand, spot, spot_stops in ((3, 1, False), (2, 2, True)):
        candidates = [
            TerminationCandidate(slot, 0, slot >= on_demand, 0, slot / 10) for slot in range(on_demand + spot)
        ]
        chosen = choose_instances_to_terminate(
            candidates, {0: 4}, PurchaseMix(0, 50, on_demand, spot), ["Default"], 1, 0
        )
        assert (chosen[0] >= on_demand) == spot_stops


@given(
    zones=st.lists(st.integers(0, 3), min_size=1, max_size=30),
    count=st.integers(0, 40),
    free=st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_terminations_are_distinct_eligible_and_balance_the_zones(
    zones: list[int], count: int, free: list[bool]
) -> None:
    """At most all; if all are eligible, no zone keeps two more than a zone that lost one."""
    candidates = [
        TerminationCandidate(slot, zone, False, slot, slot / 100)
        for slot, zone in enumerate(zones)
        if free[slot]
    ]
    counts = {zone: zones.count(zone) for zone in set(zones)}
    chosen = choose_instances_to_terminate(
        candidates, counts, PurchaseMix(0, 100, len(zones), 0), ["Default"], count, MS_PER_HOUR
    )
    assert len(chosen) == len(set(chosen)) == min(count, len(candidates))
    assert all(free[slot] for slot in chosen)
    if all(free[: len(zones)]):
        remaining = {zone: counts[zone] - sum(zones[slot] == zone for slot in chosen) for zone in counts}
        reduced = [zone for zone in counts if remaining[zone] < counts[zone]]
        assert all(max(remaining.values()) - remaining[zone] <= 1 for zone in reduced)


# --- managed scaling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "steps", "target", "percent", "capacity"),
    [
        (ProviderCounts(3, 2, 0, False), (1, 10_000), 100, 200 / 3, 2),
        (ProviderCounts(3, 2, 0, False), (1, 10_000), 50, 200 / 3, 4),
        (ProviderCounts(0, 0, 0, False), (1, 10_000), 100, 100, 0),
        (ProviderCounts(0, 0, 7, False), (1, 10_000), 100, 200, 2),
        (ProviderCounts(4, 4, 6, False), (1, 10_000), 100, 250, 10),
        (ProviderCounts(4, 4, 6, False), (1, 2), 100, 150, 6),
        (ProviderCounts(4, 4, 1, False), (3, 10_000), 100, 175, 7),
        (ProviderCounts(4, 4, 1, False), (1, 10_000), 90, 125, 6),
        (ProviderCounts(4, 1, 0, True), (1, 10_000), 80, 80, 5),
        (ProviderCounts(4, 1, 2, True), (1, 10_000), 100, 150, 6),
    ],
)
def test_reservation_and_the_resulting_capacity(
    counts: ProviderCounts, steps: tuple[int, int], target: int, percent: float, capacity: int
) -> None:
    """The special cases of M / N, the steps, and tasks that no instance of the group could run."""
    point = reservation_datapoint(counts, *steps, target)
    assert point.percent == pytest.approx(percent)
    assert target_capacity(point, target) == capacity


def test_steps_of_scale_in() -> None:
    """From ten to two: six, four, three, two; two go to one, one to none."""
    steps = [10]
    while steps[-1] > 2:
        steps.append(scale_in_step(steps[-1], 2))
    assert steps == [10, 6, 4, 3, 2]
    assert (scale_in_step(2, 0), scale_in_step(1, 0)) == (1, 0)


@given(desired=st.integers(1, 10_000), specs=st.integers(0, 10_000))
def test_a_scale_in_step_is_at_least_one_and_less_than_half(desired: int, specs: int) -> None:
    """As long as more is to go, and of groups of more than two."""
    after = scale_in_step(desired, specs)
    if specs < desired:
        assert after < desired
        assert 2 * (desired - after) < desired or desired <= 2
        assert after >= specs


@given(needed=st.integers(1, 5_000), running=st.integers(1, 5_000), target=st.integers(1, 100))
def test_the_capacity_is_the_least_that_brings_the_reservation_to_its_target(
    needed: int, running: int, target: int
) -> None:
    """With it the reservation would be at most the target, with one instance less above; exactly, in whole numbers."""
    point = reservation_datapoint(ProviderCounts(running, min(needed, running), 0, False), 1, 10_000, target)
    capacity = target_capacity(point, target)
    assert 100 * point.needed <= target * capacity
    assert 100 * point.needed > target * (capacity - 1)


# --- packing -----------------------------------------------------------------------------------------------


def _demand(
    key: int, cpu: int, memory: int, count: int, alone: bool = False, allowed: str = "11"
) -> TaskDemand:
    need = np.zeros(RESOURCES, np.int64)
    need[:2] = cpu, memory
    return TaskDemand(key, need, count, alone, np.array([flag == "1" for flag in allowed]))


SIZES = np.zeros((RESOURCES, 2), np.int64)
SIZES[:2] = [[2, 8], [4, 16]]
SIZES[2:] = 100
PRICES = np.array([1.0, 3.5])


@pytest.mark.parametrize(
    ("demands", "expected"),
    [
        ([_demand(0, 2, 2, 1)], [(0, ((0, 1),))]),
        ([_demand(0, 2, 2, 4)], [(1, ((0, 4),))]),
        ([_demand(0, 2, 2, 4, alone=True)], [(0, ((0, 1),))] * 4),
        ([_demand(0, 2, 2, 4, allowed="10")], [(0, ((0, 1),))] * 4),
        ([_demand(0, 4, 4, 1), _demand(1, 2, 2, 1)], [(1, ((0, 1), (1, 1)))]),
        ([_demand(0, 1, 1, 3)], [(0, ((0, 2),)), (0, ((0, 1),))]),
    ],
    ids=["one", "four fill the larger", "one each", "not on the larger", "two kinds", "three halves"],
)
def test_each_instance_is_the_cheapest_for_its_tasks(
    demands: list[TaskDemand], expected: list[tuple[int, tuple[tuple[int, int], ...]]]
) -> None:
    """Small: 2 units of CPU for 1.0; large: 8 for 3.5, cheaper a unit when it is full."""
    instances, unplaced = pack_cheapest(demands, SIZES, PRICES)
    assert [(instance.offer, instance.tasks) for instance in instances] == expected
    assert unplaced == []


@given(
    st.lists(
        st.tuples(
            st.integers(1, 10), st.integers(0, 20), st.integers(1, 30), st.booleans(),
            st.sampled_from(("00", "01", "10", "11")),
        ),
        max_size=5,
    )
)  # fmt: skip
def test_packing_places_every_task_that_fits_and_overfills_no_instance(
    specs: list[tuple[int, int, int, bool, str]],
) -> None:
    """Every task is on one instance unless its kind fits on none; no instance is overfilled."""
    demands = [_demand(key, *rest) for key, rest in enumerate(specs)]
    instances, unplaced = pack_cheapest(demands, SIZES, PRICES)
    placed = dict.fromkeys(range(len(demands)), 0)
    for instance in instances:
        used = np.zeros(RESOURCES, np.int64)
        for key, count in instance.tasks:
            assert demands[key].allowed[instance.offer]
            assert count == 1 or not demands[key].alone
            placed[key] += count
            used += count * demands[key].need
        assert np.all(used <= SIZES[:, instance.offer])
    for key, demand in enumerate(demands):
        is_placeable = any(demand.allowed[o] and np.all(demand.need <= SIZES[:, o]) for o in range(2))
        assert placed[key] == (demand.count if is_placeable else 0)
        assert (key in unplaced) == (not is_placeable)


# --- failures ----------------------------------------------------------------------------------------------


def test_a_share_of_a_month_is_a_rate() -> None:
    """The rate at which a life ends within 30 days with probability 0.3: exp(-rate x 30 d) = 0.7."""
    assert math.exp(-monthly_rate(0.3) * 30 * MS_PER_DAY) == pytest.approx(0.7)


@given(share=st.floats(0, 1), fraction=st.floats(0.01, 1))
def test_the_rate_of_an_instance_is_the_same_for_any_split(share: float, fraction: float) -> None:
    """Single interruptions plus events, each with its probability, add up to the rate."""
    rates = split_rate(0.001, share, fraction)
    assert rates.single + rates.pool * rates.fraction == pytest.approx(0.001)


def test_a_closure_covers_matching_offers_while_it_lasts() -> None:
    """None stands for any; the end is open."""
    offer = CapacityOffer("general", "m6i.large", "us-east-1a", True)
    everything = Closure(10, 20)
    assert [is_available([everything], offer, at) for at in (9, 10, 19, 20)] == [True, False, False, True]
    for closure, covers in (
        (Closure(0, 99, zone="us-east-1a"), True),
        (Closure(0, 99, zone="us-east-1b"), False),
        (Closure(0, 99, spot=False), False),
        (Closure(0, 99, provider="general", spot=True), True),
        (Closure(0, 99, instance_type="c6i.large"), False),
    ):
        assert is_available([closure], offer, 50) is not covers
