"""Task arrivals: all RunTask calls of a run, passed to the calendar a block of rows at a time.

All arrivals are known before the clock starts (`run_tasks`), but a row of the calendar's table takes more memory than
its source, and a trace has millions: only the next rows are made. Rows are in order of time; rows of one instant in the
order of their task sets, then of their source. Decides nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.engine.records import as_table, new_table
from clustersim.scenario.sections.scenario import TraceTable
from clustersim.vocabulary import NEVER
from clustersim.world.state.tables import ArrivalRow
from clustersim.world.state.world import World

BLOCK_ROWS = 65_536


class ArrivalSource(ABC):
    """The rows of one entry in order of time; `at` (ms) counts from `shift`. Subclasses fill the other columns."""

    def __init__(self, at: Array, shift: int = 0) -> None:
        self._at = at
        self._shift = shift
        self._rows_taken = 0
        self._copies_taken = 0

    @property
    def rows_left(self) -> int:
        """The number of rows not yet taken."""
        return int(self._at.size) - self._rows_taken

    def next_block_end(self) -> int:
        """Return the instant (ms) of the last row of the next block."""
        return int(self._at[min(self._rows_taken + BLOCK_ROWS, self._at.size) - 1]) + self._shift

    def take(self, until: int) -> Array:
        """Take the next rows, all those up to the instant `until` (ms)."""
        last = int(np.searchsorted(self._at, until - self._shift, side="right"))
        rows = slice(self._rows_taken, last)
        block = new_table(ArrivalRow, last - self._rows_taken)
        block["at"] = self._at[rows]
        block["at"] += self._shift
        self.fill(block, rows)
        copies = np.cumsum(block["copies"], dtype=np.int64)
        block["ordinal"] = self._copies_taken + copies - block["copies"]
        self._copies_taken += int(copies[-1]) if copies.size else 0
        self._rows_taken = last
        return block

    @abstractmethod
    def fill(self, block: Array, rows: slice) -> None:
        """Write duration, task set, shape, copies and reference."""


class UniformArrivals(ArrivalSource):
    """Arrivals that differ only in time: of a schedule, of `at`, or of a Poisson process."""

    def __init__(self, at: Array, values: dict[str, int]) -> None:
        super().__init__(at)
        self._values = values

    def fill(self, block: Array, rows: slice) -> None:
        """Write the same values into every row; there is no trace to refer to."""
        for name, value in self._values.items():
            block[name] = value
        block["reference"] = NEVER


@dataclass(frozen=True)
class TraceRowKinds:
    """The task set and shape of each kind (group and size) of trace row."""

    keys: Array  # ascending: group x `sizes` + size
    sizes: int  # 0: a task definition sets the size of all rows
    sets: Array
    shapes: Array


def row_kind_keys(trace: TraceTable, sizes: int, rows: slice) -> Array:
    """Return the kind of each of these rows as a key of `TraceRowKinds`."""
    keys = np.zeros(trace.submit_ms[rows].size, np.int64)
    if trace.group is not None:
        keys += trace.group[rows]
    if sizes:
        keys *= sizes
        keys += trace.size[rows]
    return keys


class TraceArrivals(ArrivalSource):
    """The rows of a trace, whose times count from `start_ms`.

    The random numbers of a copy are addressed by its number in the whole trace, whichever group it belongs to.
    """

    def __init__(self, trace: TraceTable, start_ms: int, kinds: TraceRowKinds) -> None:
        super().__init__(trace.submit_ms, start_ms)
        self._trace = trace
        self._kinds = kinds

    def fill(self, block: Array, rows: slice) -> None:
        """Write the values that the trace has for each row."""
        kinds = self._kinds
        kind = np.searchsorted(kinds.keys, row_kind_keys(self._trace, kinds.sizes, rows))
        block["duration"] = self._trace.duration_ms[rows]
        block["set"] = kinds.sets[kind]
        block["resource_shape"] = kinds.shapes[kind]
        block["copies"] = self._trace.instances[rows]
        block["reference"] = np.arange(rows.start, rows.stop)


class TaskArrivals:
    """All sources of one run, in the order of the entries."""

    def __init__(self, sources: Sequence[ArrivalSource]) -> None:
        self._sources = sources

    def load_next_block(self, world: World) -> None:
        """Load the next block: all rows up to an instant, so that no later block has rows of it."""
        remaining = [source for source in self._sources if source.rows_left]
        if remaining:
            until = min(source.next_block_end() for source in remaining)
            block = np.concatenate([source.take(until) for source in remaining])
            block = block[np.lexsort((block["set"], block["at"]))]
            calendar = world.state.calendar._replace(arrivals=as_table(ArrivalRow, block))
            world.state = world.state._replace(calendar=calendar)
        world.state.counters.next_arrival = 0
        world.state.counters.arrivals_left = sum(source.rows_left for source in self._sources)
