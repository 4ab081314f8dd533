"""What is known of load: a record per service and per task set that answers it, and the arrays beside them.

Declares, and decides nothing: `policy.load.fluid_model` carries it through a metric period,
`policy.load.fluid_sampling` closes samples of it, `control.load.traffic` owns it. A *flow* is what one service is
asked for; a *backend* is one of its task sets.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.policy.load.load_series import CURSOR

REQUESTS, MESSAGES, EXACT = range(3)  # EXACT: what came of each request is written in before `tick`
BY_TARGETS = -1.0
"""The weight of a backend whose share of the requests is that of its targets."""

FLOW = np.dtype(
    [
        ("service", np.int64),
        ("kind", np.int64),  # REQUESTS, MESSAGES or EXACT
        ("first", np.int64),  # its backends are a list; the first is that of the newest task set
        ("timeout_s", np.float64),
        # the state and the metrics of the period that just ended; NaN: no datapoint
        ("backlog", np.float64),
        ("served", np.float64),
        ("requests", np.float64),
        ("failed", np.float64),
        ("cpu_utilization", np.float64),  # percent of reserved
        ("memory_utilization", np.float64),
        ("per_target", np.float64),  # requests per target
        ("oldest_age_s", np.float64),
        ("response_s", np.float64),  # mean
        ("refused", np.float64),  # EXACT: nobody was there to be asked
        # sums since the last sample
        ("sum_requests", np.float64),
        ("sum_failed", np.float64),
        ("sum_per_target", np.float64),
        ("sum_weight", np.float64),  # running task-seconds, the weight of the utilisations
        ("sum_cpu", np.float64),
        ("sum_memory", np.float64),
        ("opening_backlog", np.float64),  # as of the sample's first instant
        ("opening_age_s", np.float64),
        ("total_requests", np.float64),  # since `begin_summary`
        ("total_failed", np.float64),
    ],
    align=True,
)

BACKEND = np.dtype(
    [
        # what the task set is; fixed
        ("flow", np.int64),  # -1: the row is free
        ("next", np.int64),  # of the same flow; -1: the last
        ("vcpu", np.float64),  # reserved per task
        ("memory_mib", np.float64),  # reserved per task
        ("memory_limit_mib", np.float64),  # above which a task is killed; 0: never
        ("failing", np.float64),  # share of what is answered that fails for want of a right
        ("cpu_time_s", np.float64),  # of one vCPU, per request or message
        ("memory_base_mib", np.float64),
        ("memory_per_request_mib", np.float64),
        ("processing_s", np.float64),
        ("concurrency", np.float64),  # messages a task works on at a time
        # what follows from the above, by `derive`
        ("pace", np.float64),  # requests or messages per ready task-second; infinite where they cost nothing
        ("service_s", np.float64),  # one alone in a task
        # the period that just ended
        ("share", np.float64),
        ("backlog", np.float64),
        ("requests", np.float64),
        ("served", np.float64),
        ("failed", np.float64),
        ("cpu_utilization", np.float64),
        ("memory_use_mib", np.float64),  # of a task that answers, mean; NaN: none did
        # the same of an EXACT flow: vCPU-seconds used, request-seconds in its tasks, and until they were answered
        ("busy_s", np.float64),
        ("inside_s", np.float64),
        ("response_s", np.float64),
        ("denied", np.float64),
        # sums since the last sample: of the stretches without a backlog, and with one
        ("calm_requests", np.float64),
        ("calm_s", np.float64),
        ("calm_task_s", np.float64),
        ("congested_requests", np.float64),
    ],
    align=True,
)


SUMS = np.dtype(
    [
        ("unweighted", np.int64),  # backends without a weight
        ("free_first", np.int64),  # the newest of them
        ("free_s", np.float64),  # their target-seconds
        ("weighted", np.float64),  # the sum of the others' weights
        ("targets_s", np.float64),
        ("capacity", np.float64),
        ("running_s", np.float64),
        ("busy", np.float64),  # vCPU-seconds (or worker-seconds) used
        ("reserved", np.float64),
        ("inside", np.float64),  # mean requests in service or waiting
        ("denied", np.float64),  # answered by a task to which AWS denied a call
        ("memory_used", np.float64),  # MiB-seconds
        ("memory_reserved", np.float64),
    ],
    align=True,
)
"""Sums over the backends of the one flow that is being carried through a period."""


class Load(NamedTuple):
    """The load of all services: flows with their readers of the demand and their response times, and backends.

    Times are task-milliseconds of each backend's task set: running, able to answer, asked but no longer able.
    """

    flows: Annotated[Array, FLOW, 1]
    backends: Annotated[Array, BACKEND, 1]
    readers: Annotated[Array, CURSOR, 2]  # [flow, 2]: arrivals, head of the queue
    times: Annotated[Array, np.int64, 1]  # breakpoints of all demands, ms
    rates: Annotated[Array, np.float64, 1]  # per second
    histograms: Annotated[Array, np.float64, 2]  # [flow, bucket]: of the sample under way
    whole: Annotated[Array, np.float64, 2]  # [flow, bucket]: of all samples closed
    set_of: Annotated[Array, np.int64, 1]  # [backend]: its task set; -1: the row is free
    seen: Annotated[Array, np.int64, 2]  # [3, backend]: the times, as last read
    passed: Annotated[
        Array, np.int64, 2
    ]  # [3, backend]: what has been added then, in the period to be carried
    weights: Annotated[Array, np.float64, 1]  # [backend]: BY_TARGETS, or a share of 1; means of that period
    sums: Annotated[Array, SUMS, 1]  # one row of scratch
