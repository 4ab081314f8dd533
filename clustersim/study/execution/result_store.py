"""Storage of sweep results (local directory or object store), and the commit protocol.

Decides what is written where before a sweep is complete, and what makes it complete. Must not know what a run is,
nor which process runs it. A sweep opens a store, and its workers publish runs into it.

On a file system a sweep is written into a hidden directory beside its target, and renamed at the end; each run in
it is a directory that was renamed when complete. An object store has no rename: there everything is written under
the final name with `manifest.json` last, for a run as for the sweep, and what has no manifest does not count.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote

from clustersim.errors import ResultsError
from clustersim.record.publication import MANIFEST, SUMMARY

PLAN = "plan.json"  # the identity of an unfinished sweep
POINTS = "points"
SUMMARY_TABLE = "summary.arrow"
REPORT_PAGE = "report.html"
SWEEP_FILES = {MANIFEST, PLAN, POINTS, SUMMARY_TABLE, REPORT_PAGE}

WriteRun = Callable[[Path], None]
"""A function that simulates a run into the directory that it is given."""


class ResultStore(Protocol):
    """The storage of a sweep's files; `name` is a path inside it. Methods raise ResultsError if it cannot be used."""

    @property
    def location(self) -> str:
        """The path or address of the complete sweep, as shown to users."""

    @property
    def working_location(self) -> str:
        """The path or address of the unfinished sweep, as shown to users."""

    def read_plan(self) -> bytes | None:
        """Return the plan of the unfinished sweep; None if there is none."""

    def read_result(self, name: str) -> bytes | None:
        """Return the bytes of a file of the complete sweep; None if there is none."""

    def list_entries(self) -> list[str]:
        """Return the names of the entries at the location of the complete sweep."""

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file of the unfinished sweep; None if there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the unfinished sweep atomically."""

    def list_runs(self) -> list[tuple[int, int]]:
        """Return point and replication of the published runs, in order."""

    def publish_run(self, name: str, write_run: WriteRun) -> bytes:
        """Let `write_run` write a run, publish it as `name`, and return the bytes of its `summary.json`."""

    def begin(self, plan: bytes) -> None:
        """Discard an unfinished sweep and begin the one that `plan` describes."""

    def reopen(self, plan: bytes) -> None:
        """Continue the unfinished sweep, or turn the complete one into an unfinished one."""

    def finish(self, manifest: bytes) -> None:
        """Make the unfinished sweep the result; an earlier result is replaced."""


def open_store(out: str | Path, name: str) -> ResultStore:
    """Return the store of the sweep `name` under `out`: a directory, or an address such as `s3://bucket/folder`.

    Raises ResultsError for an address that cannot be read.
    """
    if "://" not in str(out):
        path = Path(out) / name
        # Absolute, because the workers of a cluster were started in other directories.
        return LocalStore(path.absolute(), str(path))
    address, question, options = str(out).partition("?")
    store = ObjectStore(f"{address.rstrip('/')}/{quote(name)}{question}{options}")
    store.list_entries()
    return store


def run_path(point: int, replication: int) -> str:
    """Return the path of a run inside its sweep."""
    return f"{POINTS}/{point}/{replication}"


@contextmanager
def _translated_errors(location: str) -> Iterator[None]:
    """Raise OSErrors of the block as a ResultsError of one sentence that names the location."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise ResultsError(f"{location} cannot be used for results: {reason}") from error


def _read_bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


@dataclass(frozen=True)
class LocalStore:
    """A result store on a file system, local or shared with the workers."""

    target: Path
    display_path: str
    """`target` as the user wrote it."""

    @property
    def location(self) -> str:
        return self.display_path

    @property
    def working_directory(self) -> Path:
        """The hidden directory of the unfinished sweep."""
        return self.target.with_name(f".{self.target.name}.sweep")

    @property
    def working_location(self) -> str:
        return str(Path(self.display_path).with_name(self.working_directory.name))

    def read_plan(self) -> bytes | None:
        return self.read(PLAN)

    def read_result(self, name: str) -> bytes | None:
        with _translated_errors(self.location):
            return _read_bytes(self.target / name)

    def list_entries(self) -> list[str]:
        with _translated_errors(self.location):
            if not self.target.exists():
                return []
            if not self.target.is_dir():
                raise NotADirectoryError(0, "a file of this name exists")
            return sorted(path.name for path in self.target.iterdir())

    def read(self, name: str) -> bytes | None:
        with _translated_errors(self.working_location):
            return _read_bytes(self.working_directory / name)

    def write(self, name: str, content: bytes) -> None:
        path = self.working_directory / name
        partial = path.with_name(f".{path.name}.partial")
        with _translated_errors(self.working_location):
            partial.write_bytes(content)
            partial.replace(path)

    def list_runs(self) -> list[tuple[int, int]]:
        manifests = (self.working_directory / POINTS).glob(f"[0-9]*/[0-9]*/{MANIFEST}")
        return sorted((int(path.parts[-3]), int(path.parts[-2])) for path in manifests)

    def publish_run(self, name: str, write_run: WriteRun) -> bytes:
        target = self.working_directory / name
        with _translated_errors(self.working_location):
            # Without parents: an abandoned worker must not create the working directory again.
            target.parent.mkdir(exist_ok=True)
        write_run(target)
        return (target / SUMMARY).read_bytes()

    def begin(self, plan: bytes) -> None:
        with _translated_errors(self.working_location):
            shutil.rmtree(self.working_directory, ignore_errors=True)
            (self.working_directory / POINTS).mkdir(parents=True)
        self.write(PLAN, plan)

    def reopen(self, plan: bytes) -> None:
        if self.read_plan() is None:
            with _translated_errors(self.working_location):
                shutil.rmtree(self.working_directory, ignore_errors=True)
                self.target.rename(self.working_directory)
        self.write(PLAN, plan)

    def finish(self, manifest: bytes) -> None:
        self.write(MANIFEST, manifest)
        with _translated_errors(self.location):
            self._remove_leftovers()
            aside = self.target.with_name(f".{self.target.name}.earlier-{os.getpid()}")
            earlier = self.target.exists()
            if earlier:
                self.target.rename(aside)
            self.working_directory.rename(self.target)
            (self.target / PLAN).unlink()
            if earlier:
                shutil.rmtree(aside, ignore_errors=True)

    def _remove_leftovers(self) -> None:
        """Delete the hidden directories that killed workers left, and point directories with nothing else."""
        for point in (self.working_directory / POINTS).iterdir():
            for leftover in point.glob(".*"):
                shutil.rmtree(leftover, ignore_errors=True)
            if not any(point.iterdir()):
                point.rmdir()


@dataclass(frozen=True)
class ObjectStore:
    """A result store in an object store, at an address that `pyarrow.fs` understands."""

    address: str

    @property
    def location(self) -> str:
        # Without the options, and without the access key that may precede the bucket: messages show it.
        scheme, _, rest = self.address.partition("?")[0].partition("://")
        head, slash, tail = rest.partition("/")
        return f"{scheme}://{head.rpartition('@')[2]}{slash}{unquote(tail)}"

    @property
    def working_location(self) -> str:
        return self.location

    def read_plan(self) -> bytes | None:
        return None if self.read(MANIFEST) is not None else self.read(PLAN)

    def read_result(self, name: str) -> bytes | None:
        return self.read(name)

    def list_entries(self) -> list[str]:
        from pyarrow.fs import FileSelector

        files, base = _open_file_system(self.address)
        with _translated_errors(self.location):
            entries = files.get_file_info(FileSelector(base, allow_not_found=True))
            return sorted(entry.base_name for entry in entries)

    def read(self, name: str) -> bytes | None:
        files, base = _open_file_system(self.address)
        with _translated_errors(self.location):
            try:
                with files.open_input_file(f"{base}/{name}") as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        files, base = _open_file_system(self.address)
        with _translated_errors(self.location), files.open_output_stream(f"{base}/{name}") as stream:
            stream.write(content)

    def list_runs(self) -> list[tuple[int, int]]:
        from pyarrow.fs import FileSelector

        files, base = _open_file_system(self.address)
        with _translated_errors(self.location):
            entries = files.get_file_info(
                FileSelector(f"{base}/{POINTS}", recursive=True, allow_not_found=True)
            )
        parts = [entry.path.split("/") for entry in entries if entry.base_name == MANIFEST]
        return sorted((int(part[-3]), int(part[-2])) for part in parts)

    def publish_run(self, name: str, write_run: WriteRun) -> bytes:
        with tempfile.TemporaryDirectory(prefix="clustersim-") as folder:
            local = Path(folder) / "run"
            write_run(local)
            # The manifest last: a reader that sees it sees all other files.
            for path in sorted(local.iterdir(), key=lambda path: (path.name == MANIFEST, path.name)):
                self.write(f"{name}/{path.name}", path.read_bytes())
            return (local / SUMMARY).read_bytes()

    def begin(self, plan: bytes) -> None:
        files, base = _open_file_system(self.address)
        self._delete(MANIFEST)
        with _translated_errors(self.location):
            files.delete_dir_contents(base, missing_dir_ok=True)
        self.write(PLAN, plan)

    def reopen(self, plan: bytes) -> None:
        self.write(PLAN, plan)
        self._delete(MANIFEST)

    def finish(self, manifest: bytes) -> None:
        self.write(MANIFEST, manifest)
        self._delete(PLAN)

    def _delete(self, name: str) -> None:
        files, base = _open_file_system(self.address)
        with _translated_errors(self.location):
            if self.read(name) is not None:
                files.delete_file(f"{base}/{name}")


@cache
def _open_file_system(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it."""
    from pyarrow import ArrowInvalid
    from pyarrow.fs import FileSystem

    try:
        files, base = FileSystem.from_uri(address)
    except (ArrowInvalid, ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ResultsError(f"{address} is not a valid location for results: {reason}") from error
    return files, base.rstrip("/")


def read_unfinished_plan(store: ResultStore) -> dict[str, Any] | None:
    """Return the plan of the unfinished sweep in `store`; None if there is none. Raises ResultsError if damaged."""
    content = store.read_plan()
    return None if content is None else _read_json(content, store.working_location)


def read_complete_manifest(store: ResultStore) -> dict[str, Any] | None:
    """Return the manifest of the complete sweep in `store`; None if nothing is there.

    Raises ResultsError for anything else, which a sweep must not replace.
    """
    entries = store.list_entries()
    if not entries:
        return None
    content = store.read_result(MANIFEST)
    manifest = {} if content is None else _read_json(content, store.location)
    if "points" not in manifest:
        what = "is the result of a run" if "scenario_digest" in manifest else "is not a sweep of clustersim"
        raise ResultsError(
            f"{store.location} {what} and will not be replaced; choose another directory with --out"
        )
    foreign = [name for name in entries if name not in SWEEP_FILES]
    if foreign:
        raise ResultsError(
            f"{store.location} holds an earlier sweep and also {foreign[0]!r}, which would be lost; "
            "move it away or choose another directory with --out"
        )
    return manifest


def _read_json(content: bytes, location: str) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise ResultsError(
            f"{location} is damaged: its description is not a JSON object; remove it and start again"
        )
    return fields
