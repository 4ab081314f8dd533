"""What befalls instances and tasks from outside: Spot interruptions, retirement, zones that are gone, lost agents.

The kernels that carry a mishap out. When one happens was drawn with the instance or the task, or stands in the
timetable of `control.environment.failure_timetable`; which kinds there are and how often,
`policy.capacity.interruption_rates` says.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from clustersim.engine.compiled import Array, kernel, kernel_entry
from clustersim.engine.random_streams import uniform
from clustersim.policy.placement.hosts import AGENT_CONNECTED, close_host, open_host
from clustersim.vocabulary import MS_PER_MINUTE, EventKind, StopCode, StoppedReason
from clustersim.world.instances.lifecycle import ACTIVE, REGISTERING, drain, note_within
from clustersim.world.resources.allocation import mark_freed
from clustersim.world.state.tables import DISCONNECTED, State
from clustersim.world.state.task_states import (
    AGENT_BACK,
    AGENT_LOST,
    INSTANCE_RECLAIMED,
    RUNNING,
    TASK_INTERRUPTED,
    ring_daemons,
    ring_scheduler,
)
from clustersim.world.state.usage import Slots, draw, note, tell
from clustersim.world.tasks.health import leave_duty
from clustersim.world.tasks.lifecycle import ask_stop, finish, terminate

NOTICE_MS = 2 * MS_PER_MINUTE  # EC2 and Fargate warn of an interruption so long before (MODEL.md)
POOL_EVENTS = 1 << 40  # ordinals of draws about events of a pool, apart from those about single lives

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
def give_notice(state: State, slot: int, now: int) -> None:
    """EC2 wants a Spot instance back in two minutes; its agent drains it only where it is told to."""
    h = state.instances[slot]
    if h.notice >= 0:
        return
    h.notice = now
    tell(state, now, _SPOT_NOTICE, h.instance_id, -1, -1)
    note(state, now + NOTICE_MS, INSTANCE_RECLAIMED, slot, h.instance_id)
    if h.state == ACTIVE and state.classes[h.klass].drains_on_notice:
        drain(state, slot, now)


@kernel_entry
def notice_classes(state: State, classes: Mask, event: int, fraction: float, now: int) -> None:
    """Give notice to each instance of the marked classes with probability `fraction`.

    The draw's address is the instance's own and the number of the `event`.
    """
    for slot in range(state.instances.size):
        h = state.instances[slot]
        if h.instance_id < 0 or classes[h.klass] == 0:
            continue
        if fraction >= 1.0 or uniform(state.classes[h.klass].pool_key, h.ordinal, event) < fraction:
            give_notice(state, slot, now)


@kernel
def lose_agent(state: State, slot: int, now: int) -> None:
    """The agent's connection is gone: no new tasks here, and what runs runs on (botocore: HealthCheck)."""
    h = state.instances[slot]
    if h.connected == 0 or h.state == REGISTERING:
        return
    k = state.classes[h.klass]
    if h.state == ACTIVE:
        close_host(state.hosts, slot)
    h.connected = 0
    state.clock[DISCONNECTED] += 1
    state.hosts.facts[AGENT_CONNECTED, slot] = 0
    tell(state, now, _DISCONNECTED, h.instance_id, -1, -1)
    # The address of the draw is how long the instance has been registered: each silence has luck of its own.
    away = max(1, draw(state, k.silence, k.agent_key, h.ordinal, 2 * (now - h.registered) + 1))
    note_within(state, now + away, AGENT_BACK, slot)


@kernel
def find_agent(state: State, slot: int, now: int) -> None:
    """The agent is connected again."""
    h = state.instances[slot]
    if h.connected:
        return
    k = state.classes[h.klass]
    h.connected = 1
    state.clock[DISCONNECTED] -= 1
    state.hosts.facts[AGENT_CONNECTED, slot] = 1
    if h.state == ACTIVE:
        open_host(state.hosts, slot, h.klass)
        mark_freed(state, slot)
        ring_daemons(state)
    tell(state, now, _RECONNECTED, h.instance_id, -1, -1)
    again = max(1, draw(state, k.disconnect, k.agent_key, h.ordinal, 2 * (now - h.registered)))
    note_within(state, now + again, AGENT_LOST, slot)


@kernel
def interrupt_task(state: State, slot: int, now: int) -> None:
    """Fargate wants a Spot task back: SIGTERM with the notice, SIGKILL after stopTimeout (golden 77)."""
    t = state.tasks[slot]
    if t.state > RUNNING:
        return
    s = state.sets[t.set]
    tell(state, now, _FARGATE_SPOT, -1, t.task_id, s.service)
    t.stop_code, t.reason = _SPOT_INTERRUPTION, _INTERRUPTED
    if t.state < RUNNING:
        finish(state, slot, now)
        return
    leave_duty(state, slot, now)
    t.stopping = now
    terminate(state, slot, now)
    ring_scheduler(state, s.service)


@kernel_entry
def interrupt_tasks(state: State, slots: Slots, event: int, fraction: float, now: int) -> None:
    """Interrupt each of these Fargate Spot tasks with probability `fraction`; see `notice_classes`."""
    for slot in slots:
        t = state.tasks[slot]
        key = state.sets[t.set].interruption_key
        if fraction >= 1.0 or uniform(key, t.ordinal, POOL_EVENTS + event) < fraction:
            interrupt_task(state, slot, now)


@kernel
def retire_task(state: State, slot: int, now: int) -> None:
    """The date on which Fargate retires a task: a service replaces it, a standalone one is stopped."""
    t = state.tasks[slot]
    if t.state > RUNNING or t.leaving:
        return
    s = state.sets[t.set]
    tell(state, now, _RETIREMENT, -1, t.task_id, s.service)
    if s.service >= 0 and t.state == RUNNING:
        t.leaving = 1
        s.leaving += 1
        ring_scheduler(state, s.service)
    else:
        ask_stop(state, slot, now, _TERMINATION_NOTICE, _MAINTENANCE)


@kernel
def befall_task(state: State, kind: int, slot: int, now: int) -> None:
    """What Fargate had in store for a task is due."""
    if kind == TASK_INTERRUPTED:
        interrupt_task(state, slot, now)
    else:
        retire_task(state, slot, now)


@kernel_entry
def lose_tasks(state: State, slots: Slots, now: int) -> None:
    """A zone is gone, and these Fargate tasks with it."""
    for slot in slots:
        t = state.tasks[slot]
        if t.stopping < 0:
            t.stop_code, t.reason = _TERMINATION_NOTICE, _ZONE_LOST
        finish(state, slot, now)
