"""Scaling policies, resolved: of services (Application Auto Scaling) and of groups (EC2 Auto Scaling).

Holds what a policy says, in ms and plain numbers. Decides nothing: `policy.scaling.service_scaling` and
`policy.scaling.group_scaling` do.
"""

from __future__ import annotations

from typing import Any, Literal

from clustersim.scenario.sections.resolved_section import Resolved


class TargetTracking(Resolved):
    """A target tracking policy (Application Auto Scaling API); `metric` is CloudWatch's name."""

    name: str
    target: float
    metric: str
    custom_metric: dict[str, Any] | None = None
    scale_out_cooldown_ms: int = 300_000
    scale_in_cooldown_ms: int = 300_000
    disable_scale_in: bool = False


class StepScaling(Resolved):
    """A step scaling policy; `steps` are (lower bound, upper bound, adjustment), None being infinite."""

    name: str
    adjustment_type: Literal["ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"]
    steps: tuple[tuple[float | None, float | None, int], ...]
    min_adjustment_magnitude: int | None = None
    cooldown_ms: int = 300_000
    aggregation: Literal["Average", "Minimum", "Maximum"] = "Average"
    alarm: dict[str, Any] | None = None
    simple: bool = False
    """EC2 Auto Scaling: SimpleScaling, which waits for its cooldown and knows no warm-up."""


class ScheduledAction(Resolved):
    """A scheduled action; `schedule` is read by `schedule.instants`, its window in epoch ms (None: open)."""

    name: str
    schedule: str
    timezone: str = "UTC"
    min_capacity: int | None = None
    max_capacity: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None


class AutoScaling(Resolved):
    """The scalable target of a service, its policies and its scheduled actions."""

    min_capacity: int
    max_capacity: int
    policies: tuple[TargetTracking | StepScaling, ...] = ()
    scheduled: tuple[ScheduledAction, ...] = ()
    metric_resolution_ms: int = 60_000
