"""Charges become rows of `costs`, in FOCUS's words, per payer or per resource.

Decides what stands in the columns. Knows no account and no commitment: the ledger, which calls it, has priced the
charges, and says what is billed of each. With `sampling.costPerResource` a charge becomes a row for each resource
that has a part in it, in order of the resources' numbers; the parts keep the charge's price and factors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from clustersim.control.billing.resource_costs import Parts
from clustersim.engine.compiled import Array
from clustersim.policy.pricing.savings_plans import Bill
from clustersim.record.columns import settle
from clustersim.record.recorder import BATCH_ROWS, Recorder
from clustersim.record.schema import COSTS, NAME
from clustersim.vocabulary import NEVER
from clustersim.world.state.world import Names

EC2 = "Amazon Elastic Compute Cloud"
ECS = "Amazon Elastic Container Service"
NOBODY = NEVER
MONEY = ("PricingQuantity", "BilledCost", "EffectiveCost")
Cells = dict[str, list[Any]]


class Line(NamedTuple):
    """What one SKU in one zone costs: the columns of `costs` that a period does not change."""

    sku: int
    service: str
    resource_type: str
    unit: str
    list_price: float | None
    price: float
    provider: int
    zone: int


class Account(NamedTuple):
    """Where a charge was read: a class of instances (`column` -1), or a row and column of Fargate's accounts.

    `unit_ms` of it are one hour of what is priced.
    """

    row: int
    column: int
    unit_ms: float


class Charge(NamedTuple):
    """One payer's usage of one line: `quantity` in hours (or the line's unit), `usd` at the line's price."""

    line: Line
    payer: int
    quantity: float
    usd: float
    account: Account


def columns_of(
    charges: Sequence[Charge], names: Names, skus: Sequence[str], billed: Array, effective: Array
) -> Cells:
    """The rows of charges, of which `billed` and `effective` USD are to be shown."""
    services = len(names.services)
    return {
        "ChargeCategory": ["Usage"] * len(charges),
        "ServiceName": [charge.line.service for charge in charges],
        "AvailabilityZone": [names.zones[charge.line.zone] for charge in charges],
        "ResourceType": [charge.line.resource_type for charge in charges],
        "SkuId": [skus[charge.line.sku] for charge in charges],
        "PricingQuantity": [_quantity(charge) for charge in charges],
        "PricingUnit": [charge.line.unit for charge in charges],
        "ListUnitPrice": [charge.line.list_price for charge in charges],
        "BilledCost": billed.tolist(),
        "EffectiveCost": effective.tolist(),
        "x_CapacityProvider": [
            names.providers[charge.line.provider] if charge.line.provider >= 0 else None for charge in charges
        ],
        "x_Service": [names.services[c.payer] if 0 <= c.payer < services else None for c in charges],
        "x_Group": [names.groups[charge.payer] if charge.payer >= 0 else None for charge in charges],
    }


def merged(columns: Cells, charges: Sequence[Charge]) -> Cells:
    """The same with one row per line and payer: instances that differ in an attribute alone have equal lines.

    Rows beyond the charges (fees) stay as they are.
    """
    rows: dict[tuple[Line, int], int] = {}
    firsts: list[int] = []
    row_of = []
    for position, charge in enumerate(charges):
        row = rows.setdefault((charge.line, charge.payer), len(rows))
        if row == len(firsts):
            firsts.append(position)
        row_of.append(row)
    kept: Cells = {}
    for name, cells in columns.items():
        kept[name] = [cells[position] for position in firsts]
        if name in MONEY:
            kept[name] = np.bincount(row_of, weights=cells[: len(charges)], minlength=len(firsts)).tolist()
        kept[name] += cells[len(charges) :]
    return kept


def _quantity(charge: Charge) -> float:
    """The quantity in the line's own unit: a volume's hours are GiB-months."""
    line = charge.line
    if line.resource_type == "Volume" and line.list_price:
        return charge.quantity * line.price / line.list_price
    return charge.quantity


def add_fees(columns: Cells, bill: Bill) -> None:
    """Rows for the fees of commitments: billed whole, used or not; effective is only what nothing used."""
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


def by_resource(
    columns: Cells, charges: Sequence[Charge], parts: Sequence[Parts], recorder: Recorder
) -> Iterator[dict[str, Any]]:
    """The same rows per resource, at most `BATCH_ROWS` at a time; `parts` are those of each charge.

    Rows beyond the charges (fees) belong to no resource and stay as they are.
    """
    fees = len(columns["SkuId"]) - len(charges)
    counts = [part.serials.size for part in parts] + [1] * fees
    of = np.repeat(np.arange(len(counts)), counts)
    serials = np.concatenate([*(part.serials for part in parts), np.full(fees, NEVER)])
    shares = np.concatenate([*map(_shares, charges, parts), np.ones(fees)])
    kinds = ["task" if kind == "Task" else "container-instance" for kind in columns["ResourceType"]]
    whole = {
        name: settle(
            COSTS.by_name[name],
            values,
            recorder.vocabulary("costs", name) if COSTS.by_name[name].type == NAME else None,
            "costs",
        )
        for name, values in columns.items()
    }
    for first in range(0, of.size, BATCH_ROWS):
        rows = slice(first, first + BATCH_ROWS)
        chunk: dict[str, Any] = {name: values[of[rows]] for name, values in whole.items()}
        for name in MONEY:
            chunk[name] = chunk[name] * shares[rows]
        numbered = zip(of[rows].tolist(), serials[rows].tolist(), strict=True)
        chunk["ResourceId"] = [None if n == NEVER else f"{kinds[row]}/{n}" for row, n in numbered]
        yield chunk


def _shares(charge: Charge, parts: Parts) -> Array:
    """Which share of a charge each part is; what floats make of nothing idle is shared by nobody."""
    if charge.quantity <= 0.0:
        return np.zeros(parts.amounts.size)
    shares: Array = parts.amounts / (charge.account.unit_ms * charge.quantity)
    return shares
