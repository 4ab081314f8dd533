"""Service Auto Scaling: each metric period, from metrics through alarms and policies to desired counts.

Keeps the alarms, bounds and cooldowns of all scalable targets; decides by `policy.alarms` and
`policy.scaling`. It must not know tasks, placement or the clock: the wiring calls `tick` after
`control.traffic` has closed the same metric period, and is called back with new desired counts and with rows
of `scaling_activities`.

As in AWS, a target tracking policy is two alarms (high: above the target 3 times of 3; low: below 0.9 of it
for 15 minutes), a step scaling policy brings its own. An alarm in ALARM asks its policy again at each
datapoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from clustersim.engine.pointer import pointer
from clustersim.errors import ScenarioError
from clustersim.policy import alarms, scaling
from clustersim.policy.metrics import METRIC_NAMES, SUMMED, Expression, Metric, metric_named
from clustersim.scenario.model import ScheduledAction, Service, StepScaling, TargetTracking
from clustersim.vocabulary import MS_PER_MINUTE, MS_PER_SECOND, NEVER

Int64s = npt.NDArray[np.int64]

# Seen in real deployments: AlarmHigh of target tracking is 3 of 3 datapoints, AlarmLow 15 minutes of them.
_HIGH_DATAPOINTS = 3
_LOW_MS = 15 * MS_PER_MINUTE
_NO_CAPACITY_LIMIT = 2**62


class SetDesired(Protocol):
    """What the wiring does with a new desired count."""

    def __call__(self, service: int, count: int, cause: str) -> None:
        """`service` is a position in the scenario's services, `cause` the words of the activity."""


class Record(Protocol):
    """A row of `scaling_activities`, its columns in order; `metric` None and a NaN value are null."""

    def __call__(
        self,
        time_ms: int,
        target: str,
        policy: str,
        metric: str | None,
        metric_value: float,
        from_count: int,
        to_count: int,
        cause: str,
    ) -> None:
        """One decision; `from_count` and `to_count` are desired counts."""


class _Policy(NamedTuple):
    """A policy with its alarms' positions; `low` is -1 for step scaling."""

    rule: TargetTracking | StepScaling
    metric: str
    high: int
    low: int
    alarm_name: str


class _Source(NamedTuple):
    """Where an alarm's number comes from: a metric or an expression, of a service."""

    metric: int
    custom: int
    service: int
    name: str


class Autoscaler:
    """The scalable targets of a scenario.

    `loads` and `row_of` are those of `Traffic`; `tick_ms` is the metric period the wiring ticks at, of which
    every policy's resolution must be a multiple. Raises ScenarioError for metrics that are not simulated.
    """

    def __init__(
        self,
        services: Sequence[Service],
        loads: npt.NDArray[np.void],
        row_of: Int64s,
        callbacks: tuple[SetDesired, Record],
        tick_ms: int = MS_PER_MINUTE,
    ) -> None:
        self._names = [service.name for service in services]
        self._loads = loads
        self._row_of = row_of
        self._set_desired, self._record = callbacks
        self._tick_ms = tick_ms
        self._floor = np.zeros(len(services), np.int64)
        self._ceiling = np.full(len(services), _NO_CAPACITY_LIMIT, np.int64)
        self._in_until = np.full(len(services), NEVER, np.int64)
        self._cooldowns: dict[int, scaling.Cooldown] = {}
        self._policies: dict[int, list[_Policy]] = {}
        self._expressions: list[tuple[Expression, int]] = []
        self._rows: list[np.void] = []
        problems: list[str] = []
        for index, service in enumerate(services):
            if service.auto_scaling is None:
                continue
            self._floor[index] = service.auto_scaling.min_capacity
            self._ceiling[index] = service.auto_scaling.max_capacity
            self._policies[index] = []
            for policy in service.auto_scaling.policies:
                try:
                    self._add(index, policy, service.auto_scaling.metric_resolution_ms)
                except ValueError as problem:
                    problems.append(f"services.{service.name}.autoScaling.policies.{policy.name}: {problem}")
        if problems:
            raise ScenarioError(problems)
        self._alarms: npt.NDArray[np.void] = np.zeros(len(self._rows), alarms.ALARM)
        for position, row in enumerate(self._rows):
            self._alarms[position] = row
        self._custom = np.full(len(self._expressions), np.nan)
        self._hot = np.zeros(len(self._rows), np.int64)
        self._watch = pointer(
            alarms.Watch(
                self._alarms, loads, self._custom, self._floor, self._ceiling, self._in_until, self._hot
            )
        )

    def tick(self, now_ms: int, running: Int64s, desired: Int64s) -> None:
        """Take in the metric period that ends at `now_ms`; counts are per service, as of now."""
        if self._alarms.size == 0:
            return
        for position, (expression, source) in enumerate(self._expressions):
            self._custom[position] = self._worth(expression, source, running, desired)
        found = alarms.evaluate(self._watch, now_ms, running, desired)
        waiting = sorted({int(self._alarms["service"][position]) for position in self._hot[:found]})
        for service in waiting:
            self._act(now_ms, service, int(running[service]), int(desired[service]))

    def bounds(self, service: int) -> scaling.Bounds:
        """The capacity bounds in force; without a scalable target there are none."""
        return scaling.Bounds(int(self._floor[service]), int(self._ceiling[service]))

    def apply_scheduled(self, now_ms: int, service: int, action: ScheduledAction, desired: int) -> None:
        """Carry out a scheduled action: new bounds, and the desired count inside them at once."""
        bounds, count = scaling.scheduled_bounds(
            self.bounds(service), action.min_capacity, action.max_capacity, desired
        )
        self._floor[service] = bounds.minimum
        self._ceiling[service] = bounds.maximum
        if count == desired:
            return
        if count > desired:
            cause = f"minimum capacity was set to {bounds.minimum}"
        else:
            cause = f"maximum capacity was set to {bounds.maximum}"
        self._set_desired(service, count, cause)
        target = f"service/{self._names[service]}"
        self._record(now_ms, target, action.name, None, math.nan, desired, count, cause)

    def _act(self, now_ms: int, service: int, running: int, desired: int) -> None:
        """Ask all policies of a service one of whose alarms calls, and do what they agree on."""
        policies = self._policies[service]
        proposals = [
            self._proposal(position, policy, running, desired) for position, policy in enumerate(policies)
        ]
        cooldown = self._cooldowns.get(service, scaling.Cooldown())
        decision = scaling.decide(now_ms, (running, desired), proposals, self.bounds(service), cooldown)
        if decision is None:
            return
        self._cooldowns[service] = decision.cooldown
        self._in_until[service] = decision.cooldown.in_until_ms
        chosen = policies[decision.policy]
        low = chosen.low >= 0 and decision.count < desired
        name = chosen.alarm_name
        if isinstance(chosen.rule, TargetTracking):
            name += "-AlarmLow" if low else "-AlarmHigh"
        cause = f"monitor alarm {name} in state ALARM triggered policy {chosen.rule.name}"
        value = float(self._alarms["value"][chosen.low if low else chosen.high])
        self._set_desired(service, decision.count, cause)
        target = f"service/{self._names[service]}"
        self._record(now_ms, target, chosen.rule.name, chosen.metric, value, desired, decision.count, cause)

    def _proposal(self, position: int, policy: _Policy, running: int, desired: int) -> scaling.Proposal:
        """What one policy wants by the state of its alarms."""
        high = self._alarms[policy.high]
        rule = policy.rule
        value = float(high["value"])
        ringing = high["state"] == alarms.IN_ALARM
        if isinstance(rule, StepScaling):
            capacity = running
            if ringing and not math.isnan(value):
                breach = value - float(high["threshold"])
                upward = int(high["comparison"]) in {alarms.GREATER, alarms.GREATER_OR_EQUAL}
                step = scaling.step_adjustment(rule.steps, breach, upward=upward)
                if step is not None:
                    least = rule.min_adjustment_magnitude
                    capacity = scaling.step_capacity(running, rule.adjustment_type, step, least)
            direction = (capacity > running) - (capacity < running)
            return scaling.Proposal(
                position, direction, capacity, rule.cooldown_ms, rule.cooldown_ms, tracks_target=False
            )
        direction = scaling.HOLD
        if not math.isnan(value) and (ringing or (running == 0 and desired == 0 and value > 0.0)):
            direction = scaling.OUT
        elif self._alarms["state"][policy.low] == alarms.IN_ALARM and not math.isnan(value):
            direction = scaling.IN
        capacity = running
        if direction != scaling.HOLD:
            capacity = scaling.target_tracking(running, value, rule.target, direction)
        return scaling.Proposal(
            position,
            direction,
            capacity,
            rule.scale_out_cooldown_ms,
            rule.scale_in_cooldown_ms,
            may_scale_in=not rule.disable_scale_in,
        )

    def _worth(self, expression: Expression, source: int, running: Int64s, desired: Int64s) -> float:
        """The value of an expression over the metrics of service `source` in this period."""
        row = int(self._row_of[source])
        counts = int(running[source]), int(desired[source])
        return expression.value(
            lambda metric: float(alarms.read(int(metric), self._loads, row, counts[0], counts[1]))
        )

    def _add(self, service: int, policy: TargetTracking | StepScaling, resolution_ms: int) -> None:
        """Make the alarms of a policy."""
        first = len(self._rows)
        if isinstance(policy, StepScaling):
            if policy.alarm is None:
                return
            source = self._source(service, policy.alarm, None)
            self._rows.append(self._step_row(service, policy, policy.alarm, source))
            name = str(policy.alarm.get("alarmName") or policy.name)
            self._policies[service].append(_Policy(policy, source.name, first, -1, name))
            return
        source = self._source(service, policy.custom_metric or {}, policy.metric)
        for role in (alarms.TRACKING_HIGH, alarms.TRACKING_LOW):
            high = role == alarms.TRACKING_HIGH
            row = self._row(service, source, resolution_ms)
            row["role"] = role
            row["target"] = policy.target
            row["threshold"] = policy.target * (1.0 if high else scaling.LOW_SHARE_SERVICE)
            row["comparison"] = alarms.GREATER if high else alarms.LESS
            row["window"] = row["needed"] = _HIGH_DATAPOINTS if high else _LOW_MS // resolution_ms
            self._rows.append(row)
        name = f"TargetTracking-service/{self._names[service]}"
        self._policies[service].append(_Policy(policy, source.name, first, first + 1, name))

    def _row(self, service: int, source: _Source, period_ms: int) -> np.void:
        """An alarm record with what all kinds share."""
        if period_ms % self._tick_ms:
            raise ValueError(
                f"a period of {period_ms / MS_PER_SECOND:g} s is no multiple of the metric period, "
                f"{self._tick_ms / MS_PER_SECOND:g} s"
            )
        row: np.void = np.zeros(1, alarms.ALARM)[0]
        row["service"], row["source"] = service, source.service
        row["load"] = self._row_of[source.service]
        row["policy"] = len(self._policies[service])
        row["metric"], row["custom"] = source.metric, source.custom
        row["statistic"] = alarms.SUM if Metric(source.metric) in SUMMED else alarms.AVERAGE
        row["period_ticks"] = period_ms // self._tick_ms
        row["value"] = math.nan
        return row

    def _step_row(
        self, service: int, policy: StepScaling, alarm: Mapping[str, Any], source: _Source
    ) -> np.void:
        """The alarm of a step scaling policy, from the keys of PutMetricAlarm."""
        row = self._row(service, source, int(alarm.get("period", 60)) * MS_PER_SECOND)
        row["role"] = alarms.STEP
        row["threshold"] = float(alarm.get("threshold", 0.0))
        row["comparison"] = _code(alarms.COMPARISONS, alarm, "comparisonOperator", "GreaterThanThreshold")
        if Metric(source.metric) not in SUMMED or "statistic" in alarm:
            row["statistic"] = _code(alarms.STATISTICS, alarm, "statistic", policy.aggregation)
        row["window"] = int(alarm.get("evaluationPeriods", 1))
        row["needed"] = int(alarm.get("datapointsToAlarm", row["window"]))
        if not 1 <= row["needed"] <= row["window"] <= alarms.LONGEST_WINDOW:
            raise ValueError(
                f"evaluationPeriods must be 1 to {alarms.LONGEST_WINDOW}, and datapointsToAlarm no more"
            )
        row["treatment"] = _code(alarms.TREATMENTS, alarm, "treatMissingData", "missing")
        signs = {(adjustment > 0) - (adjustment < 0) for _, _, adjustment in policy.steps}
        if len(signs) == 1 and policy.adjustment_type != "ExactCapacity":
            row["direction"] = signs.pop()
        return row

    def _source(self, service: int, given: Mapping[str, Any], metric: str | None) -> _Source:
        """The metric or the expression that a policy or alarm names, and the service it is of."""
        source = service
        for dimension in given.get("dimensions") or ():
            if dimension.get("name") in {"ServiceName", "QueueName"}:
                value = str(dimension.get("value"))
                if value not in self._names:
                    raise ValueError(f"dimension {dimension['name']} names no service: {value!r}")
                source = self._names.index(value)
        if given.get("metrics"):
            expression = Expression(list(given["metrics"]))
            self._expressions.append((expression, source))
            return _Source(0, len(self._expressions) - 1, source, expression.text)
        name = str(given.get("metricName") or metric)
        known = metric_named(name)
        if known is None:
            raise ValueError(f"metric {name!r} is not simulated; one of {', '.join(METRIC_NAMES)}")
        return _Source(int(known), -1, source, name)


def _code(codes: Mapping[str, int], alarm: Mapping[str, Any], key: str, default: str) -> int:
    """The code of an alarm's enum value; what is not simulated is named."""
    word = str(alarm.get(key, default))
    if word not in codes:
        raise ValueError(f"{key} {word!r} is not simulated; one of {', '.join(codes)}")
    return codes[word]
