"""What a search wants: one measure as small as can be, others within bounds.

Decides how an objective is written, when a point meets it and how far it is from that. Must not know how points
are chosen. The search and its report use it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clustersim.errors import ScenarioError

_WRITTEN = re.compile(
    r"\s*(?P<measure>[^<>=\s]+)\s*(?P<sign>>=|<=)\s*(?P<bound>[0-9.]+(?:[eE]-?\d+)?)\s*(?P<percent>%?)\s*"
)


@dataclass(frozen=True)
class Objective:
    """A bound that the mean of a measure has to keep."""

    measure: str
    at_least: bool
    bound: float

    def __str__(self) -> str:
        return f"{self.measure}{'>=' if self.at_least else '<='}{self.bound:g}"

    def miss(self, mean: float) -> float:
        """By how much a mean misses the bound, in the unit of the measure; 0 or less where it keeps it."""
        return self.bound - mean if self.at_least else mean - self.bound

    def relative_miss(self, mean: float) -> float:
        """The same as a share of the bound, so that misses of different measures can be compared."""
        return self.miss(mean) / (abs(self.bound) or 1.0)


def read_objectives(texts: Sequence[str]) -> tuple[Objective, ...]:
    """`services.web.availability>=0.999` or `...>=99.9%` each. Raises ScenarioError with every problem."""
    found, problems = [], []
    for text in texts:
        match = _WRITTEN.fullmatch(text)
        try:
            bound = float(match["bound"]) if match else 0.0
        except ValueError:
            match = None
        if match is None:
            what = f"--subject-to {text}: is no bound of a measure"
            problems.append(f'{what}; write it like "services.web.availability>=0.999", in quotes')
            continue
        percent = 100.0 if match["percent"] else 1.0
        found.append(Objective(match["measure"], match["sign"] == ">=", bound / percent))
    if problems:
        raise ScenarioError(problems)
    return tuple(found)
