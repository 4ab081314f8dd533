"""Out-of-memory kills: tasks that use more than their limit at the end of a metric period.

Applies what `policy.load.fluid_model` has found: equal tasks of a deployment carry equal load, so all of them that
answer pass their limit together. What follows (restarts, replacements) is the task's and the service's affair. The
wiring calls it last of the concerns of metrics, since what was measured was measured before.
"""

from __future__ import annotations

from clustersim.control.load.traffic import Traffic
from clustersim.world.scheduling.commands import run_out_of_memory
from clustersim.world.state.world import World


def kill_beyond_memory(world: World, traffic: Traffic, now: int) -> bool:
    """Kill the main containers of all tasks beyond their limit; whether there was any."""
    rows = traffic.beyond_memory()
    for row in rows:
        world.make_room(2 * int(world.state.sets[row]["ready"]) + 64)
        run_out_of_memory(world.core, row, now)
    return bool(rows)
