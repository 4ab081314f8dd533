"""Lifecycle of a task from RUNNING on: it becomes ready and healthy, exits by itself or is stopped.

Each step is one kernel that moves the state, records the time and schedules what follows. The calendar calls them for
routine steps, `scheduling.commands` for decisions of a controller. `startup` brings a task to RUNNING.
"""

from __future__ import annotations

from typing import Any

from clustersim.engine.compiled import inlined, kernel
from clustersim.policy.load.exact_tables import ENDED
from clustersim.vocabulary import NEVER, StopCode, StoppedReason
from clustersim.world.resources.allocation import free_allocation
from clustersim.world.state.calendar_entries import schedule_entry
from clustersim.world.state.provisioning_queues import leave_queue, remove_assignment
from clustersim.world.state.random_durations import draw_duration
from clustersim.world.state.tables import State
from clustersim.world.state.target_changes import log_target_change
from clustersim.world.state.task_states import (
    DEACTIVATING,
    RUNNING,
    STOPPED,
    STOPPING,
    TARGET_DEREGISTERED,
    TASK_EXITS,
    TASK_RETRIED,
    TASK_STOPPED,
    TASK_UNPROTECTED,
    create_task,
    mark_service_dirty,
    move_task,
)
from clustersim.world.state.usage import settle_task_cost
from clustersim.world.tasks.containers import (
    compute_stopping_time,
    plan_running_containers,
    schedule_container_ends,
)
from clustersim.world.tasks.health import deregister, mark_healthy, mark_ready, schedule_health
from clustersim.world.tasks.image_pulls import add_cached_images, host_class_index, release_images

EXIT_KILLED = 137  # SIGKILL (MODEL.md)

_FAILED_TO_START = int(StopCode.TaskFailedToStart)
_CONTAINER_EXITED = int(StopCode.EssentialContainerExited)
_USER_INITIATED = int(StopCode.UserInitiated)
_SPOT_INTERRUPTION = int(StopCode.SpotInterruption)
_TERMINATION_NOTICE = int(StopCode.TerminationNotice)
_MAINTENANCE = int(StoppedReason.MAINTENANCE)
_EXITED = int(StoppedReason.ESSENTIAL_CONTAINER_EXITED)


@kernel
def start_task(state: State, slot: int, now: int) -> None:
    """Move a task from PENDING to RUNNING; schedule its own exit, the end of its protection, and its health."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    move_task(state, slot, RUNNING, now)
    t.started = now
    s.failed_starts = 0
    s.ran += 1
    schedule_exit(state, slot, now)
    if s.service >= 0 and s.protect_ms > 0:
        t.protected_until = now + s.protect_ms
        schedule_entry(state, t.protected_until, TASK_UNPROTECTED, slot, t.task_id)
    if s.first_container >= 0:
        schedule_container_ends(state, slot, now)
    elif s.service >= 0 or s.check_ms > 0:
        schedule_health(state, slot, now)
    mark_service_dirty(state, s.service)


@kernel
def start_healthy_task(state: State, slot: int, now: int) -> None:
    """Start a placed task that counts as long-running: RUNNING, ready and healthy at once."""
    s = state.sets.rows[state.tasks.rows[slot].set]
    if s.pulls > 0:
        add_cached_images(state, slot, now)
    ready_ms, s.ready_ms = s.ready_ms, 0
    if s.first_container >= 0:
        plan_running_containers(state, slot, now)
    start_task(state, slot, now)
    s.ready_ms = ready_ms
    mark_healthy(state, slot, now)
    mark_ready(state, slot, now)


@kernel
def schedule_exit(state: State, slot: int, now: int) -> None:
    """Schedule when the application exits by itself: its work is done, or it fails first."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    end = t.duration
    t.next_exit_code = 0
    t.next_reason = _EXITED
    if s.failure >= 0 and s.first_container < 0:
        lifetime = max(1, draw_duration(state, s.failure, s.failure_key, t.ordinal, t.attempt))
        if end < 0 or lifetime < end:
            end = lifetime
            t.next_exit_code, t.next_reason = s.exit_code, s.failure_reason
    if end >= 0:
        schedule_entry(state, now + end, TASK_EXITS, slot, t.task_id)


@kernel
def expire_protection(state: State, slot: int, now: int) -> None:
    """End the task scale-in protection of a task that has expired; the scheduler may now stop it."""
    t = state.tasks.rows[slot]
    if t.protected_until == now:
        t.protected_until = NEVER
        mark_service_dirty(state, state.sets.rows[t.set].service)


@kernel
def stop_task(state: State, slot: int, now: int, code: int, reason: int) -> None:
    """Stop a task that has not ended: at once before RUNNING, else by deregistration, SIGTERM, SIGKILL."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    if t.state > RUNNING:
        return
    t.stop_code, t.reason = code, reason
    if t.leaving and state.sets.strategy_items[t.strategy_item].fargate:
        t.reason = _MAINTENANCE  # a leaving Fargate task is about to be retired
    if t.state < RUNNING:
        finish_task(state, slot, now)
        return
    deregister(state, slot, now)
    t.stopping = now
    if s.target_ms >= 0 and s.deregistration_ms > 0:
        move_task(state, slot, DEACTIVATING, now)
        schedule_entry(state, now + s.deregistration_ms, TARGET_DEREGISTERED, slot, t.task_id)
    else:
        send_sigterm(state, slot, now)


@kernel
def send_sigterm(state: State, slot: int, now: int) -> None:
    """Send SIGTERM: the application exits in its own time, or is killed after stopTimeout (golden 76)."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    move_task(state, slot, STOPPING, now)
    wait = s.stop_timeout_ms
    if s.agent_stops:
        wait = max(wait, state.images.agents[host_class_index(state, slot)].stop_timeout_ms)
    t.next_exit_code = EXIT_KILLED
    if s.first_container >= 0:
        wait = compute_stopping_time(state, slot, now)
    elif s.stop >= 0:
        own = draw_duration(state, s.stop, s.stop_key, t.ordinal, t.attempt)
        if own <= wait:
            wait = own
            t.next_exit_code = s.stop_exit_code
    schedule_entry(state, now + wait, TASK_STOPPED, slot, t.task_id)


@kernel
def finish_task(state: State, slot: int, now: int) -> None:
    """Move a task to STOPPED: free its allocation, settle its cost, keep its record, free its slot."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    deregister(state, slot, now)
    if t.started >= 0:
        log_target_change(state, slot, now, ENDED)
    if t.state == RUNNING:
        t.stopping = now
    if t.started < 0 and (t.stop_code == _FAILED_TO_START or t.stop_code == _CONTAINER_EXITED):
        s.failed_starts += 1
        s.never_ran += 1
    if t.waiting:
        leave_queue(state, slot)
    if t.assigned_instance >= 0:
        remove_assignment(state, slot)
    if t.placed >= 0:
        settle_task_cost(state, slot, now)
        if s.pulls > 0 and t.instance_slot >= 0:
            release_images(state, slot, now)
        free_allocation(state, slot, now)
    move_task(state, slot, STOPPED, now)
    item = state.sets.strategy_items[t.strategy_item]
    item.live -= 1
    if item.fargate:
        state.capacity.fargate_quotas[item.bucket].cpu -= t.cpu
    t.stopped = now
    if t.next_of_group >= 0:
        state.tasks.rows[t.next_of_group].previous_of_group = t.previous_of_group
    if t.previous_of_group >= 0:
        state.tasks.rows[t.previous_of_group].next_of_group = t.next_of_group
    else:
        state.tasks.group_first[s.group] = t.next_of_group
    if s.service >= 0:
        mark_service_dirty(state, s.service)
    elif t.attempt <= s.retries and _is_retryable(t) and t.stop_code != _USER_INITIATED:
        _retry(state, slot, now)
    counters = state.counters
    state.outputs.finished_tasks[counters.finished_tasks] = t
    counters.finished_tasks += 1
    t.task_id = NEVER
    state.tasks.free[counters.free_tasks] = slot
    counters.free_tasks += 1


@inlined
def _is_retryable(t: Any) -> bool:
    """Return whether a standalone task failed to be placed, failed, or was interrupted, whatever its exit code."""
    return bool(t.exit_code != 0 or t.stop_code == _SPOT_INTERRUPTION or t.stop_code == _TERMINATION_NOTICE)


@kernel
def _retry(state: State, slot: int, now: int) -> None:
    """Create the task of the next attempt of one that failed or was interrupted."""
    t = state.tasks.rows[slot]
    retry = create_task(state, t.set, t.strategy_item, t.resource_shape, t.ordinal, now)
    n = state.tasks.rows[retry]
    n.attempt = t.attempt + 1
    n.duration = t.duration
    n.reference = t.reference
    schedule_entry(state, now, TASK_RETRIED, retry, n.task_id)


@kernel
def exit_task(state: State, slot: int, now: int) -> None:
    """End a task whose essential container has exited by itself."""
    t = state.tasks.rows[slot]
    t.exit_code = t.next_exit_code
    t.stop_code, t.reason = _CONTAINER_EXITED, t.next_reason
    finish_task(state, slot, now)
