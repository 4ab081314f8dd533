"""Opens a result, whatever it is of: a run, a sweep, a search, a comparison.

Decides which of them a directory or an address holds. Must not know what they offer. Users call it as
`clustersim.open`.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from clustersim.errors import ResultsError
from clustersim.record.publication import MANIFEST
from clustersim.study.compare.result import KIND, Comparison
from clustersim.study.execution.result_store import POINTS, TABLE, Directory, Place, Store, complete_manifest
from clustersim.study.single_run.run_result import Run, open_run
from clustersim.study.sweep.sweep_result import Sweep


def open_result(path: str | Path) -> Run | Sweep:
    """Opens a result directory, of a run or of a sweep; an address such as `s3://bucket/folder/NAME` is a sweep's.

    Raises ResultsError in one sentence when there is no complete result.
    """
    if "://" in str(path):
        return read_sweep(Store(str(path)))
    directory = Path(path)
    if (directory / POINTS).is_dir() and (directory / MANIFEST).is_file():
        return read_sweep(Directory(directory.absolute(), str(directory)))
    return open_run(directory)


def read_sweep(place: Place) -> Sweep:
    """The complete sweep at a place; raises ResultsError where there is none."""
    manifest = complete_manifest(place)
    if manifest is None:
        raise ResultsError(f"{place.shown} is not a complete result: there is nothing")
    content = place.result(TABLE)
    try:
        table = pa.ipc.open_file(pa.py_buffer(content)).read_all()
    except (TypeError, pa.ArrowException) as error:
        raise ResultsError(f"{place.shown} is damaged: {TABLE} cannot be read") from error
    kind = Comparison if manifest.get("kind") == KIND else Sweep
    return kind(place.shown, manifest, table)
