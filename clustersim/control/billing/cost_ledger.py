"""The bill: accounts of weight x ms become rows of `costs`.

At the end of each cost period (each hour, where commitments are used hour by hour) every live task and instance
is accrued, the accounts are read and wiped. An instance's price is shared by reservation, a vCPU weighing as
much as 9 GiB; what no task reserved is idle and has no payer (MODEL.md: money). Prices are the catalogue's;
which usage a commitment covers is decided in `policy.pricing.savings_plans`. What a row of `costs` says is decided in
`control.billing.cost_rows`; with `sampling.costPerResource` each charge is split among its resources there, so that the
summary has the same figures with the key and without it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clustersim.control.billing.cost_rows import (
    EC2,
    ECS,
    NOBODY,
    Account,
    Charge,
    Line,
    add_fees,
    by_resource,
    columns_of,
    merged,
)
from clustersim.control.billing.resource_costs import Parts, PeriodAccounts, ResourceAccounts
from clustersim.engine.compiled import Array
from clustersim.policy.pricing.savings_plans import (
    Bill,
    HourlyUsage,
    ReservedInstances,
    SavingsPlan,
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
from clustersim.world.build.build_world import ARCHITECTURES, HOURS_PER_MONTH, guest_of, instance_usd_per_hour
from clustersim.world.state.usage import accrue_all
from clustersim.world.state.world import World


class Guest(NamedTuple):
    """What the guest operating system has of an instance of one class, and who pays for it when it is empty.

    `share` is its part of the price: a vCPU weighs as much as 9 GiB, as among tasks.
    """

    vcpu: float
    memory_gib: float
    share: float
    payer: int


class Ledger:
    """Writes `costs`; one for the run."""

    def __init__(self, world: World, recorder: Recorder) -> None:
        self.world = world
        self.recorder = recorder
        scenario = world.scenario
        self.billed = 0.0
        self.by_provider = np.zeros(len(world.names.providers) + 1)
        self.fargate_vcpu_hours = 0.0
        self.fargate_gb_hours = 0.0
        self.instance_hours = 0.0
        self.guest_vcpu_hours = 0.0
        self.guest_memory_gib_hours = 0.0
        self.guest_usd = 0.0
        self.unheld_usd = np.zeros(max(1, len(world.names.groups)))
        """What virtual machines cost while they had no copy, at list price, by who pays."""
        self._guests = guests_of(world)
        self._skus: list[tuple[str, Sku]] = []
        self._sku_numbers: dict[tuple[str, Sku], int] = {}
        self._ec2_lines = (
            [self._instance_lines(c) for c in range(len(world.state.classes))] if scenario.pools else []
        )
        every = [line for lines in self._ec2_lines for line in lines]
        self._share_lines = len(set(every)) < len(every)
        self._fargate_lines = _fargate_lines(self, scenario)
        plan, reserved = commitments_of(scenario)
        self._plan, self._reserved = plan, reserved
        self._hourly = plan is not None or bool(reserved)
        self._hours: list[tuple[Array, Array, float]] = []
        self._pending: tuple[Array, Array, Array] | None = None
        self._period_start = scenario.warm_up_ms
        owners = [guest.payer for guest in self._guests]
        self._resources = ResourceAccounts(world, owners) if scenario.sampling.cost_per_resource else None

    @property
    def step_ms(self) -> int:
        """How often the accounts are read: each hour where commitments are used, else each cost period."""
        period = self.world.scenario.sampling.cost_period_ms
        return min(period, MS_PER_HOUR) if self._hourly else period

    def sku(self, name: str, kind: Sku) -> int:
        """The number of a SKU."""
        number = self._sku_numbers.setdefault((name, kind), len(self._skus))
        if number == len(self._skus):
            self._skus.append((name, kind))
        return number

    def _instance_lines(self, c: int) -> tuple[Line, ...]:
        """An instance class is billed as the instance, its root volume, and the fee of who manages it."""
        world = self.world
        row = world.state.classes[c]
        pool = world.scenario.pools[row["group"]]
        kind = world.scenario.instance_types[row["type"]]
        spot = bool(row["spot"])
        provider = int(row["provider"]) if world.names.providers[row["provider"]] else NEVER
        sku = Sku(UsageKind.UNCOVERED) if spot else Sku(UsageKind.EC2, kind.name)
        usage = f"{'SpotUsage' if spot else 'BoxUsage'}:{kind.name}"
        monthly = world.scenario.pricing.ebs_usd_per_gib_month
        zone = int(row["zone"])
        lines = [
            Line(self.sku(usage, sku), EC2, "Instance", "Hours", kind.usd_per_hour,
                 instance_usd_per_hour(kind, spot), provider, zone),
            Line(self.sku("EBS:VolumeUsage.gp3", Sku(UsageKind.UNCOVERED)), EC2, "Volume", "GiB-Months", monthly,
                 monthly * pool.root_volume_gib / HOURS_PER_MONTH, provider, zone),
        ]  # fmt: skip
        if pool.fee:
            fee = pool.fee * kind.usd_per_hour
            name = f"ManagedInstances:{kind.name}"
            lines.append(
                Line(
                    self.sku(name, Sku(UsageKind.UNCOVERED)),
                    ECS,
                    "Instance",
                    "Hours",
                    fee,
                    fee,
                    provider,
                    zone,
                )
            )
        return tuple(lines)

    # --- reading the accounts ------------------------------------------------------------------------------

    def take_chunks(self) -> None:
        """Look at the lives that ended, if rows are per resource: their chunk is about to be emptied."""
        if self._resources is not None:
            self._resources.take_chunks()

    def step(self, now: int, end: bool) -> None:
        """Read the accounts at `now`; write the period's rows when it is over, or at the `end` of the run."""
        world = self.world
        state = world.state
        accrue_all(world.core, now, world.live_tasks(), world.live_instances())
        read = (state.weight_ms.copy(), state.fargate_ms.copy(), state.class_ms.copy())
        state.weight_ms[:] = 0
        state.fargate_ms[:] = 0
        state.class_ms[:] = 0
        if self._hourly:
            usd, hours = self._usage(read)
            self._hours.append((usd, hours, min(1.0, self.step_ms / MS_PER_HOUR)))
        if self._pending is None:
            self._pending = read
        else:
            for total, part in zip(self._pending, read, strict=True):
                np.add(total, part, out=total)
        period = world.scenario.sampling.cost_period_ms
        if end or (now - world.scenario.warm_up_ms) % period == 0:
            self._write(now)
            self._period_start = now

    def _usage(self, read: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        """USD at list price and instance hours, by SKU."""
        usd = np.zeros(len(self._skus))
        hours = np.zeros(len(self._skus))
        _, fargate_ms, class_ms = read
        for c, lines in enumerate(self._ec2_lines):
            for position, line in enumerate(lines):
                usd[line.sku] += class_ms[c] / MS_PER_HOUR * line.price
                if position == 0:
                    hours[line.sku] += class_ms[c] / MS_PER_HOUR
        for (row, column), line in self._fargate_lines.items():
            usd[line.sku] += float(fargate_ms[:, row, column].sum()) * line.price / _fargate_unit_ms(column)
        return usd, hours

    # --- writing -------------------------------------------------------------------------------------------

    def _write(self, now: int) -> None:
        """The rows of a period."""
        assert self._pending is not None
        weight_ms, fargate_ms, class_ms = self._pending
        self._pending = None
        bill = self._commit()
        charges: list[Charge] = []
        for c, lines in enumerate(self._ec2_lines):
            if class_ms[c]:
                self.instance_hours += class_ms[c] / MS_PER_HOUR
                self._count_guest(c, class_ms[c] / MS_PER_HOUR)
                owner = self._guests[c].payer
                weight = float(self.world.state.classes[c]["weight"])
                account = Account(c, NEVER, weight * MS_PER_HOUR)
                shares = weight_ms[:, c] / weight
                idle = (class_ms[c] - float(shares.sum())) / MS_PER_HOUR
                if owner != NOBODY:
                    self.unheld_usd[owner] += idle * sum(line.price for line in lines)
                    shares[owner] += idle * MS_PER_HOUR
                for line in lines:
                    for group in np.flatnonzero(shares):
                        hours = float(shares[group]) / MS_PER_HOUR
                        charges.append(Charge(line, int(group), hours, hours * line.price, account))
                    if owner == NOBODY:
                        charges.append(Charge(line, NOBODY, idle, idle * line.price, account))
        for (row, column), line in self._fargate_lines.items():
            account = Account(row, column, _fargate_unit_ms(column))
            for group in np.flatnonzero(fargate_ms[:, row, column]):
                quantity = float(fargate_ms[group, row, column]) / account.unit_ms
                charges.append(Charge(line, int(group), quantity, quantity * line.price, account))
                self.fargate_vcpu_hours += quantity if column == 0 else 0.0
                self.fargate_gb_hours += quantity if column == 1 else 0.0
        self._append(now, charges, bill)

    def _count_guest(self, c: int, hours: float) -> None:
        """Add what the guest operating systems of a class of instances took in so many hours of it."""
        guest = self._guests[c]
        self.guest_vcpu_hours += hours * guest.vcpu
        self.guest_memory_gib_hours += hours * guest.memory_gib
        self.guest_usd += hours * guest.share * float(self.world.state.classes["usd_per_hour"][c])

    def _commit(self) -> Bill | None:
        """What the period's commitments cover, hour by hour."""
        if not self._hourly or not self._hours:
            return None
        width = len(self._skus)
        usage = HourlyUsage(
            tuple(sku for _, sku in self._skus),
            np.array([usd[:width] for usd, _, _ in self._hours]),
            np.array([hours[:width] for _, hours, _ in self._hours]),
            np.array([share for _, _, share in self._hours]),
        )
        self._hours = []
        return apply_commitments(usage, self._plan, self._reserved)

    def _append(self, now: int, charges: list[Charge], bill: Bill | None) -> None:
        """Give the rows to the recorder, usage first, then the fees of commitments."""
        billed = np.array([charge.usd for charge in charges])
        effective = billed.copy()
        if bill is not None:
            listed = np.maximum((bill.billed_usd + bill.reserved_usd + bill.plan_usd).sum(axis=0), 1e-300)
            skus = np.array([charge.line.sku for charge in charges], np.int64)
            effective = billed * (bill.effective_usd.sum(axis=0) / listed)[skus]
            billed = billed * (bill.billed_usd.sum(axis=0) / listed)[skus]
        columns = columns_of(charges, self.world.names, [name for name, _ in self._skus], billed, effective)
        if bill is not None:
            add_fees(columns, bill)
        accounts = None if self._resources is None else self._resources.close(now)
        if not columns["SkuId"]:
            return
        self.billed += float(np.sum(columns["BilledCost"]))
        for charge, usd in zip(charges, billed, strict=True):
            self.by_provider[charge.line.provider] += usd
        if accounts is None and self._share_lines:
            columns = merged(columns, charges)
        count = len(columns["SkuId"])
        columns["ChargePeriodStart"] = [self._period_start] * count
        columns["ChargePeriodEnd"] = [now] * count
        columns["RegionId"] = [self.world.scenario.region] * count
        columns["BillingCurrency"] = ["USD"] * count
        if accounts is None:
            self.recorder.append_columns("costs", columns)
        else:
            parts = [_parts(accounts, charge) for charge in charges]
            for chunk in by_resource(columns, charges, parts, self.recorder):
                self.recorder.append_columns("costs", chunk)


def _parts(accounts: PeriodAccounts, charge: Charge) -> Parts:
    """The resources that have a part in a charge."""
    row, column, _ = charge.account
    if column == NEVER:
        return accounts.of_class(row, charge.payer)
    return accounts.of_fargate(row, charge.payer, column)


def guests_of(world: World) -> list[Guest]:
    """The guest of each class: on a container instance what the agent does not register, with machines what is said."""
    scenario, found = world.scenario, []
    for row in world.state.classes if scenario.pools else ():
        pool, kind = scenario.pools[row["group"]], scenario.instance_types[row["type"]]
        cpu, memory = guest_of(pool, kind)
        whole = WEIGHT_PER_CPU_UNIT * kind.vcpus * CPU_UNITS_PER_VCPU + WEIGHT_PER_MIB * kind.memory_mib
        share = (WEIGHT_PER_CPU_UNIT * cpu + WEIGHT_PER_MIB * memory) / whole
        payer = NOBODY if pool.machines is None else world.names.services.index(pool.machines.service)
        found.append(Guest(cpu / CPU_UNITS_PER_VCPU, memory / MIB_PER_GIB, share, payer))
    return found


def commitments_of(scenario: Scenario) -> tuple[SavingsPlan | None, tuple[ReservedInstances, ...]]:
    """The scenario's commitments as `policy.pricing.savings_plans` takes them."""
    plan = scenario.pricing.savings_plan
    savings = None
    if plan is not None:
        savings = SavingsPlan.model_validate(
            {
                "usdPerHour": plan.usd_per_hour,
                "discount": {"ec2": plan.ec2_discount, "fargate": plan.fargate_discount},
            }
        )
    reserved = tuple(ReservedInstances.model_validate(dict(r)) for r in scenario.pricing.reserved_instances)
    return savings, reserved


def _fargate_unit_ms(column: int) -> float:
    """How many unit x ms make one billed unit-hour: vCPU, GB, GB of storage."""
    return float((CPU_UNITS_PER_VCPU, MIB_PER_GIB, 1)[column] * MS_PER_HOUR)


def _fargate_lines(ledger: Ledger, scenario: Scenario) -> dict[tuple[int, int], Line]:
    """The lines of Fargate, by (row of the account, resource)."""
    lines: dict[tuple[int, int], Line] = {}
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
            sku = ledger.sku(name, kind if column < 2 else Sku(UsageKind.UNCOVERED))
            for zone in range(len(names.zones)):
                row = number * len(names.zones) + zone
                lines[row, column] = Line(sku, ECS, "Task", unit, list_usd, usd, provider, zone)
    return lines
