"""How long a request takes: the M/M/c queue in closed form, its limits in a finite time, and histograms.

Decides response times from (servers, utilisation, service time); knows no service, no clock, no period.
Called by `policy.load.fluid_model` for each sample, never for each request.

The queue is M/M/c (Poisson arrivals, exponential service, c equal servers, first come first served): the wait
is 0 with probability 1 - C (Erlang C), else exponential with rate c*mu - lambda. A stationary queue near
saturation is longer than any real period lets it become, so utilisation is first brought down to what the
period can sustain (Kimber and Hollis 1979, coordinate transformation, TRRL LR 909).
"""

from __future__ import annotations

import math

import numpy as np

from clustersim.engine.compiled import kernel

BUCKETS_PER_OCTAVE = 8
LOWEST_OCTAVE = -14  # the first bucket ends at 2**-14 s, about 61 microseconds
BUCKETS = 256  # 32 octaves: the last bucket begins at about 70 hours
EDGES_S = 2.0 ** (LOWEST_OCTAVE + np.arange(BUCKETS) / BUCKETS_PER_OCTAVE)
"""Upper edges of the buckets, seconds; what is beyond the last edge is in the last bucket."""

_TAIL = 1e-6  # share of a distribution that may be put into the bucket where a scan stops


@kernel
def delay_probability(servers: int, utilization: float) -> float:
    """Erlang C: the probability that a request finds all `servers` busy.

    From Erlang B as the sum 1/B = 1 + c/a + c(c-1)/a**2 + ..., all of whose terms are positive, so it is
    stable for any c; it stops where the rest is below rounding.
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
    """Erlang C for a mean number of servers: linear between the whole numbers beside it, 1 at the least."""
    whole = int(max(servers, 1.0))
    share = max(servers, 1.0) - whole
    low = delay_probability(whole, utilization)
    if share < 1e-9:
        return low
    return low + share * (delay_probability(whole + 1, utilization) - low)


@kernel
def queue_length(servers: float, utilization: float) -> float:
    """Mean number of waiting requests by Sakasegawa (1977): exact for one server, else within percents."""
    return float(utilization ** math.sqrt(2.0 * (max(servers, 1.0) + 1.0)) / (1.0 - utilization))


@kernel
def sustained_utilization(servers: float, utilization: float, completions: float) -> float:
    """The stationary utilisation whose queue a period of `completions` (capacity x time) can build up.

    Solves u + queue_length(u) / completions = utilisation: what did not fit into the period is the queue.
    Far from saturation it is the utilisation itself; at 1 it is about 1 - 1/sqrt(completions). By Newton
    within a bracket; what is sought is a tenth of a millionth of the utilisation, not its last bit.
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
def survival(seconds: float, delayed: float, service_rate: float, drain_rate: float) -> float:
    """P(response > seconds) of M/M/c: exponential service, and with probability `delayed` a wait before it.

    `service_rate` is mu, `drain_rate` is c*mu - lambda, both per second. Written so that equal rates are no
    special case and nothing overflows.
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
    """The response time (seconds) that `share` of the requests do not exceed.

    The logarithm of the survival is nearly a line, so false position on it (Illinois variant) takes a few
    steps; relative error below 1e-10.
    """
    beyond = 1.0 - share
    high = -math.log(0.5 * beyond) / service_rate  # P(S + W > a + b) <= P(S > a) + P(W > b)
    if delayed > 0.5 * beyond:
        high += math.log(delayed / (0.5 * beyond)) / drain_rate
    low = 0.0
    above = -math.log(beyond)
    below = math.log(survival(high, delayed, service_rate, drain_rate) / beyond)
    kept = 0
    for _ in range(100):
        guess = (low * below - high * above) / (below - above)
        value = math.log(survival(guess, delayed, service_rate, drain_rate) / beyond)
        if abs(value) < 1e-12 or high - low < 1e-11 * high:
            return guess
        if value > 0.0:
            low, above = guess, value
            below = 0.5 * below if kept == 1 else below
            kept = 1
        else:
            high, below = guess, value
            above = 0.5 * above if kept == -1 else above
            kept = -1
    return 0.5 * (low + high)


@kernel
def bucket_of(seconds: float) -> int:
    """The bucket that holds a response time of `seconds`."""
    if seconds <= EDGES_S[0]:
        return 0
    exact = (math.log2(seconds) - LOWEST_OCTAVE) * BUCKETS_PER_OCTAVE
    return min(max(math.ceil(exact - 1e-9), 0), BUCKETS - 1)


@kernel
def add_stationary(
    histogram: np.ndarray, weight: float, delayed: float, service_rate: float, drain_rate: float
) -> None:
    """Spread `weight` requests of a stationary M/M/c queue over the buckets."""
    bucket = bucket_of(1.0 / (32.0 * service_rate))
    before = 1.0
    while bucket < BUCKETS - 1 and before > _TAIL:
        after = survival(EDGES_S[bucket], delayed, service_rate, drain_rate)
        histogram[bucket] += weight * (before - after)
        before = after
        bucket += 1
    histogram[bucket] += weight * before


@kernel
def pour(histogram: np.ndarray, into: np.ndarray) -> None:
    """Add a histogram to another and empty it."""
    for bucket in range(BUCKETS):
        into[bucket] += histogram[bucket]
        histogram[bucket] = 0.0


@kernel
def _ramp_survival(seconds: float, start_s: float, end_s: float, service_s: float) -> float:
    """P(U + S > seconds): U uniform on [start, end], S exponential with mean `service_s`."""
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
def add_ramp(histogram: np.ndarray, weight: float, start_s: float, end_s: float, service_s: float) -> None:
    """Spread `weight` requests that found a backlog: delays evenly between two values, then service.

    The order of the two delays does not matter; seconds all three.
    """
    low = min(start_s, end_s)
    high = max(start_s, end_s)
    bucket = bucket_of(low)
    before = 1.0
    while bucket < BUCKETS - 1 and before > _TAIL:
        after = _ramp_survival(EDGES_S[bucket], low, high, service_s)
        histogram[bucket] += weight * (before - after)
        before = after
        bucket += 1
    histogram[bucket] += weight * before


@kernel
def histogram_quantile(histogram: np.ndarray, share: float) -> float:
    """The response time that `share` of a histogram's weight does not exceed; log-linear within a bucket.

    Buckets are a factor 2**(1/8) = 1.09 wide: good to 3 % where times are spread, to 5 % where all are equal;
    NaN when nothing was recorded.
    """
    total = histogram.sum()
    if total <= 0.0:
        return np.nan
    wanted = share * total
    below = 0.0
    for bucket in range(BUCKETS):
        if below + histogram[bucket] >= wanted and histogram[bucket] > 0.0:
            if bucket == 0:
                return 0.0
            part = (wanted - below) / histogram[bucket]
            return float(EDGES_S[bucket - 1] * (EDGES_S[bucket] / EDGES_S[bucket - 1]) ** part)
        below += histogram[bucket]
    return float(EDGES_S[BUCKETS - 1])
