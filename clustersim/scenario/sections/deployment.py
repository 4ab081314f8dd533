"""Deployments, resolved: how a service replaces its tasks, and when a deployment fails.

The written form is an AWS block (DeploymentConfiguration), except for `result` of a lifecycle hook, which is a key of
our own. Decides the defaults (botocore: DeploymentConfiguration and the shapes that it contains). Must not know tasks
or traffic. `resolve.deployment` makes these models.
"""

from __future__ import annotations

from typing import Literal

from clustersim.scenario.sections.resolved_section import ResolvedSection
from clustersim.scenario.sections.written_section import WrittenSection
from clustersim.scenario.text.units import DurationMs, PositiveDurationMs
from clustersim.vocabulary import MS_PER_DAY, MS_PER_SECOND

DeploymentStrategy = Literal["ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"]
ThresholdType = Literal["BOUNDED_PERCENT", "UNBOUNDED_PERCENT", "COUNT"]
CrashCounting = Literal["withHealthCheck", "always", "never"]
HookStatus = Literal["SUCCEEDED", "FAILED", "IN_PROGRESS"]

ROLLING: DeploymentStrategy = "ROLLING"
PAUSE = "PAUSE"
"""`targetType` of a lifecycle hook that an operator ends; any other calls a Lambda function."""
REPLICA_PERCENTS = (100, 200)
"""Minimum and maximum healthy percent (botocore: DeploymentConfiguration.minimumHealthyPercent, by the API)."""
DAEMON_PERCENTS = (0, 100)
CANARY_PERCENT, CANARY_BAKE_MINUTES = 5.0, 10  # botocore: CanaryConfiguration
LINEAR_PERCENT, LINEAR_BAKE_MINUTES = 10.0, 6  # botocore: LinearConfiguration


class WrittenCircuitBreakerKeys(WrittenSection):
    """The key of our own in `deploymentCircuitBreaker`: which crashes after RUNNING are failures of a deployment.

    Of tasks that were never healthy: `withHealthCheck` counts those of services with a container health check or a load
    balancer.
    """

    crashes_before_healthy: CrashCounting = "withHealthCheck"


class CircuitBreaker(ResolvedSection):
    """The condition under which a rolling deployment has failed."""

    rollback: bool = False
    reset_on_healthy_task: bool = True
    threshold_type: ThresholdType = "BOUNDED_PERCENT"
    threshold_value: int = 50
    crashes_before_healthy: CrashCounting = "withHealthCheck"


class DeploymentAlarms(ResolvedSection):
    """The alarms that fail a deployment."""

    names: tuple[str, ...]
    rollback: bool = False


class WrittenHookResult(WrittenSection):
    """`result` of a lifecycle hook: the answer of its Lambda function, or of the operator who ends a pause."""

    after: DurationMs = 0
    status: HookStatus = "SUCCEEDED"
    call_back_delay: PositiveDurationMs = 30 * MS_PER_SECOND
    """Until it answers, a Lambda function is asked again so often (Developer Guide: Lambda hooks)."""


class LifecycleHook(ResolvedSection):
    """A hook at stages of a deployment that shifts traffic, and its answer.

    `after_ms` from its call it answers `status`. IN_PROGRESS is not final: the hook ends by `timeout_ms`. A Lambda
    function is asked every `call_back_ms`; a pause, which an operator ends, has 0.
    """

    stages: tuple[str, ...]
    after_ms: int
    status: HookStatus
    call_back_ms: int
    timeout_ms: int = MS_PER_DAY  # botocore: DeploymentLifecycleHookTimeoutConfiguration
    timeout_action: Literal["ROLLBACK", "CONTINUE"] = "ROLLBACK"


class EarlySuccess(ResolvedSection):
    """The condition under which a rolling deployment is complete before all its tasks are healthy."""

    healthy_percent: int = 100
    blocking: bool


class Deployment(ResolvedSection):
    """The deployment configuration of a service.

    `step_percent` and `step_bake_ms` are those of LINEAR, or of the one step of CANARY before the rest.
    """

    strategy: DeploymentStrategy = ROLLING
    minimum_healthy_percent: int = REPLICA_PERCENTS[0]
    maximum_percent: int = REPLICA_PERCENTS[1]
    circuit_breaker: CircuitBreaker | None = None
    alarms: DeploymentAlarms | None = None
    bake_ms: int | None = None
    """None: not written; a rolling deployment with alarms then takes the evaluation time of its slowest alarm."""
    step_percent: float = 100.0
    step_bake_ms: int = 0
    hooks: tuple[LifecycleHook, ...] = ()
    early_success: EarlySuccess | None = None
