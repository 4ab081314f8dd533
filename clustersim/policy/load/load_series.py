"""Piecewise-constant demand: how much arrives between two instants, and when a given amount has arrived.

Pure arithmetic of rates; it must not know services or queues. The series of all services are concatenated in two flat
arrays; a CURSOR is the position of one reader in its part of them, and only moves forward. `policy.load.fluid_model`
keeps two readers per service: one for the arrivals, one for the message at the head of a queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from clustersim.engine.compiled import kernel
from clustersim.engine.records import Float64, Int64, Milliseconds, Record, new_table


class LoadCursorRow(Record):
    """A row of the table of cursors."""

    first: Int64
    """The series is first..last (exclusive) of the flat arrays."""
    last: Int64
    period_ms: Milliseconds
    """0: no repetition, the last rate continues for ever."""
    segment: Int64
    cycle_ms: Milliseconds
    """Start of the current repetition."""
    at_ms: Float64


# A segment with less than this share of a unit left counts as consumed: rounding must not keep a reader at the end
# of a past segment.
_NEGLIGIBLE = 1e-9
_MS_PER_SECOND = 1_000.0


class RateSeries(Protocol):
    """A rate per second: `rates[i]` from `times_ms[i]` on, repeated every `period_ms` (0: not repeated)."""

    @property
    def times_ms(self) -> npt.NDArray[np.int64]:
        """The breakpoints, ms."""

    @property
    def rates(self) -> npt.NDArray[np.float64]:
        """The rate per second from each breakpoint on."""

    @property
    def period_ms(self) -> int:
        """The period of repetition, ms; 0 for none."""


def flatten_series(
    series: Sequence[RateSeries],
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return one cursor per series at instant 0, and the flat arrays of breakpoints (ms) and rates (per second).

    Before its first breakpoint a repeated series has its last rate, one without repetition a rate of 0.
    """
    cursors = new_table(LoadCursorRow, len(series))
    times: list[npt.NDArray[np.int64]] = []
    rates: list[npt.NDArray[np.float64]] = []
    first = 0
    for cursor, entry in zip(cursors, series, strict=True):
        breakpoints = np.asarray(entry.times_ms, np.int64)
        rate = np.asarray(entry.rates, np.float64)
        _check_series(breakpoints, rate, entry.period_ms)
        if breakpoints[0] > 0:
            breakpoints = np.concatenate(([0], breakpoints))
            rate = np.concatenate(([rate[-1] if entry.period_ms else 0.0], rate))
        times.append(breakpoints)
        rates.append(rate)
        cursor["first"] = cursor["segment"] = first
        cursor["last"] = first = first + breakpoints.size
        cursor["period_ms"] = entry.period_ms
    if not series:
        return cursors, np.zeros(0, np.int64), np.zeros(0, np.float64)
    return cursors, np.concatenate(times), np.concatenate(rates)


def _check_series(times: npt.NDArray[np.int64], rates: npt.NDArray[np.float64], period_ms: int) -> None:
    """Raise ValueError for a series that is empty, unsorted, negative or longer than its repetition."""
    if times.size == 0 or times.size != rates.size:
        raise ValueError("a demand series needs as many rates as breakpoints, and at least one")
    if times[0] < 0 or np.any(np.diff(times) <= 0) or (period_ms and times[-1] >= period_ms):
        raise ValueError("the breakpoints of a demand series must rise from 0 and stay below its period")
    if not np.all(np.isfinite(rates)) or np.any(rates < 0.0):
        raise ValueError("the rates of a demand series must be finite and not negative")


@kernel
def _segment_end(cursor: Any, times: np.ndarray) -> float:
    """Return the end (ms) of the cursor's segment; infinity for a last rate that continues for ever."""
    if cursor.segment + 1 < cursor.last:
        return float(cursor.cycle_ms + times[cursor.segment + 1])
    if cursor.period_ms > 0:
        return float(cursor.cycle_ms + cursor.period_ms)
    return np.inf


@kernel
def _next_segment(cursor: Any) -> None:
    cursor.segment += 1
    if cursor.segment == cursor.last:
        cursor.segment = cursor.first
        cursor.cycle_ms += cursor.period_ms


@kernel
def advance_to(cursor: Any, times: np.ndarray, rates: np.ndarray, until_ms: float) -> float:
    """Move the cursor to `until_ms` and return the amount that arrives until then (exclusive)."""
    amount = 0.0
    while cursor.at_ms < until_ms:
        end = _segment_end(cursor, times)
        stop = min(end, until_ms)
        amount += rates[cursor.segment] * (stop - cursor.at_ms)
        cursor.at_ms = stop
        if stop == end:
            _next_segment(cursor)
    return amount / _MS_PER_SECOND


@kernel
def advance_by(cursor: Any, times: np.ndarray, rates: np.ndarray, amount: float, until_ms: float) -> None:
    """Move the cursor past the next `amount` of arrivals and the idle time after it, but not past `until_ms`.

    It then stands at the arrival of the first unit after that amount.
    """
    remaining = amount * _MS_PER_SECOND
    while cursor.at_ms < until_ms:
        end = _segment_end(cursor, times)
        stop = min(end, until_ms)
        rate = rates[cursor.segment]
        arrivals = rate * (stop - cursor.at_ms)
        if arrivals > remaining + _NEGLIGIBLE * _MS_PER_SECOND:
            cursor.at_ms += remaining / rate
            return
        remaining = max(remaining - arrivals, 0.0)
        cursor.at_ms = stop
        if stop == end:
            _next_segment(cursor)
