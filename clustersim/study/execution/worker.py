"""The worker side of a sweep: executes the runs of a batch, publishes each, and returns one row per run.

Decides how a failed run is recorded, and when an already published run is reused. Must not know how many workers
there are. The dispatcher sends batches here through Dask.
"""

from __future__ import annotations

import hashlib
import json
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clustersim.engine.random_streams import GENERATOR
from clustersim.errors import ResultsError
from clustersim.record.publication import MANIFEST, SUMMARY, library_versions
from clustersim.scenario.sections.scenario import Scenario
from clustersim.study.execution.result_store import PLAN, ResultStore, run_path
from clustersim.study.single_run.run import run_into

MAX_ERROR = 500  # characters of an error that are kept


@dataclass(frozen=True, order=True)
class RunSpec:
    """A requested run: the number of its point, and of its replication."""

    point: int
    replication: int


RunMeasurer = Callable[[ResultStore, str, Scenario, Mapping[str, Any]], Mapping[str, float | None]]
"""A function from store, path of the run, scenario and summary to further figures of the run, by flattened name."""


@dataclass(frozen=True)
class Batch:
    """Runs that one worker executes in sequence, with the scenario of each point.

    `plan` is the digest of the sweep's plan file, `program` the digest of the client's program (`program_digest`).
    """

    store: ResultStore
    specs: tuple[RunSpec, ...]
    scenarios: Mapping[int, Scenario]
    plan: str
    program: str
    measure_run: RunMeasurer | None = None


@dataclass(frozen=True)
class RunRow:
    """A row of the sweep's table: the numbers of a run's summary by flattened name, or its error.

    `values` has NaN for null; `whole` marks the integers. `trace` is the traceback of an error. `reused` marks a run
    that had been published before.
    """

    spec: RunSpec
    seed: int
    names: tuple[str, ...] = ()
    values: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    whole: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    error: str | None = None
    trace: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    reused: bool = False

    def value(self, name: str) -> float:
        """Return the number called `name`; NaN if the run has none."""
        return float(self.values[self.names.index(name)]) if name in self.names else float("nan")


@dataclass(frozen=True)
class WorkerError:
    """The reason why a worker cannot execute any run; it ends the sweep."""

    reason: str


@cache
def program_digest() -> str:
    """Return the digest of all that a result depends on beside the scenario: versions, and clustersim's own sources."""
    digest = hashlib.sha256(json.dumps(library_versions(GENERATOR), sort_keys=True).encode())
    package = Path(__file__).parents[2]
    for path in sorted(package.rglob("*")):
        if path.is_file() and path.suffix in (".py", ".csv", ".json"):
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def run_batch(batch: Batch) -> list[RunRow] | WorkerError:
    """Execute the runs of `batch` that are not yet published, and return a row for each run, in order."""
    if program_digest() != batch.program:
        installed = ", ".join(f"{name} {number}" for name, number in library_versions(GENERATOR).items())
        return WorkerError(
            f"a worker has another version of clustersim or of its libraries (it has {installed})"
        )
    plan = batch.store.read(PLAN)
    if plan is None or hashlib.sha256(plan).hexdigest() != batch.plan:
        return WorkerError(
            f"a worker does not see the sweep in {batch.store.working_location}; "
            "choose a directory that all workers share, or s3://"
        )
    try:
        return [_run_one(batch, spec) for spec in batch.specs]
    except ResultsError as error:
        return WorkerError(str(error))


def _run_one(batch: Batch, spec: RunSpec) -> RunRow:
    """Execute a run unless it is published. Raises ResultsError if results cannot be written."""
    scenario, store = batch.scenarios[spec.point], batch.store
    earlier = read_published_summary(store, spec, scenario)
    if earlier is not None:
        return make_row(batch, spec, earlier, reused=True)
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        summary = store.publish_run(
            run_path(spec.point, spec.replication),
            lambda target: run_into(scenario, target, replication=spec.replication),
        )
    except ResultsError:
        # Another worker (wrongly declared dead) may have published this run meanwhile, with the same bytes.
        earlier = read_published_summary(store, spec, scenario)
        if earlier is None:
            raise
        summary = earlier
    except Exception as error:
        message = " ".join(f"{type(error).__name__}: {error}".split())
        return RunRow(spec, scenario.seed, error=message[:MAX_ERROR], trace=traceback.format_exc())
    timings = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    return make_row(batch, spec, summary, **timings)


def read_published_summary(store: ResultStore, spec: RunSpec, scenario: Scenario) -> bytes | None:
    """Return the summary of a published run; None unless it is of this scenario, replication and version."""
    path = run_path(spec.point, spec.replication)
    content = store.read(f"{path}/{MANIFEST}")
    if content is None:
        return None
    manifest = json.loads(content)
    expected = {
        "scenario_digest": scenario.digest,
        "seed": scenario.seed,
        "replication": spec.replication,
        "versions": library_versions(GENERATOR),
    }
    if {key: manifest.get(key) for key in expected} != expected:
        return None
    return store.read(f"{path}/{SUMMARY}")


def make_row(batch: Batch, spec: RunSpec, summary: bytes, **fields: Any) -> RunRow:
    """Return the row of a run with this `summary.json`: every number, names of nested ones joined by dots.

    The figures of `batch.measure_run` follow them. `fields` are further fields of the row.
    """
    scenario, numbers = batch.scenarios[spec.point], json.loads(summary)
    flat = dict(_flatten("", numbers))
    if batch.measure_run is not None:
        flat |= batch.measure_run(batch.store, run_path(spec.point, spec.replication), scenario, numbers)
    names = tuple(flat)
    values = np.array([np.nan if value is None else value for value in flat.values()], np.float64)
    whole = np.array([isinstance(value, int) for value in flat.values()], np.bool_)
    return RunRow(spec, scenario.seed, names, values, whole, **fields)


def _flatten(prefix: str, value: Any) -> list[tuple[str, int | float | None]]:
    if isinstance(value, dict):
        return [pair for key, each in value.items() for pair in _flatten(f"{prefix}.{key}", each)]
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        return []
    return [(prefix.removeprefix("."), value)]
