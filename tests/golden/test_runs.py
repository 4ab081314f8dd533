"""Golden runs: small scenarios whose whole summary is stored, so that no change of behaviour goes unseen.

A difference here is no verdict: the change may be wanted. Then `pytest tests/golden --renew-golden` stores the
new figures, and the diff of tests/golden/runs/*.json says to the reviewer what the change does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness import run

RUNS = Path(__file__).parent / "runs"
DIGITS = 6  # of every number: what a difference in the last bit of a logarithm does not reach
SLOW = ("jobs",)  # in plain Python


def rounded(value: Any) -> Any:
    """The summary with its numbers to `DIGITS` significant digits."""
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
    found = rounded(ran.summary) | {"rows": {name: len(table) for name, table in ran.run.tables.items()}}
    stored = scenario.with_suffix(".json")
    if renew_golden:
        stored.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    assert found == json.loads(stored.read_text(encoding="utf-8"))
