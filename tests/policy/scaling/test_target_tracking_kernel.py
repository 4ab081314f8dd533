"""The compiled decision of a lone target tracking policy is the plain one of `policy.scaling.service_scaling`."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.array_block import pointer
from clustersim.policy.scaling import service_scaling as scaling
from clustersim.policy.scaling.cloudwatch_alarms import ALARM, IN_ALARM, OK, Watch
from clustersim.policy.scaling.target_tracking_kernel import MOVE, TRACKED, Tracking, track
from clustersim.vocabulary import NEVER

NOW = 1_000_000
TARGET = 50.0

instants = st.sampled_from([NEVER, NOW - 1, NOW, NOW + 1])
counts = st.integers(0, 40)


def _tracking(
    value: float, state: str, bounds: tuple[int, int], scales_in: bool, counts: tuple[int, int, bool]
) -> Tracking:
    """One service whose alarms read `value`, in the named state; `counts` are running, desired, is deploying."""
    rows = np.zeros(2, ALARM)
    rows["value"], rows["tracked"] = value, TARGET
    rows["state"] = [IN_ALARM if state == "high" else OK, IN_ALARM if state == "low" else OK]
    tracked = np.zeros(1, TRACKED)
    tracked["high"], tracked["low"] = 0, 1
    tracked["out_cooldown"], tracked["in_cooldown"] = 60_000, 120_000
    tracked["scales_in"] = scales_in
    limits = [np.array([limit]) for limit in (*bounds, NEVER)]
    running, desired, deploying = (np.array([int(count)]) for count in counts)
    measures = np.zeros((1, 1)), np.zeros(0)
    watch = Watch(rows, *measures, *limits, running, desired, np.zeros(2, np.int64))
    return Tracking(watch, tracked, deploying, np.zeros(1, MOVE))


@settings(deadline=None)
@given(
    st.one_of(st.just(math.nan), st.floats(0.0, 300.0)),
    st.sampled_from(["high", "low", "neither"]),
    st.tuples(counts, counts),
    st.tuples(st.integers(0, 10), st.integers(0, 60)),
    st.tuples(st.booleans(), st.booleans()),
    st.tuples(instants, counts, st.integers(0, 10), instants),
)
def test_one_policy_is_decided_as_the_plain_twin_decides(
    value: float,
    state: str,
    now_counts: tuple[int, int],
    limits: tuple[int, int],
    flags: tuple[bool, bool],
    before: tuple[int, int, int, int],
) -> None:
    """Flags: scales in, is deploying. Count, alarm and the cooldown that follows: `decide` on the proposal that
    `control.scaling.service_autoscaler` would make."""
    running, desired = now_counts
    bounds = (limits[0], sum(limits))
    one = _tracking(value, state, bounds, flags[0], (running, desired, flags[1]))
    row = one.tracked[0]
    row["out_until"], row["out_base"], row["out_added"] = before[:3]
    one.watch.in_until[0] = before[3]

    direction = scaling.HOLD
    if not math.isnan(value) and (state == "high" or (running == desired == 0 and value > 0)):
        direction = scaling.OUT
    elif state == "low" and not math.isnan(value):
        direction = scaling.IN
    capacity = running
    if direction != scaling.HOLD:
        capacity = scaling.target_tracking(running, value, TARGET, direction)
    proposal = scaling.Proposal(0, direction, capacity, 60_000, 120_000, may_scale_in=flags[0])
    cooldown = scaling.Cooldown(*before)
    decision = scaling.decide(NOW, now_counts, [proposal], scaling.Bounds(*bounds), cooldown)
    if decision is not None and decision.count < desired and flags[1]:
        decision = None

    moved = track(pointer(one), 1, NOW)
    assert moved == (decision is not None)
    after = decision.cooldown if decision else cooldown
    kept = (*(int(row[name]) for name in ("out_until", "out_base", "out_added")), int(one.watch.in_until[0]))
    assert kept == (after.out_until_ms, after.out_base, after.out_added, after.in_until_ms)
    if decision is not None:
        alarm = 0 if decision.count > desired else 1
        assert one.moves[0].tolist() == (0, desired, decision.count, alarm, value)
