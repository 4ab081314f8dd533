"""Suspended processes of Auto Scaling groups, as whole runs: the key, the actions, and what each process holds up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clustersim.errors import ScenarioError
from clustersim.vocabulary import ScalingProcess
from tests.control.capacity.test_auto_scaling_groups import group, set_capacity, zones_at
from tests.golden.test_golden_capacity import ALONE, activities, managed
from tests.harness import HOUR, MINUTE, NODE, Block, job, provider, run, scenario_of, service, world

NO_TASKS = {"services": [service(count=0)]}


def resume(at: str, *processes: str, operation: str = "resumeProcesses") -> Block:
    """ResumeProcesses at an instant: of these processes, or of all."""
    named = {"scalingProcesses": list(processes)} if processes else {}
    return {"at": at, operation: {"autoScalingGroupName": "nodes", **named}}


def test_processes_are_read_from_a_describe_answer_and_from_a_key_of_our_own(tmp_path: Path) -> None:
    """The answer lists mappings with a reason; the key takes names. A deprecated process is left out."""
    of = {"AutoScalingGroupName": "g", "MinSize": 1, "MaxSize": 1, "AvailabilityZones": ["us-east-1a"]}
    listed = ["Launch", "RemoveFromLoadBalancerLowPriority"]
    of["SuspendedProcesses"] = [
        {"ProcessName": name, "SuspensionReason": "User suspended"} for name in listed
    ]
    (tmp_path / "g.json").write_text(json.dumps({"AutoScalingGroups": [of]}))
    described = {"file": "g.json", "instanceTypes": ["test.node"]}
    named = {**group(1, suspendedProcesses=["AZRebalance", "Launch"])}
    found = scenario_of(world(autoScalingGroups=[described], **NO_TASKS, **named), tmp_path).groups
    assert {each.name: each.suspended_processes for each in found} == {
        "nodes": (ScalingProcess.AZ_REBALANCE, ScalingProcess.LAUNCH),
        "g": (ScalingProcess.LAUNCH,),
    }


def test_a_process_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """In the key and in the action; both name the nearest one."""
    for keys in (group(1, suspendedProcesses=["Launching"]), {"actions": [resume("1m", "Launching")]}):
        with pytest.raises(ScenarioError, match=r"Launching.* is not a process; did you mean Launch"):
            scenario_of(world(**NO_TASKS, **keys), tmp_path)


def test_without_launch_the_group_does_not_grow_and_catches_up_when_it_is_resumed(tmp_path: Path) -> None:
    """A lost instance is not replaced, nor does a larger desired capacity launch, until minute 20."""
    keys = group(2, suspendedProcesses=["Launch"])
    lost = {"at": "5m", "terminateInstances": {"instanceIds": ["1"]}}
    actions = [lost, set_capacity("10m", 3), resume("20m", "Launch")]
    ran = run(world(actions=actions, **NO_TASKS, **keys), tmp_path)
    assert [each["launched_at"] for each in ran.instances()] == [0, 0, 20 * MINUTE, 20 * MINUTE]


def test_without_terminate_nothing_is_scaled_in_until_it_is_resumed(tmp_path: Path) -> None:
    """The desired capacity falls at minute 5; the instances go at minute 30."""
    actions = [resume("1m", "Terminate", operation="suspendProcesses"), set_capacity("5m", 1), resume("30m")]
    ran = run(world(actions=actions, **NO_TASKS, **group(3)), tmp_path)
    assert sorted(each["terminated_at"] or 0 for each in ran.instances()) == [0, 30 * MINUTE, 30 * MINUTE]
    assert ran.messages("PROCESSES_SUSPENDED") == [
        "(auto-scaling-group nodes) processes are suspended: Terminate."
    ]


def test_without_terminate_rebalancing_grows_the_group_beyond_its_maximum(tmp_path: Path) -> None:
    """Zone a is back at minute 30: one instance (10 % of 10) is launched there and none goes elsewhere."""
    out = {"zoneOutages": [{"availabilityZone": "us-east-1a", "at": "10m", "duration": "20m"}]}
    keys = {**group(10, most=10, suspendedProcesses=["Terminate"]), "failures": out}
    ran = run(world(**NO_TASKS, **keys), tmp_path)
    assert sum(zones_at(ran, 29 * MINUTE).values()) == 10
    assert sum(zones_at(ran, HOUR - 1).values()) == 11
    assert zones_at(ran, HOUR - 1)["a"] == 1


def test_without_az_rebalance_zones_stay_as_they_are_and_launches_are_still_even(tmp_path: Path) -> None:
    """Zone a is back at minute 30 and gets nothing; the two instances more of minute 40 go there."""
    out = {"zoneOutages": [{"availabilityZone": "us-east-1a", "at": "10m", "duration": "20m"}]}
    keys = {**group(6, suspendedProcesses=["AZRebalance"]), "failures": out}
    ran = run(world(actions=[set_capacity("40m", 8)], **NO_TASKS, **keys), tmp_path)
    assert zones_at(ran, 39 * MINUTE) == {"b": 3, "c": 3}
    assert zones_at(ran, HOUR - 1) == {"a": 2, "b": 3, "c": 3}


def test_without_alarm_notification_managed_scaling_does_not_act(tmp_path: Path) -> None:
    """Three tasks wait for instances of their own; the alarm is still in ALARM when the process is resumed."""
    of = managed(1, group={"suspendedProcesses": ["AlarmNotification"]})
    waiting = [job(count=4, placementConstraints=ALONE)]
    keys = {"capacityProviders": [of], "actions": [resume("20m", "AlarmNotification")]}
    ran = run(world(runTasks=waiting, **keys), tmp_path)
    assert activities(ran) == [(20 * MINUTE, 1, 4)]


def test_without_alarm_notification_the_policies_of_a_group_do_not_act(tmp_path: Path) -> None:
    """Busy instances keep the group's CPU above the target of its policy: it scales out once resumed."""
    target = {
        "targetValue": 20,
        "predefinedMetricSpecification": {"predefinedMetricType": "ASGAverageCPUUtilization"},
    }
    policy = {
        "policyName": "cpu",
        "policyType": "TargetTrackingScaling",
        "targetTrackingConfiguration": target,
    }
    of = provider(most=9, scalingPolicies=[policy], suspendedProcesses=["AlarmNotification"])
    keys = {"capacityProviders": [of], "actions": [resume("20m")], "instanceTypes": [NODE]}
    ran = run(world(runTasks=[job(count=4)], **keys), tmp_path)
    assert min(row["time"] for row in ran.rows("scaling_activities")) == 20 * MINUTE


def test_spot_is_reclaimed_though_terminate_is_suspended(tmp_path: Path) -> None:
    """EC2 takes Spot instances back whatever the group wants; without Launch nothing replaces them."""
    taken = {"at": "20m", "duration": "10m", "instanceType": "test.node", "reclaim": True}
    keys = group(2, purchaseOption="spot", suspendedProcesses=["Launch", "Terminate"])
    failures = {"spotInterruptions": "none", "capacityShortages": [taken]}
    ran = run(world(**NO_TASKS, **{**keys, "failures": failures}), tmp_path)
    assert [each["terminated_at"] for each in ran.instances()] == [22 * MINUTE] * 2
