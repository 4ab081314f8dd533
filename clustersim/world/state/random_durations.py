"""Random durations drawn from the distributions of a scenario.

Called by the kernels that schedule what happens to tasks and instances. A draw depends on its address only, never on
the draws before it (`engine.random_streams`).
"""

from __future__ import annotations

from typing import Any

from clustersim.engine.compiled import kernel
from clustersim.engine.random_streams import sample, uniform
from clustersim.world.state.tables import State

MAX_DURATION_MS = 1e15
"""31,700 years: added to any instant of a run it is far from the largest whole number."""


@kernel
def draw_duration(state: State, row: int, key: Any, entity: int, ordinal: int) -> int:
    """Return a random duration in ms from distribution `row`, drawn at the address (key, entity, ordinal).

    A duration beyond MAX_DURATION_MS is cut to it: a float beyond 2^63 has no defined whole number.
    """
    d = state.calendar.distributions[row]
    values = state.calendar.distribution_values[d.first : d.last]
    drawn = sample(d.code, d.a, d.b, values, uniform(key, entity, ordinal))  # never negative
    return int(min(drawn, MAX_DURATION_MS) + 0.5)
