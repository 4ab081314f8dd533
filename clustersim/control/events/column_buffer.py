"""A chunk of records as columns, for those who make rows or sums of it: the journal, accounts of single resources."""

from __future__ import annotations

import numpy as np

from clustersim.engine.compiled import Array

BLOCK_ROWS = 2_048


class Columns:
    """Columns of a chunk of records.

    All fields are gathered at once, a block of records after the other that fits into the processor's cache: a record
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

    def where(self, mask: Array) -> Columns | ChosenRows:
        """The rows of `mask`; all of them are these columns themselves."""
        return self if bool(mask.all()) else ChosenRows(self, mask)


class ChosenRows:
    """Some rows of columns, each column chosen from when it is asked for."""

    def __init__(self, columns: Columns, mask: Array) -> None:
        self.size = int(np.count_nonzero(mask))
        self._columns = columns
        self._mask = mask
        self._chosen: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self._chosen:
            self._chosen[name] = self._columns[name][self._mask]
        return self._chosen[name]
