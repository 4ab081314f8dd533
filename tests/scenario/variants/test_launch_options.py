"""Tests of the launch options: sizes calculated by hand, entries that stay unchanged, and obstacles."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from clustersim.errors import CannotRun, ScenarioError
from clustersim.scenario.reader import ScenarioSource
from clustersim.scenario.sections.compare import OPTIONS
from clustersim.scenario.sections.scenario import InstanceType, Scenario
from clustersim.scenario.variants.launch_options import LaunchOption, merge_sentences
from clustersim.scenario.variants.right_sizing import (
    SizingDemand,
    capacity_for_tasks,
    count_instances,
    find_cheapest_fit,
)
from clustersim.scenario.variants.scaled_load import scale_count
from tests.harness import NODE, definition, fargate_definition, job, on, provider, service, world
from tests.swarm.scenarios import draw


def made(
    written: dict[str, Any], folder: Path, option: str, load: float = 1.0, **more: Any
) -> tuple[Scenario, list[str]]:
    """Return the scenario under an option, and the sentences about its changes."""
    path = folder / "scenario.yaml"
    path.write_text(json.dumps(written), encoding="utf-8")
    source = ScenarioSource(path)
    found = LaunchOption(option, load, source.resolve(), **more)
    return source.resolve(rewrite=found.rewrite), found.changes


def nowhere(**keys: Any) -> dict[str, Any]:
    """Return a workload without capacity."""
    block = {"serviceName": "web", "taskDefinition": "app", "desiredCount": 4}
    return {"name": "test", "taskDefinitions": [definition()], "services": [block], **keys}


def why(written: dict[str, Any], folder: Path, option: str) -> str:
    with pytest.raises(CannotRun) as error:
        made(written, folder, option)
    return str(error.value)


# --- ECS on EC2 --------------------------------------------------------------------------------------------


def test_ecs_on_ec2_is_one_provider_of_the_cheapest_type(tmp_path: Path) -> None:
    """Four tasks of 512 units and 1,024 MiB: 2 vCPU, 4 GiB.

    c6i.large registers 3,801 MiB, so three fit and two are needed: $0.170. m6i.large holds four: $0.096.
    """
    scenario, said = made(nowhere(), tmp_path, "ecs-ec2")
    (group,) = scenario.groups
    assert (group.instance_types, group.min_size, group.max_size) == (("m6i.large",), 0, 1_000)
    assert group.desired_capacity == 1
    (found,) = scenario.providers
    assert found.managed_scaling is not None
    assert found.managed_scaling.target_capacity == 100
    (web,) = scenario.services
    assert [item.capacity_provider for item in web.strategy] == ["ecs-ec2"]
    rules = [(rule.type, rule.field) for rule in web.placement_strategy]
    assert rules == [("spread", "attribute:ecs.availability-zone"), ("binpack", "memory")]
    assert any("m6i.large, the cheapest fit of the default list" in line for line in said)


def test_by_spot_the_group_is_spot(tmp_path: Path) -> None:
    scenario, _ = made(nowhere(), tmp_path, "ecs-ec2-spot")
    assert scenario.groups[0].purchase_options == ("spot",)


def test_what_runs_on_instances_stays_where_it_is(tmp_path: Path) -> None:
    """Its group and placement too; beside it only what Fargate ran moves, to the scenario's own type."""
    placed = [{"type": "binpack", "field": "cpu"}]
    written = world(
        nodes=3,
        taskDefinitions=[fargate_definition()],
        services=[service("kept", placementStrategy=placed), service("moved", launchType="FARGATE")],
    )
    scenario, _ = made(written, tmp_path, "ecs-ec2")
    kept, moved = scenario.services
    assert [item.capacity_provider for item in kept.strategy] == ["nodes"]
    assert [rule.field for rule in kept.placement_strategy] == ["cpu"]
    assert [item.capacity_provider for item in moved.strategy] == ["ecs-ec2"]
    assert {group.name: group.instance_types for group in scenario.groups} == {
        "nodes": ("test.node",),
        "ecs-ec2": ("test.node",),
    }


def test_awsvpc_tasks_share_a_trunk(tmp_path: Path) -> None:
    """Without it a large instance has interfaces for two of them; an explicit setting wins."""
    written = nowhere(taskDefinitions=[fargate_definition(cpu=256, memory=512)])
    assert made(written, tmp_path, "ecs-ec2")[0].cluster.awsvpc_trunking
    written["cluster"] = {"awsvpcTrunking": False}
    assert not made(written, tmp_path, "ecs-ec2")[0].cluster.awsvpc_trunking


def test_another_architecture_has_a_provider_of_its_own(tmp_path: Path) -> None:
    arm = definition("arm", runtimePlatform={"cpuArchitecture": "ARM64"})
    written = nowhere(taskDefinitions=[definition(), arm])
    written["services"].append({"serviceName": "other", "taskDefinition": "arm", "desiredCount": 1})
    scenario, _ = made(written, tmp_path, "ecs-ec2")
    assert [each.name for each in scenario.providers] == ["ecs-ec2", "ecs-ec2-arm64"]
    assert scenario.groups[1].instance_types == ("c7g.large",)


def test_types_that_were_asked_for_are_chosen_among(tmp_path: Path) -> None:
    scenario, _ = made(nowhere(), tmp_path, "ecs-ec2", instance_types=["r6i.large", "r6i.xlarge"])
    assert scenario.groups[0].instance_types == ("r6i.large",)


def test_larger_sizes_are_for_what_the_usual_ones_do_not_hold(tmp_path: Path) -> None:
    """64 vCPU are a 16xlarge; 128 are more than any type of the list has."""
    large = nowhere(taskDefinitions=[definition(cpu=65_536, memory=1024)])
    assert made(large, tmp_path, "ecs-ec2")[0].groups[0].instance_types == ("c6i.16xlarge",)
    huge = nowhere(taskDefinitions=[definition(cpu=131_072, memory=1024)])
    assert "web: no type of the default list holds it" in why(huge, tmp_path, "ecs-ec2")


# --- the choice of a type ----------------------------------------------------------------------------------


def kind(name: str, cpu: int, memory: int, usd: float, enis: int = 100) -> InstanceType:
    return InstanceType(
        name=name,
        vcpus=cpu // 1024,
        memory_mib=memory,
        registered_cpu=cpu,
        registered_memory_mib=memory,
        max_enis=enis + 1,
        eni_task_limit=enis,
        usd_per_hour=usd,
    )


SMALL, LARGE = kind("small", 2048, 4096, 0.10), kind("large", 8192, 16_384, 0.40)


def test_first_fit_of_the_heaviest_first() -> None:
    """Two of 1,536 units open two instances of 2,048; the four of 256 fill what they leave."""
    needs = [SizingDemand("b", 256, 256, count=4), SizingDemand("a", 1536, 1024, count=2)]
    assert count_instances(capacity_for_tasks(SMALL, False), needs) == 2
    assert count_instances(capacity_for_tasks(SMALL, False), [SizingDemand("c", 4096, 1)]) is None
    assert (
        count_instances(
            capacity_for_tasks(SMALL, False), [SizingDemand("alone", 1, 1, count=3, exclusive=True)]
        )
        == 3
    )


def test_network_interfaces_and_daemons_take_room() -> None:
    tight = kind("tight", 2048, 4096, 0.1, enis=2)
    assert (
        count_instances(
            capacity_for_tasks(tight, False), [SizingDemand("a", 128, 128, network_interfaces=1, count=6)]
        )
        == 3
    )
    daemon = [SizingDemand("agent", 1024, 512)]
    assert (
        count_instances(capacity_for_tasks(SMALL, False, daemon), [SizingDemand("a", 1024, 512, count=4)])
        == 4
    )


@pytest.mark.parametrize(("count", "name", "instances"), [(1, "small", 1), (8, "small", 4), (9, "small", 5)])
def test_the_least_money_wins_and_of_equals_the_first(count: int, name: str, instances: int) -> None:
    """Eight tasks of 1 vCPU cost 4 x 0.10 or 1 x 0.40; with volumes at a cent an hour the one large is cheaper."""
    needs = [SizingDemand("a", 1024, 1024, count=count)]
    fit = find_cheapest_fit([SMALL, LARGE], needs, False, False)
    assert fit is not None
    assert (fit.instance_type.name, fit.instances) == (name, instances)
    with_volumes = find_cheapest_fit(
        [SMALL, LARGE], [SizingDemand("a", 1024, 1024, count=8)], False, False, (), 0.01
    )
    assert with_volumes is not None
    assert with_volumes.instance_type.name == "large"


# --- Fargate -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cpu", "memory", "size"),
    [
        (512, 1024, (512, 1024)),
        (600, 1024, (1024, 2048)),
        (128, 5000, (1024, 5120)),
        (2048, 1024, (2048, 4096)),
    ],
)
def test_sizes_are_rounded_up_to_fargates(
    cpu: int, memory: int, size: tuple[int, int], tmp_path: Path
) -> None:
    """600 units are more than half a vCPU; 5,000 MiB exist from 1 vCPU on; 2 vCPU have 4 GiB at least."""
    scenario, _ = made(nowhere(taskDefinitions=[definition(cpu=cpu, memory=memory)]), tmp_path, "ecs-fargate")
    (found,) = scenario.task_definitions
    assert ((found.cpu, found.memory_mib), found.network_mode) == (size, "awsvpc")


def test_containers_without_a_task_size_are_added_up_by_their_limits(tmp_path: Path) -> None:
    """Limits of 700 and 500 MiB, 300 CPU units: half a vCPU with 2 GiB, the host port and the pair are let go."""
    written = {
        "family": "app",
        "containerDefinitions": [
            {"name": "a", "image": "a", "cpu": 300, "memory": 700, "memoryReservation": 100},
            {
                "name": "b",
                "image": "b",
                "memory": 500,
                "portMappings": [{"containerPort": 80, "hostPort": 8080}],
            },
        ],
    }
    scenario, said = made(nowhere(taskDefinitions=[written]), tmp_path, "ecs-fargate")
    (found,) = scenario.task_definitions
    assert (found.cpu, found.memory_mib, found.static_ports) == (512, 2048, ())
    assert "app:1: host ports equal the container ports" in said


def test_on_fargate_no_instances_are_left(tmp_path: Path) -> None:
    """Nor placement rules, nor actions on instances, nor the cluster's default strategy."""
    written = world(
        nodes=3,
        services=[
            service("web", placementConstraints=[{"type": "distinctInstance"}], launchType="EC2"),
            {"serviceName": "other", "taskDefinition": "app"},
        ],
        cluster={"defaultCapacityProviderStrategy": [on()]},
        actions=[
            {"at": "10m", "setDesiredCapacity": {"autoScalingGroupName": "nodes", "desiredCapacity": 5}}
        ],
    )
    scenario, said = made(written, tmp_path, "ecs-fargate")
    assert (scenario.groups, scenario.providers, scenario.actions) == ((), (), ())
    assert all(
        [item.capacity_provider for item in each.strategy] == ["FARGATE"] for each in scenario.services
    )
    assert scenario.services[0].placement_constraints == ()
    assert "1 actions on instances are removed" in said


def test_a_mix_with_fargate_spot_is_kept_and_by_spot_it_is_spot(tmp_path: Path) -> None:
    strategy = [on("FARGATE", 1, 1), on("FARGATE_SPOT", 3)]
    written = nowhere(taskDefinitions=[fargate_definition()])
    written["services"][0]["capacityProviderStrategy"] = strategy
    kept = made(written, tmp_path, "ecs-fargate")[0].services[0].strategy
    assert [(item.capacity_provider, item.base, item.weight) for item in kept] == [
        ("FARGATE", 1, 1),
        ("FARGATE_SPOT", 0, 3),
    ]
    spot = made(written, tmp_path, "ecs-fargate-spot")[0].services[0].strategy
    assert [item.capacity_provider for item in spot] == ["FARGATE_SPOT"]


GPU = {"container": {"resourceRequirements": [{"type": "GPU", "value": "1"}]}}


@pytest.mark.parametrize(
    ("definition_", "words"),
    [
        (definition(**GPU), "app:1: a GPU, and Fargate has none"),
        (definition(cpu=65_536, memory=1024), "app:1: 64 vCPU with 1 GiB is larger than any Fargate task"),
        (definition(container={"privileged": True}), "a privileged container"),
        (
            definition(volumes=[{"name": "data", "host": {"sourcePath": "/data"}}]),
            "the volume data of its host",
        ),
    ],
)
def test_what_fargate_cannot_run_is_said(definition_: dict[str, Any], words: str, tmp_path: Path) -> None:
    assert words in why(nowhere(taskDefinitions=[definition_]), tmp_path, "ecs-fargate")


def test_daemons_and_standalone_tasks(tmp_path: Path) -> None:
    """A daemon needs container instances, a standalone task a scheduler."""
    daemon = world(services=[service("agent", schedulingStrategy="DAEMON")])
    assert "agent is a daemon" in why(daemon, tmp_path, "ecs-fargate")
    assert "agent is a daemon" in why(daemon, tmp_path, "ec2")
    assert "job runs single tasks" in why(world(runTasks=[job()]), tmp_path, "ec2")


# --- plain EC2 ---------------------------------------------------------------------------------------------


def test_each_copy_has_a_machine_of_the_cheapest_type(tmp_path: Path) -> None:
    """512 units and 1,024 MiB, with the guest's 64 and 400: a c6i.large of $0.085 holds them."""
    written = world(nodes=2, services=[service("web", 3, placementStrategy=[{"type": "random"}])])
    scenario, _ = made(written, tmp_path, "ec2")
    (group,) = scenario.groups
    assert (group.instance_types, group.desired_capacity) == (("c6i.large",), 3)
    assert scenario.services[0].deployment.minimum_healthy_percent == 100


def test_who_has_machines_keeps_their_type_and_leaves_them_under_ecs(tmp_path: Path) -> None:
    """The settings of virtual machines do not apply to container instances."""
    block = {"serviceName": "web", "taskDefinition": "app", "desiredCount": 4}
    written = nowhere(services=[{**block, "virtualMachines": {"instanceType": "m6i.xlarge"}}])
    assert made(written, tmp_path, "ec2")[0].groups[0].instance_types == ("m6i.xlarge",)
    (group,) = made(written, tmp_path, "ecs-ec2")[0].groups
    assert (group.name, group.instance_types, group.machines) == ("ecs-ec2", ("m6i.large",), None)
    assert made(written, tmp_path, "ecs-fargate")[0].groups == ()


def test_what_is_said_of_several_is_said_once() -> None:
    said = ["web:1: made for EC2 too", "web: on FARGATE", "no name", "worker: on FARGATE", "web: on FARGATE"]
    assert merge_sentences(said) == ["web:1: made for EC2 too", "web, worker: on FARGATE", "no name"]


# --- load --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "factor", "counted"),
    [(4, 0.5, 2), (3, 0.5, 2), (1, 0.1, 1), (0, 2, 0), (10, 0.1, 1), (7, 3, 21)],
)
def test_counts_follow_rounded_up(count: int, factor: float, counted: int) -> None:
    assert scale_count(count, factor) == counted


def test_rates_and_counts_follow_the_load(tmp_path: Path) -> None:
    """Ten times 20 requests a second on four tasks, between 2 and 8; one job, then ten; arrivals of 6 an hour."""
    web = service(
        "web",
        4,
        load={"requestsPerSecond": 20},
        autoScaling={"MinCapacity": 2, "maxCapacity": 8},
    )
    daily = service(
        "daily", 1, load={"messagesPerSecond": {"daily": {"low": 1, "high": 2}}, "processingTime": 1}
    )
    jobs = [job("one"), job("many", arrivals={"ratePerHour": 6})]
    written = world(nodes=2, services=[web, daily], runTasks=jobs)
    scenario, _ = made(written, tmp_path, "ecs-ec2", 10)
    first, second = scenario.services
    assert first.load is not None
    assert (first.desired_count, first.load.series.rates.tolist()) == (40, [200.0])
    assert first.auto_scaling is not None
    assert (first.auto_scaling.min_capacity, first.auto_scaling.max_capacity) == (20, 80)
    assert second.load is not None
    assert (second.load.series.rates.min(), second.load.series.rates.max()) == pytest.approx(
        (10, 20), rel=0.01
    )
    assert [entry.count for entry in scenario.run_tasks] == [10, 1]
    assert scenario.run_tasks[1].arrivals_per_hour == 60
    (group,) = scenario.groups
    assert (group.desired_capacity, group.max_size) == (20, 1_000), "a group that is kept follows too"


def test_overrides_of_an_option_are_laid_over_what_it_makes(tmp_path: Path) -> None:
    target = "capacityProviders.ecs-ec2.autoScalingGroupProvider.managedScaling.targetCapacity"
    scenario, said = made(nowhere(), tmp_path, "ecs-ec2", overrides=[f"{target}=80"])
    assert scenario.providers[0].managed_scaling is not None
    assert scenario.providers[0].managed_scaling.target_capacity == 80
    assert f"overridden: {target}=80" in said
    with pytest.raises(ScenarioError, match=r"--set ecs-ec2:services\.wbe\.desiredCount: .*did you mean web"):
        made(nowhere(), tmp_path, "ecs-ec2", overrides=["services.wbe.desiredCount=1"])


def test_providers_of_a_written_scenario_are_those_of_the_option(tmp_path: Path) -> None:
    """Managed Instances are another way of running it: what runs there moves, and the provider is gone."""
    provided = {
        "instanceLaunchTemplate": {"ec2InstanceProfileArn": "p", "networkConfiguration": {"subnets": []}}
    }
    managed = {"name": "managed", "managedInstancesProvider": provided}
    written = world(
        capacityProviders=[provider(), managed],
        services=[{**service(), "capacityProviderStrategy": [on("managed")]}],
    )
    scenario, _ = made(written, tmp_path, "ecs-ec2")
    assert [each.name for each in scenario.providers] == ["ecs-ec2"]
    assert scenario.managed_instances == ()
    assert scenario.groups[0].instance_types == (NODE["name"],)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(12))
def test_an_option_makes_a_sound_scenario_or_says_why_not(number: int, tmp_path: Path) -> None:
    """For all random scenarios the reader accepts the result of an option."""
    drawn = draw(7, number)
    drawn.write(tmp_path)
    for option in OPTIONS:
        with suppress(CannotRun):
            made(drawn.written, tmp_path, option, 0.1)
