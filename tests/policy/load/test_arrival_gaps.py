"""Times between requests: their mean and variation, whatever the burstiness."""

from __future__ import annotations

import numpy as np
import pytest

from clustersim.policy.load.arrival_gaps import other_gap

KEY = np.uint64(77)


@pytest.mark.parametrize("burstiness", [0.0, 0.25, 0.7, 1.5, 4.0, 16.0])
def test_gaps_have_their_mean_and_variation(burstiness: float) -> None:
    """Mean 1, and the variance is the burstiness: within 5 standard errors of 20,000 draws."""
    gaps = np.array([other_gap(KEY, ordinal, burstiness) for ordinal in range(20_000)])
    assert gaps.mean() == pytest.approx(1.0, abs=5 * (burstiness / gaps.size) ** 0.5)
    spread = ((gaps - 1.0) ** 2).std() / gaps.size**0.5
    assert gaps.var() == pytest.approx(burstiness, abs=5 * spread)


def test_a_gap_depends_on_its_request_only() -> None:
    """Addressed draws: the same key and ordinal give the same time."""
    assert other_gap(KEY, 5, 0.5) == other_gap(KEY, 5, 0.5) != other_gap(KEY, 6, 0.5)
