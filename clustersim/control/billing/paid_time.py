"""The paid time of tasks and instances, as columns: from when, until when, and what rounding adds.

The same rules as the kernels that accrue it (`world.state.usage`), which are those of `policy.pricing.billed_time`, for
the records of tasks and instances that ended or go on. Decides nothing; usage by resource and what commitments save
are sums over it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clustersim.control.events.column_buffer import ColumnBuffer, SelectedRows
from clustersim.engine.records import Array
from clustersim.policy.pricing.billed_time import paid_from_columns, round_up_columns
from clustersim.world.state.world import World


class PaidTime(NamedTuple):
    """Paid time within the window, one element for each record; `added` is the rounding up of what has ended.

    `billed` says whether a record pays at all; `fargate_row` is the row of Fargate's usage account.
    """

    begin: Array
    until: Array
    added: Array
    billed: Array
    on_fargate: Array
    fargate_row: Array

    def where(self, rows: Array) -> PaidTime:
        """Return the chosen rows."""
        return PaidTime(*(column[rows] for column in self))


def task_paid_time(world: World, tasks: ColumnBuffer | SelectedRows, ended: bool) -> PaidTime:
    """Return the paid time of tasks; only Fargate bills a begun second."""
    state = world.state
    items = state.sets.strategy_items
    on_fargate = items["fargate"][tasks["strategy_item"]] > 0
    begun = np.zeros(tasks.size, np.int64)
    paid_from_columns(
        on_fargate.astype(np.int64), _longs(tasks["pull_started"]), _longs(tasks["placed"]), begun
    )
    billed = (tasks["placed"] >= 0) & (tasks["accrued_until"] >= 0)
    row = items["price"][tasks["strategy_item"]] * state.placement.item_zones.shape[1] + tasks["zone"]
    return _paid_time(world, begun, tasks["accrued_until"], billed, (on_fargate, row), on_fargate & ended)


def instance_paid_time(world: World, instances: ColumnBuffer | SelectedRows, ended: bool) -> PaidTime:
    """Return the paid time of instances."""
    none = np.zeros(instances.size, np.int64)
    every = np.ones(instances.size, bool)
    launched, until = instances["launched"], instances["accrued_until"]
    return _paid_time(world, launched, until, every, (none > 0, none), every & ended)


def _paid_time(
    world: World, begun: Array, until: Array, billed: Array, fargate: tuple[Array, Array], rounded: Array
) -> PaidTime:
    """Return paid time within the window; only what began in it is rounded up."""
    clock = world.state.clock
    added = np.zeros(begun.size, np.int64)
    round_up_columns(_longs(until - begun), added)
    added[~(rounded & billed & (begun >= clock.window_start))] = 0
    begin = np.clip(begun, clock.window_start, clock.end)
    return PaidTime(begin, np.clip(until, begin, clock.end), added, billed, *fargate)


def _longs(column: Array) -> Array:
    return np.ascontiguousarray(column, np.int64)
