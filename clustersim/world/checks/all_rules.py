"""Entry point of the compiled checks: all rules, in an order in which each may rely on those before it."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from clustersim.engine.compiled import Array, kernel_entry
from clustersim.world.checks.hosts import check_hosts, check_waiting, compare_counts
from clustersim.world.checks.images import check_addresses, check_images
from clustersim.world.checks.recount import Recount
from clustersim.world.checks.references import check_references
from clustersim.world.checks.rules import SOUND
from clustersim.world.checks.tasks import check_tasks
from clustersim.world.state.tables import State


@kernel_entry
def find_broken_rule(
    state: State, recount: Recount, addresses: Annotated[Array, np.int64, 1], from_empty: int
) -> int:
    """Return the number of the first broken rule, or SOUND; `recount` must be cleared.

    `addresses` are the free addresses of each subnet when none is taken; `from_empty` is 1 if nothing ran at first.
    """
    broken = check_references(state, recount)
    if broken == SOUND:
        broken = check_tasks(state, recount)
    if broken == SOUND:
        broken = check_hosts(state, recount)
    if broken == SOUND:
        broken = compare_counts(state, recount)
    if broken == SOUND:
        broken = check_waiting(state, recount)
    if broken == SOUND:
        broken = check_addresses(state, recount, addresses)
    if broken == SOUND and state.images.versions.size != 0:
        broken = check_images(state, recount, state.clock.now, from_empty)
    return broken
