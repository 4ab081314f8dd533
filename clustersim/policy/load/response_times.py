"""Histograms of response times that are distributions, not single times.

Decides the buckets, how a distribution is added and how quantiles and shares are read; it must not know services, the
clock or periods. `policy.load.fluid_model` and `policy.load.fluid_sampling` call it once per period or sample, not per
request; the histograms of single requests are in `policy.load.latency`.
"""

from __future__ import annotations

import math

import numpy as np

from clustersim.engine.compiled import kernel
from clustersim.policy.load.response_curves import DEPTHS, LEVELS

BUCKETS_PER_OCTAVE = 8
LOWEST_OCTAVE = -14  # the first bucket ends at 2**-14 s, about 61 microseconds
BUCKETS = 256  # 32 octaves: the last bucket begins at about 70 hours
EDGES_S = 2.0 ** (LOWEST_OCTAVE + np.arange(BUCKETS) / BUCKETS_PER_OCTAVE)
"""Upper edges of the buckets, seconds; the last bucket also holds all longer times."""

_TAIL = 1e-6  # share of a distribution that may be added to the bucket where a scan stops
_DEEPEST = 1e3  # the depth of a point that all requests have passed: exp(-1000) is 0


@kernel
def response_bucket(seconds: float) -> int:
    """Return the bucket of a response time of `seconds`."""
    if seconds <= EDGES_S[0]:
        return 0
    exact = (math.log2(seconds) - LOWEST_OCTAVE) * BUCKETS_PER_OCTAVE
    return min(max(math.ceil(exact - 1e-9), 0), BUCKETS - 1)


@kernel
def add_quantiles(histogram: np.ndarray, weight: float, times_s: np.ndarray) -> None:
    """Add `weight` requests whose quantiles at `LEVELS` are `times_s` to the histogram.

    Between two levels, and beyond the last, the tail is exponential; the first hundredth has the first quantile.
    """
    bucket = response_bucket(times_s[0])
    before = 1.0
    level = 0
    while bucket < BUCKETS - 1 and before > _TAIL:
        edge = EDGES_S[bucket]
        while level < LEVELS.size - 2 and times_s[level + 1] <= edge:
            level += 1
        width = times_s[level + 1] - times_s[level]
        depth = _DEEPEST
        if width > 0.0:
            slope = (DEPTHS[level + 1] - DEPTHS[level]) / width
            depth = DEPTHS[level] + max(edge - times_s[level], 0.0) * slope
        elif edge < times_s[level]:
            depth = 0.0
        after = min(math.exp(-depth), before)
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


@kernel
def share_within(histogram: np.ndarray, seconds: float) -> float:
    """Return the share of the weight with a response time of at most `seconds`; NaN for an empty histogram."""
    total = histogram.sum()
    if total <= 0.0:
        return np.nan
    last = response_bucket(seconds)
    below = 0.0
    for bucket in range(last):
        below += histogram[bucket]
    if last == 0 or last == BUCKETS - 1:
        return float((below + histogram[last]) / total)
    part = math.log(seconds / EDGES_S[last - 1]) / math.log(EDGES_S[last] / EDGES_S[last - 1])
    return float((below + histogram[last] * part) / total)
