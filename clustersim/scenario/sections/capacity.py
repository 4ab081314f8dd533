"""Capacity, resolved: instance types, Auto Scaling groups and capacity providers.

The written forms are AWS blocks (CreateAutoScalingGroup, CreateCapacityProvider) with the keys of `own_keys`, and
entries of the catalogue. Decides the defaults of the AWS fields. Must not know tasks or services.
`resolve.auto_scaling_groups`, `resolve.capacity_providers`, `resolve.managed_instances` and `catalog` make these
models.
"""

from __future__ import annotations

from clustersim.scenario.sections.ecs_agent import AgentSettings
from clustersim.scenario.sections.resolved_section import (
    Architecture,
    Distribution,
    PurchaseOption,
    ResolvedSection,
)
from clustersim.scenario.sections.scaling import GroupPolicy
from clustersim.scenario.sections.virtual_machines import VirtualMachines
from clustersim.vocabulary import CPU_UNITS_PER_VCPU, MS_PER_DAY, MS_PER_SECOND, ScalingProcess

DEFAULT_TERMINATION_POLICIES = ("Default",)


class InstanceType(ResolvedSection):
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
    arch: Architecture = "x86_64"
    usd_per_hour: float
    spot_usd_per_hour: float | None = None
    spot_interruption: float | None = None
    """Share of its Spot instances that is reclaimed in a month; None: not published."""
    network_gbps: float = 0.0


class InstancePool(ResolvedSection):
    """A source of container instances of some types in some zones, and the settings that all its instances share."""

    name: str
    provider: str | None = None
    instance_types: tuple[str, ...]
    purchase_options: tuple[PurchaseOption, ...]
    launch_time: Distribution
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    zones: tuple[str, ...]
    root_volume_gib: int
    spot_draining: bool = False
    """The agent drains its instance at a Spot notice (ECS_ENABLE_SPOT_INSTANCE_DRAINING)."""
    fees: tuple[tuple[str, float], ...] = ()
    """The management fee by instance type, as a share of its on-demand price; empty: none."""
    agent: AgentSettings
    instance_role: str | None = None
    subnets: tuple[str, ...] = ()
    machines: VirtualMachines | None = None
    """None: container instances, on which tasks are placed."""

    def fee(self, instance_type: str) -> float:
        """Return the management fee of a type, as a share of its on-demand price."""
        return dict(self.fees).get(instance_type, 0.0)

    def task_capacity(self, kind: InstanceType) -> tuple[int, int]:
        """Return the CPU units and MiB of an instance for tasks.

        The agent registers them, or the guest operating system of a virtual machine leaves them.
        """
        if self.machines is None:
            return kind.registered_cpu, max(0, kind.registered_memory_mib - self.agent.reserved_memory_mib)
        return (
            kind.vcpus * CPU_UNITS_PER_VCPU - self.machines.guest_cpu,
            kind.memory_mib - self.machines.guest_memory_mib,
        )


class InstancesDistribution(ResolvedSection):
    """The purchase options of a group's instances (EC2 Auto Scaling API: InstancesDistribution)."""

    on_demand_base: int = 0
    on_demand_percent: int = 100
    on_demand_strategy: str = "prioritized"
    spot_strategy: str = "prioritized"
    spot_pools: int = 2


class AutoScalingGroup(InstancePool):
    """An EC2 Auto Scaling group; its first `desired_capacity` instances are registered at the first instant."""

    min_size: int = 0
    max_size: int
    desired_capacity: int
    distribution: InstancesDistribution
    termination_policies: tuple[str, ...] = DEFAULT_TERMINATION_POLICIES
    new_instances_protected: bool = False
    """NewInstancesProtectedFromScaleIn."""
    policies: tuple[GroupPolicy, ...] = ()
    policy_warmup_ms: int
    """The time for which a new instance counts as capacity but not yet in the metrics of the scaling policies."""
    balanced_only: bool = False
    """A launch that fails in a zone is not tried in another (AvailabilityZoneDistribution: balanced-only)."""
    suspended_processes: tuple[ScalingProcess, ...] = ()
    """The processes that are suspended when the run begins."""


class ManagedInstancesProvider(InstancePool):
    """A provider of ECS Managed Instances, whose instances ECS launches and terminates itself."""

    root_volume_gib: int = 80
    scale_in_after_ms: int | None = 300 * MS_PER_SECOND
    """The time for which an instance is idle or underutilized before it is terminated; None: it stays. AWS publishes no
    default (MODEL.md)."""
    consolidates: bool = True
    """An underutilized instance is emptied; Spot ones are not (Developer Guide: infrastructure optimization)."""
    stops_tasks_when_draining: bool = False
    """Standalone tasks stop when their instance begins to drain; else they run to their end, or to its termination."""
    drain_after_ms: int = 14 * MS_PER_DAY
    terminate_after_ms: int = 21 * MS_PER_DAY


class ManagedScaling(ResolvedSection):
    """Cluster auto scaling of a provider's group (ECS API: ManagedScaling)."""

    target_capacity: int = 100
    minimum_step: int = 1
    maximum_step: int = 10_000
    warmup_ms: int = 300 * MS_PER_SECOND
    scale_in_interval_ms: int
    """The time from one step of a scale-in to the next."""


class CapacityProvider(ResolvedSection):
    """A capacity provider; FARGATE and FARGATE_SPOT are implicit. `group` is None with Managed Instances."""

    name: str
    group: str | None = None
    managed_scaling: ManagedScaling | None = None
    managed_termination_protection: bool = False
    managed_draining: bool
    draining_timeout_ms: int
