"""Worked examples of Service Auto Scaling, as whole runs: from the load to the desired count.

Ten tasks of one vCPU, requests of 60 ms: at R requests a second the CPU is at R * 0.6 percent, and each
task receives R * 6 requests a minute.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.harness import MINUTE, Block, FinishedRun, definition, run, service, world


def tracking(name: str, metric: str, target: float) -> Block:
    """A target tracking policy with AWS's defaults."""
    return {
        "policyName": name,
        "policyType": "TargetTrackingScaling",
        "targetTrackingScalingPolicyConfiguration": {
            "targetValue": target,
            "predefinedMetricSpecification": {"predefinedMetricType": metric},
        },
    }


def cpu(target: float) -> Block:
    return tracking("cpu", "ECSServiceAverageCPUUtilization", target)


def requests(target: float) -> Block:
    return tracking("requests", "ALBRequestCountPerTarget", target)


def scaled(directory: Path, load: Any, *policies: Block, duration: str = "1h") -> FinishedRun:
    """Ten running tasks under a load, with policies."""
    web = service(
        count=10,
        autoScaling={"minCapacity": 1, "maxCapacity": 40, "policies": list(policies)},
        load={"requestsPerSecond": load, "cpuTimePerRequest": "60ms"},
    )
    written = world(
        nodes=10,
        duration=duration,
        initialState="running",
        taskDefinitions=[definition(cpu=1024, memory=1024)],
        services=[web],
    )
    return run(written, directory)


def spiked(directory: Path, minutes: int) -> Block:
    """45 % CPU, but 90 % from minute 20 on, for `minutes` minutes."""
    directory.mkdir(parents=True, exist_ok=True)
    rates = [150 if 20 <= minute < 20 + minutes else 75 for minute in range(60)]
    (directory / "spike.csv").write_text("requests\n" + "".join(f"{rate * 60}\n" for rate in rates))
    return {"trace": "spike.csv", "column": "requests", "interval": "60s"}


@pytest.mark.golden(58)
@pytest.mark.parametrize(
    ("rate", "counts"),
    [(46 / 0.6, []), (40 / 0.6, [(10, 8)])],
    ids=["46 %: above 0.9 of the target", "40 %: below it"],
)
def test_scale_in_begins_below_nine_tenths_of_the_target(
    tmp_path: Path, rate: float, counts: list[tuple[int, int]]
) -> None:
    """Target 50: AlarmLow is at 45: 46 % for an hour changes nothing; 40 % with 10 tasks scales in to 8."""
    ran = scaled(tmp_path, rate, cpu(50))
    activities = ran.rows("scaling_activities")
    assert [(a["from_count"], a["to_count"]) for a in activities] == counts
    assert all(a["time"] >= 15 * MINUTE for a in activities), "15 datapoints of a minute"
    assert ran.running_at(59 * MINUTE) == (8 if counts else 10)


@pytest.mark.golden(59)
def test_spike_of_two_minutes_does_not_scale_out(tmp_path: Path) -> None:
    """AlarmHigh needs three datapoints of a minute: two above the target are not enough."""
    assert scaled(tmp_path, spiked(tmp_path, minutes=2), cpu(50)).rows("scaling_activities") == []


@pytest.mark.golden(59)
def test_spike_of_three_minutes_scales_out(tmp_path: Path) -> None:
    """90 % of a target of 50 for three minutes: 10 tasks become 18 (golden 56) after the third."""
    ran = scaled(tmp_path, spiked(tmp_path, minutes=3), cpu(50))
    first = ran.rows("scaling_activities")[0]
    assert (first["time"], first["from_count"], first["to_count"]) == (23 * MINUTE, 10, 18)
    assert first["metric_value"] == pytest.approx(90)


@pytest.mark.golden(60)
def test_the_larger_of_two_capacities_applies(tmp_path: Path) -> None:
    """60 % CPU of a target of 50 gives 12, 600 requests a minute of a target of 400 give 15: 15 applies."""
    ran = scaled(tmp_path, 100, cpu(50), requests(400), duration="10m")
    first = ran.rows("scaling_activities")[0]
    assert (first["from_count"], first["to_count"], first["policy"]) == (10, 15, "requests")


@pytest.mark.golden(60)
def test_scale_in_needs_every_policy(tmp_path: Path) -> None:
    """40 % CPU of a target of 50 gives 8, 400 requests of a target of 420 give no change: nothing scales in."""
    together = scaled(tmp_path / "both", 40 / 0.6, cpu(50), requests(420))
    assert together.rows("scaling_activities") == []
    alone = scaled(tmp_path / "alone", 40 / 0.6, cpu(50))
    assert [row["to_count"] for row in alone.rows("scaling_activities")] == [8]
