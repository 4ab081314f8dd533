"""The `sweep` block: which values are varied, by which design, how often each point is repeated.

Decides the shape of the block and of what stands for a varied path, on the command line too. Must not know how
points are laid out; `study.sweep.experimental_designs` does. A run ignores the block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from clustersim.scenario.sections.written_section import Written
from clustersim.scenario.text.units import AtLeastOne, at_least_one, number, shown, wrong

DesignKind = Literal["grid", "latinHypercube", "sobol", "points"]


@dataclass(frozen=True)
class Choices:
    """A path that takes each of some values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Range:
    """A path that takes any number from `low` to `high`, both included; whole ones only if `integer`."""

    low: float
    high: float
    integer: bool = False


Varied = Choices | Range


def varied(value: Any) -> Varied:
    """What a path takes: a list of values, or `{from: 70, to: 100, integer: true}`."""
    if isinstance(value, Choices | Range):
        return value
    if isinstance(value, list | tuple):
        if not value:
            raise wrong("the list is empty", "list at least one value")
        for index, each in enumerate(value):
            if each in value[:index] and type(each) is type(value[value.index(each)]):
                raise wrong(f"{shown(each)} stands there twice", "list each value once")
        return Choices(tuple(value))
    if not isinstance(value, dict) or not {"from", "to"} <= value.keys():
        raise wrong(f"{shown(value)} is neither values nor a range", "write [4, 8] or {from: 4, to: 8}")
    if unknown := sorted(value.keys() - {"from", "to", "integer"}):
        raise wrong(f"a range has no {unknown[0]}", "one of: from, integer, to")
    low, high = (number(value[end], "a number", "a range is of plain numbers") for end in ("from", "to"))
    integer = value.get("integer", False)
    if not isinstance(integer, bool):
        raise wrong(f"integer: {shown(integer)} is not true or false", "write true or false")
    if not low < high:
        raise wrong(f"from {low:g} is not below to {high:g}", "the lower end first")
    if integer and not (low.is_integer() and high.is_integer()):
        raise wrong(f"from {low:g} to {high:g} are not whole numbers", "or leave out integer")
    return Range(low, high, integer)


def _points(value: Any) -> int | str:
    if isinstance(value, str):
        if not value.strip():
            raise wrong("is empty", "a number of points, or a CSV file of them")
        return value
    return at_least_one(value)


_RANGE_SCHEMA = {
    "type": "object",
    "properties": {"from": {"type": "number"}, "to": {"type": "number"}, "integer": {"type": "boolean"}},
    "required": ["from", "to"],
    "additionalProperties": False,
}
WrittenVaried = Annotated[
    Varied,
    BeforeValidator(varied),
    WithJsonSchema({"anyOf": [{"type": "array", "minItems": 1}, _RANGE_SCHEMA]}),
]
Points = Annotated[
    int | str,
    BeforeValidator(_points),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}],
            "description": "how many points a Latin hypercube or Sobol design has, or a CSV file of points",
        }
    ),
]


class Sweep(Written):
    """`sweep`: read by the sweep command, nothing to a run."""

    design: DesignKind | None = None
    points: Points | None = None
    vary: dict[str, WrittenVaried] = Field(default_factory=dict)
    replications: AtLeastOne = 1
    sensitivity: bool = False
