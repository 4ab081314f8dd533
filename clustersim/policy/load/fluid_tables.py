"""The tables of the load model: a record per service and per task set that answers it, and the arrays beside them.

Only declarations: `policy.load.fluid_model` advances the tables by a metric period, `policy.load.fluid_sampling`
closes samples, `control.load.traffic` owns them. A *flow* is the demand on one service; a *backend* is one of its task
sets.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.records import Array, Float64, Int64, Record, Table, Table2D
from clustersim.policy.load.load_series import LoadCursorRow

REQUESTS, MESSAGES, EXACT = range(3)  # EXACT: the results of each request are filled in before `advance_load`
BY_TARGETS = -1.0
"""The weight of a backend with a share of the requests in proportion to its targets."""


class FlowRow(Record):
    """A row of the table of flows."""

    service: Int64
    kind: Int64
    """REQUESTS, MESSAGES or EXACT."""
    first: Int64
    """Its first backend, that of the newest task set; the others follow in a linked list."""
    timeout_s: Float64
    burstiness: Float64
    """Squared coefficient of variation (CV2) of the times between requests."""
    visibility_s: Float64
    """Until a message of a lost worker is visible again."""
    # messages at the end of the last period, and what was done in it (`message_queue`)
    visible: Float64
    in_flight: Float64
    """Received and not deleted, by workers that are there and by lost ones."""
    in_work: Float64
    """By workers that are there."""
    hidden: Float64
    """By lost ones."""
    workers: Float64
    """Messages that all tasks can work on at a time, on average."""
    worked: Float64
    """Messages whose work was done, parts of messages included."""
    carried: Float64
    """Work that is accounted for in the next period."""
    # state and metrics of the last period; NaN: no datapoint
    backlog: Float64
    """Requests that wait; messages that are not deleted."""
    served: Float64
    requests: Float64
    failed: Float64
    cpu_utilization: Float64
    """Percent of reserved."""
    memory_utilization: Float64
    per_target: Float64
    """Requests per target."""
    oldest_age_s: Float64
    response_s: Float64
    """Mean."""
    refused: Float64
    """EXACT: requests that found no target."""
    # sums since the last sample
    sum_requests: Float64
    sum_failed: Float64
    sum_per_target: Float64
    sum_weight: Float64
    """Running task-seconds, the weight of the utilisations."""
    sum_cpu: Float64
    sum_memory: Float64
    opening_visible: Float64
    """As of the sample's first instant."""
    opening_in_flight: Float64
    opening_age_s: Float64
    total_requests: Float64
    """Since `begin_summary`."""
    total_failed: Float64


class BackendRow(Record):
    """A row of the table of backends."""

    # fixed properties of the task set
    flow: Int64
    """-1: the row is free."""
    next: Int64
    """Of the same flow; -1: the last."""
    vcpu: Float64
    """Reserved per task; 1 if a task reserves none."""
    memory_mib: Float64
    """Reserved per task."""
    memory_limit_mib: Float64
    """A task above it is killed; 0: no limit."""
    denied_share: Float64
    """Share of answered requests that fails because AWS denies a call."""
    cpu_time_s: Float64
    """Of one vCPU, per request or message."""
    memory_base_mib: Float64
    memory_per_request_mib: Float64
    processing_s: Float64
    concurrency: Float64
    """Messages a task works on at a time."""
    stop_s: Float64
    """Mean time from the end of a task's service to its exit, in which a worker may finish a message."""
    workers: Float64
    """Messages that its tasks could work on at a time in the last period, on average."""
    routing: Int64
    """The code of the load balancer's algorithm (`response_curves`)."""
    service_cv2: Float64
    """CV2 of the service time."""
    wait_s: Float64
    """The part of a mean service time that is no CPU time, on a task of at least one vCPU."""
    # derived from the above and `LoadTables.capacities` by `derive_rates`
    capacity_vcpu: Float64
    """VCPUs that a task can use in this period."""
    rate_per_task: Float64
    """Requests or messages per ready task-second; infinite if they need no CPU."""
    service_s: Float64
    """CPU part of the service time of one request alone in a task."""
    delay_s: Float64
    """The rest of it."""
    # the response curve (`response_curves`): of this number of tasks, vCPUs and burstiness
    curve_tasks: Float64
    curve_vcpu: Float64
    curve_burstiness: Float64
    queue: Float64
    """Requests in excess of those at work, without the backlog (`random_queues`)."""
    # the last period
    share: Float64
    backlog: Float64
    requests: Float64
    served: Float64
    worked: Float64
    """Messages whose work was done, parts of messages included."""
    failed: Float64
    cpu_utilization: Float64
    memory_use_mib: Float64
    """Mean of the tasks that answer; NaN: none."""
    # of an EXACT flow: vCPU-seconds used, request-seconds in its tasks, and sum of response times
    busy_s: Float64
    in_system_s: Float64
    response_s: Float64
    denied: Float64
    # sums since the last sample: of the times without a backlog, and with one
    uncongested_requests: Float64
    sum_utilization: Float64
    """Over the uncongested requests: stationary utilisation."""
    congested_requests: Float64


class LoadSumsRow(Record):
    """Sums over the backends of the flow that is being advanced."""

    unweighted: Int64
    """Backends without a weight."""
    first_unweighted: Int64
    """The newest of them."""
    unweighted_s: Float64
    """Their target-seconds."""
    weight_sum: Float64
    """The sum of the others' weights."""
    targets_s: Float64
    capacity: Float64
    workers: Float64
    interrupted: Float64
    """Messages in flight whose worker is gone."""
    running_s: Float64
    busy: Float64
    """VCPU-seconds (or worker-seconds) used."""
    reserved: Float64
    in_system: Float64
    """Mean requests in service or waiting."""
    denied: Float64
    """Answered with an error, because AWS denied a call."""
    memory_used: Float64
    """MiB-seconds."""
    memory_reserved: Float64


class LoadTables(NamedTuple):
    """The load of all services: flows with their demand readers and response times, and backends.

    Times are task-milliseconds of the task set of each backend: running, able to answer, and still receiving requests
    but hung.
    """

    flows: Table[FlowRow]
    backends: Table[BackendRow]
    readers: Table2D[LoadCursorRow]  # [flow, 2]: arrivals, head of the queue
    times: Annotated[Array, np.int64, 1]  # breakpoints of all demands, ms
    rates: Annotated[Array, np.float64, 1]  # per second
    histograms: Annotated[Array, np.float64, 2]  # [flow, bucket]: of the current sample
    run_histograms: Annotated[Array, np.float64, 2]  # [flow, bucket]: of all closed samples
    task_sets: Annotated[Array, np.int64, 1]  # [backend]: its task set; -1: the row is free
    last_read: Annotated[Array, np.int64, 2]  # [3, backend]: the times, as last read
    elapsed: Annotated[Array, np.int64, 2]  # [3, backend]: their increase in the current period
    weights: Annotated[Array, np.float64, 1]  # [backend]: BY_TARGETS, or a share of 1; means of that period
    capacities: Annotated[Array, np.float64, 1]  # [backend]: vCPUs that a ready task can use in that period
    response_table: Annotated[Array, np.float64, 2]  # of `response_curves.TABLE_SHAPE`, logarithms
    curves: Annotated[Array, np.float64, 2]  # [backend, CURVE_SIZE]: response times by utilisation
    service_quantiles: Annotated[Array, np.float64, 2]  # [backend, level]: of service times with mean 1
    times_s: Annotated[Array, np.float64, 1]  # scratch: a quantile for each level
    sums: Table[LoadSumsRow]  # one scratch row
