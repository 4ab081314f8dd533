"""Decisions of scaling policies on their way to `scaling_activities`.

Keeps them as numbers until a batch is full; what they say beside numbers (target, policy, metric, cause) is an
*origin*, known once and numbered. Of what Service Auto Scaling decides, the events are told here, too. Decides
nothing; the wiring calls it, and every controller that scales.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustersim.control.events.service_events import EventLog
from clustersim.engine.compiled import Array
from clustersim.record.columns import strings
from clustersim.record.recorder import Recorder
from clustersim.vocabulary import NEVER

ACTIVITY = np.dtype(
    [
        ("time", np.int64),
        ("origin", np.int64),
        ("value", np.float64),  # of the metric; NaN is null
        ("before", np.int64),
        ("after", np.int64),
    ],
    align=True,
)
ROWS = 4_096
_TABLE = "scaling_activities"


class Origin(NamedTuple):
    """What a decision says beside its numbers: whose it is, and by which policy (or scheduled action) and why."""

    target: str
    policy: str
    metric: str | None
    cause: str


Record = Callable[[int, Origin, float, int, int], None]
"""Writes a row of `scaling_activities`: instant (ms), origin, value of the metric, count before and after."""


class ActivityLog:
    """Writes `scaling_activities`."""

    def __init__(self, recorder: Recorder, events: EventLog) -> None:
        self._recorder = recorder
        self._events = events
        self._rows = np.zeros(ROWS, ACTIVITY)
        self._count = 0
        self._origins: list[Origin] = []
        self._number_of: dict[Origin, int] = {}
        # By origin of Service Auto Scaling: its number here, and that of its cause in events.
        self._numbers = np.zeros(0, np.int64)
        self._causes = np.zeros(0, np.int64)

    def scaled(self, now: int, moves: Array, origins: Sequence[Origin]) -> None:
        """Service Auto Scaling has decided `moves` (`policy.scaling.target_tracking_kernel.MOVE`), which come from
        `origins`.
        """
        if self._numbers.size < len(origins):
            self._know(origins)
        origin = moves["origin"]
        counts = (moves["before"], moves["count"])
        self._events.desired_counts(now, moves["target"], *counts, self._causes[origin])
        self._add(now, self._numbers[origin], moves["value"], *counts)

    def add(self, now: int, origin: Origin, value: float, before: int, after: int) -> None:
        """Add one decision: a `Record`."""
        one = [np.array([each]) for each in (self._number(origin), value, before, after)]
        self._add(now, *one)

    def empty(self) -> None:
        """Write the rows that wait."""
        rows, self._count = self._rows[: self._count], 0
        if rows.size == 0:
            return
        kinds, first, number = np.unique(rows["origin"], return_index=True, return_inverse=True)
        seen = [self._origins[kind] for kind in kinds]
        place = number.astype(np.int32)
        columns = {
            "time": rows["time"],
            "metric_value": rows["value"],
            "from_count": rows["before"],
            "to_count": rows["after"],
        }
        for column in ("target", "policy", "metric"):
            words = self._recorder.vocabulary(_TABLE, column)
            codes = np.full(kinds.size, NEVER, np.int64)
            for position in np.argsort(first).tolist():  # new words in order of appearance
                word = getattr(seen[position], column)
                if word is not None:
                    codes[position] = words.code(word)
            columns[column] = codes[place]
        causes = strings([origin.cause for origin in seen])
        index = pa.Array.from_buffers(pa.int32(), place.size, [None, pa.py_buffer(place)])
        self._recorder.append_columns(_TABLE, columns | {"cause": causes.take(index)})

    def _know(self, origins: Sequence[Origin]) -> None:
        """Number what Service Auto Scaling's origins say."""
        numbers, causes = self._numbers.tolist(), self._causes.tolist()
        for origin in origins[len(numbers) :]:
            numbers.append(self._number(origin))
            causes.append(self._events.cause(origin.cause))
        self._numbers, self._causes = np.array(numbers, np.int64), np.array(causes, np.int64)

    def _number(self, origin: Origin) -> int:
        if origin not in self._number_of:
            self._number_of[origin] = len(self._origins)
            self._origins.append(origin)
        return self._number_of[origin]

    def _add(self, now: int, numbers: Array, values: Array, before: Array, after: Array) -> None:
        """Keep rows, so many as there are numbers."""
        while self._count + numbers.size > self._rows.size:
            if self._count == 0:
                self._rows = np.zeros(2 * numbers.size, ACTIVITY)
            self.empty()
        rows = self._rows[self._count : self._count + numbers.size]
        self._count += numbers.size
        rows["time"], rows["origin"], rows["value"] = now, numbers, values
        rows["before"], rows["after"] = before, after
