"""Fast path for steady services: keeps their desired count in compiled code.

A service is *steady* when the scheduler has nothing under way for it: REPLICA, one deployment that is COMPLETED, no
failure, no move between zones (`control.services.scheduler` decides). What remains to be reconciled, which is most of
all reconciliation, is here: start missing tasks, stop surplus tasks, report the steady state once. Anything else is
left to the scheduler. Both start and stop tasks by the kernels of `service_tasks`.

The calendar calls `reconcile_dirty` where no other concern is due at the instant; otherwise the scheduler calls
`reconcile_steady` in its turn.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.vocabulary import NEVER, StoppedReason
from clustersim.world.resources.scale_in_choice import CHOSEN, choose_surplus_tasks
from clustersim.world.scheduling.provisioning import has_room
from clustersim.world.scheduling.service_tasks import (
    is_settled,
    refill_launch_tokens,
    report_steady,
    start_service_tasks,
    stop_service_tasks,
)
from clustersim.world.state.counters import WAKE_SCHEDULER
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import mark_service_dirty
from clustersim.world.state.usage import Slots

_STARTED = CHOSEN  # the row of `State.placement.choice` for the ids of started tasks
_SCALING_ACTIVITY = int(StoppedReason.SCALING_ACTIVITY)


@kernel_entry
def reconcile_steady(state: State, todo: Slots, first: int, now: int) -> int:
    """Reconcile the services `todo[first:]` in turn, up to the first that needs the scheduler.

    Returns the position of that service, or the end.
    """
    for position in range(first, todo.size):
        service = todo[position]
        if not state.services.rows[service].steady or not has_room(state, _tasks_touched(state, service)):
            return position
        if not _reconcile(state, service, now):
            return position
    return int(todo.size)


@kernel
def reconcile_dirty(state: State, now: int) -> bool:
    """Reconcile all dirty services, in the order of the file, if each is steady; return whether none is left."""
    counters = state.counters
    if counters.zones_changed:
        return False  # the scheduler rebalances zones
    count = counters.dirty_services
    tasks = 0
    for position in range(count):
        service = state.services.dirty[position]
        if not state.services.rows[service].steady:
            return False
        tasks += _tasks_touched(state, service)
    if not has_room(state, tasks):
        return False
    todo = state.services.todo
    for position in range(count):
        service = state.services.dirty[position]
        state.services.rows[service].dirty = 0
        behind = position
        while behind > 0 and todo[behind - 1] > service:
            todo[behind] = todo[behind - 1]
            behind -= 1
        todo[behind] = service
    counters.dirty_services = 0
    counters.controllers_to_wake &= ~WAKE_SCHEDULER
    done = True
    for position in range(count):
        if not _reconcile(state, todo[position], now):
            state.services.rows[todo[position]].steady = 0
            mark_service_dirty(state, todo[position])
            done = False
    return done


@kernel
def _tasks_touched(state: State, service: int) -> int:
    """Return for how many tasks a reconciliation of a steady service needs room."""
    v = state.services.rows[service]
    return int(2 * abs(v.desired - v.provisioning - v.pending - v.running) + 2)


@kernel
def _reconcile(state: State, service: int, now: int) -> bool:
    """Bring a steady service closer to its desired count; return False if the scheduler must continue."""
    v = state.services.rows[service]
    s = state.sets.rows[v.primary]
    if s.leaving > 0 or s.unhealthy > 0 or s.failed_starts > 0 or s.never_ran != v.never_ran:
        return False
    live = s.provisioning + s.pending + s.running
    if live > v.desired and not _stop(state, service, live, now):
        return False
    if live < v.desired and not _start(state, service, v.desired - live, now):
        return False
    return _report_steady(state, service, now)


@kernel
def _start(state: State, service: int, count: int, now: int) -> bool:
    """Start `count` tasks at once if the launch rate allows it; return whether all were started."""
    if refill_launch_tokens(state, service, now) < count or count > state.placement.choice.shape[1]:
        return False
    started = state.placement.choice[_STARTED, :count]
    return bool(
        start_service_tasks(state, state.services.rows[service].primary, count, now, started) == count
    )


@kernel
def _stop(state: State, service: int, live: int, now: int) -> bool:
    """Stop the surplus of the `live` tasks if that many may be stopped; return whether they were."""
    v = state.services.rows[service]
    count = live - v.desired
    if (
        live > state.placement.choice.shape[1]
        or choose_surplus_tasks(state, v.primary, NEVER, now, count) < count
    ):
        return False
    stop_service_tasks(state, service, state.placement.choice[CHOSEN, :count], now, _SCALING_ACTIVITY)
    return True


@kernel
def _report_steady(state: State, service: int, now: int) -> bool:
    """Report the steady state once; return False if the spread over zones must be checked first."""
    v = state.services.rows[service]
    if v.steady_reported or not is_settled(state, v.primary):
        return True
    if v.rebalances_zones and is_uneven(state, v.primary):
        return False
    report_steady(state, service, now)
    return True


@kernel_entry
def is_uneven(state: State, row: int) -> bool:
    """Return whether the task counts of a service differ by more than one between two of its zones."""
    s = state.sets.rows[row]
    least, most = 1 << 62, 0
    for zone in range(state.placement.item_zones.shape[1]):
        if state.placement.item_zones[s.first_item, zone]:
            least = min(least, state.placement.zone_counts[s.group, zone])
            most = max(most, state.placement.zone_counts[s.group, zone])
    return bool(most - least > 1)
