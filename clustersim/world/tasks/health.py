"""Whether a running task answers, counts as healthy, hangs, or is found unhealthy.

What will become of a task's health is known when it reaches RUNNING: `note_health` writes it into the calendar,
which comes back to the other functions. The arithmetic of checks is `policy.tasks.health`'s; what a service does about
an unhealthy task is the scheduler's.
"""

from __future__ import annotations

from clustersim.engine.compiled import inlined, kernel
from clustersim.policy.load.exact_tables import CLOSED, HUNG, OPENED
from clustersim.policy.tasks.health import (
    container_unwell,
    earlier,
    first_pass,
    found_hung,
    outlasting,
    target_recovered,
    target_unwell,
    target_well,
)
from clustersim.vocabulary import NEVER, HealthStatus
from clustersim.world.state.tables import State
from clustersim.world.state.target_changes import log_target
from clustersim.world.state.task_states import (
    RUNNING,
    TARGET_UNWELL,
    TASK_HANGS,
    TASK_HEALTHY,
    TASK_READY,
    TASK_UNWELL,
    ring_scheduler,
)
from clustersim.world.state.usage import draw, note, touch_service, touch_set

HEALTHY_WITHOUT_CHECKS_MS = 40_000  # botocore: DeploymentConfiguration.minimumHealthyPercent (golden 13)
BY_CONTAINERS, BY_TARGET = 1, 2  # TASK.unwell

_HEALTHY = int(HealthStatus.HEALTHY)
_UNHEALTHY = int(HealthStatus.UNHEALTHY)


@inlined
def _note_after(state: State, slot: int, now: int, after: int, rank: int) -> None:
    """Note an entry `after` ms from now, unless that is NEVER."""
    if after >= 0:
        note(state, now + after, rank, slot, state.tasks[slot].task_id)


@kernel
def note_health(state: State, slot: int, now: int) -> None:
    """Note when a task of one life that reached RUNNING answers, is healthy, hangs, and is found unhealthy."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    after = s.ready_ms
    hangs = NEVER
    if s.hang >= 0 and after >= 0:
        hangs = after + max(1, draw(state, s.hang, s.hang_key, t.ordinal, t.attempt))
        _note_after(state, slot, now, hangs, TASK_HANGS)
    passed, unwell = NEVER, NEVER
    if s.check_ms > 0:
        passed = first_pass(s.check_ms, after)
        unwell = outlasting(
            container_unwell(s.check_ms, s.check_retries, s.check_start_ms, after), passed, s.grace_ms
        )
        if hangs >= 0:
            unwell = earlier(
                unwell, outlasting(found_hung(s.check_ms, s.check_retries, hangs), NEVER, s.grace_ms)
            )
        _note_after(state, slot, now, unwell, TASK_UNWELL)
    note_target_health(state, slot, now, after, hangs, passed, s.check_ms > 0)


@kernel
def note_target_health(
    state: State, slot: int, now: int, after: int, hangs: int, passed: int, checked: bool
) -> None:
    """Note when a task's target is healthy or unhealthy, and with it the task.

    `after` is when the application answers, `hangs` when it ceases to, `passed` when its containers' checks
    have passed, if there are any (`checked`): ms from now. With a load balancer and container checks both must
    pass.
    """
    s = state.sets[state.tasks[slot].set]
    if s.target_ms <= 0:
        if s.service >= 0 and after == 0:
            ready(state, slot, now)
        elif s.service >= 0:
            _note_after(state, slot, now, after, TASK_READY)
        _note_after(state, slot, now, passed if checked else HEALTHY_WITHOUT_CHECKS_MS, TASK_HEALTHY)
        return
    lost = target_unwell(s.target_ms, s.target_unhealthy, after)
    well = target_well(s.target_ms, s.target_checks, after)
    if lost >= 0:
        well = target_recovered(s.target_ms, s.target_healthy, after)
    unwell = outlasting(lost, well, s.grace_ms)
    if hangs >= 0:
        unwell = earlier(
            unwell, outlasting(found_hung(s.target_ms, s.target_unhealthy, hangs), NEVER, s.grace_ms)
        )
    _note_after(state, slot, now, unwell, TARGET_UNWELL)
    _note_after(state, slot, now, well, TASK_READY)
    if well >= 0 and not (checked and passed < 0):
        _note_after(state, slot, now, max(well, passed), TASK_HEALTHY)


@kernel
def ready(state: State, slot: int, now: int) -> None:
    """Count a RUNNING task among those that answer."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    if t.ready == 0 and t.hung == 0 and s.service >= 0:
        touch_set(state, t.set, now)
        t.ready = 1
        s.ready += 1
        log_target(state, slot, now, OPENED)


@kernel
def healthy(state: State, slot: int, now: int) -> None:
    """A RUNNING task counts as healthy."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    t.healthy = now
    if s.check_ms > 0:
        t.health = _HEALTHY
    if t.unwell:
        t.unwell = 0
        s.unwell -= 1
    s.healthy += 1
    s.settled += 1
    if s.service >= 0:
        touch_service(state, s.service, now)
        state.services[s.service].healthy += 1
        ring_scheduler(state, s.service)


@kernel
def hang(state: State, slot: int, now: int) -> None:
    """The application stops answering; it is asked until somebody notices."""
    t = state.tasks[slot]
    if t.ready:
        s = state.sets[t.set]
        touch_set(state, t.set, now)
        t.ready, t.hung = 0, 1
        s.ready -= 1
        s.hung += 1
        log_target(state, slot, now, HUNG)


@kernel
def turn_unwell(state: State, slot: int, now: int, by: int) -> None:
    """A RUNNING task is found unhealthy; an unhealthy target gets no more requests."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    if by == BY_CONTAINERS:
        t.health = _UNHEALTHY
    if by == BY_TARGET or s.target_ms <= 0:
        leave_rotation(state, slot, now)
    if t.unwell:
        return
    _uncount_healthy(state, slot, now)
    t.unwell = by
    s.unwell += 1
    ring_scheduler(state, s.service)


@kernel
def leave_rotation(state: State, slot: int, now: int) -> None:
    """A task is asked no longer."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    if t.ready or t.hung:
        touch_set(state, t.set, now)
        s.ready -= t.ready
        s.hung -= t.hung
        t.ready = t.hung = 0
        log_target(state, slot, now, CLOSED)


@kernel
def _uncount_healthy(state: State, slot: int, now: int) -> None:
    """A task counts no longer as healthy, if it did."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    if t.state == RUNNING and t.healthy >= 0 and t.unwell == 0:
        s.healthy -= 1
        if s.service >= 0:
            touch_service(state, s.service, now)
            state.services[s.service].healthy -= 1


@kernel
def leave_duty(state: State, slot: int, now: int) -> None:
    """A task that stops counts no longer as ready, healthy, unhealthy, spread or leaving."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    leave_rotation(state, slot, now)
    _uncount_healthy(state, slot, now)
    if t.state == RUNNING and t.unwell:
        s.unwell -= 1
    if t.state <= RUNNING and t.placed >= 0:
        state.zone_counts[s.group, t.zone] -= 1
    if t.leaving:
        t.leaving = 0
        s.leaving -= 1
