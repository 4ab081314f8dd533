"""Choice of the capacity provider on which a task is created, by the provider strategy of its task set.

It decides by the tasks that the strategy items of the set already have, and must not know whether there is room: a
task that an item refused counts as assigned to it until the call is over. `scheduling.commands` and the arrivals of
the calendar call it.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel
from clustersim.world.state.tables import State


@kernel
def choose_strategy_item(state: State, row: int) -> int:
    """Return the strategy item of the next task of set `row`: base first, then the largest weighted deficit.

    AWS does not publish the rounding for counts that do not divide; this greedy rule gives the documented ratio
    (MODEL.md, goldens 39 and 40). An item of weight 0 gets nothing beyond its base. A task that an item refused in
    the current call counts as assigned to it: a provider without capacity does not fall over to another.
    """
    s = state.sets.rows[row]
    best = s.first_item
    if s.item_count == 1:
        return int(best)
    best_deficit = -1.0
    for item_row in range(s.first_item, s.first_item + s.item_count):
        item = state.sets.strategy_items[item_row]
        given = item.live + item.refused
        if given < item.base:
            return item_row
        if item.weight > 0:
            deficit = item.weight / (given - item.base + 1.0)
            if deficit > best_deficit:
                best = item_row
                best_deficit = deficit
    return int(best)


@kernel
def clear_refused(state: State, row: int) -> None:
    """End a call: the next one tries every strategy item of set `row` again."""
    s = state.sets.rows[row]
    for item_row in range(s.first_item, s.first_item + s.item_count):
        state.sets.strategy_items[item_row].refused = 0
