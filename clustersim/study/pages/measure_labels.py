"""Labels and formats of measures: the main ones, their names, and how their figures are written.

Decides labels, units and digits. Must not know how a figure was computed. Reports, the progress bar and pages use
it, so that a figure looks the same everywhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from clustersim import stats

_MAIN_MEASURES = (
    "cost_usd",
    "services.*.availability",
    "services.*.response_time_p99_s",
    "run_tasks.*.wait_mean_s",
    "run_tasks.*.makespan_s",
    "services.*.availability_healthy",
)
"""Patterns of the measures that are shown by default, in this order."""

_LABELS = {
    "cost_usd": "cost",
    "availability": "available",
    "availability_healthy": "healthy",
    "response_time_p99_s": "p99",
    "response_time_p50_s": "p50",
    "wait_mean_s": "wait",
    "wait_p99_s": "wait p99",
    "makespan_s": "makespan",
}
_SHARES = ("availability", "availability_healthy", "jobs_completed")
ROUNDING_ERROR = 1e-9  # differences below come from the order of additions
MAX_VALUE_LENGTH = 24  # characters of a varied value


def select_main_measures(names: Iterable[str]) -> list[str]:
    """Return the measures among `names` that are shown by default."""
    names = list(names)
    measures = []
    for pattern in _MAIN_MEASURES:
        head, star, tail = pattern.partition("*")
        measures += [n for n in names if n == pattern or (star and n.startswith(head) and n.endswith(tail))]
    return measures


def is_share(measure: str) -> bool:
    """Return whether a measure is a share, from 0 to 1."""
    return measure.rpartition(".")[2] in _SHARES


def measure_label(measure: str) -> str:
    """Return the label of a measure: `web p99` for `services.web.response_time_p99_s`."""
    head, _, last = measure.rpartition(".")
    owner = head.partition(".")[2]
    word = _LABELS.get(last, last.replace("_", " "))
    return f"{owner} {word}" if owner else word


def shorten_paths(paths: Sequence[str]) -> list[str]:
    """Shorten paths to as few of their last fields as keep them distinct."""
    parts = [path.split(".") for path in paths]
    for length in range(1, max(map(len, parts), default=1) + 1):
        short = [".".join(part[-length:]) for part in parts]
        if len(set(short)) == len(short):
            return short
    return list(paths)


def format_varied_value(value: Any) -> str:
    """Format a varied value: a list of texts without brackets, other values as JSON, at most MAX_VALUE_LENGTH."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        text = " ".join(value)
    elif isinstance(value, str):
        text = value
    else:
        text = f"{value:g}" if isinstance(value, float) else json.dumps(value)
    return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 1] + "…"


def format_interval(measure: str, interval: stats.Interval | None, *, signed: bool = False) -> str:
    """Format a mean and half the width of its interval in the unit of the measure, like `$332.41 ±0.42`.

    `signed` is for differences: they have a sign, or are `same`. None gives `-`.
    """
    if interval is None:
        return "-"
    if signed and abs(interval.mean) < ROUNDING_ERROR and not interval.half_width > ROUNDING_ERROR:
        return "same"
    if is_share(measure):
        return _format_with_half_width(interval, 100.0, 3, "%", signed=signed, round_down=not signed)
    last = measure.rpartition(".")[2]
    if "usd" in measure:
        digits = 2 if max(abs(interval.mean), interval.half_width) >= 0.1 or interval.mean == 0 else 4
        return _format_with_half_width(interval, 1.0, digits, "", "$", signed=signed)
    if last.endswith("_s"):
        scale, unit = _time_unit(max(abs(interval.mean), 0.0))
        return _format_with_half_width(interval, scale, 2 if unit != "ms" else 0, unit, signed=signed)
    digits = 0 if interval.mean == int(interval.mean) or abs(interval.mean) >= 1_000 else 2
    return _format_with_half_width(interval, 1.0, digits, "", signed=signed)


def format_value(measure: str, value: float) -> str:
    """Format a single number as `format_interval` formats a mean."""
    return format_interval(measure, stats.Interval(value, math.nan, math.nan, 1, 0.95, "t"))


def _format_with_half_width(
    interval: stats.Interval,
    scale: float,
    digits: int,
    after: str,
    before: str = "",
    *,
    signed: bool,
    round_down: bool = False,
) -> str:
    mean = interval.mean * scale
    if round_down:  # rounded down, so that 100 % means always
        mean = math.floor(mean * 10**digits) / 10**digits
    sign = "-" if mean < 0 else "+" if signed and mean > 0 else ""
    text = f"{sign}{before}{abs(mean):,.{digits}f}{after}"
    if math.isnan(interval.low) or interval.n < 2:
        return text
    return f"{text} ±{interval.half_width * scale:,.{digits}f}"


def _time_unit(seconds: float) -> tuple[float, str]:
    for least, size, unit in ((7_200, 3_600, "h"), (120, 60, "min"), (1, 1, "s")):
        if seconds >= least:
            return 1 / size, unit
    return (1_000.0, "ms") if seconds else (1.0, "s")
