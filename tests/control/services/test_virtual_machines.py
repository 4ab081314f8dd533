"""Services on virtual machines, as whole runs: one copy on each, whole instances on the bill.

`test.node` has 4 vCPU and 8,192 MiB at 0.36 USD an hour, so 0.01 cents a second; volumes are free here, so that bills
are instance hours times 0.36. The guest takes 64 CPU units and 400 MiB unless a test says otherwise.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.harness import HOUR, MINUTE, SECOND, Block, definition, run, service, world

FREE_VOLUMES = {"ebsUsdPerGibMonth": 0}


def machines(count: int = 4, duration: str = "2h", machine: Block | None = None, **more: Any) -> Block:
    """A service `web` on virtual machines that boot in 90 s, and what `more` adds to it; `keys` go to the scenario."""
    keys = more.pop("keys", {})
    web = {
        "serviceName": "web",
        "taskDefinition": "app:1",
        "desiredCount": count,
        "virtualMachines": {"instanceType": "test.node", "bootTime": "90s", **(machine or {})},
        **more,
    }
    written = world(0, duration, taskDefinitions=[definition(), definition()], services=[web])
    return {**written, "capacityProviders": [], "pricing": FREE_VOLUMES, **keys}


def test_each_copy_boots_a_machine_of_its_own_and_pays_for_all_of_it(tmp_path: Path) -> None:
    """Four machines are requested at 0 and boot for 90 s, which is idle; of 8 instance hours the rest is web's."""
    ran = run(machines(), tmp_path)
    tasks, hosts = ran.tasks(), ran.instances()
    assert [task["container_instance_id"] for task in tasks] == [1, 2, 3, 4]
    assert {task["launch_type"] for task in tasks} == {"VIRTUAL_MACHINE"}
    assert {task["started_at"] for task in tasks} == {90 * SECOND}
    assert {task["pull_started_at"] for task in tasks} == {None}
    assert {host["launched_at"] for host in hosts} == {0}
    assert {host["auto_scaling_group"] for host in hosts} == {"virtualMachines/web"}
    assert ran.summary["instance_hours"] == pytest.approx(8)
    assert ran.summary["cost_usd"] == pytest.approx(8 * 0.36)
    held = 8 - 4 * 90 / 3600
    assert ran.summary["services"]["web"]["cost_usd"] == pytest.approx(held * 0.36)
    assert ran.summary["cost_usd_idle"] == pytest.approx((8 - held) * 0.36)
    assert sum(task["cost_usd"] for task in tasks) == pytest.approx(held * 0.36)
    assert {(row["x_Service"], row["x_Share"]) for row in ran.rows("costs")} == {
        ("web", "task"),
        (None, "idle"),
    }
    assert ran.summary["services"]["web"]["availability"] == pytest.approx(1 - 90 / 7200)


def test_a_copy_has_what_the_guest_leaves(tmp_path: Path) -> None:
    """4,096 - 96 units and 8,192 - 192 MiB; of the price the guest has (96 / 1,024 x 9 + 192 / 1,024) / (4 x 9 + 8)."""
    ran = run(machines(1, "1h", {"guestOs": {"cpu": 96, "memory": "192 MiB"}}), tmp_path)
    (task,) = ran.tasks()
    assert (task["cpu"], task["memory_mib"]) == (4000, 8000)
    assert ran.summary["guest_os_vcpu_hours"] == pytest.approx(96 / 1024)
    assert ran.summary["guest_os_memory_gib_hours"] == pytest.approx(192 / 1024)
    share = (96 / 1024 * 9 + 192 / 1024) / (4 * 9 + 8)
    assert ran.summary["guest_os_cost_usd"] == pytest.approx(share * 0.36)


def test_ecs_on_ec2_has_one_guest_for_all_tasks_of_an_instance(tmp_path: Path) -> None:
    """The agent registers 7,168 of 8,192 MiB and all CPU: 1 GiB an hour, 1 of (4 x 9 + 8) parts of the price."""
    node = {
        "name": "test.node",
        "vcpus": 4,
        "memoryMiB": 8192,
        "registeredMemoryMiB": 7168,
        "usdPerHour": 0.36,
    }
    ran = run(world(1, instanceTypes=[node], services=[service(count=4)], pricing=FREE_VOLUMES), tmp_path)
    assert ran.summary["guest_os_memory_gib_hours"] == pytest.approx(1)
    assert ran.summary["guest_os_vcpu_hours"] == 0
    assert ran.summary["guest_os_cost_usd"] == pytest.approx(0.36 / 44)


def test_running_begins_with_machines_that_have_booted(tmp_path: Path) -> None:
    ran = run(machines(3, "1h", keys={"initialState": "running"}), tmp_path)
    assert {(task["started_at"], task["healthy_at"]) for task in ran.tasks()} == {(0, 0)}
    assert [task["container_instance_id"] for task in ran.tasks()] == [1, 2, 3]
    assert ran.summary["services"]["web"]["availability"] == 1


def test_a_new_desired_count_is_the_desired_capacity(tmp_path: Path) -> None:
    """Two more at 30 min run 90 s later; three fewer at 60 min are gone when their copies have stopped (1 s)."""
    updates = [
        {"at": "30m", "updateService": {"service": "web", "desiredCount": 6}},
        {"at": "60m", "updateService": {"service": "web", "desiredCount": 3}},
    ]
    ran = run(machines(4, keys={"actions": updates}), tmp_path)
    assert [task["started_at"] for task in ran.tasks()[4:]] == [30 * MINUTE + 90 * SECOND] * 2
    gone = ran.instances(termination_reason="scale-in")
    assert [host["terminated_at"] for host in gone] == [HOUR + SECOND] * 3
    assert ran.states() == {"RUNNING": 3, "STOPPED": 3}
    lived = [(host["terminated_at"] or 2 * HOUR) - host["launched_at"] for host in ran.instances()]
    assert ran.summary["cost_usd"] == pytest.approx(sum(lived) / HOUR * 0.36)
    idle = 6 * 90 * SECOND + 3 * SECOND  # while machines boot, and while copies stop
    assert ran.summary["services"]["web"]["cost_usd"] == pytest.approx((sum(lived) - idle) / HOUR * 0.36)
    assert ran.series("desired_count")[-1][1] == 3


def test_a_machine_that_is_lost_is_replaced(tmp_path: Path) -> None:
    loss = {"at": "10m", "terminateInstances": {"instanceIds": ["2"]}}
    ran = run(machines(keys={"actions": [loss]}), tmp_path)
    assert sorted(t["container_instance_id"] for t in ran.tasks(last_status="RUNNING")) == [1, 3, 4, 5]
    assert ran.tasks()[-1]["started_at"] == 10 * MINUTE + 90 * SECOND


def test_a_copy_that_crashes_is_started_again_on_its_machine(tmp_path: Path) -> None:
    """Its supervisor does that after 100 ms: the machine stays, and nothing boots."""
    ran = run(machines(1, "1h", behavior={"timeToFailure": "20m"}), tmp_path)
    starts = [task["started_at"] for task in ran.tasks()]
    assert starts == [90 * SECOND, 21 * MINUTE + 30 * SECOND + 100, 41 * MINUTE + 30 * SECOND + 200]
    assert len(ran.instances()) == 1
    assert ran.tasks()[0]["exit_code"] == 1


def test_a_copy_that_keeps_crashing_waits_ever_longer(tmp_path: Path) -> None:
    """It lives for a second: 0.1, 0.2, 0.4 ... 51.2 s and then 60 s lie between an end and the next start."""
    ran = run(machines(1, "10m", behavior={"timeToFailure": "1s"}), tmp_path)
    starts = [task["started_at"] for task in ran.tasks()]
    gaps = [(after - before - SECOND) for before, after in pairwise(starts)]
    assert gaps[:10] == [100 << n for n in range(10)]
    assert set(gaps[10:]) == {MINUTE}


def test_a_machine_whose_copy_hangs_is_replaced(tmp_path: Path) -> None:
    """Health checks of type ELB: two failed checks of 30 s, then another machine is launched and this one drains."""
    groups = [{"name": "web", "deregistrationDelay": "10s", "healthCheckIntervalSeconds": 30}]
    balanced = [{"targetGroupArn": "web", "containerName": "main", "containerPort": 80}]
    written = machines(
        1,
        "40m",
        loadBalancers=balanced,
        behavior={"timeToHang": {"distribution": "uniform", "low": "30m", "high": "31m"}},
        keys={
            "targetGroups": groups,
            "taskDefinitions": [definition(container={"portMappings": [{"containerPort": 80}]})],
        },
    )
    ran = run(written, tmp_path)
    first, second = ran.instances()
    assert first["termination_reason"] == "failed health checks"
    assert second["launched_at"] < first["terminated_at"]
    assert first["terminated_at"] - second["launched_at"] == 11 * SECOND
    assert ran.tasks()[0]["stopped_reason"] == "Task failed ELB health checks in (target-group web)"
    assert ran.states() == {"RUNNING": 1, "STOPPED": 1}


def test_the_tasks_of_others_never_go_there(tmp_path: Path) -> None:
    """A service of launch type EC2 finds no container instance, though four machines are nearly empty."""
    written = machines()
    written["services"].append(service("other", 1, launchType="EC2"))
    ran = run(written, tmp_path)
    assert ran.tasks(service="other") == []
    assert ran.messages("SERVICE_TASK_PLACEMENT_FAILURE") != []


# --- scaling -----------------------------------------------------------------------------------------------

THIRD_IS_GUEST = {"guestOs": {"cpu": 1024, "memory": 0}}
"""Of 4 vCPU the guest takes one."""


def tracking(metric: str, target: float) -> Block:
    """An `autoScaling` of 1 to 10 that tracks a predefined metric."""
    policy = {
        "policyName": "track",
        "policyType": "TargetTrackingScaling",
        "targetTrackingScalingPolicyConfiguration": {
            "targetValue": target,
            "predefinedMetricSpecification": {"predefinedMetricType": metric},
        },
    }
    return {"minCapacity": 1, "maxCapacity": 10, "policies": [policy]}


def scaled(metric: str, target: float, **more: Any) -> Block:
    """One machine at first, called 60 times a second at 25 ms of a vCPU: 1.5 vCPU in use."""
    return machines(
        1,
        "1h",
        THIRD_IS_GUEST,
        load={"requestsPerSecond": 60, "cpuTimePerRequest": "25ms"},
        autoScaling=tracking(metric, target),
        keys={"initialState": "running"},
        **more,
    )


def test_the_group_tracks_the_cpu_of_its_machines(tmp_path: Path) -> None:
    """(1.5 + 1 of the guest) / 4 = 62.5 %, over 60 three times: at 3 min ceil(62.5 / 60) = 2, which serve at 4:30.

    Then it is (1.5 + 2) / 8 = 43.75 %: below 0.9 x 60, where ECS would scale in, and above EC2's 0.7 x 60 = 42.
    """
    ran = run(scaled("ECSServiceAverageCPUUtilization", 60), tmp_path)
    (activity,) = ran.rows("scaling_activities")
    assert activity["time"] == 3 * MINUTE
    assert (activity["from_count"], activity["to_count"]) == (1, 2)
    assert activity["metric"] == "ASGAverageCPUUtilization"
    assert activity["metric_value"] == pytest.approx(62.5)
    assert ran.tasks()[1]["started_at"] == 3 * MINUTE + 90 * SECOND
    assert ran.series("desired_count")[-1][1] == 2


def test_machines_that_warm_up_are_not_measured(tmp_path: Path) -> None:
    """Target 40: 2 machines at 3 min. They would have 43.75 % each, above it, but until one is warm at 9:30 only the
    other counts, so ceil(1 x 43.75 / 40) = 2 changes nothing; from then on ceil(2 x 43.75 / 40) = 3 does."""
    ran = run(scaled("ECSServiceAverageCPUUtilization", 40), tmp_path)
    first, second, *_ = ran.rows("scaling_activities")
    assert (first["time"], first["to_count"]) == (3 * MINUTE, 2)
    assert second["to_count"] == 3
    assert second["time"] == 10 * MINUTE


def test_the_group_tracks_requests_per_machine(tmp_path: Path) -> None:
    """3,600 requests a minute on one machine, 1,000 wanted on each: ceil(3.6) = 4."""
    ran = run(scaled("ALBRequestCountPerTarget", 1000), tmp_path)
    (activity,) = ran.rows("scaling_activities")
    assert (activity["time"], activity["to_count"]) == (3 * MINUTE, 4)
    assert ran.running_at(10 * MINUTE) == 4


def test_scheduled_actions_move_the_bounds_of_the_group(tmp_path: Path) -> None:
    """At least five from half past on."""
    early = {
        "scheduledActionName": "early",
        "schedule": "at(2026-01-01T00:30:00)",
        "scalableTargetAction": {"minCapacity": 5},
    }
    written = machines(2, "1h", autoScaling={"minCapacity": 1, "maxCapacity": 9, "scheduledActions": [early]})
    ran = run(written, tmp_path)
    assert ran.running_at(30 * MINUTE) == 2
    assert ran.running_at(32 * MINUTE) == 5


# --- a new revision ----------------------------------------------------------------------------------------


def refreshed(tmp_path: Path, **more: Any) -> list[tuple[int, int | None]]:
    """(started, stopping) of the copies of 4 machines that get revision 2 at 10 min, old ones first; ms after that."""
    update = {"at": "10m", "updateService": {"service": "web", "taskDefinition": "app:2"}}
    ran = run(machines(4, keys={"actions": [update]}, **more), tmp_path)
    assert ran.states(revision=2) == {"RUNNING": 4}
    assert [row["rollout_state"] for row in ran.rows("deployments")] == ["COMPLETED", "COMPLETED"]
    assert ran.rows("deployments")[1]["task_definition"] == "app:2"
    assert {row["termination_reason"] for row in ran.instances()[:4]} == {"instance refresh"}
    began = 10 * MINUTE
    return [
        (task["started_at"] - began, None if task["stopping_at"] is None else task["stopping_at"] - began)
        for task in ran.tasks()
    ]


def test_an_instance_refresh_replaces_one_machine_at_a_time(tmp_path: Path) -> None:
    """90 % of 4 is 4, so nothing may be missing, so one is: each takes 90 s to boot and 40 s to count as healthy."""
    spans = refreshed(tmp_path)
    each = 130 * SECOND
    assert sorted(stop for _, stop in spans[:4] if stop is not None) == [0, each, 2 * each, 3 * each]
    assert [start for start, _ in spans[4:]] == [90 * SECOND + n * each for n in range(4)]


def test_it_launches_before_it_terminates_where_the_maximum_allows(tmp_path: Path) -> None:
    """100 to 200 %: four more machines, and the old ones go together when those are healthy."""
    percents = {"minimumHealthyPercent": 100, "maximumPercent": 200}
    spans = refreshed(tmp_path, deploymentConfiguration=percents)
    assert [stop for _, stop in spans[:4]] == [130 * SECOND] * 4
    assert [start for start, _ in spans[4:]] == [90 * SECOND] * 4


def test_a_deployment_by_force_is_a_refresh_too(tmp_path: Path) -> None:
    force = {"at": "10m", "updateService": {"service": "web", "forceNewDeployment": True}}
    ran = run(machines(1, "30m", keys={"actions": [force]}), tmp_path)
    assert [host["termination_reason"] for host in ran.instances()] == ["instance refresh", None]


def test_machines_are_not_in_the_metrics_of_the_cluster(tmp_path: Path) -> None:
    """One container instance of 4 vCPU with a task of 2,048 units: 50 %, not above 60, whatever four machines do.

    With the machines it would be (2,048 + 4 x 4,032) / (4,096 + 4 x 4,032) = 90 %, and the group would grow.
    """
    alarm = {
        "alarmName": "full",
        "namespace": "AWS/ECS",
        "metricName": "CPUReservation",
        "dimensions": [{"name": "ClusterName", "value": "c"}],
        "threshold": 60,
        "comparisonOperator": "GreaterThanThreshold",
        "evaluationPeriods": 1,
    }
    step = {
        "policyName": "grow",
        "policyType": "StepScaling",
        "adjustmentType": "ChangeInCapacity",
        "stepAdjustments": [{"metricIntervalLowerBound": 0, "scalingAdjustment": 1}],
        "alarm": alarm,
    }
    spare = {
        "autoScalingGroupName": "spare",
        "instanceTypes": ["test.node"],
        "minSize": 1,
        "maxSize": 3,
        "scalingPolicies": [step],
    }
    written = machines(4, "20m", keys={"autoScalingGroups": [spare]})
    written["taskDefinitions"].append(definition("half", cpu=2048))
    written["services"].append(service("other", 1, taskDefinition="half", launchType="EC2"))
    ran = run(written, tmp_path)
    assert ran.rows("scaling_activities") == []
    assert len(ran.instances(auto_scaling_group="spare")) == 1


def test_an_alarm_stops_an_instance_refresh(tmp_path: Path) -> None:
    """Two machines: the first is replaced at 10:00, the alarm is in ALARM at 11:00, so the second keeps revision 1."""
    alarm = {
        "alarmName": "few",
        "metricName": "RunningTaskCount",
        "dimensions": [{"name": "ServiceName", "value": "web"}],
        "threshold": 2,
        "comparisonOperator": "LessThanThreshold",
        "evaluationPeriods": 1,
        "period": 60,
        "statistic": "Average",
    }
    update = {"at": "10m", "updateService": {"service": "web", "taskDefinition": "app:2"}}
    stops = {"alarms": {"enable": True, "rollback": False, "alarmNames": ["few"]}}
    written = machines(
        2,
        "30m",
        deploymentConfiguration=stops,
        keys={"actions": [update], "alarms": [{"namespace": "n", **alarm}]},
    )
    ran = run(written, tmp_path)
    assert [row["rollout_state"] for row in ran.rows("deployments")][-1] == "FAILED"
    assert sorted(task["revision"] for task in ran.tasks(last_status="RUNNING")) == [1, 2]
