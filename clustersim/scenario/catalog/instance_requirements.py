"""Attribute-based selection of instance types: filters types by `instanceRequirements`.

Decides whether an `InstanceType` meets the requirements, for the attributes that the catalogue has (botocore:
InstanceRequirementsRequest). Manufacturer, generation, burstable performance and bare metal are derived from the
name. It must not know capacity providers. `scenario.resolve.managed_instances` calls it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from clustersim.scenario.sections.scenario import InstanceType
from clustersim.vocabulary import MIB_PER_GIB

_NAME = re.compile(r"([a-z]+)(\d*)([a-z-]*)\..*")
_PREVIOUS_GENERATION = frozenset({"c1", "c3", "cc2", "cr1", "g2", "hs1", "i2", "m1", "m2", "m3", "r3", "t1"})
_RANGES: dict[str, Callable[[InstanceType], float]] = {
    "vCpuCount": lambda instance_type: instance_type.vcpus,
    "memoryMiB": lambda instance_type: instance_type.memory_mib,
    "memoryGiBPerVCpu": lambda instance_type: instance_type.memory_mib / MIB_PER_GIB / instance_type.vcpus,
    "networkInterfaceCount": lambda instance_type: instance_type.max_enis,
    "networkBandwidthGbps": lambda instance_type: instance_type.network_gbps,
    "acceleratorCount": lambda instance_type: instance_type.gpus,
}


def cpu_manufacturer(instance_type: InstanceType) -> str:
    """Return the manufacturer of the CPU: arm64 is AWS, an `a` after the generation stands for AMD, else Intel."""
    match = _NAME.fullmatch(instance_type.name)
    if instance_type.arch == "arm64":
        return "amazon-web-services"
    return "amd" if match is not None and match[3].startswith("a") else "intel"


def instance_generation(name: str) -> str:
    """Return `previous` for the families that EC2 lists as previous generation, else `current`."""
    return "previous" if name.split(".", maxsplit=1)[0] in _PREVIOUS_GENERATION else "current"


def _allows(rule: Any, has_property: bool, default: str) -> bool:
    """Return whether a rule (`included`, `required`, `excluded`) allows a type that has the property or not."""
    setting = rule or default
    return (setting == "included") or (setting == "required") == has_property


def meets_requirements(instance_type: InstanceType, requirements: Mapping[str, Any]) -> bool:
    """Return whether a type meets the requirements; bare metal and burstable types are excluded by default."""
    for field, value_of in _RANGES.items():
        limits = requirements.get(field) or {}
        value = value_of(instance_type)
        if value < limits.get("min", 0) or value > limits.get("max", float("inf")):
            return False
    size = instance_type.name.split(".", 1)[-1]
    manufacturers, generations = requirements.get("cpuManufacturers"), requirements.get("instanceGenerations")
    accelerators = requirements.get("acceleratorTypes")
    return (
        _allows(requirements.get("bareMetal"), size.startswith("metal"), "excluded")
        and _allows(
            requirements.get("burstablePerformance"), bool(re.match(r"t\d", instance_type.name)), "excluded"
        )
        and (not manufacturers or cpu_manufacturer(instance_type) in manufacturers)
        and (not generations or instance_generation(instance_type.name) in generations)
        and (not accelerators or ("gpu" in accelerators and instance_type.gpus > 0))
        and not matches_any(instance_type.name, requirements.get("excludedInstanceTypes") or ())
    )


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name matches one of `patterns`; `*` matches any text (API AllowedInstanceType)."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def filter_by_price(instance_types: Sequence[InstanceType], percent: float | None) -> list[InstanceType]:
    """Return the types that cost at most `percent` more than the cheapest C, M or R type among them.

    This is EC2's price protection. Without a C, M or R type the cheapest of all is the reference; None disables it.
    """
    if percent is None or not instance_types:
        return list(instance_types)
    common = [instance_type for instance_type in instance_types if re.match(r"[cmr]\d", instance_type.name)]
    cheapest = min(instance_type.usd_per_hour for instance_type in common or instance_types)
    return [
        instance_type
        for instance_type in instance_types
        if instance_type.usd_per_hour <= cheapest * (1 + percent / 100)
    ]


def drop_dominated(instance_types: Sequence[InstanceType], spot: bool) -> list[InstanceType]:
    """Remove the types that are dominated by at least two others of their architecture.

    A type dominates another if it has no less of any resource and costs no more. A cost-optimised choice needs a
    dominated type only if the two better ones are both unavailable.
    """
    if len(instance_types) < 3:
        return list(instance_types)
    table = np.array(
        [
            (
                instance_type.arch == "arm64",
                instance_type.registered_cpu,
                instance_type.registered_memory_mib,
                instance_type.gpus,
                max(instance_type.eni_task_limit, instance_type.eni_trunk_limit),
                -(
                    (instance_type.spot_usd_per_hour or instance_type.usd_per_hour)
                    if spot
                    else instance_type.usd_per_hour
                ),
            )
            for instance_type in instance_types
        ]
    )
    better = np.ones((len(instance_types), len(instance_types)), np.bool_)
    for column in table.T[1:]:
        better &= column[None, :] >= column[:, None]
    better &= table[:, 0][None, :] == table[:, 0][:, None]
    earlier = np.arange(len(instance_types))
    equal = better & better.T
    better &= ~equal | (
        earlier[None, :] < earlier[:, None]
    )  # among equal types the first dominates the others
    return [
        instance_type
        for instance_type, dominators in zip(instance_types, better.sum(axis=1), strict=True)
        if dominators < 2
    ]
