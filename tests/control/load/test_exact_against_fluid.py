"""How far the fluid model's response times are from simulated requests: MODEL.md, and a part measured anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.response_times import Cell, errors
from clustersim.scenario.sections.scenario import Routing

MODEL = Path(__file__).parents[3] / "MODEL.md"
PROMISED = 15.0  # percent
ROW = re.compile(r"^\| (round robin|least outstanding) \| (\d+) \|((?: [+-]\d+ % \|){5})$", re.MULTILINE)


def stated() -> dict[tuple[str, int], list[float]]:
    """The largest errors in percent at 50, 70, 80, 90 and 95 %, by algorithm and number of tasks."""
    return {
        (algorithm, int(tasks)): [float(each) for each in re.findall(r"([+-]\d+) %", cells)]
        for algorithm, tasks, cells in ROW.findall(MODEL.read_text("utf-8"))
    }


def test_every_cell_of_the_table_is_within_15_percent() -> None:
    """Both algorithms, 1 to 64 tasks."""
    table = stated()
    assert sorted({tasks for _, tasks in table}) == [1, 2, 4, 16, 64]
    assert len(table) == 10
    assert max(abs(error) for row in table.values() for error in row) <= PROMISED


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("routing", "cell"),
    [
        ("round_robin", (4, 0.8, 4.0, 4.0)),
        ("least_outstanding_requests", (16, 0.7, 0.5, 4.0)),
        ("least_outstanding_requests", (8, 0.55, 2.0, 2.0)),
    ],
)
def test_the_fluid_is_near_an_independent_simulation(routing: Routing, cell: Cell) -> None:
    """600,000 requests: p50, p90 and p99 within the promise, also between the points of the table."""
    assert max(abs(error) for error in errors(routing, cell, 0.5)) <= PROMISED / 100.0
