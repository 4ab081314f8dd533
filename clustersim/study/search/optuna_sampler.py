"""The proposer of points: optuna's tree-structured Parzen estimator behind its ask-and-tell interface.

Decides how a varied path is presented to optuna. Must not know how a point is simulated. The search asks it for
points and reports their values; optuna is imported here only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clustersim.errors import ResultsError
from clustersim.scenario.sections.sweep import Choices, Varied
from clustersim.study.sweep.experimental_designs import SIGNIFICANT_DIGITS, Design, PointValues


@dataclass(frozen=True)
class ProposedPoint:
    """A proposed point, and the optuna trial that stands for it."""

    values: PointValues
    trial: Any


class OptunaSampler:
    """Proposes points of a design; the same seed and the same reports give the same points."""

    def __init__(self, design: Design, seed: int) -> None:
        try:
            import optuna
        except ImportError as error:
            raise ResultsError(
                "optuna is not installed; `pip install clustersim[tune]` installs it"
            ) from error
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._ordered_values = {path: _values_in_order(varied) for path, varied in design.varied.items()}
        self._varied = dict(design.varied)
        self._space = {path: self._distribution(optuna, path) for path in self._varied}
        # optuna seeds numpy's legacy generator, which takes 32 bits.
        sampler = optuna.samplers.TPESampler(seed=seed % 2**32)
        self._study = optuna.create_study(sampler=sampler)
        self._failed_state = optuna.trial.TrialState.FAIL

    @property
    def space_size(self) -> float:
        """The number of points in the design; infinite if a range is continuous."""
        return math.prod(self._count(path) for path in self._varied)

    def _count(self, path: str) -> float:
        varied = self._varied[path]
        if isinstance(varied, Choices):
            return len(varied.values)
        return varied.high - varied.low + 1 if varied.integer else math.inf

    def _distribution(self, optuna: Any, path: str) -> Any:
        varied = self._varied[path]
        distributions = optuna.distributions
        if not isinstance(varied, Choices):
            if varied.integer:
                return distributions.IntDistribution(int(varied.low), int(varied.high))
            return distributions.FloatDistribution(varied.low, varied.high)
        last = len(varied.values) - 1
        if _are_numbers(varied):  # ordinal: a value is represented by its rank
            return distributions.IntDistribution(0, last)
        return distributions.CategoricalDistribution(list(range(last + 1)))

    def propose(self, count: int) -> list[ProposedPoint]:
        """Return `count` points, some of which may have been proposed before."""
        trials = [self._study.ask(self._space) for _ in range(count)]
        return [
            ProposedPoint(tuple(self._value(path, t.params[path]) for path in self._varied), t)
            for t in trials
        ]

    def _value(self, path: str, parameter: Any) -> Any:
        values = self._ordered_values[path]
        if values is not None:
            return values[int(parameter)]
        return parameter if isinstance(parameter, int) else float(f"{parameter:.{SIGNIFICANT_DIGITS}g}")

    def report(self, proposal: ProposedPoint, value: float, violations: Mapping[str, float]) -> None:
        """Report the value of a point, and its violation of each bound (0 or less: kept)."""
        for name, violation in violations.items():
            proposal.trial.set_constraint(name, violation)
        self._study.tell(proposal.trial, value)

    def report_failure(self, proposal: ProposedPoint) -> None:
        """Report that a point has no value."""
        self._study.tell(proposal.trial, state=self._failed_state)


def _are_numbers(varied: Choices) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in varied.values)


def _values_in_order(varied: Varied) -> list[Any] | None:
    """Return the values of a list in the order of optuna's indices; None for a range."""
    if not isinstance(varied, Choices):
        return None
    return sorted(varied.values) if _are_numbers(varied) else list(varied.values)
