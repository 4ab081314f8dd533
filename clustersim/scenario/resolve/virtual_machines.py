"""Services on virtual machines, resolved: their instance type, their Auto Scaling group and their task definitions.

Decides which type is meant or cheapest, whether the application and the guest operating system fit it, and which
fields only ECS supports. Each such service gets an Auto Scaling group of its own, and task definitions as they run on
its machines: without images to pull, with all resources that the guest leaves. Must not know how machines are
replaced. `services` calls it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clustersim.scenario.aws.checked_block import CheckedBlock
from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.resolve.auto_scaling_groups import ResolvedCapacity
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.deployment import resolve_deployment
from clustersim.scenario.resolve.ecs_agent import build_agent_settings
from clustersim.scenario.resolve.instance_type_choice import (
    MachineRequirements,
    choose_cheapest,
    find_default_types,
)
from clustersim.scenario.resolve.placement import TaskPlacement
from clustersim.scenario.sections.capacity import InstancesDistribution
from clustersim.scenario.sections.ecs_agent import WrittenEcsConfig
from clustersim.scenario.sections.scaling import GroupPolicy
from clustersim.scenario.sections.scenario import (
    Action,
    AutoScaling,
    AutoScalingGroup,
    Deployment,
    InstanceType,
    Service,
    TargetTracking,
    TaskDefinition,
    VirtualMachines,
)
from clustersim.scenario.sections.virtual_machines import WrittenVirtualMachines
from clustersim.scenario.text.document import FieldPath
from clustersim.vocabulary import CPU_UNITS_PER_VCPU

REFRESH_PERCENTS = {"minimumHealthyPercent": 90, "maximumPercent": 100}
"""EC2 Auto Scaling API: RefreshPreferences, MinHealthyPercentage and MaxHealthyPercentage."""
MACHINE_GROUP_PREFIX = "virtualMachines/"
"""The prefix of the names of the groups of virtual machines."""
_ECS_FIELDS = ("launchType", "capacityProviderStrategy", "placementStrategy", "placementConstraints")
_CPU_METRIC, _MEMORY_METRIC = "ECSServiceAverageCPUUtilization", "ECSServiceAverageMemoryUtilization"
_MAX_MACHINES = 1_000_000


def virtual_machine_group_name(service: str) -> str:
    """Return the name of the group of a service's virtual machines; a scenario's own groups have no such names."""
    return f"{MACHINE_GROUP_PREFIX}{service}"


def resolve_machine_placement(context: Context, block: CheckedBlock) -> TaskPlacement:
    """Return the zones and subnets of the machines: those of the service's network configuration, else all."""
    for field in _ECS_FIELDS:
        if block.has(field):
            problem = f"virtualMachines and {field} are both given"
            context.diagnostics.add_problem(
                block.field_path(field), problem, f"leave one out: {field} is for tasks of ECS"
            )
    if block.value.get("schedulingStrategy") == "DAEMON":
        problem = "a DAEMON service runs on the instances of others, virtualMachines are its own"
        context.diagnostics.add_problem(
            block.field_path("schedulingStrategy"), problem, "leave one of the two out"
        )
    network = (block.value.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
    path = block.field_path("networkConfiguration", "awsvpcConfiguration", "subnets")
    named = [(name, (*path, index)) for index, name in enumerate(network.get("subnets") or ())]
    return TaskPlacement(
        launch_type="EC2",
        strategy=(),
        placement_strategy=(),
        placement_constraints=(),
        zones=context.resolve_zones(named),
        subnets=context.resolve_subnet_names(name for name, _ in named),
        public_address=False,
    )


def move_to_virtual_machines(
    context: Context,
    capacity: ResolvedCapacity,
    block: CheckedBlock,
    own: WrittenVirtualMachines,
    service: Service,
) -> Service | None:
    """Return `service` on virtual machines, and add its group to `capacity`; None, with a problem reported, if no
    instance type fits.

    One instance type holds all revisions that the service will have.
    """
    revisions = [context.definitions[key] for key, _ in service.behaviors if key in context.definitions]
    instance_type = _choose_instance_type(context, block, own, revisions)
    policies = _adapt_policies(context, block, service.auto_scaling)
    if instance_type is None:
        return None
    capacity.add_instance_type(instance_type.name, instance_type)
    context.launched_types.add(instance_type.name)
    spot = own.purchase_option == "spot"
    if spot and instance_type.spot_interruption is None:
        context.spot_types_without_rate.setdefault(instance_type.name, block.field_path("virtualMachines"))
    machines = VirtualMachines(
        service=service.name,
        guest_cpu=own.guest_os.cpu,
        guest_memory_mib=round(own.guest_os.memory),
        guest_disk_gib=own.guest_os.disk,
    )
    capacity.groups.append(
        AutoScalingGroup(
            name=virtual_machine_group_name(service.name),
            instance_types=(instance_type.name,),
            purchase_options=(own.purchase_option,),
            distribution=InstancesDistribution(on_demand_percent=0 if spot else 100),
            max_size=_MAX_MACHINES,
            desired_capacity=service.desired_count,
            policies=policies,
            policy_warmup_ms=own.instance_warmup,
            launch_time=own.boot_time,
            zones=service.zones,
            subnets=service.subnets,
            root_volume_gib=own.root_volume,
            agent=build_agent_settings(WrittenEcsConfig()).model_copy(update={"reserved_ports": ()}),
            machines=machines,
        )
    )
    context.machine_definitions += [_adapt_definition(each, instance_type, machines) for each in revisions]
    scaling = service.auto_scaling
    return service.model_copy(
        update={
            "machines": virtual_machine_group_name(service.name),
            "task_definition": _machine_key(service.task_definition, service.name),
            "behaviors": tuple(
                (_machine_key(key, service.name), problem) for key, problem in service.behaviors
            ),
            "auto_scaling": None if scaling is None else scaling.model_copy(update={"policies": ()}),
        }
    )


def resolve_instance_refresh(context: Context, block: CheckedBlock, value: Mapping[str, Any]) -> Deployment:
    """Return the deployment of new revisions to the machines: an instance refresh within the healthy percents."""
    refresh = resolve_deployment(context, block, {**REFRESH_PERCENTS, **value}, daemon=False)
    location = block.field_path("deploymentConfiguration")
    if refresh.strategy != "ROLLING":
        problem = f"{refresh.strategy} shifts traffic between tasks of ECS, which virtual machines are not"
        context.diagnostics.add_problem(
            (*location, "strategy"), problem, "leave it out: an instance refresh replaces them"
        )
    if refresh.circuit_breaker is not None:
        context.diagnostics.warn_not_simulated(
            (*location, "deploymentCircuitBreaker"), "a circuit breaker of an instance refresh"
        )
    return refresh.model_copy(update={"strategy": "ROLLING", "circuit_breaker": None})


def rename_machine_revisions(actions: tuple[Action, ...], services: Sequence[Service]) -> tuple[Action, ...]:
    """Return the actions; updates of services on virtual machines name the revisions as they run there."""
    names = {service.name for service in services if service.machines is not None}

    def adapt(action: Action) -> Action:
        service, key = action.input.get("service"), action.input.get("taskDefinition")
        if action.operation != "updateService" or service not in names or not isinstance(key, str):
            return action
        return action.model_copy(
            update={"input": {**action.input, "taskDefinition": _machine_key(key, str(service))}}
        )

    return tuple(adapt(action) for action in actions)


def _machine_key(key: str, service: str) -> str:
    """Return the name of a revision as it runs on a service's machines."""
    return f"{key}@{service}"


# --- instance types ----------------------------------------------------------------------------------------


def _choose_instance_type(
    context: Context, block: CheckedBlock, own: WrittenVirtualMachines, revisions: Sequence[TaskDefinition]
) -> InstanceType | None:
    """Return the given type, or the cheapest that fits; None, with a problem reported, if none fits."""
    path = block.field_path("virtualMachines")
    spot = own.purchase_option == "spot"
    requirements = _build_requirements(revisions, own)
    if own.root_volume < own.guest_os.disk:
        problem = (
            f"the guest operating system takes {own.guest_os.disk} GiB of a volume of {own.root_volume} GiB"
        )
        context.diagnostics.add_problem(path, problem, f"rootVolume: at least {own.guest_os.disk} GiB")
        return None
    if own.instance_type is not None and own.instance_types is not None:
        context.diagnostics.add_problem(
            path, "instanceType and instanceTypes are both given", "keep one of the two"
        )
        return None
    if own.instance_type is not None:
        named = [(own.instance_type, (*path, "instanceType"))]
    else:
        names = own.instance_types or ()
        named = [(name, (*path, "instanceTypes", index)) for index, name in enumerate(names)]
    instance_types = _look_up_types(context, named, spot)
    if len(instance_types) < len(named):
        return None
    chosen = choose_cheapest(
        instance_types if named else find_default_types(context, requirements, spot), requirements, spot
    )
    if chosen is None:
        location = named[0][1] if len(named) == 1 else path
        _report_misfit(context, location, instance_types, requirements, own, revisions)
    return chosen


def _look_up_types(
    context: Context, named: Sequence[tuple[str, FieldPath]], spot: bool
) -> list[InstanceType]:
    """Return the named types that the catalogue or the scenario knows, and report the others."""
    instance_types = []
    for name, path in named:
        try:
            custom_entries = context.file.instance_types
            instance_types.append(
                context.catalog.instance_type(name, context.region, custom_entries, spot=spot)
            )
        except CatalogError as error:
            context.diagnostics.add_problem(path, error.message, error.hint)
    return instance_types


def _build_requirements(
    revisions: Sequence[TaskDefinition], own: WrittenVirtualMachines
) -> MachineRequirements:
    """Return the resources that the largest of the revisions and the guest operating system need together."""
    return MachineRequirements(
        max(each.cpu for each in revisions) + own.guest_os.cpu,
        max(each.memory_mib for each in revisions) + round(own.guest_os.memory),
        max(each.gpus for each in revisions),
        revisions[0].arch,
    )


def _report_misfit(
    context: Context,
    path: FieldPath,
    instance_types: Sequence[InstanceType],
    requirements: MachineRequirements,
    own: WrittenVirtualMachines,
    revisions: Sequence[TaskDefinition],
) -> None:
    """Report the resources that do not fit, and suggest a type of the default list."""
    guest, need = own.guest_os, requirements
    names = " and ".join(each.key for each in revisions)
    gpus = f", {need.gpus} GPUs" if need.gpus else ""
    problem = (
        f"{names} and the guest operating system need {need.cpu} CPU units and {need.memory_mib} MiB{gpus} on "
        f"{need.arch} ({guest.cpu} units and {guest.memory:g} MiB are the guest's)"
    )
    sizes = ", ".join(
        f"{each.name} has {each.vcpus * CPU_UNITS_PER_VCPU} and {each.memory_mib} on {each.arch}"
        for each in instance_types[:3]
    )
    spot = own.purchase_option == "spot"
    alternative = choose_cheapest(find_default_types(context, requirements, spot), requirements, spot)
    hint = (
        f"instanceType: {alternative.name}" if alternative is not None else "an instanceType that holds them"
    )
    context.diagnostics.add_problem(
        path, f"{problem}: {sizes}" if sizes else f"{problem}: no listed type has them", hint
    )


def _adapt_definition(
    definition: TaskDefinition, instance_type: InstanceType, machines: VirtualMachines
) -> TaskDefinition:
    """Return a revision as it runs on a machine: no image is pulled, no container is limited, host network."""
    cpu = instance_type.vcpus * CPU_UNITS_PER_VCPU - machines.guest_cpu
    memory = instance_type.memory_mib - machines.guest_memory_mib
    unlimited = {
        "image": None,
        "cpu": 0,
        "memory_mib": None,
        "memory_reservation_mib": None,
        "credentials": None,
    }
    return definition.model_copy(
        update={
            "key": _machine_key(definition.key, machines.service),
            "network_mode": "host",
            "cpu": cpu,
            "memory_mib": memory,
            "task_memory_mib": memory,
            "gpus": instance_type.gpus,
            "static_ports": (),
            "dynamic_ports": 0,
            "placement_constraints": (),
            "containers": tuple(each.model_copy(update=unlimited) for each in definition.containers),
            "access": definition.access.model_copy(update={"execution_role": None, "needs": ()}),
        }
    )


# --- scaling -----------------------------------------------------------------------------------------------


def _adapt_policies(
    context: Context, block: CheckedBlock, scaling: AutoScaling | None
) -> tuple[GroupPolicy, ...]:
    """Return the service's scaling policies as those of its group (EC2 Auto Scaling), which has no memory metric."""
    policies: list[GroupPolicy] = []
    for index, policy in enumerate(scaling.policies if scaling is not None else ()):
        location = (*block.field_path("autoScaling"), "policies", index)
        if isinstance(policy, TargetTracking) and policy.metric == _MEMORY_METRIC:
            problem = "EC2 publishes no memory of virtual machines to scale on"
            context.diagnostics.add_problem(location, problem, f"{_CPU_METRIC} or ALBRequestCountPerTarget")
        elif isinstance(policy, TargetTracking) and policy.metric == _CPU_METRIC:
            policies.append(policy.model_copy(update={"metric": "ASGAverageCPUUtilization"}))
        elif isinstance(policy, GroupPolicy):
            policies.append(policy)
        else:
            problem = "EC2 Auto Scaling, which scales virtual machines, has no such policy"
            context.diagnostics.add_problem(
                (*location, "policyType"), problem, "TargetTrackingScaling or StepScaling"
            )
    return tuple(policies)
