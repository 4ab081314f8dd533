"""The arithmetic of capacity: groups, termination, reservation, packing, rates; by hand, and against plain twins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.capacity.instance_allocation import (
    TypeOffer,
    on_demand_of,
    surplus_for_balance,
    type_order,
    zone_order,
)
from clustersim.policy.capacity.interruption_rates import Closure, Offer, divided, is_open, monthly_rate
from clustersim.policy.capacity.managed_instance_packing import Ask, cheapest_packing
from clustersim.policy.capacity.termination_policies import Candidate, Mix, choose_victims
from clustersim.policy.scaling.capacity_provider_reservation import (
    Counted,
    datapoint,
    scale_in_to,
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
    assert [on_demand_of(total, 10, 50) for total in (5, 10, 20, 30, 40, 13)] == [5, 10, 15, 20, 25, 12]


@pytest.mark.parametrize(
    ("strategy", "spot", "held", "order"),
    [
        ("prioritized", False, {}, ["dear", "cheap", "middle"]),
        ("lowest-price", False, {}, ["cheap", "middle", "dear"]),
        ("lowest-price", True, {}, ["middle", "cheap", "dear"]),
        ("lowest-price", True, {"middle": 1}, ["cheap", "middle", "dear"]),
        ("capacity-optimized", True, {}, ["dear", "cheap", "middle"]),
        ("price-capacity-optimized", True, {}, ["dear", "middle", "cheap"]),
    ],
)
def test_allocation_strategies(strategy: str, spot: bool, held: dict[str, int], order: list[str]) -> None:
    """By the list, by price (of Spot over the two cheapest in turn), by the share of interruptions."""
    assert type_order(OFFERS, strategy, spot, held, 2) == order


def test_zones_and_their_balance() -> None:
    """4/1/0 wants two moves into the empty zone, of which a group of at most 10 makes one at a time, of 20 two."""
    assert zone_order({0: 4, 1: 1, 2: 0}) == [2, 1, 0]
    assert surplus_for_balance({0: 4, 1: 1, 2: 0}, [0, 1, 2], 10) == 1
    assert surplus_for_balance({0: 4, 1: 1, 2: 0}, [0, 1, 2], 20) == 2
    assert surplus_for_balance({0: 2, 1: 1, 2: 1}, [0, 1, 2], 20) == 0
    assert surplus_for_balance({0: 4, 1: 0}, [0], 20) == 0, "the other zone has no capacity"


def test_victims_come_from_the_fullest_zone_then_by_the_next_billing_hour() -> None:
    """Zone 0 has three, zone 1 one. At minute 100 the instances of minutes 0, 30 and 50 begin their next hour in 20, 50
    and 10 minutes: the last goes first; a second one is taken from zone 0 again, which still has more."""
    launched = {1: 0, 2: 30, 3: 50, 4: 0}
    candidates = [
        Candidate(slot, int(slot == 4), False, minute * MS_PER_MINUTE, 0.5)
        for slot, minute in launched.items()
    ]
    mix = Mix(0, 100, 4, 0)
    now = 100 * MS_PER_MINUTE
    assert choose_victims(candidates, {0: 3, 1: 1}, mix, ["Default"], 2, now) == [3, 1]
    assert choose_victims(candidates, {0: 3, 1: 1}, mix, ["NewestInstance"], 1, now) == [3]
    assert choose_victims(candidates, {0: 3, 1: 1}, mix, ["OldestInstance"], 1, now) == [1]


def test_of_a_mixed_group_the_option_goes_of_which_there_are_too_many() -> None:
    """Half and half: of 3 on-demand and 1 Spot an on-demand one goes, of 2 and 2 a Spot one."""
    for on_demand, spot, goes in ((3, 1, False), (2, 2, True)):
        candidates = [Candidate(slot, 0, slot >= on_demand, 0, slot / 10) for slot in range(on_demand + spot)]
        chosen = choose_victims(candidates, {0: 4}, Mix(0, 50, on_demand, spot), ["Default"], 1, 0)
        assert (chosen[0] >= on_demand) == goes


@given(
    zones=st.lists(st.integers(0, 3), min_size=1, max_size=30),
    count=st.integers(0, 40),
    free=st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_victims_are_different_free_and_leave_the_zones_even(
    zones: list[int], count: int, free: list[bool]
) -> None:
    """Never more than there are; where all may go, no zone is left with two more than one that gave one."""
    candidates = [
        Candidate(slot, zone, False, slot, slot / 100) for slot, zone in enumerate(zones) if free[slot]
    ]
    counts = {zone: zones.count(zone) for zone in set(zones)}
    chosen = choose_victims(candidates, counts, Mix(0, 100, len(zones), 0), ["Default"], count, MS_PER_HOUR)
    assert len(chosen) == len(set(chosen)) == min(count, len(candidates))
    assert all(free[slot] for slot in chosen)
    if all(free[: len(zones)]):
        left = {zone: counts[zone] - sum(zones[slot] == zone for slot in chosen) for zone in counts}
        gave = [zone for zone in counts if left[zone] < counts[zone]]
        assert all(max(left.values()) - left[zone] <= 1 for zone in gave)


# --- managed scaling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counted", "steps", "target", "percent", "capacity"),
    [
        (Counted(3, 2, 0, False), (1, 10_000), 100, 200 / 3, 2),
        (Counted(3, 2, 0, False), (1, 10_000), 50, 200 / 3, 4),
        (Counted(0, 0, 0, False), (1, 10_000), 100, 100, 0),
        (Counted(0, 0, 7, False), (1, 10_000), 100, 200, 2),
        (Counted(4, 4, 6, False), (1, 10_000), 100, 250, 10),
        (Counted(4, 4, 6, False), (1, 2), 100, 150, 6),
        (Counted(4, 4, 1, False), (3, 10_000), 100, 175, 7),
        (Counted(4, 4, 1, False), (1, 10_000), 90, 125, 6),
        (Counted(4, 1, 0, True), (1, 10_000), 80, 80, 5),
        (Counted(4, 1, 2, True), (1, 10_000), 100, 150, 6),
    ],
)
def test_reservation_and_the_capacity_it_leads_to(
    counted: Counted, steps: tuple[int, int], target: int, percent: float, capacity: int
) -> None:
    """The special cases of M / N, the steps, and tasks that no instance of the group could run."""
    point = datapoint(counted, *steps, target)
    assert point.percent == pytest.approx(percent)
    assert target_capacity(point, target) == capacity


def test_steps_of_scale_in() -> None:
    """From ten to two: six, four, three, two; two go to one, one to none."""
    steps = [10]
    while steps[-1] > 2:
        steps.append(scale_in_to(steps[-1], 2))
    assert steps == [10, 6, 4, 3, 2]
    assert (scale_in_to(2, 0), scale_in_to(1, 0)) == (1, 0)


@given(desired=st.integers(1, 10_000), wanted=st.integers(0, 10_000))
def test_a_step_of_scale_in_is_one_at_least_and_less_than_half(desired: int, wanted: int) -> None:
    """As long as more is to go, and of groups of more than two."""
    after = scale_in_to(desired, wanted)
    if wanted < desired:
        assert after < desired
        assert 2 * (desired - after) < desired or desired <= 2
        assert after >= wanted


@given(needed=st.integers(1, 5_000), running=st.integers(1, 5_000), target=st.integers(1, 100))
def test_the_capacity_is_the_least_that_brings_the_reservation_to_its_target(
    needed: int, running: int, target: int
) -> None:
    """With it the reservation would be at most the target, with one instance less above; exactly, in whole numbers."""
    point = datapoint(Counted(running, min(needed, running), 0, False), 1, 10_000, target)
    capacity = target_capacity(point, target)
    assert 100 * point.needed <= target * capacity
    assert 100 * point.needed > target * (capacity - 1)


# --- packing -----------------------------------------------------------------------------------------------


def _ask(key: int, cpu: int, memory: int, count: int, alone: bool = False, allowed: str = "11") -> Ask:
    need = np.zeros(RESOURCES, np.int64)
    need[:2] = cpu, memory
    return Ask(key, need, count, alone, np.array([each == "1" for each in allowed]))


SIZES = np.zeros((RESOURCES, 2), np.int64)
SIZES[:2] = [[2, 8], [4, 16]]
SIZES[2:] = 100
PRICES = np.array([1.0, 3.5])


@pytest.mark.parametrize(
    ("asks", "expected"),
    [
        ([_ask(0, 2, 2, 1)], [(0, ((0, 1),))]),
        ([_ask(0, 2, 2, 4)], [(1, ((0, 4),))]),
        ([_ask(0, 2, 2, 4, alone=True)], [(0, ((0, 1),))] * 4),
        ([_ask(0, 2, 2, 4, allowed="10")], [(0, ((0, 1),))] * 4),
        ([_ask(0, 4, 4, 1), _ask(1, 2, 2, 1)], [(1, ((0, 1), (1, 1)))]),
        ([_ask(0, 1, 1, 3)], [(0, ((0, 2),)), (0, ((0, 1),))]),
    ],
    ids=["one", "four fill the larger", "one each", "not on the larger", "two kinds", "three halves"],
)
def test_each_instance_is_the_cheapest_for_what_it_holds(
    asks: list[Ask], expected: list[tuple[int, tuple[tuple[int, int], ...]]]
) -> None:
    """Small: 2 units of CPU for 1.0; large: 8 for 3.5, cheaper a unit when it is full."""
    loads, unserved = cheapest_packing(asks, SIZES, PRICES)
    assert [(load.offer, load.tasks) for load in loads] == expected
    assert unserved == []


@given(
    st.lists(
        st.tuples(
            st.integers(1, 10), st.integers(0, 20), st.integers(1, 30), st.booleans(),
            st.sampled_from(("00", "01", "10", "11")),
        ),
        max_size=5,
    )
)  # fmt: skip
def test_packing_serves_everybody_who_fits_and_overfills_nothing(
    wanted: list[tuple[int, int, int, bool, str]],
) -> None:
    """Every task is in one load or its kind fits nowhere; no load is larger than its instance."""
    asks = [_ask(key, *rest) for key, rest in enumerate(wanted)]
    loads, unserved = cheapest_packing(asks, SIZES, PRICES)
    served = dict.fromkeys(range(len(asks)), 0)
    for load in loads:
        used = np.zeros(RESOURCES, np.int64)
        for key, count in load.tasks:
            assert asks[key].allowed[load.offer]
            assert count == 1 or not asks[key].alone
            served[key] += count
            used += count * asks[key].need
        assert np.all(used <= SIZES[:, load.offer])
    for key, ask in enumerate(asks):
        fits = any(ask.allowed[o] and np.all(ask.need <= SIZES[:, o]) for o in range(2))
        assert served[key] == (ask.count if fits else 0)
        assert (key in unserved) == (not fits)


# --- failures ----------------------------------------------------------------------------------------------


def test_a_share_of_a_month_is_a_rate() -> None:
    """The rate at which a life ends within 30 days with probability 0.3: exp(-rate x 30 d) = 0.7."""
    assert math.exp(-monthly_rate(0.3) * 30 * MS_PER_DAY) == pytest.approx(0.7)


@given(share=st.floats(0, 1), fraction=st.floats(0.01, 1))
def test_however_interruptions_are_divided_an_instance_has_its_rate(share: float, fraction: float) -> None:
    """Singly, and by events each of which takes it with its probability."""
    rates = divided(0.001, share, fraction)
    assert rates.single + rates.pool * rates.fraction == pytest.approx(0.001)


def test_a_closure_covers_what_it_names_while_it_lasts() -> None:
    """None stands for any; the end is open."""
    offer = Offer("general", "m6i.large", "us-east-1a", True)
    everything = Closure(10, 20)
    assert [is_open([everything], offer, at) for at in (9, 10, 19, 20)] == [True, False, False, True]
    for closure, covers in (
        (Closure(0, 99, zone="us-east-1a"), True),
        (Closure(0, 99, zone="us-east-1b"), False),
        (Closure(0, 99, spot=False), False),
        (Closure(0, 99, provider="general", spot=True), True),
        (Closure(0, 99, instance_type="c6i.large"), False),
    ):
        assert is_open([closure], offer, 50) is not covers
