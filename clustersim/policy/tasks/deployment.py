"""Limits of deployments: how many tasks may start and stop at once, and when a deployment has failed.

The arithmetic of the healthy percents and of the circuit breaker, as pure functions on counts. They must not know
tasks, the clock or traffic (`traffic_shift`); `control.services.replicas` and `control.services.deployments` call them.

Sources: botocore DeploymentConfiguration (bounds), DeploymentCircuitBreaker and ThresholdConfiguration; ECS Developer
Guide: rolling update, deployment circuit breaker, service throttle logic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from clustersim.vocabulary import MS_PER_MINUTE, MS_PER_SECOND

MIN_THROTTLE_MS = 10 * MS_PER_SECOND
MAX_THROTTLE_MS = 27 * MS_PER_MINUTE  # Developer Guide: service throttle logic
MIN_FAILURES, MAX_FAILURES = 3, 200  # of BOUNDED_PERCENT (Developer Guide: deployment circuit breaker)
_ROUNDING = 1e-9


def throttle_delay_ms(failed_rounds: int) -> int:
    """Return the pause of launches, in ms, after this many rounds in which tasks failed to start.

    AWS publishes only the longest pause, 27 minutes; doubling from 10 s is our choice (MODEL.md).
    """
    if failed_rounds <= 0:
        return 0
    return min(MIN_THROTTLE_MS << min(failed_rounds - 1, 20), MAX_THROTTLE_MS)


def healthy_bounds(desired: int, minimum_percent: int, maximum_percent: int) -> tuple[int, int]:
    """Return the (lower, upper) bound of the task count during a deployment: rounded up and down."""
    return math.ceil(desired * minimum_percent / 100), math.floor(desired * maximum_percent / 100)


def breaker_threshold(desired: int, threshold_type: str = "BOUNDED_PERCENT", value: int = 50) -> int:
    """Return how many consecutive failures fail a deployment, at least one.

    `desired` is the latest desired count.
    """
    if threshold_type == "COUNT":
        return value
    failures = math.ceil(desired * value / 100 - _ROUNDING)
    if threshold_type == "UNBOUNDED_PERCENT":
        return max(failures, 1)
    if threshold_type != "BOUNDED_PERCENT":
        raise ValueError(f"{threshold_type!r} is no type of a threshold")
    return min(max(failures, MIN_FAILURES), MAX_FAILURES)


def crash_is_failure(counting: str, has_health_check: bool) -> bool:
    """Return whether a crash after RUNNING, before the task was healthy, is a failure of the deployment.

    `counting` is `withHealthCheck`, `always` or `never`; no page of AWS names the rule (MODEL.md).
    """
    return counting == "always" or (counting == "withHealthCheck" and has_health_check)


@dataclass(frozen=True)
class DeploymentCounts:
    """The tasks of a service at an instant, except those that are stopping."""

    desired: int
    up_to_date: int  # of the PRIMARY deployment, neither leaving nor unhealthy
    total: int
    starting: int  # created and not yet RUNNING, of all deployments
    healthy: int
    old: int  # of older deployments
    old_healthy: int
    leaving: int  # of the PRIMARY deployment, to be replaced: on draining instances, or for another reason
    unhealthy: int  # of the PRIMARY deployment, RUNNING and unhealthy
    settling: int = 0  # of `fresh`, where some are unhealthy: starting, or not yet found healthy


class RollingStep(NamedTuple):
    """The actions allowed now: start tasks of the PRIMARY deployment, and stop others."""

    start: int = 0
    stop_old: int = 0
    stop_leaving: int = 0
    stop_unhealthy: int = 0


def rolling_step(counts: DeploymentCounts, lower: int, upper: int) -> RollingStep:
    """Compute one step of a rolling update, of replacing unhealthy tasks, or of draining instances.

    Tasks start while the total stays within `upper`; old or leaving tasks stop while the healthy ones stay at or above
    `lower`. Unhealthy old tasks stop first, as no bound counts them.
    """
    start = max(0, min(counts.desired - counts.up_to_date, upper - counts.total))
    spare = max(0, counts.healthy - lower)
    unhealthy_old = counts.old - counts.old_healthy
    stop_old = unhealthy_old + min(counts.old_healthy, spare)
    spare -= stop_old - unhealthy_old
    stop_leaving = min(counts.leaving, spare)
    return RollingStep(start, stop_old, stop_leaving, _unhealthy_to_stop(counts, lower, upper))


def _unhealthy_to_stop(counts: DeploymentCounts, lower: int, upper: int) -> int:
    """Return how many unhealthy tasks may stop: each once its replacement is healthy.

    If the replacements fail too, as many as exceed the desired count. If `upper` allows no replacement, one at a time,
    while `lower` tasks stay RUNNING (botocore: minimumHealthyPercent).
    """
    if counts.unhealthy == 0:
        return 0
    replaced = counts.healthy - max(0, counts.desired - counts.unhealthy)
    stop = min(counts.unhealthy, max(0, replaced))
    if counts.settling == 0:
        stop = max(stop, min(counts.unhealthy, counts.total - counts.desired))
        if stop <= 0 and counts.total >= upper and counts.total - 1 >= lower:
            stop = 1
    return max(stop, 0)


def is_stuck(counts: DeploymentCounts, step: RollingStep, upper: int) -> bool:
    """Return whether a deployment (or a drain) can neither start nor stop a task, now or later (goldens 5, 6)."""
    work_left = counts.old > 0 or counts.leaving > 0
    settled = counts.starting == 0 and counts.healthy == counts.total
    return work_left and settled and step == RollingStep() and counts.total >= upper


def find_rebalancing_move(tasks: dict[int, int]) -> tuple[int, int] | None:
    """Return the (emptiest, fullest) zone between which a task should move, or None if zones are balanced.

    `tasks` counts the tasks of the service in each zone it may use. Zones are balanced if they differ by one at most
    (ECS Developer Guide: service rebalancing; goldens 26, 27); ties go to the first zone.
    """
    if len(tasks) < 2:
        return None
    emptiest = min(tasks, key=lambda zone: (tasks[zone], zone))
    fullest = min(tasks, key=lambda zone: (-tasks[zone], zone))
    return (emptiest, fullest) if tasks[fullest] - tasks[emptiest] > 1 else None
