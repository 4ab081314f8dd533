"""The price list of a run: what is billed, at which price, and which commitments may cover it.

Decides the SKUs of instance classes and of Fargate, from the catalogue's prices and the scenario's. It must not know
usage, time or payers. `cost_ledger` multiplies usage by it, `cost_rows` writes its words.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clustersim.policy.pricing.billed_time import HOURS_PER_MONTH
from clustersim.policy.pricing.commitments import UsageColumn, UsageKind
from clustersim.vocabulary import CPU_UNITS_PER_VCPU, MIB_PER_GIB, MS_PER_HOUR, NEVER
from clustersim.world.build.build_world import ARCHITECTURES
from clustersim.world.build.instance_classes import instance_usd_per_hour
from clustersim.world.state.world import World

EC2 = "Amazon Elastic Compute Cloud"
ECS = "Amazon Elastic Container Service"
FARGATE_UNIT_MS = np.array((CPU_UNITS_PER_VCPU, MIB_PER_GIB, 1.0)) * MS_PER_HOUR
"""Unit x ms in one billed unit-hour of a Fargate task: of its vCPU, its GB and its GB of storage."""


class PricedSku(NamedTuple):
    """One SKU in one zone with its prices: the columns of `costs` that a period does not change.

    `price` is for an hour of usage, of which `units_per_hour` are billed in `unit` at `list_price`.
    """

    name: str
    service: str
    resource_type: str
    unit: str
    list_price: float
    price: float
    provider: int
    zone: int
    spot: bool = False
    units_per_hour: float = 1.0


class PriceList:
    """All SKUs of a run, numbered, and where the usage of each is counted.

    `of_class[class, part]` are the numbers of an instance class: the instance, its root volume, the management fee;
    `of_fargate[row, part]` those of a row of the Fargate account: vCPU, memory, storage. -1: none.
    `class_columns` and `fargate_columns` are the columns of usage that commitments may cover, by the same keys.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.skus: list[PricedSku] = []
        self.columns: list[UsageColumn] = []
        self._column_numbers: dict[tuple[str, UsageColumn], int] = {}
        self._sources: list[tuple[int, int, int]] = []
        state, zones = world.state, len(world.names.zones)
        self.of_class = np.full((len(state.capacity.classes), 3), NEVER)
        self.class_columns = np.zeros(len(state.capacity.classes), np.int64)
        self.of_fargate = np.full((2 * len(ARCHITECTURES) * zones, 3), NEVER)
        self.fargate_columns = np.zeros(self.of_fargate.shape, np.int64)
        self._column("", UsageColumn(UsageKind.UNCOVERED))  # column 0
        for number in range(len(state.capacity.classes)) if world.scenario.pools else ():
            self._add_class(number)
        self._add_fargate()
        self.account, self.part, self.column = np.array(self._sources, np.int64).reshape(-1, 3).T
        """Of each SKU: its instance class, or its row and part (-1: an instance class) of Fargate's; its column."""
        self.price = np.array([sku.price for sku in self.skus])
        self.units_per_hour = np.array([sku.units_per_hour for sku in self.skus])
        self.provider = np.array([sku.provider for sku in self.skus], np.int64)
        first: dict[PricedSku, int] = {}
        self.equal_to = np.array([first.setdefault(sku, n) for n, sku in enumerate(self.skus)], np.int64)
        """Of each SKU, the first that is equal: classes that differ in an attribute alone share theirs."""

    def _column(self, name: str, column: UsageColumn) -> int:
        """Return the number of a column of usage."""
        number = self._column_numbers.setdefault((name, column), len(self.columns))
        if number == len(self.columns):
            self.columns.append(column)
        return number

    def _add(self, sku: PricedSku, account: int, part: int = NEVER, column: int = 0) -> int:
        self.skus.append(sku)
        self._sources.append((account, part, column))
        return len(self.skus) - 1

    def _add_class(self, number: int) -> None:
        """Add the SKUs of an instance class: the instance, its root volume, and the management fee."""
        world = self._world
        row = world.state.capacity.classes[number]
        pool = world.scenario.pools[row["pool"]]
        kind = world.scenario.instance_types[row["type"]]
        spot, zone = bool(row["spot"]), int(row["zone"])
        provider = int(row["provider"]) if world.names.providers[row["provider"]] else NEVER
        price = instance_usd_per_hour(kind, spot)
        usage = f"{'SpotUsage' if spot else 'BoxUsage'}:{kind.name}"
        monthly = world.scenario.pricing.ebs_usd_per_gib_month
        months = pool.root_volume_gib / HOURS_PER_MONTH
        instance = PricedSku(usage, EC2, "Instance", "Hours", kind.usd_per_hour, price, provider, zone, spot)
        volume = PricedSku(
            *("EBS:VolumeUsage.gp3", EC2, "Volume", "GiB-Months", monthly, monthly * months, provider, zone),
            units_per_hour=months,
        )
        if not spot:
            usage_column = UsageColumn(UsageKind.EC2, price, kind.name, world.names.zones[zone])
            self.class_columns[number] = self._column(usage, usage_column)
        self.of_class[number, 0] = self._add(instance, number, column=int(self.class_columns[number]))
        self.of_class[number, 1] = self._add(volume, number)
        fee = pool.fee(kind.name) * kind.usd_per_hour
        if fee:
            name = f"ManagedInstances:{kind.name}"
            sku = PricedSku(name, ECS, "Instance", "Hours", fee, fee, provider, zone)
            self.of_class[number, 2] = self._add(sku, number)

    def _add_fargate(self) -> None:
        """Add the SKUs of Fargate tasks, a row of the usage account for each price and zone."""
        names, prices = self._world.names, self._world.scenario.pricing.fargate
        on_demand = {price.arch: price for price in prices if not price.spot}
        for price in prices:
            listed = on_demand.get(price.arch, price)
            arm = "ARM-" if price.arch == "arm64" else ""
            spot = "SpotUsage-" if price.spot else ""
            storage = price.ephemeral_gb_usd_per_hour
            vcpu, gb = price.vcpu_usd_per_hour, price.gb_usd_per_hour
            parts = (
                (f"{spot}Fargate-{arm}vCPU-Hours:perCPU", "vCPU-Hours", vcpu, listed.vcpu_usd_per_hour),
                (f"{spot}Fargate-{arm}GB-Hours", "GB-Hours", gb, listed.gb_usd_per_hour),
                ("Fargate-EphemeralStorage-GB-Hours", "GB-Hours", storage, storage),
            )  # fmt: skip
            provider = names.providers.index("FARGATE_SPOT" if price.spot else "FARGATE")
            first = (2 * ARCHITECTURES.index(price.arch) + int(price.spot)) * len(names.zones)
            for zone, zone_name in enumerate(names.zones):
                for part, (name, unit, usd, list_usd) in enumerate(parts):
                    is_spot = price.spot and part < 2
                    sku = PricedSku(name, ECS, "Task", unit, list_usd, usd, provider, zone, is_spot)
                    row, column = first + zone, 0
                    if part < 2 and not price.spot:
                        column = self._column(name, UsageColumn(UsageKind.FARGATE, usd, zone=zone_name))
                    self.fargate_columns[row, part] = column
                    self.of_fargate[row, part] = self._add(sku, row, part, column)
