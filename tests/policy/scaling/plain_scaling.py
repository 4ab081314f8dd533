"""Plain twins of the scaling kernels, and the kernels called with the twins' arguments.

`decide_plainly` is Service Auto Scaling written out on objects, as the User Guides have it; `decide_by_kernels` asks
`choose_proposal` and `carry_out`. Tests of single rules call the latter, Hypothesis compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from clustersim.engine.array_block import pointer
from clustersim.engine.records import Table, new_table
from clustersim.policy.scaling.service_scaling import (
    CapacityBounds,
    CooldownRow,
    ProposalRow,
    TargetTables,
    carry_out,
    choose_proposal,
)
from clustersim.policy.scaling.target_tracking import IN, OUT
from clustersim.vocabulary import NEVER


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


def plain_proportional_capacity(current: int, metric: float, target: float) -> int:
    """Return the capacity that brings `metric` to `target` in proportion, rounded up in both directions.

    A scale-out adds enough, and a scale-in removes less: 1.5 surplus tasks become 1 (EC2 Auto Scaling User Guide:
    target tracking).
    """
    return math.ceil(current * metric / target - 1e-9)


def plain_tracking_capacity(current: int, metric: float, target: float, direction: int) -> int:
    """Return the capacity that a breached alarm proposes: above `current` when out, never above it when in."""
    capacity = plain_proportional_capacity(current, metric, target)
    return max(capacity, current + 1) if direction == OUT else min(capacity, current)


def plain_clamp(desired: int, capacity: int, direction: int, bounds: CapacityBounds) -> int:
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


def decide_plainly(
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
    count = plain_clamp(counts[1], chosen.capacity, IN, bounds)
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
    count = plain_clamp(desired, capacity, OUT, bounds)
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


def proposal_table(proposals: Sequence[ScalingProposal]) -> Table[ProposalRow]:
    """Return proposals as the rows that kernels read."""
    rows = new_table(ProposalRow, len(proposals))
    for row, each in zip(rows, proposals, strict=True):
        row["direction"], row["capacity"] = each.direction, each.capacity
        row["out_cooldown"], row["in_cooldown"] = each.scale_out_cooldown_ms, each.scale_in_cooldown_ms
        row["tracks_target"], row["may_scale_in"] = each.tracks_target, each.may_scale_in
    return rows


def decide_by_kernels(
    now_ms: int,
    counts: tuple[int, int],
    proposals: Sequence[ScalingProposal],
    bounds: CapacityBounds,
    cooldown: Cooldown,
    deploying: bool = False,
) -> ScalingDecision | None:
    """Return the decision of the kernels; None if nothing changes, which is then true of the cooldown as well."""
    rows = proposal_table(proposals)
    chosen = choose_proposal(rows, rows.size)
    if chosen < 0:
        return None
    cooldowns = new_table(CooldownRow, 1)
    before = (cooldown.out_until_ms, cooldown.out_base, cooldown.out_added, cooldown.in_until_ms)
    cooldowns[0] = before
    columns = [np.array([each]) for each in (bounds.minimum, bounds.maximum, *counts, int(deploying))]
    count = carry_out(pointer(TargetTables(*columns, cooldowns)), 0, rows, chosen, now_ms)
    if count == counts[1]:
        assert cooldowns[0].tolist() == before
        return None
    return ScalingDecision(count, proposals[chosen].policy, Cooldown(*cooldowns[0].tolist()))
