"""The choice of the cheapest instance type that holds an application and its guest operating system.

Decides which types are large enough, which of them is cheapest, and the default list of candidates. Must not know
services. `virtual_machines` calls it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.sections.scenario import InstanceType
from clustersim.vocabulary import CPU_UNITS_PER_VCPU

_SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")
DEFAULT_MACHINE_TYPES = {
    arch: tuple(f"{family}.{size}" for size in _SIZES for family in families)
    for arch, families in {"x86_64": ("c6i", "m6i", "r6i"), "arm64": ("c7g", "m7g", "r7g")}.items()
}
"""The default candidates by architecture: compute, general purpose, memory (MODEL.md)."""


class MachineRequirements(NamedTuple):
    """The resources that one machine must have, the guest operating system included."""

    cpu: int
    memory_mib: int
    gpus: int
    arch: str


def is_suitable_type(instance_type: InstanceType, requirements: MachineRequirements) -> bool:
    """Return whether an instance type meets the requirements."""
    return (
        instance_type.arch == requirements.arch
        and instance_type.vcpus * CPU_UNITS_PER_VCPU >= requirements.cpu
        and instance_type.memory_mib >= requirements.memory_mib
        and instance_type.gpus >= requirements.gpus
    )


def hourly_price(instance_type: InstanceType, spot: bool) -> float:
    """Return the price of one machine without its volume, USD per hour."""
    return (
        instance_type.spot_usd_per_hour
        if spot and instance_type.spot_usd_per_hour is not None
        else instance_type.usd_per_hour
    )


def choose_cheapest(
    instance_types: Iterable[InstanceType], requirements: MachineRequirements, spot: bool
) -> InstanceType | None:
    """Return the cheapest suitable type, of equal prices the first; None if none is suitable."""
    suitable = [
        instance_type for instance_type in instance_types if is_suitable_type(instance_type, requirements)
    ]
    return min(suitable, key=lambda instance_type: hourly_price(instance_type, spot), default=None)


def find_default_types(context: Context, requirements: MachineRequirements, spot: bool) -> list[InstanceType]:
    """Return the types of the default list that have a price in the region."""
    instance_types = []
    for name in DEFAULT_MACHINE_TYPES[requirements.arch]:
        try:
            custom_entries = context.file.instance_types
            instance_types.append(
                context.catalog.instance_type(name, context.region, custom_entries, spot=spot)
            )
        except CatalogError:
            continue
    return instance_types
