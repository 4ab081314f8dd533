"""The random part of a queue: stationary in a steady load, and no work is lost on the way there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.policy.load.fluid_tables import BackendRow
from clustersim.policy.load.random_queues import settle_queue
from tests.policy.load.test_response_curves import curve

M_M_1 = curve()


def backend() -> Any:
    """A backend of one task of one vCPU, without a queue."""
    row = np.recarray(1, BackendRow.dtype)
    row[0] = np.zeros(1, BackendRow.dtype)[0]
    row["capacity_vcpu"] = 1.0
    return row[0]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20), st.floats(1.0, 1e6))
def test_arrivals_are_served_or_make_the_queue_longer(loads: list[float], room: float) -> None:
    """Utilisation x room + increase of the queue = arrivals, in every period."""
    row = backend()
    for load in loads:
        before = row.queue
        utilization = settle_queue(M_M_1, row, load * room, room, 1.0)
        assert 0.0 <= utilization < 1.0
        assert utilization * room + row.queue - before == pytest.approx(
            load * room, rel=1e-5, abs=1e-5 * room
        )


def test_in_a_steady_load_the_utilization_is_that_of_the_load() -> None:
    """95 % of 1,200 a minute: after an hour the queue is that of one task, 0.95 / 0.05 - 0.95."""
    row = backend()
    for _ in range(60):
        utilization = settle_queue(M_M_1, row, 0.95 * 1_200, 1_200, 1.0)
    assert utilization == pytest.approx(0.95, abs=2e-3)
    assert row.queue == pytest.approx(18.05, rel=0.06)


def test_saturation_queues_by_the_square_root_of_the_period() -> None:
    """Exactly at capacity 10,000 requests leave a queue of about 100: 1 - u is 1 / (sqrt(n) + 1)."""
    row = backend()
    settle_queue(M_M_1, row, 10_000.0, 10_000.0, 1.0)
    assert row.queue == pytest.approx(99.0, rel=0.1)
