"""Tasks whose containers have lifecycles of their own: the order in which they start, restart and exit.

When such a task is placed, `plan_containers` determines from its random draws when each container will begin, start,
pass its health check and exit, and therefore when the task is RUNNING, or that it never will be. Where the agent
pulls an image only when the container's dependencies are met, the plan reaches to the first such pull and is
continued when that has begun. Later exits come back from the calendar, where a restart policy may start the container
again. `lifecycle` handles everything else.

Sources: botocore ContainerDefinition (essential, dependsOn, startTimeout, stopTimeout), ContainerDependency,
ContainerRestartPolicy. Rows of CONTAINER are ordered so that dependencies come before the containers that need them.
"""

from __future__ import annotations

from typing import Any

from clustersim.engine.compiled import inlined, kernel
from clustersim.engine.random_streams import uniform
from clustersim.policy.tasks.health import (
    container_unhealthy_at,
    earlier_instant,
    first_passed_check,
    first_seen_after_grace,
    hang_detected_at,
)
from clustersim.vocabulary import NEVER, DependencyCondition, StoppedReason
from clustersim.world.state.calendar_entries import schedule_entry
from clustersim.world.state.random_durations import draw_duration
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import (
    CONTAINER_EXITS,
    CONTAINER_PULLS,
    IMAGE_PULLED,
    START_FAILS,
    TASK_HANGS,
    TASK_READY,
    TASK_STARTED,
    TASK_UNHEALTHY,
)
from clustersim.world.tasks.health import schedule_target_health, stop_requests
from clustersim.world.tasks.image_pulls import NOT_PULLED, host_class_index, pull_on_host

CONTAINER_SHIFT = 32  # the subject of CONTAINER_EXITS: the slot, and the position of the container above it
EXIT_KILLED = 137

# Purposes of the random draws of a container; each draw has the address (task, purpose, attempt, restart).
_STARTUP, _DURATION, _FAILURE, _HANG, _STOP, _BROKEN = range(6)

_START = int(DependencyCondition.START)
_COMPLETE = int(DependencyCondition.COMPLETE)
_SUCCESS = int(DependencyCondition.SUCCESS)
_START_FAILED = int(StoppedReason.START_FAILED)
_EXITED = int(StoppedReason.ESSENTIAL_CONTAINER_EXITED)
_DEPENDENCY = int(StoppedReason.DEPENDENCY_NOT_MET)
_CANNOT_PULL = int(StoppedReason.CANNOT_PULL)


@inlined
def _address(purpose: int, attempt: int, restarts: int) -> int:
    """Return the ordinal of a draw in the random stream of a container."""
    return purpose + 8 * (attempt + 4_096 * restarts)


@kernel
def _draw_container_duration(state: State, row: int, c: Any, t: Any, purpose: int, restarts: int) -> int:
    """Return a random duration of distribution `row` for a container of a task; -1 if there is no distribution."""
    if row < 0:
        return NEVER
    return draw_duration(state, row, c.key, t.ordinal, _address(purpose, t.attempt, restarts))


@kernel
def _condition_met_at(container: Any, condition: int) -> int:
    """Return when a container reaches a condition; -1: never, unless it is started again."""
    if condition == _START:
        return int(container.started)
    if condition == _COMPLETE:
        return int(container.exits_at)
    if condition == _SUCCESS:
        return int(container.exits_at) if container.exit_code == 0 else NEVER
    return int(container.healthy_at)


@kernel
def _simulate_run(state: State, slot: int, position: int, restarts: int) -> None:
    """Fill the state of a container from the instant at which it began: its start, own exit, first passed check."""
    t = state.tasks.rows[slot]
    c = state.sets.containers[state.sets.rows[t.set].first_container + position]
    container = state.tasks.container_states[slot, position]
    container.restarts = restarts
    container.started = container.begun + max(
        0, _draw_container_duration(state, c.startup, c, t, _STARTUP, restarts)
    )
    ends = _draw_container_duration(state, c.duration, c, t, _DURATION, restarts)
    breaks = _draw_container_duration(state, c.failure, c, t, _FAILURE, restarts)
    container.exits_at = NEVER
    container.exit_code = NEVER
    container.reason = _EXITED
    if breaks >= 0 and (ends < 0 or breaks < ends):
        container.exits_at, container.exit_code = container.started + max(1, breaks), c.exit_code
        container.reason = c.failure_reason
    elif ends >= 0:
        container.exits_at, container.exit_code = container.started + ends, c.complete_code
    container.healthy_at = NEVER
    if c.check_ms > 0:
        passed = first_passed_check(c.check_ms, c.ready_ms)
        if passed >= 0 and (container.exits_at < 0 or container.started + passed < container.exits_at):
            container.healthy_at = container.started + passed


@kernel
def plan_containers(state: State, slot: int, now: int) -> None:
    """Plan the containers of a placed task and schedule when the task is RUNNING, or fails."""
    for position in range(state.sets.rows[state.tasks.rows[slot].set].containers):
        state.tasks.container_states[slot, position].begun = NEVER
    _continue_plan(state, slot, now)


@kernel
def _continue_plan(state: State, slot: int, now: int) -> None:
    """Plan every container that has not begun, up to the first that must then pull its image."""
    s = state.sets.rows[state.tasks.rows[slot].set]
    first, pulls_at = NEVER, NEVER
    for position in range(s.containers):
        if state.tasks.container_states[slot, position].begun >= 0:
            continue
        begun, failed = _find_begin(state, slot, position, now)
        if failed:
            _fail(state, slot, begun, _DEPENDENCY)
            return
        if begun < 0:
            continue  # a dependency still waits for its image
        pull = state.sets.containers[s.first_container + position].pull
        if pull >= 0 and state.tasks.pulled_versions[slot, pull] == NOT_PULLED:
            if first < 0 or begun < pulls_at:
                first, pulls_at = position, begun
        elif not _begin(state, slot, position, begun):
            return
    _schedule_running(state, slot, first, pulls_at)


@kernel
def _schedule_running(state: State, slot: int, first: int, pulls_at: int) -> None:
    """Schedule when the task is RUNNING, or when container `first` (-1: none) pulls; or its failure before that."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    due_at = pulls_at
    if first < 0:
        for position in range(s.containers):
            due_at = max(due_at, state.tasks.container_states[slot, position].started)
    for position in range(s.containers):
        container = state.tasks.container_states[slot, position]
        essential = state.sets.containers[s.first_container + position].essential
        if essential and container.begun >= 0 and 0 <= container.exits_at <= due_at:
            t.next_exit_code = container.exit_code
            _fail(state, slot, container.exits_at, container.reason)
            return
    if first < 0:
        schedule_entry(state, due_at, TASK_STARTED, slot, t.task_id)
    else:
        schedule_entry(state, due_at, CONTAINER_PULLS, slot + (first << CONTAINER_SHIFT), t.task_id)


@kernel
def _begin(state: State, slot: int, position: int, begun: int) -> bool:
    """Let a container begin; return False if it cannot be started, which fails the task."""
    t = state.tasks.rows[slot]
    c = state.sets.containers[state.sets.rows[t.set].first_container + position]
    container = state.tasks.container_states[slot, position]
    container.begun = begun
    _simulate_run(state, slot, position, 0)
    broken = uniform(c.key, t.ordinal, _address(_BROKEN, t.attempt, 0))
    if c.start_failure > 0.0 and broken < c.start_failure:
        _fail(state, slot, container.started, _START_FAILED)
        return False
    return True


@kernel
def pull_dependent(state: State, slot: int, position: int, now: int) -> None:
    """Pull the image of a container of a PENDING task whose dependencies are met, then let it begin."""
    t = state.tasks.rows[slot]
    pull = state.sets.containers[state.sets.rows[t.set].first_container + position].pull
    available_at, t.sentence = pull_on_host(state, slot, pull, now)
    if t.sentence > 0:
        _fail(state, slot, available_at, _CANNOT_PULL)
        return
    if t.pull_started >= 0:
        schedule_entry(state, available_at, IMAGE_PULLED, slot, t.task_id)
    if _begin(state, slot, position, available_at):
        _continue_plan(state, slot, now)


@kernel
def plan_running_containers(state: State, slot: int, now: int) -> None:
    """Plan the containers of a long-running task: each is ready and healthy by now, its own work still ahead."""
    s = state.sets.rows[state.tasks.rows[slot].set]
    for position in range(s.containers):
        c = state.sets.containers[s.first_container + position]
        container = state.tasks.container_states[slot, position]
        age = max(0, c.ready_ms)
        if c.check_ms > 0:
            age = max(age, first_passed_check(c.check_ms, c.ready_ms))
        container.begun = now
        _simulate_run(state, slot, position, 0)
        duration = container.exits_at - container.started
        container.started = now - age
        if container.exits_at >= 0:
            container.exits_at = now + max(1, duration)
        if c.duration >= 0 and not c.essential:
            container.exits_at = NEVER  # it completed long ago


@kernel
def _fail(state: State, slot: int, at: int, reason: int) -> None:
    """Schedule that a task stops before RUNNING."""
    t = state.tasks.rows[slot]
    t.next_reason = reason
    schedule_entry(state, at, START_FAILS, slot, t.task_id)


@kernel
def _find_begin(state: State, slot: int, position: int, now: int) -> tuple[int, bool]:
    """Return when the dependencies of a container are met, and whether it fails instead.

    It fails when a dependency is not met within its startTimeout; the instant is then that of the failure. NEVER: not
    known yet, as a dependency has not begun.
    """
    s = state.sets.rows[state.tasks.rows[slot].set]
    c = state.sets.containers[s.first_container + position]
    begun = now
    for row in range(c.needs_from, c.needs_to):
        other = state.sets.dependencies[row, 0]
        container = state.tasks.container_states[slot, other]
        if container.begun < 0:
            return NEVER, False
        met = _condition_met_at(container, state.sets.dependencies[row, 1])
        limit = container.begun + _start_timeout(
            state, slot, state.sets.containers[s.first_container + other]
        )
        if (
            state.sets.dependencies[row, 1] == _SUCCESS
            and container.exits_at >= 0
            and container.exit_code != 0
        ):
            return int(min(container.exits_at, limit)), True
        if met < 0 or met > limit:
            return int(limit), True
        begun = max(begun, met)
    return begun, False


@kernel
def _start_timeout(state: State, slot: int, c: Any) -> int:
    """Return how long others wait for a container: its startTimeout, else that of the agent."""
    if c.start_timeout_ms >= 0:
        return int(c.start_timeout_ms)
    return int(state.images.agents[host_class_index(state, slot)].start_timeout_ms)


@kernel
def schedule_container_ends(state: State, slot: int, now: int) -> None:
    """Schedule the exits of the containers of a task that is now RUNNING, and its health."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    ready, hangs, passed, unhealthy = NEVER, NEVER, 0, NEVER
    checked = False
    for position in range(s.containers):
        c = state.sets.containers[s.first_container + position]
        container = state.tasks.container_states[slot, position]
        if container.exits_at > now:
            schedule_entry(
                state, container.exits_at, CONTAINER_EXITS, slot + (position << CONTAINER_SHIFT), t.task_id
            )
        begun = container.started - now  # at or before now: checks are timed from the container's start
        hung = NEVER
        if c.hang >= 0 and c.ready_ms >= 0:
            hung = begun + c.ready_ms + max(1, _draw_container_duration(state, c.hang, c, t, _HANG, 0))
        if position == s.main_container:
            ready = max(0, begun + c.ready_ms) if c.ready_ms >= 0 else NEVER
            hangs = hung
        if c.check_ms > 0 and c.essential:
            checked = True
            after = first_passed_check(c.check_ms, c.ready_ms)
            passed = NEVER if after < 0 or passed < 0 else max(passed, begun + after)
            unhealthy = earlier_instant(unhealthy, _unhealthy_at(c, begun, hung, after, s.grace_ms))
    if hangs >= 0 and s.service >= 0:
        schedule_entry(state, now + hangs, TASK_HANGS, slot, t.task_id)
    if unhealthy >= 0:
        schedule_entry(state, now + unhealthy, TASK_UNHEALTHY, slot, t.task_id)
    if s.service >= 0 or checked:
        schedule_target_health(state, slot, now, ready, hangs, passed, checked)


@kernel
def _unhealthy_at(c: Any, begun: int, hung: int, after: int, grace_ms: int) -> int:
    """Return when the health check of a container fails and counts (ms from RUNNING); -1: never."""
    lost = container_unhealthy_at(c.check_ms, c.check_retries, c.check_start_ms, c.ready_ms)
    unhealthy = NEVER
    if lost >= 0:
        unhealthy = first_seen_after_grace(
            max(0, begun + lost), NEVER if after < 0 else begun + after, grace_ms
        )
    if hung >= 0:
        detected = begun + hang_detected_at(c.check_ms, c.check_retries, hung - begun)
        unhealthy = earlier_instant(unhealthy, first_seen_after_grace(detected, NEVER, grace_ms))
    return unhealthy


@kernel
def ends_task(state: State, slot: int, position: int, now: int) -> bool:
    """Handle the exit of a container of a RUNNING task; return whether the task ends with it.

    With a restart policy a container that ran for restartAttemptPeriod, and whose exit code is not ignored, begins
    again at once. A container that is not essential has no effect. If the task ends, its exit code is recorded.
    """
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    c = state.sets.containers[s.first_container + position]
    container = state.tasks.container_states[slot, position]
    if container.exits_at != now:
        return False
    if (
        c.restarts
        and now - container.started >= c.restart_period_ms
        and not _is_ignored(state, c, container.exit_code)
    ):
        container.begun = now
        _simulate_run(state, slot, position, container.restarts + 1)
        if container.exits_at >= 0:
            schedule_entry(
                state, container.exits_at, CONTAINER_EXITS, slot + (position << CONTAINER_SHIFT), t.task_id
            )
        if position == s.main_container and t.ready:
            stop_requests(state, slot, now)
            if c.ready_ms >= 0:
                schedule_entry(state, container.started + c.ready_ms, TASK_READY, slot, t.task_id)
        return False
    if not c.essential:
        return False
    t.next_exit_code, t.next_reason = container.exit_code, container.reason
    return True


@kernel
def _is_ignored(state: State, c: Any, code: int) -> bool:
    """Return whether a restart policy ignores an exit code."""
    for row in range(c.ignored_from, c.ignored_to):
        if state.sets.exit_codes[row] == code:
            return True
    return False


@kernel
def compute_stopping_time(state: State, slot: int, now: int) -> int:
    """Return how long SIGTERM and SIGKILL take for all containers (ms), in the reverse order of their start.

    A container is asked to stop when those that depend on it have stopped. Records the exit code of the main
    container.
    """
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    longest = 0
    for position in range(s.containers):
        state.tasks.container_states[
            slot, position
        ].begun = 0  # from here on: the instant at which it is asked to stop
    for position in range(s.containers - 1, -1, -1):
        c = state.sets.containers[s.first_container + position]
        container = state.tasks.container_states[slot, position]
        duration, code = c.stop_timeout_ms, EXIT_KILLED
        if duration < 0:
            duration = state.images.agents[host_class_index(state, slot)].stop_timeout_ms
        own = _draw_container_duration(state, c.stop, c, t, _STOP, 0)
        if 0 <= container.exits_at <= now:
            duration, code = 0, container.exit_code
        elif 0 <= own <= duration:
            duration, code = own, c.stop_exit_code
        gone = container.begun + duration
        longest = max(longest, gone)
        if position == s.main_container:
            t.next_exit_code = code
        for row in range(c.needs_from, c.needs_to):
            other = state.tasks.container_states[slot, state.sets.dependencies[row, 0]]
            other.begun = max(other.begun, gone)
    return longest
