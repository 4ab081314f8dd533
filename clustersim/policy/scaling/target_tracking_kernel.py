"""Compiled scaling decisions of services with exactly one target tracking policy and no other policy.

Most scaling services are of this kind, in a fleet all of them. For each service whose alarm could act in this metric
period, the kernel decides as `policy.scaling.service_scaling.decide_service_scaling` does, its plain-Python twin,
which decides for services with several policies or with steps. It keeps the cooldowns of its services, and must not
know names. `control.scaling.service_autoscaler` calls it.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array, kernel, kernel_entry
from clustersim.engine.records import Flag, Float64, Int64, Milliseconds, Record, Table
from clustersim.policy.scaling.cloudwatch_alarms import IN_ALARM, AlarmTables
from clustersim.vocabulary import NEVER


class TrackedServiceRow(Record):
    """A row of the table of trackeds."""

    high: Int64
    """Positions of its alarms; -1: not decided here."""
    low: Int64
    out_cooldown: Int64
    """Ms."""
    in_cooldown: Int64
    scales_in: Flag
    out_until: Milliseconds
    """See `policy.scaling.service_scaling.Cooldown`."""
    out_base: Int64
    out_added: Int64


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
    """The services that scale, one row per service."""

    alarm_tables: AlarmTables
    tracked: Table[TrackedServiceRow]
    deploying: Annotated[Array, np.int64, 1]  # 1: a deployment is in progress
    moves: Table[ScalingMoveRow]  # output


@kernel_entry
def decide_target_tracking(tracking: TrackingTables, actionable_count: int, now: int) -> int:
    """Decide for the alarms `actionable[:actionable_count]` that could act.

    Returns how many services change their desired count; the changes are in `moves`.
    """
    moves = 0
    last = NEVER
    for position in range(actionable_count):
        target = tracking.alarm_tables.alarms[tracking.alarm_tables.actionable[position]].target
        row = tracking.tracked[target]
        if row.high < 0 or target == last:
            continue
        last = target
        move = tracking.moves[moves]
        move.target, move.before = target, tracking.alarm_tables.desired[target]
        running, deploying = tracking.alarm_tables.running[target], tracking.deploying[target] > 0
        if _decide_service(tracking, target, now, running, deploying, move):
            move.value = tracking.alarm_tables.alarms[move.origin].value
            moves += 1
    return moves


@kernel
def _decide_service(
    tracking: TrackingTables, target: int, now: int, running: int, deploying: bool, move: Any
) -> bool:
    """Return whether a service scales; its new count is then in `move`, and its cooldown has started.

    A service with a deployment in progress is not scaled in (ECS Developer Guide: service auto scaling and
    deployments).
    """
    desired = move.before
    alarm_tables, row = tracking.alarm_tables, tracking.tracked[target]
    high, low = alarm_tables.alarms[row.high], alarm_tables.alarms[row.low]
    if math.isnan(high.value):
        return False
    floor, ceiling = alarm_tables.floor[target], alarm_tables.ceiling[target]
    proposed = math.ceil(running * high.value / high.tracked - 1e-9)
    if high.state == IN_ALARM or (running == 0 and desired == 0 and high.value > 0.0):
        move.origin = row.high
        move.count = _scale_out(row, now, running, desired, floor, ceiling, max(proposed, running + 1))
        if move.count > desired:
            alarm_tables.in_until[target] = NEVER
        return bool(move.count > desired)
    move.origin = row.low
    move.count = max(min(proposed, running, ceiling), floor)
    blocked = low.state != IN_ALARM or not row.scales_in or now < alarm_tables.in_until[target] or deploying
    if blocked or move.count >= desired:
        return False
    row.out_until, row.out_base, row.out_added = NEVER, 0, 0
    alarm_tables.in_until[target] = now + row.in_cooldown
    return True


@kernel
def _scale_out(
    row: Any, now: int, running: int, desired: int, floor: int, ceiling: int, capacity: int
) -> int:
    """Return the desired count for `capacity`: within a cooldown only what exceeds the scale-out that started it."""
    base = running
    if now < row.out_until:
        if capacity - running <= row.out_added:
            return desired
        base = row.out_base
        capacity = base + capacity - running
    count = max(min(capacity, ceiling), floor)
    if count > desired:
        row.out_until, row.out_base, row.out_added = now + row.out_cooldown, base, count - base
    return count
