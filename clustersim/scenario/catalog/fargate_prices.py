"""Fargate prices per vCPU-hour and GB-hour in a region.

Decides the price to use where the snapshot has gaps, and warns about every estimated price: a missing Spot price is
on-demand times `pricing.fargateSpotFactor`, a missing arm64 price is 0.8 of x86_64, a missing storage price is that
of us-east-1. It must not know tasks or billing. The catalogue calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from clustersim.scenario.catalog.bundled_prices import read_index, read_rows
from clustersim.scenario.catalog.custom_entries import (
    HOW_TO_DECLARE_FARGATE,
    CatalogError,
    WrittenFargatePrices,
    parse_entry,
    suggest_similar,
)
from clustersim.scenario.sections.scenario import FargatePrice

DEFAULT_SPOT_FACTOR = 0.33  # of on-demand (contract: `pricing.fargateSpotFactor`)
DEFAULT_ARM64_FACTOR = 0.8  # of x86_64, as in every region that publishes both (data/SOURCES.md)
_STORAGE_REGION = "us-east-1"

Row = dict[str, float]


class FargateUse(NamedTuple):
    """A use of Fargate with a price of its own; `ephemeral` if a task has more storage than the included 20 GiB."""

    arch: str = "x86_64"
    spot: bool = False
    ephemeral: bool = False


class FargateFactors(NamedTuple):
    """The factors for missing prices: Spot as a share of on-demand, arm64 as a share of x86_64."""

    spot: float = DEFAULT_SPOT_FACTOR
    arm64: float = DEFAULT_ARM64_FACTOR


@cache
def load_published_prices() -> dict[tuple[str, str], Row]:
    """Return the snapshot's Fargate prices by region and architecture, without missing values."""
    return {
        (row["region"], row["arch"]): {
            key: float(value) for key, value in row.items() if "usd_per_hour" in key and value
        }
        for row in read_rows("fargate_prices.csv")
    }


def price_rows_by_arch(region: str, written: Mapping[str, Any] | None) -> dict[str, Row]:
    """Return prices by architecture: those of `pricing.fargate` (`written`) if given, else the region's.

    `written` replaces all prices of the region except storage, which falls back to the region's. Raises
    `CatalogError` if there are no prices.
    """
    published = {
        arch: row for (priced_region, arch), row in load_published_prices().items() if priced_region == region
    }
    if written is None:
        if "x86_64" not in published:
            regions = sorted({priced_region for priced_region, _ in load_published_prices()})
            hint = "" if region in read_index().regions else suggest_similar(region, regions)
            raise CatalogError(
                f"the catalogue has no Fargate prices for region {region!r}",
                f"{hint}priced are {', '.join(regions)}; for another, declare them: {HOW_TO_DECLARE_FARGATE}",
            )
        return published
    rows = parse_entry(WrittenFargatePrices, written, "pricing.fargate").to_rows()
    storage = {
        key: value for key, value in published.get("x86_64", {}).items() if key.startswith("ephemeral")
    }
    return {arch: storage | row for arch, row in rows.items()}


def resolve_fargate_price(
    region: str, use: FargateUse, factors: FargateFactors, rows: Mapping[str, Row]
) -> tuple[FargatePrice, tuple[str, ...]]:
    """Return the price of one `use` in `region` from the region's `rows`, and a warning for every estimated price."""
    warnings: list[str] = []
    description = f"{use.arch} in {region}"
    row = rows.get(use.arch)
    if row is None:
        base, factor = rows["x86_64"], factors.arm64
        row = base | {key: base[key] * factor for key in ("vcpu_usd_per_hour", "gb_usd_per_hour")}
        row.pop("spot_vcpu_usd_per_hour", None)
        warnings.append(
            f"the Fargate price of {description} is not known: {factor:g} of the x86_64 price is used; "
            "`pricing.fargate.arm64` replaces it"
        )
    vcpu, gb = row["vcpu_usd_per_hour"], row["gb_usd_per_hour"]
    if use.spot and "spot_vcpu_usd_per_hour" in row:
        vcpu, gb = row["spot_vcpu_usd_per_hour"], row["spot_gb_usd_per_hour"]
    elif use.spot:
        vcpu, gb = vcpu * factors.spot, gb * factors.spot
        warnings.append(
            f"the Fargate Spot price of {description} is not known: {factors.spot:g} of on-demand is used "
            "(`pricing.fargateSpotFactor`); `pricing.fargate` replaces it"
        )
    storage = row.get("ephemeral_gb_usd_per_hour")
    if storage is None:
        storage = load_published_prices()[_STORAGE_REGION, "x86_64"]["ephemeral_gb_usd_per_hour"]
        if use.ephemeral:
            warnings.append(
                f"the price of Fargate ephemeral storage in {region} is not known: that of {_STORAGE_REGION} "
                "is used; `pricing.fargate` replaces it"
            )
    price = FargatePrice(
        arch=use.arch,
        spot=use.spot,
        vcpu_usd_per_hour=vcpu,
        gb_usd_per_hour=gb,
        ephemeral_gb_usd_per_hour=storage,
    )
    return price, tuple(warnings)
