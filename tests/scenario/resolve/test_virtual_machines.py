"""`virtualMachines` as a user writes it: the type that is chosen, what is taken over, what is refused and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clustersim.errors import ScenarioError
from clustersim.scenario.sections.scenario import Scenario
from tests.harness import Block, definition, scenario_of, service, world


def with_machines(machines: Any, *definitions: Block, **more: Any) -> Block:
    """A service `web` with this `virtualMachines`."""
    keys = more.pop("keys", {})
    web = {"serviceName": "web", "taskDefinition": "app", "virtualMachines": machines, **more}
    return world(0, taskDefinitions=list(definitions) or [definition()], services=[web], **keys)


def read(tmp_path: Path, machines: Any, *definitions: Block, **more: Any) -> Scenario:
    return scenario_of(with_machines(machines, *definitions, **more), tmp_path)


def read_problems(tmp_path: Path, machines: Any, *definitions: Block, **more: Any) -> list[str]:
    """Return the problems of a scenario without file, line and column."""
    with pytest.raises(ScenarioError) as error:
        read(tmp_path, machines, *definitions, **more)
    return [line.split(": ", 1)[1] for line in error.value.problems]


def kind_of(scenario: Scenario) -> str:
    """The type of the service's machines."""
    group = next(group for group in scenario.groups if group.name == "virtualMachines/web")
    (kind,) = group.instance_types
    return kind


@pytest.mark.parametrize(
    ("machines", "size", "kind"),
    [
        ({}, (512, 1024), "c6i.large"),  # of c6i, m6i and r6i the one at 0.085 USD
        ({}, (512, 6000), "m6i.large"),  # 6,000 + 400 MiB are too much for the 4,096 of a c6i.large
        ({}, (512, 7900), "r6i.large"),  # 8,300 too much for an m6i.large; c6i.xlarge costs more
        ({}, (2048, 1024), "c6i.xlarge"),  # the guest's 64 units do not fit beside 2,048
        ({"guestOs": {"cpu": 0}}, (2048, 1024), "c6i.large"),
        ({"instanceTypes": ["r6i.large", "m6i.large"]}, (512, 1024), "m6i.large"),
        ({"instanceTypes": ["m6i.large", "test.node"]}, (2048, 1024), "test.node"),
        ({"instanceType": "m6i.2xlarge"}, (512, 1024), "m6i.2xlarge"),
    ],
)
def test_the_cheapest_type_that_holds_the_application_and_its_guest(
    tmp_path: Path, machines: Block, size: tuple[int, int], kind: str
) -> None:
    assert kind_of(read(tmp_path, machines, definition("app", *size))) == kind


def test_one_type_holds_all_revisions(tmp_path: Path) -> None:
    """The service begins with the small one, and an action brings the other."""
    update = {"at": "10m", "updateService": {"service": "web", "taskDefinition": "app:2"}}
    definitions = (definition("app", 512, 1024), definition("app", 512, 6000))
    keys = {"actions": [update]}
    scenario = read(tmp_path, {}, *definitions, taskDefinition="app:1", keys=keys)
    assert kind_of(scenario) == "m6i.large"


def test_an_arm_application_gets_an_arm_machine(tmp_path: Path) -> None:
    arm = definition(runtimePlatform={"cpuArchitecture": "ARM64"})
    assert kind_of(read(tmp_path, {}, arm)) == "c7g.large"


def test_a_fargate_task_definition_runs_on_a_machine(tmp_path: Path) -> None:
    """Network mode, compatibilities and images are ECS's; a machine has its own network and its own image."""
    fargate = definition(networkMode="awsvpc", requiresCompatibilities=["FARGATE"])
    scenario = read(tmp_path, {"instanceType": "m6i.large"}, fargate)
    there = scenario.task_definitions[-1]
    assert (there.key, there.network_mode) == ("app:1@web", "host")
    assert (there.cpu, there.memory_mib) == (2 * 1024 - 64, 8192 - 400)
    assert [container.image for container in there.containers] == [None]


def test_default_percents_of_an_instance_refresh(tmp_path: Path) -> None:
    (web,) = read(tmp_path, {}).services
    assert (web.deployment.minimum_healthy_percent, web.deployment.maximum_percent) == (90, 100)
    (web,) = read(tmp_path, {}, deploymentConfiguration={"minimumHealthyPercent": 50}).services
    assert (web.deployment.minimum_healthy_percent, web.deployment.maximum_percent) == (50, 100)


def test_a_type_that_is_too_small_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    (line,) = read_problems(tmp_path, {"instanceType": "m6i.large"}, definition("app", 2048, 1024))
    assert line == (
        "services.web.virtualMachines.instanceType: app:1 and the guest operating system need 2112 CPU units and "
        "1424 MiB on x86_64 (64 units and 400 MiB are the guest's): m6i.large has 2048 and 8192 on x86_64; "
        "instanceType: c6i.xlarge"
    )


@pytest.mark.parametrize(
    ("machines", "more", "place", "words"),
    [
        ({"instanceType": "m6i.larg"}, {}, ".virtualMachines.instanceType", "did you mean m6i.large"),
        ({"instancType": "m6i.large"}, {}, ".virtualMachines.instancType", "did you mean instanceType?"),
        ({"instanceType": "m6i.large", "instanceTypes": ["m6i.large"]}, {}, ".virtualMachines", "keep one"),
        ({"guestOs": {"memory": "900 GiB"}}, {}, ".virtualMachines", "no listed type has them"),
        ({"guestOs": {"disk": "40 GiB"}}, {}, ".virtualMachines", "rootVolume: at least 40 GiB"),
        ({"instanceTypes": ["m7g.large"]}, {}, ".virtualMachines.instanceTypes[0]", "on arm64"),
        ({}, {"launchType": "EC2"}, ".launchType", "virtualMachines and launchType are both given"),
        ({}, {"capacityProviderStrategy": []}, ".capacityProviderStrategy", "are both given"),
        ({}, {"placementStrategy": [{"type": "random"}]}, ".placementStrategy", "is for tasks of ECS"),
        ({}, {"schedulingStrategy": "DAEMON"}, ".schedulingStrategy", "leave one of the two out"),
    ],
)
def test_problems_have_a_location_and_a_hint(
    tmp_path: Path, machines: Block, more: Block, place: str, words: str
) -> None:
    (line,) = read_problems(tmp_path, machines, **more)
    assert line.startswith(f"services.web{place}: ")
    assert words in line


def test_ec2_has_no_memory_to_scale_on(tmp_path: Path) -> None:
    metric = {"predefinedMetricType": "ECSServiceAverageMemoryUtilization"}
    policy = {"policyName": "memory", "policyType": "TargetTrackingScaling"}
    policy["targetTrackingScalingPolicyConfiguration"] = {
        "targetValue": 60,
        "predefinedMetricSpecification": metric,
    }
    scaling = {"minCapacity": 1, "maxCapacity": 4, "policies": [policy]}
    (line,) = read_problems(tmp_path, {}, autoScaling=scaling)
    assert "EC2 publishes no memory" in line


def test_an_update_cannot_move_it_to_a_capacity_provider(tmp_path: Path) -> None:
    update = {"service": "web", "capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}
    (line,) = read_problems(tmp_path, {}, keys={"actions": [{"at": "1m", "updateService": update}]})
    assert line.startswith("actions[0].updateService.capacityProviderStrategy: web runs on virtual machines")


def test_a_group_named_like_the_service_is_another(tmp_path: Path) -> None:
    """The machines' group has a name that no scenario uses, so an ECS cluster beside it stays as it is."""
    written = with_machines({})
    written["services"].append(service("other"))
    written["capacityProviders"][0]["name"] = "web"
    written["services"][1]["capacityProviderStrategy"] = [{"capacityProvider": "web"}]
    scenario = scenario_of(written, tmp_path)
    assert [group.name for group in scenario.groups] == ["web", "virtualMachines/web"]
