"""Response times: the M/M/c queue in closed form, its limits over a finite period, and histograms.

Decides response times from (servers, utilisation, service time); it must not know services, the clock or periods.
`policy.load.fluid_model` and `policy.load.fluid_sampling` call it once per sample, not per request.

The queue is M/M/c (Poisson arrivals, exponential service, c equal servers, first come first served): the wait
is 0 with probability 1 - C (Erlang C), else exponential with rate c*mu - lambda. Near saturation a stationary queue is
longer than it can become in any real period, so utilisation is first reduced to what the period can sustain
(Kimber and Hollis 1979, coordinate transformation, TRRL LR 909).
"""

from __future__ import annotations

import math

import numpy as np

from clustersim.engine.compiled import kernel

BUCKETS_PER_OCTAVE = 8
LOWEST_OCTAVE = -14  # the first bucket ends at 2**-14 s, about 61 microseconds
BUCKETS = 256  # 32 octaves: the last bucket begins at about 70 hours
EDGES_S = 2.0 ** (LOWEST_OCTAVE + np.arange(BUCKETS) / BUCKETS_PER_OCTAVE)
"""Upper edges of the buckets, seconds; the last bucket also holds all longer times."""

_TAIL = 1e-6  # share of a distribution that may be added to the bucket where a scan stops


@kernel
def delay_probability(servers: int, utilization: float) -> float:
    """Return Erlang C: the probability that a request finds all `servers` busy.

    Computed from Erlang B as the sum 1/B = 1 + c/a + c(c-1)/a**2 + ..., whose terms are all positive, so it is stable
    for any c; the sum ends where the rest is below rounding.
    """
    if utilization <= 0.0:
        return 0.0
    if utilization >= 1.0:
        return 1.0
    offered = servers * utilization
    term = 1.0
    total = 1.0
    for busy in range(servers, 0, -1):
        term *= busy / offered
        total += term
        if total > 1e18:
            return 0.0
        if term < total * 1e-17:
            break
    blocked = 1.0 / total
    return blocked / (1.0 - utilization * (1.0 - blocked))


@kernel
def mean_delay_probability(servers: float, utilization: float) -> float:
    """Return Erlang C for a mean number of servers (at least 1): linear between the neighbouring whole numbers."""
    whole = int(max(servers, 1.0))
    share = max(servers, 1.0) - whole
    low = delay_probability(whole, utilization)
    if share < 1e-9:
        return low
    return low + share * (delay_probability(whole + 1, utilization) - low)


@kernel
def mean_queue_length(servers: float, utilization: float) -> float:
    """Return the mean number of waiting requests by Sakasegawa (1977): exact for one server, else within percents."""
    return float(utilization ** math.sqrt(2.0 * (max(servers, 1.0) + 1.0)) / (1.0 - utilization))


@kernel
def sustained_utilization(servers: float, utilization: float, completions: float) -> float:
    """Return the stationary utilisation whose queue can build up in a period of `completions` (capacity x time).

    Solves u + mean_queue_length(u) / completions = utilisation: the work that did not fit into the period is the
    queue. Far from saturation the result is the utilisation itself; at 1 it is about 1 - 1/sqrt(completions).
    Newton's method within a bracket, to 1e-7 relative to 1 - u.
    """
    if completions <= 0.0 or utilization <= 0.0:
        return 0.0
    exponent = math.sqrt(2.0 * (max(servers, 1.0) + 1.0))
    low = 0.0
    high = min(utilization, 1.0)
    guess = min(utilization, 1.0 - 1.0 / (1.0 + math.sqrt(completions)))
    for _ in range(60):
        queue = guess**exponent / (1.0 - guess) / completions
        excess = guess + queue - utilization
        if excess > 0.0:
            high = guess
        else:
            low = guess
        step = excess / (1.0 + queue * (exponent / guess + 1.0 / (1.0 - guess)))
        if abs(step) < 1e-7 * (1.0 - guess):
            break
        guess -= step
        if guess <= low or guess >= high:
            guess = 0.5 * (low + high)
    return guess


@kernel
def response_survival(seconds: float, delayed: float, service_rate: float, drain_rate: float) -> float:
    """Return P(response > seconds) of M/M/c: exponential service, preceded with probability `delayed` by a wait.

    `service_rate` is mu, `drain_rate` is c*mu - lambda, both per second. The form needs no special case for equal
    rates, and does not overflow.
    """
    served = math.exp(-service_rate * seconds)
    gap = (service_rate - drain_rate) * seconds
    if gap > 0.5 or gap < -0.5:
        drained = math.exp(-drain_rate * seconds)
        return served + delayed * service_rate * (drained - served) / (service_rate - drain_rate)
    damping = 1.0 if gap == 0.0 else math.expm1(gap) / gap
    return served * (1.0 + delayed * service_rate * seconds * damping)


@kernel
def response_quantile(share: float, delayed: float, service_rate: float, drain_rate: float) -> float:
    """Return the response time (seconds) that `share` of the requests do not exceed.

    The logarithm of the survival function is nearly linear, so false position on it (Illinois variant) converges in a
    few steps; relative error below 1e-10.
    """
    beyond = 1.0 - share
    high = -math.log(0.5 * beyond) / service_rate  # P(S + W > a + b) <= P(S > a) + P(W > b)
    if delayed > 0.5 * beyond:
        high += math.log(delayed / (0.5 * beyond)) / drain_rate
    low = 0.0
    above = -math.log(beyond)
    below = math.log(response_survival(high, delayed, service_rate, drain_rate) / beyond)
    last_side = 0
    for _ in range(100):
        guess = (low * below - high * above) / (below - above)
        residual = math.log(response_survival(guess, delayed, service_rate, drain_rate) / beyond)
        if abs(residual) < 1e-12 or high - low < 1e-11 * high:
            return guess
        if residual > 0.0:
            low, above = guess, residual
            below = 0.5 * below if last_side == 1 else below
            last_side = 1
        else:
            high, below = guess, residual
            above = 0.5 * above if last_side == -1 else above
            last_side = -1
    return 0.5 * (low + high)


@kernel
def response_bucket(seconds: float) -> int:
    """Return the bucket of a response time of `seconds`."""
    if seconds <= EDGES_S[0]:
        return 0
    exact = (math.log2(seconds) - LOWEST_OCTAVE) * BUCKETS_PER_OCTAVE
    return min(max(math.ceil(exact - 1e-9), 0), BUCKETS - 1)


@kernel
def add_stationary_queue(
    histogram: np.ndarray, weight: float, delayed: float, service_rate: float, drain_rate: float
) -> None:
    """Add `weight` requests of a stationary M/M/c queue to the histogram."""
    bucket = response_bucket(1.0 / (32.0 * service_rate))
    before = 1.0
    while bucket < BUCKETS - 1 and before > _TAIL:
        after = response_survival(EDGES_S[bucket], delayed, service_rate, drain_rate)
        histogram[bucket] += weight * (before - after)
        before = after
        bucket += 1
    histogram[bucket] += weight * before


@kernel
def merge_and_clear(histogram: np.ndarray, target: np.ndarray) -> None:
    """Add a histogram to `target` and clear it."""
    for bucket in range(BUCKETS):
        target[bucket] += histogram[bucket]
        histogram[bucket] = 0.0


@kernel
def _ramp_survival(seconds: float, start_s: float, end_s: float, service_s: float) -> float:
    """Return P(U + S > seconds): U uniform on [start, end], S exponential with mean `service_s`."""
    if end_s - start_s <= 1e-6 * max(end_s, service_s):  # a point: the difference below would be all noise
        if seconds < start_s:
            return 1.0
        return math.exp(-(seconds - start_s) / service_s) if service_s > 0.0 else 0.0
    if seconds <= start_s:
        return 1.0
    reached = min(seconds, end_s)
    done = reached - start_s
    if service_s > 0.0:
        done -= service_s * (
            math.exp(-(seconds - reached) / service_s) - math.exp(-(seconds - start_s) / service_s)
        )
    return 1.0 - done / (end_s - start_s)


@kernel
def add_backlog_ramp(
    histogram: np.ndarray, weight: float, start_s: float, end_s: float, service_s: float
) -> None:
    """Add `weight` requests that met a backlog: a delay uniform between two values, plus an exponential service time.

    All three times are in seconds; the order of the two delays does not matter.
    """
    low = min(start_s, end_s)
    high = max(start_s, end_s)
    bucket = response_bucket(low)
    before = 1.0
    while bucket < BUCKETS - 1 and before > _TAIL:
        after = _ramp_survival(EDGES_S[bucket], low, high, service_s)
        histogram[bucket] += weight * (before - after)
        before = after
        bucket += 1
    histogram[bucket] += weight * before


@kernel
def histogram_quantile(histogram: np.ndarray, share: float) -> float:
    """Return the response time (s) that `share` of the weight does not exceed; log-linear within a bucket.

    Buckets have a ratio of 2**(1/8) = 1.09: accurate to 3 % if times are spread, to 5 % if all are equal; NaN for an
    empty histogram.
    """
    total = histogram.sum()
    if total <= 0.0:
        return np.nan
    rank = share * total
    below = 0.0
    for bucket in range(BUCKETS):
        if below + histogram[bucket] >= rank and histogram[bucket] > 0.0:
            if bucket == 0:
                return 0.0
            fraction = (rank - below) / histogram[bucket]
            return float(EDGES_S[bucket - 1] * (EDGES_S[bucket] / EDGES_S[bucket - 1]) ** fraction)
        below += histogram[bucket]
    return float(EDGES_S[BUCKETS - 1])
