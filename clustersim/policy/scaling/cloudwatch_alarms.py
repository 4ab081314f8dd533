"""CloudWatch alarms as records: datapoints, M out of N, missing data; one call per metric period for all alarms.

Decides which alarms are in ALARM and could change something now. It must not know names or cooldowns of scale-out; the
response of a policy is decided by `policy.scaling.service_scaling`. The autoscalers of `control.scaling` call it.

A period without a task has no datapoint of utilisation. Missing data treated as `missing` resets the count of
datapoints (CloudWatch would look further back for more): no policy acts without data.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.engine.records import Array, Float64, Int64, RandomKey, Record, Table
from clustersim.policy.scaling.service_scaling import TargetTables
from clustersim.policy.scaling.target_tracking import IN, OUT, target_tracking_capacity

GREATER, GREATER_OR_EQUAL, LESS, LESS_OR_EQUAL = range(4)
COMPARISONS = {
    "GreaterThanThreshold": GREATER,
    "GreaterThanOrEqualToThreshold": GREATER_OR_EQUAL,
    "LessThanThreshold": LESS,
    "LessThanOrEqualToThreshold": LESS_OR_EQUAL,
}
AVERAGE, SUM, MINIMUM, MAXIMUM = range(4)
STATISTICS = {"Average": AVERAGE, "Sum": SUM, "Minimum": MINIMUM, "Maximum": MAXIMUM}
MISSING, NOT_BREACHING, BREACHING, IGNORE = range(4)
TREATMENTS = {
    "missing": MISSING,
    "notBreaching": NOT_BREACHING,
    "breaching": BREACHING,
    "ignore": IGNORE,
}
TRACKING_HIGH, TRACKING_LOW, STEP, WATCH = range(4)
INSUFFICIENT_DATA, OK, IN_ALARM = range(3)

LONGEST_WINDOW = 64
"""The most datapoints an alarm can evaluate: the bits of one word."""

_ALL = np.uint64(2**64 - 1)

# Datapoints are rounded to nine decimals: eight tasks at exactly their target of 50 % must not yield
# 50.00000000000001, breach, and oscillate for ever.
_DISTINCT = 1e9


class AlarmRow(Record):
    """A row of the table of alarms."""

    target: Int64
    """The service or group to scale; -1: none."""
    subject: Int64
    """The owner of its metric: a column of `metrics`."""
    role: Int64
    """TRACKING_HIGH, TRACKING_LOW, STEP or WATCH."""
    direction: Int64
    """Of STEP: 1 out, -1 in, 0 either."""
    metric: Int64
    """`policy.scaling.cloudwatch_metrics.Metric`: a row of `metrics`."""
    custom: Int64
    """Position of an expression's value, -1: none."""
    threshold: Float64
    tracked: Float64
    """The target value of target tracking."""
    comparison: Int64
    statistic: Int64
    period_ticks: Int64
    """Metric periods in one datapoint."""
    window: Int64
    """N, the evaluation periods."""
    needed: Int64
    """M, the datapoints to alarm."""
    treatment: Int64
    """Of missing data."""
    tick: Int64
    """Metric periods in the current datapoint."""
    points: Int64
    """Those with data."""
    aggregate: Float64
    """Of those, by the statistic."""
    value: Float64
    """The last datapoint; NaN: missing."""
    breaches: RandomKey
    """One bit per datapoint, the latest lowest."""
    seen: Int64
    """Datapoints in the window so far."""
    state: Int64


class AlarmTables(NamedTuple):
    """All alarms of one kind of target, the metrics they read, and the targets they scale."""

    alarms: Table[AlarmRow]
    metrics: Annotated[Array, np.float64, 2]  # [Metric, subject]; NaN: no datapoint
    custom: Annotated[Array, np.float64, 1]  # values of metric math expressions
    targets: TargetTables
    actionable: Annotated[Array, np.int64, 1]  # output: positions of the alarms that could act now, ascending


@kernel
def _add_to_datapoint(alarm: Any, value: float) -> bool:
    """Add one metric period to the current datapoint; return whether the datapoint is complete."""
    if not math.isnan(value):
        if alarm.points == 0:
            alarm.aggregate = value
        elif alarm.statistic == MINIMUM:
            alarm.aggregate = min(alarm.aggregate, value)
        elif alarm.statistic == MAXIMUM:
            alarm.aggregate = max(alarm.aggregate, value)
        elif alarm.statistic in (AVERAGE, SUM):
            alarm.aggregate += value
        else:
            raise RuntimeError("unknown statistic of an alarm")
        alarm.points += 1
    alarm.tick += 1
    if alarm.tick < alarm.period_ticks:
        return False
    alarm.value = alarm.aggregate if alarm.points > 0 else np.nan
    if alarm.points > 0 and alarm.statistic == AVERAGE:
        alarm.value = alarm.aggregate / alarm.points
    alarm.value = np.floor(alarm.value * _DISTINCT + 0.5) / _DISTINCT
    alarm.tick = 0
    alarm.points = 0
    return True


@kernel
def _update_state(alarm: Any) -> None:
    """Update the state of the alarm from its newest datapoint."""
    value = alarm.value
    if math.isnan(value):
        if alarm.treatment == IGNORE:
            return
        if alarm.treatment == MISSING:
            alarm.breaches = np.uint64(0)
            alarm.seen = 0
            alarm.state = INSUFFICIENT_DATA
            return
        breach = alarm.treatment == BREACHING
    elif alarm.comparison == GREATER:
        breach = value > alarm.threshold
    elif alarm.comparison == GREATER_OR_EQUAL:
        breach = value >= alarm.threshold
    elif alarm.comparison == LESS:
        breach = value < alarm.threshold
    elif alarm.comparison == LESS_OR_EQUAL:
        breach = value <= alarm.threshold
    else:
        raise RuntimeError("unknown comparison of an alarm")
    alarm.breaches = (alarm.breaches << np.uint64(1)) | np.uint64(1 if breach else 0)
    alarm.seen = min(alarm.seen + 1, alarm.window)
    breaching = 0
    bits = alarm.breaches & (_ALL >> np.uint64(LONGEST_WINDOW - alarm.seen))
    while bits:
        bits &= bits - np.uint64(1)  # clear the lowest bit
        breaching += 1
    alarm.state = IN_ALARM if breaching >= alarm.needed else OK


@kernel
def starts_from_zero(running: int, desired: int, value: float) -> bool:
    """Return whether a service without any task scales out: after one datapoint above 0 (ECS Developer Guide)."""
    return running == 0 and desired == 0 and value > 0.0


@kernel
def _could_act(alarm: Any, targets: TargetTables, now: int) -> bool:
    """Return whether the alarm's policy could change the desired count now; not if that is at its bound.

    A scale-in of target tracking waits for its cooldown.
    """
    target, value = alarm.target, alarm.value
    running, desired = targets.running[target], targets.desired[target]
    floor, ceiling = targets.floor[target], targets.ceiling[target]
    if alarm.role == WATCH:
        return False
    if alarm.role == STEP:
        blocked = (alarm.direction > 0 and desired >= ceiling) or (alarm.direction < 0 and desired <= floor)
        return bool(alarm.state == IN_ALARM and not blocked)
    if alarm.role == TRACKING_HIGH:
        if math.isnan(value):
            return False
        if desired == 0 and running == 0:
            return bool(starts_from_zero(running, desired, value) and ceiling > 0)
        proposed = target_tracking_capacity(running, value, alarm.tracked, OUT)
        return bool(alarm.state == IN_ALARM and desired < ceiling and max(proposed, floor) > desired)
    if alarm.role == TRACKING_LOW:
        if math.isnan(value) or now < targets.cooldowns[target].in_until:
            return False
        proposed = target_tracking_capacity(running, value, alarm.tracked, IN)
        return bool(alarm.state == IN_ALARM and desired > floor and proposed < desired)
    raise RuntimeError("unknown role of an alarm")


@kernel_entry
def evaluate_alarms(tables: AlarmTables, now_ms: int) -> int:
    """Evaluate one metric period; return how many alarms could act now, with their positions in `actionable`."""
    actionable_count = 0
    for index in range(tables.alarms.size):
        alarm = tables.alarms[index]
        value = (
            tables.custom[alarm.custom] if alarm.custom >= 0 else tables.metrics[alarm.metric, alarm.subject]
        )
        if not _add_to_datapoint(alarm, value):
            continue
        _update_state(alarm)
        if alarm.target >= 0 and _could_act(alarm, tables.targets, now_ms):
            tables.actionable[actionable_count] = index
            actionable_count += 1
    return actionable_count
