"""The writer of a run's result tables: receives chunks of columns and single rows, writes one file per table.

Decides when rows are written and how (Arrow IPC or Parquet, zstd). Must not know what a row means, nor the final
location of the directory (publication decides that). Controllers append single rows or chunks that kernels filled;
`simulation` closes it at the end.

Memory does not grow with the number of rows: at most `BATCH_ROWS` rows per table are buffered. The bytes depend only
on the sequence of calls: one thread writes, at a fixed compression level.

An IPC file has one dictionary per column, known when the file is opened (a *delta dictionary* could add words, but
polars and others refuse such files). If there are new words, the next batch therefore begins another part of the
file; closing merges the parts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from clustersim.errors import SimulationError
from clustersim.record.columns import (
    ColumnValues,
    Vocabulary,
    coerce_column,
    encode_column,
    null_column,
    to_arrow_strings,
)
from clustersim.record.schema import NAME, TABLES, TableSchema

Format = Literal["arrow", "parquet"]
Words = Mapping[str | tuple[str, str], Sequence[str | None]]

BATCH_ROWS = 65_536
# Measured on rows of `tasks`: level 3 saves 5% of the bytes for 15% more CPU, level 6 16% for three times it.
COMPRESSION_LEVEL = 1


class Recorder:
    """Writes all tables of one run.

    `vocabularies` has the words of dictionary columns, by (table, column) or by column; other columns start
    empty. All instants are ms since `origin_ms` (epoch ms; by default the epoch itself). `facts` are added to the
    JSON in each file's metadata. `tables` are the tables to write.
    """

    def __init__(
        self,
        directory: Path,
        fmt: Format = "arrow",
        vocabularies: Words | None = None,
        *,
        origin_ms: int = 0,
        facts: Mapping[str, Any] | None = None,
        tables: Mapping[str, TableSchema] = TABLES,
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
            raise SimulationError(f"there is no result table {table!r}") from None

    def vocabulary(self, table: str, column: str) -> Vocabulary:
        """Return the vocabulary of a dictionary column, to look up codes or to add words."""
        try:
            return self._file(table).vocabularies[column]
        except KeyError:
            raise SimulationError(f"{table}.{column} is not a dictionary column") from None

    def append_columns(self, table: str, columns: Mapping[str, Any]) -> None:
        """Append a chunk: arrays of equal length by column; the caller may reuse them afterwards.

        Dictionary columns take integer codes (or words), text columns strings. Nulls are NEVER in integers, instants
        and codes, NaN in floats. A nullable column may be left out. For a few rows `append_row` is faster.
        """
        self._file(table).append_columns(columns)

    def append_row(self, table: str, **values: Any) -> None:
        """Append one row: words as `str`, instants in ms; None, or a column left out, for null."""
        self._file(table).append_row(values)

    def close(self) -> dict[str, int]:
        """Write the buffered rows, finish every file (also of empty tables), and return the row counts by table."""
        return {name: file.close() for name, file in self._files.items()}


class _TableFile:
    """The writer of one table. `cpu_s` is the CPU time spent on its file so far."""

    def __init__(
        self,
        table: TableSchema,
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
        self._rows: list[tuple[Any, ...]] = []  # not yet converted to a chunk
        self._chunks: list[dict[str, ColumnValues]] = []
        self._chunk_rows = 0
        self._writer: Any = None
        self._written = 0
        self._parts: list[Path] = []
        self._words: dict[str, int] = {}  # words per dictionary column when the last batch was written

    def append_row(self, values: dict[str, Any]) -> None:
        row = tuple([values.pop(name, None) for name in self._names])
        if values:
            raise SimulationError(f"table {self._table.name} has no column {sorted(values)[0]!r}")
        self._rows.append(row)
        if len(self._rows) >= BATCH_ROWS:
            self._convert_rows()

    def append_columns(self, columns: Mapping[str, Any]) -> None:
        self._convert_rows()
        for name in columns:
            if name not in self._table.by_name:
                raise SimulationError(f"table {self._table.name} has no column {name!r}")
        chunk = self._coerce_columns(columns)
        rows = len(next(iter(chunk.values())))
        if not self._chunks and rows >= BATCH_ROWS // 2:
            self._write(chunk)
            return
        owned = {
            name: values if isinstance(values, pa.Array) else values.copy() for name, values in chunk.items()
        }
        self._buffer(owned, rows)

    def _coerce_columns(self, columns: Mapping[str, Any]) -> dict[str, ColumnValues]:
        rows = {len(values) for values in columns.values()}
        if len(rows) != 1:
            raise SimulationError(f"the columns given to table {self._table.name} have different lengths")
        chunk: dict[str, ColumnValues] = {}
        for name, column in self._table.by_name.items():
            if name in columns:
                chunk[name] = coerce_column(
                    column, columns[name], self.vocabularies.get(name), self._table.name
                )
            else:
                chunk[name] = null_column(column, next(iter(rows)))
        return chunk

    def _convert_rows(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            chunk = self._coerce_columns(
                {name: list(cells) for name, cells in zip(self._names, columns, strict=True)}
            )
            rows = len(self._rows)
            self._rows = []
            self._buffer(chunk, rows)

    def _buffer(self, chunk: dict[str, ColumnValues], rows: int) -> None:
        self._chunks.append(chunk)
        self._chunk_rows += rows
        if self._chunk_rows >= BATCH_ROWS:
            self._write_buffered()

    def _write_buffered(self) -> None:
        if self._chunks:
            self._write({name: _concatenate([chunk[name] for chunk in self._chunks]) for name in self._names})
            self._chunks = []
            self._chunk_rows = 0

    def _write(self, chunk: dict[str, ColumnValues]) -> None:
        started = time.process_time()
        arrays = [
            encode_column(column, chunk[name], self.vocabularies.get(name), self._origin_ms, self._table.name)
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
        self.cpu_s += time.process_time() - started

    def close(self) -> int:
        self._convert_rows()
        self._write_buffered()
        started = time.process_time()
        if not self._parts:
            self._open_part()
        self._close_part()
        if len(self._parts) > 1:
            self._merge_parts()
        self.cpu_s += time.process_time() - started
        return self._written

    def _open_part(self) -> None:
        number = len(self._parts)
        self._parts.append(self._path.with_suffix(f".part-{number}") if number else self._path)
        self._writer = self._open(self._parts[-1])

    def _close_part(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _merge_parts(self) -> None:
        """Merge the parts into one file: a code means the same in all of them, as words are only appended."""
        merged = self._path.with_suffix(".merged")
        writer = self._open(merged)
        for part in self._parts:
            with pa.memory_map(str(part)) as source, pa.ipc.open_file(source) as reader:
                for number in range(reader.num_record_batches):
                    writer.write_batch(self._extend_dictionaries(reader.get_batch(number)))
            part.unlink()
        writer.close()
        merged.rename(self._path)

    def _extend_dictionaries(self, batch: pa.RecordBatch) -> pa.RecordBatch:
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


def _concatenate(parts: list[ColumnValues]) -> ColumnValues:
    if len(parts) == 1:
        return parts[0]
    if any(isinstance(part, pa.Array) for part in parts):
        return pa.concat_arrays([to_arrow_strings(part) for part in parts])
    if isinstance(parts[0], list):
        return [text for part in parts for text in part]
    return np.concatenate([part for part in parts if isinstance(part, np.ndarray)])
