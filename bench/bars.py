"""The performance bars: the cost of whole runs of the whole product.

    python bench/bars.py [--quick | --renew]

Prints a table of measured figures, the bar of each, and pass or MISS. Costs are CPU time of whole processes, with
results written, unless a row says "simulation" (`simulation_cpu_s` of the manifest). The floor is `floor.py`: a page
of plain SimPy that places the same tasks first fit and does nothing else; its own time is printed, since costs are
comparable between machines only as multiples of it. A month is extrapolated from one and two days: the cost of a
further day, times 29, plus that of the first. A deployment on a giant cluster is the difference of two runs, with it
and without. `--quick` uses smaller sizes, for which the bars are not valid. The figures are then compared with the
saved ones (`ratios.py`); `--renew` saves them. Exit code 1 if a bar is missed or a figure has changed.

`counts.py` counts the work of runs, `run.py` compares with a naive model, `ladder.py` measures how costs grow with
size, `sweeps.py` measures many runs, `requests.py` the cost of a simulated request.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import fleet
import ratios
from run import CLUSTERSIM, HERE, Program, Row, Suite, table

Rows = Callable[[], list[Row]]

FLOOR_LIMIT_S = 150
"""CPU time limit of the floor: near and above full load it retries every waiting task again and again."""

GIANT = """\
name: {name}
duration: 30m
initialState: running
instanceTypes:
  - {{name: giant.node, vcpus: 8, memoryMiB: 32768, registeredMemoryMiB: 32768, maxEnis: 8, usdPerHour: 0.4}}
capacityProviders:
  - name: nodes
    autoScalingGroupProvider:
      autoScalingGroup:
        {{instanceTypes: [giant.node], minSize: {instances}, maxSize: {instances}, desiredCapacity: {instances}}}
taskDefinitions:
  - {{family: app, cpu: "512", memory: "2048", containerDefinitions: [{{name: app, image: "app:1"}}]}}
  - {{family: app, cpu: "512", memory: "2048", containerDefinitions: [{{name: app, image: "app:2"}}]}}
services:
{services}{actions}"""

ONE = """\
  - serviceName: s{number}
    taskDefinition: "app:1"
    desiredCount: {count}
    capacityProviderStrategy: [{{capacityProvider: nodes, weight: 1}}]
    placementStrategy: [{{type: binpack, field: memory}}]
"""


def run(suite: Suite, scenario: Path, name: str, rounds: int = 1) -> Program:
    """Add `clustersim run` of a file to the programs of the suite."""
    results = suite.directory / "results"
    argv = [*CLUSTERSIM, "run", str(scenario), "--out", str(results), "--quiet"]
    program = Program(f"clustersim, {name}", argv, results / name, rounds)
    suite.programs[program.title] = program
    return program


def churn(suite: Suite, quick: bool) -> Rows:
    """Measure tasks per second, and compare with the floor at 70, 98 and 120 % load."""
    instances, tasks, few = (1_000, 100_000, 20_000) if quick else (10_000, 1_000_000, 100_000)
    large = suite.clustersim(instances, tasks, 1)
    loads = (0.7, 0.98, 1.2)
    product = [suite.clustersim(1_000, few, 3, load) for load in loads]
    floors = [suite.plain("floor", 1_000, few, 1, load) for load in loads]
    for floor in floors:
        floor.limit_s = FLOOR_LIMIT_S
    bars = (1.3, 0.25, 0.05)

    def rows() -> list[Row]:
        table_rows = [
            Row(
                f"churn, {instances:,} instances, {tasks:,} tasks: tasks a second of simulation",
                tasks / large.simulation,
                "/s",
                (">=", 400_000),
            )
        ]
        for load, program, floor, bar in zip(loads, product, floors, bars, strict=True):
            title = f"churn, 1,000 instances, {few:,} tasks, load {load:.0%}: whole process / floor"
            table_rows += [
                Row(title, program.cpu / floor.cpu, "x", ("<=", bar)),
                Row("  ... floor", floor.cpu, "s"),
            ]
        return table_rows

    return rows


def months(suite: Suite, quick: bool) -> Rows:
    """Measure a month of a fleet, and of one ten times as small."""
    large = 100 if quick else 1_000
    programs = {}
    for services in (large // 10, large):
        for days in (1, 2):
            path = suite.directory / f"fleet-{services}-{days}.yaml"
            name = path.stem
            text = fleet.scenario(services, days).replace("name: fleet-month", f"name: {name}")
            path.write_text(text, encoding="utf-8")
            programs[services, days] = run(suite, path, name)

    def month(services: int) -> float:
        one, two = programs[services, 1].cpu, programs[services, 2].cpu
        return one + 29 * (two - one)

    def rows() -> list[Row]:
        title = f"month of a fleet, {large:,} services, {2 * large:,} instances (of two days)"
        return [
            Row(title, month(large), "s", ("<=", 20)),
            Row(
                "  ... / a tenth of services, instances and tasks",
                month(large) / month(large // 10),
                "x",
                ("<=", 12),
            ),
        ]

    return rows


def giant(suite: Suite, quick: bool) -> Rows:
    """Measure one deployment of a service of 5,000 tasks among a million running tasks."""
    instances, services, count = (10_000, 20, 5_000) if quick else (100_000, 200, 5_000)
    texts = "".join(ONE.format(number=number, count=count) for number in range(services))
    deploys = 'actions:\n  - {at: 1m, updateService: {service: s0, taskDefinition: "app:2"}}\n'
    programs = []
    for name, actions in (("giant-still", ""), ("giant-deploys", deploys)):
        path = suite.directory / f"{name}.yaml"
        text = GIANT.format(name=name, instances=instances, services=texts, actions=actions)
        path.write_text(text, encoding="utf-8")
        programs.append(run(suite, path, name))

    def rows() -> list[Row]:
        still, deployed = programs
        title = f"a deployment of {count:,} tasks on {instances:,} instances with {services * count:,} tasks"
        return [
            Row(title, deployed.simulation - still.simulation, "s", ("<=", 5)),
            Row("  ... the same without it", still.simulation, "s"),
        ]

    return rows


def starts(suite: Suite, _: bool) -> Rows:
    """Measure start-up: help, import, and the quickstart with and without cached kernels."""
    python = sys.executable
    quickstart = str(HERE.parent / "scenarios" / "quickstart.yaml")
    results = str(suite.directory / "results")
    cold = tempfile.mkdtemp(dir=suite.directory)
    run_cold = f"import os; os.environ['CLUSTERSIM_CACHE_DIR'] = {cold!r}\n{CLUSTERSIM[2]}"
    cases = {
        "clustersim --help": ([*CLUSTERSIM, "--help"], 0.3, 3),
        "import clustersim": ([python, "-c", "import clustersim"], 0.1, 3),
        "quickstart, kernels compiled": (
            [*CLUSTERSIM, "run", quickstart, "--out", results, "--quiet"],
            1.2,
            3,
        ),
        "quickstart, first run ever": (
            [python, "-c", run_cold, "run", quickstart, "--out", results, "--quiet"],
            20,
            1,
        ),
    }
    programs = {title: Program(title, argv, rounds=rounds) for title, (argv, _, rounds) in cases.items()}
    suite.programs.update(programs)

    def rows() -> list[Row]:
        return [Row(title, programs[title].cpu, "s", ("<=", bar)) for title, (_, bar, _) in cases.items()]

    return rows


def shop(suite: Suite, quick: bool) -> Rows:
    """Measure a month of the web shop: per simulated minute, and in units of importing what it stands on."""
    days = 7 if quick else 30
    results = suite.directory / "results"
    argv = [
        *CLUSTERSIM,
        "run",
        str(HERE.parent / "scenarios" / "web-shop.yaml"),
        "--set",
        f"duration={days}d",
    ]
    month = Program(
        f"clustersim, web-shop, {days} days",
        [*argv, "--out", str(results), "--quiet"],
        results / "web-shop",
        3,
    )
    imports = Program(
        "import numpy, pyarrow, simpy", [sys.executable, "-c", "import numpy, pyarrow, simpy"], rounds=5
    )
    suite.programs |= {program.title: program for program in (month, imports)}

    def rows() -> list[Row]:
        per_minute_us = month.simulation / (days * 24 * 60) * 1e6
        return [
            Row("web shop: a simulated minute", per_minute_us, "us", ("<=", 300)),
            Row(f"web shop: {days} days / {imports.title}", month.cpu / imports.cpu, "x", ("<=", 70)),
        ]

    return rows


def memory(suite: Suite, quick: bool) -> Rows:
    """Measure the growth of memory with ten times as many finished tasks."""
    few, many = (20_000, 200_000) if quick else (100_000, 1_000_000)
    small, large = suite.clustersim(1_000, few, 1), suite.clustersim(1_000, many, 1)

    def rows() -> list[Row]:
        return [
            Row(
                f"memory, {many:,} against {few:,} finished tasks",
                large.memory - small.memory,
                "MiB",
                ("<=", 50),
            )
        ]

    return rows


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="What whole runs cost, and the bar of each.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--quick", action="store_true", help="smaller sizes, for which the bars were not meant"
    )
    which.add_argument(
        "--renew", action="store_true", help="save the ratios that later runs are compared with"
    )
    arguments = parser.parse_args()
    quick = arguments.quick
    suite = Suite(HERE.parent / "build" / "bench")
    suite.directory.mkdir(parents=True, exist_ok=True)
    parts = [part(suite, quick) for part in (starts, churn, memory, shop, months, giant)]
    print("Filling the cache of compiled kernels ...", flush=True)
    Suite(suite.directory).clustersim(1_000, 20_000, 1).run()
    suite.run()
    rows = [row for part in parts for row in part()]
    print(table(rows))
    if quick:
        return
    if arguments.renew:
        ratios.renew(rows)
    changed = ratios.compare(rows)
    print(
        "\n".join(
            [f"Against {ratios.SAVED.name}, within {ratios.TOLERANCE}:", *(changed or ["as they were"])]
        )
    )
    if changed or not all(row.passed for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
