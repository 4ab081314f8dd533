"""Capacity closures, and Spot interruption rates split into single and pool-wide events.

A *closure* is a period without capacity: the outage of a zone, a shortage. An *interruption rate* follows from the
share of instances that is reclaimed in a month. Part of the interruptions hit single instances, the rest are events
of a whole pool (a type in a zone), each of which interrupts every instance of the pool with the same probability; the
rate per instance is the same for any split. Pure functions: `control.environment.failure_timetable` computes the
timetables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from clustersim.vocabulary import MS_PER_DAY

MONTH_MS = 30 * MS_PER_DAY  # the period of the Spot Instance Advisor's shares (MODEL.md)

Effect = Literal["lost", "notice"]
LOST: Effect = "lost"
NOTICE: Effect = "notice"


class CapacityOffer(NamedTuple):
    """A kind of capacity to launch: a type of a provider's instances in a zone, or Fargate in a zone."""

    provider: str
    instance_type: str  # "": Fargate
    zone: str
    spot: bool


@dataclass(frozen=True)
class Closure:
    """Capacity that is unavailable from `begin` until `end`, in ms; None stands for any."""

    begin: int
    end: int
    provider: str | None = None
    instance_type: str | None = None
    zone: str | None = None
    spot: bool | None = None
    takes: Effect | None = None
    """Its effect on running instances and tasks: LOST at once, NOTICE (Spot only), None: no effect."""

    def covers(self, offer: CapacityOffer) -> bool:
        """Return whether the closure applies to this offer."""
        return (
            self.provider in (None, offer.provider)
            and self.instance_type in (None, offer.instance_type)
            and self.zone in (None, offer.zone)
            and self.spot in (None, offer.spot)
        )


def is_available(closures: Iterable[Closure], offer: CapacityOffer, now: int) -> bool:
    """Return whether the offer is available at `now`."""
    return not any(closure.begin <= now < closure.end and closure.covers(offer) for closure in closures)


@dataclass(frozen=True)
class InterruptionRates:
    """Interruptions per ms: of a single instance, and of events of its pool, each with probability `fraction`."""

    single: float
    pool: float
    fraction: float


def monthly_rate(share: float) -> float:
    """Return the rate per ms of a lifetime that ends within a month with probability `share`: -ln(1 - share) / 30 d."""
    return -math.log1p(-share) / MONTH_MS


def split_rate(rate: float, pool_share: float, pool_fraction: float) -> InterruptionRates:
    """Split `rate` between single interruptions and events of the pool.

    The share `pool_share` of the interruptions of an instance comes from events; as an event interrupts it with
    probability `pool_fraction`, events are more frequent by 1 / `pool_fraction`.
    """
    return InterruptionRates(rate * (1.0 - pool_share), rate * pool_share / pool_fraction, pool_fraction)
