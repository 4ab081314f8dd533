"""Piecewise-constant demand: amounts between instants, and the instant of a given amount."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.policy.load import load_series


@dataclass
class Series:
    times_ms: np.ndarray
    rates: np.ndarray
    period_ms: int = field(default=0)


def series(times: list[int], rates: list[float], period_ms: int = 0) -> Series:
    return Series(np.array(times, np.int64), np.array(rates, np.float64), period_ms)


def rate_at(one: Series, ms: int) -> float:
    """The plain twin: the rate in force at an instant."""
    if one.period_ms:
        ms %= one.period_ms
    held = [rate for time, rate in zip(one.times_ms, one.rates, strict=True) if time <= ms]
    if held:
        return float(held[-1])
    return float(one.rates[-1]) if one.period_ms else 0.0


def test_the_amount_is_rate_times_time_across_breakpoints_and_repetitions() -> None:
    """2/s for 1 s, then 10/s for 1 s, repeated: 0.5 s to 3.5 s holds 1 + 10 + 2 + 5."""
    cursors, times, rates = load_series.flatten_series([series([0, 1_000], [2.0, 10.0], 2_000)])
    assert load_series.advance_to(cursors[0], times, rates, 500.0) == 1.0
    assert load_series.advance_to(cursors[0], times, rates, 3_500.0) == 18.0
    assert cursors[0]["cycle_ms"] == 2_000


def test_a_series_without_repetition_keeps_its_last_rate() -> None:
    """3/s from second 1 on, nothing before: ten seconds hold 27."""
    cursors, times, rates = load_series.flatten_series([series([1_000], [3.0])])
    assert load_series.advance_to(cursors[0], times, rates, 10_000.0) == 27.0


def test_a_repeated_series_begins_with_its_last_rate() -> None:
    """Breakpoints at 1 s and 2 s of 3 s: the rate before the first is that of the repetition before."""
    cursors, times, rates = load_series.flatten_series([series([1_000, 2_000], [5.0, 7.0], 3_000)])
    assert load_series.advance_to(cursors[0], times, rates, 3_000.0) == 7.0 + 5.0 + 7.0


def test_following_an_amount_stops_at_the_arrival_of_the_next_unit() -> None:
    """2/s for a second, idle for a second, 4/s after.

    1 unit by 0.5 s; the third unit begins after the gap.
    """
    cursors, times, rates = load_series.flatten_series([series([0, 1_000, 2_000], [2.0, 0.0, 4.0])])
    load_series.advance_by(cursors[0], times, rates, 1.0, 9_000.0)
    assert cursors[0]["at_ms"] == 500.0
    load_series.advance_by(cursors[0], times, rates, 1.0, 9_000.0)
    assert cursors[0]["at_ms"] == 2_000.0
    load_series.advance_by(cursors[0], times, rates, 100.0, 9_000.0)
    assert cursors[0]["at_ms"] == 9_000.0


@pytest.mark.parametrize(
    "bad",
    [
        series([], []),
        series([0, 0], [1.0, 2.0]),
        series([0, 5], [1.0, 2.0], 5),
        series([0], [-1.0]),
        series([-1], [1.0]),
    ],
)
def test_a_malformed_series_is_refused(bad: Series) -> None:
    """A rate below 0 or breakpoints out of order would silently create or lose requests."""
    with pytest.raises(ValueError, match="demand series"):
        load_series.flatten_series([bad])


shapes = st.lists(st.tuples(st.integers(1, 900), st.integers(0, 20)), min_size=1, max_size=6).flatmap(
    lambda steps: st.tuples(
        st.just(steps), st.sampled_from([0, 1, 50]), st.lists(st.integers(0, 2_000), min_size=1, max_size=8)
    )
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(shapes)
def test_amounts_equal_a_plain_sum_over_milliseconds(
    shape: tuple[list[tuple[int, int]], int, list[int]],
) -> None:
    """The kernel against one addition per millisecond.

    In any division of the time, two series side by side.
    """
    steps, tail, stops = shape
    at = list(np.cumsum([width for width, _ in steps]))
    one = series(
        [int(time) for time in at], [float(rate) for _, rate in steps], int(at[-1]) + tail if tail else 0
    )
    cursors, times, rates = load_series.flatten_series([series([0], [1.0]), one])
    before = 0
    for stop in sorted(stops):
        expected = sum(rate_at(one, ms) for ms in range(before, stop)) / 1_000.0
        assert load_series.advance_to(cursors[1], times, rates, float(stop)) == pytest.approx(
            expected, abs=1e-9
        )
        before = max(before, stop)


@settings(max_examples=100, deadline=None)
@given(shapes, st.floats(0.0, 1.0))
def test_following_is_the_inverse_of_the_integral(
    shape: tuple[list[tuple[int, int]], int, list[int]], part: float
) -> None:
    """The amount that arrives until the instant found for an amount is that amount.

    The age of a queue's head is exact.
    """
    steps, _, stops = shape
    at = [0, *np.cumsum([width for width, _ in steps])[:-1]]
    one = series([int(time) for time in at], [float(rate) for _, rate in steps])
    end = float(max(stops))
    cursors, times, rates = load_series.flatten_series([one, one, one])
    amount = part * load_series.advance_to(cursors[0], times, rates, end)
    load_series.advance_by(cursors[1], times, rates, amount, end)
    reached = load_series.advance_to(cursors[2], times, rates, float(cursors[1]["at_ms"]))
    assert reached == pytest.approx(amount, abs=1e-6)
