"""The package's dated snapshot of EC2 and Fargate, as text columns.

Decides where the data files lie and how they are read; knows nothing of what the columns mean. The catalogue
and the Fargate prices read through it. Plain CSV: a region takes about 2 ms, and nothing heavy is imported.
"""

from __future__ import annotations

import csv
import json
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_FOLDER = files("clustersim").joinpath("data")


class SnapshotIndex(NamedTuple):
    """What the snapshot holds, and of when: EC2 price months by region, the date of the Spot bands."""

    regions: dict[str, str]
    spot_interruption_asof: str


@cache
def read_index() -> SnapshotIndex:
    """The snapshot's table of contents."""
    return SnapshotIndex(**json.loads(_FOLDER.joinpath("catalogue.json").read_text(encoding="utf-8")))


def read_rows(name: str) -> list[dict[str, str]]:
    """Every row of the data file `name` by column name; an empty text is a gap."""
    header, *lines = csv.reader(_FOLDER.joinpath(name).read_text(encoding="utf-8").splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]
