"""Counter-based random numbers: each draw is a pure function of (seed, replication, stream, entity, ordinal).

There is no state, so adding a service or changing a policy leaves the draws of every other entity unchanged (common
random numbers). A stream's key is derived from its name, not from a position in the file. Kernels call `uniform` and
`sample`; a change of the mixing function changes all results and requires a new version of them.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from clustersim.engine.compiled import inlined, kernel

GENERATOR = "splitmix64-address/2, numpy Philox"
"""The name of the generator in manifests; another generator gives other numbers."""

CONSTANT, EXPONENTIAL, LOGNORMAL, UNIFORM, NORMAL, WEIBULL, EMPIRICAL = range(7)
DISTRIBUTION_CODES = {
    "constant": CONSTANT,
    "exponential": EXPONENTIAL,
    "lognormal": LOGNORMAL,
    "uniform": UNIFORM,
    "normal": NORMAL,
    "weibull": WEIBULL,
    "empirical": EMPIRICAL,
}


def stream_key(seed: int, replication: int, name: str) -> np.uint64:
    """Return the 64-bit key of the stream `name` in replication `replication` of `seed`.

    The key is a cryptographic digest (BLAKE2b): two names share a key with a probability of 1 in 10^19.
    """
    digest = hashlib.blake2b(f"{seed}/{replication}/{name}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


@inlined
def _mix(z: np.uint64) -> np.uint64:
    """Apply the finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit affects every output bit."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def uniform(key: np.uint64, entity: int, ordinal: int) -> float:
    """Return a uniform number in the open interval (0, 1), always the same for the same arguments."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    z = _mix(np.uint64(key) + golden * (np.uint64(entity) + np.uint64(1)))
    z = _mix(z + golden * (np.uint64(ordinal) + np.uint64(1)))
    return (np.float64(z >> np.uint64(11)) + 0.5) * (1.0 / 9007199254740992.0)


@kernel
def normal_quantile(p: float) -> float:
    """Return the quantile of the standard normal distribution (Wichura 1988, AS 241 PPND7; absolute error below 1e-6).

    Valid for p in (0, 1).
    """
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        numerator = ((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179
        denominator = ((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1.0
        return q * numerator / denominator
    r = math.sqrt(-math.log(p if q < 0.0 else 1.0 - p))
    if r <= 5.0:
        r -= 1.6
        numerator = ((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777
        denominator = (0.12021132975 * r + 0.73700164250) * r + 1.0
    else:
        r -= 5.0
        numerator = ((0.017337203997 * r + 0.42868294337) * r + 3.0812263860) * r + 6.6579051150
        denominator = (0.012258202635 * r + 0.24197894225) * r + 1.0
    value = numerator / denominator
    return -value if q < 0.0 else value


@kernel
def sample(code: int, a: float, b: float, values: np.ndarray, u: float) -> float:
    """Return the quantile at `u` of the distribution `(code, a, b, values)`, at least 0."""
    if code == CONSTANT:
        x = a
    elif code == EXPONENTIAL:
        x = -a * math.log(1.0 - u)
    elif code == LOGNORMAL:
        x = a * math.exp(b * normal_quantile(u))
    elif code == UNIFORM:
        x = a + (b - a) * u
    elif code == NORMAL:
        x = a + b * normal_quantile(u)
    elif code == WEIBULL:
        x = a * (-math.log(1.0 - u)) ** (1.0 / b)
    else:
        x = values[min(int(u * values.size), values.size - 1)]
    return max(x, 0.0)
