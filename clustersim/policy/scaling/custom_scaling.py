"""The arguments of a user's scaling function, and the checks of what it returns.

Decides nothing: it is the contract between clustersim and the function of a `Custom` policy (`docs/extending.md`).
It must not know how the function was found. `control.scaling.custom_policy` asks the function.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

LARGEST_CAPACITY = 2**31 - 1
"""The API's type of DesiredCount is a 32-bit integer."""

Draw = Callable[[int], float]
"""The random number in (0, 1) of an ordinal (0, 1, ...), the same whenever it is drawn at an instant."""


@dataclass(frozen=True)
class ScalingRequest:
    """What a scaling function is asked for: the state of a service at the end of a metric period.

    `now_ms` counts from the first instant of the simulation, warm-up included. `desired` and `running` are the
    service's counts, `minimum` and `maximum` its bounds in force. `metrics` has the datapoints of the period by the
    name of the metric (`policy.scaling.cloudwatch_metrics.SERVICE_METRICS`), NaN where there is none. `parameters` are
    those of the policy, as written. `draw` gives random numbers by address: the same for the same seed, replication,
    policy, instant and ordinal, whatever else is drawn.
    """

    now_ms: int
    desired: int
    running: int
    minimum: int
    maximum: int
    metrics: Mapping[str, float]
    parameters: Mapping[str, Any]
    draw: Draw


ScalingFunction = Callable[[ScalingRequest], int | None]
"""A user's scaling function: returns the wanted capacity, or None to ask for nothing."""


def check_capacity(returned: Any) -> int | None:
    """Return what a scaling function has returned, as a plain int.

    Raises ValueError if that is neither None nor a whole number that can be a desired count.
    """
    if returned is None:
        return None
    expected = "a whole number of tasks or None"
    if isinstance(returned, bool | np.bool_):
        raise ValueError(f"returned {returned}; return {expected}")
    try:
        capacity = operator.index(returned)
    except TypeError:
        kind = type(returned).__name__
        raise ValueError(f"returned {returned!r} of type {kind}; return {expected}") from None
    if not 0 <= capacity <= LARGEST_CAPACITY:
        raise ValueError(f"returned {capacity}; return 0 to {LARGEST_CAPACITY} tasks or None")
    return capacity
