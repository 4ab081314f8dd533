"""Sweeps into an object store: a stand-in for S3 that speaks its protocol, on this machine.

An object store has no rename: what makes a run or a sweep a result is its `manifest.json`, written last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow.fs import FileSelector, FileSystem

import clustersim as cs
from clustersim.study.execution import worker
from clustersim.study.execution.result_store import ObjectStore, open_store
from tests.study.small import COUNT, contents, save, shop

VARY: dict[str, Any] = {COUNT: [2, 4]}
TABLES = ("manifest.json", "summary.json", "tasks.arrow", "costs.arrow")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a store, without `s3://BUCKET`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        from moto.server import ThreadedMotoServer

        store = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        store.start()
        host, port = store.get_host_and_port()
        yield f"?scheme=http&endpoint_override={host}:{port}&region=us-east-1"
        store.stop()


@pytest.fixture
def bucket(server: str, request: pytest.FixtureRequest) -> str:
    """The address of a new bucket: `s3://NAME/results?...`."""
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:60]
    files, _ = FileSystem.from_uri(f"s3://x{server}&allow_bucket_creation=true")
    files.create_dir(name)
    return f"s3://{name}/results{server}"


def sweep(scenario: Path, out: str | Path, **more: Any) -> cs.Sweep:
    return cs.sweep(scenario, out=out, jobs=1, **{"vary": VARY, "replications": 2, **more})


def objects(address: str) -> dict[str, bytes]:
    """Every object under an address."""
    files, base = FileSystem.from_uri(address)
    found = files.get_file_info(FileSelector(base, recursive=True, allow_not_found=True))
    return {
        info.path.removeprefix(f"{base}/"): files.open_input_file(info.path).read()
        for info in found
        if info.is_file
    }


def download(address: str, folder: Path) -> Path:
    for name, content in objects(address).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_a_sweep_into_a_store_is_the_same_sweep(bucket: str, tmp_path: Path) -> None:
    """The bytes of all files are those of a sweep on disk; and it can be opened there."""
    scenario = save(tmp_path)
    found = sweep(scenario, bucket)
    assert found.path == f"{bucket.partition('?')[0]}/test"
    sweep(scenario, tmp_path / "disk")
    stored = download(bucket, tmp_path / "stored")
    assert contents(stored) == contents(tmp_path / "disk")
    address, _, options = bucket.partition("?")
    again = cs.open(f"{address}/test?{options}")
    assert isinstance(again, cs.Sweep)
    assert again.summary.to_arrow().equals(found.summary.to_arrow())
    assert again.points == found.points
    with pytest.raises(cs.ResultsError, match="copy one to this machine"):
        again.run(0, 0)


def test_a_run_without_a_manifest_does_not_count(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network goes while the second run is written: it does not count, and --resume executes it again."""
    scenario = save(tmp_path)
    real, written = ObjectStore.write, list[str]()

    def until_lost(self: ObjectStore, name: str, content: bytes) -> None:
        if name == "points/0/1/manifest.json":
            raise cs.ResultsError(f"{self.location} cannot be used for results: the network is gone")
        written.append(name)
        real(self, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "write", until_lost)
        with pytest.raises(cs.ResultsError, match="the network is gone"):
            sweep(scenario, bucket)
    run = [name for name in written if name.startswith("points/0/0/")]
    assert run[-1] == "points/0/0/manifest.json"
    assert len(run) == 11
    there = objects(bucket)
    assert "test/points/0/1/tasks.arrow" in there
    assert "test/manifest.json" not in there
    with pytest.raises(cs.ResultsError, match="unfinished sweep"):
        sweep(scenario, bucket)
    assert sweep(scenario, bucket, resume=True).manifest["timings"]["reused"] == 1
    sweep(scenario, tmp_path / "disk")
    assert contents(download(bucket, tmp_path / "stored")) == contents(tmp_path / "disk")


def test_resuming_and_replacing(bucket: str, tmp_path: Path) -> None:
    scenario = save(tmp_path)
    sweep(scenario, bucket)
    assert sweep(scenario, bucket, resume=True, replications=3).manifest["timings"]["reused"] == 4
    with pytest.raises(cs.ResultsError, match="cannot be resumed"):
        sweep(scenario, bucket, resume=True, seed=8)
    sweep(scenario, bucket, vary={COUNT: [3]}, replications=1)
    names = objects(bucket)
    assert sum(name.endswith("tasks.arrow") for name in names) == 1
    assert not any("plan.json" in name for name in names)
    assert json.loads(names["test/manifest.json"])["points"][0]["values"] == [3]


def test_a_name_may_have_characters_that_an_address_may_not(bucket: str, tmp_path: Path) -> None:
    """A scenario's name may have spaces and plus signs; a key before the bucket is never shown."""
    scenario = save(tmp_path, shop("5m", name="web shop+1, a=b"))
    found = sweep(scenario, bucket, replications=1)
    assert found.path.endswith("/results/web shop+1, a=b")
    assert "web shop+1, a=b/summary.arrow" in objects(bucket)
    assert ObjectStore("s3://key:secret@bucket/folder/name?region=x").location == "s3://bucket/folder/name"


def test_nothing_else_is_replaced(bucket: str, tmp_path: Path) -> None:
    """Files under the name that are not a sweep are kept."""
    files, base = FileSystem.from_uri(bucket)
    with files.open_output_stream(f"{base}/test/thesis.txt") as stream:
        stream.write(b"years of work")
    with pytest.raises(cs.ResultsError, match="is not a sweep of clustersim"):
        sweep(save(tmp_path), bucket)
    assert objects(bucket) == {"test/thesis.txt": b"years of work"}


def test_a_missing_bucket_is_reported(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reported in one sentence, before anything runs."""
    monkeypatch.setattr(worker, "run_into", lambda *_, **__: pytest.fail("it ran"))
    missing = bucket.replace("s3://", "s3://missing-")
    with pytest.raises(cs.ResultsError) as caught:
        sweep(save(tmp_path, shop("5m")), missing)
    assert "\n" not in str(caught.value)
    for address in ("gopher://x/y", "s3://"):
        with pytest.raises(cs.ResultsError, match="not a valid location for results"):
            open_store(address, "test")


def test_a_damaged_sweep_is_reported(bucket: str, tmp_path: Path) -> None:
    found = sweep(save(tmp_path, shop("5m")), bucket, replications=1)
    files, base = FileSystem.from_uri(bucket)
    address, _, options = bucket.partition("?")
    for name, content in (("summary.arrow", b"no arrow"), ("manifest.json", b"{")):
        with files.open_output_stream(f"{base}/test/{name}") as stream:
            stream.write(content)
        with pytest.raises(cs.ResultsError, match="damaged"):
            cs.open(f"{address}/test?{options}")
    assert isinstance(found.summary.to_arrow(), pa.Table)
