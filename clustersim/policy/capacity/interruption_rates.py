"""Failure kinds as data: what is closed when, how often Spot capacity is taken back, and in what company.

A *closure* is capacity that cannot be had for a while: the outage of a zone, a shortage. An *interruption rate*
comes from the share of instances that is reclaimed in a month. Part of the interruptions come singly, the rest as
events of a whole pool (a type in a zone), each of which takes every instance of the pool with one probability; the
rate of a single instance is the same however it is divided. Pure: `control.environment.failure_timetable` makes the
timetables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from clustersim.vocabulary import MS_PER_DAY

MONTH_MS = 30 * MS_PER_DAY  # what the Spot Instance Advisor's shares are of (MODEL.md)

LOST, NOTICE = "lost", "notice"  # what becomes of what runs where a closure begins


class Offer(NamedTuple):
    """Capacity that somebody would launch: a type of a provider's instances in a zone, or a Fargate slot."""

    provider: str
    instance_type: str  # "": Fargate
    zone: str
    spot: bool


@dataclass(frozen=True)
class Closure:
    """Capacity that cannot be had from `begin` until `end`, in ms; None stands for any."""

    begin: int
    end: int
    provider: str | None = None
    instance_type: str | None = None
    zone: str | None = None
    spot: bool | None = None
    takes: str | None = None
    """What becomes of what runs there: LOST at once, NOTICE (Spot only), None: nothing."""

    def covers(self, offer: Offer) -> bool:
        """Whether the closure is about this offer."""
        return (
            self.provider in (None, offer.provider)
            and self.instance_type in (None, offer.instance_type)
            and self.zone in (None, offer.zone)
            and self.spot in (None, offer.spot)
        )


def is_open(closures: Iterable[Closure], offer: Offer, now: int) -> bool:
    """Whether the offer can be had at `now`."""
    return not any(each.begin <= now < each.end and each.covers(offer) for each in closures)


@dataclass(frozen=True)
class InterruptionRates:
    """Interruptions per ms: of an instance by itself, and of events of its pool, each taking it with `fraction`."""

    single: float
    pool: float
    fraction: float


def monthly_rate(share: float) -> float:
    """The rate per ms of a life that ends within a month with probability `share`: -ln(1 - share) / 30 d."""
    return -math.log1p(-share) / MONTH_MS


def divided(rate: float, pool_share: float, pool_fraction: float) -> InterruptionRates:
    """`rate` divided between single interruptions and events of the pool.

    Of an instance's interruptions the share `pool_share` comes from events; as an event takes it with
    probability `pool_fraction`, events are more frequent by 1 / `pool_fraction`.
    """
    return InterruptionRates(rate * (1.0 - pool_share), rate * pool_share / pool_fraction, pool_fraction)
