"""Auto Scaling groups and capacity providers, resolved.

Decides which group belongs to a provider, and how ECS manages it. Must not know tasks. `resolve.scenario` calls
`resolve_capacity` before services are resolved; `auto_scaling_groups` resolves the groups themselves.
"""

from __future__ import annotations

from typing import Any

from clustersim.scenario.aws.block_validation import name_from_arn
from clustersim.scenario.aws.checked_block import CheckedBlock, read_block, read_blocks
from clustersim.scenario.resolve.auto_scaling_groups import ResolvedCapacity, resolve_group
from clustersim.scenario.resolve.context import FARGATE_PROVIDERS, Context, pick_fields
from clustersim.scenario.resolve.managed_instances import resolve_managed_instances
from clustersim.scenario.sections.capacity import ManagedScaling
from clustersim.scenario.sections.own_keys import (
    OwnCapacityProviderKeys,
    OwnManagedScalingKeys,
    pick_own_keys,
)
from clustersim.scenario.sections.scenario import CapacityProvider
from clustersim.scenario.sections.written_section import validate_section
from clustersim.vocabulary import MS_PER_SECOND


def resolve_capacity(context: Context) -> ResolvedCapacity:
    """Return all Auto Scaling groups, those inside providers included, and all providers."""
    capacity = ResolvedCapacity()
    group_blocks = read_blocks(context.diagnostics, "autoScalingGroups")
    provider_blocks = read_blocks(context.diagnostics, "capacityProviders")
    for block in group_blocks:
        name = block.value.get("AutoScalingGroupName")
        if isinstance(name, str):
            context.declare_name("Auto Scaling group", name, block.field_path("AutoScalingGroupName"))
        elif block.valid:
            context.diagnostics.add_problem(block.path, "the group has no name", "add autoScalingGroupName")
    for block in provider_blocks:
        name = block.value.get("name")
        if name in FARGATE_PROVIDERS:
            context.diagnostics.add_problem(
                block.field_path("name"), f"{name} always exists", "use it without declaring it"
            )
        elif isinstance(name, str):
            context.declare_name("capacity provider", name, block.field_path("name"))
    owners: dict[str, str] = {}
    for block in provider_blocks:
        _resolve_provider(context, capacity, block, owners)
    for block in group_blocks:
        name = block.value.get("AutoScalingGroupName")
        if isinstance(name, str):
            resolve_group(context, capacity, block, name, owners.get(name))
    _check_termination_protection(context, capacity, provider_blocks)
    _warn_of_two_scalers(context, capacity, provider_blocks)
    return capacity


def _warn_of_two_scalers(context: Context, capacity: ResolvedCapacity, blocks: list[CheckedBlock]) -> None:
    """Warn of scaling policies on a group that a provider scales, against which AWS advises: both would act."""
    with_policies = {group.name for group in capacity.groups if group.policies}
    managed = {provider.name: provider.group for provider in capacity.providers if provider.managed_scaling}
    for block in blocks:
        group_name = managed.get(str(block.value.get("name")))
        if group_name in with_policies:
            location = block.field_path("autoScalingGroupProvider", "managedScaling")
            problem = f"{group_name} has scaling policies of its own as well: both act on it"
            context.diagnostics.warn(location, f"{problem}; keep one of the two")


def _check_termination_protection(
    context: Context, capacity: ResolvedCapacity, blocks: list[CheckedBlock]
) -> None:
    """Report managed termination protection over a group that does not protect its instances, which AWS refuses.

    A group inside its provider, a form of our own, need not protect them.
    """
    unprotected = {group.name for group in capacity.groups if not group.new_instances_protected}
    for block in blocks:
        inner = block.value.get("autoScalingGroupProvider")
        if not isinstance(inner, dict) or inner.get("managedTerminationProtection") != "ENABLED":
            continue
        arn = inner.get("autoScalingGroupArn")
        if isinstance(arn, str) and name_from_arn(arn) in unprotected:
            problem = (
                "The managed termination protection setting for the capacity provider is invalid. To enable managed "
                "termination protection for a capacity provider, the Auto Scaling group must have instance "
                "protection from scale in enabled."
            )
            location = block.field_path("autoScalingGroupProvider", "managedTerminationProtection")
            hint = "newInstancesProtectedFromScaleIn: true in the group"
            context.diagnostics.add_problem(location, problem, hint)


def _resolve_provider(
    context: Context, capacity: ResolvedCapacity, block: CheckedBlock, owners: dict[str, str]
) -> None:
    """Resolve one provider, and the group inside it."""
    inner = block.value.get("autoScalingGroupProvider")
    name = str(block.value.get("name"))
    managed = block.value.get("managedInstancesProvider")
    if isinstance(managed, dict):
        context.managed_providers.add(name)
        resolve_managed_instances(context, capacity, block, managed)
        return
    if not isinstance(inner, dict):
        if block.valid and not block.has("managedInstancesProvider"):
            context.diagnostics.add_problem(
                block.path,
                "has neither autoScalingGroupProvider nor managedInstancesProvider",
                "add autoScalingGroupProvider",
            )
        return
    path = block.field_path("autoScalingGroupProvider")
    own = validate_section(
        OwnCapacityProviderKeys, pick_own_keys(OwnCapacityProviderKeys, inner), path, context.diagnostics
    )
    group = _resolve_provider_group(context, capacity, block, inner, owners)
    if group is None or own is None or not block.valid:
        return
    scaling = _resolve_managed_scaling(context, block, inner)
    if inner.get("managedScaling") is None:
        problem = "managedScaling is left out, so it is DISABLED: tasks that find no room are refused"
        hint = "managedScaling: {status: ENABLED} lets them wait, also where minSize = maxSize keeps the group's size"
        context.diagnostics.warn(path, f"{problem}; {hint}")
    protected = inner.get("managedTerminationProtection") == "ENABLED"
    if protected and scaling is None:
        # API AutoScalingGroupProvider: "otherwise managed termination protection doesn't work"
        location = block.field_path("autoScalingGroupProvider", "managedTerminationProtection")
        context.diagnostics.warn(location, "does nothing without managed scaling; add managedScaling")
    capacity.providers.append(
        CapacityProvider(
            name=name,
            group=group,
            managed_scaling=scaling,
            managed_termination_protection=protected and scaling is not None,
            managed_draining=inner.get("managedDraining", "ENABLED") == "ENABLED",
            draining_timeout_ms=own.managed_draining_timeout,
        )
    )


def _resolve_managed_scaling(
    context: Context, block: CheckedBlock, inner: dict[str, Any]
) -> ManagedScaling | None:
    """Return the settings of managed scaling; without the block it is off, in a block without `status` it is on."""
    written = inner.get("managedScaling")
    if not isinstance(written, dict):
        return None
    path = block.field_path("autoScalingGroupProvider", "managedScaling")
    keys = pick_own_keys(OwnManagedScalingKeys, written)
    own = validate_section(OwnManagedScalingKeys, keys, path, context.diagnostics)
    if own is None or written.get("status", "ENABLED") != "ENABLED":
        return None
    return ManagedScaling(
        scale_in_interval_ms=own.scale_in_interval,
        **pick_fields(
            written,
            {
                "target_capacity": "targetCapacity",
                "minimum_step": "minimumScalingStepSize",
                "maximum_step": "maximumScalingStepSize",
            },
        ),
        **pick_fields(written, {"warmup_ms": "instanceWarmupPeriod"}, MS_PER_SECOND),
    )


def _resolve_provider_group(
    context: Context,
    capacity: ResolvedCapacity,
    block: CheckedBlock,
    inner: dict[str, Any],
    owners: dict[str, str],
) -> str | None:
    """Return the name of the group of a provider, resolved if it is inside; None if there is none."""
    diagnostics, provider = context.diagnostics, str(block.value.get("name"))
    path = block.field_path("autoScalingGroupProvider")
    arn, own = inner.get("autoScalingGroupArn"), inner.get("autoScalingGroup")
    if own is not None:
        location = block.field_path("autoScalingGroupProvider", "autoScalingGroup")
        group_block = read_block(diagnostics, location, own, "autoScalingGroups")
        name = str(group_block.value.get("AutoScalingGroupName", provider))
        if name in context.names.get("Auto Scaling group", ()):
            diagnostics.add_problem(
                location, f"a second Auto Scaling group is named {name}", "choose another name"
            )
            return None
        context.declare_name("Auto Scaling group", name, location)
        resolve_group(context, capacity, group_block, name, provider)
        return name
    if not isinstance(arn, str):
        diagnostics.add_problem(path, "has no group", "add autoScalingGroup, or autoScalingGroupArn: NAME")
        return None
    location = block.field_path("autoScalingGroupProvider", "autoScalingGroupArn")
    group = context.resolve_name("Auto Scaling group", arn, location)
    if group is not None and owners.setdefault(group, provider) != provider:
        diagnostics.add_problem(location, f"{group} already serves {owners[group]}", "one provider per group")
    return group
