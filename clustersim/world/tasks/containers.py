"""Tasks whose containers have lives of their own: the order in which they start, restart and end.

When such a task has got its place, `plan` knows from its luck when each container will begin, start, pass its
health check and end, and therefore when the task is RUNNING, or that it never will be. Where the agent pulls an image
only when the container's dependencies are met, it knows so much up to the first such pull, and goes on when that
has begun. Later ends come back from the calendar: a restart policy may start the container again. Everything else
of a task's life is in `lives`.

Sources: botocore ContainerDefinition (essential, dependsOn, startTimeout, stopTimeout), ContainerDependency,
ContainerRestartPolicy. Rows of CONTAINER are ordered so that a container's dependencies stand before it.
"""

from __future__ import annotations

from typing import Any

from clustersim.engine.compiled import inlined, kernel
from clustersim.engine.random_streams import uniform
from clustersim.policy.tasks.health import container_unwell, earlier, first_pass, found_hung, outlasting
from clustersim.vocabulary import NEVER, DependencyCondition, StoppedReason
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import (
    CONTAINER_EXITS,
    CONTAINER_PULLS,
    IMAGE_PULLED,
    START_FAILS,
    TASK_HANGS,
    TASK_READY,
    TASK_STARTED,
    TASK_UNWELL,
)
from clustersim.world.state.usage import draw, note
from clustersim.world.tasks.health import leave_rotation, note_target_health
from clustersim.world.tasks.image_pulls import NOT_PULLED, place_of, pull_on_host

CELL_SHIFT = 32  # the subject of CONTAINER_EXITS: slot, and the container's position above it
EXIT_KILLED = 137

# A container's luck, one address each: (task, purpose, attempt, restart).
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
    """The ordinal of a draw in a container's stream."""
    return purpose + 8 * (attempt + 4_096 * restarts)


@kernel
def _drawn(state: State, row: int, c: Any, t: Any, purpose: int, restarts: int) -> int:
    """A duration of distribution `row` for a container of a task; -1 where it has none."""
    if row < 0:
        return NEVER
    return draw(state, row, c.key, t.ordinal, _address(purpose, t.attempt, restarts))


@kernel
def _met(cell: Any, condition: int) -> int:
    """When a container has reached a condition; -1: it never will, unless it is started again."""
    if condition == _START:
        return int(cell.started)
    if condition == _COMPLETE:
        return int(cell.exits)
    if condition == _SUCCESS:
        return int(cell.exits) if cell.exit_code == 0 else NEVER
    return int(cell.well)


@kernel
def _run(state: State, slot: int, position: int, restarts: int) -> None:
    """Fill a container's cell from the instant at which it began: start, own end, first passed check."""
    t = state.tasks[slot]
    c = state.containers[state.sets[t.set].first_container + position]
    cell = state.cells[slot, position]
    cell.restarts = restarts
    cell.started = cell.begun + max(0, _drawn(state, c.startup, c, t, _STARTUP, restarts))
    ends = _drawn(state, c.duration, c, t, _DURATION, restarts)
    breaks = _drawn(state, c.failure, c, t, _FAILURE, restarts)
    cell.exits = NEVER
    cell.exit_code = NEVER
    cell.reason = _EXITED
    if breaks >= 0 and (ends < 0 or breaks < ends):
        cell.exits, cell.exit_code = cell.started + max(1, breaks), c.exit_code
        cell.reason = c.failure_reason
    elif ends >= 0:
        cell.exits, cell.exit_code = cell.started + ends, c.complete_code
    cell.well = NEVER
    if c.check_ms > 0:
        passed = first_pass(c.check_ms, c.ready_ms)
        if passed >= 0 and (cell.exits < 0 or cell.started + passed < cell.exits):
            cell.well = cell.started + passed


@kernel
def plan(state: State, slot: int, now: int) -> None:
    """A placed task's containers begin, those first that others wait for: note when the task is RUNNING, or fails."""
    for position in range(state.sets[state.tasks[slot].set].containers):
        state.cells[slot, position].begun = NEVER
    _plan_on(state, slot, now)


@kernel
def _plan_on(state: State, slot: int, now: int) -> None:
    """Plan every container that has not begun, up to the first that must pull its image then."""
    s = state.sets[state.tasks[slot].set]
    first, pulls_at = NEVER, NEVER
    for position in range(s.containers):
        if state.cells[slot, position].begun >= 0:
            continue
        begun, failed = _waited(state, slot, position, now)
        if failed:
            _fail(state, slot, begun, _DEPENDENCY)
            return
        if begun < 0:
            continue  # it waits for one that waits for its image
        pull = state.containers[s.first_container + position].pull
        if pull >= 0 and state.holds[slot, pull] == NOT_PULLED:
            if first < 0 or begun < pulls_at:
                first, pulls_at = position, begun
        elif not _begin(state, slot, position, begun):
            return
    _note_running(state, slot, first, pulls_at)


@kernel
def _note_running(state: State, slot: int, first: int, pulls_at: int) -> None:
    """Note when the task is RUNNING, or that container `first` (-1: none) pulls at `pulls_at`; unless it has failed
    by then."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    then = pulls_at
    if first < 0:
        for position in range(s.containers):
            then = max(then, state.cells[slot, position].started)
    for position in range(s.containers):
        cell = state.cells[slot, position]
        essential = state.containers[s.first_container + position].essential
        if essential and cell.begun >= 0 and 0 <= cell.exits <= then:
            t.next_exit_code = cell.exit_code
            _fail(state, slot, cell.exits, cell.reason)
            return
    if first < 0:
        note(state, then, TASK_STARTED, slot, t.task_id)
    else:
        note(state, then, CONTAINER_PULLS, slot + (first << CELL_SHIFT), t.task_id)


@kernel
def _begin(state: State, slot: int, position: int, begun: int) -> bool:
    """Let a container begin; False if it cannot be started, which then fails the task."""
    t = state.tasks[slot]
    c = state.containers[state.sets[t.set].first_container + position]
    cell = state.cells[slot, position]
    cell.begun = begun
    _run(state, slot, position, 0)
    broken = uniform(c.key, t.ordinal, _address(_BROKEN, t.attempt, 0))
    if c.start_failure > 0.0 and broken < c.start_failure:
        _fail(state, slot, cell.started, _START_FAILED)
        return False
    return True


@kernel
def pull_dependent(state: State, slot: int, position: int, now: int) -> None:
    """The dependencies of a container of a PENDING task are met: its image is pulled, then it begins."""
    t = state.tasks[slot]
    pull = state.containers[state.sets[t.set].first_container + position].pull
    there, t.sentence = pull_on_host(state, slot, pull, now)
    if t.sentence > 0:
        _fail(state, slot, there, _CANNOT_PULL)
        return
    if t.pull_started >= 0:
        note(state, there, IMAGE_PULLED, slot, t.task_id)
    if _begin(state, slot, position, there):
        _plan_on(state, slot, now)


@kernel
def plan_settled(state: State, slot: int, now: int) -> None:
    """The containers of a task that has been there for long: each ready and well by now, its own work ahead."""
    s = state.sets[state.tasks[slot].set]
    for position in range(s.containers):
        c = state.containers[s.first_container + position]
        cell = state.cells[slot, position]
        age = max(0, c.ready_ms)
        if c.check_ms > 0:
            age = max(age, first_pass(c.check_ms, c.ready_ms))
        cell.begun = now
        _run(state, slot, position, 0)
        lasts = cell.exits - cell.started
        cell.started = now - age
        if cell.exits >= 0:
            cell.exits = now + max(1, lasts)
        if c.duration >= 0 and not c.essential:
            cell.exits = NEVER  # it has done its work long ago


@kernel
def _fail(state: State, slot: int, at: int, reason: int) -> None:
    """Note that a task stops before it was RUNNING."""
    t = state.tasks[slot]
    t.next_reason = reason
    note(state, at, START_FAILS, slot, t.task_id)


@kernel
def _waited(state: State, slot: int, position: int, now: int) -> tuple[int, bool]:
    """When a container's dependencies are met; or when it gives up, since one is not within its startTimeout.

    NEVER while that is not known, as one of them has not begun.
    """
    s = state.sets[state.tasks[slot].set]
    c = state.containers[s.first_container + position]
    begun = now
    for row in range(c.needs_from, c.needs_to):
        other = state.dependencies[row, 0]
        cell = state.cells[slot, other]
        if cell.begun < 0:
            return NEVER, False
        met = _met(cell, state.dependencies[row, 1])
        limit = cell.begun + _start_timeout(state, slot, state.containers[s.first_container + other])
        if state.dependencies[row, 1] == _SUCCESS and cell.exits >= 0 and cell.exit_code != 0:
            return int(min(cell.exits, limit)), True
        if met < 0 or met > limit:
            return int(limit), True
        begun = max(begun, met)
    return begun, False


@kernel
def _start_timeout(state: State, slot: int, c: Any) -> int:
    """How long others wait for a container: its startTimeout, else the agent's."""
    if c.start_timeout_ms >= 0:
        return int(c.start_timeout_ms)
    return int(state.agents[place_of(state, slot)].start_timeout_ms)


@kernel
def note_lives(state: State, slot: int, now: int) -> None:
    """The task is RUNNING: note the ends of its containers, and its health."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    ready, hangs, passed, unwell = NEVER, NEVER, 0, NEVER
    checked = False
    for position in range(s.containers):
        c = state.containers[s.first_container + position]
        cell = state.cells[slot, position]
        if cell.exits > now:
            note(state, cell.exits, CONTAINER_EXITS, slot + (position << CELL_SHIFT), t.task_id)
        begun = cell.started - now  # at or before now: the checks have their own clock
        hung = NEVER
        if c.hang >= 0 and c.ready_ms >= 0:
            hung = begun + c.ready_ms + max(1, _drawn(state, c.hang, c, t, _HANG, 0))
        if position == s.main:
            ready = max(0, begun + c.ready_ms) if c.ready_ms >= 0 else NEVER
            hangs = hung
        if c.check_ms > 0 and c.essential:
            checked = True
            after = first_pass(c.check_ms, c.ready_ms)
            passed = NEVER if after < 0 or passed < 0 else max(passed, begun + after)
            unwell = earlier(unwell, _unwell(c, begun, hung, after, s.grace_ms))
    if hangs >= 0 and s.service >= 0:
        note(state, now + hangs, TASK_HANGS, slot, t.task_id)
    if unwell >= 0:
        note(state, now + unwell, TASK_UNWELL, slot, t.task_id)
    if s.service >= 0 or checked:
        note_target_health(state, slot, now, ready, hangs, passed, checked)


@kernel
def _unwell(c: Any, begun: int, hung: int, after: int, grace_ms: int) -> int:
    """When a container is UNHEALTHY and that counts (ms from RUNNING), by its check; -1: never."""
    lost = container_unwell(c.check_ms, c.check_retries, c.check_start_ms, c.ready_ms)
    unwell = NEVER
    if lost >= 0:
        unwell = outlasting(max(0, begun + lost), NEVER if after < 0 else begun + after, grace_ms)
    if hung >= 0:
        found = begun + found_hung(c.check_ms, c.check_retries, hung - begun)
        unwell = earlier(unwell, outlasting(found, NEVER, grace_ms))
    return unwell


@kernel
def ends_task(state: State, slot: int, position: int, now: int) -> bool:
    """A container of a RUNNING task has ended: whether the task ends with it; its exit code is then noted.

    With a restart policy a container that ran for restartAttemptPeriod, and whose exit code is not ignored,
    begins again at once. A container that is not essential has no effect.
    """
    t = state.tasks[slot]
    s = state.sets[t.set]
    c = state.containers[s.first_container + position]
    cell = state.cells[slot, position]
    if cell.exits != now:
        return False
    if c.restarts and now - cell.started >= c.restart_period_ms and not _ignored(state, c, cell.exit_code):
        cell.begun = now
        _run(state, slot, position, cell.restarts + 1)
        if cell.exits >= 0:
            note(state, cell.exits, CONTAINER_EXITS, slot + (position << CELL_SHIFT), t.task_id)
        if position == s.main and t.ready:
            leave_rotation(state, slot, now)
            if c.ready_ms >= 0:
                note(state, cell.started + c.ready_ms, TASK_READY, slot, t.task_id)
        return False
    if not c.essential:
        return False
    t.next_exit_code, t.next_reason = cell.exit_code, cell.reason
    return True


@kernel
def _ignored(state: State, c: Any, code: int) -> bool:
    """Whether a restart policy ignores an exit code."""
    for row in range(c.ignored_from, c.ignored_to):
        if state.exit_codes[row] == code:
            return True
    return False


@kernel
def stopping_time(state: State, slot: int, now: int) -> int:
    """How long SIGTERM and SIGKILL take for all containers: in the reverse order of their start.

    A container is asked to stop when those that depend on it are gone. Notes the exit code of the main one.
    """
    t = state.tasks[slot]
    s = state.sets[t.set]
    longest = 0
    for position in range(s.containers):
        state.cells[slot, position].begun = 0  # from here on: when it is asked to stop
    for position in range(s.containers - 1, -1, -1):
        c = state.containers[s.first_container + position]
        cell = state.cells[slot, position]
        takes, code = c.stop_timeout_ms, EXIT_KILLED
        if takes < 0:
            takes = state.agents[place_of(state, slot)].stop_timeout_ms
        own = _drawn(state, c.stop, c, t, _STOP, 0)
        if 0 <= cell.exits <= now:
            takes, code = 0, cell.exit_code
        elif 0 <= own <= takes:
            takes, code = own, c.stop_exit_code
        gone = cell.begun + takes
        longest = max(longest, gone)
        if position == s.main:
            t.next_exit_code = code
        for row in range(c.needs_from, c.needs_to):
            other = state.cells[slot, state.dependencies[row, 0]]
            other.begun = max(other.begun, gone)
    return longest
