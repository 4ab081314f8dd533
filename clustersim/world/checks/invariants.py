"""An independent second reading of the world: what must be true whenever an instant has settled.

Counts everything anew from the rows of tasks and instances and compares with what the gateway keeps. The rules
are in `world.checks`, which share no code with the gateway's kernels on purpose and are a program of their own:
it is made when a run is first checked, and no other run waits for it. Tests check at every instant; a
difference is a defect.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.engine.array_block import pointer
from clustersim.errors import InvariantViolation
from clustersim.world.checks.all_rules import first_broken
from clustersim.world.checks.recount import new_reading
from clustersim.world.checks.rules import SOUND, WORDS
from clustersim.world.state.world import World


class SecondReading:
    """The reader of one world, which keeps its columns from one instant to the next."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._state: Any = None
        self._addresses = np.array([subnet.addresses for subnet in world.scenario.subnets], np.int64)
        self._from_empty = int(world.scenario.initial_state == "empty")

    def check(self) -> None:
        """Raise InvariantViolation at the first thing that is not as it must be."""
        if self._state is not self.world.state:
            self._state = self.world.state
            self._reading, self._block = new_reading(self._state)
            self._pointer = pointer(self._reading)
        self._block.fill(0)
        broken = first_broken(self.world.core, self._pointer, self._addresses, self._from_empty)
        if broken != SOUND:
            words = WORDS[broken].about(int(self._reading.detail[0]))
            raise InvariantViolation(f"at {self.world.now} ms: {words}")


def check(world: World) -> None:
    """Read a world once."""
    SecondReading(world).check()
