"""The capacity of target tracking, for services, Auto Scaling groups and capacity providers alike.

Pure arithmetic: the capacity at which a metric would be at its target, in proportion, rounded up. It must not know
alarms, cooldowns or bounds. `target_tracking_kernel`, `cloudwatch_alarms`, `capacity_provider_reservation` and
`control.scaling.group_autoscaler` call it.
"""

from __future__ import annotations

import math

from clustersim.engine.compiled import kernel_entry

IN, HOLD, OUT = -1, 0, 1
"""The direction of a proposal: fewer, as many as now, more."""

LOW_SHARE_SERVICE = 0.9
"""The threshold of AlarmLow of a service's target tracking policy, as a share of the target (observed on AWS)."""
LOW_SHARE_GROUP = 0.7
"""The same for a policy of an EC2 Auto Scaling group."""

ROUNDING = 1e-9
"""A float that misses a whole number by rounding (3 * 0.1 * 10) must not add a task."""


@kernel_entry
def proportional_capacity(current: int, metric: float, target: float) -> int:
    """Return the capacity that brings `metric` to `target` in proportion, rounded up in both directions.

    A scale-out adds enough, and a scale-in removes less: 1.5 surplus tasks become 1 (EC2 Auto Scaling User Guide:
    target tracking).
    """
    return math.ceil(current * metric / target - ROUNDING)


@kernel_entry
def target_tracking_capacity(current: int, metric: float, target: float, direction: int) -> int:
    """Return the capacity that a breached alarm proposes: above `current` when out, never above it when in."""
    capacity = proportional_capacity(current, metric, target)
    return max(capacity, current + 1) if direction == OUT else min(capacity, current)
