"""Log of changes to load balancer targets, for services whose requests are simulated one by one.

This module decides nothing. Kernels call `log_target_change` when a task starts or stops receiving requests, hangs or
ends; at the end of each metric period `simulation` hands the log to `control.load`. Other services log nothing.
"""

from __future__ import annotations

from clustersim.engine.compiled import inlined, kernel
from clustersim.policy.load.exact_tables import BY_TARGETS
from clustersim.world.state.tables import State

CHANGES_PER_TASK = 4
"""The most log entries that one calendar entry makes per task it concerns: it hangs or leaves, and it ends."""


@kernel
def log_target_change(state: State, slot: int, now: int, kind: int) -> None:
    """Log a change of a task as a target if its service is exact. The caller must have made room in the log."""
    t = state.tasks.rows[slot]
    service = state.sets.rows[t.set].service
    if service < 0 or state.services.rows[service].exact == 0:
        return
    change = state.outputs.target_changes[state.counters.target_changes]
    change.at, change.kind = now, kind
    change.slot, change.set = slot, t.set
    change.weight = BY_TARGETS
    state.counters.target_changes += 1


@inlined
def has_room_for_changes(state: State, tasks: int) -> bool:
    """Return whether the log has room for the changes of `tasks` tasks at one instant.

    Without exact services the log has no rows and none are needed.
    """
    size = state.outputs.target_changes.size
    return bool(size == 0 or size - state.counters.target_changes >= CHANGES_PER_TASK * tasks)
