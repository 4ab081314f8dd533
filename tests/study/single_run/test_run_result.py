"""Opening a result directory: with our own reader, and with the one-liners people use."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clustersim.errors import ResultsError
from clustersim.record.publication import Provenance, Publication, hash_file
from clustersim.record.recorder import Recorder
from clustersim.record.schema import TABLES
from clustersim.study.single_run.run_result import Run, open_run

NEW_YEAR = 1_767_225_600_000  # 2026-01-01T00:00:00Z
FORMATS = pytest.mark.parametrize("fmt", ["arrow", "parquet"])


def publish(target: Path, fmt: str = "arrow") -> None:
    """Three tasks: one stopped, one running, one never placed."""
    words = {"group": ["service:web"], "service": ["web"], "launch_type": ["EC2", "FARGATE"]}
    words |= {"last_status": ["PROVISIONING", "RUNNING", "STOPPED"]}
    with Publication(target) as publication:
        recorder = Recorder(publication.directory, fmt, words, origin_ms=NEW_YEAR)
        columns = {name: np.zeros(3, dtype=np.int32) for name in ("group", "service", "launch_type")}
        columns |= {name: np.full(3, 512) for name in ("cpu", "memory_mib")}
        columns |= {name: np.full(3, 1) for name in ("attempt", "gpus")}
        columns |= {
            "task_id": np.array([1, 2, 2**60 + 1]),
            "container_instance_id": np.array([2**60 + 1, 1, -1]),
            "created_at": np.array([0, 1_000, 2_000]),
            "started_at": np.array([500, 1_500, -1]),
            "last_status": np.array([2, 1, 0], dtype=np.int32),
            "cost_usd": np.array([0.25, 0.5, 0.0]),
        }
        recorder.append_columns("tasks", columns)
        recorder.append_row("events", time=0, service="web", kind="started", message="has started 3 tasks")
        provenance = Provenance({"name": "web"}, "00" * 32, [], 3, 0, "test 1")
        publication.publish(provenance, recorder.close(), {"cost_usd": 0.75}, {})


@FORMATS
def test_a_run_opens_with_its_summary_manifest_and_every_table(tmp_path, fmt) -> None:
    """Every table of the contract is an attribute of its own name."""
    publish(tmp_path / "web", fmt)
    run = open_run(str(tmp_path / "web"))
    assert (run.path, run.summary["cost_usd"], run.manifest["seed"]) == (tmp_path / "web", 0.75, 3)
    for name in TABLES:
        assert getattr(run, name) is run.tables[name]
        assert getattr(run, name).to_arrow().num_rows == len(run.tables[name])
    assert (len(run.tasks), len(run.events), len(run.costs)) == (3, 1, 0)
    assert run.tasks.schema.field("cpu").metadata[b"unit"] == b"CPU units"
    assert "3 tasks, 1 events" in repr(run)
    assert "tasks: 3 rows" in repr(run.tasks)
    run.verify()


def test_every_table_is_declared_for_editors() -> None:
    """Completion and type checks need the names; a new table must be added to `Run` as well."""
    assert list(Run.__annotations__) == list(TABLES)


@FORMATS
def test_columns_come_in_the_order_asked_for_and_no_others(tmp_path, fmt) -> None:
    """A week of a large cluster has more columns than memory; one may ask for two."""
    publish(tmp_path / "web", fmt)
    tasks = open_run(tmp_path / "web").tasks
    assert tasks.to_arrow(["cost_usd", "task_id"]).to_pydict() == {
        "cost_usd": [0.25, 0.5, 0.0],
        "task_id": [1, 2, 2**60 + 1],
    }
    with pytest.raises(ResultsError, match="no column 'cost_us'; did you mean 'cost_usd'"):
        tasks.to_arrow(["cost_us"])
    with pytest.raises(ResultsError, match="it has task_id, group"):
        tasks.to_pandas(["zzz"])


@FORMATS
def test_pandas_gets_exact_ids_and_categories(tmp_path, fmt) -> None:
    """2**60 + 1 is no float64: an id beside a null must stay a whole number."""
    pd = pytest.importorskip("pandas")
    publish(tmp_path / "web", fmt)
    frame = open_run(tmp_path / "web").tasks.to_pandas()
    assert frame["container_instance_id"].tolist()[:2] == [2**60 + 1, 1]
    assert frame["container_instance_id"].isna().tolist() == [False, False, True]
    assert isinstance(frame["group"].dtype, pd.CategoricalDtype)
    assert str(frame["created_at"].dtype) == "datetime64[ms, UTC]"
    assert frame.groupby("last_status", observed=True)["cost_usd"].sum().to_dict() == {
        "PROVISIONING": 0.0,
        "RUNNING": 0.5,
        "STOPPED": 0.25,
    }


def test_pandas_reads_the_file_in_one_line(tmp_path) -> None:
    """The line of the contract, with nothing of ours imported."""
    pd = pytest.importorskip("pandas")
    publish(tmp_path / "web")
    frame = pd.read_feather(tmp_path / "web" / "tasks.arrow")
    assert frame["last_status"].tolist() == ["STOPPED", "RUNNING", "PROVISIONING"]
    assert str(frame["started_at"][0]) == "2026-01-01 00:00:00.500000+00:00"


@FORMATS
def test_polars_reads_the_files_and_the_tables(tmp_path, fmt) -> None:
    """By the file, lazily, and through Arrow's C stream interface."""
    polars = pytest.importorskip("polars")
    publish(tmp_path / "web", fmt)
    run = open_run(tmp_path / "web")
    scan = polars.scan_ipc if fmt == "arrow" else polars.scan_parquet
    for name in TABLES:
        assert scan(run.tables[name].path).collect().height == len(run.tables[name])
    assert polars.DataFrame(run.tasks)["cost_usd"].sum() == 0.75


@FORMATS
def test_duckdb_queries_the_files(tmp_path, fmt) -> None:
    """DuckDB takes Parquet as it is and Arrow files through a pyarrow dataset."""
    duckdb = pytest.importorskip("duckdb")
    publish(tmp_path / "web", fmt)
    from pyarrow import dataset

    tasks = dataset.dataset(open_run(tmp_path / "web").tasks.path, format="ipc" if fmt == "arrow" else fmt)
    with duckdb.connect() as connection:
        connection.register("tasks", tasks)
        found = connection.sql("select sum(cost_usd) from tasks where last_status <> 'STOPPED'").fetchall()
    assert found == [(0.5,)]


def test_without_pandas_the_error_says_how_to_install_it(tmp_path, monkeypatch) -> None:
    """pandas is an extra: a traceback about a missing module would not help."""
    publish(tmp_path / "web")
    real_import = builtins.__import__

    def without_pandas(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == "pandas":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pandas)
    with pytest.raises(ResultsError, match=r"pip install clustersim\[pandas\]"):
        open_run(tmp_path / "web").tasks.to_pandas()


def test_verify_notices_a_changed_byte(tmp_path) -> None:
    """An archived result can be verified."""
    publish(tmp_path / "web")
    path = tmp_path / "web" / "tasks.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ResultsError, match=r"has changed since it was written: tasks\.arrow does not match"):
        open_run(tmp_path / "web").verify()


def _nothing(target: Path) -> None:
    pass


def _no_manifest(target: Path) -> None:
    publish(target)
    (target / "manifest.json").unlink()


def _no_summary(target: Path) -> None:
    publish(target)
    (target / "summary.json").unlink()


def _no_table(target: Path) -> None:
    publish(target)
    (target / "costs.arrow").unlink()


def _cut_manifest(target: Path) -> None:
    publish(target)
    (target / "manifest.json").write_text('{"schema_version": 1,')


def _list_for_manifest(target: Path) -> None:
    publish(target)
    (target / "manifest.json").write_text("[]")


def _changed_manifest(target: Path, **keys: Any) -> None:
    publish(target)
    manifest = json.loads((target / "manifest.json").read_text())
    (target / "manifest.json").write_text(json.dumps(manifest | keys))


def _later_schema(target: Path) -> None:
    _changed_manifest(target, schema_version=2)


def _no_tables(target: Path) -> None:
    _changed_manifest(target, tables=["tasks"])


def _sweep(target: Path) -> None:
    _changed_manifest(target)
    (target / "points").mkdir()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_nothing, "it does not exist"),
        (_no_manifest, r"it has no manifest\.json"),
        (_no_summary, r"it has no summary\.json"),
        (_no_table, "its manifest names the table costs"),
        (_cut_manifest, r"manifest\.json cannot be read"),
        (_list_for_manifest, "it is not a JSON object"),
        (_later_schema, "schema version 2; this version of clustersim reads version 1"),
        (_no_tables, "its manifest.json names no tables"),
        (_sweep, "has many runs; open one of them"),
    ],
)
def test_an_incomplete_run_is_reported_in_one_sentence(tmp_path, make, words) -> None:
    """The reader refuses an incomplete result and names the problem."""
    make(tmp_path / "web")
    with pytest.raises(ResultsError, match=words):
        open_run(tmp_path / "web")


def make_older(target: Path, table: str, column: str, fmt: str) -> None:
    """Turn a result into that of a version which had neither this table nor this column of `tasks`."""
    tasks = target / f"tasks.{fmt}"
    older = open_run(target).tasks.to_arrow().drop_columns([column]) if fmt == "parquet" else None
    if older is not None:
        pq.write_table(older, tasks)
    else:
        with pa.OSFile(str(tasks), "rb") as source:
            older = pa.ipc.open_file(source).read_all().drop_columns([column])
        with pa.OSFile(str(tasks), "wb") as sink, pa.ipc.new_file(sink, older.schema) as writer:
            writer.write_table(older)
    (target / f"{table}.{fmt}").unlink()
    manifest = json.loads((target / "manifest.json").read_text())
    del manifest["tables"][table]
    manifest["tables"]["tasks"]["sha256"] = hash_file(tasks)
    (target / "manifest.json").write_text(json.dumps(manifest))


@FORMATS
@pytest.mark.parametrize("column", ["wait_reason", "exit_code", "healthy_at", "cost_usd"])
def test_what_an_older_version_did_not_write_reads_as_nothing(tmp_path, fmt, column) -> None:
    """A table without rows and a column of nulls, as names only grow within a schema version."""
    publish(tmp_path / "web", fmt)
    before = open_run(tmp_path / "web").tasks.schema
    make_older(tmp_path / "web", "deployment_series", column, fmt)
    run = open_run(tmp_path / "web")
    assert (len(run.deployment_series), run.deployment_series.path) == (0, None)
    assert run.deployment_series.to_arrow().column_names == list(TABLES["deployment_series"].by_name)
    assert run.deployment_series.to_arrow(["service"]).num_rows == 0
    assert sorted(run.tasks.schema.names) == sorted(before.names)
    read = run.tasks.to_arrow([column, "task_id"])
    assert read.column(0).null_count == 3
    assert read.schema.field(0).type == before.field(column).type
    assert read.schema.field(0).metadata[b"unit"] == before.field(column).metadata[b"unit"]
    assert read.column(1).to_pylist() == [1, 2, 2**60 + 1]
    assert run.tasks.to_arrow().num_columns == len(before.names)
    assert run.tasks.to_arrow([column]).num_rows == 3
    run.verify()
    with pytest.raises(ResultsError, match="has no column 'wait_raeson'"):
        run.tasks.to_arrow(["wait_raeson"])


@FORMATS
def test_a_truncated_table_is_reported_in_one_sentence(tmp_path, fmt) -> None:
    """A copy that was interrupted leaves a file without its end."""
    publish(tmp_path / "web", fmt)
    run = open_run(tmp_path / "web")
    run.tasks.path.write_bytes(run.tasks.path.read_bytes()[:200])
    with pytest.raises(ResultsError, match=r"tasks\..* cannot be read"):
        run.tasks.to_arrow()
