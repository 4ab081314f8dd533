"""Which points a search looks at next: optuna's tree-structured Parzen estimator, asked and told.

Decides how a varied path is presented to optuna. Must not know what a point costs or how it is run. The search
asks it; optuna is imported here only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clustersim.errors import ResultsError
from clustersim.scenario.sections.sweep import Choices, Varied
from clustersim.study.sweep.experimental_designs import DIGITS, Design, Values


@dataclass(frozen=True)
class Proposal:
    """A point that was asked for, with what optuna knows it by."""

    values: Values
    trial: Any


class Proposer:
    """Proposes points of a design; the same seed and answers give the same points."""

    def __init__(self, design: Design, seed: int) -> None:
        try:
            import optuna
        except ImportError as error:
            raise ResultsError("optuna is not installed; `pip install clustersim[tune]` brings it") from error
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._orders = {path: _ordered(varied) for path, varied in design.varied.items()}
        self._varied = dict(design.varied)
        self._space = {path: self._distribution(optuna, path) for path in self._varied}
        # A seed of numpy's old generator, which optuna takes: 32 bits.
        sampler = optuna.samplers.TPESampler(seed=seed % 2**32)
        self._study = optuna.create_study(sampler=sampler)
        self._pruned = optuna.trial.TrialState.FAIL

    @property
    def size(self) -> float:
        """How many points there are; infinite with a range that is not of whole numbers."""
        return math.prod(self._count(path) for path in self._varied)

    def _count(self, path: str) -> float:
        varied = self._varied[path]
        if isinstance(varied, Choices):
            return len(varied.values)
        return varied.high - varied.low + 1 if varied.integer else math.inf

    def _distribution(self, optuna: Any, path: str) -> Any:
        varied = self._varied[path]
        of = optuna.distributions
        if not isinstance(varied, Choices):
            if varied.integer:
                return of.IntDistribution(int(varied.low), int(varied.high))
            return of.FloatDistribution(varied.low, varied.high)
        last = len(varied.values) - 1
        if _are_numbers(varied):  # their order means something: by number in it
            return of.IntDistribution(0, last)
        return of.CategoricalDistribution(list(range(last + 1)))

    def ask(self, number: int) -> list[Proposal]:
        """So many points, not all of which need be new."""
        trials = [self._study.ask(self._space) for _ in range(number)]
        return [
            Proposal(tuple(self._value(path, t.params[path]) for path in self._varied), t) for t in trials
        ]

    def _value(self, path: str, parameter: Any) -> Any:
        order = self._orders[path]
        if order is not None:
            return order[int(parameter)]
        return parameter if isinstance(parameter, int) else float(f"{parameter:.{DIGITS}g}")

    def tell(self, proposal: Proposal, value: float, misses: Mapping[str, float]) -> None:
        """How a point did: its value, and by how much it misses each bound (0 or less: not)."""
        for name, miss in misses.items():
            proposal.trial.set_constraint(name, miss)
        self._study.tell(proposal.trial, value)

    def failed(self, proposal: Proposal) -> None:
        """The point has no value."""
        self._study.tell(proposal.trial, state=self._pruned)


def _are_numbers(varied: Choices) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in varied.values)


def _ordered(varied: Varied) -> list[Any] | None:
    """The values of a list by the number that optuna has for each; None for a range."""
    if not isinstance(varied, Choices):
        return None
    return sorted(varied.values) if _are_numbers(varied) else list(varied.values)
