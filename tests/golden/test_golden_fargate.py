"""Worked examples of Fargate, as whole runs: the launch rate and the bill."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Block, FinishedRun, fargate_definition, job, run, service, world

ON_FARGATE = {"launchType": "FARGATE"}
INSTANTLY = {"fargateStartTime": 0}  # so that a task is billed for just its duration


def fargate(duration: str, *definitions: Block, **keys: Any) -> Block:
    """A scenario without instances."""
    keys = {"cluster": INSTANTLY, "sampling": {"interval": "1d"}, **keys}
    return world(duration=duration, capacityProviders=[], taskDefinitions=list(definitions), **keys)


def usage(ran: FinishedRun, unit: str) -> float:
    """USD billed under one kind of SKU."""
    return sum(row["BilledCost"] for row in ran.rows("costs") if unit in row["SkuId"])


@pytest.mark.golden(67)
def test_burst_of_100_then_20_per_second(tmp_path: Path) -> None:
    """300 tasks at once: the bucket holds 100 and gains 20 a second, so the last is accepted after 200 / 20 s."""
    written = fargate("10m", fargate_definition(), runTasks=[job(count=300, at="0s", **ON_FARGATE)])
    placed = sorted(task["placed_at"] for task in run(written, tmp_path).tasks())
    assert placed[:100] == [0] * 100
    assert placed[100] == 50  # the first one that waits: a twentieth of a second
    assert placed[-1] == 10_000
    per_second = Counter((at - 1) // 1_000 for at in placed[100:])
    assert set(per_second.values()) == {20}


@pytest.mark.golden(68)
def test_service_of_1000_takes_two_minutes(tmp_path: Path) -> None:
    """A service launches 500 tasks a minute (AWS quota), so 1,000 take two minutes."""
    written = fargate("10m", fargate_definition(), services=[service(count=1000, **ON_FARGATE)])
    ran = run(written, tmp_path)
    assert ran.states() == {"RUNNING": 1000}
    created = sorted(task["created_at"] for task in ran.tasks())
    assert sum(at < 60_000 for at in created) <= 501
    assert max(task["started_at"] for task in ran.tasks()) == 2 * 60_000


@pytest.mark.golden(68)
@pytest.mark.compiled
def test_ten_services_start_ten_times_as_fast(tmp_path: Path) -> None:
    """Each service has its own rate: ten services of 100 start much faster than one of 1,000."""
    services = [service(f"web-{n}", 100, **ON_FARGATE) for n in range(10)]
    ran = run(fargate("10m", fargate_definition(), services=services), tmp_path)
    assert ran.states() == {"RUNNING": 1000}
    last = max(task["started_at"] for task in ran.tasks())
    assert last < 60_000  # (1,000 - 100) / 20 per second: only the launch rate of the account remains


@pytest.mark.golden(69)
def test_five_tasks_of_ten_minutes_a_day(tmp_path: Path) -> None:
    """AWS's example: 5 x 1 vCPU x 1/6 h x 30 d = 25 vCPU-hours and 50 GB-hours: 1.012 + 0.222 = 1.234 USD."""
    daily = job(count=5, schedule="cron(0 3 * * ? *)", duration="10m", **ON_FARGATE)
    ran = run(fargate("30d", fargate_definition(cpu=1024, memory=2048), runTasks=[daily]), tmp_path)
    assert ran.summary["fargate_vcpu_hours"] == pytest.approx(25)
    assert ran.summary["fargate_gb_hours"] == pytest.approx(50)
    assert usage(ran, "vCPU") == pytest.approx(1.012)
    assert usage(ran, "GB-Hours") == pytest.approx(0.22225)
    assert ran.summary["cost_usd"] == pytest.approx(1.23425)
    assert {row["x_Group"] for row in ran.rows("costs")} == {"job"}


@pytest.mark.golden(70)
def test_ten_tasks_of_an_hour_a_day(tmp_path: Path) -> None:
    """AWS's example: 10 x 0.25 vCPU x 1 h x 30 d = 75 vCPU-hours and 300 GB-hours: 3.036 + 1.334 = 4.37 USD."""
    daily = job(count=10, schedule="cron(0 3 * * ? *)", duration="1h", **ON_FARGATE)
    ran = run(fargate("30d", fargate_definition(cpu=256, memory=1024), runTasks=[daily]), tmp_path)
    assert usage(ran, "vCPU") == pytest.approx(3.036)
    assert usage(ran, "GB-Hours") == pytest.approx(1.3335)
    assert ran.summary["run_tasks"]["job"]["cost_usd"] == pytest.approx(4.3695)


@pytest.mark.golden(71)
@pytest.mark.parametrize(
    ("definition", "duration", "usd"),
    [
        (fargate_definition(cpu=256, memory=512), "20s", 0.000206),  # a minute at least
        (fargate_definition(cpu=256, memory=512), "1m", 0.000206),
        (fargate_definition(cpu=1024, memory=2048), "1h", 0.04937),
        (
            fargate_definition(cpu=1024, memory=2048, runtimePlatform={"cpuArchitecture": "ARM64"}),
            "1h",
            0.0395,
        ),
        (fargate_definition(cpu=1024, memory=4096), "730h", 42.53),
        (fargate_definition(cpu=1024, memory=2048), "730h", 36.04),
        (
            fargate_definition(cpu=1024, memory=2048, ephemeralStorage={"sizeInGiB": 50}),
            "1h",
            0.04937 + 0.00333,
        ),
    ],
    ids=["20 s", "1 min", "1 h", "1 h ARM", "730 h of 4 GB", "730 h of 2 GB", "50 GB of storage"],
)
def test_bill_of_one_task(tmp_path: Path, definition: Block, duration: str, usd: float) -> None:
    """us-east-1: 0.04048 a vCPU-hour, 0.004445 a GB-hour (ARM 0.03238, 0.00356), 0.000111 a GB-hour over 20 GB.

    Billed by the second, a minute at least; `costs`, `tasks` and the summary say the same.
    """
    ran = run(fargate("731h", definition, runTasks=[job(at="1h", duration=duration, **ON_FARGATE)]), tmp_path)
    (task,) = ran.tasks()
    assert task["cost_usd"] == pytest.approx(usd, rel=0.002)
    assert sum(row["BilledCost"] for row in ran.rows("costs")) == pytest.approx(task["cost_usd"])
    assert ran.summary["cost_usd"] == pytest.approx(task["cost_usd"])
    assert ran.summary["cost_usd_idle"] == pytest.approx(0, abs=1e-12)
