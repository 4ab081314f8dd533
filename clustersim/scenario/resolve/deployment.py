"""The deployment configuration of a service, resolved.

Decides the percents and steps of each strategy, and resolves alarms, lifecycle hooks and their results. Must not know
how a deployment proceeds. `services` calls it for CreateService, `actions` for UpdateService.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clustersim.scenario.aws.checked_block import CheckedBlock
from clustersim.scenario.resolve.context import Context, pick_fields
from clustersim.scenario.sections.deployment import (
    CANARY_BAKE_MINUTES,
    CANARY_PERCENT,
    DAEMON_PERCENTS,
    LINEAR_BAKE_MINUTES,
    LINEAR_PERCENT,
    PAUSE,
    REPLICA_PERCENTS,
    ROLLING,
    CircuitBreaker,
    Deployment,
    DeploymentAlarms,
    EarlySuccess,
    LifecycleHook,
    WrittenCircuitBreakerKeys,
    WrittenHookResult,
)
from clustersim.scenario.sections.own_keys import pick_own_keys
from clustersim.scenario.sections.written_section import validate_section
from clustersim.scenario.text.document import FieldPath
from clustersim.vocabulary import MS_PER_MINUTE, MS_PER_SECOND


def resolve_deployment(
    context: Context, block: CheckedBlock, value: Mapping[str, Any], daemon: bool
) -> Deployment:
    """Return the deployment configuration `value` of the service (or update) in `block`."""
    minimum, maximum = DAEMON_PERCENTS if daemon else REPLICA_PERCENTS
    minimum = value.get("minimumHealthyPercent", minimum)
    maximum = value.get("maximumPercent", maximum)
    if minimum > maximum:
        location = block.field_path("deploymentConfiguration", "minimumHealthyPercent")
        context.diagnostics.add_problem(
            location, f"{minimum} is above maximumPercent {maximum}", f"at most {maximum}"
        )
    strategy = value.get("strategy", ROLLING)
    percent, bake_minutes = _traffic_step(value, strategy)
    early = value.get("earlySuccessCriteria") or {}
    return Deployment(
        strategy=strategy,
        minimum_healthy_percent=minimum,
        maximum_percent=maximum,
        circuit_breaker=_resolve_circuit_breaker(context, block, value.get("deploymentCircuitBreaker") or {}),
        alarms=_resolve_alarms(context, block, value.get("alarms") or {}),
        **pick_fields(value, {"bake_ms": "bakeTimeInMinutes"}, MS_PER_MINUTE),
        step_percent=percent,
        step_bake_ms=bake_minutes * MS_PER_MINUTE,
        hooks=_resolve_hooks(context, block, value.get("lifecycleHooks") or ()),
        early_success=EarlySuccess(
            **pick_fields(early, {"healthy_percent": "healthyPercent"}),
            blocking=early.get("sourceServiceRevisionCleanup", "BLOCKING") == "BLOCKING",
        )
        if early.get("enable") and strategy == ROLLING
        else None,
    )


def _traffic_step(value: Mapping[str, Any], strategy: str) -> tuple[float, int]:
    """Return the percent of traffic of one step, and the minutes after it."""
    if strategy == "CANARY":
        written = value.get("canaryConfiguration") or {}
        return (
            float(written.get("canaryPercent", CANARY_PERCENT)),
            written.get("canaryBakeTimeInMinutes", CANARY_BAKE_MINUTES),
        )
    if strategy == "LINEAR":
        written = value.get("linearConfiguration") or {}
        return (
            float(written.get("stepPercent", LINEAR_PERCENT)),
            written.get("stepBakeTimeInMinutes", LINEAR_BAKE_MINUTES),
        )
    return 100.0, 0


def _resolve_circuit_breaker(
    context: Context, block: CheckedBlock, written: Mapping[str, Any]
) -> CircuitBreaker | None:
    """Return the circuit breaker, which deployments of every strategy may have (Developer Guide: failure detection)."""
    location = block.field_path("deploymentConfiguration", "deploymentCircuitBreaker")
    own = validate_section(
        WrittenCircuitBreakerKeys,
        pick_own_keys(WrittenCircuitBreakerKeys, written),
        location,
        context.diagnostics,
    )
    if own is None or not written.get("enable"):
        return None
    threshold = written.get("thresholdConfiguration") or {}
    return CircuitBreaker(
        rollback=bool(written.get("rollback")),
        **pick_fields(written, {"reset_on_healthy_task": "resetOnHealthyTask"}),
        **pick_fields(threshold, {"threshold_type": "type", "threshold_value": "value"}),
        crashes_before_healthy=own.crashes_before_healthy,
    )


def _resolve_alarms(
    context: Context, block: CheckedBlock, written: Mapping[str, Any]
) -> DeploymentAlarms | None:
    """Return the alarms of a deployment, and report those that the scenario does not have."""
    if not written.get("enable"):
        return None
    names = []
    for index, name in enumerate(written.get("alarmNames") or ()):
        location = block.field_path("deploymentConfiguration", "alarms", "alarmNames", index)
        alarm = context.resolve_name("alarm", str(name), location)
        names += [alarm] if alarm is not None else []
    return DeploymentAlarms(names=tuple(names), rollback=bool(written.get("rollback")))


def _resolve_hooks(context: Context, block: CheckedBlock, written: Any) -> tuple[LifecycleHook, ...]:
    """Return the lifecycle hooks; without a `result` of our own a hook succeeds at once."""
    hooks = []
    for index, item in enumerate(written):
        location: FieldPath = block.field_path("deploymentConfiguration", "lifecycleHooks", index)
        result = validate_section(
            WrittenHookResult, item.get("result") or {}, (*location, "result"), context.diagnostics
        )
        if result is None:
            continue
        timeout = item.get("timeoutConfiguration") or {}
        hooks.append(
            LifecycleHook(
                stages=tuple(item.get("lifecycleStages") or ()),
                after_ms=result.after,
                status=result.status,
                call_back_ms=0 if item.get("targetType") == PAUSE else result.call_back_delay,
                **pick_fields(timeout, {"timeout_ms": "timeoutInMinutes"}, MS_PER_MINUTE),
                **pick_fields(timeout, {"timeout_action": "action"}),
            )
        )
    return tuple(hooks)


def alarm_window_ms(alarm: Mapping[str, Any]) -> int:
    """Return how far back an alarm looks: the bake time of a rolling deployment is that of its slowest alarm.

    The ECS Developer Guide (deployment alarms) derives the bake time from the alarms without a formula.
    """
    return int(alarm.get("period", 60)) * int(alarm.get("evaluationPeriods", 1)) * MS_PER_SECOND
