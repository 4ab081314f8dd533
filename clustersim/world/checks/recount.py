"""Sums and counts that the invariant checker recomputes, in columns kept from one instant to the next.

All columns are views of one block, which is cleared before each check, so that a check allocates no array. A
`Recount` is sized for one `State` and rebuilt when one of its arrays is replaced. It holds no rule; the other modules
of this package fill and compare it.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.vocabulary import RESOURCES
from clustersim.world.checks.rules import PROVIDER_SUMS, TASK_COUNTS
from clustersim.world.state.tables import State

ALL, NON_DAEMON = range(2)
"""Rows of `Recount.on_host`: all tasks, and those not of daemon services."""

LIVE_TASKS, WAITING_TASKS, ASSIGNED, DISCONNECTED_AGENTS = range(4)
"""Positions in `Recount.totals`."""


class Recount(NamedTuple):
    """The sums over the rows of tasks and instances."""

    detail: Annotated[Array, np.int64, 1]  # [1]: the detail of the broken rule
    totals: Annotated[Array, np.int64, 1]
    used: Annotated[Array, np.int64, 2]  # [instance slot, resource]
    ports: Annotated[Array, np.uint64, 2]  # [instance slot, word]
    on_host: Annotated[Array, np.int64, 2]  # [ALL or NON_DAEMON, instance slot]
    of_sets: Annotated[Array, np.int64, 2]  # [set, count]: the columns TASK_COUNTS
    of_services: Annotated[Array, np.int64, 2]  # [service, count]: the first four of them
    of_strategy_items: Annotated[Array, np.int64, 1]
    of_zones: Annotated[Array, np.int64, 2]  # [group, zone]
    of_providers: Annotated[Array, np.int64, 2]  # [provider, sum]: PROVIDER_SUMS, then waiting tasks
    of_buckets: Annotated[Array, np.int64, 1]
    shape_waits: Annotated[Array, np.int64, 1]  # [shape]: 1 if a task of it waits
    ids: Annotated[Array, np.int64, 1]  # a hash table of the ids of live tasks, plus 1; a power of two long
    taken: Annotated[Array, np.int64, 1]  # [subnet]: addresses
    containers: Annotated[Array, np.int64, 2]  # [instance slot, version]
    container_bytes: Annotated[Array, np.int64, 1]  # [instance slot]: bytes
    references: Annotated[Array, np.int64, 1]  # [layer], of the instance being checked


def new_recount(state: State) -> tuple[Recount, Array]:
    """Return a recount sized for `state`, and the block to be cleared before each use."""
    hosts = state.instances.rows.size
    sizes: dict[str, tuple[int, ...]] = {
        "detail": (1,),
        "totals": (4,),
        "used": (hosts, RESOURCES),
        "ports": state.instances.hosts.ports.shape,
        "on_host": (2, hosts),
        "of_sets": (state.sets.rows.size, len(TASK_COUNTS)),
        "of_services": (state.services.rows.size, 4),
        "of_strategy_items": (state.sets.strategy_items.size,),
        "of_zones": state.placement.zone_counts.shape,
        "of_providers": (state.capacity.providers.size, len(PROVIDER_SUMS) + 1),
        "of_buckets": (state.capacity.fargate_quotas.size,),
        "shape_waits": (state.sets.shapes.size,),
        "ids": (2 << int(state.tasks.rows.size).bit_length(),),
        "taken": (state.capacity.free_addresses.size,),
        "containers": state.images.cache.containers.shape,
        "container_bytes": (hosts,),
        "references": (state.images.layers.compressed.size,),
    }
    block: Array = np.zeros(sum(map(prod, sizes.values())), np.int64)
    columns = {}
    at = 0
    for name, shape in sizes.items():
        columns[name] = block[at : at + prod(shape)].reshape(shape)
        at += prod(shape)
    columns["ports"] = columns["ports"].view(np.uint64)
    return Recount(**columns), block
