"""Worked examples of capacity providers, as whole runs: strategies, refusals, and managed scaling minute by minute.

A datapoint of managed scaling is measured at the beginning of each minute and evaluated at its end (MODEL.md), so a
decision from the state at minute m has the time of minute m + 1.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from clustersim.errors import ScenarioError
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

ALONE = [{"type": "distinctInstance"}]  # one task an instance: M counts instances, not tasks


def managed(count: int, most: int = 100, target: int = 100, name: str = "nodes", **more: Any) -> Block:
    """A provider with managed scaling that terminates only empty instances; they register 90 s after their request."""
    of = provider(name, count, most=most, launchTime="90s", **more.pop("group", {}))
    of["autoScalingGroupProvider"]["managedScaling"] = {"targetCapacity": target, **more}
    of["autoScalingGroupProvider"]["managedTerminationProtection"] = "ENABLED"
    return of


def activities(ran: FinishedRun) -> list[tuple[int, int, int]]:
    """(instant, from, to) of every scaling activity of a provider."""
    rows = ran.rows("scaling_activities")
    assert {row["target"].split("/")[0] for row in rows} <= {"capacityProvider"}
    return [(row["time"], row["from_count"], row["to_count"]) for row in rows]


def reservation(ran: FinishedRun, minute: int) -> float:
    """CapacityProviderReservation at a minute."""
    (row,) = ran.rows("capacity_provider_series", time=minute * MINUTE, capacity_provider="nodes")
    return float(row["capacity_provider_reservation"])


# --- strategies --------------------------------------------------------------------------------------------


@pytest.mark.golden(39)
@pytest.mark.golden(40)
@pytest.mark.parametrize(
    ("weights", "shares"), [((1, 1), {"a": 5, "b": 5}), ((1, 4), {"a": 2, "b": 8})], ids=["39", "40"]
)
@pytest.mark.parametrize("operation", ["service", "runTask", "default"])
def test_weights_divide_ten_tasks(
    tmp_path: Path, weights: tuple[int, int], shares: dict[str, int], operation: str
) -> None:
    """Without a base the weights are the ratio, for a service, for RunTask and as the default of the cluster."""
    strategy = [on("a", weights[0]), on("b", weights[1])]
    keys: Block = {"capacityProviders": [provider("a", 5), provider("b", 5)], "duration": "5m"}
    given = {"capacityProviderStrategy": strategy}
    if operation == "service":
        keys["services"] = [service(count=10, **given)]
    elif operation == "runTask":
        keys["runTasks"] = [job(count=10, **given)]
    else:
        keys["cluster"] = {"defaultCapacityProviderStrategy": strategy}
        keys["services"] = [{**service(count=10), "capacityProviderStrategy": []}]
    ran = run(world(**keys), tmp_path)
    assert Counter(task["capacity_provider"] for task in ran.tasks()) == shares
    assert ran.states() == {"RUNNING": 10}


ENOUGH = [f"p{number}" for number in range(21)]
FARGATE_READY = definition(networkMode="awsvpc", cpu=256, memory=512)


@pytest.mark.golden(43)
@pytest.mark.golden(44)
@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ([on("p0", 0), on("p1", 0)], "every provider has weight 0"),
        ([on("p0", 1, 2), on("p1", 1, 3)], "more than one provider has a base"),
        ([on("p0"), on("FARGATE")], "Fargate and Auto Scaling group providers are mixed"),
        ([on("p0"), on("own")], "Managed Instances and Auto Scaling group providers are mixed"),
        ([on(name) for name in ENOUGH], "21 items is out of range; at most 20 items"),
    ],
    ids=["43 weights", "43 bases", "44 mixed", "44 mixed with Managed Instances", "44 too many"],
)
@pytest.mark.parametrize("operation", ["service", "runTask", "updateService", "default"])
def test_strategies_that_aws_refuses(
    tmp_path: Path, strategy: list[Block], message: str, operation: str
) -> None:
    """CreateService, RunTask, UpdateService and the cluster's default strategy refuse the same."""
    given = {"capacityProviderStrategy": strategy}
    own = {"name": "own", "managedInstancesProvider": {"instanceLaunchTemplate": {}}}
    keys: Block = {
        "capacityProviders": [*(provider(name) for name in ENOUGH), own],
        "taskDefinitions": [FARGATE_READY],
        "services": [service(capacityProviderStrategy=[on("p0")])],
    }
    if operation == "service":
        keys["services"] = [service(**given)]
    elif operation == "runTask":
        keys["runTasks"] = [job(**given)]
    elif operation == "updateService":
        keys["actions"] = [{"at": "1h", "updateService": {"service": "web", **given}}]
    else:
        keys["cluster"] = {"defaultCapacityProviderStrategy": strategy}
    with pytest.raises(ScenarioError) as refused:
        scenario_of(world(**keys), tmp_path)
    assert message in str(refused.value)


# --- managed scaling ---------------------------------------------------------------------------------------


@pytest.mark.golden(45)
def test_two_needed_of_three_is_two_thirds_and_leads_to_two(tmp_path: Path) -> None:
    """M = 2, N = 3: 66.7 % from the first minute on; after 15 low datapoints ceil(3 x 66.7 / 100) = 2."""
    keys = {"capacityProviders": [managed(3)], "duration": "30m"}
    ran = run(world(runTasks=[job(count=2, placementConstraints=ALONE)], **keys), tmp_path)
    assert reservation(ran, 5) == pytest.approx(200 / 3)
    assert activities(ran) == [(15 * MINUTE, 3, 2)]
    (row,) = ran.rows("scaling_activities")
    assert (row["target"], row["metric"]) == ("capacityProvider/nodes", "CapacityProviderReservation")
    assert row["metric_value"] == pytest.approx(200 / 3)
    assert reservation(ran, 16) == 100
    assert Counter(each["terminated_at"] for each in ran.instances()) == {None: 2, 15 * MINUTE: 1}


@pytest.mark.golden(46)
def test_two_needed_of_three_at_a_target_of_50_leads_to_four(tmp_path: Path) -> None:
    """66.7 % is above 50: one datapoint is enough, ceil(3 x 66.7 / 50) = 4."""
    keys = {"capacityProviders": [managed(3, target=50)], "duration": "30m"}
    ran = run(world(runTasks=[job(count=2, placementConstraints=ALONE)], **keys), tmp_path)
    assert activities(ran) == [(MINUTE, 3, 4)]
    assert (reservation(ran, 1), reservation(ran, 2)) == (pytest.approx(200 / 3), 50)


@pytest.mark.golden(47)
def test_an_empty_group_without_tasks_is_at_100_percent(tmp_path: Path) -> None:
    """M = 0, N = 0: the metric is 100, and nothing scales."""
    keys = {"capacityProviders": [managed(0)], "duration": "30m"}
    ran = run(world(services=[service(count=0)], **keys), tmp_path)
    assert {reservation(ran, minute) for minute in range(30)} == {100.0}
    assert (activities(ran), ran.instances()) == ([], [])


@pytest.mark.golden(48)
def test_one_task_of_an_empty_group_brings_two_instances(tmp_path: Path) -> None:
    """M = 1, N = 0 is 200 %: two instances, requested a minute after the task and registered 90 s later. The idle one
    (M = 1 of N = 2, low from the datapoint of minute 3 on) is terminated after 15 such datapoints, at minute 18."""
    keys = {"capacityProviders": [managed(0)], "duration": "30m"}
    ran = run(world(services=[service(count=1)], **keys), tmp_path)
    assert reservation(ran, 0) == 200
    assert activities(ran) == [(MINUTE, 0, 2), (18 * MINUTE, 2, 1)]
    assert [each["launched_at"] for each in ran.instances()] == [MINUTE, MINUTE]
    (task,) = ran.tasks()
    assert (task["created_at"], task["placed_at"]) == (0, 150_000)
    gone = [each["tasks_started"] for each in ran.instances() if each["terminated_at"] == 18 * MINUTE]
    assert gone == [0]


@pytest.mark.golden(49)
@pytest.mark.parametrize(
    ("count", "tasks", "target", "percent", "desired"),
    [(3, 4, 100, 400 / 3, 4), (4, 10, 100, 250, 10), (4, 5, 90, 125, 6)],
    ids=["4 of 3", "10 of 4", "5 of 4, target 90"],
)
def test_waiting_tasks_scale_out(
    tmp_path: Path, count: int, tasks: int, target: int, percent: float, desired: int
) -> None:
    """Every instance is busy and the rest waits, one task an instance: ceil(N x reservation / target)."""
    keys = {"capacityProviders": [managed(count, target=target)], "duration": "6m"}
    ran = run(world(runTasks=[job(count=tasks, placementConstraints=ALONE)], **keys), tmp_path)
    assert reservation(ran, 0) == pytest.approx(percent)
    assert activities(ran) == [(MINUTE, count, desired)]
    assert ran.states() == {"RUNNING": tasks}


@pytest.mark.golden(53)
def test_instances_with_daemons_only_are_empty(tmp_path: Path) -> None:
    """Three instances, a daemon on each: M = 0 is 0 %, and the group shrinks to its minimum of one."""
    agent = {**service("agent", schedulingStrategy="DAEMON", launchType="EC2"), "desiredCount": None}
    keys = {"capacityProviders": [managed(3, group={"minSize": 1})], "duration": "30m"}
    ran = run(world(services=[agent], **keys), tmp_path)
    assert reservation(ran, 5) == 0
    assert activities(ran) == [(15 * MINUTE, 3, 2), (17 * MINUTE, 2, 1)]
    gone = [each for each in ran.instances() if each["terminated_at"] is not None]
    assert all(each["draining_at"] is None for each in gone), "nothing on them is worth draining for"


@pytest.mark.golden(54)
def test_task_too_large_for_the_smallest_type_waits_for_ever(tmp_path: Path) -> None:
    """4 vCPU on a group of 2 and of 8 vCPU: the larger is enough, but ECS uses the smallest. The metric stays at
    the target and nothing is launched."""
    types = [{**NODE, "name": "small", "vcpus": 2}, {**NODE, "name": "large", "vcpus": 8}]
    keys: Block = {
        "instanceTypes": types,
        "capacityProviders": [managed(0, target=80, group={"instanceTypes": ["large", "small"]})],
        "cluster": {"provisioning": {"timeout": "unlimited"}},
        "taskDefinitions": [definition(cpu=4096, memory=1024)],
    }
    ran = run(world(services=[service(count=2)], **keys), tmp_path)
    assert ran.states() == {"PROVISIONING": 2}
    assert {reservation(ran, minute) for minute in range(60)} == {80.0}
    assert (activities(ran), ran.instances()) == ([], [])


@pytest.mark.golden(55)
def test_scale_in_goes_down_by_less_than_half_in_a_step(tmp_path: Path) -> None:
    """Ten instances, two of them busy: after 15 minutes 10 -> 6 -> 4 -> 3 -> 2, a step every two minutes."""
    keys = {"capacityProviders": [managed(10)], "duration": "30m"}
    ran = run(world(runTasks=[job(count=2, placementConstraints=ALONE)], **keys), tmp_path)
    assert reservation(ran, 5) == 20
    steps = [(15, 10, 6), (17, 6, 4), (19, 4, 3), (21, 3, 2)]
    assert activities(ran) == [(minute * MINUTE, before, after) for minute, before, after in steps]
    assert ran.running_at(29 * MINUTE) == 2
