"""The deployment configuration of a service, resolved.

Decides defaults and what refers to what (alarms, lifecycle hooks and their results). Must not know how a deployment
goes. `resolve_services` calls it for CreateService, `resolve_actions` for UpdateService.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from clustersim.scenario.aws.checked_block import Block
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.sections.deployment import (
    CircuitBreaker,
    Deployment,
    DeploymentAlarms,
    EarlySuccess,
    LifecycleHook,
)
from clustersim.scenario.sections.written_section import Written, validate
from clustersim.scenario.text.document import Steps
from clustersim.scenario.text.units import DurationMs
from clustersim.vocabulary import MS_PER_MINUTE

CANARY_PERCENT, CANARY_BAKE_MINUTES = 5.0, 10  # botocore: CanaryConfiguration
LINEAR_PERCENT, LINEAR_BAKE_MINUTES = 10.0, 6  # botocore: LinearConfiguration
HOOK_TIMEOUT_MINUTES = 1_440  # botocore: DeploymentLifecycleHookTimeoutConfiguration
DAEMON_PERCENTS = (0, 100)  # botocore: DeploymentConfiguration.minimumHealthyPercent, by the API
REPLICA_PERCENTS = (100, 200)


class HookResult(Written):
    """`result` of a lifecycle hook: what the Lambda function, or whoever continues a pause, will answer."""

    after: DurationMs = 0
    status: Literal["SUCCEEDED", "FAILED", "IN_PROGRESS"] = "SUCCEEDED"


def deployment(context: Context, block: Block, value: Mapping[str, Any], daemon: bool) -> Deployment:
    """The deployment configuration `value` of the service (or update) in `block`."""
    minimum, maximum = DAEMON_PERCENTS if daemon else REPLICA_PERCENTS
    minimum = value.get("minimumHealthyPercent", minimum)
    maximum = value.get("maximumPercent", maximum)
    if minimum > maximum:
        at = block.at("deploymentConfiguration", "minimumHealthyPercent")
        context.findings.add(at, f"{minimum} is above maximumPercent {maximum}", f"at most {maximum}")
    strategy = value.get("strategy", "ROLLING")
    percent, bake_minutes = _step(value, strategy)
    early = value.get("earlySuccessCriteria") or {}
    return Deployment(
        strategy=strategy,
        minimum_healthy_percent=minimum,
        maximum_percent=maximum,
        circuit_breaker=_circuit_breaker(value.get("deploymentCircuitBreaker") or {}, strategy),
        alarms=_alarms(context, block, value.get("alarms") or {}),
        bake_ms=value.get("bakeTimeInMinutes", 0) * MS_PER_MINUTE,
        step_percent=percent,
        step_bake_ms=bake_minutes * MS_PER_MINUTE,
        hooks=_hooks(context, block, value.get("lifecycleHooks") or ()),
        early_success=EarlySuccess(
            healthy_percent=early.get("healthyPercent", 100),
            blocking=early.get("sourceServiceRevisionCleanup", "BLOCKING") == "BLOCKING",
        )
        if early.get("enable") and strategy == "ROLLING"
        else None,
    )


def _step(value: Mapping[str, Any], strategy: str) -> tuple[float, int]:
    """The percent of traffic of one step, and the minutes after it."""
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


def _circuit_breaker(written: Mapping[str, Any], strategy: str) -> CircuitBreaker | None:
    """The circuit breaker, which only rolling deployments have (botocore: DeploymentCircuitBreaker)."""
    if not written.get("enable") or strategy != "ROLLING":
        return None
    threshold = written.get("thresholdConfiguration") or {}
    return CircuitBreaker(
        rollback=bool(written.get("rollback")),
        reset_on_healthy_task=written.get("resetOnHealthyTask", True),
        threshold_type=threshold.get("type", "BOUNDED_PERCENT"),
        threshold_value=threshold.get("value", 50),
    )


def _alarms(context: Context, block: Block, written: Mapping[str, Any]) -> DeploymentAlarms | None:
    """The alarms of a deployment; each has to be one of the scenario's."""
    if not written.get("enable"):
        return None
    names = []
    for index, name in enumerate(written.get("alarmNames") or ()):
        place = block.at("deploymentConfiguration", "alarms", "alarmNames", index)
        found = context.find("alarm", str(name), place)
        names += [found] if found is not None else []
    return DeploymentAlarms(names=tuple(names), rollback=bool(written.get("rollback")))


def _hooks(context: Context, block: Block, written: Any) -> tuple[LifecycleHook, ...]:
    """The lifecycle hooks; without a `result` of our own a hook succeeds at once."""
    found = []
    for index, item in enumerate(written):
        place: Steps = block.at("deploymentConfiguration", "lifecycleHooks", index)
        result = validate(HookResult, item.get("result") or {}, (*place, "result"), context.findings)
        if result is None:
            continue
        timeout = item.get("timeoutConfiguration") or {}
        found.append(
            LifecycleHook(
                stages=tuple(item.get("lifecycleStages") or ()),
                after_ms=result.after,
                status=result.status,
                timeout_ms=timeout.get("timeoutInMinutes", HOOK_TIMEOUT_MINUTES) * MS_PER_MINUTE,
                timeout_action=timeout.get("action", "ROLLBACK"),
            )
        )
    return tuple(found)


def alarm_ms(alarm: Mapping[str, Any]) -> int:
    """How far back an alarm looks: the bake time of a rolling deployment is that of its slowest alarm.

    The ECS Developer Guide (deployment alarms) derives the bake time from the alarms without a formula.
    """
    return int(alarm.get("period", 60)) * int(alarm.get("evaluationPeriods", 1)) * 1_000
