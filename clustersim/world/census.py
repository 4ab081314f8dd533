"""The cluster counted, for controllers that look at it once a minute: one pass over instances, one over who waits.

Only counts and draws; what follows from them is decided in `policy`.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from clustersim.engine.chance import uniform
from clustersim.engine.compiled import Array, entry
from clustersim.world.accounts import Slots
from clustersim.world.tables import State

Floats = Annotated[Array, np.float64, 1]

TERMINATION = 1 << 41  # the ordinal of the draw that decides between instances when nothing else does


@entry
def lots(state: State, slots: Slots, drawn: Floats) -> None:
    """A number in (0, 1) for each of these instances, always the same for the same instance."""
    for i in range(slots.size):
        h = state.instances[slots[i]]
        drawn[i] = uniform(state.classes[h.klass].pool_key, h.ordinal, TERMINATION)
