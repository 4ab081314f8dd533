"""Scheduling of calendar entries: what is due, when, and for which task or instance.

Called by every kernel that knows when something happens next; `world.calendar` processes the entries.
"""

from __future__ import annotations

from clustersim.engine.compiled import inlined
from clustersim.engine.heap import RANK_SHIFT, push
from clustersim.world.state.tables import State


@inlined
def schedule_entry(state: State, at: int, rank: int, subject: int, serial: int) -> None:
    """Push an entry onto the calendar heap. Entries of one instant are ordered by rank, then by insertion."""
    counters = state.counters
    push(
        state.calendar.heap, counters.heap_size, at, (rank << RANK_SHIFT) | counters.sequence, subject, serial
    )
    counters.heap_size += 1
    counters.sequence += 1
