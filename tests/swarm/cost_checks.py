"""Laws of the rows of `costs` with `sampling.costPerResource`: each resource is billed for its own lifetime.

They use only the tables, as `tests.swarm.checks` does: the lifetimes in `tasks` and `container_instances`, split at the
ends of the cost periods, give the quantities of every resource in every period.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.harness import HOUR, Block, FinishedRun
from tests.swarm.image_checks import billed_from

MINIMUM_MS = 60_000
NEAR = 1e-9
Hours = dict[tuple[str, int], float]
"""Hours by resource and beginning of the period."""


def resource_laws(ran: FinishedRun) -> Iterator[str]:
    """Yield the violations in the resources of `costs`, one sentence each."""
    costs = ran.rows("costs")
    if not ran.scenario.sampling.cost_per_resource:
        if any(row["ResourceId"] is not None for row in costs):
            yield "costs name resources without costPerResource"
        return
    yield from _rows(costs)
    yield from _hours(ran, costs)
    yield from _bills(ran, costs)


def _rows(costs: list[Block]) -> Iterator[str]:
    """What tasks and idle capacity cost has a resource, a commitment's own rows have none, and no two have one key."""
    names = ("ChargePeriodStart", "SkuId", "AvailabilityZone", "x_CapacityProvider", "x_Group", "ResourceId")
    names += ("ChargeCategory", "CommitmentDiscountId", "CommitmentDiscountStatus", "ResourceType")
    for row in costs:
        if (row["ResourceId"] is None) != (row["x_Share"] == "commitment"):
            yield f"{row['ChargeCategory']} of {row['SkuId']} is of the resource {row['ResourceId']}"
    seen = Counter(tuple(row[name] for name in names) for row in costs)
    yield from (f"{count} rows are {key}" for key, count in seen.items() if count > 1)


def _hours(ran: FinishedRun, costs: list[Block]) -> Iterator[str]:
    """In each period an instance, its volume and a Fargate task are billed for their lifetime in it."""
    billed_hours: dict[str, Hours] = defaultdict(lambda: defaultdict(float))
    for row in costs:
        kind = "Fee" if row["SkuId"].startswith("ManagedInstances:") else row["ResourceType"]
        if kind is not None and (kind != "Task" or row["PricingUnit"] == "vCPU-Hours"):
            billed_hours[kind][row["ResourceId"], row["ChargePeriodStart"]] += row["PricingQuantity"]
    hosts: Hours = defaultdict(float)
    volumes: Hours = defaultdict(float)
    pools = {pool.provider or pool.name: pool for pool in ran.scenario.pools}
    for host in ran.instances():
        resource = f"container-instance/{host['container_instance_id']}"
        gib = pools[host["capacity_provider"] or host["auto_scaling_group"]].root_volume_gib
        for period, hours in _hours_by_period(ran, host["launched_at"], host["terminated_at"]):
            hosts[resource, period] += hours
            volumes[resource, period] += hours * gib / 730
    tasks: Hours = defaultdict(float)
    for task in ran.tasks(launch_type="FARGATE"):
        begun = billed_from(ran, task)
        for period, hours in [] if begun is None else _hours_by_period(ran, begun, task["stopped_at"]):
            tasks[f"task/{task['task_id']}", period] += hours * task["cpu"] / 1024
    for kind, expected in (("Instance", hosts), ("Volume", volumes), ("Task", tasks)):
        for key in expected.keys() | billed_hours[kind].keys():
            if abs(expected.get(key, 0.0) - billed_hours[kind].get(key, 0.0)) > NEAR:
                yield f"{kind} {key} has {billed_hours[kind].get(key)} in costs, its life shows {expected.get(key)}"
    for key, hours in billed_hours["Fee"].items():
        if abs(hours - hosts[key]) > NEAR:
            yield f"{key} pays the fee of {hours} hours, its life shows {hosts[key]}"


def _hours_by_period(ran: FinishedRun, first: int, last: int | None) -> Iterator[tuple[int, float]]:
    """Yield the billed hours of a lifetime in each period; it is rounded up in the period of its end."""
    width, end = ran.scenario.sampling.cost_period_ms, ran.scenario.duration_ms
    for period in range(0, end, width):
        until = min(period + width, end)
        billed_ms = max(0, min(until, end if last is None else last) - max(period, first))
        if last is not None and first >= 0 and (period < last or period == last == 0) and last <= until:
            billed_ms += max(-(-(last - first) // 1_000) * 1_000, MINIMUM_MS) - (last - first)
        if billed_ms:
            yield period, billed_ms / HOUR


def _bills(ran: FinishedRun, costs: list[Block]) -> Iterator[str]:
    """The rows of a resource sum to its `cost_usd`, and on an instance also for each payer."""
    effective: Counter[str] = Counter()
    by_payer: Counter[tuple[str, str]] = Counter()
    for row in costs:
        if row["ResourceId"] is not None:
            effective[row["ResourceId"]] += row["EffectiveCost"]
        if row["x_Group"] is not None and row["ResourceType"] != "Task":
            by_payer[row["ResourceId"], row["x_Group"]] += row["EffectiveCost"]
    expected = {
        f"container-instance/{host['container_instance_id']}": host["cost_usd"] for host in ran.instances()
    }
    expected |= {f"task/{task['task_id']}": task["cost_usd"] for task in ran.tasks(launch_type="FARGATE")}
    for resource in expected.keys() | effective.keys():
        if abs(expected.get(resource, 0.0) - effective[resource]) > NEAR:
            yield f"{resource} costs {effective[resource]} in costs and {expected.get(resource)} in its own row"
    of_tasks: Counter[tuple[str, str]] = Counter()
    for task in ran.tasks():
        if task["container_instance_id"] is not None:
            of_tasks[f"container-instance/{task['container_instance_id']}", task["group"]] += task["cost_usd"]
    for key in of_tasks.keys() | by_payer.keys():
        if abs(of_tasks[key] - by_payer[key]) > NEAR:
            yield f"{key} pays {by_payer[key]} in costs and {of_tasks[key]} in tasks"
