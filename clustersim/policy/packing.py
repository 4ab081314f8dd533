"""Instances for tasks that wait: the cheapest way to hold them, instance by instance.

ECS Managed Instances chooses cost-optimised among the allowed types; how is not published. Here each instance is the
type whose price per packed weight is least, filled greedily with the largest tasks first, until every task has one
(MODEL.md). Works on plain numbers; `control.managed_instances` knows what they stand for.
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
    while any(left.values()):
        free = sizes.copy()
        taken = np.zeros((len(ordered), sizes.shape[1]), np.int64)
        for row, ask in enumerate(ordered):
            most = np.minimum(room_for(ask.need, free), min(left[ask.key], 1 if ask.alone else left[ask.key]))
            taken[row] = np.where(ask.allowed, most, 0)
            free -= taken[row] * ask.need[:, None]
        worth = sum(taken[row] * weight(ask.need) for row, ask in enumerate(ordered))
        useful = np.flatnonzero(taken.sum(axis=0) > 0)
        if useful.size == 0:
            break
        per_weight = prices[useful] / np.maximum(np.asarray(worth)[useful], 1)
        best = int(useful[np.lexsort((prices[useful], np.round(per_weight, 15)))[0]])
        tasks = tuple((ask.key, int(taken[row, best])) for row, ask in enumerate(ordered) if taken[row, best])
        times = min(left[key] // count for key, count in tasks)
        loads.extend([Load(best, tasks)] * times)
        for key, count in tasks:
            left[key] -= times * count
    return loads, [key for key, count in left.items() if count]
