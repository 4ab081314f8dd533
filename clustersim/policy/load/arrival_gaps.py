"""Times between requests of a renewal process, by their squared coefficient of variation (burstiness).

Decides the distribution: constant (0), gamma (below 1), exponential (1, the requests are Poisson) or hyperexponential
with balanced means (above 1), each with mean 1. It must not know rates or services. `policy.load.exact_requests` draws
from it; `tools/build_response_times.py` assumes the same distributions.
"""

from __future__ import annotations

import math

import numpy as np

from clustersim.engine.compiled import inlined, kernel
from clustersim.engine.random_streams import normal_quantile, uniform


@inlined
def arrival_gap(key: np.uint64, ordinal: int, burstiness: float) -> float:
    """Return the time before the `ordinal`-th request, in units of its mean."""
    if burstiness == 1.0:
        return -math.log(uniform(key, 0, ordinal))
    return other_gap(key, ordinal, burstiness)


@kernel
def other_gap(key: np.uint64, ordinal: int, burstiness: float) -> float:
    """Return the time before a request that is not of a Poisson process."""
    if burstiness <= 0.0:
        return 1.0
    if burstiness < 1.0:
        return _gamma(key, ordinal, 1.0 / burstiness) * burstiness
    rare = 0.5 * (1.0 - math.sqrt((burstiness - 1.0) / (burstiness + 1.0)))
    share = rare if uniform(key, 1, ordinal) < rare else 1.0 - rare
    return -math.log(uniform(key, 0, ordinal)) / (2.0 * share)


@kernel
def _gamma(key: np.uint64, ordinal: int, shape: float) -> float:
    """Draw from a gamma distribution of scale 1 and a shape above 1 (Marsaglia and Tsang 2000).

    Each attempt has a pair of random numbers of its own; 19 of 20 are the last.
    """
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    attempt = 0
    while True:
        x = normal_quantile(uniform(key, 2 * attempt + 1, ordinal))
        v = 1.0 + c * x
        if v > 0.0:
            v = v * v * v
            if math.log(uniform(key, 2 * attempt + 2, ordinal)) < 0.5 * x * x + d - d * v + d * math.log(v):
                return d * v
        attempt += 1
