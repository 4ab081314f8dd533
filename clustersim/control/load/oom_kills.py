"""Out-of-memory kills: stops tasks that use more than their limit at the end of a metric period.

Applies the memory use that `policy.load.fluid_model` has computed: equal tasks of a deployment carry equal load, so all
ready ones exceed their limit together. Restarts and replacements follow as after any exit. The wiring calls it after
the other concerns of metrics, since the period was measured before the kill.
"""

from __future__ import annotations

from clustersim.control.load.traffic import Traffic
from clustersim.world.scheduling.commands import kill_for_memory
from clustersim.world.state.world import World


def kill_over_memory_limit(world: World, traffic: Traffic, now: int) -> bool:
    """Kill the main containers of all tasks beyond their limit; return whether there was any."""
    rows = traffic.task_sets_over_memory_limit()
    for row in rows:
        world.make_room(2 * int(world.state.sets.rows[row]["ready"]) + 64)
        kill_for_memory(world.core, row, now)
    return bool(rows)
