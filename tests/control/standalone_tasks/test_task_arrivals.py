"""Arrivals come in blocks; where a block ends changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

from clustersim.control.standalone_tasks import task_arrivals as arrivals
from clustersim.control.standalone_tasks.task_arrivals import (
    ArrivalSource,
    TaskArrivals,
    TraceArrivals,
    TraceRowKinds,
    UniformArrivals,
)
from clustersim.scenario.sections.scenario import TraceTable
from clustersim.world.state.counters import Counters
from clustersim.world.state.tables import ArrivalRow


class _Calendar(NamedTuple):
    """The only field of `Calendar` that `load_next_block` uses."""

    arrivals: Any


class _State(NamedTuple):
    """The part of a world that `load_next_block` uses."""

    counters: Counters
    calendar: _Calendar


def _new_state() -> _State:
    return _State(Counters(), _Calendar(np.zeros(0, ArrivalRow.dtype)))


@dataclass
class _World:
    state: _State = field(default_factory=_new_state)


def _sources() -> list[ArrivalSource]:
    """Ten arrivals each 3 s, and a trace of two groups (task sets 2 and 1) with many rows at one instant."""
    submit = np.array([0, 0, 0, 0, 0, 2_000, 2_000, 9_000, 40_000])
    trace = TraceTable(
        submit_ms=submit,
        duration_ms=np.arange(9, dtype=np.uint8),
        sizes=np.array([[256, 512, 0], [512, 512, 0]], np.int32),
        size=np.array([0, 1, 0, 1, 1, 0, 1, 1, 0], np.uint8),
        instances=np.array([1, 2, 3, 1, 1, 1, 1, 1, 1], np.int32),
        groups=("x", "y"),
        group=np.array([0, 1, 0, 0, 1, 1, 1, 0, 0], np.uint8),
    )
    kinds = TraceRowKinds(np.arange(4), 2, np.array([2, 2, 1, 1]), np.array([20, 21, 10, 11]))
    values = {"duration": -2, "set": 0, "resource_shape": 0, "copies": 2}
    return [UniformArrivals(np.arange(10) * 3_000, values), TraceArrivals(trace, 6_000, kinds)]


def _all(world: Any) -> list[tuple[Any, ...]]:
    """Every row as the calendar sees it, block by block."""
    given = TaskArrivals(_sources())
    rows: list[tuple[Any, ...]] = []
    while True:
        given.load_next_block(world)
        assert world.state.counters.next_arrival == 0
        rows += [tuple(row) for row in world.state.calendar.arrivals.tolist()]
        assert world.state.counters.arrivals_left == 19 - len(rows)
        if not world.state.counters.arrivals_left:
            return rows


@pytest.mark.parametrize("block", [1, 2, 3, 7])
def test_blocks_of_any_length_are_the_same_rows(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Rows of one instant may not part: they stand in the order of their task sets."""
    whole = _all(_World())
    monkeypatch.setattr(arrivals, "BLOCK_ROWS", block)
    assert _all(_World()) == whole


def test_rows_by_hand() -> None:
    """At 6 s: the timed one (set 0), then rows 1 and 4 of group y (set 1), rows 0, 2 and 3 of group x (set 2)."""
    names = ArrivalRow.dtype.names or ()
    rows = [dict(zip(names, row, strict=True)) for row in _all(_World())]
    at_six = [row for row in rows if row["at"] == 6_000]
    assert [(row["set"], row["resource_shape"], row["reference"]) for row in at_six] == [
        (0, 0, -1),
        (1, 11, 1),
        (1, 11, 4),
        (2, 20, 0),
        (2, 20, 2),
        (2, 21, 3),
    ]
    assert [row["ordinal"] for row in at_six] == [4, 1, 7, 0, 3, 6]  # copies before it in its own source
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
