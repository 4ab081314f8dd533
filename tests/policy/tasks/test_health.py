"""The closed forms of health checks against a plain twin that makes every check."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.tasks.health import (
    container_unwell,
    first_pass,
    found_hung,
    outlasting,
    target_recovered,
    target_unwell,
    target_well,
)
from clustersim.vocabulary import NEVER

CHECKS = 400  # enough for all that is drawn below

intervals = st.integers(1, 60)
readies = st.one_of(st.just(NEVER), st.integers(0, 300))
counts = st.integers(1, 5)


def answers(interval: int, ready: int, hangs: int = NEVER) -> list[tuple[int, bool]]:
    """(instant, whether it passes) of every check."""
    return [
        (at, 0 <= ready <= at and not 0 <= hangs < at) for at in range(interval, CHECKS * interval, interval)
    ]


def first_run(checks: list[tuple[int, bool]], wanted: bool, length: int) -> int:
    """The instant of the `length`-th answer in a row that is as wanted; NEVER if there is none."""
    run = 0
    for at, passed in checks:
        run = run + 1 if passed is wanted else 0
        if run == length:
            return at
    return NEVER


@given(intervals, readies)
def test_the_first_check_that_passes(interval: int, ready: int) -> None:
    assert first_pass(interval, ready) == first_run(answers(interval, ready), True, 1)


@given(intervals, counts, st.integers(0, 100), readies)
def test_a_container_is_unhealthy_before_it_ever_passed(
    interval: int, retries: int, start: int, ready: int
) -> None:
    """Failures within the start period do not count; whoever passed first is never found so."""
    expected, failures = NEVER, 0
    for at, passed in answers(interval, ready):
        if passed:
            break
        failures = failures + 1 if at > start else 0
        if failures == retries:
            expected = at
            break
    assert container_unwell(interval, retries, start, ready) == expected


@given(intervals, counts, readies)
def test_a_target_is_unhealthy_before_it_ever_passed(interval: int, checks: int, ready: int) -> None:
    made = answers(interval, ready)
    failed, passed = first_run(made, False, checks), first_run(made, True, 1)
    expected = NEVER if 0 <= passed < failed or failed < 0 else failed
    assert target_unwell(interval, checks, ready) == expected


@given(intervals, counts, readies)
def test_a_target_is_healthy_after_so_many_passes(interval: int, checks: int, ready: int) -> None:
    expected = first_run(answers(interval, ready), True, checks)
    assert target_well(interval, checks, ready) == expected
    assert target_recovered(interval, checks, ready) == expected


@given(intervals, counts, st.integers(1, 300))
def test_who_hangs_is_found_by_the_checks_after_it(interval: int, checks: int, hangs: int) -> None:
    """A check at the very instant at which it hangs still passes."""
    made = [(at, passed) for at, passed in answers(interval, 0, hangs) if at > hangs]
    assert found_hung(interval, checks, hangs) == first_run(made, False, checks)


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
def test_the_grace_period_hides_what_is_over_by_then(begins: int, ends: int, grace: int, seen: int) -> None:
    """ECS: healthCheckGracePeriodSeconds ignores unhealthy targets (and containers) of a new task."""
    assert outlasting(begins, ends, grace) == seen
