"""Worked examples of container instances of capacity providers, as whole runs: draining, queues, managed scaling."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from clustersim.errors import ScenarioError
from tests.golden.test_golden_capacity import activities, managed
from tests.harness import (
    MINUTE,
    NODE,
    Block,
    FinishedRun,
    definition,
    job,
    on,
    provider,
    run,
    scenario_of,
    service,
    world,
)

SPOT_NODE = {**NODE, "spotUsdPerHour": 0.1, "spotInterruption": 0.3}


# --- managed draining --------------------------------------------------------------------------------------


def interrupted(directory: Path, draining: str | None) -> FinishedRun:
    """One task on the first of two Spot instances, which EC2 reclaims at minute 22 with a notice at minute 20."""
    of = provider(count=2, purchaseOption="spot", launchTime="100s", availabilityZones=["us-east-1a"])
    if draining is not None:
        of["autoScalingGroupProvider"]["managedDraining"] = draining
    reclaimed = {"at": "20m", "duration": "1h", "instanceType": "test.node", "reclaim": True}
    keys = {"instanceTypes": [SPOT_NODE], "capacityProviders": [of], "duration": "30m"}
    failures = {"spotInterruptions": "none", "capacityShortages": [reclaimed]}
    return run(world(services=[service(count=2)], failures=failures, **keys), directory)


@pytest.mark.golden(90)
@pytest.mark.parametrize("draining", ["ENABLED", None], ids=["enabled", "left out"])
def test_managed_draining_drains_spot_at_the_notice(tmp_path: Path, draining: str | None) -> None:
    """Managed draining needs no flag of the agent: draining_at is the reclaim less 120 s."""
    gone = interrupted(tmp_path, draining).instances()
    assert [(each["draining_at"], each["terminated_at"]) for each in gone] == [(20 * MINUTE, 22 * MINUTE)] * 2


@pytest.mark.golden(91)
def test_without_managed_draining_and_without_the_flag_tasks_end_with_the_host(tmp_path: Path) -> None:
    """Nothing drains the instances: the notice passes, and the tasks end at the reclaim."""
    ran = interrupted(tmp_path, "DISABLED")
    assert [(each["draining_at"], each["terminated_at"]) for each in ran.instances()] == [
        (None, 22 * MINUTE)
    ] * 2
    lost = [task for task in ran.tasks() if task["stopped_at"] is not None]
    assert [(task["stopping_at"], task["stopped_at"]) for task in lost] == [(22 * MINUTE, 22 * MINUTE)] * 2
    assert {task["stop_code"] for task in lost} == {"SpotInterruption"}


@pytest.mark.golden(91)
def test_a_group_without_a_provider_does_not_drain_either(tmp_path: Path) -> None:
    """Managed draining is a setting of a capacity provider: a plain group drains by the flag of the agent only."""
    reclaimed = {"at": "20m", "duration": "1h", "instanceType": "test.node", "reclaim": True}
    drained = []
    for number, flag in enumerate((False, True)):
        group: Block = {
            "autoScalingGroupName": "plain",
            "instanceTypes": ["test.node"],
            "purchaseOption": "spot",
            "minSize": 0,
            "maxSize": 1,
            "desiredCapacity": 1,
            "ecsConfig": {"ECS_ENABLE_SPOT_INSTANCE_DRAINING": flag},
        }
        written = world(
            instanceTypes=[SPOT_NODE],
            capacityProviders=[],
            autoScalingGroups=[group],
            services=[service(launchType="EC2")],
            failures={"spotInterruptions": "none", "capacityShortages": [reclaimed]},
            duration="30m",
        )
        drained.append(run(written, tmp_path / str(number)).instances()[0]["draining_at"])
    assert drained == [None, 20 * MINUTE]


# --- queues ------------------------------------------------------------------------------------------------


@pytest.mark.golden(92)
@pytest.mark.parametrize("scaling", [{"managedScaling": {"status": "DISABLED"}}, {}], ids=["off", "left out"])
def test_a_provider_without_managed_scaling_does_not_queue(tmp_path: Path, scaling: Block) -> None:
    """RunTask of three tasks, room for one: two are refused at once, as with a launch type."""
    of = provider()
    del of["autoScalingGroupProvider"]["managedScaling"]
    of["autoScalingGroupProvider"] |= scaling
    written = world(capacityProviders=[of], taskDefinitions=[definition(cpu=4096)], runTasks=[job(count=3)])
    ran = run(written, tmp_path)
    assert ran.states() == {"RUNNING": 1, "STOPPED": 2}
    refused = ran.tasks(last_status="STOPPED")
    assert [(task["stopped_at"], task["stop_code"]) for task in refused] == [(0, "TaskFailedToStart")] * 2
    assert {(task["wait_reason"], task["capacity_provider"]) for task in refused} == {
        ("RESOURCE:CPU", "nodes")
    }


def test_managed_scaling_left_out_is_off_and_validation_says_so(tmp_path: Path) -> None:
    """ECS queues tasks only where it manages the scaling; a block without `status` turns it on."""
    of = provider()
    del of["autoScalingGroupProvider"]["managedScaling"]
    (warning,) = scenario_of(world(capacityProviders=[of], runTasks=[job()]), tmp_path).warnings
    assert "autoScalingGroupProvider: managedScaling is left out, so it is DISABLED" in warning
    of["autoScalingGroupProvider"]["managedScaling"] = {}
    scenario = scenario_of(world(capacityProviders=[of], runTasks=[job()]), tmp_path)
    assert scenario.warnings == ()
    assert scenario.providers[0].managed_scaling is not None


def test_a_service_on_a_provider_without_managed_scaling_is_refused_and_tries_again(tmp_path: Path) -> None:
    """ECS makes no task that finds no room and reports the failure; when there is room, the service is whole."""
    more = {"at": "20m", "setDesiredCapacity": {"autoScalingGroupName": "nodes", "desiredCapacity": 2}}
    keys: Block = {"capacityProviders": [provider(most=2)], "taskDefinitions": [definition(cpu=4096)]}
    ran = run(world(services=[service(count=2)], actions=[more], **keys), tmp_path)
    assert len(ran.tasks()) == 2
    assert (ran.running_at(19 * MINUTE), ran.running_at(40 * MINUTE)) == (1, 2)
    assert ran.messages("SERVICE_TASK_PLACEMENT_FAILURE")


def test_of_two_providers_the_one_without_managed_scaling_refuses_its_share(tmp_path: Path) -> None:
    """Weights 1 and 1, four tasks, one fits on each: the provider that scales queues its second task, the other does
    not, and its share does not go to the first."""
    both = [provider("fixed"), provider("plain", most=1)]
    written = world(
        capacityProviders=both,
        taskDefinitions=[definition(cpu=4096)],
        services=[service(count=4, capacityProviderStrategy=[on("fixed"), on("plain")])],
        cluster={"provisioning": {"timeout": "unlimited"}},
    )
    ran = run(written, tmp_path)
    assert Counter((task["capacity_provider"], task["last_status"]) for task in ran.tasks()) == {
        ("fixed", "RUNNING"): 1,
        ("fixed", "PROVISIONING"): 1,
        ("plain", "RUNNING"): 1,
    }


# --- managed scaling ---------------------------------------------------------------------------------------


@pytest.mark.golden(93)
def test_the_first_scale_out_holds_back_the_second(tmp_path: Path) -> None:
    """One instance, full. A task of 10:30 is seen at 11:00 and brings one instance at 12:00; ten of 11:30 are seen at
    12:00, when that instance is only being asked for. It warms up for 300 s: the second scale-out is at 17:00."""
    entries = [job(), job("second", 1, at="630s"), job("third", 10, at="690s")]
    full = [definition(cpu=4096)]
    keys = {"capacityProviders": [managed(1)], "taskDefinitions": full, "duration": "20m"}
    assert activities(run(world(runTasks=entries, **keys), tmp_path)) == [
        (12 * MINUTE, 1, 2),
        (17 * MINUTE, 2, 12),
    ]


@pytest.mark.golden(104)
def test_334_hosts_scale_in_to_34_in_four_steps(tmp_path: Path) -> None:
    """1,000 tasks, three to a host, become 100 at minute 20: the desired capacity halves as published, 168, 85, 43, 34,
    a step every two minutes. 34 hosts stand 6 to 10 min after the first step, as in AWS's own figures."""
    fewer = {"at": "20m", "updateService": {"service": "web", "desiredCount": 100}}
    ran = run(
        world(
            initialState="running",
            capacityProviders=[managed(334, most=400)],
            taskDefinitions=[definition(cpu=1024, memory=2560)],
            services=[service(count=1000, placementStrategy=[{"type": "binpack", "field": "memory"}])],
            actions=[fewer],
        ),
        tmp_path,
        checked=False,
    )
    first, *_ = steps = [(at / MINUTE, after) for at, _, after in activities(ran)]
    assert [after for _, after in steps] == [168, 85, 43, 34]
    assert [at - first[0] for at, _ in steps] == [0, 2, 4, 6]
    standing = [
        row["registered_instances"]
        for row in ran.rows("capacity_provider_series", capacity_provider="nodes")
        if row["time"] in ((first[0] + 5) * MINUTE, (first[0] + 10) * MINUTE)
    ]
    assert standing == [43, 34]


def test_the_interval_of_a_scale_in_is_a_setting(tmp_path: Path) -> None:
    """`scaleInInterval` of one minute is the step a minute that the guide describes."""
    keys = {"capacityProviders": [managed(10, scaleInInterval="1m")], "duration": "30m"}
    steps = activities(run(world(runTasks=[job(count=2)], **keys), tmp_path))
    assert [(at / MINUTE, after) for at, _, after in steps] == [(15, 6), (16, 4), (17, 3), (18, 2)]


def test_an_interval_of_a_scale_in_that_is_no_duration_is_refused(tmp_path: Path) -> None:
    """The message has the place of the key and says what would be right."""
    with pytest.raises(ScenarioError, match=r"managedScaling\.scaleInInterval: .*"):
        scenario_of(world(capacityProviders=[managed(1, scaleInInterval="0s")], runTasks=[job()]), tmp_path)
