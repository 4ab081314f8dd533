"""What a sweep will run: the scenario, its points, each read and found sound before anything starts.

Decides how the command line and the scenario's `sweep` block add up, and in which words a point that is no
sound scenario is refused. Must not know where runs go or who does them. The sweep and the search call it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clustersim.errors import ResultsError, ScenarioError
from clustersim.scenario.reader import Rewrite, Source
from clustersim.scenario.sections.scenario import Scenario
from clustersim.scenario.sections.sweep import Choices, DesignKind, Varied
from clustersim.scenario.text.overrides import PathError, parse_path
from clustersim.study.sweep.experimental_designs import (
    Design,
    DesignError,
    Values,
    lay_out,
    read_points,
    value_in,
)

MAX_PROBLEMS = 20  # lines about points; more of them say the same
WITH = " (with "
KEPT = 8  # scenarios in memory: a batch of runs seldom needs more at once
RESERVED = {
    "sweep": "it is no part of what is simulated",
    "name": "a point has a number in place of a name",
    "seed": "replications differ in their luck: --replications 10",
}


@dataclass(frozen=True)
class Request:
    """What was asked for beside the scenario's own `sweep` block, which it overrules key by key."""

    vary: Mapping[str, Varied] | None = None
    design: DesignKind | None = None
    points: int | Path | None = None
    sensitivity: bool = False
    replications: int | None = None
    overrides: Sequence[str] = ()
    seed: int | None = None


@dataclass(frozen=True)
class Point:
    """One combination of values, and what identifies the scenario that it makes."""

    values: Values
    digest: str


@dataclass
class Reading:
    """A scenario file whose points are being read; `labels` says where each varied path was asked for."""

    source: Source
    request: Request
    design: Design
    replications: int
    labels: dict[str, str] = field(default_factory=dict)
    rewrite: Callable[[Values], Rewrite] | None = None
    """What is done with the document at a point, where that is more than to assign values to paths."""
    _kept: dict[Values, Scenario] = field(default_factory=dict)

    def base(self) -> Scenario:
        """The scenario itself."""
        return self.source.scenario(self.request.overrides, self.request.seed)

    def scenario(self, values: Values) -> Scenario:
        """The scenario with `values` in place. Raises `ScenarioError`, its lines naming where they come from."""
        key = tuple(map(repr, values))
        if key not in self._kept:
            while len(self._kept) >= KEPT:  # the oldest first: points are read in order
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self._read(values)
        return self._kept[key]

    def _read(self, values: Values) -> Scenario:
        if self.rewrite is not None:
            return self.source.scenario(self.request.overrides, self.request.seed, self.rewrite(values))
        pairs = list(zip(self.design.paths, values, strict=True))
        assignments = [f"{path}={json.dumps(value)}" for path, value in pairs]
        try:
            return self.source.scenario([*self.request.overrides, *assignments], self.request.seed)
        except ScenarioError as error:
            told = ", ".join(f"{path}={_short(value)}" for path, value in pairs)
            raise ScenarioError([self._place(problem, told) for problem in error.problems]) from None

    def _place(self, problem: str, values: str) -> str:
        """A problem of a point as one of what was varied, or, where several values clash, with all of them."""
        for path in self.design.paths:
            rest = problem.removeprefix(f"--set {path}")
            if rest != problem and rest[:1] in (":", ".", "["):
                return f"{self.labels[path]}{rest}"
        return f"{problem}{WITH}{values})"


@dataclass(frozen=True)
class Plan:
    """All points of a sweep, in order; `base` is the scenario without any of them."""

    base: Scenario
    reading: Reading
    points: tuple[Point, ...]
    warnings: tuple[str, ...] = ()

    @property
    def design(self) -> Design:
        """What is varied, and how."""
        return self.reading.design

    @property
    def paths(self) -> tuple[str, ...]:
        """The varied paths, in order."""
        return self.design.paths

    @property
    def replications(self) -> int:
        """How often each point is repeated."""
        return self.reading.replications

    def scenario(self, number: int) -> Scenario:
        """The scenario of a point: read again, since a thousand of them would fill the memory.

        Raises ResultsError if one of its files has changed since the point was found sound.
        """
        point = self.points[number]
        scenario = self.reading.scenario(point.values)
        if scenario.digest != point.digest:
            raise ResultsError("an input file of the scenario has changed while the sweep was running")
        return scenario


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def open_plan(path: Path, request: Request) -> Reading:
    """The scenario file and the design asked for; raises `ScenarioError` before any point is read."""
    source = Source(path)
    block = source.sweep()
    ours = request.vary is None  # the block's own values are varied, and by its design
    kind = request.design or (block.design if ours else None)
    points = request.points
    if points is None and (ours or request.design is not None) and block.points is not None:
        points = path.parent / block.points if isinstance(block.points, str) else block.points
    if kind is None:
        kind = "points" if isinstance(points, Path) else "grid"
    if (kind == "points") != isinstance(points, Path):
        what = "the design points needs a file" if kind == "points" else f"the design {kind} takes a number"
        right = "points: FILE.csv" if kind == "points" else "points: 64, or design: points"
        where = source.place(("sweep", "points"))
        if kind == "points" or points is not None:
            raise ScenarioError([f"{where}: sweep.points: {what} of points; {right}"])
    if isinstance(points, Path):
        paths, rows = read_points(points)
        varied = {key: Choices(tuple(row[i] for row in rows)) for i, key in enumerate(paths)}
        labels = {key: f"{points}:1:1: {key}" for key in paths}
        design = Design("points", varied, rows=rows)
    else:
        vary = block.vary if request.vary is None else request.vary
        labels = {key: f"--vary {key}" for key in vary}
        if ours:
            labels = {key: f"{source.place(('sweep', 'vary', key))}: sweep.vary.{key}" for key in vary}
        design = Design(kind, dict(vary), points, request.sensitivity or (ours and block.sensitivity))
    _check_paths(labels)
    return Reading(source, request, design, request.replications or block.replications, labels)


def _check_paths(labels: Mapping[str, str]) -> None:
    """Paths that are written as such, and that may be varied."""
    problems = []
    for path, label in labels.items():
        try:
            first = str(parse_path(path)[0])
        except PathError as error:
            problems.append(f"{label}: {error}; {error.right}")
            continue
        if first in RESERVED:
            problems.append(f"{label}: {first} cannot be varied; {RESERVED[first]}")
    if problems:
        raise ScenarioError(problems)


def read_plan(path: Path, request: Request, progress: Callable[[float], None] | None = None) -> Plan:
    """Every point, read and checked. Raises `ScenarioError` with the problems of all of them.

    `progress` gets the share of points read. The scenario itself has to be sound too.
    """
    reading = open_plan(path, request)
    base = reading.base()
    try:
        rows = lay_out(reading.design, base.seed)
    except DesignError as error:
        if error.path is not None:
            where = reading.labels[error.path]
        else:
            where = "--vary" if request.vary is not None else f"{reading.source.place(('sweep',))}: sweep"
        raise ScenarioError([f"{where}: {error}"]) from None
    points, problems, warnings = [], dict[str, str](), dict[str, None]()
    for number, values in enumerate(rows):
        try:
            scenario = reading.scenario(values)
            points.append(Point(values, scenario.digest))
            warnings.update(dict.fromkeys(scenario.warnings))
        except ScenarioError as error:
            for problem in error.problems:  # once, with the first values that have it
                problems.setdefault(problem.partition(WITH)[0], problem)
        if progress is not None:
            progress((number + 1) / len(rows))
    if problems:
        lines = list(problems.values())
        more = len(lines) - MAX_PROBLEMS
        raise ScenarioError(lines[:MAX_PROBLEMS] + ([f"... and {more:,} more of these"] if more > 0 else []))
    return Plan(base, reading, tuple(points), tuple(warnings))


def check_ends(reading: Reading) -> None:
    """Each varied path at its ends, so that one that leads nowhere is said before a search begins.

    A value is refused where it is wrong by itself and with all others at either end; values that clash with some
    others only are found when they are proposed. Raises `ScenarioError`.
    """
    design = reading.design
    if not design.varied:
        raise ScenarioError(["--vary: nothing is varied; add a path with its values"])
    ends = {path: _ends(varied) for path, varied in design.varied.items()}
    problems = dict[str, None]()
    for path, values in ends.items():
        alone = Reading(
            reading.source, reading.request, Design("grid", {path: design.varied[path]}), 1, reading.labels
        )
        for value in values:
            found = [_problems_of(alone, (value,), path)]
            for end in (0, -1):
                point = tuple(value if other == path else of[end] for other, of in ends.items())
                found.append(_problems_of(reading, point, path))
            if all(found):
                problems.update(dict.fromkeys(found[0]))
    if problems:
        raise ScenarioError(list(problems)[:MAX_PROBLEMS])


def _ends(varied: Varied) -> tuple[Any, ...]:
    return varied.values if isinstance(varied, Choices) else (value_in(varied, 0.0), value_in(varied, 1.0))


def _problems_of(reading: Reading, values: Values, path: str) -> list[str]:
    """What is wrong with `path` when these values stand in the scenario."""
    try:
        reading.scenario(values)
    except ScenarioError as error:
        return [problem for problem in error.problems if problem.startswith(reading.labels[path])]
    return []
