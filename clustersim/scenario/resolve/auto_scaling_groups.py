"""Auto Scaling groups, resolved: their instance types, zones, purchase options and sizes.

Decides the meaning of a CreateAutoScalingGroup block together with the keys of our own in it. Must not know providers
or tasks. `capacity_providers` calls `resolve_group` for standalone groups and for those inside providers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clustersim.scenario.aws.block_validation import name_from_arn
from clustersim.scenario.aws.checked_block import CheckedBlock
from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.resolve.context import Context, pick_fields
from clustersim.scenario.resolve.ecs_agent import resolve_agent_settings
from clustersim.scenario.resolve.group_scaling import resolve_group_scaling
from clustersim.scenario.sections.capacity import DEFAULT_TERMINATION_POLICIES, InstancesDistribution
from clustersim.scenario.sections.own_keys import OwnAutoScalingGroupKeys, pick_own_keys
from clustersim.scenario.sections.resolved_section import PurchaseOption
from clustersim.scenario.sections.scenario import (
    AutoScalingGroup,
    CapacityProvider,
    InstanceType,
    ManagedInstancesProvider,
)
from clustersim.scenario.sections.written_section import validate_section
from clustersim.scenario.text.document import FieldPath
from clustersim.scenario.text.overrides import suggest_name

TERMINATION_POLICIES = (
    *("Default", "AllocationStrategy", "ClosestToNextInstanceHour", "NewestInstance", "OldestInstance"),
    *("OldestLaunchConfiguration", "OldestLaunchTemplate"),
)


@dataclass
class ResolvedCapacity:
    """The capacity on which tasks may run."""

    groups: list[AutoScalingGroup] = field(default_factory=list)
    managed_instances: list[ManagedInstancesProvider] = field(default_factory=list)
    providers: list[CapacityProvider] = field(default_factory=list)
    instance_types: dict[str, InstanceType] = field(default_factory=dict)

    def add_instance_type(self, name: str, instance_type: InstanceType) -> None:
        """Add an instance type; one with a Spot price replaces one without."""
        existing = self.instance_types.get(name)
        if existing is None or existing.spot_usd_per_hour is None:
            self.instance_types[name] = instance_type


def resolve_group(
    context: Context, capacity: ResolvedCapacity, block: CheckedBlock, name: str, provider: str | None
) -> None:
    """Resolve one group into `capacity`."""
    own = validate_section(
        OwnAutoScalingGroupKeys,
        pick_own_keys(OwnAutoScalingGroupKeys, block.value),
        block.path,
        context.diagnostics,
    )
    if own is None:
        return
    value = block.value
    distribution = _resolve_distribution(value, own)
    options = derive_purchase_options(distribution)
    types = _resolve_instance_types(context, capacity, block, own, "spot" in options)
    scaling, warmup = resolve_group_scaling(context, block)
    zones = _resolve_zones(context, block)
    policies = _resolve_termination_policies(context, block)
    if not types or not block.valid:
        return
    min_size = int(value["MinSize"])
    zone_distribution = (value.get("AvailabilityZoneDistribution") or {}).get("CapacityDistributionStrategy")
    capacity.groups.append(
        AutoScalingGroup(
            name=name,
            provider=provider,
            instance_types=types,
            purchase_options=options,
            distribution=distribution,
            min_size=min_size,
            max_size=int(value["MaxSize"]),
            desired_capacity=int(value.get("DesiredCapacity", min_size)),
            termination_policies=policies,
            new_instances_protected=bool(value.get("NewInstancesProtectedFromScaleIn")),
            balanced_only=zone_distribution == "balanced-only",
            suspended_processes=own.suspended_processes,
            policies=scaling,
            policy_warmup_ms=warmup,
            launch_time=own.launch_time,
            attributes=tuple({**own.attributes, **_agent_attributes(own)}.items()),
            zones=zones,
            root_volume_gib=own.root_volume,
            spot_draining=own.ecs_config.spot_instance_draining,
            agent=resolve_agent_settings(context, own, block),
            instance_role=own.instance_role and name_from_arn(own.instance_role),
            subnets=context.resolve_subnet_names(_list_subnets(block)),
        )
    )


def _agent_attributes(own: OwnAutoScalingGroupKeys) -> dict[str, tuple[str, ...]]:
    """Return the attributes with which the agent registers its instance (ECS_INSTANCE_ATTRIBUTES)."""
    return {name: (value,) for name, value in own.ecs_config.instance_attributes.items()}


def _resolve_distribution(value: dict[str, Any], own: OwnAutoScalingGroupKeys) -> InstancesDistribution:
    """Return the purchase options of a group: from our `purchaseOption`, else from the mixed instances policy."""
    if own.purchase_option is not None:
        return InstancesDistribution(on_demand_percent=0 if own.purchase_option == "spot" else 100)
    policy = value.get("MixedInstancesPolicy")
    if policy is None:
        return InstancesDistribution()
    written = policy.get("InstancesDistribution") or {}
    return InstancesDistribution(
        # In a policy the API's default strategy is another than without one.
        spot_strategy=written.get("SpotAllocationStrategy", "lowest-price"),
        **pick_fields(
            written,
            {
                "on_demand_base": "OnDemandBaseCapacity",
                "on_demand_percent": "OnDemandPercentageAboveBaseCapacity",
                "on_demand_strategy": "OnDemandAllocationStrategy",
                "spot_pools": "SpotInstancePools",
            },
        ),
    )


def derive_purchase_options(distribution: InstancesDistribution) -> tuple[PurchaseOption, ...]:
    """Return the purchase options that a group may use."""
    if distribution.on_demand_percent == 100:
        return ("on-demand",)
    if distribution.on_demand_percent == 0 and distribution.on_demand_base == 0:
        return ("spot",)
    return ("on-demand", "spot")


def _resolve_termination_policies(context: Context, block: CheckedBlock) -> tuple[str, ...]:
    """Return the termination policies, in order; one that calls a Lambda function is not simulated."""
    policies = []
    for index, policy in enumerate(block.value.get("TerminationPolicies") or ()):
        location = block.field_path("TerminationPolicies", index)
        if str(policy).startswith("arn:"):
            context.diagnostics.warn_not_simulated(location, "a termination policy of your own")
        elif policy not in TERMINATION_POLICIES:
            context.diagnostics.add_problem(
                location, f"{policy} is not a termination policy", suggest_name(policy, TERMINATION_POLICIES)
            )
        else:
            policies.append(policy)
    return tuple(policies) or DEFAULT_TERMINATION_POLICIES


def _resolve_instance_types(
    context: Context,
    capacity: ResolvedCapacity,
    block: CheckedBlock,
    own: OwnAutoScalingGroupKeys,
    spot: bool,
) -> tuple[str, ...]:
    """Return the instance types of a group that the catalogue or the scenario knows."""
    named: list[tuple[str, FieldPath]] = []
    if own.instance_types is not None:
        location = block.field_path("instanceTypes")
        named = [(name, (*location, index)) for index, name in enumerate(own.instance_types)]
    else:
        launch = (block.value.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
        for index, override in enumerate(launch.get("Overrides") or ()):
            if isinstance(override.get("InstanceType"), str):
                steps = ("MixedInstancesPolicy", "LaunchTemplate", "Overrides", index, "InstanceType")
                named.append((override["InstanceType"], block.field_path(*steps)))
    if not named and block.valid and not context.diagnostics.has_problem_under(block.path):
        context.diagnostics.add_problem(block.path, "no instance types", "add instanceTypes: [m6i.large]")
    names = []
    for name, path in named:
        try:
            instance_type = context.catalog.instance_type(
                name, context.region, context.file.instance_types, spot=spot
            )
        except CatalogError as error:
            context.diagnostics.add_problem(path, error.message, error.hint)
            continue
        capacity.add_instance_type(name, instance_type)
        context.launched_types.add(name)
        if spot and instance_type.spot_interruption is None:
            context.spot_types_without_rate.setdefault(name, path)
        names.append(name)
    return tuple(dict.fromkeys(names))


def _resolve_zones(context: Context, block: CheckedBlock) -> tuple[str, ...]:
    """Return the zones of a group: its own, those of its subnets, or all."""
    named = block.value.get("AvailabilityZones")
    if named:
        location = block.field_path("AvailabilityZones")
        for index, zone in enumerate(named):
            if context.subnets and zone in context.zones and zone not in context.subnets.values():
                context.diagnostics.add_problem(
                    (*location, index), f"no subnet is in {zone}", "list one in subnets"
                )
        return context.check_zones(named, location)
    location = block.field_path("VPCZoneIdentifier")
    return context.resolve_zones((name, location) for name in _list_subnets(block))


def _list_subnets(block: CheckedBlock) -> list[str]:
    """Return the subnets of a group, from a text with commas (EC2 Auto Scaling API: VPCZoneIdentifier)."""
    parts = str(block.value.get("VPCZoneIdentifier") or "").split(",")
    return [name_from_arn(part.strip()) for part in parts if part.strip()]
