"""Discounts of Reserved Instances and a Savings Plan, hour by hour.

Decides which usage a commitment covers and what remains at the on-demand price. Pure arithmetic on columns of hours
by SKU; it must not know the clock, the world or the catalogue. The cost ledger calls it once for the whole run.

Rules (AWS Cost Management: how Reserved Instances and Savings Plans apply): every clock hour is separate. Reserved
Instances apply first: each covers one instance-hour of its own type per hour, in any zone, shared by instances that
run at the same time; its fee is due whether it is used or not. The Savings Plan applies second: it covers usage at
the discounted rate until its USD per hour are spent, beginning where the discount is highest; unspent money is lost.
The rest is on-demand. Spot, volumes and storage are never covered.

Simplified: a reservation covers its own instance type, not other sizes of the family; within a kind of usage the SKUs
are covered in proportion, which does not change the total. Covered usage has billed cost 0 and an effective cost at
the committed rate (FOCUS: BilledCost, EffectiveCost), so both columns add up to the same bill.
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
    """The commitments that may cover a SKU."""

    EC2 = "ec2"  # on-demand instances: Reserved Instances, then the Savings Plan
    FARGATE = "fargate"  # on-demand vCPU and memory: the Savings Plan
    UNCOVERED = "uncovered"  # Spot of either kind, volumes, storage, fees


class Sku(NamedTuple):
    """A column of the usage: its kind, and for EC2 the instance type for reservations."""

    kind: UsageKind
    instance_type: str | None = None


class _Commitment(BaseModel):
    """Base of commitments; keys as written in `pricing`, or field names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False, alias_generator=to_camel
    )


class PlanDiscount(_Commitment):
    """The discount of a plan on the on-demand price, as a share by kind of usage."""

    ec2: float = Field(0.0, ge=0, lt=1)
    fargate: float = Field(0.0, ge=0, lt=1)


class SavingsPlanTerms(_Commitment):
    """`pricing.savingsPlan`: a Compute Savings Plan without upfront payment."""

    usd_per_hour: float = Field(ge=0)
    discount: PlanDiscount = PlanDiscount()


class ReservedInstanceTerms(_Commitment):
    """An entry of `pricing.reservedInstances`: `count` instances of a type, each at `usd_per_hour`."""

    instance_type: str
    count: int = Field(ge=1)
    usd_per_hour: float = Field(ge=0)


class HourlyUsage(NamedTuple):
    """Usage before commitments: a row per hour, a column per SKU.

    `list_usd` is the cost of the hour's usage without commitments (Spot at its Spot price), `instance_hours` its
    instance-hours (0 if the SKU is not an instance), `hour_share` the share of each clock hour that lies in the
    billed window: 1, except in the first and last hour of a run that starts or ends within an hour.
    """

    skus: tuple[Sku, ...]
    list_usd: Float64s
    instance_hours: Float64s
    hour_share: Float64s


class Bill(NamedTuple):
    """The usage after commitments.

    By hour and SKU: `reserved_usd` and `plan_usd` are the list prices of the usage covered by reservations and the
    plan, `billed_usd` is charged in addition to the fees of commitments, `effective_usd` includes the used part of
    the fees. By hour: the fees, and their unused part.
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
        """The total cost: usage at the on-demand price, and every fee."""
        return float(self.billed_usd.sum() + self.reserved_fee_usd.sum() + self.plan_fee_usd.sum())


def apply_commitments(
    usage: HourlyUsage,
    savings_plan: SavingsPlanTerms | None = None,
    reserved_instances: Sequence[ReservedInstanceTerms] = (),
) -> Bill:
    """Cover `usage` by Reserved Instances first, then by the Savings Plan; see the module for the rules."""
    reserved, reserved_paid, fee = _apply_reservations(usage, reserved_instances)
    plan_fee = np.zeros(len(usage.hour_share))
    planned, plan_paid = np.zeros_like(usage.list_usd), np.zeros_like(usage.list_usd)
    if savings_plan is not None:
        plan_fee = usage.hour_share * savings_plan.usd_per_hour
        planned, plan_paid = _apply_plan(usage, usage.list_usd - reserved, plan_fee, savings_plan)
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


def _apply_reservations(
    usage: HourlyUsage, reserved_instances: Sequence[ReservedInstanceTerms]
) -> tuple[Float64s, Float64s, Float64s]:
    """Return the covered list price and used fee by hour and SKU, and the fee by hour, of all reservations."""
    covered, paid = np.zeros_like(usage.list_usd), np.zeros_like(usage.list_usd)
    total_fee = np.zeros(len(usage.hour_share))
    for instance_type in dict.fromkeys(entry.instance_type for entry in reserved_instances):
        entries = [entry for entry in reserved_instances if entry.instance_type == instance_type]
        capacity = usage.hour_share * sum(entry.count for entry in entries)
        fee = usage.hour_share * sum(entry.count * entry.usd_per_hour for entry in entries)
        total_fee += fee
        columns = np.array([sku == Sku(UsageKind.EC2, instance_type) for sku in usage.skus], dtype=bool)
        hours = usage.instance_hours[:, columns]
        used = hours.sum(axis=1)
        share = _ratio(np.minimum(used, capacity), used)[:, None]
        covered[:, columns] = usage.list_usd[:, columns] * share
        paid[:, columns] = hours * share * _ratio(fee, capacity)[:, None]
    return covered, paid, total_fee


def _apply_plan(
    usage: HourlyUsage, uncovered_usd: Float64s, commitment: Float64s, plan: SavingsPlanTerms
) -> tuple[Float64s, Float64s]:
    """Return the covered list price and spent commitment by hour and SKU.

    `uncovered_usd` is the usage left over by reservations. The kind with the higher discount is first; on a tie EC2.
    """
    covered, paid = np.zeros_like(uncovered_usd), np.zeros_like(uncovered_usd)
    unspent = commitment.copy()
    rates = [(plan.discount.ec2, UsageKind.EC2), (plan.discount.fargate, UsageKind.FARGATE)]
    for discount, kind in sorted(rates, key=lambda rate: -rate[0]):
        columns = np.array([sku.kind is kind for sku in usage.skus], dtype=bool)
        needed = uncovered_usd[:, columns].sum(axis=1) * (1.0 - discount)
        spent = np.minimum(needed, unspent)
        covered[:, columns] = uncovered_usd[:, columns] * _ratio(spent, needed)[:, None]
        paid[:, columns] = covered[:, columns] * (1.0 - discount)
        unspent -= spent
    return covered, paid


def _ratio(part: Float64s, whole: Float64s) -> Float64s:
    """Return `part / whole`, and 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _unused(fee: Float64s, paid: Float64s) -> Float64s:
    """Return the unused part of each hour's fee; rounding errors below 0 become 0."""
    unspent: Float64s = np.maximum(fee - paid.sum(axis=1), 0.0)
    return unspent
