"""Counts of the work in runs: SimPy events, acts of each controller, calls of each kernel. Compared exactly.

    python bench/counts.py [--renew]

A few fixed scenarios are run in this process. Their counts depend only on the scenario and the program, so they are
compared with `counts.json` exactly, and every difference is printed with the old and the new number: times are
noisy, but a count that rises is added work. Exit code 1 if one differs; `--renew` saves the new counts. Counting
wraps SimPy's `step` and the calls of kernels in this process only.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fleet
import simpy
import workload

from clustersim.engine import program
from clustersim.engine.compiled import Entry
from clustersim.scenario.reader import read_scenario
from clustersim.simulation import Simulation

HERE = Path(__file__).resolve().parent
SAVED = HERE / "counts.json"
SCENARIOS = HERE.parent / "scenarios"

Counts = dict[str, dict[str, int]]


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count SimPy events and kernel calls inside the context."""
    counted: Counter[str] = Counter()
    step, call = simpy.Environment.step, Entry.__call__

    def counted_step(env: simpy.Environment) -> None:
        counted["SimPy events"] += 1
        step(env)

    def counted_call(entry: Entry, *arguments: Any) -> Any:
        counted[f"calls of {entry.symbol}"] += 1
        return call(entry, *arguments)

    simpy.Environment.step, Entry.__call__ = counted_step, counted_call  # type: ignore[method-assign]
    try:
        yield counted
    finally:
        simpy.Environment.step, Entry.__call__ = step, call  # type: ignore[method-assign]


def count(scenario: Path) -> dict[str, int]:
    """Return the counts of one run of the file."""
    with tempfile.TemporaryDirectory() as directory, counting() as counted:
        outcome = Simulation(read_scenario(scenario), Path(directory)).run()
    acts = {f"acts of {name}": number for name, number in outcome.counts.items() if name != "entries"}
    rows = {f"rows of {name}": number for name, number in outcome.rows.items() if number}
    return dict(sorted({**counted, **acts, **rows, "calendar entries": outcome.counts["entries"]}.items()))


def scenarios(directory: Path) -> dict[str, Path]:
    """Return the fixed scenarios by title; generated ones are written to `directory`."""
    fleet_file = directory / "fleet-100-services-1-day.yaml"
    fleet_file.write_text(fleet.scenario(100, 1), encoding="utf-8")
    return {
        "quickstart": SCENARIOS / "quickstart.yaml",
        "web shop": SCENARIOS / "web-shop.yaml",
        "churn, 1,000 instances, 100,000 tasks, 98 %": workload.write(1_000, 100_000, directory, 0.98)[1],
        "fleet of 100 services, a day": fleet_file,
        "exact requests": SCENARIOS / "exact-requests.yaml",
    }


def differences(saved: Counts, current: Counts) -> list[str]:
    """Return a line for every count that has changed."""
    lines = []
    for scenario in dict.fromkeys((*saved, *current)):
        before, after = saved.get(scenario, {}), current.get(scenario, {})
        for name in sorted(before.keys() | after.keys()):
            old, new = before.get(name, 0), after.get(name, 0)
            if old != new:
                lines.append(f"{scenario}: {name} were {old:,}, are {new:,}")
    return lines


def main() -> None:
    """Count, compare, and print the differences."""
    parser = argparse.ArgumentParser(description="Compare the counts of fixed scenarios with the saved ones.")
    parser.add_argument("--renew", action="store_true", help="save the new counts")
    renew = parser.parse_args().renew
    program.prepare()
    directory = HERE.parent / "build" / "bench"
    directory.mkdir(parents=True, exist_ok=True)
    counts: Counts = {}
    for name, path in scenarios(directory).items():
        counts[name] = count(path)
        kernels = sum(number for key, number in counts[name].items() if key.startswith("calls of "))
        print(f"{name}: {counts[name]['SimPy events']:,} SimPy events, {kernels:,} kernel calls", flush=True)
    if renew:
        SAVED.write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")
        return
    lines = differences(json.loads(SAVED.read_text(encoding="utf-8")), counts)
    print("\n".join(lines) if lines else f"All counts equal those in {SAVED.name}.")
    if lines:
        sys.exit(
            f"{len(lines)} counts differ from {SAVED.name}; python bench/counts.py --renew saves the new ones"
        )


if __name__ == "__main__":
    main()
