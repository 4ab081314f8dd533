"""The floor: a minimal simulation, one page of plain SimPy.

First fit over two Python lists; tasks that do not fit wait in a list that is retried from the front whenever a task
ends; one SimPy process per running task; no results. `run.py` compares the naive model with it, to show that the
naive model is not artificially slow.

    python bench/floor.py INSTANCES TRACE.csv
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import simpy
import workload


def main(instances: int, trace: Path) -> None:
    """Run the trace on `instances` machines and print the mean wait in seconds."""
    tasks = workload.read(trace)
    cpu_free = [workload.CPU_UNITS] * instances
    memory_free = [workload.MEMORY_MIB] * instances
    queue: list[workload.Task] = []
    waits: list[float] = []
    env = simpy.Environment()

    def start(task: workload.Task) -> bool:
        _, _, cpu, memory = task
        for i in range(instances):
            if cpu_free[i] >= cpu and memory_free[i] >= memory:
                cpu_free[i] -= cpu
                memory_free[i] -= memory
                waits.append(env.now - task[0])
                env.process(run_task(task, i))
                return True
        return False

    def run_task(task: workload.Task, i: int) -> Iterator[Any]:
        yield env.timeout(task[1])
        cpu_free[i] += task[2]
        memory_free[i] += task[3]
        if queue:
            queue[:] = [waiting for waiting in queue if not start(waiting)]

    def submit_all() -> Iterator[Any]:
        for task in tasks:
            yield env.timeout(task[0] - env.now)
            if not start(task):
                queue.append(task)

    env.process(submit_all())
    env.run()
    print(f"{len(waits)} tasks, mean wait {sum(waits) / len(waits) / 1_000:.3f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
