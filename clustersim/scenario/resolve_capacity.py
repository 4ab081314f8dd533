"""Auto Scaling groups, capacity providers and instance types, resolved.

Decides which instance types, zones and sizes a group has, and which group stands behind a provider. Must not
know tasks. The reader calls `groups_and_providers` before services are resolved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clustersim.scenario.aws import name_in_arn
from clustersim.scenario.blocks import Block, check, check_all
from clustersim.scenario.document import Steps
from clustersim.scenario.model import AutoScalingGroup, CapacityProvider, InstanceType
from clustersim.scenario.offers import CatalogError
from clustersim.scenario.raw import validate
from clustersim.scenario.raw_blocks import OwnGroup, own_part
from clustersim.scenario.resolve_agent import agent_settings
from clustersim.scenario.resolve_context import FARGATE_PROVIDERS, Context

_MANAGED = ("managedScaling", "managedTerminationProtection", "managedDraining")


@dataclass
class Capacity:
    """What tasks may run on."""

    groups: list[AutoScalingGroup] = field(default_factory=list)
    providers: list[CapacityProvider] = field(default_factory=list)
    instance_types: dict[str, InstanceType] = field(default_factory=dict)


def groups_and_providers(context: Context) -> Capacity:
    """All Auto Scaling groups, those inside providers included, and all providers."""
    capacity = Capacity()
    group_blocks = check_all(context.findings, "autoScalingGroups")
    provider_blocks = check_all(context.findings, "capacityProviders")
    for block in group_blocks:
        name = block.value.get("AutoScalingGroupName")
        if isinstance(name, str):
            context.declare("Auto Scaling group", name, block.at("AutoScalingGroupName"))
        elif block.sound:
            context.findings.add(block.path, "the group has no name", "add autoScalingGroupName")
    for block in provider_blocks:
        name = block.value.get("name")
        if name in FARGATE_PROVIDERS:
            context.findings.add(block.at("name"), f"{name} always exists", "use it without declaring it")
        elif isinstance(name, str):
            context.declare("capacity provider", name, block.at("name"))
    owners: dict[str, str] = {}
    for block in provider_blocks:
        _provider(context, capacity, block, owners)
    for block in group_blocks:
        name = block.value.get("AutoScalingGroupName")
        if isinstance(name, str):
            _group(context, capacity, block, (name, owners.get(name)))
    return capacity


def _provider(context: Context, capacity: Capacity, block: Block, owners: dict[str, str]) -> None:
    """Resolve one provider, and the group inside it."""
    inner = block.value.get("autoScalingGroupProvider")
    name = str(block.value.get("name"))
    if not isinstance(inner, dict):
        if block.sound and not block.has("managedInstancesProvider"):
            context.findings.add(block.path, "has nothing behind it", "add autoScalingGroupProvider")
        return
    group = _group_behind(context, capacity, block, inner, owners)
    if group is None or not block.sound:
        return
    capacity.providers.append(
        CapacityProvider(
            name=name,
            group=group,
            managed_scaling=inner.get("managedScaling"),
            managed_termination_protection=inner.get("managedTerminationProtection") == "ENABLED",
            managed_draining=inner.get("managedDraining", "ENABLED") == "ENABLED",
        )
    )


def _group_behind(
    context: Context, capacity: Capacity, block: Block, inner: dict[str, Any], owners: dict[str, str]
) -> str | None:
    """The name of the group of a provider, resolved if it stands inside; None if there is none."""
    findings, provider = context.findings, str(block.value.get("name"))
    path = block.at("autoScalingGroupProvider")
    arn, own = inner.get("autoScalingGroupArn"), inner.get("autoScalingGroup")
    if own is not None:
        place = block.at("autoScalingGroupProvider", "autoScalingGroup")
        group_block = check(findings, place, own, "autoScalingGroups")
        name = str(group_block.value.get("AutoScalingGroupName", provider))
        if name in context.names.get("Auto Scaling group", ()):
            findings.add(place, f"a second Auto Scaling group is named {name}", "name it otherwise")
            return None
        context.declare("Auto Scaling group", name, place)
        managed = {key: inner[key] for key in _MANAGED if key in inner}
        _group(context, capacity, group_block, (name, provider), managed)
        return name
    if not isinstance(arn, str):
        findings.add(path, "has no group", "add autoScalingGroup, or autoScalingGroupArn: NAME")
        return None
    place = block.at("autoScalingGroupProvider", "autoScalingGroupArn")
    found = context.find("Auto Scaling group", arn, place)
    if found is not None and owners.setdefault(found, provider) != provider:
        findings.add(place, f"{found} already serves {owners[found]}", "one provider per group")
    return found


def _group(
    context: Context,
    capacity: Capacity,
    block: Block,
    names: tuple[str, str | None],
    managed: dict[str, Any] | None = None,
) -> None:
    """Resolve one group into `capacity`; `names` are its own and its provider's."""
    name, provider = names
    own = validate(OwnGroup, own_part(OwnGroup, block.value), block.path, context.findings)
    if own is None:
        return
    value = block.value
    spot = own.purchase_option == "spot" if own.purchase_option else _mixed_spot(context, block)
    types = _instance_types(context, capacity, block, own, spot)
    if own.purchase_option == "spot" or spot:
        context.spot_used_at = context.spot_used_at or block.path
    if own.scaling_policies:
        _check_policies(context, block)
    zones = _zones(context, block)
    if not types or not block.sound:
        return
    minimum = int(value["MinSize"])
    capacity.groups.append(
        AutoScalingGroup(
            name=name,
            provider=provider,
            instance_types=types,
            purchase_option="spot" if spot else "on-demand",
            min_size=minimum,
            max_size=int(value["MaxSize"]),
            desired_capacity=int(value.get("DesiredCapacity", minimum)),
            launch_time=own.launch_time,
            attributes=tuple((key, values) for key, values in own.attributes.items()),
            zones=zones,
            root_volume_gib=own.root_volume,
            agent=agent_settings(context, own, block),
            instance_role=own.instance_role and name_in_arn(own.instance_role),
            subnets=context.subnets_of(_subnets(block)),
            managed=managed or {},
        )
    )


def _check_policies(context: Context, block: Block) -> None:
    """The scaling policies of a group: checked, but not simulated yet."""
    for index, policy in enumerate(block.value["scalingPolicies"]):
        check(context.findings, (*block.at("scalingPolicies"), index), policy, "scalingPolicies")


def _mixed_spot(context: Context, block: Block) -> bool:
    """Whether a mixed instances policy asks for Spot alone; a mix is not simulated."""
    policy = block.value.get("MixedInstancesPolicy") or {}
    distribution = policy.get("InstancesDistribution") or {}
    share = distribution.get("OnDemandPercentageAboveBaseCapacity", 100)
    if share not in (0, 100):
        place = block.at(
            "MixedInstancesPolicy", "InstancesDistribution", "OnDemandPercentageAboveBaseCapacity"
        )
        context.findings.not_simulated(place, "a mix of On-Demand and Spot")
    return bool(share == 0)


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
        known = capacity.instance_types.get(name)
        if known is None or known.spot_usd_per_hour is None:
            capacity.instance_types[name] = kind
        found.append(name)
    return tuple(dict.fromkeys(found))


def _zones(context: Context, block: Block) -> tuple[str, ...]:
    """The zones of a group: its own, those of its subnets, or all."""
    named = block.value.get("AvailabilityZones")
    if named:
        return context.check_zones(named, block.at("AvailabilityZones"))
    place = block.at("VPCZoneIdentifier")
    return context.zones_of((name, place) for name in _subnets(block))


def _subnets(block: Block) -> list[str]:
    """The subnets of a group: a text with commas (EC2 Auto Scaling API: VPCZoneIdentifier)."""
    parts = str(block.value.get("VPCZoneIdentifier") or "").split(",")
    return [name_in_arn(part.strip()) for part in parts if part.strip()]
