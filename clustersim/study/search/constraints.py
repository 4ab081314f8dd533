"""The constraints of a search: bounds that the means of measures must keep.

Decides the syntax of a bound, when a mean keeps it and by how much it misses it. Must not know how points are
proposed. The search, its state and its report use it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clustersim.errors import ScenarioError

_BOUND = re.compile(
    r"\s*(?P<measure>[^<>=\s]+)\s*(?P<sign>>=|<=)\s*(?P<limit>[0-9.]+(?:[eE]-?\d+)?)\s*(?P<percent>%?)\s*"
)


@dataclass(frozen=True)
class Bound:
    """A bound on the mean of a measure: at least `limit`, or at most `limit` if not `at_least`."""

    measure: str
    at_least: bool
    limit: float

    def __str__(self) -> str:
        return f"{self.measure}{'>=' if self.at_least else '<='}{self.limit:g}"

    def violation(self, mean: float) -> float:
        """Return by how much a mean misses the bound, in the unit of the measure; 0 or less if it keeps it."""
        return self.limit - mean if self.at_least else mean - self.limit

    def relative_violation(self, mean: float) -> float:
        """Return the violation as a share of the limit, to compare violations of different measures."""
        return self.violation(mean) / (abs(self.limit) or 1.0)


def parse_bounds(texts: Sequence[str]) -> tuple[Bound, ...]:
    """Parse texts like `services.web.availability>=0.999` or `...>=99.9%`. Raises ScenarioError with every problem."""
    bounds, problems = [], []
    for text in texts:
        match = _BOUND.fullmatch(text)
        try:
            limit = float(match["limit"]) if match else 0.0
        except ValueError:
            match = None
        if match is None:
            what = f"--subject-to {text}: is not a bound of a measure"
            problems.append(f'{what}; write it like "services.web.availability>=0.999", in quotes')
            continue
        percent = 100.0 if match["percent"] else 1.0
        bounds.append(Bound(match["measure"], match["sign"] == ">=", limit / percent))
    if problems:
        raise ScenarioError(problems)
    return tuple(bounds)
