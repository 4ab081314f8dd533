"""Which instance type holds an application and its guest operating system, at the least price.

Decides what fits and what is cheapest among names; the list that is asked where a scenario gives none stands here.
Must not know services. `resolve_machines` calls it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.sections.scenario import InstanceType
from clustersim.vocabulary import CPU_UNITS_PER_VCPU

_SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")
DEFAULT_TYPES = {
    arch: tuple(f"{family}.{size}" for size in _SIZES for family in families)
    for arch, families in {"x86_64": ("c6i", "m6i", "r6i"), "arm64": ("c7g", "m7g", "r7g")}.items()
}
"""The types among which the cheapest is looked for, by architecture: compute, general purpose, memory (MODEL.md)."""


class Need(NamedTuple):
    """What one machine must hold, the guest operating system included."""

    cpu: int
    memory_mib: int
    gpus: int
    arch: str


def fits(kind: InstanceType, need: Need) -> bool:
    """Whether a machine of this type holds it."""
    return (
        kind.arch == need.arch
        and kind.vcpus * CPU_UNITS_PER_VCPU >= need.cpu
        and kind.memory_mib >= need.memory_mib
        and kind.gpus >= need.gpus
    )


def price(kind: InstanceType, spot: bool) -> float:
    """USD per hour of one machine, without its volume."""
    return kind.spot_usd_per_hour if spot and kind.spot_usd_per_hour is not None else kind.usd_per_hour


def cheapest(kinds: Iterable[InstanceType], need: Need, spot: bool) -> InstanceType | None:
    """The cheapest type that holds it, the first of those at one price; None where none does."""
    fitting = [kind for kind in kinds if fits(kind, need)]
    return min(fitting, key=lambda kind: price(kind, spot), default=None)


def listed(context: Context, need: Need, spot: bool) -> list[InstanceType]:
    """The types of the default list that have a price in the region."""
    found = []
    for name in DEFAULT_TYPES[need.arch]:
        try:
            kinds = context.file.instance_types
            found.append(context.catalog.instance_type(name, context.region, kinds, spot=spot))
        except CatalogError:
            continue
    return found
