"""Reserved Instances and Savings Plans: covered usage, the remainder, and that the bill adds up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from clustersim.policy.pricing.savings_plans import (
    Bill,
    HourlyUsage,
    PlanDiscount,
    ReservedInstanceTerms,
    SavingsPlanTerms,
    Sku,
    UsageKind,
    apply_commitments,
)

M5, C6 = Sku(UsageKind.EC2, "m5.large"), Sku(UsageKind.EC2, "c6i.large")
FARGATE, SPOT = Sku(UsageKind.FARGATE), Sku(UsageKind.UNCOVERED)


def usage_of(skus: tuple[Sku, ...], usd: list[list[float]], hours: list[list[float]]) -> HourlyUsage:
    """Return usage of whole hours."""
    return HourlyUsage(skus, np.array(usd), np.array(hours), np.ones(len(usd)))


def plan_of(usd: float, ec2: float, fargate: float) -> SavingsPlanTerms:
    return SavingsPlanTerms(usd_per_hour=usd, discount=PlanDiscount(ec2=ec2, fargate=fargate))


def reservation_of(instance_type: str, count: int, usd: float) -> ReservedInstanceTerms:
    return ReservedInstanceTerms(instance_type=instance_type, count=count, usd_per_hour=usd)


def test_without_commitments_everything_is_billed_at_its_price() -> None:
    """Nothing is covered, no fee is charged."""
    bill = apply_commitments(usage_of((M5, SPOT), [[0.2, 0.1]], [[2, 3]]))

    assert bill.billed_usd.tolist() == bill.effective_usd.tolist() == [[0.2, 0.1]]
    assert bill.total_usd == pytest.approx(0.3)


def test_reserved_instances_cover_their_type_and_are_charged_unused() -> None:
    """Two reserved m5.large at 0.06: hour one uses three (one left at 0.10), hour two one (0.06 wasted)."""
    reserved = [reservation_of("m5.large", 2, 0.06)]
    usage = usage_of((M5, C6, SPOT), [[0.3, 0.08, 0.04], [0.1, 0.08, 0.04]], [[3, 1, 1], [1, 1, 1]])
    bill = apply_commitments(usage, reserved_instances=reserved)

    assert bill.billed_usd == pytest.approx(np.array([[0.1, 0.08, 0.04], [0.0, 0.08, 0.04]]))
    assert bill.effective_usd == pytest.approx(np.array([[0.22, 0.08, 0.04], [0.06, 0.08, 0.04]]))
    assert bill.reserved_fee_usd == pytest.approx([0.12, 0.12])
    assert bill.reserved_unused_usd == pytest.approx([0.0, 0.06])
    assert bill.total_usd == pytest.approx(0.1 + 0.08 + 0.04 + 0.08 + 0.04 + 0.24)


def test_the_plan_begins_where_the_discount_is_highest() -> None:
    """0.72 USD at 28 % cover 1.00 USD of EC2, at 20 % 0.90 of Fargate; 0.72 + 0.08 spend the plan of 0.80.

    Fargate: 0.08 / 0.8 = 0.10 of its list price is covered, 0.90 stays on-demand.
    """
    usage = usage_of((FARGATE, M5), [[1.0, 1.0]], [[0, 10]])
    bill = apply_commitments(usage, plan_of(0.8, ec2=0.28, fargate=0.20))

    assert bill.plan_usd == pytest.approx(np.array([[0.1, 1.0]]))
    assert bill.billed_usd == pytest.approx(np.array([[0.9, 0.0]]))
    assert bill.effective_usd == pytest.approx(np.array([[0.98, 0.72]]))
    assert bill.plan_unused_usd == pytest.approx([0.0])
    assert bill.total_usd == pytest.approx(1.7)
    other = apply_commitments(usage, plan_of(0.8, ec2=0.20, fargate=0.28))
    assert other.plan_usd == pytest.approx(np.array([[1.0, 0.1]]))


def test_unspent_money_of_a_plan_is_lost_each_hour() -> None:
    """An idle hour does not help the next one: 0.5 USD are due in each."""
    usage = usage_of((FARGATE,), [[0.0], [1.0]], [[0], [0]])
    bill = apply_commitments(usage, plan_of(0.5, ec2=0.0, fargate=0.2))

    assert bill.plan_unused_usd == pytest.approx([0.5, 0.0])
    assert bill.billed_usd == pytest.approx(np.array([[0.0], [0.375]]))  # 1 - 0.5 / 0.8
    assert bill.total_usd == pytest.approx(1.375)


def test_reservations_come_before_the_plan() -> None:
    """The reserved instance leaves one of two to the plan: 0.10 x 0.7 = 0.07 of its 1 USD is spent."""
    reserved = [reservation_of("m5.large", 1, 0.06)]
    bill = apply_commitments(usage_of((M5,), [[0.2]], [[2]]), plan_of(1.0, ec2=0.3, fargate=0.0), reserved)

    assert (bill.reserved_usd[0, 0], bill.plan_usd[0, 0]) == (pytest.approx(0.1), pytest.approx(0.1))
    assert bill.plan_unused_usd == pytest.approx([0.93])


def test_spot_is_never_covered() -> None:
    """Savings Plans and Reserved Instances apply to on-demand usage only."""
    bill = apply_commitments(usage_of((SPOT,), [[5.0]], [[9]]), plan_of(1.0, ec2=0.5, fargate=0.5))

    assert bill.billed_usd.tolist() == [[5.0]]
    assert bill.plan_unused_usd.tolist() == [1.0]


def test_part_of_an_hour_is_charged_part_of_the_commitment() -> None:
    """A run that ends at half past: half the fee, half a reserved instance-hour."""
    usage = HourlyUsage((M5,), np.array([[0.1]]), np.array([[1.0]]), np.array([0.5]))
    reserved = [reservation_of("m5.large", 1, 0.06)]
    bill = apply_commitments(usage, reserved_instances=reserved)

    assert bill.reserved_fee_usd == pytest.approx([0.03])
    assert bill.billed_usd == pytest.approx(np.array([[0.05]]))


def test_keys_are_those_of_the_scenario() -> None:
    """`pricing.savingsPlan` and `pricing.reservedInstances` as written; a discount of 100 % is rejected."""
    plan = SavingsPlanTerms.model_validate({"usdPerHour": 0.5, "discount": {"ec2": 0.28, "fargate": 0.2}})
    entry = ReservedInstanceTerms.model_validate({"instanceType": "m5.large", "count": 2, "usdPerHour": 0.06})

    assert (plan.usd_per_hour, plan.discount.ec2, entry.count) == (0.5, 0.28, 2)
    for wrong in ({"usdPerHour": -1}, {"usdPerHour": 1, "discount": {"ec2": 1}}, {"usdPerHours": 1}):
        with pytest.raises(ValidationError):
            SavingsPlanTerms.model_validate(wrong)


money = st.floats(0, 1_000).map(lambda usd: round(usd, 6))
KINDS = (M5, M5, C6, FARGATE, FARGATE, SPOT)
rows = st.lists(st.lists(money, min_size=len(KINDS), max_size=len(KINDS)), min_size=1, max_size=6)
plans = st.builds(plan_of, money, st.floats(0, 0.9), st.floats(0, 0.9))
reserved_types = st.sampled_from(["m5.large", "c6i.large"])
reservations = st.lists(st.builds(reservation_of, reserved_types, st.integers(1, 9), money), max_size=3)


def bill_of(
    usd: list[list[float]], plan: SavingsPlanTerms | None, reserved: list[ReservedInstanceTerms]
) -> Bill:
    """Instances of 0.1 USD an hour, so that hours follow from money."""
    return apply_commitments(usage_of(KINDS, usd, (np.array(usd) / 0.1).tolist()), plan, reserved)


@given(usd=rows, plan=plans, reserved=reservations)
def test_the_bill_adds_up(
    usd: list[list[float]], plan: SavingsPlanTerms, reserved: list[ReservedInstanceTerms]
) -> None:
    """Covered and left over add up to the usage; used and unused to the fees; effective to billed."""
    bill = bill_of(usd, plan, reserved)
    covered = bill.reserved_usd + bill.plan_usd

    assert covered + bill.billed_usd == pytest.approx(np.array(usd), abs=1e-9)
    assert (bill.billed_usd >= -1e-9).all()
    assert (covered[:, -1] == 0).all()
    effective = bill.effective_usd.sum() + bill.reserved_unused_usd.sum() + bill.plan_unused_usd.sum()
    assert effective == pytest.approx(bill.total_usd, abs=1e-6)


@given(usd=rows, plan=plans, reserved=reservations, more=money)
def test_a_larger_commitment_never_covers_less(
    usd: list[list[float]], plan: SavingsPlanTerms, reserved: list[ReservedInstanceTerms], more: float
) -> None:
    """The remaining bill falls as the plan grows, and never rises with more reservations."""
    larger = plan.model_copy(update={"usd_per_hour": plan.usd_per_hour + more})
    bill = bill_of(usd, plan, reserved)

    assert bill_of(usd, larger, reserved).billed_usd.sum() <= bill.billed_usd.sum() + 1e-6
    assert bill.billed_usd.sum() <= bill_of(usd, plan, []).billed_usd.sum() + 1e-6


@given(usd=rows, plan=plans, reserved=reservations)
def test_hours_are_independent(
    usd: list[list[float]], plan: SavingsPlanTerms, reserved: list[ReservedInstanceTerms]
) -> None:
    """The bill of many hours is that of each hour by itself: the columns are one loop over hours."""
    together = bill_of(usd, plan, reserved)

    for hour, row in enumerate(usd):
        alone = bill_of([row], plan, reserved)
        assert together.billed_usd[hour].tolist() == alone.billed_usd[0].tolist()
        assert together.effective_usd[hour].tolist() == alone.effective_usd[0].tolist()
