"""Reserved Instances and Savings Plans of one clock hour: what is covered, in which order, and that it adds up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.pricing.commitments import (
    Coverage,
    ReservedInstances,
    SavingsPlan,
    SettledHour,
    UsageColumn,
    UsageKind,
)

A, B = "us-east-1a", "us-east-1b"
M5 = UsageColumn(UsageKind.EC2, 0.10, "m5.large", A)
M5_B = UsageColumn(UsageKind.EC2, 0.10, "m5.large", B)
C6 = UsageColumn(UsageKind.EC2, 0.08, "c6i.large", A)
VCPU = UsageColumn(UsageKind.FARGATE, 0.04, zone=A)
GB = UsageColumn(UsageKind.FARGATE, 0.004, zone=A)
SPOT = UsageColumn(UsageKind.UNCOVERED, 0.03)


def uncovered_usd(columns: list[UsageColumn], usage: list[float], hour: SettledHour) -> list[float]:
    """What is left at the on-demand price, USD by column."""
    prices = np.array([column.usd_per_unit for column in columns])
    return (hour.shares[0] * np.array(usage) * prices).tolist()


def test_without_commitments_nothing_is_covered() -> None:
    """The shares have one row, which is 1."""
    hour = Coverage([M5, SPOT]).settle(np.array([2.0, 3.0]), 1.0)
    assert hour.shares.tolist() == [[1.0, 1.0]]


def test_reserved_instances_cover_their_type_and_are_paid_unused() -> None:
    """Two m5.large at 0.06 against three: a third is left; against one: a fee of 0.06 is left."""
    columns = [M5, C6, SPOT]
    coverage = Coverage(columns, reserved_instances=[ReservedInstances("m5.large", 2, 0.06)])
    assert coverage.rates[0, 0] == pytest.approx(0.06)
    busy, quiet = (coverage.settle(np.array([n, 1.0, 1.0]), 1.0) for n in (3.0, 1.0))
    assert uncovered_usd(columns, [3, 1, 1], busy) == pytest.approx([0.1, 0.08, 0.03])
    assert busy.unused_usd.tolist() == [0.0]
    assert quiet.shares[0].tolist() == [0.0, 1.0, 1.0]
    assert quiet.unused_usd == pytest.approx([0.06])


def test_regional_reserved_instances_cover_all_zones_evenly() -> None:
    """One of three instance-hours in two zones: a third of each."""
    coverage = Coverage([M5, M5_B], reserved_instances=[ReservedInstances("m5.large", 1, 0.06)])
    assert coverage.settle(np.array([2.0, 1.0]), 1.0).shares[1] == pytest.approx([1 / 3, 1 / 3])


def test_zonal_reserved_instances_come_before_regional_ones() -> None:
    """The zonal one in b covers b, so that the regional one, listed first, covers a."""
    reserved = [ReservedInstances("m5.large", 1, 0.06), ReservedInstances("m5.large", 1, 0.05, B)]
    hour = Coverage([M5, M5_B], reserved_instances=reserved).settle(np.array([1.0, 1.0]), 1.0)
    assert hour.shares.tolist() == [[0, 0], [1, 0], [0, 1]]


def test_a_plan_begins_where_it_saves_the_largest_share() -> None:
    """0.72 USD at 28 % cover 1.00 USD of EC2; the other 0.08 cover 0.10 USD of Fargate at 20 %."""
    columns, usage = [VCPU, M5], np.array([25.0, 10.0])
    hour = Coverage(columns, [SavingsPlan(0.8, 0.28, 0.20)]).settle(usage, 1.0)
    assert uncovered_usd(columns, [25, 10], hour) == pytest.approx([0.9, 0.0])
    assert hour.unused_usd == pytest.approx([0.0])
    other = Coverage(columns, [SavingsPlan(0.8, 0.20, 0.28)]).settle(usage, 1.0)
    assert uncovered_usd(columns, [25, 10], other) == pytest.approx([0.0, 0.9])


def test_of_equal_savings_the_lowest_rate_is_first() -> None:
    """At 25 % off both: memory at 0.003 a GB-hour is covered before vCPU at 0.03."""
    hour = Coverage([VCPU, GB], [SavingsPlan(0.3, 0.0, 0.25)]).settle(np.array([10.0, 100.0]), 1.0)
    assert hour.shares[0] == pytest.approx([1.0, 0.0])


def test_an_ec2_instance_plan_covers_its_family_before_a_compute_plan() -> None:
    """The compute plan is listed first and saves more; the plan of m5 covers m5, the compute plan the rest."""
    plans = [SavingsPlan(10.0, 0.5, 0.5), SavingsPlan(10.0, 0.3, instance_family="m5")]
    hour = Coverage([M5, C6, VCPU], plans).settle(np.array([1.0, 1.0, 1.0]), 1.0)
    assert hour.shares.tolist() == [[0, 0, 0], [0, 1, 1], [1, 0, 0]]
    assert hour.unused_usd == pytest.approx([10 - 0.04 - 0.02, 10 - 0.07])


def test_reservations_come_before_the_plan() -> None:
    """The reserved instance leaves one of two to the plan: 0.07 of its 1 USD are spent."""
    coverage = Coverage([M5], [SavingsPlan(1.0, 0.3)], [ReservedInstances("m5.large", 1, 0.06)])
    hour = coverage.settle(np.array([2.0]), 1.0)
    assert hour.shares[:, 0] == pytest.approx([0.0, 0.5, 0.5])
    assert hour.unused_usd == pytest.approx([0.0, 0.93])


def test_spot_is_never_covered() -> None:
    """Savings Plans and Reserved Instances apply to on-demand usage only."""
    hour = Coverage([SPOT], [SavingsPlan(1.0, 0.5, 0.5)]).settle(np.array([9.0]), 1.0)
    assert hour.shares.tolist() == [[1.0], [0.0]]
    assert hour.unused_usd.tolist() == [1.0]


def test_part_of_an_hour_has_part_of_the_fee_and_of_the_benefit() -> None:
    """Half an hour: half a reserved instance-hour, so that half of one instance-hour is left; half the plan's fee."""
    coverage = Coverage([M5], reserved_instances=[ReservedInstances("m5.large", 1, 0.06)])
    assert coverage.settle(np.array([1.0]), 0.5).shares[0] == pytest.approx([0.5])
    assert Coverage([M5], [SavingsPlan(1.0, 0.3)]).settle(np.array([0.0]), 0.5).unused_usd == pytest.approx(
        [0.5]
    )


amounts = st.floats(0, 1_000).map(lambda value: round(value, 6))
COLUMNS = [M5, M5_B, C6, VCPU, GB, SPOT]
usages = st.lists(amounts, min_size=len(COLUMNS), max_size=len(COLUMNS)).map(np.array)
families = st.sampled_from(["", "m5", "c6i"])
plan = st.builds(SavingsPlan, amounts, st.floats(0, 0.9), st.floats(0, 0.9), families)
plans = st.lists(plan, max_size=3)
types, zones = st.sampled_from(["m5.large", "c6i.large"]), st.sampled_from(["", A, B])
reservations = st.lists(st.builds(ReservedInstances, types, st.integers(1, 9), amounts, zones), max_size=3)
hour_shares = st.floats(0.01, 1.0)


@given(usage=usages, plans=plans, reserved=reservations, part=hour_shares)
def test_an_hour_adds_up(
    usage: np.ndarray, plans: list[SavingsPlan], reserved: list[ReservedInstances], part: float
) -> None:
    """The shares of each column are 1 in all; what each commitment covers and leaves unused is its fee."""
    coverage = Coverage(COLUMNS, plans, reserved)
    hour = coverage.settle(usage, part)
    assert hour.shares.sum(axis=0) == pytest.approx(1.0)
    assert (hour.shares >= 0).all()
    assert (hour.unused_usd >= 0).all()
    assert (hour.shares[1:, -1] == 0).all()
    paid = (hour.shares[1:] * usage * np.nan_to_num(coverage.rates)).sum(axis=1)
    fees = [each.quantity * each.usd_per_hour * part for each in coverage.commitments]
    assert paid + hour.unused_usd == pytest.approx(np.array(fees), abs=1e-6)


@given(usage=usages, plan=plan, reserved=reservations, more=amounts)
def test_a_larger_plan_never_covers_less(
    usage: np.ndarray, plan: SavingsPlan, reserved: list[ReservedInstances], more: float
) -> None:
    """The remaining on-demand cost does not rise when the plan grows."""
    prices = np.array([column.usd_per_unit for column in COLUMNS])
    sizes = (plan, plan._replace(usd_per_hour=plan.usd_per_hour + more))
    before, after = (
        float((Coverage(COLUMNS, [each], reserved).settle(usage, 1.0).shares[0] * usage * prices).sum())
        for each in sizes
    )
    assert after <= before + 1e-6
