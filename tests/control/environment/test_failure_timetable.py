"""Failures as whole runs: zone outages, shortages, Spot interruptions, task retirement, agent disconnects."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.harness import (
    DAY,
    HOUR,
    MINUTE,
    NODE,
    SECOND,
    Block,
    fargate_definition,
    job,
    on,
    provider,
    run,
    service,
    world,
)

AT_ONCE = {"cluster": {"fargateStartTime": 0}}
SPOT_NODE = {**NODE, "spotUsdPerHour": 0.1, "spotInterruption": 0.3}
UNAVAILABLE = (
    "Capacity is unavailable at this time. Please try again later or in a different availability zone"
)


def shortage(at: str, duration: str, **of: Any) -> Block:
    """One shortage, and no other interruption of Spot."""
    return {"spotInterruptions": "none", "capacityShortages": [{"at": at, "duration": duration, **of}]}


def fargate(failures: Block, **keys: Any) -> Block:
    """A scenario on Fargate alone, whose tasks run the instant they are placed."""
    keys = {"taskDefinitions": [fargate_definition()], **AT_ONCE, **keys}
    return world(capacityProviders=[], failures=failures, **keys)


def spot_group(count: int = 1, **keys: Any) -> Block:
    """A provider of Spot instances that register after 100 s."""
    group = {"purchaseOption": "spot", "launchTime": "100s", **keys}
    return {"capacityProviders": [provider(count=count, **group)], "instanceTypes": [SPOT_NODE]}


# --- Fargate Spot ------------------------------------------------------------------------------------------


@pytest.mark.golden(77)
@pytest.mark.parametrize(
    ("stop", "behavior", "lived", "exit_code"),
    [
        ({}, {"stopTime": "never"}, 30, 137),
        ({"stopTimeout": 120}, {"stopTime": "never"}, 120, 137),
        ({"stopTimeout": 120}, {"stopTime": "45s"}, 45, 143),
        ({}, {"stopTime": "45s"}, 30, 137),
    ],
    ids=["unset", "two minutes", "handled in time", "handled too late"],
)
def test_fargate_spot_kills_after_the_stop_timeout_not_after_the_notice(
    tmp_path: Path, stop: Block, behavior: Block, lived: int, exit_code: int
) -> None:
    """SIGTERM comes with the two-minute notice, SIGKILL after stopTimeout: 30 s unless it says more."""
    task = fargate_definition(container=stop, behavior=behavior)
    taken = shortage("10m", "30m", capacityProvider="FARGATE_SPOT", reclaim=True)
    entry = job(at="0s", capacityProviderStrategy=[on("FARGATE_SPOT")], duration="50m")
    (found,) = run(fargate(taken, taskDefinitions=[task], runTasks=[entry]), tmp_path).tasks()
    assert found["stopping_at"] == 10 * MINUTE
    assert found["stopped_at"] == 10 * MINUTE + lived * SECOND
    assert (found["exit_code"], found["stop_code"]) == (exit_code, "SpotInterruption")
    assert found["stopped_reason"] == "Your Spot Task was interrupted."


def test_an_interrupted_task_is_no_failure_and_is_retried_though_it_exits_with_0(tmp_path: Path) -> None:
    """Whatever its exit code after SIGTERM, its work is not done."""
    taken = shortage("10m", "5m", capacityProvider="FARGATE_SPOT", reclaim=True)
    polite = fargate_definition(behavior={"stopTime": "1s", "stopExitCode": 0})
    entry = job(at="0s", retries=9, capacityProviderStrategy=[on("FARGATE_SPOT")], duration="20m")
    ran = run(fargate(taken, taskDefinitions=[polite], runTasks=[entry]), tmp_path)
    first, *refused = ran.tasks()
    assert (first["exit_code"], first["stop_code"]) == (0, "SpotInterruption")
    assert {task["wait_reason"] for task in refused} == {UNAVAILABLE}
    assert ran.summary["tasks_failed"] == len(refused) == 9


def test_a_service_on_spot_waits_for_spot(tmp_path: Path) -> None:
    """Its only task is interrupted: it is down until capacity is back, and says why in ECS's words."""
    taken = shortage("10m", "20m", capacityProvider="FARGATE_SPOT", reclaim=True)
    web = service(capacityProviderStrategy=[on("FARGATE_SPOT")])
    ran = run(fargate(taken, services=[web]), tmp_path)
    first, second = ran.tasks()
    assert first["stopping_at"] == 10 * MINUTE
    assert second["created_at"] == second["started_at"] == 30 * MINUTE
    assert ran.messages("SERVICE_TASK_PLACEMENT_FAILURE") == [
        f"(service web) was unable to place a task. Reason: {UNAVAILABLE}."
    ]


def test_the_assumed_rate_of_fargate_spot_is_warned_of_once(tmp_path: Path) -> None:
    """Two users, one warning; with a rate of one's own, or without interruptions, none."""
    spot = [service(name, capacityProviderStrategy=[on("FARGATE_SPOT")]) for name in ("web", "api")]
    assumed = "AWS publishes no interruption rate of Fargate Spot: 7.5 % a month are assumed"
    for failures, count in (
        ({}, 1),
        ({"fargateSpotInterruptions": {"monthlyShare": 0.1}}, 0),
        ({"spotInterruptions": "none"}, 0),
        ({"spotInterruptions": {"timeToInterruption": "2d"}}, 0),
    ):
        ran = run(fargate(failures, services=spot, duration="5m"), tmp_path / str(count))
        assert sum(assumed in warning for warning in ran.scenario.warnings) == count


def test_time_to_interruption_holds_for_each_task(tmp_path: Path) -> None:
    """Every 20 minutes the task is taken back, and its successor starts at the notice."""
    web = service(capacityProviderStrategy=[on("FARGATE_SPOT")])
    ran = run(fargate({"fargateSpotInterruptions": {"timeToInterruption": "20m"}}, services=[web]), tmp_path)
    assert [task["created_at"] for task in ran.tasks()] == [0, 20 * MINUTE, 40 * MINUTE]
    assert len(ran.messages("SPOT_INTERRUPTION_WARNING")) == 2


# --- no capacity on Fargate --------------------------------------------------------------------------------


def test_fargate_goes_to_the_zones_that_have_capacity(tmp_path: Path) -> None:
    """While zone a has none, its share of the tasks goes to b and c; then two move (rebalancing) to 2/2/2."""
    lack = shortage("0s", "30m", capacityProvider="FARGATE", availabilityZone="us-east-1a")
    ran = run(fargate(lack, services=[service(count=6, launchType="FARGATE")]), tmp_path)
    early = [task for task in ran.tasks() if task["created_at"] < 30 * MINUTE]
    assert Counter(task["availability_zone"][-1] for task in early) == {"b": 3, "c": 3}
    left = Counter(task["availability_zone"][-1] for task in ran.tasks(last_status="RUNNING"))
    assert left == {"a": 2, "b": 2, "c": 2}


def test_spot_does_not_fall_back_to_on_demand(tmp_path: Path) -> None:
    """One to one, and no Spot: half of what is asked for runs; a service tries on, RunTask has failures."""
    both = {"capacityProviderStrategy": [on("FARGATE", 1), on("FARGATE_SPOT", 1)]}
    lack = shortage("0s", "30m", capacityProvider="FARGATE_SPOT")
    ran = run(fargate(lack, services=[service(count=10, **both)], runTasks=[job(count=10, **both)]), tmp_path)
    assert ran.running_at(29 * MINUTE, service="web") == 5
    assert ran.running_at(31 * MINUTE, service="web") == 10
    placed = Counter(task["capacity_provider"] for task in ran.tasks(service="web"))
    assert placed == {"FARGATE": 5, "FARGATE_SPOT": 5}
    jobs = ran.tasks(group="job")
    assert Counter((task["capacity_provider"], task["stop_code"]) for task in jobs) == {
        ("FARGATE", None): 5,
        ("FARGATE_SPOT", "TaskFailedToStart"): 5,
    }
    assert {task["stopped_reason"] for task in jobs if task["stop_code"]} == {
        f"TaskFailedToStart: {UNAVAILABLE}"
    }


def test_beyond_the_vcpu_quota_a_service_has_events_and_no_rows(tmp_path: Path) -> None:
    """One vCPU is four tasks of a quarter: the fifth is no row; when two are stopped for two others they fit."""
    fewer = {"at": "30m", "updateService": {"service": "first", "desiredCount": 2}}
    services = [service("first", 3, launchType="FARGATE"), service("second", 3, launchType="FARGATE")]
    cluster = {**AT_ONCE["cluster"], "fargateQuotaVcpu": 1}
    ran = run(fargate({}, services=services, actions=[fewer], cluster=cluster), tmp_path)
    assert len(ran.tasks()) == 5
    assert ran.running_at(29 * MINUTE, service="second") == 1
    assert ran.running_at(31 * MINUTE, service="second") == 2
    assert set(ran.messages("SERVICE_TASK_PLACEMENT_FAILURE")) == {
        "(service second) was unable to place a task. Reason: You've reached the limit on the number of vCPUs "
        "you can run concurrently."
    }
    assert ran.summary["tasks_failed"] == 0


# --- EC2 Spot ----------------------------------------------------------------------------------------------


def test_a_spot_instance_goes_two_minutes_after_its_notice(tmp_path: Path) -> None:
    """Neither the provider nor the agent drains it: the task ends with it."""
    failures = {"spotInterruptions": {"timeToInterruption": "20m"}}
    keys = spot_group()
    keys["capacityProviders"][0]["autoScalingGroupProvider"]["managedDraining"] = "DISABLED"
    ran = run(world(services=[service()], failures=failures, **keys), tmp_path)
    first, second, *_ = ran.instances()
    assert (first["terminated_at"], first["termination_reason"]) == (22 * MINUTE, "Spot interruption")
    assert first["draining_at"] is None
    assert second["launched_at"] == 22 * MINUTE
    task = ran.tasks()[0]
    assert (task["stopped_at"], task["stop_code"]) == (22 * MINUTE, "SpotInterruption")
    assert task["stopped_reason"].startswith("Host EC2 (instance i-")
    warning, *_ = ran.rows("events", kind="SPOT_INTERRUPTION_WARNING")
    assert (warning["time"], warning["container_instance_id"]) == (20 * MINUTE, 1)


def test_with_spot_instance_draining_tasks_move_within_the_notice(tmp_path: Path) -> None:
    """The agent is configured to drain: the task is replaced on the other one before its own goes."""
    taken = shortage("20m", "1h", instanceType="test.node", availabilityZone="us-east-1a", reclaim=True)
    keys = spot_group(3, ecsConfig={"ECS_ENABLE_SPOT_INSTANCE_DRAINING": "true"})
    keys["capacityProviders"][0]["autoScalingGroupProvider"]["managedDraining"] = "DISABLED"
    ran = run(world(services=[service(count=3)], failures=taken, **keys), tmp_path)
    (gone,) = [each for each in ran.instances() if each["availability_zone"] == "us-east-1a"]
    assert (gone["draining_at"], gone["terminated_at"]) == (20 * MINUTE, 22 * MINUTE)
    assert all(ran.running_at(instant) >= 3 for instant in range(MINUTE, 30 * MINUTE, 1000))


@pytest.mark.parametrize(("pool_share", "tolerance"), [(0.0, 0.1), (0.6, 0.25)])
def test_the_share_lost_in_a_month_becomes_a_rate(
    tmp_path: Path, pool_share: float, tolerance: float
) -> None:
    """30 % a month are 0.357 interruptions an instance and month, singly or in events of the pool.

    200 instances (each replaced at once) for 90 days: 214 interruptions.
    """
    failures = {"spotInterruptions": {"poolShare": pool_share, "poolFraction": 0.1}}
    keys = spot_group(200, launchTime=0, most=200)
    written = world(
        duration="90d", services=[service(count=0)], failures=failures, sampling={"interval": "1d"}, **keys
    )
    ran = run(written, tmp_path, checked=False)
    lost = [each for each in ran.instances() if each["termination_reason"] == "Spot interruption"]
    assert len(lost) == pytest.approx(214, rel=tolerance)
    together = Counter((each["terminated_at"], each["availability_zone"]) for each in lost)
    shared = sum(count for count in together.values() if count > 1)
    assert (shared == 0) if pool_share == 0 else (shared / len(lost) > 0.3)


def test_a_type_without_a_published_rate_is_reported_as_never_interrupted(tmp_path: Path) -> None:
    """No interruption rate of `test.node` is published: the run warns, and says how to set one."""
    keys = spot_group()
    keys["instanceTypes"] = [{**NODE, "spotUsdPerHour": 0.1}]
    (warning,) = run(world(services=[service()], **keys), tmp_path).scenario.warnings
    assert "test.node" in warning
    assert "spotInterruption" in warning


def test_two_designs_meet_the_same_events_of_a_pool(tmp_path: Path) -> None:
    """The timetable of a pool is a function of the seed and its name, not of the instances in it."""
    failures = {"spotInterruptions": {"monthlyShare": 0.9, "poolShare": 1, "poolFraction": 1}}
    instants = []
    for number, count in enumerate((3, 6)):
        written = world(duration="20d", services=[service(count=0)], failures=failures, **spot_group(count))
        rows = run(written, tmp_path / str(number), checked=False).rows(
            "events", kind="SPOT_INTERRUPTION_WARNING"
        )
        instants.append(sorted({row["time"] for row in rows}))
    assert instants[0] == instants[1]
    assert len(instants[0]) > 2


# --- zones -------------------------------------------------------------------------------------------------

OUT = {"zoneOutages": [{"availabilityZone": "us-east-1a", "at": "10m", "duration": "20m"}]}


def test_a_zone_outage_takes_instances_and_keeps_new_ones_away(tmp_path: Path) -> None:
    """The instance in zone a is lost with its task; the group launches in another zone, the service starts anew."""
    keys = {"capacityProviders": [provider(count=3, launchTime="100s")]}
    ran = run(world(services=[service(count=3)], failures=OUT, **keys), tmp_path)
    (lost,) = [each for each in ran.instances() if each["termination_reason"] == "zone outage"]
    assert (lost["availability_zone"], lost["terminated_at"]) == ("us-east-1a", 10 * MINUTE)
    launched = [each for each in ran.instances() if 0 < each["launched_at"] < 30 * MINUTE]
    assert [(each["launched_at"], each["availability_zone"]) for each in launched] == [
        (10 * MINUTE, "us-east-1b")
    ]
    (task,) = [task for task in ran.tasks() if task["stopped_at"] == 10 * MINUTE]
    assert task["stopped_reason"].startswith("Host EC2 (instance i-")
    assert ran.running_at(11 * MINUTE) == 3
    kinds = [row["kind"] for row in ran.rows("events") if row["kind"].startswith("ZONE")]
    assert kinds == ["ZONE_OUTAGE_STARTED", "ZONE_OUTAGE_ENDED"]


def test_a_zone_outage_takes_fargate_tasks(tmp_path: Path) -> None:
    """Two of six are lost and start again in the other zones at once."""
    ran = run(fargate(OUT, services=[service(count=6, launchType="FARGATE")]), tmp_path)
    lost = [task for task in ran.tasks() if task["stopped_at"] == 10 * MINUTE]
    assert [task["availability_zone"] for task in lost] == ["us-east-1a"] * 2
    assert {task["stopped_reason"] for task in lost} == {"The Availability Zone of the task is impaired"}
    again = [task for task in ran.tasks() if task["created_at"] == 10 * MINUTE]
    assert sorted(task["availability_zone"][-1] for task in again) == ["b", "c"]
    assert ran.summary["tasks_failed"] == 0


def test_a_fargate_zone_that_is_back_is_used_at_once(tmp_path: Path) -> None:
    """Two of six run again in b and c, 3/3; when a is there again two of them move back, without waiting for the next
    try (every five minutes from 10 min on, so at 30 min too; the outage ends at 32)."""
    out = {"zoneOutages": [{"availabilityZone": "us-east-1a", "at": "10m", "duration": "22m"}]}
    ran = run(fargate(out, services=[service(count=6, launchType="FARGATE")]), tmp_path)
    back = [task["created_at"] for task in ran.tasks() if task["created_at"] > 11 * MINUTE]
    assert len(back) == 2
    assert back[0] == 32 * MINUTE
    left = Counter(task["availability_zone"][-1] for task in ran.tasks(last_status="RUNNING"))
    assert left == {"a": 2, "b": 2, "c": 2}


# --- retirement --------------------------------------------------------------------------------------------


def test_fargate_retires_a_service_task_start_first_and_stops_a_standalone_one(tmp_path: Path) -> None:
    """20 minutes after its placement: the service's successor is healthy (40 s) before the task goes."""
    retired = {"fargateTaskRetirement": {"timeToRetirement": "20m"}}
    entry = job(at="0s", launchType="FARGATE", duration="50m")
    written = fargate(retired, services=[service(launchType="FARGATE")], runTasks=[entry], duration="30m")
    ran = run(written, tmp_path)
    first, second = ran.tasks(service="web")
    assert second["created_at"] == 20 * MINUTE
    assert first["stopping_at"] == second["healthy_at"] == 20 * MINUTE + 40 * SECOND
    (alone,) = ran.tasks(group="job")
    assert alone["stopping_at"] == 20 * MINUTE
    words = "ECS is performing maintenance on the underlying infrastructure hosting the task"
    assert first["stopped_reason"] == alone["stopped_reason"] == words
    assert len(ran.messages("TASK_RETIREMENT")) == 2


# --- agents ------------------------------------------------------------------------------------------------


def test_a_disconnected_agent_takes_no_task_and_loses_none(tmp_path: Path) -> None:
    """From minute 10 to 15 the only instance is unreachable: running tasks go on, new ones are refused."""
    away = {"agentDisconnects": {"timeToDisconnect": "10m", "duration": "5m"}}
    more = {"at": "12m", "updateService": {"service": "web", "desiredCount": 2}}
    late = job(at="12m", launchType="EC2", duration="1m")
    waits = job("waits", at="12m", duration="1m")
    written = world(
        services=[service(launchType="EC2")], runTasks=[late, waits], actions=[more], failures=away
    )
    ran = run({**written, "duration": "20m"}, tmp_path)
    first, second = ran.tasks(service="web")
    assert first["stopped_at"] is None
    assert 15 * MINUTE <= second["created_at"] <= 15 * MINUTE + 10 * SECOND
    (refused,) = ran.tasks(group="job")
    assert (refused["wait_reason"], refused["stop_code"]) == ("AGENT", "TaskFailedToStart")
    (waiting,) = ran.tasks(group="waits")
    assert (waiting["wait_reason"], waiting["placed_at"]) == ("AGENT", 15 * MINUTE)
    assert ran.messages("SERVICE_TASK_PLACEMENT_FAILURE")[0].endswith('encountered error "AGENT".')
    kinds = [row["kind"] for row in ran.rows("events") if row["kind"].startswith("AGENT")]
    assert kinds == ["AGENT_DISCONNECTED", "AGENT_CONNECTED"]


def test_every_disconnect_has_a_random_duration_of_its_own(tmp_path: Path) -> None:
    """A month of an hour's connection and a random disconnect: no two disconnects are equally long."""
    away = {"timeToDisconnect": "1h", "duration": {"distribution": "exponential", "mean": "10m"}}
    written = world(duration="1d", services=[service()], failures={"agentDisconnects": away})
    rows = run(written, tmp_path, checked=False).rows("events")
    lost = [row["time"] for row in rows if row["kind"] == "AGENT_DISCONNECTED"]
    back = [row["time"] for row in rows if row["kind"] == "AGENT_CONNECTED"]
    durations = [end - begin for begin, end in zip(lost, back, strict=False)]
    assert len(durations) > 15
    assert len(set(durations)) == len(durations)
    assert lost[0] == HOUR < DAY
