"""Right-sizing: the instance type that holds a workload at the least cost.

Decides by packing: the tasks at their desired counts, the heaviest first, each on the first instance with room, and
the type with the lowest total price of its instances. It must not know launch options or documents. `to_ecs_ec2`
calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clustersim.scenario.sections.scenario import InstanceType
from clustersim.vocabulary import WEIGHT_PER_CPU_UNIT, WEIGHT_PER_MIB


@dataclass(frozen=True)
class SizingDemand:
    """The demand of `count` equal tasks; `exclusive`: at most one per instance (static ports, distinctInstance)."""

    name: str
    cpu: int
    memory_mib: int
    gpus: int = 0
    network_interfaces: int = 0
    count: int = 1
    exclusive: bool = False

    @property
    def size(self) -> tuple[int, int, int, int]:
        """The resources of one task: CPU units, MiB, GPUs, network interfaces."""
        return self.cpu, self.memory_mib, self.gpus, self.network_interfaces


@dataclass(frozen=True)
class InstanceTypeFit:
    """An instance type, the number of its instances that hold the workload, and their total price."""

    instance_type: InstanceType
    instances: int
    usd_per_hour: float


def capacity_for_tasks(
    instance_type: InstanceType, trunking: bool, daemons: Sequence[SizingDemand] = ()
) -> tuple[int, int, int, int]:
    """Return an instance's CPU units, MiB, GPUs and network interfaces for tasks, less one task of each daemon."""
    interfaces = (
        instance_type.eni_trunk_limit
        if trunking and instance_type.eni_trunk_limit
        else instance_type.eni_task_limit
    )
    registered = (
        instance_type.registered_cpu,
        instance_type.registered_memory_mib,
        instance_type.gpus,
        interfaces,
    )
    reserved = [sum(parts) for parts in zip((0, 0, 0, 0), *(demand.size for demand in daemons), strict=True)]
    cpu, memory, gpus, enis = (total - used for total, used in zip(registered, reserved, strict=True))
    return cpu, memory, gpus, enis


def count_instances(free: tuple[int, int, int, int], demands: Sequence[SizingDemand]) -> int | None:
    """Return the number of equal instances that hold all demands, by first fit; None if one demand never fits."""
    instances: list[list[int]] = []
    for demand in sorted(demands, key=lambda demand: -_weight(demand)):
        if _count_fitting(free, demand) == 0:
            return None
        remaining = demand.count
        for instance_free in instances:
            remaining -= _allocate(instance_free, demand, remaining)
        while remaining:
            instances.append(list(free))
            remaining -= _allocate(instances[-1], demand, remaining)
    return len(instances)


def find_cheapest_fit(
    types: Sequence[InstanceType],
    demands: Sequence[SizingDemand],
    trunking: bool,
    spot: bool,
    daemons: Sequence[SizingDemand] = (),
    volume_usd_per_hour: float = 0.0,
) -> InstanceTypeFit | None:
    """Return the type that holds all demands at the least cost, root volumes included; the first one of equal cost.

    Returns None if no type holds them. Without demands, the price of one instance decides.
    """
    best: InstanceTypeFit | None = None
    for instance_type in types:
        count = count_instances(capacity_for_tasks(instance_type, trunking, daemons), demands)
        price = instance_type.spot_usd_per_hour if spot else instance_type.usd_per_hour
        if count is None or price is None:
            continue
        fit = InstanceTypeFit(instance_type, count, max(count, 1) * (price + volume_usd_per_hour))
        if best is None or fit.usd_per_hour < best.usd_per_hour - 1e-9:
            best = fit
    return best


def _weight(demand: SizingDemand) -> int:
    return int(WEIGHT_PER_CPU_UNIT * demand.cpu + WEIGHT_PER_MIB * demand.memory_mib)


def _count_fitting(free: Sequence[int], demand: SizingDemand) -> int:
    """Return the number of tasks that fit into `free`."""
    fitting = min(
        (available // required for available, required in zip(free, demand.size, strict=True) if required),
        default=demand.count or 1,
    )
    return max(min(fitting, 1) if demand.exclusive else fitting, 0)


def _allocate(free: list[int], demand: SizingDemand, count: int) -> int:
    """Allocate as many of `count` tasks as fit in `free`; return their number."""
    allocated = min(_count_fitting(free, demand), count)
    for index, required in enumerate(demand.size):
        free[index] -= allocated * required
    return allocated
