"""The measures of a sweep in words: which of them matter, what they are called, how a figure is written.

Decides labels, units and digits. Must not know statistics. The closing table, the progress bar and the page
use it, so that a figure looks the same wherever it stands.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from clustersim import stats

_CHOSEN = (
    "cost_usd",
    "services.*.availability",
    "services.*.response_time_p99_s",
    "run_tasks.*.wait_mean_s",
    "run_tasks.*.makespan_s",
    "services.*.availability_healthy",
)
"""What people ask first, in that order."""

_WORDS = {
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
NOTHING = 1e-9  # a difference that only the order of additions has made
MAX_VALUE = 24  # characters of a varied value


def main_measures(names: Iterable[str]) -> list[str]:
    """The measures that are shown unless others are asked for; `names` are all there are."""
    names = list(names)
    found = []
    for pattern in _CHOSEN:
        head, star, tail = pattern.partition("*")
        found += [n for n in names if n == pattern or (star and n.startswith(head) and n.endswith(tail))]
    return found


def is_share(measure: str) -> bool:
    """Whether a measure is a share of time, from 0 to 1."""
    return measure.rpartition(".")[2] in _SHARES


def label(measure: str) -> str:
    """A measure in few words: `web p99` for `services.web.response_time_p99_s`."""
    head, _, last = measure.rpartition(".")
    owner = head.partition(".")[2]
    word = _WORDS.get(last, last.replace("_", " "))
    return f"{owner} {word}" if owner else word


def short_paths(paths: Sequence[str]) -> list[str]:
    """Paths by as few of their last fields as tell them apart."""
    parts = [path.split(".") for path in paths]
    for length in range(1, max(map(len, parts), default=1) + 1):
        short = [".".join(part[-length:]) for part in parts]
        if len(set(short)) == len(short):
            return short
    return list(paths)


def value_told(value: Any) -> str:
    """A varied value as a cell: a list of plain words without its brackets."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        text = " ".join(value)
    elif isinstance(value, str):
        text = value
    else:
        text = f"{value:g}" if isinstance(value, float) else json.dumps(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def told(measure: str, interval: stats.Interval | None, *, signed: bool = False) -> str:
    """`$332.41 ±0.42`: a mean and half the width of its interval, in the unit of the measure."""
    if interval is None:
        return "-"
    if signed and abs(interval.mean) < NOTHING and not interval.half_width > NOTHING:
        return "same"
    if is_share(measure):
        return _with_half(interval, 100.0, 3, "%", signed=signed, down=not signed)
    last = measure.rpartition(".")[2]
    if "usd" in measure:
        digits = 2 if max(abs(interval.mean), interval.half_width) >= 0.1 or interval.mean == 0 else 4
        return _with_half(interval, 1.0, digits, "", "$", signed=signed)
    if last.endswith("_s"):
        scale, unit = _time_unit(max(abs(interval.mean), 0.0))
        return _with_half(interval, scale, 2 if unit != "ms" else 0, unit, signed=signed)
    digits = 0 if interval.mean == int(interval.mean) or abs(interval.mean) >= 1_000 else 2
    return _with_half(interval, 1.0, digits, "", signed=signed)


def figure(measure: str, value: float) -> str:
    """A single number as `told` writes a mean."""
    return told(measure, stats.Interval(value, math.nan, math.nan, 1, 0.95, "t"))


def _with_half(
    interval: stats.Interval,
    scale: float,
    digits: int,
    after: str,
    before: str = "",
    *,
    signed: bool,
    down: bool = False,
) -> str:
    mean = interval.mean * scale
    if down:  # 100 % means always, not nearly always
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
