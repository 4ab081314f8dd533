"""CloudWatch alarms as records: datapoints, M of N, missing data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.array_block import pointer
from clustersim.policy.scaling import cloudwatch_alarms as alarms

NO_MEASURES = np.zeros((1, 1))
FIVE = np.array([5])


def alarm(**fields: float) -> np.ndarray:
    """One step alarm that reads an expression's value."""
    table = np.zeros(1, alarms.ALARM)
    known = {"role": alarms.STEP, "threshold": 50.0, "period_ticks": 1, "window": 3, "needed": 3}
    for name, value in {**known, **fields}.items():
        table[name] = value
    return table


def evaluate(
    table: np.ndarray, value: float, counts: np.ndarray, limits: tuple[int, int, int], now_ms: int = 0
) -> int:
    """Take in one metric period; `limits` are floor, ceiling and the end of the scale-in cooldown."""
    bounds = [np.array([limit]) for limit in limits]
    expressions, hot = np.array([float(value)]), np.zeros(1, np.int64)
    watch = alarms.Watch(table, NO_MEASURES, expressions, *bounds, counts, counts, hot)
    return alarms.evaluate(pointer(watch), now_ms)


def run(table: np.ndarray, values: list[float]) -> list[int]:
    """The state after each metric period."""
    states = []
    for value in values:
        evaluate(table, value, FIVE, (0, 100, -1))
        states.append(int(table["state"][0]))
    return states


def test_three_of_three_datapoints_and_one_below_ends_it() -> None:
    a, b = alarms.OK, alarms.IN_ALARM
    assert run(alarm(), [60, 60, 50, 60, 60, 60, 60, 50]) == [a, a, a, a, a, b, b, a]


def test_two_of_three_datapoints_may_have_a_gap() -> None:
    a, b = alarms.OK, alarms.IN_ALARM
    assert run(alarm(needed=2), [60, 40, 60, 40, 40]) == [a, a, b, a, a]


def test_missing_data_begin_the_count_anew_or_as_the_alarm_says() -> None:
    gap = [60.0, 60.0, math.nan, 60.0]
    assert run(alarm(), gap)[2:] == [alarms.INSUFFICIENT_DATA, alarms.OK]
    assert run(alarm(treatment=alarms.BREACHING), gap)[2:] == [alarms.IN_ALARM] * 2
    assert run(alarm(treatment=alarms.NOT_BREACHING), gap)[2:] == [alarms.OK] * 2
    assert run(alarm(treatment=alarms.IGNORE), gap)[2:] == [alarms.OK, alarms.IN_ALARM]


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [(alarms.AVERAGE, 40.0), (alarms.SUM, 120.0), (alarms.MINIMUM, 10.0), (alarms.MAXIMUM, 80.0)],
)
def test_a_longer_period_folds_metric_periods_into_a_datapoint(statistic: int, expected: float) -> None:
    """10, 30 and 80 in a period of three; the fourth metric period belongs to the next."""
    table = alarm(period_ticks=3, statistic=statistic)
    run(table, [10.0, 30.0, 80.0, 500.0])
    assert table["value"][0] == expected
    assert table["seen"][0] == 1


def test_what_is_at_its_bound_asks_nobody() -> None:
    """At night a thousand idle services stand at their minimum, in ALARM.

    That must cost nothing in Python.
    """

    def hot_count(table: np.ndarray, value: float, desired: int, now_ms: int = 0) -> int:
        limits = (2, 9, -1 if now_ms == 0 else 300_000)
        return evaluate(table, value, np.array([desired]), limits, now_ms)

    low = {"role": alarms.TRACKING_LOW, "comparison": alarms.LESS, "tracked": 50.0, "window": 1, "needed": 1}
    assert hot_count(alarm(**low), 10.0, 2) == 0
    assert hot_count(alarm(**low), 10.0, 3) == 1
    assert hot_count(alarm(**low), 10.0, 3, now_ms=299_999) == 0  # the scale-in cooldown
    assert hot_count(alarm(**low), 10.0, 3, now_ms=300_000) == 1
    assert hot_count(alarm(**low), 44.0, 4) == 0  # ceil(4 x 44 / 50) is 4
    high = {"role": alarms.TRACKING_HIGH, "tracked": 50.0, "window": 1, "needed": 1}
    assert hot_count(alarm(**high), 60.0, 9) == 0
    assert hot_count(alarm(**high), 60.0, 8) == 1
    step = {"window": 1, "needed": 1}
    assert hot_count(alarm(direction=1, **step), 60.0, 9) == 0
    assert hot_count(alarm(direction=-1, **step), 60.0, 9) == 1
    assert hot_count(alarm(direction=-1, **step), 60.0, 2) == 0


def test_a_cell_of_the_measures_is_read() -> None:
    """Row by metric, column by whose it is."""
    table = alarm(custom=-1, metric=2, subject=1, window=1, needed=1)
    measures = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 70.0]])
    watch = alarms.Watch(table, measures, np.zeros(0), *(np.zeros(1, np.int64) for _ in range(6)))
    alarms.evaluate(pointer(watch), 0)
    assert (table["value"][0], table["state"][0]) == (70.0, alarms.IN_ALARM)


def test_an_alarm_that_only_watches_asks_nobody() -> None:
    """It has a state, which a deployment looks at."""
    table = alarm(target=-1, role=alarms.WATCH, window=1, needed=1)
    assert evaluate(table, 60.0, FIVE, (0, 100, -1)) == 0
    assert table["state"][0] == alarms.IN_ALARM


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([10.0, 50.0, 90.0, math.nan]), max_size=40),
    st.integers(1, 15),
    st.integers(1, 15),
    st.sampled_from(sorted(alarms.COMPARISONS.values())),
    st.sampled_from([alarms.NOT_BREACHING, alarms.BREACHING]),
)
def test_states_equal_a_plain_twin(
    values: list[float], window: int, needed: int, comparison: int, treatment: int
) -> None:
    """Against a list of booleans, of which the last N are counted."""
    needed = min(needed, window)
    tests = {
        alarms.GREATER: lambda x: x > 50.0,
        alarms.GREATER_OR_EQUAL: lambda x: x >= 50.0,
        alarms.LESS: lambda x: x < 50.0,
        alarms.LESS_OR_EQUAL: lambda x: x <= 50.0,
    }
    history: list[bool] = []
    expected = []
    for value in values:
        history.append(treatment == alarms.BREACHING if math.isnan(value) else tests[comparison](value))
        expected.append(alarms.IN_ALARM if sum(history[-window:]) >= needed else alarms.OK)
    table = alarm(window=window, needed=needed, comparison=comparison, treatment=treatment)
    assert run(table, values) == expected
