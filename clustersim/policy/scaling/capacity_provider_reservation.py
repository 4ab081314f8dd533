"""Managed scaling of ECS cluster auto scaling: CapacityProviderReservation, its scale-out and its scale-in.

The reservation is M / N x 100: instances needed over instances running (ECS Developer Guide: managed scaling
behavior). Target tracking derives the desired capacity from it: at once when it is above the target, after 15 low
datapoints when it is below. Pure arithmetic on counts; `control.capacity.managed_scaling` counts and acts.
"""

from __future__ import annotations

from typing import NamedTuple

from clustersim.policy.scaling.target_tracking import proportional_capacity

FIRST_SCALE_OUT = 2
"""The instances of the first scale-out of an empty group, for any number of waiting tasks."""
EMPTY_PERCENT = 200.0
FULL_PERCENT = 100.0
LOW_DATAPOINTS = 15


class ProviderCounts(NamedTuple):
    """The counts of a capacity provider in a minute.

    `needed` instances would hold the waiting tasks (0: no task waits, or none that the group could run); `stuck`: tasks
    wait that do not fit the smallest type of the group.
    """

    running: int
    busy: int
    needed: int
    stuck: bool


class Datapoint(NamedTuple):
    """The metric of a minute: M, N and the reservation in percent."""

    needed: int
    running: int
    percent: float


def instances_needed(count: int, per_instance: int) -> int:
    """Return how many instances `count` equal tasks fill, `per_instance` on each."""
    return -(-count // per_instance)


def reservation_datapoint(
    counts: ProviderCounts, minimum_step: int, maximum_step: int, target: int
) -> Datapoint:
    """Compute the metric of a minute.

    While tasks wait, M is N plus the instances they need, within the step sizes; else the number of instances with a
    task that is not a daemon. 0 of 0 is 100 percent, anything of 0 is 200. If all waiting tasks are too large for the
    smallest type of the group, the metric stays at the target and scaling stops.
    """
    running, busy, needed, stuck = counts
    if needed > 0:
        required = running + max(minimum_step, min(maximum_step, needed))
    elif stuck:
        return Datapoint(running, running, float(target))
    else:
        required = busy
    if running == 0:
        return Datapoint(required, 0, FULL_PERCENT if required == 0 else EMPTY_PERCENT)
    return Datapoint(required, running, FULL_PERCENT * required / running)


def target_capacity(point: Datapoint, target: int) -> int:
    """Return the capacity at which the reservation would be `target` percent: ceil(N x reservation / target).

    N x reservation is M at 100 percent, a whole number, so that nothing is lost to rounding.
    """
    if point.running == 0:
        return 0 if point.needed == 0 else FIRST_SCALE_OUT
    return proportional_capacity(point.needed, FULL_PERCENT, target)


def is_high(point: Datapoint, target: int) -> bool:
    """Return whether the datapoint breaches the alarm that scales out."""
    return point.percent > target


def is_low(point: Datapoint, target: int) -> bool:
    """Return whether the datapoint breaches the alarm that scales in."""
    return point.percent < target


def scale_in_step(desired: int, required: int) -> int:
    """Return the desired capacity after one step of a scale-in: at least one less, and less than half of the group."""
    most = max(1, (desired + 1) // 2 - 1)
    return max(required, desired - most)
