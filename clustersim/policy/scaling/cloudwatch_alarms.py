"""CloudWatch alarms as records: datapoints, M out of N, missing data; one call per metric period for all.

Decides which alarms are in ALARM and could change something now. Knows no names and no cooldowns; what a
policy then does is `policy.scaling.service_scaling`'s. Called by whoever scales: `control.scaling.service_autoscaler`.

A period without a task has no datapoint of utilisation. Missing data treated as `missing` begins the count of
datapoints anew (CloudWatch would look further back for some): no policy acts without data.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array, kernel, kernel_entry

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
"""The datapoints an alarm can look back at: the bits of one word."""

_ALL = np.uint64(2**64 - 1)

# Datapoints are told apart to nine decimals: eight tasks at exactly their target of 50 % must not come out at
# 50.00000000000001, breach, and swing up and down for ever.
_DISTINCT = 1e9

ALARM = np.dtype(
    [
        ("target", np.int64),  # what is scaled: a service, or a group; -1: nothing
        ("subject", np.int64),  # whose metric it reads: a column of the measures
        ("role", np.int64),  # TRACKING_HIGH, TRACKING_LOW, STEP or WATCH
        ("direction", np.int64),  # of STEP: 1 out, -1 in, 0 either
        ("metric", np.int64),  # `policy.scaling.cloudwatch_metrics.Metric`: a row of the measures
        ("custom", np.int64),  # position of an expression's value, -1: none
        ("threshold", np.float64),
        ("tracked", np.float64),  # the target value of target tracking
        ("comparison", np.int64),
        ("statistic", np.int64),
        ("period_ticks", np.int64),  # metric periods in one datapoint
        ("window", np.int64),  # N, the evaluation periods
        ("needed", np.int64),  # M, the datapoints to alarm
        ("treatment", np.int64),  # of missing data
        ("tick", np.int64),  # metric periods of the datapoint under way
        ("points", np.int64),  # of them with data
        ("folded", np.float64),
        ("value", np.float64),  # the last datapoint; NaN: it is missing
        ("breaches", np.uint64),  # one bit a datapoint, the latest lowest
        ("seen", np.int64),  # datapoints in the window so far
        ("state", np.int64),
    ],
    align=True,
)


class Watch(NamedTuple):
    """All alarms of one kind of target, what they look at, and the limits of each target."""

    alarms: Annotated[Array, ALARM, 1]
    measures: Annotated[Array, np.float64, 2]  # [Metric, subject]; NaN: no datapoint
    custom: Annotated[Array, np.float64, 1]  # the expressions' values
    floor: Annotated[Array, np.int64, 1]  # least capacity
    ceiling: Annotated[Array, np.int64, 1]
    in_until: Annotated[Array, np.int64, 1]  # instant (ms) until which the scale-in cooldown lasts
    running: Annotated[Array, np.int64, 1]  # counts of each target as of now
    desired: Annotated[Array, np.int64, 1]
    hot: Annotated[Array, np.int64, 1]  # out: positions of the alarms that could act now, ascending


@kernel
def _fold(alarm: Any, value: float) -> bool:
    """Add one metric period to the datapoint under way; whether the datapoint is complete."""
    if not math.isnan(value):
        if alarm.points == 0:
            alarm.folded = value
        elif alarm.statistic == MINIMUM:
            alarm.folded = min(alarm.folded, value)
        elif alarm.statistic == MAXIMUM:
            alarm.folded = max(alarm.folded, value)
        else:
            alarm.folded += value
        alarm.points += 1
    alarm.tick += 1
    if alarm.tick < alarm.period_ticks:
        return False
    alarm.value = alarm.folded if alarm.points > 0 else np.nan
    if alarm.points > 0 and alarm.statistic == AVERAGE:
        alarm.value = alarm.folded / alarm.points
    alarm.value = np.floor(alarm.value * _DISTINCT + 0.5) / _DISTINCT
    alarm.tick = 0
    alarm.points = 0
    return True


@kernel
def _judge(alarm: Any) -> None:
    """Move the alarm's state by its newest datapoint."""
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
    else:
        breach = value <= alarm.threshold
    alarm.breaches = (alarm.breaches << np.uint64(1)) | np.uint64(1 if breach else 0)
    alarm.seen = min(alarm.seen + 1, alarm.window)
    breaching = 0
    left = alarm.breaches & (_ALL >> np.uint64(LONGEST_WINDOW - alarm.seen))
    while left:
        left &= left - np.uint64(1)  # without its lowest bit
        breaching += 1
    alarm.state = IN_ALARM if breaching >= alarm.needed else OK


@kernel
def _could_act(alarm: Any, running: int, desired: int, floor: int, ceiling: int) -> bool:
    """Whether the alarm's policy could move the desired count now: what is at its bound asks nobody.

    A service with no task at all scales out after one datapoint above 0 (ECS Developer Guide).
    """
    value = alarm.value
    if alarm.role == STEP:
        blocked = (alarm.direction > 0 and desired >= ceiling) or (alarm.direction < 0 and desired <= floor)
        return alarm.state == IN_ALARM and not blocked
    if math.isnan(value):
        return False
    if alarm.role == TRACKING_HIGH:
        if desired == 0 and running == 0:
            return value > 0.0 and ceiling > 0
        wanted = max(math.ceil(running * value / alarm.tracked - 1e-9), running + 1)
        return alarm.state == IN_ALARM and desired < ceiling and max(wanted, floor) > desired
    wanted = math.ceil(running * value / alarm.tracked - 1e-9)
    return alarm.state == IN_ALARM and desired > floor and wanted < desired


@kernel_entry
def evaluate(watch: Watch, now_ms: int) -> int:
    """Take in one metric period; how many alarms could act now, their positions being in `hot`."""
    found = 0
    for index in range(watch.alarms.size):
        alarm = watch.alarms[index]
        value = (
            watch.custom[alarm.custom] if alarm.custom >= 0 else watch.measures[alarm.metric, alarm.subject]
        )
        if not _fold(alarm, value):
            continue
        _judge(alarm)
        target = alarm.target
        if target < 0:
            continue
        cooling = alarm.role == TRACKING_LOW and now_ms < watch.in_until[target]
        counts = watch.running[target], watch.desired[target]
        if not cooling and _could_act(alarm, *counts, watch.floor[target], watch.ceiling[target]):
            watch.hot[found] = index
            found += 1
    return found
