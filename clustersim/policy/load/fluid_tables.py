"""The tables of the load model: a record per service and per task set that answers it, and the arrays beside them.

Only declarations: `policy.load.fluid_model` advances the tables by a metric period, `policy.load.fluid_sampling`
closes samples, `control.load.traffic` owns them. A *flow* is the demand on one service; a *backend* is one of its task
sets.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.policy.load.load_series import CURSOR

REQUESTS, MESSAGES, EXACT = range(3)  # EXACT: the results of each request are filled in before `advance_load`
BY_TARGETS = -1.0
"""The weight of a backend with a share of the requests in proportion to its targets."""

FLOW = np.dtype(
    [
        ("service", np.int64),
        ("kind", np.int64),  # REQUESTS, MESSAGES or EXACT
        (
            "first",
            np.int64,
        ),  # its first backend, that of the newest task set; the others follow in a linked list
        ("timeout_s", np.float64),
        # state and metrics of the last period; NaN: no datapoint
        ("backlog", np.float64),
        ("served", np.float64),
        ("requests", np.float64),
        ("failed", np.float64),
        ("cpu_utilization", np.float64),  # percent of reserved
        ("memory_utilization", np.float64),
        ("per_target", np.float64),  # requests per target
        ("oldest_age_s", np.float64),
        ("response_s", np.float64),  # mean
        ("refused", np.float64),  # EXACT: requests that found no target
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
        # fixed properties of the task set
        ("flow", np.int64),  # -1: the row is free
        ("next", np.int64),  # of the same flow; -1: the last
        ("vcpu", np.float64),  # reserved per task
        ("memory_mib", np.float64),  # reserved per task
        ("memory_limit_mib", np.float64),  # a task above it is killed; 0: no limit
        ("denied_share", np.float64),  # share of answered requests that fails because AWS denies a call
        ("cpu_time_s", np.float64),  # of one vCPU, per request or message
        ("memory_base_mib", np.float64),
        ("memory_per_request_mib", np.float64),
        ("processing_s", np.float64),
        ("concurrency", np.float64),  # messages a task works on at a time
        # derived from the above by `derive_backend`
        (
            "rate_per_task",
            np.float64,
        ),  # requests or messages per ready task-second; infinite if they need no CPU
        ("service_s", np.float64),  # service time of one request alone in a task
        # the last period
        ("share", np.float64),
        ("backlog", np.float64),
        ("requests", np.float64),
        ("served", np.float64),
        ("failed", np.float64),
        ("cpu_utilization", np.float64),
        ("memory_use_mib", np.float64),  # mean of the tasks that answer; NaN: none
        # of an EXACT flow: vCPU-seconds used, request-seconds in its tasks, and sum of response times
        ("busy_s", np.float64),
        ("in_system_s", np.float64),
        ("response_s", np.float64),
        ("denied", np.float64),
        # sums since the last sample: of the times without a backlog, and with one
        ("uncongested_requests", np.float64),
        ("uncongested_s", np.float64),
        ("uncongested_task_s", np.float64),
        ("congested_requests", np.float64),
    ],
    align=True,
)


SUMS = np.dtype(
    [
        ("unweighted", np.int64),  # backends without a weight
        ("first_unweighted", np.int64),  # the newest of them
        ("unweighted_s", np.float64),  # their target-seconds
        ("weight_sum", np.float64),  # the sum of the others' weights
        ("targets_s", np.float64),
        ("capacity", np.float64),
        ("running_s", np.float64),
        ("busy", np.float64),  # vCPU-seconds (or worker-seconds) used
        ("reserved", np.float64),
        ("in_system", np.float64),  # mean requests in service or waiting
        ("denied", np.float64),  # answered with an error, because AWS denied a call
        ("memory_used", np.float64),  # MiB-seconds
        ("memory_reserved", np.float64),
    ],
    align=True,
)
"""Sums over the backends of the flow that is being advanced."""


class LoadTables(NamedTuple):
    """The load of all services: flows with their demand readers and response times, and backends.

    Times are task-milliseconds of the task set of each backend: running, able to answer, and still receiving requests
    but hung.
    """

    flows: Annotated[Array, FLOW, 1]
    backends: Annotated[Array, BACKEND, 1]
    readers: Annotated[Array, CURSOR, 2]  # [flow, 2]: arrivals, head of the queue
    times: Annotated[Array, np.int64, 1]  # breakpoints of all demands, ms
    rates: Annotated[Array, np.float64, 1]  # per second
    histograms: Annotated[Array, np.float64, 2]  # [flow, bucket]: of the current sample
    run_histograms: Annotated[Array, np.float64, 2]  # [flow, bucket]: of all closed samples
    task_sets: Annotated[Array, np.int64, 1]  # [backend]: its task set; -1: the row is free
    last_read: Annotated[Array, np.int64, 2]  # [3, backend]: the times, as last read
    elapsed: Annotated[Array, np.int64, 2]  # [3, backend]: their increase in the current period
    weights: Annotated[Array, np.float64, 1]  # [backend]: BY_TARGETS, or a share of 1; means of that period
    sums: Annotated[Array, SUMS, 1]  # one scratch row
