"""The churn workload: the input of every program of this benchmark.

Independent tasks with Poisson arrivals and exponential durations of 300 s on average need 256 to 4,096 CPU units and
512 to 8,192 MiB, uniformly and independently. Machines have 16 vCPU and 64 GiB, so CPU is the scarce resource. The
load is the average share of all CPU that the tasks would use.

    python bench/workload.py INSTANCES TASKS DIRECTORY [LOAD]      (default load: 0.7)

writes the trace `churn_*.csv` and the scenario that replays it, `churn_*.yaml`. The same arguments give the
same bytes. `naive.py` and `floor.py` read the trace, `clustersim run` the scenario; `run.py` calls all of
them.
"""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

CPU_UNITS, MEMORY_MIB = 16 * 1024, 64 * 1024
TASK_CPUS = (256, 512, 1024, 2048, 4096)
TASK_MEMORIES = (512, 1024, 2048, 4096, 8192)
MEAN_DURATION_S = 300.0
LOAD = 0.7
SEED = 20240607
SPARE_S = 3_600  # the longest of a million exponential durations is near 15 means

Task = tuple[int, int, int, int]  # submitted ms, duration ms, CPU units, memory MiB

SCENARIO = """\
name: {name}
duration: {duration_s}s
instanceTypes:
  - name: churn.node
    vcpus: 16
    memoryMiB: {memory}
    registeredMemoryMiB: {memory}
    maxEnis: 64
    usdPerHour: 0.5
cluster:
  provisioning: {{limit: unlimited, timeout: unlimited}}
capacityProviders:
  - name: nodes
    autoScalingGroupProvider:
      autoScalingGroup:
        instanceTypes: [churn.node]
        minSize: {instances}
        maxSize: {instances}
        desiredCapacity: {instances}
      managedScaling: {{status: ENABLED}}
runTasks:
  - name: churn
    trace: {trace}
    capacityProviderStrategy: [{{capacityProvider: nodes, weight: 1}}]
    placementStrategy: [{{type: binpack, field: memory}}]
sampling: {{interval: 60s}}
"""


def write(instances: int, tasks: int, directory: Path, load: float = LOAD) -> tuple[Path, Path]:
    """Write trace and scenario (unless they exist) and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    name = f"churn_{instances}_{tasks}_{load * 100:.0f}"
    trace, scenario = directory / f"{name}.csv", directory / f"{name}.yaml"
    if scenario.exists():
        return trace, scenario
    last_stop_s = _write_trace(trace, instances, tasks, load)
    # Above full load the backlog is worked off after the last arrival, at the speed of the cluster.
    duration_s = int(last_stop_s * max(1.0, load) * 1.1) + SPARE_S
    scenario.write_text(
        SCENARIO.format(
            name=name, trace=trace.name, instances=instances, memory=MEMORY_MIB, duration_s=duration_s
        )
    )
    return trace, scenario


def _write_trace(path: Path, instances: int, tasks: int, load: float) -> float:
    """Write the tasks in order of submission, to the millisecond; return the end of the last one, in s."""
    rng = random.Random(SEED)
    mean_cpu = sum(TASK_CPUS) / len(TASK_CPUS)
    per_second = load * instances * CPU_UNITS / (mean_cpu * MEAN_DURATION_S)
    submit_s, last_stop_s = 0.0, 0.0
    with path.open("w", encoding="utf-8") as file:
        file.write("submit_s,duration_s,cpu,memory_mib,reference_id\n")
        for number in range(tasks):
            submit_s += rng.expovariate(per_second)
            duration_s = max(rng.expovariate(1 / MEAN_DURATION_S), 0.001)
            cpu, memory = rng.choice(TASK_CPUS), rng.choice(TASK_MEMORIES)
            file.write(f"{submit_s:.3f},{duration_s:.3f},{cpu},{memory},t{number}\n")
            last_stop_s = max(last_stop_s, submit_s + duration_s)
    return last_stop_s


def read(path: Path) -> list[Task]:
    """Return the tasks of a trace in order, in whole ms, so that equal instants compare equal."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        next(rows)
        return [(_ms(row[0]), _ms(row[1]), int(row[2]), int(row[3])) for row in rows]


def _ms(seconds: str) -> int:
    """Convert seconds with three decimals to whole ms."""
    return round(float(seconds) * 1_000)


if __name__ == "__main__":
    for written in write(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), *map(float, sys.argv[4:5])):
        print(written)
