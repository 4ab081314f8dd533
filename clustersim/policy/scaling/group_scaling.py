"""What the scaling policies of an Auto Scaling group make of its desired capacity.

Pure arithmetic of EC2 Auto Scaling on counts. It differs from that of services: instances that warm up count as
capacity and not in the metric, a scale-out adds only what they do not bring, and nothing is scaled in before they are
warm. Knows no alarm and no instance. `control.scaling.group_autoscaler` calls it.

Rules (EC2 Auto Scaling User Guide: target tracking, step and simple scaling, default instance warm-up): the largest
capacity wins; target tracking scales in only if all its policies that may, want to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from clustersim.policy.scaling.service_scaling import OUT, Bounds, Proposal, largest_scale_in


class Size(NamedTuple):
    """A group now: wanted, in service, and of those the ones that are past their warm-up."""

    desired: int
    in_service: int
    warm: int


def is_scaling_out(size: Size) -> bool:
    """Whether instances are still to come, or to warm up."""
    return size.in_service < size.desired or size.warm < size.in_service


def decide_group(size: Size, proposals: Sequence[Proposal], bounds: Bounds) -> tuple[int, int] | None:
    """(desired capacity, position of the policy it comes from), or None where nothing changes.

    `proposals` holds every target tracking policy, also those that hold: one of them vetoes a scale-in.
    """
    out = [proposal for proposal in proposals if proposal.direction == OUT]
    if out:
        chosen = max(out, key=lambda proposal: proposal.capacity)
        count = min(chosen.capacity, bounds.maximum)
        return (count, chosen.policy) if count > size.desired else None
    if is_scaling_out(size):
        return None
    wanted = largest_scale_in(proposals)
    if wanted is None:
        return None
    count = max(wanted.capacity, bounds.minimum)
    return (count, wanted.policy) if count < size.desired else None
