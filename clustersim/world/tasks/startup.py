"""How a task that has a place comes to RUNNING: its network, its rights, its images, its containers.

Each step is a kernel that says what is due next; the calendar comes back for it. An address is taken with the
place, IAM is asked when the network is there, and images are pulled (`pulls`) before the containers start
(`containers`, where they have lives of their own). Where a task goes is decided by `waiting`; what happens from
RUNNING on is in `lives`.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.engine.random_streams import uniform
from clustersim.vocabulary import NEVER, EventKind, StopCode, StoppedReason, WaitReason
from clustersim.world.resources.allocation import (
    bill_fargate,
    fargate_zone,
    hold_fargate,
    hold_host,
    take_address,
)
from clustersim.world.state.tables import END, State
from clustersim.world.state.task_states import (
    PULL_ENDS,
    PULL_STARTS,
    START_FAILS,
    TASK_INTERRUPTED,
    TASK_RETIRED,
    TASK_STARTED,
)
from clustersim.world.state.usage import draw, note, tell_words
from clustersim.world.tasks.containers import plan
from clustersim.world.tasks.image_pulls import forget_images, place_of, pull_upfront
from clustersim.world.tasks.lifecycle import finish, start

BEFORE_PULL, AFTER_PULL = range(2)
"""The last axis of `State.denials`: when IAM is asked."""

_FAILED_TO_START = int(StopCode.TaskFailedToStart)
_CONTAINER_EXITED = int(StopCode.EssentialContainerExited)
_EXITED = int(StoppedReason.ESSENTIAL_CONTAINER_EXITED)
_START_FAILED = int(StoppedReason.START_FAILED)
_CANNOT_PULL = int(StoppedReason.CANNOT_PULL)
_ACCESS_DENIED = int(StoppedReason.ACCESS_DENIED)
_NO_ADDRESS = int(StoppedReason.NO_ADDRESS)
_OUT_OF_MEMORY = int(StoppedReason.OUT_OF_MEMORY)
_WITHOUT_ADDRESS = int(WaitReason.NO_ADDRESS)
_FOUND_NO_ADDRESS = int(EventKind.NO_ADDRESS)


@kernel
def place_on_host(state: State, slot: int, host: int, now: int) -> None:
    """Place the task on container instance `host` and let it start there."""
    if not take_address(state, slot, state.classes[state.instances[host].klass].zone):
        lack_address(state, slot, state.classes[state.instances[host].klass].zone, now)
        return
    hold_host(state, slot, host, now)
    schedule_start(state, slot, now)


@kernel
def place_on_fargate(state: State, slot: int, now: int) -> None:
    """Give the task a Fargate slot and let it start there."""
    t = state.tasks[slot]
    t.zone = t.zone if t.zone >= 0 else fargate_zone(state, t.lane)  # zone rebalancing has chosen
    if not take_address(state, slot, t.zone):
        lack_address(state, slot, t.zone, now)
        return
    hold_fargate(state, slot, now)
    expect_back(state, slot, now)
    schedule_start(state, slot, now)


@kernel
def lack_address(state: State, slot: int, zone: int, now: int) -> None:
    """No network interface can be made for a task: it stops before it has a place, and ECS says why."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    t.zone = NEVER
    t.wait = _WITHOUT_ADDRESS
    state.refusals[_WITHOUT_ADDRESS] += 1
    t.stop_code, t.reason = _FAILED_TO_START, _NO_ADDRESS
    t.sentence = state.address_words[t.lane, zone]
    tell_words(state, now, _FOUND_NO_ADDRESS, NEVER, t.task_id, s.service, t.sentence)
    finish(state, slot, now)


@kernel
def expect_back(state: State, slot: int, now: int) -> None:
    """Note when Fargate will want a slot back: Spot interruption, retirement."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    lane = state.lanes[t.lane]
    if lane.interruption >= 0:
        at = now + draw(state, lane.interruption, s.interruption_key, t.ordinal, t.attempt)
        _note_within(state, at, TASK_INTERRUPTED, slot)
    if lane.retirement >= 0:
        at = now + draw(state, lane.retirement, s.retirement_key, t.ordinal, t.attempt)
        _note_within(state, at, TASK_RETIRED, slot)


@kernel
def _note_within(state: State, at: int, rank: int, slot: int) -> None:
    """Note what happens to a task, if it happens before the end: such entries outlive most tasks."""
    if at < state.clock[END]:
        note(state, at, rank, slot, state.tasks[slot].task_id)


@kernel
def schedule_start(state: State, slot: int, now: int) -> None:
    """Note when a placed task reaches RUNNING, or that it never will; or when it asks for its images."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    lane = state.lanes[t.lane]
    delay = 0
    if lane.provision >= 0:
        delay += draw(state, lane.provision, s.provision_key, t.ordinal, t.attempt)
    if s.asks == 0:
        start_containers(state, slot, now, delay)
        return
    forget_images(state, slot)
    if delay > 0:
        note(state, now + delay, PULL_STARTS, slot, t.task_id)
    else:
        prepare(state, slot, now)


@kernel
def prepare(state: State, slot: int, now: int) -> None:
    """The network of a placed task is there: ask IAM for what its start needs, then pull its images."""
    t = state.tasks[slot]
    denied = state.denials[t.lane, place_of(state, slot), BEFORE_PULL]
    if denied > 0:
        _fail_to_start(state, slot, now, _ACCESS_DENIED, denied)
        return
    there, sentence = pull_upfront(state, slot, now)
    if t.slot < 0 and t.pull_started >= 0:
        bill_fargate(state, slot, now)
    if sentence > 0:
        _fail_to_start(state, slot, there, _CANNOT_PULL, sentence)
    elif there > now:
        note(state, there, PULL_ENDS, slot, t.task_id)
    else:
        have_images(state, slot, now)


@kernel
def have_images(state: State, slot: int, now: int) -> None:
    """The images that a task begins with are there: its containers start, if their logs may be written."""
    t = state.tasks[slot]
    if t.pull_started >= 0:
        t.pull_stopped = now
    denied = state.denials[t.lane, place_of(state, slot), AFTER_PULL]
    if denied > 0:
        _fail_to_start(state, slot, now, _ACCESS_DENIED, denied)
    else:
        start_containers(state, slot, now, 0)


@kernel
def _fail_to_start(state: State, slot: int, at: int, reason: int, sentence: int) -> None:
    """Note that a task stops before it was RUNNING, and the sentence that says why."""
    t = state.tasks[slot]
    t.next_reason, t.sentence = reason, sentence
    note(state, at, START_FAILS, slot, t.task_id)


@kernel
def start_containers(state: State, slot: int, now: int, delay: int) -> None:
    """Note when a task whose containers begin in `delay` ms reaches RUNNING, or that it never will."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    if s.first_container >= 0:
        plan(state, slot, now + delay)
        return
    if s.startup >= 0:
        delay += draw(state, s.startup, s.startup_key, t.ordinal, t.attempt)
    if s.start_failure > 0.0 and uniform(s.start_failure_key, t.ordinal, t.attempt) < s.start_failure:
        t.next_reason = _START_FAILED
        note(state, now + delay, START_FAILS, slot, t.task_id)
    elif delay > 0:
        note(state, now + delay, TASK_STARTED, slot, t.task_id)
    else:
        start(state, slot, now)


@kernel
def start_fails(state: State, slot: int, now: int) -> None:
    """A task stops before it was RUNNING; the reason was noted when that became clear."""
    t = state.tasks[slot]
    t.reason = t.next_reason
    if t.reason in (_EXITED, _OUT_OF_MEMORY):
        t.exit_code = t.next_exit_code
        t.stop_code = _CONTAINER_EXITED
    else:
        t.stop_code = _FAILED_TO_START
    finish(state, slot, now)
