"""What was measured, as ratios that travel between machines, against the saved ones.

Seconds become multiples of the floor's in the same run, tasks per second tasks per time of the floor; ratios and
MiB stay. `bars.py` compares what it measured with `ratios.json`: who needs more than `TOLERANCE` times what is
saved there has become slower, who needs less than its inverse should be saved anew (`--renew`). CPU times of one
program differ by a sixth between runs on a busy machine; a ratio has two of them, and what is the difference of two
runs (`DIFFERENCES`) more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from run import Row

SAVED = Path(__file__).resolve().parent / "ratios.json"
TOLERANCE = 1.4
TOLERANCE_OF_DIFFERENCES = 2.0
DIFFERENCES = ("memory", "month", "a deployment", "  ... / a tenth")  # how their titles begin
FLOOR = "  ... floor"


def ratios(rows: Sequence[Row]) -> dict[str, float]:
    """The rows that have a bar, by title; what is better is less."""
    floor_s = next(row.measured for row in rows if row.title == FLOOR)
    found = {}
    for row in rows:
        if row.bar is not None:
            figure = {"s": row.measured / floor_s, "/s": 1e6 / (row.measured * floor_s)}.get(
                row.unit, row.measured
            )
            found[row.title] = float(f"{figure:.3g}")
    return found


def tolerance(title: str) -> float:
    """How many times what is saved a figure may be."""
    return TOLERANCE_OF_DIFFERENCES if title.startswith(DIFFERENCES) else TOLERANCE


def compare(rows: Sequence[Row]) -> list[str]:
    """A line for every ratio that is not what it was, the old and the new."""
    saved, found = json.loads(SAVED.read_text(encoding="utf-8")), ratios(rows)
    lines = []
    for title in dict.fromkeys((*saved, *found)):
        old, new = saved.get(title), found.get(title)
        if old is None or new is None:
            lines.append(f"{title}: {'is new' if old is None else 'is gone'}")
        elif not old / tolerance(title) <= new <= old * tolerance(title):
            lines.append(f"{title}: was {old:g}, is {new:g} ({'slower' if new > old else 'better'})")
    return lines


def renew(rows: Sequence[Row]) -> None:
    """Save what was measured."""
    SAVED.write_text(json.dumps(ratios(rows), indent=1) + "\n", encoding="utf-8")
