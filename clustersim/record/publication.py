"""How a result directory comes into being: whole, or not at all.

This module decides where a run writes before it is complete, what `manifest.json` says, and when the
directory gets its name. It must not know what is in a table or a summary. The assembling module of a run
calls it.

Everything is written into a hidden directory beside the target (so that a rename suffices), the manifest
last. An earlier result is moved aside, never touched before its successor is complete, and deleted at the
end; nothing but an earlier result is ever replaced. A process killed in the middle leaves the hidden
directory, and never one under the target's name that is not complete.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

from clustersim import __version__
from clustersim.errors import ResultsError
from clustersim.record.schema import SCHEMA_VERSION, TABLES

MANIFEST = "manifest.json"
SUMMARY = "summary.json"
SUFFIXES = (".arrow", ".parquet")

_MANIFEST_KEYS = {"schema_version", "scenario_digest", "versions", "tables"}
_STRAY_FILES = {".DS_Store", "Thumbs.db"}  # left by file browsers; nobody misses them
_LIBRARIES = ("numpy", "numba", "pyarrow", "simpy")


@dataclass(frozen=True)
class Provenance:
    """What a run was made from: enough, with the input files, to make it again.

    `scenario` is the scenario as understood; `inputs` has a `path` and a `sha256` per file;
    `random_generator` names the generator and its version, since another one means other numbers.
    """

    scenario: Mapping[str, Any]
    scenario_digest: str
    inputs: Sequence[Mapping[str, str]]
    seed: int
    replication: int
    random_generator: str


def check_target(target: Path) -> None:
    """Raises ResultsError unless a result may be published as `target`: it is free, or an earlier one."""
    try:
        _check(target)
    except OSError as error:  # a name that is too long, a directory we may not look into
        raise _unwritable(target, error) from error


def _check(target: Path) -> None:
    for folder in target.absolute().parents:
        if folder.exists():
            if not folder.is_dir():
                raise ResultsError(f"{folder} is not a directory; choose another place for the results")
            break
    if not target.exists():
        return
    if not target.is_dir():
        raise ResultsError(
            f"{target} is a file and will not be replaced; choose another place for the results"
        )
    if not _holds_manifest(target):
        raise ResultsError(
            f"{target} exists and is not a result of clustersim, so it will not be replaced; "
            "move it away or choose another place for the results"
        )
    ours = {MANIFEST, SUMMARY, *(f"{name}{suffix}" for name in TABLES for suffix in SUFFIXES)}
    foreign = sorted(entry.name for entry in target.iterdir() if entry.name not in ours | _STRAY_FILES)
    if foreign:
        raise ResultsError(
            f"{target} holds an earlier result and also {foreign[0]!r}, which would be lost; "
            "move it away or choose another place for the results"
        )


def _holds_manifest(directory: Path) -> bool:
    try:
        manifest = json.loads((directory / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.keys() >= _MANIFEST_KEYS


class Publication:
    """The way of one run's files to `target`; a context in which `directory` may be written to.

    Leaving the context without `publish` removes everything. A failure to write (no room, no right) becomes a
    ResultsError in one sentence.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        # A link stays a link: what is replaced is the directory it leads to.
        self._real = Path(os.path.realpath(target))
        self.directory = _unused(self._real, "partial")
        self._made: list[Path] = []  # parents that did not exist before
        self._published = False

    def __enter__(self) -> Publication:
        check_target(self.target)
        try:
            for folder in reversed(self._real.parents):
                if not folder.exists():
                    folder.mkdir(exist_ok=True)
                    self._made.append(folder)
            self.directory.mkdir()
        except OSError as error:
            self._clean()
            raise _unwritable(self.target, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._published:
            self._clean()
        # A broken pipe is somebody who stopped listening to our output, not a directory that refused it.
        if isinstance(error, OSError) and not isinstance(error, ConnectionError):
            raise _unwritable(self.target, error) from error

    def publish(
        self,
        provenance: Provenance,
        rows: Mapping[str, int],
        summary: Mapping[str, Any],
        timings: Mapping[str, float],
    ) -> dict[str, Any]:
        """Writes summary and manifest, gives the directory its name, and returns the manifest.

        `rows` counts the rows of every table that was written; `timings` is all that may differ between two
        runs of the same scenario.
        """
        _write_json(self.directory / SUMMARY, summary)
        tables = {
            name: {"rows": count, "sha256": sha256_of(table_file(self.directory, name))}
            for name, count in rows.items()
        }
        manifest = _plain(
            {
                "schema_version": SCHEMA_VERSION,
                "scenario": provenance.scenario,
                "scenario_digest": provenance.scenario_digest,
                "inputs": provenance.inputs,
                "seed": provenance.seed,
                "replication": provenance.replication,
                "versions": versions(provenance.random_generator),
                "tables": tables,
                "timings": timings,
            }
        )
        _write_json(self.directory / MANIFEST, manifest)
        self._rename()
        self._published = True
        return dict(manifest)

    def _rename(self) -> None:
        check_target(self.target)
        if not self._real.exists():
            self.directory.rename(self._real)
            return
        aside = _unused(self._real, "earlier")
        self._real.rename(aside)
        try:
            self.directory.rename(self._real)
        except BaseException:
            aside.rename(self._real)
            raise
        shutil.rmtree(aside, ignore_errors=True)

    def _clean(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        for folder in reversed(self._made):
            try:
                folder.rmdir()
            except OSError:  # somebody else has put something there
                return


def _unwritable(target: Path, error: OSError) -> ResultsError:
    return ResultsError(f"the results could not be written to {target}: {error.strerror or error}")


def _unused(target: Path, role: str) -> Path:
    """A hidden name beside `target` that nobody uses: another process may have our number on another host."""
    plain = target.with_name(f".{target.name}.{role}-{os.getpid()}")
    candidate, serial = plain, 0
    while candidate.exists():
        serial += 1
        candidate = plain.with_name(f"{plain.name}-{serial}")
    return candidate


def table_file(directory: Path, table: str) -> Path:
    """The file that holds `table`, whichever format it has; FileNotFoundError when there is none."""
    for suffix in SUFFIXES:
        path = directory / f"{table}{suffix}"
        if path.is_file():
            return path
    raise FileNotFoundError(f"{directory} has no table {table}")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def versions(random_generator: str) -> dict[str, str]:
    """Every version that the bytes of a result depend on; looked up once, each takes half a millisecond."""
    libraries = {name: version(name) for name in _LIBRARIES}
    ours = {"clustersim": __version__, "python": platform.python_version()}
    return ours | libraries | {"random_generator": random_generator}


def _write_json(path: Path, content: Any) -> None:
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    # A file name that is no UTF-8 comes as lone surrogates: written as JSON's own escapes.
    path.write_bytes(f"{text}\n".encode(errors="backslashreplace"))


def _plain(value: Any) -> Any:
    """`value` as JSON knows it: NumPy's numbers as Python's, what is not a finite number as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
