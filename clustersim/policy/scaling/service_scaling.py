"""Scaling decisions of a service: target tracking, step scaling, cooldowns, bounds.

Pure arithmetic of Application Auto Scaling on counts and metric values: it must not know alarms, services, or the
clock except for the instant passed to it. `control.scaling.service_autoscaler` calls it for the few policies whose
alarm is in ALARM.

Rules (ECS Developer Guide: service auto scaling; Application Auto Scaling User Guide: target tracking, step scaling):
the running count is the starting point; the largest capacity wins; target tracking scales in only if all target
tracking policies that may scale in agree; a scale-out within the scale-out cooldown must exceed the one that started
it, which counts as done; a scale-out ends the scale-in cooldown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from clustersim.vocabulary import NEVER

IN, HOLD, OUT = -1, 0, 1

LOW_SHARE_SERVICE = 0.9
"""The threshold of AlarmLow of a service's target tracking policy, as a share of the target (observed on AWS)."""
LOW_SHARE_GROUP = 0.7
"""The same for a policy of an EC2 Auto Scaling group."""

# A float that misses a whole number by rounding (3 * 0.1 * 10) must not add a task.
_ROUNDING = 1e-9

ScalingStep = tuple[float | None, float | None, int]


@dataclass(frozen=True)
class CapacityBounds:
    """The minimum and maximum capacity of a scalable target."""

    minimum: int
    maximum: int


@dataclass(frozen=True)
class ScalingProposal:
    """The proposal of one policy: `capacity` tasks, the direction, and the cooldowns (ms) of the policy."""

    policy: int
    direction: int
    capacity: int
    scale_out_cooldown_ms: int = 300_000
    scale_in_cooldown_ms: int = 300_000
    tracks_target: bool = True
    may_scale_in: bool = True


@dataclass(frozen=True)
class Cooldown:
    """The cooldowns of earlier activities: their ends (ms), and the scale-out that started the scale-out cooldown."""

    out_until_ms: int = NEVER
    out_base: int = 0
    out_added: int = 0
    in_until_ms: int = NEVER


@dataclass(frozen=True)
class ScalingDecision:
    """The new desired count, the policy it comes from, and the cooldown that follows."""

    count: int
    policy: int
    cooldown: Cooldown


def proportional_capacity(current: int, metric: float, target: float) -> int:
    """Return the capacity that brings `metric` to `target` in proportion, rounded up in both directions.

    A scale-out adds enough, and a scale-in removes less: 1.5 surplus tasks become 1 (EC2 Auto Scaling User Guide:
    target tracking).
    """
    return math.ceil(current * metric / target - _ROUNDING)


def target_tracking_capacity(current: int, metric: float, target: float, direction: int) -> int:
    """Return the capacity that a breached alarm proposes: above `current` when out, never above it when in."""
    capacity = proportional_capacity(current, metric, target)
    return max(capacity, current + 1) if direction == OUT else min(capacity, current)


def round_percent_change(change: float) -> int:
    """Round a fractional change to whole tasks: towards zero, but at least one.

    (Application Auto Scaling User Guide: step scaling.) 12.7 is 12, 0.67 is 1, -0.58 is -1, -6.67 is -6.
    """
    if change == 0.0:
        return 0
    if abs(change) < 1.0:
        return 1 if change > 0.0 else -1
    return math.trunc(change + math.copysign(_ROUNDING, change))


def find_step_adjustment(steps: Sequence[ScalingStep], breach: float, *, upward: bool) -> int | None:
    """Return the adjustment of the step that contains `breach` (metric minus threshold), or None.

    Alarms above a threshold (`upward`) interpret bounds as [lower, upper), those below as (lower, upper].
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
    """Return the capacity after a step's adjustment; `least_change` is MinAdjustmentMagnitude (percent only)."""
    if adjustment_type == "ExactCapacity":
        return max(adjustment, 0)
    change = adjustment
    if adjustment_type == "PercentChangeInCapacity":
        change = round_percent_change(current * adjustment / 100.0)
        if least_change is not None and adjustment != 0 and abs(change) < least_change:
            change = least_change if adjustment > 0 else -least_change
    return max(current + change, 0)


def clamp_to_bounds(desired: int, capacity: int, direction: int, bounds: CapacityBounds) -> int:
    """Return the desired count for `capacity` within the bounds, never against the direction.

    Below the minimum a scale-out raises it at least to the minimum and a scale-in does nothing; above the maximum the
    reverse (ECS Developer Guide: service auto scaling, considerations).
    """
    within_bounds = max(min(capacity, bounds.maximum), bounds.minimum)
    return max(within_bounds, desired) if direction == OUT else min(within_bounds, desired)


def largest_scale_in(proposals: Sequence[ScalingProposal]) -> ScalingProposal | None:
    """Return the scale-in proposal with the largest capacity, or None.

    A target tracking policy that holds vetoes the others of its kind.
    """
    tracking = [proposal for proposal in proposals if proposal.tracks_target and proposal.may_scale_in]
    all_agree = all(proposal.direction == IN for proposal in tracking)
    candidates = [
        proposal
        for proposal in proposals
        if proposal.direction == IN and proposal.may_scale_in and (all_agree or not proposal.tracks_target)
    ]
    return max(candidates, key=_capacity_of, default=None)


def decide_service_scaling(
    now_ms: int,
    counts: tuple[int, int],
    proposals: Sequence[ScalingProposal],
    bounds: CapacityBounds,
    cooldown: Cooldown,
) -> ScalingDecision | None:
    """Return the decision on the proposals of one service's policies; None if nothing changes.

    `counts` are (running, desired). `proposals` includes every target tracking policy, also those that hold, as each
    of them vetoes a scale-in.
    """
    scale_outs = [proposal for proposal in proposals if proposal.direction == OUT]
    if scale_outs:
        return _decide_out(now_ms, counts, max(scale_outs, key=_capacity_of), bounds, cooldown)
    if now_ms < cooldown.in_until_ms:
        return None
    chosen = largest_scale_in(proposals)
    if chosen is None:
        return None
    count = clamp_to_bounds(counts[1], chosen.capacity, IN, bounds)
    if count >= counts[1]:
        return None
    return ScalingDecision(count, chosen.policy, Cooldown(in_until_ms=now_ms + chosen.scale_in_cooldown_ms))


def _capacity_of(proposal: ScalingProposal) -> int:
    return proposal.capacity


def _decide_out(
    now_ms: int,
    counts: tuple[int, int],
    proposal: ScalingProposal,
    bounds: CapacityBounds,
    cooldown: Cooldown,
) -> ScalingDecision | None:
    """Decide a scale-out: at once, or within the cooldown only by what exceeds the scale-out that started it."""
    running, desired = counts
    capacity = proposal.capacity
    base = running
    if now_ms < cooldown.out_until_ms:
        increase = capacity - running
        if increase <= cooldown.out_added:
            return None
        base = cooldown.out_base
        capacity = base + increase
    count = clamp_to_bounds(desired, capacity, OUT, bounds)
    if count <= desired:
        return None
    after = replace(
        cooldown,
        out_until_ms=now_ms + proposal.scale_out_cooldown_ms,
        out_base=base,
        out_added=count - base,
        in_until_ms=NEVER,
    )
    return ScalingDecision(count, proposal.policy, after)


def apply_scheduled_action(
    bounds: CapacityBounds, minimum: int | None, maximum: int | None, desired: int
) -> tuple[CapacityBounds, int]:
    """Return the bounds after a scheduled action, and the desired count within them, regardless of cooldowns.

    (Application Auto Scaling User Guide: scheduled scaling.)
    """
    changed = CapacityBounds(
        bounds.minimum if minimum is None else minimum, bounds.maximum if maximum is None else maximum
    )
    return changed, max(min(desired, changed.maximum), changed.minimum)
