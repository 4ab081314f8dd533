"""What an Auto Scaling group launches next, and which of its zones are out of balance.

Decides purchase option, order of instance types and order of zones for one more instance (EC2 Auto Scaling User
Guide: mixed instances groups, zone balance). Knows no instances, only counts; whether an offer can be had is not
its business. There are no market data: where an allocation strategy asks for spare capacity, the published share
of interruptions stands for it (MODEL.md). `control.capacity.auto_scaling_groups` calls it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

LOWEST_PRICE = "lowest-price"
PRIORITIZED = "prioritized"
BY_CAPACITY = ("capacity-optimized", "capacity-optimized-prioritized")
BY_PRICE_AND_CAPACITY = "price-capacity-optimized"


class TypeOffer(NamedTuple):
    """An instance type of the group: its prices an hour, and the share of its Spot instances lost in a month."""

    name: str
    usd: float
    spot_usd: float
    interruption: float


def on_demand_of(total: int, base: int, percent: int) -> int:
    """How many of `total` instances are on-demand: the base, and the percentage of the rest, rounded up."""
    return min(base, total) + math.ceil(max(0, total - base) * percent / 100)


def type_order(
    offers: Sequence[TypeOffer], strategy: str, spot: bool, held: Mapping[str, int], pools: int
) -> list[str]:
    """The types in the order in which a zone tries them; `held` are the zone's Spot instances by type.

    `lowest-price` of Spot divides over the `pools` cheapest types. What ties keeps the order of the list.
    """
    if strategy == LOWEST_PRICE:
        ranked = sorted(offers, key=lambda offer: offer.spot_usd if spot else offer.usd)
        if spot:
            cheapest = sorted(ranked[:pools], key=lambda offer: held.get(offer.name, 0))
            ranked = [*cheapest, *ranked[pools:]]
    elif strategy in BY_CAPACITY:
        ranked = sorted(offers, key=lambda offer: offer.interruption)
    elif strategy == BY_PRICE_AND_CAPACITY:
        ranked = sorted(offers, key=lambda offer: (offer.interruption, offer.spot_usd))
    else:
        ranked = list(offers)
    return [offer.name for offer in ranked]


def zone_order(counts: Mapping[int, int]) -> list[int]:
    """The zones, the one with the fewest instances first; what ties keeps the order of the group's list."""
    return sorted(counts, key=counts.__getitem__)


def surplus_for_balance(counts: Mapping[int, int], usable: Sequence[int], most: int) -> int:
    """How many instances to launch beyond the desired capacity, so that as many can go where there are too many.

    A group is out of balance when a zone has at least two instances more than a usable one. While it is being
    rebalanced it may exceed its size by 10 percent of the greatest, or by one (EC2 Auto Scaling User Guide).
    """
    moves = 0
    after = dict(counts)
    while usable and moves < max(1, most // 10):
        poorest = min(usable, key=after.__getitem__)
        richest = max(after, key=after.__getitem__)
        if after[richest] - after[poorest] < 2:
            break
        after[richest] -= 1
        after[poorest] += 1
        moves += 1
    return moves
