"""Entries of `actions`, resolved: an AWS operation with its input, and when it happens.

Decides which operations there are, which of them are simulated, and that their inputs name what exists. Must
not know what an operation does to the world. The reader calls `actions`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from clustersim.scenario.aws.block_validation import name_in_arn, service_model
from clustersim.scenario.aws.checked_block import Block, check, in_camel_case
from clustersim.scenario.aws.scalars import camel
from clustersim.scenario.resolve.context import FARGATE_PROVIDERS, Context
from clustersim.scenario.resolve.deployment import deployment
from clustersim.scenario.resolve.placement import strategy_items
from clustersim.scenario.resolve.run_tasks import read_at
from clustersim.scenario.resolve.virtual_machines import instance_refresh
from clustersim.scenario.sections.scenario import Action
from clustersim.scenario.text.document import Steps
from clustersim.scenario.text.overrides import closest
from clustersim.vocabulary import MS_PER_SECOND

_APIS = ("ecs", "autoscaling", "application-autoscaling")
SIMULATED = frozenset(
    {
        "updateService",
        "stopTask",
        "updateContainerInstancesState",
        "setDesiredCapacity",
        "setInstanceProtection",
        "terminateInstances",
    }
)
"""Operations that the simulator carries out; the others are read with a warning."""
_UPDATED = frozenset(
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
_IDS = ("containerInstances", "instanceIds", "containerInstance", "task")
"""Fields that hold ids of container instances or tasks, which are numbers in a simulation."""
_REFERENCES = {
    "service": "service",
    "autoScalingGroupName": "Auto Scaling group",
    "capacityProvider": "capacity provider",
}
"""Fields of an input that refer to a thing of the scenario, and its kind."""


@cache
def _operations() -> dict[str, str]:
    """`updateService` -> `ecs.UpdateService`; where two services share a name, the first of `_APIS` wins."""
    found: dict[str, str] = {}
    for service in _APIS:
        for name in service_model(service).operation_names:
            found.setdefault(camel(name), f"{service}.{name}")
    # EC2 has 700 operations more; only this one is about what a scenario has.
    found["terminateInstances"] = "ec2.TerminateInstances"
    return found


def actions(context: Context, services: list[Block]) -> tuple[Action, ...]:
    """All sound actions, in the order of the file; `services` are the checked blocks they may update."""
    found = []
    configurations = {
        str(block.value.get("serviceName")): dict(block.value.get("deploymentConfiguration") or {})
        for block in services
    }
    machines = {str(block.value.get("serviceName")) for block in services if block.has("virtualMachines")}
    items = context.findings.data.get("actions")
    for index, item in enumerate(items if isinstance(items, list) else ()):
        path: Steps = ("actions", index)
        if not isinstance(item, dict):
            continue
        if "at" not in item:
            context.findings.add(path, "at is missing", "add at: 2d")
        at_ms = read_at(context, item["at"], (*path, "at")) if "at" in item else None
        action = _action(context, item, path, at_ms, (configurations, machines))
        if action is not None:
            found.append(action)
    return tuple(found)


def _action(
    context: Context,
    item: dict[str, Any],
    path: Steps,
    at_ms: int | None,
    services: tuple[dict[str, dict[str, Any]], set[str]],
) -> Action | None:
    """One action; None if anything is wrong with it."""
    names = [key for key in item if key != "at"]
    if len(names) != 1:
        what = "names no operation" if not names else f"names {len(names)} operations"
        context.findings.add(path, what, "one operation beside at, like updateService: {...}")
        return None
    written = names[0]
    operations = _operations()
    folded = {name.lower(): name for name in operations}
    operation = folded.get(written.lower())
    if operation is None:
        right = closest(written, sorted(SIMULATED | set(operations)))
        context.findings.add((*path, written), "no such operation", right)
        return None
    place = (*path, written)
    block = check(context.findings, place, _with_text_ids(item[written]), operation, operations[operation])
    if operation not in SIMULATED:
        context.findings.not_simulated(place, f"the action {operation}")
    value = in_camel_case(block.value)
    for field in value:
        if operation == "updateService" and field not in _UPDATED:
            context.findings.not_simulated(block.at(field), f"an update of a service's {field}")
    _references(context, block, value)
    if operation in SIMULATED:
        _number_ids(context, block, value)
    if not block.sound or at_ms is None:
        return None
    changes = _changes(context, block, value, services) if operation == "updateService" else {}
    return Action(at_ms=at_ms, operation=operation, input=value, changes=changes)


def _changes(
    context: Context,
    block: Block,
    value: dict[str, Any],
    services: tuple[dict[str, dict[str, Any]], set[str]],
) -> dict[str, Any]:
    """The fields of a service that an update sets; what a deployment configuration leaves out stays as it was.

    `services` are their deployment configurations, and the names of those on virtual machines.
    """
    configurations, machines = services
    on_machines = value.get("service") in machines
    changes: dict[str, Any] = {}
    if "deploymentConfiguration" in value:
        current = configurations.setdefault(str(value.get("service")), {})
        current.update(value["deploymentConfiguration"])
        if on_machines:
            changes["deployment"] = instance_refresh(context, block, current)
        else:
            changes["deployment"] = deployment(context, block, current, daemon=False)
    if "healthCheckGracePeriodSeconds" in value:
        changes["health_check_grace_ms"] = value["healthCheckGracePeriodSeconds"] * MS_PER_SECOND
    if "availabilityZoneRebalancing" in value:
        changes["zone_rebalancing"] = value["availabilityZoneRebalancing"] == "ENABLED" and not on_machines
    if value.get("capacityProviderStrategy") and on_machines:
        what = f"{value['service']} runs on virtual machines of its own, which have no capacity provider"
        context.findings.add(block.at("capacityProviderStrategy"), what, "leave it out")
    elif value.get("capacityProviderStrategy"):
        place = block.at("capacityProviderStrategy")
        changes["strategy"] = strategy_items(context, value["capacityProviderStrategy"], place)
        changes["launch_type"] = None
    return changes


def _with_text_ids(body: Any) -> Any:
    """An input whose ids are text, as the API has them; people write numbers."""
    if not isinstance(body, dict):
        return body
    folded = {name.lower() for name in _IDS}
    return {
        key: [_text_id(item) for item in value]
        if key.lower() in folded and isinstance(value, list)
        else value
        for key, value in body.items()
    }


def _text_id(item: Any) -> Any:
    return str(item) if isinstance(item, int) and not isinstance(item, bool) else item


def _number_ids(context: Context, block: Block, value: dict[str, Any]) -> None:
    """Put numbers in place of ids written as text or ARN; what is no number is reported."""
    for field in _IDS:
        given = value.get(field)
        if given is None:
            continue
        numbers = []
        for index, item in enumerate(given if isinstance(given, list) else [given]):
            name = name_in_arn(item) if isinstance(item, str) else ""
            if name.isdecimal() and len(name) < 19:
                numbers.append(int(name))
            else:
                place = block.at(field, index) if isinstance(given, list) else block.at(field)
                context.findings.add(place, f"{item!r} is no id", "a number: ids count from 1")
        value[field] = numbers if isinstance(given, list) else (numbers or [0])[0]


def _references(context: Context, block: Block, value: dict[str, Any]) -> None:
    """Put names in place of ARNs, and report those that nothing has."""
    for field, kind in _REFERENCES.items():
        if isinstance(value.get(field), str):
            name = context.find(kind, value[field], block.at(field))
            value[field] = name if name is not None else value[field]
    if isinstance(value.get("taskDefinition"), str):
        key = context.find_definition(value["taskDefinition"], block.at("taskDefinition"))
        value["taskDefinition"] = key if key is not None else value["taskDefinition"]
    for index, item in enumerate(value.get("capacityProviderStrategy") or ()):
        if isinstance(item, dict) and isinstance(item.get("capacityProvider"), str):
            place = block.at("capacityProviderStrategy", index, "capacityProvider")
            name = context.find("capacity provider", item["capacityProvider"], place, FARGATE_PROVIDERS)
            item["capacityProvider"] = name if name is not None else item["capacityProvider"]


def later_definitions(found: tuple[Action, ...]) -> dict[str, set[str]]:
    """By service, the task definitions that actions give it."""
    result: dict[str, set[str]] = {}
    for action in found:
        key, service = action.input.get("taskDefinition"), action.input.get("service")
        if action.operation == "updateService" and isinstance(key, str) and isinstance(service, str):
            result.setdefault(service, set()).add(key)
    return result
