"""External failures of instances and tasks: Spot interruptions, task retirement, zone loss, agent disconnects.

These kernels carry a failure out. When it happens was drawn with the instance or the task, or is in the timetable of
`control.environment.failure_timetable`; `policy.capacity.interruption_rates` defines kinds and rates.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from clustersim.engine.compiled import Array, kernel, kernel_entry
from clustersim.engine.random_streams import uniform
from clustersim.policy.placement.hosts import AGENT_CONNECTED, close_host, open_host
from clustersim.vocabulary import MS_PER_MINUTE, EventKind, StopCode, StoppedReason
from clustersim.world.instances.lifecycle import ACTIVE, REGISTERING, drain_instance, schedule_before_end
from clustersim.world.resources.allocation import mark_gained_room
from clustersim.world.state.calendar_entries import schedule_entry
from clustersim.world.state.event_rows import emit_event
from clustersim.world.state.random_durations import draw_duration
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import (
    AGENT_DISCONNECTS,
    AGENT_RECONNECTS,
    INSTANCE_RECLAIMED,
    RUNNING,
    TASK_INTERRUPTED,
    mark_daemons_dirty,
    mark_service_dirty,
)
from clustersim.world.state.usage import Slots
from clustersim.world.tasks.health import deregister
from clustersim.world.tasks.lifecycle import finish_task, send_sigterm, stop_task

NOTICE_MS = 2 * MS_PER_MINUTE  # EC2 and Fargate warn of an interruption this long before (MODEL.md)
POOL_EVENTS = 1 << 40  # ordinals of draws for pool events, distinct from those of single instances and tasks

Mask = Annotated[Array, np.uint8, 1]

_SPOT_INTERRUPTION = int(StopCode.SpotInterruption)
_TERMINATION_NOTICE = int(StopCode.TerminationNotice)
_INTERRUPTED = int(StoppedReason.SPOT_INTERRUPTED)
_MAINTENANCE = int(StoppedReason.MAINTENANCE)
_ZONE_LOST = int(StoppedReason.ZONE_LOST)
_SPOT_NOTICE = int(EventKind.SPOT_NOTICE)
_DISCONNECTED = int(EventKind.AGENT_DISCONNECTED)
_RECONNECTED = int(EventKind.AGENT_RECONNECTED)
_FARGATE_SPOT = int(EventKind.FARGATE_SPOT_INTERRUPTION)
_RETIREMENT = int(EventKind.FARGATE_TASK_RETIREMENT)


@kernel
def give_spot_notice(state: State, slot: int, now: int) -> None:
    """Give a Spot instance its interruption notice, two minutes ahead; its agent drains it only if configured to."""
    h = state.instances.rows[slot]
    if h.notice_at >= 0:
        return
    h.notice_at = now
    emit_event(state, now, _SPOT_NOTICE, h.instance_id, -1, -1)
    schedule_entry(state, now + NOTICE_MS, INSTANCE_RECLAIMED, slot, h.instance_id)
    if h.state == ACTIVE and state.capacity.classes[h.instance_class].drains_on_notice:
        drain_instance(state, slot, now)


@kernel_entry
def give_notice_to_classes(state: State, classes: Mask, event: int, fraction: float, now: int) -> None:
    """Give notice to each instance of the marked classes with probability `fraction`.

    The address of the draw is the instance's own and the number of the `event`.
    """
    for slot in range(state.instances.rows.size):
        h = state.instances.rows[slot]
        if h.instance_id < 0 or classes[h.instance_class] == 0:
            continue
        if (
            fraction >= 1.0
            or uniform(state.capacity.classes[h.instance_class].pool_key, h.ordinal, event) < fraction
        ):
            give_spot_notice(state, slot, now)


@kernel
def disconnect_agent(state: State, slot: int, now: int) -> None:
    """Disconnect the agent of an instance: no new tasks are placed, running tasks continue (botocore: HealthCheck)."""
    h = state.instances.rows[slot]
    if h.connected == 0 or h.state == REGISTERING:
        return
    k = state.capacity.classes[h.instance_class]
    if h.state == ACTIVE:
        close_host(state.instances.hosts, slot)
    h.connected = 0
    state.counters.disconnected_agents += 1
    state.instances.hosts.facts[AGENT_CONNECTED, slot] = 0
    emit_event(state, now, _DISCONNECTED, h.instance_id, -1, -1)
    # The ordinal of the draw is how long the instance has been registered, so that each disconnect is independent.
    duration = max(
        1, draw_duration(state, k.disconnect_duration, k.agent_key, h.ordinal, 2 * (now - h.registered) + 1)
    )
    schedule_before_end(state, now + duration, AGENT_RECONNECTS, slot)


@kernel
def reconnect_agent(state: State, slot: int, now: int) -> None:
    """Reconnect the agent of an instance."""
    h = state.instances.rows[slot]
    if h.connected:
        return
    k = state.capacity.classes[h.instance_class]
    h.connected = 1
    state.counters.disconnected_agents -= 1
    state.instances.hosts.facts[AGENT_CONNECTED, slot] = 1
    if h.state == ACTIVE:
        open_host(state.instances.hosts, slot, h.instance_class)
        mark_gained_room(state, slot)
        mark_daemons_dirty(state)
    emit_event(state, now, _RECONNECTED, h.instance_id, -1, -1)
    connected_for = max(
        1, draw_duration(state, k.disconnect, k.agent_key, h.ordinal, 2 * (now - h.registered))
    )
    schedule_before_end(state, now + connected_for, AGENT_DISCONNECTS, slot)


@kernel
def interrupt_task(state: State, slot: int, now: int) -> None:
    """Interrupt a Fargate Spot task: SIGTERM with the notice, SIGKILL after stopTimeout (golden 77)."""
    t = state.tasks.rows[slot]
    if t.state > RUNNING:
        return
    s = state.sets.rows[t.set]
    emit_event(state, now, _FARGATE_SPOT, -1, t.task_id, s.service)
    t.stop_code, t.reason = _SPOT_INTERRUPTION, _INTERRUPTED
    if t.state < RUNNING:
        finish_task(state, slot, now)
        return
    deregister(state, slot, now)
    t.stopping = now
    send_sigterm(state, slot, now)
    mark_service_dirty(state, s.service)


@kernel_entry
def interrupt_tasks(state: State, slots: Slots, event: int, fraction: float, now: int) -> None:
    """Interrupt each of these Fargate Spot tasks with probability `fraction`; see `give_notice_to_classes`."""
    for slot in slots:
        t = state.tasks.rows[slot]
        key = state.sets.rows[t.set].interruption_key
        if fraction >= 1.0 or uniform(key, t.ordinal, POOL_EVENTS + event) < fraction:
            interrupt_task(state, slot, now)


@kernel
def retire_task(state: State, slot: int, now: int) -> None:
    """Retire a Fargate task on its date: a service replaces it, a standalone task is stopped."""
    t = state.tasks.rows[slot]
    if t.state > RUNNING or t.leaving:
        return
    s = state.sets.rows[t.set]
    emit_event(state, now, _RETIREMENT, -1, t.task_id, s.service)
    if s.service >= 0 and t.state == RUNNING:
        t.leaving = 1
        s.leaving += 1
        mark_service_dirty(state, s.service)
    else:
        stop_task(state, slot, now, _TERMINATION_NOTICE, _MAINTENANCE)


@kernel
def handle_fargate_reclaim(state: State, kind: int, slot: int, now: int) -> None:
    """Handle a scheduled Fargate Spot interruption or retirement."""
    if kind == TASK_INTERRUPTED:
        interrupt_task(state, slot, now)
    else:
        retire_task(state, slot, now)


@kernel_entry
def end_tasks_of_lost_zone(state: State, slots: Slots, now: int) -> None:
    """End Fargate tasks whose zone has failed."""
    for slot in slots:
        t = state.tasks.rows[slot]
        if t.stopping < 0:
            t.stop_code, t.reason = _TERMINATION_NOTICE, _ZONE_LOST
        finish_task(state, slot, now)
