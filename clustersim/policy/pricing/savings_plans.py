"""What Reserved Instances and a Savings Plan take off the bill, hour by hour.

Decides which usage a commitment covers and what is left at on-demand price. Pure arithmetic on columns of
hours by SKU; it knows no clock, no world and no catalogue. The invoice calls it once for the whole run.

Rules (AWS Cost Management: how Reserved Instances and Savings Plans apply): every clock hour stands alone.
Reserved Instances go first: each covers one instance-hour of its own type in an hour, in any zone, shared by
instances that run at the same time; it is paid for used or not. The Savings Plan comes second: it pays for
usage at the discounted rate until its USD per hour are spent, beginning where the discount is highest; what
it does not spend is lost. The rest is on-demand. Spot, volumes and storage are never covered.

Simplified: a reservation covers its own instance type, not other sizes of the family; within a kind of usage
the SKUs are covered in proportion, which moves no money in total. Covered usage has billed cost 0 and an
effective cost at the committed rate (FOCUS: BilledCost, EffectiveCost), so both columns add up to the same
bill.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Float64s = npt.NDArray[np.float64]


class UsageKind(Enum):
    """What commitments may do with a SKU."""

    EC2 = "ec2"  # on-demand instances: Reserved Instances, then the Savings Plan
    FARGATE = "fargate"  # on-demand vCPU and memory: the Savings Plan
    UNCOVERED = "uncovered"  # Spot of either kind, volumes, storage, fees


class Sku(NamedTuple):
    """A column of the usage: its kind, and for EC2 the instance type that reservations look at."""

    kind: UsageKind
    instance_type: str | None = None


class _Commitment(BaseModel):
    """Keys as people write them in `pricing`, or by field name."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False, alias_generator=to_camel
    )


class SavingsPlanDiscount(_Commitment):
    """Share of the on-demand price that a plan takes off, by kind of usage."""

    ec2: float = Field(0.0, ge=0, lt=1)
    fargate: float = Field(0.0, ge=0, lt=1)


class SavingsPlan(_Commitment):
    """`pricing.savingsPlan`: a Compute Savings Plan, no upfront payment."""

    usd_per_hour: float = Field(ge=0)
    discount: SavingsPlanDiscount = SavingsPlanDiscount()


class ReservedInstances(_Commitment):
    """An entry of `pricing.reservedInstances`: `count` instances of a type, each at `usd_per_hour`."""

    instance_type: str
    count: int = Field(ge=1)
    usd_per_hour: float = Field(ge=0)


class HourlyUsage(NamedTuple):
    """Usage before commitments: a row per hour, a column per SKU.

    `list_usd` is what the hour's usage costs without commitments (Spot at its Spot price), `instance_hours`
    how many instance-hours it was (0 where the SKU is no instance), `hour_share` how much of each clock hour
    lies in the billed window: 1, but for the first and last of a run that begins or ends within an hour.
    """

    skus: tuple[Sku, ...]
    list_usd: Float64s
    instance_hours: Float64s
    hour_share: Float64s


class Bill(NamedTuple):
    """The usage after commitments.

    By hour and SKU: `reserved_usd` and `plan_usd` are the list prices of what reservations and the plan
    cover, `billed_usd` is charged beside the commitments' fees, `effective_usd` has the used part of the fees
    in it. By hour: the fees, and how much of them nothing used.
    """

    reserved_usd: Float64s
    plan_usd: Float64s
    billed_usd: Float64s
    effective_usd: Float64s
    reserved_fee_usd: Float64s
    reserved_unused_usd: Float64s
    plan_fee_usd: Float64s
    plan_unused_usd: Float64s

    @property
    def total_usd(self) -> float:
        """What is to be paid: usage left at on-demand price, and every fee."""
        return float(self.billed_usd.sum() + self.reserved_fee_usd.sum() + self.plan_fee_usd.sum())


def apply_commitments(
    usage: HourlyUsage,
    savings_plan: SavingsPlan | None = None,
    reserved_instances: Sequence[ReservedInstances] = (),
) -> Bill:
    """Cover `usage` by Reserved Instances first, then by the Savings Plan; see the module for the rules."""
    reserved, reserved_paid, fee = _reserve(usage, reserved_instances)
    plan_fee = np.zeros(len(usage.hour_share))
    planned, plan_paid = np.zeros_like(usage.list_usd), np.zeros_like(usage.list_usd)
    if savings_plan is not None:
        plan_fee = usage.hour_share * savings_plan.usd_per_hour
        planned, plan_paid = _spend_plan(usage, usage.list_usd - reserved, plan_fee, savings_plan)
    billed = usage.list_usd - reserved - planned
    return Bill(
        reserved_usd=reserved,
        plan_usd=planned,
        billed_usd=billed,
        effective_usd=billed + reserved_paid + plan_paid,
        reserved_fee_usd=fee,
        reserved_unused_usd=_unused(fee, reserved_paid),
        plan_fee_usd=plan_fee,
        plan_unused_usd=_unused(plan_fee, plan_paid),
    )


def _reserve(
    usage: HourlyUsage, reserved_instances: Sequence[ReservedInstances]
) -> tuple[Float64s, Float64s, Float64s]:
    """List price covered and fee used by hour and SKU, and the fee by hour, of all reservations."""
    covered, paid = np.zeros_like(usage.list_usd), np.zeros_like(usage.list_usd)
    total_fee = np.zeros(len(usage.hour_share))
    for instance_type in dict.fromkeys(entry.instance_type for entry in reserved_instances):
        entries = [entry for entry in reserved_instances if entry.instance_type == instance_type]
        capacity = usage.hour_share * sum(entry.count for entry in entries)
        fee = usage.hour_share * sum(entry.count * entry.usd_per_hour for entry in entries)
        total_fee += fee
        mine = np.array([sku == Sku(UsageKind.EC2, instance_type) for sku in usage.skus], dtype=bool)
        hours = usage.instance_hours[:, mine]
        used = hours.sum(axis=1)
        share = _ratio(np.minimum(used, capacity), used)[:, None]
        covered[:, mine] = usage.list_usd[:, mine] * share
        paid[:, mine] = hours * share * _ratio(fee, capacity)[:, None]
    return covered, paid, total_fee


def _spend_plan(
    usage: HourlyUsage, open_usd: Float64s, commitment: Float64s, plan: SavingsPlan
) -> tuple[Float64s, Float64s]:
    """List price covered and commitment spent by hour and SKU; `open_usd` is what reservations left over.

    The kind with the higher discount goes first; of equal ones EC2 does.
    """
    covered, paid = np.zeros_like(open_usd), np.zeros_like(open_usd)
    left = commitment.copy()
    rates = [(plan.discount.ec2, UsageKind.EC2), (plan.discount.fargate, UsageKind.FARGATE)]
    for discount, kind in sorted(rates, key=lambda rate: -rate[0]):
        mine = np.array([sku.kind is kind for sku in usage.skus], dtype=bool)
        needed = open_usd[:, mine].sum(axis=1) * (1.0 - discount)
        spent = np.minimum(needed, left)
        covered[:, mine] = open_usd[:, mine] * _ratio(spent, needed)[:, None]
        paid[:, mine] = covered[:, mine] * (1.0 - discount)
        left -= spent
    return covered, paid


def _ratio(part: Float64s, whole: Float64s) -> Float64s:
    """`part / whole`, and 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _unused(fee: Float64s, paid: Float64s) -> Float64s:
    """What is left of each hour's fee; never below 0 by a rounding error."""
    left: Float64s = np.maximum(fee - paid.sum(axis=1), 0.0)
    return left
