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
from clustersim.policy.load import fluid_model, fluid_sampling, fluid_tables, load_series, response_times


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
        }
        for name, value in {**known, **fields}.items():
            table = self.flows if name in (fluid_tables.FlowRow.dtype.names or ()) else self.backends
            table[0][name] = value
        self.run_histograms = np.zeros((1, response_times.BUCKETS))
        histograms = np.zeros_like(self.run_histograms)
        self.elapsed = np.zeros((3, 1), np.int64)
        task_sets = (np.zeros(1, np.int64), np.zeros((3, 1), np.int64), self.elapsed)
        shares = (np.array([fluid_tables.BY_TARGETS]), np.zeros(1, fluid_tables.LoadSumsRow.dtype))
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
        )
        self.load = pointer(fluid_tables.LoadTables(*parts))
        fluid_model.derive_backend(self.load, 0)
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
    """M/M/1 at 50 %.

    One request in the task on average (0.5 in service, 0.5 waiting); 300 + 200 of 1000 MiB.
    """
    row = Bench([5.0], memory_base_mib=300.0, memory_per_request_mib=200.0).minute(1)
    assert row["memory_utilization"] == pytest.approx(50.0)


def test_memory_never_exceeds_the_reservation() -> None:
    """A task cannot hold more than its limit; that it would be killed is not modelled."""
    row = Bench([20.0], memory_base_mib=300.0, memory_per_request_mib=200.0).minute(1)
    assert row["memory_utilization"] == 100.0


def test_uncongested_response_times_are_those_of_m_m_1() -> None:
    """5/s on 10/s.

    Exponential with rate 5, so p50 = ln 2 / 5 and p99 = ln 100 / 5 (one hour: almost stationary).
    """
    bench = Bench([5.0] * 60)
    for _ in range(60):
        bench.minute(1)
    sample = bench.sample()
    assert sample["response_time_p50_s"] == pytest.approx(math.log(2.0) / 5.0, rel=1e-3)
    assert sample["response_time_p99_s"] == pytest.approx(math.log(100.0) / 5.0, rel=1e-3)
    assert response_times.histogram_quantile(bench.run_histograms[0], 0.99) == pytest.approx(
        math.log(100.0) / 5.0, rel=0.03
    )


def test_a_task_of_many_vcpus_is_as_many_servers() -> None:
    """One task of 4 vCPU at 80 %: M/M/4; its mean wait by Erlang C is 0.596 x 0.1 / (4 x 0.2) = 74.6 ms."""
    bench = Bench([32.0] * 600, vcpu=4.0)
    for _ in range(600):
        bench.minute(1)
    sample = bench.sample()
    delayed = response_times.delay_probability(4, 0.8)
    assert delayed == pytest.approx(0.5964, abs=1e-4)
    assert delayed * 0.1 / (4 * 0.2) == pytest.approx(0.0746, abs=1e-4)
    exact = response_times.response_quantile(0.9, delayed, 10.0, 8.0)
    assert sample["response_time_p90_s"] == pytest.approx(exact, rel=2e-3)


def test_response_times_under_overload_are_the_delays_of_the_backlog() -> None:
    """A ramp to 10 s in the first 10 s of the minute, then the timeout.

    Of 700 answered, the median waits 10 s.
    """
    bench = Bench([20.0], cpu_time_s=0.1)
    bench.minute(1)
    sample = bench.sample()
    assert sample["response_time_p50_s"] == pytest.approx(10.1, rel=0.05)
    assert sample["response_time_p90_s"] > sample["response_time_p50_s"]


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


def worker(minutes: list[float], **fields: Any) -> Bench:
    known = {"kind": fluid_tables.MESSAGES, "cpu_time_s": 0.0, "processing_s": 2.0, "concurrency": 4.0}
    return Bench(minutes, **{**known, **fields})


def test_workers_are_busy_by_their_share_and_queue_the_rest() -> None:
    """4 at a time, 2 s each: 2/s a task. 1/s is half busy; 5/s leaves 3/s in the queue."""
    bench = worker([1.0, 5.0])
    assert bench.minute(1)["cpu_utilization"] == pytest.approx(50.0)
    row = bench.minute(1)
    assert row["cpu_utilization"] == 100.0
    assert row["backlog"] == pytest.approx(180.0)
    assert row["failed"] == 0.0


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
