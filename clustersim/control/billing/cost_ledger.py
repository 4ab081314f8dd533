"""Cost per period: usage accounts of weight x ms become rows of `costs`.

At the end of each cost period (each hour, where commitments apply hour by hour) the usage of every live task and
instance is accrued, and the accounts are read and reset. An instance's price is shared by reservation, a vCPU weighing
as much as 9 GiB; the part that no task reserved is idle and has no payer (MODEL.md: money). Prices are the catalogue's;
`policy.pricing.savings_plans` decides which usage a commitment covers, `control.billing.cost_rows` the content of a
row. With `sampling.costPerResource` each line item is split among its resources there, so that the summary has the same
figures with and without it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clustersim.control.agendas import Agendas
from clustersim.control.billing.cost_rows import (
    EC2,
    ECS,
    NO_PAYER,
    LineItem,
    PricedSku,
    UsageSource,
    add_fees,
    cost_columns,
    merge_equal_items,
    split_by_resource,
)
from clustersim.control.billing.resource_costs import PeriodUsage, ResourceAmounts, ResourceUsage
from clustersim.engine.compiled import Array
from clustersim.policy.pricing.savings_plans import (
    Bill,
    HourlyUsage,
    ReservedInstanceTerms,
    SavingsPlanTerms,
    Sku,
    UsageKind,
    apply_commitments,
)
from clustersim.record.recorder import Recorder
from clustersim.scenario.sections.scenario import Scenario
from clustersim.vocabulary import (
    CPU_UNITS_PER_VCPU,
    MIB_PER_GIB,
    MS_PER_HOUR,
    NEVER,
    WEIGHT_PER_CPU_UNIT,
    WEIGHT_PER_MIB,
)
from clustersim.world.build.build_world import ARCHITECTURES
from clustersim.world.build.instance_classes import HOURS_PER_MONTH, guest_capacity, instance_usd_per_hour
from clustersim.world.state.usage import accrue_all_costs
from clustersim.world.state.world import World


class GuestOs(NamedTuple):
    """The guest operating system's part of an instance of one class, and the payer of the instance when it is empty.

    `share` is its part of the price: a vCPU weighs as much as 9 GiB, as among tasks.
    """

    vcpu: float
    memory_gib: float
    share: float
    payer: int


class CostLedger:
    """The costs of a run and its table `costs`."""

    def __init__(self, world: World, recorder: Recorder, agendas: Agendas) -> None:
        self.world = world
        self._agenda = agendas.costs
        self.recorder = recorder
        scenario = world.scenario
        self.billed_usd = 0.0
        self.usd_by_provider = np.zeros(len(world.names.providers) + 1)
        self.fargate_vcpu_hours = 0.0
        self.fargate_gb_hours = 0.0
        self.instance_hours = 0.0
        self.guest_vcpu_hours = 0.0
        self.guest_memory_gib_hours = 0.0
        self.guest_usd = 0.0
        self.unoccupied_usd = np.zeros(max(1, len(world.names.groups)))
        """The cost of virtual machines while they had no copy, at list price, by payer."""
        self._guests = guest_os_by_class(world)
        self._skus: list[tuple[str, Sku]] = []
        self._sku_numbers: dict[tuple[str, Sku], int] = {}
        self._ec2_skus = (
            [self._instance_skus(c) for c in range(len(world.state.capacity.classes))]
            if scenario.pools
            else []
        )
        all_skus = [priced for skus in self._ec2_skus for priced in skus]
        self._skus_repeat = len(set(all_skus)) < len(all_skus)
        self._fargate_skus = _fargate_skus(self, scenario)
        plan, reserved = commitments(scenario)
        self._plan, self._reserved = plan, reserved
        self._hourly = plan is not None or bool(reserved)
        self._hourly_usage: list[tuple[Array, Array, float]] = []
        self._pending: tuple[Array, Array, Array] | None = None
        self._period_start = scenario.warm_up_ms
        payers = [guest.payer for guest in self._guests]
        self._resources = ResourceUsage(world, payers) if scenario.sampling.cost_per_resource else None

    @property
    def interval_ms(self) -> int:
        """The interval (ms) between readings: at most an hour where commitments apply, else a cost period."""
        period = self.world.scenario.sampling.cost_period_ms
        return min(period, MS_PER_HOUR) if self._hourly else period

    def sku_number(self, name: str, kind: Sku) -> int:
        """Return the number of a SKU."""
        number = self._sku_numbers.setdefault((name, kind), len(self._skus))
        if number == len(self._skus):
            self._skus.append((name, kind))
        return number

    def _instance_skus(self, c: int) -> tuple[PricedSku, ...]:
        """Return the SKUs of an instance class: the instance, its root volume, and the management fee."""
        world = self.world
        row = world.state.capacity.classes[c]
        pool = world.scenario.pools[row["pool"]]
        kind = world.scenario.instance_types[row["type"]]
        spot = bool(row["spot"])
        provider = int(row["provider"]) if world.names.providers[row["provider"]] else NEVER
        sku = Sku(UsageKind.UNCOVERED) if spot else Sku(UsageKind.EC2, kind.name)
        usage = f"{'SpotUsage' if spot else 'BoxUsage'}:{kind.name}"
        monthly = world.scenario.pricing.ebs_usd_per_gib_month
        zone = int(row["zone"])
        skus = [
            PricedSku(self.sku_number(usage, sku), EC2, "Instance", "Hours", kind.usd_per_hour,
                 instance_usd_per_hour(kind, spot), provider, zone),
            PricedSku(self.sku_number("EBS:VolumeUsage.gp3", Sku(UsageKind.UNCOVERED)), EC2, "Volume", "GiB-Months",
                 monthly, monthly * pool.root_volume_gib / HOURS_PER_MONTH, provider, zone),
        ]  # fmt: skip
        if pool.fee:
            fee = pool.fee * kind.usd_per_hour
            name = f"ManagedInstances:{kind.name}"
            skus.append(
                PricedSku(
                    self.sku_number(name, Sku(UsageKind.UNCOVERED)),
                    ECS,
                    "Instance",
                    "Hours",
                    fee,
                    fee,
                    provider,
                    zone,
                )
            )
        return tuple(skus)

    # --- reading usage -------------------------------------------------------------------------------------

    def read_ended(self) -> None:
        """Read the tasks and instances that ended, if rows are per resource, before their buffers are emptied."""
        if self._resources is not None:
            self._resources.read_ended()

    def schedule_wakeups(self) -> None:
        """Schedule the first reading."""
        scenario = self.world.scenario
        self._agenda.wake_at(scenario.warm_up_ms + min(scenario.duration_ms, self.interval_ms))

    def act(self, now: int) -> None:
        """Read the usage accounts at the end of an interval, and schedule the next reading."""
        self.close_interval(now, end=False)
        self._agenda.wake_at(now + self.interval_ms)

    def close_interval(self, now: int, end: bool) -> None:
        """Read the usage accounts at `now`; write the period's rows if it is over, or at the `end` of the run."""
        world = self.world
        state = world.state
        accrue_all_costs(world.core, now, world.live_tasks(), world.live_instances())
        read = (
            state.outputs.weight_ms.copy(),
            state.outputs.fargate_ms.copy(),
            state.outputs.class_ms.copy(),
        )
        state.outputs.weight_ms[:] = 0
        state.outputs.fargate_ms[:] = 0
        state.outputs.class_ms[:] = 0
        if self._hourly:
            usd, hours = self._usage_by_sku(read)
            self._hourly_usage.append((usd, hours, min(1.0, self.interval_ms / MS_PER_HOUR)))
        if self._pending is None:
            self._pending = read
        else:
            for total, part in zip(self._pending, read, strict=True):
                np.add(total, part, out=total)
        period = world.scenario.sampling.cost_period_ms
        if end or (now - world.scenario.warm_up_ms) % period == 0:
            self._write_period(now)
            self._period_start = now

    def _usage_by_sku(self, read: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        """Return USD at list price and instance hours, by SKU."""
        usd = np.zeros(len(self._skus))
        hours = np.zeros(len(self._skus))
        _, fargate_ms, class_ms = read
        for c, skus in enumerate(self._ec2_skus):
            for position, priced in enumerate(skus):
                usd[priced.number] += class_ms[c] / MS_PER_HOUR * priced.price
                if position == 0:
                    hours[priced.number] += class_ms[c] / MS_PER_HOUR
        for (row, column), priced in self._fargate_skus.items():
            usd[priced.number] += (
                float(fargate_ms[:, row, column].sum()) * priced.price / _fargate_unit_ms(column)
            )
        return usd, hours

    # --- writing -------------------------------------------------------------------------------------------

    def _write_period(self, now: int) -> None:
        """Write the rows of a period."""
        assert self._pending is not None
        weight_ms, fargate_ms, class_ms = self._pending
        self._pending = None
        bill = self._apply_commitments()
        items: list[LineItem] = []
        for c, skus in enumerate(self._ec2_skus):
            if class_ms[c]:
                self.instance_hours += class_ms[c] / MS_PER_HOUR
                self._add_guest_usage(c, class_ms[c] / MS_PER_HOUR)
                payer = self._guests[c].payer
                weight = float(self.world.state.capacity.classes[c]["weight"])
                source = UsageSource(c, NEVER, weight * MS_PER_HOUR)
                shares = weight_ms[:, c] / weight
                idle = (class_ms[c] - float(shares.sum())) / MS_PER_HOUR
                if payer != NO_PAYER:
                    self.unoccupied_usd[payer] += idle * sum(priced.price for priced in skus)
                    shares[payer] += idle * MS_PER_HOUR
                for priced in skus:
                    for group in np.flatnonzero(shares):
                        hours = float(shares[group]) / MS_PER_HOUR
                        items.append(LineItem(priced, int(group), hours, hours * priced.price, source))
                    if payer == NO_PAYER:
                        items.append(LineItem(priced, NO_PAYER, idle, idle * priced.price, source))
        for (row, column), priced in self._fargate_skus.items():
            source = UsageSource(row, column, _fargate_unit_ms(column))
            for group in np.flatnonzero(fargate_ms[:, row, column]):
                quantity = float(fargate_ms[group, row, column]) / source.unit_ms
                items.append(LineItem(priced, int(group), quantity, quantity * priced.price, source))
                self.fargate_vcpu_hours += quantity if column == 0 else 0.0
                self.fargate_gb_hours += quantity if column == 1 else 0.0
        self._append_rows(now, items, bill)

    def _add_guest_usage(self, c: int, hours: float) -> None:
        """Add the resources that guest operating systems of an instance class take in `hours` of it."""
        guest = self._guests[c]
        self.guest_vcpu_hours += hours * guest.vcpu
        self.guest_memory_gib_hours += hours * guest.memory_gib
        self.guest_usd += hours * guest.share * float(self.world.state.capacity.classes["usd_per_hour"][c])

    def _apply_commitments(self) -> Bill | None:
        """Apply the period's commitments to its usage, hour by hour; None without commitments."""
        if not self._hourly or not self._hourly_usage:
            return None
        width = len(self._skus)
        usage = HourlyUsage(
            tuple(sku for _, sku in self._skus),
            np.array([usd[:width] for usd, _, _ in self._hourly_usage]),
            np.array([hours[:width] for _, hours, _ in self._hourly_usage]),
            np.array([share for _, _, share in self._hourly_usage]),
        )
        self._hourly_usage = []
        return apply_commitments(usage, self._plan, self._reserved)

    def _append_rows(self, now: int, items: list[LineItem], bill: Bill | None) -> None:
        """Pass the rows to the recorder: usage first, then the fees of commitments."""
        billed = np.array([item.usd for item in items])
        effective = billed.copy()
        if bill is not None:
            listed = np.maximum((bill.billed_usd + bill.reserved_usd + bill.plan_usd).sum(axis=0), 1e-300)
            skus = np.array([item.sku.number for item in items], np.int64)
            effective = billed * (bill.effective_usd.sum(axis=0) / listed)[skus]
            billed = billed * (bill.billed_usd.sum(axis=0) / listed)[skus]
        columns = cost_columns(items, self.world.names, [name for name, _ in self._skus], billed, effective)
        if bill is not None:
            add_fees(columns, bill)
        usage = None if self._resources is None else self._resources.close(now)
        if not columns["SkuId"]:
            return
        self.billed_usd += float(np.sum(columns["BilledCost"]))
        for item, usd in zip(items, billed, strict=True):
            self.usd_by_provider[item.sku.provider] += usd
        if usage is None and self._skus_repeat:
            columns = merge_equal_items(columns, items)
        count = len(columns["SkuId"])
        columns["ChargePeriodStart"] = [self._period_start] * count
        columns["ChargePeriodEnd"] = [now] * count
        columns["RegionId"] = [self.world.scenario.region] * count
        columns["BillingCurrency"] = ["USD"] * count
        if usage is None:
            self.recorder.append_columns("costs", columns)
        else:
            parts = [_resource_amounts(usage, item) for item in items]
            for chunk in split_by_resource(columns, items, parts, self.recorder):
                self.recorder.append_columns("costs", chunk)


def _resource_amounts(usage: PeriodUsage, item: LineItem) -> ResourceAmounts:
    """Return the resources that have a part in a line item."""
    row, column, _ = item.source
    if column == NEVER:
        return usage.of_class(row, item.payer)
    return usage.of_fargate(row, item.payer, column)


def guest_os_by_class(world: World) -> list[GuestOs]:
    """Return the guest of each class.

    On a container instance it is the part that the agent does not register, on a virtual machine the configured one.
    """
    scenario, guests = world.scenario, []
    for row in world.state.capacity.classes if scenario.pools else ():
        pool, kind = scenario.pools[row["pool"]], scenario.instance_types[row["type"]]
        cpu, memory = guest_capacity(pool, kind)
        total = WEIGHT_PER_CPU_UNIT * kind.vcpus * CPU_UNITS_PER_VCPU + WEIGHT_PER_MIB * kind.memory_mib
        share = (WEIGHT_PER_CPU_UNIT * cpu + WEIGHT_PER_MIB * memory) / total
        payer = NO_PAYER if pool.machines is None else world.names.services.index(pool.machines.service)
        guests.append(GuestOs(cpu / CPU_UNITS_PER_VCPU, memory / MIB_PER_GIB, share, payer))
    return guests


def commitments(scenario: Scenario) -> tuple[SavingsPlanTerms | None, tuple[ReservedInstanceTerms, ...]]:
    """Return the scenario's commitments as `policy.pricing.savings_plans` takes them."""
    plan = scenario.pricing.savings_plan
    savings = None
    if plan is not None:
        savings = SavingsPlanTerms.model_validate(
            {
                "usdPerHour": plan.usd_per_hour,
                "discount": {"ec2": plan.ec2_discount, "fargate": plan.fargate_discount},
            }
        )
    reserved = tuple(
        ReservedInstanceTerms.model_validate(dict(r)) for r in scenario.pricing.reserved_instances
    )
    return savings, reserved


def _fargate_unit_ms(column: int) -> float:
    """Return how many unit x ms make one billed unit-hour, of vCPU, GB and GB of storage."""
    return float((CPU_UNITS_PER_VCPU, MIB_PER_GIB, 1)[column] * MS_PER_HOUR)


def _fargate_skus(ledger: CostLedger, scenario: Scenario) -> dict[tuple[int, int], PricedSku]:
    """Return the SKUs of Fargate by (row of the usage account, resource)."""
    skus: dict[tuple[int, int], PricedSku] = {}
    names = ledger.world.names
    on_demand = {price.arch: price for price in scenario.pricing.fargate if not price.spot}
    for price in scenario.pricing.fargate:
        number = 2 * ARCHITECTURES.index(price.arch) + int(price.spot)
        kind = Sku(UsageKind.UNCOVERED if price.spot else UsageKind.FARGATE)
        listed = on_demand.get(price.arch, price)
        arm = "ARM-" if price.arch == "arm64" else ""
        spot = "SpotUsage-" if price.spot else ""
        parts = (
            (f"{spot}Fargate-{arm}vCPU-Hours:perCPU", "vCPU-Hours", price.vcpu_usd_per_hour, listed.vcpu_usd_per_hour),
            (f"{spot}Fargate-{arm}GB-Hours", "GB-Hours", price.gb_usd_per_hour, listed.gb_usd_per_hour),
            ("Fargate-EphemeralStorage-GB-Hours", "GB-Hours", price.ephemeral_gb_usd_per_hour,
             price.ephemeral_gb_usd_per_hour),
        )  # fmt: skip
        provider = names.providers.index("FARGATE_SPOT" if price.spot else "FARGATE")
        for column, (name, unit, usd, list_usd) in enumerate(parts):
            sku = ledger.sku_number(name, kind if column < 2 else Sku(UsageKind.UNCOVERED))
            for zone in range(len(names.zones)):
                row = number * len(names.zones) + zone
                skus[row, column] = PricedSku(sku, ECS, "Task", unit, list_usd, usd, provider, zone)
    return skus
