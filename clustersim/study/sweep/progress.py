"""The progress of a study on standard error: a bar on a terminal, otherwise a line every ten seconds.

Decides which figures are shown while runs are executed: their number, rate, remaining time, and the best point so
far. Must not know how runs are executed. The command line creates the bar and passes it to the sweep or the search.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from clustersim.engine.program import is_cold
from clustersim.study.execution.worker import RunRow
from clustersim.study.pages.measure_labels import format_varied_value, shorten_paths
from clustersim.study.sweep.finalize import ProgressListener

LINE_INTERVAL_S = 10.0  # between two lines without a terminal
REFRESH_S = 0.2  # between two updates: finding the best of thousands of points takes time
MEASURE = "cost_usd"


class BestPoint:
    """Finds the point with the least mean cost so far."""

    def __init__(self, paths: Sequence[str], points: Sequence[Sequence[Any]]) -> None:
        self._names = shorten_paths(paths)
        self._points = points
        self._sums: dict[int, tuple[float, int]] = {}

    def add(self, row: RunRow) -> None:
        """Include a run."""
        value = row.value(MEASURE)
        if not math.isnan(value):  # a failed run has none
            total, n = self._sums.get(row.spec.point, (0.0, 0))
            self._sums[row.spec.point] = (total + value, n + 1)

    def describe(self) -> str:
        """Describe the best point, like `best $310.11 targetCapacity=90`; empty before the first run."""
        if not self._sums:
            return ""
        mean, point = min((total / n, point) for point, (total, n) in self._sums.items())
        values = self._points[point] if point < len(self._points) else ()
        pairs = zip(self._names, values, strict=False)
        return " ".join(
            [f"best ${mean:,.2f}", *(f"{name}={format_varied_value(value)}" for name, value in pairs)]
        )


class ProgressBar(ProgressListener):
    """Shows progress on `console`; nothing if `quiet`. `trace` is the traceback of the first failed run."""

    def __init__(self, console: Console, quiet: bool) -> None:
        self.trace = ""
        self._console = console
        self._quiet = quiet
        self._started_at = self._printed_at = time.monotonic()
        self._finished = self._expected = 0
        self._updated_at = 0.0
        self._best: BestPoint | None = None  # a search describes its best point itself
        self._best_text = ""
        rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[counts]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[best]}", style="dim", table_column=rest),
        )
        hidden = quiet or not console.is_terminal
        self._progress = Progress(*columns, console=console, transient=True, disable=hidden, expand=True)
        self._task = self._progress.add_task("checking points", total=1.0, counts="", best="")

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def points_checked(self, share: float) -> None:
        self._progress.update(self._task, completed=share)

    def start(
        self,
        name: str,
        warnings: Sequence[str],
        paths: Sequence[str] = (),
        points: Sequence[Sequence[Any]] = (),
    ) -> None:
        """Print warnings after the points were validated, and show the name of the study."""
        if not self._quiet:
            for warning in warnings:
                self._print(f"warning: {warning}")
            if is_cold():
                self._print("compiling the kernels: once per version, about ten seconds ...")
        self._best = BestPoint(paths, points) if paths else None
        self._progress.update(self._task, description=name)

    def runs_expected(self, runs: int) -> None:
        if not self._expected:
            self._started_at = self._printed_at = time.monotonic()
        self._expected = runs
        self._progress.update(self._task, total=runs, completed=self._finished)

    def run_finished(self, row: RunRow) -> None:
        self._finished += 1
        self.trace = self.trace or row.trace
        if self._best is not None:
            self._best.add(row)
        now = time.monotonic()
        if now - self._updated_at < REFRESH_S and self._finished < self._expected:
            return
        self._updated_at = now
        if self._best is not None:
            self._best_text = self._best.describe()
        rate = self._finished / max(now - self._started_at, 1e-9)
        counts = f"{self._finished:,}/{self._expected:,} {rate:,.1f}/s"
        self._progress.update(self._task, completed=self._finished, counts=counts, best=self._best_text)
        if not (self._quiet or self._console.is_terminal) and now - self._printed_at >= LINE_INTERVAL_S:
            self._printed_at = now
            parts = (
                f"{self._finished:,} of {self._expected:,} runs",
                f"{rate:,.1f}/s",
                f"{(self._expected - self._finished) / rate:,.0f} s left",
                self._best_text,
            )
            self._print(", ".join(part for part in parts if part))

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def best_changed(self, description: str) -> None:
        self._best_text = description
        self._progress.update(self._task, best=description)
