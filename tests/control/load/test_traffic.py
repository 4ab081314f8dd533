"""Traffic: services with load, their backends, ticks, samples and the summary."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from clustersim.control.load.traffic import Traffic
from clustersim.scenario.sections.scenario import (
    Behavior,
    Load,
    MemoryPerTask,
    Series,
    Service,
    TaskDefinition,
)
from tests.harness import resolved_load

MINUTE = 60_000
HALF = TaskDefinition(
    family="web", revision=1, key="web:1", cpu=512, memory_mib=1_024, has_task_size=True, ephemeral_gib=20
)
FULL = TaskDefinition(
    family="web", revision=2, key="web:2", cpu=1_024, memory_mib=2_048, has_task_size=True, ephemeral_gib=20
)
FREE = TaskDefinition(
    family="free", revision=1, key="free:1", cpu=0, memory_mib=512, has_task_size=False, ephemeral_gib=20
)


def rate(per_second: float) -> Series:
    return Series(times_ms=np.array([0]), rates=np.array([per_second]))


def service(name: str, load: Load | None, definition: str = "web:1", **fields: Any) -> Service:
    return Service(name=name, task_definition=definition, desired_count=2, zones=("a",), load=load, **fields)


def requests(per_second: float, **fields: Any) -> Load:
    return resolved_load(rate(per_second), cpu_time_ms=100.0, **fields)


class DrivenTraffic(Traffic):
    """Traffic whose first task set of each service is open, with the task times kept by hand."""

    def __init__(self, services: list[Service], definitions: list[TaskDefinition]) -> None:
        super().__init__(services, definitions)
        self.total = np.zeros((3, 2 * len(services)), np.int64)
        for index, each in enumerate(services):
            self.open_backend(index, index, each.task_definition)

    def advance(self, now_ms: int, ready: list[int], hung: list[int] | None = None) -> None:
        """Carry the load to `now_ms`; so many tasks of each set answered, or hung, since the last call."""
        passed = now_ms - self.total_ms if hasattr(self, "total_ms") else now_ms
        self.total_ms = now_ms
        answering, lost = np.array(ready), np.array(hung or [0] * len(ready))
        self.total[:, : answering.size] += np.array([answering + lost, answering, lost]) * passed
        self.tick(now_ms, self.total.copy())


def ticked(traffic: DrivenTraffic, minutes: int, tasks: list[int]) -> None:
    for minute in range(minutes):
        traffic.advance((minute + 1) * MINUTE, tasks)


def test_only_services_with_load_have_a_row() -> None:
    """The second of three has none: its sample is null, its summary absent."""
    traffic = DrivenTraffic(
        [service("a", requests(4.0)), service("b", None), service("c", requests(6.0))], [HALF]
    )
    assert traffic.flow_of.tolist() == [0, -1, 1]
    ticked(traffic, 1, [1, 1, 2])
    sample = traffic.sample()
    assert sample["cpu_utilization"][[0, 2]] == pytest.approx([80.0, 60.0])
    assert all(math.isnan(sample[name][1]) for name in sample.dtype.names or ())
    assert traffic.summary(1) is None


def test_a_tick_covers_the_time_since_the_last() -> None:
    """20 s after a full minute: a third of its requests; a second call at the same instant adds nothing."""
    traffic = DrivenTraffic([service("a", requests(4.0))], [HALF])
    ticked(traffic, 1, [1])
    traffic.advance(80_000, [1])
    assert traffic.flows["requests"][0] == pytest.approx(80.0)
    traffic.advance(80_000, [1])
    assert traffic.sample()["request_count"][0] == pytest.approx(320.0)


def test_the_summary_forgets_the_warm_up() -> None:
    """Two minutes of warm-up without tasks fail everything; the two minutes after it do not."""
    traffic = DrivenTraffic([service("a", requests(2.0))], [HALF])
    ticked(traffic, 2, [0])
    assert traffic.sample()["failed_request_count"][0] == pytest.approx(240.0)
    traffic.begin_summary()
    for minute in (3, 4):
        traffic.advance(minute * MINUTE, [2])
    last = traffic.sample()
    summary = traffic.summary(0)
    assert summary is not None
    assert (summary.requests, summary.requests_failed) == (240, 0)
    assert summary.response_time_p99_s == pytest.approx(float(last["response_time_p99_s"][0]), rel=0.05)


def revisions(**fields: Any) -> tuple[Service, list[TaskDefinition]]:
    """A service whose web:2 is twice as large and, by its own behaviour, twice as slow and of other memory."""
    behavior = Behavior(
        cpu_time_per_request_ms=200.0,
        memory_per_task=MemoryPerTask(base_mib=1_024.0, per_concurrent_request_mib=0.0),
    )
    load = requests(2.0, memory_base_mib=256.0, **fields)
    return service("web", load, behaviors=(("web:2", behavior),)), [HALF, FULL]


def test_a_new_revision_brings_its_size_and_its_own_costs() -> None:
    """2 requests a second of 200 ms each: 0.4 of half a vCPU by web:1, 0.4 of a whole one by web:2."""
    web, definitions = revisions()
    traffic = DrivenTraffic([web], definitions)
    ticked(traffic, 1, [1])
    names = ["cpu_utilization", "memory_utilization"]
    assert traffic.flows[names][0].tolist() == pytest.approx((40.0, 25.0))
    traffic.open_backend(0, 1, "web:2")
    traffic.advance(2 * MINUTE, [0, 1])
    assert traffic.flows[names][0].tolist() == pytest.approx((40.0, 50.0))


def test_a_load_balancer_deals_out_by_targets_and_a_deployment_by_weights() -> None:
    """Three old targets and one new: a quarter goes to the new; with a weight of 0.9 nine tenths."""
    web, definitions = revisions()
    traffic = DrivenTraffic([web], definitions)
    traffic.open_backend(0, 1, "web:2")
    traffic.advance(MINUTE, [3, 1])
    assert traffic.backends["requests"][:2].tolist() == pytest.approx([90.0, 30.0])
    traffic.set_weights(MINUTE, {0: 0.1, 1: 0.9})
    traffic.advance(2 * MINUTE, [3, 1])
    assert traffic.backends["requests"][:2].tolist() == pytest.approx([12.0, 108.0])
    assert traffic.flows["requests"][0] == pytest.approx(120.0)


def test_a_weight_that_changes_within_a_period_counts_for_its_time() -> None:
    """A quarter of the minute all to the old, the rest evenly: 0.625 of 120 requests to the old."""
    web, definitions = revisions()
    traffic = DrivenTraffic([web], definitions)
    traffic.open_backend(0, 1, "web:2")
    traffic.set_weights(0, {0: 1.0, 1: 0.0})
    traffic.set_weights(MINUTE // 4, {0: 0.5, 1: 0.5})
    traffic.advance(MINUTE, [1, 1])
    assert traffic.backends["requests"][:2].tolist() == pytest.approx([75.0, 45.0])


def test_every_request_goes_somewhere_while_weights_come_and_go() -> None:
    """A deployment ends within the period: its 120 requests go to those without a weight, whatever targets others have.

    With weights that do not add up to one (a third task set has gone) they are scaled: 0.2 and 0.6 are a quarter and
    three quarters. With no target at all the newest is load, and all fail.
    """
    web, definitions = revisions()
    traffic = DrivenTraffic([web], definitions)
    traffic.open_backend(0, 1, "web:2")
    traffic.set_weights(0, {0: 0.0, 1: 1.0})
    traffic.set_weights(MINUTE // 2, {1: -1.0})
    traffic.advance(MINUTE, [2, 1])
    assert traffic.backends["requests"][:2].tolist() == pytest.approx([0.0, 120.0])
    traffic.set_weights(MINUTE, {0: 0.2, 1: 0.6})
    traffic.advance(2 * MINUTE, [2, 1])
    assert traffic.backends["requests"][:2].tolist() == pytest.approx([30.0, 90.0])
    traffic.set_weights(2 * MINUTE, {0: 0.0, 1: -1.0})
    traffic.advance(3 * MINUTE, [0, 0])
    assert traffic.flows["failed"][0] == pytest.approx(120.0)


def test_a_rollback_counts_a_task_set_from_when_it_is_opened_again() -> None:
    """Its ten earlier minutes of tasks are no capacity of the minute in which it comes back."""
    web, definitions = revisions()
    traffic = DrivenTraffic([web], definitions)
    ticked(traffic, 10, [1])
    traffic.open_backend(0, 1, "web:2")
    traffic.close_backend(0)
    traffic.advance(11 * MINUTE, [0, 1])
    traffic.open_backend(0, 0, "web:1")
    traffic.close_backend(1)
    traffic.advance(12 * MINUTE, [1, 0])
    assert traffic.flows["cpu_utilization"][0] == pytest.approx(40.0)


def test_what_hung_targets_are_asked_is_lost() -> None:
    """One of four targets hangs: a quarter of the requests fails, the others answer the rest."""
    traffic = DrivenTraffic([service("a", requests(4.0))], [HALF])
    traffic.advance(MINUTE, [3], hung=[1])
    assert traffic.flows["failed"][0] == pytest.approx(60.0)
    assert traffic.flows["served"][0] == pytest.approx(180.0)


def test_a_closed_backend_goes_when_what_waited_there_has_failed() -> None:
    """30 requests a second on half a vCPU leave a backlog; without its tasks all of it fails, then the row is free."""
    traffic = DrivenTraffic([service("a", requests(30.0, timeout_ms=5_000))], [HALF])
    ticked(traffic, 1, [1])
    assert traffic.backends["backlog"][0] > 0.0
    traffic.open_backend(0, 1, "web:1")
    traffic.close_backend(0)
    traffic.advance(2 * MINUTE, [0, 8])
    assert traffic.backends["flow"].tolist()[:2] == [-1, 0]
    arrived, failed = float(traffic.flows["total_requests"][0]), float(traffic.flows["total_failed"][0])
    assert arrived == pytest.approx(3_600.0)
    assert failed == pytest.approx(1_500.0)


def test_a_task_without_a_cpu_reservation_is_one_vcpu() -> None:
    """It would otherwise answer nothing: 5 requests a second of 100 ms are half a vCPU."""
    traffic = DrivenTraffic([service("a", requests(5.0), "free:1")], [FREE])
    ticked(traffic, 1, [1])
    assert traffic.flows["cpu_utilization"][0] == pytest.approx(50.0)


def test_a_queue_has_depth_and_age_as_of_the_first_instant_of_the_row() -> None:
    """1/s in, one task of 0.5/s: after a minute 30 are left, one of them in flight."""
    load = resolved_load(rate(1.0), kind="messages", processing_time_ms=2_000.0)
    traffic = DrivenTraffic([service("worker", load)], [HALF])
    ticked(traffic, 1, [1])
    first = traffic.sample()[0]
    traffic.advance(2 * MINUTE, [1])
    second = traffic.sample()[0]
    assert (first["queue_depth"], first["oldest_message_age_s"]) == (0.0, 0.0)
    assert second["queue_depth"] == pytest.approx(29.0)
    assert second["messages_in_flight"] == pytest.approx(1.0)
    assert second["oldest_message_age_s"] == pytest.approx(30.0)
    assert second["cpu_utilization"] == pytest.approx(100.0)
    summary = traffic.summary(0)
    assert summary is not None
    assert (summary.requests, summary.requests_failed) == (120, 0)
    assert math.isnan(summary.response_time_p50_s)


def test_a_scenario_without_load_costs_and_says_nothing() -> None:
    traffic = DrivenTraffic([service("a", None)], [HALF])
    ticked(traffic, 2, [1])
    assert math.isnan(traffic.sample()["request_count"][0])
