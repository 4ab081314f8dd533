"""A single run: simulates a scenario and publishes its result directory.

Decides the order of these steps and what the manifest records. Must not know terminals or arguments: the command
line and the Python API both call `run_scenario`, the workers of a sweep call `run_into`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from clustersim.engine.random_streams import GENERATOR
from clustersim.record.publication import Provenance, Publication
from clustersim.record.recorder import Format
from clustersim.scenario.reader import read_scenario
from clustersim.scenario.sections.scenario import Scenario
from clustersim.simulation import Simulation
from clustersim.study.single_run.run_result import Run, open_run


def run_scenario(
    scenario: Scenario,
    out: Path,
    fmt: Format = "arrow",
    progress: Callable[[float], None] | None = None,
    replication: int = 0,
    checked: bool = False,
) -> Run:
    """Simulate `scenario` into `out`/NAME and open the result.

    `progress` is called with the simulated share of the run, 0 to 1; `checked` verifies the invariants of the world
    while it runs. Raises ResultsError if the result cannot be written.
    """
    target = out / scenario.name
    run_into(scenario, target, fmt, progress, replication, checked)
    return open_run(target)


def run_into(
    scenario: Scenario,
    target: Path,
    fmt: Format = "arrow",
    progress: Callable[[float], None] | None = None,
    replication: int = 0,
    checked: bool = False,
) -> None:
    """Simulate `scenario` into the directory `target`, without opening the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    with Publication(target) as publication:
        simulation = Simulation(scenario, publication.directory, fmt, replication, checked)
        outcome = simulation.run(progress)
        provenance = Provenance(
            scenario=scenario.resolved,
            scenario_digest=scenario.digest,
            inputs=[{"path": each.path, "sha256": each.sha256} for each in scenario.inputs],
            seed=scenario.seed,
            replication=replication,
            random_generator=GENERATOR,
            assumptions=[each._asdict() for each in scenario.assumptions],
        )
        timings = {
            "total_cpu_s": time.process_time() - cpu,
            **outcome.timings,
            "wall_s": time.perf_counter() - wall,
            "simulated_s": scenario.duration_ms / 1_000,
        }
        publication.publish(provenance, outcome.rows, outcome.summary, timings)


def run(
    path: str | Path,
    *,
    seed: int | None = None,
    set: Sequence[str] = (),
    out: str | Path = "results",
    format: Format = "arrow",
) -> Run:
    """Simulate a scenario file into `out`/NAME and return the result, as `clustersim run` does.

    `set` holds overrides `PATH=VALUE`. Raises ScenarioError with every problem of the file.
    """
    return run_scenario(read_scenario(Path(path), set, seed), Path(out), format)
