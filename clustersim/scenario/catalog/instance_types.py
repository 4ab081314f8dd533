"""What EC2 and Fargate offer in a region, and at what price.

Decides how the name of an instance type becomes an `InstanceType`, and a region its zones, prices and Spot
bands: the package's dated snapshot, with what the scenario adds laid over it. It must not know what is billed
when (policy.billing, the meter), and reads no network. The reader calls it while it resolves a scenario; each
refusal is a `CatalogError` that says what would be right.

Reading is lazy: one file of types, one of prices per region asked for, kept for the life of the process.
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
    did_you_mean,
    validated,
)
from clustersim.scenario.catalog.fargate_prices import FargateFactors, FargateUse, price_of, price_rows
from clustersim.scenario.catalog.registered_memory import registered_memory_mib
from clustersim.scenario.sections.scenario import FargatePrice, InstanceType
from clustersim.vocabulary import CPU_UNITS_PER_VCPU

__all__ = ["Catalog", "CatalogError", "FargateFactors", "FargateUse", "SpotBand", "load"]

_DEFAULT_ENIS = 3  # of a type the catalogue lacks and the scenario does not say: what a `large` has
_REGION_NAME = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]+")

# Share of instances reclaimed in a month, by the bands of the Spot Instance Advisor. The last has no end that
# is published; 0.30 is an assumption.
_BANDS = {
    "<5%": (0.0, 0.05),
    "5-10%": (0.05, 0.10),
    "10-15%": (0.10, 0.15),
    "15-20%": (0.15, 0.20),
    ">20%": (0.20, 0.30),
}

Row = dict[str, str]


class SpotBand(NamedTuple):
    """Share of a type's Spot instances reclaimed in a month: the band's bounds and its middle."""

    low: float
    high: float
    midpoint: float


@cache
def load() -> Catalog:
    """The catalogue; the same one on every call."""
    return Catalog()


class Catalog:
    """The snapshot of EC2 and Fargate offers; get it by `load()`."""

    def __init__(self) -> None:
        self._index = read_index()
        self._types: dict[str, Row] = {}
        self._prices: dict[str, dict[str, Row]] = {}

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions with EC2 prices."""
        return tuple(self._index.regions)

    def price_date(self, region: str) -> str | None:
        """Month of the EC2 prices of `region`, such as `2026-05`; None for a region without any."""
        return self._index.regions.get(region)

    def zones(self, region: str) -> tuple[str, ...]:
        """The default Availability Zones: the region's a, b and c (README).

        A well-formed region without prices has zones too: a scenario may bring all its prices along.
        """
        if not _REGION_NAME.fullmatch(region):
            raise CatalogError(f"{region!r} is not the name of a region", self._right_region(region))
        return tuple(region + letter for letter in "abc")

    def instance_type(
        self, name: str, region: str, extra: Sequence[Mapping[str, Any]] = (), *, spot: bool = False
    ) -> InstanceType:
        """The instance type `name` with its prices in `region`; `spot` says that its Spot price is needed.

        `extra` are the scenario's `instanceTypes` as written. An entry with a name of the catalogue lays
        its keys over the catalogue's; any other is a type of its own: `vcpus`, `memoryMiB` and `usdPerHour`.
        """
        written = _own_entry(name, extra)
        listed = self._listed_types().get(name)
        if listed is None and written is None:
            names = [*self._listed_types(), *(str(entry.get("name")) for entry in extra)]
            raise CatalogError(
                f"instance type {name!r} is not in the catalogue",
                f"{did_you_mean(name, names)}a type of your own is declared by {HOW_TO_DECLARE_TYPE}",
            )
        own = written or WrittenInstanceType(name=name)
        if listed is None:
            _require_whole(own)
        usd, spot_usd = self._prices_of(own, region, spot, in_catalogue=listed is not None)
        if listed is not None and region in self._index.regions:
            listed = {**listed, **self._region_prices(region).get(name, {})}
        return _resolve(own, listed or {}, usd, spot_usd)

    def priced(self, region: str) -> tuple[str, ...]:
        """The names of the types that have a price in `region`, as the catalogue lists them; none in an unknown one."""
        return tuple(self._region_prices(region)) if region in self._index.regions else ()

    def spot_band(self, region: str, name: str) -> SpotBand | None:
        """How often Spot instances of `name` are reclaimed in `region`; None where no band is published."""
        if region not in self._index.regions:
            return None
        row = self._region_prices(region).get(name)
        bounds = _BANDS.get(row["spot_interruption"]) if row is not None else None
        return SpotBand(*bounds, (bounds[0] + bounds[1]) / 2) if bounds is not None else None

    def fargate_price(
        self,
        region: str,
        use: FargateUse,
        factors: FargateFactors | None = None,
        written: Mapping[str, Any] | None = None,
    ) -> tuple[FargatePrice, tuple[str, ...]]:
        """The price of one way of using Fargate in `region`, and the warnings it deserves.

        `written` is the scenario's `pricing.fargate`; without it a region that has no prices is an error.
        """
        return price_of(region, use, factors or FargateFactors(), price_rows(region, written))

    def fargate_prices(
        self,
        region: str,
        uses: Iterable[FargateUse],
        factors: FargateFactors | None = None,
        written: Mapping[str, Any] | None = None,
    ) -> tuple[tuple[FargatePrice, ...], tuple[str, ...]]:
        """The prices of every (architecture, Spot) among `uses`, in order, and each warning once."""
        found = [self.fargate_price(region, use, factors, written) for use in uses]
        prices = {(price.arch, price.spot): price for price, _ in found}
        warnings = dict.fromkeys(line for _, lines in found for line in lines)
        return tuple(prices.values()), tuple(warnings)

    def _listed_types(self) -> dict[str, Row]:
        """The catalogue's types by name."""
        if not self._types:
            self._types = {row["instance_type"]: row for row in read_rows("instance_types.csv")}
        return self._types

    def _region_prices(self, region: str) -> dict[str, Row]:
        """The price rows of a region by type; a region without any is an error."""
        if region not in self._index.regions:
            what = f"region {region!r} has no EC2 prices in the catalogue"
            raise CatalogError(what, self._right_region(region))
        if region not in self._prices:
            rows = read_rows(f"prices/{region}.csv")
            self._prices[region] = {row["instance_type"]: row for row in rows}
        return self._prices[region]

    def _right_region(self, region: str) -> str:
        """What would be right in place of `region`."""
        return (
            f"{did_you_mean(region, self.regions)}priced are {', '.join(self.regions)}; for another, give "
            "`usdPerHour` in `instanceTypes` and `pricing.fargate`"
        )

    def _prices_of(
        self, own: WrittenInstanceType, region: str, spot: bool, *, in_catalogue: bool
    ) -> tuple[float, float | None]:
        """On-demand and Spot USD per hour: the scenario's, else the region's; what is needed must exist."""
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
                self._priced_elsewhere(own.name, "usd_per_hour", "usdPerHour"),
            )
        if spot and spot_usd is None:
            raise CatalogError(
                f"{own.name} has no Spot price in {region}",
                self._priced_elsewhere(own.name, "spot_usd_per_hour", "spotUsdPerHour"),
            )
        return usd, spot_usd

    def _priced_elsewhere(self, name: str, column: str, key: str) -> str:
        """Where the catalogue has the missing price, and how to declare it."""
        regions = [place for place in self.regions if self._region_prices(place).get(name, {}).get(column)]
        where = f"it has one in {', '.join(regions)}; " if regions else ""
        return f"{where}choose another type, or declare it: instanceTypes: [{{name: {name}, {key}: 0.1}}]"


def _own_entry(name: str, extra: Sequence[Mapping[str, Any]]) -> WrittenInstanceType | None:
    """The scenario's own entry for `name`; the last of several wins, as a later key would."""
    position = max((i for i, entry in enumerate(extra) if entry.get("name") == name), default=None)
    if position is None:
        return None
    return validated(WrittenInstanceType, extra[position], f"instanceTypes.{name}")


def _require_whole(own: WrittenInstanceType) -> None:
    """A type the catalogue lacks must say its size and its price itself."""
    needed = {"vcpus": own.vcpus, "memoryMiB": own.memory_mib, "usdPerHour": own.usd_per_hour}
    missing = [key for key, value in needed.items() if value is None]
    if missing:
        raise CatalogError(
            f"instance type {own.name!r} is not in the catalogue and its entry lacks {', '.join(missing)}",
            f"give them: {HOW_TO_DECLARE_TYPE}",
        )


def _resolve(own: WrittenInstanceType, listed: Row, usd: float, spot_usd: float | None) -> InstanceType:
    """Lay the scenario's own keys over the catalogue's row.

    Registered CPU is 1,024 units per vCPU; of `max_enis` the primary ENI is taken (ECS Developer Guide).
    """

    def whole(mine: int | None, column: str, default: int) -> int:
        return mine if mine is not None else int(listed.get(column) or default)

    vcpus = whole(own.vcpus, "vcpus", 0)
    memory = whole(own.memory_mib, "memory_mib", 0)
    arch = own.arch or ("arm64" if listed.get("arch") == "arm64" else "x86_64")
    registered = own.registered_memory_mib
    if registered is None:
        registered = registered_memory_mib(own.name, arch, memory, vcpus, own.reserved_memory_mib)
    enis = whole(own.max_enis, "max_enis", _DEFAULT_ENIS)
    network = own.network_gbps
    low_high = _BANDS.get(listed.get("spot_interruption", ""))
    reclaimed = None if low_high is None else sum(low_high) / 2
    return InstanceType(
        name=own.name,
        vcpus=vcpus,
        memory_mib=memory,
        registered_cpu=vcpus * CPU_UNITS_PER_VCPU,
        registered_memory_mib=registered,
        gpus=whole(own.gpus, "gpus", 0),
        max_enis=enis,
        eni_task_limit=enis - 1,
        eni_trunk_limit=whole(own.trunk_task_limit, "trunk_task_limit", 0),
        arch=arch,
        usd_per_hour=usd,
        spot_usd_per_hour=spot_usd,
        spot_interruption=reclaimed if own.spot_interruption is None else own.spot_interruption,
        network_gbps=network if network is not None else float(listed.get("network_gbps") or 0.0),
    )
