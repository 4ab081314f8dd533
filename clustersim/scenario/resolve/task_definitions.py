"""Task definitions, resolved: revisions, sizes, ports, health checks.

Decides the amounts that placement subtracts for a task (its task size, else the sum over its containers: soft limit,
else hard limit; ECS API: ContainerDefinition.memoryReservation) and the host ports that it takes. Must not know where
tasks run. `resolve.scenario` calls `resolve_task_definitions` before services are resolved.
"""

from __future__ import annotations

from typing import Any

from clustersim.policy.placement.member_of import ConstraintError, parse_constraint
from clustersim.scenario.aws.checked_block import CheckedBlock, read_blocks
from clustersim.scenario.catalog.fargate_sizes import (
    INCLUDED_EPHEMERAL_GIB,
    platform_problem,
    size_problem,
    size_suggestion,
)
from clustersim.scenario.resolve.context import Context, pick_fields
from clustersim.scenario.resolve.load import check_container_names
from clustersim.scenario.resolve.roles import resolve_access, warn_of_unlisted_role
from clustersim.scenario.sections.own_keys import OwnTaskDefinitionKeys, pick_own_keys
from clustersim.scenario.sections.scenario import (
    DEFAULT_NETWORK_MODE,
    Constraint,
    Container,
    HealthCheck,
    TaskDefinition,
)
from clustersim.scenario.sections.written_section import validate_section
from clustersim.scenario.text.document import FieldPath
from clustersim.scenario.text.units import parse_task_cpu, parse_task_memory_mib
from clustersim.vocabulary import MS_PER_SECOND


def resolve_task_definitions(context: Context) -> tuple[TaskDefinition, ...]:
    """Return all revisions of all families; a family's n-th is revision n, unless it sets `revision`."""
    revisions: dict[str, int] = {}
    definitions = []
    for block in read_blocks(context.diagnostics, "taskDefinitions"):
        own = validate_section(
            OwnTaskDefinitionKeys,
            pick_own_keys(OwnTaskDefinitionKeys, block.value),
            block.path,
            context.diagnostics,
        )
        family = block.value.get("family")
        if not isinstance(family, str):
            continue
        written = own.revision if own is not None else None
        revision = written or revisions.get(family, 0) + 1
        key = f"{family}:{revision}"
        context.declare_name(
            "task definition", key, block.field_path("revision") if written else block.field_path("family")
        )
        if revision > revisions.get(family, 0):
            revisions[family] = revision
            context.latest[family] = key
        if not block.valid or own is None:
            resolve_constraints(context, block)
            _check_size_of_invalid(context, block)
            continue
        definition = _resolve_definition(context, block, family, revision)
        context.definitions[key] = definition
        context.definition_behaviors[key] = own.behavior
        definitions.append(definition)
        check_container_names(context, own.behavior, {c.name for c in definition.containers}, block.path)
    return tuple(definitions)


def _resolve_definition(context: Context, block: CheckedBlock, family: str, revision: int) -> TaskDefinition:
    """Return a valid block as a task definition."""
    value = block.value
    containers = tuple(_resolve_container(item) for item in value["containerDefinitions"])
    network_mode = value.get("networkMode", DEFAULT_NETWORK_MODE)
    static, dynamic = _resolve_host_ports(value["containerDefinitions"], network_mode)
    runtime_platform = value.get("runtimePlatform") or {}
    checks = [c.health_check for c in containers if c.essential and c.health_check is not None]
    cpu, memory = value.get("cpu"), value.get("memory")
    behavior = value.get("behavior")
    definition = TaskDefinition(
        family=family,
        revision=revision,
        key=f"{family}:{revision}",
        network_mode=network_mode,
        requires_compatibilities=tuple(value.get("requiresCompatibilities") or ()),
        cpu=parse_task_cpu(cpu) if cpu is not None else sum(c.cpu for c in containers),
        memory_mib=parse_task_memory_mib(memory)
        if memory is not None
        else sum(map(_reserved_memory_mib, containers)),
        has_task_size=cpu is not None,
        gpus=sum(c.gpus for c in containers),
        static_ports=static,
        dynamic_ports=dynamic,
        placement_constraints=resolve_constraints(context, block),
        arch="arm64" if runtime_platform.get("cpuArchitecture") == "ARM64" else "x86_64",
        ephemeral_gib=(value.get("ephemeralStorage") or {}).get("sizeInGiB", INCLUDED_EPHEMERAL_GIB),
        task_memory_mib=None if memory is None else parse_task_memory_mib(memory),
        health_check=max(checks, key=_detection_time_ms) if checks else None,
        containers=containers,
        behavior=behavior if isinstance(behavior, dict) else {},
        access=resolve_access(context, value),
    )
    for field in ("taskRoleArn", "executionRoleArn"):
        warn_of_unlisted_role(context, value.get(field), block.field_path(field))
    if "FARGATE" in definition.requires_compatibilities:
        check_fargate_size(context, definition.cpu, definition.memory_mib, block.field_path("cpu"))
        system_problem = platform_problem(runtime_platform.get("operatingSystemFamily"))
        if system_problem is not None:
            context.diagnostics.add_problem(
                block.field_path("runtimePlatform", "operatingSystemFamily"), system_problem
            )
    return definition


def check_fargate_size(context: Context, cpu: int, memory_mib: int, path: FieldPath) -> None:
    """Report a task size that Fargate does not have, in ECS's words."""
    problem = size_problem(cpu, memory_mib)
    if problem is not None:
        context.diagnostics.add_problem(path, problem, size_suggestion(cpu, memory_mib))


def _check_size_of_invalid(context: Context, block: CheckedBlock) -> None:
    """Check the Fargate size of a definition with other problems."""
    cpu, memory = block.value.get("cpu"), block.value.get("memory")
    if cpu is not None and memory is not None and "FARGATE" in block.value.get("requiresCompatibilities", ()):
        check_fargate_size(
            context, parse_task_cpu(cpu), parse_task_memory_mib(memory), block.field_path("cpu")
        )


def _reserved_memory_mib(container: Container) -> int:
    """Return the memory that placement subtracts for a container, MiB."""
    if container.memory_reservation_mib is not None:
        return container.memory_reservation_mib
    return container.memory_mib or 0


def _detection_time_ms(check: HealthCheck) -> int:
    """Return how long a container may look healthy after it broke, ms."""
    return check.retries * (check.interval_ms + check.timeout_ms) + check.start_period_ms


def _resolve_container(item: dict[str, Any]) -> Container:
    """Return one container definition; seconds become ms."""
    check = item.get("healthCheck")
    gpus = sum(
        int(resource["value"])
        for resource in item.get("resourceRequirements") or ()
        if resource.get("type") == "GPU" and str(resource.get("value", "")).isdecimal()
    )
    return Container(
        name=item["name"],
        image=item.get("image"),
        memory_mib=item.get("memory"),
        memory_reservation_mib=item.get("memoryReservation"),
        gpus=gpus,
        start_timeout_ms=_seconds_to_ms(item.get("startTimeout")),
        stop_timeout_ms=_seconds_to_ms(item.get("stopTimeout")) or None,
        container_ports=_list_container_ports(item),
        depends_on=tuple(
            (dependency["containerName"], dependency["condition"])
            for dependency in item.get("dependsOn") or ()
        ),
        health_check=None
        if check is None or check.get("command") == ["NONE"]
        else _resolve_health_check(check),
        restart_policy=item.get("restartPolicy"),
        credentials=(item.get("repositoryCredentials") or {}).get("credentialsParameter"),
        version_consistency=item.get("versionConsistency") != "disabled",
        **pick_fields(item, {"essential": "essential", "cpu": "cpu"}),
    )


def _list_container_ports(item: dict[str, Any]) -> tuple[int, ...]:
    """Return the ports on which a container listens, ranges included."""
    ports: set[int] = set()
    for mapping in item.get("portMappings") or ():
        low, dash, high = str(mapping.get("containerPortRange", "")).partition("-")
        if dash and low.isdecimal() and high.isdecimal():
            ports.update(range(int(low), min(int(high), 65_535) + 1))
        elif "containerPort" in mapping:
            ports.add(mapping["containerPort"])
    return tuple(sorted(ports))


def _seconds_to_ms(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * MS_PER_SECOND


def _resolve_health_check(check: dict[str, Any]) -> HealthCheck:
    """Return a health check (ECS API: HealthCheck); seconds become ms."""
    return HealthCheck(
        **pick_fields(
            check,
            {"interval_ms": "interval", "timeout_ms": "timeout", "start_period_ms": "startPeriod"},
            MS_PER_SECOND,
        ),
        **pick_fields(check, {"retries": "retries"}),
    )


def _resolve_host_ports(containers: list[dict[str, Any]], network_mode: str) -> tuple[tuple[int, ...], int]:
    """Return the static host ports and the number of dynamic ones (ECS API: PortMapping.hostPort)."""
    static: list[int] = []
    dynamic = 0
    for container in containers:
        for mapping in container.get("portMappings") or ():
            port = mapping.get("hostPort", 0)
            if network_mode == "host":
                port = port or mapping.get("containerPort", 0)
            if network_mode in ("bridge", "host") and port:
                static.append(port)
            elif network_mode == "bridge":
                dynamic += 1
    return tuple(sorted(set(static))), dynamic


def resolve_constraints(context: Context, block: CheckedBlock) -> tuple[Constraint, ...]:
    """Return the placement constraints of a block, and report expressions that cannot be parsed."""
    constraints = []
    for index, rule in enumerate(block.value.get("placementConstraints") or ()):
        expression = rule.get("expression")
        if rule.get("type") == "memberOf" and isinstance(expression, str):
            try:
                parse_constraint(expression)
            except ConstraintError as error:
                location = block.field_path("placementConstraints", index, "expression")
                context.diagnostics.add_problem(
                    location, f"cannot be read at character {error.column} of {expression!r}", error.problem
                )
                continue
        if "type" in rule:
            constraints.append(Constraint(type=rule["type"], expression=expression))
        else:
            location = block.field_path("placementConstraints", index)
            context.diagnostics.add_problem(location, "has no type", "type: memberOf or distinctInstance")
    return tuple(constraints)
