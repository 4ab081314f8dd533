"""The resolved scenario's capacity: instance types, groups, providers, and what they cost.

Decides nothing; `resolve_capacity` and `catalog` make these models. Must not know tasks or services. `model`
gives their names on.
"""

from __future__ import annotations

from typing import Any, Literal

from clustersim.scenario.sections.images import AgentSettings
from clustersim.scenario.sections.resolved_section import Distribution, Resolved
from clustersim.scenario.sections.scaling import StepScaling, TargetTracking


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
    spot_interruption: float | None = None
    """Share of its Spot instances that is reclaimed in a month; None where nobody knows."""
    network_gbps: float = 0.0


PurchaseOption = Literal["on-demand", "spot"]


class Machines(Resolved):
    """What makes a group's instances virtual machines: whose copies they run, one each, and what the guest operating
    system takes of each."""

    service: str
    guest_cpu: int = 0
    guest_memory_mib: int = 0
    guest_disk_gib: int = 0


class InstancePool(Resolved):
    """What launches container instances of some types into some zones, and what all its instances share."""

    name: str
    provider: str | None = None
    instance_types: tuple[str, ...]
    purchase_options: tuple[PurchaseOption, ...] = ("on-demand",)
    launch_time: Distribution
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    zones: tuple[str, ...]
    root_volume_gib: int = 30
    spot_draining: bool = False
    """Whether the agent drains its instance at a Spot notice (ECS_ENABLE_SPOT_INSTANCE_DRAINING)."""
    fee: float = 0.0
    """The management fee, as a share of the on-demand price."""
    agent: AgentSettings = AgentSettings()
    instance_role: str | None = None
    subnets: tuple[str, ...] = ()
    machines: Machines | None = None
    """None: container instances, on which tasks are placed."""


class InstancesDistribution(Resolved):
    """How a group divides its instances (EC2 Auto Scaling API: InstancesDistribution)."""

    on_demand_base: int = 0
    on_demand_percent: int = 100
    on_demand_strategy: str = "prioritized"
    spot_strategy: str = "prioritized"
    spot_pools: int = 2


class AutoScalingGroup(InstancePool):
    """An EC2 Auto Scaling group; a group's first `desired_capacity` is registered at the first instant."""

    min_size: int = 0
    max_size: int
    desired_capacity: int
    distribution: InstancesDistribution = InstancesDistribution()
    termination_policies: tuple[str, ...] = ("Default",)
    protects_new: bool = False
    """NewInstancesProtectedFromScaleIn."""
    policies: tuple[TargetTracking | StepScaling, ...] = ()
    policy_warmup_ms: int = 300_000
    """How long a new instance counts as capacity and not yet in what the policies measure."""
    balanced_only: bool = False
    """Launches that fail in a zone are not tried in another (AvailabilityZoneDistribution: balanced-only)."""


class ManagedInstances(InstancePool):
    """A provider of ECS Managed Instances: ECS launches and ends them by itself."""

    scale_in_after_ms: int | None = 300_000
    """How long an instance is idle or underutilized before it goes; None: for ever."""
    drains_at_ms: int = 1_209_600_000
    ends_at_ms: int = 1_814_400_000


class ManagedScaling(Resolved):
    """Cluster auto scaling of a provider's group (ECS API: ManagedScaling)."""

    target_capacity: int = 100
    minimum_step: int = 1
    maximum_step: int = 10_000
    warmup_ms: int = 300_000


class CapacityProvider(Resolved):
    """A capacity provider; FARGATE and FARGATE_SPOT are implicit. `group` is None with Managed Instances."""

    name: str
    group: str | None = None
    managed_scaling: ManagedScaling | None = None
    managed_termination_protection: bool = False
    managed_draining: bool = True
    draining_timeout_ms: int = 172_800_000
