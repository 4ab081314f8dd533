"""A buffer of records as columns, for code that turns them into rows or sums: the task table, usage by resource."""

from __future__ import annotations

import numpy as np

from clustersim.engine.records import Array

BLOCK_ROWS = 2_048


class ColumnBuffer:
    """The columns of a buffer of records.

    All fields are gathered at once, one block of records after the other that fits into the processor's cache: a record
    is long, and a pass over all of them for one field would take as long as for all.
    """

    def __init__(self, records: Array) -> None:
        self.size = int(records.size)
        self._columns = {name: np.empty(self.size, records.dtype[name]) for name in records.dtype.names or ()}
        for first in range(0, self.size, BLOCK_ROWS):
            block = records[first : first + BLOCK_ROWS]
            for name, column in self._columns.items():
                column[first : first + BLOCK_ROWS] = block[name]

    def __getitem__(self, name: str) -> Array:
        return self._columns[name]

    def where(self, mask: Array) -> ColumnBuffer | SelectedRows:
        """Return the rows selected by `mask`; these columns themselves if it selects all."""
        return self if bool(mask.all()) else SelectedRows(self, mask)


class SelectedRows:
    """Some rows of columns; each column is selected on first access."""

    def __init__(self, columns: ColumnBuffer, mask: Array) -> None:
        self.size = int(np.count_nonzero(mask))
        self._columns = columns
        self._mask = mask
        self._chosen: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self._chosen:
            self._chosen[name] = self._columns[name][self._mask]
        return self._chosen[name]
