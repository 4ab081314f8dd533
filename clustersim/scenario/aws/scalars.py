"""Scalars of AWS blocks: what a YAML or JSON scalar becomes where the API wants a type, and the words for it.

Decides which conversions are kind (256 where the API wants "256": YAML reads it so) and which hide a mistake
("2" where it wants 2). It must not know fields or operations. `aws.py` calls it for every value of a block.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any


class NotThatError(Exception):
    """A scalar of another type: what it is, and what would be right."""


def _string(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):  # YAML reads 256 where people mean "256"
        return str(int(value))
    raise NotThatError(f"{kind_of(value)}, not text", f'text in quotes: "{_yaml(value)}"')


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    right = "a whole number"
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value):
        right = f"a whole number without quotes: {int(value)}"
    elif isinstance(value, float) and value.is_integer():
        right = f"a whole number: {int(value)}"
    raise NotThatError(f"{kind_of(value)}, not a whole number", right)


def _double(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise NotThatError(f"{kind_of(value)}, not a number", "a number without quotes")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    right = "true or false, without quotes" if isinstance(value, str) else "true or false"
    raise NotThatError(f"{kind_of(value)}, not true or false", right)


def _timestamp(value: Any) -> str | float:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return value
    raise NotThatError(f"{kind_of(value)}, not an instant", "an instant such as 2026-06-01T00:00:00Z")


SCALARS: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "double": _double,
    "float": _double,
    "boolean": _boolean,
    "timestamp": _timestamp,
}


def kind_of(value: Any) -> str:
    """What a message calls a value."""
    if isinstance(value, str):
        return f'the text "{value}"' if len(value) <= 40 else "a text"
    if isinstance(value, bool):
        return _yaml(value)
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, date):
        return "a date"
    if value is None:
        return "nothing"
    return "fields" if isinstance(value, Mapping) else "a list"


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def some(names: Iterable[str], most: int = 8) -> str:
    """The first of some field names, as a scenario writes them."""
    listed = [camel(name) for name in names]
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")


def span(low: float | None, high: float | None) -> str:
    """A range in words; None is no bound."""
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def is_multiple(value: float, of: float) -> bool:
    """Whether `value` is a whole number of times `of`, but for the rounding of floats."""
    return math.isclose(value / of, round(value / of), rel_tol=0.0, abs_tol=1e-6)


def camel(field: str) -> str:
    """An API field as a scenario writes it: `MinSize` is minSize, `VPCZoneIdentifier` vpcZoneIdentifier."""
    return re.sub(r"^[A-Z]+(?=[A-Z][a-z]|$)|^[A-Z]", lambda match: match[0].lower(), field)
