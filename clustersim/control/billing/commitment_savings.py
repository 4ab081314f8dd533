"""What commitments take off the price of a task and of an instance: from list cost to effective cost.

The kernels accrue cost at prices without commitments, as how much of an hour is covered is known only when it is over.
Here each settled hour adds, for every column of usage, the share of the price that covered usage saves in it; a task or
an instance saves that share over its paid time. Decides nothing: `cost_ledger` adds the hours, `task_table_writer` asks
when it writes rows.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.billing.paid_time import PaidTime, instance_paid_time, task_paid_time
from clustersim.control.billing.price_list import FARGATE_UNIT_MS, PriceList
from clustersim.control.events.column_buffer import ColumnBuffer
from clustersim.engine.records import Array
from clustersim.policy.pricing.commitments import Coverage
from clustersim.vocabulary import MS_PER_HOUR, WEIGHT_PER_CPU_UNIT, WEIGHT_PER_MIB
from clustersim.world.state.world import World


class CommitmentSavings:
    """The savings of settled hours, and those of tasks and instances."""

    def __init__(self, world: World, prices: PriceList, coverage: Coverage) -> None:
        self._world, self._prices, self._coverage = world, prices, coverage
        self._price = np.array([column.usd_per_unit for column in prices.columns])
        self._ends = [world.scenario.warm_up_ms]
        self._shares: list[Array] = []
        self._saved_ms = [np.zeros(len(prices.columns))]
        self._tables: tuple[Array, Array, Array] | None = None
        self._classes = np.zeros(1, np.int64)  # of instances by id

    @property
    def settled_until(self) -> int:
        """The end of the last settled hour."""
        return self._ends[-1]

    def add_hour(self, until: int, shares: Array) -> None:
        """Add an hour that ends at `until`, and the shares of its usage by cover and column."""
        rates = np.nan_to_num(self._coverage.rates)
        paid = (shares[1:] * rates).sum(axis=0)
        full_price = np.where(self._price > 0.0, self._price, 1.0)
        saved = np.where(self._price > 0.0, (shares[1:].sum(axis=0) * self._price - paid) / full_price, 0.0)
        self._saved_ms.append(self._saved_ms[-1] + saved * (until - self._ends[-1]))
        self._shares.append(saved)
        self._ends.append(until)
        self._tables = None

    def note_classes(self, instances: Array) -> None:
        """Remember the classes of instances, whose slots may have others when the rows of their tasks are written."""
        missing = int(self._world.state.counters.next_instance_id) - self._classes.size
        if missing > 0:
            self._classes = np.concatenate(
                [self._classes, np.zeros(max(missing, self._classes.size), np.int64)]
            )
        self._classes[instances["instance_id"]] = instances["instance_class"]

    def task_costs(self, tasks: ColumnBuffer, ended: bool) -> Array:
        """Return the effective costs of tasks, USD."""
        paid = task_paid_time(self._world, tasks, ended)
        saved = np.zeros(tasks.size)
        hosted = np.flatnonzero(paid.billed & ~paid.on_fargate)
        instance_class = self._classes[tasks["instance_id"][hosted]]
        column = self._prices.class_columns[instance_class]
        weight = WEIGHT_PER_CPU_UNIT * tasks["cpu"][hosted] + WEIGHT_PER_MIB * tasks["memory"][hosted]
        share = weight / self._world.state.capacity.classes["weight"][instance_class]
        saved[hosted] = self._saved(column, paid.where(hosted)) * share * self._price[column] / MS_PER_HOUR
        on_fargate = np.flatnonzero(paid.billed & paid.on_fargate)
        row = paid.fargate_row[on_fargate]
        for part, size in enumerate((tasks["cpu"], tasks["memory"])):
            column = self._prices.fargate_columns[row, part]
            ms = self._saved(column, paid.where(on_fargate))
            saved[on_fargate] += ms * size[on_fargate] * self._price[column] / FARGATE_UNIT_MS[part]
        return _less(tasks["cost"], saved)

    def instance_costs(self, rows: Array, ended: bool) -> Array:
        """Return the effective costs of instances, USD."""
        column = self._prices.class_columns[rows["instance_class"]]
        saved_ms = self._saved(column, instance_paid_time(self._world, ColumnBuffer(rows), ended))
        return _less(rows["cost"], saved_ms * self._price[column] / MS_PER_HOUR)

    def _saved(self, column: Array, paid: PaidTime) -> Array:
        """Return the ms whose price is saved within paid time; added ms are those of the hour of its end."""
        if self._tables is None:
            self._tables = np.array(self._ends), np.array(self._shares), np.array(self._saved_ms)
        ends, shares, _ = self._tables
        last = np.clip(np.searchsorted(ends, paid.until) - 1, 0, len(shares) - 1)
        added = np.where(paid.added > 0, shares[last, column] * paid.added, 0.0)
        whole: Array = self._saved_until(column, paid.until) - self._saved_until(column, paid.begin) + added
        return whole

    def _saved_until(self, column: Array, instant: Array) -> Array:
        """Return the ms saved from the first settled hour to an instant."""
        assert self._tables is not None
        ends, shares, saved_ms = self._tables
        hour = np.clip(np.searchsorted(ends, instant, "right") - 1, 0, len(shares) - 1)
        saved: Array = saved_ms[hour, column] + shares[hour, column] * (instant - ends[hour])
        return saved


def _less(listed: Array, saved: Array) -> Array:
    """Return list costs less savings; a rounding error below 0 becomes 0."""
    effective: Array = np.maximum(listed - saved, 0.0)
    return effective
