"""Statistics of replications: intervals, differences, comparisons, warm-up, and the number of replications needed.

Decides which formula answers a question about repeated runs, and names it in the result. It must not know what was
measured, nor where the numbers come from: it takes plain arrays, one value per replication. Users call it as
`clustersim.stats`, and so do sweeps and searches.

Values of the same replication at two points share their random numbers (common random numbers), so differences are best
estimated in pairs: the variation common to both cancels out.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Method = Literal["t", "bca"]
Values = Sequence[float] | npt.NDArray[np.float64]

RESAMPLES = (
    9_999  # of a bootstrap: enough for the second digit of a 95 % limit (Efron, Tibshirani 1993, ch. 14)
)
MSER_BATCH = 5  # observations per batch: the 5 of MSER-5


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; `low` and `high` are NaN for a single value, which has no spread."""

    mean: float
    low: float
    high: float
    n: int
    confidence: float
    method: str
    """The method of the limits: `t`, `bca`, `paired t`, `Welch t`, `Dunnett` ..."""
    p_value: float | None = None
    """The p-value of the hypothesis that a difference is 0; None for a mean."""

    @property
    def width(self) -> float:
        """The width from end to end, in the unit of the mean."""
        return self.high - self.low

    @property
    def half_width(self) -> float:
        """Half the width: the number after a plus-minus sign."""
        return self.width / 2

    @property
    def excludes_zero(self) -> bool:
        """True if a difference is significant at this confidence."""
        return self.low > 0 or self.high < 0


def mean_interval(
    values: Values, confidence: float = 0.95, method: Method = "t", *, seed: int = 0
) -> Interval:
    """Return the mean of independent replications with its interval.

    `t` is Student's: exact for normal values, good for means of moderately skewed values from ten replications on.
    `bca` is the bias-corrected, accelerated bootstrap (Efron 1987): for skewed values such as waiting times; `seed`
    chooses its resamples. Raises ValueError for no values, or one that is not finite.
    """
    sample = _sample(values)
    mean, n = float(sample.mean()), len(sample)
    if n == 1:
        return Interval(mean, math.nan, math.nan, n, confidence, method)
    if np.ptp(sample) == 0:  # no spread: both methods would divide by 0
        return Interval(mean, mean, mean, n, confidence, method)
    if method == "t":
        half = _t_quantile(confidence, n - 1) * float(sample.std(ddof=1)) / math.sqrt(n)
        return Interval(mean, mean - half, mean + half, n, confidence, method)
    from scipy.stats import bootstrap

    limits = bootstrap(
        (sample,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="BCa",
        rng=_generator(seed),
    ).confidence_interval
    return Interval(mean, float(limits.low), float(limits.high), n, confidence, method)


def paired_difference(
    values: Values, base: Values, confidence: float = 0.95, method: Method = "t", *, seed: int = 0
) -> Interval:
    """Return how much larger `values` are than `base`, replication by replication.

    Both have one value per replication, in the same order; the n-th of both share their random numbers. The p-value
    is that of the paired t-test. Raises ValueError if their lengths differ.
    """
    first, second = _sample(values), _sample(base)
    if len(first) != len(second):
        raise ValueError(
            f"{len(first)} values cannot be paired with {len(second)}; use the replications that both have"
        )
    differences = first - second
    interval = mean_interval(differences, confidence, method, seed=seed)
    p_value = math.nan if len(differences) == 1 else _t_test(differences)
    return Interval(
        interval.mean, interval.low, interval.high, interval.n, confidence, f"paired {method}", p_value
    )


def unpaired_difference(values: Values, base: Values, confidence: float = 0.95) -> Interval:
    """Return how much larger `values` are than `base` if they are independent: Welch's t, for unequal variances.

    For runs of different seeds, and to measure the benefit of pairing. `n` counts the values of both.
    """
    first, second = _sample(values), _sample(base)
    n, mean = len(first) + len(second), float(first.mean() - second.mean())
    if min(len(first), len(second)) == 1:
        return Interval(mean, math.nan, math.nan, n, confidence, "Welch t", math.nan)
    if np.ptp(first) == 0 and np.ptp(second) == 0:
        return Interval(mean, mean, mean, n, confidence, "Welch t", float(mean == 0))
    from scipy.stats import ttest_ind

    test = ttest_ind(first, second, equal_var=False)
    limits = test.confidence_interval(confidence)
    return Interval(mean, float(limits.low), float(limits.high), n, confidence, "Welch t", float(test.pvalue))


def compare_with_control(
    groups: Mapping[str, Values], control: Values, confidence: float = 0.95, *, seed: int = 0
) -> dict[str, Interval]:
    """Compare many groups with one control, with intervals that hold for all of them at once (Dunnett 1955).

    Of twenty options one beats the base by chance alone at 95 %; these intervals are wide enough that with the stated
    confidence none of the family is wrong. They assume independent groups, so under common random numbers they are
    conservative. `seed` chooses the points of the numerical integration. Raises ValueError for a group of one value,
    or if no group varies.
    """
    from scipy.stats import dunnett

    base = _sample(control)
    samples = [_sample(values) for values in groups.values()]
    if min(len(sample) for sample in [*samples, base]) < 2:
        raise ValueError("a comparison with a control needs at least two values in every group")
    if all(np.ptp(sample) == 0 for sample in [*samples, base]):
        raise ValueError("no group varies: there is no randomness to account for")
    with warnings.catch_warnings():
        # Values that differ by rounding only have a variance of rounding only, which is 0 to a reader of the interval.
        warnings.filterwarnings("ignore", message="Precision loss", category=RuntimeWarning)
        test = dunnett(*samples, control=base, rng=_generator(seed))
    limits = test.confidence_interval(confidence)
    return {
        name: Interval(
            float(sample.mean() - base.mean()),
            float(limits.low[number]),
            float(limits.high[number]),
            len(sample),
            confidence,
            "Dunnett",
            float(test.pvalue[number]),
        )
        for number, (name, sample) in enumerate(zip(groups, samples, strict=True))
    }


def replications_for(
    values: Values, width: float, confidence: float = 0.95, *, relative: bool = False
) -> int:
    """Return how many replications make the t interval at most `width` wide from end to end, estimated from `values`.

    `relative`: `width` is a share of the mean (0.02 means within one percent either way). At least the number of
    given values, if these are narrow enough already. Raises ValueError for fewer than two values, or a width that is
    not above 0 (including a relative one of a mean of 0).
    """
    sample = _sample(values)
    if len(sample) < 2:
        raise ValueError("one value has no spread; at least two replications are needed")
    target_width = width * abs(float(sample.mean())) if relative else width
    spread = float(sample.std(ddof=1))
    if np.ptp(sample) == 0:
        return len(sample)
    if not target_width > 0:
        raise ValueError(f"the width of an interval must be above 0, not {target_width:g}")

    def is_narrow(n: int) -> bool:
        return 2 * _t_quantile(confidence, n - 1) * spread / math.sqrt(n) <= target_width

    upper = len(sample)
    while not is_narrow(upper):
        upper *= 2
    lower = max(2, upper // 2)
    while lower < upper:  # the width shrinks with n: halve the range
        middle = (lower + upper) // 2
        lower, upper = (lower, middle) if is_narrow(middle) else (middle + 1, upper)
    return max(upper, len(sample))


@dataclass(frozen=True)
class WarmUp:
    """The warm-up of a series: the initial observations that depend on its start."""

    observations: int
    """The number of observations to discard at the beginning."""
    settled: bool
    """False if the best cut lies at the middle, the last one tried: the series is too short to decide."""


def mser5(series: Values) -> WarmUp:
    """Return the warm-up of a series by MSER-5: the cut that minimises the standard error of the remaining mean.

    Means of five observations are cut where their sum of squares about their mean, divided by the square of their
    number, is least; at most half of the series is cut (White 1997; White, Cobb, Spratt 2000). Raises ValueError for
    fewer than ten observations.
    """
    sample = _sample(series)
    batches = len(sample) // MSER_BATCH
    if batches < 2:
        raise ValueError(f"{len(sample)} observations are too few; MSER-5 needs at least 10")
    means = sample[: batches * MSER_BATCH].reshape(batches, MSER_BATCH).mean(axis=1)
    means -= means.mean()  # small numbers, so that the difference of sums below keeps its precision
    remaining = np.arange(batches, 0, -1)
    sums = np.cumsum(means[::-1])[::-1]
    squares = np.cumsum(means[::-1] ** 2)[::-1]
    error = np.maximum(squares - sums**2 / remaining, 0.0) / remaining**2
    last = batches // 2
    cut = int(np.argmin(error[: last + 1]))
    return WarmUp(cut * MSER_BATCH, cut < last)


@dataclass(frozen=True)
class Sensitivity:
    """The share of a measure's variance that one input explains: alone, and with all its interactions."""

    first_order: Interval
    total_order: Interval


def sensitivity(
    first: Values, second: Values, mixed: Sequence[Values], confidence: float = 0.95, *, seed: int = 0
) -> list[Sensitivity]:
    """Return the Sobol indices, one entry per input, from the measure at the points of a Sobol design.

    `first` and `second` are its values at two independent samples A and B of n points (a power of two); `mixed[i]`
    those at A with input i taken from B (Saltelli et al. 2010). Limits are percentiles of a bootstrap over the n
    points, chosen by `seed`. Raises ValueError for unequal lengths or no variance.
    """
    from scipy.stats import sobol_indices

    a, b = _sample(first), _sample(second)
    ab = np.array([_sample(values) for values in mixed])[:, None, :]
    if ab.shape[2] != len(a) or len(a) != len(b):
        raise ValueError("A, B and every mixed sample need one value per point")
    if len(ab) == 1:  # scipy does not support one input; a copy of it changes nothing
        ab = np.repeat(ab, 2, axis=0)
    if np.ptp(np.concatenate([a, b])) == 0:
        raise ValueError("the measure is the same at every point: there is no variance to explain")

    def indices(index: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        chosen = {"f_A": a[None, index], "f_B": b[None, index], "f_AB": ab[:, :, index]}
        indices_found = sobol_indices(func=chosen, n=len(index))
        return np.stack([np.ravel(indices_found.first_order), np.ravel(indices_found.total_order)])

    n = len(a)
    estimate = indices(np.arange(n))
    generator = _generator(seed)
    resampled = np.array([indices(generator.integers(0, n, n)) for _ in range(400)])
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail], axis=0)

    def interval(order: int, number: int) -> Interval:
        limits = (float(low[order, number]), float(high[order, number]))
        return Interval(float(estimate[order, number]), *limits, n, confidence, "bootstrap")

    return [Sensitivity(interval(0, number), interval(1, number)) for number in range(len(mixed))]


def _sample(values: Values) -> npt.NDArray[np.float64]:
    """Return the values as floats; raise ValueError if there are none, or one is missing."""
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) == 0:
        raise ValueError("expected one row of at least one value")
    if not np.isfinite(sample).all():
        raise ValueError("a value is missing or not finite; omit the runs without one")
    return sample


def _t_test(differences: npt.NDArray[np.float64]) -> float:
    """Return the p-value of a mean of 0; it is 0 for equal differences other than 0."""
    from scipy.special import stdtr

    mean, n = float(differences.mean()), len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    if error <= 1e-12 * abs(mean):
        return float(mean == 0)
    return 2 * float(stdtr(n - 1, -abs(mean) / error))


def _t_quantile(confidence: float, freedom: int) -> float:
    """Return how many standard errors a two-sided t interval extends."""
    from scipy.special import stdtrit  # scipy.stats takes three times as long to import

    return float(stdtrit(freedom, 0.5 + confidence / 2))


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))
