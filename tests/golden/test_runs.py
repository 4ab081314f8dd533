"""Golden runs: small scenarios whose summary and series are stored, so that every change of behaviour is noticed.

Of each column of a time series the stored figures are its mean, least and greatest value, nulls, and its centre: the
mean position of what it sums to, from 0 to 1, which moves when values come earlier or later.

A difference may be intended. Then `pytest tests/golden --renew-golden` stores the new figures, and the diff of
tests/golden/runs/*.json shows the change to the reviewer.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.harness import FinishedRun, run

RUNS = Path(__file__).parent / "runs"
DIGITS = 6  # significant digits, so that a difference in the last bit of a logarithm does not count
SERIES = ("service_series", "capacity_provider_series", "deployment_series")
SLOW = ("jobs",)  # in plain Python


def rounded(value: Any) -> Any:
    """Return the summary with its numbers rounded to `DIGITS` significant digits."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _scenarios() -> list[Any]:
    """Every scenario, by its name."""
    return [
        pytest.param(path, id=path.stem, marks=[pytest.mark.compiled] if path.stem in SLOW else [])
        for path in sorted(RUNS.glob("*.yaml"))
    ]


def column_statistics(values: list[Any]) -> str:
    """Return the statistics of a column of numbers, or the number of rows of each name."""
    known = [(position, value) for position, value in enumerate(values) if value is not None]
    nulls = len(values) - len(known)
    if not known:
        return f"nulls {nulls}"
    if isinstance(known[0][1], str):
        counts = Counter(value for _, value in known)
        return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    total = math.fsum(abs(value) for _, value in known)
    centre = math.fsum(position * abs(value) for position, value in known) / total if total else 0.0
    figures = {
        "mean": math.fsum(value for _, value in known) / len(known),
        "least": min(value for _, value in known),
        "greatest": max(value for _, value in known),
        "centre": centre / max(1, len(values) - 1),
        "nulls": nulls,
    }
    return ", ".join(f"{name} {figure:.{DIGITS}g}" for name, figure in figures.items())


def series_statistics(ran: FinishedRun) -> dict[str, dict[str, str]]:
    """Return the statistics of each column of the time series."""
    return {
        table: {name: column_statistics(values) for name, values in ran.table(table).items()}
        for table in SERIES
    }


@pytest.mark.parametrize("scenario", _scenarios())
def test_summary_and_series_are_the_stored_ones(scenario: Path, tmp_path: Path, renew_golden: bool) -> None:
    ran = run(scenario.read_text(encoding="utf-8"), tmp_path)
    actual = rounded(ran.summary) | {"rows": {name: len(table) for name, table in ran.run.tables.items()}}
    actual["series"] = series_statistics(ran)
    stored = scenario.with_suffix(".json")
    if renew_golden:
        stored.write_text(json.dumps(actual, indent=2) + "\n", encoding="utf-8")
    assert actual == json.loads(stored.read_text(encoding="utf-8"))
