"""The compiled decision of a single target tracking policy equals that of `policy.scaling.service_scaling`."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.array_block import pointer
from clustersim.policy.scaling import service_scaling
from clustersim.policy.scaling.cloudwatch_alarms import IN_ALARM, OK, AlarmRow, AlarmTables
from clustersim.policy.scaling.target_tracking_kernel import (
    ScalingMoveRow,
    TrackedServiceRow,
    TrackingTables,
    decide_target_tracking,
)
from clustersim.vocabulary import NEVER

NOW = 1_000_000
TARGET = 50.0

instants = st.sampled_from([NEVER, NOW - 1, NOW, NOW + 1])
counts = st.integers(0, 40)


def _tracking_tables(
    value: float, state: str, bounds: tuple[int, int], scales_in: bool, counts: tuple[int, int, bool]
) -> TrackingTables:
    """Return one service whose alarms read `value`, in the named state; `counts` are running, desired, is deploying."""
    rows = np.zeros(2, AlarmRow.dtype)
    rows["value"], rows["tracked"] = value, TARGET
    rows["state"] = [IN_ALARM if state == "high" else OK, IN_ALARM if state == "low" else OK]
    tracked = np.zeros(1, TrackedServiceRow.dtype)
    tracked["high"], tracked["low"] = 0, 1
    tracked["out_cooldown"], tracked["in_cooldown"] = 60_000, 120_000
    tracked["scales_in"] = scales_in
    limits = [np.array([limit]) for limit in (*bounds, NEVER)]
    running, desired, deploying = (np.array([int(count)]) for count in counts)
    metrics = np.zeros((1, 1)), np.zeros(0)
    alarm_tables = AlarmTables(rows, *metrics, *limits, running, desired, np.zeros(2, np.int64))
    return TrackingTables(alarm_tables, tracked, deploying, np.zeros(1, ScalingMoveRow.dtype))


@settings(deadline=None)
@given(
    st.one_of(st.just(math.nan), st.floats(0.0, 300.0)),
    st.sampled_from(["high", "low", "neither"]),
    st.tuples(counts, counts),
    st.tuples(st.integers(0, 10), st.integers(0, 60)),
    st.tuples(st.booleans(), st.booleans()),
    st.tuples(instants, counts, st.integers(0, 10), instants),
)
def test_one_policy_is_decided_as_by_the_plain_twin(
    value: float,
    state: str,
    now_counts: tuple[int, int],
    limits: tuple[int, int],
    flags: tuple[bool, bool],
    before: tuple[int, int, int, int],
) -> None:
    """Count, alarm and cooldown equal those of `decide_service_scaling` for the proposal of the service autoscaler.

    Flags: scales in, is deploying.
    """
    running, desired = now_counts
    bounds = (limits[0], sum(limits))
    tables = _tracking_tables(value, state, bounds, flags[0], (running, desired, flags[1]))
    row = tables.tracked[0]
    row["out_until"], row["out_base"], row["out_added"] = before[:3]
    tables.alarm_tables.in_until[0] = before[3]

    direction = service_scaling.HOLD
    if not math.isnan(value) and (state == "high" or (running == desired == 0 and value > 0)):
        direction = service_scaling.OUT
    elif state == "low" and not math.isnan(value):
        direction = service_scaling.IN
    capacity = running
    if direction != service_scaling.HOLD:
        capacity = service_scaling.target_tracking_capacity(running, value, TARGET, direction)
    proposal = service_scaling.ScalingProposal(0, direction, capacity, 60_000, 120_000, may_scale_in=flags[0])
    cooldown = service_scaling.Cooldown(*before)
    decision = service_scaling.decide_service_scaling(
        NOW, now_counts, [proposal], service_scaling.CapacityBounds(*bounds), cooldown
    )
    if decision is not None and decision.count < desired and flags[1]:
        decision = None

    moved = decide_target_tracking(pointer(tables), 1, NOW)
    assert moved == (decision is not None)
    after = decision.cooldown if decision else cooldown
    cooldown_columns = (
        *(int(row[name]) for name in ("out_until", "out_base", "out_added")),
        int(tables.alarm_tables.in_until[0]),
    )
    assert cooldown_columns == (after.out_until_ms, after.out_base, after.out_added, after.in_until_ms)
    if decision is not None:
        alarm = 0 if decision.count > desired else 1
        assert tables.moves[0].tolist() == (0, desired, decision.count, alarm, value)
