"""Golden runs: small scenarios whose summary is stored, so that every change of behaviour is noticed.

A difference may be intended. Then `pytest tests/golden --renew-golden` stores the new figures, and the diff of
tests/golden/runs/*.json shows the change to the reviewer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness import run

RUNS = Path(__file__).parent / "runs"
DIGITS = 6  # significant digits, so that a difference in the last bit of a logarithm does not count
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


@pytest.mark.parametrize("scenario", _scenarios())
def test_summary_is_the_stored_one(scenario: Path, tmp_path: Path, renew_golden: bool) -> None:
    ran = run(scenario.read_text(encoding="utf-8"), tmp_path)
    actual = rounded(ran.summary) | {"rows": {name: len(table) for name, table in ran.run.tables.items()}}
    stored = scenario.with_suffix(".json")
    if renew_golden:
        stored.write_text(json.dumps(actual, indent=2) + "\n", encoding="utf-8")
    assert actual == json.loads(stored.read_text(encoding="utf-8"))
