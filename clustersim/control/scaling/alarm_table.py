"""The alarms of one kind of target as a table: from policies and PutMetricAlarm blocks to records for a kernel.

One table per kind of target (services, Auto Scaling groups, alarms without a target). It keeps datapoints and states
and evaluates metric math; other modules decide what an alarm in ALARM causes. `policy.scaling.cloudwatch_alarms` does
the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clustersim.control.scaling.cloudwatch_metrics import CloudWatchMetrics
from clustersim.engine.array_block import pointer
from clustersim.engine.records import as_table, new_table
from clustersim.policy.scaling import cloudwatch_alarms as alarms
from clustersim.policy.scaling.cloudwatch_metrics import (
    METRIC_NAMES,
    SUMMED,
    Metric,
    MetricExpression,
    MetricReference,
    Subject,
    find_metric,
)
from clustersim.policy.scaling.service_scaling import TargetTables, new_cooldowns
from clustersim.policy.scaling.step_scaling import find_step_adjustment, step_capacity
from clustersim.scenario.sections.scenario import StepScaling, TargetTracking
from clustersim.vocabulary import MS_PER_MINUTE, MS_PER_SECOND, NEVER

Int64s = npt.NDArray[np.int64]

# Observed in real deployments: AlarmHigh of target tracking is 3 of 3 datapoints, AlarmLow 15 minutes of them.
HIGH_DATAPOINTS = 3
LOW_MS = 15 * MS_PER_MINUTE


class AlarmSource(NamedTuple):
    """The number an alarm watches: a cell of the metrics matrix, or an expression (position `custom`; else -1)."""

    metric: int
    subject: int
    custom: int
    name: str


class AlarmOwner(NamedTuple):
    """The target that an alarm scales (-1: none), and the subject whose metrics it uses where it names no other."""

    target: int
    subject: Subject
    number: int


class AlarmTable:
    """The alarms of one kind of target. Add rows, then `finish` the table with the targets' limits."""

    def __init__(self, metrics: CloudWatchMetrics, tick_ms: int) -> None:
        self._metrics = metrics
        self._tick_ms = tick_ms
        self._expressions: list[tuple[MetricExpression, dict[MetricReference, tuple[int, int]]]] = []
        self._rows: list[Any] = []
        self.rows = new_table(alarms.AlarmRow, 0)

    # --- adding --------------------------------------------------------------------------------------------

    def add_target_tracking(
        self, owner: AlarmOwner, policy: TargetTracking, resolution_ms: int, low_share: float
    ) -> tuple[int, int, str]:
        """Add the two alarms of a target tracking policy.

        Returns the positions of the high and the low one and the name of the metric. `low_share` of the target is the
        threshold of the low alarm. Raises ValueError for metrics that are not simulated.
        """
        source = self._alarm_source(owner, policy.custom_metric or {}, policy.metric)
        first = len(self._rows)
        for role in (alarms.TRACKING_HIGH, alarms.TRACKING_LOW):
            high = role == alarms.TRACKING_HIGH
            row = self._new_row(owner, source, resolution_ms)
            row["role"] = role
            row["tracked"] = policy.target
            row["threshold"] = policy.target * (1.0 if high else low_share)
            row["comparison"] = alarms.GREATER if high else alarms.LESS
            row["window"] = row["needed"] = HIGH_DATAPOINTS if high else LOW_MS // resolution_ms
            self._rows.append(row)
        return first, first + 1, source.name

    def add_step_scaling(self, owner: AlarmOwner, policy: StepScaling) -> tuple[int, str] | None:
        """Add the alarm of a step scaling policy; return its position and metric, None if the policy has none."""
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
        self, owner: AlarmOwner, alarm: Mapping[str, Any], aggregation: str = "Average"
    ) -> tuple[int, str]:
        """Add an alarm without a policy from the keys of PutMetricAlarm; return its position and the name of its
        metric.

        Raises ValueError for values that are not simulated.
        """
        source = self._alarm_source(owner, alarm, None)
        row = self._new_row(owner, source, int(alarm.get("period", 60)) * MS_PER_SECOND)
        row["role"] = alarms.WATCH
        row["threshold"] = float(alarm.get("threshold", 0.0))
        row["comparison"] = _enum_code(
            alarms.COMPARISONS, alarm, "comparisonOperator", "GreaterThanThreshold"
        )
        if row["statistic"] != alarms.SUM or "statistic" in alarm:
            row["statistic"] = _enum_code(alarms.STATISTICS, alarm, "statistic", aggregation)
        row["window"] = int(alarm.get("evaluationPeriods", 1))
        row["needed"] = int(alarm.get("datapointsToAlarm", row["window"]))
        if not 1 <= row["needed"] <= row["window"] <= alarms.LONGEST_WINDOW:
            raise ValueError(
                f"evaluationPeriods must be 1 to {alarms.LONGEST_WINDOW}, and datapointsToAlarm no more"
            )
        row["treatment"] = _enum_code(alarms.TREATMENTS, alarm, "treatMissingData", "missing")
        self._rows.append(row)
        return len(self._rows) - 1, source.name

    def add_datapoint(self, owner: AlarmOwner, metric: Metric, period_ms: int) -> int:
        """Add a row that only takes the datapoints of a metric of `owner`; return its position."""
        column = self._metrics.column(MetricReference(metric, owner.subject, None), owner.number)
        row = self._new_row(owner, AlarmSource(int(metric), column, NEVER, metric.name), period_ms)
        row["role"], row["window"], row["needed"] = alarms.WATCH, 1, 1
        row["target"] = NEVER
        self._rows.append(row)
        return len(self._rows) - 1

    def _new_row(self, owner: AlarmOwner, source: AlarmSource, period_ms: int) -> Any:
        """Return an alarm record with the fields common to all kinds."""
        if period_ms % self._tick_ms:
            raise ValueError(
                f"a period of {period_ms / MS_PER_SECOND:g} s is no multiple of the metric period, "
                f"{self._tick_ms / MS_PER_SECOND:g} s"
            )
        row = new_table(alarms.AlarmRow, 1)[0]
        row["target"] = owner.target
        row["metric"], row["subject"], row["custom"] = source.metric, source.subject, source.custom
        row["statistic"] = alarms.SUM if source.metric in SUMMED and source.custom < 0 else alarms.AVERAGE
        row["period_ticks"] = period_ms // self._tick_ms
        row["value"] = math.nan
        return row

    def _alarm_source(self, owner: AlarmOwner, block: Mapping[str, Any], metric: str | None) -> AlarmSource:
        """Return the metric or the expression that a policy or alarm names."""
        if block.get("metrics"):
            expression = MetricExpression(list(block["metrics"]), owner.subject)
            cells = {
                named: (int(named.metric), self._metrics.column(named, owner.number))
                for named in expression.references
            }
            self._expressions.append((expression, cells))
            return AlarmSource(0, 0, len(self._expressions) - 1, expression.text)
        name = str(block.get("metricName") or metric)
        named = find_metric(name, block.get("dimensions"), owner.subject)
        if named is None:
            raise ValueError(f"metric {name!r} is not simulated; one of {', '.join(METRIC_NAMES)}")
        return AlarmSource(int(named.metric), self._metrics.column(named, owner.number), NEVER, name)

    # --- evaluating ----------------------------------------------------------------------------------------

    def finish(self, min_capacity: Int64s, max_capacity: Int64s) -> None:
        """Build the arrays of the kernel; the limits are per target and are read at every evaluation."""
        self.rows = as_table(alarms.AlarmRow, self._rows)
        self._custom = np.full(len(self._expressions), np.nan)
        self._actionable = np.zeros(len(self._rows), np.int64)
        running, desired, deploying = (np.zeros(min_capacity.size, np.int64) for _ in range(3))
        cooldowns = new_cooldowns(min_capacity.size)
        self.targets = TargetTables(min_capacity, max_capacity, running, desired, deploying, cooldowns)
        self.watch = alarms.AlarmTables(
            self.rows, self._metrics.values, self._custom, self.targets, self._actionable
        )
        self._watch = pointer(self.watch)

    def evaluate(self, now_ms: int, running: Int64s, desired: Int64s) -> Int64s:
        """Evaluate a metric period; return the positions of the alarms that could change something now, ascending."""
        if self.rows.size == 0:
            return self._actionable
        values = self._metrics.values
        for position, (expression, cells) in enumerate(self._expressions):
            read = {named: float(values[cell]) for named, cell in cells.items()}
            self._custom[position] = expression.value(read.__getitem__)
        self.targets.running[:], self.targets.desired[:] = running, desired
        count = alarms.evaluate_alarms(self._watch, now_ms)
        return self._actionable[:count]

    def targets_of(self, positions: Int64s) -> list[int]:
        """Return the targets of these alarms, each once, ascending."""
        return sorted(set(self.rows["target"][positions].tolist()))

    def in_alarm(self, position: int) -> bool:
        """Return whether an alarm is in ALARM."""
        return bool(self.rows["state"][position] == alarms.IN_ALARM)

    def value(self, position: int) -> float:
        """Return the last datapoint of an alarm; NaN if it is missing."""
        return float(self.rows["value"][position])

    def capacity_after_step(self, position: int, policy: StepScaling, capacity: int) -> int:
        """Return the capacity after the step for the breach of an alarm in ALARM; unchanged where none applies."""
        value = self.value(position)
        if not self.in_alarm(position) or math.isnan(value):
            return capacity
        row = self.rows[position]
        upward = int(row["comparison"]) in {alarms.GREATER, alarms.GREATER_OR_EQUAL}
        step = find_step_adjustment(policy.steps, value - float(row["threshold"]), upward=upward)
        if step is None:
            return capacity
        return step_capacity(capacity, policy.adjustment_type, step, policy.min_adjustment_magnitude)


def _enum_code(codes: Mapping[str, int], alarm: Mapping[str, Any], key: str, default: str) -> int:
    """Return the code of an alarm's enum value. Raises ValueError for values that are not simulated."""
    word = str(alarm.get(key, default))
    if word not in codes:
        raise ValueError(f"{key} {word!r} is not simulated; one of {', '.join(codes)}")
    return codes[word]
