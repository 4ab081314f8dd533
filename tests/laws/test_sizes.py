"""Sizes of arrays do not change results: index or scan, small chunks or large."""

from __future__ import annotations

from pathlib import Path

import pytest

from clustersim.world.build import build_world
from tests.harness import FinishedRun, definition, job, run, service, world
from tests.swarm.checks import violations
from tests.swarm.scenarios import draw

SEED = 5


def _run_drawn(number: int, directory: Path) -> FinishedRun:
    drawn = draw(SEED, number)
    drawn.write(directory)
    return run(drawn.written, directory)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4))
def test_the_index_over_instances_changes_no_choice(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is used from some thousands of instances on; for a few it must choose as the scan does."""
    scanned = _run_drawn(number, tmp_path / "scan")
    monkeypatch.setattr(build_world, "INDEX_FROM", 0)
    indexed = _run_drawn(number, tmp_path / "index")
    assert scanned.digests() == indexed.digests()


@pytest.mark.slow
def test_small_chunks_lose_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calendar stops when a chunk of finished tasks is full, and continues when it has been emptied."""
    whole = _run_drawn(1, tmp_path / "whole")
    monkeypatch.setattr(build_world, "CHUNK_ROWS", 37)
    parts = _run_drawn(1, tmp_path / "parts")
    for name in whole.run.tables:
        assert whole.rows(name) == parts.rows(name)
    assert whole.summary["cost_usd"] == pytest.approx(parts.summary["cost_usd"])


@pytest.mark.slow
def test_arrays_grow_under_thousands_of_live_tasks(tmp_path: Path) -> None:
    """5,000 tasks at once with arrays for a thousand: on hosts, waiting, and all ending at one instant."""
    ran = run(
        world(
            nodes=80,
            duration="20m",
            cluster={"provisioning": {"limit": "unlimited", "timeout": "30m"}},
            taskDefinitions=[definition(cpu=128, memory=20)],
            services=[service("web", 0)],
            runTasks=[job("many", 5_000, at="1m", duration="5m")],
        ),
        tmp_path,
        checked=False,
    )
    assert violations(ran) == []
    fitting = 80 * (4096 // 128)
    assert ran.summary["run_tasks"]["many"]["completed"] == 5_000
    assert sum(task["wait_reason"] is not None for task in ran.tasks()) == 5_000 - fitting
