"""Where the runs of a sweep lie, and when they count as its result.

Decides what is written where before a sweep is complete, and what makes it complete. Must not know what a run
is, nor who does it. The sweep opens a place, its workers publish runs into it.

On a file system a sweep grows in a hidden directory beside its name, which it gets at the end; each run in it
is a directory that was renamed when it was whole. An object store has no rename: there everything is written
under the final name, `manifest.json` last, of a run as of the sweep, and what has none does not count.
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

PLAN = "plan.json"  # what is being done, until it is done
POINTS = "points"
TABLE = "summary.arrow"
PAGE = "report.html"
OURS = {MANIFEST, PLAN, POINTS, TABLE, PAGE}

Make = Callable[[Path], None]
"""Publishes a run as the directory that it is given."""


class Place(Protocol):
    """What a sweep asks of the place of its files; `name` is a path inside it."""

    @property
    def shown(self) -> str:
        """Where the complete sweep is, or will be, as people write it."""

    @property
    def growing(self) -> str:
        """Where it is until then."""

    def plan(self) -> bytes | None:
        """The plan of the sweep that grows here; None where none does."""

    def result(self, name: str) -> bytes | None:
        """The bytes of a file of the complete result that is here; None where there is none."""

    def entries(self) -> list[str]:
        """What is under the final name."""

    def read(self, name: str) -> bytes | None:
        """The bytes of a file of the growing sweep, None where there is none."""

    def write(self, name: str, content: bytes) -> None:
        """A file of the growing sweep, whole or not at all."""

    def runs(self) -> list[tuple[int, int]]:
        """Point and replication of the runs that are published."""

    def publish_run(self, name: str, make: Make) -> bytes:
        """Has `make` make a run and publishes it as `name`; gives its `summary.json`."""

    def begin(self, plan: bytes) -> None:
        """Makes room for the sweep that `plan` describes."""

    def reopen(self, plan: bytes) -> None:
        """Goes on with the sweep that grows here; a complete one grows again."""

    def finish(self, manifest: bytes) -> None:
        """Makes the growing sweep the result, in the place of an earlier one."""


def place_of(out: str | Path, name: str) -> Place:
    """The place of the sweep `name` under `out`: a directory, or an address such as `s3://bucket/folder`.

    Raises ResultsError for an address that leads nowhere.
    """
    if "://" not in str(out):
        written = Path(out) / name
        # Workers of a cluster were started in directories of their own.
        return Directory(written.absolute(), str(written))
    address, question, options = str(out).partition("?")
    place = Store(f"{address.rstrip('/')}/{quote(name)}{question}{options}")
    place.entries()
    return place


def run_name(point: int, replication: int) -> str:
    """The directory of a run inside its sweep."""
    return f"{POINTS}/{point}/{replication}"


@contextmanager
def _usable(shown: str) -> Iterator[None]:
    """A place that cannot be used becomes a ResultsError in one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise ResultsError(f"{shown} cannot be used for results: {reason}") from error


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


@dataclass(frozen=True)
class Directory:
    """A place on a file system, of this machine or shared with the workers."""

    target: Path
    written: str
    """The same as the user wrote it."""

    @property
    def shown(self) -> str:
        return self.written

    @property
    def work(self) -> Path:
        """The hidden directory in which the sweep grows."""
        return self.target.with_name(f".{self.target.name}.sweep")

    @property
    def growing(self) -> str:
        return str(Path(self.written).with_name(self.work.name))

    def plan(self) -> bytes | None:
        return self.read(PLAN)

    def result(self, name: str) -> bytes | None:
        with _usable(self.shown):
            return _bytes_of(self.target / name)

    def entries(self) -> list[str]:
        with _usable(self.shown):
            if not self.target.exists():
                return []
            if not self.target.is_dir():
                raise NotADirectoryError(0, "there is a file of this name")
            return sorted(path.name for path in self.target.iterdir())

    def read(self, name: str) -> bytes | None:
        with _usable(self.growing):
            return _bytes_of(self.work / name)

    def write(self, name: str, content: bytes) -> None:
        path = self.work / name
        beside = path.with_name(f".{path.name}.partial")
        with _usable(self.growing):
            beside.write_bytes(content)
            beside.replace(path)

    def runs(self) -> list[tuple[int, int]]:
        found = (self.work / POINTS).glob(f"[0-9]*/[0-9]*/{MANIFEST}")
        return sorted((int(path.parts[-3]), int(path.parts[-2])) for path in found)

    def publish_run(self, name: str, make: Make) -> bytes:
        target = self.work / name
        with _usable(self.growing):
            # Not its parents: a worker that nobody waits for any more must not begin the directory anew.
            target.parent.mkdir(exist_ok=True)
        make(target)
        return (target / SUMMARY).read_bytes()

    def begin(self, plan: bytes) -> None:
        with _usable(self.growing):
            shutil.rmtree(self.work, ignore_errors=True)
            (self.work / POINTS).mkdir(parents=True)
        self.write(PLAN, plan)

    def reopen(self, plan: bytes) -> None:
        if self.plan() is None:
            with _usable(self.growing):
                shutil.rmtree(self.work, ignore_errors=True)
                self.target.rename(self.work)
        self.write(PLAN, plan)

    def finish(self, manifest: bytes) -> None:
        self.write(MANIFEST, manifest)
        with _usable(self.shown):
            self._sweep_up()
            aside = self.target.with_name(f".{self.target.name}.earlier-{os.getpid()}")
            earlier = self.target.exists()
            if earlier:
                self.target.rename(aside)
            self.work.rename(self.target)
            (self.target / PLAN).unlink()
            if earlier:
                shutil.rmtree(aside, ignore_errors=True)

    def _sweep_up(self) -> None:
        """What killed workers have left: hidden directories, and directories of nothing else."""
        for point in (self.work / POINTS).iterdir():
            for left in point.glob(".*"):
                shutil.rmtree(left, ignore_errors=True)
            if not any(point.iterdir()):
                point.rmdir()


@dataclass(frozen=True)
class Store:
    """A place in an object store, by an address that `pyarrow.fs` understands."""

    address: str

    @property
    def shown(self) -> str:
        # Neither the options nor a key that stands before the bucket: this goes into messages.
        scheme, _, rest = self.address.partition("?")[0].partition("://")
        head, slash, tail = rest.partition("/")
        return f"{scheme}://{head.rpartition('@')[2]}{slash}{unquote(tail)}"

    @property
    def growing(self) -> str:
        return self.shown

    def plan(self) -> bytes | None:
        return None if self.read(MANIFEST) is not None else self.read(PLAN)

    def result(self, name: str) -> bytes | None:
        return self.read(name)

    def entries(self) -> list[str]:
        from pyarrow.fs import FileSelector

        files, base = _open(self.address)
        with _usable(self.shown):
            found = files.get_file_info(FileSelector(base, allow_not_found=True))
            return sorted(info.base_name for info in found)

    def read(self, name: str) -> bytes | None:
        files, base = _open(self.address)
        with _usable(self.shown):
            try:
                with files.open_input_file(f"{base}/{name}") as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        files, base = _open(self.address)
        with _usable(self.shown), files.open_output_stream(f"{base}/{name}") as stream:
            stream.write(content)

    def runs(self) -> list[tuple[int, int]]:
        from pyarrow.fs import FileSelector

        files, base = _open(self.address)
        with _usable(self.shown):
            found = files.get_file_info(
                FileSelector(f"{base}/{POINTS}", recursive=True, allow_not_found=True)
            )
        parts = [info.path.split("/") for info in found if info.base_name == MANIFEST]
        return sorted((int(part[-3]), int(part[-2])) for part in parts)

    def publish_run(self, name: str, make: Make) -> bytes:
        with tempfile.TemporaryDirectory(prefix="clustersim-") as folder:
            made = Path(folder) / "run"
            make(made)
            # The manifest makes the run: whoever sees it sees all the rest.
            for path in sorted(made.iterdir(), key=lambda path: (path.name == MANIFEST, path.name)):
                self.write(f"{name}/{path.name}", path.read_bytes())
            return (made / SUMMARY).read_bytes()

    def begin(self, plan: bytes) -> None:
        files, base = _open(self.address)
        self._delete(MANIFEST)
        with _usable(self.shown):
            files.delete_dir_contents(base, missing_dir_ok=True)
        self.write(PLAN, plan)

    def reopen(self, plan: bytes) -> None:
        self.write(PLAN, plan)
        self._delete(MANIFEST)

    def finish(self, manifest: bytes) -> None:
        self.write(MANIFEST, manifest)
        self._delete(PLAN)

    def _delete(self, name: str) -> None:
        files, base = _open(self.address)
        with _usable(self.shown):
            if self.read(name) is not None:
                files.delete_file(f"{base}/{name}")


@cache
def _open(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    from pyarrow import ArrowInvalid
    from pyarrow.fs import FileSystem

    try:
        files, base = FileSystem.from_uri(address)
    except (ArrowInvalid, ValueError, OSError) as error:
        what = str(error).splitlines()[0]
        raise ResultsError(f"{address} is no place for results: {what}") from error
    return files, base.rstrip("/")


def growing_plan(place: Place) -> dict[str, Any] | None:
    """The plan of the sweep that grows at `place`, None where none does. Raises ResultsError if it is damaged."""
    content = place.plan()
    return None if content is None else _read_json(content, place.growing)


def complete_manifest(place: Place) -> dict[str, Any] | None:
    """The manifest of the complete sweep at `place`, None where nothing is.

    Raises ResultsError for anything else, which a sweep may not replace.
    """
    found = place.entries()
    if not found:
        return None
    content = place.result(MANIFEST)
    told = {} if content is None else _read_json(content, place.shown)
    if "points" not in told:
        what = "is the result of a run" if "scenario_digest" in told else "is no sweep of clustersim"
        raise ResultsError(f"{place.shown} {what} and will not be replaced; choose another place with --out")
    foreign = [name for name in found if name not in OURS]
    if foreign:
        raise ResultsError(
            f"{place.shown} holds an earlier sweep and also {foreign[0]!r}, which would be lost; "
            "move it away or choose another place with --out"
        )
    return told


def _read_json(content: bytes, shown: str) -> dict[str, Any]:
    try:
        told = json.loads(content)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ResultsError(f"{shown} is damaged: its description is no JSON object; remove it and start anew")
    return told
