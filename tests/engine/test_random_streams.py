"""Counter-based random numbers: stable between versions, uniform, with the right quantiles."""

from __future__ import annotations

import math
import zlib
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.random_streams import (
    CONSTANT,
    EMPIRICAL,
    EXPONENTIAL,
    LOGNORMAL,
    NORMAL,
    UNIFORM,
    WEIBULL,
    normal_quantile,
    sample,
    stream_key,
    uniform,
)

NONE = np.zeros(0)
WORD = (1 << 64) - 1
SHARES = st.floats(1e-12, 1 - 1e-12)


def _mix(z: int) -> int:
    """SplitMix64's finaliser on Python's integers."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & WORD
    return z ^ (z >> 31)


def _twin(key: int, entity: int, ordinal: int) -> float:
    golden = 0x9E3779B97F4A7C15
    z = _mix(key + golden * (entity + 1) & WORD)
    z = _mix(z + golden * (ordinal + 1) & WORD)
    return ((z >> 11) + 0.5) / 9007199254740992


@settings(max_examples=300, deadline=None)
@given(st.integers(0, WORD), st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_uniform_equals_the_plain_mixing_function(key: int, entity: int, ordinal: int) -> None:
    """A change of the mixing changes every result, so it must be repeated in the twin on purpose."""
    u = uniform(np.uint64(key), entity, ordinal)
    assert u == _twin(key, entity, ordinal)
    assert 0.0 < u < 1.0


def test_uniform_numbers_of_consecutive_ordinals_are_uniform() -> None:
    """100,000 numbers in 100 bins: chi-square with 99 degrees of freedom stays below its 99.9 % quantile, 149."""
    key = stream_key(3, 0, "service/web/startup")
    for draw in (lambda n: uniform(key, n, 0), lambda n: uniform(key, 0, n)):
        counts, _ = np.histogram([draw(n) for n in range(100_000)], 100, (0, 1))
        assert float(((counts - 1_000) ** 2 / 1_000).sum()) < 149


def test_neighbouring_ordinals_are_not_correlated() -> None:
    """Correlation of 20,000 independent pairs has a standard error of 0.7 %."""
    key = stream_key(3, 0, "a")
    grid = np.array([[uniform(key, n, k) for k in range(2)] for n in range(20_001)])
    assert abs(float(np.corrcoef(grid[:-1, 0], grid[1:, 0])[0, 1])) < 0.03
    assert abs(float(np.corrcoef(grid[:, 0], grid[:, 1])[0, 1])) < 0.03


def test_stream_keys_are_distinct() -> None:
    """Every seed, replication and name has its own stream."""
    names = [f"service/{name}/{purpose}" for name in "abcdefgh" for purpose in ("startup", "failure")]
    keys = {int(stream_key(s, r, name)) for s in range(10) for r in range(10) for name in names}
    assert len(keys) == 10 * 10 * len(names)


def test_a_stream_key_does_not_change_between_versions() -> None:
    """Results must stay byte-identical: the key of a known name is fixed here."""
    assert int(stream_key(7, 0, "service/web/startup")) == 16770824367734082495


def test_names_of_equal_checksum_have_streams_of_their_own() -> None:
    """CRC-32 of `plumless` and `buckeroo` is the same, a well-known pair; the keys of their streams are not."""
    assert zlib.crc32(b"plumless") == zlib.crc32(b"buckeroo")
    assert stream_key(1, 0, "plumless") != stream_key(1, 0, "buckeroo")


@settings(max_examples=300, deadline=None)
@given(SHARES)
def test_normal_quantile_is_that_of_the_standard_library(p: float) -> None:
    """AS 241 PPND7 is accurate to about seven figures."""
    assert normal_quantile(p) == pytest.approx(NormalDist().inv_cdf(p), rel=2e-6, abs=2e-6)


@settings(max_examples=200, deadline=None)
@given(SHARES, st.floats(0.1, 1e7), st.floats(0.1, 3))
def test_quantiles_are_the_inverse_of_the_distribution(u: float, a: float, b: float) -> None:
    """The distribution function of the quantile is the share."""
    assert sample(CONSTANT, a, b, NONE, u) == a
    assert -math.expm1(-sample(EXPONENTIAL, a, b, NONE, u) / a) == pytest.approx(u, rel=1e-9)
    assert sample(UNIFORM, a, a + b, NONE, u) == pytest.approx(a + b * u)
    assert -math.expm1(-((sample(WEIBULL, a, b, NONE, u) / a) ** b)) == pytest.approx(u, rel=1e-9)
    normal = NormalDist().inv_cdf(u)
    assert sample(NORMAL, a, b, NONE, u) == pytest.approx(max(a + b * normal, 0.0), rel=1e-5, abs=1e-5)
    assert sample(LOGNORMAL, a, b, NONE, u) == pytest.approx(a * math.exp(b * normal), rel=2e-5)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=9), SHARES)
def test_empirical_takes_each_value_for_an_equal_share(values: list[float], u: float) -> None:
    """The share [k/n, (k+1)/n) gives value k."""
    assert (
        sample(EMPIRICAL, 0.0, 0.0, np.array(values), u) == values[min(int(u * len(values)), len(values) - 1)]
    )


@pytest.mark.parametrize(
    ("code", "a", "b", "mean"),
    [
        (EXPONENTIAL, 60.0, 0.0, 60.0),
        (LOGNORMAL, 60.0, 0.5, 60.0 * math.exp(0.125)),
        (UNIFORM, 10.0, 30.0, 20.0),
        (NORMAL, 100.0, 10.0, 100.0),
        (WEIBULL, 60.0, 2.0, 60.0 * math.gamma(1.5)),
    ],
)
def test_the_mean_of_many_samples_is_that_of_the_distribution(
    code: int, a: float, b: float, mean: float
) -> None:
    """20,000 samples: the mean within four standard errors."""
    key = stream_key(1, 0, f"mean/{code}")
    drawn = np.array([sample(code, a, b, NONE, uniform(key, n, 0)) for n in range(20_000)])
    assert abs(drawn.mean() - mean) < 4 * drawn.std() / math.sqrt(drawn.size)
