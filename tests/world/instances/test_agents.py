"""Settings of the container agent that change an instance or how its tasks start and stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.harness import SECOND, Block, FinishedRun, definition, job, provider, run, service, world


def with_agent(directory: Path, config: Block, **keys: Any) -> FinishedRun:
    """Run a node whose agent has this configuration."""
    return run(world(capacityProviders=[provider(ecsConfig=config)], **keys), directory)


@pytest.mark.golden(33)
def test_reserved_memory_is_not_registered(tmp_path: Path) -> None:
    """ECS_RESERVED_MEMORY=256: an m4.large registers 7,985 - 256 = 7,729 MiB, and 7,800 do not fit."""
    groups = [provider(kind="m4.large", ecsConfig={"ECS_RESERVED_MEMORY": 256})]
    tasks = [definition(memory=7_729), definition("large", memory=7_730)]
    entries = [job("fits"), job("large", taskDefinition="large")]
    ran = run(
        world(capacityProviders=groups, taskDefinitions=tasks, runTasks=entries[1:]), tmp_path / "large"
    )
    assert ran.instances()[0]["registered_memory_mib"] == 7_729
    assert ran.tasks()[0]["wait_reason"] == "RESOURCE:MEMORY"
    ran = run(world(capacityProviders=groups, taskDefinitions=tasks, runTasks=entries[:1]), tmp_path / "fits")
    assert ran.states() == {"RUNNING": 1}


@pytest.mark.parametrize(
    ("config", "port", "placed"),
    [
        ({}, 22, False),
        ({}, 8080, True),
        ({"ECS_RESERVED_PORTS": "[8080]"}, 8080, False),
        ({"ECS_RESERVED_PORTS": "[8080]"}, 22, True),
    ],
)
def test_reserved_ports_are_taken(config: Block, port: int, placed: bool, tmp_path: Path) -> None:
    """By default those of SSH, Docker and the agent."""
    ports = {"portMappings": [{"containerPort": 80, "hostPort": port}]}
    ran = with_agent(
        tmp_path, config, taskDefinitions=[definition(container=ports)], runTasks=[job("a", launchType="EC2")]
    )
    (task,) = ran.tasks()
    assert (task["placed_at"] is not None) == placed
    assert placed or task["wait_reason"] == "RESOURCE:PORTS"


def test_constraints_see_attributes_of_the_agent(tmp_path: Path) -> None:
    """ECS_INSTANCE_ATTRIBUTES, as text of JSON."""
    rule = {"type": "memberOf", "expression": "attribute:disk == ssd"}
    ran = with_agent(
        tmp_path,
        {"ECS_INSTANCE_ATTRIBUTES": '{"disk": "ssd"}'},
        services=[service("web", 1, placementConstraints=[rule])],
    )
    assert ran.states() == {"RUNNING": 1}


@pytest.mark.parametrize(
    ("own", "killed"), [({}, 90), ({"stopTimeout": 10}, 10), ({"stopTimeout": 120}, 120)]
)
def test_containers_without_a_stop_timeout_have_the_agents(own: Block, killed: int, tmp_path: Path) -> None:
    """A container that ignores SIGTERM is killed after 90 s; its own stopTimeout has precedence."""
    ran = with_agent(
        tmp_path,
        {"ECS_CONTAINER_STOP_TIMEOUT": "90s"},
        taskDefinitions=[definition(container=own)],
        runTasks=[job(behavior={"stopTime": "never"})],
        actions=[{"at": "1m", "stopTask": {"task": "1"}}],
    )
    (task,) = ran.tasks()
    assert (task["stopped_at"] - task["stopping_at"], task["exit_code"]) == (killed * SECOND, 137)


@pytest.mark.parametrize(("config", "starts"), [({}, False), ({"ECS_CONTAINER_START_TIMEOUT": "5m"}, True)])
def test_a_dependency_has_the_agents_start_timeout(config: Block, starts: bool, tmp_path: Path) -> None:
    """init works for 4 min: longer than the 3 min that others wait for it, unless the agent is configured otherwise."""
    waits = [{"containerName": "init", "condition": "SUCCESS"}]
    containers = [
        {"name": "main", "image": "app", "memory": 100, "dependsOn": waits},
        {"name": "init", "image": "app", "memory": 100, "essential": False},
    ]
    ran = with_agent(
        tmp_path,
        config,
        taskDefinitions=[{**definition(), "containerDefinitions": containers}],
        runTasks=[job(behavior={"containers": {"init": {"duration": "4m"}}})],
    )
    assert (ran.tasks()[0]["started_at"] == 240 * SECOND) == starts
    assert (ran.tasks()[0]["stopped_at"] == 180 * SECOND) == (not starts)
