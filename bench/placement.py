"""The time of placing and removing one task, by strategy, by number of hosts, by scan and by index.

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
    PlacementRequest,
    choose_host,
    new_hosts,
    open_host,
    release,
    reserve,
    strategy_chain,
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
def churn(
    hosts: Hosts,
    request: PlacementRequest,
    needs: Any,
    task_sizes: Any,
    task_hosts: Any,
    start: int,
    steps: int,
) -> int:
    """Replace `steps` tasks, oldest first, in the ring buffer `task_hosts`; return how many could not be placed."""
    unplaced = 0
    for step in range(start, start + steps):
        position = step % task_hosts.size
        old_host = task_hosts[position]
        if old_host >= 0:
            release(hosts, old_host, needs[task_sizes[position]], request.ports)
            hosts.group_tasks[old_host] -= 1
            request.zone_count[hosts.values[ZONE, hosts.instance_class[old_host]]] -= 1
        task_sizes[position] = (step * 7) % needs.shape[0]
        for resource in range(RESOURCES):
            request.need[resource] = needs[task_sizes[position], resource]
        slot = choose_host(hosts, request, step)
        task_hosts[position] = slot
        if slot >= 0:
            reserve(hosts, slot, request.need, request.ports)
            hosts.group_tasks[slot] += 1
            request.zone_count[hosts.values[ZONE, hosts.instance_class[slot]]] += 1
        else:
            unplaced += 1
    return unplaced


def cluster(count: int, indexed: bool, key_row: int) -> Hosts:
    """Return `count` empty hosts of twelve classes."""
    classes = len(SIZES) * ZONES
    values = np.array([[instance_class % ZONES for instance_class in range(classes)]], np.int32)
    hosts = new_hosts(count, classes, values, 1, 4, indexed, key_row)
    hosts.free[ENI] = 60
    hosts.free[HOST_PORTS] = 95
    for slot in range(count):
        instance_class = slot * 5 % classes
        hosts.free[CPU, slot], hosts.free[MEMORY, slot] = SIZES[instance_class // ZONES]
        open_host(hosts, slot, instance_class)
    return hosts


def nanoseconds(chain: Any, count: int, indexed: bool, distinct: int = 0) -> float:
    """Return the median ns of one step at `count` hosts."""
    hosts = cluster(count, indexed, CPU if chain[0, 0] == BINPACK_CPU else MEMORY)
    needs = np.zeros((16, RESOURCES), np.int64)
    needs[:, CPU] = 128 * (1 + np.arange(16) % 8)
    needs[:, MEMORY] = 500 + 229 * np.arange(16)
    needs[:, ENI] = 1
    request = PlacementRequest(
        need=needs[0].copy(),
        ports=np.zeros(1, np.uint64),
        eligible=np.full(hosts.class_score.size, ELIGIBLE, np.uint8),
        chain=chain,
        zone_count=np.zeros(ZONES, np.int32),
        program=np.zeros((0, 3), np.int64),
        distinct=distinct,
        rng_key=np.uint64(7),
        truth=np.zeros((0, 0), np.uint8),
    )
    tasks = (
        int(0.75 * hosts.free[MEMORY].sum() / needs[:, MEMORY].mean())
        if not distinct
        else min(count // 4, 200)
    )
    task_hosts, task_sizes = np.full(tasks, -1, np.int32), np.zeros(tasks, np.int32)
    # Filling 100,000 hosts by scan would take minutes; a scan costs nearly the same on empty hosts.
    if indexed or count <= 2_000:
        churn(hosts, request, needs, task_sizes, task_hosts, 0, tasks)
    steps = 100_000 if indexed else max(200, 20_000_000 // count)
    timings = []
    for number in range(ROUNDS):
        begin = time.process_time_ns()
        churn(hosts, request, needs, task_sizes, task_hosts, tasks + number * steps, steps)
        timings.append((time.process_time_ns() - begin) / steps)
    return statistics.median(timings)


def main() -> None:
    """Print the table."""
    counts = (100, 1_000, 2_000, 10_000, 100_000)
    print(f"{'place and remove one task, ns':48}" + "".join(f"{count:>10,}" for count in counts))
    row = [nanoseconds(strategy_chain((BINPACK_MEMORY, 0)), count, True, distinct=1) for count in counts]
    print(f"{'binpack memory, distinctInstance, index':48}" + "".join(f"{cost:10,.0f}" for cost in row))
    for name, rules in CHAINS.items():
        chain = strategy_chain(*rules)
        access_paths = (False, True) if "binpack" in name and "instance" not in name else (False,)
        for indexed in access_paths:
            row = [nanoseconds(chain, count, indexed) for count in counts]
            print(
                f"{name + (', index' if indexed else ', scan'):48}"
                + "".join(f"{cost:10,.0f}" for cost in row)
            )


if __name__ == "__main__":
    main()
