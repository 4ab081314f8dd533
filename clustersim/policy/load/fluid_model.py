"""The fluid model of load: what a metric period's arrivals do to the tasks that can answer.

Decides utilisation, backlog, failures and response times of every service with load in one call per metric
period. A *flow* is what one service is asked for; a *backend* is one of its task sets, since two revisions of
a service may differ in size and in what a request costs. Knows no clock but the period's two ends, no tasks
but their task-milliseconds, no names. `control.load.traffic` owns the records and calls `tick`;
`policy.load.fluid_sampling` closes the samples.

Within a period arrival rate and capacity are constant (their means). A task answers requests with its
reserved CPU and no more, also on EC2, where a real container may borrow idle CPU: utilisation never exceeds
100 %. A request is one thread: a task of less than one vCPU stretches its CPU time, one of more runs that many
side by side. Utilisation is percent of what the running tasks reserve, those not yet ready included. What
`policy.load.exact_requests` simulated one by one passes through: the periods and samples are the same.

Requests (each backend first come, first served by its ready tasks together)
  share           by targets, as a load balancer deals them out (hung targets included: what they get fails),
                  or by the weights of a deployment that shifts traffic
  served          min(backlog + arrivals, capacity: ready task-seconds x vCPU per task / CPU time per request)
  backlog         what is left; it waits backlog / capacity rate, and what would wait longer than the timeout
                  fails at once; with no ready task in the period everything in it fails
  response time   while there is a backlog: its delay plus an exponential service time; else M/M/c
  concurrency     in service by Little's law, plus the mean backlog, plus the M/M/c queue (Sakasegawa)
  memory          base of each running task, and more for each request in it (in service or waiting); what a
                  task that answers uses beyond its limit gets it killed (`control.load.oom_kills`), so no more counts
  denied          a share of what is answered fails where the task role does not allow a call
Messages (of one queue, which all backends work off; they fail only where a call is denied)
  capacity        ready task-seconds x concurrency / processing time, or what the CPU allows if that is less
  CPU             served x CPU time where a CPU time is given, else the busy share of the workers
  oldest message  exact: a second reader of the demand follows what has been served

Conservation: arrivals = served + failed + change of backlog, in every period.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np

from clustersim.engine.compiled import Array, kernel, kernel_entry
from clustersim.policy.load.fluid_tables import EXACT, MESSAGES, REQUESTS, Load
from clustersim.policy.load.load_series import advance_by, advance_to
from clustersim.policy.load.response_times import add_ramp, queue_length
from clustersim.policy.load.traffic_shares import begin_period, capacity_of, share_of

Times = Annotated[Array, np.int64, 2]
"""[3, task set]: task-milliseconds of each so far: running, able to answer, asked but no longer able."""

# A task that runs but cannot answer yet has a datapoint (of 0 %) but next to no weight in a longer mean.
_NO_WEIGHT = 1e-9


@kernel_entry
def derive(load: Load, index: int) -> None:
    """Set `pace` and `service_s` of a backend; to be called when its row has been filled."""
    row = load.backends[index]
    row.pace = row.vcpu / row.cpu_time_s if row.cpu_time_s > 0.0 else np.inf
    row.service_s = row.cpu_time_s / min(row.vcpu, 1.0)
    if load.flows[row.flow].kind == MESSAGES and row.processing_s > 0.0:
        row.pace = min(row.pace, row.concurrency / row.processing_s)
        row.service_s = max(row.service_s, row.processing_s)


@kernel
def _flow_requests(
    row: Any, timeout_s: float, histogram: np.ndarray, arrivals: float, ready_s: float, period_s: float
) -> float:
    """Serve one period of a backend's requests; returns the mean backlog over it (requests)."""
    capacity = capacity_of(row, ready_s)
    if capacity <= 0.0:
        row.failed = row.backlog + arrivals
        row.served = 0.0
        row.backlog = 0.0
        return 0.0
    rate = capacity / period_s
    limit = rate * timeout_s
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


@kernel
def _stochastic_queue(row: Any, ready_s: float, period_s: float) -> float:
    """Mean waiting requests of the M/M/c queue of this period, no more than chance piles up in it."""
    capacity = capacity_of(row, ready_s)
    if capacity <= 0.0 or row.served <= 0.0 or not math.isfinite(capacity):
        return 0.0
    bound = math.sqrt(capacity)
    utilization = row.served / capacity
    if utilization >= 1.0:
        return bound
    return min(queue_length(ready_s / period_s * max(row.vcpu, 1.0), utilization), bound)


@kernel
def _use(
    sums: Any, kind: int, row: Any, running_s: float, ready_s: float, period_s: float, waiting: float
) -> None:
    """Add what a backend used and reserved in the period to the sums of its flow, which is of `kind`."""
    busy = row.served * row.cpu_time_s
    reserved = running_s * row.vcpu
    if kind == MESSAGES and row.cpu_time_s <= 0.0:
        busy = row.served * row.processing_s
        reserved = running_s * row.concurrency
    inside = row.served * row.service_s / period_s
    if kind == EXACT:
        busy, inside = row.busy_s, row.inside_s / period_s
        sums.inside += row.response_s / period_s
    elif kind == REQUESTS:
        inside += waiting + _stochastic_queue(row, ready_s, period_s)
        sums.inside += inside
    used = row.memory_base_mib * running_s + row.memory_per_request_mib * inside * period_s
    row.memory_use_mib = np.nan
    if ready_s > 0.0:
        row.memory_use_mib = row.memory_base_mib + row.memory_per_request_mib * inside * period_s / ready_s
    most = row.memory_limit_mib if row.memory_limit_mib > 0.0 else row.memory_mib
    sums.running_s += running_s
    sums.busy += min(busy, reserved)
    sums.reserved += reserved
    sums.memory_used += min(used, most * running_s)
    sums.denied += row.denied if kind == EXACT else row.served * row.failing
    sums.memory_reserved += running_s * row.memory_mib
    row.cpu_utilization = 100.0 * min(busy / reserved, 1.0) if reserved > 0.0 else np.nan


@kernel
def _answer(
    flow: Any, row: Any, histogram: np.ndarray, share: float, ready_s: float, hung_s: float, period_s: float
) -> float:
    """One period of a backend's requests; what goes to hung targets is lost. Returns its mean backlog."""
    row.share = share
    row.requests = flow.requests * share
    lost = row.requests * hung_s / (ready_s + hung_s) if hung_s > 0.0 else 0.0
    waiting = _flow_requests(row, flow.timeout_s, histogram, row.requests - lost, ready_s, period_s)
    row.failed += lost
    flow.served += row.served
    flow.failed += row.failed
    flow.backlog += row.backlog
    return waiting


@kernel
def _work_off(load: Load, index: int, to_ms: float) -> None:
    """Serve one period of a flow's messages, oldest first, and find the age of the oldest left."""
    flow = load.flows[index]
    offered = flow.backlog + flow.requests
    flow.served = min(offered, load.sums[0].capacity)
    flow.backlog = offered - flow.served
    head = load.readers[index, 1]
    if flow.backlog > 0.0:
        advance_by(head, load.times, load.rates, flow.served, to_ms)
    else:
        advance_to(head, load.times, load.rates, to_ms)
    flow.oldest_age_s = (to_ms - head.at_ms) / 1_000.0


@kernel
def _take_part(flow: Any, sums: Any, row: Any, ready_s: float) -> None:
    """A backend's part of the messages that its flow served: by its capacity."""
    if math.isfinite(sums.capacity):
        row.share = capacity_of(row, ready_s) / sums.capacity if sums.capacity > 0.0 else 0.0
    else:
        row.share = ready_s / sums.targets_s
    row.requests = row.served = flow.served * row.share


@kernel
def _add_exact(flow: Any, row: Any) -> None:
    """A backend's part of the requests that `policy.load.exact_requests` simulated one by one."""
    flow.requests += row.requests
    flow.served += row.served
    flow.failed += row.failed
    flow.backlog += row.backlog


@kernel
def _end(flow: Any, sums: Any, period_s: float) -> None:
    """Close the period of a flow: its metrics, and its part of the sample."""
    flow.cpu_utilization = flow.memory_utilization = flow.per_target = flow.response_s = np.nan
    if flow.kind != MESSAGES and flow.served > 0.0:
        flow.response_s = sums.inside * period_s / flow.served
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


@kernel_entry
def elapse(load: Load, times: Times) -> None:
    """Write what has been added to the times of the task sets since the last call into `load.passed`."""
    for b in range(load.set_of.size):
        row = load.set_of[b]
        for kind in range(3):
            total = times[kind, row] if row >= 0 else load.seen[kind, b]
            load.passed[kind, b] = total - load.seen[kind, b]
            load.seen[kind, b] = total


@kernel_entry
def tick(load: Load, from_ms: int, to_ms: int) -> None:
    """Carry all load from one instant to a later one (ms); `load.passed` and `load.weights` are of that period."""
    period_s = (to_ms - from_ms) / 1_000.0
    sums = load.sums[0]
    for index in range(load.flows.size):
        flow = load.flows[index]
        begin_period(load, index, float(to_ms))
        if flow.kind == MESSAGES:
            _work_off(load, index, float(to_ms))
        else:
            flow.backlog = 0.0
        if flow.kind == EXACT:
            flow.requests = flow.failed = flow.refused
        b = flow.first
        while b >= 0:
            row = load.backends[b]
            ready_s, hung_s = load.passed[1, b] / 1_000.0, load.passed[2, b] / 1_000.0
            waiting = 0.0
            if flow.kind == MESSAGES:
                _take_part(flow, sums, row, ready_s)
            elif flow.kind == EXACT:
                _add_exact(flow, row)
            else:
                share = share_of(sums, flow.first == b, b, load.weights[b], ready_s + hung_s)
                waiting = _answer(flow, row, load.histograms[index], share, ready_s, hung_s, period_s)
            _use(sums, flow.kind, row, load.passed[0, b] / 1_000.0, ready_s, period_s, waiting)
            b = row.next
        _end(flow, sums, period_s)
