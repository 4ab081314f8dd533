"""Scaling decisions on the proposals of several policies: the choice among them, cooldowns, bounds.

Pure arithmetic on counts: it must not know alarms, metrics, services, or the clock except for the instant passed to it.
Services whose policies all track a target are decided for in compiled code (`target_tracking_kernel`), others by
`control.scaling.service_autoscaler`, groups by `control.scaling.group_autoscaler`: all by these functions.

Rules (ECS Developer Guide: service auto scaling; Application Auto Scaling User Guide: target tracking, step scaling):
the running count is the starting point; the largest capacity wins; target tracking scales in only if all target
tracking policies that may scale in agree; a scale-out within the scale-out cooldown must exceed the one that started
it, which counts as done; a scale-out ends the scale-in cooldown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.engine.records import (
    Array,
    Count,
    Flag,
    Int64,
    Milliseconds,
    Position,
    Record,
    Table,
    new_table,
)
from clustersim.policy.scaling.target_tracking import IN, OUT
from clustersim.vocabulary import NEVER


@dataclass(frozen=True)
class CapacityBounds:
    """The minimum and maximum capacity of a scalable target."""

    minimum: int
    maximum: int


class ProposalRow(Record):
    """The proposal of one policy."""

    direction: Int64
    """IN, HOLD or OUT."""
    capacity: Count
    out_cooldown: Milliseconds
    in_cooldown: Milliseconds
    tracks_target: Flag
    """Of a target tracking policy: it scales in only with all others of its kind."""
    may_scale_in: Flag
    alarm: Position
    """Where it comes from: a row of the table of alarms."""


class CooldownRow(Record):
    """The cooldowns of a target's earlier activities."""

    out_until: Milliseconds
    """The end of the scale-out cooldown."""
    out_base: Count
    """The running count of the scale-out that started it."""
    out_added: Count
    """What that has added."""
    in_until: Milliseconds
    """The end of the scale-in cooldown."""


class TargetTables(NamedTuple):
    """The scalable targets, one row each: bounds, counts, deployments in progress (0 or 1), cooldowns."""

    floor: Annotated[Array, np.int64, 1]
    ceiling: Annotated[Array, np.int64, 1]
    running: Annotated[Array, np.int64, 1]
    desired: Annotated[Array, np.int64, 1]
    deploying: Annotated[Array, np.int64, 1]
    cooldowns: Table[CooldownRow]


def new_cooldowns(count: int) -> Table[CooldownRow]:
    """Return the cooldowns of `count` targets that have not scaled yet."""
    cooldowns = new_table(CooldownRow, count)
    cooldowns["out_until"] = cooldowns["in_until"] = NEVER
    return cooldowns


@kernel_entry
def capacity_within(capacity: int, minimum: int, maximum: int) -> int:
    """Return the capacity between the bounds that is nearest to `capacity`."""
    return max(min(capacity, maximum), minimum)


@kernel_entry
def clamp_to_bounds(desired: int, capacity: int, direction: int, minimum: int, maximum: int) -> int:
    """Return the desired count for `capacity` within the bounds, never against the direction.

    Below the minimum a scale-out raises it at least to the minimum and a scale-in does nothing; above the maximum the
    reverse (ECS Developer Guide: service auto scaling, considerations).
    """
    within_bounds = capacity_within(capacity, minimum, maximum)
    return max(within_bounds, desired) if direction == OUT else min(within_bounds, desired)


@kernel_entry
def choose_proposal(proposals: Table[ProposalRow], count: int) -> int:
    """Return the position of the one of `proposals[:count]` that wins, -1 if none does: the largest capacity.

    Any scale-out goes before a scale-in. A target tracking policy that holds vetoes the scale-in of the others of its
    kind, so all of them are to be among the proposals. Of equal ones the first wins.
    """
    wanted, all_agree = IN, True
    for position in range(count):
        proposal = proposals[position]
        if proposal.direction == OUT:
            wanted = OUT
        if proposal.tracks_target and proposal.may_scale_in and proposal.direction != IN:
            all_agree = False
    chosen = -1
    for position in range(count):
        proposal = proposals[position]
        if proposal.direction != wanted:
            continue
        if wanted == IN and (not proposal.may_scale_in or (proposal.tracks_target and not all_agree)):
            continue
        if chosen < 0 or proposal.capacity > proposals[chosen].capacity:
            chosen = position
    return chosen


@kernel_entry
def carry_out(
    targets: TargetTables, target: int, proposals: Table[ProposalRow], position: int, now: int
) -> int:
    """Return the desired count after the chosen proposal, and start its cooldown if that differs from the present one.

    A service with a deployment in progress is not scaled in (ECS Developer Guide: service auto scaling and
    deployments).
    """
    desired, proposal, cooldown = targets.desired[target], proposals[position], targets.cooldowns[target]
    floor, ceiling = targets.floor[target], targets.ceiling[target]
    if proposal.direction == OUT:
        return _scale_out(cooldown, proposal, now, (targets.running[target], desired), (floor, ceiling))
    if now < cooldown.in_until or targets.deploying[target] > 0:
        return int(desired)
    count = clamp_to_bounds(desired, proposal.capacity, IN, floor, ceiling)
    if count < desired:
        cooldown.out_until, cooldown.out_base, cooldown.out_added = NEVER, 0, 0
        cooldown.in_until = now + proposal.in_cooldown
    return count


@kernel
def _scale_out(
    cooldown: Any, proposal: Any, now: int, counts: tuple[int, int], bounds: tuple[int, int]
) -> int:
    """Return the desired count of a scale-out; `counts` are (running, desired).

    Within the cooldown it only adds what exceeds the scale-out that started it.
    """
    running, desired = counts
    base, capacity = running, proposal.capacity
    if now < cooldown.out_until:
        if capacity - running <= cooldown.out_added:
            return desired
        base = cooldown.out_base
        capacity = base + capacity - running
    count = clamp_to_bounds(desired, capacity, OUT, bounds[0], bounds[1])
    if count > desired:
        cooldown.out_until, cooldown.out_base = now + proposal.out_cooldown, base
        cooldown.out_added = count - base
        cooldown.in_until = NEVER
    return count


def apply_scheduled_action(
    bounds: CapacityBounds, minimum: int | None, maximum: int | None, desired: int
) -> tuple[CapacityBounds, int]:
    """Return the bounds after a scheduled action, and the desired count within them, regardless of cooldowns.

    (Application Auto Scaling User Guide: scheduled scaling.)
    """
    changed = CapacityBounds(
        bounds.minimum if minimum is None else minimum, bounds.maximum if maximum is None else maximum
    )
    return changed, capacity_within(desired, changed.minimum, changed.maximum)
