"""The placement of the tasks of a service or of a run-task entry, resolved.

Decides launch type or capacity provider strategy (the cluster's default where neither is given; without one,
launch type EC2), placement rules, zones, and whether the task definition can run there. Must not know why tasks
run. `services` and `run_tasks` call it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from clustersim.policy.placement.placement_strategies import STRATEGIES
from clustersim.scenario.aws.checked_block import CheckedBlock
from clustersim.scenario.catalog.fargate_prices import FargateUse
from clustersim.scenario.catalog.fargate_sizes import INCLUDED_EPHEMERAL_GIB
from clustersim.scenario.extensions.custom_placement import CUSTOM, resolve_custom_placement
from clustersim.scenario.resolve.context import FARGATE_PROVIDERS, Context, pick_fields
from clustersim.scenario.resolve.task_definitions import check_fargate_size, resolve_constraints
from clustersim.scenario.sections.own_keys import OWN_STRATEGY_KEYS
from clustersim.scenario.sections.scenario import (
    Constraint,
    CustomPlacement,
    PlacementRule,
    StrategyItem,
    TaskDefinition,
)
from clustersim.scenario.text.document import FieldPath

_PLACEMENT_FIELDS = ("launchType", "capacityProviderStrategy")


@dataclass(frozen=True)
class TaskPlacement:
    """The placement of tasks, under the field names that `Service` and `RunTask` share."""

    launch_type: Literal["EC2", "FARGATE"] | None
    strategy: tuple[StrategyItem, ...]
    placement_strategy: tuple[PlacementRule | CustomPlacement, ...]
    placement_constraints: tuple[Constraint, ...]
    zones: tuple[str, ...]
    subnets: tuple[str, ...]
    public_address: bool

    def fields(self) -> dict[str, Any]:
        """Return its fields, for the constructors of `Service` and `RunTask`."""
        return dict(vars(self))


def resolve_placement(
    context: Context, block: CheckedBlock, definition: TaskDefinition | None
) -> TaskPlacement:
    """Return the placement of the tasks of `block`; `definition` is None for a trace's own tasks or if invalid."""
    value = block.value
    launch_type: Literal["EC2", "FARGATE"] | None = value.get("launchType")
    strategy: tuple[StrategyItem, ...] = ()
    if launch_type is None:
        strategy = resolve_strategy(
            context, value.get("capacityProviderStrategy") or (), block.field_path("capacityProviderStrategy")
        )
        if not value.get("capacityProviderStrategy"):
            strategy = context.default_strategy
            _refuse_default_for_daemons(context, block)
        if not strategy:
            launch_type = "EC2"
    fargate = launch_type == "FARGATE" or any(
        item.capacity_provider in FARGATE_PROVIDERS for item in strategy
    )
    written_items = value.get("capacityProviderStrategy") or ()
    if len(strategy) < len(written_items) or any(block.has(f) and f not in value for f in _PLACEMENT_FIELDS):
        pass  # the strategy is invalid, and that has been reported
    elif fargate:
        _check_fargate(context, block, definition, strategy)
    elif any(item.capacity_provider in context.managed_providers for item in strategy):
        _check_managed_instances(context, block, definition)
    elif definition is not None and definition.requires_compatibilities:
        _check_compatibility(context, block, definition, ("EC2",), "EC2")
    network = (value.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
    subnet_path = block.field_path("networkConfiguration", "awsvpcConfiguration", "subnets")
    subnets = [(name, (*subnet_path, index)) for index, name in enumerate(network.get("subnets") or ())]
    return TaskPlacement(
        launch_type=launch_type,
        strategy=strategy,
        placement_strategy=_resolve_rules(context, block),
        placement_constraints=resolve_constraints(context, block),
        zones=context.resolve_zones(subnets) if subnets or _needs_addresses(definition) else context.zones,
        subnets=context.resolve_subnet_names(name for name, _ in subnets),
        public_address=network.get("assignPublicIp") == "ENABLED",
    )


def _refuse_default_for_daemons(context: Context, block: CheckedBlock) -> None:
    """Report a daemon service that would take the cluster's default strategy (aws/containers-roadmap 692, 1681)."""
    if context.default_strategy and block.value.get("schedulingStrategy") == "DAEMON":
        problem = "a daemon service takes no capacity provider strategy, and the cluster has a default one"
        context.diagnostics.add_problem(block.path, problem, "add launchType: EC2")


def _needs_addresses(definition: TaskDefinition | None) -> bool:
    """Return whether tasks take addresses, so that they run only in zones with a subnet."""
    return definition is not None and definition.network_mode == "awsvpc"


def resolve_strategy(context: Context, items: Any, path: FieldPath) -> tuple[StrategyItem, ...]:
    """Return the items of a capacity provider strategy whose providers exist, and report the others.

    The API's default weight and base are 0; the only provider of a strategy gets all tasks unless its weight 0 is
    written.
    """
    strategy = []
    for index, item in enumerate(items):
        reference = item.get("capacityProvider")
        if not isinstance(reference, str):
            continue
        location = (*path, index, "capacityProvider")
        name = context.resolve_name("capacity provider", reference, location, FARGATE_PROVIDERS)
        if name is not None:
            weight_and_base = pick_fields(item, {"weight": "weight", "base": "base"})
            strategy.append(StrategyItem(capacity_provider=name, **weight_and_base))
    kinds = {_provider_kind(context, item.capacity_provider) for item in strategy}
    if {"managed instances", "Auto Scaling group"} <= kinds:
        problem = "Managed Instances and Auto Scaling group providers are mixed"
        context.diagnostics.add_problem(path, problem, "providers of one kind")
    if len(items) == 1 and len(strategy) == 1 and strategy[0].weight == 0:
        if "weight" not in items[0]:
            return (strategy[0].model_copy(update={"weight": 1}),)
        if strategy[0].base == 0:
            context.diagnostics.add_problem(
                (*path, 0, "weight"), "every provider has weight 0", "a weight above 0"
            )
    return tuple(strategy)


def _provider_kind(context: Context, provider: str) -> str:
    """Return the kind of a provider: a strategy has providers of one kind (ECS Developer Guide: capacity providers)."""
    if provider in FARGATE_PROVIDERS:
        return "Fargate"
    return "managed instances" if provider in context.managed_providers else "Auto Scaling group"


def _resolve_rules(context: Context, block: CheckedBlock) -> tuple[PlacementRule | CustomPlacement, ...]:
    """Return the placement strategy, its fields in one spelling (`host` is instanceId)."""
    rules: list[PlacementRule | CustomPlacement] = []
    items = block.value.get("placementStrategy") or ()
    for index, item in enumerate(items):
        kind, path = item.get("type"), block.field_path("placementStrategy", index)
        if kind is None:
            context.diagnostics.add_problem(path, "has no type", f"type: {' or '.join(STRATEGIES)}")
        elif kind == CUSTOM:
            custom = resolve_custom_placement(context.diagnostics, path, item, context.scenario.parent)
            if index + 1 < len(items):
                context.diagnostics.add_problem(path, "a custom strategy decides alone", "write it last")
            if custom is not None:
                context.inputs.update({each.path: each.sha256 for each in custom.function.inputs})
                rules.append(custom)
        else:
            for key in OWN_STRATEGY_KEYS:
                if key in item:
                    context.diagnostics.add_problem((*path, key), f"is no field of {kind}", f"type: {CUSTOM}")
            rules.append(PlacementRule(type=kind, field=STRATEGIES[kind].spell(item.get("field")) or None))
    return tuple(rules)


def _check_fargate(
    context: Context,
    block: CheckedBlock,
    definition: TaskDefinition | None,
    strategy: tuple[StrategyItem, ...],
) -> None:
    """Report why the tasks cannot run on Fargate, else record the prices that they need."""
    diagnostics, path = context.diagnostics, block.field_path("taskDefinition")
    for field in ("placementStrategy", "placementConstraints"):
        if block.value.get(field):
            diagnostics.add_problem(
                block.field_path(field), f"Fargate takes no {field}", f"leave {field} out"
            )
    if definition is None:
        if block.has("trace") and not block.has("taskDefinition"):
            problem = "Fargate only supports network mode ‘awsvpc’; a trace's own tasks are bridge"
            diagnostics.add_problem(block.path, problem, "add a taskDefinition, or run them on EC2")
        return
    if definition.requires_compatibilities:
        _check_compatibility(context, block, definition, ("FARGATE",), "FARGATE")
    elif definition.network_mode != "awsvpc":
        diagnostics.add_problem(
            path,
            f"Fargate only supports network mode ‘awsvpc’; {definition.key} is {definition.network_mode}",
            "networkMode: awsvpc in the task definition",
        )
    elif not definition.has_task_size:
        problem = f"Fargate requires that 'cpu' be defined at the task level; {definition.key} has none"
        diagnostics.add_problem(path, problem, "add cpu and memory to the task definition")
    else:
        check_fargate_size(context, definition.cpu, definition.memory_mib, path)
    spot_options = {item.capacity_provider == "FARGATE_SPOT" for item in strategy} or {False}
    for spot in sorted(spot_options):
        if spot:
            context.fargate_spot_used_at = context.fargate_spot_used_at or block.path
        ephemeral = definition.ephemeral_gib > INCLUDED_EPHEMERAL_GIB
        context.fargate_uses.setdefault(FargateUse(definition.arch, spot, ephemeral), block.path)


def _check_managed_instances(
    context: Context, block: CheckedBlock, definition: TaskDefinition | None
) -> None:
    """Report why the tasks cannot run on Managed Instances; ECS places them itself (Developer Guide: placement)."""
    if block.value.get("placementStrategy"):
        context.diagnostics.warn(
            block.field_path("placementStrategy"),
            "Managed Instances take no placementStrategy; tasks are spread over zones, then packed",
        )
    if definition is not None and definition.requires_compatibilities:
        _check_compatibility(context, block, definition, ("MANAGED_INSTANCES",), "MANAGED_INSTANCES")


def _check_compatibility(
    context: Context,
    block: CheckedBlock,
    definition: TaskDefinition,
    any_of: tuple[str, ...],
    launch_type: str,
) -> None:
    """Report a task definition whose requiresCompatibilities exclude the launch type."""
    if not set(any_of) & set(definition.requires_compatibilities):
        context.diagnostics.add_problem(
            block.field_path("taskDefinition"),
            f"Task definition does not support launch_type {launch_type}.",
            f"add {launch_type} to requiresCompatibilities of {definition.key}",
        )
