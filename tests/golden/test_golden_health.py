"""Worked examples of health and of zone rebalancing, as whole runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.harness import (
    MINUTE,
    SECOND,
    Block,
    FinishedRun,
    definition,
    fargate_definition,
    job,
    provider,
    run,
    service,
    world,
)

SOON = {"command": ["CMD-SHELL", "true"], "interval": 10, "retries": 2}
LATE = {"command": ["CMD-SHELL", "true"], "interval": 300}

# Health checks and behaviors of a container that is UNHEALTHY, UNKNOWN or HEALTHY after a minute.
KINDS: dict[str, tuple[Block, Block]] = {
    "U": (SOON, {"readyTime": "never"}),
    "?": (LATE, {}),
    "H": (SOON, {"readyTime": "0s"}),
}
HEALTH = {"U": "UNHEALTHY", "?": "UNKNOWN", "H": "HEALTHY"}


def checked_containers(kinds: str, **more: Any) -> Block:
    """A task definition with an essential container of each of `kinds`."""
    containers, behaviors = [], {}
    for number, kind in enumerate(kinds):
        check, life = KINDS[kind]
        containers.append(
            {"name": f"c{number}", "image": "x", "cpu": 128, "memory": 128, "healthCheck": check}
        )
        behaviors[f"c{number}"] = life
    app = definition(behavior={"containers": behaviors}, **more)
    app["containerDefinitions"] = containers
    return app


@pytest.mark.golden(22)
@pytest.mark.parametrize(
    ("containers", "task"),
    [
        *(("U?", "U"), ("UH", "U"), ("H?", "?"), ("HH", "H")),
        *(("U??", "U"), ("U?H", "U"), ("UHH", "U"), ("H?H", "?"), ("H??", "?"), ("HHH", "H")),
    ],
)
def test_one_unhealthy_container_makes_the_task_unhealthy(containers: str, task: str, tmp_path: Path) -> None:
    """botocore, HealthCheck: unhealthy if one essential container is; else unknown if one is; else healthy."""
    for order in (containers, containers[::-1]):
        written = world(duration="1m", taskDefinitions=[checked_containers(order)], runTasks=[job(at="0s")])
        (row,) = run(written, tmp_path).tasks()
        assert (row["last_status"], row["health_status"]) == ("RUNNING", HEALTH[task])


@pytest.mark.golden(23)
def test_an_application_that_never_answers_is_unhealthy_after_three_checks(tmp_path: Path) -> None:
    """By default three checks 30 s apart: at 30, 60 and 90 s. At 90 s, a minute after the first, its replacement
    starts (100 % must stay RUNNING, and no task of the service is healthy)."""
    check = {"healthCheck": {"command": ["CMD-SHELL", "curl -f localhost"]}}
    app = definition(container=check, behavior={"readyTime": "never"})
    ran = run(world(duration="3m", taskDefinitions=[app], services=[service()]), tmp_path)
    first, second, *_ = ran.tasks()
    assert first["health_status"] == "UNHEALTHY"
    assert second["created_at"] - first["started_at"] == 90 * SECOND


def test_a_start_period_ignores_failures_and_not_successes(tmp_path: Path) -> None:
    """botocore, HealthCheck.startPeriod: failures count from its end; a success ends it.

    Start period 60 s, checks every 20 s, two retries: never ready is found at 100 s (the checks at 80 and 100);
    ready at 30 s is found at 40 s, within the period.
    """
    check = {"command": ["CMD-SHELL", "true"], "interval": 20, "retries": 2, "startPeriod": 60}
    for ready, at in (("never", None), ("30s", 40 * SECOND)):
        app = definition(container={"healthCheck": check}, behavior={"readyTime": ready})
        ran = run(world(duration="3m", taskDefinitions=[app], services=[service()]), tmp_path)
        first, *others = ran.tasks()
        if at is None:
            assert others[0]["created_at"] == first["started_at"] + 100 * SECOND
        else:
            assert (first["healthy_at"], others) == (first["started_at"] + at, [])


# --- zones -----------------------------------------------------------------------------------------------------


def zones_of(ran: FinishedRun, at: int) -> list[int]:
    """The numbers of running tasks by zone at an instant, the largest first; zones without any are left out."""
    alive = [
        task
        for task in ran.tasks()
        if task["started_at"] is not None
        and task["started_at"] <= at
        and (task["stopping_at"] is None or task["stopping_at"] > at)
    ]
    return sorted(Counter(task["availability_zone"] for task in alive).values(), reverse=True)


def growing(desired: int, zones: int, before: int, after: int, **more: Any) -> Block:
    """A service on `before` instances, and on `after` of them from minute ten, assigned to the zones in turn."""
    names = ["us-east-1a", "us-east-1b", "us-east-1c"][:zones]
    return world(
        availabilityZones=names,
        capacityProviders=[provider(count=before, most=100)],
        initialState="running",
        services=[service(count=desired, **more)],
        actions=[
            {"at": "10m", "setDesiredCapacity": {"autoScalingGroupName": "nodes", "desiredCapacity": after}}
        ],
    )


@pytest.mark.golden(26)
def test_a_zone_that_gets_an_instance_gets_a_task(tmp_path: Path) -> None:
    """Desired 2, 2/0 over two zones: one starts in the second, is healthy 40 s later, one in the first stops."""
    ran = run(growing(2, 2, 1, 2), tmp_path)
    first, second, third = ran.tasks()
    joined = ran.instances()[1]
    assert zones_of(ran, 10 * MINUTE) == [2]
    assert third["created_at"] == joined["registered_at"]
    assert third["availability_zone"] == joined["availability_zone"] != first["availability_zone"]
    (stopping,) = [task["stopping_at"] for task in (first, second) if task["stopping_at"] is not None]
    assert stopping == third["healthy_at"] == third["started_at"] + 40 * SECOND
    assert zones_of(ran, ran.scenario.duration_ms) == [1, 1]
    kinds = [row["kind"] for row in ran.rows("events") if "REBALANCING" in row["kind"]]
    assert kinds == ["SERVICE_REBALANCING_STARTED", "SERVICE_REBALANCING_COMPLETED"]
    assert len(ran.rows("deployments")) == 1  # no deployment is triggered


@pytest.mark.golden(27)
@pytest.mark.parametrize(("desired", "zones", "spread"), [(3, 2, [2, 1]), (5, 3, [2, 2, 1])])
def test_a_remainder_is_no_imbalance(desired: int, zones: int, spread: list[int], tmp_path: Path) -> None:
    """Placed so from the start nothing moves; grown out of one zone it moves until it is so, and not further."""
    at_once = run(growing(desired, zones, zones, zones), tmp_path)
    assert zones_of(at_once, at_once.scenario.duration_ms) == spread
    assert len(at_once.tasks()) == desired
    grown = run(growing(desired, zones, 1, zones), tmp_path)
    assert zones_of(grown, grown.scenario.duration_ms) == spread
    assert len(grown.tasks()) == desired + sum(spread[1:])  # each moved task, once


@pytest.mark.golden(28)
def test_binpack_first_is_never_rebalanced(tmp_path: Path) -> None:
    """The default is off, and enabling it is an error."""
    packed = {"placementStrategy": [{"type": "binpack", "field": "memory"}]}
    ran = run(growing(2, 2, 1, 2, **packed), tmp_path)
    assert zones_of(ran, ran.scenario.duration_ms) == [2]
    assert not [row for row in ran.rows("events") if "REBALANCING" in row["kind"]]


def test_rebalancing_can_be_turned_off(tmp_path: Path) -> None:
    ran = run(growing(2, 2, 1, 2, availabilityZoneRebalancing="DISABLED"), tmp_path)
    assert zones_of(ran, ran.scenario.duration_ms) == [2]


def test_a_full_zone_is_reported_once_and_tried_again(tmp_path: Path) -> None:
    """The instance in the second zone is full of another service's tasks until that one is scaled in."""
    written = growing(2, 2, 1, 2)
    written["capacityProviders"][0]["autoScalingGroupProvider"]["managedScaling"] = {"status": "ENABLED"}
    filler = definition("filler", cpu=3_000, memory=7_000)
    written["taskDefinitions"].append(filler)
    written["services"].append(service("filler", 0, taskDefinition="filler"))
    # It waits for the second instance, is placed there first, and stays for half an hour.
    written["actions"] = [
        {"at": "9m", "updateService": {"service": "filler", "desiredCount": 1}},
        *written["actions"],
        {"at": "40m", "updateService": {"service": "filler", "desiredCount": 0}},
    ]
    written["taskDefinitions"][0] = definition(cpu=1_500, memory=3_000)
    ran = run(written, tmp_path)
    failures = ran.rows("events", kind="SERVICE_TASK_PLACEMENT_FAILURE", service="web")
    assert [row["message"] for row in failures] == ["(service web) was unable to place a task in us-east-1b."]
    moved = ran.tasks(service="web")[2]
    assert 40 * MINUTE < moved["created_at"] <= 46 * MINUTE
    assert zones_of(ran, ran.scenario.duration_ms) == [1, 1]


def test_protected_tasks_are_not_moved(tmp_path: Path) -> None:
    """Task scale-in protection keeps every task of the richer zone for an hour: nothing moves within the run."""
    written = growing(2, 2, 1, 2)
    written["taskDefinitions"] = [definition(behavior={"taskProtection": {"expiresInMinutes": 60}})]
    ran = run(written, tmp_path)
    assert len(ran.tasks()) == 2


def test_a_deployment_interrupts_rebalancing(tmp_path: Path) -> None:
    """The moved task is not yet healthy (40 s) when an update begins: STOPPED, and the deployment continues."""
    written = growing(2, 2, 1, 2)
    ran = run(written, tmp_path)
    begun = next(row["time"] for row in ran.rows("events", kind="SERVICE_REBALANCING_STARTED"))
    update = {"service": "web", "forceNewDeployment": True}
    written["actions"].append({"at": f"{begun // SECOND + 10}s", "updateService": update})
    ran = run(written, tmp_path)
    kinds = [row["kind"] for row in ran.rows("events") if "REBALANCING" in row["kind"]]
    assert kinds[:2] == ["SERVICE_REBALANCING_STARTED", "SERVICE_REBALANCING_STOPPED"]
    assert ran.rows("deployments")[-1]["rollout_state"] == "COMPLETED"
    assert zones_of(ran, ran.scenario.duration_ms) == [1, 1]


def test_a_failed_deployment_starts_no_task_for_a_zone_either(tmp_path: Path) -> None:
    """An alarm fails it after a minute, when no task runs yet; its two tasks start in one zone and stay there."""
    alarm = {
        "alarmName": "empty",
        "metricName": "RunningTaskCount",
        "dimensions": [{"name": "ServiceName", "value": "web"}],
        "threshold": 1,
        "comparisonOperator": "LessThanThreshold",
        "evaluationPeriods": 1,
    }
    failing = {"alarms": {"alarmNames": ["empty"], "enable": True, "rollback": False}}
    behavior = {"startupTime": "90s"}
    written = growing(2, 2, 1, 2, deploymentConfiguration=failing, behavior=behavior)
    ran = run({**written, "initialState": "empty", "alarms": [alarm]}, tmp_path)
    assert ran.rows("deployments")[0]["rollout_state"] == "FAILED"
    assert len(ran.tasks()) == 2
    assert zones_of(ran, ran.scenario.duration_ms) == [2]


def test_fargate_services_stay_spread_over_the_zones(tmp_path: Path) -> None:
    """Every zone has capacity there, so a service is placed evenly and never needs to move."""
    written = world(
        capacityProviders=[],
        taskDefinitions=[fargate_definition()],
        services=[service(count=5, launchType="FARGATE")],
    )
    ran = run(written, tmp_path)
    assert zones_of(ran, ran.scenario.duration_ms) == [2, 2, 1]
    assert len(ran.tasks()) == 5
