"""Deployment steps stay within the bounds for any counts; thresholds against worked examples."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.tasks.deployment import (
    DeploymentCounts,
    RollingStep,
    breaker_threshold,
    find_rebalancing_move,
    healthy_bounds,
    is_stuck,
    rolling_step,
    throttle_delay_ms,
)


@st.composite
def deployment_counts(draw: st.DrawFn) -> DeploymentCounts:
    """Draw consistent counts: of each kind of task some are healthy."""
    desired = draw(st.integers(0, 20))
    up_to_date, old = draw(st.integers(0, desired)), draw(st.integers(0, 20))
    leaving, unhealthy = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    up_to_date_healthy, old_healthy = draw(st.integers(0, up_to_date)), draw(st.integers(0, old))
    leaving_healthy = draw(st.integers(0, leaving))
    starting = draw(st.integers(0, up_to_date - up_to_date_healthy + old - old_healthy))
    return DeploymentCounts(
        desired=desired,
        up_to_date=up_to_date,
        total=up_to_date + old + leaving + unhealthy,
        starting=starting,
        healthy=up_to_date_healthy + old_healthy + leaving_healthy,
        old=old,
        old_healthy=old_healthy,
        leaving=leaving,
        unhealthy=unhealthy,
        settling=up_to_date - up_to_date_healthy if unhealthy else 0,
    )


percents = st.tuples(st.integers(0, 100), st.integers(100, 200))


@given(deployment_counts(), percents)
def test_a_step_stays_within_the_bounds(counts: DeploymentCounts, limits: tuple[int, int]) -> None:
    """A step starts no task beyond `upper`, and stops no healthy task below `lower`."""
    lower, upper = healthy_bounds(counts.desired, *limits)
    step = rolling_step(counts, lower, upper)
    assert min(step) >= 0
    assert step.start == 0 or counts.total + step.start <= upper
    assert counts.up_to_date + step.start <= counts.desired
    assert step.stop_old <= counts.old
    assert step.stop_leaving <= counts.leaving
    assert step.stop_unhealthy <= counts.unhealthy
    stopped = max(0, step.stop_old - (counts.old - counts.old_healthy)) + step.stop_leaving
    assert stopped == 0 or counts.healthy - stopped >= lower


@given(deployment_counts(), percents)
def test_a_stuck_deployment_has_no_step(counts: DeploymentCounts, limits: tuple[int, int]) -> None:
    lower, upper = healthy_bounds(counts.desired, *limits)
    step = rolling_step(counts, lower, upper)
    assert not is_stuck(counts, step, upper) or step == RollingStep()


@given(st.integers(1, 20), st.integers(0, 20))
def test_unhealthy_tasks_stop_when_their_replacements_are_healthy(desired: int, unhealthy: int) -> None:
    """100 to 200 %: as many unhealthy tasks stop as there are healthy ones in their place."""
    unhealthy = min(unhealthy, desired)
    healthy_before = desired - unhealthy
    begun = DeploymentCounts(desired, healthy_before, desired, 0, healthy_before, 0, 0, 0, unhealthy, 0)
    assert rolling_step(begun, desired, 2 * desired) == RollingStep(start=unhealthy)
    for healthy in range(unhealthy + 1):
        counts = DeploymentCounts(
            desired,
            desired,
            desired + unhealthy,
            0,
            healthy_before + healthy,
            0,
            0,
            0,
            unhealthy,
            unhealthy - healthy,
        )
        assert rolling_step(counts, desired, 2 * desired).stop_unhealthy == healthy


def test_without_room_for_a_replacement_unhealthy_tasks_stop_one_at_a_time() -> None:
    """4 tasks, 50 to 100 %, two of them unhealthy: one stops; not if 100 % have to stay RUNNING."""
    counts = DeploymentCounts(4, 2, 4, 0, 2, 0, 0, 0, 2, 0)
    assert rolling_step(counts, 2, 4) == RollingStep(stop_unhealthy=1)
    assert rolling_step(counts, 4, 4) == RollingStep()
    replacing = DeploymentCounts(4, 3, 4, 1, 2, 0, 0, 0, 1, 1)
    assert rolling_step(replacing, 2, 4) == RollingStep()


@given(st.integers(0, 10_000), st.integers(1, 100))
def test_thresholds_stay_within_three_and_two_hundred(desired: int, percent: int) -> None:
    bounded = breaker_threshold(desired, "BOUNDED_PERCENT", percent)
    unbounded = breaker_threshold(desired, "UNBOUNDED_PERCENT", percent)
    assert bounded == min(200, max(3, unbounded))
    assert unbounded == max(1, -(-desired * percent // 100))


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
        move = find_rebalancing_move(tasks)
        if move is None:
            break
        emptiest, fullest = move
        assert (tasks[emptiest], tasks[fullest]) == (min(tasks.values()), max(tasks.values()))
        tasks[emptiest] += 1
        tasks[fullest] -= 1
    assert find_rebalancing_move(tasks) is None
    assert sum(tasks.values()) == total
    assert len(tasks) < 2 or max(tasks.values()) - min(tasks.values()) <= 1
