"""A finished sweep: its table, its runs, and what they say of each point.

Decides how the rows of a sweep become means, intervals and comparisons. Must not know how runs were done.
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
from clustersim.scenario.text.overrides import closest
from clustersim.study.execution.result_store import POINTS
from clustersim.study.single_run.run_result import Run, as_pandas, open_run

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]


class Summary:
    """`summary.arrow`: one row per run. Polars, DuckDB and others take it as it is."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __repr__(self) -> str:
        return f"<Summary: {len(self):,} runs, {self._table.num_columns} columns>"

    def to_arrow(self) -> pa.Table:
        """The table as pyarrow has it."""
        return self._table

    def to_pandas(self) -> pd.DataFrame:
        """The table as a pandas DataFrame."""
        return as_pandas(self._table)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Sweep:
    """A complete sweep: `summary` is its table, `points` the values of each point by path.

    A measure is the name of a number of `summary.json`, nested ones joined by dots: `cost_usd`,
    `services.web.availability`. Everything is by point number; replications of the same number share their luck.
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
        """The names of all numbers."""
        return tuple(self.summary.to_arrow().column_names[4 + len(self.paths) :])

    @cached_property
    def errors(self) -> tuple[tuple[int, int, str], ...]:
        """Point, replication and error of the runs that failed."""
        columns = self.summary.to_arrow().select(["point", "replication", "error"]).to_pydict()
        return tuple(row for row in zip(*columns.values(), strict=True) if row[2] is not None)

    def run(self, point: int, replication: int = 0) -> Run:
        """One of the runs, opened. Raises ResultsError where it failed, or lies in an object store."""
        if "://" in self.path:
            raise ResultsError(f"the runs of {self.path} lie in an object store; copy one here and open it")
        return open_run(Path(self.path) / POINTS / str(point) / str(replication))

    @cached_property
    def _rows(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        table = self.summary.to_arrow()
        point, replication = (np.array(table.column(name).to_pylist()) for name in ("point", "replication"))
        return point.astype(np.int64), replication.astype(np.int64)

    def values(self, measure: str, point: int) -> Floats:
        """The measure of each replication of a point, NaN where a run has none or failed."""
        if measure not in self.measures:
            raise ResultsError(f"no run has {measure!r}; {closest(measure, self.measures)}")
        points, replications = self._rows
        chosen = points == point
        found = np.full(1 + int(replications[chosen].max(initial=-1)), np.nan)
        column = self._column(measure)
        found[replications[chosen]] = column[chosen]
        return found

    def _column(self, measure: str) -> Floats:
        if measure not in self._columns:
            values = self.summary.to_arrow().column(measure).to_pylist()
            self._columns[measure] = np.array([np.nan if v is None else v for v in values], np.float64)
        return self._columns[measure]

    @cached_property
    def _families(self) -> dict[tuple[str, int, float], dict[int, stats.Interval]]:
        return {}

    @cached_property
    def _columns(self) -> dict[str, Floats]:
        return {}

    def interval(
        self, measure: str, point: int, confidence: float = 0.95, method: stats.Method = "t"
    ) -> stats.Interval | None:
        """The mean of a measure at a point, over the replications that have it; None where none has."""
        values = self.values(measure, point)
        values = values[~np.isnan(values)]
        return stats.mean_interval(values, confidence, method) if len(values) else None

    def difference(
        self, measure: str, point: int, base: int = 0, confidence: float = 0.95
    ) -> stats.Interval | None:
        """How much larger a measure is at `point` than at `base`, in pairs of replications; None without pairs."""
        first, second = self.values(measure, point), self.values(measure, base)
        n = min(len(first), len(second))
        both = ~np.isnan(first[:n]) & ~np.isnan(second[:n])
        if not both.any():
            return None
        return stats.paired_difference(first[:n][both], second[:n][both], confidence)

    def means(self, measure: str, confidence: float = 0.95, method: stats.Method = "t") -> pa.Table:
        """One row per point: its values, `mean`, `low`, `high` and `n` of the measure."""
        return self._table(
            {point: self.interval(measure, point, confidence, method) for point in range(len(self.points))}
        )

    def differences(self, measure: str, base: int = 0, confidence: float = 0.95) -> pa.Table:
        """One row per point but `base`: the paired difference from it, and its `p_value`."""
        others = [point for point in range(len(self.points)) if point != base]
        return self._table(
            {point: self.difference(measure, point, base, confidence) for point in others}, True
        )

    def comparisons(self, measure: str, base: int = 0, confidence: float = 0.95) -> pa.Table:
        """The same for all points at once, as `stats.compare_with_control` has it; points of one value are left out."""
        return self._table(self.family(measure, base, confidence), True)

    def family(self, measure: str, base: int = 0, confidence: float = 0.95) -> dict[int, stats.Interval]:
        """The intervals of `comparisons` by point. Raises ResultsError where nothing can be compared."""
        asked = (measure, base, confidence)
        if asked not in self._families:  # the table and the page both ask, and it takes long
            values = {point: self.values(measure, point) for point in range(len(self.points))}
            present = {point: each[~np.isnan(each)] for point, each in values.items()}
            groups = {str(p): each for p, each in present.items() if p != base and len(each) > 1}
            try:
                found = stats.compare_with_control(groups, present[base], confidence) if groups else {}
            except ValueError as error:
                raise ResultsError(f"points cannot be compared by {measure}: {error}") from None
            self._families[asked] = {int(point): interval for point, interval in found.items()}
        return self._families[asked]

    def sensitivity(self, measure: str, confidence: float = 0.95) -> dict[str, stats.Sensitivity]:
        """Sobol indices by path, of the mean of each point. Raises ResultsError for a design without them."""
        if not self.manifest["design"]["sensitivity"]:
            raise ResultsError("only a sweep of the design sobol with `sensitivity: true` has Sobol indices")
        means = [self.interval(measure, point) for point in range(len(self.points))]
        if any(mean is None for mean in means):
            raise ResultsError(f"{measure} is missing at some points, so its variance cannot be shared out")
        values = np.array([mean.mean for mean in means if mean is not None])
        n = int(self.manifest["design"]["points"])
        samples = values.reshape(-1, n)
        try:
            found = stats.sensitivity(samples[0], samples[1], list(samples[2:]), confidence)
        except ValueError as error:
            raise ResultsError(f"{measure}: {error}") from None
        return dict(zip(self.paths, found, strict=True))

    def _table(self, found: Mapping[int, stats.Interval | None], differences: bool = False) -> pa.Table:
        """Intervals by point as a table, with the values of the points."""
        points = [point for point, interval in found.items() if interval is not None]
        intervals = [interval for interval in found.values() if interval is not None]
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
    """Values of a path as they are, or as JSON text where Arrow has no one type for them."""
    try:
        return pa.array([json.dumps(v) if isinstance(v, list | dict) else v for v in values])
    except pa.ArrowException:
        return pa.array([json.dumps(value) for value in values])
