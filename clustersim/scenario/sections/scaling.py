"""Scaling policies, resolved: of services (Application Auto Scaling) and of groups (EC2 Auto Scaling).

The written forms are AWS blocks (PutScalingPolicy, PutScheduledAction, RegisterScalableTarget). Holds a policy in ms
and plain numbers, and the defaults of the API. Must not decide when to scale: `policy.scaling.service_scaling` and
`policy.scaling.group_scaling` do. `resolve.service_scaling` and `resolve.group_scaling` make these models. A `Custom`
policy is ours: its written form is `WrittenCustomScaling`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from clustersim.scenario.sections.resolved_section import ResolvedSection, UserFunction
from clustersim.scenario.sections.written_section import FreeMapping, WrittenSection
from clustersim.scenario.text.assumptions import assume, uses_target_tracking
from clustersim.scenario.text.units import DurationMs
from clustersim.vocabulary import MS_PER_MINUTE, MS_PER_SECOND

METRIC_RESOLUTION_MS = MS_PER_MINUTE
HIGH_METRIC_RESOLUTION_MS = 20 * MS_PER_SECOND
DEFAULT_TIMEZONE = "UTC"
DEFAULT_COOLDOWN_MS = 300 * MS_PER_SECOND
"""Of target tracking, step and simple scaling (Application Auto Scaling and EC2 Auto Scaling: cooldowns)."""
REQUESTS_PER_TARGET = "ALBRequestCountPerTarget"
CUSTOM = "Custom"
POLICY_TYPES = ("TargetTrackingScaling", "StepScaling", CUSTOM)
"""The values of a service's `policyType` that are simulated."""


class TargetTracking(ResolvedSection):
    """A target tracking policy (Application Auto Scaling API); `metric` is CloudWatch's name."""

    name: str
    target: float
    metric: str
    custom_metric: dict[str, Any] | None = None
    target_group: str | None = None
    """The target group in the resource label of ALBRequestCountPerTarget."""
    scale_out_cooldown_ms: int = DEFAULT_COOLDOWN_MS
    scale_in_cooldown_ms: int = DEFAULT_COOLDOWN_MS
    disable_scale_in: bool = False


class StepScaling(ResolvedSection):
    """A step scaling policy; `steps` are (lower bound, upper bound, adjustment), None being infinite."""

    name: str
    adjustment_type: Literal["ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"]
    steps: tuple[tuple[float | None, float | None, int], ...]
    min_adjustment_magnitude: int | None = None
    cooldown_ms: int = DEFAULT_COOLDOWN_MS
    aggregation: Literal["Average", "Minimum", "Maximum"] = "Average"
    alarm: dict[str, Any] | None = None
    simple: bool = False
    """SimpleScaling (EC2 Auto Scaling): it waits for its cooldown and has no warm-up."""


class WrittenCustomScaling(WrittenSection):
    """A scaling policy of our own, which asks a function of the user."""

    policy_name: Annotated[str, Field(min_length=1)]
    policy_type: Literal["Custom"]
    policy: str
    parameters: FreeMapping = Field(default_factory=dict)
    scale_out_cooldown: DurationMs = 0
    scale_in_cooldown: DurationMs = 0


class CustomScaling(ResolvedSection):
    """A policy that asks a function of the user; `place` is where the file names it, for messages."""

    name: str
    function: UserFunction
    place: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    scale_out_cooldown_ms: int = 0
    scale_in_cooldown_ms: int = 0


GroupPolicy = TargetTracking | StepScaling
"""A policy of an Auto Scaling group."""
ServicePolicy = TargetTracking | StepScaling | CustomScaling
"""A policy of a service."""


class ScheduledAction(ResolvedSection):
    """A scheduled action; `aws.schedule_expressions` reads `schedule`. Its window is in epoch ms (None: open)."""

    name: str
    schedule: str
    timezone: str = DEFAULT_TIMEZONE
    min_capacity: int | None = None
    max_capacity: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None


class AutoScaling(ResolvedSection):
    """The scalable target of a service, its policies and its scheduled actions."""

    min_capacity: int
    max_capacity: int
    policies: tuple[ServicePolicy, ...] = ()
    scheduled: tuple[ScheduledAction, ...] = ()
    metric_resolution_ms: int = METRIC_RESOLUTION_MS


assume(
    "scale-in-threshold",
    "target tracking scales in below 0.9 of its target, by the whole step",
    uses_target_tracking,
    source="seen in three deployments",
)
