"""The result of a sweep: its table, its runs, and the statistics of each point.

Decides how the rows of a sweep become means, intervals and comparisons. Must not know how runs were executed.
Users get a `Sweep` from `cs.sweep` and `cs.open`; the report and the page read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clustersim import stats
from clustersim.errors import ResultsError
from clustersim.scenario.text.overrides import suggest_name
from clustersim.study.execution.result_store import POINTS
from clustersim.study.single_run.run_result import Run, arrow_to_pandas, open_run

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]


class Summary:
    """`summary.arrow`: one row per run. Polars, DuckDB and others read it through Arrow's C stream interface."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __repr__(self) -> str:
        return f"<Summary: {len(self):,} runs, {self._table.num_columns} columns>"

    def to_arrow(self) -> pa.Table:
        """Return the table as a pyarrow Table."""
        return self._table

    def to_pandas(self) -> pd.DataFrame:
        """Return the table as a pandas DataFrame."""
        return arrow_to_pandas(self._table)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Sweep:
    """A complete sweep: `summary` is its table, `points` the values of each point by path.

    A measure is the name of a number of `summary.json`, nested ones joined by dots: `cost_usd`,
    `services.web.availability`. Points are identified by number. Replications of the same number have the same
    random numbers at all points (common random numbers), so that differences are taken in pairs.
    """

    def __init__(self, path: str, manifest: dict[str, Any], table: pa.Table) -> None:
        self.path = path
        self.manifest = manifest
        self.summary = Summary(table)
        self.paths: tuple[str, ...] = tuple(manifest["design"]["paths"])
        self.points: tuple[dict[str, Any], ...] = tuple(
            dict(zip(self.paths, point["values"], strict=True)) for point in manifest["points"]
        )

    def __repr__(self) -> str:
        return f"<Sweep {self.path}: {len(self.points):,} points, {len(self.summary):,} runs>"

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.manifest["scenario"]["name"])

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """The names of all measures."""
        return tuple(self.summary.to_arrow().column_names[4 + len(self.paths) :])

    @cached_property
    def errors(self) -> tuple[tuple[int, int, str], ...]:
        """Point, replication and error of the failed runs."""
        columns = self.summary.to_arrow().select(["point", "replication", "error"]).to_pydict()
        return tuple(row for row in zip(*columns.values(), strict=True) if row[2] is not None)

    def run(self, point: int, replication: int = 0) -> Run:
        """Open one of the runs. Raises ResultsError if it failed, or is in an object store."""
        if "://" in self.path:
            raise ResultsError(
                f"the runs of {self.path} are in an object store; copy one to this machine and open it"
            )
        return open_run(Path(self.path) / POINTS / str(point) / str(replication))

    @cached_property
    def _rows(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        table = self.summary.to_arrow()
        point, replication = (np.array(table.column(name).to_pylist()) for name in ("point", "replication"))
        return point.astype(np.int64), replication.astype(np.int64)

    def values(self, measure: str, point: int) -> Floats:
        """Return the measure of each replication of a point; NaN if a run does not have it, or failed."""
        if measure not in self.measures:
            raise ResultsError(f"no run has {measure!r}; {suggest_name(measure, self.measures)}")
        points, replications = self._rows
        at_point = points == point
        values = np.full(1 + int(replications[at_point].max(initial=-1)), np.nan)
        column = self._column(measure)
        values[replications[at_point]] = column[at_point]
        return values

    def _column(self, measure: str) -> Floats:
        if measure not in self._columns:
            values = self.summary.to_arrow().column(measure).to_pylist()
            self._columns[measure] = np.array([np.nan if v is None else v for v in values], np.float64)
        return self._columns[measure]

    @cached_property
    def _family_intervals(self) -> dict[tuple[str, int, float], dict[int, stats.Interval]]:
        return {}

    @cached_property
    def _columns(self) -> dict[str, Floats]:
        return {}

    def interval(
        self, measure: str, point: int, confidence: float = 0.95, method: stats.Method = "t"
    ) -> stats.Interval | None:
        """Return the mean of a measure at a point over the replications that have it; None if none has."""
        values = self.values(measure, point)
        values = values[~np.isnan(values)]
        return stats.mean_interval(values, confidence, method) if len(values) else None

    def difference(
        self, measure: str, point: int, base: int = 0, confidence: float = 0.95
    ) -> stats.Interval | None:
        """Return the mean paired difference of a measure, `point` minus `base`; None without pairs of replications."""
        first, second = self.values(measure, point), self.values(measure, base)
        n = min(len(first), len(second))
        both = ~np.isnan(first[:n]) & ~np.isnan(second[:n])
        if not both.any():
            return None
        return stats.paired_difference(first[:n][both], second[:n][both], confidence)

    def means(self, measure: str, confidence: float = 0.95, method: stats.Method = "t") -> pa.Table:
        """Return one row per point: its values, `mean`, `low`, `high` and `n` of the measure."""
        return self._table(
            {point: self.interval(measure, point, confidence, method) for point in range(len(self.points))}
        )

    def differences(self, measure: str, base: int = 0, confidence: float = 0.95) -> pa.Table:
        """Return one row per point but `base`: the paired difference from it, and its `p_value`."""
        others = [point for point in range(len(self.points)) if point != base]
        return self._table(
            {point: self.difference(measure, point, base, confidence) for point in others}, True
        )

    def comparisons(self, measure: str, base: int = 0, confidence: float = 0.95) -> pa.Table:
        """Return the differences adjusted for comparing all points at once (`stats.compare_with_control`).

        Points with a single value are left out. Raises ResultsError if the points cannot be compared.
        """
        return self._table(self.compare_with_base(measure, base, confidence), True)

    def compare_with_base(
        self, measure: str, base: int = 0, confidence: float = 0.95
    ) -> dict[int, stats.Interval]:
        """Return the intervals of `comparisons` by point. Raises ResultsError if the points cannot be compared."""
        key = (measure, base, confidence)
        if key not in self._family_intervals:  # cached for the report and the page, as it takes long
            values = {point: self.values(measure, point) for point in range(len(self.points))}
            present = {point: each[~np.isnan(each)] for point, each in values.items()}
            groups = {str(p): each for p, each in present.items() if p != base and len(each) > 1}
            try:
                intervals = stats.compare_with_control(groups, present[base], confidence) if groups else {}
            except ValueError as error:
                raise ResultsError(f"points cannot be compared by {measure}: {error}") from None
            self._family_intervals[key] = {int(point): interval for point, interval in intervals.items()}
        return self._family_intervals[key]

    def sensitivity(self, measure: str, confidence: float = 0.95) -> dict[str, stats.Sensitivity]:
        """Return the Sobol indices by path, from the mean of each point. Raises ResultsError for other designs."""
        if not self.manifest["design"]["sensitivity"]:
            raise ResultsError("only a sweep of the design sobol with `sensitivity: true` has Sobol indices")
        means = [self.interval(measure, point) for point in range(len(self.points))]
        if any(mean is None for mean in means):
            raise ResultsError(f"{measure} is missing at some points, so its variance cannot be decomposed")
        values = np.array([mean.mean for mean in means if mean is not None])
        n = int(self.manifest["design"]["points"])
        samples = values.reshape(-1, n)
        try:
            indices = stats.sensitivity(samples[0], samples[1], list(samples[2:]), confidence)
        except ValueError as error:
            raise ResultsError(f"{measure}: {error}") from None
        return dict(zip(self.paths, indices, strict=True))

    def _table(self, by_point: Mapping[int, stats.Interval | None], differences: bool = False) -> pa.Table:
        """Return intervals by point as a table, with the values of the points."""
        points = [point for point, interval in by_point.items() if interval is not None]
        intervals = [interval for interval in by_point.values() if interval is not None]
        columns: dict[str, Any] = {"point": pa.array(points, pa.int64())}
        for path in self.paths:
            columns[path] = _plain_column([self.points[point][path] for point in points])
        for name in ("mean", "low", "high"):
            columns[name] = pa.array([float(getattr(each, name)) for each in intervals], pa.float64())
        columns["n"] = pa.array([each.n for each in intervals], pa.int64())
        if differences:
            columns["p_value"] = pa.array([each.p_value for each in intervals], pa.float64())
        return pa.table(columns)


def _plain_column(values: Sequence[Any]) -> pa.Array:
    """Return the values of a path as a column; JSON text for lists, and if the values have no common Arrow type."""
    try:
        return pa.array([json.dumps(v) if isinstance(v, list | dict) else v for v in values])
    except pa.ArrowException:
        return pa.array([json.dumps(value) for value in values])
