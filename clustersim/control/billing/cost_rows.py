"""Rows of `costs` with FOCUS columns, per payer or per resource.

Decides the content of the columns. Knows no usage accounts and no commitments: `control.billing.cost_ledger`, which
calls it, has priced the line items and computed the billed cost of each. With `sampling.costPerResource` a line item
becomes a row for each resource that has a part in it, in order of the resources' numbers; the parts keep its price and
factors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from clustersim.control.billing.resource_costs import ResourceAmounts
from clustersim.engine.compiled import Array
from clustersim.policy.pricing.savings_plans import Bill
from clustersim.record.columns import coerce_column
from clustersim.record.recorder import BATCH_ROWS, Recorder
from clustersim.record.schema import COSTS, NAME
from clustersim.vocabulary import NEVER
from clustersim.world.state.world import Names

EC2 = "Amazon Elastic Compute Cloud"
ECS = "Amazon Elastic Container Service"
NO_PAYER = NEVER
SPLIT_COLUMNS = ("PricingQuantity", "BilledCost", "EffectiveCost")
CostColumns = dict[str, list[Any]]


class PricedSku(NamedTuple):
    """One SKU in one zone with its prices: the columns of `costs` that a period does not change."""

    number: int
    service: str
    resource_type: str
    unit: str
    list_price: float | None
    price: float
    provider: int
    zone: int


class UsageSource(NamedTuple):
    """The usage account that a line item was read from.

    Either a class of instances (`column` -1), or a row and column of Fargate's; `unit_ms` of it are one hour of the
    priced unit.
    """

    row: int
    column: int
    unit_ms: float


class LineItem(NamedTuple):
    """One payer's usage of one SKU: `quantity` in hours (or the SKU's unit), `usd` at the SKU's price."""

    sku: PricedSku
    payer: int
    quantity: float
    usd: float
    source: UsageSource


def cost_columns(
    items: Sequence[LineItem], names: Names, skus: Sequence[str], billed: Array, effective: Array
) -> CostColumns:
    """Return the rows of line items, which show the `billed` and `effective` USD."""
    services = len(names.services)
    return {
        "ChargeCategory": ["Usage"] * len(items),
        "ServiceName": [item.sku.service for item in items],
        "AvailabilityZone": [names.zones[item.sku.zone] for item in items],
        "ResourceType": [item.sku.resource_type for item in items],
        "SkuId": [skus[item.sku.number] for item in items],
        "PricingQuantity": [_quantity(item) for item in items],
        "PricingUnit": [item.sku.unit for item in items],
        "ListUnitPrice": [item.sku.list_price for item in items],
        "BilledCost": billed.tolist(),
        "EffectiveCost": effective.tolist(),
        "x_CapacityProvider": [
            names.providers[item.sku.provider] if item.sku.provider >= 0 else None for item in items
        ],
        "x_Service": [names.services[c.payer] if 0 <= c.payer < services else None for c in items],
        "x_Group": [names.groups[item.payer] if item.payer >= 0 else None for item in items],
    }


def merge_equal_items(columns: CostColumns, items: Sequence[LineItem]) -> CostColumns:
    """Return the columns with one row per SKU and payer: instances that differ in an attribute alone have equal SKUs.

    Rows beyond the line items (fees) stay as they are.
    """
    rows: dict[tuple[PricedSku, int], int] = {}
    firsts: list[int] = []
    row_of = []
    for position, item in enumerate(items):
        row = rows.setdefault((item.sku, item.payer), len(rows))
        if row == len(firsts):
            firsts.append(position)
        row_of.append(row)
    merged: CostColumns = {}
    for name, cells in columns.items():
        merged[name] = [cells[position] for position in firsts]
        if name in SPLIT_COLUMNS:
            merged[name] = np.bincount(row_of, weights=cells[: len(items)], minlength=len(firsts)).tolist()
        merged[name] += cells[len(items) :]
    return merged


def _quantity(item: LineItem) -> float:
    """Return the quantity in the SKU's own unit: a volume's hours are GiB-months."""
    priced = item.sku
    if priced.resource_type == "Volume" and priced.list_price:
        return item.quantity * priced.price / priced.list_price
    return item.quantity


def add_fees(columns: CostColumns, bill: Bill) -> None:
    """Add rows for the fees of commitments: billed in full, used or not; the effective cost is the unused part."""
    fees = (
        ("ReservedInstances", bill.reserved_fee_usd, bill.reserved_unused_usd),
        ("ComputeSavingsPlan", bill.plan_fee_usd, bill.plan_unused_usd),
    )
    for name, fee, unused in fees:
        if float(fee.sum()) == 0.0:
            continue
        row: dict[str, Any] = {
            "ChargeCategory": "Purchase",
            "ServiceName": EC2,
            "SkuId": name,
            "PricingQuantity": float(fee.size),
            "PricingUnit": "Hours",
            "BilledCost": float(fee.sum()),
            "EffectiveCost": float(unused.sum()),
        }
        for column, values in columns.items():
            values.append(row.get(column))


def split_by_resource(
    columns: CostColumns, items: Sequence[LineItem], parts: Sequence[ResourceAmounts], recorder: Recorder
) -> Iterator[dict[str, Any]]:
    """Yield the rows split by resource, at most `BATCH_ROWS` at a time; `parts` are those of each line item.

    Rows beyond the line items (fees) belong to no resource and stay as they are.
    """
    fees = len(columns["SkuId"]) - len(items)
    counts = [part.serials.size for part in parts] + [1] * fees
    row_of = np.repeat(np.arange(len(counts)), counts)
    serials = np.concatenate([*(part.serials for part in parts), np.full(fees, NEVER)])
    shares = np.concatenate([*map(_shares, items, parts), np.ones(fees)])
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
            chunk[name] = chunk[name] * shares[rows]
        resources = zip(row_of[rows].tolist(), serials[rows].tolist(), strict=True)
        chunk["ResourceId"] = [None if n == NEVER else f"{kinds[row]}/{n}" for row, n in resources]
        yield chunk


def _shares(item: LineItem, parts: ResourceAmounts) -> Array:
    """Return the share of each part in a line item; rounding remainders of an idle quantity are shared by none."""
    if item.quantity <= 0.0:
        return np.zeros(parts.amounts.size)
    shares: Array = parts.amounts / (item.source.unit_ms * item.quantity)
    return shares
