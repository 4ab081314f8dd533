"""Providers of ECS Managed Instances, resolved: which instance types they may launch, where, and for what fee.

Decides what a `managedInstancesProvider` means. Without requirements ECS may take any current C, M or R type. Must
not know tasks. `resolve_capacity` calls it.
"""

from __future__ import annotations

import re
from typing import Any

from clustersim.scenario.aws.checked_block import Block
from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.catalog.instance_requirements import (
    generation,
    meets,
    named,
    within_price,
    worth_having,
)
from clustersim.scenario.resolve.auto_scaling_groups import Capacity
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.sections.own_keys import OwnManagedInstances, own_part
from clustersim.scenario.sections.scenario import CapacityProvider, InstanceType, ManagedInstances
from clustersim.scenario.sections.written_section import validate
from clustersim.scenario.text.document import Steps
from clustersim.vocabulary import MS_PER_SECOND

_TEMPLATE = ("managedInstancesProvider", "instanceLaunchTemplate")
SCALE_IN_AFTER_S = 300
"""What `scaleInAfter` is by default: AWS publishes no figure (MODEL.md)."""
VOLUME_GIB = 80


def managed_instances(context: Context, capacity: Capacity, block: Block, inner: dict[str, Any]) -> None:
    """Resolve one provider into `capacity`."""
    path = block.at("managedInstancesProvider")
    own = validate(OwnManagedInstances, own_part(OwnManagedInstances, inner), path, context.findings)
    template = inner.get("instanceLaunchTemplate") or {}
    spot = template.get("capacityOptionType") == "SPOT"
    kinds = _instance_types(context, block, template, spot)
    zones = _zones(context, block, template)
    if own is None or not kinds or not block.sound:
        return
    for kind in kinds:
        capacity.learn(kind.name, kind)
        context.types_used.add(kind.name)
        if spot and kind.spot_interruption is None:
            context.spot_types_without_band.setdefault(kind.name, path)
    name = str(block.value.get("name"))
    storage = (template.get("storageConfiguration") or {}).get("storageSizeGiB", VOLUME_GIB)
    capacity.managed_instances.append(
        ManagedInstances(
            name=name,
            provider=name,
            instance_types=tuple(kind.name for kind in kinds),
            purchase_options=("spot",) if spot else ("on-demand",),
            launch_time=own.launch_time,
            zones=zones,
            subnets=context.subnets_of(_subnets(template)),
            root_volume_gib=storage,
            spot_draining=True,
            fee=context.file.pricing.managed_instances_fee,
            scale_in_after_ms=_scale_in_after(inner),
        )
    )
    capacity.providers.append(CapacityProvider(name=name))


def _scale_in_after(inner: dict[str, Any]) -> int | None:
    """infrastructureOptimization.scaleInAfter: -1 turns the optimisation off."""
    seconds = (inner.get("infrastructureOptimization") or {}).get("scaleInAfter", SCALE_IN_AFTER_S)
    return None if seconds < 0 else int(seconds) * MS_PER_SECOND


def _instance_types(
    context: Context, block: Block, template: dict[str, Any], spot: bool
) -> list[InstanceType]:
    """The types that meet the requirements, those that others beat left out unless they are named one by one."""
    wanted = template.get("instanceRequirements") or {}
    patterns = wanted.get("allowedInstanceTypes") or ()
    place = block.at(*_TEMPLATE, "instanceRequirements")
    exact = [pattern for pattern in patterns if "*" not in pattern]
    for index, pattern in enumerate(patterns):
        if pattern in exact:
            _check_type(
                context, pattern, block.at(*_TEMPLATE, "instanceRequirements", "allowedInstanceTypes", index)
            )
    found = [
        kind
        for name in _names(context)
        if (named(name, patterns) if patterns else wanted or _common(name))
        and (kind := _known(context, name, spot)) is not None
        and meets(kind, wanted)
    ]
    found = within_price(found, wanted.get("onDemandMaxPricePercentageOverLowestPrice"))
    if not found and block.sound and not context.findings.found_at(place):
        context.findings.add(place, "no instance type meets the requirements", "wider requirements")
    return found if len(exact) == len(patterns) and patterns else worth_having(found, spot)


def _names(context: Context) -> list[str]:
    """All types that a price is known of: the scenario's own, then the catalogue's."""
    own = [str(entry.get("name")) for entry in context.file.instance_types]
    listed = context.catalog.priced(context.region)
    return list(dict.fromkeys([*own, *listed]))


def _common(name: str) -> bool:
    """What ECS may launch when nobody says: current C, M and R types without accelerators."""
    return bool(re.match(r"[cmr]\d", name)) and generation(name) == "current"


def _known(context: Context, name: str, spot: bool) -> InstanceType | None:
    try:
        return context.catalog.instance_type(name, context.region, context.file.instance_types, spot=spot)
    except CatalogError:
        return None


def _check_type(context: Context, name: str, path: Steps) -> None:
    try:
        context.catalog.instance_type(name, context.region, context.file.instance_types)
    except CatalogError as error:
        context.findings.add(path, error.what, error.right)


def _zones(context: Context, block: Block, template: dict[str, Any]) -> tuple[str, ...]:
    """The zones of the provider's subnets, or all."""
    place = block.at(*_TEMPLATE, "networkConfiguration", "subnets")
    return context.zones_of((name, (*place, index)) for index, name in enumerate(_subnets(template)))


def _subnets(template: dict[str, Any]) -> list[str]:
    """The subnets that the provider's instances are launched into."""
    return list((template.get("networkConfiguration") or {}).get("subnets") or ())
