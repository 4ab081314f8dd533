"""Health of running tasks: when a task is ready, healthy, hung or found unhealthy.

The health of a task is determined when it reaches RUNNING: `schedule_health` enters it into the calendar, which then
calls the other functions. `policy.tasks.health` has the arithmetic of checks; the scheduler decides what a service
does about an unhealthy task.
"""

from __future__ import annotations

from clustersim.engine.compiled import inlined, kernel
from clustersim.policy.load.exact_tables import DEREGISTERED, HUNG, REGISTERED
from clustersim.policy.tasks.health import (
    container_unhealthy_at,
    earlier_instant,
    first_passed_check,
    first_seen_after_grace,
    hang_detected_at,
    target_healthy_at,
    target_recovered_at,
    target_unhealthy_at,
)
from clustersim.vocabulary import NEVER, HealthStatus
from clustersim.world.state.calendar_entries import schedule_entry
from clustersim.world.state.random_durations import draw_duration
from clustersim.world.state.tables import State
from clustersim.world.state.target_changes import log_target_change
from clustersim.world.state.task_states import (
    RUNNING,
    TARGET_UNHEALTHY,
    TASK_HANGS,
    TASK_HEALTHY,
    TASK_READY,
    TASK_UNHEALTHY,
    mark_service_dirty,
)
from clustersim.world.state.usage import integrate_service, integrate_task_set

HEALTHY_WITHOUT_CHECKS_MS = 40_000  # botocore: DeploymentConfiguration.minimumHealthyPercent (golden 13)
BY_CONTAINERS, BY_TARGET = 1, 2  # TASK.unhealthy

_HEALTHY = int(HealthStatus.HEALTHY)
_UNHEALTHY = int(HealthStatus.UNHEALTHY)


@inlined
def _schedule_after(state: State, slot: int, now: int, after: int, rank: int) -> None:
    """Schedule an entry `after` ms from now, unless `after` is NEVER."""
    if after >= 0:
        schedule_entry(state, now + after, rank, slot, state.tasks.rows[slot].task_id)


@kernel
def schedule_health(state: State, slot: int, now: int) -> None:
    """Schedule when a RUNNING task without container lifecycles is ready, healthy, hung, and found unhealthy."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    after = s.ready_ms
    hangs = NEVER
    if s.hang >= 0 and after >= 0:
        hangs = after + max(1, draw_duration(state, s.hang, s.hang_key, t.ordinal, t.attempt))
        _schedule_after(state, slot, now, hangs, TASK_HANGS)
    passed, unhealthy = NEVER, NEVER
    if s.check_ms > 0:
        passed = first_passed_check(s.check_ms, after)
        unhealthy = first_seen_after_grace(
            container_unhealthy_at(s.check_ms, s.check_retries, s.check_start_ms, after), passed, s.grace_ms
        )
        if hangs >= 0:
            unhealthy = earlier_instant(
                unhealthy,
                first_seen_after_grace(
                    hang_detected_at(s.check_ms, s.check_retries, hangs), NEVER, s.grace_ms
                ),
            )
        _schedule_after(state, slot, now, unhealthy, TASK_UNHEALTHY)
    schedule_target_health(state, slot, now, after, hangs, passed, s.check_ms > 0)


@kernel
def schedule_target_health(
    state: State, slot: int, now: int, after: int, hangs: int, passed: int, checked: bool
) -> None:
    """Schedule when the target of a task is healthy or unhealthy, and with it the task.

    `after` is when the application answers, `hangs` when it stops answering, `passed` when the checks of its
    containers have passed, if there are any (`checked`); all in ms from now. With a load balancer and container
    checks both must pass.
    """
    s = state.sets.rows[state.tasks.rows[slot].set]
    if s.target_ms <= 0:
        if s.service >= 0 and after == 0:
            mark_ready(state, slot, now)
        elif s.service >= 0:
            _schedule_after(state, slot, now, after, TASK_READY)
        _schedule_after(state, slot, now, passed if checked else HEALTHY_WITHOUT_CHECKS_MS, TASK_HEALTHY)
        return
    lost = target_unhealthy_at(s.target_ms, s.target_unhealthy, after)
    recovered = target_healthy_at(s.target_ms, s.target_checks, after)
    if lost >= 0:
        recovered = target_recovered_at(s.target_ms, s.target_healthy, after)
    unhealthy = first_seen_after_grace(lost, recovered, s.grace_ms)
    if hangs >= 0:
        unhealthy = earlier_instant(
            unhealthy,
            first_seen_after_grace(
                hang_detected_at(s.target_ms, s.target_unhealthy, hangs), NEVER, s.grace_ms
            ),
        )
    _schedule_after(state, slot, now, unhealthy, TARGET_UNHEALTHY)
    _schedule_after(state, slot, now, recovered, TASK_READY)
    if recovered >= 0 and not (checked and passed < 0):
        _schedule_after(state, slot, now, max(recovered, passed), TASK_HEALTHY)


@kernel
def mark_ready(state: State, slot: int, now: int) -> None:
    """Count a RUNNING task among those that answer requests."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    if t.ready == 0 and t.hung == 0 and s.service >= 0:
        integrate_task_set(state, t.set, now)
        t.ready = 1
        s.ready += 1
        log_target_change(state, slot, now, REGISTERED)


@kernel
def mark_healthy(state: State, slot: int, now: int) -> None:
    """Count a RUNNING task as healthy."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    t.healthy = now
    if s.check_ms > 0:
        t.health = _HEALTHY
    if t.unhealthy:
        t.unhealthy = 0
        s.unhealthy -= 1
    s.healthy += 1
    s.became_healthy += 1
    if s.service >= 0:
        integrate_service(state, s.service, now)
        state.services.rows[s.service].healthy += 1
        mark_service_dirty(state, s.service)


@kernel
def mark_hung(state: State, slot: int, now: int) -> None:
    """Record that the application stops answering; it gets requests until a check fails."""
    t = state.tasks.rows[slot]
    if t.ready:
        s = state.sets.rows[t.set]
        integrate_task_set(state, t.set, now)
        t.ready, t.hung = 0, 1
        s.ready -= 1
        s.hung += 1
        log_target_change(state, slot, now, HUNG)


@kernel
def mark_unhealthy(state: State, slot: int, now: int, by: int) -> None:
    """Record that a RUNNING task is found unhealthy; an unhealthy target gets no more requests."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    if by == BY_CONTAINERS:
        t.health = _UNHEALTHY
    if by == BY_TARGET or s.target_ms <= 0:
        stop_requests(state, slot, now)
    if t.unhealthy:
        return
    _uncount_healthy(state, slot, now)
    t.unhealthy = by
    s.unhealthy += 1
    mark_service_dirty(state, s.service)


@kernel
def stop_requests(state: State, slot: int, now: int) -> None:
    """Stop sending requests to a task."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    if t.ready or t.hung:
        integrate_task_set(state, t.set, now)
        s.ready -= t.ready
        s.hung -= t.hung
        t.ready = t.hung = 0
        log_target_change(state, slot, now, DEREGISTERED)


@kernel
def _uncount_healthy(state: State, slot: int, now: int) -> None:
    """Stop counting a task as healthy, if it was."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    if t.state == RUNNING and t.healthy >= 0 and t.unhealthy == 0:
        s.healthy -= 1
        if s.service >= 0:
            integrate_service(state, s.service, now)
            state.services.rows[s.service].healthy -= 1


@kernel
def deregister(state: State, slot: int, now: int) -> None:
    """Stop counting a stopping task as ready, healthy, unhealthy, placed in its zone, or leaving."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    stop_requests(state, slot, now)
    _uncount_healthy(state, slot, now)
    if t.state == RUNNING and t.unhealthy:
        s.unhealthy -= 1
    if t.state <= RUNNING and t.placed >= 0:
        state.placement.zone_counts[s.group, t.zone] -= 1
    if t.leaving:
        t.leaving = 0
        s.leaving -= 1
