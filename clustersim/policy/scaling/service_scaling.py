"""What a scaling policy asks for, and what comes of it: target tracking, step scaling, cooldowns, bounds.

Pure arithmetic of Application Auto Scaling on counts and metric values: knows no alarm, no clock but the
instant it is given, no service. `control.scaling.service_autoscaler` calls it for the few policies whose alarm is in
ALARM.

Rules (ECS Developer Guide: service auto scaling; Application Auto Scaling User Guide: target tracking, step
scaling): the starting point is the running count; the largest capacity wins; target tracking scales in only
if all its policies that may, want to; a scale-out within the scale-out cooldown must be larger than the one
that began it, whose capacity counts; a scale-out ends the scale-in cooldown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from clustersim.vocabulary import NEVER

IN, HOLD, OUT = -1, 0, 1

LOW_SHARE_SERVICE = 0.9
"""AlarmLow of a service's target tracking policy is at this share of the target (seen in deployments)."""
LOW_SHARE_GROUP = 0.7
"""The same for a policy of an EC2 Auto Scaling group."""

# Floats that miss a whole number by rounding (3 * 0.1 * 10) must not cost a task.
_ROUNDING = 1e-9

Step = tuple[float | None, float | None, int]


@dataclass(frozen=True)
class Bounds:
    """The least and the greatest capacity of a scalable target."""

    minimum: int
    maximum: int


@dataclass(frozen=True)
class Proposal:
    """What one policy wants now: `capacity` tasks, the way there, and its cooldowns (ms)."""

    policy: int
    direction: int
    capacity: int
    scale_out_cooldown_ms: int = 300_000
    scale_in_cooldown_ms: int = 300_000
    tracks_target: bool = True
    may_scale_in: bool = True


@dataclass(frozen=True)
class Cooldown:
    """What earlier activities still forbid: instants (ms) until which, and the scale-out that began it."""

    out_until_ms: int = NEVER
    out_base: int = 0
    out_added: int = 0
    in_until_ms: int = NEVER


@dataclass(frozen=True)
class Decision:
    """The new desired count, the policy it comes from, and the cooldown that follows."""

    count: int
    policy: int
    cooldown: Cooldown


def target_tracking_capacity(current: int, metric: float, target: float) -> int:
    """The capacity that brings `metric` to `target`, in proportion; rounded up in both directions.

    Up adds enough, and on the way down removes less: what could drop 1.5 drops 1 (EC2 Auto Scaling User
    Guide: target tracking).
    """
    return math.ceil(current * metric / target - _ROUNDING)


def target_tracking(current: int, metric: float, target: float, direction: int) -> int:
    """The capacity a breached alarm asks for: above `current` when out, never above it when in."""
    capacity = target_tracking_capacity(current, metric, target)
    return max(capacity, current + 1) if direction == OUT else min(capacity, current)


def round_percent(change: float) -> int:
    """A fractional change as whole tasks: towards zero, but at least one.

    (Application Auto Scaling User Guide: step scaling.) 12.7 is 12, 0.67 is 1, -0.58 is -1, -6.67 is -6.
    """
    if change == 0.0:
        return 0
    if abs(change) < 1.0:
        return 1 if change > 0.0 else -1
    return math.trunc(change + math.copysign(_ROUNDING, change))


def step_adjustment(steps: Sequence[Step], breach: float, *, upward: bool) -> int | None:
    """The adjustment of the step that holds `breach` (metric minus threshold), or None where no step does.

    Alarms above a threshold (`upward`) read bounds as [lower, upper), those below as (lower, upper].
    """
    for lower, upper, adjustment in steps:
        least = -math.inf if lower is None else lower
        most = math.inf if upper is None else upper
        if (least <= breach < most) if upward else (least < breach <= most):
            return adjustment
    return None


def step_capacity(
    current: int, adjustment_type: str, adjustment: int, least_change: int | None = None
) -> int:
    """The capacity after a step's adjustment; `least_change` is MinAdjustmentMagnitude (percent only)."""
    if adjustment_type == "ExactCapacity":
        return max(adjustment, 0)
    change = adjustment
    if adjustment_type == "PercentChangeInCapacity":
        change = round_percent(current * adjustment / 100.0)
        if least_change is not None and adjustment != 0 and abs(change) < least_change:
            change = least_change if adjustment > 0 else -least_change
    return max(current + change, 0)


def bounded(desired: int, capacity: int, direction: int, bounds: Bounds) -> int:
    """The desired count that `capacity` becomes within the bounds, never against the direction.

    Below the minimum a scale-out lifts to it at least and a scale-in does nothing; above the maximum the
    reverse (ECS Developer Guide: service auto scaling, considerations).
    """
    inside = max(min(capacity, bounds.maximum), bounds.minimum)
    return max(inside, desired) if direction == OUT else min(inside, desired)


def largest_scale_in(proposals: Sequence[Proposal]) -> Proposal | None:
    """The largest capacity that a policy wants to scale in to; one target tracking policy that holds vetoes the others
    of its kind."""
    tracking = [proposal for proposal in proposals if proposal.tracks_target and proposal.may_scale_in]
    agreed = all(proposal.direction == IN for proposal in tracking)
    wants = [
        proposal
        for proposal in proposals
        if proposal.direction == IN and proposal.may_scale_in and (agreed or not proposal.tracks_target)
    ]
    return max(wants, key=_capacity, default=None)


def decide(
    now_ms: int,
    counts: tuple[int, int],
    proposals: Sequence[Proposal],
    bounds: Bounds,
    cooldown: Cooldown,
) -> Decision | None:
    """What becomes of the proposals of one service's policies; `counts` are (running, desired).

    `proposals` holds every target tracking policy, those that hold included, since one of them vetoes a
    scale-in; None when nothing changes.
    """
    out = [proposal for proposal in proposals if proposal.direction == OUT]
    if out:
        return _decide_out(now_ms, counts, max(out, key=_capacity), bounds, cooldown)
    if now_ms < cooldown.in_until_ms:
        return None
    chosen = largest_scale_in(proposals)
    if chosen is None:
        return None
    count = bounded(counts[1], chosen.capacity, IN, bounds)
    if count >= counts[1]:
        return None
    return Decision(count, chosen.policy, Cooldown(in_until_ms=now_ms + chosen.scale_in_cooldown_ms))


def _capacity(proposal: Proposal) -> int:
    return proposal.capacity


def _decide_out(
    now_ms: int, counts: tuple[int, int], wanted: Proposal, bounds: Bounds, cooldown: Cooldown
) -> Decision | None:
    """A scale-out: at once, or within the cooldown only by what exceeds the scale-out that began it."""
    running, desired = counts
    capacity = wanted.capacity
    base = running
    if now_ms < cooldown.out_until_ms:
        increase = capacity - running
        if increase <= cooldown.out_added:
            return None
        base = cooldown.out_base
        capacity = base + increase
    count = bounded(desired, capacity, OUT, bounds)
    if count <= desired:
        return None
    after = replace(
        cooldown,
        out_until_ms=now_ms + wanted.scale_out_cooldown_ms,
        out_base=base,
        out_added=count - base,
        in_until_ms=NEVER,
    )
    return Decision(count, wanted.policy, after)


def scheduled_bounds(
    bounds: Bounds, minimum: int | None, maximum: int | None, desired: int
) -> tuple[Bounds, int]:
    """Bounds after a scheduled action, and the desired count inside them: at once, whatever the cooldown.

    (Application Auto Scaling User Guide: scheduled scaling.)
    """
    changed = Bounds(
        bounds.minimum if minimum is None else minimum, bounds.maximum if maximum is None else maximum
    )
    return changed, max(min(desired, changed.maximum), changed.minimum)
