"""The scaling policies of an Auto Scaling group, resolved (EC2 Auto Scaling API: PutScalingPolicy).

Decides which of them are simulated and what they follow. Must not know what scaling does. `resolve_groups` calls
`group_scaling` for each group.
"""

from __future__ import annotations

from typing import Any

from clustersim.policy.scaling.cloudwatch_metrics import Subject
from clustersim.scenario.aws.checked_block import Block, check, in_camel_case
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.service_scaling import check_source, check_steps, own_alarm, steps_of
from clustersim.scenario.sections.scaling import StepScaling, TargetTracking
from clustersim.vocabulary import MS_PER_SECOND

_TARGET = "TargetTrackingConfiguration"
_DEFAULT_COOLDOWN = 300
"""EC2 Auto Scaling User Guide: scaling cooldowns; the instance warm-up falls back to it."""


def group_scaling(context: Context, block: Block) -> tuple[tuple[TargetTracking | StepScaling, ...], int]:
    """The policies of a group, and the warm-up of its instances, ms."""
    cooldown = int(block.value.get("DefaultCooldown", _DEFAULT_COOLDOWN))
    warmups = []
    found: list[TargetTracking | StepScaling] = []
    names: set[str] = set()
    for index, item in enumerate(block.value.get("scalingPolicies") or ()):
        inner = check(context.findings, (*block.at("scalingPolicies"), index), item, "scalingPolicies")
        if not inner.sound:
            continue
        policy_name = str(inner.value["PolicyName"])
        if policy_name in names:
            context.findings.add(
                inner.at("PolicyName"), f"a second policy is named {policy_name}", "rename it"
            )
        names.add(policy_name)
        policy = _policy(context, inner, policy_name, cooldown)
        if policy is not None:
            found.append(policy)
            if "EstimatedInstanceWarmup" in inner.value:
                warmups.append(int(inner.value["EstimatedInstanceWarmup"]))
    default = int(block.value.get("DefaultInstanceWarmup", -1))
    warmup = default if default >= 0 else max(warmups, default=cooldown)
    return tuple(found), warmup * MS_PER_SECOND


def _policy(context: Context, block: Block, name: str, cooldown: int) -> TargetTracking | StepScaling | None:
    """One sound policy; None where its type is not simulated, or it is broken."""
    kind = block.value.get("PolicyType", "SimpleScaling")
    if kind == "TargetTrackingScaling":
        return _tracking(context, block, name)
    if kind == "PredictiveScaling":
        return None
    if block.value.get("AdjustmentType") is None:
        context.findings.add(block.path, "has no adjustmentType", "adjustmentType: ChangeInCapacity")
        return None
    if kind == "SimpleScaling":
        if "ScalingAdjustment" not in block.value:
            context.findings.add(block.path, "has no scalingAdjustment", "scalingAdjustment: 1")
            return None
        steps: Any = ((None, None, int(block.value["ScalingAdjustment"])),)
    else:
        steps = steps_of(block.value)
        if not steps:
            context.findings.add(block.path, "has no steps", "add stepAdjustments")
            return None
        check_steps(context, steps, block.at("StepAdjustments"))
    return StepScaling(
        name=name,
        adjustment_type=block.value["AdjustmentType"],
        steps=steps,
        min_adjustment_magnitude=block.value.get("MinAdjustmentMagnitude"),
        cooldown_ms=int(block.value.get("Cooldown", cooldown)) * MS_PER_SECOND,
        aggregation=block.value.get("MetricAggregationType", "Average"),
        alarm=own_alarm(context, block, Subject.GROUP),
        simple=kind == "SimpleScaling",
    )


def _tracking(context: Context, block: Block, name: str) -> TargetTracking | None:
    """A target tracking policy; what it follows is average CPU, or a metric of one's own."""
    written = block.value.get(_TARGET)
    if written is None:
        context.findings.add(
            block.path, "has no targetTrackingConfiguration", f"add {_TARGET[0].lower()}{_TARGET[1:]}"
        )
        return None
    custom, predefined = (written.get(f"{each}MetricSpecification") for each in ("Customized", "Predefined"))
    if (custom is None) == (predefined is None):
        what = "two metrics" if custom else "no metric"
        right = "either predefinedMetricSpecification or customizedMetricSpecification"
        context.findings.add(block.at(_TARGET), what, right)
        return None
    if custom is not None:
        metric = str(custom.get("MetricName", "customized"))
        custom = in_camel_case(custom)
        check_source(context, custom, block.at(_TARGET, "CustomizedMetricSpecification"), Subject.GROUP)
    else:
        metric = str(predefined["PredefinedMetricType"])
        if metric != "ASGAverageCPUUtilization":
            place = block.at(_TARGET, "PredefinedMetricSpecification", "PredefinedMetricType")
            context.findings.add(place, f"the metric {metric} is not simulated", "ASGAverageCPUUtilization")
            return None
    target = float(written["TargetValue"])
    if target <= 0:
        context.findings.add(block.at(_TARGET, "TargetValue"), f"{target:g} is out of range", "above 0")
        return None
    return TargetTracking(
        name=name,
        target=target,
        metric=metric,
        custom_metric=custom,
        disable_scale_in=bool(written.get("DisableScaleIn", False)),
    )
