"""Log-bucket histograms of response times that were counted one by one.

Decides how wide a bucket is and what a percentile of one is. Knows no service and no clock.
`policy.load.exact_requests` counts into them; `policy.load.response_times` has those of the fluid model, whose
response times are curves.

The bucket of a number is read from its bits: the exponent and the first six bits of the mantissa, so that each
octave is 64 buckets of equal width, 1.1 to 1.6 % of the time they hold (as HdrHistogram does). Within a bucket
times count as spread evenly: a percentile is good to 1.6 %, to 0.8 % where all times are equal.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from clustersim.engine.compiled import Array, inlined, kernel, kernel_entry

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
    """The bucket that holds a response time of `seconds`; what is longer than the last is in the last."""
    bits = int(np.float64(seconds).view(np.int64))
    return int(min(max((bits >> _MANTISSA_BITS) - _FIRST + 1, 0), LATENCY_BUCKETS - 1))


@kernel
def bucket_start(bucket: int) -> float:
    """The least response time (s) of a bucket."""
    if bucket == 0:
        return 0.0
    octave = (bucket - 1) >> PER_OCTAVE_BITS
    return float(_LEAST_S * 2.0**octave * (1.0 + ((bucket - 1) & (PER_OCTAVE - 1)) / PER_OCTAVE))


@kernel_entry
def latency_quantile(histogram: Annotated[Array, np.float64, 1], share: float) -> float:
    """The response time (s) that `share` of what was counted did not exceed; NaN when nothing was."""
    wanted = share * histogram.sum()
    if wanted <= 0.0:
        return np.nan
    below = 0.0
    for bucket in range(LATENCY_BUCKETS):
        held = histogram[bucket]
        if held > 0.0 and below + held >= wanted:
            start = bucket_start(bucket)
            return float(start + (bucket_start(bucket + 1) - start) * (wanted - below) / held)
        below += held
    return float(bucket_start(LATENCY_BUCKETS))
