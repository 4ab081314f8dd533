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

from clustersim.engine.compiled import Array
from clustersim.policy.load.load_series import CURSOR

ROUND_ROBIN, LEAST_OUTSTANDING = range(2)
ROUTING = {"round_robin": ROUND_ROBIN, "least_outstanding_requests": LEAST_OUTSTANDING}
"""The codes of the ELB attribute `load_balancing.algorithm.type`."""

REGISTERED, HUNG, DEREGISTERED, ENDED, REWEIGHTED = range(5)
"""Changes of a target: it starts to receive requests; it hangs; it stops receiving them; its task ended. REWEIGHTED:
the share of a server changed."""

FREE_TARGET, CHANGES_DONE = range(2)
"""Positions in `Requests.counters`."""

NO_ROW = -1
BY_TARGETS = -1.0

CHANGE = np.dtype(
    [
        ("at", np.int64),  # ms
        ("kind", np.int64),
        ("slot", np.int64),  # of the task
        ("set", np.int64),  # its task set in the world's log; a server once the kernel reads it; -1: unknown
        ("weight", np.float64),  # REWEIGHTED: the new share, or BY_TARGETS
    ],
    align=True,
)

STREAM = np.dtype(
    [
        ("flow", np.int64),  # its row among the flows of `policy.load.fluid_model`
        ("first", np.int64),  # its newest server; the others follow in a linked list
        ("code", np.int64),  # distribution code of the service time
        ("a", np.float64),
        ("b", np.float64),
        ("first_value", np.int64),
        ("last_value", np.int64),
        ("timeout_s", np.float64),
        ("routing", np.int64),
        ("slow_start_s", np.float64),
        ("arrival_key", np.uint64),
        ("service_key", np.uint64),
        ("route_key", np.uint64),
        ("denial_key", np.uint64),
        # the next arrival
        ("ordinal", np.int64),  # its number: the ordinal of its random numbers
        ("at_s", np.float64),  # the integral of the rate from this instant on
        ("remaining", np.float64),  # still needed until the arrival
        ("segment_end_s", np.float64),
        # the current period
        ("requests", np.float64),
        ("refused", np.float64),  # requests that found no target
    ],
    align=True,
)

SERVER = np.dtype(
    [
        ("stream", np.int64),  # -1: the row is free, or its service is not exact
        ("next", np.int64),
        ("weight", np.float64),
        ("scale", np.float64),  # seconds per unit of the drawn value
        ("cpu_share", np.float64),  # vCPUs that a request uses while it is in service alone
        ("min_stretch", np.float64),  # minimum factor on the drawn service time
        ("contention", np.float64),  # factor on it per request in service in the task
        ("workers", np.int64),  # requests in service at a time, per task
        ("denied_share", np.float64),  # share of answered requests that fails because AWS denies a call
        # the current period
        ("requests", np.float64),
        ("served", np.float64),
        ("failed", np.float64),
        ("backlog", np.float64),  # outstanding at the end
        ("busy_s", np.float64),  # vCPU-seconds
        ("in_system_s", np.float64),  # request-seconds, waiting or in service
        ("response_s", np.float64),  # sum over those served
        ("denied", np.float64),  # of those served
    ],
    align=True,
)

TARGET = np.dtype(
    [
        ("server", np.int64),  # -1: the row is free
        ("pool", np.int64),  # -1: it receives no more requests
        ("next", np.int64),  # in its pool; of a free row: the next free one
        ("previous", np.int64),
        ("head", np.int64),  # first outstanding request in its ring buffer
        ("count", np.int64),
        ("registered_s", np.float64),
        ("ramp_end_s", np.float64),  # end of its slow start; 0: none
        ("credit", np.float64),  # fraction of a turn earned during its slow start
        ("hung", np.int64),
    ],
    align=True,
)

OUTSTANDING = np.dtype(
    [
        ("finish_s", np.float64),
        ("arrival_s", np.float64),
        ("start_s", np.float64),
        (
            "work_s",
            np.float64,
        ),  # vCPU-seconds; negative: the target hangs, and the request fails at `finish_s`
        ("number", np.int64),  # the request's number in its stream
    ],
    align=True,
)

POOL = np.dtype(
    [("turn", np.int64), ("count", np.int64)], align=True
)  # turn: the target last chosen; -1: none yet


class RequestTables(NamedTuple):
    """The services with requests simulated one by one."""

    streams: Annotated[Array, STREAM, 1]
    servers: Annotated[Array, SERVER, 1]
    targets: Annotated[Array, TARGET, 1]
    rings: Annotated[Array, OUTSTANDING, 2]  # [target, power of two]: outstanding requests in order of finish
    pools: Annotated[Array, POOL, 1]  # [streams, then servers]
    cursors: Annotated[Array, CURSOR, 1]  # [stream]: demand readers
    times: Annotated[Array, np.int64, 1]  # breakpoints of all demands, ms
    rates: Annotated[Array, np.float64, 1]  # per second
    values: Annotated[Array, np.float64, 1]  # of empirical service times
    histograms: Annotated[Array, np.float64, 2]  # [stream, bucket]: of the current sample
    run_histograms: Annotated[Array, np.float64, 2]  # [stream, bucket]: of all closed samples
    target_of: Annotated[Array, np.int64, 1]  # [task slot]; -1: none
    counters: Annotated[Array, np.int64, 1]
    span: Annotated[Array, np.float64, 1]  # the start of the current period, s
