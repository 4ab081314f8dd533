"""Scaling decisions of an Auto Scaling group.

Pure arithmetic of EC2 Auto Scaling on counts. It differs from that of services: instances in their warm-up count as
capacity but not in the metric, a scale-out adds only what they do not provide, and there is no scale-in before they are
warm. It must not know alarms or instances. `control.scaling.group_autoscaler` calls it.

Rules (EC2 Auto Scaling User Guide: target tracking, step and simple scaling, default instance warm-up): the largest
capacity wins; target tracking scales in only if all target tracking policies that may scale in agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from clustersim.policy.scaling.service_scaling import OUT, CapacityBounds, ScalingProposal, largest_scale_in


class GroupSize(NamedTuple):
    """The current size of a group: desired, in service, and of those the warm ones (past their warm-up)."""

    desired: int
    in_service: int
    warm: int


def is_scaling_out(size: GroupSize) -> bool:
    """Return whether instances are still launching or in their warm-up."""
    return size.in_service < size.desired or size.warm < size.in_service


def decide_group_capacity(
    size: GroupSize, proposals: Sequence[ScalingProposal], bounds: CapacityBounds
) -> tuple[int, int] | None:
    """Return (desired capacity, position of the policy it comes from), or None if nothing changes.

    `proposals` includes every target tracking policy, also those that hold: each of them vetoes a scale-in.
    """
    scale_outs = [proposal for proposal in proposals if proposal.direction == OUT]
    if scale_outs:
        chosen = max(scale_outs, key=lambda proposal: proposal.capacity)
        count = min(chosen.capacity, bounds.maximum)
        return (count, chosen.policy) if count > size.desired else None
    if is_scaling_out(size):
        return None
    scale_in = largest_scale_in(proposals)
    if scale_in is None:
        return None
    count = max(scale_in.capacity, bounds.minimum)
    return (count, scale_in.policy) if count < size.desired else None
