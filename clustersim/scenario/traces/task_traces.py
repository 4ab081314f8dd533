"""Traces of tasks: a CSV file as columns that take as few bytes a row as they can.

Decides which columns a trace of tasks has, what stands for one that is missing, and in which order rows
stand. Must not know services, run-task entries or warm-up. `traces` reads the file in batches; each becomes
small columns at once, since a trace lies in memory for the whole run. `resolve_jobs` calls it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clustersim.scenario.sections.trace_columns import TraceTable
from clustersim.scenario.text.overrides import closest
from clustersim.scenario.traces.csv_columns import Floats, Table, TraceError, batches, check_limits, header_of
from clustersim.vocabulary import CPU_UNITS_PER_VCPU, MS_PER_SECOND

NUMBERS = ("submit_s", "duration_s", "vcpu", "cpu", "memory_mib", "instances", "gpus")
TEXTS = ("group", "reference_id")
_NEEDED = ("submit_s", "duration_s", "memory_mib")

Sizes = npt.NDArray[np.int32]


def unread_columns(path: Path) -> tuple[str, ...]:
    """The columns of the file that mean nothing here."""
    return tuple(name for name in header_of(path) if name not in (*NUMBERS, *TEXTS))


def read_tasks(path: Path) -> TraceTable:
    """A task trace; raises `TraceError` with every line that is wrong (the first few)."""
    names = header_of(path)
    _check_columns(names)
    sizes, groups = _Numbering(), _Numbering()
    parts: dict[str, list[Any]] = {}
    for table in batches(path, NUMBERS, TEXTS):
        check_limits(table)
        columns: dict[str, Any] = {
            "submit_ms": np.rint(table.numbers["submit_s"] * MS_PER_SECOND).astype(np.int64),
            "duration_ms": _narrow(np.rint(table.numbers["duration_s"] * MS_PER_SECOND)),
            "size": _size_codes(table, sizes),
        }
        if "instances" in names:
            columns["instances"] = table.numbers["instances"].astype(np.int32)
        if "group" in names:
            columns["group"] = _group_codes(table.texts["group"], groups)
        if "reference_id" in names:
            columns["reference_id"] = table.texts["reference_id"]
        for name, column in columns.items():
            parts.setdefault(name, []).append(column)
    rows = {name: _joined(columns) for name, columns in parts.items()}
    pa.default_memory_pool().release_unused()  # what parsing took, else it stays for the whole run
    submit = rows["submit_ms"]
    if (submit[1:] < submit[:-1]).any():
        order = np.argsort(submit, kind="stable")
        rows = {name: _taken(column, order) for name, column in rows.items()}
    if "group" in rows:
        rows["group"], labels = _by_first_row(rows["group"], tuple(groups))
        rows["groups"] = labels
    rows.setdefault("instances", np.broadcast_to(np.int32(1), submit.shape))
    table_of_sizes, rows["size"] = _in_order(sizes, rows["size"])
    return TraceTable(**rows, sizes=table_of_sizes)


def _check_columns(names: tuple[str, ...]) -> None:
    """The columns that a trace must have."""
    faults = []
    for name in _NEEDED:
        if name not in names:
            near = closest(name, [other for other in names if other not in (*NUMBERS, *TEXTS)])
            faults.append((1, name, f"there is no such column; {near or 'add it'}"))
    if ("vcpu" in names) == ("cpu" in names):
        both = "cpu" in names
        what = "both vcpu and cpu are there" if both else "there is neither vcpu nor cpu (units)"
        faults.append((1, "vcpu", f"{what}; one of them is needed"))
    if faults:
        raise TraceError(faults)


class _Numbering(dict[Any, int]):
    """Numbers for things in the order in which they are first seen."""

    def of(self, things: Iterable[Any]) -> npt.NDArray[np.int64]:
        """The number of each; new things get the next ones."""
        return np.array([self.setdefault(thing, len(self)) for thing in things], np.int64)


def _size_codes(table: Table, sizes: _Numbering) -> npt.NDArray[Any]:
    """The number of each row's size (CPU units, MiB, GPUs)."""
    numbers = table.numbers
    cpu = numbers["cpu"] if "cpu" in numbers else numbers["vcpu"] * CPU_UNITS_PER_VCPU
    gpus = numbers.get("gpus", np.zeros(table.rows))
    columns = [column.astype(np.int64) for column in (np.rint(cpu), np.ceil(numbers["memory_mib"]), gpus)]
    _, memory_limit, gpu_limit = (int(column.max()) + 1 for column in columns)
    packed = (columns[0] * memory_limit + columns[1]) * gpu_limit + columns[2]
    encoded = pa.Array.from_buffers(pa.int64(), packed.size, [None, pa.py_buffer(packed)]).dictionary_encode()
    kinds = np.frombuffer(encoded.dictionary.buffers()[1], np.int64, len(encoded.dictionary))
    kinds, gpu = np.divmod(kinds, gpu_limit)
    codes = sizes.of(zip(*(part.tolist() for part in (*np.divmod(kinds, memory_limit), gpu)), strict=True))
    return _narrow(codes[np.frombuffer(encoded.indices.buffers()[1], np.int32, packed.size)])


def _in_order(sizes: _Numbering, codes: npt.NDArray[Any]) -> tuple[Sizes, npt.NDArray[Any]]:
    """The sizes in ascending order, one a row, and the codes that belong to them."""
    table = np.array(list(sizes), np.int32).reshape(-1, 3)
    order = np.lexsort(table.T[::-1])
    rank = np.empty(order.size, codes.dtype)
    rank[order] = np.arange(order.size)
    return table[order], rank[codes]


def _group_codes(labels: pa.StringArray, groups: _Numbering) -> npt.NDArray[Any]:
    """The number of each row's group."""
    encoded = labels.dictionary_encode()
    indices = encoded.indices
    codes = np.frombuffer(indices.buffers()[1], np.int32, len(indices), 4 * indices.offset)
    return _narrow(groups.of(encoded.dictionary.to_pylist())[codes])


def _by_first_row(
    codes: npt.NDArray[Any], labels: tuple[str, ...]
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """The codes and labels of groups in the order of their first rows."""
    known, first = np.unique(codes, return_index=True)
    order = known[np.argsort(first)]
    rank = np.zeros(len(labels), codes.dtype)
    rank[order] = np.arange(order.size)
    return rank[codes], tuple(labels[code] for code in order)


def _narrow(values: Floats | npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Whole numbers, none negative, in as few bytes as hold them."""
    return values.astype(np.min_scalar_type(int(values.max())))


def _joined(parts: list[Any]) -> Any:
    """One column of its parts, which are taken from the list: two copies of everything would be the peak of a run."""
    whole = pa.concat_arrays(parts) if isinstance(parts[0], pa.Array) else np.concatenate(parts)
    parts.clear()
    return whole


def _taken(column: Any, order: npt.NDArray[np.int64]) -> Any:
    """The rows of a column in another order."""
    if isinstance(column, pa.Array):
        return column.take(pa.Array.from_buffers(pa.int64(), order.size, [None, pa.py_buffer(order)]))
    return column[order]
