"""Rate limits are windows; a request that the next window admits soon enough waits for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.images.registry_rate_limits import admit_requests, new_windows, outage_end
from clustersim.vocabulary import NEVER

SIX_HOURS = 6 * 3_600_000


def test_docker_hub_refuses_the_101st_pull_in_six_hours() -> None:
    """100 pulls in 6 hours, counted from the first; then a new window opens."""
    windows = new_windows(1)
    assert [admit_requests(windows, 0, at, 1, 100, SIX_HOURS, 10_000) for at in range(100)] == list(
        range(100)
    )
    assert admit_requests(windows, 0, 200, 1, 100, SIX_HOURS, 10_000) == NEVER
    assert admit_requests(windows, 0, SIX_HOURS - 10_001, 1, 100, SIX_HOURS, 10_000) == NEVER
    assert admit_requests(windows, 0, SIX_HOURS - 10_000, 1, 100, SIX_HOURS, 10_000) == SIX_HOURS
    assert admit_requests(windows, 0, SIX_HOURS + 5, 1, 100, SIX_HOURS, 10_000) == SIX_HOURS + 5


def test_a_burst_is_spread_over_the_next_seconds() -> None:
    """25 pulls at once, 10 a second: 10 now, 10 after a second; what would wait longer than 1.5 s is refused."""
    windows = new_windows(1)
    admitted = [admit_requests(windows, 0, 0, 1, 10, 1_000, 1_500) for _ in range(25)]
    assert admitted == [0] * 10 + [1_000] * 10 + [NEVER] * 5
    assert admit_requests(windows, 0, 1_999, 1, 10, 1_000, 1_500) == 2_000, "both windows are full"
    assert admit_requests(windows, 0, 3_000, 1, 10, 1_000, 1_500) == 3_000


def test_sources_are_counted_apart() -> None:
    windows = new_windows(2)
    assert admit_requests(windows, 0, 0, 1, 1, 1_000, 0) == 0
    assert admit_requests(windows, 1, 0, 1, 1, 1_000, 0) == 0
    assert admit_requests(windows, 0, 0, 1, 1, 1_000, 0) == NEVER


def test_without_a_limit_or_a_request_nothing_waits() -> None:
    windows = new_windows(1)
    assert admit_requests(windows, 0, 7, 5, 0, 1_000, 0) == 7
    assert admit_requests(windows, 0, 7, 0, 1, 1_000, 0) == 7
    assert windows.tolist() == [[0, 0]]


class Twin:
    """Windows as a list of instants: each request is recorded where it was admitted."""

    def __init__(self) -> None:
        self.began, self.used = 0, list[int]()

    def admit(self, now: int, amount: int, limit: int, per: int, patience: int) -> int:
        if not self.used or now >= self.used[-1] + per:
            self.began, self.used = now, []
        used = list(self.used)
        for _ in range(amount):
            window = self.began
            while used.count(window) == limit:
                window += per
            used.append(window)
        admitted = max(now, used[-1])
        if admitted - now > patience:
            return NEVER
        self.used = used
        return admitted


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 4)), max_size=25),
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(0, 30),
)
def test_equals_the_plain_twin(requests: list[tuple[int, int]], limit: int, per: int, patience: int) -> None:
    """Requests in order of time match the twin; no window admits more than its limit."""
    windows, twin, now = new_windows(1), Twin(), 0
    for wait, amount in requests:
        now += wait
        assert admit_requests(windows, 0, now, amount, limit, per, patience) == twin.admit(
            now, amount, limit, per, patience
        )
    assert all(twin.used.count(window) <= limit for window in twin.used)


@pytest.mark.parametrize(("now", "expected"), [(0, NEVER), (10, 20), (19, 20), (20, NEVER), (35, 40)])
def test_an_outage_holds_from_its_begin_until_its_end(now: int, expected: int) -> None:
    assert outage_end(np.array([10, 30]), np.array([20, 40]), now) == expected
