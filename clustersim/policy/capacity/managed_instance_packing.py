"""Bin packing of waiting tasks onto ECS Managed Instances: the cheapest instance, one at a time.

ECS Managed Instances chooses cost-optimised among the allowed types; AWS does not publish how. Here each instance is
chosen for the heaviest remaining task: among the types that hold it, the one with the lowest price per packed weight,
filled with the next heaviest tasks (MODEL.md). Works on plain numbers; `control.capacity.managed_instances` maps them
to tasks and types.
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
class TaskDemand:
    """`count` equal tasks: the resources that each needs, and the offers that may run it."""

    key: int
    need: Integers
    count: int
    alone: bool
    """Whether an instance holds at most one of them (distinctInstance, static ports)."""
    allowed: npt.NDArray[np.bool_]


class PackedInstance(NamedTuple):
    """An instance to launch, and its tasks: (key, count) of each kind."""

    offer: int
    tasks: tuple[tuple[int, int], ...]


def packing_weight(need: Integers) -> int:
    """Return the weight of a task: a vCPU weighs as much as 9 GiB."""
    return int(WEIGHT_PER_CPU_UNIT * need[CPU] + WEIGHT_PER_MIB * need[MEMORY])


def count_that_fit(need: Integers, free: Integers) -> Integers:
    """Return how many such tasks fit in each column of `free` (int64[resource, column])."""
    needed = need > 0
    if not needed.any():
        return np.full(free.shape[1], np.iinfo(np.int64).max)
    counts: Integers = np.maximum(free[needed] // need[needed, None], 0).min(axis=0)
    return counts


def sort_heaviest_first(demands: Sequence[TaskDemand]) -> list[TaskDemand]:
    """Return the demands by weight, the heaviest first; ties keep their order."""
    return sorted(demands, key=lambda demand: -packing_weight(demand.need))


def pack_cheapest(
    demands: Sequence[TaskDemand], sizes: Integers, prices: npt.NDArray[np.float64]
) -> tuple[list[PackedInstance], list[int]]:
    """Return instances for all demands, and the keys of those that fit on no offer.

    `sizes` is int64[resource, offer], `prices` float64[offer].
    """
    left = {demand.key: demand.count for demand in demands}
    ordered = sort_heaviest_first(demands)
    instances: list[PackedInstance] = []
    for first, heaviest in enumerate(ordered):
        while left[heaviest.key]:
            instance = _cheapest_instance(ordered[first:], left, sizes, prices)
            if instance is None:
                break
            repeats = min(left[key] // count for key, count in instance.tasks)
            instances.extend([instance] * repeats)
            for key, count in instance.tasks:
                left[key] -= repeats * count
    return instances, [key for key, count in left.items() if count]


def _cheapest_instance(
    demands: Sequence[TaskDemand], left: dict[int, int], sizes: Integers, prices: npt.NDArray[np.float64]
) -> PackedInstance | None:
    """Return the instance for the first of these demands with the other tasks on it; None if no offer holds it."""
    free = sizes.copy()
    packed = np.zeros((len(demands), sizes.shape[1]), np.int64)
    packed_weights = np.zeros(sizes.shape[1])
    for row, demand in enumerate(demands):
        counts = np.minimum(
            count_that_fit(demand.need, free), min(left[demand.key], 1) if demand.alone else left[demand.key]
        )
        packed[row] = np.where(demand.allowed, counts, 0)
        packed_weights += packed[row] * packing_weight(demand.need)
        free -= packed[row] * demand.need[:, None]
    usable = np.flatnonzero(packed[0] > 0)
    if usable.size == 0:
        return None
    per_weight = np.round(prices[usable] / np.maximum(packed_weights[usable], 1.0), 15)
    best = int(usable[np.lexsort((prices[usable], per_weight))[0]])
    return PackedInstance(
        best, tuple((demand.key, int(n)) for demand, n in zip(demands, packed[:, best], strict=True) if n)
    )
