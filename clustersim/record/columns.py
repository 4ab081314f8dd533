"""From what kernels and controllers hand over to Arrow arrays, without a loop over rows.

This module decides how one column's values become Arrow memory: codes become dictionary words, `NEVER` and
NaN become nulls, milliseconds become instants. It must not know which tables exist, nor files. The recorder
calls it.

Arrays are built with `pa.Array.from_buffers`: `pa.array` imports pandas wherever that is installed, which
takes longer than a small simulation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from clustersim.errors import SimulationError
from clustersim.record.schema import FLOAT, INSTANT, INT32, NAME, TEXT, Column
from clustersim.vocabulary import NEVER

Values: TypeAlias = "np.ndarray[Any, Any] | list[str | None] | Any"
"""A column ready to be encoded: an array of the column's own width; a text column as sentences or Arrow strings."""


class Vocabulary:
    """The words of one dictionary column, and the codes that stand for them.

    A word's code is its place in the list given, so a kernel's own enumeration may be used as it is: a None
    in the list (the `NONE = 0` of an enumeration) makes a code that means null. New words may be added at any
    time. In the file the words stand in the same order, without the Nones.
    """

    def __init__(self, words: Iterable[str | None] = ()) -> None:
        self._words: list[str] = []
        self._code_of: dict[str, int] = {}
        self._place_of: list[int] = []  # code -> place in the file's dictionary; NEVER for null
        self._lookup: np.ndarray[Any, Any] | None = None
        self._dictionary: pa.Array | None = None
        for word in words:
            self._append(word)

    def __len__(self) -> int:
        """How many words the file's dictionary has."""
        return len(self._words)

    def _append(self, word: str | None) -> int:
        code = len(self._place_of)
        if word is None:
            self._place_of.append(NEVER)
        elif word in self._code_of:
            self._place_of.append(self._place_of[self._code_of[word]])
        else:
            self._place_of.append(len(self._words))
            self._code_of[word] = code
            self._words.append(word)
            self._dictionary = None
        self._lookup = None
        return code

    @property
    def dictionary(self) -> pa.Array:
        """The words of the file's dictionary, in order."""
        if self._dictionary is None:
            self._dictionary = _text(self._words)
        return self._dictionary

    def code(self, word: str) -> int:
        """The code of `word`, which is added when it is new."""
        known = self._code_of.get(word)
        return self._append(word) if known is None else known

    def codes(self, words: Sequence[str | None]) -> np.ndarray[Any, Any]:
        """The codes of many words; NEVER for None."""
        found = (NEVER if word is None else self.code(word) for word in words)
        return np.fromiter(found, dtype=np.int32, count=len(words))

    def encode(self, codes: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], pa.Array]:
        """The places (int32, NEVER for null) of `codes` in the file's dictionary, and that dictionary."""
        if self._lookup is None:  # one element more: NEVER, the last place, means itself
            self._lookup = np.array([*self._place_of, NEVER], dtype=np.int32)
        if codes.size and (codes.min() < NEVER or codes.max() >= len(self._place_of)):
            raise IndexError
        places = codes if len(self._words) == len(self._place_of) else self._lookup[codes]
        return places, self.dictionary


def settle(column: Column, values: Any, vocabulary: Vocabulary | None, table: str) -> Values:
    """`values` as an array of the column's own width; no copy is made where none is needed.

    Text and dictionary columns take sequences of words, too. `table` is named in an error.
    """
    if column.type == TEXT:
        return values if isinstance(values, pa.Array) else list(values)
    if not isinstance(values, np.ndarray):
        if vocabulary is not None:
            return vocabulary.codes(values)
        missing = float("nan") if column.type == FLOAT else NEVER
        values = np.array([missing if value is None else value for value in values])
    if column.type != FLOAT and values.size and values.dtype.kind not in "iu":
        raise SimulationError(f"{table}.{column.name} holds whole numbers and was given {values.dtype}")
    return np.ascontiguousarray(values, dtype=_width(column))


def nothing(column: Column, rows: int) -> Values:
    """A column of `rows` nulls."""
    if column.type == TEXT:
        return pa.nulls(rows, pa.string())
    return np.full(rows, float("nan") if column.type == FLOAT else NEVER, dtype=_width(column))


def encode(
    column: Column, values: Values, vocabulary: Vocabulary | None, origin_ms: int, table: str
) -> pa.Array:
    """One settled column as an Arrow array; `origin_ms` is added to instants."""
    where = f"{table}.{column.name}"
    if isinstance(values, list | pa.Array):
        array = strings(values)
        if array.null_count and not column.nullable:
            raise SimulationError(f"{where} has no value in some row")
        return array
    dictionary = None
    if vocabulary is not None:
        try:
            values, dictionary = vocabulary.encode(values)
        except IndexError:
            raise SimulationError(f"{where} was given a code that no word belongs to") from None
    absent = np.isnan(values) if column.type == FLOAT else values == NEVER
    nulls = int(np.count_nonzero(absent))
    if nulls and not column.nullable:
        raise SimulationError(f"{where} has no value in {nulls} of {len(values)} rows")
    bitmap = pa.py_buffer(np.packbits(~absent, bitorder="little")) if nulls else None
    if column.type == INSTANT and origin_ms:
        values = values + origin_ms
    kind = INT32 if column.type == NAME else column.type
    array = pa.Array.from_buffers(kind, len(values), [bitmap, pa.py_buffer(values)], null_count=nulls)
    # The codes were checked above; Arrow need not check them once more.
    return array if dictionary is None else pa.DictionaryArray.from_arrays(array, dictionary, safe=False)


def _width(column: Column) -> type[np.generic]:
    if column.type == FLOAT:
        return np.float64
    return np.int32 if column.type in (INT32, NAME) else np.int64


def strings(values: Values) -> pa.Array:
    """A text column as Arrow strings."""
    return _text(values) if isinstance(values, list) else values


def _text(sentences: Sequence[str | None]) -> pa.Array:
    """A string array from Python strings: offsets, bytes and a bitmap."""
    encoded = [b"" if sentence is None else sentence.encode() for sentence in sentences]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int32)
    np.cumsum([len(each) for each in encoded], out=offsets[1:])
    absent = np.array([sentence is None for sentence in sentences], dtype=bool)
    nulls = int(np.count_nonzero(absent))
    bitmap = pa.py_buffer(np.packbits(~absent, bitorder="little")) if nulls else None
    buffers = [bitmap, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(TEXT, len(encoded), buffers, null_count=nulls)
