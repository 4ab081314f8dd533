"""The scaling policies of an Auto Scaling group, resolved (EC2 Auto Scaling API: PutScalingPolicy).

Decides which policies are simulated, and which metric each follows. Must not decide when to scale.
`auto_scaling_groups` calls `resolve_group_scaling` for each group.
"""

from __future__ import annotations

from typing import Any

from clustersim.policy.scaling.cloudwatch_metrics import Subject
from clustersim.scenario.aws.checked_block import CheckedBlock, read_block, with_camel_case_keys
from clustersim.scenario.resolve.context import Context, pick_fields
from clustersim.scenario.resolve.service_scaling import (
    check_metric,
    check_steps,
    read_steps,
    resolve_policy_alarm,
)
from clustersim.scenario.sections.scaling import DEFAULT_COOLDOWN_MS, GroupPolicy, StepScaling, TargetTracking
from clustersim.vocabulary import MS_PER_SECOND

_TARGET = "TargetTrackingConfiguration"


def resolve_group_scaling(context: Context, block: CheckedBlock) -> tuple[tuple[GroupPolicy, ...], int]:
    """Return the policies of a group, and the warm-up of its instances in ms."""
    cooldown = int(block.value.get("DefaultCooldown", DEFAULT_COOLDOWN_MS // MS_PER_SECOND))
    warmups = []
    policies: list[GroupPolicy] = []
    names: set[str] = set()
    for index, item in enumerate(block.value.get("scalingPolicies") or ()):
        inner = read_block(
            context.diagnostics, (*block.field_path("scalingPolicies"), index), item, "scalingPolicies"
        )
        if not inner.valid:
            continue
        policy_name = str(inner.value["PolicyName"])
        if policy_name in names:
            context.diagnostics.add_problem(
                inner.field_path("PolicyName"), f"a second policy is named {policy_name}", "rename it"
            )
        names.add(policy_name)
        policy = _resolve_policy(context, inner, policy_name, cooldown)
        if policy is not None:
            policies.append(policy)
            if "EstimatedInstanceWarmup" in inner.value:
                warmups.append(int(inner.value["EstimatedInstanceWarmup"]))
    default = int(block.value.get("DefaultInstanceWarmup", -1))
    warmup = default if default >= 0 else max(warmups, default=cooldown)
    return tuple(policies), warmup * MS_PER_SECOND


def _resolve_policy(context: Context, block: CheckedBlock, name: str, cooldown: int) -> GroupPolicy | None:
    """Return one policy; None if its type is not simulated or it is invalid."""
    policy_type = block.value.get("PolicyType", "SimpleScaling")
    if policy_type == "TargetTrackingScaling":
        return _resolve_target_tracking(context, block, name)
    if policy_type == "PredictiveScaling":
        return None
    if block.value.get("AdjustmentType") is None:
        context.diagnostics.add_problem(
            block.path, "has no adjustmentType", "adjustmentType: ChangeInCapacity"
        )
        return None
    if policy_type == "SimpleScaling":
        if "ScalingAdjustment" not in block.value:
            context.diagnostics.add_problem(block.path, "has no scalingAdjustment", "scalingAdjustment: 1")
            return None
        steps: Any = ((None, None, int(block.value["ScalingAdjustment"])),)
    else:
        steps = read_steps(block.value)
        if not steps:
            context.diagnostics.add_problem(block.path, "has no steps", "add stepAdjustments")
            return None
        check_steps(context, steps, block.field_path("StepAdjustments"))
    return StepScaling(
        name=name,
        adjustment_type=block.value["AdjustmentType"],
        steps=steps,
        min_adjustment_magnitude=block.value.get("MinAdjustmentMagnitude"),
        cooldown_ms=int(block.value.get("Cooldown", cooldown)) * MS_PER_SECOND,
        alarm=resolve_policy_alarm(context, block, Subject.GROUP),
        simple=policy_type == "SimpleScaling",
        **pick_fields(block.value, {"aggregation": "MetricAggregationType"}),
    )


def _resolve_target_tracking(context: Context, block: CheckedBlock, name: str) -> TargetTracking | None:
    """Return a target tracking policy; it follows average CPU or a custom metric."""
    written = block.value.get(_TARGET)
    if written is None:
        context.diagnostics.add_problem(
            block.path, "has no targetTrackingConfiguration", f"add {_TARGET[0].lower()}{_TARGET[1:]}"
        )
        return None
    custom, predefined = (written.get(f"{each}MetricSpecification") for each in ("Customized", "Predefined"))
    if (custom is None) == (predefined is None):
        problem = "two metrics" if custom else "no metric"
        hint = "either predefinedMetricSpecification or customizedMetricSpecification"
        context.diagnostics.add_problem(block.field_path(_TARGET), problem, hint)
        return None
    if custom is not None:
        metric = str(custom.get("MetricName", "customized"))
        custom = with_camel_case_keys(custom)
        check_metric(
            context, custom, block.field_path(_TARGET, "CustomizedMetricSpecification"), Subject.GROUP
        )
    else:
        metric = str(predefined["PredefinedMetricType"])
        if metric != "ASGAverageCPUUtilization":
            location = block.field_path(_TARGET, "PredefinedMetricSpecification", "PredefinedMetricType")
            context.diagnostics.add_problem(
                location, f"the metric {metric} is not simulated", "ASGAverageCPUUtilization"
            )
            return None
    target = float(written["TargetValue"])
    if target <= 0:
        context.diagnostics.add_problem(
            block.field_path(_TARGET, "TargetValue"), f"{target:g} is out of range", "above 0"
        )
        return None
    return TargetTracking(
        name=name,
        target=target,
        metric=metric,
        custom_metric=custom,
        **pick_fields(written, {"disable_scale_in": "DisableScaleIn"}),
    )
