"""The scalable target of a service, its policies and scheduled actions, resolved.

Decides which metric a policy follows and which steps it takes. Must not decide when to scale. `services` calls it.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from pydantic_core import PydanticCustomError

from clustersim.policy.scaling.cloudwatch_metrics import METRIC_NAMES, MetricExpression, Subject, find_metric
from clustersim.scenario.aws import schedule_expressions as schedule
from clustersim.scenario.aws.block_validation import written_path
from clustersim.scenario.aws.checked_block import CheckedBlock, read_block, with_camel_case_keys
from clustersim.scenario.extensions.custom_scaling import is_custom, resolve_custom_scaling
from clustersim.scenario.resolve.context import Context, pick_fields
from clustersim.scenario.sections.deployment import ROLLING
from clustersim.scenario.sections.scaling import (
    DEFAULT_TIMEZONE,
    HIGH_METRIC_RESOLUTION_MS,
    METRIC_RESOLUTION_MS,
    REQUESTS_PER_TARGET,
    AutoScaling,
    ScheduledAction,
    ServicePolicy,
    StepScaling,
    TargetTracking,
)
from clustersim.scenario.text.document import FieldPath
from clustersim.scenario.text.overrides import suggest_name
from clustersim.scenario.text.units import parse_duration_ms, parse_instant_ms
from clustersim.vocabulary import MS_PER_SECOND

_HIGH_RESOLUTION = "HighResolution"
_TARGET_TRACKING = "TargetTrackingScalingPolicyConfiguration"
_STEP_SCALING = "StepScalingPolicyConfiguration"
_DIMENSION_KINDS = {
    "ServiceName": "service",
    "QueueName": "service",
    "AutoScalingGroupName": "Auto Scaling group",
    "CapacityProviderName": "capacity provider",
}
_REGISTER = "application-autoscaling.RegisterScalableTarget"

Steps = tuple[tuple[float | None, float | None, int], ...]


def resolve_auto_scaling(context: Context, service: CheckedBlock, has_load: bool) -> AutoScaling | None:
    """Return the `autoScaling` of a service; None if it has none, or an invalid one."""
    written = service.value.get("autoScaling")
    if written is None:
        return None
    path = service.field_path("autoScaling")
    block = read_block(context.diagnostics, path, written, "autoScaling", _REGISTER)
    missing = [name for name in ("MinCapacity", "MaxCapacity") if not block.has(name)]
    for name in missing:
        context.diagnostics.add_problem(
            path, "minCapacity and maxCapacity are both needed", f"add {name[:3].lower()}Capacity"
        )
    policies, resolution = _resolve_policies(context, service, block)
    _warn_of_moving_targets(context, service, block, policies)
    scheduled = [
        action
        for index, item in enumerate(_read_list(context, block, "scheduledActions"))
        if (
            action := _resolve_scheduled_action(context, (*block.field_path("scheduledActions"), index), item)
        )
        is not None
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


def _warn_of_moving_targets(
    context: Context, service: CheckedBlock, block: CheckedBlock, policies: list[ServicePolicy]
) -> None:
    """Warn that a policy on the requests per target has no data while its deployments use the other target group."""
    strategy = (service.value.get("deploymentConfiguration") or {}).get("strategy", ROLLING)
    counting = [p for p in policies if isinstance(p, TargetTracking) and p.metric == REQUESTS_PER_TARGET]
    if strategy != ROLLING and counting:
        text = f"{REQUESTS_PER_TARGET} counts one target group; {strategy} deployments move the traffic to another"
        hint = f"the policy {counting[0].name} does not act while the traffic is there"
        context.diagnostics.warn(block.field_path("policies"), f"{text}: {hint}")


def _resolve_policies(
    context: Context, service: CheckedBlock, block: CheckedBlock
) -> tuple[list[ServicePolicy], int]:
    """Return the valid policies, and the resolution in ms that their metrics need."""
    policies: list[ServicePolicy] = []
    resolution = min(_metric_resolution_ms(service), _own_metric_resolution_ms(context, block))
    names: set[str] = set()
    for index, item in enumerate(_read_list(context, block, "policies")):
        path: FieldPath = (*block.field_path("policies"), index)
        policy: ServicePolicy | None = None
        if is_custom(item):
            name = str(next((value for key, value in item.items() if key.lower() == "policyname"), ""))
            policy = custom = resolve_custom_scaling(context.diagnostics, path, item, context.scenario.parent)
            sources = custom.function.inputs if custom is not None else ()
            context.inputs.update({each.path: each.sha256 for each in sources})
        else:
            inner = read_block(context.diagnostics, path, item, "policies")
            name = str(inner.value.get("PolicyName", ""))
            if inner.valid:
                policy, policy_resolution = _resolve_policy(context, inner)
                resolution = min(resolution, policy_resolution)
        if name in names:
            location = path + written_path(item, ("PolicyName",))
            context.diagnostics.add_problem(location, f"a second policy is named {name}", "rename it")
        names.add(name)
        policies.extend([policy] if policy is not None else [])
    return policies, resolution


def _read_list(context: Context, block: CheckedBlock, key: str) -> list[Any]:
    value = block.value.get(key, [])
    if isinstance(value, list):
        return value
    context.diagnostics.add_problem(
        block.field_path(key), "is not a list", "write one item per line with a dash"
    )
    return []


def _metric_resolution_ms(service: CheckedBlock) -> int:
    """Return the resolution of the service's metrics in ms (ECS API: monitoring.metricConfigurations)."""
    configurations = (service.value.get("monitoring") or {}).get("metricConfigurations") or ()
    resolutions = [
        int(item["resolutionSeconds"]) * MS_PER_SECOND
        for item in configurations
        if "resolutionSeconds" in item
    ]
    return min([METRIC_RESOLUTION_MS, *resolutions])


def _own_metric_resolution_ms(context: Context, block: CheckedBlock) -> int:
    """Return our `metricResolution` in ms: 20 s or 60 s, for all metrics of the service."""
    written = block.value.get("metricResolution")
    if written is None:
        return METRIC_RESOLUTION_MS
    try:
        resolution_ms = parse_duration_ms(written)
    except PydanticCustomError:
        resolution_ms = 0
    if resolution_ms in (METRIC_RESOLUTION_MS, HIGH_METRIC_RESOLUTION_MS):
        return resolution_ms
    context.diagnostics.add_problem(
        block.field_path("metricResolution"), f"{written} is not a resolution", "20s or 60s"
    )
    return METRIC_RESOLUTION_MS


def _resolve_policy(context: Context, block: CheckedBlock) -> tuple[TargetTracking | StepScaling | None, int]:
    """Return a valid policy, and the resolution in ms that its metric needs."""
    value, name = block.value, str(block.value["PolicyName"])
    if _STEP_SCALING in value:
        return _resolve_step_scaling(context, block, name), METRIC_RESOLUTION_MS
    if _TARGET_TRACKING not in value:
        if "PolicyType" not in value:
            context.diagnostics.add_problem(
                block.path, "has no policyType", "policyType: TargetTrackingScaling"
            )
        return None, METRIC_RESOLUTION_MS
    written = value[_TARGET_TRACKING]
    custom = written.get("CustomizedMetricSpecification")
    if custom is not None:
        location = block.field_path(_TARGET_TRACKING, "CustomizedMetricSpecification")
        metric = str(custom.get("MetricName", "customized"))
        custom = with_camel_case_keys(custom)
        check_metric(context, custom, location)
    else:
        metric = written["PredefinedMetricSpecification"]["PredefinedMetricType"]
    policy = TargetTracking(
        name=name,
        target=written["TargetValue"],
        metric=metric.removesuffix(_HIGH_RESOLUTION),
        custom_metric=custom,
        target_group=_labelled_target_group(written),
        **pick_fields(
            written,
            {"scale_out_cooldown_ms": "ScaleOutCooldown", "scale_in_cooldown_ms": "ScaleInCooldown"},
            MS_PER_SECOND,
        ),
        **pick_fields(written, {"disable_scale_in": "DisableScaleIn"}),
    )
    return policy, HIGH_METRIC_RESOLUTION_MS if metric.endswith(_HIGH_RESOLUTION) else METRIC_RESOLUTION_MS


def _labelled_target_group(written: dict[str, Any]) -> str | None:
    """Return the target group of a resource label, `app/NAME/ID/targetgroup/NAME/ID`."""
    label = str((written.get("PredefinedMetricSpecification") or {}).get("ResourceLabel") or "")
    parts = label.split("/")
    return parts[parts.index("targetgroup") + 1] if "targetgroup" in parts[:-1] else None


def _resolve_step_scaling(context: Context, block: CheckedBlock, name: str) -> StepScaling | None:
    """Return a step scaling policy, and report steps that overlap or leave a gap."""
    written = block.value[_STEP_SCALING]
    adjustment_type = written.get("AdjustmentType")
    path = block.field_path(_STEP_SCALING)
    if adjustment_type is None:
        context.diagnostics.add_problem(path, "has no adjustmentType", "adjustmentType: ChangeInCapacity")
        return None
    steps = read_steps(written)
    if not steps:
        context.diagnostics.add_problem(path, "has no steps", "add stepAdjustments")
        return None
    check_steps(context, steps, block.field_path(_STEP_SCALING, "StepAdjustments"))
    return StepScaling(
        name=name,
        adjustment_type=adjustment_type,
        steps=steps,
        min_adjustment_magnitude=written.get("MinAdjustmentMagnitude"),
        alarm=resolve_policy_alarm(context, block),
        **pick_fields(written, {"cooldown_ms": "Cooldown"}, MS_PER_SECOND),
        **pick_fields(written, {"aggregation": "MetricAggregationType"}),
    )


def read_steps(written: dict[str, Any]) -> Steps:
    """Return (lower bound, upper bound, adjustment) of each step."""
    return tuple(
        (
            step.get("MetricIntervalLowerBound"),
            step.get("MetricIntervalUpperBound"),
            int(step["ScalingAdjustment"]),
        )
        for step in written.get("StepAdjustments") or ()
    )


def resolve_policy_alarm(
    context: Context, block: CheckedBlock, own: Subject = Subject.SERVICE
) -> dict[str, Any] | None:
    """Return the alarm that triggers a policy, a key of our own beside it."""
    if "alarm" not in block.value:
        context.diagnostics.warn(block.path, "has no own `alarm`: nothing ever triggers it")
        return None
    inner = read_block(context.diagnostics, block.field_path("alarm"), block.value["alarm"], "alarms")
    alarm: dict[str, Any] = with_camel_case_keys(inner.value)
    if inner.valid:
        check_metric(context, alarm, inner.path, own)
    return alarm


def check_metric(
    context: Context, metric: dict[str, Any], path: FieldPath, own: Subject = Subject.SERVICE
) -> None:
    """Report a metric that is not simulated, or dimensions with unknown names."""
    for index, dimension in enumerate(metric.get("dimensions") or ()):
        kind = _DIMENSION_KINDS.get(str(dimension.get("name")))
        if kind is not None:
            context.resolve_name(kind, str(dimension.get("value")), (*path, "dimensions", index, "value"))
    try:
        if metric.get("metrics"):
            MetricExpression(list(metric["metrics"]), own).value(lambda named: float(named.metric) + 1.0)
        elif "metricName" in metric:
            name = str(metric["metricName"])
            if find_metric(name, metric.get("dimensions"), own) is None:
                problem = f"the metric {name} is not simulated"
                context.diagnostics.add_problem(
                    (*path, "metricName"), problem, suggest_name(name, METRIC_NAMES)
                )
    except ValueError as error:
        context.diagnostics.add_problem((*path, "metrics"), str(error), "like m1 / m2")
    except ArithmeticError:
        pass  # the test values may divide by zero; the simulation decides what that means


def check_steps(context: Context, steps: Steps, path: FieldPath) -> None:
    """Report steps that overlap or leave a gap (Application Auto Scaling User Guide: step scaling)."""
    bounds = sorted(
        (-math.inf if low is None else low, math.inf if high is None else high, index)
        for index, (low, high, _) in enumerate(steps)
    )
    for low, high, index in bounds:
        if low >= high:
            context.diagnostics.add_problem(
                (*path, index), "is an empty interval", "lower bound below upper bound"
            )
            return
    for (_, before, _), (after, _, index) in pairwise(bounds):
        if after < before:
            context.diagnostics.add_problem((*path, index), "overlaps another step", "steps that meet")
        elif after > before and not before <= 0 <= after:
            context.diagnostics.add_problem(
                (*path, index), "leaves a gap to the step before", "steps that meet"
            )


def _resolve_scheduled_action(context: Context, path: FieldPath, item: Any) -> ScheduledAction | None:
    """Return one scheduled action; None if it is invalid."""
    block = read_block(context.diagnostics, path, item, "scheduledActions")
    if not block.valid:
        return None
    value = block.value
    expression, timezone = value.get("Schedule"), value.get("Timezone", DEFAULT_TIMEZONE)
    if not isinstance(expression, str):
        context.diagnostics.add_problem(path, "has no schedule", "add schedule: cron(0 8 * * ? *)")
        return None
    if not report_bad_schedule(
        context, expression, block.field_path("Schedule"), timezone, block.field_path("Timezone")
    ):
        return None
    action = value.get("ScalableTargetAction") or {}
    if not action:
        context.diagnostics.add_problem(
            path, "changes nothing", "add scalableTargetAction with minCapacity or maxCapacity"
        )
    return ScheduledAction(
        name=str(value["ScheduledActionName"]),
        schedule=expression,
        timezone=timezone,
        min_capacity=action.get("MinCapacity"),
        max_capacity=action.get("MaxCapacity"),
        start_ms=_read_instant(context, block, "StartTime"),
        end_ms=_read_instant(context, block, "EndTime"),
    )


def report_bad_schedule(
    context: Context,
    expression: str,
    path: FieldPath,
    timezone: str = DEFAULT_TIMEZONE,
    timezone_path: FieldPath = (),
) -> bool:
    """Report an invalid `expression` or `timezone`; return whether both are valid."""
    try:
        schedule.check_schedule_expression("rate(1 day)", timezone)
    except schedule.ScheduleError as error:
        context.diagnostics.add_problem(timezone_path, str(error), error.hint)
        return False
    try:
        schedule.check_schedule_expression(expression, timezone)
    except schedule.ScheduleError as error:
        context.diagnostics.add_problem(path, str(error), error.hint)
        return False
    return True


def _read_instant(context: Context, block: CheckedBlock, field: str) -> int | None:
    value = block.value.get(field)
    if value is None:
        return None
    try:
        return parse_instant_ms(value)
    except PydanticCustomError as error:
        detail = error.context or {}
        context.diagnostics.add_problem(block.field_path(field), str(detail["message"]), str(detail["hint"]))
        return None
