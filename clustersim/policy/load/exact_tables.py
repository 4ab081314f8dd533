"""The tables of the exact request model: streams, servers, targets, and the outstanding requests of each target.

A *stream* is the requests of one service. A *server* describes the cost of a request in one of its task sets (its row
is that of the backend of the fluid model). A *target* is a task that receives requests, or still has outstanding
ones. A *pool* is a circular list of targets among which requests are distributed: the first pools belong to the
streams, with all targets of task sets without a weight; then each server has one, for its targets while it has a
weight. Only declarations: `policy.load.exact_targets` moves targets, `policy.load.exact_requests` simulates the
requests.

Instants are float64 seconds since the start of the simulation: exact to a nanosecond for the first 97 days, to 15 ns
in the fourth year.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.records import Array, Float64, Int64, Milliseconds, RandomKey, Record, Table, Table2D
from clustersim.policy.load.load_series import LoadCursorRow

REGISTERED, HUNG, DEREGISTERED, ENDED, REWEIGHTED = range(5)
"""Changes of a target: it starts to receive requests; it hangs; it stops receiving them; its task ended. REWEIGHTED:
the share of a server changed."""

FREE_TARGET, CHANGES_DONE = range(2)
"""Positions in `Requests.counters`."""

NO_ROW = -1
BY_TARGETS = -1.0


class TargetChangeRow(Record):
    """A row of the table of changes."""

    at: Milliseconds
    """Ms."""
    kind: Int64
    slot: Int64
    """Of the task."""
    set: Int64
    """Its task set in the world's log; a server once the kernel reads it; -1: unknown."""
    weight: Float64
    """REWEIGHTED: the new share, or BY_TARGETS."""


class RequestStreamRow(Record):
    """A row of the table of streams."""

    flow: Int64
    """Its row among the flows of `policy.load.fluid_model`."""
    first: Int64
    """Its newest server; the others follow in a linked list."""
    code: Int64
    """Distribution code of the service time."""
    a: Float64
    b: Float64
    first_value: Int64
    last_value: Int64
    timeout_s: Float64
    burstiness: Float64
    """Squared coefficient of variation of the times between requests."""
    routing: Int64
    slow_start_s: Float64
    arrival_key: RandomKey
    service_key: RandomKey
    route_key: RandomKey
    denial_key: RandomKey
    # the next arrival
    ordinal: Int64
    """Its number: the ordinal of its random numbers."""
    at_s: Float64
    """The integral of the rate from this instant on."""
    remaining: Float64
    """Still needed until the arrival."""
    segment_end_s: Float64
    # the current period
    requests: Float64
    refused: Float64
    """Requests that found no target."""


class ServerRow(Record):
    """A row of the table of servers."""

    stream: Int64
    """-1: the row is free, or its service is not exact."""
    next: Int64
    weight: Float64
    scale: Float64
    """Seconds per unit of the drawn value."""
    cpu_share: Float64
    """VCPUs that a request uses while it is in service alone."""
    min_stretch: Float64
    """Minimum factor on the drawn service time."""
    contention: Float64
    """Factor on it per request in service in the task."""
    workers: Int64
    """Requests in service at a time, per task; 0: all share the CPU."""
    vcpu: Float64
    """Of a task."""
    denied_share: Float64
    """Share of answered requests that fails because AWS denies a call."""
    # the current period
    requests: Float64
    served: Float64
    failed: Float64
    backlog: Float64
    """Outstanding at the end."""
    busy_s: Float64
    """VCPU-seconds."""
    in_system_s: Float64
    """Request-seconds, waiting or in service."""
    response_s: Float64
    """Sum over those served."""
    denied: Float64
    """Of those served."""


class TargetRow(Record):
    """A row of the table of targets."""

    server: Int64
    """-1: the row is free."""
    pool: Int64
    """-1: it receives no more requests."""
    next: Int64
    """In its pool; of a free row: the next free one."""
    previous: Int64
    head: Int64
    """First outstanding request in its ring buffer."""
    count: Int64
    registered_s: Float64
    ramp_end_s: Float64
    """End of its slow start; 0: none."""
    first: Int64
    """First request on the CPU in its ring buffer of shares."""
    sharing: Int64
    """Requests on the CPU."""
    attained_s: Float64
    """CPU time that each of them has had since the task was idle."""
    shared_s: Float64
    """The instant of `attained_s`."""
    oldest_s: Float64
    """No request on the CPU came before."""
    next_s: Float64
    """The next end of a request or time-out; infinity: none."""
    credit: Float64
    """Fraction of a turn earned during its slow start."""
    hung: Int64


class OutstandingRow(Record):
    """A row of the table of outstandings."""

    finish_s: Float64
    arrival_s: Float64
    start_s: Float64
    work_s: Float64
    """VCPU-seconds; negative: the target hangs, and the request fails at `finish_s`."""
    number: Int64
    """The request's number in its stream."""
    entered_s: Float64
    """Since when its time in the system is counted here."""


class ShareRow(Record):
    """A row of the table of shares: a request on the CPU of a task that all its requests share."""

    end_s: Float64
    """The attained CPU time of the target at which it has had its own."""
    arrival_s: Float64
    delay_s: Float64
    """The rest of its service time, without CPU."""
    number: Int64
    """The request's number in its stream."""


class SamplePoolRow(Record):
    """A row of the table of pools."""

    turn: Int64
    count: Int64


class RequestTables(NamedTuple):
    """The services with requests simulated one by one."""

    streams: Table[RequestStreamRow]
    servers: Table[ServerRow]
    targets: Table[TargetRow]
    rings: Table2D[OutstandingRow]  # [target, power of two]: outstanding requests in order of finish
    shares: Table2D[ShareRow]  # [target, power of two]: requests on the CPU in order of their ends
    pools: Table[SamplePoolRow]  # [streams, then servers]
    cursors: Table[LoadCursorRow]  # [stream]: demand readers
    times: Annotated[Array, np.int64, 1]  # breakpoints of all demands, ms
    rates: Annotated[Array, np.float64, 1]  # per second
    values: Annotated[Array, np.float64, 1]  # of empirical service times
    histograms: Annotated[Array, np.float64, 2]  # [stream, bucket]: of the current sample
    run_histograms: Annotated[Array, np.float64, 2]  # [stream, bucket]: of all closed samples
    target_of: Annotated[Array, np.int64, 1]  # [task slot]; -1: none
    counters: Annotated[Array, np.int64, 1]
    span: Annotated[Array, np.float64, 1]  # the start of the current period, s
