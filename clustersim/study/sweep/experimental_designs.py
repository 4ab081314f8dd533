"""Designs: which combinations of values a sweep looks at.

Decides how points are laid out: every combination (grid), a Latin hypercube, a Sobol sequence, or the rows of a
file. Must not know what a path leads to, nor whether a point is a sound scenario. `plan` calls it.

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
from clustersim.scenario.text.document import read_text

MAX_POINTS = 100_000
DIGITS = 6  # of a number drawn from a range: readable, and far finer than any effect

Values = tuple[Any, ...]


class DesignError(ValueError):
    """A design that cannot be laid out: at `path` (None: as a whole), what is wrong, what would be right."""

    def __init__(self, path: str | None, what: str, right: str) -> None:
        self.path = path
        super().__init__(f"{what}; {right}")


@dataclass(frozen=True)
class Design:
    """What is varied and how; `rows` are the points of a file, whose paths are the keys of `varied`."""

    kind: DesignKind
    varied: Mapping[str, Varied]
    points: int | None = None
    sensitivity: bool = False
    rows: tuple[Values, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The varied paths, in order."""
        return tuple(self.varied)


def lay_out(design: Design, seed: int) -> list[Values]:
    """The points: one value per path each. Raises `DesignError`.

    A Sobol design for sensitivity indices of n points and d paths has n * (d + 2): the samples A and B, then A
    with one path after the other taken from B (Saltelli et al. 2010), which `stats.sensitivity` reads.
    """
    if design.kind == "points":
        return list(design.rows)
    if not design.varied:
        raise DesignError(None, "nothing is varied", "add a path with its values")
    if design.sensitivity and design.kind != "sobol":
        raise DesignError(None, f"a {design.kind} has no sensitivity indices", "design: sobol has")
    if design.kind == "grid":
        return _grid(design)
    return _sampled(design, seed)


def _grid(design: Design) -> list[Values]:
    lists = []
    for path, varied in design.varied.items():
        if not isinstance(varied, Choices):
            right = "list the values, or choose the design latinHypercube or sobol"
            raise DesignError(path, "a grid needs values, not a range", right)
        lists.append(varied.values)
    if design.points is not None:
        raise DesignError(
            None, "a grid's points are its combinations", "leave out points, or choose a design"
        )
    _check_size(math.prod(map(len, lists)))
    return list(itertools.product(*lists))


def _sampled(design: Design, seed: int) -> list[Values]:
    from scipy.stats import qmc

    n, d = design.points, len(design.varied)
    if n is None:
        raise DesignError(None, f"the design {design.kind} needs a number of points", "add points: 64")
    generator = np.random.Generator(np.random.Philox(seed))
    if design.kind == "latinHypercube":
        _check_size(n)
        return _scaled(design, qmc.LatinHypercube(d, rng=generator).random(n))
    if n & (n - 1):
        below = 1 << (n.bit_length() - 1)
        what = f"a Sobol design is balanced only with a power of two of points, and {n} is none"
        raise DesignError(None, what, f"{below} or {2 * below}")
    if not design.sensitivity:
        _check_size(n)
        return _scaled(design, qmc.Sobol(d, rng=generator).random(n))
    _check_size(n * (d + 2))
    both = qmc.Sobol(2 * d, rng=generator).random(n)
    first, second = both[:, :d], both[:, d:]
    samples = [first, second]
    for number in range(d):
        mixed = first.copy()
        mixed[:, number] = second[:, number]
        samples.append(mixed)
    return _scaled(design, np.concatenate(samples))


def _check_size(points: int) -> None:
    if points > MAX_POINTS:
        right = f"at most {MAX_POINTS:,}; latinHypercube and sobol cover many paths with few points"
        raise DesignError(None, f"the design has {points:,} points", right)


def _scaled(design: Design, unit: npt.NDArray[np.float64]) -> list[Values]:
    """Points of the unit cube as values: equal parts of it for the values of a list."""
    columns = [_column(varied, unit[:, i]) for i, varied in enumerate(design.varied.values())]
    return list(zip(*columns, strict=True))


def _column(varied: Varied, unit: npt.NDArray[np.float64]) -> list[Any]:
    if isinstance(varied, Choices):
        size = len(varied.values)
        return [varied.values[min(int(u * size), size - 1)] for u in unit]
    return [value_in(varied, float(u)) for u in unit]


def value_in(varied: Range, u: float) -> int | float:
    """The value of a range at `u` of the way, 0 to 1; each whole number has an equal part of it."""
    if varied.integer:
        count = int(varied.high - varied.low) + 1
        return int(varied.low) + min(int(u * count), count - 1)
    return float(f"{varied.low + u * (varied.high - varied.low):.{DIGITS}g}")


def read_points(path: Path) -> tuple[tuple[str, ...], tuple[Values, ...]]:
    """The paths (its header) and the points (its rows) of a CSV file; cells are YAML, an empty one removes a value.

    Raises `ScenarioError` with every problem of the file.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream, skipinitialspace=True, strict=True)
            numbered = [(lines.line_num, line) for line in lines if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ScenarioError([f"{path}:1:1: a file of points cannot be read: {reason}"]) from None
    problems = []
    header = tuple(cell.strip() for cell in numbered[0][1]) if numbered else ()
    if not header or not all(header):
        problems.append(f"{path}:1:1: a column has no path; the header names the path of every column")
    for column, name in enumerate(header):
        if name in header[:column]:
            problems.append(f"{path}:1:1: {name}: two columns have this path; keep one")
    if len(numbered) < 2:
        problems.append(f"{path}:2:1: there are no points; write one row for each")
    rows = []
    for line, cells in numbered[1:]:
        if len(cells) != len(header):
            problems.append(
                f"{path}:{line}:1: {len(cells)} values, but {len(header)} paths; a value for each"
            )
            continue
        values = []
        for name, cell in zip(header, cells, strict=True):
            document = read_text(cell, name) if cell.strip() else None
            if document is not None and document.faults:
                what = f"{name}: {cell!r} is not YAML: {document.faults[0][2]}; quote what holds commas"
                problems.append(f"{path}:{line}:1: {what}")
            values.append(None if document is None else document.value)
        rows.append(tuple(values))
    if problems:
        raise ScenarioError(problems)
    return header, tuple(rows)
