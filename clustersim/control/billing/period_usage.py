"""The usage of one cost period, by payer and by what covers it.

Decides how a reading of the usage accounts is divided among payers, idle capacity and commitments, and sums readings
until the period is written. It must not know when hours end or how commitments decide: `cost_ledger` adds each reading
with the coverage of its hour. `cost_rows` turns the line items into rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np

from clustersim.control.billing.price_list import FARGATE_UNIT_MS, PriceList
from clustersim.engine.records import Array
from clustersim.policy.pricing.commitments import ROUNDING, Coverage
from clustersim.vocabulary import MS_PER_HOUR, NEVER

NO_PAYER = NEVER
_Items: TypeAlias = tuple[Array, Array, Array, Array]
"""Line items without prices: SKU, cover, payer, hours of usage."""


class Reading(NamedTuple):
    """The usage accounts between two instants: weight x ms, Fargate's unit x ms, and billed ms of instance classes."""

    begin: int
    until: int
    weight_ms: Array
    fargate_ms: Array
    class_ms: Array

    def by_column(self, prices: PriceList) -> Array:
        """Return the usage in hours (instance-hours, vCPU-hours, GB-hours) by column of usage."""
        usage = np.zeros(len(prices.columns))
        np.add.at(usage, prices.class_columns, self.class_ms / MS_PER_HOUR)
        np.add.at(usage, prices.fargate_columns, self.fargate_ms.sum(axis=0) / FARGATE_UNIT_MS)
        return usage


class LineItems(NamedTuple):
    """Line items as columns: the SKU, the payer (-1: none), the commitment (-1: none), hours of usage, USD.

    `billed` is charged beside the fees of commitments, `effective` includes the part of a fee that the usage takes up.
    """

    sku: Array
    payer: Array
    commitment: Array
    hours: Array
    billed: Array
    effective: Array

    def sums(self, keys: Array, size: int) -> Array:
        """Return the effective cost by key; items with key -1 are left out."""
        known = keys >= 0
        total: Array = np.bincount(keys[known], weights=self.effective[known], minlength=size)
        return total


class PeriodUsage:
    """Sums of one cost period that began at `begin`.

    `hosts[cover, payer, class]` are ms of instances (the last payer is none: idle), `fargate[cover, payer, row, part]`
    unit x ms; cover 0 is what no commitment covers. `fees` and `unused` are USD by commitment.
    """

    def __init__(
        self, begin: int, prices: PriceList, coverage: Coverage, payers: int, class_weight: Array
    ) -> None:
        self.begin = begin
        self._prices, self._coverage, self._class_weight = prices, coverage, class_weight
        covers = 1 + len(coverage.commitments)
        self._hosts = np.zeros((covers, payers + 1, len(prices.of_class)))
        self._fargate = np.zeros((covers, payers, *prices.of_fargate.shape))
        self.commitment_hours = 0.0
        self.unused = np.zeros(len(coverage.commitments))

    def add(self, reading: Reading, shares: Array, unused: Array) -> None:
        """Add a reading, covered by `shares` (by cover and column); `unused` is its part of what its hour left."""
        taken = reading.weight_ms / self._class_weight
        idle = reading.class_ms - taken.sum(axis=0)
        idle[idle < ROUNDING * reading.class_ms] = 0.0  # a rounding error of full instances
        self._hosts += shares[:, self._prices.class_columns][:, None] * np.vstack([taken, idle])
        self._fargate += shares[:, self._prices.fargate_columns][:, None] * reading.fargate_ms
        self.commitment_hours += (reading.until - reading.begin) / MS_PER_HOUR
        self.unused += unused

    def class_hours(self) -> Array:
        """Return the billed instance-hours by class."""
        hours: Array = self._hosts.sum(axis=(0, 1)) / MS_PER_HOUR
        return hours

    def fargate_hours(self, part: int) -> float:
        """Return the billed hours of one part of Fargate: 0 vCPU, 1 GB."""
        return float(self._fargate[:, :, :, part].sum() / FARGATE_UNIT_MS[part])

    def line_items(self) -> LineItems:
        """Return the line items, by SKU, then payer (idle last), then commitment."""
        parts = [self._instance_items(), *self._volume_and_fee_items(), self._fargate_items()]
        sku, cover, payer, hours = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        billed = np.flatnonzero(self._prices.units_per_hour[sku] > 0.0)
        order = billed[np.lexsort((cover[billed], payer[billed], sku[billed]))]
        nobody = self._hosts.shape[1] - 1
        payer = np.where(payer == nobody, NO_PAYER, payer)
        return self._priced(sku[order], cover[order] - 1, payer[order], hours[order])

    def _instance_items(self) -> _Items:
        cover, payer, number = np.nonzero(self._hosts)
        hours = self._hosts[cover, payer, number] / MS_PER_HOUR
        return self._prices.of_class[number, 0], cover, payer, hours

    def _volume_and_fee_items(self) -> Iterator[_Items]:
        """Yield what no commitment covers of an instance, for all of its hours."""
        whole = self._hosts.sum(axis=0)
        payer, number = np.nonzero(whole)
        for part in (1, 2):
            sku = self._prices.of_class[number, part]
            has = np.flatnonzero(sku >= 0)
            hours = whole[payer[has], number[has]] / MS_PER_HOUR
            yield sku[has], np.zeros(has.size, np.int64), payer[has], hours

    def _fargate_items(self) -> _Items:
        cover, payer, row, part = np.nonzero(self._fargate)
        hours = self._fargate[cover, payer, row, part] / FARGATE_UNIT_MS[part]
        return self._prices.of_fargate[row, part], cover, payer, hours

    def _priced(self, sku: Array, commitment: Array, payer: Array, hours: Array) -> LineItems:
        """Return line items with their costs."""
        covered = commitment >= 0
        billed = np.where(covered, 0.0, hours * self._prices.price[sku])
        effective = billed.copy()
        rates = self._coverage.rates[commitment[covered], self._prices.column[sku[covered]]]
        effective[covered] = hours[covered] * rates
        return LineItems(sku, payer, commitment, hours, billed, effective)
