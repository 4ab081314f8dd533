"""Scaling decisions of an Auto Scaling group.

Pure arithmetic of EC2 Auto Scaling on counts. It differs from that of services: instances in their warm-up count as
capacity but not in the metric, a scale-out adds only what they do not provide, and there is no scale-in before they are
warm. It must not know alarms or instances. `control.scaling.group_autoscaler` calls it.

Rules (EC2 Auto Scaling User Guide: target tracking, step and simple scaling, default instance warm-up): the choice
among policies and the bounds are those of `service_scaling`; the warm-up takes the place of cooldowns.
"""

from __future__ import annotations

from typing import NamedTuple

from clustersim.engine.records import Table
from clustersim.policy.scaling.service_scaling import (
    CapacityBounds,
    ProposalRow,
    choose_proposal,
    clamp_to_bounds,
)
from clustersim.policy.scaling.target_tracking import IN


class GroupSize(NamedTuple):
    """The current size of a group: desired, in service, and of those the warm ones (past their warm-up)."""

    desired: int
    in_service: int
    warm: int


def is_scaling_out(size: GroupSize) -> bool:
    """Return whether instances are still launching or in their warm-up."""
    return size.in_service < size.desired or size.warm < size.in_service


def decide_group_capacity(
    size: GroupSize, proposals: Table[ProposalRow], bounds: CapacityBounds
) -> tuple[int, int] | None:
    """Return (desired capacity, position of the proposal it comes from), or None if nothing changes.

    `proposals` includes every target tracking policy, also those that hold: each of them vetoes a scale-in.
    """
    chosen = choose_proposal(proposals, proposals.size)
    if chosen < 0:
        return None
    direction, capacity = int(proposals[chosen]["direction"]), int(proposals[chosen]["capacity"])
    if direction == IN and is_scaling_out(size):
        return None
    count = clamp_to_bounds(size.desired, capacity, direction, bounds.minimum, bounds.maximum)
    return None if count == size.desired else (count, chosen)
