"""The entry of the program of checks: all rules, in an order in which each may rely on those before it."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from clustersim.engine.compiled import Array, kernel_entry
from clustersim.world.checks.hosts import check_waiting, compare_counts, read_hosts
from clustersim.world.checks.images import check_addresses, check_images
from clustersim.world.checks.recount import Reading
from clustersim.world.checks.references import read_references
from clustersim.world.checks.rules import SOUND
from clustersim.world.checks.tasks import read_tasks
from clustersim.world.state import tables
from clustersim.world.state.tables import State


@kernel_entry
def first_broken(
    state: State, reading: Reading, addresses: Annotated[Array, np.int64, 1], from_empty: int
) -> int:
    """The number of the first rule that does not hold; `reading` is cleared.

    `addresses` are those of each subnet when nobody has one, `from_empty` is 1 if nothing ran at first.
    """
    broken = read_references(state, reading)
    if broken == SOUND:
        broken = read_tasks(state, reading)
    if broken == SOUND:
        broken = read_hosts(state, reading)
    if broken == SOUND:
        broken = compare_counts(state, reading)
    if broken == SOUND:
        broken = check_waiting(state, reading)
    if broken == SOUND:
        broken = check_addresses(state, reading, addresses)
    if broken == SOUND and state.versions.size != 0:
        broken = check_images(state, reading, state.clock[tables.NOW], from_empty)
    return broken
