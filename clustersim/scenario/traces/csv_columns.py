"""CSV traces of tasks or of counts per interval, as columns of numbers.

Decides which rows are valid; every problem names the file and the line. It must not know services, entries of
`runTasks` or warm-up. `task_traces` reads tasks with it, `scenario.resolve.load` reads counts. pyarrow parses a batch
of rows at a time, so that a file need not fit into memory as text.
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

from clustersim.scenario.text.overrides import suggest_name
from clustersim.scenario.text.units import MAX_MS
from clustersim.vocabulary import CPU_UNITS_PER_VCPU, MS_PER_SECOND

Floats = npt.NDArray[np.float64]
MAX_SIZE = 1e9  # CPU units, MiB, copies or requests of one row
MAX_REPORTED = 5  # problems of one file; further ones are likely repetitions

_WHOLE_NUMBERS = {"instances": 1, "gpus": 0, "cpu": 0}
"""Columns of whole numbers, and the minimum of each."""


class TraceError(ValueError):
    """An invalid trace; `problems` holds tuples of line, column name and message."""

    def __init__(self, problems: Sequence[tuple[int, str, str]]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(message for _, _, message in problems))


@dataclass(frozen=True)
class CsvBatch:
    """Columns of consecutive rows of a CSV file from row `first_row` on; numbers are finite and not negative."""

    path: Path
    names: tuple[str, ...]
    numbers: Mapping[str, Floats]
    texts: Mapping[str, pa.StringArray]
    rows: int
    first_row: int = 0


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_header(path: Path) -> tuple[str, ...]:
    """Return the column names of a CSV file. Raises `TraceError`."""
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


def iter_batches(path: Path, numbers: Sequence[str], texts: Sequence[str] = ()) -> Iterator[CsvBatch]:
    """Yield batches of rows with the given columns, as far as the file has them. Raises `TraceError`."""
    names = read_header(path)
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
                columns = {name: _to_floats(batch.column(name)) for name in wanted_numbers}
                if any(not np.isfinite(values).all() or (values < 0).any() for values in columns.values()):
                    raise TraceError(_find_errors(path, names, wanted_numbers))
                strings = {name: batch.column(name) for name in wanted_texts}
                yield CsvBatch(path, names, columns, strings, batch.num_rows, first)
                first += batch.num_rows
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        problems = _find_errors(path, names, wanted_numbers)
        message = str(error).splitlines()[0]
        raise TraceError(problems or [(1, "", f"is not CSV: {message}")]) from None
    if first == 0:
        raise TraceError([(2, "", "there are no rows; a trace needs at least one")])


def _to_floats(values: pa.Array) -> Floats:
    """Return a column as numpy floats, NaN where empty; `to_numpy` would import pandas, which takes half a second."""
    numbers = np.frombuffer(values.buffers()[1], np.float64, len(values), 8 * values.offset).copy()
    if values.null_count:
        present = np.unpackbits(np.frombuffer(values.buffers()[0], np.uint8), bitorder="little")
        numbers[present[values.offset : values.offset + len(values)] == 0] = np.nan
    return numbers


def _find_errors(path: Path, names: Sequence[str], numbers: Sequence[str]) -> list[tuple[int, str, str]]:
    """Return line, column and message of the first invalid rows, by a slow pass over all rows."""
    problems: list[tuple[int, str, str]] = []
    positions = [(name, names.index(name)) for name in numbers]
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            next(reader, None)
            for row in reader:
                if not row:
                    continue
                if len(row) != len(names):
                    problems.append((reader.line_num, "", f"{len(row)} values, but {len(names)} columns"))
                    continue
                problems.extend(
                    (reader.line_num, name, problem)
                    for name, index in positions
                    if (problem := _check_number(row[index])) is not None
                )
                if len(problems) >= MAX_REPORTED:
                    break
    except (UnicodeDecodeError, csv.Error) as error:
        return [*problems, (1, "", f"is not CSV in UTF-8: {error}")]
    return problems[:MAX_REPORTED]


def _check_number(text: str) -> str | None:
    if not text.strip():
        return "is empty; write a number"
    try:
        value = float(text)
    except ValueError:
        return f"{text[:40]!r} is not a number; write one"
    if not np.isfinite(value):
        return f"{text} is not a finite number; write one"
    return f"{text} is negative; at least 0" if value < 0 else None


def find_line(path: Path, row: int) -> int:
    """Return the line on which data row `row` (from 0) ends; blank lines count as lines, not as rows."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        next(reader, None)
        for values in reader:
            if values:
                row -= 1
                if row < 0:
                    break
        return reader.line_num


def check_batch_limits(table: CsvBatch) -> None:
    """Raise `TraceError` if a count is not a whole number or a value is too large."""
    problems: list[tuple[int, str, str]] = []

    def report(name: str, bad: npt.NDArray[np.bool_], message: str) -> None:
        if bad.any():
            row = int(bad.argmax())
            value = f"{table.numbers[name][row]:g}"
            problems.append((find_line(table.path, table.first_row + row), name, message.format(value)))

    for name, values in table.numbers.items():
        if name in ("submit_s", "duration_s"):
            report(name, values > MAX_MS / MS_PER_SECOND, "{} s is longer than 100 years")
            continue
        maximum = MAX_SIZE / CPU_UNITS_PER_VCPU if name == "vcpu" else MAX_SIZE
        report(name, values > maximum, "{} is too large")
        if name in _WHOLE_NUMBERS:
            minimum = _WHOLE_NUMBERS[name]
            bad = (values != np.floor(values)) | (values < minimum)
            report(name, bad, f"{{}} is not a whole number of at least {minimum}")
    if problems:
        raise TraceError(problems)


def read_counts(path: Path, column: str | None) -> Floats:
    """Return the counts per interval in `column` of a request trace (default: its only column, or `requests`)."""
    names = read_header(path)
    if column is None:
        column = names[0] if len(names) == 1 else "requests"
    if column not in names:
        raise TraceError([(1, column, f"there is no such column; {suggest_name(column, names)}")])
    counts = []
    for table in iter_batches(path, (column,)):
        counts.append(table.numbers[column])
        check_batch_limits(replace(table, numbers={"count": counts[-1]}))
    return np.concatenate(counts)


def rotate_series(
    times_ms: npt.NDArray[np.int64], rates: Floats, period_ms: int, shift_ms: int
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return a periodic piecewise-constant series shifted so that it starts at `shift_ms` of its period."""
    shift = shift_ms % period_ms
    first = int(np.searchsorted(times_ms, shift, side="right")) - 1
    head = times_ms[first + 1 :] - shift
    tail = times_ms[: first + 1] + period_ms - shift
    times = np.concatenate(([0], head, tail))
    values = np.concatenate((rates[first : first + 1], rates[first + 1 :], rates[: first + 1]))
    inside = times < period_ms
    return times[inside].astype(np.int64), values[inside]
