"""Results of health checks: checks at fixed intervals, in closed form.

Decides, for an application that becomes ready some time after it started and may later hang, when a container
health check or a load balancer first finds it healthy, and when it declares it unhealthy. All times are ms since
the container started (or the target was registered); NEVER means never. A check happens at each whole interval,
and its result counts at once. This module must not know tasks or grace periods; `world.tasks.health` calls it.

Sources: botocore ECS HealthCheck (interval, retries, startPeriod), ELBv2 CreateTargetGroup
(HealthCheckIntervalSeconds, HealthyThresholdCount, UnhealthyThresholdCount), ELB user guide: target health.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.vocabulary import NEVER


@kernel
def first_passed_check(interval_ms: int, ready_ms: int) -> int:
    """Return the time of the first check that passes."""
    if ready_ms < 0:
        return NEVER
    return max(1, (ready_ms + interval_ms - 1) // interval_ms) * interval_ms


@kernel
def container_unhealthy_at(interval_ms: int, retries: int, start_period_ms: int, ready_ms: int) -> int:
    """Return when a container becomes UNHEALTHY: `retries` consecutive failed checks after the start period.

    NEVER if a check passes before that, also within the start period: the container is then HEALTHY.
    """
    first_counted = start_period_ms // interval_ms + 1
    unhealthy = (first_counted + retries - 1) * interval_ms
    passed = first_passed_check(interval_ms, ready_ms)
    return NEVER if 0 <= passed <= unhealthy else unhealthy


@kernel
def target_unhealthy_at(interval_ms: int, unhealthy_checks: int, ready_ms: int) -> int:
    """Return when a target becomes unhealthy: `unhealthy_checks` failed checks in a row from its registration."""
    unhealthy = unhealthy_checks * interval_ms
    passed = first_passed_check(interval_ms, ready_ms)
    return NEVER if 0 <= passed <= unhealthy else unhealthy


@kernel
def target_healthy_at(interval_ms: int, initial_checks: int, ready_ms: int) -> int:
    """Return when a new target becomes healthy: after `initial_checks` passed checks (one, by the ELB guide)."""
    passed = first_passed_check(interval_ms, ready_ms)
    return NEVER if passed < 0 else passed + (initial_checks - 1) * interval_ms


@kernel
def target_recovered_at(interval_ms: int, healthy_checks: int, ready_ms: int) -> int:
    """Return when an unhealthy target is healthy again: after HealthyThresholdCount passed checks."""
    passed = first_passed_check(interval_ms, ready_ms)
    return NEVER if passed < 0 else passed + (healthy_checks - 1) * interval_ms


@kernel
def hang_detected_at(interval_ms: int, checks: int, hung_ms: int) -> int:
    """Return when a hung application is declared unhealthy: at the `checks`-th check after `hung_ms`, all failed."""
    return (hung_ms // interval_ms + checks) * interval_ms


@kernel
def earlier_instant(first: int, second: int) -> int:
    """Return the earlier of two instants, either of which may be NEVER."""
    if first < 0:
        return second
    return first if second < 0 else min(first, second)


@kernel
def first_seen_after_grace(begins: int, ends: int, grace_ms: int) -> int:
    """Return when a state that holds from `begins` to `ends` (NEVER: for ever) is first seen after a grace period.

    NEVER if it is over by then, or never begins.
    """
    if begins < 0:
        return NEVER
    first_seen = max(begins, grace_ms)
    return first_seen if ends < 0 or first_seen < ends else NEVER
