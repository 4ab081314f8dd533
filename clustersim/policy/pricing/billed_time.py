"""Billed time: from when and until when a task or an instance pays, and how its time is rounded.

Decides who pays until when, the rounding to seconds, and the minimum of a minute. Kernels on numbers and on columns; it
must not know the clock, the world or the catalogue. `world.state.usage` calls it for what accrues, `control.billing`
for the same time by resource; prices and commitments are applied afterwards.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from clustersim.engine.compiled import inlined, kernel_entry
from clustersim.engine.records import Array
from clustersim.vocabulary import MS_PER_MINUTE, MS_PER_SECOND

HOURS_PER_MONTH = 730  # the month of AWS prices per GB-month
BILLING_MINIMUM_MS = MS_PER_MINUTE  # per task and per instance, Linux (AWS Fargate and EC2 pricing)
INCLUDED_EPHEMERAL_GIB = 20  # included with every Fargate task (AWS Fargate pricing)

Longs = Annotated[Array, np.int64, 1]


@inlined
def paid_from(on_fargate: int, pull_started: int, placed: int) -> int:
    """Return the instant from which a placed task pays: on Fargate the pull of its images, if it pulls any."""
    return pull_started if on_fargate and pull_started >= 0 else placed


@inlined
def paid_until(on_fargate: int, stopping: int, now: int) -> int:
    """Return the instant up to which a task pays, seen at `now`; `stopping` is when it began to stop (-1: not yet).

    The one place that decides which of two tasks pays for a place that one leaves and the other takes: from the
    moment a task on an instance stops, the place is free for ECS, and is the next task's. Fargate bills to the end.
    """
    if on_fargate or stopping < 0:
        return now
    return min(stopping, now)


@inlined
def billing_round_up(length: int) -> int:
    """Return the ms that billing adds to `length` ms: up to a full second, and to at least a minute.

    What continues at the end of the simulation is billed as it is (MODEL.md: money): the caller adds nothing.
    """
    billed = (length + MS_PER_SECOND - 1) // MS_PER_SECOND * MS_PER_SECOND
    return max(billed, BILLING_MINIMUM_MS) - length


@kernel_entry
def paid_from_columns(on_fargate: Longs, pull_started: Longs, placed: Longs, begun: Longs) -> None:
    """Write `paid_from` of each task into `begun`."""
    for row in range(begun.size):
        begun[row] = paid_from(on_fargate[row], pull_started[row], placed[row])


@kernel_entry
def round_up_columns(lengths: Longs, added: Longs) -> None:
    """Write `billing_round_up` of each length into `added`."""
    for row in range(added.size):
        added[row] = billing_round_up(lengths[row])
