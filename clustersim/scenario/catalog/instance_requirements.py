"""Attribute-based selection of instance types: which types meet `instanceRequirements`.

Decides on an `InstanceType` and its name, as far as the catalogue knows an attribute (botocore:
InstanceRequirementsRequest). Manufacturer, generation, burstable performance and bare metal are read from the name,
as EC2 builds its names. Must not know providers. `resolve_managed_instances` calls it.
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
_PREVIOUS = frozenset({"c1", "c3", "cc2", "cr1", "g2", "hs1", "i2", "m1", "m2", "m3", "r3", "t1"})
_RANGES: dict[str, Callable[[InstanceType], float]] = {
    "vCpuCount": lambda kind: kind.vcpus,
    "memoryMiB": lambda kind: kind.memory_mib,
    "memoryGiBPerVCpu": lambda kind: kind.memory_mib / MIB_PER_GIB / kind.vcpus,
    "networkInterfaceCount": lambda kind: kind.max_enis,
    "networkBandwidthGbps": lambda kind: kind.network_gbps,
    "acceleratorCount": lambda kind: kind.gpus,
}


def manufacturer(kind: InstanceType) -> str:
    """The maker of the CPU: arm64 is AWS's own, an `a` after the generation stands for AMD."""
    found = _NAME.fullmatch(kind.name)
    if kind.arch == "arm64":
        return "amazon-web-services"
    return "amd" if found is not None and found[3].startswith("a") else "intel"


def generation(name: str) -> str:
    """`previous` for the families that EC2 lists as such."""
    return "previous" if name.split(".", maxsplit=1)[0] in _PREVIOUS else "current"


def _admits(rule: Any, has: bool, default: str) -> bool:
    """Whether `included`, `required` or `excluded` admits a type that has the property or not."""
    word = rule or default
    return (word == "included") or (word == "required") == has


def meets(kind: InstanceType, wanted: Mapping[str, Any]) -> bool:
    """Whether a type meets the requirements; bare metal and burstable types are excluded unless asked for."""
    for field, value_of in _RANGES.items():
        limits = wanted.get(field) or {}
        value = value_of(kind)
        if value < limits.get("min", 0) or value > limits.get("max", float("inf")):
            return False
    size = kind.name.split(".", 1)[-1]
    makers, generations = wanted.get("cpuManufacturers"), wanted.get("instanceGenerations")
    accelerators = wanted.get("acceleratorTypes")
    return (
        _admits(wanted.get("bareMetal"), size.startswith("metal"), "excluded")
        and _admits(wanted.get("burstablePerformance"), bool(re.match(r"t\d", kind.name)), "excluded")
        and (not makers or manufacturer(kind) in makers)
        and (not generations or generation(kind.name) in generations)
        and (not accelerators or ("gpu" in accelerators and kind.gpus > 0))
        and not named(kind.name, wanted.get("excludedInstanceTypes") or ())
    )


def named(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name is one of these; `*` stands for any text (API AllowedInstanceType)."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def within_price(kinds: Sequence[InstanceType], percent: float | None) -> list[InstanceType]:
    """The types that cost at most `percent` more than the cheapest C, M or R type among them (price protection).

    Without such a type the cheapest of all counts; None protects nothing.
    """
    if percent is None or not kinds:
        return list(kinds)
    common = [kind for kind in kinds if re.match(r"[cmr]\d", kind.name)]
    least = min(kind.usd_per_hour for kind in common or kinds)
    return [kind for kind in kinds if kind.usd_per_hour <= least * (1 + percent / 100)]


def worth_having(kinds: Sequence[InstanceType], spot: bool) -> list[InstanceType]:
    """The types but for those that at least two others of their architecture beat: no less of anything, no dearer.

    A cost-optimised choice never needs them, unless the best two are not to be had.
    """
    if len(kinds) < 3:
        return list(kinds)
    table = np.array(
        [
            (
                kind.arch == "arm64",
                kind.registered_cpu,
                kind.registered_memory_mib,
                kind.gpus,
                max(kind.eni_task_limit, kind.eni_trunk_limit),
                -((kind.spot_usd_per_hour or kind.usd_per_hour) if spot else kind.usd_per_hour),
            )
            for kind in kinds
        ]
    )
    better = np.ones((len(kinds), len(kinds)), np.bool_)
    for column in table.T[1:]:
        better &= column[None, :] >= column[:, None]
    better &= table[:, 0][None, :] == table[:, 0][:, None]
    earlier = np.arange(len(kinds))
    equal = better & better.T
    better &= ~equal | (earlier[None, :] < earlier[:, None])  # of equals the first is the better one
    return [kind for kind, rivals in zip(kinds, better.sum(axis=1), strict=True) if rivals < 2]
