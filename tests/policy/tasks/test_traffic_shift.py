"""Traffic steps against worked examples; the stages of deployments and rollbacks; the answers of hooks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.tasks.traffic_shift import (
    NETWORK_BALANCER_MS,
    STAGES,
    Stage,
    TrafficStep,
    deployment_stages,
    hook_answer,
    rollback_stages,
    traffic_steps,
)


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


@given(st.integers(1, 30), st.booleans())
def test_stages_keep_their_order_and_repeat_for_each_step(count: int, network: bool) -> None:
    """Developer Guide, lifecycle hooks: only the two stages of production traffic are called at each step."""
    steps = tuple(TrafficStep(100.0 * number / count, 0) for number in range(1, count + 1))
    names = [stage.name for stage in deployment_stages(steps, network)]
    repeated = ("PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT")
    assert [names.count(name) for name in STAGES] == [count if name in repeated else 1 for name in STAGES]
    assert list(dict.fromkeys(names)) == list(STAGES)
    delayed = {stage.name for stage in deployment_stages(steps, network) if stage.delay_ms}
    assert delayed == ({"TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"} if network else set())


def test_a_rollback_goes_through_the_stages_that_had_moved_traffic_backwards() -> None:
    late = [stage.name for stage in rollback_stages(Stage("BAKE_TIME"), False)]
    assert late == ["PRODUCTION_TRAFFIC_SHIFT", "TEST_TRAFFIC_SHIFT", "CLEAN_UP"]
    before = rollback_stages(Stage("POST_TEST_TRAFFIC_SHIFT"), True)
    assert [stage.name for stage in before] == ["TEST_TRAFFIC_SHIFT", "CLEAN_UP"]
    assert [stage.delay_ms for stage in before] == [NETWORK_BALANCER_MS, 0]
    assert [stage.name for stage in rollback_stages(Stage("SCALE_UP"), True)] == ["CLEAN_UP"]


@pytest.mark.parametrize(
    ("status", "after", "call_back", "timeout", "expected"),
    [
        ("SUCCEEDED", 0, 30, 1000, (0, "SUCCEEDED")),
        ("SUCCEEDED", 31, 30, 1000, (60, "SUCCEEDED")),  # asked at 0, 30 and 60
        ("FAILED", 60, 30, 1000, (60, "FAILED")),
        ("SUCCEEDED", 31, 0, 1000, (31, "SUCCEEDED")),  # a pause ends when its operator says so
        ("SUCCEEDED", 31, 30, 50, (50, "TIMED_OUT")),
        ("IN_PROGRESS", 0, 30, 50, (50, "TIMED_OUT")),
    ],
)
def test_a_lambda_function_is_asked_until_it_answers(
    status: str, after: int, call_back: int, timeout: int, expected: tuple[int, str]
) -> None:
    assert hook_answer(status, after, call_back, timeout) == expected
