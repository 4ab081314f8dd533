"""Arrivals of exact requests: their rate follows the demand."""

from __future__ import annotations

import numpy as np
import pytest

from clustersim.engine.random_streams import CONSTANT
from tests.policy.load.exact_stream import ExactStream, Rates, StreamSpec, TaskKind


def counts(rates: Rates, ends_ms: list[int], burstiness: float = 1.0) -> list[float]:
    """Return the requests of consecutive periods of one stream."""
    spec = StreamSpec(rates, [TaskKind(scale=0.001)], code=CONSTANT, burstiness=burstiness)
    exact = ExactStream(spec)
    exact.open(1)
    return [exact.period(end)["requests"] for end in ends_ms]


def test_clockwork_follows_the_rate_exactly() -> None:
    """Burstiness 0: 10/s for 10 s, none for 10 s, 20/s for 10 s, and so again."""
    rates = Rates(np.array([0, 10_000, 20_000]), np.array([10.0, 0.0, 20.0]), 30_000)
    found = counts(rates, [10_500, 20_000, 30_500, 40_500, 50_000], burstiness=0.0)
    assert sum(found) == pytest.approx(100 + 0 + 200 + 100, abs=1)
    assert (found[1], found[4]) == (0.0, 0.0)


@pytest.mark.parametrize("burstiness", [0.5, 1.0, 4.0])
def test_the_mean_rate_does_not_depend_on_the_burstiness(burstiness: float) -> None:
    """40,000 requests, within 5 standard deviations of a renewal process."""
    (found,) = counts(Rates(np.zeros(1, np.int64), np.array([400.0])), [100_000], burstiness)
    assert found == pytest.approx(40_000, abs=5 * (burstiness * 40_000) ** 0.5)
