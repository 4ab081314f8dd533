"""Which capacity provider of its strategy a task is created on.

Decides by what the lanes of a task set hold already. It must not know whether there is room: what a lane refuses
counts as given until the call is over. `orders` and the calendar's arrivals ask.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.world.state.tables import State


@kernel
def choose_lane(state: State, row: int) -> int:
    """The lane of the next task of set `row`: base first, then the largest deficit relative to weight.

    Rounding for counts that do not divide is not published; the greedy rule gives the documented ratio
    (MODEL.md, goldens 39 and 40). A lane of weight 0 gets nothing beyond its base. A task that a lane refused
    in the call under way counts as given: what has no capacity falls over to nobody else.
    """
    s = state.sets[row]
    best = s.first_lane
    if s.lanes == 1:
        return int(best)
    best_deficit = -1.0
    for lane in range(s.first_lane, s.first_lane + s.lanes):
        way = state.lanes[lane]
        given = way.live + way.missed
        if given < way.base:
            return lane
        if way.weight > 0:
            deficit = way.weight / (given - way.base + 1.0)
            if deficit > best_deficit:
                best = lane
                best_deficit = deficit
    return int(best)


@kernel
def forget_missed(state: State, row: int) -> None:
    """The call is over: the next one tries every lane of set `row` again."""
    s = state.sets[row]
    for lane in range(s.first_lane, s.first_lane + s.lanes):
        state.lanes[lane].missed = 0
