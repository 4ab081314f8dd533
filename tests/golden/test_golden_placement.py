"""Worked examples of placement, as whole runs: which tasks are placed, and why others are not.

The placement rules themselves are tested in tests/policy; here the examples pass through reader, scheduler and tables.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.harness import HOUR, Block, definition, job, provider, run, service, world

NO_INSTANCE = "was unable to place a task because no container instance met all of its requirements."


@pytest.mark.golden(102)
@pytest.mark.parametrize(("trunking", "placed"), [(False, 2), (True, 10)])
def test_the_wait_reason_is_the_last_refusal(tmp_path: Path, trunking: bool, placed: int) -> None:
    """c7i.large, one at most, memory enough: two tasks have an interface each and the others wait for one.

    All ten arrive before the instance, when there is none; that is no reason once it has registered. Two that were
    placed keep the refusal that they waited for.
    """
    nodes = provider(count=0, kind="c7i.large", most=1, launchTime="90s")
    nodes["autoScalingGroupProvider"]["managedScaling"] = {"status": "ENABLED"}
    ran = run(
        world(
            duration="20m",
            capacityProviders=[nodes],
            taskDefinitions=[definition(cpu=128, memory=128, networkMode="awsvpc")],
            runTasks=[job(count=10)],
            cluster={"awsvpcTrunking": trunking},
        ),
        tmp_path,
    )
    reasons = Counter((task["placed_at"] is not None, task["wait_reason"]) for task in ran.tasks())
    waiting = {} if trunking else {(False, "RESOURCE:ENI"): 10 - placed}
    assert reasons == {(True, "NO ACTIVE INSTANCES"): placed, **waiting}
    counts = {} if trunking else {"RESOURCE:ENI": 10 - placed}
    assert ran.summary["placement_failures"] == {"NO ACTIVE INSTANCES": placed, **counts}


@pytest.mark.golden(24)
def test_next_task_goes_to_a_zone_without_one(tmp_path: Path) -> None:
    """ECS Developer Guide: services spread over zones by default; A:1, B:0, C:0 makes it B or C."""
    more = {"at": "10m", "updateService": {"service": "web", "desiredCount": 2}}
    ran = run(world(nodes=6, services=[service(count=1)], actions=[more]), tmp_path)
    first, second = ran.tasks()
    assert second["created_at"] == 600_000
    assert first["availability_zone"] != second["availability_zone"]


@pytest.mark.golden(24)
def test_three_tasks_are_spread_over_three_zones(tmp_path: Path) -> None:
    """The same rule, twice: the third task goes to the one zone that is still empty."""
    more = [{"at": f"{n}0m", "updateService": {"service": "web", "desiredCount": n + 1}} for n in (1, 2)]
    ran = run(world(nodes=6, services=[service(count=1)], actions=more), tmp_path)
    assert len({task["availability_zone"] for task in ran.tasks()}) == 3


@pytest.mark.golden(29)
def test_binpack_takes_the_instance_with_the_least_sufficient_memory(tmp_path: Path) -> None:
    """Free memory 4,096, 2,048 and 1,024 MiB; a task of 1,500 goes to the second, the next to the first."""
    kinds = [
        {"name": f"m{free}", "vcpus": 4, "memoryMiB": free, "registeredMemoryMiB": free, "usdPerHour": 0.1}
        for free in (4096, 2048, 1024)
    ]
    written = world(
        duration="5m",
        instanceTypes=kinds,
        capacityProviders=[provider(kind["name"], kind=kind["name"]) for kind in kinds],
        taskDefinitions=[definition(memory=1500)],
        runTasks=[
            job(
                count=2, at="0s", launchType="EC2", placementStrategy=[{"type": "binpack", "field": "memory"}]
            )
        ],
    )
    ran = run(written, tmp_path)
    types = {row["container_instance_id"]: row["instance_type"] for row in ran.instances()}
    assert [types[task["container_instance_id"]] for task in ran.tasks()] == ["m2048", "m4096"]


@pytest.mark.golden(31)
def test_static_host_port_holds_one_task_per_instance(tmp_path: Path) -> None:
    """Host port 80, desired 3, two instances: the third task finds port 80 taken everywhere."""
    ports = {"portMappings": [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}]}
    written = world(
        nodes=2,
        duration="5m",
        taskDefinitions=[definition(networkMode="bridge", container=ports)],
        services=[service(count=3, launchType="EC2")],
    )
    ran = run(written, tmp_path)
    assert ran.states() == {"RUNNING": 2}
    assert len({task["container_instance_id"] for task in ran.tasks()}) == 2
    (message,) = ran.messages("SERVICE_TASK_PLACEMENT_FAILURE")
    assert message.startswith(f"(service web) {NO_INSTANCE}")
    assert message.endswith("is already using a port required by your task.")


@pytest.mark.golden(32)
@pytest.mark.parametrize(("cpu", "memory", "short"), [(128, 1000, "MEMORY"), (1000, 128, "CPU")])
def test_nearly_full_host_takes_one_task(tmp_path: Path, cpu: int, memory: int, short: str) -> None:
    """1,024 registered, 1,000 reserved: what remains, 24, is too little for a second task, in either resource."""
    small = {
        "name": "small.node",
        "vcpus": 1,
        "memoryMiB": 1024,
        "registeredMemoryMiB": 1024,
        "usdPerHour": 0.1,
    }
    written = world(
        duration="5m",
        instanceTypes=[small],
        capacityProviders=[provider(count=2, kind="small.node")],
        taskDefinitions=[definition(cpu=cpu, memory=memory)],
        runTasks=[job(count=3, at="0s", launchType="EC2")],
    )
    ran = run(written, tmp_path)
    assert [task["container_instance_id"] is not None for task in ran.tasks()] == [True, True, False]
    assert ran.tasks()[2]["wait_reason"] == f"RESOURCE:{short}"
    assert len({task["container_instance_id"] for task in ran.tasks()[:2]}) == 2


def of_real_type(kind: str, count: int, **keys: Block) -> Block:
    """A scenario with one instance of a type of the catalogue."""
    written = world(
        duration="5m",
        capacityProviders=[provider(kind=kind)],
        runTasks=[job(count=count, at="0s", launchType="EC2")],
    )
    del written["instanceTypes"]
    return {**written, **keys}


@pytest.mark.golden(33)
def test_task_of_the_nominal_memory_never_fits(tmp_path: Path) -> None:
    """An m4.large has 8,192 MiB by name and registers 7,985: a task of 8,192 fits on no instance, one of 7,985 does."""
    written = of_real_type("m4.large", 1, taskDefinitions=[definition(memory=8192)])
    (task,) = run(written, tmp_path / "nominal").tasks()
    assert task["placed_at"] is None
    assert task["stop_code"] == "TaskFailedToStart"
    assert task["stopped_reason"] == "TaskFailedToStart: RESOURCE:MEMORY"
    fits = of_real_type("m4.large", 1, taskDefinitions=[definition(memory=7985)])
    assert run(fits, tmp_path / "registered").states() == {"RUNNING": 1}


@pytest.mark.golden(34)
def test_four_quarters_do_not_fill_an_m5_large(tmp_path: Path) -> None:
    """0.5 vCPU and 2 GiB is a quarter of an m5.large by name; only three fit into the 7.6 GiB registered."""
    written = of_real_type("m5.large", 4, taskDefinitions=[definition(cpu=512, memory=2048)])
    ran = run(written, tmp_path)
    assert ran.states() == {"RUNNING": 3, "STOPPED": 1}
    (refused,) = ran.tasks(last_status="STOPPED")
    assert refused["wait_reason"] == "RESOURCE:MEMORY"


@pytest.mark.golden(35)
@pytest.mark.parametrize(("trunking", "places"), [(False, 2), (True, 10)])
def test_network_interfaces_limit_awsvpc_tasks(tmp_path: Path, trunking: bool, places: int) -> None:
    """A c5.large has 3 interfaces, one its own: 2 awsvpc tasks; with trunking 10. The next is RESOURCE:ENI."""
    written = of_real_type(
        "c5.large",
        places + 1,
        taskDefinitions=[definition(cpu=128, memory=128, networkMode="awsvpc")],
        cluster={"awsvpcTrunking": trunking},
    )
    ran = run(written, tmp_path)
    assert ran.states() == {"RUNNING": places, "STOPPED": 1}
    (refused,) = ran.tasks(last_status="STOPPED")
    assert refused["wait_reason"] == "RESOURCE:ENI"
    assert ran.summary["placement_failures"] == {"RESOURCE:ENI": 1}


@pytest.mark.golden(94)
@pytest.mark.parametrize(
    ("kind", "places"),
    [("m5n.xlarge", 3), ("g4dn.xlarge", 2), ("r5.8xlarge", 7), ("m5.8xlarge", 60), ("i4i.32xlarge", 498)],
)
def test_the_table_of_trunking_decides_type_by_type(tmp_path: Path, kind: str, places: int) -> None:
    """m5n, g4dn and r5.8xlarge are not in the table: their own interfaces less one. i4i.32xlarge takes 498 tasks."""
    written = of_real_type(
        kind,
        places + 1,
        taskDefinitions=[definition(cpu=128, memory=128, networkMode="awsvpc")],
        cluster={"awsvpcTrunking": True},
    )
    ran = run(written, tmp_path, checked=False)
    assert ran.states() == {"RUNNING": places, "STOPPED": 1}
    assert ran.summary["placement_failures"] == {"RESOURCE:ENI": 1}


@pytest.mark.golden(38)
def test_distinct_instance_places_as_many_as_there_are_instances(tmp_path: Path) -> None:
    """distinctInstance, desired 4, three instances with room for eight each: three tasks."""
    apart = [{"type": "distinctInstance"}]
    written = world(
        nodes=3, duration="5m", services=[service(count=4, launchType="EC2", placementConstraints=apart)]
    )
    ran = run(written, tmp_path)
    assert ran.states() == {"RUNNING": 3}
    assert len({task["container_instance_id"] for task in ran.tasks()}) == 3
    assert ran.messages("SERVICE_TASK_PLACEMENT_FAILURE")[0].startswith(f"(service web) {NO_INSTANCE}")


@pytest.mark.golden(84)
def test_a_task_takes_the_place_of_one_that_stops_for_eight_hours(tmp_path: Path) -> None:
    """What's New 2023-06-30: its room is free for placement when it begins to stop, and on the host when it is STOPPED.

    A host of 0.36 USD an hour, filled by a task that is stopped after an hour and takes 8 h; no other one is launched,
    though managed scaling could. The next task pays from its placement, 9 h of the 10.
    """
    managed = provider(count=1, launchTime="90s")
    managed["autoScalingGroupProvider"]["managedScaling"] = {"targetCapacity": 100}
    written = world(
        duration="10h",
        pricing={"ebsUsdPerGibMonth": 0},
        sampling={"interval": "5m"},
        capacityProviders=[managed],
        taskDefinitions=[definition(cpu=4096, memory=8192, container={"stopTimeout": 8 * 3600})],
        services=[service("web", 1, behavior={"stopTime": "never"})],
        runTasks=[job("next", at="1h", duration="2h")],
        actions=[{"at": "1h", "updateService": {"service": "web", "desiredCount": 0}}],
    )
    ran = run(written, tmp_path)
    (old,), (new,) = ran.tasks(group="service:web"), ran.tasks(group="next")
    assert (old["stopping_at"], old["stopped_at"]) == (HOUR, 9 * HOUR)
    assert (new["created_at"], new["placed_at"]) == (HOUR, HOUR)
    assert (new["admitted_at"], new["started_at"], new["wait_reason"]) == (9 * HOUR, 9 * HOUR, "HOST:CPU")
    rows = ran.rows("capacity_provider_series", capacity_provider="nodes")
    assert max(row["cpu_reservation"] for row in rows) == 100
    assert max(row["capacity_provider_reservation"] for row in rows) == 100
    assert len(ran.instances()) == 1
    assert old["cost_usd"] == pytest.approx(0.36)
    assert new["cost_usd"] == pytest.approx(9 * 0.36)
    assert ran.summary["cost_usd_idle"] == pytest.approx(0)


@pytest.mark.parametrize("protect", [True, False])
def test_a_host_with_only_stopping_tasks_is_empty_for_managed_scaling_and_protected(
    tmp_path: Path, protect: bool
) -> None:
    """M no longer counts it; it is terminated by the scale-in when its task is STOPPED, or, by the setting, before.

    Its task stops from 1:00 for an hour. The datapoints of 1:00 to 1:14 are low, so the scale-in is at 1:15.
    """
    managed = provider(count=2, minSize=0, launchTime="90s")
    managed["autoScalingGroupProvider"]["managedScaling"] = {"targetCapacity": 100}
    managed["autoScalingGroupProvider"]["managedTerminationProtection"] = "ENABLED"
    written = world(
        duration="4h",
        cluster={"stoppingTasks": {"protectInstances": protect}},
        capacityProviders=[managed],
        taskDefinitions=[definition(cpu=4096, memory=8192, container={"stopTimeout": 3600})],
        services=[service("web", 2, behavior={"stopTime": "never"})],
        actions=[{"at": "1h", "updateService": {"service": "web", "desiredCount": 1}}],
    )
    ran = run(written, tmp_path)
    rows = ran.rows("capacity_provider_series", capacity_provider="nodes", time=HOUR)
    assert [row["capacity_provider_reservation"] for row in rows] == [50]
    ((stopped,),) = [[task["stopped_at"] for task in ran.tasks() if task["stopped_at"] is not None]]
    (gone,) = [each["terminated_at"] for each in ran.instances() if each["terminated_at"] is not None]
    assert gone == stopped == (2 * HOUR if protect else HOUR + 15 * 60_000)
