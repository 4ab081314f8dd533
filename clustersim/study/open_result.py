"""Opens the result of a run, a sweep, a search or a comparison.

Decides which of them a directory or an address holds. Must not know what they offer. Users call it as
`clustersim.open`.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from clustersim.errors import ResultsError
from clustersim.record.publication import MANIFEST
from clustersim.study.compare.result import KIND, Comparison
from clustersim.study.execution.result_store import (
    POINTS,
    SUMMARY_TABLE,
    LocalStore,
    ObjectStore,
    ResultStore,
    read_complete_manifest,
)
from clustersim.study.single_run.run_result import Run, open_run
from clustersim.study.sweep.sweep_result import Sweep


def open_result(path: str | Path) -> Run | Sweep:
    """Open the result directory of a run or of a sweep; an address such as `s3://bucket/folder/NAME` is a sweep.

    Searches and comparisons are sweeps. Raises ResultsError if there is no complete result.
    """
    if "://" in str(path):
        return open_sweep(ObjectStore(str(path)))
    directory = Path(path)
    if (directory / POINTS).is_dir() and (directory / MANIFEST).is_file():
        return open_sweep(LocalStore(directory.absolute(), str(directory)))
    return open_run(directory)


def open_sweep(store: ResultStore) -> Sweep:
    """Return the complete sweep in a store. Raises ResultsError if there is none."""
    manifest = read_complete_manifest(store)
    if manifest is None:
        raise ResultsError(f"{store.location} is not a complete result: nothing is there")
    content = store.read_result(SUMMARY_TABLE)
    try:
        table = pa.ipc.open_file(pa.py_buffer(content)).read_all()
    except (TypeError, pa.ArrowException) as error:
        raise ResultsError(f"{store.location} is damaged: {SUMMARY_TABLE} cannot be read") from error
    result_class = Comparison if manifest.get("kind") == KIND else Sweep
    return result_class(store.location, manifest, table)
