"""The log of what befalls the tasks that are asked, for services whose requests are simulated one by one.

Decides nothing: the gateway's kernels call `log_target` where a task begins or ceases to be asked, hangs or ends,
and the wiring hands the log to the traffic at the end of each metric period. Other services log nothing.
"""

from __future__ import annotations

from clustersim.engine.compiled import inlined, kernel
from clustersim.policy.load.exact_tables import BY_TARGETS
from clustersim.world.state.tables import TARGET_CHANGES, State

CHANGES_PER_LIFE = 4
"""Log entries that one entry of the calendar can make for each task it concerns: hangs or leaves, and ends."""


@kernel
def log_target(state: State, slot: int, now: int, kind: int) -> None:
    """Note what befalls a task, if its service is exact; the caller made sure of room."""
    t = state.tasks[slot]
    service = state.sets[t.set].service
    if service < 0 or state.services[service].exact == 0:
        return
    change = state.target_changes[state.clock[TARGET_CHANGES]]
    change.at, change.kind = now, kind
    change.slot, change.set = slot, t.set
    change.weight = BY_TARGETS
    state.clock[TARGET_CHANGES] += 1


@inlined
def has_room_for_changes(state: State, lives: int) -> bool:
    """Whether the log has room for what `lives` tasks go through at once; without exact services none is needed."""
    size = state.target_changes.size
    return bool(size == 0 or size - state.clock[TARGET_CHANGES] >= CHANGES_PER_LIFE * lives)
