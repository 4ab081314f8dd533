"""An SQS queue and its workers: messages that wait, are in flight, and come back from workers that were lost.

Decides how many messages of a flow are received and deleted in a metric period, and what a worker that ends leaves
behind. It must not know the clock. `policy.load.fluid_model` calls it; `traffic_shares.begin_period` has added up the
workers and their capacity.

  in flight     a message that a worker has received and not deleted. While messages wait, every worker has one; else
                they are as many as the arrival rate times the processing time (Little's law)
  deleted       what arrives or waits and is not in flight at the end, at most the capacity of the period
  work          a message in flight has had half of its work on average; work beyond the capacity is carried over
  lost worker   of tasks that are no longer ready, the busy ones lose what they cannot finish before they exit; those
                messages are hidden until the visibility timeout is over, wait again, and are processed, and paid, anew
  oldest        of the messages that are not deleted, in flight or not; a second reader of the demand follows deletions

Conservation: arrivals = deleted + change of (visible + in flight + hidden), in every period.
"""

from __future__ import annotations

import math
from typing import Any

from clustersim.engine.compiled import kernel
from clustersim.policy.load.fluid_tables import LoadTables
from clustersim.policy.load.load_series import advance_by, advance_to
from clustersim.policy.load.traffic_shares import backend_capacity


@kernel
def add_workers(flow: Any, sums: Any, row: Any, ready_s: float, period_s: float) -> None:
    """Add the workers of a backend to the sums of its flow, and what the backend has lost since the last period."""
    workers = ready_s / period_s * row.concurrency
    gone = max(row.workers - workers, 0.0)
    if gone > 0.0 and flow.workers > 0.0:
        finishing = min(row.stop_s / row.service_s, 1.0) if row.service_s > 0.0 else 1.0
        sums.interrupted += flow.in_work * min(gone / flow.workers, 1.0) * (1.0 - finishing)
    row.workers = workers
    sums.workers += workers


@kernel
def serve_messages(load: LoadTables, index: int, to_ms: float, period_s: float) -> None:
    """Serve one period of a flow's messages, oldest first, and compute the age of the oldest one left."""
    flow, sums = load.flows[index], load.sums[0]
    capacity = sums.capacity
    interrupted = min(sums.interrupted, flow.in_work)
    returned = (
        flow.hidden * min(period_s / flow.visibility_s, 1.0) if flow.visibility_s > 0.0 else flow.hidden
    )
    before = flow.in_work - interrupted
    flow.hidden += interrupted - returned
    offered = flow.visible + before + returned + flow.requests
    at_work = 0.0
    if capacity > 0.0 and math.isfinite(capacity):
        at_work = min((flow.requests + returned) * sums.workers / capacity, sums.workers)
    flow.served = min(max(offered - at_work, 0.0), capacity)
    left = offered - flow.served
    flow.in_work = min(left, sums.workers)
    flow.visible = left - flow.in_work
    flow.workers = sums.workers
    work = max(flow.served + 0.5 * (flow.in_work - before) + flow.carried, 0.0)
    flow.worked = min(work, capacity)
    flow.carried = work - flow.worked if flow.in_work > 0.0 else 0.0
    flow.in_flight = flow.in_work + flow.hidden
    flow.backlog = flow.visible + flow.in_flight
    head = load.readers[index, 1]
    if flow.backlog > 0.0:
        advance_by(head, load.times, load.rates, flow.served, to_ms)
    else:
        advance_to(head, load.times, load.rates, to_ms)
    flow.oldest_age_s = (to_ms - head.at_ms) / 1_000.0


@kernel
def assign_messages(flow: Any, sums: Any, row: Any, ready_s: float) -> None:
    """Assign a backend its part of the flow's work and deletions, in proportion to its capacity."""
    if math.isfinite(sums.capacity):
        row.share = backend_capacity(row, ready_s) / sums.capacity if sums.capacity > 0.0 else 0.0
    else:
        row.share = ready_s / sums.targets_s
    row.requests = row.served = flow.served * row.share
    row.worked = flow.worked * row.share
