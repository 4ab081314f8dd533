"""Which instance type holds a workload for the least money.

Decides by packing: the tasks at their desired counts, the heaviest first, each on the first instance with room,
and the type whose instances cost least together. Must not know options or documents. `option_ecs_ec2` calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clustersim.scenario.sections.scenario import InstanceType
from clustersim.vocabulary import WEIGHT_PER_CPU_UNIT, WEIGHT_PER_MIB


@dataclass(frozen=True)
class Need:
    """`count` equal tasks at once; `alone`: an instance takes one of them (static ports, distinctInstance)."""

    name: str
    cpu: int
    memory_mib: int
    gpus: int = 0
    interfaces: int = 0
    count: int = 1
    alone: bool = False

    @property
    def size(self) -> tuple[int, int, int, int]:
        """What one of them takes of each resource."""
        return self.cpu, self.memory_mib, self.gpus, self.interfaces


@dataclass(frozen=True)
class Fit:
    """A type, how many of its instances hold everything, and their price together."""

    type: InstanceType
    instances: int
    usd_per_hour: float


def room(kind: InstanceType, trunking: bool, everywhere: Sequence[Need] = ()) -> tuple[int, int, int, int]:
    """What an instance has for tasks: CPU units, MiB, GPUs, network interfaces; less what runs `everywhere`."""
    interfaces = kind.eni_trunk_limit if trunking and kind.eni_trunk_limit else kind.eni_task_limit
    whole = (kind.registered_cpu, kind.registered_memory_mib, kind.gpus, interfaces)
    taken = [sum(parts) for parts in zip((0, 0, 0, 0), *(need.size for need in everywhere), strict=True)]
    cpu, memory, gpus, enis = (have - less for have, less in zip(whole, taken, strict=True))
    return cpu, memory, gpus, enis


def instances_for(free: tuple[int, int, int, int], needs: Sequence[Need]) -> int | None:
    """How many equal instances hold all `needs`, first fit, the heaviest first; None where one fits on none."""
    opened: list[list[int]] = []
    for need in sorted(needs, key=lambda need: -_weight(need)):
        if _fits(free, need) == 0:
            return None
        left = need.count
        for have in opened:
            left -= _take(have, need, left)
        while left:
            opened.append(list(free))
            left -= _take(opened[-1], need, left)
    return len(opened)


def cheapest_fit(
    types: Sequence[InstanceType],
    needs: Sequence[Need],
    trunking: bool,
    spot: bool,
    everywhere: Sequence[Need] = (),
    volume_usd_per_hour: float = 0.0,
) -> Fit | None:
    """The type that holds all `needs` for the least, root volumes included; among equals the one listed first.

    None where no type holds them. Where nothing is needed yet, the price of one instance decides.
    """
    best: Fit | None = None
    for kind in types:
        count = instances_for(room(kind, trunking, everywhere), needs)
        price = kind.spot_usd_per_hour if spot else kind.usd_per_hour
        if count is None or price is None:
            continue
        found = Fit(kind, count, max(count, 1) * (price + volume_usd_per_hour))
        if best is None or found.usd_per_hour < best.usd_per_hour - 1e-9:
            best = found
    return best


def _weight(need: Need) -> int:
    return int(WEIGHT_PER_CPU_UNIT * need.cpu + WEIGHT_PER_MIB * need.memory_mib)


def _fits(have: Sequence[int], need: Need) -> int:
    """How many of them fit into `have`."""
    many = min(
        (left // want for left, want in zip(have, need.size, strict=True) if want), default=need.count or 1
    )
    return max(min(many, 1) if need.alone else many, 0)


def _take(have: list[int], need: Need, wanted: int) -> int:
    """Takes room for as many of `wanted` as fit; gives how many."""
    many = min(_fits(have, need), wanted)
    for number, want in enumerate(need.size):
        have[number] -= many * want
    return many
