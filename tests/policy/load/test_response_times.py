"""Histograms of response times: what is added, and the quantiles and shares that are read."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.policy.load import response_times
from clustersim.policy.load.response_curves import DEPTHS, LEVELS


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.0, 100.0), min_size=LEVELS.size, max_size=LEVELS.size), st.floats(0.1, 1e6))
def test_a_histogram_loses_no_request(times: list[float], weight: float) -> None:
    """Whatever the quantiles, equal ones and zeros among them: all the weight is in the histogram."""
    histogram = np.zeros(response_times.BUCKETS)
    response_times.add_quantiles(histogram, weight, np.sort(times))
    assert histogram.sum() == pytest.approx(weight, rel=1e-9)
    assert np.all(histogram >= 0.0)


@pytest.mark.parametrize("mean_s", [0.004, 0.05, 3.0])
def test_quantiles_are_read_as_they_were_added(mean_s: float) -> None:
    """Exponential times: buckets are 9 % wide, read with interpolation; any quantile is within 3 %."""
    histogram = np.zeros(response_times.BUCKETS)
    response_times.add_quantiles(histogram, 1_000.0, mean_s * DEPTHS)
    for share in (0.1, 0.5, 0.75, 0.9, 0.97, 0.99, 0.999):
        exact = -mean_s * math.log1p(-share)
        assert response_times.histogram_quantile(histogram, share) == pytest.approx(exact, rel=0.03)
        assert response_times.share_within(histogram, exact) == pytest.approx(share, abs=0.01)


def test_equal_times_are_in_one_bucket() -> None:
    """Clockwork: the distribution is a point."""
    histogram = np.zeros(response_times.BUCKETS)
    response_times.add_quantiles(histogram, 7.0, np.full(LEVELS.size, 0.3))
    assert np.count_nonzero(histogram) == 1
    assert response_times.share_within(histogram, 0.25) == 0.0
    assert response_times.share_within(histogram, 0.35) == 1.0


def test_an_empty_histogram_has_no_quantile() -> None:
    """No request, no response time: null in the results."""
    assert math.isnan(response_times.histogram_quantile(np.zeros(response_times.BUCKETS), 0.5))
    assert math.isnan(response_times.share_within(np.zeros(response_times.BUCKETS), 0.5))
