"""Worked examples of commitments, as whole runs: clock hours, broken hours, effective cost, Savings Plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clustersim.errors import ScenarioError
from tests.harness import (
    MINUTE,
    Block,
    FinishedRun,
    definition,
    fargate_definition,
    job,
    on,
    provider,
    run,
    service,
    world,
)

P, R = 0.20, 0.12
"""Of an m4.xlarge: on demand, and as a Reserved Instance, USD per hour."""


def at(clock: str) -> str:
    return f"2026-06-01T{clock}:00Z"


def four_instances(first: int, last: int) -> Block:
    """Four m4.xlarge from minute `first` of the run to minute `last`, without anything that runs on them."""
    group = provider(count=4 if first == 0 else 0, kind="m4.xlarge", most=4)
    sizes = [(first, 4)] if first else []
    sizes += [(last, 0)]
    resize = [
        {"at": f"{minute}m", "setDesiredCapacity": {"autoScalingGroupName": "nodes", "desiredCapacity": size}}
        for minute, size in sizes
    ]
    return {"capacityProviders": [group], "actions": resize}


def bill(directory: Path, start: str, duration: str, period: str, **keys: Any) -> FinishedRun:
    """The bill of a run in which only instances cost money, with one Reserved Instance."""
    pricing = {
        "ebsUsdPerGibMonth": 0,
        "reservedInstances": [{"instanceType": "m4.xlarge", "count": 1, "usdPerHour": R}],
    }
    written = world(
        start=at(start),
        duration=duration,
        instanceTypes=[{"name": "m4.xlarge", "usdPerHour": P}],
        services=[service(count=0)],
        sampling={"costPeriod": period},
        **{"pricing": pricing, **keys},
    )
    ran = run(written, directory)
    parts = [ran.summary[f"cost_usd_{part}"] for part in ("idle", "commitment_unused", "shared")]
    payers = sum(payer["cost_usd"] for payer in ran.summary["services"].values())
    assert sum(parts) + payers == pytest.approx(ran.summary["cost_usd"])
    assert min(parts) >= 0
    return ran


CLOCK_HOURS = {
    "an hour with one instance-hour": (*("10:00", "1h"), (0, 15), R),
    "an hour with four": (*("10:00", "1h"), (0, 60), R + 3 * P),
    "three hours from nine": (*("09:00", "3h"), (60, 75), 3 * R),
    "three hours from 9:17": (*("09:17", "3h"), (43, 58), 3 * R),
    "three hours from 9:30": (*("09:30", "3h"), (30, 45), 3 * R),
    "two half hours": (*("09:00", "4h"), (90, 150), 4 * R + 2 * P),
}


@pytest.mark.golden(105)
@pytest.mark.parametrize("period", ["1d", "1h", "15m"])
@pytest.mark.parametrize("name", CLOCK_HOURS)
def test_commitments_are_settled_by_clock_hours(tmp_path: Path, name: str, period: str) -> None:
    """Whatever the rows of the report are, hours are those of the clock, also in a run that begins within one."""
    start, duration, (first, last), usd = CLOCK_HOURS[name]
    ran = bill(tmp_path, start, duration, period, **four_instances(first, last))
    lives = [(row["launched_at"], row["terminated_at"]) for row in ran.instances()]
    end = None if last == 60 else last * MINUTE  # the run is over at 60
    assert lives == [(first * MINUTE, end)] * 4
    assert ran.summary["cost_usd"] == pytest.approx(usd)


@pytest.mark.golden(106)
def test_a_broken_hour_counts_for_its_part(tmp_path: Path) -> None:
    """90 minutes of a plan at 10 USD an hour are 15 USD, of four Reserved Instances at 0.06 another 0.36."""
    pricing = {
        "savingsPlan": {"usdPerHour": 10, "discount": {"ec2": 0.28}},
        "reservedInstances": [{"instanceType": "m4.xlarge", "count": 4, "usdPerHour": 0.06}],
    }
    ran = bill(
        tmp_path,
        "10:00",
        "90m",
        "1d",
        pricing=pricing,
        capacityProviders=[provider(count=0, kind="m4.xlarge", most=4)],
    )
    assert ran.summary["cost_usd"] == pytest.approx(15 + 0.36)
    assert ran.summary["cost_usd_commitment_unused"] == pytest.approx(15 + 0.36)
    fees = {
        row["CommitmentDiscountId"]: row["BilledCost"] for row in ran.rows("costs", ChargeCategory="Purchase")
    }
    assert fees == pytest.approx({"savings-plan/1": 15.0, "reserved-instances/1": 0.36})


@pytest.mark.golden(107)
def test_what_a_service_costs_is_effective_cost(tmp_path: Path) -> None:
    """A task fills an m6i.2xlarge (0.384), half of it with a plan: 10 h x 0.192 = 1.92 USD, all of it the service's."""
    written = world(
        duration="10h",
        initialState="running",
        instanceTypes=[{"name": "m6i.2xlarge", "usdPerHour": 0.384, "registeredMemoryMiB": 32_000}],
        capacityProviders=[provider(count=1, kind="m6i.2xlarge")],
        taskDefinitions=[definition(cpu=8 * 1024, memory=32_000)],
        services=[service()],
        pricing={
            "ebsUsdPerGibMonth": 0,
            "savingsPlan": {"usdPerHour": 0.192, "discount": {"ec2": 0.5}},
        },
    )
    ran = run(written, tmp_path)
    assert ran.summary["cost_usd"] == pytest.approx(1.92)
    assert ran.summary["services"]["web"]["cost_usd"] == pytest.approx(1.92)
    assert ran.summary["services"]["web"]["compute_cost_usd"] == pytest.approx(1.92)
    assert ran.summary["cost_usd_idle"] == 0
    assert ran.summary["cost_usd_commitment_unused"] == 0
    assert [row["cost_usd"] for row in ran.tasks()] == pytest.approx([1.92])
    assert [row["cost_usd"] for row in ran.instances()] == pytest.approx([1.92])


def guide_example(directory: Path, plan: float, reserved: int = 0) -> FinishedRun:
    """An hour of four r5.4xlarge and of 400 vCPU and 1,600 GB on Fargate (25 tasks), as in the Savings Plans guide."""
    written = world(
        duration="1h",
        initialState="running",
        instanceTypes=[{"name": "r5.4xlarge", "usdPerHour": 1.00}],
        capacityProviders=[provider(count=4, kind="r5.4xlarge")],
        taskDefinitions=[fargate_definition(cpu=16 * 1024, memory=64 * 1024)],
        services=[service(count=25, launchType="FARGATE")],
        pricing={
            "ebsUsdPerGibMonth": 0,
            "fargate": {"vcpuUsdPerHour": 0.04, "gbUsdPerHour": 0.004},
            "savingsPlan": {"usdPerHour": plan, "discount": {"ec2": 0.30, "fargate": 0.25}},
            "reservedInstances": [{"instanceType": "r5.4xlarge", "count": reserved, "usdPerHour": 0.6}]
            if reserved
            else [],
        },
    )
    return run(written, directory)


def on_demand(ran: FinishedRun, service_name: str) -> tuple[float, float]:
    """Quantity and USD of uncovered usage of a kind of resource."""
    rows = ran.rows("costs", ResourceType=service_name, PricingCategory="Standard")
    return sum(row["PricingQuantity"] for row in rows), sum(row["BilledCost"] for row in rows)


@pytest.mark.golden(108)
def test_a_small_plan_covers_where_it_saves_most(tmp_path: Path) -> None:
    """2.00 USD at 0.70 cover 2.857 of four instance-hours; EC2 saves 30 %, Fargate 25 %."""
    ran = guide_example(tmp_path, 2.00)
    hours, usd = on_demand(ran, "Instance")
    assert hours == pytest.approx(1.142857, abs=1e-6)
    assert usd == pytest.approx(1.142857, abs=1e-6)
    assert on_demand(ran, "Task")[1] == pytest.approx(22.40)
    assert ran.summary["cost_usd"] == pytest.approx(2.00 + 1.142857 + 22.40)


@pytest.mark.golden(108)
@pytest.mark.parametrize(("plan", "reserved"), [(19.60, 0), (18.20, 2)])
def test_a_plan_that_covers_all_leaves_nothing(tmp_path: Path, plan: float, reserved: int) -> None:
    """4 x 0.70 + 400 x 0.03 + 1,600 x 0.003 = 19.60; two Reserved Instances take 1.40 of it."""
    ran = guide_example(tmp_path, plan, reserved)
    assert on_demand(ran, "Instance") == (0, 0)
    assert on_demand(ran, "Task") == (0, 0)
    assert ran.summary["cost_usd"] == pytest.approx(plan + reserved * 0.6)
    assert ran.summary["cost_usd_commitment_unused"] == pytest.approx(0, abs=1e-9)


def test_a_plan_without_a_discount_is_an_error(tmp_path: Path) -> None:
    """It would cover usage at the on-demand price: the message names the key that is missing."""
    with pytest.raises(ScenarioError, match="a Savings Plan without a discount saves nothing"):
        run(world(services=[service()], pricing={"savingsPlan": {"usdPerHour": 1}}), tmp_path)


def test_focus_rows_of_a_commitment_close(tmp_path: Path) -> None:
    """Per commitment the EffectiveCost of usage is the BilledCost of purchases, which have no effective cost."""
    written = world(
        start=at("10:10"),
        duration="2h",
        nodes=1,
        services=[service("web", 2)],
        runTasks=[job(count=2, at="20m", duration="30m", capacityProviderStrategy=[on()])],
        sampling={"costPeriod": "25m"},
        pricing={
            "savingsPlan": {"usdPerHour": 0.5, "discount": {"ec2": 0.28}},
            "reservedInstances": [{"instanceType": "m4.xlarge", "count": 1, "usdPerHour": 0.06}],
        },
    )
    costs = run(written, tmp_path).rows("costs")
    for number in ("savings-plan/1", "reserved-instances/1"):
        rows = [row for row in costs if row["CommitmentDiscountId"] == number]
        bought = [row for row in rows if row["ChargeCategory"] == "Purchase"]
        used = [row for row in rows if row["ChargeCategory"] == "Usage"]
        assert len(bought) == 5  # of 25 minutes each, the last one of 20
        assert sum(row["EffectiveCost"] for row in used) == pytest.approx(
            sum(row["BilledCost"] for row in bought)
        )
        assert {row["EffectiveCost"] for row in bought} == {0}
        assert {(row["PricingCategory"], row["CommitmentDiscountStatus"]) for row in bought} == {
            ("Standard", None)
        }
        assert {row["BilledCost"] for row in used} == {0}
        assert {row["PricingCategory"] for row in used} == {"Committed"}
    assert {row["CommitmentDiscountStatus"] for row in costs} == {None, "Used", "Unused"}
    unused = [row for row in costs if row["CommitmentDiscountStatus"] == "Unused"]
    assert {(row["x_Group"], row["x_Service"], row["x_Share"]) for row in unused} == {
        (None, None, "commitment")
    }
