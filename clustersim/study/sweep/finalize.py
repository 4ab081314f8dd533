"""The begin and the end of a sweep's result: opens the result store, then writes table, page and manifest.

Decides what can be resumed and which files a complete result has. Must not know which runs are requested. The sweep
and the search execute their runs between `begin_sweep` and `finish_sweep`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clustersim.errors import ResultsError
from clustersim.scenario.text.overrides import suggest_name
from clustersim.study.execution.dispatcher import sort_rows
from clustersim.study.execution.result_store import (
    REPORT_PAGE,
    SUMMARY_TABLE,
    ResultStore,
    read_complete_manifest,
    read_unfinished_plan,
)
from clustersim.study.execution.worker import RunRow
from clustersim.study.pages.page_frame import can_make_pages, preload_libraries
from clustersim.study.sweep.experimental_designs import PointValues
from clustersim.study.sweep.page import render_sweep_page
from clustersim.study.sweep.provenance import SweepIdentity, list_changes
from clustersim.study.sweep.runs_table import build_runs_table, encode_table
from clustersim.study.sweep.sweep_result import Sweep


class ProgressListener:
    """The callbacks by which a study reports its progress; this one ignores them."""

    def points_checked(self, share: float) -> None:
        """Called while points are validated, with the share done, 0 to 1."""

    def runs_expected(self, runs: int) -> None:
        """Called when the expected number of runs changes."""

    def run_finished(self, row: RunRow) -> None:
        """Called with the row of each finished run."""

    def best_changed(self, description: str) -> None:
        """Called with a description of the best point so far."""


def check_resumable(store: ResultStore, identity: SweepIdentity, resume: bool) -> bool:
    """Return whether `store` has an earlier sweep to resume; nothing is written.

    Raises ResultsError if the store cannot be used, or its sweep has another identity.
    """
    unfinished = read_unfinished_plan(store)
    if unfinished is not None and not resume:
        raise ResultsError(
            f"an unfinished {unfinished.get('kind', 'sweep')} is in {store.working_location}; "
            "continue it with --resume, or remove it"
        )
    earlier = read_complete_manifest(store) if unfinished is None else unfinished
    if earlier is None or not resume:
        return False
    differences = list_changes(earlier, identity)
    if differences:
        raise ResultsError(
            f"{store.location} cannot be resumed: {'; '.join(differences)}. "
            "Undo that, or choose another directory with --out"
        )
    return True


def begin_sweep(store: ResultStore, identity: SweepIdentity, resumed: bool) -> bytes:
    """Begin or continue the sweep in `store`; return the content of its plan file."""
    preload_libraries()
    content = encode_json(identity)
    if resumed:
        store.reopen(content)
    else:
        store.begin(content)
    return content


def finish_sweep(
    store: ResultStore,
    identity: SweepIdentity,
    points: Mapping[int, PointValues],
    rows: Sequence[RunRow],
    timings: Mapping[str, float],
    render: Callable[[Sweep], str] = render_sweep_page,
) -> Sweep:
    """Write table, page and manifest, which completes the result; `render` returns the page as HTML."""
    rows = sort_rows(rows)
    table = build_runs_table(identity["design"]["paths"], points, rows)
    content = encode_table(table)
    store.write(SUMMARY_TABLE, content)
    summary = {"rows": len(rows), "sha256": hashlib.sha256(content).hexdigest()}
    runs = {"runs_cpu_s": sum(row.cpu_s for row in rows), "reused": sum(row.reused for row in rows)}
    page = REPORT_PAGE if can_make_pages() else None
    manifest = {**identity, "tables": {"summary": summary}, "page": page, "timings": {**timings, **runs}}
    # As it will be read from the file, so that the page is what `cs.open` would give.
    manifest = json.loads(encode_json(manifest))
    sweep = Sweep(store.location, manifest, table)
    if page is not None:
        store.write(page, render(sweep).encode())
    store.finish(encode_json(manifest))
    return sweep


def check_measure(row: RunRow, measure: str, option: str) -> None:
    """Raise ResultsError if a successful run does not have the measure that `option` names."""
    if row.error is None and measure not in row.names:
        raise ResultsError(
            f"{option}: no run has the measure {measure!r}; {suggest_name(measure, row.names)}"
        )


def encode_json(content: Any) -> bytes:
    """Return JSON in the format of all files; bytes of a file name that are not UTF-8 become JSON escapes."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode(errors="backslashreplace")
