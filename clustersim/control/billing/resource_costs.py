"""What each container instance and each Fargate task has of a cost period's accounts.

Only with `sampling.costPerResource`. The kernels keep one account per payer and class of instance, and one per
payer, Fargate price and zone. Here the same integers are told apart by resource, from the records of lives: those
that ended, before their chunk is given back, and at the end of the period those that go on. So the kernels do the
same with the key and without it. Decides nothing and knows no price: the ledger asks it for the parts of a charge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clustersim.control.events.column_buffer import Columns
from clustersim.engine.compiled import Array
from clustersim.policy.pricing.billed_time import billed_seconds_of
from clustersim.vocabulary import MS_PER_SECOND, WEIGHT_PER_CPU_UNIT, WEIGHT_PER_MIB
from clustersim.world.state.tables import END, FINISHED, LOST, WINDOW_START
from clustersim.world.state.world import World


class Parts(NamedTuple):
    """Who has how much of one account: `serials` ascending, `amounts` in the account's unit x ms (int64)."""

    serials: Array
    amounts: Array


class PeriodAccounts:
    """The accounts of one period, each in parts.

    `hosts` has a row for each class of instances, payer and instance: (class, payer, instance id, weight x ms);
    `tasks` one for each Fargate task: (row of the account, payer, task id, CPU units x ms, MiB x ms, GiB x ms).
    Both are in the order of these columns.
    """

    def __init__(self, hosts: Array, tasks: Array, payers: int) -> None:
        self._hosts, self._tasks = hosts, tasks
        self._width = payers + 1  # who pays for nothing is -1
        self._host_keys = self._key(hosts[:, 0], hosts[:, 1])
        self._task_keys = self._key(tasks[:, 0], tasks[:, 1])

    def of_class(self, klass: int, payer: int) -> Parts:
        """The instances of a class in one payer's account; payer -1: what is idle of them."""
        rows = self._hosts[self._range(self._host_keys, klass, payer)]
        return Parts(rows[:, 2], rows[:, 3])

    def of_fargate(self, row: int, payer: int, column: int) -> Parts:
        """The Fargate tasks in one payer's account; `column` 0: CPU, 1: memory, 2: storage."""
        rows = self._tasks[self._range(self._task_keys, row, payer)]
        rows = rows[rows[:, 3 + column] > 0]
        return Parts(rows[:, 2], rows[:, 3 + column])

    def _key(self, row: Array, payer: Array) -> Array:
        key: Array = row * self._width + payer + 1
        return key

    def _range(self, keys: Array, row: int, payer: int) -> slice:
        key = row * self._width + payer + 1
        return slice(*np.searchsorted(keys, [key, key + 1]).tolist())


class ResourceAccounts:
    """One for the run; `owners` says who pays for what is idle of each class's instances (-1: nobody)."""

    def __init__(self, world: World, owners: list[int]) -> None:
        self.world = world
        self._owners = np.array(owners, np.int64)
        self._begin = world.scenario.warm_up_ms
        self._tasks_read = self._hosts_read = 0
        self._hosts: list[Array] = []  # of the period: (instance id, class, ms)
        self._shares: list[Array] = []  # (instance id, payer, weight x ms)
        self._fargate: list[Array] = []

    def take_chunks(self) -> None:
        """Read what has ended; the chunks are about to be emptied."""
        self._read_ended()
        self._tasks_read = self._hosts_read = 0

    def close(self, now: int) -> PeriodAccounts:
        """The accounts of the period that ends `now`; every life was just accrued up to it."""
        self._read_ended()
        state = self.world.state
        self._read_tasks(state.tasks, ended=False)
        self._read_hosts(state.instances, ended=False)
        payers = len(self.world.names.groups)
        tasks = _joined(self._fargate, 6)
        found = PeriodAccounts(self._shared(), tasks[_order(tasks[:, :3])], payers)
        self._hosts, self._shares, self._fargate = [], [], []
        self._begin = now
        return found

    # --- reading lives -------------------------------------------------------------------------------------

    def _read_ended(self) -> None:
        state = self.world.state
        tasks, hosts = int(state.clock[FINISHED]), int(state.clock[LOST])
        self._read_tasks(state.finished[self._tasks_read : tasks], ended=True)
        self._read_hosts(state.lost[self._hosts_read : hosts], ended=True)
        self._tasks_read, self._hosts_read = tasks, hosts

    def _read_tasks(self, records: Array, ended: bool) -> None:
        """Add what these tasks took in the period; a Fargate task that ended is billed its begun second."""
        state = self.world.state
        billed = (records["task_id"] >= 0) & (records["placed"] >= 0) & (records["accrued"] >= 0)
        tasks = Columns(records).where(billed)
        on_fargate = state.lanes["fargate"][tasks["lane"]] > 0
        begun = np.where(on_fargate & (tasks["pull_started"] >= 0), tasks["pull_started"], tasks["placed"])
        passed = self._billed(begun, tasks["accrued"], on_fargate & ended)
        payer = state.sets["group"][tasks["set"]]
        weight = WEIGHT_PER_CPU_UNIT * tasks["cpu"] + WEIGHT_PER_MIB * tasks["memory"]
        shares = np.column_stack([tasks["instance_id"], payer, weight * passed])
        self._shares.append(_summed(shares[~on_fargate & (passed > 0)]))
        row = state.lanes["price"][tasks["lane"]] * state.lane_zones.shape[1] + tasks["zone"]
        sizes = (tasks["cpu"], tasks["memory"], state.sets["extra_gib"][tasks["set"]])
        taken = np.column_stack([row, payer, tasks["task_id"], *(size * passed for size in sizes)])
        self._fargate.append(taken[on_fargate & (passed > 0)])

    def _read_hosts(self, records: Array, ended: bool) -> None:
        """Add what these instances were billed for in the period."""
        hosts = Columns(records).where(records["instance_id"] >= 0)
        rounded = np.full(hosts.size, ended)
        passed = self._billed(hosts["launched"], hosts["accrued"], rounded)
        self._hosts.append(np.column_stack([hosts["instance_id"], hosts["klass"], passed]))

    def _billed(self, begun: Array, until: Array, rounded: Array) -> Array:
        """The ms of the period, and what rounding adds to what ended (`world.state.usage` does the same)."""
        clock = self.world.state.clock
        passed = np.maximum(np.minimum(until, clock[END]) - np.maximum(begun, self._begin), 0)
        extra = billed_seconds_of(begun, until) * MS_PER_SECOND - (until - begun)
        billed: Array = passed + np.where(rounded & (begun >= clock[WINDOW_START]), extra, 0)
        return billed

    # --- the period ----------------------------------------------------------------------------------------

    def _shared(self) -> Array:
        """Each instance's time by who pays for it: tasks by their weight, the rest its owner or nobody."""
        hosts = _joined(self._hosts, 3)
        hosts = hosts[_order(hosts[:, :1])]
        shares = _summed(_joined(self._shares, 3))
        host = np.searchsorted(hosts[:, 0], shares[:, 0])
        idle = hosts[:, 2] * self.world.state.classes["weight"][hosts[:, 1]]
        np.subtract.at(idle, host, shares[:, 2])
        rest = np.column_stack([hosts[:, 1], self._owners[hosts[:, 1]], hosts[:, 0], idle])
        paid = np.column_stack([hosts[host, 1], shares[:, 1], shares[:, 0], shares[:, 2]])
        return _summed(np.concatenate([paid, rest[idle > 0]]))


def _joined(parts: list[Array], width: int) -> Array:
    return np.concatenate([np.zeros((0, width), np.int64), *parts])


def _order(keys: Array) -> Array:
    """The order of rows by their columns, the first one first."""
    order: Array = np.lexsort(keys.T[::-1])
    return order


def _summed(rows: Array) -> Array:
    """Rows that agree in all columns but the last become one, in the order of those columns."""
    if rows.shape[0] == 0:
        return rows
    rows = rows[_order(rows[:, :-1])]
    new = np.any(rows[1:, :-1] != rows[:-1, :-1], axis=1)
    first = np.flatnonzero(np.concatenate([[True], new]))
    return np.column_stack([rows[first, :-1], np.add.reduceat(rows[:, -1], first)])
