"""ECS Managed Instances, as whole runs: launches for waiting tasks, costs, and removal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from clustersim.errors import ScenarioError
from clustersim.scenario.catalog.managed_instance_types import is_general_purpose
from tests.harness import (
    DAY,
    HOUR,
    MINUTE,
    NODE,
    SECOND,
    Block,
    definition,
    job,
    on,
    run,
    scenario_of,
    service,
    world,
)

TYPES = [
    {**NODE, "name": "x.small", "vcpus": 1, "registeredMemoryMiB": 4096, "usdPerHour": 0.10},
    {**NODE, "name": "x.large", "vcpus": 4, "registeredMemoryMiB": 16384, "usdPerHour": 0.36},
]
ONE_ZONE = {"subnets": [{"subnetId": "subnet-a", "availabilityZone": "us-east-1a"}]}


def managed(name: str = "own", launch: Any = "40s", **template: Any) -> Block:
    """A provider of Managed Instances of the types above, in one zone where the scenario lists a subnet."""
    more = {key: template.pop(key) for key in ("infrastructureOptimization",) if key in template}
    template.setdefault("instanceRequirements", {"allowedInstanceTypes": ["x.small", "x.large"]})
    of = {"launchTime": launch, "instanceLaunchTemplate": template, **more}
    return {"name": name, "managedInstancesProvider": of}


def owned(*providers: Block, **keys: Any) -> Block:
    """A world whose tasks run on Managed Instances; a task is 1 vCPU and 2 GiB."""
    keys.setdefault("taskDefinitions", [definition(cpu=1024, memory=2048)])
    return world(
        capacityProviders=list(providers) or [managed()],
        instanceTypes=TYPES,
        pricing={"ebsUsdPerGibMonth": 0, **keys.pop("pricing", {})},
        **keys,
    )


HERE = {"capacityProviderStrategy": [on("own")]}


def test_instances_end_with_the_addresses_of_their_subnet(tmp_path: Path) -> None:
    """A /28 gives 11 addresses, an instance takes one: the twelfth of twelve tasks of a whole instance each waits."""
    narrow = {"subnets": [{**ONE_ZONE["subnets"][0], "cidrBlock": "10.0.0.0/28"}]}
    whole = {"taskDefinitions": [definition(cpu=1024, memory=4096)]}
    small = managed(instanceRequirements={"allowedInstanceTypes": ["x.small"]})
    ran = run(owned(small, duration="10m", services=[service(count=12, **HERE)], **narrow, **whole), tmp_path)
    assert len(ran.instances()) == 11
    assert ran.states() == {"RUNNING": 11, "PROVISIONING": 1}
    assert any("has no capacity" in message for message in ran.messages("INSTANCE_LAUNCH_FAILED"))


def test_an_instance_is_launched_for_a_waiting_task(tmp_path: Path) -> None:
    """One task: the small type is enough, is asked for at once and registers after 40 s."""
    ran = run(owned(duration="10m", services=[service(**HERE)]), tmp_path)
    (instance,), (task,) = ran.instances(), ran.tasks()
    assert (instance["instance_type"], instance["launched_at"]) == ("x.small", 0)
    assert task["placed_at"] == instance["registered_at"] == 40 * SECOND
    assert (task["launch_type"], task["capacity_provider"]) == ("MANAGED_INSTANCES", "own")
    assert (instance["capacity_provider"], instance["auto_scaling_group"]) == ("own", None)
    assert {row["desired_instances"] for row in ran.rows("capacity_provider_series")} == {None}
    assert ran.rows("capacity_provider_series", time=5 * MINUTE)[0]["registered_instances"] == 1


def test_tasks_of_a_service_stand_in_three_zones(tmp_path: Path) -> None:
    """Zone spread comes before packing: three tasks, three small instances, though one large one would hold them."""
    ran = run(owned(duration="10m", runTasks=[job(count=3, **HERE)]), tmp_path)
    assert Counter(task["availability_zone"][-1] for task in ran.tasks()) == {"a": 1, "b": 1, "c": 1}
    assert len({task["container_instance_id"] for task in ran.tasks()}) == 3


@pytest.mark.parametrize(
    ("count", "types"), [(1, {"x.small": 1}), (4, {"x.large": 1}), (6, {"x.large": 1, "x.small": 2})]
)
def test_the_cheapest_packing_is_bought(tmp_path: Path, count: int, types: dict[str, int]) -> None:
    """In one zone. Small: 0.10 for one task; large: 0.36 for four, 0.09 each. Six tasks: a large one for four, and
    for two others two small ones (0.20) rather than a large one (0.36)."""
    written = owned(managed(networkConfiguration={"subnets": ["subnet-a"]}), **ONE_ZONE, duration="10m")
    ran = run({**written, "runTasks": [job(count=count, **HERE)]}, tmp_path)
    assert Counter(each["instance_type"] for each in ran.instances()) == types
    assert {each["availability_zone"] for each in ran.instances()} == {"us-east-1a"}


def test_a_task_that_comes_during_a_launch_uses_its_spare_room(tmp_path: Path) -> None:
    """A task of 3 vCPU brings a large instance; one of 1 vCPU, 20 s later, waits for the same."""
    sizes = [definition("big", cpu=3072, memory=2048), definition("app", cpu=1024, memory=2048)]
    jobs = [job("big", taskDefinition="big", at="0s", **HERE), job("late", at="20s", **HERE)]
    written = owned(
        managed(networkConfiguration={"subnets": ["subnet-a"]}), taskDefinitions=sizes, **ONE_ZONE
    )
    ran = run({**written, "duration": "10m", "runTasks": jobs}, tmp_path)
    assert [each["instance_type"] for each in ran.instances()] == ["x.large"]
    assert [task["placed_at"] for task in ran.tasks()] == [40 * SECOND] * 2


def test_a_lost_assignment_sends_the_task_elsewhere(tmp_path: Path) -> None:
    """The zone is gone while the instance is being launched: another is launched in another zone at once."""
    out = {"zoneOutages": [{"availabilityZone": "us-east-1a", "at": "20s", "duration": "1h"}]}
    ran = run(owned(duration="10m", failures=out, services=[service(**HERE)]), tmp_path)
    first, second = ran.instances()
    assert (first["availability_zone"], first["terminated_at"]) == ("us-east-1a", 20 * SECOND)
    assert (second["launched_at"], second["availability_zone"][-1]) == (20 * SECOND, "b")
    (task,) = ran.tasks()
    assert (task["created_at"], task["placed_at"]) == (0, 60 * SECOND)


def test_a_waiting_task_that_is_stopped_loses_its_assignment(tmp_path: Path) -> None:
    """The provisioning timeout (30 s) comes before the instance (40 s), which is then idle and goes."""
    cluster = {"provisioning": {"timeout": "30s", "limit": 500}}
    written = owned(duration="20m", cluster=cluster, runTasks=[job(at="0s", **HERE)])
    ran = run(written, tmp_path)
    (task,), (instance,) = ran.tasks(), ran.instances()
    assert (task["stopped_at"], task["stop_code"]) == (30 * SECOND, "TaskFailedToStart")
    assert instance["termination_reason"] == "idle"


def test_tasks_that_fit_no_type_wait_and_it_is_reported_once(tmp_path: Path) -> None:
    """8 vCPU on types of 1 and 4."""
    written = owned(taskDefinitions=[definition(cpu=8192, memory=2048)], services=[service(count=2, **HERE)])
    ran = run({**written, "duration": "10m"}, tmp_path)
    assert ran.states() == {"PROVISIONING": 2}
    assert ran.messages("INSTANCE_LAUNCH_FAILED") == [
        "(capacity-provider own) no instance type meets the requirements of the waiting tasks."
    ]


def test_a_shortage_of_one_type_makes_way_for_another(tmp_path: Path) -> None:
    """No small instance is available: the large one is launched. Without any capacity, launches are retried."""
    lack = {"capacityShortages": [{"instanceType": "x.small", "at": "0s", "duration": "1h"}]}
    ran = run(owned(duration="5m", failures=lack, services=[service(**HERE)]), tmp_path / "other")
    assert [each["instance_type"] for each in ran.instances()] == ["x.large"]
    lack = {"capacityShortages": [{"capacityProvider": "own", "at": "0s", "duration": "190s"}]}
    ran = run(owned(duration="10m", failures=lack, services=[service(**HERE)]), tmp_path / "none")
    assert [each["launched_at"] for each in ran.instances()] == [190 * SECOND]
    assert len(ran.messages("INSTANCE_LAUNCH_FAILED")) == 1


# --- money -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spot", [False, True], ids=["on-demand", "Spot"])
def test_the_fee_is_a_line_of_its_own_of_the_on_demand_price(tmp_path: Path, spot: bool) -> None:
    """12 % of 0.10 an hour, by Spot too; it belongs to ECS, and to the tasks that use the instance."""
    types = [{**TYPES[0], "spotUsdPerHour": 0.03, "spotInterruption": 0}]
    of = managed(
        capacityOptionType="SPOT" if spot else "ON_DEMAND",
        instanceRequirements={"allowedInstanceTypes": ["x.small"]},
    )
    written = {**owned(of, services=[service(**HERE)]), "instanceTypes": types}
    ran = run(written, tmp_path)
    (instance,) = ran.instances()
    price = 0.03 if spot else 0.10
    assert instance["cost_usd"] == pytest.approx(price + 0.012)
    assert instance["purchase_option"] == ("spot" if spot else "on-demand")
    billed: Counter[tuple[str, str]] = Counter()
    for row in ran.rows("costs"):
        billed[row["ServiceName"], row["SkuId"]] += row["BilledCost"]
    assert billed["Amazon Elastic Container Service", "ManagedInstances:x.small"] == pytest.approx(0.012)
    usage = "SpotUsage:x.small" if spot else "BoxUsage:x.small"
    assert billed["Amazon Elastic Compute Cloud", usage] == pytest.approx(price)
    assert ran.summary["cost_usd"] == pytest.approx(price + 0.012)


def test_the_fee_can_be_set(tmp_path: Path) -> None:
    """`pricing.managedInstancesFee: 0` leaves the instance's own price."""
    ran = run(owned(pricing={"managedInstancesFee": 0}, services=[service(**HERE)]), tmp_path)
    assert ran.summary["cost_usd"] == pytest.approx(0.10)


# --- removal ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "gone"),
    [({}, 15), ({"scaleInAfter": 60}, 11), ({"scaleInAfter": 0}, 10), ({"scaleInAfter": -1}, None)],
    ids=["default", "a minute", "at once", "never"],
)
def test_an_idle_instance_goes_after_a_while(tmp_path: Path, after: Block, gone: int | None) -> None:
    """The task ends at 10:00 after 9:20 on its instance; five minutes are the default, looked at once a minute."""
    of = managed(infrastructureOptimization=after)
    ran = run(owned(of, runTasks=[job(at="0s", duration="560s", **HERE)]), tmp_path)
    (instance,) = ran.instances()
    assert ran.tasks()[0]["stopped_at"] == 10 * MINUTE
    assert instance["terminated_at"] == (None if gone is None else gone * MINUTE)
    assert instance["termination_reason"] == (None if gone is None else "idle")


def eight_then_four(kind: str, **keys: Any) -> Block:
    """Four tasks each of two services on instances of one type in one zone; two of each stop in minute 20."""
    fewer = [{"at": "20m", "updateService": {"service": name, "desiredCount": 2}} for name in ("web", "api")]
    requirements = {"allowedInstanceTypes": [kind]}
    of = managed(networkConfiguration={"subnets": ["subnet-a"]}, instanceRequirements=requirements, **keys)
    return owned(
        of,
        **ONE_ZONE,
        duration="2h",
        actions=fewer,
        services=[service(name, 4, **HERE) for name in ("web", "api")],
    )


def test_an_underutilized_instance_is_emptied_start_first(tmp_path: Path) -> None:
    """Two of four tasks remain on each of two large instances, and one of them holds all four: the other drains."""
    ran = run(eight_then_four("x.large"), tmp_path)
    reasons = Counter(each["termination_reason"] for each in ran.instances())
    assert reasons == {None: 1, "underutilized": 1}
    assert all(ran.running_at(instant) >= 4 for instant in range(25 * MINUTE, 2 * HOUR, 20 * SECOND))


def test_no_instance_with_tasks_is_emptied_while_an_idle_one_stands(tmp_path: Path) -> None:
    """A task each on eight small instances; the four whose task stops go as idle, and no other task is moved."""
    ran = run(eight_then_four("x.small"), tmp_path)
    assert Counter(each["termination_reason"] for each in ran.instances()) == {None: 4, "idle": 4}
    assert len(ran.tasks()) == 8


def test_an_instance_with_a_standalone_task_is_never_consolidated(tmp_path: Path) -> None:
    """A task of RunTask on each instance: all stay, however empty they are."""
    jobs = [job(f"j{n}", at=f"{n}h", count=1, **HERE) for n in range(3)]
    of = managed(
        networkConfiguration={"subnets": ["subnet-a"]},
        instanceRequirements={"allowedInstanceTypes": ["x.large"]},
    )
    filler = job("filler", at="0s", count=8, duration="30m", **HERE)
    ran = run(owned(of, **ONE_ZONE, duration="6h", runTasks=[*jobs, filler]), tmp_path)
    assert "underutilized" not in {each["termination_reason"] for each in ran.instances()}
    assert ran.running_at(5 * HOUR) == 3


@pytest.mark.parametrize(("stops", "day"), [(False, 21), (True, 14)])
def test_on_the_fourteenth_day_an_instance_is_replaced(tmp_path: Path, stops: bool, day: int) -> None:
    """It drains from day 14 on: the service's task has a successor first.

    The standalone one runs on, and stops on day 21; with `stopsTasksWhenDraining` it stops on day 14.
    """
    entry = job(at="0s", **HERE)
    written = owned(duration="22d", sampling={"interval": "1h"}, services=[service(**HERE)], runTasks=[entry])
    own = written["capacityProviders"][0]["managedInstancesProvider"]
    own["stopsTasksWhenDraining"] = stops
    ran = run(written, tmp_path, checked=False)
    retired = [each for each in ran.instances() if each["termination_reason"] == "end of its lifetime"]
    assert {each["draining_at"] for each in retired} == {14 * DAY}
    (alone,) = ran.tasks(group="job")
    assert (alone["stopping_at"] or alone["stopped_at"]) == day * DAY
    assert alone["stopped_reason"] == "Task stopped during instance draining"
    assert all(ran.running_at(14 * DAY + at, service="web") >= 1 for at in range(0, HOUR, 10 * SECOND))


@pytest.mark.golden(96)
def test_a_standalone_task_of_sixteen_days_ends_by_itself_while_its_instance_drains(tmp_path: Path) -> None:
    """DRAINING from day 14 after its launch; the task exits with 0 on day 16, and the instance is terminated then."""
    entry = job(at="0s", duration="16d", **HERE)
    written = owned(duration="17d", sampling={"interval": "1h"}, runTasks=[entry])
    ran = run(written, tmp_path, checked=False)
    (alone,) = ran.tasks()
    (instance,) = ran.instances()
    assert instance["draining_at"] - instance["launched_at"] == 14 * DAY
    assert (alone["exit_code"], alone["stopped_at"] - alone["started_at"]) == (0, 16 * DAY)
    assert 0 <= instance["terminated_at"] - alone["stopped_at"] <= MINUTE


@pytest.mark.golden(97)
def test_the_quota_of_waiting_tasks_does_not_apply_to_managed_instances(tmp_path: Path) -> None:
    """800 tasks by RunTask wait in PROVISIONING, where 500 are the most on Auto Scaling groups: none is refused."""
    ran = run(owned(duration="10m", runTasks=[job(count=800, **HERE)]), tmp_path, checked=False)
    assert ran.states() == {"RUNNING": 800}
    assert ran.summary["placement_failures"].get("PROVISIONING:LIMIT", 0) == 0


def test_spot_instances_are_not_emptied(tmp_path: Path) -> None:
    """The same tasks that empty an underutilized on-demand instance leave Spot instances as they are."""
    reasons = {}
    for option in ("ON_DEMAND", "SPOT"):
        written = eight_then_four("x.large", capacityOptionType=option)
        written["instanceTypes"] = [{**each, "spotUsdPerHour": 0.1} for each in written["instanceTypes"]]
        ran = run({**written, "failures": {"spotInterruptions": "none"}}, tmp_path / option)
        reasons[option] = {each["termination_reason"] for each in ran.instances()}
    assert reasons == {"ON_DEMAND": {None, "underutilized"}, "SPOT": {None}}


# --- requirements ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requirements", "expected"),
    [
        ({"allowedInstanceTypes": ["m6i.large", "c6i.*"], "vCpuCount": {"min": 2, "max": 2}}, "c6i.large"),
        (
            {"vCpuCount": {"min": 2, "max": 2}, "memoryMiB": {"min": 16000}, "cpuManufacturers": ["intel"]},
            "r",
        ),
        ({"vCpuCount": {"min": 8, "max": 8}, "cpuManufacturers": ["amd"]}, "a"),
        ({"allowedInstanceTypes": ["t3.*"], "burstablePerformance": "required"}, "t3."),
    ],
    ids=["pattern", "memory", "amd", "burstable"],
)
def test_attributes_choose_among_the_catalogue(tmp_path: Path, requirements: Block, expected: str) -> None:
    """The cheapest type that meets them all is launched."""
    written = owned(managed(instanceRequirements=requirements), duration="5m", services=[service(**HERE)])
    (instance,) = run(written, tmp_path).instances()
    assert expected in instance["instance_type"]


def test_without_requirements_ecs_takes_what_fits_the_task(tmp_path: Path) -> None:
    """A general-purpose type of the task's architecture, of whatever size."""
    written = owned(managed(instanceRequirements={}), duration="5m", services=[service(**HERE)])
    (instance,) = run(written, tmp_path).instances()
    assert instance["instance_type"][0] in "mt"
    assert 1024 <= instance["registered_cpu"] <= 2048


@pytest.mark.golden(95)
@pytest.mark.parametrize("arch", ["X86_64", "ARM64"])
def test_a_small_task_gets_a_general_purpose_type_of_two_vcpus(tmp_path: Path, arch: str) -> None:
    """0.25 vCPU and 0.5 GB without requirements: an M or T of the list with at least 2 vCPU, no nano and no micro."""
    small = definition(cpu=256, memory=512, runtimePlatform={"cpuArchitecture": arch})
    written = owned(managed(instanceRequirements={}), duration="5m", services=[service(**HERE)])
    written["taskDefinitions"] = [small]
    (instance,) = run(written, tmp_path).instances()
    family, size = instance["instance_type"].split(".")
    assert family[0] in "mt" and is_general_purpose(instance["instance_type"])
    assert size not in ("nano", "micro", "medium") and instance["registered_cpu"] >= 2048


@pytest.mark.parametrize(
    ("requirements", "message"),
    [
        ({"allowedInstanceTypes": ["m6i.lagre"]}, "did you mean m6i.large"),
        ({"allowedInstanceTypes": ["m4.large"]}, "have no types of the family m4"),
        ({"allowedInstanceTypes": ["t3.micro"]}, "are no nano or micro"),
        ({"allowedInstanceTypes": ["c6g.medium"]}, "have more than one vCPU"),
        ({"vCpuCount": {"min": 1000}}, "no instance type meets the requirements"),
        ({"acceleratorNames": ["t4"]}, None),
    ],
)
def test_errors_in_requirements_are_reported(
    tmp_path: Path, requirements: Block, message: str | None
) -> None:
    """A name that nothing has, a size that nothing has; what the catalogue does not know gets a warning."""
    written = owned(managed(instanceRequirements=requirements), services=[service(**HERE)])
    if message is None:
        assert any("not simulated yet" in line for line in scenario_of(written, tmp_path).warnings)
        return
    with pytest.raises(ScenarioError) as refused:
        scenario_of(written, tmp_path)
    assert message in str(refused.value)


def test_running_from_the_first_instant(tmp_path: Path) -> None:
    """`initialState: running`: instances for all tasks are there, and nothing waits."""
    written = owned(initialState="running", duration="10m", services=[service(count=6, **HERE)])
    ran = run(written, tmp_path)
    assert ran.running_at(0) == 6
    assert {each["registered_at"] for each in ran.instances()} == {0}
    assert Counter(task["availability_zone"][-1] for task in ran.tasks()) == {"a": 2, "b": 2, "c": 2}


def test_two_revisions_of_one_service_are_distinct_on_an_instance_that_was_coming_for_both(
    tmp_path: Path,
) -> None:
    """Blue waits for an instance of four vCPUs from 0 s, green from 10 s: it has room for both and may take but one."""
    large = managed(instanceRequirements={"allowedInstanceTypes": ["x.large"]})
    shifting = service(
        placementConstraints=[{"type": "distinctInstance"}],
        deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5},
        **HERE,
    )
    again = {"at": "10s", "updateService": {"service": "web", "forceNewDeployment": True}}
    ran = run(owned(large, duration="4m", services=[shifting], actions=[again], **ONE_ZONE), tmp_path)
    blue, green = ran.tasks()
    assert blue["container_instance_id"] != green["container_instance_id"]
    assert (blue["placed_at"], green["placed_at"]) == (40 * SECOND, 80 * SECOND)
