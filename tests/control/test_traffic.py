"""Traffic: which service has load, what its tasks are, ticks, samples and the summary."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from clustersim.control.traffic import Traffic
from clustersim.scenario.model import Behavior, Load, MemoryPerTask, Series, Service, TaskDefinition

MINUTE = 60_000
HALF = TaskDefinition(family="web", revision=1, key="web:1", cpu=512, memory_mib=1_024, has_task_size=True)
FULL = TaskDefinition(family="web", revision=2, key="web:2", cpu=1_024, memory_mib=2_048, has_task_size=True)
FREE = TaskDefinition(family="free", revision=1, key="free:1", cpu=0, memory_mib=512, has_task_size=False)


def rate(per_second: float) -> Series:
    return Series(times_ms=np.array([0]), rates=np.array([per_second]))


def service(name: str, load: Load | None, definition: str = "web:1", **fields: Any) -> Service:
    return Service(name=name, task_definition=definition, desired_count=2, zones=("a",), load=load, **fields)


def requests(per_second: float, **fields: Any) -> Load:
    return Load(kind="requests", series=rate(per_second), cpu_time_ms=100.0, **fields)


def ticked(traffic: Traffic, minutes: int, tasks: list[int]) -> None:
    counts = np.array(tasks)
    for minute in range(minutes):
        traffic.tick((minute + 1) * MINUTE, counts, counts * MINUTE)


def test_only_services_with_load_have_a_row() -> None:
    """The second of three has none: its sample is null, its summary absent."""
    traffic = Traffic([service("a", requests(4.0)), service("b", None), service("c", requests(6.0))], [HALF])
    assert traffic.row_of.tolist() == [0, -1, 1]
    ticked(traffic, 1, [1, 1, 2])
    sample = traffic.sample()
    assert sample["cpu_utilization"][[0, 2]] == pytest.approx([80.0, 60.0])
    assert all(math.isnan(sample[name][1]) for name in sample.dtype.names or ())
    assert traffic.summary(1) is None


def test_a_tick_covers_the_time_since_the_last() -> None:
    """20 s after a full minute: a third of its requests; a second call at the same instant adds nothing."""
    traffic = Traffic([service("a", requests(4.0))], [HALF])
    ticked(traffic, 1, [1])
    one = np.array([1])
    traffic.tick(80_000, one, one * 20_000)
    assert traffic.rows["requests"][0] == pytest.approx(80.0)
    traffic.tick(80_000, one, one * 0)
    assert traffic.sample()["request_count"][0] == pytest.approx(320.0)


def test_the_summary_forgets_the_warm_up() -> None:
    """Two minutes of warm-up without tasks fail everything; the two minutes after it do not."""
    traffic = Traffic([service("a", requests(2.0))], [HALF])
    ticked(traffic, 2, [0])
    assert traffic.sample()["failed_request_count"][0] == pytest.approx(240.0)
    traffic.begin_summary()
    for minute in (3, 4):
        traffic.tick(minute * MINUTE, np.array([2]), np.array([2 * MINUTE]))
    last = traffic.sample()
    summary = traffic.summary(0)
    assert summary is not None
    assert (summary.requests, summary.requests_failed) == (240, 0)
    assert summary.response_time_p99_s == pytest.approx(float(last["response_time_p99_s"][0]), rel=0.05)


def test_a_new_revision_brings_its_size_and_its_own_costs() -> None:
    """web:2 is twice as large and, by its own behaviour, twice as slow and of other memory."""
    behavior = Behavior(cpu_time_per_request_ms=200.0, memory_per_task=MemoryPerTask(base_mib=1_024.0))
    web = service("web", requests(2.0, memory_base_mib=256.0), behaviors=(("web:2", behavior),))
    traffic = Traffic([web], [HALF, FULL])
    ticked(traffic, 1, [1])
    assert traffic.rows[["cpu_utilization", "memory_utilization"]][0].tolist() == pytest.approx((40.0, 25.0))
    traffic.resize(0, "web:2")
    traffic.tick(2 * MINUTE, np.array([1]), np.array([MINUTE]))
    assert traffic.rows[["cpu_utilization", "memory_utilization"]][0].tolist() == pytest.approx((40.0, 50.0))
    traffic.resize(0, "web:1")
    assert traffic.rows["vcpu"][0] == 0.5


def test_a_task_without_a_cpu_reservation_is_one_vcpu() -> None:
    """It would otherwise answer nothing: 5 requests a second of 100 ms are half a vCPU."""
    traffic = Traffic([service("a", requests(5.0), "free:1")], [FREE])
    ticked(traffic, 1, [1])
    assert traffic.rows["cpu_utilization"][0] == pytest.approx(50.0)


def test_a_queue_has_depth_and_age_as_of_the_first_instant_of_the_row() -> None:
    """1/s in, one task of 0.5/s: after each minute 30 more wait; the row of minute 2 begins with 30."""
    load = Load(kind="messages", series=rate(1.0), processing_time_ms=2_000.0, concurrency_per_task=1)
    traffic = Traffic([service("worker", load)], [HALF])
    ticked(traffic, 1, [1])
    first = traffic.sample()[0]
    traffic.tick(2 * MINUTE, np.array([1]), np.array([MINUTE]))
    second = traffic.sample()[0]
    assert (first["queue_depth"], first["oldest_message_age_s"]) == (0.0, 0.0)
    assert second["queue_depth"] == pytest.approx(30.0)
    assert second["oldest_message_age_s"] == pytest.approx(30.0)
    assert second["cpu_utilization"] == 100.0
    summary = traffic.summary(0)
    assert summary is not None
    assert (summary.requests, summary.requests_failed) == (120, 0)
    assert math.isnan(summary.response_time_p50_s)


def test_a_scenario_without_load_costs_and_says_nothing() -> None:
    traffic = Traffic([service("a", None)], [HALF])
    ticked(traffic, 2, [1])
    traffic.resize(0, "web:1")
    assert math.isnan(traffic.sample()["request_count"][0])
