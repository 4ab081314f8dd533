"""Experimental designs: the combinations of values that a sweep runs.

Decides how points are laid out: every combination (grid), a Latin hypercube, a Sobol sequence, or the rows of a
file. Must not know what a path refers to, nor whether a point is a valid scenario. `plan` calls it.

The same design, seed and version give the same points, in the same order.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clustersim.errors import ScenarioError
from clustersim.scenario.sections.sweep import Choices, DesignKind, Range, Varied
from clustersim.scenario.text.document import parse_document

MAX_POINTS = 100_000
SIGNIFICANT_DIGITS = 6  # of a number drawn from a range: readable, and much finer than any effect

PointValues = tuple[Any, ...]
"""The values of a point, one per varied path."""


class DesignError(ValueError):
    """A design that cannot be laid out; `path` is the varied path to blame, None for the design as a whole."""

    def __init__(self, path: str | None, problem: str, hint: str) -> None:
        self.path = path
        super().__init__(f"{problem}; {hint}")


@dataclass(frozen=True)
class Design:
    """The varied paths and the kind of design; `rows` are the points of a file, for the paths of `varied`."""

    kind: DesignKind
    varied: Mapping[str, Varied]
    points: int | None = None
    sensitivity: bool = False
    rows: tuple[PointValues, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The varied paths, in order."""
        return tuple(self.varied)


def lay_out(design: Design, seed: int) -> list[PointValues]:
    """Return the points of a design. Raises `DesignError`.

    A Sobol design for sensitivity indices of n points and d paths has n * (d + 2): the samples A and B, then A
    with one path after the other taken from B (Saltelli et al. 2010), which `stats.sensitivity` reads.
    """
    if design.kind == "points":
        return list(design.rows)
    if not design.varied:
        raise DesignError(None, "nothing is varied", "add a path with its values")
    if design.sensitivity and design.kind != "sobol":
        raise DesignError(None, f"a {design.kind} has no sensitivity indices", "use design: sobol")
    if design.kind == "grid":
        return _grid_points(design)
    return _sampled_points(design, seed)


def _grid_points(design: Design) -> list[PointValues]:
    lists = []
    for path, varied in design.varied.items():
        if not isinstance(varied, Choices):
            hint = "list the values, or choose the design latinHypercube or sobol"
            raise DesignError(path, "a grid needs values, not a range", hint)
        lists.append(varied.values)
    if design.points is not None:
        raise DesignError(
            None, "a grid's points are its combinations", "leave out points, or choose a design"
        )
    _check_size(math.prod(map(len, lists)))
    return list(itertools.product(*lists))


def _sampled_points(design: Design, seed: int) -> list[PointValues]:
    from scipy.stats import qmc

    n, d = design.points, len(design.varied)
    if n is None:
        raise DesignError(None, f"the design {design.kind} needs a number of points", "add points: 64")
    generator = np.random.Generator(np.random.Philox(seed))
    if design.kind == "latinHypercube":
        _check_size(n)
        return _scale_points(design, qmc.LatinHypercube(d, rng=generator).random(n))
    if n & (n - 1):
        below = 1 << (n.bit_length() - 1)
        problem = f"a Sobol design is balanced only for a power of two of points, and {n} is not one"
        raise DesignError(None, problem, f"{below} or {2 * below}")
    if not design.sensitivity:
        _check_size(n)
        return _scale_points(design, qmc.Sobol(d, rng=generator).random(n))
    _check_size(n * (d + 2))
    both = qmc.Sobol(2 * d, rng=generator).random(n)
    first, second = both[:, :d], both[:, d:]
    samples = [first, second]
    for number in range(d):
        mixed = first.copy()
        mixed[:, number] = second[:, number]
        samples.append(mixed)
    return _scale_points(design, np.concatenate(samples))


def _check_size(points: int) -> None:
    if points > MAX_POINTS:
        hint = f"at most {MAX_POINTS:,}; latinHypercube and sobol cover many paths with few points"
        raise DesignError(None, f"the design has {points:,} points", hint)


def _scale_points(design: Design, unit: npt.NDArray[np.float64]) -> list[PointValues]:
    """Map points of the unit cube to values; each value of a list has an equal share of its axis."""
    columns = [_scale_column(varied, unit[:, i]) for i, varied in enumerate(design.varied.values())]
    return list(zip(*columns, strict=True))


def _scale_column(varied: Varied, unit: npt.NDArray[np.float64]) -> list[Any]:
    if isinstance(varied, Choices):
        size = len(varied.values)
        return [varied.values[min(int(u * size), size - 1)] for u in unit]
    return [value_at(varied, float(u)) for u in unit]


def value_at(varied: Range, u: float) -> int | float:
    """Return the value of a range at the fraction `u`, 0 to 1; each integer has an equal share of it."""
    if varied.integer:
        count = int(varied.high - varied.low) + 1
        return int(varied.low) + min(int(u * count), count - 1)
    return float(f"{varied.low + u * (varied.high - varied.low):.{SIGNIFICANT_DIGITS}g}")


def read_points(path: Path) -> tuple[tuple[str, ...], tuple[PointValues, ...]]:
    """Read a CSV file and return its paths (the header) and its points (the rows).

    Cells are YAML; an empty cell removes the value. Raises `ScenarioError` with every problem of the file.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream, skipinitialspace=True, strict=True)
            numbered = [(lines.line_num, line) for line in lines if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ScenarioError([f"{path}:1:1: the file of points cannot be read: {reason}"]) from None
    problems = []
    header = tuple(cell.strip() for cell in numbered[0][1]) if numbered else ()
    if not header or not all(header):
        problems.append(f"{path}:1:1: a column has no path; name the path of every column in the header")
    for column, name in enumerate(header):
        if name in header[:column]:
            problems.append(f"{path}:1:1: {name}: two columns have this path; keep one")
    if len(numbered) < 2:
        problems.append(f"{path}:2:1: there are no points; write one row per point")
    rows = []
    for line, cells in numbered[1:]:
        if len(cells) != len(header):
            problems.append(
                f"{path}:{line}:1: {len(cells)} values, but {len(header)} paths; write one value per path"
            )
            continue
        values = []
        for name, cell in zip(header, cells, strict=True):
            document = parse_document(cell, name) if cell.strip() else None
            if document is not None and document.errors:
                problem = f"{name}: {cell!r} is not YAML: {document.errors[0][2]}; quote values with commas"
                problems.append(f"{path}:{line}:1: {problem}")
            values.append(None if document is None else document.value)
        rows.append(tuple(values))
    if problems:
        raise ScenarioError(problems)
    return header, tuple(rows)
