"""Task definitions, resolved: revisions, sizes, ports, health checks.

Decides what placement subtracts for a task (its task size, else the sum over its containers: soft limit, else
hard limit; ECS API: ContainerDefinition.memoryReservation) and which host ports it takes. Must not know where
tasks run. The reader calls `task_definitions` before services are resolved.
"""

from __future__ import annotations

from typing import Any

from clustersim.policy.placement.member_of import ConstraintError, parse
from clustersim.scenario.aws.checked_block import Block, check_all
from clustersim.scenario.catalog.fargate_sizes import (
    INCLUDED_EPHEMERAL_GIB,
    platform_problem,
    size_problem,
    size_suggestion,
)
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.load import check_containers
from clustersim.scenario.resolve.roles import note_reference, stated_access
from clustersim.scenario.sections.own_keys import OwnTaskDefinition, own_part
from clustersim.scenario.sections.scenario import Constraint, Container, HealthCheck, TaskDefinition
from clustersim.scenario.sections.written_section import validate
from clustersim.scenario.text.document import Steps
from clustersim.scenario.text.units import task_cpu_units, task_memory_mib
from clustersim.vocabulary import MS_PER_SECOND


def task_definitions(context: Context) -> tuple[TaskDefinition, ...]:
    """All revisions of all families; a family's n-th is revision n, unless it says `revision`."""
    revisions: dict[str, int] = {}
    found = []
    for block in check_all(context.findings, "taskDefinitions"):
        own = validate(
            OwnTaskDefinition, own_part(OwnTaskDefinition, block.value), block.path, context.findings
        )
        family = block.value.get("family")
        if not isinstance(family, str):
            continue
        written = own.revision if own is not None else None
        revision = written or revisions.get(family, 0) + 1
        key = f"{family}:{revision}"
        context.declare("task definition", key, block.at("revision") if written else block.at("family"))
        if revision > revisions.get(family, 0):
            revisions[family] = revision
            context.latest[family] = key
        if not block.sound or own is None:
            constraints(context, block)
            _size_of_unsound(context, block)
            continue
        definition = _definition(context, block, family, revision)
        context.definitions[key] = definition
        context.definition_behaviors[key] = own.behavior
        found.append(definition)
        check_containers(context, own.behavior, {c.name for c in definition.containers}, block.path)
    return tuple(found)


def _definition(context: Context, block: Block, family: str, revision: int) -> TaskDefinition:
    """One sound block as a task definition."""
    value = block.value
    containers = tuple(_container(item) for item in value["containerDefinitions"])
    mode = value.get("networkMode", "bridge")
    static, dynamic = _ports(value["containerDefinitions"], mode)
    platform = value.get("runtimePlatform") or {}
    checks = [c.health_check for c in containers if c.essential and c.health_check is not None]
    cpu, memory = value.get("cpu"), value.get("memory")
    behavior = value.get("behavior")
    definition = TaskDefinition(
        family=family,
        revision=revision,
        key=f"{family}:{revision}",
        network_mode=mode,
        requires_compatibilities=tuple(value.get("requiresCompatibilities") or ()),
        cpu=task_cpu_units(cpu) if cpu is not None else sum(c.cpu for c in containers),
        memory_mib=task_memory_mib(memory) if memory is not None else sum(map(_reserved, containers)),
        has_task_size=cpu is not None,
        gpus=sum(c.gpus for c in containers),
        static_ports=static,
        dynamic_ports=dynamic,
        placement_constraints=constraints(context, block),
        arch="arm64" if platform.get("cpuArchitecture") == "ARM64" else "x86_64",
        ephemeral_gib=(value.get("ephemeralStorage") or {}).get("sizeInGiB", INCLUDED_EPHEMERAL_GIB),
        task_memory_mib=None if memory is None else task_memory_mib(memory),
        health_check=max(checks, key=_slowness) if checks else None,
        containers=containers,
        behavior=behavior if isinstance(behavior, dict) else {},
        access=stated_access(context, value),
    )
    for field in ("taskRoleArn", "executionRoleArn"):
        note_reference(context, value.get(field), block.at(field))
    if "FARGATE" in definition.requires_compatibilities:
        check_fargate_size(context, definition.cpu, definition.memory_mib, block.at("cpu"))
        system = platform_problem(platform.get("operatingSystemFamily"))
        if system is not None:
            context.findings.add(block.at("runtimePlatform", "operatingSystemFamily"), system)
    return definition


def check_fargate_size(context: Context, cpu: int, memory_mib: int, path: Steps) -> None:
    """Report a task size that Fargate does not have, in ECS's words."""
    problem = size_problem(cpu, memory_mib)
    if problem is not None:
        context.findings.add(path, problem, size_suggestion(cpu, memory_mib))


def _size_of_unsound(context: Context, block: Block) -> None:
    """Check the Fargate size of a definition with something else wrong in it."""
    cpu, memory = block.value.get("cpu"), block.value.get("memory")
    if cpu is not None and memory is not None and "FARGATE" in block.value.get("requiresCompatibilities", ()):
        check_fargate_size(context, task_cpu_units(cpu), task_memory_mib(memory), block.at("cpu"))


def _reserved(container: Container) -> int:
    """What placement subtracts for a container, MiB."""
    if container.memory_reservation_mib is not None:
        return container.memory_reservation_mib
    return container.memory_mib or 0


def _slowness(check: HealthCheck) -> int:
    """How long a container may look healthy after it broke, ms."""
    return check.retries * (check.interval_ms + check.timeout_ms) + check.start_period_ms


def _container(item: dict[str, Any]) -> Container:
    """One container definition; seconds become ms."""
    check = item.get("healthCheck")
    gpus = sum(
        int(resource["value"])
        for resource in item.get("resourceRequirements") or ()
        if resource.get("type") == "GPU" and str(resource.get("value", "")).isdecimal()
    )
    return Container(
        name=item["name"],
        essential=item.get("essential", True),
        image=item.get("image"),
        cpu=item.get("cpu", 0),
        memory_mib=item.get("memory"),
        memory_reservation_mib=item.get("memoryReservation"),
        gpus=gpus,
        start_timeout_ms=_ms(item.get("startTimeout")),
        stop_timeout_ms=_ms(item.get("stopTimeout")) or None,
        container_ports=_container_ports(item),
        depends_on=tuple(
            (dependency["containerName"], dependency["condition"])
            for dependency in item.get("dependsOn") or ()
        ),
        health_check=None if check is None or check.get("command") == ["NONE"] else _health_check(check),
        restart_policy=item.get("restartPolicy"),
        credentials=(item.get("repositoryCredentials") or {}).get("credentialsParameter"),
        version_consistency=item.get("versionConsistency") != "disabled",
    )


def _container_ports(item: dict[str, Any]) -> tuple[int, ...]:
    """The ports a container listens on, ranges included."""
    ports: set[int] = set()
    for mapping in item.get("portMappings") or ():
        low, dash, high = str(mapping.get("containerPortRange", "")).partition("-")
        if dash and low.isdecimal() and high.isdecimal():
            ports.update(range(int(low), min(int(high), 65_535) + 1))
        elif "containerPort" in mapping:
            ports.add(mapping["containerPort"])
    return tuple(sorted(ports))


def _ms(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * MS_PER_SECOND


def _health_check(check: dict[str, Any]) -> HealthCheck:
    """ECS API, HealthCheck: every 30 s, 5 s to answer, 3 failures, no start period."""
    return HealthCheck(
        interval_ms=check.get("interval", 30) * MS_PER_SECOND,
        timeout_ms=check.get("timeout", 5) * MS_PER_SECOND,
        retries=check.get("retries", 3),
        start_period_ms=check.get("startPeriod", 0) * MS_PER_SECOND,
    )


def _ports(containers: list[dict[str, Any]], mode: str) -> tuple[tuple[int, ...], int]:
    """Static host ports and the number of dynamic ones (ECS API: PortMapping.hostPort)."""
    static: list[int] = []
    dynamic = 0
    for container in containers:
        for mapping in container.get("portMappings") or ():
            port = mapping.get("hostPort", 0)
            if mode == "host":
                port = port or mapping.get("containerPort", 0)
            if mode in ("bridge", "host") and port:
                static.append(port)
            elif mode == "bridge":
                dynamic += 1
    return tuple(sorted(set(static))), dynamic


def constraints(context: Context, block: Block) -> tuple[Constraint, ...]:
    """The placement constraints of a block, their expressions read once to find what is wrong with them."""
    found = []
    for index, rule in enumerate(block.value.get("placementConstraints") or ()):
        expression = rule.get("expression")
        if rule.get("type") == "memberOf" and isinstance(expression, str):
            try:
                parse(expression)
            except ConstraintError as error:
                place = block.at("placementConstraints", index, "expression")
                context.findings.add(
                    place, f"cannot be read at character {error.column} of {expression!r}", error.problem
                )
                continue
        if "type" in rule:
            found.append(Constraint(type=rule["type"], expression=expression))
        else:
            place = block.at("placementConstraints", index)
            context.findings.add(place, "has no type", "type: memberOf or distinctInstance")
    return tuple(found)
