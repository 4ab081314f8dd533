"""Checks one AWS block of a scenario against the AWS API's own model.

Decides whether a block is what an operation takes: every field known, in the API's own case afterwards, of
the right type, among its values, within its range, and none missing; all problems of a block come together,
each at the path the user wrote. Own keys are taken out before and put back after. It must not know files,
positions, names of other blocks, or what the simulator makes of a field. The reader calls `check_block`.

botocore supplies the models (no network, no credentials). Its `ParamValidator` is not used: the walk that
folds cases and checks enums visits every value anyway.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from clustersim.scenario.aws import api_rules as rules
from clustersim.scenario.aws.cross_field_rules import REFUSALS
from clustersim.scenario.aws.scalars import SCALARS, NotThatError, camel, is_multiple, kind_of, some, span
from clustersim.scenario.aws.task_definition_rules import ecs_rules
from clustersim.scenario.text.document import Problem, Steps
from clustersim.scenario.text.overrides import closest

__all__ = ["NOT_YET", "Checked", "as_written", "check_block", "ecs_rules", "name_in_arn", "service_model"]

_NO_KEYS: Mapping[str, Any] = {}

NOT_YET = "not simulated yet: "


@dataclass(frozen=True, slots=True)
class Checked:
    """A block in the API's own case (own keys in ours), and what was found; usable if there is no problem.

    The `what` of a warning is `NOT_YET` and a feature that the block asks for.
    """

    value: dict[str, Any]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def check_block(operation: str, block: Any, own: Mapping[str, Any] = _NO_KEYS) -> Checked:
    """Checks `block` as the input of `operation`, such as `ecs.CreateService`.

    `own` names the keys that are ours: a key with None is taken whole, a key with a mapping is an AWS field
    (of one block or of each in a list) with own keys inside. A null field counts as left out.
    """
    walk = _Walk(operation)
    value = walk.visit(_root(operation), block, (), own)
    if not isinstance(value, dict):
        return Checked({}, tuple(walk.problems))
    found = {problem.path for problem in walk.problems}
    for refusal in REFUSALS.get(operation, ()):
        for problem in refusal(value):
            path = as_written(block, problem.path)
            if path not in found:
                walk.problems.append(Problem(path, problem.what, problem.right))
    return Checked(value, tuple(walk.problems), tuple(walk.warnings))


def as_written(block: Any, path: Steps) -> Steps:
    """The user's own spelling of an API `path`; fields that are not there are spelled in camelCase."""
    spelled: list[str | int] = []
    for step in path:
        here = step
        if isinstance(step, str):
            here = camel(step)
            if isinstance(block, Mapping):
                folded = step.lower()
                here = next((key for key in block if str(key).lower() == folded), here)
                block = block.get(here)
        elif isinstance(block, list) and step < len(block):
            block = block[step]
        spelled.append(here)
    return tuple(spelled)


def name_in_arn(reference: str) -> str:
    """The name an ARN stands for; anything else is a name already.

    It is the last part, except that a target group's ARN ends with an id that AWS chose (ELB API).
    """
    if not reference.startswith("arn:"):
        return reference
    resource = reference.split(":", 5)[-1]
    if resource.startswith("task-definition/"):
        return resource.split("/", 1)[1]
    parts = re.split(r"[/:]", resource)
    return parts[1] if parts[0] == "targetgroup" and len(parts) > 1 else parts[-1]


# --- the models ----------------------------------------------------------------------------------------


@cache
def service_model(service: str) -> Any:
    """botocore's model of a service, with the newer fields added; read once per process, when first needed.

    Only botocore's own files are looked at, never models in the user's home: the same scenario means the
    same everywhere.
    """
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    # By its own path: `load_service_model` first looks into the folders of all 400 services.
    version = loader.determine_latest_version(service, "service-2")
    description = loader.load_data(f"{service}/{version}/service-2")
    shapes = description["shapes"]
    for name, shape in rules.NEWER_SHAPES.get(service, {}).items():
        shapes.setdefault(name, shape)
    for name, members in rules.NEWER_MEMBERS.get(service, {}).items():
        for member, shape_name in members.items():
            shapes[name]["members"].setdefault(member, {"shape": shape_name})
    return ServiceModel(description, service)


@cache
def _root(operation: str) -> _Place:
    service, name = operation.split(".")
    return _Place(operation, service_model(service).operation_model(name).input_shape, "")


class _Place:
    """One place in an operation's input: its shape and all rules about it; children are made when met."""

    def __init__(self, operation: str, shape: Any, path: str) -> None:
        self.operation, self.shape, self.path = operation, shape, path
        self.kind: str = shape.type_name
        values = rules.VALUES.get(operation, {}).get(path)
        self.values: tuple[str, ...] = values or tuple(getattr(shape, "enum", ()))
        self.value_text: str = rules.VALUE_TEXTS.get(operation, {}).get(path, "")
        modelled = (shape.metadata.get("min"), shape.metadata.get("max"))
        self.low, self.high = rules.RANGES.get(operation, {}).get(path, modelled)
        self.bounded = self.low is not None or self.high is not None
        self.multiple = rules.MULTIPLES.get(operation, {}).get(path)
        self.feature = rules.NOT_SIMULATED.get(operation, {}).get(path)

    def _child(self, shape: Any, path: str) -> _Place:
        return _Place(self.operation, shape, path)

    @cached_property
    def members(self) -> dict[str, tuple[str, _Place]]:
        """Fields by folded name: the API's own name, and the place."""
        dot = f"{self.path}." if self.path else ""
        return {
            name.lower(): (name, self._child(shape, f"{dot}{name}"))
            for name, shape in self.shape.members.items()
        }

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Fields that have to be there, in the model's order."""
        dot = f"{self.path}." if self.path else ""
        free = rules.MAY_BE_LEFT_OUT.get(self.operation, frozenset())
        return tuple(name for name in self.shape.required_members if f"{dot}{name}" not in free)

    @cached_property
    def element(self) -> _Place:
        """What every item of a list, or every value of a map, has to be."""
        shape = self.shape.member if self.kind == "list" else self.shape.value
        return self._child(shape, f"{self.path}[]")


_UNITS = {"string": " characters", "list": " items"}

# --- the walk ------------------------------------------------------------------------------------------


class _Walk:
    """One pass over a block: gathers problems and warnings, gives back the block in the API's case."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def visit(self, place: _Place, value: Any, path: Steps, own: Mapping[str, Any]) -> Any:
        """The value as the API writes it; a wrong one comes back as it is, with a problem noted."""
        feature = place.feature
        if feature is not None and _asked(feature, value):
            self.warnings.append(Problem(path, NOT_YET + feature.words))
        kind = place.kind
        if kind == "structure":
            return self._structure(place, value, path, own)
        if kind == "list":
            return self._list(place, value, path, own)
        if kind == "map":
            return self._map(place, value, path)
        scalar = SCALARS.get(kind)
        if scalar is None:  # blobs and documents: free
            return value
        try:
            value = scalar(value)
        except NotThatError as wrong:
            self._problem(path, *wrong.args)
            return value
        self._limits(place, value, path)
        return value

    def _problem(self, path: Steps, what: str, right: str) -> None:
        self.problems.append(Problem(path, what, right))

    def _structure(self, place: _Place, value: Any, path: Steps, own: Mapping[str, Any]) -> Any:
        if not isinstance(value, Mapping):
            right = f"fields such as {some(place.shape.members)}"
            self._problem(path, f"{kind_of(value)}, not fields", right)
            return value
        members = place.members
        ours = {key.lower(): key for key in own} if own else _NO_KEYS
        result: dict[str, Any] = {}
        for key, item in value.items():
            folded = str(key).lower()
            our_key, member = ours.get(folded), members.get(folded)
            inside = own[our_key] if our_key is not None else _NO_KEYS
            if our_key is not None and (inside is None or member is None):
                name = our_key
            elif member is not None:
                name = member[0]
            else:
                self._unknown(place, key, path, own)
                continue
            if item is None:
                continue
            if name in result:
                self._problem((*path, key), "given twice, in different cases", f"{camel(name)} once")
            elif member is None or inside is None:
                result[name] = item
            else:
                result[name] = self.visit(member[1], item, (*path, key), inside)
        for name in place.required:
            if name not in result:
                self._problem((*path, camel(name)), "missing", f"{self.operation.split('.')[1]} needs it")
        return result

    def _unknown(self, place: _Place, key: Any, path: Steps, own: Mapping[str, Any]) -> None:
        known = [camel(name) for name in place.shape.members]
        self._problem((*path, key), "unknown field", closest(str(key), known + list(own)))

    def _list(self, place: _Place, value: Any, path: Steps, own: Mapping[str, Any]) -> Any:
        if not isinstance(value, (list, tuple)):
            what, right = f"{kind_of(value)}, not a list", "a list"
            if isinstance(value, (str, int)):
                right = f"a list: [{value}]"
            self._problem(path, what, right)
            return value
        element = place.element
        result = []
        for index, item in enumerate(value):
            if item is None:
                self._problem((*path, index), "an empty item", "a value, or no item")
            result.append(item if item is None else self.visit(element, item, (*path, index), own))
        self._limits(place, result, path)
        return result

    def _map(self, place: _Place, value: Any, path: Steps) -> Any:
        if not isinstance(value, Mapping):
            self._problem(path, f"{kind_of(value)}, not keys with values", "keys with values")
            return value
        element = place.element
        return {
            str(key): self.visit(element, item, (*path, key), _NO_KEYS)
            for key, item in value.items()
            if item is not None
        }

    def _limits(self, place: _Place, value: Any, path: Steps) -> None:
        if place.values and value not in place.values:
            right = place.value_text or closest(str(value), place.values)
            self._problem(path, f"{kind_of(value)} is not one of its values", right)
        elif place.bounded:
            size, unit = (len(value), _UNITS[place.kind]) if place.kind in _UNITS else (value, "")
            if (place.low is not None and size < place.low) or (place.high is not None and size > place.high):
                self._problem(path, f"{size}{unit} is out of range", span(place.low, place.high) + unit)
        if place.multiple is not None and not is_multiple(value, place.multiple):
            self._problem(path, f"{value:g} is too fine", f"a multiple of {place.multiple:g}")


def _asked(feature: rules.Feature, value: Any) -> bool:
    if feature.values is None:
        return bool(value)
    return isinstance(value, (str, bool, int)) and value in feature.values
