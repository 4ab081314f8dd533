"""Instances for tasks that wait: the cheapest way to hold them, instance by instance.

ECS Managed Instances chooses cost-optimised among the allowed types; how is not published. Here each instance is made
for the largest task that is left: among the types that hold it the one whose price per packed weight is least, filled
with the next largest (MODEL.md). Works on plain numbers; `control.capacity.managed_instances` knows what they stand
for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from clustersim.vocabulary import CPU, MEMORY, WEIGHT_PER_CPU_UNIT, WEIGHT_PER_MIB

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ask:
    """`count` equal tasks: what one needs of each resource, and on which offers it may run."""

    key: int
    need: Integers
    count: int
    alone: bool
    """Whether an instance takes but one of them (distinctInstance, static ports)."""
    allowed: npt.NDArray[np.bool_]


class Load(NamedTuple):
    """What an instance is launched for: (key, count) of each kind of task."""

    offer: int
    tasks: tuple[tuple[int, int], ...]


def weight(need: Integers) -> int:
    """How much a task weighs: a vCPU as much as 9 GiB."""
    return int(WEIGHT_PER_CPU_UNIT * need[CPU] + WEIGHT_PER_MIB * need[MEMORY])


def room_for(need: Integers, free: Integers) -> Integers:
    """How many such tasks fit into each column of `free` (int64[resource, place])."""
    needed = need > 0
    if not needed.any():
        return np.full(free.shape[1], np.iinfo(np.int64).max)
    many: Integers = np.maximum(free[needed] // need[needed, None], 0).min(axis=0)
    return many


def largest_first(asks: Sequence[Ask]) -> list[Ask]:
    """The asks by weight, the heaviest first; what ties keeps its order."""
    return sorted(asks, key=lambda ask: -weight(ask.need))


def cheapest_packing(
    asks: Sequence[Ask], sizes: Integers, prices: npt.NDArray[np.float64]
) -> tuple[list[Load], list[int]]:
    """Instances for all asks, and the keys of those that fit on no offer; `sizes` is int64[resource, offer]."""
    left = {ask.key: ask.count for ask in asks}
    ordered = largest_first(asks)
    loads: list[Load] = []
    for first, largest in enumerate(ordered):
        while left[largest.key]:
            load = _cheapest_for(ordered[first:], left, sizes, prices)
            if load is None:
                break
            times = min(left[key] // count for key, count in load.tasks)
            loads.extend([load] * times)
            for key, count in load.tasks:
                left[key] -= times * count
    return loads, [key for key, count in left.items() if count]


def _cheapest_for(
    asks: Sequence[Ask], left: dict[int, int], sizes: Integers, prices: npt.NDArray[np.float64]
) -> Load | None:
    """The instance for the first of these asks, and what else it holds; None if no offer holds it."""
    free = sizes.copy()
    taken = np.zeros((len(asks), sizes.shape[1]), np.int64)
    worth = np.zeros(sizes.shape[1])
    for row, ask in enumerate(asks):
        most = np.minimum(room_for(ask.need, free), min(left[ask.key], 1) if ask.alone else left[ask.key])
        taken[row] = np.where(ask.allowed, most, 0)
        worth += taken[row] * weight(ask.need)
        free -= taken[row] * ask.need[:, None]
    useful = np.flatnonzero(taken[0] > 0)
    if useful.size == 0:
        return None
    per_weight = np.round(prices[useful] / np.maximum(worth[useful], 1.0), 15)
    best = int(useful[np.lexsort((prices[useful], per_weight))[0]])
    return Load(best, tuple((ask.key, int(n)) for ask, n in zip(asks, taken[:, best], strict=True) if n))
