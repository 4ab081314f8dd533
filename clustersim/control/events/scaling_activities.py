"""Decisions of scaling policies, buffered and written to `scaling_activities`.

Keeps them as numbers until a batch is full. Target, policy, metric and cause are an *origin*, numbered once. Also logs
the events of Service Auto Scaling's decisions. Decides nothing; the wiring calls it, and every controller that scales.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustersim.control.events.service_events import EventLog
from clustersim.engine.records import Array, Float64, Int64, Record, new_table
from clustersim.record.columns import to_arrow_strings
from clustersim.record.recorder import Recorder
from clustersim.vocabulary import NEVER


class ActivityRow(Record):
    """A row of the table of activitys."""

    time: Int64
    origin: Int64
    value: Float64
    """Of the metric; NaN is null."""
    before: Int64
    after: Int64


BUFFER_ROWS = 4_096
_TABLE = "scaling_activities"


class Origin(NamedTuple):
    """The target of a decision, and the policy (or scheduled action), metric and cause behind it."""

    target: str
    policy: str
    metric: str | None
    cause: str


RecordActivity = Callable[[int, Origin, float, int, int], None]
"""The call that writes a row of `scaling_activities`: instant (ms), origin, metric value, count before and after."""


class ScalingActivityLog:
    """The table `scaling_activities` of a run."""

    def __init__(self, recorder: Recorder, events: EventLog) -> None:
        self._recorder = recorder
        self._events = events
        self._rows = new_table(ActivityRow, BUFFER_ROWS)
        self._count = 0
        self._origins: list[Origin] = []
        self._number_of: dict[Origin, int] = {}
        # By position of the origin in Service Auto Scaling: its number here, and its cause's text number in events.
        self._numbers = np.zeros(0, np.int64)
        self._causes = np.zeros(0, np.int64)

    def add_service_scaling(self, now: int, moves: Array, origins: Sequence[Origin]) -> None:
        """Add decisions of Service Auto Scaling: rows of `target_tracking_kernel.ScalingMoveRow`, with
        their `origins`.
        """
        if self._numbers.size < len(origins):
            self._number_origins(origins)
        origin = moves["origin"]
        counts = (moves["before"], moves["count"])
        self._events.log_desired_counts(now, moves["target"], *counts, self._causes[origin])
        self._add(now, self._numbers[origin], moves["value"], *counts)

    def add(self, now: int, origin: Origin, value: float, before: int, after: int) -> None:
        """Add one decision; the arguments are those of `RecordActivity`."""
        one = [np.array([each]) for each in (self._number(origin), value, before, after)]
        self._add(now, *one)

    def flush(self) -> None:
        """Write the buffered rows."""
        rows, self._count = self._rows[: self._count], 0
        if rows.size == 0:
            return
        kinds, first, number = np.unique(rows["origin"], return_index=True, return_inverse=True)
        seen = [self._origins[kind] for kind in kinds]
        row_kind = number.astype(np.int32)
        columns = {
            "time": rows["time"],
            "metric_value": rows["value"],
            "from_count": rows["before"],
            "to_count": rows["after"],
        }
        for column in ("target", "policy", "metric"):
            vocabulary = self._recorder.vocabulary(_TABLE, column)
            codes = np.full(kinds.size, NEVER, np.int64)
            for position in np.argsort(first).tolist():  # new words get codes in order of appearance
                word = getattr(seen[position], column)
                if word is not None:
                    codes[position] = vocabulary.code(word)
            columns[column] = codes[row_kind]
        causes = to_arrow_strings([origin.cause for origin in seen])
        index = pa.Array.from_buffers(pa.int32(), row_kind.size, [None, pa.py_buffer(row_kind)])
        self._recorder.append_columns(_TABLE, columns | {"cause": causes.take(index)})

    def _number_origins(self, origins: Sequence[Origin]) -> None:
        """Number the origins that Service Auto Scaling has added."""
        numbers, causes = self._numbers.tolist(), self._causes.tolist()
        for origin in origins[len(numbers) :]:
            numbers.append(self._number(origin))
            causes.append(self._events.cause_number(origin.cause))
        self._numbers, self._causes = np.array(numbers, np.int64), np.array(causes, np.int64)

    def _number(self, origin: Origin) -> int:
        if origin not in self._number_of:
            self._number_of[origin] = len(self._origins)
            self._origins.append(origin)
        return self._number_of[origin]

    def _add(self, now: int, numbers: Array, values: Array, before: Array, after: Array) -> None:
        """Buffer one row per number."""
        while self._count + numbers.size > self._rows.size:
            if self._count == 0:
                self._rows = new_table(ActivityRow, 2 * numbers.size)
            self.flush()
        rows = self._rows[self._count : self._count + numbers.size]
        self._count += numbers.size
        rows["time"], rows["origin"], rows["value"] = now, numbers, values
        rows["before"], rows["after"] = before, after
