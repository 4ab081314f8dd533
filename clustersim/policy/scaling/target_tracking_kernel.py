"""Compiled scaling decisions of services, all of whose policies track a target.

Most scaling services are of this kind, in a fleet all of them. It decides for each of them that has an alarm which
could act in this metric period; for services with other policies `control.scaling.service_autoscaler` writes the
proposals, those of target tracking by `propose_target_tracking`, and has them decided on by `decide_proposed`. The
rules are in `target_tracking` and `service_scaling`. It must not know names.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import kernel_entry
from clustersim.engine.records import Array, Flag, Float64, Int64, Milliseconds, Position, Record, Table
from clustersim.policy.scaling.cloudwatch_alarms import IN_ALARM, WATCH, AlarmTables, starts_from_zero
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
    first_policy: Annotated[Array, np.int64, 1]  # of each service; -1: not all of its policies track a target
    policy_count: Annotated[Array, np.int64, 1]
    proposals: Table[ProposalRow]  # of the service that is being decided for
    moves: Table[ScalingMoveRow]  # output


@kernel_entry
def propose_target_tracking(tracking: TrackingTables, target: int, policy: int, position: int) -> None:
    """Write the proposal of a policy to row `position` of the proposals."""
    alarm_tables, row, proposal = (
        tracking.alarm_tables,
        tracking.policies[policy],
        tracking.proposals[position],
    )
    high, low = alarm_tables.alarms[row.high], alarm_tables.alarms[row.low]
    running, desired = alarm_tables.targets.running[target], alarm_tables.targets.desired[target]
    proposal.out_cooldown, proposal.in_cooldown = row.out_cooldown, row.in_cooldown
    proposal.tracks_target, proposal.may_scale_in = 1, row.scales_in
    proposal.direction, proposal.capacity, proposal.alarm = HOLD, running, row.high
    if math.isnan(high.value):
        return
    if high.state == IN_ALARM or starts_from_zero(running, desired, high.value):
        proposal.direction = OUT
    elif low.state == IN_ALARM:
        proposal.direction, proposal.alarm = IN, row.low
    else:
        return
    proposal.capacity = target_tracking_capacity(running, high.value, high.tracked, proposal.direction)


@kernel_entry
def decide_proposed(tracking: TrackingTables, target: int, count: int, moves: int, now: int) -> bool:
    """Decide on the first `count` proposals, which are those of all policies of a service.

    Returns whether the desired count changes; row `moves` of the moves then says how. An alarm that only measures is
    not the cause of a decision: its value is left out.
    """
    chosen = choose_proposal(tracking.proposals, count)
    if chosen < 0:
        return False
    alarm_tables, move = tracking.alarm_tables, tracking.moves[moves]
    before = alarm_tables.targets.desired[target]
    after = carry_out(alarm_tables.targets, target, tracking.proposals, chosen, now)
    if after == before:
        return False
    alarm = alarm_tables.alarms[tracking.proposals[chosen].alarm]
    move.target, move.before, move.count = target, before, after
    move.origin = tracking.proposals[chosen].alarm
    move.value = np.nan if alarm.role == WATCH else alarm.value
    return True


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
        first, count = tracking.first_policy[target], tracking.policy_count[target]
        if first < 0 or target == last:
            continue
        last = target
        for policy in range(count):
            propose_target_tracking(tracking, target, first + policy, policy)
        if decide_proposed(tracking, target, count, moves, now):
            moves += 1
    return moves
