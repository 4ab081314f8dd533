"""Time of placing and removing one task, by chain, by number of hosts, by scan and by index.

Run `python bench/placement.py`; it prints one table in nanoseconds of process CPU time, medians of five
rounds. Each step removes the task that has been there longest and places a new one, at about three quarters
of the memory; the hosts are of twelve classes (four sizes in three zones), the tasks of sixteen sizes.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from clustersim.engine.compiled import kernel
from clustersim.policy.placement.placement import (
    BINPACK_CPU,
    BINPACK_MEMORY,
    ELIGIBLE,
    FEWEST_OF_GROUP,
    SPREAD_ATTRIBUTE,
    SPREAD_INSTANCE,
    ZONE,
    Hosts,
    Request,
    chain_of,
    choose,
    new_hosts,
    open_host,
    release,
    reserve,
)
from clustersim.vocabulary import CPU, ENI, HOST_PORTS, MEMORY, RESOURCES

SIZES = ((2_048, 7_800), (4_096, 15_700), (8_192, 31_500), (4_096, 31_500))  # CPU units, MiB registered
ZONES = 3
ROUNDS = 5
CHAINS = {
    "binpack memory": ((BINPACK_MEMORY, 0),),
    "binpack cpu": ((BINPACK_CPU, 0),),
    "spread zone, binpack memory": ((SPREAD_ATTRIBUTE, ZONE), (BINPACK_MEMORY, 0)),
    "spread zone, instance, binpack memory": (
        (SPREAD_ATTRIBUTE, ZONE),
        (SPREAD_INSTANCE, 0),
        (BINPACK_MEMORY, 0),
    ),
    "service without a strategy": ((FEWEST_OF_GROUP, 0),),
    "RunTask without a strategy": (),
}


@kernel
def churn(hosts: Hosts, request: Request, needs: Any, kinds: Any, homes: Any, start: int, steps: int) -> int:
    """Replace `steps` tasks, oldest first, in the ring `homes`; how many found no place."""
    refused = 0
    for step in range(start, start + steps):
        place = step % homes.size
        old = homes[place]
        if old >= 0:
            release(hosts, old, needs[kinds[place]], request.ports)
            hosts.on_host[old] -= 1
            request.zone_count[hosts.values[ZONE, hosts.klass[old]]] -= 1
        kinds[place] = (step * 7) % needs.shape[0]
        for resource in range(RESOURCES):
            request.need[resource] = needs[kinds[place], resource]
        slot = choose(hosts, request, step)
        homes[place] = slot
        if slot >= 0:
            reserve(hosts, slot, request.need, request.ports)
            hosts.on_host[slot] += 1
            request.zone_count[hosts.values[ZONE, hosts.klass[slot]]] += 1
        else:
            refused += 1
    return refused


def cluster(count: int, indexed: bool, key_row: int) -> Hosts:
    """`count` empty hosts of twelve classes."""
    classes = len(SIZES) * ZONES
    values = np.array([[klass % ZONES for klass in range(classes)]], np.int32)
    hosts = new_hosts(count, classes, values, 1, 4, indexed, key_row)
    hosts.free[ENI] = 60
    hosts.free[HOST_PORTS] = 95
    for slot in range(count):
        klass = slot * 5 % classes
        hosts.free[CPU, slot], hosts.free[MEMORY, slot] = SIZES[klass // ZONES]
        open_host(hosts, slot, klass)
    return hosts


def nanoseconds(chain: Any, count: int, indexed: bool, distinct: int = 0) -> float:
    """Median cost of one step at `count` hosts."""
    hosts = cluster(count, indexed, CPU if chain[0, 0] == BINPACK_CPU else MEMORY)
    needs = np.zeros((16, RESOURCES), np.int64)
    needs[:, CPU] = 128 * (1 + np.arange(16) % 8)
    needs[:, MEMORY] = 500 + 229 * np.arange(16)
    needs[:, ENI] = 1
    request = Request(
        need=needs[0].copy(),
        ports=np.zeros(1, np.uint64),
        eligible=np.full(hosts.class_score.size, ELIGIBLE, np.uint8),
        chain=chain,
        zone_count=np.zeros(ZONES, np.int32),
        program=np.zeros((0, 3), np.int64),
        distinct=distinct,
        luck=np.uint64(7),
        truth=np.zeros((0, 0), np.uint8),
    )
    tasks = (
        int(0.75 * hosts.free[MEMORY].sum() / needs[:, MEMORY].mean())
        if not distinct
        else min(count // 4, 200)
    )
    homes, kinds = np.full(tasks, -1, np.int32), np.zeros(tasks, np.int32)
    # Filling 100,000 hosts by scan would take minutes; a scan costs nearly the same on empty hosts.
    if indexed or count <= 2_000:
        churn(hosts, request, needs, kinds, homes, 0, tasks)
    steps = 100_000 if indexed else max(200, 20_000_000 // count)
    timings = []
    for number in range(ROUNDS):
        begin = time.process_time_ns()
        churn(hosts, request, needs, kinds, homes, tasks + number * steps, steps)
        timings.append((time.process_time_ns() - begin) / steps)
    return statistics.median(timings)


def main() -> None:
    """Print the table."""
    counts = (100, 1_000, 2_000, 10_000, 100_000)
    print(f"{'place and remove one task, ns':48}" + "".join(f"{count:>10,}" for count in counts))
    row = [nanoseconds(chain_of((BINPACK_MEMORY, 0)), count, True, distinct=1) for count in counts]
    print(f"{'binpack memory, distinctInstance, index':48}" + "".join(f"{cost:10,.0f}" for cost in row))
    for name, rules in CHAINS.items():
        chain = chain_of(*rules)
        kinds = (False, True) if "binpack" in name and "instance" not in name else (False,)
        for indexed in kinds:
            row = [nanoseconds(chain, count, indexed) for count in counts]
            print(
                f"{name + (', index' if indexed else ', scan'):48}"
                + "".join(f"{cost:10,.0f}" for cost in row)
            )


if __name__ == "__main__":
    main()
