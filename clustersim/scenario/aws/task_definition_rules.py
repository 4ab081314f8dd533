"""Rules of RegisterTaskDefinition that span several fields, with ECS's own error messages.

Decides which combinations in one task definition ECS rejects: a container without memory, a Fargate task
without a size, containers that depend on each other in a cycle. It must not know the API models, files, or the
sizes of Fargate (the catalogue does). It reads one block in the API's own case; a field of a wrong type is
skipped, because it has a problem of its own. `cross_field_rules` lists `check_task_definition`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import PydanticCustomError

from clustersim.scenario.text.document import FieldPath, Problem
from clustersim.scenario.text.overrides import suggest_name
from clustersim.scenario.text.units import parse_task_cpu, parse_task_memory_mib

Block = Mapping[str, Any]

_NO_MEMORY = "At least one of 'memory' or 'memoryReservation' must be specified."
_STOP_TIMEOUT = (
    "Tasks using the Fargate launch type must have a container stop timeout of less than 120 seconds."
)
_ESSENTIAL_DEPENDENCY = (
    "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container"
)
_NO_HEALTH_CHECK = "A dependency container with HEALTHY condition must have health check configured"
_PORTS = "the host ports and container ports in port mappings must match."
_EXIT_CONDITIONS = ("COMPLETE", "SUCCESS")
_GUIDE = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
_EC2_CPU = (128, 196_608)  # API Task.cpu: 0.125 to 192 vCPU
_FARGATE_TIMEOUT_S = (2, 120)  # API ContainerDefinition.startTimeout, .stopTimeout


def check_task_definition(task_definition: Block) -> list[Problem]:
    """Return the problems of a task definition; the existence of a Fargate size is checked against the catalogue."""
    return [
        *_check_containers(task_definition),
        *_check_task_size(task_definition),
        *_check_fargate_task(task_definition),
        *_check_ports(task_definition),
        *_check_dependencies(task_definition),
    ]


def _check_containers(task: Block) -> Iterator[Problem]:
    names: set[str] = set()
    none_essential = True
    for path, container in _iter_containers(task):
        name = container.get("name", "")
        if name in ("", None):
            yield Problem((*path, "name"), "Container.name should not be null or empty.", "a name")
        elif str(name) in names:
            yield Problem((*path, "name"), f"a second container is named {name}", "a unique name")
        names.add(str(name))
        if not container.get("image"):
            yield Problem((*path, "image"), "Container.image should not be null or empty.", "an image")
        none_essential &= container.get("essential", True) is False
        yield from _check_container_memory(task, container, path)
    if none_essential and isinstance(task.get("containerDefinitions"), list):
        message = "Task definition doesn't have any essential container."
        yield Problem(("containerDefinitions",), message, "leave out `essential: false` in at least one")


def _check_container_memory(task: Block, container: Block, path: FieldPath) -> Iterator[Problem]:
    if "memory" not in container and "memoryReservation" not in container and "memory" not in task:
        message = f"Invalid setting for container '{container.get('name', '')}'. {_NO_MEMORY}"
        yield Problem(path, message, "memory in MiB, here or for the task")
    memory, reservation = int_field(container, "memory"), int_field(container, "memoryReservation")
    if memory is not None and reservation is not None and memory <= reservation:
        # API ContainerDefinition.memory: "memory must be greater than memoryReservation"
        message = f"{memory} is not above memoryReservation"
        yield Problem((*path, "memory"), message, f"more than {reservation}")


def _check_task_size(task: Block) -> Iterator[Problem]:
    for field in ("cpu", "memory"):
        text = task.get(field)
        if not isinstance(text, str):
            continue
        size, hint = _read_size(field, text, on_ec2=not _serves_fargate(task))
        if size is None:
            yield Problem((field,), f"Invalid '{field}' setting for task. {_GUIDE}", hint)
            continue
        reserved = 0
        for _, container in _iter_containers(task):
            reservation = int_field(container, "memoryReservation") if field == "memory" else None
            reserved += (int_field(container, field) or 0) if reservation is None else reservation
        if reserved > size:
            # API ContainerDefinition.cpu, .memory: the containers' total stays within the task's
            message = f"the containers reserve {reserved}, the task has {size}"
            yield Problem((field,), message, f"at least {reserved}")


def _read_size(field: str, text: str, on_ec2: bool) -> tuple[int | None, str]:
    """Return the size in CPU units or MiB that `text` gives, or None and a hint."""
    low, high = _EC2_CPU
    try:
        size = parse_task_cpu(text) if field == "cpu" else parse_task_memory_mib(text)
    except PydanticCustomError as error:
        return None, str((error.context or {}).get("hint", ""))
    if size == 0:
        return None, "more than 0"
    if field == "cpu" and on_ec2 and not low <= size <= high:
        return None, f"{low} to {high} units"
    return size, ""


def _check_fargate_task(task: Block) -> Iterator[Problem]:
    if not _serves_fargate(task):
        return
    if task.get("networkMode", "bridge") != "awsvpc":
        yield Problem(("networkMode",), "Fargate only supports network mode ‘awsvpc’.", "networkMode: awsvpc")
    for field in ("cpu", "memory"):
        if field not in task:
            message = f"Fargate requires that '{field}' be defined at the task level."
            yield Problem((field,), message, "a size that Fargate has, such as cpu: 256 with memory: 512")
    if task.get("pidMode") == "host":
        message = "Tasks using the Fargate launch type do not support pidMode 'host'."
        yield Problem(("pidMode",), message, "The supported value for pidMode is 'task'.")
    low, high = _FARGATE_TIMEOUT_S
    for path, container in _iter_containers(task):
        stop, start = int_field(container, "stopTimeout"), int_field(container, "startTimeout")
        if stop is not None and not low <= stop <= high:
            yield Problem((*path, "stopTimeout"), _STOP_TIMEOUT, f"{low} to {high}")
        if start is not None and not low <= start <= high:
            message = f"{start} s is not a start timeout of Fargate"
            yield Problem((*path, "startTimeout"), message, f"{low} to {high}")


def _check_ports(task: Block) -> Iterator[Problem]:
    mode = task.get("networkMode", "bridge")
    if mode not in ("awsvpc", "host"):
        return
    for path, container in _iter_containers(task):
        for item_path, mapping in iter_items(container, "portMappings"):
            host_port, container_port = int_field(mapping, "hostPort"), int_field(mapping, "containerPort")
            if host_port is not None and container_port is not None and host_port != container_port:
                message = f"When networkMode={mode}, {_PORTS}"
                yield Problem((*path, *item_path, "hostPort"), message, f"{container_port}, or no hostPort")


def _check_dependencies(task: Block) -> Iterator[Problem]:
    containers = {str(container.get("name")): (path, container) for path, container in _iter_containers(task)}
    for path, container in _iter_containers(task):
        for item_path, dependency in iter_items(container, "dependsOn"):
            name, condition = dependency.get("containerName"), dependency.get("condition")
            if not isinstance(name, str):
                continue
            _, target = containers.get(name, (None, None))
            if target is None:
                yield Problem(
                    (*path, *item_path, "containerName"),
                    f"no container {name}",
                    suggest_name(name, [*containers]),
                )
            elif condition in _EXIT_CONDITIONS and target.get("essential", True) is not False:
                yield Problem(
                    (*path, *item_path, "condition"), _ESSENTIAL_DEPENDENCY, f"START, or {name} not essential"
                )
            elif condition == "HEALTHY" and "healthCheck" not in target:
                yield Problem(
                    (*path, *item_path, "condition"), _NO_HEALTH_CHECK, f"START, or a healthCheck in {name}"
                )
    cycle = _find_cycle({name: _list_dependencies(container) for name, (_, container) in containers.items()})
    if cycle:
        message = f"containers depend on each other: {' -> '.join(cycle)}"
        yield Problem((*containers[cycle[0]][0], "dependsOn"), message, "an order without a cycle")


def _iter_containers(task: Block) -> Iterator[tuple[FieldPath, Block]]:
    return iter_items(task, "containerDefinitions")


def _list_dependencies(container: Block) -> list[str]:
    return [str(dependency.get("containerName")) for _, dependency in iter_items(container, "dependsOn")]


def _find_cycle(edges: Mapping[str, list[str]]) -> list[str]:
    """Return a cycle of the graph, with its first name repeated at the end; empty if there is none."""
    done: set[str] = set()
    for first in edges:
        path = [first]
        iterators = [iter(edges[first])]
        while path and first not in done:
            name = next(iterators[-1], None)
            if name is None:
                done.add(path.pop())
                iterators.pop()
            elif name in path:
                return [*path[path.index(name) :], name]
            elif name in edges and name not in done:
                path.append(name)
                iterators.append(iter(edges[name]))
    return []


def iter_items(block: Block, field: str) -> Iterator[tuple[FieldPath, Block]]:
    """Yield the items of a list field that are mappings, each with its path from `block`."""
    value = block.get(field)
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, Mapping):
            yield (field, index), item


def int_field(block: Block, field: str) -> int | None:
    """Return a field that is a whole number, else None."""
    value = block.get(field)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _serves_fargate(task: Block) -> bool:
    compatibilities = task.get("requiresCompatibilities")
    return isinstance(compatibilities, list) and "FARGATE" in compatibilities
