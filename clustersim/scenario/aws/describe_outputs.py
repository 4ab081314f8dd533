"""Files of AWS blocks: what `aws ... --output json` printed, or the input of a create call.

Decides which blocks a file holds and which of their fields belong to a create call: an answer is unwrapped
(`{"services": [...]}`), fields that only answers have are dropped in silence, fields that nobody knows are
dropped with a warning. It must not know whether a block is right (`aws.check_block` says so), nor what is
laid over it. The reader calls `load_import` for every `- file:` in a list of AWS blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from clustersim.scenario.aws.block_validation import NOT_YET, service_model
from clustersim.scenario.text.document import Document, Problem, Steps, read_document
from clustersim.scenario.text.overrides import closest
from clustersim.scenario.text.yaml_nodes import Node


@dataclass(frozen=True, slots=True)
class Answer:
    """How AWS shows what an operation creates: the describe call, and the fields its items stand under.

    The first of `wrappers` is the describe call's own, the others are those of create and update answers.
    `kept` are fields that only answers have but a scenario has too; `renamed` are fields an answer names
    differently; `standing` are names of items that exist without being created.
    """

    describe: str
    wrappers: tuple[str, ...]
    kept: frozenset[str] = frozenset()
    renamed: tuple[tuple[str, str], ...] = ()
    standing: frozenset[str] = frozenset()


ANSWERS: dict[str, Answer] = {
    "ecs.CreateService": Answer("DescribeServices", ("services", "service")),
    "ecs.CreateCluster": Answer("DescribeClusters", ("clusters", "cluster")),
    "ecs.RegisterTaskDefinition": Answer(
        "DescribeTaskDefinition", ("taskDefinition",), kept=frozenset({"revision"})
    ),
    "ecs.CreateCapacityProvider": Answer(
        "DescribeCapacityProviders",
        ("capacityProviders", "capacityProvider"),
        standing=frozenset({"FARGATE", "FARGATE_SPOT"}),
    ),
    "application-autoscaling.RegisterScalableTarget": Answer("DescribeScalableTargets", ("ScalableTargets",)),
    "application-autoscaling.PutScalingPolicy": Answer("DescribeScalingPolicies", ("ScalingPolicies",)),
    "application-autoscaling.PutScheduledAction": Answer("DescribeScheduledActions", ("ScheduledActions",)),
    "autoscaling.CreateAutoScalingGroup": Answer("DescribeAutoScalingGroups", ("AutoScalingGroups",)),
    "autoscaling.PutScalingPolicy": Answer("DescribePolicies", ("ScalingPolicies",)),
    "elbv2.CreateTargetGroup": Answer(
        "DescribeTargetGroups", ("TargetGroups",), renamed=(("TargetGroupName", "Name"),)
    ),
    "cloudwatch.PutMetricAlarm": Answer("DescribeAlarms", ("MetricAlarms",)),
}

# Beside the items, an answer says what it did not find, where it goes on, and the tags of the one item.
_BESIDE = frozenset({"failures", "nexttoken", "nextmarker", "tags", "responsemetadata"})

# Fields of answers that say something a create call cannot: a warm pool is made by another operation.
_TOLD_APART = {"WarmPoolConfiguration": "warm pools"}


@dataclass(frozen=True, slots=True)
class Imported:
    """The blocks of a file, each as a document of its own, so that places in it can be found.

    A block's `value` is the create call's input; its `label` and `sha256` are the file's. Paths of problems
    and warnings count from the whole file, `document`, whose `faults` say what is wrong with it as text.
    """

    document: Document
    blocks: tuple[Document, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def load_import(path: Path, operation: str, label: str | None = None) -> Imported:
    """The blocks of `operation` in the file at `path`; what is wrong is in the result, never an exception."""
    document = read_document(path, label)
    if document.faults:
        return Imported(document)
    answer = ANSWERS.get(operation, Answer("", ()))
    found, problems, warnings = _unwrap(document, operation, answer)
    blocks = []
    for steps, item in found:
        if str(_field(item, "name")) in answer.standing:
            continue
        block = _create_input(operation, answer, item, steps, warnings)
        blocks.append(replace(document, value=block, root=_node_at(document.root, steps), faults=[]))
    return Imported(document, tuple(blocks), tuple(problems), tuple(warnings))


def lay_over(block: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`block` with the keys of `over` in place of its own, whatever their case; fields in fields likewise.

    A list is replaced as a whole: nobody could say which of its items is meant.
    """
    result = dict(block)
    spelled = {key.lower(): key for key in result}
    for key, value in over.items():
        below = result.pop(spelled.get(key.lower(), key), None)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = lay_over(below, value)
        else:
            result[key] = value
    return result


def policies_of(service: str, blocks: tuple[Document, ...]) -> tuple[Document, ...]:
    """The blocks of one service: those whose `ResourceId` (`service/CLUSTER/NAME`) names it or is absent."""
    kept = []
    for document in blocks:
        resource = _field(document.value, "ResourceId")
        if resource is None or str(resource).rsplit("/", 1)[-1] == service:
            kept.append(document)
    return tuple(kept)


# --- unwrapping ----------------------------------------------------------------------------------------


def _unwrap(
    document: Document, operation: str, answer: Answer
) -> tuple[list[tuple[Steps, Mapping[str, Any]]], list[Problem], list[Problem]]:
    """The items of a file with where they stand, and problems and warnings about the answer as a whole."""
    value = document.value
    if isinstance(value, list):
        return *_items(value, ()), []
    if not isinstance(value, Mapping):
        name = operation.split(".")[1]
        return (
            [],
            [Problem((), "holds neither fields nor a list", f"an answer of aws, or the input of {name}")],
            [],
        )
    warnings = [
        Problem((key,), f"not described: {_words(failure)}")
        for key in value
        if key.lower() == "failures" and isinstance(value[key], list)
        for failure in value[key]
    ]
    for key, inside in value.items():
        if key.lower() not in {wrapper.lower() for wrapper in answer.wrappers}:
            continue
        if isinstance(inside, list):
            if not inside:
                return [], [Problem((key,), "empty", "an answer that found something")], warnings
            return *_items(inside, (key,)), warnings
        if isinstance(inside, Mapping):
            return [((key,), inside)], [], warnings
    other = _foreign(value, answer)
    if other is not None:
        wanted = answer.wrappers[0] if answer.wrappers else operation.split(".")[1]
        return [], [Problem((other,), f"an answer about {other}", f"one about {wanted}")], warnings
    return [((), value)], [], warnings


def _items(values: list[Any], steps: Steps) -> tuple[list[tuple[Steps, Mapping[str, Any]]], list[Problem]]:
    found = [((*steps, index), item) for index, item in enumerate(values) if isinstance(item, Mapping)]
    problems = [
        Problem((*steps, index), "no fields", "the fields of a block")
        for index, item in enumerate(values)
        if not isinstance(item, Mapping)
    ]
    return found, problems


def _foreign(value: Mapping[str, Any], answer: Answer) -> str | None:
    """The key under which another operation's answer stands, if that is all there is."""
    wrappers = {name.lower() for other in ANSWERS.values() if other is not answer for name in other.wrappers}
    keys = [key for key in value if key.lower() not in _BESIDE]
    only = keys[0] if len(keys) == 1 else None
    return (
        only if only is not None and only.lower() in wrappers and not isinstance(value[only], str) else None
    )


def _words(failure: Any) -> str:
    if not isinstance(failure, Mapping):
        return str(failure)
    return f"{_field(failure, 'arn') or '?'} is {_field(failure, 'reason') or 'missing'}"


def _field(block: Any, name: str) -> Any:
    if not isinstance(block, Mapping):
        return None
    return next((value for key, value in block.items() if key.lower() == name.lower()), None)


def _node_at(node: Node | None, steps: Steps) -> Node | None:
    """The node of the value at `steps`."""
    for step in steps:
        if node is not None and node.is_mapping:
            node = next((value for key, value in node.value if key.value == step), None)
        elif node is not None and node.is_list and isinstance(step, int):
            node = node.value[step]
    return node


# --- fields ----------------------------------------------------------------------------------------------


def _create_input(
    operation: str, answer: Answer, item: Mapping[str, Any], steps: Steps, warnings: list[Problem]
) -> dict[str, Any]:
    """The fields of `item` that the create call takes."""
    service, name = operation.split(".")
    taken = service_model(service).operation_model(name).input_shape
    shown = _shown(service, answer)
    renamed = {old.lower(): new for old, new in answer.renamed}
    kept = {field.lower() for field in answer.kept}
    result: dict[str, Any] = {}
    plain: dict[str, Any] = {}
    for key, value in item.items():
        if key.lower() in renamed:
            result[renamed[key.lower()]] = value
        elif key.lower() in kept:
            result[key] = value
        else:
            plain[key] = value
            feature = next(
                (words for field, words in _TOLD_APART.items() if field.lower() == key.lower()), None
            )
            if feature is not None:
                warnings.append(Problem((*steps, key), NOT_YET + feature))
    result.update(_known(plain, taken, shown, steps, warnings))
    return result


@cache
def _shown(service: str, answer_of: Answer) -> Any:
    """The shape of one item in the describe call's answer; None where there is no such call."""
    if not answer_of.describe:
        return None
    output = service_model(service).operation_model(answer_of.describe).output_shape
    shape = output.members[answer_of.wrappers[0]]
    return shape.member if shape.type_name == "list" else shape


def _known(value: Any, taken: Any, shown: Any, steps: Steps, warnings: list[Problem]) -> Any:
    """`value` without the fields that only answers have, and without those that neither side knows."""
    if isinstance(value, list) and taken.type_name == "list":
        item = shown.member if shown is not None and shown.type_name == "list" else None
        return [
            _known(each, taken.member, item, (*steps, index), warnings) for index, each in enumerate(value)
        ]
    if not isinstance(value, Mapping) or taken.type_name != "structure":
        return value
    inputs = {name.lower(): shape for name, shape in taken.members.items()}
    outputs = {}
    if shown is not None and shown.type_name == "structure":
        outputs = {name.lower(): shape for name, shape in shown.members.items()}
    result = {}
    for key, inside in value.items():
        folded = key.lower()
        if folded in inputs:
            result[key] = _known(inside, inputs[folded], outputs.get(folded), (*steps, key), warnings)
        elif folded not in outputs:
            warnings.append(Problem((*steps, key), "unknown field, ignored", closest(key, [*taken.members])))
    return result
