"""The usage of each container instance and each Fargate task in a cost period.

Only with `sampling.costPerResource`. The kernels keep one account per payer and class of instance, and one per payer,
Fargate price and zone. Here the same integers are divided by resource, from the records of tasks and instances: those
that ended, before their buffer is emptied, and at each reading those that go on. So the kernels do the same with and
without it. Decides nothing and knows no price: `control.billing.cost_ledger` calls it for the parts of line items.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clustersim.control.billing.paid_time import PaidTime, instance_paid_time, task_paid_time
from clustersim.control.billing.period_usage import LineItems
from clustersim.control.billing.price_list import PriceList
from clustersim.control.events.column_buffer import ColumnBuffer
from clustersim.engine.records import Array
from clustersim.vocabulary import NEVER, WEIGHT_PER_CPU_UNIT, WEIGHT_PER_MIB
from clustersim.world.state.world import World


class ResourceAmounts(NamedTuple):
    """The amounts of one line item by resource: `serials` ascending, `amounts` in the account's unit x ms."""

    serials: Array
    amounts: Array


class ResourceReading(NamedTuple):
    """The usage between two readings of the accounts, divided by resource.

    `hosts` has a row for each class of instances, payer and instance: (class, payer, instance id, weight x ms), where
    payer -1 is the idle part. `tasks` has one for each Fargate task: (row of the account, payer, task id, CPU units x
    ms, MiB x ms, GiB x ms).
    """

    hosts: Array
    tasks: Array


class PeriodResources:
    """The usage of one cost period by resource and by what covers it; readings come with the coverage of their hour."""

    def __init__(self, prices: PriceList, payers: int) -> None:
        self._prices = prices
        self._width = payers + 1  # -1 is the idle part, which has no payer
        self._host_keys: list[Array] = []
        self._host_amounts: list[Array] = []  # by cover
        self._task_keys: list[Array] = []
        self._task_amounts: list[Array] = []  # by cover and part

    def add(self, reading: ResourceReading, shares: Array) -> None:
        """Add a reading, covered by `shares` (by cover and column of usage)."""
        hosts, tasks = reading
        self._host_keys.append(hosts[:, :3])
        self._host_amounts.append(shares[:, self._prices.class_columns[hosts[:, 0]]].T * hosts[:, 3:])
        self._task_keys.append(tasks[:, :3])
        columns = self._prices.fargate_columns[tasks[:, 0]]
        amounts = shares[:, columns] * tasks[:, 3:]
        self._task_amounts.append(np.moveaxis(amounts, 0, 1).reshape(len(tasks), shares.shape[0] * 3))

    def split(self, items: LineItems) -> list[ResourceAmounts]:
        """Return the resources that have a part in each line item; call it once, as the period is written."""
        hosts, host_amounts = _sum_amounts(self._host_keys, self._host_amounts)
        tasks, task_amounts = _sum_amounts(self._task_keys, self._task_amounts)
        host_groups, task_groups = self._group(hosts), self._group(tasks)
        parts = []
        for sku, payer, commitment in zip(items.sku, items.payer, items.commitment, strict=True):
            account, part = int(self._prices.account[sku]), int(self._prices.part[sku])
            cover = int(commitment) + 1
            key = account * self._width + int(payer) + 1
            if part != NEVER:
                rows = _range(task_groups, key)
                serials, amounts = tasks[rows, 2], task_amounts[rows, cover * 3 + part]
            else:
                rows = _range(host_groups, key)
                serials, amounts = hosts[rows, 2], host_amounts[rows]
                is_instance = sku == self._prices.of_class[account, 0]
                amounts = amounts[:, cover] if is_instance else amounts.sum(axis=1)
            used = amounts > 0
            parts.append(ResourceAmounts(serials[used], amounts[used]))
        return parts

    def _group(self, keys: Array) -> Array:
        groups: Array = keys[:, 0] * self._width + keys[:, 1] + 1
        return groups


class ResourceUsage:
    """The usage by resource of a run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._begin = world.scenario.warm_up_ms
        self._tasks_read = self._hosts_read = 0
        self._hosts: list[Array] = []  # since the last reading: (instance id, class, ms)
        self._shares: list[Array] = []  # (instance id, payer, weight x ms)
        self._fargate: list[Array] = []

    def read_ended(self) -> None:
        """Read the tasks and instances that ended before their buffers are emptied."""
        self._read_ended()
        self._tasks_read = self._hosts_read = 0

    def close(self, now: int) -> ResourceReading:
        """Return the usage since the last reading up to `now`; all usage must be accrued up to it."""
        self._read_ended()
        state = self.world.state
        self._read_tasks(state.tasks.rows, ended=False)
        self._read_hosts(state.instances.rows, ended=False)
        tasks = _concatenated(self._fargate, 6)
        usage = ResourceReading(self._shared(), tasks[_order(tasks[:, :3])])
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
        """Add the paid time of these tasks since the last reading."""
        state = self.world.state
        tasks = ColumnBuffer(records).where((records["task_id"] >= 0) & (records["placed"] >= 0))
        paid = task_paid_time(self.world, tasks, ended)
        elapsed = np.where(paid.billed, self._elapsed(paid), 0)
        payer = state.sets.rows["payer"][tasks["set"]]
        weight = WEIGHT_PER_CPU_UNIT * tasks["cpu"] + WEIGHT_PER_MIB * tasks["memory"]
        shares = np.column_stack([tasks["instance_id"], payer, weight * elapsed])
        self._shares.append(_sum_equal_rows(shares[~paid.on_fargate & (elapsed > 0)]))
        sizes = (tasks["cpu"], tasks["memory"], state.sets.rows["extra_gib"][tasks["set"]])
        usage_rows = np.column_stack(
            [paid.fargate_row, payer, tasks["task_id"], *(size * elapsed for size in sizes)]
        )
        self._fargate.append(usage_rows[paid.on_fargate & (elapsed > 0)])

    def _read_hosts(self, records: Array, ended: bool) -> None:
        """Add the paid time of these instances since the last reading."""
        hosts = ColumnBuffer(records).where(records["instance_id"] >= 0)
        elapsed = self._elapsed(instance_paid_time(self.world, hosts, ended))
        self._hosts.append(np.column_stack([hosts["instance_id"], hosts["instance_class"], elapsed]))

    def _elapsed(self, paid: PaidTime) -> Array:
        """Return the paid ms since the last reading, with what rounding adds."""
        elapsed: Array = np.maximum(paid.until - np.maximum(paid.begin, self._begin), 0) + paid.added
        return elapsed

    def _shared(self) -> Array:
        """Return each instance's time by payer: tasks by their weight, the rest idle."""
        hosts = _concatenated(self._hosts, 3)
        hosts = hosts[_order(hosts[:, :1])]
        shares = _sum_equal_rows(_concatenated(self._shares, 3))
        host = np.searchsorted(hosts[:, 0], shares[:, 0])
        idle = hosts[:, 2] * self.world.state.capacity.classes["weight"][hosts[:, 1]]
        np.subtract.at(idle, host, shares[:, 2])
        rest = np.column_stack([hosts[:, 1], np.full(len(hosts), NEVER), hosts[:, 0], idle])
        paid = np.column_stack([hosts[host, 1], shares[:, 1], shares[:, 0], shares[:, 2]])
        return _sum_equal_rows(np.concatenate([paid, rest[idle > 0]]))


def _concatenated(parts: list[Array], width: int) -> Array:
    return np.concatenate([np.zeros((0, width), np.int64), *parts])


def _sum_amounts(keys: list[Array], amounts: list[Array]) -> tuple[Array, Array]:
    """Return the distinct keys of all readings in their order, and the sums of their amounts."""
    whole, values = np.concatenate(keys), np.concatenate(amounts)
    order = _order(whole)
    whole, values = whole[order], values[order]
    if len(whole) == 0:
        return whole, values
    first = np.flatnonzero(np.concatenate([[True], np.any(whole[1:] != whole[:-1], axis=1)]))
    return whole[first], np.add.reduceat(values, first)


def _range(keys: Array, key: int) -> slice:
    """Return where a key stands among ascending keys."""
    return slice(*np.searchsorted(keys, [key, key + 1]).tolist())


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
