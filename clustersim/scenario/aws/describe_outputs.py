"""Files of AWS blocks: the output of `aws ... --output json`, or the input of a create call.

Decides which blocks a file holds and which of their fields belong to a create call: describe output is unwrapped
(`{"services": [...]}`), fields that only describe output has are dropped silently, unknown fields are dropped
with a warning. It must not know whether a block is valid (`block_validation`) or which keys override it.
`included_files` calls `import_blocks` for every `- file:` in a list of AWS blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from clustersim.scenario.aws.block_validation import NOT_SIMULATED_PREFIX, service_model
from clustersim.scenario.text.document import Document, FieldPath, Problem, read_document
from clustersim.scenario.text.overrides import suggest_name
from clustersim.scenario.text.yaml_nodes import Node


@dataclass(frozen=True, slots=True)
class DescribeOutput:
    """The describe call for what an operation creates, and the fields that hold its items.

    The first of `wrappers` is the describe call's own field, the others are those of create and update output.
    `extra_fields` are output fields that a scenario also has although the create call lacks them; `renamed` are
    fields with another name in the output; `predefined` are names of items that exist without being created.
    """

    describe: str
    wrappers: tuple[str, ...]
    extra_fields: frozenset[str] = frozenset()
    renamed: tuple[tuple[str, str], ...] = ()
    predefined: frozenset[str] = frozenset()


DESCRIBE_OUTPUTS: dict[str, DescribeOutput] = {
    "ecs.CreateService": DescribeOutput("DescribeServices", ("services", "service")),
    "ecs.CreateCluster": DescribeOutput("DescribeClusters", ("clusters", "cluster")),
    "ecs.RegisterTaskDefinition": DescribeOutput(
        "DescribeTaskDefinition", ("taskDefinition",), extra_fields=frozenset({"revision"})
    ),
    "ecs.CreateCapacityProvider": DescribeOutput(
        "DescribeCapacityProviders",
        ("capacityProviders", "capacityProvider"),
        predefined=frozenset({"FARGATE", "FARGATE_SPOT"}),
    ),
    "application-autoscaling.RegisterScalableTarget": DescribeOutput(
        "DescribeScalableTargets", ("ScalableTargets",)
    ),
    "application-autoscaling.PutScalingPolicy": DescribeOutput(
        "DescribeScalingPolicies", ("ScalingPolicies",)
    ),
    "application-autoscaling.PutScheduledAction": DescribeOutput(
        "DescribeScheduledActions", ("ScheduledActions",)
    ),
    "autoscaling.CreateAutoScalingGroup": DescribeOutput(
        "DescribeAutoScalingGroups", ("AutoScalingGroups",), extra_fields=frozenset({"SuspendedProcesses"})
    ),
    "autoscaling.PutScalingPolicy": DescribeOutput("DescribePolicies", ("ScalingPolicies",)),
    "elbv2.CreateTargetGroup": DescribeOutput(
        "DescribeTargetGroups", ("TargetGroups",), renamed=(("TargetGroupName", "Name"),)
    ),
    "cloudwatch.PutMetricAlarm": DescribeOutput("DescribeAlarms", ("MetricAlarms",)),
}

# Fields of describe output beside the items: failures, pagination, tags of a single item.
_METADATA_KEYS = frozenset({"failures", "nexttoken", "nextmarker", "tags", "responsemetadata"})

# Fields of describe output that belong to another operation and are not simulated.
_UNSUPPORTED_FIELDS = {"WarmPoolConfiguration": "warm pools"}


@dataclass(frozen=True, slots=True)
class ImportedBlocks:
    """The blocks of a file, each as a document of its own, so that it can give lines and columns.

    A block's `value` is the create call's input; its `label` and `sha256` are the file's. Paths of problems
    and warnings are relative to the whole file, `document`; its `errors` are the errors of the text.
    """

    document: Document
    blocks: tuple[Document, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def import_blocks(path: Path, operation: str, label: str | None = None) -> ImportedBlocks:
    """Return the blocks of `operation` in the file at `path`. Problems are in the result; never raises."""
    document = read_document(path, label)
    if document.errors:
        return ImportedBlocks(document)
    output_spec = DESCRIBE_OUTPUTS.get(operation, DescribeOutput("", ()))
    items, problems, warnings = _unwrap(document, operation, output_spec)
    blocks = []
    for steps, item in items:
        if str(_field(item, "name")) in output_spec.predefined:
            continue
        block = _extract_create_input(operation, output_spec, item, steps, warnings)
        blocks.append(replace(document, value=block, root=_find_node(document.root, steps), errors=[]))
    return ImportedBlocks(document, tuple(blocks), tuple(problems), tuple(warnings))


def overlay(block: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return `block` updated with the keys of `override`, ignoring case; nested mappings are updated recursively.

    A list is replaced as a whole, because its items cannot be matched.
    """
    result = dict(block)
    keys = {key.lower(): key for key in result}
    for key, value in override.items():
        original = result.pop(keys.get(key.lower(), key), None)
        if isinstance(original, Mapping) and isinstance(value, Mapping):
            result[key] = overlay(original, value)
        else:
            result[key] = value
    return result


def filter_by_service(service: str, blocks: tuple[Document, ...]) -> tuple[Document, ...]:
    """Return the blocks of one service: those whose `ResourceId` (`service/CLUSTER/NAME`) names it or is missing."""
    selected = []
    for document in blocks:
        resource = _field(document.value, "ResourceId")
        if resource is None or str(resource).rsplit("/", 1)[-1] == service:
            selected.append(document)
    return tuple(selected)


# --- unwrapping ----------------------------------------------------------------------------------------


def _unwrap(
    document: Document, operation: str, output_spec: DescribeOutput
) -> tuple[list[tuple[FieldPath, Mapping[str, Any]]], list[Problem], list[Problem]]:
    """Return the items of a file with their paths, and problems and warnings about the file as a whole."""
    value = document.value
    if isinstance(value, list):
        return *_split_items(value, ()), []
    if not isinstance(value, Mapping):
        name = operation.split(".")[1]
        return (
            [],
            [
                Problem(
                    (),
                    "holds neither fields nor a list",
                    f"output of the aws command, or the input of {name}",
                )
            ],
            [],
        )
    warnings = [
        Problem((key,), f"not described: {_describe_failure(failure)}")
        for key in value
        if key.lower() == "failures" and isinstance(value[key], list)
        for failure in value[key]
    ]
    for key, content in value.items():
        if key.lower() not in {wrapper.lower() for wrapper in output_spec.wrappers}:
            continue
        if isinstance(content, list):
            if not content:
                return [], [Problem((key,), "empty", "describe output with at least one item")], warnings
            return *_split_items(content, (key,)), warnings
        if isinstance(content, Mapping):
            return [((key,), content)], [], warnings
    foreign_key = _find_other_operation(value, output_spec)
    if foreign_key is not None:
        expected = output_spec.wrappers[0] if output_spec.wrappers else operation.split(".")[1]
        return (
            [],
            [Problem((foreign_key,), f"describe output of {foreign_key}", f"describe output of {expected}")],
            warnings,
        )
    return [((), value)], [], warnings


def _split_items(
    values: list[Any], steps: FieldPath
) -> tuple[list[tuple[FieldPath, Mapping[str, Any]]], list[Problem]]:
    items = [((*steps, index), item) for index, item in enumerate(values) if isinstance(item, Mapping)]
    problems = [
        Problem((*steps, index), "is not a mapping", "the fields of a block")
        for index, item in enumerate(values)
        if not isinstance(item, Mapping)
    ]
    return items, problems


def _find_other_operation(value: Mapping[str, Any], output_spec: DescribeOutput) -> str | None:
    """Return the key of another operation's describe output, if the file holds only that; else None."""
    wrappers = {
        name.lower()
        for other in DESCRIBE_OUTPUTS.values()
        if other is not output_spec
        for name in other.wrappers
    }
    keys = [key for key in value if key.lower() not in _METADATA_KEYS]
    only = keys[0] if len(keys) == 1 else None
    return (
        only if only is not None and only.lower() in wrappers and not isinstance(value[only], str) else None
    )


def _describe_failure(failure: Any) -> str:
    if not isinstance(failure, Mapping):
        return str(failure)
    return f"{_field(failure, 'arn') or '?'} is {_field(failure, 'reason') or 'missing'}"


def _field(block: Any, name: str) -> Any:
    if not isinstance(block, Mapping):
        return None
    return next((value for key, value in block.items() if key.lower() == name.lower()), None)


def _find_node(node: Node | None, steps: FieldPath) -> Node | None:
    """Return the node of the value at `steps`."""
    for step in steps:
        if node is not None and node.is_mapping:
            node = next((value for key, value in node.value if key.value == step), None)
        elif node is not None and node.is_list and isinstance(step, int):
            node = node.value[step]
    return node


# --- fields ----------------------------------------------------------------------------------------------


def _extract_create_input(
    operation: str,
    output_spec: DescribeOutput,
    item: Mapping[str, Any],
    steps: FieldPath,
    warnings: list[Problem],
) -> dict[str, Any]:
    """Return the fields of `item` that the create call accepts."""
    service, name = operation.split(".")
    input_shape = service_model(service).operation_model(name).input_shape
    output_shape = _described_shape(service, output_spec)
    renamed = {old.lower(): new for old, new in output_spec.renamed}
    kept = {field.lower() for field in output_spec.extra_fields}
    result: dict[str, Any] = {}
    remaining: dict[str, Any] = {}
    for key, value in item.items():
        if key.lower() in renamed:
            result[renamed[key.lower()]] = value
        elif key.lower() in kept:
            result[key] = value
        else:
            remaining[key] = value
            feature = next(
                (
                    feature_name
                    for field, feature_name in _UNSUPPORTED_FIELDS.items()
                    if field.lower() == key.lower()
                ),
                None,
            )
            if feature is not None:
                warnings.append(Problem((*steps, key), NOT_SIMULATED_PREFIX + feature))
    result.update(_keep_known_fields(remaining, input_shape, output_shape, steps, warnings))
    return result


@cache
def _described_shape(service: str, output_spec: DescribeOutput) -> Any:
    """Return the shape of one item in the describe call's output; None without such a call."""
    if not output_spec.describe:
        return None
    output = service_model(service).operation_model(output_spec.describe).output_shape
    shape = output.members[output_spec.wrappers[0]]
    return shape.member if shape.type_name == "list" else shape


def _keep_known_fields(
    value: Any, input_shape: Any, output_shape: Any, steps: FieldPath, warnings: list[Problem]
) -> Any:
    """Return `value` without the fields that only describe output has, and warn about fields that neither has."""
    if isinstance(value, list) and input_shape.type_name == "list":
        item = output_shape.member if output_shape is not None and output_shape.type_name == "list" else None
        return [
            _keep_known_fields(element, input_shape.member, item, (*steps, index), warnings)
            for index, element in enumerate(value)
        ]
    if not isinstance(value, Mapping) or input_shape.type_name != "structure":
        return value
    inputs = {name.lower(): shape for name, shape in input_shape.members.items()}
    outputs = {}
    if output_shape is not None and output_shape.type_name == "structure":
        outputs = {name.lower(): shape for name, shape in output_shape.members.items()}
    result = {}
    for key, inside in value.items():
        folded = key.lower()
        if folded in inputs:
            result[key] = _keep_known_fields(
                inside, inputs[folded], outputs.get(folded), (*steps, key), warnings
            )
        elif folded not in outputs:
            warnings.append(
                Problem((*steps, key), "unknown field, ignored", suggest_name(key, [*input_shape.members]))
            )
    return result
