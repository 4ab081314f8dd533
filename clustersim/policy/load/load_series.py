"""Piecewise-constant demand: how much arrives between two instants, and when a given amount had arrived.

Decides the arithmetic of rates only; knows neither services nor queues. The series of all services are laid
end to end in two flat arrays; a CURSOR is one reader's monotone position in its stretch of them.
`policy.load.fluid_model` keeps two readers per service: one for what arrives, one for the message at the head of a
queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from clustersim.engine.compiled import kernel

CURSOR = np.dtype(
    [
        ("first", np.int64),  # the series is the stretch first..last (exclusive) of the flat arrays
        ("last", np.int64),
        ("period_ms", np.int64),  # 0: no repetition, the last rate holds for ever
        ("segment", np.int64),
        ("cycle_ms", np.int64),  # instant at which the present repetition began
        ("at_ms", np.float64),
    ],
    align=True,
)

# A segment of which less than this share of a unit is left counts as used up: rounding must not hold a reader
# at the end of a stretch long gone.
_NOTHING = 1e-9
_MS_PER_SECOND = 1_000.0


class Rates(Protocol):
    """A rate per second: `rates[i]` from `times_ms[i]` on, repeated after `period_ms` (0: not repeated)."""

    @property
    def times_ms(self) -> npt.NDArray[np.int64]:
        """Breakpoints, ms."""

    @property
    def rates(self) -> npt.NDArray[np.float64]:
        """Per second, from each breakpoint on."""

    @property
    def period_ms(self) -> int:
        """When it repeats, ms; 0 for never."""


def flatten(
    series: Sequence[Rates],
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Cursors at instant 0, one per series, and the flat arrays of breakpoints (ms) and rates (per second).

    Before its first breakpoint a repeated series has its last rate, one without repetition has none.
    """
    cursors = np.zeros(len(series), CURSOR)
    times: list[npt.NDArray[np.int64]] = []
    rates: list[npt.NDArray[np.float64]] = []
    first = 0
    for cursor, one in zip(cursors, series, strict=True):
        at = np.asarray(one.times_ms, np.int64)
        rate = np.asarray(one.rates, np.float64)
        _check(at, rate, one.period_ms)
        if at[0] > 0:
            at = np.concatenate(([0], at))
            rate = np.concatenate(([rate[-1] if one.period_ms else 0.0], rate))
        times.append(at)
        rates.append(rate)
        cursor["first"] = cursor["segment"] = first
        cursor["last"] = first = first + at.size
        cursor["period_ms"] = one.period_ms
    if not series:
        return cursors, np.zeros(0, np.int64), np.zeros(0, np.float64)
    return cursors, np.concatenate(times), np.concatenate(rates)


def _check(times: npt.NDArray[np.int64], rates: npt.NDArray[np.float64], period_ms: int) -> None:
    """Raise ValueError for a series that is empty, unsorted, negative or longer than its repetition."""
    if times.size == 0 or times.size != rates.size:
        raise ValueError("a demand series needs as many rates as breakpoints, and at least one")
    if times[0] < 0 or np.any(np.diff(times) <= 0) or (period_ms and times[-1] >= period_ms):
        raise ValueError("the breakpoints of a demand series must rise from 0 and stay below its period")
    if not np.all(np.isfinite(rates)) or np.any(rates < 0.0):
        raise ValueError("the rates of a demand series must be finite and not negative")


@kernel
def _segment_end(cursor: Any, times: np.ndarray) -> float:
    """The instant (ms) at which the cursor's segment ends; infinity for a last rate that holds for ever."""
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
    """The amount that arrives from the cursor's instant to `until_ms` (exclusive); the cursor moves there."""
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

    It then stands at the arrival of the first unit that is not part of the amount.
    """
    left = amount * _MS_PER_SECOND
    while cursor.at_ms < until_ms:
        end = _segment_end(cursor, times)
        stop = min(end, until_ms)
        rate = rates[cursor.segment]
        mass = rate * (stop - cursor.at_ms)
        if mass > left + _NOTHING * _MS_PER_SECOND:
            cursor.at_ms += left / rate
            return
        left = max(left - mass, 0.0)
        cursor.at_ms = stop
        if stop == end:
            _next_segment(cursor)
