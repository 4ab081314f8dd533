"""The plan of a sweep: the scenario and its points, each resolved and validated before any run starts.

Decides how the command line and the scenario's `sweep` block combine, and how the problems of an invalid point are
reported. Must not know where results are written or runs are executed. The sweep and the search call it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clustersim.errors import ResultsError, ScenarioError
from clustersim.scenario.reader import RewriteDocument, ScenarioSource
from clustersim.scenario.sections.scenario import Scenario
from clustersim.scenario.sections.sweep import Choices, DesignKind, Varied
from clustersim.scenario.text.overrides import PathError, parse_path
from clustersim.study.sweep.experimental_designs import (
    Design,
    DesignError,
    PointValues,
    lay_out,
    read_points,
    value_at,
)

MAX_PROBLEMS = 20  # lines about points; further ones mostly repeat them
VALUES_NOTE = " (with "
CACHED_SCENARIOS = 8  # resolved scenarios in memory: a batch of runs seldom needs more at once
RESERVED = {
    "sweep": "it is not part of the simulated scenario",
    "name": "points are identified by number, not by name",
    "seed": "replications have different random numbers: --replications 10",
}
"""Top-level keys that cannot be varied, and why."""


@dataclass(frozen=True)
class SweepRequest:
    """The options of a sweep; each takes precedence over the same key of the scenario's `sweep` block."""

    vary: Mapping[str, Varied] | None = None
    design: DesignKind | None = None
    points: int | Path | None = None
    sensitivity: bool = False
    replications: int | None = None
    overrides: Sequence[str] = ()
    seed: int | None = None


@dataclass(frozen=True)
class Point:
    """One combination of values, and the digest of the scenario at that point."""

    values: PointValues
    digest: str


@dataclass
class VariedScenario:
    """A scenario file with a design; `labels` names the source of each varied path in error messages."""

    source: ScenarioSource
    request: SweepRequest
    design: Design
    replications: int
    labels: dict[str, str] = field(default_factory=dict)
    rewrite: Callable[[PointValues], RewriteDocument] | None = None
    """Rewrites the document for a point, instead of assigning values to paths."""
    _cache: dict[PointValues, Scenario] = field(default_factory=dict)

    def read_base(self) -> Scenario:
        """Return the scenario without varied values. Raises `ScenarioError`."""
        return self.source.resolve(self.request.overrides, self.request.seed)

    def read_scenario(self, values: PointValues) -> Scenario:
        """Return the scenario with `values` assigned. Raises `ScenarioError`; its problems name the varied path."""
        key = tuple(map(repr, values))
        if key not in self._cache:
            while len(self._cache) >= CACHED_SCENARIOS:  # the oldest first: points are read in order
                del self._cache[next(iter(self._cache))]
            self._cache[key] = self._read(values)
        return self._cache[key]

    def _read(self, values: PointValues) -> Scenario:
        if self.rewrite is not None:
            return self.source.resolve(self.request.overrides, self.request.seed, self.rewrite(values))
        pairs = list(zip(self.design.paths, values, strict=True))
        assignments = [f"{path}={json.dumps(value)}" for path, value in pairs]
        try:
            return self.source.resolve([*self.request.overrides, *assignments], self.request.seed)
        except ScenarioError as error:
            assigned = ", ".join(f"{path}={_format_value(value)}" for path, value in pairs)
            raise ScenarioError([self._attribute(problem, assigned) for problem in error.problems]) from None

    def _attribute(self, problem: str, values: str) -> str:
        """Attribute a problem to the varied path that it names, or else append all values of the point."""
        for path in self.design.paths:
            rest = problem.removeprefix(f"--set {path}")
            if rest != problem and rest[:1] in (":", ".", "["):
                return f"{self.labels[path]}{rest}"
        return f"{problem}{VALUES_NOTE}{values})"


@dataclass(frozen=True)
class SweepPlan:
    """All points of a sweep, in order; `base` is the scenario without varied values."""

    base: Scenario
    varied_scenario: VariedScenario
    points: tuple[Point, ...]
    warnings: tuple[str, ...] = ()

    @property
    def design(self) -> Design:
        """The varied paths and the layout of the points."""
        return self.varied_scenario.design

    @property
    def paths(self) -> tuple[str, ...]:
        """The varied paths, in order."""
        return self.design.paths

    @property
    def replications(self) -> int:
        """The number of runs of each point."""
        return self.varied_scenario.replications

    def read_scenario(self, number: int) -> Scenario:
        """Return the scenario of a point, resolved again because all of them would fill the memory.

        Raises ResultsError if one of its files has changed since the point was validated.
        """
        point = self.points[number]
        scenario = self.varied_scenario.read_scenario(point.values)
        if scenario.digest != point.digest:
            raise ResultsError("an input file of the scenario has changed while the sweep was running")
        return scenario


def _format_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def open_varied_scenario(path: Path, request: SweepRequest) -> VariedScenario:
    """Return the scenario file with its design; no point is read. Raises `ScenarioError`."""
    source = ScenarioSource(path)
    block = source.read_sweep()
    uses_block = request.vary is None  # the block's own values are varied, and by its design
    kind = request.design or (block.design if uses_block else None)
    points = request.points
    if points is None and (uses_block or request.design is not None) and block.points is not None:
        points = path.parent / block.points if isinstance(block.points, str) else block.points
    if kind is None:
        kind = "points" if isinstance(points, Path) else "grid"
    if (kind == "points") != isinstance(points, Path):
        problem = (
            "the design points needs a file" if kind == "points" else f"the design {kind} takes a number"
        )
        hint = "points: FILE.csv" if kind == "points" else "points: 64, or design: points"
        where = source.locate(("sweep", "points"))
        if kind == "points" or points is not None:
            raise ScenarioError([f"{where}: sweep.points: {problem} of points; {hint}"])
    if isinstance(points, Path):
        paths, rows = read_points(points)
        varied = {key: Choices(tuple(row[i] for row in rows)) for i, key in enumerate(paths)}
        labels = {key: f"{points}:1:1: {key}" for key in paths}
        design = Design("points", varied, rows=rows)
    else:
        vary = block.vary if request.vary is None else request.vary
        labels = {key: f"--vary {key}" for key in vary}
        if uses_block:
            labels = {key: f"{source.locate(('sweep', 'vary', key))}: sweep.vary.{key}" for key in vary}
        design = Design(kind, dict(vary), points, request.sensitivity or (uses_block and block.sensitivity))
    _check_paths(labels)
    return VariedScenario(source, request, design, request.replications or block.replications, labels)


def _check_paths(labels: Mapping[str, str]) -> None:
    """Raise `ScenarioError` for paths that are malformed or reserved."""
    problems = []
    for path, label in labels.items():
        try:
            first = str(parse_path(path)[0])
        except PathError as error:
            problems.append(f"{label}: {error}; {error.hint}")
            continue
        if first in RESERVED:
            problems.append(f"{label}: {first} cannot be varied; {RESERVED[first]}")
    if problems:
        raise ScenarioError(problems)


def plan_sweep(
    path: Path, request: SweepRequest, progress: Callable[[float], None] | None = None
) -> SweepPlan:
    """Read and validate the scenario and all points. Raises `ScenarioError` with the problems of all of them.

    `progress` is called with the share of points read, 0 to 1.
    """
    varied_scenario = open_varied_scenario(path, request)
    base = varied_scenario.read_base()
    try:
        rows = lay_out(varied_scenario.design, base.seed)
    except DesignError as error:
        if error.path is not None:
            where = varied_scenario.labels[error.path]
        else:
            where = (
                "--vary"
                if request.vary is not None
                else f"{varied_scenario.source.locate(('sweep',))}: sweep"
            )
        raise ScenarioError([f"{where}: {error}"]) from None
    points, problems, warnings = [], dict[str, str](), dict[str, None]()
    for number, values in enumerate(rows):
        try:
            scenario = varied_scenario.read_scenario(values)
            points.append(Point(values, scenario.digest))
            warnings.update(dict.fromkeys(scenario.warnings))
        except ScenarioError as error:
            for problem in error.problems:  # each once, with the first values that have it
                problems.setdefault(problem.partition(VALUES_NOTE)[0], problem)
        if progress is not None:
            progress((number + 1) / len(rows))
    if problems:
        lines = list(problems.values())
        more = len(lines) - MAX_PROBLEMS
        raise ScenarioError(lines[:MAX_PROBLEMS] + ([f"... and {more:,} more problems"] if more > 0 else []))
    return SweepPlan(base, varied_scenario, tuple(points), tuple(warnings))


def check_range_ends(varied_scenario: VariedScenario) -> None:
    """Validate both ends of each varied path, so that an invalid path or range is reported before a search begins.

    A value is refused if it is invalid by itself and with all other paths at either end; values that are invalid
    only in some combinations are found when they are proposed. Raises `ScenarioError`.
    """
    design = varied_scenario.design
    if not design.varied:
        raise ScenarioError(["--vary: nothing is varied; add a path with its values"])
    ends = {path: _range_ends(varied) for path, varied in design.varied.items()}
    problems = dict[str, None]()
    for path, values in ends.items():
        alone = VariedScenario(
            varied_scenario.source,
            varied_scenario.request,
            Design("grid", {path: design.varied[path]}),
            1,
            varied_scenario.labels,
        )
        for value in values:
            attempts = [_problems_of(alone, (value,), path)]
            for end in (0, -1):
                point = tuple(value if other == path else others[end] for other, others in ends.items())
                attempts.append(_problems_of(varied_scenario, point, path))
            if all(attempts):
                problems.update(dict.fromkeys(attempts[0]))
    if problems:
        raise ScenarioError(list(problems)[:MAX_PROBLEMS])


def _range_ends(varied: Varied) -> tuple[Any, ...]:
    return varied.values if isinstance(varied, Choices) else (value_at(varied, 0.0), value_at(varied, 1.0))


def _problems_of(varied_scenario: VariedScenario, values: PointValues, path: str) -> list[str]:
    """Return the problems of `path` in the scenario with these values."""
    try:
        varied_scenario.read_scenario(values)
    except ScenarioError as error:
        return [problem for problem in error.problems if problem.startswith(varied_scenario.labels[path])]
    return []
