"""The section `pricing`: what replaces or completes the price catalogue, and the prices that a run uses.

Decides its shape and defaults. Must not know the catalogue or what is launched; `resolve.scenario` combines them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from clustersim.policy.pricing.commitments import ReservedInstances, SavingsPlan
from clustersim.scenario.sections.resolved_section import ResolvedSection
from clustersim.scenario.sections.written_section import FreeMapping, WrittenSection
from clustersim.scenario.text.assumptions import (
    assume,
    uses_instances,
    uses_managed_instances,
    uses_spot_instances,
)
from clustersim.scenario.text.units import AtLeastOne, NonNegative, Share


class WrittenDiscount(WrittenSection):
    """Shares off the on-demand price of usage that a savings plan covers."""

    ec2: Share = 0.0
    fargate: Share = 0.0


class WrittenSavingsPlan(WrittenSection):
    """A Savings Plan: a commitment in USD per hour, with `ec2InstanceFamily` of one family of instances only."""

    usd_per_hour: NonNegative
    discount: WrittenDiscount = WrittenDiscount()
    savings_plan_type: Literal["Compute", "EC2Instance"] | None = None
    ec2_instance_family: str | None = None


class WrittenReservedInstances(WrittenSection):
    """An entry of `reservedInstances`: `count` instances of a type, paid for whether they run or not.

    With an `availabilityZone` they are zonal: they cover instances of that zone only, before regional ones do.
    """

    instance_type: str
    count: AtLeastOne
    usd_per_hour: NonNegative
    availability_zone: str | None = None


class WrittenOperations(WrittenSection):
    """`operations`: the cost of looking after servers; part of no bill, `compare` reports it beside the bill."""

    usd_per_instance_month: NonNegative = 0.0


class FargatePrice(ResolvedSection):
    """The list prices of one Fargate architecture in the scenario's region, USD."""

    arch: str
    spot: bool
    vcpu_usd_per_hour: float
    gb_usd_per_hour: float
    ephemeral_gb_usd_per_hour: float


class WrittenPricing(WrittenSection):
    """`pricing`: prices that replace or complete those of the catalogue."""

    fargate_spot_factor: Share = 0.33
    fargate: FreeMapping | None = None
    savings_plan: WrittenSavingsPlan | None = None
    savings_plans: list[WrittenSavingsPlan] = Field(default_factory=list)
    reserved_instances: list[WrittenReservedInstances] = Field(default_factory=list)
    ebs_usd_per_gib_month: NonNegative = 0.08
    managed_instances_fee: Share | None = None
    operations: WrittenOperations = WrittenOperations()


class Pricing(ResolvedSection):
    """The prices of the scenario's region; `fargate` holds the architectures and purchase options in use."""

    fargate: tuple[FargatePrice, ...]
    fargate_spot_factor: float
    savings_plans: tuple[SavingsPlan, ...]
    reserved_instances: tuple[ReservedInstances, ...]
    ebs_usd_per_gib_month: float


assume(
    "volume-price",
    "0.08 USD per GiB-month in every region",
    uses_instances,
    setting="pricing.ebsUsdPerGibMonth",
    source="list price of gp3 in us-east-1",
)
assume(
    "managed-instances-fee",
    "0.12 of the on-demand price",
    uses_managed_instances,
    setting="pricing.managedInstancesFee",
    source="often quoted for general-purpose types",
)
assume(
    "constant-spot-prices",
    "the mean over the zones of a region, constant",
    uses_spot_instances,
    source="the catalogue's, of about May 2026",
)
