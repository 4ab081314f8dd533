"""How far a sweep has come, on standard error: a bar on a terminal, a line now and then elsewhere.

Decides what is told while runs are being done: how many, how fast, how long still, and the best point so far.
Must not know what is done with it. The command line makes one and hands it to the sweep or the search.
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
from clustersim.study.execution.worker import Row
from clustersim.study.pages.metric_labels import short_paths, value_told
from clustersim.study.sweep.finalize import Watcher

LINE_S = 10.0  # between two lines where there is no terminal
LOOK_S = 0.2  # between two looks at the best point: there may be thousands
MEASURE = "cost_usd"


class Best:
    """The point of the least mean cost so far."""

    def __init__(self, paths: Sequence[str], points: Sequence[Sequence[Any]]) -> None:
        self._names = short_paths(paths)
        self._points = points
        self._sums: dict[int, tuple[float, int]] = {}

    def add(self, row: Row) -> None:
        """Takes a run into account."""
        value = row.value(MEASURE)
        if not math.isnan(value):  # a run that failed has none
            total, n = self._sums.get(row.task.point, (0.0, 0))
            self._sums[row.task.point] = (total + value, n + 1)

    def told(self) -> str:
        """`best $310.11 targetCapacity=90`."""
        if not self._sums:
            return ""
        mean, point = min((total / n, point) for point, (total, n) in self._sums.items())
        values = self._points[point] if point < len(self._points) else ()
        pairs = zip(self._names, values, strict=False)
        return " ".join([f"best ${mean:,.2f}", *(f"{name}={value_told(value)}" for name, value in pairs)])


class Bar(Watcher):
    """Progress on a terminal as a bar, elsewhere as a line now and then; quiet: nothing."""

    def __init__(self, console: Console, quiet: bool) -> None:
        self.trace = ""
        self._console = console
        self._quiet = quiet
        self._begun = self._told = time.monotonic()
        self._runs = self._all = 0
        self._shown = 0.0
        self._best: Best | None = None  # a search says it in its own words
        self._words = ""
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

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def checking(self, share: float) -> None:
        self._progress.update(self._task, completed=share)

    def begin(
        self,
        name: str,
        warnings: Sequence[str],
        paths: Sequence[str] = (),
        points: Sequence[Sequence[Any]] = (),
    ) -> None:
        """The points are sound: what there is to warn of, and what is about to be done."""
        if not self._quiet:
            for warning in warnings:
                self._say(f"warning: {warning}")
            if is_cold():
                self._say("compiling the kernels: once for this version, some ten seconds ...")
        self._best = Best(paths, points) if paths else None
        self._progress.update(self._task, description=name)

    def total(self, runs: int) -> None:
        if not self._all:
            self._begun = self._told = time.monotonic()
        self._all = runs
        self._progress.update(self._task, total=runs, completed=self._runs)

    def done(self, row: Row) -> None:
        self._runs += 1
        self.trace = self.trace or row.trace
        if self._best is not None:
            self._best.add(row)
        now = time.monotonic()
        if now - self._shown < LOOK_S and self._runs < self._all:
            return
        self._shown = now
        if self._best is not None:
            self._words = self._best.told()
        rate = self._runs / max(now - self._begun, 1e-9)
        counts = f"{self._runs:,}/{self._all:,} {rate:,.1f}/s"
        self._progress.update(self._task, completed=self._runs, counts=counts, best=self._words)
        if not (self._quiet or self._console.is_terminal) and now - self._told >= LINE_S:
            self._told = now
            parts = (
                f"{self._runs:,} of {self._all:,} runs",
                f"{rate:,.1f}/s",
                f"{(self._all - self._runs) / rate:,.0f} s left",
                self._words,
            )
            self._say(", ".join(part for part in parts if part))

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def best(self, words: str) -> None:
        self._words = words
        self._progress.update(self._task, best=words)
