"""Steps of a deployment: never outside the bounds, whatever the counts; the thresholds and shifts by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.tasks.deployment import (
    Counts,
    Step,
    TrafficStep,
    breaker_threshold,
    healthy_bounds,
    is_stuck,
    rebalancing_move,
    rolling_step,
    throttle_delay_ms,
    traffic_steps,
)


@st.composite
def counted(draw: st.DrawFn) -> Counts:
    """Counts that can be: of each kind of task some are healthy."""
    desired = draw(st.integers(0, 20))
    fresh, old = draw(st.integers(0, desired)), draw(st.integers(0, 20))
    leaving, unwell = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    fresh_healthy, old_healthy = draw(st.integers(0, fresh)), draw(st.integers(0, old))
    leaving_healthy = draw(st.integers(0, leaving))
    starting = draw(st.integers(0, fresh - fresh_healthy + old - old_healthy))
    return Counts(
        desired=desired,
        fresh=fresh,
        total=fresh + old + leaving + unwell,
        starting=starting,
        healthy=fresh_healthy + old_healthy + leaving_healthy,
        old=old,
        old_healthy=old_healthy,
        leaving=leaving,
        unwell=unwell,
        settling=fresh - fresh_healthy if unwell else 0,
    )


percents = st.tuples(st.integers(0, 100), st.integers(100, 200))


@given(counted(), percents)
def test_a_step_stays_within_the_bounds(counts: Counts, limits: tuple[int, int]) -> None:
    """It starts no more than `upper` leaves room for, and stops no healthy task below `lower`."""
    lower, upper = healthy_bounds(counts.desired, *limits)
    step = rolling_step(counts, lower, upper)
    assert min(step) >= 0
    assert step.start == 0 or counts.total + step.start <= upper
    assert counts.fresh + step.start <= counts.desired
    assert step.stop_old <= counts.old
    assert step.stop_leaving <= counts.leaving
    assert step.stop_unwell <= counts.unwell
    stopped = max(0, step.stop_old - (counts.old - counts.old_healthy)) + step.stop_leaving
    assert stopped == 0 or counts.healthy - stopped >= lower


@given(counted(), percents)
def test_what_is_stuck_can_do_nothing(counts: Counts, limits: tuple[int, int]) -> None:
    lower, upper = healthy_bounds(counts.desired, *limits)
    step = rolling_step(counts, lower, upper)
    assert not is_stuck(counts, step, upper) or step == Step()


@given(st.integers(1, 20), st.integers(0, 20))
def test_unhealthy_tasks_go_when_their_replacements_are_healthy(desired: int, unwell: int) -> None:
    """100 to 200 %: as many unhealthy tasks stop as there are healthy ones in their place."""
    unwell = min(unwell, desired)
    well = desired - unwell
    begun = Counts(desired, well, desired, 0, well, 0, 0, 0, unwell, 0)
    assert rolling_step(begun, desired, 2 * desired) == Step(start=unwell)
    for healthy in range(unwell + 1):
        counts = Counts(
            desired, desired, desired + unwell, 0, well + healthy, 0, 0, 0, unwell, unwell - healthy
        )
        assert rolling_step(counts, desired, 2 * desired).stop_unwell == healthy


def test_without_room_for_a_replacement_unhealthy_tasks_go_one_at_a_time() -> None:
    """4 tasks, 50 to 100 %, two of them unhealthy: one stops; not if 100 % have to stay RUNNING."""
    counts = Counts(4, 2, 4, 0, 2, 0, 0, 0, 2, 0)
    assert rolling_step(counts, 2, 4) == Step(stop_unwell=1)
    assert rolling_step(counts, 4, 4) == Step()
    replacing = Counts(4, 3, 4, 1, 2, 0, 0, 0, 1, 1)
    assert rolling_step(replacing, 2, 4) == Step()


@pytest.mark.parametrize(
    ("strategy", "percent", "bake", "expected"),
    [
        ("BLUE_GREEN", 0.0, 0, [(100.0, 0)]),
        ("CANARY", 10.0, 7, [(10.0, 7), (100.0, 0)]),
        ("LINEAR", 30.0, 5, [(30.0, 5), (60.0, 5), (90.0, 5), (100.0, 0)]),
        ("LINEAR", 33.3, 5, [(33.3, 5), (66.6, 5), (99.9, 5), (100.0, 0)]),
        ("LINEAR", 100.0, 5, [(100.0, 0)]),
    ],
)
def test_traffic_moves_in_these_steps(
    strategy: str, percent: float, bake: int, expected: list[tuple[float, int]]
) -> None:
    assert list(traffic_steps(strategy, percent, bake)) == [TrafficStep(*step) for step in expected]


@given(st.integers(30, 1000))
def test_linear_steps_rise_to_all_of_the_traffic(tenths: int) -> None:
    steps = traffic_steps("LINEAR", tenths / 10, 60)
    percents = [step.percent for step in steps]
    assert percents == sorted(percents)
    assert percents[-1] == 100.0
    assert len(steps) == math.ceil(1000 / tenths)


@given(st.integers(0, 10_000), st.integers(1, 100))
def test_thresholds_stay_within_three_and_two_hundred(desired: int, percent: int) -> None:
    bounded = breaker_threshold(desired, "BOUNDED_PERCENT", percent)
    free = breaker_threshold(desired, "UNBOUNDED_PERCENT", percent)
    assert bounded == min(200, max(3, free))
    assert free == max(1, -(-desired * percent // 100))


def test_pauses_double_up_to_27_minutes() -> None:
    """10, 20, 40 ... 1,280 s, then 27 minutes."""
    assert [throttle_delay_ms(rounds) // 1000 for rounds in (0, 1, 2, 8, 9, 100)] == [
        0,
        10,
        20,
        1280,
        1620,
        1620,
    ]


@given(st.dictionaries(st.integers(0, 5), st.integers(0, 12), max_size=6))
def test_moves_between_zones_end_in_balance(tasks: dict[int, int]) -> None:
    """Each move takes from the fullest and gives to the emptiest; when none is left they differ by one at most."""
    total = sum(tasks.values())
    for _ in range(total + 1):
        move = rebalancing_move(tasks)
        if move is None:
            break
        poorest, richest = move
        assert (tasks[poorest], tasks[richest]) == (min(tasks.values()), max(tasks.values()))
        tasks[poorest] += 1
        tasks[richest] -= 1
    assert rebalancing_move(tasks) is None
    assert sum(tasks.values()) == total
    assert len(tasks) < 2 or max(tasks.values()) - min(tasks.values()) <= 1
