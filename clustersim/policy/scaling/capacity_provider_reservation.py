"""Cluster auto scaling as ECS publishes it: CapacityProviderReservation, its steps out and its steps in.

The reservation is M / N x 100: instances needed over instances that run (ECS Developer Guide: managed scaling
behavior). Target tracking makes of it a desired capacity: at once when it is above the target, after 15 low datapoints
when it is below. Pure arithmetic on whole numbers, so that nothing is lost to rounding;
`control.capacity.managed_scaling` counts and acts.
"""

from __future__ import annotations

from typing import NamedTuple

FIRST_STEP = 2
"""Instances of the first scale-out of an empty group, however many tasks wait."""
EMPTY_AND_WANTED = 200.0
LOW_DATAPOINTS = 15


class Counted(NamedTuple):
    """What a minute finds of one provider.

    `needed` is what the waiting tasks call for (0: none waits, or none that the group could run); `stuck` says
    that tasks wait which the group's smallest type could not run.
    """

    running: int
    busy: int
    needed: int
    stuck: bool


class Datapoint(NamedTuple):
    """One minute's metric: M, N and the reservation in percent."""

    needed: int
    running: int
    percent: float


def instances_for(count: int, per_instance: int) -> int:
    """How many instances `count` equal tasks fill, `per_instance` on each."""
    return -(-count // per_instance)


def datapoint(counted: Counted, minimum_step: int, maximum_step: int, target: int) -> Datapoint:
    """The metric of a minute.

    While tasks wait M is N and what they need, between the step sizes; else the instances that hold a task which
    is no daemon. 0 of 0 is 100 percent, anything of 0 is 200. Where all that waits is too large for the group's
    smallest type, the metric stays at the target: the scaling stops.
    """
    running, busy, needed, stuck = counted
    if needed > 0:
        wanted = running + max(minimum_step, min(maximum_step, needed))
    elif stuck:
        return Datapoint(running, running, float(target))
    else:
        wanted = busy
    if running == 0:
        return Datapoint(wanted, 0, 100.0 if wanted == 0 else EMPTY_AND_WANTED)
    return Datapoint(wanted, running, 100.0 * wanted / running)


def target_capacity(point: Datapoint, target: int) -> int:
    """The capacity at which the reservation would be `target` percent: ceil(N x reservation / target)."""
    if point.running == 0:
        return 0 if point.needed == 0 else FIRST_STEP
    return -(-100 * point.needed // target)


def is_high(point: Datapoint, target: int) -> bool:
    """Whether the datapoint breaches the alarm that scales out."""
    return point.percent > target


def is_low(point: Datapoint, target: int) -> bool:
    """Whether the datapoint breaches the alarm that scales in."""
    return point.percent < target


def scale_in_to(desired: int, wanted: int) -> int:
    """The desired capacity one minute further down: at least one less, and less than half of the group."""
    most = max(1, (desired + 1) // 2 - 1)
    return max(wanted, desired - most)
