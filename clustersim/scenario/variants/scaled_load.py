"""A scenario under so many times its load: rates, and the counts that follow them.

Decides what grows with the load and how a count is rounded. Must not know why somebody asks. `options` calls it
on a document that has been found sound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from clustersim.scenario.text.overrides import key_of

Data = dict[str, Any]

_RATES = ("requestsPerSecond", "messagesPerSecond")
_BOUNDS = ("minCapacity", "maxCapacity")
_SIZES = ("minSize", "maxSize", "desiredCapacity")
_NOTHING_LOST = 1e-9  # of a product that is whole but for the last digit


def scaled(count: int, factor: float) -> int:
    """A count under `factor` times the load: rounded up, so that no task has more to do; 0 stays 0."""
    return math.ceil(count * factor - _NOTHING_LOST)


def scale_load(data: Data, factor: float) -> list[str]:
    """Multiplies every rate in `data` by `factor`, with the counts that go with it; gives what it cannot scale.

    `desiredCount` (1 where a service has none), bounds of scaling, sizes of groups, counts and arrivals of
    `runTasks`, and what actions set them to. A service without a load follows by its count alone.
    """
    kept: list[str] = []
    for service in data.get("services") or ():
        if service.get("schedulingStrategy") == "DAEMON":
            continue
        service["desiredCount"] = scaled(service.get("desiredCount", 1), factor)
        _scale_rate(service.get("load") or {}, factor)
        scaling = service.get("autoScaling") or {}
        _scale_counts(scaling, _BOUNDS, factor)
        for action in _field(scaling, "scheduledActions") or ():
            _scale_counts(_field(action, "scalableTargetAction") or {}, _BOUNDS, factor)
    for entry in data.get("runTasks") or ():
        if "trace" in entry:
            kept.append(f"{entry['name']}: a trace of tasks is not scaled")
        elif "arrivals" in entry:
            entry["arrivals"] = {"ratePerHour": entry["arrivals"]["ratePerHour"] * factor}
        else:
            entry["count"] = scaled(entry.get("count", 1), factor)
    for group in _groups(data):
        _scale_counts(group, _SIZES, factor)
    for action in data.get("actions") or ():
        for written in action.values():
            if isinstance(written, dict):
                _scale_counts(written, ("desiredCount", "desiredCapacity"), factor)
    return kept


def _scale_rate(load: Data, factor: float) -> None:
    for key in _RATES:
        rate = load.get(key)
        if isinstance(rate, int | float):
            load[key] = rate * factor
        elif isinstance(rate, dict) and "daily" in rate:
            daily = rate["daily"]
            load[key] = {"daily": {**daily, "low": daily["low"] * factor, "high": daily["high"] * factor}}
        elif isinstance(rate, dict):
            load[key] = {**rate, "scale": rate.get("scale", 1) * factor}


def _scale_counts(block: Data, names: tuple[str, ...], factor: float) -> None:
    for name in names:
        key = key_of(block, name)
        if isinstance(block.get(key), int):
            block[key] = scaled(block[key], factor)


def _field(block: Data, name: str) -> Any:
    return block.get(key_of(block, name))


def _groups(data: Data) -> Iterator[Data]:
    """The Auto Scaling groups, those inside providers included."""
    yield from data.get("autoScalingGroups") or ()
    for provider in data.get("capacityProviders") or ():
        inner = provider.get("autoScalingGroupProvider") or {}
        if isinstance(group := inner.get("autoScalingGroup"), dict):
            yield group
