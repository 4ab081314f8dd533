"""`summary.arrow`: one row per run of a sweep, in a table whose bytes depend only on the runs.

Decides columns, types, units and order. Must not know how the rows were computed. `finalize` writes it;
`sweep_result` and every program that opens Arrow files reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from clustersim.record.columns import to_arrow_strings
from clustersim.record.recorder import COMPRESSION_LEVEL
from clustersim.record.schema import METADATA_KEY, SCHEMA_VERSION
from clustersim.study.execution.worker import RunRow
from clustersim.study.sweep.experimental_designs import PointValues

_UNITS = (
    ("_usd", "USD"),
    *(
        (f"cost_usd_{part}", "USD")
        for part in ("by_capacity_provider", "idle", "commitment_unused", "shared")
    ),
    ("_hours", "h"),
    ("_s", "s"),
    ("_reservation_mean", "percent"),
    ("_usd_per_month", "USD per month"),
    ("_gib", "GiB"),
    ("availability", "share"),
    ("jobs_completed", "share"),
    ("availability_healthy", "share"),
)
DESCRIPTION = (
    "One row per run: its point, its replication, the varied values, and every number of its summary.json."
)


def build_runs_table(
    paths: Sequence[str], points: Mapping[int, PointValues], rows: Sequence[RunRow]
) -> pa.Table:
    """Return the table of `rows`, which are sorted by point and replication; `points` has the values of each point."""
    columns: list[pa.Array] = []
    fields: list[pa.Field] = []

    def add(name: str, values: pa.Array, unit: str, description: str) -> None:
        columns.append(values)
        fields.append(pa.field(name, values.type, metadata={"unit": unit, "description": description}))

    add("point", _integers([row.spec.point for row in rows]), "number", "The combination of values, from 0.")
    add(
        "replication",
        _integers([row.spec.replication for row in rows]),
        "number",
        "Which repetition, from 0.",
    )
    add("seed", _integers([row.seed for row in rows]), "number", "The scenario's seed, shared by all points.")
    errors = to_arrow_strings([row.error for row in rows])
    add(
        "error",
        errors,
        "sentence",
        "Why the run failed; null if it succeeded. A failed run has no numbers.",
    )
    for number, path in enumerate(paths):
        values = [points[row.spec.point][number] for row in rows]
        every = [point[number] for point in points.values()]
        add(
            path,
            _varied(values, every),
            "as in the scenario",
            "Varied: the value that replaces the scenario's.",
        )
    for name, (values, mask, whole) in _numbers(rows).items():
        kind = pa.int64() if whole else pa.float64()
        description = f"`{name}` of the run's summary.json."
        if name.startswith("comparison."):
            description = f"`{name}`: a figure of the comparison (docs/comparing.md)."
        add(name, _column(values, mask, kind), _unit(name), description)
    header = {"schema_version": SCHEMA_VERSION, "table": "summary", "description": DESCRIPTION}
    schema = pa.schema(fields, metadata={METADATA_KEY: json.dumps(header)})
    return pa.Table.from_arrays(columns, schema=schema)


def _integers(values: Sequence[int]) -> pa.Array:
    return _column(np.array(values, np.int64), np.zeros(len(values), np.bool_), pa.int64())


def _column(values: Any, mask: Any, kind: pa.DataType) -> pa.Array:
    """Numbers as an Arrow column; `pa.array` would import pandas for them, a quarter of a second."""
    data = np.ascontiguousarray(values, dtype=kind.to_pandas_dtype())
    validity = pa.py_buffer(np.packbits(~mask, bitorder="little")) if mask.any() else None
    return pa.Array.from_buffers(kind, len(data), [validity, pa.py_buffer(data)])


def _varied(values: Sequence[Any], every: Sequence[Any]) -> pa.Array:
    """A varied path as a column; `every` value of the design decides its type, so that it never depends on errors.

    Lists and mappings are JSON text, and so is everything where kinds are mixed.
    """
    kinds = {type(value) for value in every if value is not None}
    if kinds and kinds <= {int, float}:
        mask = np.array([value is None for value in values], np.bool_)
        numbers = np.array([0 if value is None else value for value in values])
        return _column(numbers, mask, pa.float64() if float in kinds else pa.int64())
    if kinds == {bool}:
        return to_arrow_strings([None if value is None else str(value).lower() for value in values]).cast(
            pa.bool_()
        )
    texts = [value if value is None or kinds == {str} else json.dumps(value) for value in values]
    return to_arrow_strings(texts).dictionary_encode()


def _numbers(rows: Sequence[RunRow]) -> dict[str, tuple[Any, Any, bool]]:
    """Return values, nulls and whether all are integers, by name in the order of first appearance."""
    columns: dict[str, tuple[Any, Any, bool]] = {}
    by_names: dict[tuple[str, ...], list[int]] = {}
    for number, row in enumerate(rows):
        by_names.setdefault(row.names, []).append(number)
    for names, numbers in by_names.items():
        block = np.array([rows[number].values for number in numbers]).reshape(len(numbers), len(names))
        whole = np.array([rows[number].whole for number in numbers]).reshape(len(numbers), len(names))
        for position, name in enumerate(names):
            if name not in columns:
                columns[name] = (np.full(len(rows), np.nan), np.ones(len(rows), np.bool_), True)
            values, mask, integers = columns[name]
            values[numbers] = block[:, position]
            mask[numbers] = np.isnan(block[:, position])
            present = ~mask[numbers]
            columns[name] = (values, mask, integers and bool(whole[present, position].all()))
    for name, (values, mask, integers) in columns.items():
        values[mask] = 0.0
        # A column of nulls is a float column: times and shares may be null, counts never are.
        columns[name] = (values, mask, integers and not mask.all())
    return columns


def _unit(name: str) -> str:
    last = name.rpartition(".")[2]
    if name.startswith("cost_usd_by_capacity_provider."):
        return "USD"
    return next((unit for ending, unit in _UNITS if last.endswith(ending)), "number")


def encode_table(table: pa.Table) -> bytes:
    """Return the table as an Arrow IPC file, compressed like the tables of runs."""
    sink = pa.BufferOutputStream()
    codec = pa.Codec("zstd", compression_level=COMPRESSION_LEVEL)
    options = pa.ipc.IpcWriteOptions(compression=codec, use_threads=False)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
