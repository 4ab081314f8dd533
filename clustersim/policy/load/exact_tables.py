"""What the exact model of requests is made of: streams, servers, targets, and what is outstanding at each.

A *stream* is the requests of one service. A *server* says what a request costs in one of its task sets (its row
is that of the fluid model's backend). A *target* is a task that is asked, or was and still has requests. A *pool*
is a circle of targets among which requests are dealt out: the first pools are the streams', of all targets whose
task set has no weight; then each server has one of its own, for its targets while it has a weight. Declares only;
`policy.load.exact_targets` moves targets, `policy.load.exact_requests` the requests.

Instants are float64 seconds since the simulation's first instant: exact to a nanosecond for the first 97 days,
to 15 in the fourth year.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.policy.load.load_series import CURSOR

ROUND_ROBIN, LEAST_OUTSTANDING = range(2)
ROUTING = {"round_robin": ROUND_ROBIN, "least_outstanding_requests": LEAST_OUTSTANDING}
"""The codes of the ELB attribute `load_balancing.algorithm.type`."""

OPENED, HUNG, CLOSED, GONE, WEIGHED = range(5)
"""What befalls a target: it is asked; it no longer answers; it is asked no longer; its task has ended; shares moved."""

FREE_TARGET, CHANGES_DONE = range(2)
"""Positions in `Requests.counters`."""

NOBODY = -1
BY_TARGETS = -1.0

CHANGE = np.dtype(
    [
        ("at", np.int64),  # ms
        ("kind", np.int64),
        ("slot", np.int64),  # of the task
        ("set", np.int64),  # its task set in the world's log; a server when the kernel reads it; -1: unknown
        ("weight", np.float64),  # WEIGHED: the share from now on, or BY_TARGETS
    ],
    align=True,
)

STREAM = np.dtype(
    [
        ("flow", np.int64),  # its row among the flows of `policy.load.fluid_model`
        ("first", np.int64),  # its servers are a list, the newest first
        ("code", np.int64),  # what is drawn of a request's service time
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
        ("ordinal", np.int64),  # its number: the address of its luck
        ("at_s", np.float64),  # since then so much
        ("need", np.float64),  # of the rate's integral is needed until it comes
        ("segment_end_s", np.float64),
        # the period under way
        ("requests", np.float64),
        ("refused", np.float64),  # came while there was nobody to ask
    ],
    align=True,
)

SERVER = np.dtype(
    [
        ("stream", np.int64),  # -1: the row is free, or its service is not exact
        ("next", np.int64),
        ("weight", np.float64),
        ("scale", np.float64),  # seconds per unit of what is drawn
        ("need", np.float64),  # vCPUs that a request uses while it is at work alone
        ("floor", np.float64),  # a request takes at least so many times what was drawn
        ("crowding", np.float64),  # times so much for each request at work in its task
        ("workers", np.int64),  # requests at work in a task at a time
        ("failing", np.float64),  # share of what is answered that fails for want of a right
        # the period under way
        ("requests", np.float64),
        ("served", np.float64),
        ("failed", np.float64),
        ("backlog", np.float64),  # outstanding at its end
        ("busy_s", np.float64),  # vCPU-seconds
        ("inside_s", np.float64),  # request-seconds, waiting or at work
        ("response_s", np.float64),  # sum over those served
        ("denied", np.float64),  # of those served
    ],
    align=True,
)

TARGET = np.dtype(
    [
        ("server", np.int64),  # -1: the row is free
        ("pool", np.int64),  # -1: it is asked no longer
        ("next", np.int64),  # in its pool; of a free row: the next free one
        ("previous", np.int64),
        ("head", np.int64),  # its outstanding requests begin here in its ring
        ("count", np.int64),
        ("since_s", np.float64),
        ("ramp_end_s", np.float64),  # of its slow start; 0: none
        ("credit", np.float64),  # of a turn, while it starts slowly
        ("hung", np.int64),
    ],
    align=True,
)

OUTSTANDING = np.dtype(
    [
        ("finish_s", np.float64),
        ("arrival_s", np.float64),
        ("start_s", np.float64),
        ("work_s", np.float64),  # vCPU-seconds; negative: nobody works on it, and it fails when it is due
        ("number", np.int64),  # of the request in its stream
    ],
    align=True,
)

POOL = np.dtype(
    [("turn", np.int64), ("count", np.int64)], align=True
)  # whose turn was last; -1: nobody's yet


class Requests(NamedTuple):
    """All services whose requests are simulated one by one."""

    streams: Annotated[Array, STREAM, 1]
    servers: Annotated[Array, SERVER, 1]
    targets: Annotated[Array, TARGET, 1]
    rings: Annotated[Array, OUTSTANDING, 2]  # [target, power of two]: what is outstanding, by its finish
    pools: Annotated[Array, POOL, 1]  # [streams, then servers]
    cursors: Annotated[Array, CURSOR, 1]  # [stream]: readers of the demand
    times: Annotated[Array, np.int64, 1]  # breakpoints of all demands, ms
    rates: Annotated[Array, np.float64, 1]  # per second
    values: Annotated[Array, np.float64, 1]  # of empirical service times
    histograms: Annotated[Array, np.float64, 2]  # [stream, bucket]: of the sample under way
    whole: Annotated[Array, np.float64, 2]  # [stream, bucket]: of all samples closed
    target_of: Annotated[Array, np.int64, 1]  # [task slot]; -1: none
    counters: Annotated[Array, np.int64, 1]
    span: Annotated[Array, np.float64, 1]  # the instant at which the period under way began, s
