"""Traces of tasks: a CSV file as columns with as few bytes per row as possible.

Decides which columns a trace of tasks has, the defaults of missing ones, and the order of rows. It must not know
services, entries of `runTasks` or warm-up. `csv_columns` reads the file in batches, which are converted to small
columns at once, since a trace stays in memory for the whole run. `scenario.resolve.run_tasks` calls it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clustersim.scenario.sections.scenario import TraceTable
from clustersim.scenario.text.overrides import suggest_name
from clustersim.scenario.traces.csv_columns import (
    CsvBatch,
    Floats,
    TraceError,
    check_batch_limits,
    iter_batches,
    read_header,
)
from clustersim.vocabulary import CPU_UNITS_PER_VCPU, MS_PER_SECOND

NUMBERS = ("submit_s", "duration_s", "vcpu", "cpu", "memory_mib", "instances", "gpus")
TEXTS = ("group", "reference_id")
_REQUIRED = ("submit_s", "duration_s", "memory_mib")

Sizes = npt.NDArray[np.int32]


def unused_columns(path: Path) -> tuple[str, ...]:
    """Return the columns of the file that are not used."""
    return tuple(name for name in read_header(path) if name not in (*NUMBERS, *TEXTS))


def read_task_trace(path: Path) -> TraceTable:
    """Read a task trace, sorted by submission. Raises `TraceError` with the first few invalid lines."""
    names = read_header(path)
    _check_columns(names)
    sizes, groups = _CodeTable(), _CodeTable()
    parts: dict[str, list[Any]] = {}
    for table in iter_batches(path, NUMBERS, TEXTS):
        check_batch_limits(table)
        columns: dict[str, Any] = {
            "submit_ms": np.rint(table.numbers["submit_s"] * MS_PER_SECOND).astype(np.int64),
            "duration_ms": _to_smallest_type(np.rint(table.numbers["duration_s"] * MS_PER_SECOND)),
            "size": _encode_sizes(table, sizes),
        }
        if "instances" in names:
            columns["instances"] = table.numbers["instances"].astype(np.int32)
        if "group" in names:
            columns["group"] = _encode_groups(table.texts["group"], groups)
        if "reference_id" in names:
            columns["reference_id"] = table.texts["reference_id"]
        for name, column in columns.items():
            parts.setdefault(name, []).append(column)
    rows = {name: _concat_parts(columns) for name, columns in parts.items()}
    pa.default_memory_pool().release_unused()  # memory of the parser, which would else stay for the whole run
    submit = rows["submit_ms"]
    if (submit[1:] < submit[:-1]).any():
        order = np.argsort(submit, kind="stable")
        rows = {name: _take_rows(column, order) for name, column in rows.items()}
    if "group" in rows:
        rows["group"], labels = _order_by_first_row(rows["group"], tuple(groups))
        rows["groups"] = labels
    rows.setdefault("instances", np.broadcast_to(np.int32(1), submit.shape))
    table_of_sizes, rows["size"] = _sort_sizes(sizes, rows["size"])
    return TraceTable(**rows, sizes=table_of_sizes)


def _check_columns(names: tuple[str, ...]) -> None:
    """Raise `TraceError` if a required column is missing."""
    problems = []
    for name in _REQUIRED:
        if name not in names:
            suggestion = suggest_name(name, [column for column in names if column not in (*NUMBERS, *TEXTS)])
            problems.append((1, name, f"there is no such column; {suggestion or 'add it'}"))
    if ("vcpu" in names) == ("cpu" in names):
        both = "cpu" in names
        message = "there are both vcpu and cpu" if both else "there is neither vcpu nor cpu (units)"
        problems.append((1, "vcpu", f"{message}; one of them is needed"))
    if problems:
        raise TraceError(problems)


class _CodeTable(dict[Any, int]):
    """Codes of values, in the order of their first appearance."""

    def encode(self, values: Iterable[Any]) -> npt.NDArray[np.int64]:
        """Return the code of each value; new values get the next codes."""
        return np.array([self.setdefault(value, len(self)) for value in values], np.int64)


def _encode_sizes(table: CsvBatch, sizes: _CodeTable) -> npt.NDArray[Any]:
    """Return the code of each row's size (CPU units, MiB, GPUs)."""
    numbers = table.numbers
    cpu = numbers["cpu"] if "cpu" in numbers else numbers["vcpu"] * CPU_UNITS_PER_VCPU
    gpus = numbers.get("gpus", np.zeros(table.rows))
    columns = [column.astype(np.int64) for column in (np.rint(cpu), np.ceil(numbers["memory_mib"]), gpus)]
    _, memory_limit, gpu_limit = (int(column.max()) + 1 for column in columns)
    packed = (columns[0] * memory_limit + columns[1]) * gpu_limit + columns[2]
    encoded = pa.Array.from_buffers(pa.int64(), packed.size, [None, pa.py_buffer(packed)]).dictionary_encode()
    kinds = np.frombuffer(encoded.dictionary.buffers()[1], np.int64, len(encoded.dictionary))
    kinds, gpu = np.divmod(kinds, gpu_limit)
    codes = sizes.encode(
        zip(*(part.tolist() for part in (*np.divmod(kinds, memory_limit), gpu)), strict=True)
    )
    return _to_smallest_type(codes[np.frombuffer(encoded.indices.buffers()[1], np.int32, packed.size)])


def _sort_sizes(sizes: _CodeTable, codes: npt.NDArray[Any]) -> tuple[Sizes, npt.NDArray[Any]]:
    """Return the sizes in ascending order, shape (sizes, 3), and the rows' codes renumbered accordingly."""
    table = np.array(list(sizes), np.int32).reshape(-1, 3)
    order = np.lexsort(table.T[::-1])
    rank = np.empty(order.size, codes.dtype)
    rank[order] = np.arange(order.size)
    return table[order], rank[codes]


def _encode_groups(labels: pa.StringArray, groups: _CodeTable) -> npt.NDArray[Any]:
    """Return the code of each row's group."""
    encoded = labels.dictionary_encode()
    indices = encoded.indices
    codes = np.frombuffer(indices.buffers()[1], np.int32, len(indices), 4 * indices.offset)
    return _to_smallest_type(groups.encode(encoded.dictionary.to_pylist())[codes])


def _order_by_first_row(
    codes: npt.NDArray[Any], labels: tuple[str, ...]
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Renumber groups in the order of their first rows; return the codes and labels."""
    known, first = np.unique(codes, return_index=True)
    order = known[np.argsort(first)]
    rank = np.zeros(len(labels), codes.dtype)
    rank[order] = np.arange(order.size)
    return rank[codes], tuple(labels[code] for code in order)


def _to_smallest_type(values: Floats | npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return non-negative whole numbers in the smallest unsigned type that holds them."""
    return values.astype(np.min_scalar_type(int(values.max())))


def _concat_parts(parts: list[Any]) -> Any:
    """Concatenate the parts of a column and clear the list: two copies of all columns would be the peak memory use."""
    whole = pa.concat_arrays(parts) if isinstance(parts[0], pa.Array) else np.concatenate(parts)
    parts.clear()
    return whole


def _take_rows(column: Any, order: npt.NDArray[np.int64]) -> Any:
    """Return a column with its rows in the given order."""
    if isinstance(column, pa.Array):
        return column.take(pa.Array.from_buffers(pa.int64(), order.size, [None, pa.py_buffer(order)]))
    return column[order]
