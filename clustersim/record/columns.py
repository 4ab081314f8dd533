"""Conversion of column values from kernels and controllers into Arrow arrays, without a loop over rows.

Decides how the values of one column are encoded: codes become dictionary words, `NEVER` and NaN become nulls,
milliseconds become instants. Must not know which tables exist, nor files. The recorder calls it.

Arrays are built with `pa.Array.from_buffers`: `pa.array` imports pandas if it is installed, which takes longer than
a small simulation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from clustersim.errors import SimulationError
from clustersim.record.schema import FLOAT, INSTANT, INT32, NAME, TEXT, Column
from clustersim.vocabulary import NEVER

ColumnValues: TypeAlias = "np.ndarray[Any, Any] | list[str | None] | Any"
"""A column ready to be encoded: an array of the column's numpy type; for a text column, strings or Arrow strings."""


class Vocabulary:
    """The words of one dictionary column and their codes.

    The code of a word is its index in `words`, so that the enumeration of a kernel can be used directly: a None
    in the list (the `NONE = 0` of an enumeration) gives a code that means null. New words may be added at any time.
    The dictionary in the file has the words in the same order, without the Nones.
    """

    def __init__(self, words: Iterable[str | None] = ()) -> None:
        self._words: list[str] = []
        self._code_of: dict[str, int] = {}
        self._index_of: list[int] = []  # code -> index in the file's dictionary; NEVER for null
        self._lookup: np.ndarray[Any, Any] | None = None
        self._dictionary: pa.Array | None = None
        for word in words:
            self._append(word)

    def __len__(self) -> int:
        """Return the number of words in the file's dictionary."""
        return len(self._words)

    def _append(self, word: str | None) -> int:
        code = len(self._index_of)
        if word is None:
            self._index_of.append(NEVER)
        elif word in self._code_of:
            self._index_of.append(self._index_of[self._code_of[word]])
        else:
            self._index_of.append(len(self._words))
            self._code_of[word] = code
            self._words.append(word)
            self._dictionary = None
        self._lookup = None
        return code

    @property
    def dictionary(self) -> pa.Array:
        """The words of the file's dictionary, in order."""
        if self._dictionary is None:
            self._dictionary = _build_string_array(self._words)
        return self._dictionary

    def code(self, word: str) -> int:
        """Return the code of `word`, which is added if it is new."""
        code = self._code_of.get(word)
        return self._append(word) if code is None else code

    def codes(self, words: Sequence[str | None]) -> np.ndarray[Any, Any]:
        """Return the codes of words, which are added if they are new; NEVER for None."""
        codes = (NEVER if word is None else self.code(word) for word in words)
        return np.fromiter(codes, dtype=np.int32, count=len(words))

    def encode(self, codes: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], pa.Array]:
        """Return the indices (int32, NEVER for null) of `codes` in the file's dictionary, and that dictionary.

        Raises IndexError for an unknown code.
        """
        if self._lookup is None:  # with a last element for NEVER (-1), which stays NEVER
            self._lookup = np.array([*self._index_of, NEVER], dtype=np.int32)
        if codes.size and (codes.min() < NEVER or codes.max() >= len(self._index_of)):
            raise IndexError
        indices = codes if len(self._words) == len(self._index_of) else self._lookup[codes]
        return indices, self.dictionary


def coerce_column(column: Column, values: Any, vocabulary: Vocabulary | None, table: str) -> ColumnValues:
    """Return `values` as an array of the column's numpy type, copied only if necessary.

    Text and dictionary columns accept sequences of words, too. `table` is named in errors. Raises SimulationError
    for floats in an integer column.
    """
    if column.type == TEXT:
        return values if isinstance(values, pa.Array) else list(values)
    if not isinstance(values, np.ndarray):
        if vocabulary is not None:
            return vocabulary.codes(values)
        missing = float("nan") if column.type == FLOAT else NEVER
        values = np.array([missing if value is None else value for value in values])
    if column.type != FLOAT and values.size and values.dtype.kind not in "iu":
        raise SimulationError(f"{table}.{column.name} has integers but was given {values.dtype}")
    return np.ascontiguousarray(values, dtype=_numpy_type(column))


def null_column(column: Column, rows: int) -> ColumnValues:
    """Return a column of `rows` nulls."""
    if column.type == TEXT:
        return pa.nulls(rows, pa.string())
    return np.full(rows, float("nan") if column.type == FLOAT else NEVER, dtype=_numpy_type(column))


def encode_column(
    column: Column, values: ColumnValues, vocabulary: Vocabulary | None, origin_ms: int, table: str
) -> pa.Array:
    """Return a coerced column as an Arrow array; `origin_ms` is added to instants.

    Raises SimulationError for an unknown code, or a null in a column that is not nullable.
    """
    column_name = f"{table}.{column.name}"
    if isinstance(values, list | pa.Array):
        array = to_arrow_strings(values)
        if array.null_count and not column.nullable:
            raise SimulationError(f"{column_name} has no value in some row")
        return array
    dictionary = None
    if vocabulary is not None:
        try:
            values, dictionary = vocabulary.encode(values)
        except IndexError:
            raise SimulationError(f"{column_name} was given an unknown code") from None
    is_null = np.isnan(values) if column.type == FLOAT else values == NEVER
    nulls = int(np.count_nonzero(is_null))
    if nulls and not column.nullable:
        raise SimulationError(f"{column_name} has no value in {nulls} of {len(values)} rows")
    bitmap = pa.py_buffer(np.packbits(~is_null, bitorder="little")) if nulls else None
    if column.type == INSTANT and origin_ms:
        values = values + origin_ms
    kind = INT32 if column.type == NAME else column.type
    array = pa.Array.from_buffers(kind, len(values), [bitmap, pa.py_buffer(values)], null_count=nulls)
    # `safe=False`: the codes were checked above.
    return array if dictionary is None else pa.DictionaryArray.from_arrays(array, dictionary, safe=False)


def _numpy_type(column: Column) -> type[np.generic]:
    if column.type == FLOAT:
        return np.float64
    return np.int32 if column.type in (INT32, NAME) else np.int64


def to_arrow_strings(values: ColumnValues) -> pa.Array:
    """Return a text column as Arrow strings."""
    return _build_string_array(values) if isinstance(values, list) else values


def _build_string_array(texts: Sequence[str | None]) -> pa.Array:
    """Build a string array from Python strings: offsets, bytes and a validity bitmap."""
    encoded = [b"" if text is None else text.encode() for text in texts]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int32)
    np.cumsum([len(each) for each in encoded], out=offsets[1:])
    is_null = np.array([text is None for text in texts], dtype=bool)
    nulls = int(np.count_nonzero(is_null))
    bitmap = pa.py_buffer(np.packbits(~is_null, bitorder="little")) if nulls else None
    buffers = [bitmap, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(TEXT, len(encoded), buffers, null_count=nulls)
