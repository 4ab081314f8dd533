"""How far a deployment may go at once, and when it has failed: the arithmetic of the healthy percents and the breaker.

Pure functions on counts. They know no tasks, no clock and no traffic; `control.services.replicas`,
`control.services.deployments` and `control.services.traffic_shifting` call them.

Sources: botocore DeploymentConfiguration (bounds), DeploymentCircuitBreaker and ThresholdConfiguration,
LinearConfiguration, CanaryConfiguration; ECS Developer Guide: rolling update, deployment circuit breaker, service
throttle logic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from clustersim.vocabulary import MS_PER_MINUTE, MS_PER_SECOND

THROTTLE_FIRST_MS = 10 * MS_PER_SECOND
THROTTLE_LONGEST_MS = 27 * MS_PER_MINUTE  # Developer Guide: service throttle logic
LEAST_FAILURES, MOST_FAILURES = 3, 200  # of BOUNDED_PERCENT (Developer Guide: deployment circuit breaker)
_ROUNDING = 1e-9


def throttle_delay_ms(failed_rounds: int) -> int:
    """How long launches pause after so many rounds in which tasks failed to start.

    AWS publishes only the longest pause, 27 minutes; doubling from 10 s is our choice (MODEL.md).
    """
    if failed_rounds <= 0:
        return 0
    return min(THROTTLE_FIRST_MS << min(failed_rounds - 1, 20), THROTTLE_LONGEST_MS)


def healthy_bounds(desired: int, minimum_percent: int, maximum_percent: int) -> tuple[int, int]:
    """(lower, upper) bound of the task count during a deployment: ceil and floor."""
    return math.ceil(desired * minimum_percent / 100), math.floor(desired * maximum_percent / 100)


def breaker_threshold(desired: int, threshold_type: str = "BOUNDED_PERCENT", value: int = 50) -> int:
    """How many failures in a row fail a deployment, by the latest desired count; at least one."""
    if threshold_type == "COUNT":
        return value
    share = math.ceil(desired * value / 100 - _ROUNDING)
    if threshold_type == "UNBOUNDED_PERCENT":
        return max(share, 1)
    return min(max(share, LEAST_FAILURES), MOST_FAILURES)


@dataclass(frozen=True)
class Counts:
    """The tasks of a service at an instant, all but those that stop."""

    desired: int
    fresh: int  # of the PRIMARY deployment, and to stay: neither leaving nor unhealthy
    total: int
    starting: int  # created and not yet RUNNING, of all deployments
    healthy: int
    old: int  # of older deployments
    old_healthy: int
    leaving: int  # of the PRIMARY deployment, on draining instances or to be replaced otherwise
    unwell: int  # of the PRIMARY deployment, RUNNING and found unhealthy
    settling: int = 0  # of `fresh`, where some are unhealthy: starting, or not yet found healthy


class Step(NamedTuple):
    """What the scheduler may do now: start tasks of the PRIMARY deployment, and stop others."""

    start: int = 0
    stop_old: int = 0
    stop_leaving: int = 0
    stop_unwell: int = 0


def rolling_step(counts: Counts, lower: int, upper: int) -> Step:
    """One step of a rolling update, of replacing unhealthy tasks, or of emptying draining instances.

    Start while the total stays within `upper`; stop what is old or leaving while the healthy stay at or above
    `lower`. Old tasks that are not healthy go first: they hold nothing up.
    """
    start = max(0, min(counts.desired - counts.fresh, upper - counts.total))
    spare = max(0, counts.healthy - lower)
    ailing = counts.old - counts.old_healthy
    stop_old = ailing + min(counts.old_healthy, spare)
    spare -= stop_old - ailing
    stop_leaving = min(counts.leaving, spare)
    return Step(start, stop_old, stop_leaving, _stop_unwell(counts, lower, upper))


def _stop_unwell(counts: Counts, lower: int, upper: int) -> int:
    """How many unhealthy tasks may be stopped: each once its replacement is healthy.

    If the replacements fail too, as many as are too many. If `upper` allows no replacement, one at a time,
    while `lower` tasks stay RUNNING (botocore: minimumHealthyPercent).
    """
    if counts.unwell == 0:
        return 0
    replaced = counts.healthy - max(0, counts.desired - counts.unwell)
    stop = min(counts.unwell, max(0, replaced))
    if counts.settling == 0:
        stop = max(stop, min(counts.unwell, counts.total - counts.desired))
        if stop <= 0 and counts.total >= upper and counts.total - 1 >= lower:
            stop = 1
    return max(stop, 0)


def is_stuck(counts: Counts, step: Step, upper: int) -> bool:
    """Whether a deployment (or a drain) can neither start nor stop a task, and never will (goldens 5, 6)."""
    wants = counts.old > 0 or counts.leaving > 0
    settled = counts.starting == 0 and counts.healthy == counts.total
    return wants and settled and step == Step() and counts.total >= upper


class TrafficStep(NamedTuple):
    """A shift of production traffic: to so many percent on the new revision, then so long until the next."""

    percent: float
    then_ms: int


def traffic_steps(strategy: str, step_percent: float, step_bake_ms: int) -> tuple[TrafficStep, ...]:
    """The shifts of a deployment; no step bake after the one that reaches 100 %.

    BLUE_GREEN moves everything at once, CANARY one step and then the rest, LINEAR equal steps.
    """
    if strategy == "BLUE_GREEN":
        return (TrafficStep(100.0, 0),)
    if strategy == "CANARY":
        return (TrafficStep(step_percent, step_bake_ms), TrafficStep(100.0, 0))
    count = math.ceil(100.0 / step_percent - _ROUNDING)
    percents = [min(100.0, round(number * step_percent, 1)) for number in range(1, count + 1)]
    return tuple(TrafficStep(percent, step_bake_ms if percent < 100.0 else 0) for percent in percents)


def rebalancing_move(tasks: dict[int, int]) -> tuple[int, int] | None:
    """(poorest, richest) zone between which a task should move, or None where zones are balanced.

    `tasks` counts the service's tasks per zone it may use. Balanced is what differs by one at most (ECS
    Developer Guide: service rebalancing; goldens 26, 27); ties go to the first zone.
    """
    if len(tasks) < 2:
        return None
    poorest = min(tasks, key=lambda zone: (tasks[zone], zone))
    richest = min(tasks, key=lambda zone: (-tasks[zone], zone))
    return (poorest, richest) if tasks[richest] - tasks[poorest] > 1 else None
