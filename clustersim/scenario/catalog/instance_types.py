"""The catalogue of instance types and prices by region.

Decides the `InstanceType` of a name, and the zones, prices and Spot bands of a region: the package's dated snapshot
updated with the entries of the scenario. It must not know billing, and does not use the network. The reader calls it
while it resolves a scenario; every error is a `CatalogError` with a hint.

Files are read on first use (one of types, one of prices per region) and kept for the life of the process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from clustersim.scenario.catalog.bundled_prices import read_index, read_rows
from clustersim.scenario.catalog.custom_entries import (
    HOW_TO_DECLARE_TYPE,
    CatalogError,
    WrittenInstanceType,
    parse_entry,
    suggest_similar,
)
from clustersim.scenario.catalog.fargate_prices import (
    FargateFactors,
    FargateUse,
    price_rows_by_arch,
    resolve_fargate_price,
)
from clustersim.scenario.catalog.registered_memory import registered_memory_mib
from clustersim.scenario.sections.scenario import FargatePrice, InstanceType
from clustersim.vocabulary import CPU_UNITS_PER_VCPU

__all__ = ["Catalog", "CatalogError", "FargateFactors", "FargateUse", "SpotBand", "load_catalog"]

_DEFAULT_ENIS = 3  # for a type outside the catalogue without `maxEnis`: the number of a `large`
_REGION_NAME = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]+")

# Share of instances reclaimed in a month, by the bands of the Spot Instance Advisor. The upper bound of the last
# band is not published; 0.30 is an assumption.
_SPOT_BANDS = {
    "<5%": (0.0, 0.05),
    "5-10%": (0.05, 0.10),
    "10-15%": (0.10, 0.15),
    "15-20%": (0.15, 0.20),
    ">20%": (0.20, 0.30),
}

Row = dict[str, str]


class SpotBand(NamedTuple):
    """The share of a type's Spot instances reclaimed in a month: the band's bounds and its midpoint."""

    low: float
    high: float
    midpoint: float


@cache
def load_catalog() -> Catalog:
    """Return the catalogue; the same object on every call."""
    return Catalog()


class Catalog:
    """The snapshot of EC2 and Fargate offers; get it by `load_catalog()`."""

    def __init__(self) -> None:
        self._index = read_index()
        self._types: dict[str, Row] = {}
        self._prices: dict[str, dict[str, Row]] = {}

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions with EC2 prices."""
        return tuple(self._index.regions)

    def price_date(self, region: str) -> str | None:
        """Return the month of the EC2 prices of `region`, such as `2026-05`; None for a region without prices."""
        return self._index.regions.get(region)

    def zones(self, region: str) -> tuple[str, ...]:
        """Return the default Availability Zones: the region's a, b and c (README).

        A well-formed region without prices has zones too, because a scenario may declare all its prices.
        """
        if not _REGION_NAME.fullmatch(region):
            raise CatalogError(f"{region!r} is not the name of a region", self._region_hint(region))
        return tuple(region + letter for letter in "abc")

    def instance_type(
        self, name: str, region: str, extra: Sequence[Mapping[str, Any]] = (), *, spot: bool = False
    ) -> InstanceType:
        """Return the instance type `name` with its prices in `region`; `spot` requires a Spot price.

        `extra` are the scenario's `instanceTypes` as written. An entry named like a type of the catalogue
        overrides its keys; any other entry is a new type and needs `vcpus`, `memoryMiB` and `usdPerHour`.

        Raises:
            CatalogError: the type or a required price is unknown, or the entry is invalid.
        """
        written = _find_custom_entry(name, extra)
        listed = self._listed_types().get(name)
        if listed is None and written is None:
            names = [*self._listed_types(), *(str(entry.get("name")) for entry in extra)]
            raise CatalogError(
                f"instance type {name!r} is not in the catalogue",
                f"{suggest_similar(name, names)}a type of your own is declared by {HOW_TO_DECLARE_TYPE}",
            )
        own = written or WrittenInstanceType(name=name)
        if listed is None:
            _check_complete(own)
        usd, spot_usd = self._hourly_prices(own, region, spot, in_catalogue=listed is not None)
        if listed is not None and region in self._index.regions:
            listed = {**listed, **self._region_prices(region).get(name, {})}
        return _build_instance_type(own, listed or {}, usd, spot_usd)

    def priced_types(self, region: str) -> tuple[str, ...]:
        """Return the names of the types with a price in `region`, in the catalogue's order; empty if unknown."""
        return tuple(self._region_prices(region)) if region in self._index.regions else ()

    def spot_band(self, region: str, name: str) -> SpotBand | None:
        """Return the monthly reclaim share of Spot instances of `name` in `region`; None if no band is published."""
        if region not in self._index.regions:
            return None
        row = self._region_prices(region).get(name)
        bounds = _SPOT_BANDS.get(row["spot_interruption"]) if row is not None else None
        return SpotBand(*bounds, (bounds[0] + bounds[1]) / 2) if bounds is not None else None

    def fargate_price(
        self,
        region: str,
        use: FargateUse,
        factors: FargateFactors | None = None,
        written: Mapping[str, Any] | None = None,
    ) -> tuple[FargatePrice, tuple[str, ...]]:
        """Return the price of one use of Fargate in `region`, and a warning for every estimated price.

        `written` is the scenario's `pricing.fargate`; without it, a region without prices raises `CatalogError`.
        """
        return resolve_fargate_price(
            region, use, factors or FargateFactors(), price_rows_by_arch(region, written)
        )

    def fargate_prices(
        self,
        region: str,
        uses: Iterable[FargateUse],
        factors: FargateFactors | None = None,
        written: Mapping[str, Any] | None = None,
    ) -> tuple[tuple[FargatePrice, ...], tuple[str, ...]]:
        """Return the prices of every (architecture, Spot) among `uses`, in order, and each warning once."""
        results = [self.fargate_price(region, use, factors, written) for use in uses]
        prices = {(price.arch, price.spot): price for price, _ in results}
        warnings = dict.fromkeys(line for _, lines in results for line in lines)
        return tuple(prices.values()), tuple(warnings)

    def _listed_types(self) -> dict[str, Row]:
        """Return the catalogue's types by name."""
        if not self._types:
            self._types = {row["instance_type"]: row for row in read_rows("instance_types.csv")}
        return self._types

    def _region_prices(self, region: str) -> dict[str, Row]:
        """Return the price rows of a region by type. Raises `CatalogError` for a region without prices."""
        if region not in self._index.regions:
            message = f"region {region!r} has no EC2 prices in the catalogue"
            raise CatalogError(message, self._region_hint(region))
        if region not in self._prices:
            rows = read_rows(f"prices/{region}.csv")
            self._prices[region] = {row["instance_type"]: row for row in rows}
        return self._prices[region]

    def _region_hint(self, region: str) -> str:
        """Return a hint for a region without prices."""
        return (
            f"{suggest_similar(region, self.regions)}priced are {', '.join(self.regions)}; for another, give "
            "`usdPerHour` in `instanceTypes` and `pricing.fargate`"
        )

    def _hourly_prices(
        self, own: WrittenInstanceType, region: str, spot: bool, *, in_catalogue: bool
    ) -> tuple[float, float | None]:
        """Return on-demand and Spot USD per hour, of the scenario, else of the region; required ones must exist."""
        usd, spot_usd = own.usd_per_hour, own.spot_usd_per_hour
        needed = usd is None or (spot and spot_usd is None)
        if in_catalogue and (needed or region in self._index.regions):
            row = self._region_prices(region).get(own.name, {})
            usd = float(row["usd_per_hour"]) if usd is None and row else usd
            if spot_usd is None and row.get("spot_usd_per_hour"):
                spot_usd = float(row["spot_usd_per_hour"])
        if usd is None:
            raise CatalogError(
                f"{own.name} has no on-demand price in {region}",
                self._missing_price_hint(own.name, "usd_per_hour", "usdPerHour"),
            )
        if spot and spot_usd is None:
            raise CatalogError(
                f"{own.name} has no Spot price in {region}",
                self._missing_price_hint(own.name, "spot_usd_per_hour", "spotUsdPerHour"),
            )
        return usd, spot_usd

    def _missing_price_hint(self, name: str, column: str, key: str) -> str:
        """Return a hint for a missing price: the regions that have one, and how to declare it."""
        regions = [region for region in self.regions if self._region_prices(region).get(name, {}).get(column)]
        elsewhere = f"it has one in {', '.join(regions)}; " if regions else ""
        return f"{elsewhere}choose another type, or declare it: instanceTypes: [{{name: {name}, {key}: 0.1}}]"


def _find_custom_entry(name: str, extra: Sequence[Mapping[str, Any]]) -> WrittenInstanceType | None:
    """Return the scenario's own entry for `name`; the last of several wins."""
    position = max((i for i, entry in enumerate(extra) if entry.get("name") == name), default=None)
    if position is None:
        return None
    return parse_entry(WrittenInstanceType, extra[position], f"instanceTypes.{name}")


def _check_complete(own: WrittenInstanceType) -> None:
    """Raise `CatalogError` if the entry of a type outside the catalogue lacks its size or price."""
    needed = {"vcpus": own.vcpus, "memoryMiB": own.memory_mib, "usdPerHour": own.usd_per_hour}
    missing = [key for key, value in needed.items() if value is None]
    if missing:
        raise CatalogError(
            f"instance type {own.name!r} is not in the catalogue and its entry lacks {', '.join(missing)}",
            f"give them: {HOW_TO_DECLARE_TYPE}",
        )


def _build_instance_type(
    own: WrittenInstanceType, listed: Row, usd: float, spot_usd: float | None
) -> InstanceType:
    """Return the instance type of the catalogue's row updated with the scenario's own keys.

    Registered CPU is 1,024 units per vCPU; one of `max_enis` is the primary ENI (ECS Developer Guide).
    """

    def pick(own_value: int | None, column: str, default: int) -> int:
        return own_value if own_value is not None else int(listed.get(column) or default)

    vcpus = pick(own.vcpus, "vcpus", 0)
    memory = pick(own.memory_mib, "memory_mib", 0)
    arch = own.arch or ("arm64" if listed.get("arch") == "arm64" else "x86_64")
    registered = own.registered_memory_mib
    if registered is None:
        registered = registered_memory_mib(own.name, arch, memory, vcpus, own.reserved_memory_mib)
    enis = pick(own.max_enis, "max_enis", _DEFAULT_ENIS)
    network = own.network_gbps
    band = _SPOT_BANDS.get(listed.get("spot_interruption", ""))
    midpoint = None if band is None else sum(band) / 2
    return InstanceType(
        name=own.name,
        vcpus=vcpus,
        memory_mib=memory,
        registered_cpu=vcpus * CPU_UNITS_PER_VCPU,
        registered_memory_mib=registered,
        gpus=pick(own.gpus, "gpus", 0),
        max_enis=enis,
        eni_task_limit=enis - 1,
        eni_trunk_limit=pick(own.trunk_task_limit, "trunk_task_limit", 0),
        arch=arch,
        usd_per_hour=usd,
        spot_usd_per_hour=spot_usd,
        spot_interruption=midpoint if own.spot_interruption is None else own.spot_interruption,
        network_gbps=network if network is not None else float(listed.get("network_gbps") or 0.0),
    )
