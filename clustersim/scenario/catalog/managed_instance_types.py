"""The instance types of ECS Managed Instances: the published families, and the share that their management costs.

Decides which types of the catalogue ECS may launch, and which of them without requirements. It must not know
requirements or providers. `scenario.resolve.managed_instances` calls it.

Source: ECS Developer Guide, Managed Instances instance types; the fee as seen on bills since 2026-07 (MODEL.md).
"""

from __future__ import annotations

import re
from functools import cache

from clustersim.scenario.catalog.bundled_prices import read_rows
from clustersim.scenario.sections.scenario import InstanceType

GENERAL_PURPOSE = "General purpose"
_REFUSED_SIZES = ("nano", "micro")
_FEES = ((re.compile(r"gr?\d"), 0.078), (re.compile(r"(p|trn)\d"), 0.048))
_FEE = 0.12


@cache
def _categories() -> dict[str, str]:
    """Return the category of each family of Managed Instances."""
    return {row["family"]: row["category"] for row in read_rows("managed_instances_families.csv")}


def family_of(name: str) -> str:
    """Return the family of a type, `m6i` of `m6i.large`."""
    return name.split(".", maxsplit=1)[0]


def is_managed_family(name: str) -> bool:
    """Return whether ECS launches types of this one's family as Managed Instances."""
    return family_of(name) in _categories()


def is_launched(instance_type: InstanceType) -> bool:
    """Return whether ECS launches this type of the catalogue: more than one vCPU, and no nano or micro."""
    size = instance_type.name.split(".", maxsplit=1)[-1]
    return is_managed_family(instance_type.name) and instance_type.vcpus > 1 and size not in _REFUSED_SIZES


def is_general_purpose(name: str) -> bool:
    """Return whether a type is of a general-purpose family, which ECS takes without requirements."""
    return _categories().get(family_of(name)) == GENERAL_PURPOSE


def management_fee(name: str) -> float:
    """Return the management fee of a type, as a share of its on-demand price."""
    return next((share for family, share in _FEES if family.match(name)), _FEE)
