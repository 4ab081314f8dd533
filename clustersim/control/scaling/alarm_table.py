"""Alarms as a table: from policies and PutMetricAlarm blocks to the records that a kernel evaluates.

One table per kind of target (services, Auto Scaling groups, alarms that only watch). It keeps datapoints and
states, and asks metric math for its values; what follows from an alarm in ALARM is decided elsewhere. The
arithmetic is `policy.scaling.cloudwatch_alarms`'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clustersim.control.scaling.cloudwatch_metrics import Measures
from clustersim.engine.array_block import pointer
from clustersim.policy.scaling import cloudwatch_alarms as alarms
from clustersim.policy.scaling.cloudwatch_metrics import (
    METRIC_NAMES,
    SUMMED,
    Expression,
    Named,
    Subject,
    metric_named,
)
from clustersim.policy.scaling.service_scaling import step_adjustment, step_capacity
from clustersim.scenario.sections.scenario import StepScaling, TargetTracking
from clustersim.vocabulary import MS_PER_MINUTE, MS_PER_SECOND, NEVER

Int64s = npt.NDArray[np.int64]

# Seen in real deployments: AlarmHigh of target tracking is 3 of 3 datapoints, AlarmLow 15 minutes of them.
HIGH_DATAPOINTS = 3
LOW_MS = 15 * MS_PER_MINUTE


class Source(NamedTuple):
    """Where an alarm's number comes from: a cell of the measures, or an expression (position; else -1)."""

    metric: int
    subject: int
    custom: int
    name: str


class Owner(NamedTuple):
    """Whose alarm it is: the target it scales (-1: none), and whose metrics are meant where nobody is named."""

    target: int
    subject: Subject
    number: int


class AlarmTable:
    """Alarms of one kind of target. Add rows, then `seal` the table with the targets' limits."""

    def __init__(self, measures: Measures, tick_ms: int) -> None:
        self._measures = measures
        self._tick_ms = tick_ms
        self._expressions: list[tuple[Expression, dict[Named, tuple[int, int]]]] = []
        self._rows: list[Any] = []
        self.rows: npt.NDArray[np.void] = np.zeros(0, alarms.ALARM)

    # --- adding --------------------------------------------------------------------------------------------

    def add_tracking(
        self, owner: Owner, policy: TargetTracking, resolution_ms: int, low_share: float
    ) -> tuple[int, int, str]:
        """The two alarms of a target tracking policy: positions of the high and the low one, name of the metric.

        `low_share` of the target is where the low alarm begins. Raises ValueError for what is not simulated.
        """
        source = self._source(owner, policy.custom_metric or {}, policy.metric)
        first = len(self._rows)
        for role in (alarms.TRACKING_HIGH, alarms.TRACKING_LOW):
            high = role == alarms.TRACKING_HIGH
            row = self._row(owner, source, resolution_ms)
            row["role"] = role
            row["tracked"] = policy.target
            row["threshold"] = policy.target * (1.0 if high else low_share)
            row["comparison"] = alarms.GREATER if high else alarms.LESS
            row["window"] = row["needed"] = HIGH_DATAPOINTS if high else LOW_MS // resolution_ms
            self._rows.append(row)
        return first, first + 1, source.name

    def add_step(self, owner: Owner, policy: StepScaling) -> tuple[int, str] | None:
        """The alarm of a step scaling policy: its position and metric; None where it has none of its own."""
        if policy.alarm is None:
            return None
        position, metric = self.add_alarm(owner, policy.alarm, policy.aggregation)
        row = self._rows[position]
        row["role"] = alarms.STEP
        signs = {(adjustment > 0) - (adjustment < 0) for _, _, adjustment in policy.steps}
        if len(signs) == 1 and policy.adjustment_type != "ExactCapacity":
            row["direction"] = signs.pop()
        return position, metric

    def add_alarm(
        self, owner: Owner, alarm: Mapping[str, Any], aggregation: str = "Average"
    ) -> tuple[int, str]:
        """An alarm by the keys of PutMetricAlarm, that only watches: its position and the name of its metric."""
        source = self._source(owner, alarm, None)
        row = self._row(owner, source, int(alarm.get("period", 60)) * MS_PER_SECOND)
        row["role"] = alarms.WATCH
        row["threshold"] = float(alarm.get("threshold", 0.0))
        row["comparison"] = _code(alarms.COMPARISONS, alarm, "comparisonOperator", "GreaterThanThreshold")
        if row["statistic"] != alarms.SUM or "statistic" in alarm:
            row["statistic"] = _code(alarms.STATISTICS, alarm, "statistic", aggregation)
        row["window"] = int(alarm.get("evaluationPeriods", 1))
        row["needed"] = int(alarm.get("datapointsToAlarm", row["window"]))
        if not 1 <= row["needed"] <= row["window"] <= alarms.LONGEST_WINDOW:
            raise ValueError(
                f"evaluationPeriods must be 1 to {alarms.LONGEST_WINDOW}, and datapointsToAlarm no more"
            )
        row["treatment"] = _code(alarms.TREATMENTS, alarm, "treatMissingData", "missing")
        self._rows.append(row)
        return len(self._rows) - 1, source.name

    def _row(self, owner: Owner, source: Source, period_ms: int) -> Any:
        """An alarm record with what all kinds share."""
        if period_ms % self._tick_ms:
            raise ValueError(
                f"a period of {period_ms / MS_PER_SECOND:g} s is no multiple of the metric period, "
                f"{self._tick_ms / MS_PER_SECOND:g} s"
            )
        row = np.zeros(1, alarms.ALARM)[0]
        row["target"] = owner.target
        row["metric"], row["subject"], row["custom"] = source.metric, source.subject, source.custom
        row["statistic"] = alarms.SUM if source.metric in SUMMED and source.custom < 0 else alarms.AVERAGE
        row["period_ticks"] = period_ms // self._tick_ms
        row["value"] = math.nan
        return row

    def _source(self, owner: Owner, given: Mapping[str, Any], metric: str | None) -> Source:
        """The metric or the expression that a policy or alarm names."""
        if given.get("metrics"):
            expression = Expression(list(given["metrics"]), owner.subject)
            cells = {
                named: (int(named.metric), self._measures.column(named, owner.number))
                for named in expression.named
            }
            self._expressions.append((expression, cells))
            return Source(0, 0, len(self._expressions) - 1, expression.text)
        name = str(given.get("metricName") or metric)
        named = metric_named(name, given.get("dimensions"), owner.subject)
        if named is None:
            raise ValueError(f"metric {name!r} is not simulated; one of {', '.join(METRIC_NAMES)}")
        return Source(int(named.metric), self._measures.column(named, owner.number), NEVER, name)

    # --- watching ------------------------------------------------------------------------------------------

    def seal(self, floor: Int64s, ceiling: Int64s, in_until: Int64s) -> None:
        """All rows are there; limits are per target, and are read at every evaluation."""
        self.rows = np.array(self._rows, alarms.ALARM) if self._rows else np.zeros(0, alarms.ALARM)
        self._custom = np.full(len(self._expressions), np.nan)
        self._hot = np.zeros(len(self._rows), np.int64)
        counts = np.zeros(floor.size, np.int64), np.zeros(floor.size, np.int64)
        self.watch = alarms.Watch(
            self.rows, self._measures.values, self._custom, floor, ceiling, in_until, *counts, self._hot
        )
        self._watch = pointer(self.watch)

    def evaluate(self, now_ms: int, running: Int64s, desired: Int64s) -> Int64s:
        """Take in a metric period; the positions of the alarms that could change something now, ascending."""
        if self.rows.size == 0:
            return self._hot
        values = self._measures.values
        for position, (expression, cells) in enumerate(self._expressions):
            read = {named: float(values[cell]) for named, cell in cells.items()}
            self._custom[position] = expression.value(read.__getitem__)
        self.watch.running[:], self.watch.desired[:] = running, desired
        found = alarms.evaluate(self._watch, now_ms)
        return self._hot[:found]

    def targets(self, positions: Int64s) -> list[int]:
        """What these alarms scale, each target once, ascending."""
        return sorted(set(self.rows["target"][positions].tolist()))

    def in_alarm(self, position: int) -> bool:
        """Whether an alarm is in ALARM."""
        return bool(self.rows["state"][position] == alarms.IN_ALARM)

    def value(self, position: int) -> float:
        """The last datapoint of an alarm; NaN: it is missing."""
        return float(self.rows["value"][position])

    def stepped(self, position: int, policy: StepScaling, capacity: int) -> int:
        """The capacity after the step that holds the breach of an alarm in ALARM; as it is where none does."""
        value = self.value(position)
        if not self.in_alarm(position) or math.isnan(value):
            return capacity
        row = self.rows[position]
        upward = int(row["comparison"]) in {alarms.GREATER, alarms.GREATER_OR_EQUAL}
        step = step_adjustment(policy.steps, value - float(row["threshold"]), upward=upward)
        if step is None:
            return capacity
        return step_capacity(capacity, policy.adjustment_type, step, policy.min_adjustment_magnitude)


def _code(codes: Mapping[str, int], alarm: Mapping[str, Any], key: str, default: str) -> int:
    """The code of an alarm's enum value; what is not simulated is named."""
    word = str(alarm.get(key, default))
    if word not in codes:
        raise ValueError(f"{key} {word!r} is not simulated; one of {', '.join(codes)}")
    return codes[word]
