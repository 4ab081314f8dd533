"""The section `sweep`: which values are varied, by which design, how often each point is repeated.

Decides the shape of the block and of the values of a varied path, on the command line too. Must not know how
points are laid out; `study.sweep.experimental_designs` does. A run ignores the block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from clustersim.scenario.sections.written_section import WrittenSection
from clustersim.scenario.text.units import (
    AtLeastOne,
    parse_at_least_one,
    parse_number,
    quote_value,
    value_error,
)

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


def parse_varied(value: Any) -> Varied:
    """Return the values of a path: from a list of values, or from `{from: 70, to: 100, integer: true}`."""
    if isinstance(value, Choices | Range):
        return value
    if isinstance(value, list | tuple):
        if not value:
            raise value_error("the list is empty", "list at least one value")
        for index, each in enumerate(value):
            if each in value[:index] and type(each) is type(value[value.index(each)]):
                raise value_error(f"{quote_value(each)} is listed twice", "list each value once")
        return Choices(tuple(value))
    if not isinstance(value, dict) or not {"from", "to"} <= value.keys():
        raise value_error(
            f"{quote_value(value)} is neither a list of values nor a range",
            "write [4, 8] or {from: 4, to: 8}",
        )
    if unknown := sorted(value.keys() - {"from", "to", "integer"}):
        raise value_error(f"a range has no {unknown[0]}", "one of: from, integer, to")
    low, high = (
        parse_number(value[end], "a number", "a range is of plain numbers") for end in ("from", "to")
    )
    integer = value.get("integer", False)
    if not isinstance(integer, bool):
        raise value_error(f"integer: {quote_value(integer)} is not true or false", "write true or false")
    if not low < high:
        raise value_error(f"from {low:g} is not below to {high:g}", "the lower end first")
    if integer and not (low.is_integer() and high.is_integer()):
        raise value_error(f"from {low:g} to {high:g} are not whole numbers", "or leave out integer")
    return Range(low, high, integer)


def _parse_points(value: Any) -> int | str:
    if isinstance(value, str):
        if not value.strip():
            raise value_error("is empty", "a number of points, or a CSV file of them")
        return value
    return parse_at_least_one(value)


_RANGE_SCHEMA = {
    "type": "object",
    "properties": {"from": {"type": "number"}, "to": {"type": "number"}, "integer": {"type": "boolean"}},
    "required": ["from", "to"],
    "additionalProperties": False,
}
WrittenVaried = Annotated[
    Varied,
    BeforeValidator(parse_varied),
    WithJsonSchema({"anyOf": [{"type": "array", "minItems": 1}, _RANGE_SCHEMA]}),
]
WrittenPoints = Annotated[
    int | str,
    BeforeValidator(_parse_points),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}],
            "description": "how many points a Latin hypercube or Sobol design has, or a CSV file of points",
        }
    ),
]


class WrittenSweep(WrittenSection):
    """`sweep`: read by the sweep command, ignored by a run."""

    design: DesignKind | None = None
    points: WrittenPoints | None = None
    vary: dict[str, WrittenVaried] = Field(default_factory=dict)
    replications: AtLeastOne = 1
    sensitivity: bool = False
