"""A finished comparison: a sweep over options and loads, and what it says of them.

Decides which option wins on what, where the cheapest changes with the load, and from which price of operations
Fargate wins. Must not know how any of it is shown. Users get a `Comparison` from `cs.compare` and `cs.open`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from clustersim import stats
from clustersim.study.compare.metrics import PREFIX
from clustersim.study.pages.metric_labels import NOTHING, figure
from clustersim.study.sweep.sweep_result import Sweep

KIND = "comparison"
BILL = f"{PREFIX}cost_usd_per_month"
OPERATIONS_USD = f"{PREFIX}operations_usd_per_month"
TOTAL = f"{PREFIX}total_usd_per_month"
SERVERS = f"{PREFIX}servers"


@dataclass(frozen=True)
class Criterion:
    """A figure that options are compared by; `better` is -1 for the less the better, 1 for the more, 0 for neither."""

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
class Verdict:
    """Who wins by a criterion: the options that chance does not tell from the best one, the best one first.

    `margin` is the paired difference of the next one from the best, None where nobody is left behind.
    """

    criterion: Criterion
    winners: tuple[str, ...]
    next: str | None
    margin: stats.Interval | None


@dataclass(frozen=True)
class BreakEven:
    """Between two loads the cheapest option changes; `load` is where their costs meet, on straight lines between."""

    below: str
    above: str
    low: float
    high: float
    load: float


@dataclass(frozen=True)
class OperationsPrice:
    """From which price of an instance-month `fargate` costs less than `servers`: USD, with its interval.

    At or below 0: at any price.
    """

    servers: str
    fargate: str
    usd: stats.Interval


class Comparison(Sweep):
    """A complete comparison: a sweep whose points are options, times loads where several were asked for."""

    @classmethod
    def of(cls, sweep: Sweep) -> Comparison:
        """The comparison that a sweep is."""
        return cls(sweep.path, sweep.manifest, sweep.summary.to_arrow())

    def __repr__(self) -> str:
        return f"<Comparison {self.path}: {', '.join(self.options)}, {len(self.summary):,} runs>"

    @property
    def asked(self) -> list[dict[str, Any]]:
        """Every option that was asked for: `option`, `changes` that were made for it, `why_not` if it cannot run."""
        told: list[dict[str, Any]] = self.manifest["comparison"]["options"]
        return told

    @property
    def options(self) -> tuple[str, ...]:
        """The options that run."""
        return tuple(each["option"] for each in self.asked if not each["why_not"])

    @property
    def loads(self) -> tuple[float, ...]:
        """The load multipliers, ascending."""
        return tuple(self.manifest["comparison"]["loads"])

    @property
    def usd_per_instance_month(self) -> float:
        """What looking after an instance for a month costs, as the scenario says."""
        return float(self.manifest["comparison"]["operations_usd_per_instance_month"])

    @property
    def cost(self) -> str:
        """The measure by which the cheapest is found: the bill, with operations where they have a price."""
        return TOTAL if self.usd_per_instance_month else BILL

    @cached_property
    def _points(self) -> dict[tuple[str, float], int]:
        return {
            (point["option"], float(point.get("load", 1.0))): number
            for number, point in enumerate(self.points)
        }

    def point(self, option: str, load: float = 1.0) -> int:
        """The number of the point of an option at a load."""
        return self._points[option, load]

    def of_option(self, measure: str, option: str, load: float = 1.0) -> stats.Interval | None:
        """The mean of a measure under an option; None where no run has it."""
        return self.interval(measure, self.point(option, load)) if measure in self.measures else None

    def against(self, measure: str, option: str, base: str, load: float = 1.0) -> stats.Interval | None:
        """How much larger a measure is under `option` than under `base`, in pairs of replications."""
        return self.difference(measure, self.point(option, load), self.point(base, load))

    @property
    def criteria(self) -> list[Criterion]:
        """The criteria that some option has a figure for; costs together only where operations cost anything."""
        return [
            each
            for each in CRITERIA
            if any(self.of_option(each.measure, option) for option in self.options)
            and (each.measure != TOTAL or self.usd_per_instance_month)
        ]

    def ranked(self, criterion: Criterion, load: float = 1.0) -> list[str]:
        """The options that have the figure, the best first; of equals the one that was asked for first."""
        found = {option: self.of_option(criterion.measure, option, load) for option in self.options}
        means = {option: interval.mean for option, interval in found.items() if interval is not None}
        return sorted(means, key=lambda option: -criterion.better * means[option])

    def verdicts(self) -> list[Verdict]:
        """Who wins by each criterion that has a better and a worse."""
        return [self._verdict(each) for each in self.criteria if each.better]

    def _verdict(self, criterion: Criterion) -> Verdict:
        best, *others = self.ranked(criterion)
        margins = {option: self.against(criterion.measure, option, best) for option in others}
        shown = {option: self._figure(criterion.measure, option) for option in (best, *others)}
        behind = [each for each in others if shown[each] != shown[best] and _told_apart(margins[each])]
        winners = (best, *(option for option in others if option not in behind))
        return Verdict(
            criterion, winners, behind[0] if behind else None, margins[behind[0]] if behind else None
        )

    def _figure(self, measure: str, option: str) -> str:
        """A mean as it is shown: what looks the same is not worth a verdict."""
        interval = self.of_option(measure, option)
        return "" if interval is None else figure(measure, interval.mean)

    def cheapest(self, load: float = 1.0) -> str | None:
        """The option of the least mean cost; None where no run succeeded."""
        return next(iter(self.ranked(Criterion(self.cost, "", -1), load)), None)

    def break_evens(self) -> list[BreakEven]:
        """Where the cheapest option changes, from the least load to the greatest."""
        found = []
        for low, high in itertools.pairwise(self.loads):
            below, above = self.cheapest(low), self.cheapest(high)
            if below is None or above is None or below == above:
                continue
            # How much dearer the one that wins above is: more than 0 at `low`, less at `high`.
            at_low, at_high = (self.against(self.cost, above, below, load) for load in (low, high))
            if at_low is None or at_high is None or at_low.mean == at_high.mean:
                continue
            share = at_low.mean / (at_low.mean - at_high.mean)
            found.append(BreakEven(below, above, low, high, low + share * (high - low)))
        return found

    def operations_prices(self) -> list[OperationsPrice]:
        """For each option with servers, and each on Fargate, the price from which Fargate costs less."""
        on_fargate = [option for option in self.options if "fargate" in option]
        pairs = itertools.product([each for each in self.options if each not in on_fargate], on_fargate)
        prices = {pair: self._operations_price(*pair) for pair in pairs}
        return [OperationsPrice(*pair, usd) for pair, usd in prices.items() if usd is not None]

    def _operations_price(self, servers: str, fargate: str) -> stats.Interval | None:
        """The dearer bill of Fargate per server that it saves, replication by replication."""
        values = {
            (measure, option): self.values(measure, self.point(option))
            for measure in (BILL, SERVERS)
            for option in (servers, fargate)
        }
        n = min(map(len, values.values()))
        cut = {key: each[:n] for key, each in values.items()}
        dearer = cut[BILL, fargate] - cut[BILL, servers]
        saved = cut[SERVERS, servers] - cut[SERVERS, fargate]
        usable = ~np.isnan(dearer) & (saved > 0)
        return stats.mean_interval(dearer[usable] / saved[usable]) if usable.any() else None


def _told_apart(difference: stats.Interval | None) -> bool:
    """Whether chance does not explain a difference; one replication cannot tell, so there any difference counts."""
    if difference is None or abs(difference.mean) < NOTHING:
        return False
    return difference.n == 1 or difference.excludes_zero
