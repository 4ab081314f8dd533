"""The main benchmark: clustersim compared with a naive SimPy model.

    python bench/run.py [--quick]

Runs the churn workload (`workload.py`) through the floor (`floor.py`), the naive model (`naive.py`) and clustersim,
in turn, for several rounds. Costs are the CPU time of the whole process, imports and files included, unless a row
says "simulation": then it is `simulation_cpu_s` of clustersim's manifest. Figures are medians over the rounds, ratios
are of medians. The cost of a further task is the slope between a small and a large run, so it excludes start-up. Only
ratios are comparable between machines.

The compiled kernels come from the cache: one unmeasured run fills it first. `--quick` uses smaller sizes, for which
the bars are not valid. All figures go to `bench/last.json`. Exit code 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import workload

HERE = Path(__file__).resolve().parent
MIB = 1024 * 1024
CLUSTERSIM = [sys.executable, "-c", "from clustersim.cli import main; main()"]


@dataclass(frozen=True)
class Sizes:
    """The number of tasks in each measurement, and the number of rounds."""

    thousand: int = 300_000  # on 1,000 instances, for the comparison with the naive model
    saturated: int = 100_000  # on 1,000 instances, at 70, 98 and 120 % load
    large: tuple[int, int] = (100_000, 1_000_000)  # on 10,000 instances; 72,000 of them run at a time
    large_naive: tuple[int, int] = (10_000, 100_000)
    memory: tuple[int, int] = (100_000, 1_000_000)  # on 1,000 instances
    rounds: int = 3


QUICK = Sizes(30_000, 20_000, (20_000, 60_000), (4_000, 12_000), (30_000, 120_000), 1)


@dataclass
class Program:
    """One program on one workload, with the costs of its runs so far."""

    title: str
    argv: list[str]
    result: Path | None = None
    rounds: int = 1
    limit_s: int | None = None  # of CPU time; a run is stopped at the limit, which then counts as its cost
    cpu_s: list[float] = field(default_factory=list)
    simulation_cpu_s: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)
    output: str = ""

    def run(self) -> None:
        """Run once and record the cost: CPU time (user and system) and peak memory of the process."""
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(self.argv, cwd=HERE, stdout=output, stderr=subprocess.STDOUT)
            if self.limit_s is not None:
                resource.prlimit(process.pid, resource.RLIMIT_CPU, (self.limit_s, self.limit_s + 1))
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            self.output = output.read().decode(errors="replace").strip()
            if process.returncode and process.returncode != -signal.SIGXCPU:
                sys.exit(f"{self.title} failed:\n{self.output}")
        self.cpu_s.append(usage.ru_utime + usage.ru_stime)
        self.peak_mib.append(usage.ru_maxrss / 1024)
        if self.result is not None:
            manifest = json.loads((self.result / "manifest.json").read_text(encoding="utf-8"))
            self.simulation_cpu_s.append(manifest["timings"]["simulation_cpu_s"])

    @property
    def cpu(self) -> float:
        """The median CPU time of the whole process, s."""
        return statistics.median(self.cpu_s)

    @property
    def simulation(self) -> float:
        """The median CPU time of clustersim's simulation phase, s."""
        return statistics.median(self.simulation_cpu_s)

    @property
    def memory(self) -> float:
        """The median peak memory, MiB."""
        return statistics.median(self.peak_mib)


class Suite:
    """The programs to run, without duplicates, in the order in which they were added."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs: dict[str, Program] = {}

    def plain(
        self, name: str, instances: int, tasks: int, rounds: int, load: float = workload.LOAD
    ) -> Program:
        """Add `floor` or `naive` on the churn workload."""
        trace, _ = workload.write(instances, tasks, self.directory, load)
        argv = [sys.executable, str(HERE / f"{name}.py"), str(instances), str(trace)]
        title = f"{name}, {instances:,} instances, {tasks:,} tasks, load {load:.0%}"
        return self._add(Program(title, argv, rounds=rounds))

    def clustersim(self, instances: int, tasks: int, rounds: int, load: float = workload.LOAD) -> Program:
        """Add `clustersim run` on the churn workload."""
        _, scenario = workload.write(instances, tasks, self.directory, load)
        results = self.directory / "results"
        argv = [*CLUSTERSIM, "run", str(scenario), "--out", str(results), "--quiet"]
        title = f"clustersim, {instances:,} instances, {tasks:,} tasks, load {load:.0%}"
        return self._add(Program(title, argv, results / scenario.stem, rounds))

    def _add(self, program: Program) -> Program:
        """Return the program of that title; if it was added before, with the larger number of rounds."""
        known = self.programs.setdefault(program.title, program)
        known.rounds = max(known.rounds, program.rounds)
        return known

    def run(self) -> None:
        """Run all programs in turn, round after round, so that other load on the machine affects all alike."""
        programs = list(self.programs.values())
        for number in range(max(program.rounds for program in programs)):
            for program in programs:
                if number < program.rounds:
                    program.run()
                    figures = f"{program.cpu_s[-1]:7.2f} s CPU {program.peak_mib[-1]:6.0f} MiB"
                    print(f"  round {number + 1}  {figures}  {program.title}", flush=True)


@dataclass(frozen=True)
class Row:
    """A line of the table; `bar` is (`<=` or `>=`, figure), None without a bar."""

    title: str
    measured: float
    unit: str
    bar: tuple[str, float] | None = None

    @property
    def passed(self) -> bool:
        """True if the bar is met, or there is none."""
        if self.bar is None:
            return True
        sign, figure = self.bar
        return self.measured >= figure if sign == ">=" else self.measured <= figure


def speed(suite: Suite, sizes: Sizes) -> Callable[[], list[Row]]:
    """Compare with the naive model at 1,000 and 10,000 instances, and measure tasks per second."""
    few, many = sizes.large
    few_naive, many_naive = sizes.large_naive
    floor = suite.plain("floor", 1_000, sizes.thousand, sizes.rounds)
    naive = suite.plain("naive", 1_000, sizes.thousand, sizes.rounds)
    product = suite.clustersim(1_000, sizes.thousand, sizes.rounds)
    naive_few = suite.plain("naive", 10_000, few_naive, sizes.rounds)
    naive_many = suite.plain("naive", 10_000, many_naive, sizes.rounds)
    ours_few = suite.clustersim(10_000, few, sizes.rounds)
    ours_many = suite.clustersim(10_000, many, sizes.rounds)

    def rows() -> list[Row]:
        naive_slope_us = (naive_many.cpu - naive_few.cpu) / (many_naive - few_naive) * 1e6
        slope_us = (ours_many.cpu - ours_few.cpu) / (many - few) * 1e6
        start_s = ours_few.cpu - slope_us * few / 1e6
        naive_s = naive_many.cpu / many_naive * many
        return [
            Row("naive / floor, 1,000 instances", naive.cpu / floor.cpu, "x", ("<=", 1.5)),
            Row("naive / clustersim, 1,000 instances", naive.cpu / product.cpu, "x", (">=", 10)),
            Row("  ... naive / simulation", naive.cpu / product.simulation, "x"),
            Row(
                "naive / clustersim, a further task, 10,000 instances",
                naive_slope_us / slope_us,
                "x",
                (">=", 40),
            ),
            Row("  ... a further task, naive", naive_slope_us, "us"),
            Row("  ... a further task, clustersim", slope_us, "us"),
            Row("  ... start-up, clustersim", start_s, "s"),
            Row(f"  ... whole process of {many:,} tasks, naive extrapolated", naive_s / ours_many.cpu, "x"),
            Row(
                "tasks per second of simulation, 10,000 instances",
                many / ours_many.simulation,
                "/s",
                (">=", 200_000),
            ),
            Row("  ... 1,000 instances", sizes.thousand / product.simulation, "/s", (">=", 200_000)),
        ]

    return rows


def saturation(suite: Suite, sizes: Sizes) -> Callable[[], list[Row]]:
    """Measure the cost of a queue: simulation time near and above full load compared with 70 %."""
    by_load = {
        load: suite.clustersim(1_000, sizes.saturated, sizes.rounds, load)
        for load in (workload.LOAD, 0.98, 1.2)
    }

    def rows() -> list[Row]:
        base = by_load[workload.LOAD].simulation
        return [
            Row(
                f"simulation, load {load:.0%} / {workload.LOAD:.0%}",
                by_load[load].simulation / base,
                "x",
                ("<=", 3),
            )
            for load in (0.98, 1.2)
        ]

    return rows


def agreement(suite: Suite, _: Sizes) -> Callable[[], list[Row]]:
    """Check that both models give the same result for an overloaded cluster."""
    naive = suite.plain("naive", 200, 20_000, 1, 1.2)
    product = suite.clustersim(200, 20_000, 1, 1.2)

    def rows() -> list[Row]:
        assert product.result is not None
        summary = json.loads((product.result / "summary.json").read_text(encoding="utf-8"))
        naive_s = float(naive.output.split()[-2])  # "..., mean wait 85.650 s"
        gap_s = abs(naive_s - summary["run_tasks"]["churn"]["wait_mean_s"])
        return [
            Row("mean wait, naive against clustersim, load 120%", gap_s, "s", ("<=", 0.001)),
            Row("  ... of", naive_s, "s"),
        ]

    return rows


def memory(suite: Suite, sizes: Sizes) -> Callable[[], list[Row]]:
    """Measure the growth of peak memory per finished task."""
    few, many = sizes.memory
    small = suite.clustersim(1_000, few, sizes.rounds)
    large = suite.clustersim(1_000, many, 1)

    def rows() -> list[Row]:
        growth = (large.memory - small.memory) * MIB / (many - few)
        return [
            Row("peak memory per finished task", growth, "bytes", ("<=", 150)),
            Row(f"  ... of {many:,} tasks", large.memory, "MiB"),
        ]

    return rows


def placement_cost() -> list[Row]:
    """Measure how the cost of placing and removing grows with the cluster; `placement.py` prints the full table."""
    # Imported last, because numpy in this process would count in the peak memory of its children.
    import placement

    chain = placement.strategy_chain((placement.BINPACK_MEMORY, 0))
    small, large = (placement.nanoseconds(chain, hosts, indexed=True) for hosts in (2_000, 100_000))
    return [
        Row("place and remove, 100,000 / 2,000 instances", large / small, "x", ("<=", 4)),
        Row("  ... at 100,000 instances", large, "ns"),
    ]


def table(rows: list[Row]) -> str:
    """Return the figures as text, one line each."""
    width = max(len(row.title) for row in rows)
    lines = [f"{'':{width}}  {'measured':>15}  {'bar':>10}"]
    for row in rows:
        figure = f"{row.measured:,.0f}" if row.measured >= 1_000 else f"{row.measured:.3g}"
        bar, verdict = "", ""
        if row.bar is not None:
            bar, verdict = f"{row.bar[0]} {row.bar[1]:,}", "pass" if row.passed else "MISS"
        lines.append(f"{row.title:{width}}  {figure + ' ' + row.unit:>15}  {bar:>10}  {verdict}".rstrip())
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and save the figures."""
    parser = argparse.ArgumentParser(
        description="Speed and memory of clustersim against a naive SimPy model."
    )
    parser.add_argument(
        "--quick", action="store_true", help="smaller sizes, for which the bars were not meant"
    )
    quick = parser.parse_args().quick
    sizes = QUICK if quick else Sizes()
    suite = Suite(HERE.parent / "build" / "bench")
    print("Writing workloads ...", flush=True)
    parts = [part(suite, sizes) for part in (agreement, speed, saturation, memory)]
    print("Filling the cache of compiled kernels ...", flush=True)
    Suite(suite.directory).clustersim(1_000, sizes.memory[0], 1).run()
    suite.run()
    rows = [row for part in parts for row in part()] + placement_cost()
    print(table(rows))
    saved = {
        "quick": quick,
        "rows": [{**vars(row), "passed": row.passed} for row in rows],
        "programs": [{**vars(program), "result": None} for program in suite.programs.values()],
    }
    (HERE / "last.json").write_text(json.dumps(saved, indent=1), encoding="utf-8")
    if not quick and not all(row.passed for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
