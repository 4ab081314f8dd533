"""Sequential stopping: the number of replications until the confidence intervals are narrow enough.

Decides when an interval is narrow enough and how the number of replications grows. Must not know how runs are
executed. The sweep calls it after each round, so the result depends on whole rounds only, not on their timing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clustersim import stats
from clustersim.study.execution.worker import RunRow, RunSpec

MIN_REPLICATIONS = 5  # per point, before its interval is used
MAX_REPLICATIONS = 1_000  # per point: a measure that needs more is not suitable

_TARGET = re.compile(r"(?P<measure>\S+?)\s*=\s*(?P<width>[0-9.]+(?:e-?\d+)?)\s*(?P<percent>%?)")


@dataclass(frozen=True)
class PrecisionTarget:
    """The widest 95 % interval of a measure's mean, from end to end; `relative`: as a share of the mean."""

    measure: str
    width: float
    relative: bool

    def __str__(self) -> str:
        return f"{100 * self.width:g}%" if self.relative else f"{self.width:g}"


def parse_precision_target(text: str) -> PrecisionTarget:
    """Parse `cost_usd=2%` (of the mean) or `cost_usd=5` (USD). Raises ValueError with a message for the user."""
    match = _TARGET.fullmatch(text.strip())
    try:
        width = float(match["width"]) if match else 0.0
    except ValueError:
        width = 0.0
    if match is None or width <= 0:
        raise ValueError(f"{text!r} is not a measure with a width; write it like cost_usd=2% or cost_usd=5")
    return PrecisionTarget(
        match["measure"], width / 100 if match["percent"] else width, bool(match["percent"])
    )


def plan_next_round(rows: Sequence[RunRow], targets: Sequence[PrecisionTarget]) -> list[RunSpec]:
    """Return the runs of the next round, by point and replication; empty if all intervals are narrow enough."""
    by_point: dict[int, list[RunRow]] = {}
    for row in rows:
        by_point.setdefault(row.spec.point, []).append(row)
    specs = []
    for point, point_rows in sorted(by_point.items()):
        present = 1 + max(row.spec.replication for row in point_rows)
        needed = max(_replications_needed(point_rows, target, present) for target in targets)
        specs += [
            RunSpec(point, replication) for replication in range(present, min(needed, MAX_REPLICATIONS))
        ]
    return specs


def _replications_needed(rows: Sequence[RunRow], target: PrecisionTarget, present: int) -> int:
    """Return the replications that a target needs, at most twice the present ones, as their variance is uncertain."""
    values = present_values(rows, target.measure)
    if len(values) < 2:
        return present  # the measure is null here, or the runs fail: more of them would not help
    try:
        needed = stats.replications_for(values, target.width, relative=target.relative)
    except ValueError:  # a share of a mean of 0
        return present
    return present if needed <= len(values) else min(max(needed, present + 1), 2 * present)


def present_values(rows: Sequence[RunRow], measure: str) -> list[float]:
    """Return the values of a measure, of the runs that have it."""
    values = [row.value(measure) for row in rows]
    return [value for value in values if not np.isnan(value)]
