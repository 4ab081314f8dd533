"""Samples of the load: utilisations, counts and response times over an interval of metric periods.

Decides how the sums of `policy.load.fluid_model` become one row of `service_series`, and the response times of the
whole run. It must not know the clock. `control.load.traffic` calls it when the series sampler requests a sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.engine.compiled import inlined, kernel, kernel_entry
from clustersim.engine.records import Float64, Record, Table
from clustersim.policy.load.fluid_tables import MESSAGES, LoadTables
from clustersim.policy.load.response_curves import P50, P90, P99, congestion_of, response_quantiles
from clustersim.policy.load.response_times import (
    add_quantiles,
    histogram_quantile,
    merge_and_clear,
    share_within,
)

_NS_PER_SECOND = 1e9


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
    messages_in_flight: Float64


@inlined
def _rounded(seconds: float) -> float:
    """Return a time to the nanosecond, so that no library's exponential can be told from another's."""
    return float(np.floor(seconds * _NS_PER_SECOND + 0.5) / _NS_PER_SECOND)


@kernel
def _add_backend(load: LoadTables, index: int, histogram: np.ndarray, sample: Any, is_only: bool) -> None:
    """Add a backend's uncongested requests to the histogram of its flow; the percentiles are those of the curve if it
    `is_only`.
    """
    row = load.backends[index]
    requests = row.uncongested_requests
    if requests <= 0.0:
        return
    quantiles = load.service_quantiles[index]
    congestion = 1.0
    if row.cpu_time_s > 0.0:
        utilization = row.sum_utilization / requests
        congestion = congestion_of(row.routing, row.capacity_vcpu, utilization)
    response_quantiles(load.curves[index], quantiles, congestion, row, load.times_s)
    add_quantiles(histogram, requests, load.times_s)
    if is_only:
        sample.response_time_p50_s = load.times_s[P50]
        sample.response_time_p90_s = load.times_s[P90]
        sample.response_time_p99_s = load.times_s[P99]


@kernel
def _response_times(load: LoadTables, index: int, sample: Any) -> None:
    """Set the percentiles of a sample.

    They are those of the curve if one backend answered without a backlog, else of the histogram.
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
        _add_backend(load, b, histogram, sample, active_backends == 1 and not congested)
        row.uncongested_requests = row.sum_utilization = row.congested_requests = 0.0
        b = row.next
    if np.isnan(sample.response_time_p50_s):
        sample.response_time_p50_s = histogram_quantile(histogram, 0.50)
        sample.response_time_p90_s = histogram_quantile(histogram, 0.90)
        sample.response_time_p99_s = histogram_quantile(histogram, 0.99)
    sample.response_time_p50_s = _rounded(sample.response_time_p50_s)
    sample.response_time_p90_s = _rounded(sample.response_time_p90_s)
    sample.response_time_p99_s = _rounded(sample.response_time_p99_s)


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
            sample.queue_depth = flow.opening_visible
            sample.messages_in_flight = flow.opening_in_flight
            sample.oldest_message_age_s = flow.opening_age_s
        else:
            _response_times(load, index, sample)
            merge_and_clear(load.histograms[index], load.run_histograms[index])
        flow.opening_visible, flow.opening_in_flight = flow.visible, flow.in_flight
        flow.opening_age_s = flow.oldest_age_s
        flow.sum_requests = flow.sum_failed = flow.sum_per_target = 0.0
        flow.sum_weight = flow.sum_cpu = flow.sum_memory = 0.0


@kernel_entry
def run_quantile(load: LoadTables, index: int, share: float) -> float:
    """Return the response time (s) that `share` of a flow's requests in all closed samples do not exceed; NaN: none."""
    return _rounded(histogram_quantile(load.run_histograms[index], share))


@kernel_entry
def run_share_within(load: LoadTables, index: int, seconds: float) -> float:
    """Return the share of a flow's requests in all closed samples with a response time of at most `seconds`."""
    return float(share_within(load.run_histograms[index], seconds))
