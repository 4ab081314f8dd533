"""A task's life after it has a place: it starts, becomes ready and healthy, ends by itself or is stopped.

Each step is one fused kernel that moves the state, stamps the time and notes what is due next. The calendar
calls them for what is routine, `orders` for what a controller decided.
"""

from __future__ import annotations

from typing import Any

from clustersim.engine.chance import uniform
from clustersim.engine.compiled import inlined, lean
from clustersim.vocabulary import (
    NEVER,
    StopCode,
    StoppedReason,
)
from clustersim.world.accounts import draw, note, settle_task, touch_service
from clustersim.world.holdings import hold_fargate, hold_host, let_go
from clustersim.world.queues import leave_queue
from clustersim.world.tables import (
    END,
    FINISHED,
    FREE_TASKS,
    State,
)
from clustersim.world.transitions import (
    DEACTIVATING,
    RUNNING,
    STOPPED,
    STOPPING,
    TARGET_DEREGISTERED,
    TASK_EXITS,
    TASK_GONE,
    TASK_HEALTHY,
    TASK_INTERRUPTED,
    TASK_READY,
    TASK_RETIRED,
    TASK_RETRIED,
    TASK_STARTED,
    move,
    new_task,
    ring_scheduler,
)

HEALTHY_WITHOUT_CHECKS_MS = 40_000  # botocore: DeploymentConfiguration.minimumHealthyPercent (golden 13)
EXIT_KILLED = 137  # SIGKILL (MODEL.md)

_FAILED_TO_START = int(StopCode.TaskFailedToStart)
_CONTAINER_EXITED = int(StopCode.EssentialContainerExited)
_USER_INITIATED = int(StopCode.UserInitiated)
_SPOT_INTERRUPTION = int(StopCode.SpotInterruption)
_TERMINATION_NOTICE = int(StopCode.TerminationNotice)
_MAINTENANCE = int(StoppedReason.MAINTENANCE)
_EXITED = int(StoppedReason.ESSENTIAL_CONTAINER_EXITED)
_START_FAILED = int(StoppedReason.START_FAILED)


@lean
def place_on_host(state: State, slot: int, host: int, now: int) -> None:
    """Place the task on container instance `host` and let it start there."""
    hold_host(state, slot, host, now)
    schedule_start(state, slot, now)


@lean
def place_on_fargate(state: State, slot: int, now: int) -> None:
    """Give the task a Fargate slot and let it start there; notes when Fargate will want the slot back."""
    hold_fargate(state, slot, now)
    t = state.tasks[slot]
    s = state.sets[t.set]
    lane = state.lanes[t.lane]
    if lane.interruption >= 0:
        at = now + draw(state, lane.interruption, s.interruption_key, t.ordinal, t.attempt)
        _note_within(state, at, TASK_INTERRUPTED, slot)
    if lane.retirement >= 0:
        at = now + draw(state, lane.retirement, s.retirement_key, t.ordinal, t.attempt)
        _note_within(state, at, TASK_RETIRED, slot)
    schedule_start(state, slot, now)


@lean
def _note_within(state: State, at: int, rank: int, slot: int) -> None:
    """Note what happens to a task, if it happens before the end: such entries outlive most tasks."""
    if at < state.clock[END]:
        note(state, at, rank, slot, state.tasks[slot].task_id)


@lean
def schedule_start(state: State, slot: int, now: int) -> None:
    """Note when a placed task reaches RUNNING, or that it never will."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    lane = state.lanes[t.lane]
    delay = 0
    if lane.provision >= 0:
        delay += draw(state, lane.provision, s.provision_key, t.ordinal, t.attempt)
    if s.startup >= 0:
        delay += draw(state, s.startup, s.startup_key, t.ordinal, t.attempt)
    if delay > 0 or s.start_failure > 0.0:
        note(state, now + delay, TASK_STARTED, slot, t.task_id)
    else:
        start(state, slot, now)


@lean
def start(state: State, slot: int, now: int) -> None:
    """PENDING -> RUNNING; notes the task's own end and its health."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    if s.start_failure > 0.0 and uniform(s.start_failure_key, t.ordinal, t.attempt) < s.start_failure:
        t.stop_code, t.reason = _FAILED_TO_START, _START_FAILED
        finish(state, slot, now)
        return
    move(state, slot, RUNNING, now)
    t.started = now
    s.failed_starts = 0
    note_end(state, slot, now)
    if s.service >= 0:
        if s.ready_ms > 0 and s.target_ms < 0:
            note(state, now + s.ready_ms, TASK_READY, slot, t.task_id)
        elif s.target_ms < 0:
            ready(state, slot, now)
        ring_scheduler(state, s.service)
    if s.service >= 0 or s.check_ms >= 0:
        note(state, now + healthy_after(state, t.set), TASK_HEALTHY, slot, t.task_id)


@lean
def note_end(state: State, slot: int, now: int) -> None:
    """Note when the application ends by itself: its work is done, or it fails first."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    end = t.duration
    t.next_exit_code = 0
    if s.failure >= 0:
        life = max(1, draw(state, s.failure, s.failure_key, t.ordinal, t.attempt))
        if end < 0 or life < end:
            end = life
            t.next_exit_code = s.exit_code
    if end >= 0:
        note(state, now + end, TASK_EXITS, slot, t.task_id)


@lean
def healthy_after(state: State, row: int) -> int:
    """The ms from RUNNING until a task of set `row` counts as healthy.

    Without any check 40 s (golden 13). A check happens each interval from RUNNING on and passes once the
    application is ready; with a load balancer and a container check both must pass (MODEL.md).
    """
    s = state.sets[row]
    if s.target_ms < 0 and s.check_ms < 0:
        return HEALTHY_WITHOUT_CHECKS_MS
    after = 0
    if s.check_ms > 0:
        after = max(1, (s.ready_ms + s.check_ms - 1) // s.check_ms) * s.check_ms
    if s.target_ms > 0:
        first = max(1, (s.ready_ms + s.target_ms - 1) // s.target_ms)
        after = max(after, (first + s.target_checks - 1) * s.target_ms)
    return after


@lean
def ready(state: State, slot: int, now: int) -> None:
    """Count a RUNNING task among those that answer."""
    t = state.tasks[slot]
    service = state.sets[t.set].service
    if t.ready == 0 and service >= 0:
        touch_service(state, service, now)
        t.ready = 1
        state.services[service].ready += 1


@lean
def healthy(state: State, slot: int, now: int) -> None:
    """A RUNNING task counts as healthy; behind a load balancer it now gets requests."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    t.healthy = now
    s.healthy += 1
    if s.service >= 0:
        touch_service(state, s.service, now)
        state.services[s.service].healthy += 1
        if s.target_ms >= 0:
            ready(state, slot, now)
        ring_scheduler(state, s.service)


@lean
def leave_duty(state: State, slot: int, now: int) -> None:
    """A task that stops counts no longer as ready, healthy, spread or leaving."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    if s.service >= 0:
        touch_service(state, s.service, now)
    if t.ready:
        t.ready = 0
        state.services[s.service].ready -= 1
    if t.state == RUNNING and t.healthy >= 0:
        s.healthy -= 1
        if s.service >= 0:
            state.services[s.service].healthy -= 1
    if t.state <= RUNNING and t.zone >= 0:
        state.zone_counts[s.group, t.zone] -= 1
    if t.leaving:
        t.leaving = 0
        s.leaving -= 1


@lean
def ask_stop(state: State, slot: int, now: int, code: int, reason: int) -> None:
    """Stop a task that has not ended: at once before RUNNING, else deregistration, SIGTERM, SIGKILL."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    if t.state > RUNNING:
        return
    t.stop_code, t.reason = code, reason
    if t.leaving and state.lanes[t.lane].fargate:
        t.reason = _MAINTENANCE  # whoever stops it now does so because it is to be retired
    if t.state < RUNNING:
        finish(state, slot, now)
        return
    leave_duty(state, slot, now)
    t.stopping = now
    if s.target_ms >= 0 and s.deregistration_ms > 0:
        move(state, slot, DEACTIVATING, now)
        note(state, now + s.deregistration_ms, TARGET_DEREGISTERED, slot, t.task_id)
    else:
        terminate(state, slot, now)


@lean
def terminate(state: State, slot: int, now: int) -> None:
    """SIGTERM; the application exits in its own time, or is killed after stopTimeout (golden 76)."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    move(state, slot, STOPPING, now)
    wait = s.stop_timeout_ms
    t.next_exit_code = EXIT_KILLED
    if s.stop >= 0:
        own = draw(state, s.stop, s.stop_key, t.ordinal, t.attempt)
        if own <= wait:
            wait = own
            t.next_exit_code = s.stop_exit_code
    note(state, now + wait, TASK_GONE, slot, t.task_id)


@lean
def finish(state: State, slot: int, now: int) -> None:
    """STOPPED: release, settle the account, write the life into the chunk of finished tasks, free the slot."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    leave_duty(state, slot, now)
    if t.state == RUNNING:
        t.stopping = now
    if t.started < 0 and t.stop_code == _FAILED_TO_START:
        s.failed_starts += 1
        s.failed_tasks += 1
    if t.waiting:
        leave_queue(state, slot)
    if t.placed >= 0:
        settle_task(state, slot, now)
        let_go(state, slot, now)
    move(state, slot, STOPPED, now)
    lane = state.lanes[t.lane]
    lane.live -= 1
    if lane.fargate:
        state.buckets[lane.bucket].cpu -= t.cpu
    t.stopped = now
    if t.next_of_group >= 0:
        state.tasks[t.next_of_group].previous_of_group = t.previous_of_group
    if t.previous_of_group >= 0:
        state.tasks[t.previous_of_group].next_of_group = t.next_of_group
    else:
        state.group_first[s.group] = t.next_of_group
    if s.service >= 0:
        ring_scheduler(state, s.service)
    elif t.attempt <= s.retries and _ended_badly(t) and t.stop_code != _USER_INITIATED:
        _retry(state, slot, now)
    clock = state.clock
    state.finished[clock[FINISHED]] = t
    clock[FINISHED] += 1
    t.task_id = NEVER
    state.free_tasks[clock[FREE_TASKS]] = slot
    clock[FREE_TASKS] += 1


@inlined
def _ended_badly(t: Any) -> bool:
    """A refusal, a failure, or an interruption, whatever the application then said."""
    return bool(t.exit_code != 0 or t.stop_code == _SPOT_INTERRUPTION or t.stop_code == _TERMINATION_NOTICE)


@lean
def _retry(state: State, slot: int, now: int) -> None:
    """A new task for the next attempt of one that was refused, failed or was interrupted."""
    t = state.tasks[slot]
    again = new_task(state, t.set, t.lane, t.shape, t.ordinal, now)
    n = state.tasks[again]
    n.attempt = t.attempt + 1
    n.duration = t.duration
    n.reference = t.reference
    note(state, now, TASK_RETRIED, again, n.task_id)


@lean
def exits(state: State, slot: int, now: int) -> None:
    """An essential container ends by itself, and with it the task."""
    t = state.tasks[slot]
    t.exit_code = t.next_exit_code
    t.stop_code, t.reason = _CONTAINER_EXITED, _EXITED
    finish(state, slot, now)
