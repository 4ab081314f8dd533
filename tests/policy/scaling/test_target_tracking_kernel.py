"""The compiled decision of a single target tracking policy equals that of a plain twin."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.array_block import pointer
from clustersim.engine.records import new_table
from clustersim.policy.scaling.cloudwatch_alarms import IN_ALARM, OK, AlarmRow, AlarmTables
from clustersim.policy.scaling.service_scaling import (
    CapacityBounds,
    ProposalRow,
    TargetTables,
    new_cooldowns,
)
from clustersim.policy.scaling.target_tracking import HOLD, IN, OUT
from clustersim.policy.scaling.target_tracking_kernel import (
    ScalingMoveRow,
    TrackingPolicyRow,
    TrackingTables,
    decide_target_tracking,
)
from clustersim.vocabulary import NEVER
from tests.policy.scaling.plain_scaling import (
    Cooldown,
    ScalingProposal,
    decide_plainly,
    plain_tracking_capacity,
)

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
    policies = new_table(TrackingPolicyRow, 1)
    policies[0] = (0, 1, 60_000, 120_000, scales_in)
    columns = [np.array([int(number)]) for number in (*bounds, *counts)]
    targets = TargetTables(*columns, new_cooldowns(1))
    metrics = np.zeros((1, 1)), np.zeros(0)
    alarm_tables = AlarmTables(rows, *metrics, targets, np.zeros(2, np.int64))
    all_policies = np.zeros(1, np.int64), np.ones(1, np.int64)
    output = new_table(ProposalRow, 1), new_table(ScalingMoveRow, 1)
    return TrackingTables(alarm_tables, policies, *all_policies, *output)


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
    """Count, alarm and cooldown equal those of `decide_plainly` for the proposal that the alarms make.

    Flags: scales in, is deploying.
    """
    running, desired = now_counts
    bounds = (limits[0], sum(limits))
    tables = _tracking_tables(value, state, bounds, flags[0], (running, desired, flags[1]))
    cooldowns = tables.alarm_tables.targets.cooldowns
    cooldowns[0] = before

    direction = HOLD
    if not math.isnan(value) and (state == "high" or (running == desired == 0 and value > 0)):
        direction = OUT
    elif state == "low" and not math.isnan(value):
        direction = IN
    capacity = running
    if direction != HOLD:
        capacity = plain_tracking_capacity(running, value, TARGET, direction)
    proposal = ScalingProposal(0, direction, capacity, 60_000, 120_000, may_scale_in=flags[0])
    cooldown = Cooldown(*before)
    decision = decide_plainly(NOW, now_counts, [proposal], CapacityBounds(*bounds), cooldown)
    if decision is not None and decision.count < desired and flags[1]:
        decision = None

    moved = decide_target_tracking(pointer(tables), 1, NOW)
    assert moved == (decision is not None)
    after = decision.cooldown if decision else cooldown
    assert cooldowns[0].tolist() == (
        after.out_until_ms,
        after.out_base,
        after.out_added,
        after.in_until_ms,
    )
    if decision is not None:
        alarm = 0 if decision.count > desired else 1
        assert tables.moves[0].tolist() == (0, desired, decision.count, alarm, value)
