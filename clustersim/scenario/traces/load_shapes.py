"""Rates of requests and messages: the shapes that a scenario names, added up to one piecewise-constant series.

Decides how a day, a week and a trace become breakpoints and rates, how they add up, and how growth and spikes multiply
the sum. Must not know services, files or the cost of a request. `resolve.load` reads the trace and calls
`combine_shapes`.

A sum of shapes repeats after their least common period if that is within the run; else, and with growth or spikes, it
is written out to the end of the run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from clustersim.scenario.sections.load import Series, WrittenDailyRate, WrittenSeries, WrittenSpike
from clustersim.scenario.traces.csv_columns import rotate_series
from clustersim.vocabulary import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE

ZERO_RATE = Series(times_ms=np.zeros(1, dtype=np.int64), rates=np.zeros(1))
MAX_BREAKPOINTS = 20_000_000  # 320 MB

_WEEK_MS = 7 * MS_PER_DAY
_FIRST_MONDAY_MS = 4 * MS_PER_DAY  # 1970-01-05
_MONTH_MS = 730 * MS_PER_HOUR  # as in `cost_usd_month`


class TooManyBreakpointsError(ValueError):
    """A series of that many breakpoints is refused."""


def build_constant_series(rate: float) -> Series:
    """Return a rate that never changes."""
    return Series(times_ms=np.zeros(1, dtype=np.int64), rates=np.array([rate]))


def build_daily_series(daily: WrittenDailyRate, begin_ms: int) -> Series:
    """Return a daily rate, constant within each minute of the UTC clock, from `begin_ms` (epoch) on."""
    minutes = np.arange(MS_PER_DAY // MS_PER_MINUTE, dtype=np.int64) * MS_PER_MINUTE
    angle = 2 * math.pi * (minutes + MS_PER_MINUTE / 2 - daily.peak) / MS_PER_DAY
    rates = daily.low + (daily.high - daily.low) * (1 + np.cos(angle)) / 2
    times, rates = rotate_series(minutes, rates, MS_PER_DAY, begin_ms)
    return Series(times_ms=times, rates=rates, period_ms=MS_PER_DAY)


def build_weekly_series(week: Sequence[float], begin_ms: int) -> Series:
    """Return the rates of the hours of a week (UTC, from Monday on) from `begin_ms` (epoch) on."""
    hours = np.arange(len(week), dtype=np.int64) * MS_PER_HOUR
    times, rates = rotate_series(hours, np.array(week), _WEEK_MS, begin_ms - _FIRST_MONDAY_MS)
    return Series(times_ms=times, rates=rates, period_ms=_WEEK_MS)


def combine_shapes(
    written: WrittenSeries, trace: Series | None, begin_ms: int, warm_up_ms: int, run_ms: int
) -> Series:
    """Return the rate of `written`, with its trace already read.

    `begin_ms` is the first instant (epoch); the run, with its warm-up, takes `run_ms`. Raises
    `TooManyBreakpointsError`.
    """
    parts = [] if trace is None else [trace]
    if written.daily is not None:
        parts.append(build_daily_series(written.daily, begin_ms))
    if written.weekly is not None:
        parts.append(build_weekly_series(written.weekly, begin_ms))
    if written.constant is not None or not parts:
        parts.append(build_constant_series(written.constant or 0.0))
    total = _add_series(parts, run_ms)
    if not written.growth and not written.spikes:
        return total
    times = _written_out(total, run_ms)
    if written.growth:
        times = np.union1d(times, np.arange(0, run_ms, MS_PER_HOUR, dtype=np.int64))
    edges = [(spike.at + warm_up_ms, spike.at + warm_up_ms + spike.duration) for spike in written.spikes]
    inside = np.array([edge for pair in edges for edge in pair if edge < run_ms], np.int64)
    times = np.union1d(times, inside)
    _check_size(times.size)
    rates = _rates_at(total, times)
    if written.growth:
        middle = times + 0.5 * np.diff(np.append(times, run_ms)) - warm_up_ms
        rates = rates * (1.0 + written.growth) ** (middle / _MONTH_MS)
    return Series(times_ms=times, rates=_with_spikes(times, rates, written.spikes, edges))


def _with_spikes(
    times: npt.NDArray[np.int64],
    rates: npt.NDArray[np.float64],
    spikes: Sequence[WrittenSpike],
    edges: Sequence[tuple[int, int]],
) -> npt.NDArray[np.float64]:
    """Return the rates times the factors of the spikes that are on; those of two at a time multiply."""
    result = rates.copy()
    for spike, (first, last) in zip(spikes, edges, strict=True):
        result[(times >= first) & (times < last)] *= spike.factor
    return result


def _add_series(parts: Sequence[Series], run_ms: int) -> Series:
    """Return the sum of several series."""
    if len(parts) == 1:
        return parts[0]
    period = math.lcm(*(part.period_ms for part in parts if part.period_ms))
    repeats = 0 < period <= run_ms
    until = period if repeats else run_ms
    size = sum(part.times_ms.size * -(-until // (part.period_ms or until)) for part in parts)
    _check_size(size)
    times = np.unique(np.concatenate([_written_out(part, until) for part in parts]))
    rates = np.sum([_rates_at(part, times) for part in parts], axis=0)
    return Series(times_ms=times, rates=rates, period_ms=period if repeats else 0)


def _written_out(series: Series, until_ms: int) -> npt.NDArray[np.int64]:
    """Return the breakpoints of a series before `until_ms`, with those of its repetitions."""
    times = series.times_ms
    if series.period_ms and series.period_ms < until_ms:
        cycles = -(-until_ms // series.period_ms)
        _check_size(cycles * times.size)
        starts = np.arange(cycles, dtype=np.int64) * series.period_ms
        times = (starts[:, None] + times[None, :]).ravel()
    return times[times < until_ms]


def _rates_at(series: Series, times: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the rates of a series at instants."""
    within = times % series.period_ms if series.period_ms else times
    rates: npt.NDArray[np.float64] = series.rates[np.searchsorted(series.times_ms, within, side="right") - 1]
    return rates


def _check_size(breakpoints: int) -> None:
    if breakpoints > MAX_BREAKPOINTS:
        raise TooManyBreakpointsError(f"{breakpoints:,} breakpoints")
