"""How the written file is validated: the base of its models, and their errors in our words.

Decides that keys of our own are camelCase and none is unknown, and turns pydantic's errors into problems with
a place and a suggestion. Must not know any key. The reader and the resolving modules call `validate`.
"""

from __future__ import annotations

import types
import typing
from itertools import pairwise
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from clustersim.scenario.text.diagnostics import Findings
from clustersim.scenario.text.document import Steps
from clustersim.scenario.text.overrides import closest
from clustersim.scenario.text.units import shown

FreeMapping = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": True})]


class Written(BaseModel):
    """What the models of the written file share: camelCase keys, none unknown, nothing converted silently."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, arbitrary_types_allowed=True
    )


Model = TypeVar("Model", bound=Written)


def validate(model: type[Model], data: Any, path: Steps, findings: Findings) -> Model | None:
    """`data` as a `model`, with all its problems reported under `path`.

    What is wrong is left out, at most a whole key, so that what else is wrong can be found; None if that leaves
    no model.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faulty: list[Steps] = []
        for detail in error.errors(include_url=False):
            steps = _steps(detail["loc"], data)
            what, right = _words(detail, model)
            findings.add(path + steps, what, right)
            faulty.append(steps)
    if not isinstance(data, dict) or () in faulty:
        return None
    for depth in (None, 2, 1):
        try:
            return model.model_validate(_without(data, [steps[:depth] for steps in faulty]))
        except ValidationError:
            continue
    return None


def _without(data: dict[str, Any], faulty: list[Steps]) -> dict[str, Any]:
    """`data` without what is wrong; of a list, whose items are known by position, without the list."""
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


def _steps(location: tuple[int | str, ...], data: Any) -> Steps:
    """pydantic's location without the steps that are no key of the data (tags of unions)."""
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


def _words(detail: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    """What is wrong, and what would be right, for one of pydantic's errors."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "quantity":
        return context["what"], context["right"]
    if kind == "missing":
        return "is missing", f"add {detail['loc'][-1]}"
    if kind == "extra_forbidden":
        owner = _model_at(model, detail["loc"][:-1])
        known = [field.alias or name for name, field in owner.model_fields.items()] if owner else []
        return "unknown field", closest(str(detail["loc"][-1]), known)
    if kind == "literal_error":
        known = [part.strip(" '") for part in context["expected"].replace(" or ", ",").split(",")]
        return f"{shown(value)} is not one of its values", closest(str(value), known)
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
        return f"{shown(value)} is not {noun}", right
    return f"{shown(value)}: {detail['msg']}", ""


def _model_at(model: type[BaseModel] | None, location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The model whose field was not known, found by walking the annotations."""
    for step in location:
        if model is None or isinstance(step, int):
            continue
        field = next((f for name, f in model.model_fields.items() if step in (f.alias, name)), None)
        if field is not None:
            model = _model_in(field.annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first model inside an annotation such as `list[Model] | None`."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    for part in typing.get_args(annotation):
        if (found := _model_in(part)) is not None:
            return found
    return None
