"""Arrivals: what RunTask will be asked for, laid before the calendar a block of rows at a time.

Everything is known before the clock starts (`jobs`), yet a row of the calendar's table takes more memory than
what it is made from, and a trace has millions: only the rows that come next are made. Rows stand in order of
time; rows of one instant in that of their task sets, then of their source. Decides nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.scenario.sections.scenario import TraceTable
from clustersim.vocabulary import NEVER
from clustersim.world.state.tables import ARRIVAL, ARRIVALS_LEFT, NEXT_ARRIVAL
from clustersim.world.state.world import World

BLOCK_ROWS = 65_536


class Source(ABC):
    """Rows of one entry in order of time: `at` (ms) counts from `shift`. Who makes them fills the other columns."""

    def __init__(self, at: Array, shift: int = 0) -> None:
        self._at = at
        self._shift = shift
        self._taken = 0
        self._copies = 0

    @property
    def left(self) -> int:
        """How many rows are yet to be taken."""
        return int(self._at.size) - self._taken

    def horizon(self) -> int:
        """The instant of the last row of the next block."""
        return int(self._at[min(self._taken + BLOCK_ROWS, self._at.size) - 1]) + self._shift

    def take(self, until: int) -> Array:
        """The next rows, all up to the instant `until`."""
        last = int(np.searchsorted(self._at, until - self._shift, side="right"))
        rows = slice(self._taken, last)
        block = np.zeros(last - self._taken, ARRIVAL)
        block["at"] = self._at[rows]
        block["at"] += self._shift
        self.fill(block, rows)
        copies = np.cumsum(block["copies"], dtype=np.int64)
        block["ordinal"] = self._copies + copies - block["copies"]
        self._copies += int(copies[-1]) if copies.size else 0
        self._taken = last
        return block

    @abstractmethod
    def fill(self, block: Array, rows: slice) -> None:
        """Write duration, task set, shape, copies and reference."""


class Timed(Source):
    """Arrivals that are all alike: of a schedule, of `at`, of a Poisson process."""

    def __init__(self, at: Array, values: dict[str, int]) -> None:
        super().__init__(at)
        self._values = values

    def fill(self, block: Array, rows: slice) -> None:
        """The same in every row; there is no trace to refer to."""
        for name, value in self._values.items():
            block[name] = value
        block["reference"] = NEVER


@dataclass(frozen=True)
class Kinds:
    """What rows of a trace differ in beside time: for each kind (group and size) its task set and shape."""

    keys: Array  # ascending: group x `sizes` + size
    sizes: int  # 0: the rows' sizes do not matter
    sets: Array
    shapes: Array


def keys_of(trace: TraceTable, sizes: int, rows: slice) -> Array:
    """The kinds of these rows, as in `Kinds`."""
    keys = np.zeros(trace.submit_ms[rows].size, np.int64)
    if trace.group is not None:
        keys += trace.group[rows]
    if sizes:
        keys *= sizes
        keys += trace.size[rows]
    return keys


class Traced(Source):
    """The rows of a trace, which counts from `start`. The address of a copy's luck is its number in the whole
    trace, whatever group it belongs to."""

    def __init__(self, trace: TraceTable, start_ms: int, kinds: Kinds) -> None:
        super().__init__(trace.submit_ms, start_ms)
        self._trace = trace
        self._kinds = kinds

    def fill(self, block: Array, rows: slice) -> None:
        """What the trace says of each row."""
        kinds = self._kinds
        kind = np.searchsorted(kinds.keys, keys_of(self._trace, kinds.sizes, rows))
        block["duration"] = self._trace.duration_ms[rows]
        block["set"] = kinds.sets[kind]
        block["shape"] = kinds.shapes[kind]
        block["copies"] = self._trace.instances[rows]
        block["reference"] = np.arange(rows.start, rows.stop)


class Arrivals:
    """All sources of one run, in the order of the entries."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    def load(self, world: World) -> None:
        """Lay the next block before the calendar: all rows up to an instant, so that none of it comes later."""
        waiting = [source for source in self._sources if source.left]
        if waiting:
            until = min(source.horizon() for source in waiting)
            block = np.concatenate([source.take(until) for source in waiting])
            block = block[np.lexsort((block["set"], block["at"]))]
            world.state = world.state._replace(arrivals=block)
        world.state.clock[NEXT_ARRIVAL] = 0
        world.state.clock[ARRIVALS_LEFT] = sum(source.left for source in self._sources)
