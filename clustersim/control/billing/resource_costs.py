"""The usage of each container instance and each Fargate task in a cost period.

Only with `sampling.costPerResource`. The kernels keep one account per payer and class of instance, and one per payer,
Fargate price and zone. Here the same integers are divided by resource, from the records of tasks and instances: those
that ended, before their buffer is emptied, and at the end of the period those that go on. So the kernels do the same
with and without it. Decides nothing and knows no price: `control.billing.cost_ledger` calls it for the parts of a line
item.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clustersim.control.events.column_buffer import ColumnBuffer
from clustersim.engine.compiled import Array
from clustersim.policy.pricing.billed_time import billed_seconds_column
from clustersim.vocabulary import MS_PER_SECOND, WEIGHT_PER_CPU_UNIT, WEIGHT_PER_MIB
from clustersim.world.state.world import World


class ResourceAmounts(NamedTuple):
    """The amounts of one account by resource: `serials` ascending, `amounts` in the account's unit x ms (int64)."""

    serials: Array
    amounts: Array


class PeriodUsage:
    """The usage accounts of one period, divided by resource.

    `hosts` has a row for each class of instances, payer and instance: (class, payer, instance id, weight x ms); `tasks`
    one for each Fargate task: (row of the account, payer, task id, CPU units x ms, MiB x ms, GiB x ms). Both are in the
    order of these columns.
    """

    def __init__(self, hosts: Array, tasks: Array, payers: int) -> None:
        self._hosts, self._tasks = hosts, tasks
        self._width = payers + 1  # -1 is the idle part, which has no payer
        self._host_keys = self._key(hosts[:, 0], hosts[:, 1])
        self._task_keys = self._key(tasks[:, 0], tasks[:, 1])

    def of_class(self, instance_class: int, payer: int) -> ResourceAmounts:
        """Return the instances of a class in one payer's account; payer -1 is their idle part."""
        rows = self._hosts[self._range(self._host_keys, instance_class, payer)]
        return ResourceAmounts(rows[:, 2], rows[:, 3])

    def of_fargate(self, row: int, payer: int, column: int) -> ResourceAmounts:
        """Return the Fargate tasks in one payer's account; `column` 0: CPU, 1: memory, 2: storage."""
        rows = self._tasks[self._range(self._task_keys, row, payer)]
        rows = rows[rows[:, 3 + column] > 0]
        return ResourceAmounts(rows[:, 2], rows[:, 3 + column])

    def _key(self, row: Array, payer: Array) -> Array:
        key: Array = row * self._width + payer + 1
        return key

    def _range(self, keys: Array, row: int, payer: int) -> slice:
        key = row * self._width + payer + 1
        return slice(*np.searchsorted(keys, [key, key + 1]).tolist())


class ResourceUsage:
    """The usage by resource of a run; `payers` pay for the idle part of each class's instances (-1: none)."""

    def __init__(self, world: World, payers: list[int]) -> None:
        self.world = world
        self._payers = np.array(payers, np.int64)
        self._begin = world.scenario.warm_up_ms
        self._tasks_read = self._hosts_read = 0
        self._hosts: list[Array] = []  # of the period: (instance id, class, ms)
        self._shares: list[Array] = []  # (instance id, payer, weight x ms)
        self._fargate: list[Array] = []

    def read_ended(self) -> None:
        """Read the tasks and instances that ended before their buffers are emptied."""
        self._read_ended()
        self._tasks_read = self._hosts_read = 0

    def close(self, now: int) -> PeriodUsage:
        """Return the usage of the period that ends `now`; all usage must be accrued up to it."""
        self._read_ended()
        state = self.world.state
        self._read_tasks(state.tasks.rows, ended=False)
        self._read_hosts(state.instances.rows, ended=False)
        payers = len(self.world.names.groups)
        tasks = _concatenated(self._fargate, 6)
        usage = PeriodUsage(self._shared(), tasks[_order(tasks[:, :3])], payers)
        self._hosts, self._shares, self._fargate = [], [], []
        self._begin = now
        return usage

    # --- reading records -----------------------------------------------------------------------------------

    def _read_ended(self) -> None:
        state = self.world.state
        tasks, hosts = int(state.counters.finished_tasks), int(state.counters.terminated_instances)
        self._read_tasks(state.outputs.finished_tasks[self._tasks_read : tasks], ended=True)
        self._read_hosts(state.outputs.terminated_instances[self._hosts_read : hosts], ended=True)
        self._tasks_read, self._hosts_read = tasks, hosts

    def _read_tasks(self, records: Array, ended: bool) -> None:
        """Add the usage of these tasks in the period; a Fargate task that ended is billed for its begun second."""
        state = self.world.state
        billed = (records["task_id"] >= 0) & (records["placed"] >= 0) & (records["accrued_until"] >= 0)
        tasks = ColumnBuffer(records).where(billed)
        on_fargate = state.sets.strategy_items["fargate"][tasks["strategy_item"]] > 0
        started = np.where(on_fargate & (tasks["pull_started"] >= 0), tasks["pull_started"], tasks["placed"])
        elapsed = self._billed(started, tasks["accrued_until"], on_fargate & ended)
        payer = state.sets.rows["payer"][tasks["set"]]
        weight = WEIGHT_PER_CPU_UNIT * tasks["cpu"] + WEIGHT_PER_MIB * tasks["memory"]
        shares = np.column_stack([tasks["instance_id"], payer, weight * elapsed])
        self._shares.append(_sum_equal_rows(shares[~on_fargate & (elapsed > 0)]))
        row = (
            state.sets.strategy_items["price"][tasks["strategy_item"]] * state.placement.item_zones.shape[1]
            + tasks["zone"]
        )
        sizes = (tasks["cpu"], tasks["memory"], state.sets.rows["extra_gib"][tasks["set"]])
        usage_rows = np.column_stack([row, payer, tasks["task_id"], *(size * elapsed for size in sizes)])
        self._fargate.append(usage_rows[on_fargate & (elapsed > 0)])

    def _read_hosts(self, records: Array, ended: bool) -> None:
        """Add the billed time of these instances in the period."""
        hosts = ColumnBuffer(records).where(records["instance_id"] >= 0)
        rounded = np.full(hosts.size, ended)
        elapsed = self._billed(hosts["launched"], hosts["accrued_until"], rounded)
        self._hosts.append(np.column_stack([hosts["instance_id"], hosts["instance_class"], elapsed]))

    def _billed(self, started: Array, until: Array, rounded: Array) -> Array:
        """Return the billed ms in the period, with the rounding of what ended (as `world.state.usage` does)."""
        clock = self.world.state.clock
        elapsed = np.maximum(np.minimum(until, clock.end) - np.maximum(started, self._begin), 0)
        extra = billed_seconds_column(started, until) * MS_PER_SECOND - (until - started)
        billed: Array = elapsed + np.where(rounded & (started >= clock.window_start), extra, 0)
        return billed

    # --- the period ----------------------------------------------------------------------------------------

    def _shared(self) -> Array:
        """Return each instance's time by payer: tasks by their weight, the rest by the payer of the idle part."""
        hosts = _concatenated(self._hosts, 3)
        hosts = hosts[_order(hosts[:, :1])]
        shares = _sum_equal_rows(_concatenated(self._shares, 3))
        host = np.searchsorted(hosts[:, 0], shares[:, 0])
        idle = hosts[:, 2] * self.world.state.capacity.classes["weight"][hosts[:, 1]]
        np.subtract.at(idle, host, shares[:, 2])
        rest = np.column_stack([hosts[:, 1], self._payers[hosts[:, 1]], hosts[:, 0], idle])
        paid = np.column_stack([hosts[host, 1], shares[:, 1], shares[:, 0], shares[:, 2]])
        return _sum_equal_rows(np.concatenate([paid, rest[idle > 0]]))


def _concatenated(parts: list[Array], width: int) -> Array:
    return np.concatenate([np.zeros((0, width), np.int64), *parts])


def _order(keys: Array) -> Array:
    """Return the order of rows by their columns, the first one first."""
    order: Array = np.lexsort(keys.T[::-1])
    return order


def _sum_equal_rows(rows: Array) -> Array:
    """Sum rows that agree in all columns but the last, in the order of those columns."""
    if rows.shape[0] == 0:
        return rows
    rows = rows[_order(rows[:, :-1])]
    new = np.any(rows[1:, :-1] != rows[:-1, :-1], axis=1)
    first = np.flatnonzero(np.concatenate([[True], new]))
    return np.column_stack([rows[first, :-1], np.add.reduceat(rows[:, -1], first)])
