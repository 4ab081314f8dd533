"""Atomic publication of the result directory of a run.

Decides where a run writes before it is complete, what `manifest.json` contains, and when the directory gets its
name. Must not know what is in a table or a summary. `study/single_run/run.py` calls it.

All files are written into a hidden directory beside the target (so that a rename suffices), the manifest last. An
earlier result is moved aside only when its successor is complete, and deleted at the end; nothing but an earlier
result is ever replaced. A killed process may leave the hidden directory, but never an incomplete directory under the
target's name.
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
_STRAY_FILES = {".DS_Store", "Thumbs.db"}  # left by file browsers; they may be deleted
_LIBRARIES = ("numpy", "numba", "pyarrow", "simpy")


@dataclass(frozen=True)
class Provenance:
    """The inputs of a run, sufficient to reproduce it together with the input files.

    `scenario` is the resolved scenario; `assumptions` are the modelling choices in it that no source confirms: name,
    value, the setting that replaces each, and its source; `inputs` has a `path` and a `sha256` per file;
    `random_generator` names the generator and its version, on which all results depend.
    """

    scenario: Mapping[str, Any]
    scenario_digest: str
    inputs: Sequence[Mapping[str, str]]
    seed: int
    replication: int
    random_generator: str
    assumptions: Sequence[Mapping[str, Any]] = ()


def check_target(target: Path) -> None:
    """Raise ResultsError unless `target` does not exist or is an earlier result, which may be replaced."""
    try:
        _check(target)
    except OSError as error:  # for example a name that is too long, or a directory without permission
        raise _write_error(target, error) from error


def _check(target: Path) -> None:
    for folder in target.absolute().parents:
        if folder.exists():
            if not folder.is_dir():
                raise ResultsError(f"{folder} is not a directory; choose another directory for the results")
            break
    if not target.exists():
        return
    if not target.is_dir():
        raise ResultsError(
            f"{target} is a file and will not be replaced; choose another directory for the results"
        )
    if not _holds_manifest(target):
        raise ResultsError(
            f"{target} exists and is not a result of clustersim, so it will not be replaced; "
            "move it away or choose another directory for the results"
        )
    own_files = {MANIFEST, SUMMARY, *(f"{name}{suffix}" for name in TABLES for suffix in SUFFIXES)}
    foreign = sorted(entry.name for entry in target.iterdir() if entry.name not in own_files | _STRAY_FILES)
    if foreign:
        raise ResultsError(
            f"{target} holds an earlier result and also {foreign[0]!r}, which would be lost; "
            "move it away or choose another directory for the results"
        )


def _holds_manifest(directory: Path) -> bool:
    try:
        manifest = json.loads((directory / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.keys() >= _MANIFEST_KEYS


class Publication:
    """A context in which the files of one run are written to `directory`, which `publish` renames to `target`.

    Leaving the context without `publish` removes everything. An OSError (disk full, no permission) becomes a
    ResultsError of one sentence.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        # A symbolic link is kept: the directory that it points to is replaced.
        self._resolved_target = Path(os.path.realpath(target))
        self.directory = _unused_path(self._resolved_target, "partial")
        self._created: list[Path] = []  # parents that did not exist before
        self._published = False

    def __enter__(self) -> Publication:
        check_target(self.target)
        try:
            for folder in reversed(self._resolved_target.parents):
                if not folder.exists():
                    folder.mkdir(exist_ok=True)
                    self._created.append(folder)
            self.directory.mkdir()
        except OSError as error:
            self._remove()
            raise _write_error(self.target, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._published:
            self._remove()
        # A broken pipe is about the output of the command, not about the result directory.
        if isinstance(error, OSError) and not isinstance(error, ConnectionError):
            raise _write_error(self.target, error) from error

    def publish(
        self,
        provenance: Provenance,
        rows: Mapping[str, int],
        summary: Mapping[str, Any],
        timings: Mapping[str, float],
    ) -> dict[str, Any]:
        """Write summary and manifest, rename the directory to its target, and return the manifest.

        `rows` has the number of rows of every written table. `timings` is the only part that may differ between two
        runs of the same scenario.
        """
        _write_json(self.directory / SUMMARY, summary)
        tables = {
            name: {"rows": count, "sha256": hash_file(table_file(self.directory, name))}
            for name, count in rows.items()
        }
        manifest = _to_json_types(
            {
                "schema_version": SCHEMA_VERSION,
                "scenario": provenance.scenario,
                "scenario_digest": provenance.scenario_digest,
                "inputs": provenance.inputs,
                "seed": provenance.seed,
                "replication": provenance.replication,
                "assumptions": provenance.assumptions,
                "versions": library_versions(provenance.random_generator),
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
        if not self._resolved_target.exists():
            self.directory.rename(self._resolved_target)
            return
        earlier = _unused_path(self._resolved_target, "earlier")
        self._resolved_target.rename(earlier)
        try:
            self.directory.rename(self._resolved_target)
        except BaseException:
            earlier.rename(self._resolved_target)
            raise
        shutil.rmtree(earlier, ignore_errors=True)

    def _remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        for folder in reversed(self._created):
            try:
                folder.rmdir()
            except OSError:  # another process has created a file there
                return


def _write_error(target: Path, error: OSError) -> ResultsError:
    return ResultsError(f"the results could not be written to {target}: {error.strerror or error}")


def _unused_path(target: Path, role: str) -> Path:
    """Return an unused hidden path beside `target`: a process on another host may have the same process id."""
    plain = target.with_name(f".{target.name}.{role}-{os.getpid()}")
    candidate, serial = plain, 0
    while candidate.exists():
        serial += 1
        candidate = plain.with_name(f"{plain.name}-{serial}")
    return candidate


def table_file(directory: Path, table: str) -> Path:
    """Return the file of `table`, in either format. Raises FileNotFoundError if there is none."""
    for suffix in SUFFIXES:
        path = directory / f"{table}{suffix}"
        if path.is_file():
            return path
    raise FileNotFoundError(f"{directory} has no table {table}")


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def library_versions(random_generator: str) -> dict[str, str]:
    """Return every version that a result depends on; cached, as each look-up takes half a millisecond."""
    libraries = {name: version(name) for name in _LIBRARIES}
    own_files = {"clustersim": __version__, "python": platform.python_version()}
    return own_files | libraries | {"random_generator": random_generator}


def _write_json(path: Path, content: Any) -> None:
    text = json.dumps(_to_json_types(content), indent=2, ensure_ascii=False, allow_nan=False)
    # Lone surrogates (from file names that are not UTF-8) are written as JSON escapes.
    path.write_bytes(f"{text}\n".encode(errors="backslashreplace"))


def _to_json_types(value: Any) -> Any:
    """Return `value` as JSON types: NumPy's numbers as Python's, non-finite numbers as null."""
    if isinstance(value, Mapping):
        return {str(key): _to_json_types(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json_types(each) for each in value]
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        return _to_json_types(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
