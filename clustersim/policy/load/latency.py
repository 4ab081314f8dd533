"""Log-bucket histograms of individually recorded response times.

Decides the width of the buckets and how percentiles are read from them. It must not know services or the clock.
`policy.load.exact_requests` records into them; the histograms of the fluid model, whose response times are
distributions, are in `policy.load.response_times`.

The bucket of a number is read from its bits: the exponent and the first six bits of the mantissa, so each octave has
64 buckets of equal width, 1.1 to 1.6 % of the time they hold (as in HdrHistogram). Times are assumed to be spread
evenly within a bucket: a percentile is accurate to 1.6 %, to 0.8 % if all times are equal.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from clustersim.engine.compiled import inlined, kernel, kernel_entry
from clustersim.engine.records import Array

PER_OCTAVE_BITS = 6
PER_OCTAVE = 1 << PER_OCTAVE_BITS
LOWEST_OCTAVE = -20  # the first bucket ends at 2**-20 s, about a microsecond
OCTAVES = 38  # the last bucket ends at 2**18 s, three days
LATENCY_BUCKETS = OCTAVES * PER_OCTAVE + 1

_MANTISSA_BITS = 52 - PER_OCTAVE_BITS
_FIRST = (1023 + LOWEST_OCTAVE) << PER_OCTAVE_BITS
_LEAST_S = 2.0**LOWEST_OCTAVE


@inlined
def latency_bucket(seconds: float) -> int:
    """Return the bucket of a response time of `seconds`; the last one holds all longer times."""
    bits = int(np.float64(seconds).view(np.int64))
    return int(min(max((bits >> _MANTISSA_BITS) - _FIRST + 1, 0), LATENCY_BUCKETS - 1))


@kernel
def bucket_start(bucket: int) -> float:
    """Return the lower bound (s) of a bucket."""
    if bucket == 0:
        return 0.0
    octave = (bucket - 1) >> PER_OCTAVE_BITS
    return float(_LEAST_S * 2.0**octave * (1.0 + ((bucket - 1) & (PER_OCTAVE - 1)) / PER_OCTAVE))


@kernel_entry
def latency_quantile(histogram: Annotated[Array, np.float64, 1], share: float) -> float:
    """Return the response time (s) that `share` of the recorded times do not exceed; NaN if there are none."""
    rank = share * histogram.sum()
    if rank <= 0.0:
        return np.nan
    below = 0.0
    for bucket in range(LATENCY_BUCKETS):
        count = histogram[bucket]
        if count > 0.0 and below + count >= rank:
            start = bucket_start(bucket)
            return float(start + (bucket_start(bucket + 1) - start) * (rank - below) / count)
        below += count
    return float(bucket_start(LATENCY_BUCKETS))


@kernel_entry
def latency_share_within(histogram: Annotated[Array, np.float64, 1], seconds: float) -> float:
    """Return the share of the recorded times that are at most `seconds`; NaN if there are none."""
    total = histogram.sum()
    if total <= 0.0:
        return np.nan
    last = latency_bucket(seconds)
    below = 0.0
    for bucket in range(last):
        below += histogram[bucket]
    start = bucket_start(last)
    part = (seconds - start) / (bucket_start(last + 1) - start)
    return float((below + histogram[last] * min(max(part, 0.0), 1.0)) / total)
