"""The naive model: the reference for clustersim's speed.

The textbook way to write this simulation in SimPy: machines are objects, a running task is a process, and
placement is best fit on memory (ECS's `binpack` on memory: the least free memory that still fits, the first
of equals) by a scan of every machine that has CPU left. Tasks that do not fit wait in order of arrival, and a
later task may overtake one that fits nowhere; the queue is retried at each instant at which tasks end.
It is optimised within that form: `run.py` compares it with `floor.py`.

    python bench/naive.py INSTANCES TRACE.csv
"""

from __future__ import annotations

import sys
from bisect import insort
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import simpy
import workload


class Machine:
    """A container instance: its number, and its free CPU units and MiB."""

    __slots__ = ("cpu", "memory", "number")

    def __init__(self, number: int, cpu: int, memory: int) -> None:
        self.number = number
        self.cpu = cpu
        self.memory = memory


class Cluster:
    """Machines with free CPU, in order, and the queue of waiting tasks."""

    def __init__(self, env: simpy.Environment, instances: int) -> None:
        self.env = env
        self.machines = [Machine(i, workload.CPU_UNITS, workload.MEMORY_MIB) for i in range(instances)]
        self.queue: list[workload.Task] = []
        self.retry_due = False
        self.waits_ms: list[float] = []

    def best_fit(self, cpu: int, memory: int) -> Machine | None:
        """Return the machine with the least free memory among those with room; the first of equals."""
        best, least = None, workload.MEMORY_MIB + 1
        for machine in self.machines:
            if machine.memory < least and machine.cpu >= cpu and machine.memory >= memory:
                best, least = machine, machine.memory
                if least == memory:
                    break
        return best

    def submit(self, task: workload.Task) -> bool:
        """Start the task if there is room for it; return whether it started."""
        submitted_ms, _, cpu, memory = task
        machine = self.best_fit(cpu, memory)
        if machine is None:
            return False
        machine.cpu -= cpu
        machine.memory -= memory
        if not machine.cpu:
            self.machines.remove(machine)
        self.waits_ms.append(self.env.now - submitted_ms)
        self.env.process(self.run_task(task, machine))
        return True

    def run_task(self, task: workload.Task, machine: Machine) -> Iterator[Any]:
        """Run for the task's duration, then free its resources and retry the queue."""
        _, duration_ms, cpu, memory = task
        yield self.env.timeout(duration_ms)
        if not machine.cpu:
            insort(self.machines, machine, key=attrgetter("number"))
        machine.cpu += cpu
        machine.memory += memory
        if self.queue and not self.retry_due:
            self.retry_due = True
            yield self.env.timeout(0)  # others may end at this very instant
            self.retry()

    def retry(self) -> None:
        """Retry the queue, if a task has ended since the last time."""
        if self.retry_due:
            self.retry_due = False
            self.queue = [waiting for waiting in self.queue if not self.submit(waiting)]

    def submit_all(self, tasks: list[workload.Task]) -> Iterator[Any]:
        """Submit each task at its instant, after a retry of the queue for tasks that ended then."""
        for task in tasks:
            yield self.env.timeout(task[0] - self.env.now)
            self.retry()
            if not self.submit(task):
                self.queue.append(task)


def main(instances: int, trace: Path) -> None:
    """Run the trace on `instances` machines and print the mean wait in seconds."""
    env = simpy.Environment()
    cluster = Cluster(env, instances)
    env.process(cluster.submit_all(workload.read(trace)))
    env.run()
    waits = cluster.waits_ms
    print(f"{len(waits)} tasks, mean wait {sum(waits) / len(waits) / 1_000:.3f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
