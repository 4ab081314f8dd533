"""Measured figures as ratios that are comparable between machines, and their comparison with the saved ones.

Seconds become multiples of the floor's time in the same run, tasks per second become tasks per time of the floor;
ratios and MiB stay. `bars.py` compares its figures with `ratios.json`: more than `TOLERANCE` times the saved ratio is
a slowdown, less than its inverse should be saved with `--renew`. CPU times of one program differ by a sixth between
runs on a busy machine; a ratio combines two of them, and the difference of two runs (`DIFFERENCES`) even more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from run import Row

SAVED = Path(__file__).resolve().parent / "ratios.json"
TOLERANCE = 1.4
TOLERANCE_OF_DIFFERENCES = 2.0
DIFFERENCES = ("memory", "month", "a deployment", "  ... / a tenth")  # prefixes of their titles
FLOOR = "  ... floor"


def ratios(rows: Sequence[Row]) -> dict[str, float]:
    """Return the ratios of the rows that have a bar, by title; lower is better."""
    floor_s = next(row.measured for row in rows if row.title == FLOOR)
    by_title = {}
    for row in rows:
        if row.bar is not None:
            in_floors = row.measured / floor_s
            figure = {"s": in_floors, "us": in_floors, "/s": 1e6 / (row.measured * floor_s)}.get(
                row.unit, row.measured
            )
            by_title[row.title] = float(f"{figure:.3g}")
    return by_title


def tolerance(title: str) -> float:
    """Return the allowed factor between a figure and the saved one."""
    return TOLERANCE_OF_DIFFERENCES if title.startswith(DIFFERENCES) else TOLERANCE


def compare(rows: Sequence[Row]) -> list[str]:
    """Return a line for every changed ratio, with the old and the new value."""
    saved, current = json.loads(SAVED.read_text(encoding="utf-8")), ratios(rows)
    lines = []
    for title in dict.fromkeys((*saved, *current)):
        old, new = saved.get(title), current.get(title)
        if old is None or new is None:
            lines.append(f"{title}: {'is new' if old is None else 'is gone'}")
        elif not old / tolerance(title) <= new <= old * tolerance(title):
            lines.append(f"{title}: was {old:g}, is {new:g} ({'slower' if new > old else 'better'})")
    return lines


def renew(rows: Sequence[Row]) -> None:
    """Save the ratios of `rows`."""
    SAVED.write_text(json.dumps(ratios(rows), indent=1) + "\n", encoding="utf-8")
