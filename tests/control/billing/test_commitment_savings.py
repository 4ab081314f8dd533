"""What commitments save a task: the hours in which it ran, each with its own coverage."""

from __future__ import annotations

from pathlib import Path

import pytest

from clustersim.world.build import build_world as populate
from tests.harness import MINUTE, Block, fargate_definition, job, provider, run, world

ONE_RESERVED = {
    "ebsUsdPerGibMonth": 0,
    "reservedInstances": [{"instanceType": "test.node", "count": 1, "usdPerHour": 0.12}],
}


def instances_for(minutes: int) -> Block:
    """An instance for tasks, and one without any, which is there for the first minutes only."""
    resize = {"setDesiredCapacity": {"autoScalingGroupName": "more", "desiredCapacity": 0}}
    groups = [provider(count=1), provider("more", count=1, most=1)]
    return {"capacityProviders": groups, "actions": [{"at": f"{minutes}m", **resize}]}


def test_a_task_saves_what_is_covered_in_each_of_its_hours(tmp_path: Path) -> None:
    """An eighth of an instance for 2 h: in the first two run and half is covered, 0.18 + 0.06; then all, 0.12."""
    entry = job(at="0s", duration="2h")
    written = world(
        duration="2h",
        runTasks=[entry],
        pricing=ONE_RESERVED,
        **instances_for(60),
        sampling={"costPeriod": "1d"},
    )
    ran = run(written, tmp_path)
    assert ran.tasks()[0]["cost_usd"] == pytest.approx((0.24 + 0.12) / 8)
    assert [row["cost_usd"] for row in ran.instances()] == pytest.approx([0.24 + 0.12, 0.24])


def test_a_task_that_ended_in_an_open_hour_waits_for_its_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its buffer is emptied every few tasks; how much of the hour is covered is known at its end only."""
    monkeypatch.setattr(populate, "CHUNK_ROWS", 10)
    entry = job(count=3, schedule="rate(2 minutes)", duration="1m")
    written = world(duration="90m", runTasks=[entry], pricing=ONE_RESERVED, **instances_for(30))
    ran = run(written, tmp_path, checked=False)
    tasks = ran.tasks()
    assert len(tasks) > 100
    ended = [task for task in tasks if task["stopped_at"] is not None]
    first_hour, second_half_hour = (0.12 + 0.36 * 0.5) / 1.5, 0.06 / 0.5  # USD per instance-hour
    used = {True: first_hour, False: second_half_hour}
    for task in ended:
        first = task["stopped_at"] <= 60 * MINUTE
        assert task["cost_usd"] == pytest.approx(used[first] / 8 / 60, rel=1e-6)


def test_rounding_up_is_saved_in_the_hour_of_the_end(tmp_path: Path) -> None:
    """A Fargate task of 20 s is billed 60 s, all of it covered by the plan at 20 % off."""
    written = world(
        capacityProviders=[],
        taskDefinitions=[fargate_definition(cpu=1024, memory=2048)],
        runTasks=[job(at="10m", duration="20s", launchType="FARGATE")],
        cluster={"fargateStartTime": 0},
        pricing={
            "fargate": {"vcpuUsdPerHour": 0.04, "gbUsdPerHour": 0.004},
            "savingsPlan": {"usdPerHour": 1, "discount": {"fargate": 0.2}},
        },
    )
    (task,) = run(written, tmp_path).tasks()
    assert task["cost_usd"] == pytest.approx(0.8 * (0.04 + 2 * 0.004) / 60)
