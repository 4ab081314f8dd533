"""The fluid model of load: utilisation, backlog, failures, response times, conservation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.array_block import pointer
from clustersim.policy.load import (
    fluid_model,
    fluid_sampling,
    fluid_tables,
    load_series,
    response_curves,
    response_times,
)
from clustersim.policy.load.response_curves import LEAST_OUTSTANDING, ROUND_ROBIN, WEIGHTED_RANDOM
from clustersim.scenario.catalog.response_times import read_response_times


@dataclass
class Series:
    times_ms: np.ndarray
    rates: np.ndarray
    period_ms: int = 0


class Bench:
    """One service, driven minute by minute."""

    def __init__(self, minutes: list[float], **fields: Any) -> None:
        series = Series(np.arange(len(minutes), dtype=np.int64) * 60_000, np.array(minutes, np.float64))
        cursors, times, rates = load_series.flatten_series([series])
        readers = np.stack((cursors, cursors), axis=1)
        self.flows, self.backends = (
            np.zeros(1, fluid_tables.FlowRow.dtype),
            np.zeros(1, fluid_tables.BackendRow.dtype),
        )
        self.backends["next"] = -1
        known = {
            "vcpu": 1.0,
            "memory_mib": 1_000.0,
            "cpu_time_s": 0.1,
            "timeout_s": 10.0,
            "concurrency": 1.0,
            "burstiness": 1.0,
            "service_cv2": 1.0,
        }
        for name, value in {**known, **fields}.items():
            table = self.flows if name in (fluid_tables.FlowRow.dtype.names or ()) else self.backends
            table[0][name] = value
        self.run_histograms = np.zeros((1, response_times.BUCKETS))
        histograms = np.zeros_like(self.run_histograms)
        self.elapsed = np.zeros((3, 1), np.int64)
        task_sets = (np.zeros(1, np.int64), np.zeros((3, 1), np.int64), self.elapsed)
        shares = (np.array([fluid_tables.BY_TARGETS]), np.array([float(self.backends[0]["vcpu"])]))
        self.capacities = shares[1]
        self.service_quantiles = np.array([response_curves.DEPTHS])  # exponential service times
        responses = (
            read_response_times(),
            np.zeros((1, response_curves.CURVE_SIZE)),
            self.service_quantiles,
            np.zeros(response_curves.LEVELS.size),
            np.zeros(1, fluid_tables.LoadSumsRow.dtype),
        )
        parts = (
            self.flows,
            self.backends,
            readers,
            times,
            rates,
            histograms,
            self.run_histograms,
            *task_sets,
            *shares,
            *responses,
        )
        self.load = pointer(fluid_tables.LoadTables(*parts))
        self.now_ms = 0

    def minute(
        self, tasks: float, running: float | None = None, length_ms: int = 60_000, hung: float = 0.0
    ) -> Any:
        """Advance one period with that many ready tasks; `running` are all, by default the ready and the hung ones."""
        begin, self.now_ms = self.now_ms, self.now_ms + length_ms
        counts = (tasks + hung if running is None else running, tasks, hung)
        self.elapsed[:, 0] = [round(count * length_ms) for count in counts]
        fluid_model.advance_load(self.load, begin, self.now_ms)
        return self.flows[0]

    def sample(self) -> Any:
        samples = np.zeros(1, fluid_sampling.LoadSampleRow.dtype)
        for name in fluid_sampling.LoadSampleRow.dtype.names or ():
            samples[name] = np.nan
        fluid_sampling.close_sample(self.load, samples)
        return samples[0]


def test_utilization_is_the_offered_cpu_over_the_reserved() -> None:
    """8 requests a second of 100 ms each on two tasks of half a vCPU: 0.8 of 1.0 vCPU."""
    row = Bench([8.0], vcpu=0.5).minute(2)
    assert row["cpu_utilization"] == pytest.approx(80.0)
    assert row["requests"] == pytest.approx(480.0)
    assert row["per_target"] == pytest.approx(240.0)
    assert row["failed"] == 0.0
    assert row["backlog"] == 0.0


def test_overload_holds_the_backlog_at_the_timeout_and_fails_the_rest() -> None:
    """20/s on 10/s of capacity.

    10 s of backlog (100) form after 10 s, then 10/s fail: 1200 = 600 + 100 + 500.
    """
    row = Bench([20.0]).minute(1)
    assert row["cpu_utilization"] == 100.0
    assert row["served"] == pytest.approx(600.0)
    assert row["backlog"] == pytest.approx(100.0)
    assert row["failed"] == pytest.approx(500.0)


def test_a_backlog_is_served_with_the_spare_capacity() -> None:
    """100 waiting, 4/s arriving, 10/s answered: the minute ends without a backlog, 340 served."""
    bench = Bench([20.0, 4.0])
    bench.minute(1)
    row = bench.minute(1)
    assert row["served"] == pytest.approx(340.0)
    assert row["backlog"] == 0.0
    assert row["cpu_utilization"] == pytest.approx(340.0 / 6.0)


def test_lost_capacity_fails_requests_that_would_now_time_out() -> None:
    """A backlog of 100 at half the capacity would wait 20 s.

    Half of it fails at once, then all of the excess.
    """
    bench = Bench([20.0, 5.0])
    bench.minute(1)
    row = bench.minute(0.5)
    assert row["failed"] == pytest.approx(50.0)
    assert row["backlog"] == pytest.approx(50.0)


def test_without_a_ready_task_everything_fails() -> None:
    """A running task that is not ready answers nothing, yet gives a datapoint of 0 %; no task gives none."""
    bench = Bench([5.0], memory_base_mib=250.0)
    row = bench.minute(0, running=1)
    assert (row["failed"], row["cpu_utilization"], row["memory_utilization"]) == (300.0, 0.0, 25.0)
    assert math.isnan(row["per_target"])
    row = bench.minute(0, running=0)
    assert row["failed"] == 300.0
    assert math.isnan(row["cpu_utilization"])
    assert math.isnan(row["memory_utilization"])


def test_memory_follows_littles_law() -> None:
    """One task at 50 %: one request in it on average, each half as fast as alone; 300 + 200 of 1000 MiB."""
    bench = Bench([5.0] * 10, memory_base_mib=300.0, memory_per_request_mib=200.0)
    for _ in range(10):
        row = bench.minute(1)
    assert row["memory_utilization"] == pytest.approx(50.0, rel=2e-3)
    assert row["response_s"] == pytest.approx(0.2, rel=5e-3)


def test_memory_never_exceeds_the_reservation() -> None:
    """A task cannot hold more than its limit; that it would be killed is not modelled."""
    row = Bench([20.0], memory_base_mib=300.0, memory_per_request_mib=200.0).minute(1)
    assert row["memory_utilization"] == 100.0


P99_OF_16_TASKS = {
    (ROUND_ROBIN, 0.8): 1.04,
    (ROUND_ROBIN, 0.9): 2.14,
    (LEAST_OUTSTANDING, 0.8): 0.302,
    (LEAST_OUTSTANDING, 0.9): 0.425,
    (WEIGHTED_RANDOM, 0.8): 1.84,
    (WEIGHTED_RANDOM, 0.9): 3.84,
}


@pytest.mark.parametrize("case", P99_OF_16_TASKS)
def test_tasks_share_their_cpu_behind_the_algorithm_of_the_load_balancer(case: tuple[int, float]) -> None:
    """16 tasks of one vCPU, 50 ms of CPU, exponential: the p99 of an independent simulation, within 5 %."""
    routing, utilization = case
    bench = Bench([utilization * 16 / 0.05] * 300, routing=routing, cpu_time_s=0.05)
    for minute in range(300):
        bench.minute(16)
        if minute == 240:
            bench.sample()
    p99 = P99_OF_16_TASKS[case]
    assert bench.sample()["response_time_p99_s"] == pytest.approx(p99, rel=0.05)
    assert response_times.histogram_quantile(bench.run_histograms[0], 0.99) == pytest.approx(p99, rel=0.1)


def test_a_steady_load_has_the_same_response_times_in_every_minute() -> None:
    """95 % on one task: once the queue has grown, samples of a minute are those of an hour."""
    bench = Bench([9.5] * 1_500)
    for _ in range(1_400):
        bench.minute(1)
    bench.sample()
    bench.minute(1)
    minute = bench.sample()["response_time_p99_s"]
    for _ in range(60):
        bench.minute(1)
    assert bench.sample()["response_time_p99_s"] == pytest.approx(minute, rel=1e-3)


def test_a_queue_needs_time_to_grow() -> None:
    """The first minute at 95 % is not yet as slow as the hour after it."""
    bench = Bench([9.5] * 120)
    bench.minute(1)
    first = bench.sample()["response_time_p99_s"]
    for _ in range(119):
        bench.minute(1)
    assert 1.3 * first < bench.sample()["response_time_p99_s"]


def test_bursts_and_varied_cpu_times_make_requests_slower() -> None:
    """A burstiness of 4 and a CV2 of 4 against 1 and 1, on one task at 80 %: p99 36.8 and 87 CPU times."""
    found = []
    for cv2 in (1.0, 4.0):
        bench = Bench([8.0] * 600, burstiness=cv2, service_cv2=cv2)
        if cv2 == 4.0:  # the quantiles of the hyperexponential distribution with balanced means
            bench.service_quantiles[0] = [hyperexponential_quantile(each) for each in response_curves.LEVELS]
        for minute in range(600):
            bench.minute(1)
            if minute == 540:
                bench.sample()
        found.append(bench.sample()["response_time_p99_s"] / 0.1)
    assert found == pytest.approx([36.8, 87.0], rel=0.05)


def hyperexponential_quantile(share: float) -> float:
    """The plain inverse, by bisection, of a hyperexponential distribution with mean 1 and CV2 4."""
    odds = math.sqrt(3.0 / 5.0)
    fast, slow = 0.5 * (1.0 + odds), 0.5 * (1.0 - odds)
    low, high = 0.0, 1e3
    for _ in range(200):
        middle = 0.5 * (low + high)
        beyond = fast * math.exp(-2.0 * fast * middle) + slow * math.exp(-2.0 * slow * middle)
        low, high = (middle, high) if beyond > 1.0 - share else (low, middle)
    return low


def test_a_task_of_many_vcpus_is_as_many_servers() -> None:
    """One task of 4 vCPU at 80 %: the mean of M/M/4, by Erlang C 0.1 + 0.596 x 0.1 / (4 x 0.2) = 174.6 ms."""
    bench = Bench([32.0] * 600, vcpu=4.0)
    for _ in range(600):
        row = bench.minute(1)
    assert row["response_s"] == pytest.approx(0.1746, rel=0.01)


def test_the_rest_of_a_service_time_is_a_delay() -> None:
    """CPU times of 100 ms, of exponential service times of 300 ms: at a tenth of the CPU the median is that of both.

    ln 2 x (100 ms, a ninth more for sharing, + 200 ms); the delay uses no CPU, but memory.
    """
    fields = {"wait_s": 0.2, "memory_per_request_mib": 100.0}
    bench = Bench([1.0] * 60, **fields)
    for _ in range(60):
        row = bench.minute(1)
    assert row["cpu_utilization"] == pytest.approx(10.0)
    assert row["response_s"] == pytest.approx(0.1 / 0.9 + 0.2, rel=0.02)
    assert row["memory_utilization"] == pytest.approx(10.0 * row["response_s"], rel=1e-6)
    assert bench.sample()["response_time_p50_s"] == pytest.approx(math.log(2.0) * 0.311, rel=0.03)


def test_a_small_task_stretches_its_cpu_time_into_the_delay() -> None:
    """Half a vCPU: of 300 ms in an idle task 200 ms are its 100 ms of CPU, 100 ms are a delay."""
    bench = Bench([0.001], vcpu=0.5, wait_s=0.2)
    assert bench.minute(1)["response_s"] == pytest.approx(0.3, rel=1e-3)


def test_the_capacity_of_a_task_may_change_from_period_to_period() -> None:
    """Tasks of one vCPU that may use two for a minute: twice as many requests are answered."""
    bench = Bench([30.0] * 2, timeout_s=1e6)
    assert bench.minute(1)["served"] == pytest.approx(600.0)
    bench.capacities[0] = 2.0
    assert bench.minute(1)["served"] == pytest.approx(1_200.0)


def test_response_times_under_overload_are_the_delays_of_the_backlog() -> None:
    """20/s on 10/s: after the first 10 s a request of mean CPU time takes 10 s, the timeout; the median 0.69 of it.

    Requests of more CPU time take longer, at most the timeout.
    """
    bench = Bench([20.0] * 2, cpu_time_s=0.1)
    bench.minute(1)
    bench.sample()
    bench.minute(1)
    sample = bench.sample()
    assert sample["response_time_p50_s"] == pytest.approx(10.1 * math.log(2.0), rel=0.05)
    assert sample["response_time_p90_s"] == pytest.approx(10.0, rel=0.05)


def test_any_threshold_can_be_asked_of_the_response_times() -> None:
    """The share within a percentile is its level."""
    bench = Bench([5.0] * 60)
    for _ in range(60):
        bench.minute(1)
    sample = bench.sample()
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        seconds = sample[f"response_time_{name}_s"]
        assert fluid_sampling.run_share_within(bench.load, 0, seconds) == pytest.approx(share, abs=0.02)
    assert fluid_sampling.run_share_within(bench.load, 0, 1e5) == pytest.approx(1.0)


def test_all_answered_requests_are_in_the_histogram() -> None:
    """Overload, recovery and idle capacity: the histogram's weight is arrivals less failures."""
    bench = Bench([20.0, 4.0, 4.0])
    arrived = failed = 0.0
    for _ in range(3):
        row = bench.minute(1)
        arrived += row["requests"]
        failed += row["failed"]
    bench.sample()
    assert bench.run_histograms.sum() == pytest.approx(arrived - failed, rel=1e-9)


def test_a_sample_is_any_number_of_ticks() -> None:
    """Two minutes in one row: counts are summed, utilisation is weighed by the running tasks."""
    bench = Bench([4.0, 12.0])
    bench.minute(1)
    bench.minute(3)
    sample = bench.sample()
    assert sample["request_count"] == pytest.approx(960.0)
    assert sample["request_count_per_target"] == pytest.approx(240.0 + 240.0)
    assert sample["cpu_utilization"] == pytest.approx(40.0)
    assert math.isnan(sample["queue_depth"])
    empty = bench.sample()
    assert empty["request_count"] == 0.0
    assert math.isnan(empty["cpu_utilization"])
    assert math.isnan(empty["response_time_p50_s"])


def test_requests_without_cpu_time_take_no_time() -> None:
    """No CPU time given: any task answers any number at once."""
    bench = Bench([1e6], cpu_time_s=0.0)
    row = bench.minute(1)
    assert (row["failed"], row["cpu_utilization"], row["memory_utilization"]) == (0.0, 0.0, 0.0)
    assert bench.sample()["response_time_p99_s"] == 0.0


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 500.0), st.floats(0.0, 20.0)), min_size=1, max_size=12),
    st.sampled_from([fluid_tables.REQUESTS, fluid_tables.MESSAGES]),
    st.floats(0.1, 8.0),
    st.floats(0.0, 120.0),
)
def test_arrivals_are_served_failed_or_waiting(
    minutes: list[tuple[float, float]], kind: int, vcpu: float, timeout: float
) -> None:
    """Conservation in every period, whatever rate, tasks and timeout; utilisation within 0 and 100."""
    bench = Bench(
        [rate for rate, _ in minutes],
        kind=kind,
        vcpu=vcpu,
        timeout_s=timeout,
        processing_s=0.3,
        memory_base_mib=100.0,
        memory_per_request_mib=3.0,
    )
    for rate, tasks in minutes:
        before = float(bench.flows[0]["backlog"])
        row = bench.minute(tasks)
        assert row["requests"] == pytest.approx(rate * 60.0, abs=1e-6)
        change = row["backlog"] - before
        assert row["requests"] == pytest.approx(row["served"] + row["failed"] + change, abs=1e-6)
        assert min(row["served"], row["failed"], row["backlog"]) >= 0.0
        for name in ("cpu_utilization", "memory_utilization"):
            assert math.isnan(row[name]) or 0.0 <= row[name] <= 100.0
    assert math.isfinite(bench.run_histograms.sum())
    sample = bench.sample()
    if kind == fluid_tables.REQUESTS and row["requests"] > 0.0:
        p50, p99 = sample["response_time_p50_s"], sample["response_time_p99_s"]
        assert math.isnan(p50) or 0.0 <= p50 <= p99


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 40.0), st.floats(0.0, 200.0), st.floats(0.5, 3.0))
def test_a_minute_equals_many_small_steps(rate: float, backlog: float, tasks: float) -> None:
    """The closed form of a period against Euler steps of 10 ms: served and failed within a few requests."""
    bench = Bench([rate])
    bench.backends[0]["backlog"] = backlog
    row = bench.minute(tasks)
    capacity = round(tasks * 60_000) / 60_000 * 10.0
    waiting, served, failed, step = backlog, 0.0, 0.0, 0.01
    for _ in range(6_000):
        waiting += rate * step
        late = max(waiting - capacity * 10.0, 0.0)
        done = min(waiting - late, capacity * step)
        waiting, served, failed = waiting - late - done, served + done, failed + late
    assert row["served"] == pytest.approx(served, abs=2.0)
    assert row["failed"] == pytest.approx(failed, abs=2.0)
    assert row["backlog"] == pytest.approx(waiting, abs=2.0)
