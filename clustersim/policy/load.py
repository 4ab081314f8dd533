"""The fluid model of load: what a metric period's arrivals do to the tasks that can answer.

Decides utilisation, backlog, failures and response times of every service with load, one record each, in one
call per metric period. Knows no clock but the period's two ends, no tasks but their ready task-milliseconds,
no names. `control.traffic` owns the records and calls `tick` and `close_sample`.

Within a period both the arrival rate and the capacity are constant (their means). A task answers requests
with its reserved CPU and no more, also on EC2, where a real container may borrow idle CPU: utilisation never
exceeds 100 %. A request is one thread: a task of less than one vCPU stretches its CPU time, one of more runs
that many requests side by side.

Requests (first come, first served by all ready tasks together)
  capacity        ready task-seconds x vCPU per task / CPU time per request
  served          min(backlog + arrivals, capacity)
  backlog         what is left; it waits backlog / capacity rate, and what would wait longer than the timeout
                  fails at once; with no ready task in the period everything in it fails
  response time   while there is a backlog: its delay plus an exponential service time; else M/M/c
  concurrency     in service by Little's law, plus the mean backlog, plus the M/M/c queue (Sakasegawa)
Messages (of a queue; they never fail)
  capacity        ready task-seconds x concurrency / processing time, or what the CPU allows if that is less
  CPU             served x CPU time where a CPU time is given, else the busy share of the workers
  oldest message  exact: a second reader of the demand follows what has been served

Conservation: arrivals = served + failed + change of backlog, in every period.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array, entry, inlined, lean
from clustersim.policy.demand import CURSOR, advance_by, advance_to
from clustersim.policy.response import (
    add_ramp,
    add_stationary,
    histogram_quantile,
    mean_delay_probability,
    pour,
    queue_length,
    response_quantile,
    sustained_utilization,
)

REQUESTS, MESSAGES = range(2)

LOAD = np.dtype(
    [
        # what the service is; fixed but for `resize`
        ("service", np.int64),  # position of the service in `running` and `ready_ms`
        ("kind", np.int64),  # REQUESTS or MESSAGES
        ("vcpu", np.float64),  # reserved per task
        ("memory_mib", np.float64),  # reserved per task
        ("cpu_time_s", np.float64),  # of one vCPU, per request or message
        ("memory_base_mib", np.float64),
        ("memory_per_request_mib", np.float64),
        ("timeout_s", np.float64),
        ("processing_s", np.float64),
        ("concurrency", np.float64),  # messages a task works on at a time
        # what follows from the above, by `derive`
        ("pace", np.float64),  # requests or messages per ready task-second; infinite where they cost nothing
        ("service_s", np.float64),  # one alone in a task
        # the state and the metrics of the period that just ended; NaN: no datapoint
        ("backlog", np.float64),
        ("served", np.float64),
        ("requests", np.float64),
        ("failed", np.float64),
        ("cpu_utilization", np.float64),  # percent of reserved
        ("memory_utilization", np.float64),
        ("per_target", np.float64),  # requests per ready task
        ("oldest_age_s", np.float64),
        # sums since the last sample
        ("sum_requests", np.float64),
        ("sum_failed", np.float64),
        ("sum_per_target", np.float64),
        ("sum_weight", np.float64),  # ready task-seconds, the weight of the utilisations
        ("sum_cpu", np.float64),
        ("sum_memory", np.float64),
        ("calm_requests", np.float64),  # of the stretches without a backlog
        ("calm_s", np.float64),
        ("calm_task_s", np.float64),
        ("congested_requests", np.float64),
        ("opening_backlog", np.float64),  # as of the sample's first instant
        ("opening_age_s", np.float64),
        # sums since `begin_summary`
        ("total_requests", np.float64),
        ("total_failed", np.float64),
    ],
    align=True,
)

SAMPLE = np.dtype(
    [
        ("cpu_utilization", np.float64),
        ("memory_utilization", np.float64),
        ("request_count", np.float64),
        ("request_count_per_target", np.float64),
        ("failed_request_count", np.float64),
        ("response_time_p50_s", np.float64),
        ("response_time_p90_s", np.float64),
        ("response_time_p99_s", np.float64),
        ("queue_depth", np.float64),
        ("oldest_message_age_s", np.float64),
    ],
    align=True,
)
"""The load columns of a `service_series` row, by their public names; NaN is null."""


class Flows(NamedTuple):
    """The load of all services: one row each, its readers of the demand, and the response times so far."""

    rows: Annotated[Array, LOAD, 1]
    readers: Annotated[Array, CURSOR, 2]  # [row, 2]: arrivals, head of the queue
    times: Annotated[Array, np.int64, 1]  # breakpoints of all demands, ms
    rates: Annotated[Array, np.float64, 1]  # per second
    histograms: Annotated[Array, np.float64, 2]  # [row, bucket]: of the sample under way
    whole: Annotated[Array, np.float64, 2]  # [row, bucket]: of all samples closed


Counts = Annotated[Array, np.int64, 1]

# A task that runs but cannot answer yet has a datapoint (of 0 %) but next to no weight in a longer mean.
_NO_WEIGHT = 1e-9


@entry
def derive(flows: Flows, index: int) -> None:
    """Set `pace` and `service_s` of a row; to be called whenever a field that describes the service has changed."""
    row = flows.rows[index]
    row.pace = row.vcpu / row.cpu_time_s if row.cpu_time_s > 0.0 else np.inf
    row.service_s = row.cpu_time_s / min(row.vcpu, 1.0)
    if row.kind == MESSAGES and row.processing_s > 0.0:
        row.pace = min(row.pace, row.concurrency / row.processing_s)
        row.service_s = max(row.service_s, row.processing_s)


@inlined
def _capacity(row: Any, ready_s: float) -> float:
    """Requests or messages that `ready_s` task-seconds can answer."""
    return float(ready_s * row.pace) if ready_s > 0.0 else 0.0


@lean
def _flow_requests(
    row: Any, histogram: np.ndarray, arrivals: float, ready_s: float, period_s: float
) -> float:
    """Serve one period of requests; returns the mean backlog over it (requests)."""
    capacity = _capacity(row, ready_s)
    if capacity <= 0.0:
        row.failed = row.backlog + arrivals
        row.served = 0.0
        row.backlog = 0.0
        return 0.0
    rate = capacity / period_s
    limit = rate * row.timeout_s
    before = min(row.backlog, limit)
    row.failed = row.backlog - before
    row.served = min(before + arrivals, capacity)
    after = max(before + arrivals - row.served, 0.0)
    if after > limit:
        row.failed += after - limit
        after = limit
    row.backlog = after
    if before <= 0.0 and after <= 0.0:
        row.calm_requests += arrivals
        row.calm_s += period_s
        row.calm_task_s += ready_s
        return 0.0
    # The backlog rises or falls evenly until it meets a bound (0 or the timeout's), then stays there.
    slope = arrivals / period_s - rate
    ramp_s = period_s
    if slope != 0.0:
        ramp_s = min(period_s, abs(after - before) / abs(slope))
    share = ramp_s / period_s
    add_ramp(histogram, arrivals * share, before / rate, after / rate, row.service_s)
    row.congested_requests += arrivals * share
    if after > 0.0:
        flat = min(arrivals, capacity) * (1.0 - share)
        add_ramp(histogram, flat, after / rate, after / rate, row.service_s)
        row.congested_requests += flat
    else:
        row.calm_requests += arrivals * (1.0 - share)
        row.calm_s += period_s - ramp_s
        row.calm_task_s += ready_s * (1.0 - share)
    return float(0.5 * (before + after) * share + after * (1.0 - share))


@lean
def _stochastic_queue(row: Any, ready_s: float, period_s: float) -> float:
    """Mean waiting requests of the M/M/c queue of this period, no more than chance piles up in it."""
    capacity = _capacity(row, ready_s)
    if capacity <= 0.0 or row.served <= 0.0 or not math.isfinite(capacity):
        return 0.0
    bound = math.sqrt(capacity)
    utilization = row.served / capacity
    if utilization >= 1.0:
        return bound
    return min(queue_length(ready_s / period_s * max(row.vcpu, 1.0), utilization), bound)


@lean
def _utilize(row: Any, ready_s: float, period_s: float, waiting: float) -> None:
    """CPU and memory utilisation of a period with ready tasks, in percent of reserved, 100 at most."""
    tasks = ready_s / period_s
    busy = row.served * row.cpu_time_s / (ready_s * row.vcpu)
    if row.kind == MESSAGES and row.cpu_time_s <= 0.0:
        busy = row.served * row.processing_s / (ready_s * row.concurrency)
    row.cpu_utilization = 100.0 * min(busy, 1.0)
    inside = row.served * row.service_s / period_s
    if row.kind == REQUESTS and row.memory_per_request_mib > 0.0:
        inside += waiting + _stochastic_queue(row, ready_s, period_s)
    used = row.memory_base_mib + row.memory_per_request_mib * inside / tasks
    row.memory_utilization = 100.0 * min(used / row.memory_mib, 1.0)
    row.per_target = row.requests / tasks


@entry
def tick(flows: Flows, from_ms: int, to_ms: int, running: Counts, ready_ms: Counts) -> None:
    """Carry every service with load from one instant to a later one (ms).

    `running` is the count at the end of the period, `ready_ms` the integral over it of the tasks that can
    answer; both per service.
    """
    rows, readers, histograms = flows.rows, flows.readers, flows.histograms
    times, rates = flows.times, flows.rates
    now_ms = float(to_ms)
    period_s = (to_ms - from_ms) / 1_000.0
    for index in range(rows.size):
        row = rows[index]
        ready_s = ready_ms[row.service] / 1_000.0
        arrivals = advance_to(readers[index, 0], times, rates, now_ms)
        row.requests = arrivals
        waiting = 0.0
        if row.kind == REQUESTS:
            waiting = _flow_requests(row, histograms[index], arrivals, ready_s, period_s)
        else:
            offered = row.backlog + arrivals
            row.failed = 0.0
            row.served = min(offered, _capacity(row, ready_s))
            row.backlog = offered - row.served
            head = readers[index, 1]
            if row.backlog > 0.0:
                advance_by(head, times, rates, row.served, now_ms)
            else:
                advance_to(head, times, rates, now_ms)
            row.oldest_age_s = (now_ms - head.at_ms) / 1_000.0
        if ready_s > 0.0:
            _utilize(row, ready_s, period_s, waiting)
            row.sum_per_target += row.per_target
        elif running[row.service] > 0:
            row.cpu_utilization = 0.0
            row.memory_utilization = 100.0 * min(row.memory_base_mib / row.memory_mib, 1.0)
            row.per_target = np.nan
        else:
            row.cpu_utilization = np.nan
            row.memory_utilization = np.nan
            row.per_target = np.nan
        if ready_s > 0.0 or running[row.service] > 0:
            weight = ready_s + _NO_WEIGHT
            row.sum_weight += weight
            row.sum_cpu += weight * row.cpu_utilization
            row.sum_memory += weight * row.memory_utilization
        row.sum_requests += arrivals
        row.sum_failed += row.failed
        row.total_requests += arrivals
        row.total_failed += row.failed


@lean
def _response_times(row: Any, histogram: np.ndarray, sample: Any) -> None:
    """Percentiles of the sample: closed form where no backlog was met, else read from the histogram."""
    calm = row.calm_requests > 0.0 and row.calm_task_s > 0.0
    delayed = 0.0
    service_rate = np.inf
    drain_rate = np.inf
    if calm and row.cpu_time_s > 0.0:
        service_rate = 1.0 / row.service_s
        completions = row.calm_task_s * row.pace
        servers = row.calm_task_s / row.calm_s * max(row.vcpu, 1.0)
        offered = min(row.calm_requests / completions, 1.0)
        utilization = sustained_utilization(servers, offered, completions)
        delayed = mean_delay_probability(servers, utilization)
        drain_rate = completions / row.calm_s * (1.0 - utilization)
        add_stationary(histogram, row.calm_requests, delayed, service_rate, drain_rate)
    elif calm:
        histogram[0] += row.calm_requests
    if row.congested_requests > 0.0:
        sample.response_time_p50_s = histogram_quantile(histogram, 0.50)
        sample.response_time_p90_s = histogram_quantile(histogram, 0.90)
        sample.response_time_p99_s = histogram_quantile(histogram, 0.99)
    elif calm and row.cpu_time_s > 0.0:
        sample.response_time_p50_s = response_quantile(0.50, delayed, service_rate, drain_rate)
        sample.response_time_p90_s = response_quantile(0.90, delayed, service_rate, drain_rate)
        sample.response_time_p99_s = response_quantile(0.99, delayed, service_rate, drain_rate)
    elif calm:
        sample.response_time_p50_s = sample.response_time_p90_s = sample.response_time_p99_s = 0.0


@entry
def close_sample(flows: Flows, samples: Annotated[Array, SAMPLE, 1]) -> None:
    """Fill `samples` (one per service) for the interval since the last call, add it to `whole`, begin anew.

    Services without load are left as they are. Queue depth and age are those of the interval's first instant.
    """
    rows, histograms, whole = flows.rows, flows.histograms, flows.whole
    for index in range(rows.size):
        row = rows[index]
        sample = samples[row.service]
        sample.cpu_utilization = row.sum_cpu / row.sum_weight if row.sum_weight > 0.0 else np.nan
        sample.memory_utilization = row.sum_memory / row.sum_weight if row.sum_weight > 0.0 else np.nan
        sample.request_count = row.sum_requests
        sample.failed_request_count = row.sum_failed
        sample.request_count_per_target = row.sum_per_target if row.sum_weight > 0.0 else np.nan
        sample.response_time_p50_s = sample.response_time_p90_s = sample.response_time_p99_s = np.nan
        if row.kind == REQUESTS:
            _response_times(row, histograms[index], sample)
            pour(histograms[index], whole[index])
        else:
            sample.queue_depth = row.opening_backlog
            sample.oldest_message_age_s = row.opening_age_s
        row.opening_backlog = row.backlog
        row.opening_age_s = row.oldest_age_s
        row.sum_requests = row.sum_failed = row.sum_per_target = 0.0
        row.sum_weight = row.sum_cpu = row.sum_memory = 0.0
        row.calm_requests = row.calm_s = row.calm_task_s = row.congested_requests = 0.0


@entry
def whole_quantile(flows: Flows, index: int, share: float) -> float:
    """The response time (s) that `share` of a row's requests did not exceed, over all samples closed; NaN: none."""
    return float(histogram_quantile(flows.whole[index], share))
