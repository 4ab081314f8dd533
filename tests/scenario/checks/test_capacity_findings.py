"""Findings about room: said when a scenario is read, as 864 refused tasks in a result are easy to overlook."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import NODE, Block, definition, job, on, provider, scenario_of, service, world

BIG = {**NODE, "name": "big.node", "vcpus": 16, "memoryMiB": 32768, "registeredMemoryMiB": 32768}
ARM = {**NODE, "name": "arm.node", "architecture": "arm64"}


def findings(written: Block, directory: Path) -> list[tuple[str, str]]:
    """Code and path of each finding."""
    found = scenario_of(written, directory).findings
    return [(each.code, each.place.rpartition(": ")[2]) for each in found]


def sized(memory: int, **more: Block) -> Block:
    return world(taskDefinitions=[definition(memory=memory)], services=[service()], **more)


def test_what_fits_has_no_finding(tmp_path: Path) -> None:
    assert findings(sized(8192), tmp_path) == []


def test_no_instances_of_the_launch_type(tmp_path: Path) -> None:
    """Launch type EC2 without any group: every task would be refused."""
    written = world(
        capacityProviders=[], services=[service(launchType="EC2")], runTasks=[job(launchType="EC2")]
    )
    scenario = scenario_of(written, tmp_path)
    assert [each.code for each in scenario.findings] == ["no-capacity", "no-capacity"]
    assert str(scenario.findings[0]).endswith(
        "services.web: the tasks of service web ask for container instances of launch type EC2, and there is none of "
        "that launch type; add an autoScalingGroups entry, or a provider [no-capacity]"
    )


def test_a_group_that_may_have_no_instance(tmp_path: Path) -> None:
    written = world(capacityProviders=[provider(count=0, most=0)], services=[service()])
    assert findings(written, tmp_path) == [("no-capacity", "services.web")]


def test_a_service_of_no_task_asks_for_nothing(tmp_path: Path) -> None:
    written = world(capacityProviders=[], services=[service(count=0, launchType="EC2")])
    assert findings(written, tmp_path) == []


def test_a_task_that_fits_no_type(tmp_path: Path) -> None:
    """8,193 MiB on instances of 8,192: at whatever hour, it waits."""
    scenario = scenario_of(sized(8193), tmp_path)
    (finding,) = scenario.findings
    assert finding.code == "fits-no-type"
    assert finding.sentence == (
        "a task of service web of 0.5 vCPU, 8,193 MiB fits no instance of capacity provider nodes: an empty test.node "
        "has 4 vCPU, 8,192 MiB"
    )


def test_a_task_that_does_not_fit_the_smallest_type(tmp_path: Path) -> None:
    """Managed scaling may launch either type; on the small one the task never runs."""
    both = provider(instanceTypes=["test.node", "big.node"])
    written = sized(16384, capacityProviders=[both], instanceTypes=[NODE, BIG])
    assert findings(written, tmp_path) == [("fits-not-smallest", "services.web")]


def test_the_types_of_another_provider_do_not_help(tmp_path: Path) -> None:
    providers = [provider(), provider("large", kind="big.node")]
    written = sized(16384, capacityProviders=providers, instanceTypes=[NODE, BIG])
    assert findings(written, tmp_path / "a") == [("fits-no-type", "services.web")]
    written["services"] = [service(capacityProviderStrategy=[on("large")])]
    assert findings(written, tmp_path / "b") == []


def test_no_type_of_the_architecture(tmp_path: Path) -> None:
    arm = definition(runtimePlatform={"cpuArchitecture": "ARM64"})
    written = world(taskDefinitions=[arm], services=[service()])
    assert findings(written, tmp_path) == [("no-capacity", "services.web")]


@pytest.mark.parametrize(("memory", "codes"), [(8192, []), (9000, ["fits-no-type"])])
def test_sizes_of_a_trace(tmp_path: Path, memory: int, codes: list[str]) -> None:
    (tmp_path / "trace.csv").write_text(
        f"submit_s,duration_s,cpu,memory_mib\n0,60,1024,512\n60,60,1024,{memory}\n"
    )
    entry = {"name": "batch", "trace": "trace.csv", "capacityProviderStrategy": [on()]}
    found = scenario_of(world(runTasks=[entry]), tmp_path).findings
    assert [each.code for each in found] == codes
    assert all("(1 of 2 sizes)" in each.sentence for each in found)
