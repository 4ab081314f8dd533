"""Traces: CSV files of tasks or of counts per interval, as columns of numbers.

Decides what a row may hold; every complaint names the file and the line. Must not know services, run-task
entries or warm-up. `task_traces` reads tasks with it, the resolving modules counts; `arrow` does the parsing,
a batch of rows at a time, so that a file need not fit into memory as text.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv as arrow_csv

from clustersim.scenario.text.overrides import closest
from clustersim.scenario.text.units import MAX_MS
from clustersim.vocabulary import CPU_UNITS_PER_VCPU, MS_PER_SECOND

Floats = npt.NDArray[np.float64]
MAX_SIZE = 1e9  # CPU units, MiB, copies or requests of one row
MAX_SHOWN = 5  # complaints about one file; the rest is more of the same

_WHOLE = {"instances": 1, "gpus": 0, "cpu": 0}
"""Columns of whole numbers, and the least of each."""


class TraceError(ValueError):
    """A trace that cannot be used: `problems` holds (line, column name, message) each."""

    def __init__(self, problems: Sequence[tuple[int, str, str]]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(message for _, _, message in problems))


@dataclass(frozen=True)
class Table:
    """Columns of some rows of a CSV file, `first` the number of the first; numbers are finite and not negative."""

    path: Path
    names: tuple[str, ...]
    numbers: Mapping[str, Floats]
    texts: Mapping[str, pa.StringArray]
    rows: int
    first: int = 0


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def header_of(path: Path) -> tuple[str, ...]:
    """The column names of a CSV file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            names = tuple(name.strip() for name in next(csv.reader(stream), []))
    except FileNotFoundError:
        raise TraceError([(1, "", "no such file; paths are relative to the scenario file")]) from None
    except OSError as error:
        raise TraceError([(1, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise TraceError([(1, "", "is not UTF-8 text; save it as CSV in UTF-8")]) from None
    except csv.Error as error:
        raise TraceError([(1, "", f"is not CSV: {error}")]) from None
    if not names or names == ("",):
        raise TraceError([(1, "", "the file is empty; the first line names the columns")])
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise TraceError([(1, twice, "two columns have this name; rename one")])
    return names


def batches(path: Path, numbers: Sequence[str], texts: Sequence[str] = ()) -> Iterator[Table]:
    """The named columns of a CSV file, those that it has, some rows at a time; raises `TraceError`."""
    names = header_of(path)
    wanted_numbers = [name for name in numbers if name in names]
    wanted_texts = [name for name in texts if name in names]
    types = dict.fromkeys(wanted_numbers, pa.float64()) | dict.fromkeys(wanted_texts, pa.string())
    first = 0
    try:
        with arrow_csv.open_csv(
            path,
            read_options=arrow_csv.ReadOptions(column_names=list(names), skip_rows=1),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types, include_columns=list(types), null_values=[""], strings_can_be_null=False
            ),
        ) as reader:
            for batch in reader:
                columns = {name: _numbers(batch.column(name)) for name in wanted_numbers}
                if any(not np.isfinite(values).all() or (values < 0).any() for values in columns.values()):
                    raise TraceError(_slow_faults(path, names, wanted_numbers))
                strings = {name: batch.column(name) for name in wanted_texts}
                yield Table(path, names, columns, strings, batch.num_rows, first)
                first += batch.num_rows
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        faults = _slow_faults(path, names, wanted_numbers)
        message = str(error).splitlines()[0]
        raise TraceError(faults or [(1, "", f"is not CSV: {message}")]) from None
    if first == 0:
        raise TraceError([(2, "", "there are no rows; a trace has at least one")])


def _numbers(values: pa.Array) -> Floats:
    """A column as numpy floats, NaN where empty; `to_numpy` would import pandas, half a second."""
    numbers = np.frombuffer(values.buffers()[1], np.float64, len(values), 8 * values.offset).copy()
    if values.null_count:
        present = np.unpackbits(np.frombuffer(values.buffers()[0], np.uint8), bitorder="little")
        numbers[present[values.offset : values.offset + len(values)] == 0] = np.nan
    return numbers


def _slow_faults(path: Path, names: Sequence[str], numbers: Sequence[str]) -> list[tuple[int, str, str]]:
    """Line, column and message of the first faulty rows, found row by row."""
    faults: list[tuple[int, str, str]] = []
    positions = [(name, names.index(name)) for name in numbers]
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            next(reader, None)
            for row in reader:
                if not row:
                    continue
                if len(row) != len(names):
                    faults.append((reader.line_num, "", f"{len(row)} values, but {len(names)} columns"))
                    continue
                faults.extend(
                    (reader.line_num, name, fault)
                    for name, index in positions
                    if (fault := _number_fault(row[index])) is not None
                )
                if len(faults) >= MAX_SHOWN:
                    break
    except (UnicodeDecodeError, csv.Error) as error:
        return [*faults, (1, "", f"is not CSV in UTF-8: {error}")]
    return faults[:MAX_SHOWN]


def _number_fault(text: str) -> str | None:
    if not text.strip():
        return "is empty; write a number"
    try:
        value = float(text)
    except ValueError:
        return f"{text[:40]!r} is not a number; write one"
    if not np.isfinite(value):
        return f"{text} is not a finite number; write one"
    return f"{text} is negative; at least 0" if value < 0 else None


def line_of(path: Path, row: int) -> int:
    """The line on which data row `row` (from 0) ends; blank lines count as lines, not as rows."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        next(reader, None)
        for values in reader:
            if values:
                row -= 1
                if row < 0:
                    break
        return reader.line_num


def check_limits(table: Table) -> None:
    """Whole numbers where copies and devices are counted, and nothing absurdly large."""
    faults: list[tuple[int, str, str]] = []

    def complain(name: str, bad: npt.NDArray[np.bool_], message: str) -> None:
        if bad.any():
            row = int(bad.argmax())
            value = f"{table.numbers[name][row]:g}"
            faults.append((line_of(table.path, table.first + row), name, message.format(value)))

    for name, values in table.numbers.items():
        if name in ("submit_s", "duration_s"):
            complain(name, values > MAX_MS / MS_PER_SECOND, "{} s is longer than 100 years")
            continue
        most = MAX_SIZE / CPU_UNITS_PER_VCPU if name == "vcpu" else MAX_SIZE
        complain(name, values > most, "{} is too large")
        if name in _WHOLE:
            least = _WHOLE[name]
            bad = (values != np.floor(values)) | (values < least)
            complain(name, bad, f"{{}} is not a whole number of at least {least}")
    if faults:
        raise TraceError(faults)


def read_counts(path: Path, column: str | None) -> Floats:
    """The counts per interval in `column` of a request trace (default: its only column, or `requests`)."""
    names = header_of(path)
    if column is None:
        column = names[0] if len(names) == 1 else "requests"
    if column not in names:
        raise TraceError([(1, column, f"there is no such column; {closest(column, names)}")])
    counts = []
    for table in batches(path, (column,)):
        counts.append(table.numbers[column])
        check_limits(replace(table, numbers={"count": counts[-1]}))
    return np.concatenate(counts)


def rotate(
    times_ms: npt.NDArray[np.int64], rates: Floats, period_ms: int, shift_ms: int
) -> tuple[npt.NDArray[np.int64], Floats]:
    """A periodic piecewise-constant series that begins at `shift_ms` of its period instead of at 0."""
    shift = shift_ms % period_ms
    first = int(np.searchsorted(times_ms, shift, side="right")) - 1
    head = times_ms[first + 1 :] - shift
    tail = times_ms[: first + 1] + period_ms - shift
    times = np.concatenate(([0], head, tail))
    values = np.concatenate((rates[first : first + 1], rates[first + 1 :], rates[: first + 1]))
    inside = times < period_ms
    return times[inside].astype(np.int64), values[inside]
