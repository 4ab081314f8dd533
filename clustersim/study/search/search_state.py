"""The state of a search: its points, their runs and means, and which of them keep the bounds.

Decides when a point is feasible and which of two is better. Must not know how points are proposed or run. The
search adds points and rows, and queries it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from clustersim import stats
from clustersim.study.execution.worker import RunRow
from clustersim.study.search.constraints import Bound
from clustersim.study.sweep.experimental_designs import PointValues


@dataclass(frozen=True)
class SearchGoal:
    """The measure to minimise under bounds, and the budget: `trials` points of `replications` runs each.

    The best feasible points are confirmed with `confirm` further replications.
    """

    minimize: str
    bounds: tuple[Bound, ...]
    trials: int
    replications: int
    confirm: int

    @property
    def measures(self) -> tuple[str, ...]:
        """The minimised measure and the bounded ones, each once."""
        return tuple(dict.fromkeys((self.minimize, *(each.measure for each in self.bounds))))

    @property
    def search_replications(self) -> range:
        """The replications by which points are selected."""
        return range(self.replications)

    @property
    def confirm_replications(self) -> range:
        """The replications by which selected points are confirmed; the selection did not use them."""
        return range(self.replications, self.replications + self.confirm)


@dataclass(frozen=True)
class ClosestMiss:
    """The mean that came closest to a bound, or keeps it best, and its point."""

    bound: Bound
    mean: float
    point: int


@dataclass
class SearchState:
    """Points by number, in the order in which they were first proposed, and the rows of each."""

    goal: SearchGoal
    values: list[PointValues] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _rows: list[dict[int, RunRow]] = field(default_factory=list)

    def find_point(self, values: PointValues) -> int | None:
        """Return the number of a point; None if it is new."""
        return self._numbers.get(json.dumps(values))

    def add_point(self, values: PointValues, digest: str) -> int:
        """Add a new point and return its number."""
        self._numbers[json.dumps(values)] = len(self.values)
        self.values.append(values)
        self.digests.append(digest)
        self._rows.append({})
        return len(self.values) - 1

    def add_run(self, row: RunRow) -> None:
        """Add the row of a run to its point."""
        self._rows[row.spec.point][row.spec.replication] = row

    @property
    def rows(self) -> list[RunRow]:
        """The rows of all runs, by point and replication."""
        return [rows[number] for rows in self._rows for number in sorted(rows)]

    def has_runs(self, point: int) -> bool:
        """Return whether the point has runs."""
        return bool(self._rows[point])

    def _present_values(self, point: int, measure: str, replications: range) -> list[float]:
        rows = self._rows[point]
        values = [rows[number].value(measure) for number in replications if number in rows]
        return [value for value in values if not math.isnan(value)]

    def means(self, point: int, replications: range) -> dict[str, float]:
        """Return the mean of each measure; NaN if no run has it."""
        values = {
            measure: self._present_values(point, measure, replications) for measure in self.goal.measures
        }
        return {measure: float(np.mean(each)) if each else math.nan for measure, each in values.items()}

    def intervals(self, point: int, replications: range) -> dict[str, stats.Interval]:
        """Return the confidence interval of the mean of each measure that some run has."""
        values = {
            measure: self._present_values(point, measure, replications) for measure in self.goal.measures
        }
        return {measure: stats.mean_interval(each) for measure, each in values.items() if each}

    def is_feasible(self, means: Mapping[str, float]) -> bool:
        """Return whether the means keep all bounds; a missing mean keeps none."""
        within_bounds = all(each.violation(means[each.measure]) <= 0 for each in self.goal.bounds)
        return within_bounds and not math.isnan(means[self.goal.minimize])

    def feasible_points(self) -> list[int]:
        """Return the points that keep all bounds in the search replications, the best first."""
        means = {point: self.means(point, self.goal.search_replications) for point in range(len(self.values))}
        return self._best_first(
            [point for point in means if self.is_feasible(means[point])], self.goal.search_replications
        )

    def confirmed_points(self, points: Sequence[int]) -> list[int]:
        """Return those of `points` that keep all bounds in the confirmation replications too, the best first."""
        confirmed = [
            point for point in points if self.is_feasible(self.means(point, self.goal.confirm_replications))
        ]
        return self._best_first(confirmed, self.goal.confirm_replications)

    def _best_first(self, points: Sequence[int], replications: range) -> list[int]:
        return sorted(points, key=lambda point: (self.means(point, replications)[self.goal.minimize], point))

    def closest_misses(self) -> tuple[ClosestMiss, ...]:
        """Return the closest point to each bound; the bound that is missed by most comes first."""
        closest = []
        for bound in self.goal.bounds:
            means = {
                point: self.means(point, self.goal.search_replications)[bound.measure]
                for point in range(len(self.values))
            }
            present = [point for point, mean in means.items() if not math.isnan(mean)]
            if present:
                best = min(present, key=lambda point: (bound.violation(means[point]), point))
                closest.append(ClosestMiss(bound, means[best], best))
        return tuple(sorted(closest, key=lambda miss: -miss.bound.relative_violation(miss.mean)))

    def closest_point(self) -> int | None:
        """Return the point with the least sum of violations; None if no point has all measures."""
        total_violation = {}
        for point in range(len(self.values)):
            means = self.means(point, self.goal.search_replications)
            violations = [max(0.0, each.relative_violation(means[each.measure])) for each in self.goal.bounds]
            if not any(math.isnan(mean) for mean in means.values()):
                total_violation[point] = sum(violations)
        return (
            min(total_violation, key=lambda point: (total_violation[point], point))
            if total_violation
            else None
        )
