"""The capacity of step scaling and simple scaling, for services and Auto Scaling groups alike.

Pure arithmetic: which step a breach is in, and the capacity after its adjustment. It must not know alarms, cooldowns
or bounds. `control.scaling.alarm_table` calls it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from clustersim.policy.scaling.target_tracking import ROUNDING

ScalingStep = tuple[float | None, float | None, int]
"""Lower bound, upper bound (None: infinite), adjustment."""


def round_percent_change(change: float) -> int:
    """Round a fractional change to whole tasks: towards zero, but at least one.

    (Application Auto Scaling User Guide: step scaling.) 12.7 is 12, 0.67 is 1, -0.58 is -1, -6.67 is -6.
    """
    if change == 0.0:
        return 0
    if abs(change) < 1.0:
        return 1 if change > 0.0 else -1
    return math.trunc(change + math.copysign(ROUNDING, change))


def find_step_adjustment(steps: Sequence[ScalingStep], breach: float, *, upward: bool) -> int | None:
    """Return the adjustment of the step that contains `breach` (metric minus threshold), or None.

    Alarms above a threshold (`upward`) interpret bounds as [lower, upper), those below as (lower, upper].
    """
    for lower, upper, adjustment in steps:
        least = -math.inf if lower is None else lower
        most = math.inf if upper is None else upper
        if (least <= breach < most) if upward else (least < breach <= most):
            return adjustment
    return None


def step_capacity(
    current: int, adjustment_type: str, adjustment: int, least_change: int | None = None
) -> int:
    """Return the capacity after a step's adjustment; `least_change` is MinAdjustmentMagnitude (percent only)."""
    match adjustment_type:
        case "ExactCapacity":
            return max(adjustment, 0)
        case "ChangeInCapacity":
            change = adjustment
        case "PercentChangeInCapacity":
            change = round_percent_change(current * adjustment / 100.0)
            if least_change is not None and adjustment != 0 and abs(change) < least_change:
                change = least_change if adjustment > 0 else -least_change
        case _:
            raise ValueError(f"{adjustment_type!r} is no adjustment type")
    return max(current + change, 0)
