"""The cluster counted, for controllers that look at it once a minute: one pass over instances, one over who waits.

Only counts and draws; what follows from them is decided in `policy`.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from clustersim.engine.compiled import Array, kernel, kernel_entry
from clustersim.engine.random_streams import uniform
from clustersim.vocabulary import NEVER, RESOURCES
from clustersim.world.state.tables import WAITING_SHAPES, State
from clustersim.world.state.task_states import fill_need
from clustersim.world.state.usage import Slots

COUNTED = np.dtype(
    [
        ("running", np.int64),
        ("busy", np.int64),
        ("needed", np.int64),
        ("stuck", np.int64),
        ("newest", np.int64),
    ],
    align=True,
)

Rows = Annotated[Array, COUNTED, 1]
Cube = Annotated[Array, np.int64, 3]
Floats = Annotated[Array, np.float64, 1]

TERMINATION = 1 << 41  # the ordinal of the draw that decides between instances when nothing else does


@kernel_entry
def lots(state: State, slots: Slots, drawn: Floats) -> None:
    """A number in (0, 1) for each of these instances, always the same for the same instance."""
    for i in range(slots.size):
        h = state.instances[slots[i]]
        drawn[i] = uniform(state.classes[h.klass].pool_key, h.ordinal, TERMINATION)


@kernel_entry
def count_providers(
    state: State, rows: Rows, row_of_pool: Slots, row_of_provider: Slots, sizes: Cube
) -> None:
    """What managed scaling asks of its providers, into `rows`: instances that run, that are busy, that waiting tasks
    need, and when the newest was launched.

    `sizes` is int64[row, 2, resource]: the least and the greatest of the group's types in each resource. Tasks of
    equal requirements are packed on the greatest, provided that the least could hold one; the shape that needs the
    most instances decides (MODEL.md). An instance that has been given up is counted no longer.
    """
    for r in range(rows.size):
        row = rows[r]
        row.running = row.busy = row.needed = row.stuck = 0
        row.newest = NEVER
    for slot in range(state.instances.size):
        h = state.instances[slot]
        if h.instance_id < 0 or h.terminating:
            continue
        r = row_of_pool[state.classes[h.klass].group]
        if r >= 0:
            row = rows[r]
            row.running += 1
            row.busy += 1 if h.working > 0 else 0
            if h.registered != h.launched:  # the first ones of a run have been there for long
                row.newest = max(row.newest, h.launched)
    for position in range(state.clock[WAITING_SHAPES]):
        shape = state.waiting_shapes[position]
        r = row_of_provider[state.lanes[state.shapes[shape].lane].provider]
        if r < 0 or state.sets[state.lanes[state.shapes[shape].lane].set].daemon:
            continue
        waiting = _waiting_alike(state, position)
        if waiting == 0:
            continue
        per_instance = tasks_per_instance(state, shape, sizes[r])
        if per_instance == 0:
            rows[r].stuck = 1
        else:
            rows[r].needed = max(rows[r].needed, (waiting + per_instance - 1) // per_instance)


@kernel
def _waiting_alike(state: State, position: int) -> int:
    """How many tasks wait with the requirements of the waiting shape at `position`, of whatever service; 0 where
    an earlier shape has counted them."""
    shape = state.waiting_shapes[position]
    count = 0
    for other in range(state.clock[WAITING_SHAPES]):
        if _alike(state, shape, state.waiting_shapes[other]):
            if other < position:
                return 0
            count += state.shapes[state.waiting_shapes[other]].count
    return int(count)


@kernel
def _alike(state: State, one: int, other: int) -> bool:
    """Whether tasks of two shapes ask the same of the same provider."""
    a, b = state.shapes[one], state.shapes[other]
    way, its = state.lanes[a.lane], state.lanes[b.lane]
    same = way.provider == its.provider and way.eni == its.eni and a.host_ports == b.host_ports
    same = same and a.cpu == b.cpu and a.memory == b.memory and a.gpus == b.gpus
    same = same and state.sets[way.set].distinct == state.sets[its.set].distinct
    for word in range(state.lane_ports.shape[1]):
        same = same and state.lane_ports[a.lane, word] == state.lane_ports[b.lane, word]
    return bool(same)


@kernel
def tasks_per_instance(state: State, shape: int, sizes: Array) -> int:
    """How many tasks of `shape` the greatest type holds; 0 if the least does not hold one."""
    fill_need(state, shape)
    lane = state.shapes[shape].lane
    alone = state.sets[state.lanes[lane].set].distinct
    for word in range(state.lane_ports.shape[1]):
        if state.lane_ports[lane, word] != np.uint64(0):
            alone = 1  # equal tasks clash over a static port
    most = 1 << 40
    for resource in range(RESOURCES):
        need = state.need[resource]
        if need > sizes[0, resource]:
            return 0
        if need > 0:
            most = min(most, sizes[1, resource] // need)
    return 1 if alone else most
