"""Auto Scaling groups and capacity providers, resolved.

Decides which group stands behind a provider, and how ECS manages it. Must not know tasks. The reader calls
`groups_and_providers` before services are resolved; what a group is, `resolve_groups` decides.
"""

from __future__ import annotations

from typing import Any

from clustersim.scenario.aws.block_validation import name_in_arn
from clustersim.scenario.aws.checked_block import Block, check, check_all
from clustersim.scenario.resolve.auto_scaling_groups import Capacity, group
from clustersim.scenario.resolve.context import FARGATE_PROVIDERS, Context
from clustersim.scenario.resolve.managed_instances import managed_instances
from clustersim.scenario.sections.capacity import ManagedScaling
from clustersim.scenario.sections.own_keys import OwnProvider, own_part
from clustersim.scenario.sections.scenario import CapacityProvider
from clustersim.scenario.sections.written_section import validate
from clustersim.vocabulary import MS_PER_SECOND


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
            group(context, capacity, block, name, owners.get(name))
    _check_protection(context, capacity, provider_blocks)
    _check_two_masters(context, capacity, provider_blocks)
    return capacity


def _check_two_masters(context: Context, capacity: Capacity, blocks: list[Block]) -> None:
    """AWS advises against scaling policies on a group that a provider scales; both would act."""
    policed = {group.name for group in capacity.groups if group.policies}
    managed = {provider.name: provider.group for provider in capacity.providers if provider.managed_scaling}
    for block in blocks:
        group_name = managed.get(str(block.value.get("name")))
        if group_name in policed:
            place = block.at("autoScalingGroupProvider", "managedScaling")
            what = f"{group_name} has scaling policies of its own as well: both act on it"
            context.findings.warn(place, f"{what}; keep one of the two")


def _check_protection(context: Context, capacity: Capacity, blocks: list[Block]) -> None:
    """AWS refuses managed termination protection over a group that does not protect its instances.

    A group inside its provider is ours to write, and need not say so.
    """
    unprotected = {group.name for group in capacity.groups if not group.protects_new}
    for block in blocks:
        inner = block.value.get("autoScalingGroupProvider")
        if not isinstance(inner, dict) or inner.get("managedTerminationProtection") != "ENABLED":
            continue
        arn = inner.get("autoScalingGroupArn")
        if isinstance(arn, str) and name_in_arn(arn) in unprotected:
            what = (
                "The managed termination protection setting for the capacity provider is invalid. To enable managed "
                "termination protection for a capacity provider, the Auto Scaling group must have instance "
                "protection from scale in enabled."
            )
            place = block.at("autoScalingGroupProvider", "managedTerminationProtection")
            right = "newInstancesProtectedFromScaleIn: true in the group"
            context.findings.add(place, what, right)


def _provider(context: Context, capacity: Capacity, block: Block, owners: dict[str, str]) -> None:
    """Resolve one provider, and the group inside it."""
    inner = block.value.get("autoScalingGroupProvider")
    name = str(block.value.get("name"))
    managed = block.value.get("managedInstancesProvider")
    if isinstance(managed, dict):
        context.managed_providers.add(name)
        managed_instances(context, capacity, block, managed)
        return
    if not isinstance(inner, dict):
        if block.sound and not block.has("managedInstancesProvider"):
            context.findings.add(block.path, "has nothing behind it", "add autoScalingGroupProvider")
        return
    path = block.at("autoScalingGroupProvider")
    own = validate(OwnProvider, own_part(OwnProvider, inner), path, context.findings)
    behind = _group_behind(context, capacity, block, inner, owners)
    if behind is None or own is None or not block.sound:
        return
    scaling = _managed_scaling(inner)
    protected = inner.get("managedTerminationProtection") == "ENABLED"
    if protected and scaling is None:
        # API AutoScalingGroupProvider: "otherwise managed termination protection doesn't work"
        place = block.at("autoScalingGroupProvider", "managedTerminationProtection")
        context.findings.warn(place, "does nothing without managed scaling; add managedScaling")
    capacity.providers.append(
        CapacityProvider(
            name=name,
            group=behind,
            managed_scaling=scaling,
            managed_termination_protection=protected and scaling is not None,
            managed_draining=inner.get("managedDraining", "ENABLED") == "ENABLED",
            draining_timeout_ms=own.managed_draining_timeout,
        )
    )


def _managed_scaling(inner: dict[str, Any]) -> ManagedScaling | None:
    """The settings of managed scaling; without the block it is off, in a block without `status` it is on."""
    written = inner.get("managedScaling")
    if written is None or written.get("status", "ENABLED") != "ENABLED":
        return None
    return ManagedScaling(
        target_capacity=written.get("targetCapacity", 100),
        minimum_step=written.get("minimumScalingStepSize", 1),
        maximum_step=written.get("maximumScalingStepSize", 10_000),
        warmup_ms=MS_PER_SECOND * written.get("instanceWarmupPeriod", 300),
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
        group(context, capacity, group_block, name, provider)
        return name
    if not isinstance(arn, str):
        findings.add(path, "has no group", "add autoScalingGroup, or autoScalingGroupArn: NAME")
        return None
    place = block.at("autoScalingGroupProvider", "autoScalingGroupArn")
    found = context.find("Auto Scaling group", arn, place)
    if found is not None and owners.setdefault(found, provider) != provider:
        findings.add(place, f"{found} already serves {owners[found]}", "one provider per group")
    return found
