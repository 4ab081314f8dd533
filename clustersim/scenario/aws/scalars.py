"""Scalars of AWS blocks: converts YAML and JSON scalars to the types of the API, and formats values for messages.

Decides which conversions are allowed (256 where the API expects "256": YAML reads it as a number) and which are
errors ("2" where it expects 2). It must not know fields or operations. `block_validation` calls it for every value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import partial
from typing import Any


class ScalarTypeError(Exception):
    """A scalar of the wrong type; `args` are the message and a hint."""


def _to_string(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):  # YAML reads 256 where people mean "256"
        return str(int(value))
    raise ScalarTypeError(f"{describe_value(value)}, not text", f'text in quotes: "{_format_yaml(value)}"')


def _to_integer(value: Any, bits: int = 32) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        if not -(1 << bits - 1) <= value < 1 << bits - 1:
            largest = (1 << bits - 1) - 1
            message = f"{describe_value(value)}, not a whole number of {bits} bits"
            raise ScalarTypeError(message, f"a whole number up to {largest}")
        return int(value)
    hint = "a whole number"
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value):
        hint = f"a whole number without quotes: {int(value)}"
    elif isinstance(value, float) and value.is_integer():
        hint = f"a whole number: {int(value)}"
    raise ScalarTypeError(f"{describe_value(value)}, not a whole number", hint)


def _to_double(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise ScalarTypeError(f"{describe_value(value)}, not a number", "a number without quotes")


def _to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    hint = "true or false, without quotes" if isinstance(value, str) else "true or false"
    raise ScalarTypeError(f"{describe_value(value)}, not true or false", hint)


def _to_timestamp(value: Any) -> str | float:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return value
    raise ScalarTypeError(
        f"{describe_value(value)}, not an instant", "an instant such as 2026-06-01T00:00:00Z"
    )


SCALAR_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "string": _to_string,
    "integer": _to_integer,
    "long": partial(_to_integer, bits=64),
    "double": _to_double,
    "float": _to_double,
    "boolean": _to_boolean,
    "timestamp": _to_timestamp,
}


def describe_value(value: Any) -> str:
    """Return the description of a value in an error message."""
    if isinstance(value, str):
        return f'the text "{value}"' if len(value) <= 40 else "a text"
    if isinstance(value, bool):
        return _format_yaml(value)
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, date):
        return "a date"
    if value is None:
        return "nothing"
    return "fields" if isinstance(value, Mapping) else "a list"


def _format_yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def format_field_names(names: Iterable[str], limit: int = 8) -> str:
    """Return the first `limit` field names in camelCase, separated by commas."""
    listed = [to_camel_case(name) for name in names]
    return ", ".join(listed[:limit]) + (", ..." if len(listed) > limit else "")


def format_range(low: float | None, high: float | None) -> str:
    """Return a range as text; None means unbounded."""
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def is_multiple(value: float, step: float) -> bool:
    """Return whether `value` is a multiple of `step`, up to floating-point rounding."""
    return math.isclose(value / step, round(value / step), rel_tol=0.0, abs_tol=1e-6)


def to_camel_case(field: str) -> str:
    """Return an API field name in camelCase: `MinSize` is minSize, `VPCZoneIdentifier` vpcZoneIdentifier."""
    return re.sub(r"^[A-Z]+(?=[A-Z][a-z]|$)|^[A-Z]", lambda match: match[0].lower(), field)
