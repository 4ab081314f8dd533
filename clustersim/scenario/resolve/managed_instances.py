"""Providers of ECS Managed Instances, resolved: the instance types that they may launch, their zones and fee.

Decides the meaning of a `managedInstancesProvider`. Without requirements ECS takes general-purpose types. Must not know
tasks. `capacity_providers` calls it.
"""

from __future__ import annotations

from typing import Any

from clustersim.scenario.aws.checked_block import CheckedBlock
from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.catalog.instance_requirements import (
    drop_dominated,
    filter_by_price,
    matches_any,
    meets_requirements,
)
from clustersim.scenario.catalog.managed_instance_types import (
    family_of,
    is_general_purpose,
    is_launched,
    is_managed_family,
    management_fee,
)
from clustersim.scenario.resolve.auto_scaling_groups import ResolvedCapacity
from clustersim.scenario.resolve.context import Context, pick_fields
from clustersim.scenario.resolve.ecs_agent import build_agent_settings
from clustersim.scenario.sections.ecs_agent import WrittenEcsConfig
from clustersim.scenario.sections.own_keys import (
    OwnCapacityProviderKeys,
    OwnManagedInstancesKeys,
    pick_own_keys,
)
from clustersim.scenario.sections.scenario import CapacityProvider, InstanceType, ManagedInstancesProvider
from clustersim.scenario.sections.written_section import validate_section
from clustersim.scenario.text.document import FieldPath
from clustersim.vocabulary import MS_PER_SECOND

_TEMPLATE = ("managedInstancesProvider", "instanceLaunchTemplate")


def resolve_managed_instances(
    context: Context, capacity: ResolvedCapacity, block: CheckedBlock, inner: dict[str, Any]
) -> None:
    """Resolve one provider into `capacity`."""
    path = block.field_path("managedInstancesProvider")
    own = validate_section(
        OwnManagedInstancesKeys, pick_own_keys(OwnManagedInstancesKeys, inner), path, context.diagnostics
    )
    template = inner.get("instanceLaunchTemplate") or {}
    spot = template.get("capacityOptionType") == "SPOT"
    instance_types = _select_instance_types(context, block, template, spot)
    zones = _resolve_zones(context, block, template)
    if own is None or not instance_types or not block.valid:
        return
    for instance_type in instance_types:
        capacity.add_instance_type(instance_type.name, instance_type)
        context.launched_types.add(instance_type.name)
        if spot and instance_type.spot_interruption is None:
            context.spot_types_without_rate.setdefault(instance_type.name, path)
    name = str(block.value.get("name"))
    capacity.managed_instances.append(
        ManagedInstancesProvider(
            name=name,
            provider=name,
            instance_types=tuple(instance_type.name for instance_type in instance_types),
            purchase_options=("spot",) if spot else ("on-demand",),
            launch_time=own.launch_time,
            zones=zones,
            subnets=context.resolve_subnet_names(_list_subnets(template)),
            spot_draining=True,
            fees=tuple((each.name, _fee(context, each.name)) for each in instance_types),
            consolidates=not spot,
            stops_tasks_when_draining=own.stops_tasks_when_draining,
            agent=build_agent_settings(WrittenEcsConfig()),
            **pick_fields(template.get("storageConfiguration") or {}, {"root_volume_gib": "storageSizeGiB"}),
            **_scale_in_field(inner),
        )
    )
    capacity.providers.append(
        CapacityProvider(
            name=name,
            managed_draining=True,
            draining_timeout_ms=OwnCapacityProviderKeys().managed_draining_timeout,
        )
    )


def _scale_in_field(inner: dict[str, Any]) -> dict[str, int | None]:
    """Return the field of infrastructureOptimization.scaleInAfter, if it is written; -1 turns the optimisation off."""
    optimization = inner.get("infrastructureOptimization") or {}
    if "scaleInAfter" not in optimization:
        return {}
    seconds = optimization["scaleInAfter"]
    return {"scale_in_after_ms": None if seconds < 0 else int(seconds) * MS_PER_SECOND}


def _select_instance_types(
    context: Context, block: CheckedBlock, template: dict[str, Any], spot: bool
) -> list[InstanceType]:
    """Return the types that meet the requirements, without dominated ones unless all are named one by one."""
    requirements = template.get("instanceRequirements") or {}
    patterns = requirements.get("allowedInstanceTypes") or ()
    location = block.field_path(*_TEMPLATE, "instanceRequirements")
    exact = [pattern for pattern in patterns if "*" not in pattern]
    for index, pattern in enumerate(patterns):
        if pattern in exact:
            _check_type_exists(
                context,
                pattern,
                block.field_path(*_TEMPLATE, "instanceRequirements", "allowedInstanceTypes", index),
            )
    listed = requirements or {
        "burstablePerformance": "included"
    }  # T types are among the general-purpose ones
    own = {str(entry.get("name")) for entry in context.file.instance_types}
    instance_types = [
        instance_type
        for name in _list_type_names(context)
        if (matches_any(name, patterns) if patterns else requirements or is_general_purpose(name))
        and (instance_type := _look_up_type(context, name, spot)) is not None
        and (name in own or is_launched(instance_type))
        and meets_requirements(instance_type, listed)
    ]
    instance_types = filter_by_price(
        instance_types, requirements.get("onDemandMaxPricePercentageOverLowestPrice")
    )
    if not instance_types and block.valid and not context.diagnostics.has_problem_under(location):
        context.diagnostics.add_problem(
            location, "no instance type meets the requirements", "wider requirements"
        )
    return (
        instance_types if len(exact) == len(patterns) and patterns else drop_dominated(instance_types, spot)
    )


def _fee(context: Context, name: str) -> float:
    """Return the management fee of a type, as a share of its on-demand price."""
    written = context.file.pricing.managed_instances_fee
    return management_fee(name) if written is None else written


def _list_type_names(context: Context) -> list[str]:
    """Return all types with a known price: the scenario's own, then the catalogue's."""
    own = [str(entry.get("name")) for entry in context.file.instance_types]
    listed = context.catalog.priced_types(context.region)
    return list(dict.fromkeys([*own, *listed]))


def _look_up_type(context: Context, name: str, spot: bool) -> InstanceType | None:
    try:
        return context.catalog.instance_type(name, context.region, context.file.instance_types, spot=spot)
    except CatalogError:
        return None


def _check_type_exists(context: Context, name: str, path: FieldPath) -> None:
    """Report a type that does not exist, or that ECS does not launch as a Managed Instance."""
    try:
        found = context.catalog.instance_type(name, context.region, context.file.instance_types)
    except CatalogError as error:
        context.diagnostics.add_problem(path, error.message, error.hint)
        return
    if name in {str(entry.get("name")) for entry in context.file.instance_types} or is_launched(found):
        return
    if is_managed_family(name):
        problem = f"Managed Instances have more than one vCPU and are no nano or micro, unlike {name}"
    else:
        problem = f"Managed Instances have no types of the family {family_of(name)}"
    context.diagnostics.add_problem(path, problem, "a type that ECS launches, such as m6i.large")


def _resolve_zones(context: Context, block: CheckedBlock, template: dict[str, Any]) -> tuple[str, ...]:
    """Return the zones of the provider's subnets, or all."""
    location = block.field_path(*_TEMPLATE, "networkConfiguration", "subnets")
    return context.resolve_zones(
        (name, (*location, index)) for index, name in enumerate(_list_subnets(template))
    )


def _list_subnets(template: dict[str, Any]) -> list[str]:
    """Return the subnets into which the provider's instances are launched."""
    return list((template.get("networkConfiguration") or {}).get("subnets") or ())
