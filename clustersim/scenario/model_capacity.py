"""The resolved scenario's capacity: instance types, groups, providers, and what they cost.

Decides nothing; `resolve_capacity` and `catalog` make these models. Must not know tasks or services. `model`
gives their names on.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from clustersim.scenario.model_base import Distribution, Resolved
from clustersim.scenario.model_images import AgentSettings


class FargatePrice(Resolved):
    """The list prices of one Fargate architecture in the scenario's region, USD."""

    arch: str
    spot: bool
    vcpu_usd_per_hour: float
    gb_usd_per_hour: float
    ephemeral_gb_usd_per_hour: float


class SavingsPlan(Resolved):
    """A commitment per hour in USD, and the discounts (0 to 1) that eligible usage gets under it."""

    usd_per_hour: float
    ec2_discount: float = 0.0
    fargate_discount: float = 0.0


class Pricing(Resolved):
    """What things cost in the scenario's region."""

    fargate: tuple[FargatePrice, ...] = ()
    fargate_spot_factor: float = 0.33
    savings_plan: SavingsPlan | None = None
    reserved_instances: tuple[dict[str, Any], ...] = ()
    ebs_usd_per_gib_month: float = 0.08


class InstanceType(Resolved):
    """An EC2 instance type as the catalogue and the scenario describe it."""

    name: str
    vcpus: int
    memory_mib: int
    registered_cpu: int
    registered_memory_mib: int
    gpus: int = 0
    max_enis: int
    eni_task_limit: int
    eni_trunk_limit: int = 0
    arch: Literal["x86_64", "arm64"] = "x86_64"
    usd_per_hour: float
    spot_usd_per_hour: float | None = None
    network_gbps: float = 0.0


class AutoScalingGroup(Resolved):
    """An EC2 Auto Scaling group; a group's first `desired_capacity` is registered at the first instant."""

    name: str
    provider: str | None = None
    instance_types: tuple[str, ...]
    purchase_option: Literal["on-demand", "spot"] = "on-demand"
    min_size: int = 0
    max_size: int
    desired_capacity: int
    launch_time: Distribution
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    zones: tuple[str, ...]
    root_volume_gib: int = 30
    agent: AgentSettings = AgentSettings()
    instance_role: str | None = None
    subnets: tuple[str, ...] = ()
    managed: dict[str, Any] = Field(default_factory=dict)


class CapacityProvider(Resolved):
    """A capacity provider over an Auto Scaling group; FARGATE and FARGATE_SPOT are implicit."""

    name: str
    group: str
    managed_scaling: dict[str, Any] | None = None
    managed_termination_protection: bool = False
    managed_draining: bool = True
