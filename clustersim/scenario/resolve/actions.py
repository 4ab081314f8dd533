"""Entries of `actions`, resolved: an AWS operation with its input, and the time at which it is called.

Decides which operations there are, which of them are simulated, and that their inputs name existing things. Must
not know what an operation does to the world. `resolve.scenario` calls `resolve_actions`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from clustersim.scenario.aws.block_validation import name_from_arn, service_model
from clustersim.scenario.aws.checked_block import CheckedBlock, read_block, with_camel_case_keys
from clustersim.scenario.aws.scalars import to_camel_case
from clustersim.scenario.resolve.context import FARGATE_PROVIDERS, Context
from clustersim.scenario.resolve.deployment import resolve_deployment
from clustersim.scenario.resolve.placement import resolve_strategy
from clustersim.scenario.resolve.run_tasks import parse_at
from clustersim.scenario.resolve.virtual_machines import resolve_instance_refresh
from clustersim.scenario.sections.scenario import Action
from clustersim.scenario.text.document import FieldPath
from clustersim.scenario.text.overrides import suggest_name
from clustersim.vocabulary import MS_PER_SECOND, ScalingProcess

_APIS = ("ecs", "autoscaling", "application-autoscaling")
SIMULATED_OPERATIONS = frozenset(
    {
        "updateService",
        "stopTask",
        "updateContainerInstancesState",
        "setDesiredCapacity",
        "setInstanceProtection",
        "terminateInstances",
        "suspendProcesses",
        "resumeProcesses",
    }
)
"""Operations that the simulator carries out; the others are read with a warning."""
_UPDATED_FIELDS = frozenset(
    {
        "service",
        "cluster",
        "taskDefinition",
        "desiredCount",
        "forceNewDeployment",
        "deploymentConfiguration",
        "healthCheckGracePeriodSeconds",
        "availabilityZoneRebalancing",
        "capacityProviderStrategy",
    }
)
"""Fields of UpdateService that the simulator carries out."""
_ID_FIELDS = ("containerInstances", "instanceIds", "containerInstance", "task")
"""Fields that hold ids of container instances or tasks, which are numbers in a simulation."""
_REFERENCES = {
    "service": "service",
    "autoScalingGroupName": "Auto Scaling group",
    "capacityProvider": "capacity provider",
}
"""Fields of an input that refer to a thing of the scenario, and its kind."""


@cache
def _list_operations() -> dict[str, str]:
    """Map names like `updateService` to `ecs.UpdateService`; of APIs that share a name the first of `_APIS` wins."""
    operations: dict[str, str] = {}
    for service in _APIS:
        for name in service_model(service).operation_names:
            operations.setdefault(to_camel_case(name), f"{service}.{name}")
    # EC2 has 700 more operations; only this one concerns a scenario.
    operations["terminateInstances"] = "ec2.TerminateInstances"
    return operations


def resolve_actions(context: Context, services: list[CheckedBlock]) -> tuple[Action, ...]:
    """Return all valid actions, in the order of the file; `services` are the checked blocks that they may update."""
    actions = []
    configurations = {
        str(block.value.get("serviceName")): dict(block.value.get("deploymentConfiguration") or {})
        for block in services
    }
    machines = {str(block.value.get("serviceName")) for block in services if block.has("virtualMachines")}
    items = context.diagnostics.data.get("actions")
    for index, item in enumerate(items if isinstance(items, list) else ()):
        path: FieldPath = ("actions", index)
        if not isinstance(item, dict):
            continue
        if "at" not in item:
            context.diagnostics.add_problem(path, "at is missing", "add at: 2d")
        at_ms = parse_at(context, item["at"], (*path, "at")) if "at" in item else None
        action = _resolve_action(context, item, path, at_ms, (configurations, machines))
        if action is not None:
            actions.append(action)
    return tuple(actions)


def _resolve_action(
    context: Context,
    item: dict[str, Any],
    path: FieldPath,
    at_ms: int | None,
    services: tuple[dict[str, dict[str, Any]], set[str]],
) -> Action | None:
    """Return one action; None if it is invalid."""
    names = [key for key in item if key != "at"]
    if len(names) != 1:
        problem = "names no operation" if not names else f"names {len(names)} operations"
        context.diagnostics.add_problem(path, problem, "one operation beside at, like updateService: {...}")
        return None
    written = names[0]
    operations = _list_operations()
    folded = {name.lower(): name for name in operations}
    operation = folded.get(written.lower())
    if operation is None:
        hint = suggest_name(written, sorted(SIMULATED_OPERATIONS | set(operations)))
        context.diagnostics.add_problem((*path, written), "no such operation", hint)
        return None
    location = (*path, written)
    block = read_block(
        context.diagnostics, location, _convert_ids_to_text(item[written]), operation, operations[operation]
    )
    if operation not in SIMULATED_OPERATIONS:
        context.diagnostics.warn_not_simulated(location, f"the action {operation}")
    value = with_camel_case_keys(block.value)
    for field in value:
        if operation == "updateService" and field not in _UPDATED_FIELDS:
            context.diagnostics.warn_not_simulated(
                block.field_path(field), f"an update of a service's {field}"
            )
    _resolve_references(context, block, value)
    if operation in ("suspendProcesses", "resumeProcesses"):
        _check_processes(context, block, value)
    if operation in SIMULATED_OPERATIONS:
        _convert_ids_to_numbers(context, block, value)
    if not block.valid or at_ms is None:
        return None
    changes = _resolve_changes(context, block, value, services) if operation == "updateService" else {}
    return Action(at_ms=at_ms, operation=operation, input=value, changes=changes)


def _resolve_changes(
    context: Context,
    block: CheckedBlock,
    value: dict[str, Any],
    services: tuple[dict[str, dict[str, Any]], set[str]],
) -> dict[str, Any]:
    """Return the fields of a service that an update sets; a deployment configuration changes only the keys it has.

    `services` are their deployment configurations, and the names of those on virtual machines.
    """
    configurations, machines = services
    on_machines = value.get("service") in machines
    changes: dict[str, Any] = {}
    if "deploymentConfiguration" in value:
        current = configurations.setdefault(str(value.get("service")), {})
        current.update(value["deploymentConfiguration"])
        if on_machines:
            changes["deployment"] = resolve_instance_refresh(context, block, current)
        else:
            changes["deployment"] = resolve_deployment(context, block, current, daemon=False)
    if "healthCheckGracePeriodSeconds" in value:
        changes["health_check_grace_ms"] = value["healthCheckGracePeriodSeconds"] * MS_PER_SECOND
    if "availabilityZoneRebalancing" in value:
        changes["zone_rebalancing"] = value["availabilityZoneRebalancing"] == "ENABLED" and not on_machines
    if value.get("capacityProviderStrategy") and on_machines:
        problem = f"{value['service']} runs on virtual machines of its own, which have no capacity provider"
        context.diagnostics.add_problem(block.field_path("capacityProviderStrategy"), problem, "leave it out")
    elif value.get("capacityProviderStrategy"):
        location = block.field_path("capacityProviderStrategy")
        changes["strategy"] = resolve_strategy(context, value["capacityProviderStrategy"], location)
        changes["launch_type"] = None
    return changes


def _convert_ids_to_text(body: Any) -> Any:
    """Return an input with ids as text, as the API has them; users write numbers."""
    if not isinstance(body, dict):
        return body
    folded = {name.lower() for name in _ID_FIELDS}
    return {
        key: [_to_text_id(item) for item in value]
        if key.lower() in folded and isinstance(value, list)
        else value
        for key, value in body.items()
    }


def _to_text_id(item: Any) -> Any:
    return str(item) if isinstance(item, int) and not isinstance(item, bool) else item


def _convert_ids_to_numbers(context: Context, block: CheckedBlock, value: dict[str, Any]) -> None:
    """Replace ids written as text or ARN by numbers, and report those that are not numbers."""
    for field in _ID_FIELDS:
        written_ids = value.get(field)
        if written_ids is None:
            continue
        ids = []
        for index, item in enumerate(written_ids if isinstance(written_ids, list) else [written_ids]):
            name = name_from_arn(item) if isinstance(item, str) else ""
            if name.isdecimal() and len(name) < 19:
                ids.append(int(name))
            else:
                location = (
                    block.field_path(field, index)
                    if isinstance(written_ids, list)
                    else block.field_path(field)
                )
                context.diagnostics.add_problem(
                    location, f"{item!r} is not an id", "a number: ids count from 1"
                )
        value[field] = ids if isinstance(written_ids, list) else (ids or [0])[0]


def _check_processes(context: Context, block: CheckedBlock, value: dict[str, Any]) -> None:
    """Report names that are not processes of an Auto Scaling group."""
    known = [process.value for process in ScalingProcess]
    for index, name in enumerate(value.get("scalingProcesses") or ()):
        if name not in known:
            location = block.field_path("scalingProcesses", index)
            context.diagnostics.add_problem(location, f"{name} is not a process", suggest_name(name, known))


def _resolve_references(context: Context, block: CheckedBlock, value: dict[str, Any]) -> None:
    """Replace ARNs by names, and report unknown ones."""
    for field, kind in _REFERENCES.items():
        if isinstance(value.get(field), str):
            name = context.resolve_name(kind, value[field], block.field_path(field))
            value[field] = name if name is not None else value[field]
    if isinstance(value.get("taskDefinition"), str):
        key = context.find_task_definition(value["taskDefinition"], block.field_path("taskDefinition"))
        value["taskDefinition"] = key if key is not None else value["taskDefinition"]
    for index, item in enumerate(value.get("capacityProviderStrategy") or ()):
        if isinstance(item, dict) and isinstance(item.get("capacityProvider"), str):
            location = block.field_path("capacityProviderStrategy", index, "capacityProvider")
            name = context.resolve_name(
                "capacity provider", item["capacityProvider"], location, FARGATE_PROVIDERS
            )
            item["capacityProvider"] = name if name is not None else item["capacityProvider"]


def collect_updated_definitions(actions: tuple[Action, ...]) -> dict[str, set[str]]:
    """Return, by service, the task definitions that actions give it."""
    result: dict[str, set[str]] = {}
    for action in actions:
        key, service = action.input.get("taskDefinition"), action.input.get("service")
        if action.operation == "updateService" and isinstance(key, str) and isinstance(service, str):
            result.setdefault(service, set()).add(key)
    return result
