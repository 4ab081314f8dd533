"""What a search knows of its points so far: their runs, their means, and whether they keep the bounds.

Decides when a point is feasible and which is better. Must not know how points are proposed or run. The search
adds rows and asks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from clustersim import stats
from clustersim.study.execution.worker import Row
from clustersim.study.search.constraints import Objective
from clustersim.study.sweep.experimental_designs import Values


@dataclass(frozen=True)
class Goal:
    """What is searched for, and how much may be spent on it."""

    minimize: str
    objectives: tuple[Objective, ...]
    trials: int
    replications: int
    confirm: int

    @property
    def measures(self) -> tuple[str, ...]:
        """Every measure that the search looks at."""
        return tuple(dict.fromkeys((self.minimize, *(each.measure for each in self.objectives))))

    @property
    def searching(self) -> range:
        """The replications by which points are chosen."""
        return range(self.replications)

    @property
    def confirming(self) -> range:
        """The replications by which the chosen are judged: luck that has not chosen them."""
        return range(self.replications, self.replications + self.confirm)


@dataclass(frozen=True)
class Nearest:
    """How near the search came to one objective: its best mean, and at which point."""

    objective: Objective
    mean: float
    point: int


@dataclass
class Tally:
    """Points by number, in the order in which they were first proposed, and the rows of each."""

    goal: Goal
    values: list[Values] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _rows: list[dict[int, Row]] = field(default_factory=list)

    def number(self, values: Values) -> int | None:
        """The number of a point; None for one that is new."""
        return self._numbers.get(json.dumps(values))

    def enter(self, values: Values, digest: str) -> int:
        """A new point; gives its number."""
        self._numbers[json.dumps(values)] = len(self.values)
        self.values.append(values)
        self.digests.append(digest)
        self._rows.append({})
        return len(self.values) - 1

    def add(self, row: Row) -> None:
        """A run of a point."""
        self._rows[row.task.point][row.task.replication] = row

    @property
    def rows(self) -> list[Row]:
        """All runs, by point and replication."""
        return [found[number] for found in self._rows for number in sorted(found)]

    def seen(self, point: int) -> bool:
        """Whether the point has runs."""
        return bool(self._rows[point])

    def _found(self, point: int, measure: str, replications: range) -> list[float]:
        rows = self._rows[point]
        values = [rows[number].value(measure) for number in replications if number in rows]
        return [value for value in values if not math.isnan(value)]

    def means(self, point: int, replications: range) -> dict[str, float]:
        """The mean of each measure, NaN where no run has it."""
        values = {measure: self._found(point, measure, replications) for measure in self.goal.measures}
        return {measure: float(np.mean(each)) if each else math.nan for measure, each in values.items()}

    def intervals(self, point: int, replications: range) -> dict[str, stats.Interval]:
        """The same with intervals, of the measures that some run has."""
        values = {measure: self._found(point, measure, replications) for measure in self.goal.measures}
        return {measure: stats.mean_interval(each) for measure, each in values.items() if each}

    def keeps(self, means: Mapping[str, float]) -> bool:
        """Whether these means keep all bounds; a mean that is not there keeps none."""
        bounded = all(each.miss(means[each.measure]) <= 0 for each in self.goal.objectives)
        return bounded and not math.isnan(means[self.goal.minimize])

    def feasible(self) -> list[int]:
        """The points that keep all bounds in the search, the best first."""
        means = {point: self.means(point, self.goal.searching) for point in range(len(self.values))}
        return self._best_first([point for point in means if self.keeps(means[point])], self.goal.searching)

    def held(self, points: Sequence[int]) -> list[int]:
        """Those of `points` that keep all bounds with fresh luck too, the best first."""
        kept = [point for point in points if self.keeps(self.means(point, self.goal.confirming))]
        return self._best_first(kept, self.goal.confirming)

    def _best_first(self, points: Sequence[int], replications: range) -> list[int]:
        return sorted(points, key=lambda point: (self.means(point, replications)[self.goal.minimize], point))

    def nearest(self) -> tuple[Nearest, ...]:
        """For each objective the point that came nearest to it, or kept it best; the worst missed comes first."""
        found = []
        for objective in self.goal.objectives:
            means = {
                point: self.means(point, self.goal.searching)[objective.measure]
                for point in range(len(self.values))
            }
            present = [point for point, mean in means.items() if not math.isnan(mean)]
            if present:
                best = min(present, key=lambda point: (objective.miss(means[point]), point))
                found.append(Nearest(objective, means[best], best))
        return tuple(sorted(found, key=lambda near: -near.objective.relative_miss(near.mean)))

    def least_missing(self) -> int | None:
        """The point that misses its bounds least, all of them together; None where none has all measures."""
        missing = {}
        for point in range(len(self.values)):
            means = self.means(point, self.goal.searching)
            misses = [max(0.0, each.relative_miss(means[each.measure])) for each in self.goal.objectives]
            if not any(math.isnan(mean) for mean in means.values()):
                missing[point] = sum(misses)
        return min(missing, key=lambda point: (missing[point], point)) if missing else None
