"""Rules of MODEL.md that no worked example covers, as whole runs: health, traffic, zones, groups, quotas."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.harness import (
    MINUTE,
    SECOND,
    Block,
    definition,
    fargate_definition,
    provider,
    run,
    service,
    world,
)

PORT = {"portMappings": [{"containerPort": 80}]}
CHECK = {"healthCheck": {"command": ["CMD", "true"], "interval": 20}}
BALANCED = {"loadBalancers": [{"targetGroupArn": "web", "containerName": "main", "containerPort": 80}]}


def checked(container: Block, group: Block | None = None, **behavior: Any) -> Block:
    """One task, RUNNING at 5 s, with a container health check or behind a load balancer or both."""
    more: Block = {"behavior": {"startupTime": "5s", **behavior}}
    keys: Block = {}
    if group is not None:
        more |= BALANCED
        keys["targetGroups"] = [{"name": "web", "healthCheckIntervalSeconds": 15, **group}]
    app = definition(container={**PORT, **container})
    return world(duration="10m", taskDefinitions=[app], services=[service(**more)], **keys)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (checked(CHECK), 20),
        (checked(CHECK, readyTime="25s"), 40),  # the second check is the first that passes
        (checked({}, {}), 15),
        (checked({}, {}, readyTime="20s"), 30),
        (checked({}, {"initialHealthChecks": 3}), 45),
        (checked(CHECK, {}), 20),  # both must pass
    ],
    ids=["container", "container, late", "target", "target, late", "target, three checks", "both"],
)
def test_health_checks_determine_when_a_task_is_healthy(tmp_path: Path, written: Block, seconds: int) -> None:
    """The first check is an interval after RUNNING; it passes if the application is ready by then."""
    (task,) = run(written, tmp_path).tasks()
    assert task["healthy_at"] - task["started_at"] == seconds * SECOND


def test_requests_reach_a_target_once_it_is_healthy(tmp_path: Path) -> None:
    """Until the target passes its first check, 60 s after RUNNING, every request fails; none does later."""
    written = checked({}, {"healthCheckIntervalSeconds": 60})
    written["services"][0] |= {"load": {"requestsPerSecond": 10, "cpuTimePerRequest": "10ms"}}
    written["services"][0]["behavior"]["startupTime"] = "1m"
    ran = run(written, tmp_path)
    (task,) = ran.tasks()
    assert (task["started_at"], task["healthy_at"]) == (MINUTE, 2 * MINUTE)
    assert [count for _, count in ran.series("failed_request_count")] == [600, 600] + [0] * 8


def test_fargate_tasks_are_spread_over_all_zones(tmp_path: Path) -> None:
    written = world(
        duration="5m",
        capacityProviders=[],
        taskDefinitions=[fargate_definition()],
        services=[service(count=9, launchType="FARGATE")],
    )
    zones = Counter(task["availability_zone"] for task in run(written, tmp_path).tasks())
    assert sorted(zones.values()) == [3, 3, 3]


def test_group_keeps_its_zones_balanced(tmp_path: Path) -> None:
    """Six instances are two in each zone; at a desired capacity of four, two of the three zones lose one."""
    fewer: Block = {"setDesiredCapacity": {"autoScalingGroupName": "nodes", "desiredCapacity": 4}}
    keys = {"capacityProviders": [provider(count=6, most=100)], "duration": "10m"}
    written = world(services=[service(count=0)], actions=[{"at": "5m", **fewer}], **keys)
    instances = run(written, tmp_path).instances()
    assert sorted(Counter(each["availability_zone"] for each in instances).values()) == [2, 2, 2]
    gone = [each for each in instances if each["terminated_at"] is not None]
    assert [each["terminated_at"] for each in gone] == [5 * MINUTE] * 2
    assert len({each["availability_zone"] for each in gone}) == 2


def test_group_replaces_a_terminated_instance(tmp_path: Path) -> None:
    """The replacement is requested at once, in the zone of the loss, and registers after `launchTime`.

    Until then the replacement of the lost task is in another zone; then one task moves, so that each zone has one.
    """
    loss: Block = {"terminateInstances": {"instanceIds": ["2"]}}
    written = world(
        duration="10m",
        capacityProviders=[provider(count=3, launchTime="100s")],
        services=[service(count=3)],
        actions=[{"at": "5m", **loss}],
    )
    ran = run(written, tmp_path)
    *_, lost, _, new = ran.instances()
    assert lost["terminated_at"] == new["launched_at"] == 5 * MINUTE
    assert new["registered_at"] == 5 * MINUTE + 100 * SECOND
    assert new["availability_zone"] == lost["availability_zone"]
    (lost_task,) = [task for task in ran.tasks() if task["stop_code"] == "TerminationNotice"]
    assert len({task["availability_zone"] for task in ran.tasks(last_status="RUNNING")}) == 3
    assert lost_task["stopped_reason"].startswith("Host EC2 (instance i-")
    assert ran.states() == {"RUNNING": 3, "STOPPED": 2}


def test_quota_is_reported_and_not_enforced(tmp_path: Path) -> None:
    """5,000 tasks per service: one more is simulated, with an event."""
    written = world(nodes=0, duration="1m", services=[service(count=5001, launchType="EC2")])
    (message,) = run(written, tmp_path).messages("QUOTA_EXCEEDED")
    assert "5,000 tasks per service" in message


def test_changed_count_is_no_deployment(tmp_path: Path) -> None:
    """botocore, UpdateService: a change of only desiredCount starts or stops tasks of the same deployment."""
    more: Block = {"updateService": {"service": "web", "desiredCount": 3}}
    ran = run(world(services=[service()], actions=[{"at": "10m", **more}]), tmp_path)
    assert {task["deployment_id"] for task in ran.tasks()} == {"ecs-svc/1"}
    assert len(ran.rows("deployments")) == 1
    assert ran.states() == {"RUNNING": 3}


@pytest.mark.golden(5)
@pytest.mark.golden(6)
@pytest.mark.parametrize(("least", "most"), [(75, 125), (100, 100)])
def test_deployment_that_cannot_move_is_reported(tmp_path: Path, least: int, most: int) -> None:
    """Desired 2 and bounds 2 to 2: nothing may start or stop; ECS reports it once and keeps the old tasks."""
    change: Block = {"updateService": {"service": "web", "taskDefinition": "app:2"}}
    limits = {"minimumHealthyPercent": least, "maximumPercent": most}
    written = world(
        taskDefinitions=[definition(), definition(cpu=256)],
        services=[service(count=2, taskDefinition="app:1", deploymentConfiguration=limits)],
        actions=[{"at": "10m", **change}],
    )
    ran = run(written, tmp_path)
    assert [task["revision"] for task in ran.tasks(last_status="RUNNING")] == [1, 1]
    (message,) = ran.messages("SERVICE_TASK_CONFIGURATION_FAILURE")
    assert message.startswith("(service web) was unable to stop or start tasks during a deployment because")
    assert ran.rows("deployments")[-1]["rollout_state"] == "IN_PROGRESS"
