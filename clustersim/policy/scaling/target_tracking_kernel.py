"""Compiled scaling decisions of services with exactly one target tracking policy and no other policy.

Most scaling services are of this kind, in a fleet all of them. It decides for each of them whose alarm could act in
this metric period; for services with several policies `control.scaling.service_autoscaler` asks for the proposal of
each target tracking policy here, and decides in Python. The rules are in `target_tracking` and `service_scaling`. It
must not know names.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array, kernel_entry
from clustersim.engine.records import Flag, Float64, Int64, Milliseconds, Position, Record, Table
from clustersim.policy.scaling.cloudwatch_alarms import IN_ALARM, AlarmTables, starts_from_zero
from clustersim.policy.scaling.service_scaling import ProposalRow, carry_out, choose_proposal
from clustersim.policy.scaling.target_tracking import HOLD, IN, OUT, target_tracking_capacity
from clustersim.vocabulary import NEVER


class TrackingPolicyRow(Record):
    """A row of the table of target tracking policies."""

    high: Position
    """Positions of its alarms."""
    low: Position
    out_cooldown: Milliseconds
    in_cooldown: Milliseconds
    scales_in: Flag


class ScalingMoveRow(Record):
    """A row of the table of moves."""

    target: Int64
    before: Int64
    count: Int64
    """The new desired count."""
    origin: Int64
    """Position of its alarm."""
    value: Float64
    """Its datapoint."""


class TrackingTables(NamedTuple):
    """The services that scale, and their target tracking policies."""

    alarm_tables: AlarmTables
    policies: Table[TrackingPolicyRow]
    only_policy: Annotated[Array, np.int64, 1]  # of each service; -1: not decided here
    proposals: Table[ProposalRow]  # of the service that is being decided for
    moves: Table[ScalingMoveRow]  # output


@kernel_entry
def propose_target_tracking(tracking: TrackingTables, target: int, policy: int, position: int) -> int:
    """Write the proposal of a policy to row `position` of the proposals; return the alarm that it comes from."""
    alarm_tables, row, proposal = (
        tracking.alarm_tables,
        tracking.policies[policy],
        tracking.proposals[position],
    )
    high, low = alarm_tables.alarms[row.high], alarm_tables.alarms[row.low]
    running, desired = alarm_tables.targets.running[target], alarm_tables.targets.desired[target]
    proposal.out_cooldown, proposal.in_cooldown = row.out_cooldown, row.in_cooldown
    proposal.tracks_target, proposal.may_scale_in = 1, row.scales_in
    proposal.direction, proposal.capacity = HOLD, running
    if math.isnan(high.value):
        return int(row.high)
    if high.state == IN_ALARM or starts_from_zero(running, desired, high.value):
        proposal.direction = OUT
    elif low.state == IN_ALARM:
        proposal.direction = IN
    else:
        return int(row.high)
    proposal.capacity = target_tracking_capacity(running, high.value, high.tracked, proposal.direction)
    return int(row.high if proposal.direction == OUT else row.low)


@kernel_entry
def decide_target_tracking(tracking: TrackingTables, actionable_count: int, now: int) -> int:
    """Decide for the alarms `actionable[:actionable_count]` that could act.

    Returns how many services change their desired count; the changes are in `moves`.
    """
    moves = 0
    last = NEVER
    alarm_tables = tracking.alarm_tables
    for position in range(actionable_count):
        target = alarm_tables.alarms[alarm_tables.actionable[position]].target
        if tracking.only_policy[target] < 0 or target == last:
            continue
        last = target
        alarm = propose_target_tracking(tracking, target, tracking.only_policy[target], 0)
        if choose_proposal(tracking.proposals, 1) < 0:
            continue
        before = alarm_tables.targets.desired[target]
        count = carry_out(alarm_tables.targets, target, tracking.proposals, 0, now)
        if count != before:
            move = tracking.moves[moves]
            move.target, move.before, move.count = target, before, count
            move.origin, move.value = alarm, alarm_tables.alarms[alarm].value
            moves += 1
    return moves
