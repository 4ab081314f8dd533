"""Inputs of managed scaling, counted once a minute: the instances of each provider, and those that queued tasks need.

It also draws the random numbers that break ties between instances to terminate. It only counts and draws;
`policy.capacity` decides what follows.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from clustersim.engine.compiled import Array, kernel, kernel_entry
from clustersim.engine.random_streams import uniform
from clustersim.engine.records import Int64, Record, Table
from clustersim.vocabulary import NEVER, RESOURCES
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import write_need
from clustersim.world.state.usage import Slots


class ProviderDemandRow(Record):
    """A row of the table of provider demands."""

    running: Int64
    busy: Int64
    needed: Int64
    unplaceable: Int64
    newest: Int64


Rows = Table[ProviderDemandRow]
Cube = Annotated[Array, np.int64, 3]
Floats = Annotated[Array, np.float64, 1]

TERMINATION_DRAW = 1 << 41  # the ordinal of the draw that breaks ties between instances to terminate


@kernel_entry
def draw_tie_breaks(state: State, slots: Slots, draws: Floats) -> None:
    """Write a random number in (0, 1) for each instance in `slots` to `draws`, always the same for an instance."""
    for i in range(slots.size):
        h = state.instances.rows[slots[i]]
        draws[i] = uniform(state.capacity.classes[h.instance_class].pool_key, h.ordinal, TERMINATION_DRAW)


@kernel_entry
def count_provider_demand(
    state: State, rows: Rows, row_of_pool: Slots, row_of_provider: Slots, sizes: Cube
) -> None:
    """Count the inputs of managed scaling into `rows`.

    They are, per provider: instances running, instances busy, instances that queued tasks need, and the launch of the
    newest. `sizes` is int64[row, 2, resource]: the least and the greatest amount of each resource among the types of
    the group. Tasks with equal requirements are packed onto the greatest, provided that the least could hold one; the
    shape that needs the most instances decides (MODEL.md). An instance that is to be terminated no longer counts.
    """
    for r in range(rows.size):
        row = rows[r]
        row.running = row.busy = row.needed = row.unplaceable = 0
        row.newest = NEVER
    for slot in range(state.instances.rows.size):
        h = state.instances.rows[slot]
        if h.instance_id < 0 or h.terminating:
            continue
        r = row_of_pool[state.capacity.classes[h.instance_class].pool]
        if r >= 0:
            row = rows[r]
            row.running += 1
            row.busy += 1 if h.non_daemon_tasks > 0 else 0
            if h.registered != h.launched:  # not the initial instances of a run
                row.newest = max(row.newest, h.launched)
    for position in range(state.counters.waiting_shapes):
        shape = state.placement.waiting_shapes[position]
        r = row_of_provider[state.sets.strategy_items[state.sets.shapes[shape].strategy_item].provider]
        if (
            r < 0
            or state.sets.rows[state.sets.strategy_items[state.sets.shapes[shape].strategy_item].set].daemon
        ):
            continue
        waiting = _count_waiting_alike(state, position)
        if waiting == 0:
            continue
        per_instance = tasks_per_instance(state, shape, sizes[r])
        if per_instance == 0:
            rows[r].unplaceable = 1
        else:
            rows[r].needed = max(rows[r].needed, (waiting + per_instance - 1) // per_instance)


@kernel
def _count_waiting_alike(state: State, position: int) -> int:
    """Return the number of queued tasks, of any service, with the requirements of the waiting shape at `position`.

    It is 0 if an earlier shape has already counted them.
    """
    shape = state.placement.waiting_shapes[position]
    count = 0
    for other in range(state.counters.waiting_shapes):
        if _are_alike(state, shape, state.placement.waiting_shapes[other]):
            if other < position:
                return 0
            count += state.sets.shapes[state.placement.waiting_shapes[other]].count
    return int(count)


@kernel
def _are_alike(state: State, one: int, other: int) -> bool:
    """Return whether tasks of two shapes have the same requirements and provider."""
    a, b = state.sets.shapes[one], state.sets.shapes[other]
    item_a, item_b = state.sets.strategy_items[a.strategy_item], state.sets.strategy_items[b.strategy_item]
    same = item_a.provider == item_b.provider and item_a.eni == item_b.eni and a.host_ports == b.host_ports
    same = same and a.cpu == b.cpu and a.memory == b.memory and a.gpus == b.gpus
    same = same and state.sets.rows[item_a.set].distinct == state.sets.rows[item_b.set].distinct
    for word in range(state.placement.item_ports.shape[1]):
        same = (
            same
            and state.placement.item_ports[a.strategy_item, word]
            == state.placement.item_ports[b.strategy_item, word]
        )
    return bool(same)


@kernel
def tasks_per_instance(state: State, shape: int, sizes: Array) -> int:
    """Return how many tasks of `shape` the greatest type holds; 0 if the least does not hold one."""
    write_need(state, shape)
    item_row = state.sets.shapes[shape].strategy_item
    alone = state.sets.rows[state.sets.strategy_items[item_row].set].distinct
    for word in range(state.placement.item_ports.shape[1]):
        if state.placement.item_ports[item_row, word] != np.uint64(0):
            alone = 1  # equal tasks conflict over a static port
    most = 1 << 40
    for resource in range(RESOURCES):
        need = state.placement.need[resource]
        if need > sizes[0, resource]:
            return 0
        if need > 0:
            most = min(most, sizes[1, resource] // need)
    return 1 if alone else most
