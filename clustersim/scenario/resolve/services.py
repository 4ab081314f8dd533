"""Services and target groups, resolved.

Decides what a service runs, where, how many and under which limits. Must not know how it is scheduled. The
reader calls it when capacity and task definitions are known.
"""

from __future__ import annotations

from collections.abc import Mapping

from clustersim.scenario.aws.block_validation import name_in_arn
from clustersim.scenario.aws.checked_block import Block, check_all
from clustersim.scenario.resolve.auto_scaling_groups import Capacity
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.deployment import deployment
from clustersim.scenario.resolve.load import behavior, check_containers, load
from clustersim.scenario.resolve.placement import where
from clustersim.scenario.resolve.service_scaling import auto_scaling
from clustersim.scenario.resolve.virtual_machines import instance_refresh, machine_place, on_machines
from clustersim.scenario.sections.own_keys import OwnService, OwnTargetGroup, own_part
from clustersim.scenario.sections.scenario import Behavior, Routing, Service, TargetGroup, TaskDefinition
from clustersim.scenario.sections.written_section import validate
from clustersim.scenario.text.overrides import closest
from clustersim.vocabulary import MS_PER_SECOND


def target_groups(context: Context) -> dict[str, TargetGroup]:
    """The listed target groups; the defaults are those of the ELB API."""
    found = {}
    for block in check_all(context.findings, "targetGroups"):
        name = block.value.get("Name")
        own = validate(OwnTargetGroup, own_part(OwnTargetGroup, block.value), block.path, context.findings)
        if isinstance(name, str):
            context.declare("target group", name, block.at("Name"))
        if not block.sound or own is None:
            continue
        found[str(name)] = TargetGroup(
            name=str(name),
            interval_ms=block.value.get("HealthCheckIntervalSeconds", 30) * MS_PER_SECOND,
            healthy_threshold=block.value.get("HealthyThresholdCount", 5),
            unhealthy_threshold=block.value.get("UnhealthyThresholdCount", 2),
            deregistration_delay_ms=own.deregistration_delay,
            initial_health_checks=own.initial_health_checks,
            routing=_routing(context, own, block),
            slow_start_ms=own.slow_start,
        )
    return found


def _routing(context: Context, own: OwnTargetGroup, block: Block) -> Routing:
    """How the load balancer chooses a target (ELB: load_balancing.algorithm.type)."""
    if own.load_balancing_algorithm_type == "weighted_random":
        place = block.at("loadBalancingAlgorithmType")
        context.findings.not_simulated(place, "weighted_random (round_robin takes its place)")
        return "round_robin"
    return own.load_balancing_algorithm_type


def _warn_of_routing(context: Context, own: OwnService, block: Block, groups: list[TargetGroup]) -> None:
    """Say that a target group's routing changes nothing for a fluid, which all its targets share."""
    if own.load is None or own.load.model == "exact":
        return
    for group in groups:
        if group.routing != "round_robin" or group.slow_start_ms:
            text = (
                f"how target group {group.name} deals out requests makes no difference here; add model: exact"
            )
            context.findings.warn(block.at("load"), text)


def service_blocks(context: Context) -> list[Block]:
    """The checked blocks of all services, their names declared."""
    blocks = check_all(context.findings, "services")
    for block in blocks:
        if isinstance(name := block.value.get("serviceName"), str):
            context.declare("service", name, block.at("serviceName"))
    return blocks


def services(
    context: Context,
    capacity: Capacity,
    blocks: list[Block],
    groups: dict[str, TargetGroup],
    later_definitions: Mapping[str, set[str]],
) -> tuple[Service, ...]:
    """All sound services; target groups that are not listed join `groups` with the defaults.

    `later_definitions` are the task definitions that actions give a service, by its name.
    """
    found = []
    for block in blocks:
        own = validate(OwnService, own_part(OwnService, block.value), block.path, context.findings)
        if own is None:
            continue
        reference = block.value.get("taskDefinition")
        if not isinstance(reference, str):
            if not block.has("taskDefinition"):
                context.findings.add(block.path, "taskDefinition is missing", "add taskDefinition: FAMILY")
            continue
        key = context.find_definition(reference, block.at("taskDefinition"))
        scaling = auto_scaling(context, block, own.load is not None)
        rate = load(context, own.load, block.at("load")) if own.load is not None else None
        definition = context.definitions.get(key or "")
        machines = own.virtual_machines
        place = machine_place(context, block) if machines else where(context, block, definition)
        balanced = _target_groups(context, block, definition, groups)
        _warn_of_routing(context, own, block, [groups[name] for name in balanced])
        if not block.sound or definition is None or key is None:
            continue
        keys = sorted({key} | later_definitions.get(block.value["serviceName"], set()))
        daemon = block.value.get("schedulingStrategy") == "DAEMON"
        how = block.value.get("deploymentConfiguration") or {}
        service = Service(
            name=block.value["serviceName"],
            task_definition=key,
            desired_count=block.value.get("desiredCount", 1),
            scheduling_strategy="DAEMON" if daemon else "REPLICA",
            deployment=instance_refresh(context, block, how)
            if machines
            else deployment(context, block, how, daemon),
            zone_rebalancing=_rebalanced(block, daemon) and not machines,
            target_groups=balanced,
            balanced_container=_balanced_container(block) if balanced else None,
            health_check_grace_ms=block.value.get("healthCheckGracePeriodSeconds", 0) * MS_PER_SECOND,
            auto_scaling=scaling,
            load=rate,
            behaviors=_behaviors(context, own, keys, block),
            **place.fields(),
        )
        moved = on_machines(context, capacity, block, machines, service) if machines else service
        if moved is not None:
            found.append(moved)
    return tuple(found)


def _behaviors(
    context: Context, own: OwnService, keys: list[str], block: Block
) -> tuple[tuple[str, Behavior], ...]:
    """What tasks of each revision do under this service."""
    revisions = [context.definitions[each] for each in keys if each in context.definitions]
    names = {container.name for revision in revisions for container in revision.containers}
    check_containers(context, own.behavior, names, block.path)
    return tuple((each, behavior(own.behavior, context.definition_behaviors.get(each))) for each in keys)


def _rebalanced(block: Block, daemon: bool) -> bool:
    """Whether Availability Zone rebalancing is on: by default, where the service may have it.

    ECS Developer Guide, service rebalancing: a REPLICA service whose first strategy spreads over zones (or that
    has none), with a maximumPercent above 100 and no constraint on zones.
    """
    value = block.value
    wanted = value.get("availabilityZoneRebalancing", "ENABLED") == "ENABLED"
    strategies = value.get("placementStrategy") or ()
    by_zone = not strategies or strategies[0].get("field") == "attribute:ecs.availability-zone"
    constraints = value.get("placementConstraints") or ()
    on_zones = any("ecs.availability-zone" in str(rule.get("expression")) for rule in constraints)
    maximum = (value.get("deploymentConfiguration") or {}).get("maximumPercent", 200)
    return wanted and by_zone and not daemon and not on_zones and maximum > 100


def _balanced_container(block: Block) -> str | None:
    """The container behind the first load balancer."""
    for balancer in block.value.get("loadBalancers") or ():
        if "targetGroupArn" in balancer:
            name = balancer.get("containerName")
            return name if isinstance(name, str) else None
    return None


def _target_groups(
    context: Context, block: Block, definition: TaskDefinition | None, groups: dict[str, TargetGroup]
) -> tuple[str, ...]:
    """The names of a service's target groups; its containers and ports have to exist."""
    ports_of = {c.name: c.container_ports for c in definition.containers} if definition is not None else None
    found: list[str] = []
    for index, balancer in enumerate(block.value.get("loadBalancers") or ()):
        container, port = balancer.get("containerName"), balancer.get("containerPort")
        if ports_of is None or container is None:
            pass
        elif container not in ports_of:
            place = block.at("loadBalancers", index, "containerName")
            what = f"The container {container} does not exist in the task definition."
            context.findings.add(place, what, closest(container, sorted(ports_of)))
        elif port is not None and port not in ports_of[container]:
            place = block.at("loadBalancers", index, "containerPort")
            what = f"The container {container} did not have a container port {port} defined."
            ports = ", ".join(map(str, sorted(ports_of[container])))
            context.findings.add(place, what, f"its ports are {ports}" if ports else "add a portMapping")
        reference = balancer.get("targetGroupArn")
        if isinstance(reference, str):
            name = name_in_arn(reference)
            groups.setdefault(name, TargetGroup(name=name))
            found.append(name)
    return tuple(dict.fromkeys(found))
