"""Chunks and rows in, files out: what goes in comes out, in order, whatever the way."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.errors import SimulationError
from clustersim.record import recorder as recorder_module
from clustersim.record.columns import Vocabulary
from clustersim.record.recorder import BATCH_ROWS, Recorder
from clustersim.record.schema import FLOAT, NAME, TABLES, TEXT
from clustersim.vocabulary import NEVER, WAIT_REASON_TEXTS, WaitReason

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z in epoch ms


def read(directory: Path, table: str) -> pa.Table:
    if (directory / f"{table}.parquet").exists():
        from pyarrow.parquet import read_table

        return read_table(directory / f"{table}.parquet")
    with pa.memory_map(str(directory / f"{table}.arrow")) as source:
        return pa.ipc.open_file(source).read_all()


def event_chunk(rows: int, kind: Any = 0) -> dict[str, Any]:
    return {
        "time": np.arange(rows, dtype=np.int64),
        "kind": np.full(rows, kind, dtype=np.int32),
        "message": ["x"] * rows,
    }


def task_chunk(rows: int, first: int = 1) -> dict[str, np.ndarray]:
    whole = {"task_id": np.arange(first, first + rows), "created_at": np.arange(rows) * 10}
    whole |= {name: np.full(rows, 512) for name in ("cpu", "memory_mib", "gpus", "attempt")}
    codes = {name: np.zeros(rows, dtype=np.int32) for name in ("group", "launch_type", "last_status")}
    return whole | codes | {"cost_usd": np.zeros(rows)}


TASK_WORDS = {"group": ["service:web"], "launch_type": ["EC2", "FARGATE"], "last_status": ["PROVISIONING"]}


@pytest.mark.parametrize("fmt", ["arrow", "parquet"])
def test_every_table_has_a_file_with_its_schema_even_without_rows(tmp_path, fmt) -> None:
    """A notebook that reads nine tables must not depend on what happened in the run."""
    assert Recorder(tmp_path, fmt).close() == dict.fromkeys(TABLES, 0)
    for name, table in TABLES.items():
        read_back = read(tmp_path, name)
        assert (read_back.num_rows, read_back.schema.names) == (0, list(table.by_name))
        assert [field.type for field in read_back.schema] == [column.type for column in table.columns]
        assert read_back.schema.field(0).metadata[b"unit"]
    assert len(list(tmp_path.iterdir())) == len(TABLES)


@pytest.mark.parametrize("fmt", ["arrow", "parquet"])
def test_a_row_comes_back_as_it_was_given(tmp_path, fmt) -> None:
    """Instants are epoch ms, None and what is left out are null, a space before a time stays a word."""
    recorder = Recorder(tmp_path, fmt)
    message = "(service web) was unable to place a task – é"
    recorder.append_row("events", time=NOON, kind="placement", service="web", task_id=3, message=message)
    recorder.append_row("events", time=NOON + 1, kind="incident", service=None, message="m")
    assert recorder.close()["events"] == 2
    rows = read(tmp_path, "events").to_pylist()
    assert rows[0]["time"].isoformat() == "2026-01-01T12:00:00+00:00"
    assert [row["kind"] for row in rows] == ["placement", "incident"]
    assert [row["service"] for row in rows] == ["web", None]
    assert [row["task_id"] for row in rows] == [3, None]
    assert [row["message"] for row in rows] == [message, "m"]


def test_never_nan_and_code_minus_one_are_null_and_instants_count_from_the_origin(tmp_path) -> None:
    """Kernels have no None; a null instant stays null when the origin is added: -1 + origin is no instant."""
    recorder = Recorder(tmp_path, vocabularies=TASK_WORDS | {"service": ["web", "api"]}, origin_ms=NOON)
    chunk = task_chunk(3) | {
        "started_at": np.array([NEVER, 0, 5_000]),
        "container_instance_id": np.array([7, NEVER, NEVER]),
        "service": np.array([1, NEVER, 0], dtype=np.int32),
        "exit_code": np.array([NEVER, 0, 137]),
    }
    recorder.append_columns("tasks", chunk)
    recorder.append_columns(
        "container_instances",
        {name: np.zeros(2, dtype=np.int64) for name in ("registered_cpu", "registered_memory_mib")}
        | {"container_instance_id": np.array([1, 2]), "tasks_started": np.array([0, 4])}
        | {name: ["a", "a"] for name in ("instance_type", "availability_zone", "purchase_option")}
        | {"launched_at": np.array([0, 1]), "cost_usd": np.array([0.5, 0.25])}
        | {"cpu_reservation_mean": np.array([float("nan"), 50.0])},
    )
    recorder.close()
    tasks = read(tmp_path, "tasks").to_pydict()
    epoch_ms = [None if at is None else round(at.timestamp() * 1_000) for at in tasks["started_at"]]
    assert epoch_ms == [None, NOON, NOON + 5_000]
    assert tasks["container_instance_id"] == [7, None, None]
    assert tasks["service"] == ["api", None, "web"]
    assert tasks["exit_code"] == [None, 0, 137]
    assert tasks["placed_at"] == [None] * 3  # left out
    assert read(tmp_path, "container_instances").to_pydict()["cpu_reservation_mean"] == [None, 50.0]


def test_an_enumeration_with_none_at_its_head_is_a_vocabulary(tmp_path) -> None:
    """Kernels store WaitReason as it is: NONE = 0 must become null and RESOURCE_MEMORY its word."""
    recorder = Recorder(tmp_path, vocabularies=TASK_WORDS | {"wait_reason": WAIT_REASON_TEXTS})
    codes = np.array([WaitReason.NONE, WaitReason.RESOURCE_MEMORY, WaitReason.FARGATE_LAUNCH_RATE, NEVER])
    recorder.append_columns("tasks", task_chunk(4) | {"wait_reason": codes.astype(np.int8)})
    recorder.close()
    column = read(tmp_path, "tasks").column("wait_reason")
    assert column.to_pylist() == [None, "RESOURCE:MEMORY", "Fargate launch rate", None]
    assert None not in column.chunk(0).dictionary.to_pylist()


def test_words_may_repeat_and_come_late() -> None:
    """Two codes of one word are one word in the file; a new word gets the next code."""
    vocabulary = Vocabulary(["a", None, "a", "b"])
    assert (vocabulary.code("b"), vocabulary.code("c"), vocabulary.code("a")) == (3, 4, 0)
    places, dictionary = vocabulary.encode(np.array([0, 1, 2, 3, 4, NEVER]))
    assert dictionary.to_pylist() == ["a", "b", "c"]
    assert places.tolist() == [0, NEVER, 0, 1, 2, NEVER]


def test_a_chunk_may_be_reused_by_its_kernel(tmp_path) -> None:
    """Small chunks wait; they must be the recorder's own copies by then."""
    recorder = Recorder(tmp_path, vocabularies={"kind": ["a"]})
    chunk = event_chunk(3)
    for start in (0, 3):
        chunk["time"][:] = range(start, start + 3)
        recorder.append_columns("events", chunk)
    chunk["time"][:] = 99
    recorder.close()
    assert read(tmp_path, "events").column("time").cast(pa.int64()).to_pylist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("fmt", ["arrow", "parquet"])
def test_a_late_word_leaves_no_delta_dictionary(tmp_path, fmt) -> None:
    """polars refuses delta dictionaries, so parts with more and more words become one file, in order."""
    polars = pytest.importorskip("polars")
    recorder = Recorder(tmp_path, fmt, {"kind": ["a"]})
    recorder.append_columns("events", event_chunk(BATCH_ROWS))
    recorder.append_row("events", time=BATCH_ROWS, kind="late", message="y")
    assert recorder.close()["events"] == BATCH_ROWS + 1
    path = tmp_path / f"events.{fmt}"
    frame = polars.read_ipc(path) if fmt == "arrow" else polars.read_parquet(path)
    assert frame["kind"].cast(polars.String).to_list() == ["a"] * BATCH_ROWS + ["late"]
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.{fmt}" for name in TABLES}


def test_rows_and_chunks_keep_their_common_order(tmp_path) -> None:
    """A table may be fed both ways; the file has the order of the calls, also across batches."""
    recorder = Recorder(tmp_path, vocabularies={"kind": ["chunk"]})
    recorder.append_row("events", time=1, kind="row", message="1")
    recorder.append_columns("events", event_chunk(BATCH_ROWS))
    recorder.append_row("events", time=2, kind="row", message="2")
    recorder.close()
    kinds = read(tmp_path, "events").column("kind").to_pylist()
    assert (kinds[0], kinds[1], kinds[-2], kinds[-1], len(kinds)) == (
        *("row", "chunk", "chunk", "row"),
        BATCH_ROWS + 2,
    )


@pytest.mark.parametrize(
    ("table", "columns", "words"),
    [
        ("evnts", {"time": np.zeros(1)}, "there is no result table 'evnts'"),
        ("events", event_chunk(1) | {"tsk_id": np.zeros(1)}, "has no column 'tsk_id'"),
        ("events", event_chunk(2) | {"time": np.zeros(1, dtype=np.int64)}, "different lengths"),
        ("events", event_chunk(1) | {"time": np.array([NEVER])}, "events.time has no value in 1 of 1"),
        ("events", event_chunk(1) | {"message": [None]}, "events.message has no value"),
        ("events", event_chunk(1) | {"time": np.zeros(1)}, "events.time has integers"),
        ("events", event_chunk(1) | {"time": [0.5]}, "events.time has integers"),
        ("events", event_chunk(1, kind=1), "events.kind was given an unknown code"),
        ("events", event_chunk(1, kind=-2), "events.kind was given an unknown code"),
    ],
)
def test_data_outside_the_schema_are_a_defect_with_a_name(tmp_path, table, columns, words) -> None:
    """An undeclared column or a missing value is a defect and must not become a wrong file."""
    recorder = Recorder(tmp_path, vocabularies={"kind": ["a"]})
    with pytest.raises(SimulationError, match=words):
        recorder.append_columns(table, columns)
        recorder.close()


def test_an_undeclared_column_of_a_row_is_a_defect(tmp_path) -> None:
    """The same for single rows."""
    recorder = Recorder(tmp_path)
    with pytest.raises(SimulationError, match="has no column 'who'"):
        recorder.append_row("events", time=1, kind="a", message="m", who="me")
    with pytest.raises(SimulationError, match="is not a dictionary column"):
        recorder.vocabulary("events", "message")


@pytest.mark.parametrize("fmt", ["arrow", "parquet"])
def test_the_same_calls_give_the_same_bytes(tmp_path, fmt) -> None:
    """Contract: same scenario, same seed, same versions, the same result bytes."""

    def record(directory: Path) -> list[bytes]:
        directory.mkdir()
        recorder = Recorder(directory, fmt, TASK_WORDS, facts={"seed": 7})
        for number in range(3):
            recorder.append_columns("tasks", task_chunk(40_000, first=number * 40_000))
            recorder.append_row("events", time=number, kind=f"late {number}", message="m")
        recorder.close()
        return [path.read_bytes() for path in sorted(directory.iterdir())]

    assert record(tmp_path / "one") == record(tmp_path / "two")


def test_memory_does_not_grow_with_rows(tmp_path) -> None:
    """Ten times the rows, the same memory: at most one batch is buffered."""
    recorder = Recorder(tmp_path, vocabularies=TASK_WORDS)
    chunk = task_chunk(BATCH_ROWS)
    small = task_chunk(1_000)
    tracemalloc.start()
    try:
        peaks = []
        for chunks in (2, 20):
            tracemalloc.reset_peak()
            for _ in range(chunks):
                recorder.append_columns("tasks", chunk)
                recorder.append_columns("tasks", small)
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
    assert recorder.close()["tasks"] == 22 * (BATCH_ROWS + 1_000)


def test_recording_does_not_import_pandas(tmp_path) -> None:
    """pyarrow imports pandas on sight of a list or an array, which takes half a second of a short run."""
    program = f"""
import sys, pathlib, numpy as np
from clustersim.record.recorder import Recorder
for fmt in ("arrow", "parquet"):
    recorder = Recorder(pathlib.Path({str(tmp_path)!r}), fmt, {{"kind": ["a"]}})
    recorder.append_row("events", time=1, kind="late", message="m")
    recorder.append_columns("events", dict(time=np.arange(9), kind=np.zeros(9, np.int32), message=["x"] * 9))
    recorder.close()
assert "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


rows_of_events = st.lists(
    st.fixed_dictionaries(
        {
            "time": st.integers(0, 2**45),
            "service": st.none() | st.text(max_size=4),
            "kind": st.text(max_size=3),
            "task_id": st.none() | st.integers(0, 2**62),
            "container_instance_id": st.none() | st.integers(0, 9),
            "message": st.text(max_size=20),
        }
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(
    rows=rows_of_events,
    by_rows=st.lists(st.booleans(), min_size=30, max_size=30),
    batch=st.integers(1, 9),
    fmt=st.sampled_from(["arrow", "parquet"]),
)
def test_any_rows_come_back_whatever_way_batch_and_format(
    tmp_path_factory, rows, by_rows, batch, fmt
) -> None:
    """Against the plainest twin, a list of dicts: ways, batches and late words must not show."""
    directory = tmp_path_factory.mktemp("events")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder_module, "BATCH_ROWS", batch)
        recorder = Recorder(directory, fmt)
        for row, single in zip(rows, by_rows, strict=False):
            if single:
                recorder.append_row("events", **row)
            else:
                recorder.append_columns("events", {name: [cell] for name, cell in row.items()})
        assert recorder.close()["events"] == len(rows)
    table = read(directory, "events")
    table = table.set_column(0, "time", table.column("time").cast(pa.int64()))
    assert table.to_pylist() == rows


def test_every_column_of_every_table_can_be_filled_and_read(tmp_path) -> None:
    """One full row per table, so that no declared type lacks a way into its file."""
    recorder = Recorder(tmp_path)
    for name, table in TABLES.items():
        recorder.append_row(name, **{column.name: _sample(column.type) for column in table.columns})
    recorder.close()
    for name in TABLES:
        read_back = read(tmp_path, name)
        read_back.validate(full=True)
        assert not any(column.null_count for column in read_back.columns)


def _sample(kind: pa.DataType) -> Any:
    if kind in (NAME, TEXT):
        return "word"
    return 0.5 if kind == FLOAT else 1
