"""Tests of the errors of RegisterTaskDefinition, in ECS's own words (specification, section 10.4)."""

from __future__ import annotations

from typing import Any

import pytest

from clustersim.scenario.aws.task_definition_rules import check_task_definition

Containers = list[dict[str, Any]]


def texts(*containers: dict[str, Any], **fields: Any) -> dict[tuple[str | int, ...], str]:
    filled = [
        {"name": f"c{n}", "image": "i", "memory": 64, **container} for n, container in enumerate(containers)
    ]
    return {
        problem.path: problem.message
        for problem in check_task_definition({"containerDefinitions": filled, **fields})
    }


def fargate(*containers: dict[str, Any], **fields: Any) -> dict[tuple[str | int, ...], str]:
    size = {"networkMode": "awsvpc", "cpu": "256", "memory": "512", "requiresCompatibilities": ["FARGATE"]}
    return texts(*containers, **{**size, **fields})


def test_a_plain_task_definition_is_taken() -> None:
    assert texts({}) == fargate({}) == {}


def test_a_container_needs_memory_unless_the_task_has_it() -> None:
    bare = {"name": "app", "image": "i"}
    problems = check_task_definition({"containerDefinitions": [bare]})
    assert [problem.message for problem in problems] == [
        "Invalid setting for container 'app'. "
        "At least one of 'memory' or 'memoryReservation' must be specified."
    ]
    assert not check_task_definition({"containerDefinitions": [bare], "memory": "512"})
    assert not check_task_definition({"containerDefinitions": [{**bare, "memoryReservation": 64}]})


def test_a_container_needs_a_name_and_an_image() -> None:
    assert texts({"name": "", "image": ""}) == {
        ("containerDefinitions", 0, "name"): "Container.name should not be null or empty.",
        ("containerDefinitions", 0, "image"): "Container.image should not be null or empty.",
    }


def test_two_containers_cannot_share_a_name() -> None:
    assert texts({"name": "app"}, {"name": "app"}) == {
        ("containerDefinitions", 1, "name"): "a second container is named app"
    }


@pytest.mark.parametrize("containers", [[], [{"essential": False}, {"essential": False}]])
def test_some_container_is_essential(containers: Containers) -> None:
    assert texts(*containers) == {
        ("containerDefinitions",): "Task definition doesn't have any essential container."
    }


def test_one_essential_container_is_enough() -> None:
    """`essential` left out is true."""
    assert texts({"essential": False}, {}) == {}


@pytest.mark.parametrize(("reservation", "valid"), [(63, True), (64, False), (65, False)])
def test_memory_is_above_its_reservation(reservation: int, valid: bool) -> None:
    assert (not texts({"memoryReservation": reservation})) is valid


@pytest.mark.parametrize(
    ("cpu", "valid"), [("127", False), ("128", True), ("196608", True), ("196609", False), (".5 vCPU", True)]
)
def test_task_cpu_on_ec2_has_a_range(cpu: str, valid: bool) -> None:
    problems = texts({}, cpu=cpu)
    assert (not problems) is valid
    assert all(what.startswith("Invalid 'cpu' setting for task.") for what in problems.values())


@pytest.mark.parametrize("memory", ["lots", "0", "", "-1"])
def test_task_memory_is_a_size(memory: str) -> None:
    assert texts({}, memory=memory)[("memory",)].startswith("Invalid 'memory' setting for task.")


def test_containers_fit_into_their_task() -> None:
    """The soft limit counts where there is one: 64 + 32 is 96."""
    containers: Containers = [{"cpu": 100}, {"cpu": 100, "memoryReservation": 32}]
    assert texts(*containers, cpu="200", memory="96") == {}
    assert set(texts(*containers, cpu="199", memory="95")) == {("cpu",), ("memory",)}


def test_fargate_wants_awsvpc_and_a_size() -> None:
    assert texts({}, requiresCompatibilities=["EC2", "FARGATE"]) == {
        ("networkMode",): "Fargate only supports network mode ‘awsvpc’.",
        ("cpu",): "Fargate requires that 'cpu' be defined at the task level.",
        ("memory",): "Fargate requires that 'memory' be defined at the task level.",
    }


def test_fargate_has_no_pid_mode_host() -> None:
    assert set(fargate({}, pidMode="host")) == {("pidMode",)}
    assert fargate({}, pidMode="task") == {}


@pytest.mark.golden(77)
@pytest.mark.parametrize(("timeout", "valid"), [(1, False), (2, True), (120, True), (121, False)])
def test_fargate_stops_within_two_minutes(timeout: int, valid: bool) -> None:
    assert (not fargate({"stopTimeout": timeout})) is valid
    assert not texts({"stopTimeout": timeout})


@pytest.mark.parametrize("mode", ["awsvpc", "host"])
def test_ports_match_where_the_task_has_no_nat(mode: str) -> None:
    def mapped(host: int) -> Containers:
        return [{"portMappings": [{"containerPort": 80}, {"containerPort": 8080, "hostPort": host}]}]

    assert texts(*mapped(8080), networkMode=mode) == texts(*mapped(80)) == {}
    assert texts(*mapped(80), networkMode=mode) == {
        ("containerDefinitions", 0, "portMappings", 1, "hostPort"): f"When networkMode={mode}, "
        "the host ports and container ports in port mappings must match."
    }


@pytest.mark.parametrize(
    ("condition", "target", "words"),
    [
        ("START", {}, ""),
        ("SUCCESS", {"essential": False}, ""),
        ("SUCCESS", {}, "cannot be an essential container"),
        ("COMPLETE", {"essential": True}, "cannot be an essential container"),
        ("HEALTHY", {"healthCheck": {"command": ["true"]}}, ""),
        ("HEALTHY", {}, "must have health check configured"),
    ],
)
def test_dependencies_fit_their_container(condition: str, target: dict[str, Any], words: str) -> None:
    waiting = {"dependsOn": [{"containerName": "c1", "condition": condition}]}
    problems = texts(waiting, target)
    assert set(problems) == ({("containerDefinitions", 0, "dependsOn", 0, "condition")} if words else set())
    assert all(what.endswith(words) for what in problems.values())


def test_a_dependency_exists() -> None:
    problems = texts(
        {"dependsOn": [{"containerName": "databse", "condition": "START"}]}, {"name": "database"}
    )
    assert problems == {("containerDefinitions", 0, "dependsOn", 0, "containerName"): "no container databse"}


@pytest.mark.parametrize(
    ("edges", "circle"),
    [
        ({"a": "b", "b": "c", "c": ""}, ""),
        ({"a": "bc", "b": "c", "c": ""}, ""),
        ({"a": "a"}, "a -> a"),
        ({"a": "b", "b": "c", "c": "b"}, "b -> c -> b"),
        ({"a": "", "b": "a", "c": "bd", "d": "c"}, "c -> d -> c"),
    ],
)
def test_containers_do_not_wait_in_a_circle(edges: dict[str, str], circle: str) -> None:
    containers = [
        {"name": name, "dependsOn": [{"containerName": other, "condition": "START"} for other in others]}
        for name, others in edges.items()
    ]
    wanted = [f"containers depend on each other: {circle}"] if circle else []
    assert list(texts(*containers).values()) == wanted
