"""The benchmark of sweeps: the speedup of two workers, the overhead per run, and the gain of paired comparison.

    python bench/sweeps.py [--quick]
    python bench/sweeps.py pairs [REPLICATIONS]

The first sweeps a scenario of 10,000 tasks over ten points with a hundred replications each, with one worker and
with two, in turn, and prints wall time, the CPU time of client and scheduler (one process here), of the workers, and
the overhead per run beyond `simulation_cpu_s` of the runs' own manifests. Whole processes are measured, imports and
start-up included. The kernels come from the cache: one unmeasured run fills it first. Exit code 1 if a bar is missed.

The second prints the paired and the unpaired 95 % interval of the difference in the web shop's weekly cost between a
target capacity of 100 and of 80, its instances under managed scaling.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SPEEDUP = 1.6  # of two workers over one
OVERHEAD_MS = 30.0  # CPU per run beyond the simulation
RATE = "runTasks.jobs.arrivals.ratePerHour"

GROUP = "capacityProviders.general.autoScalingGroupProvider"
TARGET = f"{GROUP}.managedScaling.targetCapacity"
MANAGED = [
    f"{GROUP}.managedScaling.status=ENABLED",
    f"{GROUP}.autoScalingGroup.minSize=1",
    f"{GROUP}.autoScalingGroup.maxSize=16",
]

SCENARIO = """\
name: ten-thousand
duration: 6h
capacityProviders:
  - name: nodes
    autoScalingGroupProvider:
      autoScalingGroup: {instanceTypes: [m6i.2xlarge], minSize: 40, maxSize: 40, desiredCapacity: 40}
      managedScaling: {status: ENABLED}
taskDefinitions:
  - {family: job, cpu: "512", memory: "1024", containerDefinitions: [{name: app, image: batch/job}]}
runTasks:
  - name: jobs
    taskDefinition: job
    arrivals: {ratePerHour: 1667}
    duration: {distribution: lognormal, median: 12m, sigma: 0.5}
    capacityProviderStrategy: [{capacityProvider: nodes, weight: 1}]
"""


def run_sweep(scenario: str, jobs: int, replications: int, out: str) -> None:
    """Run one sweep in this process and print its cost as JSON."""
    import clustersim as cs

    result = cs.sweep(
        scenario,
        vary={RATE: [1640 + 6 * number for number in range(10)]},
        replications=replications,
        jobs=jobs,
        out=out,
    )
    own_usage, worker_usage = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    simulation = 0.0
    for manifest in Path(result.path).glob("points/*/*/manifest.json"):
        simulation += json.loads(manifest.read_bytes())["timings"]["simulation_cpu_s"]
    tasks = statistics.mean(result.summary.to_arrow().column("tasks_created").to_pylist())
    cost = {
        "runs": len(result.summary),
        "tasks": tasks,
        "sweep_s": result.manifest["timings"]["wall_s"],
        "own_cpu_s": own_usage.ru_utime + own_usage.ru_stime,
        "workers_cpu_s": worker_usage.ru_utime + worker_usage.ru_stime,
        "simulation_cpu_s": simulation,
    }
    print(json.dumps(cost))


def machine_s() -> float:
    """Return the CPU time of all processes of this machine since boot (Linux; elsewhere 0)."""
    try:
        user, nice, system = Path("/proc/stat").read_text().split()[1:4]
    except OSError:
        return 0.0
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(scenario: Path, jobs: int, replications: int, folder: Path) -> dict[str, float]:
    """Run one sweep as a separate process and return its cost."""
    out = folder / f"out-{jobs}"
    shutil.rmtree(out, ignore_errors=True)
    began, busy = time.perf_counter(), machine_s()
    command = [
        sys.executable,
        str(HERE / "sweeps.py"),
        "one",
        str(scenario),
        str(jobs),
        str(replications),
        str(out),
    ]
    done = subprocess.run(
        command,
        check=False,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stderr)
    cost: dict[str, float] = json.loads(done.stdout)
    cost["wall_s"] = time.perf_counter() - began
    cost["others_cpu_s"] = machine_s() - busy - cost["own_cpu_s"] - cost["workers_cpu_s"]
    cost["overhead_ms"] = (
        1e3 * (cost["own_cpu_s"] + cost["workers_cpu_s"] - cost["simulation_cpu_s"]) / cost["runs"]
    )
    return cost


def workers(quick: bool) -> bool:
    """Print the table; return whether the bars are met."""
    replications, rounds = (10, 1) if quick else (100, 3)
    with tempfile.TemporaryDirectory(prefix="clustersim-bench-") as folder:
        scenario = Path(folder) / "ten-thousand.yaml"
        scenario.write_text(SCENARIO, encoding="utf-8")
        measure(scenario, 1, 1, Path(folder))
        costs: dict[int, list[dict[str, float]]] = {1: [], 2: []}
        for _ in range(rounds):
            for jobs, measured in costs.items():
                measured.append(measure(scenario, jobs, replications, Path(folder)))
    # The least disturbed round: other load on the machine can only add time.
    quickest = {jobs: min(measured, key=lambda cost: cost["wall_s"]) for jobs, measured in costs.items()}
    runs, tasks = quickest[1]["runs"], quickest[1]["tasks"]
    print(f"{runs:,.0f} runs of {tasks:,.0f} tasks; the quickest of {rounds} rounds, {os.cpu_count()} cores")
    print(f"{'':50}{'1 worker':>12}{'2 workers':>12}")
    for name, label in (
        ("wall_s", "whole command, wall s"),
        ("sweep_s", "  of it runs, wall s"),
        ("own_cpu_s", "client and scheduler, CPU s (1: and worker)"),
        ("workers_cpu_s", "worker processes, CPU s"),
        ("simulation_cpu_s", "simulation alone, CPU s"),
        ("overhead_ms", "overhead per run, CPU ms"),
        ("others_cpu_s", "other processes on this machine, CPU s"),
    ):
        print(f"{label:50}{quickest[1][name]:12.2f}{quickest[2][name]:12.2f}")
    speedup = quickest[1]["wall_s"] / quickest[2]["wall_s"]
    worst = max(quickest[1]["overhead_ms"], quickest[2]["overhead_ms"])
    bars = {
        f"two workers / one: {speedup:.2f}x, bar {SPEEDUP}x": speedup >= SPEEDUP,
        f"overhead per run: {worst:.1f} ms, bar {OVERHEAD_MS:.0f} ms": worst < OVERHEAD_MS,
    }
    for label, passed in bars.items():
        print(f"{label}: {'pass' if passed else 'MISS'}")
    return quick or all(bars.values())


def pairs(replications: int) -> None:
    """Print the paired and unpaired intervals of the cost difference between two target capacities of the web shop."""
    import clustersim as cs

    with tempfile.TemporaryDirectory(prefix="clustersim-bench-") as folder:
        scenario = HERE.parent / "scenarios" / "web-shop.yaml"
        result = cs.sweep(
            scenario, vary={TARGET: [80, 100]}, set=MANAGED, replications=replications, out=folder
        )
    print(
        f"web-shop, cost_usd of a week, targetCapacity 80 and 100, {replications} replications, 95 % intervals"
    )
    first, second = (result.values("cost_usd", point) for point in (0, 1))
    for label, values in (("at 80", first), ("at 100", second)):
        mean = cs.stats.mean_interval(values)
        print(f"  {label:22}{mean.mean:10.3f}   {mean.low:9.3f} to {mean.high:9.3f}   width {mean.width:.3f}")
    paired, unpaired = cs.stats.paired_difference(second, first), cs.stats.unpaired_difference(second, first)
    for label, interval in (("difference, paired", paired), ("difference, unpaired", unpaired)):
        bounds = f"{interval.low:+9.3f} to {interval.high:+9.3f}"
        print(f"  {label:22}{interval.mean:+10.3f}   {bounds}   width {interval.width:.3f}")
    ratio = unpaired.width / paired.width
    print(f"  the unpaired interval is {ratio:.1f} times as wide")


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        run_sweep(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    elif sys.argv[1:2] == ["pairs"]:
        pairs(int(sys.argv[2]) if len(sys.argv) > 2 else 10)
    elif not workers("--quick" in sys.argv):
        sys.exit(1)
