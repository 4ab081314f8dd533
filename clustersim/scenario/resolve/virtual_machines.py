"""Services on virtual machines, resolved: the type of machine, the group that keeps them, and what a copy then has.

Decides which type is meant or cheapest, that the application and the guest operating system fit it, and what of a
service ECS alone would do. Each such service gets an Auto Scaling group of its own, and task definitions as they run
on its machines: without images to pull, with all of the machine that its guest leaves. Must not know how machines are
kept; `resolve_services` calls it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clustersim.scenario.aws.checked_block import Block
from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.resolve.auto_scaling_groups import Capacity
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.deployment import deployment
from clustersim.scenario.resolve.instance_type_choice import Need, cheapest, listed
from clustersim.scenario.resolve.placement import Where
from clustersim.scenario.sections.capacity import InstancesDistribution
from clustersim.scenario.sections.images import AgentSettings
from clustersim.scenario.sections.scenario import (
    Action,
    AutoScaling,
    AutoScalingGroup,
    Deployment,
    InstanceType,
    Machines,
    Service,
    StepScaling,
    TargetTracking,
    TaskDefinition,
)
from clustersim.scenario.sections.virtual_machines import VirtualMachines
from clustersim.scenario.text.document import Steps
from clustersim.vocabulary import CPU_UNITS_PER_VCPU

REFRESH_PERCENTS = {"minimumHealthyPercent": 90, "maximumPercent": 100}
"""EC2 Auto Scaling API: RefreshPreferences, MinHealthyPercentage and MaxHealthyPercentage."""
MACHINE_GROUPS = "virtualMachines/"
"""How the names of the groups of virtual machines begin."""
_OF_ECS = ("launchType", "capacityProviderStrategy", "placementStrategy", "placementConstraints")
_CPU, _MEMORY = "ECSServiceAverageCPUUtilization", "ECSServiceAverageMemoryUtilization"
_MOST_MACHINES = 1_000_000


def group_name(service: str) -> str:
    """The Auto Scaling group of a service's virtual machines; no group of a scenario is named so by accident."""
    return f"{MACHINE_GROUPS}{service}"


def machine_place(context: Context, block: Block) -> Where:
    """The zones and subnets of the machines: those of the service's network configuration, else all."""
    for field in _OF_ECS:
        if block.has(field):
            what = f"virtualMachines and {field} are both given"
            context.findings.add(block.at(field), what, f"leave one out: {field} is for tasks of ECS")
    if block.value.get("schedulingStrategy") == "DAEMON":
        what = "a DAEMON service runs on the instances of others, virtualMachines are its own"
        context.findings.add(block.at("schedulingStrategy"), what, "leave one of the two out")
    network = (block.value.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
    path = block.at("networkConfiguration", "awsvpcConfiguration", "subnets")
    named = [(name, (*path, index)) for index, name in enumerate(network.get("subnets") or ())]
    return Where(
        launch_type="EC2",
        strategy=(),
        placement_strategy=(),
        placement_constraints=(),
        zones=context.zones_of(named),
        subnets=context.subnets_of(name for name, _ in named),
        public_address=False,
    )


def on_machines(
    context: Context, capacity: Capacity, block: Block, own: VirtualMachines, service: Service
) -> Service | None:
    """`service` on virtual machines, its group in `capacity`; None, with a problem reported: no type holds it.

    One type of machine holds all revisions that the service will have.
    """
    revisions = [context.definitions[key] for key, _ in service.behaviors if key in context.definitions]
    kind = _kind(context, block, own, revisions)
    policies = _group_policies(context, block, service.auto_scaling)
    if kind is None:
        return None
    capacity.learn(kind.name, kind)
    context.types_used.add(kind.name)
    spot = own.purchase_option == "spot"
    if spot and kind.spot_interruption is None:
        context.spot_types_without_band.setdefault(kind.name, block.at("virtualMachines"))
    machines = Machines(
        service=service.name,
        guest_cpu=own.guest_os.cpu,
        guest_memory_mib=round(own.guest_os.memory),
        guest_disk_gib=own.guest_os.disk,
    )
    capacity.groups.append(
        AutoScalingGroup(
            name=group_name(service.name),
            instance_types=(kind.name,),
            purchase_options=(own.purchase_option,),
            distribution=InstancesDistribution(on_demand_percent=0 if spot else 100),
            max_size=_MOST_MACHINES,
            desired_capacity=service.desired_count,
            policies=policies,
            policy_warmup_ms=own.instance_warmup,
            launch_time=own.boot_time,
            zones=service.zones,
            subnets=service.subnets,
            root_volume_gib=own.root_volume,
            agent=AgentSettings(reserved_ports=()),
            machines=machines,
        )
    )
    context.machine_definitions += [_on_machine(each, kind, machines) for each in revisions]
    scaling = service.auto_scaling
    return service.model_copy(
        update={
            "machines": group_name(service.name),
            "task_definition": _key(service.task_definition, service.name),
            "behaviors": tuple((_key(key, service.name), what) for key, what in service.behaviors),
            "auto_scaling": None if scaling is None else scaling.model_copy(update={"policies": ()}),
        }
    )


def instance_refresh(context: Context, block: Block, value: Mapping[str, Any]) -> Deployment:
    """How new revisions come to the machines: an instance refresh within the healthy percents."""
    found = deployment(context, block, {**REFRESH_PERCENTS, **value}, daemon=False)
    place = block.at("deploymentConfiguration")
    if found.strategy != "ROLLING":
        what = f"{found.strategy} shifts traffic between tasks of ECS, which virtual machines are not"
        context.findings.add((*place, "strategy"), what, "leave it out: an instance refresh replaces them")
    if found.circuit_breaker is not None:
        context.findings.not_simulated(
            (*place, "deploymentCircuitBreaker"), "a circuit breaker of an instance refresh"
        )
    return found.model_copy(update={"strategy": "ROLLING", "circuit_breaker": None})


def with_machine_revisions(done: tuple[Action, ...], found: Sequence[Service]) -> tuple[Action, ...]:
    """The actions, where an update of a service on virtual machines names a revision as it is there."""
    names = {service.name for service in found if service.machines is not None}

    def there(action: Action) -> Action:
        service, key = action.input.get("service"), action.input.get("taskDefinition")
        if action.operation != "updateService" or service not in names or not isinstance(key, str):
            return action
        return action.model_copy(
            update={"input": {**action.input, "taskDefinition": _key(key, str(service))}}
        )

    return tuple(there(action) for action in done)


def _key(key: str, service: str) -> str:
    """The name of a revision as it runs on a service's machines."""
    return f"{key}@{service}"


# --- the type of machine -----------------------------------------------------------------------------------


def _kind(
    context: Context, block: Block, own: VirtualMachines, revisions: Sequence[TaskDefinition]
) -> InstanceType | None:
    """The type that is given, or the cheapest of those that fit; None, with a problem reported, where none does."""
    path = block.at("virtualMachines")
    spot = own.purchase_option == "spot"
    need = _need(revisions, own)
    if own.root_volume < own.guest_os.disk:
        what = (
            f"the guest operating system takes {own.guest_os.disk} GiB of a volume of {own.root_volume} GiB"
        )
        context.findings.add(path, what, f"rootVolume: at least {own.guest_os.disk} GiB")
        return None
    if own.instance_type is not None and own.instance_types is not None:
        context.findings.add(path, "instanceType and instanceTypes are both given", "keep one of the two")
        return None
    if own.instance_type is not None:
        named = [(own.instance_type, (*path, "instanceType"))]
    else:
        names = own.instance_types or ()
        named = [(name, (*path, "instanceTypes", index)) for index, name in enumerate(names)]
    kinds = _looked_up(context, named, spot)
    if len(kinds) < len(named):
        return None
    found = cheapest(kinds if named else listed(context, need, spot), need, spot)
    if found is None:
        place = named[0][1] if len(named) == 1 else path
        _report_misfit(context, place, kinds, need, own, revisions)
    return found


def _looked_up(context: Context, named: Sequence[tuple[str, Steps]], spot: bool) -> list[InstanceType]:
    """The named types, as far as the catalogue or the scenario knows them."""
    found = []
    for name, path in named:
        try:
            kinds = context.file.instance_types
            found.append(context.catalog.instance_type(name, context.region, kinds, spot=spot))
        except CatalogError as error:
            context.findings.add(path, error.what, error.right)
    return found


def _need(revisions: Sequence[TaskDefinition], own: VirtualMachines) -> Need:
    """What the largest of the revisions and the guest operating system take together."""
    return Need(
        max(each.cpu for each in revisions) + own.guest_os.cpu,
        max(each.memory_mib for each in revisions) + round(own.guest_os.memory),
        max(each.gpus for each in revisions),
        revisions[0].arch,
    )


def _report_misfit(
    context: Context,
    path: Steps,
    kinds: Sequence[InstanceType],
    need: Need,
    own: VirtualMachines,
    revisions: Sequence[TaskDefinition],
) -> None:
    """Say what does not fit, and which type of the default list would do."""
    guest = own.guest_os
    names = " and ".join(each.key for each in revisions)
    gpus = f", {need.gpus} GPUs" if need.gpus else ""
    what = (
        f"{names} and the guest operating system need {need.cpu} CPU units and {need.memory_mib} MiB{gpus} on "
        f"{need.arch} ({guest.cpu} units and {guest.memory:g} MiB are the guest's)"
    )
    sizes = ", ".join(
        f"{kind.name} has {kind.vcpus * CPU_UNITS_PER_VCPU} and {kind.memory_mib} on {kind.arch}"
        for kind in kinds[:3]
    )
    spot = own.purchase_option == "spot"
    better = cheapest(listed(context, need, spot), need, spot)
    right = f"instanceType: {better.name}" if better is not None else "an instanceType that holds them"
    context.findings.add(path, f"{what}: {sizes}" if sizes else f"{what}: no listed type has them", right)


def _on_machine(definition: TaskDefinition, kind: InstanceType, machines: Machines) -> TaskDefinition:
    """A revision as it runs on a machine: no image is pulled, no container is limited, the machine's network is its."""
    cpu = kind.vcpus * CPU_UNITS_PER_VCPU - machines.guest_cpu
    memory = kind.memory_mib - machines.guest_memory_mib
    alone = {"image": None, "cpu": 0, "memory_mib": None, "memory_reservation_mib": None, "credentials": None}
    return definition.model_copy(
        update={
            "key": _key(definition.key, machines.service),
            "network_mode": "host",
            "cpu": cpu,
            "memory_mib": memory,
            "task_memory_mib": memory,
            "gpus": kind.gpus,
            "static_ports": (),
            "dynamic_ports": 0,
            "placement_constraints": (),
            "containers": tuple(each.model_copy(update=alone) for each in definition.containers),
            "access": definition.access.model_copy(update={"execution_role": None, "needs": ()}),
        }
    )


# --- scaling -----------------------------------------------------------------------------------------------


def _group_policies(
    context: Context, block: Block, scaling: AutoScaling | None
) -> tuple[TargetTracking | StepScaling, ...]:
    """The service's scaling policies as those of its group (EC2 Auto Scaling), which knows no memory."""
    found: list[TargetTracking | StepScaling] = []
    for index, policy in enumerate(scaling.policies if scaling is not None else ()):
        place = (*block.at("autoScaling"), "policies", index)
        if isinstance(policy, TargetTracking) and policy.metric == _MEMORY:
            what = "EC2 publishes no memory of virtual machines to scale on"
            context.findings.add(place, what, f"{_CPU} or ALBRequestCountPerTarget")
        elif isinstance(policy, TargetTracking) and policy.metric == _CPU:
            found.append(policy.model_copy(update={"metric": "ASGAverageCPUUtilization"}))
        else:
            found.append(policy)
    return tuple(found)
