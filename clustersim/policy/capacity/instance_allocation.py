"""Launch choices of an Auto Scaling group, and the balance of its zones.

Decides purchase option, order of instance types and order of zones for the next instance (EC2 Auto Scaling User Guide:
mixed instances groups, zone balance). It must not know instances, only counts, and not whether an offer is available.
There are no market data: where an allocation strategy uses spare capacity, the published share of interruptions stands
in for it (MODEL.md). `control.capacity.auto_scaling_groups` calls it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

LOWEST_PRICE = "lowest-price"
PRIORITIZED = "prioritized"
CAPACITY_OPTIMIZED = ("capacity-optimized", "capacity-optimized-prioritized")
PRICE_CAPACITY_OPTIMIZED = "price-capacity-optimized"


class TypeOffer(NamedTuple):
    """An instance type of the group: its prices per hour, and the monthly interrupted share of its Spot instances."""

    name: str
    usd: float
    spot_usd: float
    interruption: float


def on_demand_count(total: int, base: int, percent: int) -> int:
    """Return how many of `total` instances are on-demand: the base, and the percentage of the rest, rounded up."""
    return min(base, total) + math.ceil(max(0, total - base) * percent / 100)


def order_types(
    offers: Sequence[TypeOffer], strategy: str, spot: bool, spot_by_type: Mapping[str, int], pools: int
) -> list[str]:
    """Return the types in the order in which a zone tries them.

    `spot_by_type` counts the Spot instances of the zone. `lowest-price` of Spot distributes over the `pools` cheapest
    types. Ties keep the order of the list.
    """
    if strategy == LOWEST_PRICE:
        ranked = sorted(offers, key=lambda offer: offer.spot_usd if spot else offer.usd)
        if spot:
            cheapest = sorted(ranked[:pools], key=lambda offer: spot_by_type.get(offer.name, 0))
            ranked = [*cheapest, *ranked[pools:]]
    elif strategy in CAPACITY_OPTIMIZED:
        ranked = sorted(offers, key=lambda offer: offer.interruption)
    elif strategy == PRICE_CAPACITY_OPTIMIZED:
        ranked = sorted(offers, key=lambda offer: (offer.interruption, offer.spot_usd))
    elif strategy == PRIORITIZED:
        ranked = list(offers)
    else:
        raise ValueError(f"{strategy!r} is no allocation strategy")
    return [offer.name for offer in ranked]


def order_zones(counts: Mapping[int, int]) -> list[int]:
    """Return the zones, the one with the fewest instances first; ties keep the order of the group's list."""
    return sorted(counts, key=counts.__getitem__)


def rebalancing_surplus(counts: Mapping[int, int], usable: Sequence[int], max_size: int) -> int:
    """Return how many instances to launch beyond the desired capacity in order to move as many out of fuller zones.

    A group is out of balance when a zone has at least two more instances than a usable one. While it is rebalanced it
    may exceed its maximum size by 10 percent, or by one (EC2 Auto Scaling User Guide).
    """
    moves = 0
    after = dict(counts)
    while usable and moves < max(1, max_size // 10):
        emptiest = min(usable, key=after.__getitem__)
        fullest = max(after, key=after.__getitem__)
        if after[fullest] - after[emptiest] < 2:
            break
        after[fullest] -= 1
        after[emptiest] += 1
        moves += 1
    return moves
