"""Starts and stops of services' tasks: the launch rate, the service events, and what both change in the service.

Each rule is written once, for compiled code (`world.scheduling.steady_services`) and for the controllers in
`control.services`, which decide how many tasks start and which stop. `world.scheduling.commands` creates tasks;
`world.resources.scale_in_choice` chooses those that stop. Callers make room first (`World.make_room`).
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.vocabulary import MS_PER_SECOND, NEVER, EventKind, StopCode
from clustersim.world.scheduling.commands import (
    start_task_batch,
    start_task_in_zone,
    start_tasks_on_hosts,
)
from clustersim.world.state.event_rows import emit_event
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import RUNNING
from clustersim.world.state.usage import Slots
from clustersim.world.tasks.lifecycle import stop_task

LAUNCH_CYCLE_MS = MS_PER_SECOND  # ECS publishes no cycle length; launch tokens are refilled once a second

_TASKS_STARTED = int(EventKind.TASKS_STARTED)
_TASKS_STOPPED = int(EventKind.TASKS_STOPPED)
_STEADY = int(EventKind.STEADY)
_SCHEDULER_INITIATED = int(StopCode.ServiceSchedulerInitiated)


@kernel_entry
def refill_launch_tokens(state: State, service: int, now: int) -> int:
    """Refill the launch tokens of a service up to `now`; return the number of tasks that may be launched."""
    v = state.services.rows[service]
    v.launch_tokens = min(v.launch_burst, v.launch_tokens + (now - v.launch_refilled_at) * v.launch_rate)
    v.launch_refilled_at = now
    return int(v.launch_tokens)


@kernel_entry
def start_service_tasks(state: State, row: int, count: int, now: int, started: Slots) -> int:
    """Start up to `count` tasks of a service's set `row`, write their ids to `started` and return their number.

    The caller keeps `count` within the launch rate. Where Fargate refused a task, `counters.refused_sentence` is the
    wait reason, else 0.
    """
    done = start_task_batch(state, row, state.sets.rows[row].first_shape, count, now, started)
    _charge_and_report(state, row, started, done, now)
    return int(done)


@kernel_entry
def start_service_task_in_zone(state: State, row: int, zone: int, now: int, started: Slots) -> int:
    """Start one task of a service's set `row` in `zone`, if it fits there; return 1, else 0."""
    done = start_task_in_zone(state, row, state.sets.rows[row].first_shape, zone, now, started)
    if done > 0:
        _charge_and_report(state, row, started, done, now)
    return int(done)


@kernel_entry
def start_service_tasks_on_hosts(state: State, row: int, hosts: Slots, now: int, started: Slots) -> int:
    """Start a task of a service's set `row` on each instance in `hosts` on which it fits; return their number."""
    done = start_tasks_on_hosts(state, row, state.sets.rows[row].first_shape, hosts, now, started)
    _charge_and_report(state, row, started, done, now)
    return int(done)


@kernel
def _charge_and_report(state: State, row: int, started: Slots, count: int, now: int) -> None:
    """Charge started tasks to the launch rate of their service, and report them in one event."""
    service = state.sets.rows[row].service
    v = state.services.rows[service]
    v.launch_tokens -= count
    v.steady_reported = 0
    for position in range(count):
        emit_event(state, now, _TASKS_STARTED, NEVER, started[position], service)
        state.outputs.events[state.counters.events - 1].merged_events = count - 1 - position


@kernel_entry
def stop_service_tasks(state: State, service: int, slots: Slots, now: int, reason: int) -> None:
    """Stop these tasks of a service in this order; those that run are reported in one event."""
    if slots.size == 0:
        return
    state.services.rows[service].steady_reported = 0
    running = 0
    for slot in slots:
        running += int(state.tasks.rows[slot].state == RUNNING)
    for slot in slots:
        if state.tasks.rows[slot].state == RUNNING:
            running -= 1
            emit_event(state, now, _TASKS_STOPPED, NEVER, state.tasks.rows[slot].task_id, service)
            state.outputs.events[state.counters.events - 1].merged_events = running
    for slot in slots:
        stop_task(state, slot, now, _SCHEDULER_INITIATED, reason)


@kernel_entry
def is_settled(state: State, row: int) -> bool:
    """Return whether exactly the desired number of tasks of a set runs, all healthy, and none starts."""
    s = state.sets.rows[row]
    desired = state.services.rows[s.service].desired
    return bool(s.running == desired and s.healthy == desired and s.provisioning + s.pending == 0)


@kernel_entry
def report_steady(state: State, service: int, now: int) -> None:
    """Report that a service has reached a steady state."""
    state.services.rows[service].steady_reported = 1
    emit_event(state, now, _STEADY, NEVER, NEVER, service)
