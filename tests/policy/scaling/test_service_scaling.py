"""Proposals of scaling policies: target tracking, steps, bounds, cooldowns (Application Auto Scaling)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.policy.scaling.service_scaling import (
    CapacityBounds,
    apply_scheduled_action,
    clamp_to_bounds,
)
from clustersim.policy.scaling.step_scaling import find_step_adjustment, round_percent_change, step_capacity
from clustersim.policy.scaling.target_tracking import (
    HOLD,
    IN,
    OUT,
    proportional_capacity,
    target_tracking_capacity,
)
from clustersim.vocabulary import NEVER
from tests.policy.scaling.plain_scaling import (
    Cooldown,
    ScalingProposal,
    decide_by_kernels,
    decide_plainly,
    plain_proportional_capacity,
    plain_tracking_capacity,
)

WIDE = CapacityBounds(0, 1_000)
MINUTE = 60_000


@pytest.mark.golden(56)
@pytest.mark.parametrize(
    ("current", "metric", "target", "expected"),
    [(10, 90, 50, 18), (4, 75, 50, 6), (3, 51, 50, 4), (2, 100, 60, 4)],
)
def test_target_tracking_scales_out_in_proportion_and_rounds_up(
    current: int, metric: float, target: float, expected: int
) -> None:
    assert proportional_capacity(current, metric, target) == expected


@pytest.mark.golden(57)
def test_target_tracking_rounds_up_in_both_directions() -> None:
    """Three tasks: at 75 of 50 1.5 are missing, so two start; at 25 of 50 1.5 are idle, so one stops."""
    assert proportional_capacity(3, 75.0, 50.0) == 5
    assert proportional_capacity(3, 25.0, 50.0) == 2


@pytest.mark.golden(58)
def test_forty_percent_of_a_target_of_fifty_removes_a_fifth() -> None:
    assert target_tracking_capacity(10, 40.0, 50.0, IN) == 8


@pytest.mark.golden(60)
def test_the_largest_capacity_wins_and_one_that_holds_vetoes_a_scale_in() -> None:
    counts = (10, 10)
    both = [ScalingProposal(0, OUT, 12), ScalingProposal(1, OUT, 15)]
    decision = decide_by_kernels(0, counts, both, WIDE, Cooldown())
    assert decision is not None
    assert (decision.count, decision.policy) == (15, 1)
    split = [ScalingProposal(0, IN, 8), ScalingProposal(1, HOLD, 12)]
    assert decide_by_kernels(0, (12, 12), split, WIDE, Cooldown()) is None


@pytest.mark.golden(62)
@pytest.mark.parametrize(("change", "expected"), [(12.7, 12), (0.67, 1), (-0.58, -1), (-6.67, -6), (0.0, 0)])
def test_percent_changes_round_towards_zero_but_never_to_it(change: float, expected: int) -> None:
    assert round_percent_change(change) == expected


@pytest.mark.golden(63)
def test_the_minimum_adjustment_magnitude_applies_to_percent() -> None:
    """A quarter of 4 is 1, less than 2; the same downwards."""
    assert step_capacity(4, "PercentChangeInCapacity", 25, 2) == 6
    assert step_capacity(4, "PercentChangeInCapacity", -25, 2) == 2


@pytest.mark.golden(64)
@pytest.mark.parametrize(
    ("kind", "adjustment", "current", "expected"),
    [("ChangeInCapacity", 5, 3, 8), ("ExactCapacity", 5, 3, 5), ("PercentChangeInCapacity", 10, 10, 11)],
)
def test_the_three_kinds_of_adjustment(kind: str, adjustment: int, current: int, expected: int) -> None:
    assert step_capacity(current, kind, adjustment) == expected


def test_an_unknown_adjustment_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="'Doubling' is no adjustment type"):
        step_capacity(3, "Doubling", 5)


def test_a_step_capacity_is_never_negative() -> None:
    assert step_capacity(3, "ChangeInCapacity", -5) == 0


def test_step_bounds_include_the_end_nearer_to_the_threshold() -> None:
    """Above the threshold [lower, upper), below it (lower, upper] (API: StepAdjustment)."""
    above = ((0.0, 10.0, 1), (10.0, 20.0, 2), (20.0, None, 3))
    assert [find_step_adjustment(above, breach, upward=True) for breach in (0.0, 9.9, 10.0, 20.0, -1.0)] == [
        1,
        1,
        2,
        3,
        None,
    ]
    below = ((-10.0, 0.0, -1), (None, -10.0, -2))
    assert [find_step_adjustment(below, breach, upward=False) for breach in (0.0, -9.9, -10.0, 1.0)] == [
        -1,
        -1,
        -2,
        None,
    ]


def test_rounding_of_floats_adds_no_task() -> None:
    """3 x 0.7 / 0.1 is 20.999999999999996 and 7 x 1.1 / 0.7 is 11.000000000000002 in floats."""
    assert proportional_capacity(3, 0.7, 0.1) == 21
    assert proportional_capacity(7, 1.1, 0.7) == 11


@pytest.mark.parametrize(
    ("desired", "capacity", "direction", "expected"),
    [
        (1, 2, OUT, 4),  # below the minimum: lifted to it
        (1, 6, OUT, 6),
        (1, 0, IN, 1),  # below the minimum: not touched
        (30, 40, OUT, 30),  # above the maximum: not touched
        (30, 25, IN, 20),  # above the maximum: brought to it first
        (30, 5, IN, 5),
        (10, 99, OUT, 20),
        (10, 1, IN, 4),
    ],
)
def test_bounds_never_move_the_count_against_the_direction(
    desired: int, capacity: int, direction: int, expected: int
) -> None:
    """ECS Developer Guide: desired counts outside of the bounds; here 4 to 20."""
    assert clamp_to_bounds(desired, capacity, direction, 4, 20) == expected


def test_within_the_cooldown_only_the_excess_of_a_larger_scale_out_counts() -> None:
    """+2 at minute 0; with +2 and +3 proposed at minute 1, the first does nothing, the second adds 1."""
    first = decide_by_kernels(0, (10, 10), [ScalingProposal(0, OUT, 12)], WIDE, Cooldown())
    assert first is not None
    assert first.cooldown == Cooldown(300_000, 10, 2)
    assert decide_by_kernels(MINUTE, (12, 12), [ScalingProposal(0, OUT, 14)], WIDE, first.cooldown) is None
    larger = decide_by_kernels(MINUTE, (12, 12), [ScalingProposal(0, OUT, 15)], WIDE, first.cooldown)
    assert larger is not None
    assert larger.count == 13
    assert larger.cooldown == Cooldown(MINUTE + 300_000, 10, 3)
    later = decide_by_kernels(5 * MINUTE, (12, 12), [ScalingProposal(0, OUT, 14)], WIDE, first.cooldown)
    assert later is not None
    assert later.count == 14


def test_a_scale_in_waits_for_its_cooldown_and_a_scale_out_ends_it() -> None:
    first = decide_by_kernels(0, (10, 10), [ScalingProposal(0, IN, 8)], WIDE, Cooldown())
    assert first is not None
    assert (first.count, first.cooldown.in_until_ms) == (8, 300_000)
    assert decide_by_kernels(4 * MINUTE, (8, 8), [ScalingProposal(0, IN, 6)], WIDE, first.cooldown) is None
    at_its_end = decide_by_kernels(5 * MINUTE, (8, 8), [ScalingProposal(0, IN, 6)], WIDE, first.cooldown)
    assert at_its_end is not None
    assert at_its_end.count == 6
    out = decide_by_kernels(4 * MINUTE, (8, 8), [ScalingProposal(0, OUT, 9)], WIDE, first.cooldown)
    assert out is not None
    again = decide_by_kernels(5 * MINUTE - 1, (9, 9), [ScalingProposal(0, IN, 8)], WIDE, out.cooldown)
    assert again is not None
    assert again.count == 8


def test_tasks_that_were_never_placed_are_not_requested_twice() -> None:
    """The running count is the starting point: 10 running of 18 desired at 90 of 50 still need 18."""
    assert decide_by_kernels(0, (10, 18), [ScalingProposal(0, OUT, 18)], WIDE, Cooldown()) is None


def test_a_policy_without_scale_in_neither_removes_nor_vetoes() -> None:
    silent = ScalingProposal(1, HOLD, 10, may_scale_in=False)
    decision = decide_by_kernels(0, (10, 10), [ScalingProposal(0, IN, 8), silent], WIDE, Cooldown())
    assert decision is not None
    assert decision.count == 8
    assert (
        decide_by_kernels(0, (10, 10), [ScalingProposal(0, IN, 8, may_scale_in=False)], WIDE, Cooldown())
        is None
    )


def test_a_step_policy_scales_in_by_itself() -> None:
    """Only target tracking policies must agree; the alarm of a step policy suffices."""
    wants = [ScalingProposal(0, HOLD, 10), ScalingProposal(1, IN, 7, tracks_target=False)]
    decision = decide_by_kernels(0, (10, 10), wants, WIDE, Cooldown())
    assert decision is not None
    assert (decision.count, decision.policy) == (7, 1)


def test_scheduled_bounds_move_the_desired_count_at_once() -> None:
    assert apply_scheduled_action(CapacityBounds(2, 10), 6, None, 4) == (CapacityBounds(6, 10), 6)
    assert apply_scheduled_action(CapacityBounds(2, 10), None, 3, 4) == (CapacityBounds(2, 3), 3)
    assert apply_scheduled_action(CapacityBounds(2, 10), 1, 20, 4) == (CapacityBounds(1, 20), 4)


proposals = st.lists(
    st.builds(
        ScalingProposal,
        policy=st.integers(0, 3),
        direction=st.sampled_from([IN, HOLD, OUT]),
        capacity=st.integers(0, 60),
        tracks_target=st.booleans(),
        may_scale_in=st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300, deadline=None)
@given(
    proposals,
    st.tuples(st.integers(0, 50), st.integers(0, 50)),
    st.tuples(st.integers(0, 20), st.integers(0, 40)),
    st.tuples(
        st.sampled_from([NEVER, 999, 1_000, 1_001]),
        st.integers(0, 40),
        st.integers(0, 10),
        st.sampled_from([NEVER, 999, 1_000, 1_001]),
    ),
    st.booleans(),
)
def test_decisions_equal_a_plain_twin(
    wants: list[ScalingProposal],
    counts: tuple[int, int],
    limits: tuple[int, int],
    before: tuple[int, int, int, int],
    deploying: bool,
) -> None:
    """Count, policy and cooldown, also within cooldowns and while a deployment is in progress."""
    bounds, cooldown = CapacityBounds(limits[0], sum(limits)), Cooldown(*before)
    plain = decide_plainly(1_000, counts, wants, bounds, cooldown)
    if plain is not None and plain.count < counts[1] and deploying:
        plain = None
    assert decide_by_kernels(1_000, counts, wants, bounds, cooldown, deploying) == plain


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 1_000),
    st.floats(0.0, 1_000.0),
    st.floats(0.1, 1_000.0),
    st.sampled_from([IN, OUT]),
)
def test_capacities_equal_a_plain_twin(current: int, metric: float, target: float, direction: int) -> None:
    assert proportional_capacity(current, metric, target) == plain_proportional_capacity(
        current, metric, target
    )
    capacity = target_tracking_capacity(current, metric, target, direction)
    assert capacity == plain_tracking_capacity(current, metric, target, direction)


@settings(max_examples=300, deadline=None)
@given(proposals, st.integers(0, 50), st.integers(0, 50), st.integers(0, 20), st.integers(0, 40))
def test_a_decision_moves_towards_the_bounds_in_its_direction(
    wants: list[ScalingProposal], running: int, desired: int, minimum: int, width: int
) -> None:
    """A scale-out is never less than desired nor a new maximum.

    A scale-in the reverse, and only one of them.
    """
    bounds = CapacityBounds(minimum, minimum + width)
    decision = decide_by_kernels(0, (running, desired), wants, bounds, Cooldown())
    if decision is None:
        return
    assert decision.count != desired
    if decision.count > desired:
        assert any(want.direction == OUT for want in wants)
        assert decision.count <= bounds.maximum
    else:
        assert not any(want.direction == OUT for want in wants)
        assert decision.count >= bounds.minimum
