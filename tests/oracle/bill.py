"""Every dollar of a run, computed a second time from its tables and the text of its scenario.

    differences(Path("results/shop"), Path("shop.yaml"))     # an empty list: all figures agree

It imports nothing of clustersim: lives of `tasks` and `container_instances`, cut at clock hours and at the ends of cost
periods, give usage; prices and commitments of the text give dollars; they are compared with `costs`, with `cost_usd` of
tasks and instances, and with the summary. The swarm asks it after each run.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from tests.oracle.scenario_text import ScenarioText
from tests.oracle.settlement import EC2, FARGATE, Hour, Usage

HOUR = 3_600_000
MONTH_HOURS = 730
FREE_STORAGE_GIB = 20
NEAR = 1e-9

Row = dict[str, Any]


class Life(NamedTuple):
    """Billed time in ms since the start of the run, within it; `added` is the rounding up at its `until`."""

    begin: int
    until: int
    added: int


class Piece(NamedTuple):
    """Usage of one SKU by one payer between two cuts: `hours` of a usage, which `per_hour` units are billed for."""

    usage: Usage
    coverable: bool
    slice: int
    provider: str | None
    payer: str | None
    hours: float
    per_hour: float
    task: int | None
    instance: int | None


class Costs(NamedTuple):
    """Dollars of one run: rows of `costs` by key (billed, effective, quantity), and effective cost by id."""

    rows: dict[tuple[Any, ...], list[float]]
    tasks: Counter[int]
    instances: Counter[int]


class Bill:
    """The bill of one run."""

    def __init__(self, result: Path, scenario: Path) -> None:
        self.text = ScenarioText(scenario)
        self.summary = json.loads((result / "summary.json").read_text(encoding="utf-8"))
        self.tasks = _read(result / "tasks.arrow", self.text.start)
        self.instances = _read(result / "container_instances.arrow", self.text.start)
        self.rows = _read(result / "costs.arrow", self.text.start)
        end, period = self.text.duration, self.text.period
        first_hour = HOUR - self.text.start % HOUR
        self.cuts = sorted({0, end, *range(0, end, period), *range(first_hour, end, HOUR)})

    # --- usage ---------------------------------------------------------------------------------------------

    def life(self, begin: int, until: int | None, rounded: bool) -> Life:
        """The billed time of something that lived from `begin` to `until` (None: it goes on)."""
        end = self.text.duration
        inside = Life(min(max(begin, 0), end), min(max(until if until is not None else end, 0), end), 0)
        if until is None or not rounded or begin < 0:
            return inside
        length = until - begin
        return inside._replace(added=max(-(-length // 1_000) * 1_000, 60_000) - length)

    def slices(self, life: Life) -> Iterator[tuple[int, float, float]]:
        """Yield the slices of a life: their number, its hours in them, and the hours that rounding adds there."""
        last = max(bisect_left(self.cuts, life.until) - 1, 0)
        for number in range(max(bisect_right(self.cuts, life.begin) - 1, 0), last + 1):
            low, high = max(self.cuts[number], life.begin), min(self.cuts[number + 1], life.until)
            yield number, max(0, high - low) / HOUR, (life.added if number == last else 0) / HOUR

    def pieces(self) -> Iterator[Piece]:
        """Yield all usage of the run."""
        by_instance: dict[int, list[Row]] = defaultdict(list)
        for task in self.tasks:
            if task["container_instance_id"] is not None:
                by_instance[task["container_instance_id"]].append(task)
            elif task["launch_type"] == "FARGATE":
                yield from self._fargate_pieces(task)
        for instance in self.instances:
            yield from self._instance_pieces(instance, by_instance[instance["container_instance_id"]])

    def _instance_pieces(self, instance: Row, tasks: list[Row]) -> Iterator[Piece]:
        """Yield the usage of an instance: the shares of its tasks, then the rest, which is idle."""
        own = self.life(instance["launched_at"], instance["terminated_at"], True)
        weight = 9 * instance["registered_cpu"] + instance["registered_memory_mib"]
        shares: dict[int, list[tuple[Row | None, float]]] = defaultdict(list)
        idle = {number: hours + added for number, hours, added in self.slices(own)}
        for task in tasks:
            part = (9 * task["cpu"] + task["memory_mib"]) / weight
            for number, hours, _ in self.slices(self.life(task["placed_at"], paid_until(task), False)):
                if hours:
                    shares[number].append((task, hours * part))
                    idle[number] -= hours * part
        for number, hours in idle.items():
            for task, used in [*shares[number], (None, hours)]:
                if abs(used) > NEAR / HOUR:
                    yield from self._of_instance(instance, number, task, used)

    def _of_instance(self, instance: Row, number: int, task: Row | None, hours: float) -> Iterator[Piece]:
        """Yield hours of an instance, of its volume, and of its fee."""
        kind, zone, provider = (
            instance[name] for name in ("instance_type", "availability_zone", "capacity_provider")
        )
        spot = instance["purchase_option"] == "spot"
        price = self.text.instance_price(kind, spot)
        months = self.text.volume_gib(provider, instance["auto_scaling_group"]) / MONTH_HOURS
        monthly = self.text.gib_month_price()
        fee = self.text.fee(provider) * self.text.instance_price(kind, False)
        usages = [
            (Usage(EC2, f"{'Spot' if spot else 'Box'}Usage:{kind}", zone, price, kind), not spot, 1.0),
            (Usage(EC2, "EBS:VolumeUsage.gp3", zone, monthly * months), False, months),
        ]
        if fee:
            usages.append((Usage(EC2, f"ManagedInstances:{kind}", zone, fee), False, 1.0))
        ids = None if task is None else task["task_id"], instance["container_instance_id"]
        payer = None if task is None else task["group"]
        for usage, coverable, per_hour in usages:
            if per_hour:
                yield Piece(usage, coverable, number, provider, payer, hours, per_hour, *ids)

    def _fargate_pieces(self, task: Row) -> Iterator[Piece]:
        """Yield the usage of a Fargate task: its vCPU, memory, and storage beyond what is included."""
        definition = self.text.definition(task["family"], task["revision"])
        begin = task["pull_started_at"]
        if begin is None and (task["started_at"] is not None or not self.text.lists_images(definition)):
            begin = task["placed_at"]
        if begin is None:
            return
        spot = task["capacity_provider"] == "FARGATE_SPOT"
        arm = definition.get("runtimePlatform", {}).get("cpuArchitecture") == "ARM64"
        vcpu, gb, storage = self.text.fargate_prices("arm64" if arm else "x86_64", spot)
        extra = definition.get("ephemeralStorage", {}).get("sizeInGiB", FREE_STORAGE_GIB) - FREE_STORAGE_GIB
        prefix, infix = "SpotUsage-" if spot else "", "ARM-" if arm else ""
        parts = (
            (f"{prefix}Fargate-{infix}vCPU-Hours:perCPU", vcpu, task["cpu"] / 1_024, not spot),
            (f"{prefix}Fargate-{infix}GB-Hours", gb, task["memory_mib"] / 1_024, not spot),
            ("Fargate-EphemeralStorage-GB-Hours", storage, float(extra), False),
        )
        provider = "FARGATE_SPOT" if spot else "FARGATE"
        for number, hours, added in self.slices(self.life(begin, task["stopped_at"], True)):
            for sku, price, size, coverable in parts:
                used = (hours + added) * size
                if used:
                    usage = Usage(FARGATE, sku, task["availability_zone"], price)
                    ids = task["task_id"], None
                    yield Piece(usage, coverable, number, provider, task["group"], used, 1.0, *ids)

    # --- dollars -------------------------------------------------------------------------------------------

    def hour_of(self, number: int) -> int:
        """The clock hour of a slice."""
        return (self.text.start + self.cuts[number]) // HOUR

    def period_of(self, number: int) -> int:
        """The beginning of the cost period of a slice."""
        return self.cuts[number] // self.text.period * self.text.period

    def costs(self) -> Costs:
        """All dollars of the run."""
        pieces = list(self.pieces())
        used: dict[int, dict[Usage, float]] = defaultdict(lambda: defaultdict(float))
        lengths: Counter[int] = Counter()
        for number, (low, high) in enumerate(zip(self.cuts, self.cuts[1:], strict=False)):
            lengths[self.hour_of(number)] += high - low
        for piece in pieces:
            if piece.coverable:
                used[self.hour_of(piece.slice)][piece.usage] += piece.hours
        hours = {hour: Hour(used[hour], length / HOUR) for hour, length in lengths.items()}
        for hour in hours.values():
            hour.settle(self.text.plans(), self.text.reservations())
        costs = Costs(defaultdict(lambda: [0.0, 0.0, 0.0]), Counter(), Counter())
        for piece in pieces:
            self._add_piece(costs, piece, hours[self.hour_of(piece.slice)])
        self._add_commitments(costs, hours, lengths)
        return costs

    def _add_piece(self, costs: Costs, piece: Piece, hour: Hour) -> None:
        """Add a piece of usage, divided by what covers it."""
        usage = piece.usage
        share = "idle" if piece.payer is None else "task"
        place = (self.period_of(piece.slice), usage.sku, usage.zone, piece.provider, piece.payer, share)
        parts = [(None, hour.rest(usage) if piece.coverable else 1.0, usage.price)]
        if piece.coverable:
            parts += [(each.commitment, each.share, each.rate) for each in hour.covers[usage]]
        for commitment, part, rate in parts:
            effective = piece.hours * part * rate
            row = costs.rows[*place, "Usage", commitment, commitment and "Used"]
            row[0] += effective if commitment is None else 0.0
            row[1] += effective
            row[2] += piece.hours * part * piece.per_hour
            if piece.task is not None:
                costs.tasks[piece.task] += effective
            if piece.instance is not None:
                costs.instances[piece.instance] += effective

    def _add_commitments(self, costs: Costs, hours: dict[int, Hour], lengths: Counter[int]) -> None:
        """Add the fees of commitments, and what of them is unused, for their part of each period."""
        terms = [
            (each.name, "ReservedInstances", each.count, each.usd_per_hour)
            for each in self.text.reservations()
        ]
        for plan in self.text.plans():
            sku = "EC2InstanceSavingsPlan" if plan.family else "ComputeSavingsPlan"
            terms.append((plan.name, sku, 1, plan.usd_per_hour))
        for number, (low, high) in enumerate(zip(self.cuts, self.cuts[1:], strict=False)):
            hour = self.hour_of(number)
            for name, sku, count, usd in terms:
                place = (self.period_of(number), sku, None, None, None, "commitment")
                bought = costs.rows[*place, "Purchase", name, None]
                bought[0] += count * usd * (high - low) / HOUR
                bought[2] += count * (high - low) / HOUR
                unused = hours[hour].unused[name] * (high - low) / lengths[hour]
                rest = costs.rows[*place, "Usage", name, "Unused"]
                rest[1] += unused
                rest[2] += unused / usd if usd else 0.0


def differences(result: Path, scenario: Path) -> list[str]:
    """Return where a run's money is not what its tables and its scenario's text come to, one sentence each."""
    bill = Bill(result, scenario)
    costs = bill.costs()
    return [*_row_differences(bill, costs), *_id_differences(bill, costs), *_summary_differences(bill, costs)]


def paid_until(task: Row) -> int | None:
    """Until when a task on an instance pays; None: to the end of the run."""
    if task["stopping_at"] is None:
        return task["stopped_at"]
    stopping: int = task["stopping_at"]
    return stopping


def _row_differences(bill: Bill, costs: Costs) -> Iterator[str]:
    """Compare the rows of `costs` with the same rows computed here."""
    reported: dict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    names = ("ChargePeriodStart", "SkuId", "AvailabilityZone", "x_CapacityProvider", "x_Group", "x_Share")
    names += ("ChargeCategory", "CommitmentDiscountId", "CommitmentDiscountStatus")
    for row in bill.rows:
        sums = reported[tuple(row[name] for name in names)]
        for at, column in enumerate(("BilledCost", "EffectiveCost", "PricingQuantity")):
            sums[at] += row[column]
    nothing = [0.0, 0.0, 0.0]
    for key in sorted(costs.rows.keys() | reported.keys(), key=str):
        expected, found = costs.rows.get(key, nothing), reported.get(key, nothing)
        if any(_differ(*pair) for pair in zip(expected, found, strict=True)):
            yield f"costs {key}: billed, effective, quantity are {found}, the lives show {expected}"


def _id_differences(bill: Bill, costs: Costs) -> Iterator[str]:
    """Compare `cost_usd` of tasks and instances."""
    for task in bill.tasks:
        if _differ(task["cost_usd"], costs.tasks[task["task_id"]]):
            yield f"task {task['task_id']} costs {task['cost_usd']}, its life shows {costs.tasks[task['task_id']]}"
    for instance in bill.instances:
        number = instance["container_instance_id"]
        if _differ(instance["cost_usd"], costs.instances[number]):
            yield f"instance {number} costs {instance['cost_usd']}, its life shows {costs.instances[number]}"


def _summary_differences(bill: Bill, costs: Costs) -> Iterator[str]:
    """Compare the figures of the summary."""
    summary = bill.summary
    shares: Counter[str] = Counter()
    payers: Counter[str | None] = Counter()
    for key, (billed, effective, _) in costs.rows.items():
        shares[key[5]] += effective
        payers[key[4]] += effective
        shares["bill"] += billed
    figures = {
        "cost_usd": shares["bill"],
        "cost_usd_idle": shares["idle"],
        "cost_usd_commitment_unused": shares["commitment"],
        "cost_usd_shared": shares["shared"],
    }
    for name, usd in figures.items():
        if _differ(summary[name], usd):
            yield f"{name} is {summary[name]}, the lives show {usd}"
    for name, service in summary["services"].items():
        if _differ(service["cost_usd"], payers[f"service:{name}"]):
            yield f"service {name} costs {service['cost_usd']}, its tasks show {payers[f'service:{name}']}"
    of_entries = sum(entry["cost_usd"] for entry in summary["run_tasks"].values())
    others = sum(usd for group, usd in payers.items() if group and not group.startswith("service:"))
    if _differ(of_entries, others):
        yield f"the entries of runTasks cost {of_entries}, their tasks show {others}"


def _differ(first: float, second: float) -> bool:
    return abs(first - second) > NEAR * (1.0 + abs(first))


def _read(path: Path, start: int) -> list[Row]:
    """The rows of a table; instants are ms since `start`, null is None."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        table = reader.read_all()
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_timestamp(column.type):
            columns[name] = [None if ms is None else ms - start for ms in column.cast(pa.int64()).to_pylist()]
        else:
            columns[name] = column.to_pylist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
