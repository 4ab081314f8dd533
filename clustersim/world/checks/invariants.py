"""Invariant checker: recomputes all counts from scratch and compares them, at any settled instant.

The counts are recomputed from the rows of tasks and instances and compared with those that the world keeps. The rules
in `world.checks` share no code with the kernels they check, on purpose, and are a compiled program of their own,
loaded when a run is first checked, so that no other run waits for it. Tests check at every instant; a difference is a
defect.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.engine.array_block import pointer
from clustersim.errors import InvariantViolation
from clustersim.world.checks.all_rules import find_broken_rule
from clustersim.world.checks.recount import new_recount
from clustersim.world.checks.rules import RULE_TEXTS, SOUND
from clustersim.world.state.world import World


class InvariantChecker:
    """The checker of one world, which keeps its recount from one instant to the next."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._state: Any = None
        self._addresses = np.array([subnet.addresses for subnet in world.scenario.subnets], np.int64)
        self._from_empty = int(world.scenario.initial_state == "empty")

    def check(self) -> None:
        """Check the world; raise InvariantViolation at the first broken rule."""
        if self._state is not self.world.state:
            self._state = self.world.state
            self._recount, self._block = new_recount(self._state)
            self._pointer = pointer(self._recount)
        self._block.fill(0)
        broken = find_broken_rule(self.world.core, self._pointer, self._addresses, self._from_empty)
        if broken != SOUND:
            message = RULE_TEXTS[broken].about(int(self._recount.detail[0]))
            raise InvariantViolation(f"at {self.world.now} ms: {message}")


def check_invariants(world: World) -> None:
    """Check a world once."""
    InvariantChecker(world).check()
