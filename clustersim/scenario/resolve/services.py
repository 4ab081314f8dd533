"""Services and target groups, resolved.

Decides what a service runs, where, how many tasks and under which limits. Must not know how it is scheduled.
`resolve.scenario` calls it when capacity and task definitions are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clustersim.scenario.aws.block_validation import name_from_arn
from clustersim.scenario.aws.checked_block import CheckedBlock, read_blocks
from clustersim.scenario.resolve.auto_scaling_groups import ResolvedCapacity
from clustersim.scenario.resolve.context import Context, pick_fields
from clustersim.scenario.resolve.deployment import resolve_deployment
from clustersim.scenario.resolve.load import check_container_names, resolve_behavior, resolve_load
from clustersim.scenario.resolve.placement import resolve_placement
from clustersim.scenario.resolve.service_scaling import resolve_auto_scaling
from clustersim.scenario.resolve.virtual_machines import (
    move_to_virtual_machines,
    resolve_instance_refresh,
    resolve_machine_placement,
)
from clustersim.scenario.sections.deployment import REPLICA_PERCENTS
from clustersim.scenario.sections.own_keys import OwnServiceKeys, OwnTargetGroupKeys, pick_own_keys
from clustersim.scenario.sections.scaling import AutoScaling, TargetTracking
from clustersim.scenario.sections.scenario import (
    Behavior,
    Service,
    TargetGroup,
    TaskDefinition,
)
from clustersim.scenario.sections.written_section import validate_section
from clustersim.scenario.text.overrides import suggest_name
from clustersim.vocabulary import MS_PER_SECOND

NETWORK_PROTOCOLS = frozenset({"TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"})
"""Protocols of target groups of a Network Load Balancer (ELB API: CreateTargetGroup)."""


def resolve_target_groups(context: Context) -> dict[str, TargetGroup]:
    """Return the listed target groups by name."""
    groups = {}
    for block in read_blocks(context.diagnostics, "targetGroups"):
        name = block.value.get("Name")
        own = validate_section(
            OwnTargetGroupKeys,
            pick_own_keys(OwnTargetGroupKeys, block.value),
            block.path,
            context.diagnostics,
        )
        if isinstance(name, str):
            context.declare_name("target group", name, block.field_path("Name"))
        if not block.valid or own is None:
            continue
        groups[str(name)] = _build_target_group(str(name), block.value, own)
    return groups


def _build_target_group(name: str, value: Mapping[str, Any], own: OwnTargetGroupKeys) -> TargetGroup:
    """Return a target group from the AWS fields `value` and our keys."""
    return TargetGroup(
        name=name,
        deregistration_delay_ms=own.deregistration_delay,
        initial_health_checks=own.initial_health_checks,
        routing=own.load_balancing_algorithm_type,
        slow_start_ms=own.slow_start,
        network=value.get("Protocol") in NETWORK_PROTOCOLS,
        **pick_fields(value, {"interval_ms": "HealthCheckIntervalSeconds"}, MS_PER_SECOND),
        **pick_fields(
            value,
            {"healthy_threshold": "HealthyThresholdCount", "unhealthy_threshold": "UnhealthyThresholdCount"},
        ),
    )


def _warn_of_unused_slow_start(
    context: Context, own: OwnServiceKeys, block: CheckedBlock, groups: list[TargetGroup]
) -> None:
    """Warn that the slow start of a target group has no effect on a fluid load."""
    if own.load is None or own.load.model == "exact":
        return
    for group in groups:
        if group.slow_start_ms:
            text = f"slowStart of target group {group.name} has no effect on a fluid load; add model: exact"
            context.diagnostics.warn(block.field_path("load"), text)


def _has_network_balancer(block: CheckedBlock, groups: list[TargetGroup]) -> bool:
    """Return whether a Network Load Balancer is in front of a service: by its target groups, or its listener's ARN."""
    rules = [
        (balancer.get("advancedConfiguration") or {}).get("productionListenerRule")
        for balancer in block.value.get("loadBalancers") or ()
    ]
    return any(group.network for group in groups) or any("/net/" in str(rule) for rule in rules)


def _names_alternate_group(block: CheckedBlock, auto_scaling: AutoScaling | None) -> bool:
    """Return whether a policy on the requests per target counts the alternate target group."""
    alternates = {
        name_from_arn(str((balancer.get("advancedConfiguration") or {}).get("alternateTargetGroupArn")))
        for balancer in block.value.get("loadBalancers") or ()
    }
    policies = auto_scaling.policies if auto_scaling is not None else ()
    return any(isinstance(each, TargetTracking) and each.target_group in alternates for each in policies)


def check_services(context: Context) -> list[CheckedBlock]:
    """Return the checked blocks of all services, and declare their names."""
    blocks = read_blocks(context.diagnostics, "services")
    for block in blocks:
        if isinstance(name := block.value.get("serviceName"), str):
            context.declare_name("service", name, block.field_path("serviceName"))
    return blocks


def resolve_services(
    context: Context,
    capacity: ResolvedCapacity,
    blocks: list[CheckedBlock],
    groups: dict[str, TargetGroup],
    updated_definitions: Mapping[str, set[str]],
) -> tuple[Service, ...]:
    """Return all valid services; target groups that are not listed are added to `groups` with the defaults.

    `updated_definitions` are the task definitions that actions give a service, by its name.
    """
    services = []
    for block in blocks:
        own = validate_section(
            OwnServiceKeys, pick_own_keys(OwnServiceKeys, block.value), block.path, context.diagnostics
        )
        if own is None:
            continue
        service = _resolve_service(context, block, own, groups, updated_definitions)
        if service is not None and own.virtual_machines:
            service = move_to_virtual_machines(context, capacity, block, own.virtual_machines, service)
        if service is not None:
            services.append(service)
    return tuple(services)


def _resolve_service(
    context: Context,
    block: CheckedBlock,
    own: OwnServiceKeys,
    groups: dict[str, TargetGroup],
    updated_definitions: Mapping[str, set[str]],
) -> Service | None:
    """Return one service, as ECS would run it; None if it is invalid."""
    reference = block.value.get("taskDefinition")
    if not isinstance(reference, str):
        if not block.has("taskDefinition"):
            context.diagnostics.add_problem(
                block.path, "taskDefinition is missing", "add taskDefinition: FAMILY"
            )
        return None
    key = context.find_task_definition(reference, block.field_path("taskDefinition"))
    auto_scaling = resolve_auto_scaling(context, block, own.load is not None)
    load = resolve_load(context, own.load, block.field_path("load")) if own.load is not None else None
    definition = context.definitions.get(key or "")
    machines = own.virtual_machines
    placement = (
        resolve_machine_placement(context, block)
        if machines
        else resolve_placement(context, block, definition)
    )
    target_groups = _resolve_target_group_names(context, block, definition, groups)
    _warn_of_unused_slow_start(context, own, block, [groups[name] for name in target_groups])
    if not block.valid or definition is None or key is None:
        return None
    keys = sorted({key} | updated_definitions.get(block.value["serviceName"], set()))
    daemon = block.value.get("schedulingStrategy") == "DAEMON"
    configuration = block.value.get("deploymentConfiguration") or {}
    return Service(
        name=block.value["serviceName"],
        task_definition=key,
        desired_count=block.value.get("desiredCount", 1),
        scheduling_strategy="DAEMON" if daemon else "REPLICA",
        deployment=resolve_instance_refresh(context, block, configuration)
        if machines
        else resolve_deployment(context, block, configuration, daemon),
        zone_rebalancing=_is_rebalanced(block, daemon) and not machines,
        target_groups=target_groups,
        balanced_container=_balanced_container(block) if target_groups else None,
        alternate_label=_names_alternate_group(block, auto_scaling),
        network_balancer=_has_network_balancer(block, [groups[name] for name in target_groups]),
        auto_scaling=auto_scaling,
        load=load,
        behaviors=_resolve_behaviors(context, own, keys, block),
        **pick_fields(block.value, {"health_check_grace_ms": "healthCheckGracePeriodSeconds"}, MS_PER_SECOND),
        **placement.fields(),
    )


def _resolve_behaviors(
    context: Context, own: OwnServiceKeys, keys: list[str], block: CheckedBlock
) -> tuple[tuple[str, Behavior], ...]:
    """Return the behaviour of tasks of each revision under this service."""
    revisions = [context.definitions[each] for each in keys if each in context.definitions]
    names = {container.name for revision in revisions for container in revision.containers}
    check_container_names(context, own.behavior, names, block.path)
    return tuple(
        (each, resolve_behavior(own.behavior, context.definition_behaviors.get(each))) for each in keys
    )


def _is_rebalanced(block: CheckedBlock, daemon: bool) -> bool:
    """Return whether Availability Zone rebalancing is on: the default for services that may have it.

    ECS Developer Guide, service rebalancing: a REPLICA service whose first strategy spreads over zones (or that
    has none), with a maximumPercent above 100 and no constraint on zones.
    """
    value = block.value
    enabled = value.get("availabilityZoneRebalancing", "ENABLED") == "ENABLED"
    strategies = value.get("placementStrategy") or ()
    spread_over_zones = not strategies or strategies[0].get("field") == "attribute:ecs.availability-zone"
    constraints = value.get("placementConstraints") or ()
    constrains_zones = any("ecs.availability-zone" in str(rule.get("expression")) for rule in constraints)
    maximum = (value.get("deploymentConfiguration") or {}).get("maximumPercent", REPLICA_PERCENTS[1])
    return enabled and spread_over_zones and not daemon and not constrains_zones and maximum > 100


def _balanced_container(block: CheckedBlock) -> str | None:
    """Return the container behind the first load balancer."""
    for balancer in block.value.get("loadBalancers") or ():
        if "targetGroupArn" in balancer:
            name = balancer.get("containerName")
            return name if isinstance(name, str) else None
    return None


def _resolve_target_group_names(
    context: Context, block: CheckedBlock, definition: TaskDefinition | None, groups: dict[str, TargetGroup]
) -> tuple[str, ...]:
    """Return the names of a service's target groups, and report containers and ports that do not exist."""
    ports_of = {c.name: c.container_ports for c in definition.containers} if definition is not None else None
    names: list[str] = []
    for index, balancer in enumerate(block.value.get("loadBalancers") or ()):
        container, port = balancer.get("containerName"), balancer.get("containerPort")
        if ports_of is None or container is None:
            pass
        elif container not in ports_of:
            location = block.field_path("loadBalancers", index, "containerName")
            problem = f"The container {container} does not exist in the task definition."
            context.diagnostics.add_problem(location, problem, suggest_name(container, sorted(ports_of)))
        elif port is not None and port not in ports_of[container]:
            location = block.field_path("loadBalancers", index, "containerPort")
            problem = f"The container {container} did not have a container port {port} defined."
            ports = ", ".join(map(str, sorted(ports_of[container])))
            context.diagnostics.add_problem(
                location, problem, f"its ports are {ports}" if ports else "add a portMapping"
            )
        reference = balancer.get("targetGroupArn")
        if isinstance(reference, str):
            name = name_from_arn(reference)
            groups.setdefault(name, _build_target_group(name, {}, OwnTargetGroupKeys()))
            names.append(name)
    return tuple(dict.fromkeys(names))
