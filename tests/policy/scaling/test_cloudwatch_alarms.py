"""CloudWatch alarms as records: datapoints, M of N, missing data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.array_block import pointer
from clustersim.errors import KernelError
from clustersim.policy.scaling import cloudwatch_alarms
from clustersim.policy.scaling.service_scaling import TargetTables, new_cooldowns

NO_METRICS = np.zeros((1, 1))
FIVE = np.array([5])


def alarm(**fields: float) -> np.ndarray:
    """Return one step alarm that reads the value of an expression."""
    table = np.zeros(1, cloudwatch_alarms.AlarmRow.dtype)
    defaults = {
        "role": cloudwatch_alarms.STEP,
        "threshold": 50.0,
        "period_ticks": 1,
        "window": 3,
        "needed": 3,
    }
    for name, value in {**defaults, **fields}.items():
        table[name] = value
    return table


def evaluate(
    table: np.ndarray, value: float, counts: np.ndarray, limits: tuple[int, int, int], now_ms: int = 0
) -> int:
    """Evaluate one metric period; `limits` are floor, ceiling and the end of the scale-in cooldown."""
    cooldowns = new_cooldowns(1)
    cooldowns["in_until"] = limits[2]
    bounds = [np.array([limit]) for limit in limits[:2]]
    targets = TargetTables(*bounds, counts, counts, np.zeros(1, np.int64), cooldowns)
    expressions, actionable = np.array([float(value)]), np.zeros(1, np.int64)
    tables = cloudwatch_alarms.AlarmTables(table, NO_METRICS, expressions, targets, actionable)
    return cloudwatch_alarms.evaluate_alarms(pointer(tables), now_ms)


def run(table: np.ndarray, values: list[float]) -> list[int]:
    """Return the state after each metric period."""
    states = []
    for value in values:
        evaluate(table, value, FIVE, (0, 100, -1))
        states.append(int(table["state"][0]))
    return states


def test_three_of_three_datapoints_and_one_below_ends_it() -> None:
    ok, in_alarm = cloudwatch_alarms.OK, cloudwatch_alarms.IN_ALARM
    assert run(alarm(), [60, 60, 50, 60, 60, 60, 60, 50]) == [ok, ok, ok, ok, ok, in_alarm, in_alarm, ok]


def test_two_of_three_datapoints_may_have_a_gap() -> None:
    ok, in_alarm = cloudwatch_alarms.OK, cloudwatch_alarms.IN_ALARM
    assert run(alarm(needed=2), [60, 40, 60, 40, 40]) == [ok, ok, in_alarm, ok, ok]


def test_missing_data_reset_the_count_or_follow_the_treatment() -> None:
    gap = [60.0, 60.0, math.nan, 60.0]
    assert run(alarm(), gap)[2:] == [cloudwatch_alarms.INSUFFICIENT_DATA, cloudwatch_alarms.OK]
    assert run(alarm(treatment=cloudwatch_alarms.BREACHING), gap)[2:] == [cloudwatch_alarms.IN_ALARM] * 2
    assert run(alarm(treatment=cloudwatch_alarms.NOT_BREACHING), gap)[2:] == [cloudwatch_alarms.OK] * 2
    assert run(alarm(treatment=cloudwatch_alarms.IGNORE), gap)[2:] == [
        cloudwatch_alarms.OK,
        cloudwatch_alarms.IN_ALARM,
    ]


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        (cloudwatch_alarms.AVERAGE, 40.0),
        (cloudwatch_alarms.SUM, 120.0),
        (cloudwatch_alarms.MINIMUM, 10.0),
        (cloudwatch_alarms.MAXIMUM, 80.0),
    ],
)
def test_a_longer_period_aggregates_metric_periods_into_a_datapoint(statistic: int, expected: float) -> None:
    """10, 30 and 80 in a period of three; the fourth metric period belongs to the next."""
    table = alarm(period_ticks=3, statistic=statistic)
    run(table, [10.0, 30.0, 80.0, 500.0])
    assert table["value"][0] == expected
    assert table["seen"][0] == 1


def test_alarms_of_targets_at_their_bound_are_not_actionable() -> None:
    """At night a thousand idle services are at their minimum and in ALARM, which must cost nothing in Python."""

    def count_actionable(table: np.ndarray, value: float, desired: int, now_ms: int = 0) -> int:
        limits = (2, 9, -1 if now_ms == 0 else 300_000)
        return evaluate(table, value, np.array([desired]), limits, now_ms)

    low = {
        "role": cloudwatch_alarms.TRACKING_LOW,
        "comparison": cloudwatch_alarms.LESS,
        "tracked": 50.0,
        "window": 1,
        "needed": 1,
    }
    assert count_actionable(alarm(**low), 10.0, 2) == 0
    assert count_actionable(alarm(**low), 10.0, 3) == 1
    assert count_actionable(alarm(**low), 10.0, 3, now_ms=299_999) == 0  # the scale-in cooldown
    assert count_actionable(alarm(**low), 10.0, 3, now_ms=300_000) == 1
    assert count_actionable(alarm(**low), 44.0, 4) == 0  # ceil(4 x 44 / 50) is 4
    high = {"role": cloudwatch_alarms.TRACKING_HIGH, "tracked": 50.0, "window": 1, "needed": 1}
    assert count_actionable(alarm(**high), 60.0, 9) == 0
    assert count_actionable(alarm(**high), 60.0, 8) == 1
    step = {"window": 1, "needed": 1}
    assert count_actionable(alarm(direction=1, **step), 60.0, 9) == 0
    assert count_actionable(alarm(direction=-1, **step), 60.0, 9) == 1
    assert count_actionable(alarm(direction=-1, **step), 60.0, 2) == 0


def test_the_metric_of_the_subject_is_read() -> None:
    """The row is the metric, the column its subject."""
    table = alarm(custom=-1, metric=2, subject=1, window=1, needed=1)
    metrics = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 70.0]])
    targets = TargetTables(*(np.zeros(1, np.int64) for _ in range(5)), new_cooldowns(1))
    tables = cloudwatch_alarms.AlarmTables(table, metrics, np.zeros(0), targets, np.zeros(1, np.int64))
    cloudwatch_alarms.evaluate_alarms(pointer(tables), 0)
    assert (table["value"][0], table["state"][0]) == (70.0, cloudwatch_alarms.IN_ALARM)


@pytest.mark.parametrize(
    ("field", "words"), [("role", "role"), ("comparison", "comparison"), ("statistic", "statistic")]
)
def test_an_unknown_code_of_an_alarm_is_an_error(field: str, words: str) -> None:
    """It must not fall into the last of the known ones."""
    table = alarm(**{field: 9})
    with pytest.raises(KernelError, match=f"unknown {words} of an alarm"):
        for _ in range(2):
            evaluate(table, 60.0, FIVE, (0, 100, -1))
            table["points"], table["aggregate"] = 1, 1.0


def test_an_alarm_without_a_target_is_never_actionable() -> None:
    """It has a state, which deployments read."""
    table = alarm(target=-1, role=cloudwatch_alarms.WATCH, window=1, needed=1)
    assert evaluate(table, 60.0, FIVE, (0, 100, -1)) == 0
    assert table["state"][0] == cloudwatch_alarms.IN_ALARM


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([10.0, 50.0, 90.0, math.nan]), max_size=40),
    st.integers(1, 15),
    st.integers(1, 15),
    st.sampled_from(sorted(cloudwatch_alarms.COMPARISONS.values())),
    st.sampled_from([cloudwatch_alarms.NOT_BREACHING, cloudwatch_alarms.BREACHING]),
)
def test_states_equal_a_plain_twin(
    values: list[float], window: int, needed: int, comparison: int, treatment: int
) -> None:
    """The twin counts the last N of a list of booleans."""
    needed = min(needed, window)
    tests = {
        cloudwatch_alarms.GREATER: lambda x: x > 50.0,
        cloudwatch_alarms.GREATER_OR_EQUAL: lambda x: x >= 50.0,
        cloudwatch_alarms.LESS: lambda x: x < 50.0,
        cloudwatch_alarms.LESS_OR_EQUAL: lambda x: x <= 50.0,
    }
    history: list[bool] = []
    expected = []
    for value in values:
        history.append(
            treatment == cloudwatch_alarms.BREACHING if math.isnan(value) else tests[comparison](value)
        )
        expected.append(
            cloudwatch_alarms.IN_ALARM if sum(history[-window:]) >= needed else cloudwatch_alarms.OK
        )
    table = alarm(window=window, needed=needed, comparison=comparison, treatment=treatment)
    assert run(table, values) == expected
