"""Where the tasks of a service or of a run-task entry go, resolved.

Decides launch type or capacity provider strategy (the cluster's default where neither is given; without one,
launch type EC2), placement rules, zones, and whether the task definition can run there. Must not know what
the tasks are for. `resolve_services` and `resolve_jobs` call it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from clustersim.scenario.aws.checked_block import Block
from clustersim.scenario.catalog.fargate_prices import FargateUse
from clustersim.scenario.catalog.fargate_sizes import INCLUDED_EPHEMERAL_GIB
from clustersim.scenario.resolve.context import FARGATE_PROVIDERS, Context
from clustersim.scenario.resolve.task_definitions import check_fargate_size, constraints
from clustersim.scenario.sections.scenario import Constraint, PlacementRule, StrategyItem, TaskDefinition
from clustersim.scenario.text.document import Steps

_WHERE_FIELDS = ("launchType", "capacityProviderStrategy")
_FIELDS = {"host": "instanceId", "instanceid": "instanceId", "cpu": "cpu", "memory": "memory"}


@dataclass(frozen=True)
class Where:
    """Where tasks go, under the names that `Service` and `RunTask` share."""

    launch_type: Literal["EC2", "FARGATE"] | None
    strategy: tuple[StrategyItem, ...]
    placement_strategy: tuple[PlacementRule, ...]
    placement_constraints: tuple[Constraint, ...]
    zones: tuple[str, ...]
    subnets: tuple[str, ...]
    public_address: bool

    def fields(self) -> dict[str, Any]:
        """Its fields, for the constructors of `Service` and `RunTask`."""
        return dict(vars(self))


def where(context: Context, block: Block, definition: TaskDefinition | None) -> Where:
    """Where the tasks of `block` go; without a definition they are a trace's own, or have a problem."""
    value = block.value
    launch_type: Literal["EC2", "FARGATE"] | None = value.get("launchType")
    strategy: tuple[StrategyItem, ...] = ()
    if launch_type is None:
        strategy = strategy_items(
            context, value.get("capacityProviderStrategy") or (), block.at("capacityProviderStrategy")
        )
        if not value.get("capacityProviderStrategy"):
            strategy = context.default_strategy
        if not strategy:
            launch_type = "EC2"
    fargate = launch_type == "FARGATE" or any(
        item.capacity_provider in FARGATE_PROVIDERS for item in strategy
    )
    given = value.get("capacityProviderStrategy") or ()
    if len(strategy) < len(given) or any(block.has(f) and f not in value for f in _WHERE_FIELDS):
        pass  # where they go is in doubt, and that has been reported
    elif fargate:
        _on_fargate(context, block, definition, strategy)
    elif any(item.capacity_provider in context.managed_providers for item in strategy):
        _on_managed_instances(context, block, definition)
    elif definition is not None and definition.requires_compatibilities:
        _compatible(context, block, definition, ("EC2",), "EC2")
    network = (value.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
    subnet_path = block.at("networkConfiguration", "awsvpcConfiguration", "subnets")
    subnets = [(name, (*subnet_path, index)) for index, name in enumerate(network.get("subnets") or ())]
    return Where(
        launch_type=launch_type,
        strategy=strategy,
        placement_strategy=_rules(context, block),
        placement_constraints=constraints(context, block),
        zones=context.zones_of(subnets) if subnets or _needs_subnet(definition) else context.zones,
        subnets=context.subnets_of(name for name, _ in subnets),
        public_address=network.get("assignPublicIp") == "ENABLED",
    )


def _needs_subnet(definition: TaskDefinition | None) -> bool:
    """Whether tasks take addresses, so that they run only where there are subnets."""
    return definition is not None and definition.network_mode == "awsvpc"


def strategy_items(context: Context, items: Any, path: Steps) -> tuple[StrategyItem, ...]:
    """A capacity provider strategy whose providers exist.

    The API's default weight and base are 0; the only provider of a strategy gets all tasks unless it says
    weight 0 itself.
    """
    found = []
    for index, item in enumerate(items):
        reference = item.get("capacityProvider")
        if not isinstance(reference, str):
            continue
        place = (*path, index, "capacityProvider")
        name = context.find("capacity provider", reference, place, FARGATE_PROVIDERS)
        if name is not None:
            weight, base = item.get("weight", 0), item.get("base", 0)
            found.append(StrategyItem(capacity_provider=name, weight=weight, base=base))
    kinds = {_kind(context, item.capacity_provider) for item in found}
    if {"managed instances", "Auto Scaling group"} <= kinds:
        what = "Managed Instances and Auto Scaling group providers are mixed"
        context.findings.add(path, what, "providers of one kind")
    if len(items) == 1 and len(found) == 1 and found[0].weight == 0:
        if "weight" not in items[0]:
            return (found[0].model_copy(update={"weight": 1}),)
        if found[0].base == 0:
            context.findings.add((*path, 0, "weight"), "every provider has weight 0", "a weight above 0")
    return tuple(found)


def _kind(context: Context, provider: str) -> str:
    """The kind of a provider: a strategy holds one kind only (ECS Developer Guide: capacity providers)."""
    if provider in FARGATE_PROVIDERS:
        return "Fargate"
    return "managed instances" if provider in context.managed_providers else "Auto Scaling group"


def _rules(context: Context, block: Block) -> tuple[PlacementRule, ...]:
    """The placement strategy, its fields in one spelling (`host` is instanceId)."""
    found = []
    for index, rule in enumerate(block.value.get("placementStrategy") or ()):
        kind, field = rule.get("type"), rule.get("field")
        if kind is None:
            place = block.at("placementStrategy", index)
            context.findings.add(place, "has no type", "type: spread, binpack or random")
            continue
        if isinstance(field, str):
            known = _FIELDS.get(field.lower(), field)
            if kind == "spread" and known != "instanceId" and not field.startswith("attribute:"):
                place = block.at("placementStrategy", index, "field")
                context.findings.add(place, f"cannot spread by {field}", "instanceId or attribute:NAME")
            field = known
        found.append(PlacementRule(type=kind, field=None if kind == "random" else field))
    return tuple(found)


def _on_fargate(
    context: Context, block: Block, definition: TaskDefinition | None, strategy: tuple[StrategyItem, ...]
) -> None:
    """Report why the tasks cannot run on Fargate, or note which prices they need."""
    findings, path = context.findings, block.at("taskDefinition")
    for field in ("placementStrategy", "placementConstraints"):
        if block.value.get(field):
            findings.add(block.at(field), f"Fargate takes no {field}", f"leave {field} out")
    if definition is None:
        if block.has("trace") and not block.has("taskDefinition"):
            what = "Fargate only supports network mode ‘awsvpc’; a trace's own tasks are bridge"
            findings.add(block.path, what, "add a taskDefinition, or run them on EC2")
        return
    if definition.requires_compatibilities:
        _compatible(context, block, definition, ("FARGATE",), "FARGATE")
    elif definition.network_mode != "awsvpc":
        findings.add(
            path,
            f"Fargate only supports network mode ‘awsvpc’; {definition.key} is {definition.network_mode}",
            "networkMode: awsvpc in the task definition",
        )
    elif not definition.has_task_size:
        what = f"Fargate requires that 'cpu' be defined at the task level; {definition.key} has none"
        findings.add(path, what, "add cpu and memory to the task definition")
    else:
        check_fargate_size(context, definition.cpu, definition.memory_mib, path)
    spots = {item.capacity_provider == "FARGATE_SPOT" for item in strategy} or {False}
    for spot in sorted(spots):
        if spot:
            context.fargate_spot_used_at = context.fargate_spot_used_at or block.path
        ephemeral = definition.ephemeral_gib > INCLUDED_EPHEMERAL_GIB
        context.fargate_uses.setdefault(FargateUse(definition.arch, spot, ephemeral), block.path)


def _on_managed_instances(context: Context, block: Block, definition: TaskDefinition | None) -> None:
    """Report why the tasks cannot run on Managed Instances; ECS places them itself (Developer Guide: placement)."""
    if block.value.get("placementStrategy"):
        context.findings.warn(
            block.at("placementStrategy"),
            "Managed Instances take no placementStrategy; tasks are spread over zones, then packed",
        )
    if definition is not None and definition.requires_compatibilities:
        _compatible(context, block, definition, ("MANAGED_INSTANCES",), "MANAGED_INSTANCES")


def _compatible(
    context: Context, block: Block, definition: TaskDefinition, any_of: tuple[str, ...], launch_type: str
) -> None:
    """Report a task definition that says it does not run there."""
    if not set(any_of) & set(definition.requires_compatibilities):
        context.findings.add(
            block.at("taskDefinition"),
            f"Task definition does not support launch_type {launch_type}.",
            f"add {launch_type} to requiresCompatibilities of {definition.key}",
        )
