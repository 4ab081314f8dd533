"""Auto Scaling groups, resolved: which instance types, zones and purchase options, and what a group does with them.

Decides what a CreateAutoScalingGroup block means together with the keys of our own beside it. Must not know
providers or tasks. `resolve_capacity` calls `group` for groups of their own and for those inside providers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clustersim.scenario.aws.block_validation import name_in_arn
from clustersim.scenario.aws.checked_block import Block
from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.ecs_agent import agent_settings
from clustersim.scenario.resolve.group_scaling import group_scaling
from clustersim.scenario.sections.capacity import InstancesDistribution, PurchaseOption
from clustersim.scenario.sections.own_keys import OwnGroup, own_part
from clustersim.scenario.sections.scenario import (
    AutoScalingGroup,
    CapacityProvider,
    InstanceType,
    ManagedInstances,
)
from clustersim.scenario.sections.written_section import validate
from clustersim.scenario.text.document import Steps
from clustersim.scenario.text.overrides import closest

TERMINATION_POLICIES = (
    *("Default", "AllocationStrategy", "ClosestToNextInstanceHour", "NewestInstance", "OldestInstance"),
    *("OldestLaunchConfiguration", "OldestLaunchTemplate"),
)


@dataclass
class Capacity:
    """What tasks may run on."""

    groups: list[AutoScalingGroup] = field(default_factory=list)
    managed_instances: list[ManagedInstances] = field(default_factory=list)
    providers: list[CapacityProvider] = field(default_factory=list)
    instance_types: dict[str, InstanceType] = field(default_factory=dict)

    def learn(self, name: str, kind: InstanceType) -> None:
        """Remember an instance type; one with a Spot price knows more."""
        known = self.instance_types.get(name)
        if known is None or known.spot_usd_per_hour is None:
            self.instance_types[name] = kind


def group(context: Context, capacity: Capacity, block: Block, name: str, provider: str | None) -> None:
    """Resolve one group into `capacity`."""
    own = validate(OwnGroup, own_part(OwnGroup, block.value), block.path, context.findings)
    if own is None:
        return
    value = block.value
    distribution = _distribution(value, own)
    options = purchase_options(distribution)
    types = _instance_types(context, capacity, block, own, "spot" in options)
    scaling, warmup = group_scaling(context, block)
    zones = _zones(context, block)
    policies = _termination_policies(context, block)
    if not types or not block.sound:
        return
    minimum = int(value["MinSize"])
    spread = (value.get("AvailabilityZoneDistribution") or {}).get("CapacityDistributionStrategy")
    capacity.groups.append(
        AutoScalingGroup(
            name=name,
            provider=provider,
            instance_types=types,
            purchase_options=options,
            distribution=distribution,
            min_size=minimum,
            max_size=int(value["MaxSize"]),
            desired_capacity=int(value.get("DesiredCapacity", minimum)),
            termination_policies=policies,
            protects_new=bool(value.get("NewInstancesProtectedFromScaleIn")),
            balanced_only=spread == "balanced-only",
            policies=scaling,
            policy_warmup_ms=warmup,
            launch_time=own.launch_time,
            attributes=tuple({**own.attributes, **_of_agent(own)}.items()),
            zones=zones,
            root_volume_gib=own.root_volume,
            spot_draining=own.ecs_config.spot_instance_draining,
            agent=agent_settings(context, own, block),
            instance_role=own.instance_role and name_in_arn(own.instance_role),
            subnets=context.subnets_of(_subnets(block)),
        )
    )


def _of_agent(own: OwnGroup) -> dict[str, tuple[str, ...]]:
    """The attributes that the agent registers its instance with (ECS_INSTANCE_ATTRIBUTES)."""
    return {name: (value,) for name, value in own.ecs_config.instance_attributes.items()}


def _distribution(value: dict[str, Any], own: OwnGroup) -> InstancesDistribution:
    """How the group divides its instances: our `purchaseOption`, else the mixed instances policy."""
    if own.purchase_option is not None:
        return InstancesDistribution(on_demand_percent=0 if own.purchase_option == "spot" else 100)
    policy = value.get("MixedInstancesPolicy")
    if policy is None:
        return InstancesDistribution()
    written = policy.get("InstancesDistribution") or {}
    return InstancesDistribution(
        on_demand_base=int(written.get("OnDemandBaseCapacity", 0)),
        on_demand_percent=int(written.get("OnDemandPercentageAboveBaseCapacity", 100)),
        on_demand_strategy=written.get("OnDemandAllocationStrategy", "prioritized"),
        spot_strategy=written.get("SpotAllocationStrategy", "lowest-price"),
        spot_pools=int(written.get("SpotInstancePools", 2)),
    )


def purchase_options(distribution: InstancesDistribution) -> tuple[PurchaseOption, ...]:
    """The purchase options that a group may use."""
    if distribution.on_demand_percent == 100:
        return ("on-demand",)
    if distribution.on_demand_percent == 0 and distribution.on_demand_base == 0:
        return ("spot",)
    return ("on-demand", "spot")


def _termination_policies(context: Context, block: Block) -> tuple[str, ...]:
    """The termination policies, in order; one that asks a Lambda function is not simulated."""
    found = []
    for index, policy in enumerate(block.value.get("TerminationPolicies") or ()):
        place = block.at("TerminationPolicies", index)
        if str(policy).startswith("arn:"):
            context.findings.not_simulated(place, "a termination policy of your own")
        elif policy not in TERMINATION_POLICIES:
            context.findings.add(
                place, f"{policy} is no termination policy", closest(policy, TERMINATION_POLICIES)
            )
        else:
            found.append(policy)
    return tuple(found) or ("Default",)


def _instance_types(
    context: Context, capacity: Capacity, block: Block, own: OwnGroup, spot: bool
) -> tuple[str, ...]:
    """The instance types of a group, known to the catalogue or the scenario."""
    named: list[tuple[str, Steps]] = []
    if own.instance_types is not None:
        place = block.at("instanceTypes")
        named = [(name, (*place, index)) for index, name in enumerate(own.instance_types)]
    else:
        launch = (block.value.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
        for index, override in enumerate(launch.get("Overrides") or ()):
            if isinstance(override.get("InstanceType"), str):
                steps = ("MixedInstancesPolicy", "LaunchTemplate", "Overrides", index, "InstanceType")
                named.append((override["InstanceType"], block.at(*steps)))
    if not named and block.sound and not context.findings.found_at(block.path):
        context.findings.add(block.path, "no instance types", "add instanceTypes: [m6i.large]")
    found = []
    for name, path in named:
        try:
            kind = context.catalog.instance_type(name, context.region, context.file.instance_types, spot=spot)
        except CatalogError as error:
            context.findings.add(path, error.what, error.right)
            continue
        capacity.learn(name, kind)
        context.types_used.add(name)
        if spot and kind.spot_interruption is None:
            context.spot_types_without_band.setdefault(name, path)
        found.append(name)
    return tuple(dict.fromkeys(found))


def _zones(context: Context, block: Block) -> tuple[str, ...]:
    """The zones of a group: its own, those of its subnets, or all."""
    named = block.value.get("AvailabilityZones")
    if named:
        place = block.at("AvailabilityZones")
        for index, zone in enumerate(named):
            if context.subnets and zone in context.zones and zone not in context.subnets.values():
                context.findings.add((*place, index), f"no subnet is in {zone}", "list one in subnets")
        return context.check_zones(named, place)
    place = block.at("VPCZoneIdentifier")
    return context.zones_of((name, place) for name in _subnets(block))


def _subnets(block: Block) -> list[str]:
    """The subnets of a group: a text with commas (EC2 Auto Scaling API: VPCZoneIdentifier)."""
    parts = str(block.value.get("VPCZoneIdentifier") or "").split(",")
    return [name_in_arn(part.strip()) for part in parts if part.strip()]
