"""Queues of messages: what is visible, in flight and deleted, the age of the oldest, and lost workers."""

from __future__ import annotations

import math
from typing import Any

import pytest

from clustersim.policy.load import fluid_tables
from tests.policy.load.test_fluid_model import Bench


def worker(minutes: list[float], **fields: Any) -> Bench:
    known = {"kind": fluid_tables.MESSAGES, "cpu_time_s": 0.0, "processing_s": 2.0, "concurrency": 4.0}
    return Bench(minutes, **{**known, **fields})


def test_workers_are_busy_by_their_share_and_queue_the_rest() -> None:
    """4 at a time, 2 s each: 2/s a task. 1/s is half busy; 5/s leaves 3/s in the queue, 4 of them in flight."""
    bench = worker([1.0, 1.0, 5.0])
    bench.minute(1)
    row = bench.minute(1)
    assert row["cpu_utilization"] == pytest.approx(50.0)
    assert (row["visible"], row["in_flight"]) == pytest.approx((0.0, 2.0))
    row = bench.minute(1)
    assert row["cpu_utilization"] == pytest.approx(100.0)
    assert row["backlog"] == pytest.approx(182.0)
    assert row["in_flight"] == pytest.approx(4.0)
    assert row["failed"] == 0.0


def test_busy_workers_have_their_messages_in_flight() -> None:
    """Four messages of five minutes each on four workers: none is visible, and the work takes its 20 minutes of CPU."""
    bench = worker([4.0 / 60.0, *[0.0] * 20], processing_s=300.0, concurrency=1.0)
    row = bench.minute(4)
    assert (row["visible"], row["in_flight"], row["served"]) == pytest.approx((0.0, 4.0, 0.0))
    busy = row["cpu_utilization"] / 100.0 * 4.0
    for _ in range(20):
        row = bench.minute(4)
        assert row["visible"] == 0.0
        busy += row["cpu_utilization"] / 100.0 * 4.0
    assert row["in_flight"] == pytest.approx(0.0, abs=1e-9)
    assert busy == pytest.approx(4 * 5.0)


def test_a_message_of_a_lost_worker_comes_back_and_is_paid_twice() -> None:
    """Half of the busy workers end: their messages are hidden for the visibility timeout, then visible, then done.

    The two had half of their five minutes on average, which is paid again.
    """
    bench = worker(
        [4.0 / 60.0, *[0.0] * 40], processing_s=300.0, concurrency=1.0, visibility_s=120.0, stop_s=0.0
    )
    busy = bench.minute(4)["cpu_utilization"] / 100.0 * 4.0
    row = bench.minute(2)
    busy += row["cpu_utilization"] / 100.0 * 2.0
    assert row["backlog"] == pytest.approx(4.0 - row["served"])
    assert row["hidden"] == pytest.approx(2.0)
    assert (row["in_work"] + row["hidden"], row["visible"]) == (row["in_flight"], 0.0)
    row = bench.minute(2)
    assert row["hidden"] == pytest.approx(1.0)
    assert row["visible"] > 0.0
    busy += row["cpu_utilization"] / 100.0 * 2.0
    for _ in range(30):
        row = bench.minute(2)
        busy += row["cpu_utilization"] / 100.0 * 2.0
    assert row["backlog"] == pytest.approx(0.0, abs=1e-6)
    assert busy == pytest.approx((4 + 2 * 0.5) * 5.0, rel=0.02)


def test_a_worker_that_stops_slowly_finishes_its_message() -> None:
    """Processing takes 2 s, and the tasks exit 2 s after they are told to stop: nothing comes back."""
    bench = worker([1.0] * 3, stop_s=2.0)
    bench.minute(2)
    row = bench.minute(1)
    assert row["hidden"] == 0.0


def test_the_age_of_the_oldest_message_is_exact() -> None:
    """5/s in, 2/s out: after 60 s 120 are served, which had all arrived by 24 s; the head is 36 s old."""
    bench = worker([5.0, 0.0])
    assert bench.minute(1)["oldest_age_s"] == pytest.approx(36.0)
    assert bench.minute(1)["oldest_age_s"] == pytest.approx(72.0)  # 240 served: arrived by 48 s, now 120 s
    row = bench.minute(2)
    assert (row["backlog"], row["oldest_age_s"]) == (0.0, 0.0)


def test_messages_wait_for_ever() -> None:
    """No worker for ten minutes: nothing fails, the head is ten minutes old."""
    bench = worker([1.0] * 10)
    for _ in range(10):
        row = bench.minute(0)
    assert (row["backlog"], row["failed"], row["oldest_age_s"]) == (600.0, 0.0, 600.0)
    bench.sample()
    row = bench.minute(0)
    sample = bench.sample()
    assert (sample["queue_depth"], sample["oldest_message_age_s"]) == (600.0, 600.0)
    assert math.isnan(sample["response_time_p50_s"])


def test_workers_that_need_more_cpu_than_they_have_are_slower() -> None:
    """1 s of CPU per message on half a vCPU: 0.5/s, though 2/s could be processed; CPU is at 100 %."""
    row = worker([1.0], cpu_time_s=1.0, vcpu=0.5).minute(1)
    assert row["served"] == pytest.approx(30.0)
    assert row["cpu_utilization"] == 100.0
