"""Scales the load of a scenario: rates, and the counts that depend on them.

Decides which fields scale with the load and the rounding of counts. It must not know launch options.
`launch_options` calls it on a validated document.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from clustersim.scenario.text.overrides import matching_key

Data = dict[str, Any]

_RATE_KEYS = ("requestsPerSecond", "messagesPerSecond")
_CAPACITY_KEYS = ("minCapacity", "maxCapacity")
_GROUP_SIZE_KEYS = ("minSize", "maxSize", "desiredCapacity")
_ROUNDING_ERROR = 1e-9  # so that a product just above a whole number is not rounded up


def scale_count(count: int, factor: float) -> int:
    """Return a count at `factor` times the load: rounded up, so that no task gets more load; 0 stays 0."""
    return math.ceil(count * factor - _ROUNDING_ERROR)


def scale_load(data: Data, factor: float) -> list[str]:
    """Multiply every rate in `data` by `factor`, with the counts that depend on it; return what cannot be scaled.

    Scaled are `desiredCount` (default 1), scaling bounds, group sizes, counts and arrivals of `runTasks`, and the
    values that actions set. For a service without a load only the counts change.
    """
    unscaled: list[str] = []
    for service in data.get("services") or ():
        if service.get("schedulingStrategy") == "DAEMON":
            continue
        service["desiredCount"] = scale_count(service.get("desiredCount", 1), factor)
        _scale_rate(service.get("load") or {}, factor)
        scaling = service.get("autoScaling") or {}
        _scale_counts(scaling, _CAPACITY_KEYS, factor)
        for action in _get_field(scaling, "scheduledActions") or ():
            _scale_counts(_get_field(action, "scalableTargetAction") or {}, _CAPACITY_KEYS, factor)
    for entry in data.get("runTasks") or ():
        if "trace" in entry:
            unscaled.append(f"{entry['name']}: a trace of tasks is not scaled")
        elif "arrivals" in entry:
            entry["arrivals"] = {"ratePerHour": entry["arrivals"]["ratePerHour"] * factor}
        else:
            entry["count"] = scale_count(entry.get("count", 1), factor)
    for group in _iter_groups(data):
        _scale_counts(group, _GROUP_SIZE_KEYS, factor)
    for action in data.get("actions") or ():
        for content in action.values():
            if isinstance(content, dict):
                _scale_counts(content, ("desiredCount", "desiredCapacity"), factor)
    return unscaled


def _scale_rate(load: Data, factor: float) -> None:
    for key in _RATE_KEYS:
        rate = load.get(key)
        if isinstance(rate, int | float):
            load[key] = rate * factor
        elif isinstance(rate, dict):
            load[key] = _scaled_shapes(rate, factor)


def _scaled_shapes(rate: Data, factor: float) -> Data:
    """Return a rate with each of its shapes scaled; growth, spikes and burstiness are factors themselves."""
    scaled = dict(rate)
    if "constant" in rate:
        scaled["constant"] = rate["constant"] * factor
    if "daily" in rate:
        daily = rate["daily"]
        scaled["daily"] = {**daily, "low": daily["low"] * factor, "high": daily["high"] * factor}
    if "weekly" in rate:
        scaled["weekly"] = {
            day: [each * factor for each in rates] if isinstance(rates, list) else rates * factor
            for day, rates in rate["weekly"].items()
        }
    if "trace" in rate:
        scaled["scale"] = rate.get("scale", 1) * factor
    return scaled


def _scale_counts(block: Data, names: tuple[str, ...], factor: float) -> None:
    for name in names:
        key = matching_key(block, name)
        if isinstance(block.get(key), int):
            block[key] = scale_count(block[key], factor)


def _get_field(block: Data, name: str) -> Any:
    return block.get(matching_key(block, name))


def _iter_groups(data: Data) -> Iterator[Data]:
    """Yield the Auto Scaling groups, including those inside capacity providers."""
    yield from data.get("autoScalingGroups") or ()
    for provider in data.get("capacityProviders") or ():
        inner = provider.get("autoScalingGroupProvider") or {}
        if isinstance(group := inner.get("autoScalingGroup"), dict):
            yield group
