"""Random durations drawn from the distributions of a scenario.

Called by the kernels that schedule what happens to tasks and instances. A draw depends on its address only, never on
the draws before it (`engine.random_streams`).
"""

from __future__ import annotations

from typing import Any

from clustersim.engine.compiled import kernel
from clustersim.engine.random_streams import sample, uniform
from clustersim.world.state.tables import State


@kernel
def draw_duration(state: State, row: int, key: Any, entity: int, ordinal: int) -> int:
    """Return a random duration in ms from distribution `row`, drawn at the address (key, entity, ordinal)."""
    d = state.distributions[row]
    values = state.distribution_values[d.first : d.last]
    return int(sample(d.code, d.a, d.b, values, uniform(key, entity, ordinal)) + 0.5)  # never negative
