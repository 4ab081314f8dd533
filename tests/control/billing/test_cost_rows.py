"""`costs` per resource: every row worked out by hand, and the same money as without `sampling.costPerResource`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from clustersim.control.billing.resource_costs import ResourceUsage
from clustersim.record.schema import TABLES
from clustersim.world.build import build_world as populate
from tests.harness import (
    MINUTE,
    Block,
    FinishedRun,
    fargate_definition,
    job,
    on,
    provider,
    run,
    service,
    world,
)
from tests.swarm.scenarios import draw

MONEY = ("PricingQuantity", "BilledCost", "EffectiveCost")
KEY = (
    *("ChargePeriodStart", "ChargePeriodEnd", "SkuId", "AvailabilityZone", "x_CapacityProvider", "x_Group"),
    *("ChargeCategory", "CommitmentDiscountId", "CommitmentDiscountStatus"),
)
BY_HALF_HOURS = {"costPeriod": "30m", "costPerResource": True}
RATES = {"vcpuUsdPerHour": 0.04, "gbUsdPerHour": 0.004, "ephemeralGbUsdPerHour": 0.0001}


def billed(ran: FinishedRun, *columns: str, **where: object) -> dict[tuple[object, ...], float]:
    """BilledCost by the values of `columns`."""
    sums: Counter[tuple[object, ...]] = Counter()
    for row in ran.rows("costs", **where):
        sums[tuple(row[column] for column in columns)] += row["BilledCost"]
    return dict(sums)


def test_an_instance_and_its_volume_are_billed_to_the_tasks_that_reserve_them(tmp_path: Path) -> None:
    """0.36 USD/h, of which each task reserves an eighth: in half an hour web's two pay 0.045, api's one 0.0225."""
    services = [service("web", 2), service("api", 1)]
    ran = run(world(services=services, initialState="running", sampling=BY_HALF_HOURS), tmp_path)
    half_hour = {
        ("container-instance/1", "service:web"): 0.045,
        ("container-instance/1", "service:api"): 0.0225,
        ("container-instance/1", None): 0.1125,
    }
    for start in (0, 30 * MINUTE):
        rows = billed(ran, "ResourceId", "x_Group", ResourceType="Instance", ChargePeriodStart=start)
        assert rows == pytest.approx(half_hour)
    volume = billed(ran, "ResourceId", ResourceType="Volume")
    assert volume == pytest.approx({("container-instance/1",): 30 * 0.08 / 730})


def test_instances_that_differ_in_an_attribute_alone_share_their_rows(tmp_path: Path) -> None:
    """Two racks, an instance each: of 0.72 USD an hour the one task pays an eighth of its instance's 0.36, once."""
    racks = {
        "capacityProviders": [
            provider(count=2, attributes={"rack": ["r1", "r2"]}, availabilityZones=["us-east-1a"])
        ]
    }
    written = world(
        services=[service("web", 1)], initialState="running", sampling={"costPeriod": "1h"}, **racks
    )
    ran = run({**written, "duration": "1h"}, tmp_path)
    rows = [(row["x_Group"], row["BilledCost"]) for row in ran.rows("costs", ResourceType="Instance")]
    assert sorted(rows, key=lambda row: row[1]) == [
        ("service:web", pytest.approx(0.045)),
        (None, pytest.approx(0.675)),
    ]
    assert len({instance["availability_zone"] for instance in ran.instances()}) == 1


def test_a_fargate_task_is_billed_in_the_periods_it_lives_in(tmp_path: Path) -> None:
    """5 min before the half hour and 5:00.5 after it: the second half is billed 301 s, a begun second whole."""
    entry = job(at="25m", duration="600500ms", launchType="FARGATE")
    written = world(
        taskDefinitions=[fargate_definition(cpu=1024, memory=2048)],
        runTasks=[entry],
        cluster={"fargateStartTime": "0s"},
        pricing={"fargate": RATES},
        sampling=BY_HALF_HOURS,
    )
    ran = run(written, tmp_path)
    (task,) = ran.tasks()
    assert task["stopped_at"] - task["placed_at"] == 600_500
    hourly = 0.04 + 2 * 0.004
    rows = billed(ran, "ResourceId", "ChargePeriodStart", ResourceType="Task")
    assert rows == pytest.approx(
        {("task/1", 0): 300 / 3600 * hourly, ("task/1", 30 * MINUTE): 301 / 3600 * hourly}
    )
    assert task["cost_usd"] == pytest.approx(601 / 3600 * hourly)


def test_what_a_commitment_covers_is_spread_in_proportion_and_its_rest_has_no_resource(
    tmp_path: Path,
) -> None:
    """Two instances of 0.36 for an hour, one reserved at 0.2: each is half covered, 0.18 + 0.1; nothing is unused."""
    reserved = [{"instanceType": "test.node", "count": 1, "usdPerHour": 0.2}]
    written = world(
        nodes=2,
        services=[service("web", 1)],
        pricing={"reservedInstances": reserved},
        sampling={"costPerResource": True},
    )
    ran = run(written, tmp_path)
    rows = ran.rows("costs", ResourceType="Instance")
    for number in (1, 2):
        own = [row for row in rows if row["ResourceId"] == f"container-instance/{number}"]
        assert sum(row["BilledCost"] for row in own) == pytest.approx(0.18)
        assert sum(row["EffectiveCost"] for row in own) == pytest.approx(0.18 + 0.1)
    (fee,) = ran.rows("costs", ChargeCategory="Purchase")
    assert (fee["ResourceId"], fee["ResourceType"], fee["BilledCost"]) == (None, None, pytest.approx(0.2))
    assert fee["EffectiveCost"] == 0
    shares = {row["CommitmentDiscountStatus"]: row["PricingQuantity"] for row in rows if row["x_Group"]}
    assert shares == pytest.approx({None: 1 / 16, "Used": 1 / 16})  # of the instance of the one task


@pytest.mark.parametrize("number", range(3))
def test_rows_per_resource_come_to_the_rows_without_them(number: int, tmp_path: Path) -> None:
    """Three random scenarios with commitments and periods of 20 min; all else a run writes stays as it is."""
    drawn = draw(2027, number)
    written = drawn.written | {
        "pricing": {
            "fargateSpotFactor": 0.33,
            "savingsPlan": {"usdPerHour": 0.2, "discount": {"ec2": 0.28, "fargate": 0.2}},
            "reservedInstances": [{"instanceType": "swarm.small", "count": 1, "usdPerHour": 0.06}],
        }
    }
    whole, parts = (_run_with(written, drawn.trace, tmp_path, key) for key in (False, True))
    assert parts.summary == whole.summary
    assert all(parts.table(name) == whole.table(name) for name in TABLES if name != "costs")
    left, right = _sums(whole), _sums(parts)
    for name in MONEY:
        assert {key: right[name].get(key, 0.0) for key in left[name]} == pytest.approx(left[name], abs=1e-9)
        assert right[name].keys() <= left[name].keys()
    assert sum(right["BilledCost"].values()) == pytest.approx(whole.summary["cost_usd"])
    assert len(parts.rows("costs")) > len(whole.rows("costs"))


def _run_with(written: Block, trace: str, directory: Path, key: bool) -> FinishedRun:
    directory = directory / str(key)
    directory.mkdir()
    (directory / "jobs.csv").write_text(trace, encoding="utf-8")
    sampling = {"costPeriod": "20m", "interval": "5m", "costPerResource": key}
    return run(written | {"sampling": sampling}, directory, checked=False)


def _sums(ran: FinishedRun) -> dict[str, dict[tuple[object, ...], float]]:
    """Each column of money, summed by the columns that identify a row without resources."""
    sums: dict[str, Counter[tuple[object, ...]]] = {name: Counter() for name in MONEY}
    for row in ran.rows("costs"):
        for name in MONEY:
            sums[name][tuple(row[column] for column in KEY)] += row[name]
    return {name: dict(counter) for name, counter in sums.items()}


def test_tasks_that_end_before_the_period_are_billed_though_their_buffer_was_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for a hundred finished tasks, and a day's period in which a thousand end."""
    finished_counts: list[int] = []
    read_ended = ResourceUsage.read_ended

    def counting(self: ResourceUsage) -> None:
        finished_counts.append(int(self.world.state.counters.finished_tasks))
        read_ended(self)

    monkeypatch.setattr(ResourceUsage, "read_ended", counting)
    monkeypatch.setattr(populate, "CHUNK_ROWS", 100)
    written = world(
        capacityProviders=[provider(count=4)],
        taskDefinitions=[fargate_definition(cpu=512, memory=1024)],
        runTasks=[
            job("fargate", 10, schedule="rate(1 minute)", duration="90s", launchType="FARGATE"),
            job("ec2", 10, schedule="rate(1 minute)", duration="90s", capacityProviderStrategy=[on()]),
        ],
        sampling={"costPerResource": True},
    )
    ran = run(written, tmp_path, checked=False)
    assert sum(count > 0 for count in finished_counts) > 1
    tasks = ran.tasks(launch_type="FARGATE")
    assert billed(ran, "ResourceId", ResourceType="Task") == pytest.approx(
        {(f"task/{task['task_id']}",): task["cost_usd"] for task in tasks if task["cost_usd"]}
    )
    of_ec2 = sum(task["cost_usd"] for task in ran.tasks(group="ec2"))
    rows = billed(ran, "x_Group", ServiceName="Amazon Elastic Compute Cloud")
    assert rows["ec2",] == pytest.approx(of_ec2)
    assert of_ec2 > 0
