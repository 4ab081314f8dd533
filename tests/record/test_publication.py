"""A result directory is whole or not there, and nothing but an earlier result is ever replaced."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clustersim.errors import ResultsError
from clustersim.record.publication import Provenance, Publication, check_target
from clustersim.record.recorder import Recorder
from clustersim.record.schema import TABLES

PROVENANCE = Provenance(
    scenario={"name": "web-shop", "duration": 604_800},
    scenario_digest="ab" * 32,
    inputs=[{"path": "shop.csv", "sha256": "cd" * 32}],
    seed=7,
    replication=0,
    random_generator="test 1",
)


def publish(target: Path, fmt: str = "arrow", **summary: Any) -> dict[str, Any]:
    with Publication(target) as publication:
        recorder = Recorder(publication.directory, fmt)
        recorder.append_row(
            "events", time=0, kind="steady", message="(service web) has reached a steady state."
        )
        return publication.publish(PROVENANCE, recorder.close(), summary, {"wall_s": 1.5})


def test_the_directory_holds_tables_summary_and_manifest_and_nothing_is_beside_it(tmp_path) -> None:
    """The hidden directory is gone; parents that did not exist were made."""
    target = tmp_path / "results" / "web-shop"
    publish(target, cost_usd=1.25)
    assert {path.name for path in target.iterdir()} == {
        *(f"{name}.arrow" for name in TABLES),
        *("manifest.json", "summary.json"),
    }
    assert [path.name for path in target.parent.iterdir()] == ["web-shop"]
    assert json.loads((target / "summary.json").read_text()) == {"cost_usd": 1.25}


def test_the_manifest_says_what_reproduces_the_run_with_timings_last(tmp_path) -> None:
    """Contract, section 4: the keys of the manifest, and rows and SHA-256 per table."""
    manifest = publish(tmp_path / "run")
    assert manifest == json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert list(manifest) == [
        *("schema_version", "scenario", "scenario_digest", "inputs", "seed", "replication"),
        "assumptions",
        *("versions", "tables", "timings"),
    ]
    assert (manifest["schema_version"], manifest["seed"], manifest["inputs"]) == (1, 7, PROVENANCE.inputs)
    assert set(manifest["versions"]) == {
        *("clustersim", "python", "numpy", "numba", "pyarrow", "simpy", "random_generator")
    }
    assert manifest["versions"]["numpy"] == np.__version__
    digest = hashlib.sha256((tmp_path / "run" / "events.arrow").read_bytes()).hexdigest()
    assert manifest["tables"]["events"] == {"rows": 1, "sha256": digest}
    assert manifest["tables"].keys() == TABLES.keys()


def test_two_publications_of_the_same_differ_in_timings_alone(tmp_path) -> None:
    """Contract, principle 7."""
    for name in ("one", "two"):
        publish(tmp_path / name, services={"web": {"availability": 1 / 3}})
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_numbers_json_cannot_hold_become_null_and_numpy_numbers_plain(tmp_path) -> None:
    """NaN in a JSON file stops every strict reader."""
    publish(
        tmp_path / "run", a=float("nan"), b=np.float64(0.5), c=np.int64(3), d=(np.inf,), e="é", f="\udc80"
    )
    content = (tmp_path / "run" / "summary.json").read_text(encoding="utf-8")
    assert json.loads(content) == {"a": None, "b": 0.5, "c": 3, "d": [None], "e": "é", "f": "\udc80"}
    assert "é" in content


def test_an_earlier_result_is_replaced_whole(tmp_path) -> None:
    """No file of the earlier result stays, whatever its format was; nor does the directory moved aside."""
    target = tmp_path / "run"
    publish(target, "parquet", cost_usd=1)
    (target / ".DS_Store").write_text("left by a file browser")
    publish(target, "arrow", cost_usd=2)
    assert json.loads((target / "summary.json").read_text()) == {"cost_usd": 2}
    assert not list(target.glob("*.parquet"))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def _file(target: Path) -> None:
    target.write_text("mine")


def _directory(target: Path) -> None:
    target.mkdir()


def _foreign_manifest(target: Path) -> None:
    target.mkdir()
    (target / "manifest.json").write_text('{"name": "a web extension"}')


def _notebook_in_result(target: Path) -> None:
    publish(target)
    (target / "notes.ipynb").write_text("{}")


@pytest.mark.parametrize("occupy", [_file, _directory, _foreign_manifest, _notebook_in_result])
def test_nothing_but_an_earlier_result_is_replaced(tmp_path, occupy) -> None:
    """A typing error in --out must not cost anybody a home directory, or a notebook beside the tables."""
    target = tmp_path / "run"
    occupy(target)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    for attempt in (check_target, publish):
        with pytest.raises(ResultsError, match="choose another directory"):
            attempt(target)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_file_among_the_parents_is_reported_before_the_run(tmp_path) -> None:
    """`--out notes.txt` is the user's mistake, found without simulating a week first."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ResultsError, match=r"notes\.txt is not a directory"):
        check_target(tmp_path / "notes.txt" / "results" / "run")
    with pytest.raises(ResultsError, match="could not be written"):
        check_target(tmp_path / ("x" * 300))
    check_target(tmp_path / "free")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError, None])
def test_a_run_that_does_not_finish_leaves_no_trace(tmp_path, failure) -> None:
    """Also not the parents it made; leaving without `publish` counts as not finished."""

    def unfinished() -> None:
        with Publication(tmp_path / "results" / "deep" / "run") as publication:
            Recorder(publication.directory).close()
            if failure is not None:
                raise failure

    if failure is None:
        unfinished()
    else:
        with pytest.raises(failure):
            unfinished()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_sentence_and_no_half_directory(tmp_path) -> None:
    """The earlier result survives a failed successor."""
    publish(tmp_path / "run", cost_usd=1)
    sentence = r"could not be written to .*run: No space left on device"
    with pytest.raises(ResultsError, match=sentence), Publication(tmp_path / "run") as publication:
        (publication.directory / "tasks.arrow").write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == {"cost_usd": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_write_that_really_fails_inside_arrow_is_one_sentence(tmp_path) -> None:
    """A limit on file size stands in for a full disk: the error comes from pyarrow's own writer."""
    program = f"""
import resource, signal, pathlib, numpy as np
from clustersim.errors import ResultsError
from clustersim.record.publication import Publication
from clustersim.record.recorder import Recorder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
rng = np.random.default_rng(0)
target = pathlib.Path({str(tmp_path)!r}) / "run"
try:
    with Publication(target) as publication:
        recorder = Recorder(publication.directory, "arrow", {{"kind": ["a"]}})
        for _ in range(3):
            recorder.append_columns("events", dict(time=rng.integers(0, 2**40, 65_536),
                kind=np.zeros(65_536, np.int32), message=["x"] * 65_536))
        recorder.close()
except ResultsError as error:
    assert "could not be written" in str(error), error
    assert not list(target.parent.iterdir())
    print("said")
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "said\n"


def test_a_broken_pipe_is_not_taken_for_a_full_disk(tmp_path) -> None:
    """It comes from printing progress into `head`, not from the directory."""
    with pytest.raises(BrokenPipeError), Publication(tmp_path / "run"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_the_right_to_write_is_one_sentence(tmp_path) -> None:
    """Permission denied, in the user's words."""
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ResultsError, match="Permission denied"):
        publish(tmp_path / "locked" / "run")


def test_the_earlier_result_returns_when_its_successor_cannot_take_its_name(tmp_path, monkeypatch) -> None:
    """Between the two renames the name is free for an instant; a failure there must give it back."""
    target = tmp_path / "run"
    publish(target, cost_usd=1)
    real_rename = Path.rename

    def rename(self: Path, other: Path) -> Path:
        if "partial" in self.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real_rename(self, other)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(ResultsError):
        publish(target, cost_usd=2)
    assert json.loads((target / "summary.json").read_text()) == {"cost_usd": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_linked_target_stays_a_link(tmp_path) -> None:
    """Results on another disk behind a link: the directory is replaced, the link is kept."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk" / "run")
    for cost in (1, 2):
        publish(tmp_path / "run", cost_usd=cost)
    assert (tmp_path / "run").is_symlink()
    assert json.loads((tmp_path / "disk" / "run" / "summary.json").read_text()) == {"cost_usd": 2}


def test_the_leftover_of_a_killed_run_does_not_block_the_next(tmp_path) -> None:
    """Process numbers return, above all in containers, where each run may be number 1."""
    leftover = tmp_path / f".run.partial-{os.getpid()}"
    leftover.mkdir()
    publish(tmp_path / "run")
    assert leftover.is_dir()
    shutil.rmtree(leftover)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
