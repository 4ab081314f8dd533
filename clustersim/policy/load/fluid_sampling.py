"""Samples of the load: utilisations, counts and response times over an interval of metric periods.

Decides how the sums of `policy.load.fluid_model` become one row of `service_series`, and the response times of the
whole run. It must not know the clock. `control.load.traffic` calls it when the series sampler requests a sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.engine.records import Float64, Record, Table
from clustersim.policy.load.fluid_tables import MESSAGES, LoadTables
from clustersim.policy.load.response_times import (
    add_stationary_queue,
    histogram_quantile,
    mean_delay_probability,
    merge_and_clear,
    response_quantile,
    sustained_utilization,
)


class LoadSampleRow(Record):
    """The load columns of a `service_series` row, by their public names; NaN is null."""

    cpu_utilization: Float64
    memory_utilization: Float64
    request_count: Float64
    request_count_per_target: Float64
    failed_request_count: Float64
    response_time_p50_s: Float64
    response_time_p90_s: Float64
    response_time_p99_s: Float64
    queue_depth: Float64
    oldest_message_age_s: Float64


@kernel
def _uncongested_queue(row: Any) -> tuple[float, float, float]:
    """Return the M/M/c queue of a backend without a backlog: probability of a delay, service rate, drain rate.

    Rates are per second.
    """
    service_rate = 1.0 / row.service_s
    completions = row.uncongested_task_s * row.rate_per_task
    servers = row.uncongested_task_s / row.uncongested_s * max(row.vcpu, 1.0)
    offered = min(row.uncongested_requests / completions, 1.0)
    utilization = sustained_utilization(servers, offered, completions)
    delayed = mean_delay_probability(servers, utilization)
    return delayed, service_rate, completions / row.uncongested_s * (1.0 - utilization)


@kernel
def _add_backend(row: Any, histogram: np.ndarray, sample: Any, is_only: bool) -> None:
    """Add a backend's uncongested requests to the histogram of its flow; the percentiles are exact if it `is_only`."""
    if row.uncongested_requests <= 0.0 or row.uncongested_task_s <= 0.0:
        return
    if row.cpu_time_s <= 0.0:
        histogram[0] += row.uncongested_requests
        return
    delayed, service_rate, drain_rate = _uncongested_queue(row)
    add_stationary_queue(histogram, row.uncongested_requests, delayed, service_rate, drain_rate)
    if is_only:
        sample.response_time_p50_s = response_quantile(0.50, delayed, service_rate, drain_rate)
        sample.response_time_p90_s = response_quantile(0.90, delayed, service_rate, drain_rate)
        sample.response_time_p99_s = response_quantile(0.99, delayed, service_rate, drain_rate)


@kernel
def _response_times(load: LoadTables, index: int, sample: Any) -> None:
    """Set the percentiles of a sample.

    In closed form if one backend answered without a backlog, else from the histogram.
    """
    histogram = load.histograms[index]
    active_backends = 0
    congested = False
    b = load.flows[index].first
    while b >= 0:
        row = load.backends[b]
        active_backends += int(row.uncongested_requests > 0.0)
        congested = congested or row.congested_requests > 0.0
        b = row.next
    b = load.flows[index].first
    while b >= 0:
        row = load.backends[b]
        _add_backend(row, histogram, sample, active_backends == 1 and not congested)
        row.uncongested_requests = row.uncongested_s = row.uncongested_task_s = row.congested_requests = 0.0
        b = row.next
    if np.isnan(sample.response_time_p50_s):
        sample.response_time_p50_s = histogram_quantile(histogram, 0.50)
        sample.response_time_p90_s = histogram_quantile(histogram, 0.90)
        sample.response_time_p99_s = histogram_quantile(histogram, 0.99)


@kernel_entry
def close_sample(load: LoadTables, samples: Table[LoadSampleRow]) -> None:
    """Fill `samples` (one per service) for the interval since the last call, and start the next one.

    The histograms are added to `run_histograms`. Services without load are not changed. Queue depth and age are those
    at the start of the interval.
    """
    for index in range(load.flows.size):
        flow = load.flows[index]
        sample = samples[flow.service]
        sample.cpu_utilization = flow.sum_cpu / flow.sum_weight if flow.sum_weight > 0.0 else np.nan
        sample.memory_utilization = flow.sum_memory / flow.sum_weight if flow.sum_weight > 0.0 else np.nan
        sample.request_count = flow.sum_requests
        sample.failed_request_count = flow.sum_failed
        sample.request_count_per_target = flow.sum_per_target if flow.sum_weight > 0.0 else np.nan
        sample.response_time_p50_s = sample.response_time_p90_s = sample.response_time_p99_s = np.nan
        if flow.kind == MESSAGES:
            sample.queue_depth = flow.opening_backlog
            sample.oldest_message_age_s = flow.opening_age_s
        else:
            _response_times(load, index, sample)
            merge_and_clear(load.histograms[index], load.run_histograms[index])
        flow.opening_backlog = flow.backlog
        flow.opening_age_s = flow.oldest_age_s
        flow.sum_requests = flow.sum_failed = flow.sum_per_target = 0.0
        flow.sum_weight = flow.sum_cpu = flow.sum_memory = 0.0


@kernel_entry
def run_quantile(load: LoadTables, index: int, share: float) -> float:
    """Return the response time (s) that `share` of a flow's requests in all closed samples do not exceed; NaN: none."""
    return float(histogram_quantile(load.run_histograms[index], share))
