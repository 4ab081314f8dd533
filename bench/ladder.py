"""Scaling: the cost per task as clusters and traces grow, and its exponent.

    python bench/ladder.py [--quick]

Churn at 70 % load on 100, 1,000 and 10,000 instances. The cost of a further task is the slope of the CPU time of
whole processes between a short and a long trace, so it excludes start-up; medians over interleaved rounds. The
exponent of a step is log(cost ratio) / log(size ratio): 0 for a constant cost, 1 for a search through all instances.
The floor (`floor.py`), the same tasks placed first fit in plain Python, is printed beside it. The last lines are the
same for the length of a trace.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

from run import HERE, Program, Suite


@dataclass(frozen=True)
class Rung:
    """One size of cluster: the traces of clustersim and of the floor, short and long."""

    instances: int
    tasks: tuple[int, int]
    floor_tasks: tuple[int, int]


RUNGS = (
    Rung(100, (100_000, 1_000_000), (20_000, 100_000)),
    Rung(1_000, (100_000, 1_000_000), (20_000, 100_000)),
    Rung(10_000, (100_000, 1_000_000), (20_000, 60_000)),
)
QUICK = (Rung(100, (20_000, 100_000), (5_000, 20_000)), Rung(1_000, (20_000, 100_000), (5_000, 20_000)))
LENGTHS = (100_000, 300_000, 1_000_000)  # of traces on 1,000 instances
ROUNDS = 3


def slope_us(short: Program, long: Program, tasks: tuple[int, int]) -> float:
    """Return the CPU time of a further task, us."""
    return (long.cpu - short.cpu) / (tasks[1] - tasks[0]) * 1e6


def exponents(sizes: list[int], costs: list[float]) -> list[str]:
    """Return the exponent of each step as text, empty for the first size."""
    pairs = zip(sizes, sizes[1:], costs, costs[1:], strict=False)
    return [
        "",
        *(
            f"{math.log(after / before) / math.log(large / small):+.2f}"
            for small, large, before, after in pairs
        ),
    ]


def main() -> None:
    """Measure and print both ladders."""
    parser = argparse.ArgumentParser(description="Cost per task on clusters of several sizes.")
    parser.add_argument("--quick", action="store_true", help="two small sizes, one round")
    quick = parser.parse_args().quick
    rungs, rounds = (QUICK, 1) if quick else (RUNGS, ROUNDS)
    lengths = () if quick else LENGTHS
    suite = Suite(HERE.parent / "build" / "bench")
    product = [[suite.clustersim(rung.instances, tasks, rounds) for tasks in rung.tasks] for rung in rungs]
    floors = [
        [suite.plain("floor", rung.instances, tasks, rounds) for tasks in rung.floor_tasks] for rung in rungs
    ]
    long = [suite.clustersim(1_000, tasks, rounds) for tasks in lengths]
    print("Filling the cache of compiled kernels ...", flush=True)
    Suite(suite.directory).clustersim(1_000, 20_000, 1).run()
    suite.run()
    sizes = [rung.instances for rung in rungs]
    task_us = [slope_us(*pair, rung.tasks) for pair, rung in zip(product, rungs, strict=True)]
    floor_us = [slope_us(*pair, rung.floor_tasks) for pair, rung in zip(floors, rungs, strict=True)]
    print(
        f"{'instances':>10} {'us a task':>10} {'exponent':>9} {'floor, us':>10} {'exponent':>9} {'/ floor':>8}"
    )
    for row in zip(
        sizes, task_us, exponents(sizes, task_us), floor_us, exponents(sizes, floor_us), strict=True
    ):
        instances, us, exponent, floor, floor_exponent = row
        print(f"{instances:10,} {us:10.2f} {exponent:>9} {floor:10.1f} {floor_exponent:>9} {us / floor:8.3f}")
    if long:
        costs = [program.simulation / tasks * 1e6 for program, tasks in zip(long, lengths, strict=True)]
        print(f"{'tasks':>10} {'us a task':>10} {'exponent':>9}   (simulation, 1,000 instances)")
        for tasks, us, exponent in zip(lengths, costs, exponents(list(lengths), costs), strict=True):
            print(f"{tasks:10,} {us:10.2f} {exponent:>9}")


if __name__ == "__main__":
    main()
