"""The bench of sweeps: do two workers do twice as much, what does a run cost beside its simulation, what does
pairing gain?

    python bench/sweeps.py [--quick]
    python bench/sweeps.py pairs [REPLICATIONS]

The first sweeps a scenario of 10,000 tasks over ten points with a hundred replications each, with one worker
and with two, in turn, and prints wall time, the CPU time of client and scheduler (one process here), of the
workers, and what all of it comes to per run beside `simulation_cpu_s` of the runs' own manifests. Whole
processes are measured, imports and start-up included. The kernels come from the cache: one unmeasured run
fills it first. Exit code 1 when a bar is missed.

The second prints the paired and the unpaired 95 % interval of what the web shop's week costs less at a target
capacity of 100 than of 80, its instances under managed scaling.
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
SPEEDUP = 1.6  # with two workers, against one
OVERHEAD_MS = 30.0  # CPU per run beside the simulation
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
taskDefinitions:
  - {family: job, cpu: "512", memory: "1024", containerDefinitions: [{name: app, image: batch/job}]}
runTasks:
  - name: jobs
    taskDefinition: job
    arrivals: {ratePerHour: 1667}
    duration: {distribution: lognormal, median: 12m, sigma: 0.5}
    capacityProviderStrategy: [{capacityProvider: nodes, weight: 1}]
"""


def one(scenario: str, jobs: int, replications: int, out: str) -> None:
    """One sweep in this process; prints what it cost as JSON."""
    import clustersim as cs

    found = cs.sweep(
        scenario,
        vary={RATE: [1640 + 6 * number for number in range(10)]},
        replications=replications,
        jobs=jobs,
        out=out,
    )
    own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    simulation = 0.0
    for manifest in Path(found.path).glob("points/*/*/manifest.json"):
        simulation += json.loads(manifest.read_bytes())["timings"]["simulation_cpu_s"]
    tasks = statistics.mean(found.summary.to_arrow().column("tasks_created").to_pylist())
    cost = {
        "runs": len(found.summary),
        "tasks": tasks,
        "sweep_s": found.manifest["timings"]["wall_s"],
        "own_cpu_s": own.ru_utime + own.ru_stime,
        "workers_cpu_s": workers.ru_utime + workers.ru_stime,
        "simulation_cpu_s": simulation,
    }
    print(json.dumps(cost))


def machine_s() -> float:
    """CPU time that this machine has spent since it began, on anything (Linux; elsewhere 0)."""
    try:
        user, nice, system = Path("/proc/stat").read_text().split()[1:4]
    except OSError:
        return 0.0
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(scenario: Path, jobs: int, replications: int, folder: Path) -> dict[str, float]:
    """One sweep as a process of its own, from its start to its end."""
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
    """Prints the table; whether the bars are met."""
    replications, rounds = (10, 1) if quick else (100, 3)
    with tempfile.TemporaryDirectory(prefix="clustersim-bench-") as folder:
        scenario = Path(folder) / "ten-thousand.yaml"
        scenario.write_text(SCENARIO, encoding="utf-8")
        measure(scenario, 1, 1, Path(folder))
        costs: dict[int, list[dict[str, float]]] = {1: [], 2: []}
        for _ in range(rounds):
            for jobs, found in costs.items():
                found.append(measure(scenario, jobs, replications, Path(folder)))
    # The round that was disturbed least: whatever else the machine does can only add to it.
    quickest = {jobs: min(found, key=lambda cost: cost["wall_s"]) for jobs, found in costs.items()}
    runs, tasks = quickest[1]["runs"], quickest[1]["tasks"]
    print(f"{runs:,.0f} runs of {tasks:,.0f} tasks; the quickest of {rounds} rounds, {os.cpu_count()} cores")
    print(f"{'':50}{'1 worker':>12}{'2 workers':>12}")
    for name, words in (
        ("wall_s", "whole command, wall s"),
        ("sweep_s", "  of it runs, wall s"),
        ("own_cpu_s", "client and scheduler, CPU s (1: and worker)"),
        ("workers_cpu_s", "worker processes, CPU s"),
        ("simulation_cpu_s", "simulation alone, CPU s"),
        ("overhead_ms", "overhead per run, CPU ms"),
        ("others_cpu_s", "meanwhile everything else on this machine, CPU s"),
    ):
        print(f"{words:50}{quickest[1][name]:12.2f}{quickest[2][name]:12.2f}")
    speedup = quickest[1]["wall_s"] / quickest[2]["wall_s"]
    worst = max(quickest[1]["overhead_ms"], quickest[2]["overhead_ms"])
    met = {
        f"two workers / one: {speedup:.2f}x, bar {SPEEDUP}x": speedup >= SPEEDUP,
        f"overhead per run: {worst:.1f} ms, bar {OVERHEAD_MS:.0f} ms": worst < OVERHEAD_MS,
    }
    for words, passed in met.items():
        print(f"{words}: {'pass' if passed else 'MISS'}")
    return quick or all(met.values())


def pairs(replications: int) -> None:
    """Prints how well the cost of two target capacities of the web shop can be told apart, in pairs and not."""
    import clustersim as cs

    with tempfile.TemporaryDirectory(prefix="clustersim-bench-") as folder:
        scenario = HERE.parent / "scenarios" / "web-shop.yaml"
        found = cs.sweep(
            scenario, vary={TARGET: [80, 100]}, set=MANAGED, replications=replications, out=folder
        )
    print(
        f"web-shop, cost_usd of a week, targetCapacity 80 and 100, {replications} replications, 95 % intervals"
    )
    first, second = (found.values("cost_usd", point) for point in (0, 1))
    for words, values in (("at 80", first), ("at 100", second)):
        mean = cs.stats.mean_interval(values)
        print(f"  {words:22}{mean.mean:10.3f}   {mean.low:9.3f} to {mean.high:9.3f}   width {mean.width:.3f}")
    paired, unpaired = cs.stats.paired_difference(second, first), cs.stats.unpaired_difference(second, first)
    for words, each in (("difference, paired", paired), ("difference, unpaired", unpaired)):
        print(
            f"  {words:22}{each.mean:+10.3f}   {each.low:+9.3f} to {each.high:+9.3f}   width {each.width:.3f}"
        )
    ratio = unpaired.width / paired.width
    print(f"  the unpaired interval is {ratio:.1f} times as wide")


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    elif sys.argv[1:2] == ["pairs"]:
        pairs(int(sys.argv[2]) if len(sys.argv) > 2 else 10)
    elif not workers("--quick" in sys.argv):
        sys.exit(1)
