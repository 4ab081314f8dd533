"""Cost of a run: readings of the usage accounts become settled hours, cost periods, and rows of `costs`.

At the end of each cost period, and of each clock hour where there are commitments, the usage of every live task and
instance is accrued, and the accounts are read and reset. An instance's price is shared by reservation, a vCPU weighing
as much as 9 GiB; the part that no task reserved is idle and has no payer (MODEL.md: money). Commitments are settled per
clock hour (`policy.pricing.commitments`) whatever the cost period is; it is written when its last hour is.
With `sampling.costPerResource` each line item is split among its resources there, so that the summary has the same
figures with and without it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from clustersim.control.agendas import Agendas
from clustersim.control.billing.commitment_savings import CommitmentSavings
from clustersim.control.billing.cost_rows import (
    CostRows,
    merge_equal_items,
    resource_shares,
    split_by_resource,
)
from clustersim.control.billing.period_usage import NO_PAYER, LineItems, PeriodUsage, Reading
from clustersim.control.billing.price_list import PriceList
from clustersim.control.billing.resource_costs import PeriodResources, ResourceReading, ResourceUsage
from clustersim.policy.pricing.commitments import Coverage
from clustersim.record.recorder import Recorder
from clustersim.vocabulary import (
    CPU_UNITS_PER_VCPU,
    MIB_PER_GIB,
    MS_PER_HOUR,
    NEVER,
    WEIGHT_PER_CPU_UNIT,
    WEIGHT_PER_MIB,
)
from clustersim.world.build.instance_classes import guest_capacity
from clustersim.world.state.usage import accrue_all_costs
from clustersim.world.state.world import World


class GuestOs(NamedTuple):
    """The guest operating system's part of an instance of one class.

    `share` is its part of the price: a vCPU weighs as much as 9 GiB, as among tasks.
    """

    vcpu: float
    memory_gib: float
    share: float


class CostLedger:
    """The costs of a run and its table `costs`.

    `billed_usd` is the bill; it is the sum of what payers, idle capacity and unused commitments cost, all of it
    EffectiveCost: `idle_usd` and `unused_usd` are kept here, the payers' part in the rows of their tasks.
    """

    def __init__(self, world: World, recorder: Recorder, agendas: Agendas) -> None:
        self.world, self.recorder = world, recorder
        self._agenda = agendas.costs
        scenario = world.scenario
        self.billed_usd = self.idle_usd = self.unused_usd = 0.0
        self.usd_by_provider = np.zeros(len(world.names.providers))
        self.fargate_vcpu_hours = self.fargate_gb_hours = self.instance_hours = 0.0
        self.guest_vcpu_hours = self.guest_memory_gib_hours = self.guest_usd = 0.0
        self._guests = guest_os_by_class(world)
        self._prices = PriceList(world)
        pricing = scenario.pricing
        self._coverage = Coverage(self._prices.columns, pricing.savings_plans, pricing.reserved_instances)
        self._hourly = bool(self._coverage.commitments)
        self._rows = CostRows(self._prices, self._coverage.commitments, world.names)
        self._class_weight = world.state.capacity.classes["weight"].astype(np.float64)
        self._read_until = self._hour_begin = scenario.warm_up_ms
        self._open: list[tuple[Reading, ResourceReading | None]] = []
        """The readings of the clock hour that is not over."""
        self._resources = ResourceUsage(world) if scenario.sampling.cost_per_resource else None
        self._begin_period(scenario.warm_up_ms)
        self.savings = CommitmentSavings(world, self._prices, self._coverage) if self._hourly else None

    def schedule_wakeups(self) -> None:
        """Schedule the first reading."""
        self._agenda.wake_at(self._next_reading(self.world.scenario.warm_up_ms))

    def act(self, now: int) -> None:
        """Read the usage accounts at the end of an interval, and schedule the next reading."""
        self.close_interval(now, end=False)
        self._agenda.wake_at(self._next_reading(now))

    def _next_reading(self, now: int) -> int:
        """Return when to read usage after `now`: the end of the period, of the clock hour if needed, or of the run."""
        period = self.world.scenario.sampling.cost_period_ms
        passed = now - self.world.scenario.warm_up_ms
        ends = [int(self.world.state.clock.end), now + period - passed % period]
        if self._hourly:
            ends.append(now + MS_PER_HOUR - self._time_of_day(now) % MS_PER_HOUR)
        return min(ends)

    def _time_of_day(self, now: int) -> int:
        """Return ms since a full hour of the clock, to which hours are counted."""
        return self.world.scenario.start_ms - self.world.scenario.warm_up_ms + now

    # --- reading usage -------------------------------------------------------------------------------------

    def read_ended(self) -> None:
        """Read the tasks and instances that ended, if rows are per resource, before their buffers are emptied."""
        if self._resources is not None:
            self._resources.read_ended()

    def close_interval(self, now: int, end: bool) -> None:
        """Read the usage accounts at `now`; settle what is over, and at the `end` of the run everything."""
        world = self.world
        state = world.state
        accrue_all_costs(world.core, now, world.live_tasks(), world.live_instances())
        accounts = state.outputs.weight_ms, state.outputs.fargate_ms, state.outputs.class_ms
        reading = Reading(self._read_until, now, *(account.copy() for account in accounts))
        for account in accounts:
            account[:] = 0
        self._open.append((reading, None if self._resources is None else self._resources.close(now)))
        self._read_until = now
        if end or not self._hourly or self._time_of_day(now) % MS_PER_HOUR == 0:
            self._settle_hour(now, end)

    def _settle_hour(self, now: int, end: bool) -> None:
        """Settle the clock hour that is over, and write the periods that ended in it."""
        usage = sum(reading.by_column(self._prices) for reading, _ in self._open)
        length = now - self._hour_begin
        shares, unused = self._coverage.settle(np.asarray(usage), length / MS_PER_HOUR)
        if self.savings is not None:
            self.savings.add_hour(now, shares)
        period = self.world.scenario.sampling.cost_period_ms
        for reading, by_resource in self._open:
            self._period.add(reading, shares, unused * ((reading.until - reading.begin) / length))
            if by_resource is not None and self._by_resource is not None:
                self._by_resource.add(by_resource, shares)
            if (reading.until - self.world.scenario.warm_up_ms) % period == 0 or (
                end and reading.until == now
            ):
                self._write_period(reading.until)
        self._open = []
        self._hour_begin = now

    # --- writing -------------------------------------------------------------------------------------------

    def _begin_period(self, begin: int) -> None:
        self._period = PeriodUsage(
            begin,
            self._prices,
            self._coverage,
            self.world.state.outputs.weight_ms.shape[0],
            self._class_weight,
        )
        self._by_resource = None
        if self._resources is not None:
            self._by_resource = PeriodResources(self._prices, len(self.world.names.groups))

    def _write_period(self, until: int) -> None:
        """Add a period to the totals, write its rows, and begin the next one."""
        period = self._period
        items = period.line_items()
        self._add_totals(period, items)
        amounts = None if self._by_resource is None else self._by_resource.split(items)
        if amounts is None and np.any(self._prices.equal_to != np.arange(len(self._prices.skus))):
            items = merge_equal_items(items, self._prices)
        columns: dict[str, Any] = self._rows.of_items(items)
        self._rows.add_commitments(columns, period)
        self._begin_period(until)
        count = len(columns["SkuId"])
        if not count:
            return
        columns["ChargePeriodStart"] = [period.begin] * count
        columns["ChargePeriodEnd"] = [until] * count
        columns["RegionId"] = [self.world.scenario.region] * count
        columns["BillingCurrency"] = ["USD"] * count
        if amounts is None:
            self.recorder.append_columns("costs", columns)
            return
        shares = resource_shares(items, self._prices, self._class_weight, amounts)
        for chunk in split_by_resource(columns, shares, self.recorder):
            self.recorder.append_columns("costs", chunk)

    def _add_totals(self, period: PeriodUsage, items: LineItems) -> None:
        """Add a period to the figures of the summary; the same with rows per resource and without them."""
        fees = sum(each.quantity * each.usd_per_hour for each in self._coverage.commitments)
        self.billed_usd += float(items.billed.sum()) + fees * period.commitment_hours
        self.idle_usd += float(items.effective[items.payer == NO_PAYER].sum())
        self.unused_usd += float(period.unused.sum())
        self.usd_by_provider += items.sums(self._prices.provider[items.sku], self.usd_by_provider.size)
        self.fargate_vcpu_hours += period.fargate_hours(0)
        self.fargate_gb_hours += period.fargate_hours(1)
        hours = period.class_hours()
        self.instance_hours += float(hours.sum())
        on_hosts = np.where(self._prices.part[items.sku] == NEVER, self._prices.account[items.sku], NEVER)
        usd = items.sums(on_hosts, hours.size)
        for number, guest in enumerate(self._guests):
            self.guest_vcpu_hours += hours[number] * guest.vcpu
            self.guest_memory_gib_hours += hours[number] * guest.memory_gib
            self.guest_usd += usd[number] * guest.share


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
        guests.append(GuestOs(cpu / CPU_UNITS_PER_VCPU, memory / MIB_PER_GIB, share))
    return guests
