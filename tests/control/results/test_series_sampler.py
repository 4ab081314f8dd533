"""The time series of a run, against numbers that follow from a scenario by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import MINUTE, SECOND, job, run, service, world


def test_reservations_are_the_reserved_share_of_what_is_registered(tmp_path: Path) -> None:
    """Four tasks of 512 CPU units and 1 GiB on two instances of 4 vCPU and 8 GiB; a fifth for half a minute."""
    written = world(
        2, "3m", initialState="running", services=[service(count=4)], runTasks=[job(at="1m", duration="30s")]
    )
    ran = run(written, tmp_path)
    rows = ran.rows("capacity_provider_series", capacity_provider="nodes")
    (extra,) = ran.tasks(service=None)
    seconds = (extra["stopped_at"] - extra["placed_at"]) / SECOND
    assert 30 <= seconds < 60
    fourth = 100 / 4
    assert [row["time"] for row in rows] == [0, MINUTE, 2 * MINUTE]
    for row, tasks in zip(rows, (4, 4 + seconds / 60, 4), strict=True):
        assert row["cpu_reservation"] == pytest.approx(fourth * tasks * 512 / 2048)
        assert row["memory_reservation"] == pytest.approx(fourth * tasks * 1024 / 4096)
