"""The resolved scenario's deployments: how a service replaces its tasks, and when it gives up.

Decides nothing; `resolve_deployment` makes these models. Must not know tasks or traffic. `model` gives their names
on. Source of all fields and defaults: botocore, DeploymentConfiguration and what it holds.
"""

from __future__ import annotations

from typing import Literal

from clustersim.scenario.sections.resolved_section import Resolved

Strategy = Literal["ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"]
Threshold = Literal["BOUNDED_PERCENT", "UNBOUNDED_PERCENT", "COUNT"]


class CircuitBreaker(Resolved):
    """When a rolling deployment has failed."""

    rollback: bool = False
    reset_on_healthy_task: bool = True
    threshold_type: Threshold = "BOUNDED_PERCENT"
    threshold_value: int = 50


class DeploymentAlarms(Resolved):
    """The alarms that fail a deployment."""

    names: tuple[str, ...]
    rollback: bool = False


class LifecycleHook(Resolved):
    """What runs at stages of a deployment that shifts traffic, and what it will answer.

    `after_ms` from its call it has answered `status`; IN_PROGRESS never ends by itself, `timeout_ms` does.
    """

    stages: tuple[str, ...]
    after_ms: int = 0
    status: Literal["SUCCEEDED", "FAILED", "IN_PROGRESS"] = "SUCCEEDED"
    timeout_ms: int = 86_400_000
    timeout_action: Literal["ROLLBACK", "CONTINUE"] = "ROLLBACK"


class EarlySuccess(Resolved):
    """When a rolling deployment is complete before all its tasks are healthy."""

    healthy_percent: int
    blocking: bool = True


class Deployment(Resolved):
    """The deployment configuration of a service.

    `step_percent` and `step_bake_ms` are those of LINEAR, or of CANARY's one step before the rest.
    """

    strategy: Strategy = "ROLLING"
    minimum_healthy_percent: int = 100
    maximum_percent: int = 200
    circuit_breaker: CircuitBreaker | None = None
    alarms: DeploymentAlarms | None = None
    bake_ms: int = 0
    step_percent: float = 100.0
    step_bake_ms: int = 0
    hooks: tuple[LifecycleHook, ...] = ()
    early_success: EarlySuccess | None = None
