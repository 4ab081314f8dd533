"""Validates one AWS block of a scenario against the AWS API's own model.

Decides whether a block is valid input of an operation: every field known, of the right type, among its allowed
values, within its range, and none missing. Field names may be written in any case; the result has the API's own.
All problems of a block are reported together, each at the path the user wrote. It must not know files,
positions, names of other blocks, or how a field is simulated. `checked_block` calls `validate_block`.

botocore supplies the models (no network, no credentials). Its `ParamValidator` is not used: the traversal that
folds cases and checks enums visits every value anyway.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from clustersim.scenario.aws import api_rules as rules
from clustersim.scenario.aws.cross_field_rules import CROSS_FIELD_RULES
from clustersim.scenario.aws.scalars import (
    SCALAR_CONVERTERS,
    ScalarTypeError,
    describe_value,
    format_field_names,
    format_range,
    is_multiple,
    to_camel_case,
)
from clustersim.scenario.text.document import FieldPath, Problem
from clustersim.scenario.text.overrides import suggest_name

__all__ = [
    "NOT_SIMULATED_PREFIX",
    "ValidationResult",
    "name_from_arn",
    "service_model",
    "validate_block",
    "written_path",
]

_NO_KEYS: Mapping[str, Any] = {}

NOT_SIMULATED_PREFIX = "not simulated yet: "


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """A block in the API's own case (our keys in ours), with problems and warnings; valid without problems.

    The message of a warning is `NOT_SIMULATED_PREFIX` followed by the name of a feature that the block requests.
    """

    value: dict[str, Any]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def validate_block(operation: str, block: Any, own_keys: Mapping[str, Any] = _NO_KEYS) -> ValidationResult:
    """Validate `block` as the input of `operation`, such as `ecs.CreateService`.

    `own_keys` names the keys that are ours: a key with None is copied unchecked, a key with a mapping is an AWS field
    (a block or a list of blocks) with own keys inside. A null field counts as missing.
    """
    validator = _Validator(operation)
    value = validator.visit(_operation_input(operation), block, (), own_keys)
    if not isinstance(value, dict):
        return ValidationResult({}, tuple(validator.problems))
    reported = {problem.path for problem in validator.problems}
    for refusal in CROSS_FIELD_RULES.get(operation, ()):
        for problem in refusal(value):
            path = written_path(block, problem.path)
            if path not in reported:
                validator.problems.append(Problem(path, problem.message, problem.hint))
    return ValidationResult(value, tuple(validator.problems), tuple(validator.warnings))


def written_path(block: Any, path: FieldPath) -> FieldPath:
    """Return an API `path` with the field names as the user wrote them; missing fields are in camelCase."""
    written: list[str | int] = []
    for step in path:
        name = step
        if isinstance(step, str):
            name = to_camel_case(step)
            if isinstance(block, Mapping):
                folded = step.lower()
                name = next((key for key in block if str(key).lower() == folded), name)
                block = block.get(name)
        elif isinstance(block, list) and step < len(block):
            block = block[step]
        written.append(name)
    return tuple(written)


def name_from_arn(reference: str) -> str:
    """Return the resource name in an ARN; any other text is a name already.

    It is the last part, except that a target group's ARN ends with an id that AWS assigned (ELB API).
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
    """Return botocore's model of a service; read once per process, on first use.

    Only botocore's own files are read, never models in the user's home, so that a scenario is validated the same
    way everywhere.
    """
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    # Loaded by path, because `load_service_model` first scans the folders of all 400 services.
    version = loader.determine_latest_version(service, "service-2")
    description = loader.load_data(f"{service}/{version}/service-2")
    return ServiceModel(description, service)


@cache
def _operation_input(operation: str) -> _InputShape:
    service, name = operation.split(".")
    return _InputShape(operation, service_model(service).operation_model(name).input_shape, "")


class _InputShape:
    """One field in an operation's input: its botocore shape and all rules about it; children are created lazily."""

    def __init__(self, operation: str, shape: Any, path: str) -> None:
        self.operation, self.shape, self.path = operation, shape, path
        self.kind: str = shape.type_name
        values = rules.VALUES.get(operation, {}).get(path)
        self.values: tuple[str, ...] = values or tuple(getattr(shape, "enum", ()))
        self.value_text: str = rules.VALUE_HINTS.get(operation, {}).get(path, "")
        modelled = (shape.metadata.get("min"), shape.metadata.get("max"))
        self.low, self.high = rules.RANGES.get(operation, {}).get(path, modelled)
        self.bounded = self.low is not None or self.high is not None
        self.multiple = rules.MULTIPLES.get(operation, {}).get(path)
        self.feature = rules.NOT_SIMULATED.get(operation, {}).get(path)

    def _child(self, shape: Any, path: str) -> _InputShape:
        return _InputShape(self.operation, shape, path)

    @cached_property
    def members(self) -> dict[str, tuple[str, _InputShape]]:
        """The fields of a structure by lower-case name: the API's own name, and the field."""
        dot = f"{self.path}." if self.path else ""
        return {
            name.lower(): (name, self._child(shape, f"{dot}{name}"))
            for name, shape in self.shape.members.items()
        }

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The required fields of a structure, in the model's order."""
        dot = f"{self.path}." if self.path else ""
        free = rules.OPTIONAL_FIELDS.get(self.operation, frozenset())
        return tuple(name for name in self.shape.required_members if f"{dot}{name}" not in free)

    @cached_property
    def element(self) -> _InputShape:
        """The rules for every item of a list, or every value of a map."""
        shape = self.shape.member if self.kind == "list" else self.shape.value
        return self._child(shape, f"{self.path}[]")


_UNITS = {"string": " characters", "list": " items"}

# --- the traversal ---------------------------------------------------------------------------------------


class _Validator:
    """One pass over a block: collects problems and warnings, and returns the block in the API's case."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def visit(self, field: _InputShape, value: Any, path: FieldPath, own_keys: Mapping[str, Any]) -> Any:
        """Return the value with field names in the API's case; a wrong value is returned unchanged, with a problem."""
        feature = field.feature
        if feature is not None and _requests_feature(feature, value):
            self.warnings.append(Problem(path, NOT_SIMULATED_PREFIX + feature.name))
        kind = field.kind
        if kind == "structure":
            return self._structure(field, value, path, own_keys)
        if kind == "list":
            return self._list(field, value, path, own_keys)
        if kind == "map":
            return self._map(field, value, path)
        scalar = SCALAR_CONVERTERS.get(kind)
        if scalar is None:  # blobs and documents are not checked
            return value
        try:
            value = scalar(value)
        except ScalarTypeError as error:
            self._problem(path, *error.args)
            return value
        self._limits(field, value, path)
        return value

    def _problem(self, path: FieldPath, message: str, hint: str) -> None:
        self.problems.append(Problem(path, message, hint))

    def _structure(self, field: _InputShape, value: Any, path: FieldPath, own_keys: Mapping[str, Any]) -> Any:
        if not isinstance(value, Mapping):
            hint = f"fields such as {format_field_names(field.shape.members)}"
            self._problem(path, f"{describe_value(value)}, not fields", hint)
            return value
        members = field.members
        own_by_folded = {key.lower(): key for key in own_keys} if own_keys else _NO_KEYS
        result: dict[str, Any] = {}
        for key, item in value.items():
            folded = str(key).lower()
            our_key, member = own_by_folded.get(folded), members.get(folded)
            inside = own_keys[our_key] if our_key is not None else _NO_KEYS
            if our_key is not None and (inside is None or member is None):
                name = our_key
            elif member is not None:
                name = member[0]
            else:
                self._unknown(field, key, path, own_keys)
                continue
            if item is None:
                continue
            if name in result:
                self._problem((*path, key), "given twice, in different cases", f"{to_camel_case(name)} once")
            elif member is None or inside is None:
                result[name] = item
            else:
                result[name] = self.visit(member[1], item, (*path, key), inside)
        for name in field.required:
            if name not in result:
                self._problem(
                    (*path, to_camel_case(name)), "missing", f"{self.operation.split('.')[1]} needs it"
                )
        return result

    def _unknown(self, field: _InputShape, key: Any, path: FieldPath, own_keys: Mapping[str, Any]) -> None:
        known = [to_camel_case(name) for name in field.shape.members]
        self._problem((*path, key), "unknown field", suggest_name(str(key), known + list(own_keys)))

    def _list(self, field: _InputShape, value: Any, path: FieldPath, own_keys: Mapping[str, Any]) -> Any:
        if not isinstance(value, (list, tuple)):
            message, hint = f"{describe_value(value)}, not a list", "a list"
            if isinstance(value, (str, int)):
                hint = f"a list: [{value}]"
            self._problem(path, message, hint)
            return value
        element = field.element
        result = []
        for index, item in enumerate(value):
            if item is None:
                self._problem((*path, index), "an empty item", "a value, or no item")
            result.append(item if item is None else self.visit(element, item, (*path, index), own_keys))
        self._limits(field, result, path)
        return result

    def _map(self, field: _InputShape, value: Any, path: FieldPath) -> Any:
        if not isinstance(value, Mapping):
            self._problem(path, f"{describe_value(value)}, not keys with values", "keys with values")
            return value
        element = field.element
        return {
            str(key): self.visit(element, item, (*path, key), _NO_KEYS)
            for key, item in value.items()
            if item is not None
        }

    def _limits(self, field: _InputShape, value: Any, path: FieldPath) -> None:
        if field.values and value not in field.values:
            hint = field.value_text or suggest_name(str(value), field.values)
            self._problem(path, f"{describe_value(value)} is not one of its values", hint)
        elif field.bounded:
            size, unit = (len(value), _UNITS[field.kind]) if field.kind in _UNITS else (value, "")
            if (field.low is not None and size < field.low) or (field.high is not None and size > field.high):
                self._problem(
                    path, f"{size}{unit} is out of range", format_range(field.low, field.high) + unit
                )
        if field.multiple is not None and not is_multiple(value, field.multiple):
            self._problem(path, f"{value:g} has too many decimal places", f"a multiple of {field.multiple:g}")


def _requests_feature(feature: rules.Feature, value: Any) -> bool:
    if feature.trigger_values is None:
        return bool(value)
    return isinstance(value, (str, bool, int)) and value in feature.trigger_values
