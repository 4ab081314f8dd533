"""Histograms of response times: the bucket of a number, and the percentiles of recorded times."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.load.latency import LATENCY_BUCKETS, bucket_start, latency_bucket, latency_quantile


def plain_bucket(seconds: float) -> int:
    """Return the last bucket that does not begin above the number, by search."""
    starts = [0.0] + [2.0 ** (octave - 20) * (1 + step / 64) for octave in range(38) for step in range(64)]
    return max(bucket for bucket, start in enumerate(starts) if start <= seconds)


@given(st.floats(0.0, 1e6))
def test_a_time_is_in_the_bucket_that_holds_it(seconds: float) -> None:
    """At the edges too, and beyond the last bucket in the last."""
    assert latency_bucket(seconds) == plain_bucket(seconds)


def test_buckets_are_at_most_a_64th_wide() -> None:
    """So that no percentile is further off than 1.6 %."""
    starts = [bucket_start(bucket) for bucket in range(LATENCY_BUCKETS + 1)]
    assert starts[:2] == [0.0, 2.0**-20]
    assert starts[-1] == 2.0**18
    assert all(a < b <= a * (1 + 1 / 64) for a, b in pairwise(starts[1:]))


def test_equal_times_have_percentiles_within_their_bucket() -> None:
    """A thousand times 25 ms: every percentile is 25 ms to 1.6 %; an empty histogram has none."""
    histogram = np.zeros(LATENCY_BUCKETS)
    assert math.isnan(latency_quantile(histogram, 0.5))
    histogram[latency_bucket(0.025)] = 1_000.0
    for share in (0.01, 0.5, 0.99):
        assert latency_quantile(histogram, share) == pytest.approx(0.025, rel=1 / 64)


def test_a_percentile_is_not_exceeded_by_its_share() -> None:
    """Of 1, 2 ... 100 ms the median lies in the bucket of 50 ms, the 90th percentile in that of 90 ms."""
    histogram = np.zeros(LATENCY_BUCKETS)
    for ms in range(1, 101):
        histogram[latency_bucket(ms / 1_000)] += 1.0
    assert latency_bucket(latency_quantile(histogram, 0.5) - 1e-12) == latency_bucket(0.050)
    assert latency_bucket(latency_quantile(histogram, 0.9) - 1e-12) == latency_bucket(0.090)
