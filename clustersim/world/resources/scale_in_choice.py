"""Which tasks of a service stop when it has more than it wants.

Those on their way to RUNNING first, then those that are not (or no longer) healthy, each newest first; of the settled
ones as the placement strategy says (`policy.placement.scale_in_victims`). Tasks under scale-in protection are left
out. Stops nothing itself: `upkeep` and `control.services.task_stopper` do. It works on the scratch `State.choice`,
for which there must be room.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.policy.placement.scale_in_victims import WORK_ROWS, choose_victims
from clustersim.vocabulary import NEVER
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import RUNNING
from clustersim.world.state.usage import Slots

SETTLED, HOSTS, ZONES, VICTIMS, CHOSEN = range(WORK_ROWS, WORK_ROWS + 5)  # rows of `State.choice`
_STARTING, _AILING, _WELL = range(3)


@kernel_entry
def choose_surplus(state: State, row: int, others_than: int, now: int, count: int) -> int:
    """Choose up to `count` tasks to stop: their slots go to `choice[CHOSEN]`, their number is returned.

    Of set `row` those that are to stay, neither leaving nor unhealthy; or, if `others_than` is a set, all of that
    set's service that are not its own. The placement strategy is that of `row`.
    """
    done = 0
    for kind in (_STARTING, _AILING):
        slot = state.group_first[state.sets[row].group]
        while slot >= 0 and done < count:
            if _is_candidate(state, slot, row, others_than, now) and _kind_of(state, slot) == kind:
                state.choice[CHOSEN, done] = slot
                done += 1
            slot = state.tasks[slot].next_of_group
    settled = 0
    slot = state.group_first[state.sets[row].group]
    while slot >= 0 and done < count:
        if _is_candidate(state, slot, row, others_than, now) and _kind_of(state, slot) == _WELL:
            state.choice[SETTLED, settled] = slot
            settled += 1
        slot = state.tasks[slot].next_of_group
    left = min(count - done, settled)
    if left > 0:
        pick_victims(state, row, state.choice[SETTLED, :settled], state.choice[VICTIMS, :left])
        for number in range(left):
            state.choice[CHOSEN, done] = state.choice[SETTLED, state.choice[VICTIMS, number]]
            done += 1
    return done


@kernel
def _is_candidate(state: State, slot: int, row: int, others_than: int, now: int) -> bool:
    """Whether a task is of those to choose from and may be stopped."""
    t = state.tasks[slot]
    if t.state > RUNNING or t.protected_until > now:
        return False
    if others_than != NEVER:
        return bool(t.set != others_than)
    return bool(t.set == row and t.leaving == 0 and t.unwell == 0)


@kernel
def _kind_of(state: State, slot: int) -> int:
    """How soon a candidate is given up."""
    t = state.tasks[slot]
    if t.state < RUNNING:
        return _STARTING
    return _WELL if t.healthy >= 0 and t.unwell == 0 else _AILING


@kernel_entry
def pick_victims(state: State, row: int, candidates: Slots, victims: Slots) -> None:
    """Which of the tasks in the slots `candidates` the placement strategy of set `row` gives up first.

    Their positions go to `victims`, as many as it is long.
    """
    size = candidates.size
    hosts, zones = state.choice[HOSTS, :size], state.choice[ZONES, :size]
    for position in range(size):
        t = state.tasks[candidates[position]]
        hosts[position] = t.slot
        zones[position] = t.zone
    s = state.sets[row]
    ordinal = state.services[s.service].ordinal
    work = state.choice[:WORK_ROWS]
    choose_victims(state.hosts, state.chains[row], hosts, zones, s.place_key, ordinal, victims, work)
