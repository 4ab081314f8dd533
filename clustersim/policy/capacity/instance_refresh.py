"""How far an instance refresh may go at once: the arithmetic of its healthy percents.

Pure functions on counts, as `policy.tasks.deployment` has them for tasks. `control.services.virtual_machines` calls it.

Source: EC2 Auto Scaling User Guide, "How an instance refresh works" and "instance maintenance policies": the minimum
rounds up, the maximum down; where the percents leave room for nothing, one instance is replaced at a time.
"""

from __future__ import annotations

from typing import NamedTuple

from clustersim.policy.tasks.deployment import healthy_bounds


class RefreshStep(NamedTuple):
    """Machines to have beyond the desired capacity, and old ones to terminate now, by their health."""

    extra: int
    healthy: int
    unhealthy: int


def refresh_step(desired: int, healthy: int, old: tuple[int, int], percents: tuple[int, int]) -> RefreshStep:
    """One step, with `healthy` copies in all, of which `old` (healthy, unhealthy ones) are of older revisions.

    `percents` are the minimum and the maximum. Old ones that are not healthy hold nothing up: all of them go.
    """
    old_healthy, old_unhealthy = old
    lower, upper = healthy_bounds(desired, *percents)
    extra = min(max(upper - desired, 0), old_healthy)
    if lower >= desired and extra == 0:
        lower = desired - 1
    go = min(old_healthy, max(healthy - lower, 0))
    left = old_healthy - go
    return RefreshStep(min(extra, left), go, old_unhealthy)
