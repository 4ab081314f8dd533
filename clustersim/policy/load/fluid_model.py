"""The fluid model of load: the effect of a metric period's arrivals on the tasks that can answer.

Decides utilisation, backlog, failures and response times of every service with load, in one call per metric period. A
*flow* is the demand on one service; a *backend* is one of its task sets, as two revisions of a service may differ in
size and in the cost of a request. The model must not know the clock except for the ends of the period, tasks except for
their task-milliseconds, or names. `control.load.traffic` owns the records and calls `advance_load`;
`policy.load.fluid_sampling` closes the samples.

Within a period, arrival rate and capacity are constant (their means). A task answers requests with the CPU that
`LoadTables.capacities` gives it, all of them at once (processor sharing): one request can use one vCPU at most.
Utilisation is a percentage of the reservation of all running tasks, including those that are not ready yet. The
results of `policy.load.exact_requests` pass through unchanged: periods and samples are the same.

Requests (all that a backend has not served are its backlog)
  share           proportional to targets, as a load balancer distributes requests (including hung targets, whose
                  requests fail), or by the weights of a deployment that shifts traffic
  served          min(backlog + arrivals, capacity: ready task-seconds x vCPU per task / CPU time per request)
  backlog         the rest; a request of the mean CPU time takes backlog / capacity rate, and requests that would take
                  longer than the timeout fail at once; without a ready task in the period all of them fail
  response time   with a backlog: that time, in proportion to the request's CPU time, up to the timeout; else that of
                  `policy.load.response_curves` at the utilisation that `policy.load.random_queues` finds
  concurrency     at work by Little's law, plus the mean backlog, plus the random queue
  memory          a base of each running task, and more for each request in it; a task that answers is killed when it
                  exceeds its limit (`control.load.oom_kills`), so no more than that counts
  denied          a share of the answered requests fails if the task role does not allow a call
Messages (of one queue, which all backends consume; they fail only if a call is denied; `policy.load.message_queue`)
  capacity        ready task-seconds x concurrency / processing time, or the limit by CPU if that is less
  CPU             work done x CPU time if a CPU time is given, else the busy share of the workers

Conservation: arrivals = served + failed + change of backlog, in every period.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.engine.records import Array
from clustersim.policy.load.fluid_tables import EXACT, MESSAGES, REQUESTS, LoadTables
from clustersim.policy.load.message_queue import add_workers, assign_messages, serve_messages
from clustersim.policy.load.random_queues import settle_queue
from clustersim.policy.load.response_curves import build_curve, response_quantiles
from clustersim.policy.load.response_times import add_quantiles
from clustersim.policy.load.traffic_shares import backend_capacity, begin_period, traffic_share

Times = Annotated[Array, np.int64, 2]
"""[3, task set]: total task-milliseconds: running, able to answer, and still receiving requests but hung."""

# A task that runs but cannot answer yet has a datapoint (of 0 %) with a negligible weight in a longer mean.
_NO_WEIGHT = 1e-9


_LEAST_VCPU = 1e-6
_RAMP_PARTS = 4  # distributions that stand for the requests of a backlog that rises or falls


@kernel
def derive_rates(load: LoadTables, index: int) -> None:
    """Compute `rate_per_task`, `service_s` and `delay_s` of a backend for the capacity of its tasks."""
    row = load.backends[index]
    row.capacity_vcpu = max(load.capacities[index], _LEAST_VCPU)
    row.rate_per_task = row.capacity_vcpu / row.cpu_time_s if row.cpu_time_s > 0.0 else np.inf
    row.service_s = row.cpu_time_s / min(row.capacity_vcpu, 1.0)
    row.delay_s = max(row.wait_s + row.cpu_time_s - row.cpu_time_s / min(row.vcpu, 1.0), 0.0)
    if load.flows[row.flow].kind == MESSAGES and row.processing_s > 0.0:
        row.rate_per_task = min(row.rate_per_task, row.concurrency / row.processing_s)
        row.service_s = max(row.service_s, row.processing_s)


@kernel
def _update_curve(load: LoadTables, index: int, tasks: float) -> None:
    """Build the response curve of a backend anew if its tasks or its arrivals have changed."""
    row = load.backends[index]
    # Requests that are drawn for a task set by weight are less bursty than all of them.
    burstiness = 1.0 + (load.flows[row.flow].burstiness - 1.0) * min(row.share, 1.0)
    if (
        tasks == row.curve_tasks
        and row.capacity_vcpu == row.curve_vcpu
        and burstiness == row.curve_burstiness
    ):
        return
    row.curve_tasks, row.curve_vcpu, row.curve_burstiness = tasks, row.capacity_vcpu, burstiness
    quantiles = load.service_quantiles[index]
    build_curve(
        load.response_table,
        load.curves[index],
        quantiles,
        row.routing,
        tasks,
        row.capacity_vcpu,
        row.service_cv2,
        burstiness,
    )


@kernel
def _serve_uncongested(
    load: LoadTables, index: int, requests: float, ready_s: float, period_s: float
) -> None:
    """Count requests that met no backlog, in the part of a period that has `ready_s`, and move the random queue."""
    row = load.backends[index]
    row.uncongested_requests += requests
    if row.cpu_time_s <= 0.0:
        return
    _update_curve(load, index, ready_s / period_s)
    servers = ready_s / period_s * max(row.capacity_vcpu, 1.0)
    utilization = settle_queue(load.curves[index], row, requests, backend_capacity(row, ready_s), servers)
    row.sum_utilization += requests * utilization


@kernel
def _add_backlog_times(
    load: LoadTables, index: int, histogram: np.ndarray, requests: float, first_s: float, last_s: float
) -> None:
    """Add `requests` that meet a backlog: a request of the mean CPU time takes `first_s` to `last_s` more."""
    row = load.backends[index]
    alone_s = row.service_s
    timeout_s = load.flows[row.flow].timeout_s
    parts = 1 if first_s == last_s else _RAMP_PARTS
    for part in range(parts):
        row.service_s = alone_s + first_s + (last_s - first_s) * (part + 0.5) / parts
        response_quantiles(load.curves[index], load.service_quantiles[index], 1.0, row, load.times_s)
        for level in range(load.times_s.size):
            load.times_s[level] = min(load.times_s[level], max(timeout_s, alone_s + row.delay_s))
        add_quantiles(histogram, requests / parts, load.times_s)
    row.service_s = alone_s
    row.congested_requests += requests


@kernel
def _serve_backend(
    load: LoadTables, index: int, histogram: np.ndarray, arrivals: float, ready_s: float, period_s: float
) -> float:
    """Serve one period of a backend's requests; return its mean backlog (requests)."""
    row = load.backends[index]
    capacity = backend_capacity(row, ready_s)
    if capacity <= 0.0:
        row.failed = row.backlog + arrivals
        row.served = 0.0
        row.backlog = row.queue = 0.0
        return 0.0
    rate = capacity / period_s
    limit = rate * load.flows[row.flow].timeout_s
    before = min(row.backlog, limit)
    row.failed = row.backlog - before
    row.served = min(before + arrivals, capacity)
    after = max(before + arrivals - row.served, 0.0)
    if after > limit:
        row.failed += after - limit
        after = limit
    row.backlog = after
    if before <= 0.0 and after <= 0.0:
        _serve_uncongested(load, index, arrivals, ready_s, period_s)
        return 0.0
    _update_curve(load, index, ready_s / period_s)
    # The backlog rises or falls linearly until it reaches a bound (0 or that of the timeout), then stays there.
    slope = arrivals / period_s - rate
    ramp_s = period_s
    if slope != 0.0:
        ramp_s = min(period_s, abs(after - before) / abs(slope))
    share = ramp_s / period_s
    _add_backlog_times(load, index, histogram, arrivals * share, before / rate, after / rate)
    if after > 0.0:
        flat = min(arrivals, capacity) * (1.0 - share)
        _add_backlog_times(load, index, histogram, flat, after / rate, after / rate)
    elif share < 1.0:
        _serve_uncongested(load, index, arrivals * (1.0 - share), ready_s * (1.0 - share), period_s - ramp_s)
    return float(0.5 * (before + after) * share + after * (1.0 - share))


@kernel
def _add_usage(
    sums: Any, kind: int, row: Any, running_s: float, ready_s: float, period_s: float, mean_backlog: float
) -> None:
    """Add what a backend used and reserved in the period to the sums of its flow, which is of `kind`."""
    done = row.worked if kind == MESSAGES else row.served
    busy = done * row.cpu_time_s
    reserved = running_s * row.vcpu
    if kind == MESSAGES and row.cpu_time_s <= 0.0:
        busy = done * row.processing_s
        reserved = running_s * row.concurrency
    in_system = done * row.service_s / period_s
    if kind == EXACT:
        busy, in_system = row.busy_s, row.in_system_s / period_s
        sums.in_system += row.response_s / period_s
    elif kind == REQUESTS:
        in_system += row.served * row.delay_s / period_s + mean_backlog + row.queue
        sums.in_system += in_system
    used = row.memory_base_mib * running_s + row.memory_per_request_mib * in_system * period_s
    row.memory_use_mib = np.nan
    if ready_s > 0.0:
        row.memory_use_mib = row.memory_base_mib + row.memory_per_request_mib * in_system * period_s / ready_s
    most = row.memory_limit_mib if row.memory_limit_mib > 0.0 else row.memory_mib
    sums.running_s += running_s
    sums.busy += min(busy, reserved)
    sums.reserved += reserved
    sums.memory_used += min(used, most * running_s)
    sums.denied += row.denied if kind == EXACT else row.served * row.denied_share
    sums.memory_reserved += running_s * row.memory_mib
    row.cpu_utilization = 100.0 * min(busy / reserved, 1.0) if reserved > 0.0 else np.nan


@kernel
def _serve_requests(
    load: LoadTables,
    flow_index: int,
    index: int,
    share: float,
    ready_s: float,
    hung_s: float,
    period_s: float,
) -> float:
    """Serve one period of a backend; requests to hung targets fail. Return its mean backlog."""
    flow, row = load.flows[flow_index], load.backends[index]
    row.share = share
    row.requests = flow.requests * share
    lost = row.requests * hung_s / (ready_s + hung_s) if hung_s > 0.0 else 0.0
    histogram = load.histograms[flow_index]
    mean_backlog = _serve_backend(load, index, histogram, row.requests - lost, ready_s, period_s)
    row.failed += lost
    flow.served += row.served
    flow.failed += row.failed
    flow.backlog += row.backlog
    return mean_backlog


@kernel
def _add_exact(flow: Any, row: Any) -> None:
    """Add a backend's requests that `policy.load.exact_requests` simulated to its flow."""
    flow.requests += row.requests
    flow.served += row.served
    flow.failed += row.failed
    flow.backlog += row.backlog


@kernel
def _close_flow(flow: Any, sums: Any, period_s: float) -> None:
    """Close the period of a flow: compute its metrics, and add it to the sample."""
    flow.cpu_utilization = flow.memory_utilization = flow.per_target = flow.response_s = np.nan
    if flow.kind != MESSAGES and flow.served > 0.0:
        flow.response_s = sums.in_system * period_s / flow.served
    flow.served -= sums.denied
    flow.failed += sums.denied
    if sums.running_s > 0.0:
        flow.cpu_utilization = 100.0 * min(sums.busy / sums.reserved, 1.0)
        flow.memory_utilization = 100.0 * sums.memory_used / sums.memory_reserved
        weight = sums.running_s + _NO_WEIGHT
        flow.sum_weight += weight
        flow.sum_cpu += weight * flow.cpu_utilization
        flow.sum_memory += weight * flow.memory_utilization
    if sums.targets_s > 0.0:
        flow.per_target = flow.requests / (sums.targets_s / period_s)
        flow.sum_per_target += flow.per_target
    flow.sum_requests += flow.requests
    flow.sum_failed += flow.failed
    flow.total_requests += flow.requests
    flow.total_failed += flow.failed


@kernel
def _add_all_workers(load: LoadTables, index: int, period_s: float) -> None:
    """Add up the workers of a flow of messages."""
    flow, sums = load.flows[index], load.sums[0]
    b = flow.first
    while b >= 0:
        add_workers(flow, sums, load.backends[b], load.elapsed[1, b] / 1_000.0, period_s)
        b = load.backends[b].next


@kernel_entry
def record_elapsed(load: LoadTables, times: Times) -> None:
    """Write the increase of the task-set times since the last call into `load.elapsed`."""
    for b in range(load.task_sets.size):
        row = load.task_sets[b]
        for kind in range(3):
            total = times[kind, row] if row >= 0 else load.last_read[kind, b]
            load.elapsed[kind, b] = total - load.last_read[kind, b]
            load.last_read[kind, b] = total


@kernel_entry
def advance_load(load: LoadTables, from_ms: int, to_ms: int) -> None:
    """Advance all load from one instant to a later one (ms).

    `load.elapsed`, `load.weights` and `load.capacities` are those of that period.
    """
    period_s = (to_ms - from_ms) / 1_000.0
    sums = load.sums[0]
    for b in range(load.task_sets.size):
        if load.backends[b].flow >= 0 and load.capacities[b] != load.backends[b].capacity_vcpu:
            derive_rates(load, b)
    for index in range(load.flows.size):
        flow = load.flows[index]
        begin_period(load, index, float(to_ms))
        if flow.kind == MESSAGES:
            _add_all_workers(load, index, period_s)
            serve_messages(load, index, float(to_ms), period_s)
        else:
            flow.backlog = 0.0
        if flow.kind == EXACT:
            flow.requests = flow.failed = flow.refused
        b = flow.first
        while b >= 0:
            row = load.backends[b]
            ready_s, hung_s = load.elapsed[1, b] / 1_000.0, load.elapsed[2, b] / 1_000.0
            mean_backlog = 0.0
            if flow.kind == MESSAGES:
                assign_messages(flow, sums, row, ready_s)
            elif flow.kind == EXACT:
                _add_exact(flow, row)
            else:
                share = traffic_share(sums, flow.first == b, b, load.weights[b], ready_s + hung_s)
                mean_backlog = _serve_requests(load, index, b, share, ready_s, hung_s, period_s)
            _add_usage(sums, flow.kind, row, load.elapsed[0, b] / 1_000.0, ready_s, period_s, mean_backlog)
            b = row.next
        _close_flow(flow, sums, period_s)
