"""Findings: what a valid scenario probably does not mean, each with its place and a way out.

A finding is no problem (the scenario can run) and more than a warning about one field: it says what will become of the
run. `CODES` is the list of all; a code is public and never gets another meaning. Decides nothing; the modules of
`resolve` find them (`Diagnostics.add_finding`), the command line prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

CODES: Mapping[str, str] = {
    "no-capacity": "tasks ask for a launch type or a provider for which the scenario has no instances",
    "fits-no-type": "a task is larger than every instance type that its provider or launch type can have",
    "fits-not-smallest": "a task is larger than the smallest instance type of its provider",
    "trace-repeats": "a load trace ends before the run does, so it repeats",
    "trace-gaps": "a load trace has gaps, which are read as `gaps` says",
}
"""The code of each finding, and what it is about."""


class Finding(NamedTuple):
    """One finding: its code, `FILE:LINE:COL: path.to.field`, a sentence without its stop, and what to do about it."""

    code: str
    place: str
    sentence: str
    way_out: str

    def __str__(self) -> str:
        """Return the finding as one line."""
        return f"{self.place}: {self.sentence}; {self.way_out} [{self.code}]"
