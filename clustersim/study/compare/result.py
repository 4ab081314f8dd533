"""The result of a comparison: a sweep over options and loads, and the options that win by each criterion.

Decides which option wins by which criterion, where the cheapest changes with the load, and from which price of
operations Fargate wins. Must not know how results are shown. Users get a `Comparison` from `cs.compare` and `cs.open`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from clustersim import stats
from clustersim.study.compare.measures import PREFIX
from clustersim.study.pages.measure_labels import ROUNDING_ERROR, format_value
from clustersim.study.sweep.sweep_result import Sweep

KIND = "comparison"
BILL = f"{PREFIX}cost_usd_per_month"
OPERATIONS_USD = f"{PREFIX}operations_usd_per_month"
TOTAL = f"{PREFIX}total_usd_per_month"
SERVERS = f"{PREFIX}servers"


@dataclass(frozen=True)
class Criterion:
    """A measure by which options are compared; `better` is -1 if less is better, 1 if more is, 0 for neither."""

    measure: str
    label: str
    better: int


CRITERIA = (
    Criterion(BILL, "USD a month, the bill", -1),
    Criterion(OPERATIONS_USD, "USD a month, operations", 0),
    Criterion(TOTAL, "USD a month, both", -1),
    Criterion(f"{PREFIX}availability", "available", 1),
    Criterion(f"{PREFIX}response_time_p99_s", "response, P99", -1),
    Criterion(f"{PREFIX}task_start_p50_s", "task start, median", -1),
    Criterion(f"{PREFIX}task_start_p99_s", "task start, P99", -1),
    Criterion(f"{PREFIX}jobs_completed", "jobs completed", 1),
    Criterion(f"{PREFIX}cpu_reservation_mean", "CPU reserved, mean", 0),
    Criterion(f"{PREFIX}memory_reservation_mean", "memory reserved, mean", 0),
    Criterion(SERVERS, "servers to manage", -1),
    Criterion(f"{PREFIX}guest_os_memory_gib", "GiB of guest systems", -1),
)


@dataclass(frozen=True)
class CriterionVerdict:
    """The winners by a criterion: the best option first, then those that do not differ from it significantly.

    `next` is the best of the other options and `margin` its paired difference from the best; None if all win.
    """

    criterion: Criterion
    winners: tuple[str, ...]
    next: str | None
    margin: stats.Interval | None


@dataclass(frozen=True)
class BreakEven:
    """A change of the cheapest option between two loads; `load` is where their linearly interpolated costs cross."""

    below: str
    above: str
    low: float
    high: float
    load: float


@dataclass(frozen=True)
class OperationsPrice:
    """The price of operations, in USD per instance and month, above which `fargate` costs less than `servers`.

    0 or less: Fargate costs less at any price.
    """

    servers: str
    fargate: str
    usd: stats.Interval


class Comparison(Sweep):
    """A complete comparison: a sweep whose points are options, times loads if there are several."""

    @classmethod
    def from_sweep(cls, sweep: Sweep) -> Comparison:
        """Return the sweep of a comparison as a `Comparison`."""
        return cls(sweep.path, sweep.manifest, sweep.summary.to_arrow())

    def __repr__(self) -> str:
        return f"<Comparison {self.path}: {', '.join(self.options)}, {len(self.summary):,} runs>"

    @property
    def requested_options(self) -> list[dict[str, Any]]:
        """Every requested option: `option`, the `changes` made for it, and `why_not` if it cannot run."""
        options: list[dict[str, Any]] = self.manifest["comparison"]["options"]
        return options

    @property
    def options(self) -> tuple[str, ...]:
        """The options that can run the workload."""
        return tuple(each["option"] for each in self.requested_options if not each["why_not"])

    @property
    def loads(self) -> tuple[float, ...]:
        """The load multipliers, ascending."""
        return tuple(self.manifest["comparison"]["loads"])

    @property
    def usd_per_instance_month(self) -> float:
        """The scenario's price of operating an instance, in USD per month."""
        return float(self.manifest["comparison"]["operations_usd_per_instance_month"])

    @property
    def cost(self) -> str:
        """The measure that ranks costs: the bill, plus operations if they have a price."""
        return TOTAL if self.usd_per_instance_month else BILL

    @cached_property
    def _points(self) -> dict[tuple[str, float], int]:
        return {
            (point["option"], float(point.get("load", 1.0))): number
            for number, point in enumerate(self.points)
        }

    def point(self, option: str, load: float = 1.0) -> int:
        """Return the number of the point of an option at a load."""
        return self._points[option, load]

    def of_option(self, measure: str, option: str, load: float = 1.0) -> stats.Interval | None:
        """Return the mean of a measure under an option; None if no run has it."""
        return self.interval(measure, self.point(option, load)) if measure in self.measures else None

    def difference_from(
        self, measure: str, option: str, base: str, load: float = 1.0
    ) -> stats.Interval | None:
        """Return the mean paired difference of a measure, `option` minus `base`."""
        return self.difference(measure, self.point(option, load), self.point(base, load))

    @property
    def criteria(self) -> list[Criterion]:
        """The criteria that some option has a figure for; the total cost only if operations have a price."""
        return [
            each
            for each in CRITERIA
            if any(self.of_option(each.measure, option) for option in self.options)
            and (each.measure != TOTAL or self.usd_per_instance_month)
        ]

    def rank_options(self, criterion: Criterion, load: float = 1.0) -> list[str]:
        """Return the options that have the figure, the best first; ties keep the requested order."""
        intervals = {option: self.of_option(criterion.measure, option, load) for option in self.options}
        means = {option: interval.mean for option, interval in intervals.items() if interval is not None}
        return sorted(means, key=lambda option: -criterion.better * means[option])

    def verdicts(self) -> list[CriterionVerdict]:
        """Return the winners by each criterion for which less or more is better."""
        return [self._verdict(each) for each in self.criteria if each.better]

    def _verdict(self, criterion: Criterion) -> CriterionVerdict:
        best, *others = self.rank_options(criterion)
        margins = {option: self.difference_from(criterion.measure, option, best) for option in others}
        shown = {option: self._figure(criterion.measure, option) for option in (best, *others)}
        losers = [each for each in others if shown[each] != shown[best] and _is_significant(margins[each])]
        winners = (best, *(option for option in others if option not in losers))
        return CriterionVerdict(
            criterion, winners, losers[0] if losers else None, margins[losers[0]] if losers else None
        )

    def _figure(self, measure: str, option: str) -> str:
        """Return a mean as it is shown: options that look the same do not count as different."""
        interval = self.of_option(measure, option)
        return "" if interval is None else format_value(measure, interval.mean)

    def cheapest(self, load: float = 1.0) -> str | None:
        """Return the option with the least mean cost; None if no run succeeded."""
        return next(iter(self.rank_options(Criterion(self.cost, "", -1), load)), None)

    def break_evens(self) -> list[BreakEven]:
        """Return where the cheapest option changes, from the least load to the greatest."""
        break_evens = []
        for low, high in itertools.pairwise(self.loads):
            below, above = self.cheapest(low), self.cheapest(high)
            if below is None or above is None or below == above:
                continue
            # Cost of the option that wins above minus the one that wins below: positive at `low`, negative at `high`.
            at_low, at_high = (self.difference_from(self.cost, above, below, load) for load in (low, high))
            if at_low is None or at_high is None or at_low.mean == at_high.mean:
                continue
            share = at_low.mean / (at_low.mean - at_high.mean)
            break_evens.append(BreakEven(below, above, low, high, low + share * (high - low)))
        return break_evens

    def operations_prices(self) -> list[OperationsPrice]:
        """Return, for each option with servers and each on Fargate, the price from which Fargate costs less."""
        on_fargate = [option for option in self.options if "fargate" in option]
        pairs = itertools.product([each for each in self.options if each not in on_fargate], on_fargate)
        prices = {pair: self._operations_price(*pair) for pair in pairs}
        return [OperationsPrice(*pair, usd) for pair, usd in prices.items() if usd is not None]

    def _operations_price(self, servers: str, fargate: str) -> stats.Interval | None:
        """Return the additional bill of Fargate per saved server, averaged over replications."""
        values = {
            (measure, option): self.values(measure, self.point(option))
            for measure in (BILL, SERVERS)
            for option in (servers, fargate)
        }
        n = min(map(len, values.values()))
        paired = {key: each[:n] for key, each in values.items()}
        additional = paired[BILL, fargate] - paired[BILL, servers]
        saved = paired[SERVERS, servers] - paired[SERVERS, fargate]
        usable = ~np.isnan(additional) & (saved > 0)
        return stats.mean_interval(additional[usable] / saved[usable]) if usable.any() else None


def _is_significant(difference: stats.Interval | None) -> bool:
    """Return whether a difference is significant; with a single replication any difference counts."""
    if difference is None or abs(difference.mean) < ROUNDING_ERROR:
        return False
    return difference.n == 1 or difference.excludes_zero
