"""Worked examples of instance refresh steps, and of restart delays."""

from __future__ import annotations

import pytest

from clustersim.policy.capacity.instance_refresh import RefreshStep, refresh_step
from clustersim.policy.tasks.restart_backoff import restart_delay_ms


@pytest.mark.parametrize(
    ("counts", "percents", "step"),
    [
        # (desired, healthy, old healthy, old unhealthy)
        ((10, 10, 10, 0), (90, 100), RefreshStep(0, 1, 0)),  # ceil(9) must stay
        ((4, 4, 4, 0), (90, 100), RefreshStep(0, 1, 0)),  # ceil(3.6) = 4 leaves no room: one at a time
        ((4, 3, 3, 0), (90, 100), RefreshStep(0, 0, 0)),  # and no second one before the first is back
        ((4, 4, 4, 0), (50, 100), RefreshStep(0, 2, 0)),
        ((4, 4, 4, 0), (100, 150), RefreshStep(2, 0, 0)),  # two more are launched first
        ((4, 6, 4, 0), (100, 150), RefreshStep(2, 2, 0)),  # they are healthy: two old ones go, two more come
        ((4, 6, 2, 0), (100, 150), RefreshStep(0, 2, 0)),  # the last
        ((4, 2, 1, 2), (100, 100), RefreshStep(0, 0, 2)),  # no bound counts unhealthy ones
        ((0, 0, 0, 0), (90, 100), RefreshStep(0, 0, 0)),
    ],
)
def test_a_refresh_moves_within_its_percents(
    counts: tuple[int, int, int, int], percents: tuple[int, int], step: RefreshStep
) -> None:
    desired, healthy, *old = counts
    assert refresh_step(desired, healthy, (old[0], old[1]), percents) == step


def test_the_restart_delay_doubles_until_the_application_runs_long_enough() -> None:
    """100 ms at first and after 10 s of running; a minute at most."""
    assert restart_delay_ms(0, 500) == 100
    assert [restart_delay_ms(previous_ms, 9_999) for previous_ms in (100, 200, 51_200)] == [200, 400, 60_000]
    assert restart_delay_ms(60_000, 10_000) == 100
