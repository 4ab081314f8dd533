"""The arrivals of exact requests: when the next request of a stream comes.

Decides the instants from the rates of the demand and the random times between requests (`arrival_gaps`): the next one
comes when the integral of the rate since the last has grown by a random number with mean 1. It must not know targets.
`policy.load.exact_requests` calls it.
"""

from __future__ import annotations

import numpy as np

from clustersim.engine.compiled import inlined, kernel, kernel_entry
from clustersim.policy.load.arrival_gaps import arrival_gap
from clustersim.policy.load.exact_tables import RequestTables

_MS_PER_SECOND = 1_000.0
_MIN_REMAINING = 1e-300  # rounding at the end of a segment must not skip an arrival


@kernel
def _next_segment(requests: RequestTables, stream: int) -> None:
    """Move the reader of a stream to the next breakpoint of its demand."""
    cursor, s = requests.cursors[stream], requests.streams[stream]
    s.at_s = s.segment_end_s
    cursor.segment += 1
    if cursor.segment == cursor.last:
        cursor.segment = cursor.first
        cursor.cycle_ms += cursor.period_ms
    s.segment_end_s = segment_end_s(requests, stream)


@kernel
def segment_end_s(requests: RequestTables, stream: int) -> float:
    """Return when the rate of a stream changes next (s); infinity for a last rate that continues for ever."""
    cursor = requests.cursors[stream]
    if cursor.segment + 1 < cursor.last:
        return float(cursor.cycle_ms + requests.times[cursor.segment + 1]) / _MS_PER_SECOND
    return float(cursor.cycle_ms + cursor.period_ms) / _MS_PER_SECOND if cursor.period_ms > 0 else np.inf


@inlined
def next_arrival(requests: RequestTables, stream: int, until_s: float) -> float:
    """Return the instant of the stream's next request; infinity if it does not come before `until_s`."""
    s = requests.streams[stream]
    while True:
        rate = requests.rates[requests.cursors[stream].segment]
        if rate > 0.0:
            at_s = s.at_s + s.remaining / rate
            if at_s < s.segment_end_s:
                return float(at_s) if at_s < until_s else np.inf
        if s.segment_end_s >= until_s:
            return np.inf
        s.remaining = max(s.remaining - rate * (s.segment_end_s - s.at_s), _MIN_REMAINING)
        _next_segment(requests, stream)


@inlined
def draw_next_arrival(requests: RequestTables, stream: int, at_s: float, ordinal: int) -> None:
    """Draw the time from `at_s` to the next request, the `ordinal`-th."""
    s = requests.streams[stream]
    s.at_s, s.ordinal = at_s, ordinal
    s.remaining = arrival_gap(s.arrival_key, ordinal, s.burstiness)


@kernel_entry
def start_streams(requests: RequestTables) -> None:
    """Start all streams at the first instant."""
    for stream in range(requests.streams.size):
        requests.streams[stream].segment_end_s = segment_end_s(requests, stream)
        draw_next_arrival(requests, stream, 0.0, 0)
