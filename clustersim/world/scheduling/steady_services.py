"""The desired count of calm services, kept in compiled code.

A service is *calm* when the scheduler has nothing under way with it: REPLICA, one deployment and that COMPLETED, no
failure, no move between zones (`control.services.scheduler` says so). What is then left of a look at it, and of most
looks at all, is here: start what is missing, stop what is too much, say once that it is steady. Anything else is
handed to the scheduler, which does the same from its own memory.

The calendar looks at once where no other concern is due at the instant; else the scheduler does in its turn.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.vocabulary import MS_PER_SECOND, NEVER, EventKind, StopCode, StoppedReason
from clustersim.world.resources.scale_in_choice import CHOSEN, choose_surplus
from clustersim.world.scheduling.commands import start_some
from clustersim.world.scheduling.provisioning import has_room
from clustersim.world.state.tables import BELL_SCHEDULER, BELLS, DIRTY, EVENTS, ZONES_CHANGED, State
from clustersim.world.state.task_states import RUNNING, ring_scheduler
from clustersim.world.state.usage import Slots, tell
from clustersim.world.tasks.lifecycle import ask_stop

LAUNCH_CYCLE_MS = MS_PER_SECOND  # ECS publishes no cycle length; the launch rate is dealt out once a second
_STARTED = CHOSEN  # the row of `State.choice` that takes the ids of tasks that were started

_TASKS_STARTED = int(EventKind.TASKS_STARTED)
_TASKS_STOPPED = int(EventKind.TASKS_STOPPED)
_STEADY = int(EventKind.STEADY)
_SCHEDULER_INITIATED = int(StopCode.ServiceSchedulerInitiated)
_SCALING_ACTIVITY = int(StoppedReason.SCALING_ACTIVITY)


@kernel_entry
def allowance(state: State, service: int, now: int) -> int:
    """How many tasks the launch rate of a service allows now."""
    v = state.services[service]
    v.launches = min(v.launch_most, v.launches + (now - v.refilled) * v.launch_rate)
    v.refilled = now
    return int(v.launches)


@kernel_entry
def look_at_calm(state: State, todo: Slots, first: int, now: int) -> int:
    """Look at the services `todo[first:]` in turn; the position of the first that is the scheduler's, or the end."""
    for position in range(first, todo.size):
        service = todo[position]
        if not state.services[service].calm or not has_room(state, _lives(state, service)):
            return position
        if not _look(state, service, now):
            return position
    return int(todo.size)


@kernel
def look_at_dirty(state: State, now: int) -> bool:
    """Look at all services that rang, in the order of the file, if each is calm; whether nothing is left to look at."""
    clock = state.clock
    if clock[ZONES_CHANGED]:
        return False  # rebalancing is the scheduler's
    count = clock[DIRTY]
    lives = 0
    for position in range(count):
        service = state.dirty[position]
        if not state.services[service].calm:
            return False
        lives += _lives(state, service)
    if not has_room(state, lives):
        return False
    todo = state.todo
    for position in range(count):
        service = state.dirty[position]
        state.services[service].dirty = 0
        behind = position
        while behind > 0 and todo[behind - 1] > service:
            todo[behind] = todo[behind - 1]
            behind -= 1
        todo[behind] = service
    clock[DIRTY] = 0
    clock[BELLS] &= ~BELL_SCHEDULER
    done = True
    for position in range(count):
        if not _look(state, todo[position], now):
            state.services[todo[position]].calm = 0
            ring_scheduler(state, todo[position])
            done = False
    return done


@kernel
def _lives(state: State, service: int) -> int:
    """For how many tasks a look at a calm service needs room."""
    v = state.services[service]
    return int(2 * abs(v.desired - v.provisioning - v.pending - v.running) + 2)


@kernel
def _look(state: State, service: int, now: int) -> bool:
    """Bring a calm service nearer to its desired count; False where the scheduler must go on."""
    v = state.services[service]
    s = state.sets[v.primary]
    if s.leaving > 0 or s.unwell > 0 or s.failed_starts > 0 or s.never_ran != v.never_ran:
        return False
    live = s.provisioning + s.pending + s.running
    if live > v.desired and not _stop(state, service, live, now):
        return False
    if live < v.desired and not _start(state, service, v.desired - live, now):
        return False
    return _note_steady(state, service, now)


@kernel
def _start(state: State, service: int, count: int, now: int) -> bool:
    """Start `count` tasks at once, if the launch rate allows as many; whether all were."""
    v = state.services[service]
    if allowance(state, service, now) < count or count > state.choice.shape[1]:
        return False
    ids = state.choice[_STARTED, :count]
    done = start_some(state, v.primary, state.sets[v.primary].first_shape, count, now, ids)
    v.launches -= done
    if done > 0:
        v.steady = 0
    for position in range(done):
        tell(state, now, _TASKS_STARTED, NEVER, ids[position], service)
        state.events[state.clock[EVENTS] - 1].more = done - 1 - position
    return bool(done == count)


@kernel
def _stop(state: State, service: int, live: int, now: int) -> bool:
    """Stop what is too much of the `live` tasks, if that many may be stopped; whether they were."""
    v = state.services[service]
    count = live - v.desired
    if live > state.choice.shape[1] or choose_surplus(state, v.primary, NEVER, now, count) < count:
        return False
    v.steady = 0
    chosen = state.choice[CHOSEN, :count]
    running = 0
    for slot in chosen:
        running += int(state.tasks[slot].state == RUNNING)
    for slot in chosen:
        if state.tasks[slot].state == RUNNING:
            running -= 1
            tell(state, now, _TASKS_STOPPED, NEVER, state.tasks[slot].task_id, service)
            state.events[state.clock[EVENTS] - 1].more = running
    for slot in chosen:
        ask_stop(state, slot, now, _SCHEDULER_INITIATED, _SCALING_ACTIVITY)
    return True


@kernel
def _note_steady(state: State, service: int, now: int) -> bool:
    """Say, once, that a calm service has what it wants; False where its zones are to be looked at first."""
    v = state.services[service]
    s = state.sets[v.primary]
    settled = s.running == v.desired and s.healthy == v.desired and s.provisioning + s.pending == 0
    if v.steady or not settled:
        return True
    if v.balances and _is_uneven(state, v.primary):
        return False
    v.steady = 1
    tell(state, now, _STEADY, NEVER, NEVER, service)
    return True


@kernel
def _is_uneven(state: State, row: int) -> bool:
    """Whether the tasks of a service differ by more than one between two of its zones."""
    s = state.sets[row]
    least, most = 1 << 62, 0
    for zone in range(state.lane_zones.shape[1]):
        if state.lane_zones[s.first_lane, zone]:
            least = min(least, state.zone_counts[s.group, zone])
            most = max(most, state.zone_counts[s.group, zone])
    return bool(most - least > 1)
