"""How many runs become one result: a place is taken, runs come in, table and page and manifest are written.

Decides what may be taken up again and what a complete result holds. Must not know which runs are wanted. The
sweep and the search do their work between `take_up` and `complete`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clustersim.errors import ResultsError
from clustersim.scenario.text.overrides import closest
from clustersim.study.execution.dispatcher import in_order
from clustersim.study.execution.result_store import PAGE, TABLE, Place, complete_manifest, growing_plan
from clustersim.study.execution.worker import Row
from clustersim.study.sweep.experimental_designs import Values
from clustersim.study.sweep.page import can_make_pages, load_ahead, page_of
from clustersim.study.sweep.provenance import Terms, changes
from clustersim.study.sweep.runs_table import file_of, table_of
from clustersim.study.sweep.sweep_result import Sweep


class Watcher:
    """What many runs tell while they are being done; by itself it tells nobody."""

    def checking(self, share: float) -> None:
        """So much of the points has been read."""

    def total(self, runs: int) -> None:
        """So many runs there will be, as far as is known."""

    def done(self, row: Row) -> None:
        """A run is there."""

    def best(self, words: str) -> None:
        """The best point so far."""


def take_up(place: Place, terms: Terms, resume: bool) -> bool:
    """Whether there is something to go on with at `place`; nothing is written yet.

    Raises ResultsError where the place is not to be used, or what is there is not what `terms` say.
    """
    grows = growing_plan(place)
    if grows is not None and not resume:
        raise ResultsError(
            f"an unfinished {grows.get('kind', 'sweep')} is in {place.growing}; "
            "go on with it by --resume, or remove it"
        )
    before = complete_manifest(place) if grows is None else grows
    if before is None or not resume:
        return False
    found = changes(before, terms)
    if found:
        told = "; ".join(found)
        raise ResultsError(
            f"{place.shown} cannot be resumed: {told}. Undo that, or choose another place with --out"
        )
    return True


def begin(place: Place, terms: Terms, resumed: bool) -> bytes:
    """Makes the place grow; gives the plan that stands in it."""
    load_ahead()
    content = as_json(terms)
    if resumed:
        place.reopen(content)
    else:
        place.begin(content)
    return content


def complete(
    place: Place,
    terms: Terms,
    points: Mapping[int, Values],
    rows: Sequence[Row],
    timings: Mapping[str, float],
    show: Callable[[Sweep], str] = page_of,
) -> Sweep:
    """Writes table, page and manifest: with the last of them it is a result; `show` makes the page."""
    rows = in_order(rows)
    table = table_of(terms["design"]["paths"], points, rows)
    content = file_of(table)
    place.write(TABLE, content)
    summary = {"rows": len(rows), "sha256": hashlib.sha256(content).hexdigest()}
    runs = {"runs_cpu_s": sum(row.cpu_s for row in rows), "reused": sum(row.reused for row in rows)}
    page = PAGE if can_make_pages() else None
    manifest = {**terms, "tables": {"summary": summary}, "page": page, "timings": {**timings, **runs}}
    # As it will be read: what is shown now is what `cs.open` shows.
    manifest = json.loads(as_json(manifest))
    sweep = Sweep(place.shown, manifest, table)
    if page is not None:
        place.write(page, show(sweep).encode())
    place.finish(as_json(manifest))
    return sweep


def check_measure(row: Row, measure: str, option: str) -> None:
    """A measure that no run has is said at the first of them. Raises ResultsError."""
    if row.error is None and measure not in row.names:
        raise ResultsError(f"{option}: no run has the measure {measure!r}; {closest(measure, row.names)}")


def as_json(content: Any) -> bytes:
    """JSON as our files have it; what is no UTF-8 in a file's name as JSON's own escapes."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode(errors="backslashreplace")
