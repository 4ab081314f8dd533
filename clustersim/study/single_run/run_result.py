"""The result of a run: `open_run(path)` returns a `Run` with its tables.

Decides when a directory counts as a complete run of this schema, and how its tables are read: lazily, and only the
requested columns. Names only grow within a schema version, so what an older version did not write reads as nothing:
tables without rows, columns of nulls. Must not know how a run is made. Users call it through `clustersim.open`;
reports, sweeps and comparisons call it too.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clustersim.errors import ResultsError
from clustersim.record.publication import MANIFEST, SUMMARY, hash_file, table_file
from clustersim.record.schema import SCHEMA_VERSION, TABLES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class ResultTable:
    """One table of a run, read anew from its file by each method.

    Columns that a run of an older version does not have are null; a table that it does not have has no rows and its
    `path` is None. Polars, DuckDB and other libraries read a table through Arrow's C stream interface:
    `polars.DataFrame(run.tasks)`.
    """

    def __init__(self, directory: Path, name: str, rows: int, sha256: str | None) -> None:
        self.name = name
        self.rows = rows
        self.sha256 = sha256
        self.path: Path | None = None
        if sha256 is None:
            return
        try:
            self.path = table_file(directory, name)
        except FileNotFoundError:
            raise ResultsError(
                f"{directory} is incomplete: its manifest names the table {name}, which is missing"
            ) from None

    def __repr__(self) -> str:
        return f"<ResultTable {self.name}: {self.rows:,} rows in {self.path}>"

    def __len__(self) -> int:
        return self.rows

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the columns; the metadata of each field has its `unit` and `description`."""
        written = self._written_schema()
        declared = TABLES.get(self.name)
        for column in declared.columns if declared is not None else ():
            if column.name not in written.names:
                written = written.append(column.field.with_nullable(True))
        return written

    def _written_schema(self) -> pa.Schema:
        """Return the schema of the file; without one the schema of an empty table."""
        import pyarrow as pa

        if self.path is None:
            return TABLES[self.name].arrow_schema()
        try:
            if self.path.suffix == ".parquet":
                from pyarrow.parquet import read_schema

                return read_schema(self.path)
            with pa.memory_map(str(self.path)) as source:
                return pa.ipc.open_file(source).schema
        except (OSError, pa.ArrowException) as error:
            raise ResultsError(f"{self.path} cannot be read: {error}") from error

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the table, or some of its columns, as a pyarrow Table."""
        names = self._check_columns(columns)
        if self.path is None:
            return TABLES[self.name].empty().select(names)
        in_file = self._written_schema()
        read = self._read(self.path, in_file, [name for name in names if name in in_file.names])
        return TABLES[self.name].completed(read, names) if len(read.column_names) < len(names) else read

    def _read(self, path: Path, in_file: pa.Schema, names: list[str]) -> pa.Table:
        """Return columns of the file, in this order."""
        import pyarrow as pa

        try:
            if path.suffix == ".parquet":
                from pyarrow.parquet import ParquetFile

                with ParquetFile(path) as file:
                    return file.read(names).select(names)
            options = pa.ipc.IpcReadOptions(included_fields=[in_file.get_field_index(name) for name in names])
            with pa.memory_map(str(path)) as source:
                return pa.ipc.open_file(source, options=options).read_all().select(names)
        except (OSError, pa.ArrowException) as error:
            raise ResultsError(f"{path} cannot be read: {error}") from error

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the same as a pandas DataFrame: names as categories, integers as pandas' nullable integers."""
        return arrow_to_pandas(self.to_arrow(columns))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def _check_columns(self, columns: Sequence[str] | None) -> list[str]:
        known = self.schema.names
        if columns is None:
            return list(known)
        for name in columns:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else f"; it has {', '.join(known)}"
                raise ResultsError(f"the table {self.name} has no column {name!r}{hint}")
        return list(columns)


def arrow_to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return an Arrow table as a pandas DataFrame: names as categories, integers as pandas' nullable integers."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ResultsError(
            "pandas is not installed; `pip install clustersim[pandas]` installs it, `to_arrow()` does not need it"
        ) from error
    import pyarrow as pa

    # Otherwise a null would turn an integer column into floats, and ids would be inexact.
    integers = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}
    return table.to_pandas(types_mapper=integers.get)


class Run:
    """A complete run on disk: its tables by name, its `summary` and its `manifest`."""

    tasks: ResultTable
    container_instances: ResultTable
    service_series: ResultTable
    capacity_provider_series: ResultTable
    scaling_activities: ResultTable
    deployments: ResultTable
    deployment_series: ResultTable
    events: ResultTable
    costs: ResultTable

    def __init__(self, path: Path, manifest: dict[str, Any], summary: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self.summary = summary
        written = manifest["tables"]
        self.tables = {
            name: ResultTable(path, name, written[name]["rows"], written[name]["sha256"])
            if name in written
            else ResultTable(path, name, 0, None)
            for name in (*TABLES, *(name for name in written if name not in TABLES))
        }
        for name, table in self.tables.items():
            setattr(self, name, table)

    def __repr__(self) -> str:
        rows = ", ".join(f"{len(table):,} {name}" for name, table in self.tables.items() if len(table))
        return f"<Run {self.path}: {rows or 'no rows'}>"

    def verify(self) -> None:
        """Compare the files of all tables with the digests of the manifest. Raises ResultsError if one differs."""
        files = [(table.path, table.sha256) for table in self.tables.values() if table.path is not None]
        changed = [path.name for path, sha256 in files if hash_file(path) != sha256]
        if changed:
            raise ResultsError(
                f"{self.path} has changed since it was written: {', '.join(changed)} "
                f"{'does' if len(changed) == 1 else 'do'} not match {MANIFEST}"
            )


def open_run(path: str | Path) -> Run:
    """Open the result directory of a run. Raises ResultsError if it is not a complete one."""
    directory = Path(path)
    if not directory.is_dir():
        raise ResultsError(f"{directory} is not a result directory: it does not exist")
    manifest = _read_json(directory / MANIFEST)
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ResultsError(
            f"{directory} has results of schema version {version}; "
            f"this version of clustersim reads version {SCHEMA_VERSION}"
        )
    if (directory / "points").is_dir():
        raise ResultsError(
            f"{directory} has many runs; open one of them, {directory}/points/POINT/REPLICATION"
        )
    if not isinstance(manifest.get("tables"), dict):
        raise ResultsError(f"{directory} is incomplete: its {MANIFEST} names no tables")
    return Run(directory, manifest, _read_json(directory / SUMMARY))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ResultsError(f"{path.parent} is not a complete result: it has no {path.name}") from None
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ResultsError(f"{path} cannot be read: it is not a JSON object")
    return content
