"""Load shapes: a week, growth and spikes, added to each other and to a trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clustersim.scenario.sections.load import Series, WrittenSeries
from clustersim.scenario.traces.load_shapes import TooManyBreakpointsError, combine_shapes
from clustersim.vocabulary import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE

THURSDAY_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
WEEK_MS = 7 * MS_PER_DAY


def shapes(days: float = 30.0, warm_up_ms: int = 0, trace: Series | None = None, **keys: Any) -> Series:
    """Return a rate over `days` from Thursday, the first of January, on."""
    if trace is not None:
        keys["trace"] = "t.csv"
    run_ms = round(days * MS_PER_DAY) + warm_up_ms
    return combine_shapes(
        WrittenSeries.model_validate(keys), trace, THURSDAY_MS - warm_up_ms, warm_up_ms, run_ms
    )


def rate_at(series: Series, at_ms: float) -> float:
    within = at_ms % series.period_ms if series.period_ms else at_ms
    return float(series.rates[np.searchsorted(series.times_ms, within, side="right") - 1])


def at(day: int, hour: float) -> float:
    return day * MS_PER_DAY + hour * MS_PER_HOUR


def test_a_week_has_rates_by_day_and_hour() -> None:
    """The run begins on a Thursday; days that are not written have no load."""
    hours = [float(hour) for hour in range(24)]
    week = shapes(weekly={"weekdays": 100, "saturday": hours})
    assert week.period_ms == WEEK_MS
    assert rate_at(week, at(0, 13.5)) == rate_at(week, at(1, 0)) == 100.0
    assert rate_at(week, at(2, 17.99)) == 17.0
    assert rate_at(week, at(3, 12)) == 0.0
    assert rate_at(week, at(4, 0)) == rate_at(week, at(25, 3)) == 100.0


def test_a_week_starts_where_the_warm_up_does() -> None:
    """Six hours before Thursday it is Wednesday, 18:00."""
    week = shapes(weekly={"wednesday": 7, "thursday": 9}, warm_up_ms=6 * MS_PER_HOUR)
    assert rate_at(week, 0) == 7.0
    assert rate_at(week, 6 * MS_PER_HOUR) == 9.0


def test_shapes_are_added_up() -> None:
    """A constant, a week and a trace that repeats every two days: at each instant the sum of the three."""
    trace = Series(times_ms=np.array([0, MS_PER_DAY]), rates=np.array([10.0, 20.0]), period_ms=2 * MS_PER_DAY)
    total = shapes(days=10, trace=trace, constant=1, weekly={"weekend": 100})
    assert total.period_ms == 0  # the least common period, 14 days, is longer than the run
    for day in range(10):
        weekend = 100.0 if day % 7 in (2, 3) else 0.0
        assert rate_at(total, at(day, 5)) == 1.0 + weekend + 10.0 * (1 + day % 2)
    assert shapes(days=30, trace=trace, weekly={"weekend": 100}).period_ms == 2 * WEEK_MS


def test_a_day_and_a_week_repeat_weekly() -> None:
    """1,440 minutes a day, seven days; the mean of the cosine is half of low and high."""
    total = shapes(daily={"low": 0, "high": 10}, weekly={"monday": 5})
    assert (total.period_ms, total.times_ms.size) == (WEEK_MS, 7 * 1440)
    assert total.rates.mean() == pytest.approx(5.0 + 5.0 / 7)


def test_growth_is_per_month_of_730_hours() -> None:
    """10 % a month, compounded: 1.1 after 730 h, 1.21 after 1,460 h; the warm-up is before it."""
    grown = shapes(days=70, constant=100, growth="10%", warm_up_ms=730 * MS_PER_HOUR)
    months = [rate_at(grown, month * 730 * MS_PER_HOUR) for month in range(4)]
    assert months == pytest.approx([100 / 1.1, 100.0, 110.0, 121.0], rel=1e-3)
    shrunk = shapes(days=70, constant=100, growth=-0.5)
    assert rate_at(shrunk, 730 * MS_PER_HOUR) == pytest.approx(50.0, rel=1e-3)


def test_spikes_multiply_what_is_there() -> None:
    """Three times the rate for half an hour from the second hour on; two at a time multiply."""
    spikes = [{"at": "2h", "factor": 3, "for": "30m"}, {"at": "2h15m", "factor": 2, "for": "1h"}]
    series = shapes(days=1, constant=10, spikes=spikes, warm_up_ms=MS_PER_HOUR)
    minutes = [0, 119, 120, 134, 135, 149, 150, 194, 195]
    rates = [rate_at(series, MS_PER_HOUR + minute * MS_PER_MINUTE) for minute in minutes]
    assert rates == [10.0, 10.0, 30.0, 30.0, 60.0, 60.0, 20.0, 20.0, 10.0]


def test_a_spike_of_a_repeating_shape_comes_once() -> None:
    series = shapes(days=3, daily={"low": 10, "high": 10}, spikes=[{"at": "25h", "factor": 0, "for": "1m"}])
    assert [rate_at(series, at(day, 1)) for day in range(3)] == [10.0, 0.0, 10.0]


def test_a_series_that_is_too_long_is_refused() -> None:
    """Rows of a millisecond, repeated over a year."""
    trace = Series(times_ms=np.array([0, 1]), rates=np.array([1.0, 2.0]), period_ms=2)
    with pytest.raises(TooManyBreakpointsError):
        shapes(days=365, trace=trace, growth="5%")
