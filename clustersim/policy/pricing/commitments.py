"""Reserved Instances and Savings Plans, settled for one clock hour.

Decides which usage each commitment covers, at which rate, and what of its fee is left unused. Pure arithmetic on the
columns of an hour's usage; it must not know the clock, the world or the catalogue. The cost ledger makes one `Coverage`
for a run and settles every clock hour with it.

Rules (Savings Plans guide: understanding how Savings Plans apply; EC2 guide: how Reserved Instance discounts are
applied): every clock hour is separate, and what it leaves unused is lost. Zonal Reserved Instances come first, then
regional ones, EC2 Instance Savings Plans, and Compute Savings Plans. A plan covers usage at its rates until its USD per
hour are spent, where it saves the largest share first, and of equal shares the usage with the lowest rate. Spot,
volumes, storage and fees are never covered. In an hour AWS covers usage in order of time; here it is covered evenly, to
the same total.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

ROUNDING = 1e-12
"""A share below this is rounding error."""


class UsageKind(Enum):
    """The commitments that may cover a column of usage."""

    EC2 = "ec2"  # on-demand instances: Reserved Instances and Savings Plans
    FARGATE = "fargate"  # on-demand vCPU and memory: Compute Savings Plans
    UNCOVERED = "uncovered"  # Spot of either kind, volumes, storage, fees


class UsageColumn(NamedTuple):
    """A column of an hour's usage: what is billed in one zone, in units of `usd_per_unit` without commitments."""

    kind: UsageKind
    usd_per_unit: float = 0.0
    instance_type: str = ""
    zone: str = ""


class SavingsPlan(NamedTuple):
    """A Savings Plan: a commitment in USD per hour, and its shares off the on-demand prices.

    With an `instance_family` it is an EC2 Instance Savings Plan of that family, else a Compute Savings Plan.
    """

    usd_per_hour: float
    ec2_discount: float = 0.0
    fargate_discount: float = 0.0
    instance_family: str = ""


class ReservedInstances(NamedTuple):
    """A `quantity` of Reserved Instances of a type, each at `usd_per_hour`; zonal with an `availability_zone`."""

    instance_type: str
    quantity: int
    usd_per_hour: float
    availability_zone: str = ""


class Commitment(NamedTuple):
    """What is bought for every hour: a `quantity` at `usd_per_hour` each, under the name `discount_id`.

    It covers usage for a budget of `budget` units an hour, each worth `usd_per_unit`.
    """

    discount_id: str
    sku: str
    quantity: float
    usd_per_hour: float
    budget: float
    usd_per_unit: float


class SettledHour(NamedTuple):
    """The coverage of an hour.

    `shares` has a row for what no commitment covers, then one per commitment, and a column per column of usage: the
    shares of its usage, 1 in all. `unused_usd` is what each commitment has left.
    """

    shares: Float64s
    unused_usd: Float64s


class _Step(NamedTuple):
    """One step of an hour: a commitment, the columns it covers evenly, and its budget per unit of their usage."""

    commitment: int
    columns: Int64s
    budget_per_unit: Float64s


class Coverage:
    """The commitments of a run, and the order in which they cover its columns of usage.

    `rates[commitment, column]` is what a unit of usage costs under a commitment, USD; NaN where it covers none.
    """

    def __init__(
        self,
        columns: Sequence[UsageColumn],
        savings_plans: Sequence[SavingsPlan] = (),
        reserved_instances: Sequence[ReservedInstances] = (),
    ) -> None:
        self.commitments = [
            *(_reservation(n, each) for n, each in enumerate(reserved_instances, 1)),
            *(_plan(n, each) for n, each in enumerate(savings_plans, 1)),
        ]
        self._steps = [
            *_reservation_steps(columns, reserved_instances),
            *_all_plan_steps(columns, savings_plans, len(reserved_instances)),
        ]
        self.rates: Float64s = np.full((len(self.commitments), len(columns)), np.nan)
        for step in self._steps:
            price = self.commitments[step.commitment].usd_per_unit
            self.rates[step.commitment, step.columns] = step.budget_per_unit * price

    def settle(self, usage: Float64s, hour_share: float) -> SettledHour:
        """Return the coverage of an hour's `usage`, in units by column.

        `hour_share` is the part of the clock hour that lies in the run: fee and benefit count for it alike.
        """
        shares = np.zeros((1 + len(self.commitments), usage.size))
        shares[0] = 1.0
        budgets = np.array([each.budget * hour_share for each in self.commitments])
        left = budgets.copy()
        for commitment, columns, budget_per_unit in self._steps:
            needed = float((shares[0, columns] * usage[columns] * budget_per_unit).sum())
            if needed <= 0.0 or left[commitment] <= 0.0:
                continue
            ratio = min(1.0, left[commitment] / needed)
            shares[1 + commitment, columns] += shares[0, columns] * ratio
            shares[0, columns] *= 1.0 - ratio
            left[commitment] -= needed * ratio
        shares[0, shares[0] < ROUNDING] = 0.0
        left[left < ROUNDING * budgets] = 0.0
        return SettledHour(shares, left * np.array([each.usd_per_unit for each in self.commitments]))


def _reservation(number: int, terms: ReservedInstances) -> Commitment:
    """Return the `number`-th Reserved Instances: their budget is instance-hours."""
    hours, price = float(terms.quantity), terms.usd_per_hour
    return Commitment(f"reserved-instances/{number}", "ReservedInstances", hours, price, hours, price)


def _plan(number: int, plan: SavingsPlan) -> Commitment:
    """Return the `number`-th Savings Plan: its budget is USD."""
    sku = "EC2InstanceSavingsPlan" if plan.instance_family else "ComputeSavingsPlan"
    return Commitment(f"savings-plan/{number}", sku, 1.0, plan.usd_per_hour, plan.usd_per_hour, 1.0)


def _reservation_steps(
    columns: Sequence[UsageColumn], reserved_instances: Sequence[ReservedInstances]
) -> Iterator[_Step]:
    """Yield the steps of Reserved Instances: the zonal ones, then the regional ones, each of its own type."""
    order = sorted(range(len(reserved_instances)), key=lambda n: not reserved_instances[n].availability_zone)
    for number in order:
        terms = reserved_instances[number]
        chosen = [
            at
            for at, column in enumerate(columns)
            if column.kind is UsageKind.EC2
            and column.instance_type == terms.instance_type
            and terms.availability_zone in ("", column.zone)
        ]
        yield _Step(number, np.array(chosen, np.int64), np.ones(len(chosen)))


def _all_plan_steps(
    columns: Sequence[UsageColumn], plans: Sequence[SavingsPlan], before: int
) -> Iterator[_Step]:
    """Yield the steps of all plans, which follow `before` other commitments: EC2 Instance plans come first."""
    for number in sorted(range(len(plans)), key=lambda n: not plans[n].instance_family):
        yield from _plan_steps(columns, plans[number], before + number)


def _plan_steps(columns: Sequence[UsageColumn], plan: SavingsPlan, commitment: int) -> Iterator[_Step]:
    """Yield the steps of one plan: columns of equal saving and rate are one step."""
    steps: dict[tuple[float, float], list[int]] = {}
    for at, column in enumerate(columns):
        discount = _discount(plan, column)
        if discount is not None and column.usd_per_unit > 0.0:
            steps.setdefault((-discount, column.usd_per_unit * (1.0 - discount)), []).append(at)
    for (_, rate), chosen in sorted(steps.items()):
        yield _Step(commitment, np.array(chosen, np.int64), np.full(len(chosen), rate))


def _discount(plan: SavingsPlan, column: UsageColumn) -> float | None:
    """Return the share that a plan takes off the price of a column; None if it does not cover it."""
    if column.kind is UsageKind.EC2:
        family = column.instance_type.partition(".")[0]
        return plan.ec2_discount if plan.instance_family in ("", family) else None
    if column.kind is UsageKind.FARGATE and not plan.instance_family:
        return plan.fargate_discount
    return None
