"""A task's life from RUNNING on: it becomes ready and healthy, ends by itself or is stopped.

Each step is one fused kernel that moves the state, stamps the time and notes what is due next. The calendar
calls them for what is routine, `orders` for what a controller decided. How a task comes to RUNNING is in `starts`.
"""

from __future__ import annotations

from typing import Any

from clustersim.engine.compiled import inlined, kernel
from clustersim.policy.load.exact_tables import GONE
from clustersim.vocabulary import NEVER, StopCode, StoppedReason
from clustersim.world.resources.allocation import let_go
from clustersim.world.state.provisioning_queues import forget_promise, leave_queue
from clustersim.world.state.tables import FINISHED, FREE_TASKS, State
from clustersim.world.state.target_changes import log_target
from clustersim.world.state.task_states import (
    DEACTIVATING,
    RUNNING,
    STOPPED,
    STOPPING,
    TARGET_DEREGISTERED,
    TASK_EXITS,
    TASK_GONE,
    TASK_RETRIED,
    TASK_UNPROTECTED,
    move,
    new_task,
    ring_scheduler,
)
from clustersim.world.state.usage import draw, note, settle_task
from clustersim.world.tasks.containers import note_lives, plan_settled, stopping_time
from clustersim.world.tasks.health import healthy, leave_duty, note_health, ready
from clustersim.world.tasks.image_pulls import place_of, put_down, stock

EXIT_KILLED = 137  # SIGKILL (MODEL.md)

_FAILED_TO_START = int(StopCode.TaskFailedToStart)
_CONTAINER_EXITED = int(StopCode.EssentialContainerExited)
_USER_INITIATED = int(StopCode.UserInitiated)
_SPOT_INTERRUPTION = int(StopCode.SpotInterruption)
_TERMINATION_NOTICE = int(StopCode.TerminationNotice)
_MAINTENANCE = int(StoppedReason.MAINTENANCE)
_EXITED = int(StoppedReason.ESSENTIAL_CONTAINER_EXITED)


@kernel
def start(state: State, slot: int, now: int) -> None:
    """PENDING -> RUNNING; notes the task's own end, its protection and its health."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    move(state, slot, RUNNING, now)
    t.started = now
    s.failed_starts = 0
    s.ran += 1
    note_end(state, slot, now)
    if s.service >= 0 and s.protect_ms > 0:
        t.protected_until = now + s.protect_ms
        note(state, t.protected_until, TASK_UNPROTECTED, slot, t.task_id)
    if s.first_container >= 0:
        note_lives(state, slot, now)
    elif s.service >= 0 or s.check_ms > 0:
        note_health(state, slot, now)
    ring_scheduler(state, s.service)


@kernel
def start_settled(state: State, slot: int, now: int) -> None:
    """A placed task that has been there for long: RUNNING, answering and healthy at once."""
    s = state.sets[state.tasks[slot].set]
    if s.pulls > 0:
        stock(state, slot, now)
    ready_ms, s.ready_ms = s.ready_ms, 0
    if s.first_container >= 0:
        plan_settled(state, slot, now)
    start(state, slot, now)
    s.ready_ms = ready_ms
    healthy(state, slot, now)
    ready(state, slot, now)


@kernel
def note_end(state: State, slot: int, now: int) -> None:
    """Note when the application ends by itself: its work is done, or it fails first."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    end = t.duration
    t.next_exit_code = 0
    t.next_reason = _EXITED
    if s.failure >= 0 and s.first_container < 0:
        life = max(1, draw(state, s.failure, s.failure_key, t.ordinal, t.attempt))
        if end < 0 or life < end:
            end = life
            t.next_exit_code, t.next_reason = s.exit_code, s.failure_reason
    if end >= 0:
        note(state, now + end, TASK_EXITS, slot, t.task_id)


@kernel
def lose_protection(state: State, slot: int, now: int) -> None:
    """Task scale-in protection has expired: what waited to stop this task may now."""
    t = state.tasks[slot]
    if t.protected_until == now:
        t.protected_until = NEVER
        ring_scheduler(state, state.sets[t.set].service)


@kernel
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


@kernel
def terminate(state: State, slot: int, now: int) -> None:
    """SIGTERM; the application exits in its own time, or is killed after stopTimeout (golden 76)."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    move(state, slot, STOPPING, now)
    wait = s.stop_timeout_ms
    if s.agent_stops:
        wait = max(wait, state.agents[place_of(state, slot)].stop_timeout_ms)
    t.next_exit_code = EXIT_KILLED
    if s.first_container >= 0:
        wait = stopping_time(state, slot, now)
    elif s.stop >= 0:
        own = draw(state, s.stop, s.stop_key, t.ordinal, t.attempt)
        if own <= wait:
            wait = own
            t.next_exit_code = s.stop_exit_code
    note(state, now + wait, TASK_GONE, slot, t.task_id)


@kernel
def finish(state: State, slot: int, now: int) -> None:
    """STOPPED: release, settle the account, write the life into the chunk of finished tasks, free the slot."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    leave_duty(state, slot, now)
    if t.started >= 0:
        log_target(state, slot, now, GONE)
    if t.state == RUNNING:
        t.stopping = now
    if t.started < 0 and (t.stop_code == _FAILED_TO_START or t.stop_code == _CONTAINER_EXITED):
        s.failed_starts += 1
        s.never_ran += 1
    if t.waiting:
        leave_queue(state, slot)
    if t.promised >= 0:
        forget_promise(state, slot)
    if t.placed >= 0:
        settle_task(state, slot, now)
        if s.pulls > 0 and t.slot >= 0:
            put_down(state, slot, now)
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


@kernel
def _retry(state: State, slot: int, now: int) -> None:
    """A new task for the next attempt of one that was refused, failed or was interrupted."""
    t = state.tasks[slot]
    again = new_task(state, t.set, t.lane, t.shape, t.ordinal, now)
    n = state.tasks[again]
    n.attempt = t.attempt + 1
    n.duration = t.duration
    n.reference = t.reference
    note(state, now, TASK_RETRIED, again, n.task_id)


@kernel
def exits(state: State, slot: int, now: int) -> None:
    """An essential container ends by itself, and with it the task."""
    t = state.tasks[slot]
    t.exit_code = t.next_exit_code
    t.stop_code, t.reason = _CONTAINER_EXITED, t.next_reason
    finish(state, slot, now)
