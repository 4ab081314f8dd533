"""Specs of task sets: what the tasks of a service deployment or a runTasks entry share, still in names.

It gathers from the scenario what `world.build.task_set_tables` writes into tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from clustersim.scenario.sections.scenario import (
    Behavior,
    Constraint,
    CustomPlacement,
    Distribution,
    PlacementRule,
    RunTask,
    Scenario,
    Service,
    StrategyItem,
    TargetGroup,
    TaskDefinition,
)
from clustersim.vocabulary import NEVER

Size = tuple[int, int, int]  # CPU units, MiB, GPUs


@dataclass(frozen=True)
class SetSpec:
    """The spec of one task set."""

    stream: str  # name of its random stream: `service/web`
    group: int  # the payer
    task_group: str  # of ECS
    service: int
    definition: TaskDefinition | None
    behavior: Behavior
    sizes: tuple[Size, ...]
    launch_type: str | None
    strategy: tuple[StrategyItem, ...]
    rules: tuple[PlacementRule | CustomPlacement, ...]
    constraints: tuple[Constraint, ...]
    zones: tuple[str, ...]
    target_group: TargetGroup | None = None
    duration: Distribution | None = None
    retries: int = 0
    grace_ms: int = 0
    balanced: str | None = None  # the container behind the load balancer
    daemon: bool = False
    subnets: tuple[str, ...] = ()  # empty: all
    public_address: bool = False
    machines: str | None = None  # the service whose virtual machines are its only hosts
    memory_base_mib: float = 0.0  # of the application once it is up


def service_spec(scenario: Scenario, service: Service, number: int, definition_key: str) -> SetSpec:
    """Return the spec of `service`, the `number`-th of the scenario, with a revision of its task definition."""
    definition = next(d for d in scenario.task_definitions if d.key == definition_key)
    targets = {target.name: target for target in scenario.target_groups}
    target = targets.get(service.target_groups[0]) if service.target_groups else None
    return SetSpec(
        stream=f"service/{service.name}",
        group=number,
        task_group=f"service:{service.name}",
        service=number,
        definition=definition,
        behavior=service.behavior(definition_key),
        sizes=((definition.cpu, definition.memory_mib, definition.gpus),),
        launch_type=service.launch_type,
        strategy=service.strategy,
        rules=service.placement_strategy,
        constraints=(*definition.placement_constraints, *service.placement_constraints),
        zones=service.zones,
        target_group=target,
        grace_ms=service.health_check_grace_ms,
        balanced=service.balanced_container,
        daemon=service.scheduling_strategy == "DAEMON",
        subnets=service.subnets,
        public_address=service.public_address,
        machines=None if service.machines is None else service.name,
        memory_base_mib=service.load.memory_base_mib if service.load is not None else 0.0,
    )


def count_labels(entry: RunTask) -> int:
    """Return how many task sets an entry has: one, or one for each group of its trace."""
    return 1 if entry.trace is None or entry.trace.groups is None else len(entry.trace.groups)


def task_group_of_entry(entry: RunTask, position: int) -> str:
    """Return the task group of ECS of an entry, or of the group at a position of its trace.

    A trace may use a label like that of a service; its tasks are none of the service.
    """
    if entry.trace is None or entry.trace.groups is None:
        return entry.task_group
    label = entry.trace.groups[position]
    return f"{label} of {entry.name}" if label.startswith("service:") else label


def entry_spec(
    scenario: Scenario, entry: RunTask, group: int, sizes: tuple[Size, ...], position: int = 0
) -> SetSpec:
    """Return the spec of a runTasks entry, or of one group of its trace, at a position of its labels."""
    definition = next((d for d in scenario.task_definitions if d.key == entry.task_definition), None)
    if definition is not None:
        sizes = sizes or ((definition.cpu, definition.memory_mib, definition.gpus),)
    of_definition = definition.placement_constraints if definition is not None else ()
    return SetSpec(
        stream=f"task/{entry.name}",
        group=group,
        task_group=task_group_of_entry(entry, position),
        service=NEVER,
        definition=definition,
        behavior=entry.behavior,
        sizes=sizes,
        launch_type=entry.launch_type,
        strategy=entry.strategy,
        rules=entry.placement_strategy,
        constraints=(*of_definition, *entry.placement_constraints),
        zones=entry.zones,
        duration=entry.duration,
        retries=entry.retries,
        subnets=entry.subnets,
        public_address=entry.public_address,
    )
