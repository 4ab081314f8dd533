"""Choice of the tasks that stop when a service scales in.

Tasks that have not reached RUNNING come first, then tasks that are not healthy, each newest first; the placement
strategy chooses among the healthy ones (`policy.placement.scale_in_victims`). Tasks under scale-in protection are
excluded. This module stops nothing itself: `scheduling.service_tasks` does. It works on the scratch array
`State.placement.choice`, for which the caller makes room.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.policy.placement.scale_in_victims import WORK_ROWS, choose_tasks_to_stop
from clustersim.vocabulary import NEVER
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import RUNNING
from clustersim.world.state.usage import Slots

SETTLED, HOSTS, ZONES, POSITIONS, CHOSEN = range(WORK_ROWS, WORK_ROWS + 5)  # rows of `State.placement.choice`
_STARTING, _UNHEALTHY, _HEALTHY = range(3)


@kernel_entry
def choose_surplus_tasks(state: State, row: int, except_set: int, now: int, count: int) -> int:
    """Choose up to `count` tasks to stop, write their slots to `choice[CHOSEN]` and return their number.

    The candidates are the tasks of set `row` that are neither leaving nor unhealthy; or, if `except_set` is a set,
    all tasks of the service outside that set. The placement strategy is that of `row`.
    """
    done = 0
    for kind in (_STARTING, _UNHEALTHY):
        slot = state.tasks.group_first[state.sets.rows[row].group]
        while slot >= 0 and done < count:
            if _is_candidate(state, slot, row, except_set, now) and _scale_in_class(state, slot) == kind:
                state.placement.choice[CHOSEN, done] = slot
                done += 1
            slot = state.tasks.rows[slot].next_of_group
    settled = 0
    slot = state.tasks.group_first[state.sets.rows[row].group]
    while slot >= 0 and done < count:
        if _is_candidate(state, slot, row, except_set, now) and _scale_in_class(state, slot) == _HEALTHY:
            state.placement.choice[SETTLED, settled] = slot
            settled += 1
        slot = state.tasks.rows[slot].next_of_group
    left = min(count - done, settled)
    if left > 0:
        choose_settled_tasks(
            state, row, state.placement.choice[SETTLED, :settled], state.placement.choice[POSITIONS, :left]
        )
        for number in range(left):
            state.placement.choice[CHOSEN, done] = state.placement.choice[
                SETTLED, state.placement.choice[POSITIONS, number]
            ]
            done += 1
    return done


@kernel
def _is_candidate(state: State, slot: int, row: int, except_set: int, now: int) -> bool:
    """Return whether a task is a candidate and may be stopped."""
    t = state.tasks.rows[slot]
    if t.state > RUNNING or t.protected_until > now:
        return False
    if except_set != NEVER:
        return bool(t.set != except_set)
    return bool(t.set == row and t.leaving == 0 and t.unhealthy == 0)


@kernel
def _scale_in_class(state: State, slot: int) -> int:
    """Return the scale-in class of a candidate: starting, unhealthy or healthy, in the order in which they stop."""
    t = state.tasks.rows[slot]
    if t.state < RUNNING:
        return _STARTING
    return _HEALTHY if t.healthy >= 0 and t.unhealthy == 0 else _UNHEALTHY


@kernel_entry
def choose_settled_tasks(state: State, row: int, candidates: Slots, chosen: Slots) -> None:
    """Choose the tasks that the placement strategy of set `row` stops first among the task slots `candidates`.

    Their positions in `candidates` are written to `chosen`, as many as it is long.
    """
    size = candidates.size
    hosts, zones = state.placement.choice[HOSTS, :size], state.placement.choice[ZONES, :size]
    for position in range(size):
        t = state.tasks.rows[candidates[position]]
        hosts[position] = t.instance_slot
        zones[position] = t.zone
    s = state.sets.rows[row]
    ordinal = state.services.rows[s.service].ordinal
    work = state.placement.choice[:WORK_ROWS]
    choose_tasks_to_stop(
        state.instances.hosts, state.placement.chains[row], hosts, zones, s.place_key, ordinal, chosen, work
    )
