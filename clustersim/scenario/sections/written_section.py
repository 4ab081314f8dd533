"""Validation of the written file: the base of its models, and the wording of their errors.

Decides that keys of our own are camelCase and that unknown keys are errors, and turns pydantic's errors into problems
with a location and a suggestion. Must not know any key. The reader and `resolve` call `validate_section`.
"""

from __future__ import annotations

import types
import typing
from itertools import pairwise
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from clustersim.scenario.text.diagnostics import Diagnostics
from clustersim.scenario.text.document import FieldPath
from clustersim.scenario.text.overrides import suggest_name
from clustersim.scenario.text.units import quote_value

FreeMapping = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": True})]


class WrittenSection(BaseModel):
    """Base of the models of the written file: camelCase keys, no unknown ones, no silent conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, arbitrary_types_allowed=True
    )


Model = TypeVar("Model", bound=WrittenSection)


def validate_section(
    model: type[Model], data: Any, path: FieldPath, diagnostics: Diagnostics
) -> Model | None:
    """Return `data` as a `model`, and report all its problems under `path`.

    Faulty values are left out, at most a whole key, so that later checks can find further problems. Return None if
    no valid model is left.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faulty: list[FieldPath] = []
        for detail in error.errors(include_url=False):
            steps = _data_path(detail["loc"], data)
            what, right = _describe_error(detail, model)
            diagnostics.add_problem(path + steps, what, right)
            faulty.append(steps)
    if not isinstance(data, dict) or () in faulty:
        return None
    for depth in (None, 2, 1):
        try:
            return model.model_validate(_drop_faulty(data, [steps[:depth] for steps in faulty]))
        except ValidationError:
            continue
    return None


def _drop_faulty(data: dict[str, Any], faulty: list[FieldPath]) -> dict[str, Any]:
    """Return `data` without the faulty values; a list with a faulty item, known only by position, is left out."""
    result = dict(data)
    for steps in faulty:
        node = result
        for step, below in pairwise(steps):
            inner = node.get(str(step))
            if not isinstance(inner, dict) or below not in inner:
                break
            node[str(step)] = node = dict(inner)
        else:
            step = steps[-1]
        node.pop(str(step), None)
    return result


def _data_path(location: tuple[int | str, ...], data: Any) -> FieldPath:
    """Return pydantic's location without the steps that are not keys of the data (tags of unions)."""
    steps: list[int | str] = []
    for number, step in enumerate(location):
        if isinstance(data, dict) and step in data:
            data = data[str(step)]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        elif number < len(location) - 1 or not isinstance(data, dict) or isinstance(step, int):
            continue
        steps.append(step)
    return tuple(steps)


def _describe_error(detail: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    """Return the message and the hint for one of pydantic's errors."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "quantity":
        return context["message"], context["hint"]
    if kind == "missing":
        return "is missing", f"add {detail['loc'][-1]}"
    if kind == "extra_forbidden":
        owner = _model_at(model, detail["loc"][:-1])
        known = [field.alias or name for name, field in owner.model_fields.items()] if owner else []
        return "unknown field", suggest_name(str(detail["loc"][-1]), known)
    if kind == "literal_error":
        known = [part.strip(" '") for part in context["expected"].replace(" or ", ",").split(",")]
        return f"{quote_value(value)} is not one of its values", suggest_name(str(value), known)
    nouns = {
        "string_type": ("text", "put it in quotes"),
        "list_type": ("a list", "write [...] or one item per line with a dash"),
        "dict_type": ("a mapping", "write key: value"),
        "model_type": ("a mapping", "write key: value"),
        "model_attributes_type": ("a mapping", "write key: value"),
        "bool_type": ("true or false", "write true or false, without quotes"),
    }
    if kind in nouns:
        noun, right = nouns[kind]
        return f"{quote_value(value)} is not {noun}", right
    return f"{quote_value(value)}: {detail['msg']}", ""


def _model_at(model: type[BaseModel] | None, location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """Return the model at `location`, found by walking the annotations."""
    for step in location:
        if model is None or isinstance(step, int):
            continue
        field = next((f for name, f in model.model_fields.items() if step in (f.alias, name)), None)
        if field is not None:
            model = _model_in(field.annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the first model inside an annotation such as `list[Model] | None`."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    for part in typing.get_args(annotation):
        if (found := _model_in(part)) is not None:
            return found
    return None
