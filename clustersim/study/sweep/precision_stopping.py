"""Until intervals are narrow: how many more replications a point needs.

Decides when an interval is narrow enough and how the number of replications grows. Must not know how runs are
done. The sweep asks after each round, so the answer depends on whole rounds, never on who was quicker.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clustersim import stats
from clustersim.study.execution.worker import Row, Task

LEAST = 5  # replications before an interval is believed
MOST = 1_000  # per point: what is not narrow then asks for another measure

_WRITTEN = re.compile(r"(?P<measure>\S+?)\s*=\s*(?P<width>[0-9.]+(?:e-?\d+)?)\s*(?P<percent>%?)")


@dataclass(frozen=True)
class Width:
    """How wide, from end to end, the 95 % interval of a measure's mean may be; a share of it if `relative`."""

    measure: str
    width: float
    relative: bool

    def __str__(self) -> str:
        return f"{100 * self.width:g}%" if self.relative else f"{self.width:g}"


def read_width(text: str) -> Width:
    """`cost_usd=2%` (of the mean) or `cost_usd=5` (USD). Raises ValueError in the words for the user."""
    match = _WRITTEN.fullmatch(text.strip())
    try:
        width = float(match["width"]) if match else 0.0
    except ValueError:
        width = 0.0
    if match is None or width <= 0:
        raise ValueError(f"{text!r} is no measure with a width; write it like cost_usd=2% or cost_usd=5")
    return Width(match["measure"], width / 100 if match["percent"] else width, bool(match["percent"]))


def more_tasks(rows: Sequence[Row], widths: Sequence[Width]) -> list[Task]:
    """The runs of the next round, by point and replication; none when all intervals are narrow."""
    by_point: dict[int, list[Row]] = {}
    for row in rows:
        by_point.setdefault(row.task.point, []).append(row)
    tasks = []
    for point, found in sorted(by_point.items()):
        have = 1 + max(row.task.replication for row in found)
        wanted = max(_wanted(found, width, have) for width in widths)
        tasks += [Task(point, replication) for replication in range(have, min(wanted, MOST))]
    return tasks


def _wanted(rows: Sequence[Row], width: Width, have: int) -> int:
    """How many replications this width needs; at most twice as many as there are, as the spread is a guess."""
    values = values_of(rows, width.measure)
    if len(values) < 2:
        return have  # a measure that is null here, or runs that fail: more of them would tell no more
    try:
        needed = stats.replications_for(values, width.width, relative=width.relative)
    except ValueError:  # a share of a mean of 0
        return have
    return have if needed <= len(values) else min(max(needed, have + 1), 2 * have)


def values_of(rows: Sequence[Row], measure: str) -> list[float]:
    """The numbers of a measure, of the runs that have it."""
    values = [row.value(measure) for row in rows]
    return [value for value in values if not np.isnan(value)]


def still_wide(rows: Sequence[Row], widths: Sequence[Width]) -> dict[Width, list[int]]:
    """The points whose interval is wider than asked for, of those at the greatest number of replications."""
    by_point: dict[int, list[Row]] = {}
    for row in rows:
        by_point.setdefault(row.task.point, []).append(row)
    found: dict[Width, list[int]] = {}
    for width in widths:
        for point, of in by_point.items():
            if len(of) >= MOST and _wanted(of, width, len(of)) > len(of):
                found.setdefault(width, []).append(point)
    return found
