"""The package's data: the dated snapshot of EC2 and Fargate, and other tables, as text columns.

Decides where the data files are and how they are read; it must not know the meaning of the columns. The catalogue
and the Fargate prices use it. The files are plain CSV: a region takes about 2 ms, and no heavy module is imported.
"""

from __future__ import annotations

import csv
import json
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_FOLDER = files("clustersim").joinpath("data")


class SnapshotIndex(NamedTuple):
    """The contents of the snapshot: the month of the EC2 prices by region, and the date of the Spot bands."""

    regions: dict[str, str]
    spot_interruption_asof: str


@cache
def read_index() -> SnapshotIndex:
    """Return the snapshot's table of contents."""
    return SnapshotIndex(**json.loads(_FOLDER.joinpath("catalogue.json").read_text(encoding="utf-8")))


def read_lines(name: str) -> list[list[str]]:
    """Return the lines of the data file `name`, the header first, as lists of texts."""
    return list(csv.reader(_FOLDER.joinpath(name).read_text(encoding="utf-8").splitlines()))


def read_rows(name: str) -> list[dict[str, str]]:
    """Return the rows of the data file `name` by column name; missing values are empty texts."""
    header, *lines = read_lines(name)
    return [dict(zip(header, line, strict=True)) for line in lines]
