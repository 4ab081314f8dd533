"""DAEMON services, as whole runs: one task on every container instance, the first to come and the last to go."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tests.harness import (
    MINUTE,
    SECOND,
    Block,
    FinishedRun,
    definition,
    job,
    on,
    provider,
    run,
    service,
    world,
)

AGENT = definition("agent", cpu=128, memory=128)


def with_daemon(nodes: int = 3, duration: str = "1h", **more: Any) -> Block:
    """A daemon service `agent` on the provider `nodes`, and what `more` adds."""
    daemon = {
        "serviceName": "agent",
        "taskDefinition": "agent:1",
        "schedulingStrategy": "DAEMON",
        "capacityProviderStrategy": [on()],
        **more.pop("daemon", {}),
    }
    definitions = [definition(), AGENT, AGENT, *more.pop("definitions", [])]
    services = [daemon, *more.pop("services", [])]
    return world(nodes, duration, taskDefinitions=definitions, services=services, **more)


def per_instance(ran: FinishedRun) -> Counter[int]:
    """How many daemon tasks run on each instance at the end."""
    return Counter(
        task["container_instance_id"] for task in ran.tasks(service="agent", last_status="RUNNING")
    )


def test_every_instance_has_one_and_the_desired_count_follows(tmp_path: Path) -> None:
    """Three at first, five from minute 10 on: the daemon of a new instance is created when it registers."""
    grow = {"at": "10m", "setDesiredCapacity": {"autoScalingGroupName": "nodes", "desiredCapacity": 5}}
    ran = run(with_daemon(actions=[grow]), tmp_path)
    assert set(per_instance(ran).values()) == {1}
    assert len(per_instance(ran)) == 5
    joined = sorted(row["registered_at"] for row in ran.instances()[3:])
    assert [task["created_at"] for task in ran.tasks(service="agent")][3:] == joined
    assert ran.series("desired_count", "agent")[-1][1] == 5
    assert "(service agent) has reached a steady state." in ran.messages()


def test_a_new_instance_gets_its_daemon_before_a_task_that_waits(tmp_path: Path) -> None:
    """The waiting job takes 4,000 of 4,096 CPU units: beside a daemon of 128 it would not fit, so it never starts."""
    big = definition("big", cpu=4000, memory=512)
    grow = {"at": "10m", "setDesiredCapacity": {"autoScalingGroupName": "nodes", "desiredCapacity": 1}}
    written = with_daemon(0, definitions=[big], actions=[grow], runTasks=[job(at="5m", taskDefinition="big")])
    written["cluster"] = {"provisioning": {"timeout": "unlimited"}}
    ran = run(written, tmp_path)
    (waiting,) = ran.tasks(family="big")
    assert (waiting["placed_at"], waiting["wait_reason"]) == (None, "RESOURCE:CPU")
    assert per_instance(ran) == {ran.instances()[0]["container_instance_id"]: 1}


def test_daemons_are_the_last_to_leave_a_draining_instance(tmp_path: Path) -> None:
    """ECS: a daemon task stops when the replica tasks are gone; here the job on the instance ends at minute 20."""
    written = with_daemon(
        1,
        runTasks=[job(at="0s", duration="20m")],
        actions=[
            {
                "at": "10m",
                "updateContainerInstancesState": {"containerInstances": ["1"], "status": "DRAINING"},
            }
        ],
    )
    ran = run(written, tmp_path)
    (daemon,) = ran.tasks(service="agent")
    (work,) = ran.tasks(service=None)
    assert (work["stopped_at"], work["exit_code"]) == (20 * MINUTE, 0)
    assert daemon["stopping_at"] == 20 * MINUTE
    assert ran.series("desired_count", "agent")[-1][1] == 0


def test_an_instance_that_fails_takes_its_daemon_along(tmp_path: Path) -> None:
    """Its group launches another, which gets one too; the others are untouched."""
    loss = {"at": "10m", "terminateInstances": {"instanceIds": ["2"]}}
    ran = run(with_daemon(actions=[loss]), tmp_path)
    assert sorted(per_instance(ran)) == [1, 3, 4]
    assert len(ran.tasks(service="agent")) == 4


def test_a_daemon_that_ends_is_started_again(tmp_path: Path) -> None:
    stop = {"at": "10m", "stopTask": {"task": "1"}}
    ran = run(with_daemon(1, actions=[stop]), tmp_path)
    first, second = ran.tasks(service="agent")
    assert first["stop_code"] == "UserInitiated"
    assert second["created_at"] >= first["stopping_at"]
    assert per_instance(ran) == {1: 1}


def test_an_update_replaces_as_many_as_may_be_missing(tmp_path: Path) -> None:
    """Four instances, minimum 50 %: two old tasks stop, two new ones are healthy 40 s later, then the other two.

    There is never a second one on an instance: a daemon has 100 % at most.
    """
    update = {"at": "10m", "updateService": {"service": "agent", "taskDefinition": "agent:2"}}
    limits = {"deploymentConfiguration": {"minimumHealthyPercent": 50}}
    ran = run(with_daemon(4, daemon=limits, actions=[update]), tmp_path)
    stops = sorted(task["stopping_at"] - 10 * MINUTE for task in ran.tasks(service="agent", revision=1))
    assert stops[:2] == [0, 0]
    assert all(40 * SECOND <= at <= 45 * SECOND for at in stops[2:])
    assert per_instance(ran) == {1: 1, 2: 1, 3: 1, 4: 1}
    assert {task["revision"] for task in ran.tasks(service="agent", last_status="RUNNING")} == {2}
    assert ran.rows("deployments", service="agent")[-1]["rollout_state"] == "COMPLETED"


def test_daemons_go_where_their_constraints_let_them(tmp_path: Path) -> None:
    """memberOf on an attribute that every second instance has."""
    written = with_daemon(
        4, daemon={"placementConstraints": [{"type": "memberOf", "expression": "attribute:gpu == yes"}]}
    )
    written["capacityProviders"] = [provider(count=4, attributes={"gpu": ["yes", "no"]})]
    ran = run(written, tmp_path)
    assert len(per_instance(ran)) == 2
    assert ran.series("desired_count", "agent")[-1][1] == 2


def test_without_instances_a_daemon_service_wants_nothing(tmp_path: Path) -> None:
    ran = run(with_daemon(0), tmp_path)
    assert ran.tasks(service="agent") == []
    assert ran.messages("SERVICE_TASK_PLACEMENT_FAILURE") == []


def test_instances_with_daemons_alone_count_as_empty(tmp_path: Path) -> None:
    """A group that shrinks takes those first that its provider does not protect: the ones with daemons only."""
    written = with_daemon(
        3,
        services=[service(count=1)],
        actions=[
            {"at": "10m", "setDesiredCapacity": {"autoScalingGroupName": "nodes", "desiredCapacity": 1}}
        ],
    )
    inner = written["capacityProviders"][0]["autoScalingGroupProvider"]
    inner["managedScaling"] = {"status": "ENABLED", "targetCapacity": 100}
    inner["managedTerminationProtection"] = "ENABLED"
    inner["autoScalingGroup"] |= {"newInstancesProtectedFromScaleIn": True, "minSize": 0}
    ran = run(written, tmp_path)
    (left,) = ran.instances(terminated_at=None)
    (web,) = ran.tasks(service="web", last_status="RUNNING")
    assert web["container_instance_id"] == left["container_instance_id"]
    assert len(ran.tasks(service="web")) == 1


def test_a_daemon_waits_for_the_agent_of_its_instance(tmp_path: Path) -> None:
    """The agents are away from minute 10 to 20; the daemon that dies at minute 12 is back when its agent is."""
    away = {"agentDisconnects": {"timeToDisconnect": "10m", "duration": "10m"}}
    lost = {"at": "12m", "stopTask": {"task": "1"}}
    ran = run(with_daemon(1, "25m", actions=[lost], failures=away), tmp_path)
    again = ran.tasks(service="agent")[1]
    assert again["placed_at"] == 20 * MINUTE


def test_a_daemon_that_cannot_start_is_throttled(tmp_path: Path) -> None:
    """Service throttle logic: 10, 20, 40 ... s between the rounds; in an hour 9 rounds on 3 instances, not 8 tasks
    a second."""
    ran = run(with_daemon(daemon={"behavior": {"startFailureProbability": 1}}), tmp_path)
    assert len(ran.tasks(service="agent")) <= 3 * 10
