"""Steps of an instance refresh: the arithmetic of its healthy percentages.

Pure functions on counts, the counterpart of `policy.tasks.deployment` for instances.
`control.services.virtual_machines` calls it.

Source: EC2 Auto Scaling User Guide, "How an instance refresh works" and "instance maintenance policies": the minimum
rounds up, the maximum down; if the percentages allow nothing, one instance is replaced at a time.
"""

from __future__ import annotations

from typing import NamedTuple

from clustersim.policy.tasks.deployment import healthy_bounds


class RefreshStep(NamedTuple):
    """Instances to run beyond the desired capacity, and old ones to terminate now, by their health."""

    extra: int
    healthy: int
    unhealthy: int


def refresh_step(desired: int, healthy: int, old: tuple[int, int], percents: tuple[int, int]) -> RefreshStep:
    """Compute one step of a refresh with `healthy` instances in all.

    `old` are the (healthy, unhealthy) ones of older revisions, `percents` the minimum and the maximum. All unhealthy
    old instances are terminated, as no bound counts them.
    """
    old_healthy, old_unhealthy = old
    lower, upper = healthy_bounds(desired, *percents)
    extra = min(max(upper - desired, 0), old_healthy)
    if lower >= desired and extra == 0:
        lower = desired - 1
    healthy_to_stop = min(old_healthy, max(healthy - lower, 0))
    remaining = old_healthy - healthy_to_stop
    return RefreshStep(min(extra, remaining), healthy_to_stop, old_unhealthy)
