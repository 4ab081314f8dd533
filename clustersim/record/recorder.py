"""What a run remembers, on its way to files: column chunks and single rows in, one file per table out.

This module decides when rows are written and how (Arrow IPC or Parquet, zstd). It must not know what a row
means, nor where the directory will finally lie (publication does). The simulation's kernels hand over whole
chunks, its controllers single rows; the assembling module closes it at the end.

Memory does not grow with the number of rows: at most `BATCH_ROWS` rows a table wait to be written. The bytes
depend on nothing but the sequence of calls: one thread writes, at a stated compression level.

An IPC file has one dictionary per column, known when the file is opened (a *delta dictionary* could add
words, yet polars and others refuse such files). When words are new the next batch therefore begins another
part of the file; closing makes one file of the parts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from clustersim.errors import SimulationError
from clustersim.record.columns import Values, Vocabulary, encode, nothing, settle, strings
from clustersim.record.schema import NAME, TABLES, Table

Format = Literal["arrow", "parquet"]
Words = Mapping[str | tuple[str, str], Sequence[str | None]]

BATCH_ROWS = 65_536
# Measured on rows of `tasks`: level 3 saves 5% of the bytes for 15% more CPU, level 6 16% for three times it.
COMPRESSION_LEVEL = 1


class Recorder:
    """All tables of one run.

    `vocabularies` holds the words of dictionary columns, by (table, column) or by column; a column that is
    not there starts empty. All instants are ms since `origin_ms` (epoch ms; by default the epoch itself).
    `facts` join the JSON in each file's metadata. `tables` are those that are written. `write_cpu_s` is the CPU
    time spent on files so far.
    """

    def __init__(
        self,
        directory: Path,
        fmt: Format = "arrow",
        vocabularies: Words | None = None,
        *,
        origin_ms: int = 0,
        facts: Mapping[str, Any] | None = None,
        tables: Mapping[str, Table] = TABLES,
    ) -> None:
        self._files = {
            name: _TableFile(
                table, directory, fmt, words=vocabularies or {}, origin_ms=origin_ms, facts=facts or {}
            )
            for name, table in tables.items()
        }

    @property
    def write_cpu_s(self) -> float:
        """CPU seconds spent on encoding, compressing and writing so far."""
        return sum(file.cpu_s for file in self._files.values())

    def _file(self, table: str) -> _TableFile:
        try:
            return self._files[table]
        except KeyError:
            raise SimulationError(f"no result table is named {table!r}") from None

    def vocabulary(self, table: str, column: str) -> Vocabulary:
        """The words of a dictionary column, to look codes up in or to add new words to."""
        try:
            return self._file(table).vocabularies[column]
        except KeyError:
            raise SimulationError(f"{table}.{column} is no dictionary column") from None

    def append_columns(self, table: str, columns: Mapping[str, Any]) -> None:
        """Appends a chunk: arrays of equal length by column; the caller may reuse them at once.

        Dictionary columns take int codes (or words), text columns words. Nulls are NEVER in whole numbers,
        instants and codes, NaN in floats. A nullable column may be left out. Chunks pay with many rows; for a
        few rows at a time `append_row` is the way.
        """
        self._file(table).append_columns(columns)

    def append_row(self, table: str, **values: Any) -> None:
        """Appends one row: words as `str`, instants in ms, None (or leaving it out) for null."""
        self._file(table).append_row(values)

    def close(self) -> dict[str, int]:
        """Writes what waits and finishes every file, those of empty tables too; gives rows per table."""
        return {name: file.close() for name, file in self._files.items()}


class _TableFile:
    """One table on its way to its file."""

    def __init__(
        self,
        table: Table,
        directory: Path,
        fmt: Format,
        *,
        words: Words,
        origin_ms: int,
        facts: Mapping[str, Any],
    ) -> None:
        self.vocabularies = {
            column.name: Vocabulary(words.get((table.name, column.name), words.get(column.name, ())))
            for column in table.columns
            if column.type == NAME
        }
        self.cpu_s = 0.0
        self._table = table
        self._path = directory / f"{table.name}.{fmt}"
        self._format = fmt
        self._origin_ms = origin_ms
        self._schema = table.arrow_schema(facts)
        self._names = list(table.by_name)
        self._rows: list[tuple[Any, ...]] = []  # that wait to be settled as columns
        self._chunks: list[dict[str, Values]] = []
        self._chunk_rows = 0
        self._writer: Any = None
        self._written = 0
        self._parts: list[Path] = []
        self._words: dict[str, int] = {}  # words per dictionary column when the last batch was written

    def append_row(self, values: dict[str, Any]) -> None:
        row = tuple([values.pop(name, None) for name in self._names])
        if values:
            raise SimulationError(f"table {self._table.name} declares no column {sorted(values)[0]!r}")
        self._rows.append(row)
        if len(self._rows) >= BATCH_ROWS:
            self._settle_rows()

    def append_columns(self, columns: Mapping[str, Any]) -> None:
        self._settle_rows()
        for name in columns:
            if name not in self._table.by_name:
                raise SimulationError(f"table {self._table.name} declares no column {name!r}")
        chunk = self._settled(columns)
        rows = len(next(iter(chunk.values())))
        if not self._chunks and rows >= BATCH_ROWS // 2:
            self._write(chunk)
            return
        owned = {
            name: values if isinstance(values, pa.Array) else values.copy() for name, values in chunk.items()
        }
        self._wait(owned, rows)

    def _settled(self, columns: Mapping[str, Any]) -> dict[str, Values]:
        rows = {len(values) for values in columns.values()}
        if len(rows) != 1:
            raise SimulationError(f"columns of unequal length were given to table {self._table.name}")
        chunk: dict[str, Values] = {}
        for name, column in self._table.by_name.items():
            if name in columns:
                chunk[name] = settle(column, columns[name], self.vocabularies.get(name), self._table.name)
            else:
                chunk[name] = nothing(column, next(iter(rows)))
        return chunk

    def _settle_rows(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            chunk = self._settled(
                {name: list(cells) for name, cells in zip(self._names, columns, strict=True)}
            )
            rows = len(self._rows)
            self._rows = []
            self._wait(chunk, rows)

    def _wait(self, chunk: dict[str, Values], rows: int) -> None:
        self._chunks.append(chunk)
        self._chunk_rows += rows
        if self._chunk_rows >= BATCH_ROWS:
            self._write_waiting()

    def _write_waiting(self) -> None:
        if self._chunks:
            self._write({name: _joined([chunk[name] for chunk in self._chunks]) for name in self._names})
            self._chunks = []
            self._chunk_rows = 0

    def _write(self, chunk: dict[str, Values]) -> None:
        began = time.process_time()
        arrays = [
            encode(column, chunk[name], self.vocabularies.get(name), self._origin_ms, self._table.name)
            for name, column in self._table.by_name.items()
        ]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        words = {name: len(vocabulary) for name, vocabulary in self.vocabularies.items()}
        if self._format == "arrow" and words != self._words:
            self._close_part()
        self._words = words
        if self._writer is None:
            self._open_part()
        self._writer.write_batch(batch)
        self._written += batch.num_rows
        self.cpu_s += time.process_time() - began

    def close(self) -> int:
        self._settle_rows()
        self._write_waiting()
        began = time.process_time()
        if not self._parts:
            self._open_part()
        self._close_part()
        if len(self._parts) > 1:
            self._unify()
        self.cpu_s += time.process_time() - began
        return self._written

    def _open_part(self) -> None:
        number = len(self._parts)
        self._parts.append(self._path.with_suffix(f".part-{number}") if number else self._path)
        self._writer = self._open(self._parts[-1])

    def _close_part(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _unify(self) -> None:
        """Makes one file of the parts: a code means the same in all, as words are only ever appended."""
        unified = self._path.with_suffix(".unified")
        writer = self._open(unified)
        for part in self._parts:
            with pa.memory_map(str(part)) as source, pa.ipc.open_file(source) as reader:
                for number in range(reader.num_record_batches):
                    writer.write_batch(self._with_all_words(reader.get_batch(number)))
            part.unlink()
        writer.close()
        unified.rename(self._path)

    def _with_all_words(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [
            pa.DictionaryArray.from_arrays(column.indices, self.vocabularies[name].dictionary, safe=False)
            if name in self.vocabularies
            else column
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _open(self, path: Path) -> Any:
        if self._format == "parquet":
            from pyarrow.parquet import ParquetWriter

            return ParquetWriter(path, self._schema, compression="zstd", compression_level=COMPRESSION_LEVEL)
        codec = pa.Codec("zstd", compression_level=COMPRESSION_LEVEL)
        options = pa.ipc.IpcWriteOptions(compression=codec, use_threads=False)
        return pa.ipc.new_file(str(path), self._schema, options=options)


def _joined(parts: list[Values]) -> Values:
    if len(parts) == 1:
        return parts[0]
    if any(isinstance(part, pa.Array) for part in parts):
        return pa.concat_arrays([strings(part) for part in parts])
    if isinstance(parts[0], list):
        return [sentence for part in parts for sentence in part]
    return np.concatenate([part for part in parts if isinstance(part, np.ndarray)])
