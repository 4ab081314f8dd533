"""Tests of trace files: columns, units, order, and problems with their line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.scenario.traces.csv_columns import TraceError, read_counts, rotate_series
from clustersim.scenario.traces.task_traces import read_task_trace, unused_columns

HEADER = "submit_s,duration_s,vcpu,memory_mib\n"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "jobs.csv"


def complaints(path: Path, text: str) -> list[tuple[int, str, str]]:
    path.write_text(text)
    with pytest.raises(TraceError) as caught:
        read_task_trace(path)
    return caught.value.problems


def test_units_become_ms_units_and_mib(trace: Path) -> None:
    """Half a vCPU is 512 units; memory is never less than what was asked."""
    trace.write_text(HEADER + "1.5,2,0.5,100.2\n")
    tasks = read_task_trace(trace)
    assert (tasks.submit_ms[0], tasks.duration_ms[0]) == (1500, 2000)
    assert tasks.sizes[tasks.size[0]].tolist() == [512, 101, 0]
    assert (tasks.instances[0], tasks.groups) == (1, None)


def test_cpu_may_be_given_in_units(trace: Path) -> None:
    trace.write_text(
        "submit_s,duration_s,cpu,memory_mib,gpus,instances,group,reference_id\n0,1,256,64,2,3,a,r\n"
    )
    tasks = read_task_trace(trace)
    assert tasks.sizes[tasks.size[0]].tolist() == [256, 64, 2]
    assert tasks.instances[0] == 3
    assert tasks.groups == ("a",)
    assert tasks.reference_id is not None
    assert tasks.reference_id.to_pylist() == ["r"]


def test_rows_are_sorted_and_rows_of_one_instant_keep_their_order(trace: Path) -> None:
    """Contract, section 3."""
    trace.write_text("submit_s,duration_s,cpu,memory_mib,reference_id\n5,1,1,1,a\n1,1,1,1,b\n5,1,1,1,c\n")
    tasks = read_task_trace(trace)
    assert tasks.submit_ms.tolist() == [1000, 5000, 5000]
    assert tasks.reference_id is not None
    assert tasks.reference_id.to_pylist() == ["b", "a", "c"]


def test_sizes_ascend_and_groups_come_with_their_first_rows(trace: Path) -> None:
    """Rows in order of time: y of (2, 9, 0), x of (2, 8, 1), y of (1, 9, 0)."""
    trace.write_text("submit_s,duration_s,cpu,memory_mib,gpus,group\n5,1,2,8,1,x\n1,1,2,9,0,y\n6,1,1,9,0,y\n")
    tasks = read_task_trace(trace)
    assert tasks.group is not None
    assert (tasks.groups, tasks.group.tolist()) == (("y", "x"), [0, 1, 0])
    assert tasks.sizes.tolist() == [[1, 9, 0], [2, 8, 1], [2, 9, 0]]
    assert tasks.size.tolist() == [2, 1, 0]


def test_a_trace_of_many_batches_is_one_table_and_names_lines_of_all_of_them(trace: Path) -> None:
    """60,000 rows are more than one batch of the parser; durations of later rows need wider columns."""
    rows = [f"{n},{n * 100},{1 + n % 3},64,g{n // 50_000},r{n}\n" for n in range(60_000)]
    head = "submit_s,duration_s,cpu,memory_mib,group,reference_id\n"
    trace.write_text(head + "".join(rows))
    tasks = read_task_trace(trace)
    assert tasks.duration_ms.tolist() == [n * 100_000 for n in range(60_000)]
    assert tasks.sizes[tasks.size, 0].tolist() == [1 + n % 3 for n in range(60_000)]
    assert tasks.group is not None
    assert np.flatnonzero(np.diff(tasks.group)).tolist() == [49_999]
    assert tasks.reference_id[59_999].as_py() == "r59999"
    rows[59_000] = "59000,1,2e9,64,g,r\n"
    assert complaints(trace, head + "".join(rows))[0][0] == 59_002


def test_every_faulty_row_is_named_by_line(trace: Path) -> None:
    """Holes, text, negatives and NaN; the blank line counts as a line."""
    found = complaints(trace, HEADER + "1,2,,100\n\n0,x,1,10\n-1,nan,1,3\n")
    assert [(line, column) for line, column, _ in found] == [
        (2, "vcpu"),
        (4, "duration_s"),
        (5, "submit_s"),
        (5, "duration_s"),
    ]
    assert found[0][2] == "is empty; write a number"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file is empty"),
        (HEADER, 2, "there are no rows"),
        (HEADER + "1,2,3\n", 2, "3 values, but 4 columns"),
        ("submit,duration_s,vcpu,memory_mib\n1,1,1,1\n", 1, "did you mean submit?"),
        ("submit_s,duration_s,memory_mib\n1,1,1\n", 1, "neither vcpu nor cpu"),
        ("submit_s,duration_s,vcpu,cpu,memory_mib\n1,1,1,1,1\n", 1, "both vcpu and cpu"),
        ("submit_s,submit_s\n1,1\n", 1, "two columns have this name"),
        (HEADER + "1e12,1,1,1\n", 2, "longer than 100 years"),
        (HEADER + "1,1,1,1\n1,1,1e12,1\n", 3, "too large"),
        ("submit_s,duration_s,cpu,memory_mib,instances\n1,1,1,1,1.5\n", 2, "not a whole number"),
        ("submit_s,duration_s,cpu,memory_mib,instances\n1,1,1,1,0\n", 2, "at least 1"),
    ],
)
def test_a_trace_that_cannot_be_used_says_why(trace: Path, text: str, line: int, message: str) -> None:
    found = complaints(trace, text)
    assert found[0][0] == line
    assert message in found[0][2]


def test_missing_and_binary_files_are_complaints(trace: Path) -> None:
    with pytest.raises(TraceError, match="no such file"):
        read_task_trace(trace)
    trace.write_bytes(b"submit_s\xff\xfe,b\n1,2\n")
    with pytest.raises(TraceError, match="UTF-8"):
        read_task_trace(trace)


def test_unknown_columns_are_told(trace: Path) -> None:
    trace.write_text("submit_s,duration_s,vcpu,memory_mib,priority\n0,1,1,1,9\n")
    assert unused_columns(trace) == ("priority",)


def test_counts_have_one_column_or_its_name(trace: Path) -> None:
    trace.write_text("requests\n1\n2.5\n")
    assert read_counts(trace, None).tolist() == [1, 2.5]
    trace.write_text("time,requests,errors\na,1,0\nb,2,0\n")
    assert read_counts(trace, "requests").tolist() == [1, 2]
    with pytest.raises(TraceError, match="did you mean requests"):
        read_counts(trace, "request")


def test_rotation_by_hand() -> None:
    """Rates 1, 2, 3 of ten each, seen from 15: five more of 2, then 3, then 1, then the rest of 2."""
    times, rates = rotate_series(np.array([0, 10, 20]), np.array([1.0, 2.0, 3.0]), 30, 15)
    assert times.tolist() == [0, 5, 15, 25]
    assert rates.tolist() == [2, 3, 1, 2]


@given(
    st.lists(st.floats(0, 9), min_size=1, max_size=6),
    st.integers(1, 9),
    st.integers(-99, 99),
    st.integers(0, 99),
)
def test_rotation_is_a_shift_of_time(values: list[float], width: int, shift: int, instant: int) -> None:
    """The plain twin: the rate at t of the rotated series is the rate at t + shift of the original."""
    period = len(values) * width
    times, rates = rotate_series(np.arange(len(values)) * width, np.array(values), period, shift)
    assert times[0] == 0
    assert (np.diff(times) > 0).all()
    at = rates[np.searchsorted(times, instant % period, side="right") - 1]
    assert at == values[(instant + shift) % period // width]
