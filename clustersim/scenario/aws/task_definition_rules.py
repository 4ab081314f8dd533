"""What RegisterTaskDefinition refuses although every field is well formed, in ECS's own words.

Decides which combinations in one task definition are refused: a container without memory, a Fargate task
without a size, containers that wait for each other. It must not know models, files, or which sizes Fargate
has (the catalogue does). It reads one block in the API's own case, where a field may still be of a wrong
type: such a field has its own problem and is passed over here. `aws.check_block` calls it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import PydanticCustomError

from clustersim.scenario.text.document import Problem, Steps
from clustersim.scenario.text.overrides import closest
from clustersim.scenario.text.units import task_cpu_units, task_memory_mib

Block = Mapping[str, Any]

_NO_MEMORY = "At least one of 'memory' or 'memoryReservation' must be specified."
_STOP_TIMEOUT = (
    "Tasks using the Fargate launch type must have a container stop timeout of less than 120 seconds."
)
_NOT_ESSENTIAL = "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container"
_NOT_CHECKED = "A dependency container with HEALTHY condition must have health check configured"
_PORTS = "the host ports and container ports in port mappings must match."
_RUNS_OUT = ("COMPLETE", "SUCCESS")
_GUIDE = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
_EC2_CPU = (128, 196_608)  # API Task.cpu: 0.125 to 192 vCPU
_FARGATE_TIMEOUT_S = (2, 120)  # API ContainerDefinition.startTimeout, .stopTimeout


def ecs_rules(task_definition: Block) -> list[Problem]:
    """What RegisterTaskDefinition refuses; whether Fargate has the size is the catalogue's to say."""
    return [
        *_containers(task_definition),
        *_task_size(task_definition),
        *_fargate_task(task_definition),
        *_ports(task_definition),
        *_dependencies(task_definition),
    ]


def _containers(task: Block) -> Iterator[Problem]:
    names: set[str] = set()
    none_essential = True
    for path, container in _containers_of(task):
        name = container.get("name", "")
        if name in ("", None):
            yield Problem((*path, "name"), "Container.name should not be null or empty.", "a name")
        elif str(name) in names:
            yield Problem((*path, "name"), f"a second container named {name}", "a name of its own")
        names.add(str(name))
        if not container.get("image"):
            yield Problem((*path, "image"), "Container.image should not be null or empty.", "an image")
        none_essential &= container.get("essential", True) is False
        yield from _container_memory(task, container, path)
    if none_essential and isinstance(task.get("containerDefinitions"), list):
        what = "Task definition doesn't have any essential container."
        yield Problem(("containerDefinitions",), what, "leave out `essential: false` in at least one")


def _container_memory(task: Block, container: Block, path: Steps) -> Iterator[Problem]:
    if "memory" not in container and "memoryReservation" not in container and "memory" not in task:
        what = f"Invalid setting for container '{container.get('name', '')}'. {_NO_MEMORY}"
        yield Problem(path, what, "memory in MiB, here or for the task")
    memory, reservation = number(container, "memory"), number(container, "memoryReservation")
    if memory is not None and reservation is not None and memory <= reservation:
        # API ContainerDefinition.memory: "memory must be greater than memoryReservation"
        what = f"{memory} is not above memoryReservation"
        yield Problem((*path, "memory"), what, f"more than {reservation}")


def _task_size(task: Block) -> Iterator[Problem]:
    for field in ("cpu", "memory"):
        text = task.get(field)
        if not isinstance(text, str):
            continue
        size, right = _read_size(field, text, on_ec2=not _serves_fargate(task))
        if size is None:
            yield Problem((field,), f"Invalid '{field}' setting for task. {_GUIDE}", right)
            continue
        reserved = 0
        for _, container in _containers_of(task):
            least = number(container, "memoryReservation") if field == "memory" else None
            reserved += (number(container, field) or 0) if least is None else least
        if reserved > size:
            # API ContainerDefinition.cpu, .memory: the containers' total stays within the task's
            what = f"the containers reserve {reserved}, the task has {size}"
            yield Problem((field,), what, f"at least {reserved}")


def _read_size(field: str, text: str, on_ec2: bool) -> tuple[int | None, str]:
    """The size that `text` stands for, or None and what would be right."""
    low, high = _EC2_CPU
    try:
        size = task_cpu_units(text) if field == "cpu" else task_memory_mib(text)
    except PydanticCustomError as wrong:
        return None, str((wrong.context or {}).get("right", ""))
    if size == 0:
        return None, "more than 0"
    if field == "cpu" and on_ec2 and not low <= size <= high:
        return None, f"{low} to {high} units"
    return size, ""


def _fargate_task(task: Block) -> Iterator[Problem]:
    if not _serves_fargate(task):
        return
    if task.get("networkMode", "bridge") != "awsvpc":
        yield Problem(("networkMode",), "Fargate only supports network mode ‘awsvpc’.", "networkMode: awsvpc")
    for field in ("cpu", "memory"):
        if field not in task:
            what = f"Fargate requires that '{field}' be defined at the task level."
            yield Problem((field,), what, "a size that Fargate has, such as cpu: 256 with memory: 512")
    if task.get("pidMode") == "host":
        what = "Tasks using the Fargate launch type do not support pidMode 'host'."
        yield Problem(("pidMode",), what, "The supported value for pidMode is 'task'.")
    low, high = _FARGATE_TIMEOUT_S
    for path, container in _containers_of(task):
        stop, start = number(container, "stopTimeout"), number(container, "startTimeout")
        if stop is not None and not low <= stop <= high:
            yield Problem((*path, "stopTimeout"), _STOP_TIMEOUT, f"{low} to {high}")
        if start is not None and not low <= start <= high:
            what = f"{start} s is no start timeout of Fargate"
            yield Problem((*path, "startTimeout"), what, f"{low} to {high}")


def _ports(task: Block) -> Iterator[Problem]:
    mode = task.get("networkMode", "bridge")
    if mode not in ("awsvpc", "host"):
        return
    for path, container in _containers_of(task):
        for inner, mapping in items(container, "portMappings"):
            host, inside = number(mapping, "hostPort"), number(mapping, "containerPort")
            if host is not None and inside is not None and host != inside:
                what = f"When networkMode={mode}, {_PORTS}"
                yield Problem((*path, *inner, "hostPort"), what, f"{inside}, or no hostPort")


def _dependencies(task: Block) -> Iterator[Problem]:
    places = {str(container.get("name")): (path, container) for path, container in _containers_of(task)}
    for path, container in _containers_of(task):
        for inner, dependency in items(container, "dependsOn"):
            name, condition = dependency.get("containerName"), dependency.get("condition")
            if not isinstance(name, str):
                continue
            _, target = places.get(name, (None, None))
            if target is None:
                yield Problem(
                    (*path, *inner, "containerName"), f"no container {name}", closest(name, [*places])
                )
            elif condition in _RUNS_OUT and target.get("essential", True) is not False:
                yield Problem((*path, *inner, "condition"), _NOT_ESSENTIAL, f"START, or {name} not essential")
            elif condition == "HEALTHY" and "healthCheck" not in target:
                yield Problem(
                    (*path, *inner, "condition"), _NOT_CHECKED, f"START, or a healthCheck in {name}"
                )
    circle = _circle({name: _dependency_names(container) for name, (_, container) in places.items()})
    if circle:
        what = f"containers wait for each other: {' -> '.join(circle)}"
        yield Problem((*places[circle[0]][0], "dependsOn"), what, "an order without a circle")


def _containers_of(task: Block) -> Iterator[tuple[Steps, Block]]:
    return items(task, "containerDefinitions")


def _dependency_names(container: Block) -> list[str]:
    return [str(dependency.get("containerName")) for _, dependency in items(container, "dependsOn")]


def _circle(edges: Mapping[str, list[str]]) -> list[str]:
    """The first circle found, its first name repeated at the end; empty if there is none."""
    done: set[str] = set()
    for first in edges:
        trail = [first]
        waiting = [iter(edges[first])]
        while trail and first not in done:
            following = next(waiting[-1], None)
            if following is None:
                done.add(trail.pop())
                waiting.pop()
            elif following in trail:
                return [*trail[trail.index(following) :], following]
            elif following in edges and following not in done:
                trail.append(following)
                waiting.append(iter(edges[following]))
    return []


def items(block: Block, field: str) -> Iterator[tuple[Steps, Block]]:
    """The items of a list field that are blocks, each with its path from `block`."""
    value = block.get(field)
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, Mapping):
            yield (field, index), item


def number(block: Block, field: str) -> int | None:
    """A field that is a whole number, or None."""
    value = block.get(field)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _serves_fargate(task: Block) -> bool:
    compatibilities = task.get("requiresCompatibilities")
    return isinstance(compatibilities, list) and "FARGATE" in compatibilities
