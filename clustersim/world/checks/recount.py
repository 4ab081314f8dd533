"""What the second reading counts anew, and where: columns of its own, kept from one instant to the next.

All are views of one block, which is cleared at once before each reading, so that a check makes no array. A
`Reading` is sized for one `State` and made anew when an array of that was replaced. It holds no rule; the
other modules of this package fill it and compare.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.vocabulary import RESOURCES
from clustersim.world.checks.rules import PROVIDER_SUMS, TASK_COUNTS
from clustersim.world.state.tables import State

ALL, BUSY = range(2)
"""Rows of `Reading.on_host`: all tasks, and those that are not of daemon services."""

LIVE_TASKS, WAITING_TASKS, PROMISED, SILENT_AGENTS = range(4)
"""Positions in `Reading.totals`."""


class Reading(NamedTuple):
    """What the rows of tasks and instances add up to."""

    detail: Annotated[Array, np.int64, 1]  # [1]: what the broken rule was about
    totals: Annotated[Array, np.int64, 1]
    used: Annotated[Array, np.int64, 2]  # [instance slot, resource]
    ports: Annotated[Array, np.uint64, 2]  # [instance slot, word]
    on_host: Annotated[Array, np.int64, 2]  # [ALL or BUSY, instance slot]
    of_sets: Annotated[Array, np.int64, 2]  # [set, count]: the columns TASK_COUNTS
    of_services: Annotated[Array, np.int64, 2]  # [service, count]: the first four of them
    of_lanes: Annotated[Array, np.int64, 1]
    of_zones: Annotated[Array, np.int64, 2]  # [group, zone]
    of_providers: Annotated[Array, np.int64, 2]  # [provider, sum]: PROVIDER_SUMS, and who waits
    of_buckets: Annotated[Array, np.int64, 1]
    waits: Annotated[Array, np.int64, 1]  # [shape]: 1 if a task of it waits
    ids: Annotated[Array, np.int64, 1]  # a hash table of the ids of live tasks, plus 1; a power of two long
    taken: Annotated[Array, np.int64, 1]  # [subnet]: addresses
    containers: Annotated[Array, np.int64, 2]  # [instance slot, version]
    written: Annotated[Array, np.int64, 1]  # [instance slot]: bytes
    standing: Annotated[Array, np.int64, 1]  # [layer], of the instance that is being looked at


def new_reading(state: State) -> tuple[Reading, Array]:
    """A reading of this size, and the block to be cleared before each use."""
    hosts = state.instances.size
    sizes: dict[str, tuple[int, ...]] = {
        "detail": (1,),
        "totals": (4,),
        "used": (hosts, RESOURCES),
        "ports": state.hosts.ports.shape,
        "on_host": (2, hosts),
        "of_sets": (state.sets.size, len(TASK_COUNTS)),
        "of_services": (state.services.size, 4),
        "of_lanes": (state.lanes.size,),
        "of_zones": state.zone_counts.shape,
        "of_providers": (state.providers.size, len(PROVIDER_SUMS) + 1),
        "of_buckets": (state.buckets.size,),
        "waits": (state.shapes.size,),
        "ids": (2 << int(state.tasks.size).bit_length(),),
        "taken": (state.free_addresses.size,),
        "containers": state.shelves.containers.shape,
        "written": (hosts,),
        "standing": (state.stacks.compressed.size,),
    }
    block: Array = np.zeros(sum(map(prod, sizes.values())), np.int64)
    columns = {}
    at = 0
    for name, shape in sizes.items():
        columns[name] = block[at : at + prod(shape)].reshape(shape)
        at += prod(shape)
    columns["ports"] = columns["ports"].view(np.uint64)
    return Reading(**columns), block
