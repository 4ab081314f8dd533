"""Stages of a deployment that shifts traffic: their order, the traffic steps, delays, and the answers of hooks.

Decides which stages a deployment and its rollback go through, at which of them hooks are called again, and when a hook
has answered. It must not know tasks, services or the clock; `control.services.traffic_shifting` calls it.

Sources: botocore ServiceDeploymentLifecycleStage, LinearConfiguration, CanaryConfiguration; ECS Developer Guide:
lifecycle hooks, Lambda hooks, pause hooks, linear deployments, Network Load Balancer resources.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from clustersim.vocabulary import MS_PER_DAY, MS_PER_MINUTE

STAGES = (
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
)
MAX_STAGE_MS = MS_PER_DAY
MAX_DEPLOYMENT_MS = 30 * MS_PER_DAY
NETWORK_BALANCER_MS = 10 * MS_PER_MINUTE  # Developer Guide: Network Load Balancer resources for blue/green
_ROUNDING = 1e-9
_OF_EACH_STEP = ("PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT")
_SHIFTING = ("TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT")
_OF_CONFIGURED_LENGTH = ("PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP")


class TrafficStep(NamedTuple):
    """A shift of production traffic: `percent` on the new revision, then `then_ms` until the next step."""

    percent: float
    then_ms: int


class Stage(NamedTuple):
    """One stage on the way of a deployment; PRE_PRODUCTION and PRODUCTION_TRAFFIC_SHIFT occur once for each step."""

    name: str
    step: TrafficStep | None = None
    delay_ms: int = 0  # a Network Load Balancer's, after the hooks and before the traffic moves

    def is_at_least(self, name: str) -> bool:
        """Return whether the stage is `name` or a later one."""
        return STAGES.index(self.name) >= STAGES.index(name)

    @property
    def is_limited(self) -> bool:
        """Whether the deployment fails when the stage takes 24 hours; the others have lengths of their own."""
        return self.name not in _OF_CONFIGURED_LENGTH


class HookAnswer(NamedTuple):
    """The last answer of a hook: how long after its call it came, and what it was."""

    after_ms: int
    outcome: str  # SUCCEEDED, FAILED or TIMED_OUT


def traffic_steps(strategy: str, step_percent: float, step_bake_ms: int) -> tuple[TrafficStep, ...]:
    """Return the traffic shifts of a deployment; the step that reaches 100 % has no step bake time.

    BLUE_GREEN moves everything at once, CANARY one step and then the rest, LINEAR equal steps.
    """
    if strategy == "BLUE_GREEN":
        return (TrafficStep(100.0, 0),)
    if strategy == "CANARY":
        return (TrafficStep(step_percent, step_bake_ms), TrafficStep(100.0, 0))
    if strategy != "LINEAR":
        raise ValueError(f"{strategy!r} shifts no traffic")
    count = math.ceil(100.0 / step_percent - _ROUNDING)
    percents = [min(100.0, round(number * step_percent, 1)) for number in range(1, count + 1)]
    return tuple(TrafficStep(percent, step_bake_ms if percent < 100.0 else 0) for percent in percents)


def deployment_stages(steps: tuple[TrafficStep, ...], network_balancer: bool) -> tuple[Stage, ...]:
    """Return the stages of a deployment with these traffic steps."""
    before = [name for name in STAGES if STAGES.index(name) < STAGES.index(_OF_EACH_STEP[0])]
    after = [name for name in STAGES if STAGES.index(name) > STAGES.index(_OF_EACH_STEP[-1])]
    stages = [Stage(name) for name in before]
    stages += [Stage(name, step) for step in steps for name in _OF_EACH_STEP]
    stages += [Stage(name) for name in after]
    return tuple(_with_delay(stage, network_balancer) for stage in stages)


def rollback_stages(reached: Stage, network_balancer: bool) -> tuple[Stage, ...]:
    """Return the stages of a rollback: those that shift traffic, backwards, of those that the deployment reached."""
    names = [name for name in reversed(_SHIFTING) if reached.is_at_least(name)]
    return tuple(_with_delay(Stage(name), network_balancer) for name in (*names, STAGES[-1]))


def _with_delay(stage: Stage, network_balancer: bool) -> Stage:
    delayed = network_balancer and stage.name in _SHIFTING
    return stage._replace(delay_ms=NETWORK_BALANCER_MS) if delayed else stage


def hook_answer(status: str, after_ms: int, call_back_ms: int, timeout_ms: int) -> HookAnswer:
    """Return the last answer of a hook that would answer `status` `after_ms` after its call.

    A Lambda function answers IN_PROGRESS until then and is asked again every `call_back_ms`; a pause (0) ends at that
    instant. IN_PROGRESS is never the last answer: the hook times out.
    """
    if call_back_ms > 0:
        after_ms = math.ceil(after_ms / call_back_ms) * call_back_ms
    if status == "IN_PROGRESS" or after_ms > timeout_ms:
        return HookAnswer(timeout_ms, "TIMED_OUT")
    return HookAnswer(after_ms, status)
