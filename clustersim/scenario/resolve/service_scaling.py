"""The scalable target of a service, its policies and scheduled actions, resolved.

Decides which metric a policy follows and which steps it takes. Must not know what scaling does.
`resolve_services` calls it.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from pydantic_core import PydanticCustomError

from clustersim.policy.scaling.cloudwatch_metrics import METRIC_NAMES, Expression, Subject, metric_named
from clustersim.scenario.aws import schedule_expressions as schedule
from clustersim.scenario.aws.checked_block import Block, check, in_camel_case
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.sections.scenario import AutoScaling, ScheduledAction, StepScaling, TargetTracking
from clustersim.scenario.text.document import Steps
from clustersim.scenario.text.overrides import closest
from clustersim.scenario.text.units import duration_ms, instant_ms
from clustersim.vocabulary import MS_PER_SECOND

_HIGH_RESOLUTION = "HighResolution"
_TARGET = "TargetTrackingScalingPolicyConfiguration"
_STEP = "StepScalingPolicyConfiguration"
_OWNERS = {
    "ServiceName": "service",
    "QueueName": "service",
    "AutoScalingGroupName": "Auto Scaling group",
    "CapacityProviderName": "capacity provider",
}
_REGISTER = "application-autoscaling.RegisterScalableTarget"
_RESOLUTIONS_MS = (20 * MS_PER_SECOND, 60 * MS_PER_SECOND)

Steps3 = tuple[tuple[float | None, float | None, int], ...]


def auto_scaling(context: Context, service: Block, has_load: bool) -> AutoScaling | None:
    """The `autoScaling` of a service; None if it has none, or a broken one."""
    written = service.value.get("autoScaling")
    if written is None:
        return None
    path = service.at("autoScaling")
    block = check(context.findings, path, written, "autoScaling", _REGISTER)
    missing = [name for name in ("MinCapacity", "MaxCapacity") if not block.has(name)]
    for name in missing:
        context.findings.add(
            path, "minCapacity and maxCapacity are both needed", f"add {name[:3].lower()}Capacity"
        )
    policies: list[TargetTracking | StepScaling] = []
    resolution = min(_resolution_ms(service), _own_resolution_ms(context, block))
    names: set[str] = set()
    for index, item in enumerate(_list(context, block, "policies")):
        inner = check(context.findings, (*block.at("policies"), index), item, "policies")
        name = str(inner.value.get("PolicyName", ""))
        if name in names:
            context.findings.add(inner.at("PolicyName"), f"a second policy is named {name}", "rename it")
        names.add(name)
        if inner.sound:
            policy, policy_resolution = _policy(context, inner)
            resolution = min(resolution, policy_resolution)
            policies.extend([policy] if policy is not None else [])
    scheduled = [
        action
        for index, item in enumerate(_list(context, block, "scheduledActions"))
        if (action := _scheduled(context, (*block.at("scheduledActions"), index), item)) is not None
    ]
    if missing or "MinCapacity" not in block.value or "MaxCapacity" not in block.value:
        return None
    return AutoScaling(
        min_capacity=block.value["MinCapacity"],
        max_capacity=block.value["MaxCapacity"],
        policies=tuple(policies),
        scheduled=tuple(scheduled),
        metric_resolution_ms=resolution,
    )


def _list(context: Context, block: Block, key: str) -> list[Any]:
    value = block.value.get(key, [])
    if isinstance(value, list):
        return value
    context.findings.add(block.at(key), "is not a list", "write one item per line with a dash")
    return []


def _resolution_ms(service: Block) -> int:
    """The resolution of the service's metrics (ECS API: monitoring.metricConfigurations), ms."""
    configurations = (service.value.get("monitoring") or {}).get("metricConfigurations") or ()
    seconds = [int(item.get("resolutionSeconds", 60)) for item in configurations]
    return min([60, *seconds]) * MS_PER_SECOND


def _own_resolution_ms(context: Context, block: Block) -> int:
    """Our `metricResolution`: 20 s or 60 s, for all metrics of the service."""
    written = block.value.get("metricResolution")
    if written is None:
        return 60 * MS_PER_SECOND
    try:
        given = duration_ms(written)
    except PydanticCustomError:
        given = 0
    if given in _RESOLUTIONS_MS:
        return given
    context.findings.add(block.at("metricResolution"), f"{written} is no resolution", "20s or 60s")
    return 60 * MS_PER_SECOND


def _policy(context: Context, block: Block) -> tuple[TargetTracking | StepScaling | None, int]:
    """A sound policy, and the resolution that its metric needs, ms."""
    value, name = block.value, str(block.value["PolicyName"])
    if _STEP in value:
        return _step_scaling(context, block, name), 60 * MS_PER_SECOND
    if _TARGET not in value:
        if "PolicyType" not in value:
            context.findings.add(block.path, "has no policyType", "policyType: TargetTrackingScaling")
        return None, 60 * MS_PER_SECOND
    written = value[_TARGET]
    custom = written.get("CustomizedMetricSpecification")
    if custom is not None:
        place = block.at(_TARGET, "CustomizedMetricSpecification")
        metric = str(custom.get("MetricName", "customized"))
        custom = in_camel_case(custom)
        check_source(context, custom, place)
    else:
        metric = written["PredefinedMetricSpecification"]["PredefinedMetricType"]
    policy = TargetTracking(
        name=name,
        target=written["TargetValue"],
        metric=metric.removesuffix(_HIGH_RESOLUTION),
        custom_metric=custom,
        scale_out_cooldown_ms=written.get("ScaleOutCooldown", 300) * MS_PER_SECOND,
        scale_in_cooldown_ms=written.get("ScaleInCooldown", 300) * MS_PER_SECOND,
        disable_scale_in=written.get("DisableScaleIn", False),
    )
    return policy, (20 if metric.endswith(_HIGH_RESOLUTION) else 60) * MS_PER_SECOND


def _step_scaling(context: Context, block: Block, name: str) -> StepScaling | None:
    """A step scaling policy whose steps neither overlap nor leave a gap."""
    written = block.value[_STEP]
    kind = written.get("AdjustmentType")
    path = block.at(_STEP)
    if kind is None:
        context.findings.add(path, "has no adjustmentType", "adjustmentType: ChangeInCapacity")
        return None
    steps = steps_of(written)
    if not steps:
        context.findings.add(path, "has no steps", "add stepAdjustments")
        return None
    check_steps(context, steps, block.at(_STEP, "StepAdjustments"))
    return StepScaling(
        name=name,
        adjustment_type=kind,
        steps=steps,
        min_adjustment_magnitude=written.get("MinAdjustmentMagnitude"),
        cooldown_ms=written.get("Cooldown", 300) * MS_PER_SECOND,
        aggregation=written.get("MetricAggregationType", "Average"),
        alarm=own_alarm(context, block),
    )


def steps_of(written: dict[str, Any]) -> Steps3:
    """(lower bound, upper bound, adjustment) of each step."""
    return tuple(
        (
            step.get("MetricIntervalLowerBound"),
            step.get("MetricIntervalUpperBound"),
            int(step["ScalingAdjustment"]),
        )
        for step in written.get("StepAdjustments") or ()
    )


def own_alarm(context: Context, block: Block, own: Subject = Subject.SERVICE) -> dict[str, Any] | None:
    """The alarm of our own beside a policy, which triggers it."""
    if "alarm" not in block.value:
        context.findings.warn(block.path, "has no own `alarm`: nothing ever triggers it")
        return None
    inner = check(context.findings, block.at("alarm"), block.value["alarm"], "alarms")
    alarm: dict[str, Any] = in_camel_case(inner.value)
    if inner.sound:
        check_source(context, alarm, inner.path, own)
    return alarm


def check_source(
    context: Context, given: dict[str, Any], path: Steps, own: Subject = Subject.SERVICE
) -> None:
    """Report a metric that is not simulated, or dimensions that name what the scenario does not have."""
    for index, dimension in enumerate(given.get("dimensions") or ()):
        kind = _OWNERS.get(str(dimension.get("name")))
        if kind is not None:
            context.find(kind, str(dimension.get("value")), (*path, "dimensions", index, "value"))
    try:
        if given.get("metrics"):
            Expression(list(given["metrics"]), own).value(lambda named: float(named.metric) + 1.0)
        elif "metricName" in given:
            name = str(given["metricName"])
            if metric_named(name, given.get("dimensions"), own) is None:
                what = f"the metric {name} is not simulated"
                context.findings.add((*path, "metricName"), what, closest(name, METRIC_NAMES))
    except ValueError as error:
        context.findings.add((*path, "metrics"), str(error), "like m1 / m2")
    except ArithmeticError:
        pass  # made-up values may divide by zero; what that means is decided with real ones


def check_steps(context: Context, steps: Steps3, path: Steps) -> None:
    """Application Auto Scaling User Guide, step scaling: no overlap, no gap, one open end on either side."""
    bounds = sorted(
        (-math.inf if low is None else low, math.inf if high is None else high, index)
        for index, (low, high, _) in enumerate(steps)
    )
    for low, high, index in bounds:
        if low >= high:
            context.findings.add((*path, index), "is an empty interval", "lower bound below upper bound")
            return
    for (_, before, _), (after, _, index) in pairwise(bounds):
        if after < before:
            context.findings.add((*path, index), "overlaps another step", "steps that meet")
        elif after > before and not before <= 0 <= after:
            context.findings.add((*path, index), "leaves a gap to the step before", "steps that meet")


def _scheduled(context: Context, path: Steps, item: Any) -> ScheduledAction | None:
    """One scheduled action."""
    block = check(context.findings, path, item, "scheduledActions")
    if not block.sound:
        return None
    value = block.value
    expression, timezone = value.get("Schedule"), value.get("Timezone", "UTC")
    if not isinstance(expression, str):
        context.findings.add(path, "has no schedule", "add schedule: cron(0 8 * * ? *)")
        return None
    if not check_schedule(context, expression, block.at("Schedule"), timezone, block.at("Timezone")):
        return None
    action = value.get("ScalableTargetAction") or {}
    if not action:
        context.findings.add(
            path, "changes nothing", "add scalableTargetAction with minCapacity or maxCapacity"
        )
    return ScheduledAction(
        name=str(value["ScheduledActionName"]),
        schedule=expression,
        timezone=timezone,
        min_capacity=action.get("MinCapacity"),
        max_capacity=action.get("MaxCapacity"),
        start_ms=_instant(context, block, "StartTime"),
        end_ms=_instant(context, block, "EndTime"),
    )


def check_schedule(
    context: Context, expression: str, path: Steps, timezone: str = "UTC", timezone_path: Steps = ()
) -> bool:
    """Whether `expression` and `timezone` can be read; if not, it is reported."""
    try:
        schedule.check("rate(1 day)", timezone)
    except schedule.ScheduleError as error:
        context.findings.add(timezone_path, str(error), error.right)
        return False
    try:
        schedule.check(expression, timezone)
    except schedule.ScheduleError as error:
        context.findings.add(path, str(error), error.right)
        return False
    return True


def _instant(context: Context, block: Block, field: str) -> int | None:
    value = block.value.get(field)
    if value is None:
        return None
    try:
        return instant_ms(value)
    except PydanticCustomError as error:
        detail = error.context or {}
        context.findings.add(block.at(field), str(detail["what"]), str(detail["right"]))
        return None
