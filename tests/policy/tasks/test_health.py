"""The closed forms of health checks against a plain-Python twin that makes every check."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.tasks.health import (
    container_unhealthy_at,
    first_passed_check,
    first_seen_after_grace,
    hang_detected_at,
    target_healthy_at,
    target_recovered_at,
    target_unhealthy_at,
)
from clustersim.vocabulary import NEVER

CHECKS = 400  # enough for all cases drawn below

intervals = st.integers(1, 60)
readies = st.one_of(st.just(NEVER), st.integers(0, 300))
counts = st.integers(1, 5)


def check_results(interval: int, ready: int, hangs: int = NEVER) -> list[tuple[int, bool]]:
    """Return (instant, passed) of every check."""
    return [
        (at, 0 <= ready <= at and not 0 <= hangs < at) for at in range(interval, CHECKS * interval, interval)
    ]


def first_streak(checks: list[tuple[int, bool]], wanted: bool, length: int) -> int:
    """Return the instant of the `length`-th consecutive result equal to `wanted`; NEVER if there is none."""
    run = 0
    for at, passed in checks:
        run = run + 1 if passed is wanted else 0
        if run == length:
            return at
    return NEVER


@given(intervals, readies)
def test_the_first_check_that_passes(interval: int, ready: int) -> None:
    assert first_passed_check(interval, ready) == first_streak(check_results(interval, ready), True, 1)


@given(intervals, counts, st.integers(0, 100), readies)
def test_a_container_is_unhealthy_before_it_ever_passed(
    interval: int, retries: int, start: int, ready: int
) -> None:
    """Failures within the start period do not count; a container that passed first is never unhealthy."""
    expected, failures = NEVER, 0
    for at, passed in check_results(interval, ready):
        if passed:
            break
        failures = failures + 1 if at > start else 0
        if failures == retries:
            expected = at
            break
    assert container_unhealthy_at(interval, retries, start, ready) == expected


@given(intervals, counts, readies)
def test_a_target_is_unhealthy_before_it_ever_passed(interval: int, checks: int, ready: int) -> None:
    checks_made = check_results(interval, ready)
    failed, passed = first_streak(checks_made, False, checks), first_streak(checks_made, True, 1)
    expected = NEVER if 0 <= passed < failed or failed < 0 else failed
    assert target_unhealthy_at(interval, checks, ready) == expected


@given(intervals, counts, readies)
def test_a_target_is_healthy_after_so_many_passes(interval: int, checks: int, ready: int) -> None:
    expected = first_streak(check_results(interval, ready), True, checks)
    assert target_healthy_at(interval, checks, ready) == expected
    assert target_recovered_at(interval, checks, ready) == expected


@given(intervals, counts, st.integers(1, 300))
def test_a_hang_is_detected_by_the_checks_after_it(interval: int, checks: int, hangs: int) -> None:
    """A check at the very instant at which it hangs still passes."""
    checks_made = [(at, passed) for at, passed in check_results(interval, 0, hangs) if at > hangs]
    assert hang_detected_at(interval, checks, hangs) == first_streak(checks_made, False, checks)


@pytest.mark.parametrize(
    ("begins", "ends", "grace", "seen"),
    [
        (30, NEVER, 0, 30),
        (30, NEVER, 60, 60),
        (30, 50, 60, NEVER),
        (30, 61, 60, 60),
        (NEVER, NEVER, 0, NEVER),
    ],
)
def test_the_grace_period_hides_states_that_end_within_it(
    begins: int, ends: int, grace: int, seen: int
) -> None:
    """ECS: healthCheckGracePeriodSeconds ignores unhealthy targets (and containers) of a new task."""
    assert first_seen_after_grace(begins, ends, grace) == seen
