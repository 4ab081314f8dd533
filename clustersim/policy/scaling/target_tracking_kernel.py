"""Services with one target tracking policy and no other: their whole decision in compiled code.

They are most of the services that scale, and all of a fleet. For each whose alarm could act this metric period it says
what `policy.scaling.service_scaling.decide` says, which is its plain twin and decides for services with several
policies or with steps. Keeps the cooldowns of its services. Knows no names; `control.scaling.service_autoscaler`
calls it.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array, kernel, kernel_entry
from clustersim.policy.scaling.cloudwatch_alarms import IN_ALARM, Watch
from clustersim.vocabulary import NEVER

TRACKED = np.dtype(
    [
        ("high", np.int64),  # positions of its alarms; -1: it is not of those decided here
        ("low", np.int64),
        ("out_cooldown", np.int64),  # ms
        ("in_cooldown", np.int64),
        ("scales_in", np.int8),
        ("out_until", np.int64),  # what `policy.scaling.service_scaling.Cooldown` says
        ("out_base", np.int64),
        ("out_added", np.int64),
    ],
    align=True,
)

MOVE = np.dtype(
    [
        ("target", np.int64),
        ("before", np.int64),
        ("count", np.int64),  # the new desired count
        ("origin", np.int64),  # position of the alarm that it comes from
        ("value", np.float64),  # its datapoint
    ],
    align=True,
)


class Tracking(NamedTuple):
    """The services that scale, one row a service."""

    watch: Watch
    tracked: Annotated[Array, TRACKED, 1]
    deploying: Annotated[Array, np.int64, 1]  # 1: it has a deployment in progress
    moves: Annotated[Array, MOVE, 1]  # out


@kernel_entry
def track(tracking: Tracking, found: int, now: int) -> int:
    """Decide for the alarms `hot[:found]` that could act; how many services move; which and where to is in `moves`."""
    moves = 0
    last = NEVER
    for position in range(found):
        target = tracking.watch.alarms[tracking.watch.hot[position]].target
        one = tracking.tracked[target]
        if one.high < 0 or target == last:
            continue
        last = target
        move = tracking.moves[moves]
        move.target, move.before = target, tracking.watch.desired[target]
        running, deploying = tracking.watch.running[target], tracking.deploying[target] > 0
        if _decide(tracking, target, now, running, deploying, move):
            move.value = tracking.watch.alarms[move.origin].value
            moves += 1
    return moves


@kernel
def _decide(tracking: Tracking, target: int, now: int, running: int, deploying: bool, move: Any) -> bool:
    """Whether a service moves; where to is then in `move`, and its cooldown has begun.

    With a deployment in progress it is not scaled in (ECS Developer Guide: service auto scaling and deployments).
    """
    desired = move.before
    watch, one = tracking.watch, tracking.tracked[target]
    high, low = watch.alarms[one.high], watch.alarms[one.low]
    if math.isnan(high.value):
        return False
    floor, ceiling = watch.floor[target], watch.ceiling[target]
    wanted = math.ceil(running * high.value / high.tracked - 1e-9)
    if high.state == IN_ALARM or (running == 0 and desired == 0 and high.value > 0.0):
        move.origin = one.high
        move.count = _scale_out(one, now, running, desired, floor, ceiling, max(wanted, running + 1))
        if move.count > desired:
            watch.in_until[target] = NEVER
        return bool(move.count > desired)
    move.origin = one.low
    move.count = max(min(wanted, running, ceiling), floor)
    waits = low.state != IN_ALARM or not one.scales_in or now < watch.in_until[target] or deploying
    if waits or move.count >= desired:
        return False
    one.out_until, one.out_base, one.out_added = NEVER, 0, 0
    watch.in_until[target] = now + one.in_cooldown
    return True


@kernel
def _scale_out(
    one: Any, now: int, running: int, desired: int, floor: int, ceiling: int, capacity: int
) -> int:
    """The desired count that `capacity` becomes: within a cooldown only what exceeds the scale-out that began it."""
    base = running
    if now < one.out_until:
        if capacity - running <= one.out_added:
            return desired
        base = one.out_base
        capacity = base + capacity - running
    count = max(min(capacity, ceiling), floor)
    if count > desired:
        one.out_until, one.out_base, one.out_added = now + one.out_cooldown, base, count - base
    return count
