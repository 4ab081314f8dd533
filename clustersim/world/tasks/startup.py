"""Startup of a task between placement and RUNNING: network, permissions, images, containers.

Each step is a kernel that schedules the next one on the calendar. An address is taken at placement, IAM is evaluated
when the network is ready, and images are pulled (`image_pulls`) before the containers start (`containers`, if they
have lifecycles of their own). `scheduling.provisioning` decides where a task goes; `lifecycle` continues from
RUNNING.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.engine.random_streams import uniform
from clustersim.vocabulary import NEVER, EventKind, StopCode, StoppedReason, WaitReason
from clustersim.world.resources.allocation import (
    allocate_on_fargate,
    allocate_on_host,
    choose_fargate_zone,
    start_fargate_billing,
    take_address,
)
from clustersim.world.state.calendar_entries import schedule_entry
from clustersim.world.state.event_rows import emit_event_with_sentence
from clustersim.world.state.random_durations import draw_duration
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import (
    PULL_ENDS,
    PULL_STARTS,
    START_FAILS,
    TASK_INTERRUPTED,
    TASK_RETIRED,
    TASK_STARTED,
)
from clustersim.world.tasks.containers import plan_containers
from clustersim.world.tasks.image_pulls import clear_pulled_versions, host_class_index, pull_upfront
from clustersim.world.tasks.lifecycle import finish_task, start_task

BEFORE_PULL, AFTER_PULL = range(2)
"""The last axis of `State.sets.denials`: when IAM is evaluated."""

_FAILED_TO_START = int(StopCode.TaskFailedToStart)
_CONTAINER_EXITED = int(StopCode.EssentialContainerExited)
_EXITED = int(StoppedReason.ESSENTIAL_CONTAINER_EXITED)
_START_FAILED = int(StoppedReason.START_FAILED)
_CANNOT_PULL = int(StoppedReason.CANNOT_PULL)
_ACCESS_DENIED = int(StoppedReason.ACCESS_DENIED)
_NO_ADDRESS = int(StoppedReason.NO_ADDRESS)
_OUT_OF_MEMORY = int(StoppedReason.OUT_OF_MEMORY)
_WAIT_NO_ADDRESS = int(WaitReason.NO_ADDRESS)
_NO_ADDRESS_EVENT = int(EventKind.NO_ADDRESS)


@kernel
def place_on_host(state: State, slot: int, host: int, now: int) -> None:
    """Place a task on container instance `host` and begin its startup."""
    if not take_address(state, slot, state.capacity.classes[state.instances.rows[host].instance_class].zone):
        fail_without_address(
            state, slot, state.capacity.classes[state.instances.rows[host].instance_class].zone, now
        )
        return
    allocate_on_host(state, slot, host, now)
    schedule_start(state, slot, now)


@kernel
def place_on_fargate(state: State, slot: int, now: int) -> None:
    """Place a task on Fargate and begin its startup."""
    t = state.tasks.rows[slot]
    t.zone = (
        t.zone if t.zone >= 0 else choose_fargate_zone(state, t.strategy_item)
    )  # a zone is set if zone rebalancing chose it
    if not take_address(state, slot, t.zone):
        fail_without_address(state, slot, t.zone, now)
        return
    allocate_on_fargate(state, slot, now)
    schedule_fargate_reclaim(state, slot, now)
    schedule_start(state, slot, now)


@kernel
def fail_without_address(state: State, slot: int, zone: int, now: int) -> None:
    """Stop a task for which no network interface can be created, before it is placed."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    t.zone = NEVER
    t.wait_reason = _WAIT_NO_ADDRESS
    state.placement.failures[_WAIT_NO_ADDRESS] += 1
    t.stop_code, t.reason = _FAILED_TO_START, _NO_ADDRESS
    t.sentence = state.sets.address_words[t.strategy_item, zone]
    emit_event_with_sentence(state, now, _NO_ADDRESS_EVENT, NEVER, t.task_id, s.service, t.sentence)
    finish_task(state, slot, now)


@kernel
def schedule_fargate_reclaim(state: State, slot: int, now: int) -> None:
    """Schedule the Spot interruption and the retirement of a Fargate task."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    item = state.sets.strategy_items[t.strategy_item]
    if item.interruption >= 0:
        at = now + draw_duration(state, item.interruption, s.interruption_key, t.ordinal, t.attempt)
        _schedule_before_end(state, at, TASK_INTERRUPTED, slot)
    if item.retirement >= 0:
        at = now + draw_duration(state, item.retirement, s.retirement_key, t.ordinal, t.attempt)
        _schedule_before_end(state, at, TASK_RETIRED, slot)


@kernel
def _schedule_before_end(state: State, at: int, rank: int, slot: int) -> None:
    """Schedule an entry of a task, unless it is due after the end of the run: such entries outlive most tasks."""
    if at < state.clock.end:
        schedule_entry(state, at, rank, slot, state.tasks.rows[slot].task_id)


@kernel
def schedule_start(state: State, slot: int, now: int) -> None:
    """Schedule the startup of a placed task: the pull of its images, or its start."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    item = state.sets.strategy_items[t.strategy_item]
    delay = 0
    if item.provision >= 0:
        delay += draw_duration(state, item.provision, s.provision_key, t.ordinal, t.attempt)
    if s.checked_at_start == 0:
        start_containers(state, slot, now, delay)
        return
    clear_pulled_versions(state, slot)
    if delay > 0:
        schedule_entry(state, now + delay, PULL_STARTS, slot, t.task_id)
    else:
        pull_images(state, slot, now)


@kernel
def pull_images(state: State, slot: int, now: int) -> None:
    """Check IAM for what the start needs, then pull the images of a placed task whose network is ready."""
    t = state.tasks.rows[slot]
    denied = state.sets.denials[t.strategy_item, host_class_index(state, slot), BEFORE_PULL]
    if denied > 0:
        _fail_to_start(state, slot, now, _ACCESS_DENIED, denied)
        return
    available_at, sentence = pull_upfront(state, slot, now)
    if t.instance_slot < 0 and t.pull_started >= 0:
        start_fargate_billing(state, slot, now)
    if sentence > 0:
        _fail_to_start(state, slot, available_at, _CANNOT_PULL, sentence)
    elif available_at > now:
        schedule_entry(state, available_at, PULL_ENDS, slot, t.task_id)
    else:
        continue_after_pull(state, slot, now)


@kernel
def continue_after_pull(state: State, slot: int, now: int) -> None:
    """Start the containers of a task whose first images are pulled, unless IAM denies access to its logs."""
    t = state.tasks.rows[slot]
    if t.pull_started >= 0:
        t.pull_stopped = now
    denied = state.sets.denials[t.strategy_item, host_class_index(state, slot), AFTER_PULL]
    if denied > 0:
        _fail_to_start(state, slot, now, _ACCESS_DENIED, denied)
    else:
        start_containers(state, slot, now, 0)


@kernel
def _fail_to_start(state: State, slot: int, at: int, reason: int, sentence: int) -> None:
    """Schedule that a task stops before RUNNING, with `sentence` as its reason."""
    t = state.tasks.rows[slot]
    t.next_reason, t.sentence = reason, sentence
    schedule_entry(state, at, START_FAILS, slot, t.task_id)


@kernel
def start_containers(state: State, slot: int, now: int, delay: int) -> None:
    """Schedule when a task whose containers begin in `delay` ms reaches RUNNING, or fails to."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    if s.first_container >= 0:
        plan_containers(state, slot, now + delay)
        return
    if s.startup >= 0:
        delay += draw_duration(state, s.startup, s.startup_key, t.ordinal, t.attempt)
    if s.start_failure > 0.0 and uniform(s.start_failure_key, t.ordinal, t.attempt) < s.start_failure:
        t.next_reason = _START_FAILED
        schedule_entry(state, now + delay, START_FAILS, slot, t.task_id)
    elif delay > 0:
        schedule_entry(state, now + delay, TASK_STARTED, slot, t.task_id)
    else:
        start_task(state, slot, now)


@kernel
def fail_start(state: State, slot: int, now: int) -> None:
    """Stop a task before RUNNING, for the reason recorded when the failure was scheduled."""
    t = state.tasks.rows[slot]
    t.reason = t.next_reason
    if t.reason in (_EXITED, _OUT_OF_MEMORY):
        t.exit_code = t.next_exit_code
        t.stop_code = _CONTAINER_EXITED
    else:
        t.stop_code = _FAILED_TO_START
    finish_task(state, slot, now)
