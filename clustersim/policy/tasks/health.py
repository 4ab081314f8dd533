"""When health checks pass and fail: the arithmetic of checks at fixed intervals, in closed form.

Decides, for an application that is ready some time after it began and may later hang, when it is first found
well and when it is declared unwell, by a container health check and by a load balancer's. All times are ms
since the container (or target) began; NEVER means never. Knows no tasks and no grace period;
`world.tasks.health` applies it. A check happens at each whole interval and its answer counts at once.

Sources: botocore ECS HealthCheck (interval, retries, startPeriod), ELBv2 CreateTargetGroup
(HealthCheckIntervalSeconds, HealthyThresholdCount, UnhealthyThresholdCount), ELB user guide: target health.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.vocabulary import NEVER


@kernel
def first_pass(interval_ms: int, ready_ms: int) -> int:
    """The first check that finds the application ready."""
    if ready_ms < 0:
        return NEVER
    return max(1, (ready_ms + interval_ms - 1) // interval_ms) * interval_ms


@kernel
def container_unwell(interval_ms: int, retries: int, start_period_ms: int, ready_ms: int) -> int:
    """When a container that is not ready in time is UNHEALTHY: `retries` checks in a row after the start period.

    A success, also within the start period, makes it HEALTHY first; then this is NEVER.
    """
    first_counted = start_period_ms // interval_ms + 1
    unwell = (first_counted + retries - 1) * interval_ms
    passed = first_pass(interval_ms, ready_ms)
    return NEVER if 0 <= passed <= unwell else unwell


@kernel
def target_unwell(interval_ms: int, unhealthy_checks: int, ready_ms: int) -> int:
    """When a target that is not ready in time is unhealthy: so many failed checks in a row from its registration."""
    unwell = unhealthy_checks * interval_ms
    passed = first_pass(interval_ms, ready_ms)
    return NEVER if 0 <= passed <= unwell else unwell


@kernel
def target_well(interval_ms: int, initial_checks: int, ready_ms: int) -> int:
    """When a new target is healthy: after `initial_checks` passed checks (one, by the ELB guide)."""
    passed = first_pass(interval_ms, ready_ms)
    return NEVER if passed < 0 else passed + (initial_checks - 1) * interval_ms


@kernel
def target_recovered(interval_ms: int, healthy_checks: int, ready_ms: int) -> int:
    """When a target that was declared unhealthy is healthy again: after HealthyThresholdCount passed checks."""
    passed = first_pass(interval_ms, ready_ms)
    return NEVER if passed < 0 else passed + (healthy_checks - 1) * interval_ms


@kernel
def found_hung(interval_ms: int, checks: int, hangs_ms: int) -> int:
    """When an application that hangs is declared unwell: the `checks`-th check after that, all failed."""
    return (hangs_ms // interval_ms + checks) * interval_ms


@kernel
def earlier(one: int, other: int) -> int:
    """The earlier of two instants, either of which may be NEVER."""
    if one < 0:
        return other
    return one if other < 0 else min(one, other)


@kernel
def outlasting(begins: int, ends: int, grace_ms: int) -> int:
    """When a state that holds from `begins` to `ends` (NEVER: for ever) is first seen after a grace period.

    NEVER where it is over by then, or never begins.
    """
    if begins < 0:
        return NEVER
    seen = max(begins, grace_ms)
    return seen if ends < 0 or seen < ends else NEVER
