"""Rows of `costs` with FOCUS columns, per payer or per resource.

Decides the content of the columns. Knows no usage accounts and settles nothing: `control.billing.cost_ledger`, which
calls it, brings priced line items, and the fees and unused parts of commitments. With `sampling.costPerResource` a line
item becomes a row for each resource that has a part in it, in order of their numbers; the parts keep its price.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from clustersim.control.billing.period_usage import NO_PAYER, LineItems, PeriodUsage
from clustersim.control.billing.price_list import EC2, FARGATE_UNIT_MS, PriceList
from clustersim.control.billing.resource_costs import ResourceAmounts
from clustersim.engine.records import Array
from clustersim.policy.pricing.commitments import Commitment
from clustersim.record.columns import coerce_column
from clustersim.record.recorder import BATCH_ROWS, Recorder
from clustersim.record.schema import COSTS, NAME
from clustersim.vocabulary import MS_PER_HOUR, NEVER
from clustersim.world.state.world import Names

SPLIT_COLUMNS = ("PricingQuantity", "BilledCost", "EffectiveCost")
CostColumns = dict[str, list[Any]]


class CostRows:
    """The columns of the rows of a run's periods."""

    def __init__(self, prices: PriceList, commitments: Sequence[Commitment], names: Names) -> None:
        self._prices, self._commitments = prices, commitments
        skus = prices.skus
        providers = [names.providers[sku.provider] if sku.provider >= 0 else None for sku in skus]
        self._of_sku = {
            "ServiceName": _words([sku.service for sku in skus]),
            "AvailabilityZone": _words([names.zones[sku.zone] for sku in skus]),
            "ResourceType": _words([sku.resource_type for sku in skus]),
            "SkuId": _words([sku.name for sku in skus]),
            "PricingUnit": _words([sku.unit for sku in skus]),
            "ListUnitPrice": np.array([sku.list_price for sku in skus]),
            "x_CapacityProvider": _words(providers),
        }
        self._category = _words(["Dynamic" if sku.spot else "Standard" for sku in skus])
        outsiders = [None] * (len(names.groups) - len(names.services) + 1)
        self._of_payer = {
            "x_Service": _words([*names.services, *outsiders]),
            "x_Group": _words([*names.groups, None]),
        }
        self._status = _words([*("Used" for _ in commitments), None])
        self._discount_ids = _words([*(each.discount_id for each in commitments), None])

    def of_items(self, items: LineItems) -> CostColumns:
        """Return the rows of line items."""
        covered = items.commitment >= 0
        columns = {name: words[items.sku].tolist() for name, words in self._of_sku.items()}
        columns |= {name: words[items.payer].tolist() for name, words in self._of_payer.items()}
        return columns | {
            "ChargeCategory": ["Usage"] * items.sku.size,
            "PricingQuantity": (items.hours * self._prices.units_per_hour[items.sku]).tolist(),
            "BilledCost": items.billed.tolist(),
            "EffectiveCost": items.effective.tolist(),
            "x_Share": np.where(items.payer == NO_PAYER, "idle", "task").tolist(),
            "PricingCategory": np.where(covered, "Committed", self._category[items.sku]).tolist(),
            "CommitmentDiscountId": self._discount_ids[items.commitment].tolist(),
            "CommitmentDiscountStatus": self._status[items.commitment].tolist(),
        }

    def add_commitments(self, columns: CostColumns, usage: PeriodUsage) -> None:
        """Add the purchase of each commitment, and a row of usage for what of it is unused."""
        for commitment, unused in zip(self._commitments, usage.unused.tolist(), strict=True):
            if commitment.usd_per_hour == 0.0:
                continue
            bought = commitment.quantity * usage.commitment_hours
            row: dict[str, Any] = {
                "ServiceName": EC2,
                "SkuId": commitment.sku,
                "PricingUnit": "Hours",
                "ListUnitPrice": commitment.usd_per_hour,
                "x_Share": "commitment",
                "CommitmentDiscountId": commitment.discount_id,
            }
            purchase = {
                "ChargeCategory": "Purchase",
                "PricingQuantity": bought,
                "BilledCost": bought * commitment.usd_per_hour,
                "EffectiveCost": 0.0,
                "PricingCategory": "Standard",
            }
            _append(columns, row | purchase)
            if unused > 0.0:
                rest = {
                    "ChargeCategory": "Usage",
                    "PricingQuantity": unused / commitment.usd_per_hour,
                    "BilledCost": 0.0,
                    "EffectiveCost": unused,
                    "PricingCategory": "Committed",
                    "CommitmentDiscountStatus": "Unused",
                }
                _append(columns, row | rest)


def merge_equal_items(items: LineItems, prices: PriceList) -> LineItems:
    """Return the items with one per SKU, payer and commitment: classes that differ in an attribute have equal SKUs."""
    sku = prices.equal_to[items.sku]
    nobody_last = np.where(items.payer == NO_PAYER, np.iinfo(np.int64).max, items.payer)
    order = np.lexsort((items.commitment, nobody_last, sku))
    keys = np.column_stack([sku, items.payer, items.commitment])[order]
    if len(keys) == 0:
        return items
    first = np.flatnonzero(np.concatenate([[True], np.any(keys[1:] != keys[:-1], axis=1)]))
    amounts = (
        np.add.reduceat(column[order], first) for column in (items.hours, items.billed, items.effective)
    )
    return LineItems(*keys[first].T, *amounts)


def split_by_resource(
    columns: CostColumns, shares: Sequence[tuple[Array, Array]], recorder: Recorder
) -> Iterator[dict[str, Any]]:
    """Yield the rows split by resource, at most `BATCH_ROWS` at a time.

    `shares` are the serials and shares of each line item's resources. Rows of commitments, which follow the line
    items, belong to no resource and stay as they are.
    """
    others = len(columns["SkuId"]) - len(shares)
    counts = [serials.size for serials, _ in shares] + [1] * others
    row_of = np.repeat(np.arange(len(counts)), counts)
    serials = np.concatenate([*(serials for serials, _ in shares), np.full(others, NEVER)])
    parts = np.concatenate([*(share for _, share in shares), np.ones(others)])
    kinds = ["task" if kind == "Task" else "container-instance" for kind in columns["ResourceType"]]
    unsplit = {
        name: coerce_column(
            COSTS.by_name[name],
            values,
            recorder.vocabulary("costs", name) if COSTS.by_name[name].type == NAME else None,
            "costs",
        )
        for name, values in columns.items()
    }
    for first in range(0, row_of.size, BATCH_ROWS):
        rows = slice(first, first + BATCH_ROWS)
        chunk: dict[str, Any] = {name: values[row_of[rows]] for name, values in unsplit.items()}
        for name in SPLIT_COLUMNS:
            chunk[name] = chunk[name] * parts[rows]
        resources = zip(row_of[rows].tolist(), serials[rows].tolist(), strict=True)
        chunk["ResourceId"] = [None if n == NEVER else f"{kinds[row]}/{n}" for row, n in resources]
        yield chunk


def resource_shares(
    items: LineItems, prices: PriceList, class_weight: Array, amounts: Sequence[ResourceAmounts]
) -> list[tuple[Array, Array]]:
    """Return the serials of each item's resources, and the share of each in it."""
    account, part = prices.account[items.sku], prices.part[items.sku]
    unit_ms = np.where(part == NEVER, class_weight[np.where(part == NEVER, account, 0)] * MS_PER_HOUR, 0.0)
    unit_ms[part != NEVER] = FARGATE_UNIT_MS[part[part != NEVER]]
    wholes = (unit_ms * items.hours).tolist()
    return [(of.serials, of.amounts / whole) for of, whole in zip(amounts, wholes, strict=True)]


def _append(columns: CostColumns, row: dict[str, Any]) -> None:
    for column, values in columns.items():
        values.append(row.get(column))


def _words(words: Sequence[str | None]) -> Array:
    return np.array(words, dtype=object)
