"""What a worker of a sweep does: runs in a row, each published where it belongs, and one row each sent back.

Decides what becomes of a run that fails, and when a run that is there already counts. Must not know how many
workers there are, nor who else works. `dispatch` sends batches here, by way of Dask or not.
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
from clustersim.record.publication import MANIFEST, SUMMARY, versions
from clustersim.scenario.sections.scenario import Scenario
from clustersim.study.execution.result_store import PLAN, Place, run_name
from clustersim.study.single_run.run import run_into

MAX_ERROR = 500  # characters of an error that become its row


@dataclass(frozen=True, order=True)
class Task:
    """One run that is wanted: a point, and which replication of it."""

    point: int
    replication: int


Measured = Callable[[Place, str, Scenario, Mapping[str, Any]], Mapping[str, float | None]]
"""What is to be known of a run beside its summary: by place, name in it, scenario and summary; by flattened name."""


@dataclass(frozen=True)
class Batch:
    """Runs that one worker does in a row; `plan` and `program` are digests of what was agreed on."""

    place: Place
    tasks: tuple[Task, ...]
    scenarios: Mapping[int, Scenario]
    plan: str
    program: str
    measured: Measured | None = None


@dataclass(frozen=True)
class Row:
    """What is known of a finished run: the numbers of its summary by flattened name, or its error.

    `values` has NaN for null; `whole` says which are whole numbers. `trace` is the traceback of an error.
    """

    task: Task
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
        """The number called `name`; NaN where the run has none."""
        return float(self.values[self.names.index(name)]) if name in self.names else float("nan")


@dataclass(frozen=True)
class Refusal:
    """Why a worker cannot work at all: the rest of the sweep would fare no better."""

    reason: str


@cache
def program_digest() -> str:
    """What the bytes of a result depend on beside the scenario: the versions, and clustersim's own sources."""
    digest = hashlib.sha256(json.dumps(versions(GENERATOR), sort_keys=True).encode())
    package = Path(__file__).parents[2]
    for path in sorted(package.rglob("*")):
        if path.is_file() and path.suffix in (".py", ".csv", ".json"):
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def work(batch: Batch) -> list[Row] | Refusal:
    """Does the runs of `batch` that are not there yet; a row each, in order."""
    if program_digest() != batch.program:
        told = ", ".join(f"{name} {number}" for name, number in versions(GENERATOR).items())
        return Refusal(f"a worker has another clustersim or other libraries than asked for (it has {told})")
    plan = batch.place.read(PLAN)
    if plan is None or hashlib.sha256(plan).hexdigest() != batch.plan:
        return Refusal(
            f"a worker does not see the sweep in {batch.place.growing}; "
            "choose a directory that all workers share, or s3://"
        )
    try:
        return [_finish(batch, task) for task in batch.tasks]
    except ResultsError as error:
        return Refusal(str(error))


def _finish(batch: Batch, task: Task) -> Row:
    """One run, unless it is there; raises ResultsError where results cannot be written."""
    scenario, place = batch.scenarios[task.point], batch.place
    name = run_name(task.point, task.replication)
    there = published(place, task, scenario)
    if there is not None:
        return row_of(batch, task, there, reused=True)
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        summary = place.publish_run(
            name, lambda target: run_into(scenario, target, replication=task.replication)
        )
    except ResultsError:
        # Somebody may have been quicker: a worker that was taken for dead, with the same run and so the same bytes.
        there = published(place, task, scenario)
        if there is None:
            raise
        summary = there
    except Exception as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        return Row(task, scenario.seed, error=told[:MAX_ERROR], trace=traceback.format_exc())
    spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    return row_of(batch, task, summary, **spent)


def published(place: Place, task: Task, scenario: Scenario) -> bytes | None:
    """The summary of the run, if it is there and is of this scenario, replication and version."""
    name = run_name(task.point, task.replication)
    content = place.read(f"{name}/{MANIFEST}")
    if content is None:
        return None
    manifest = json.loads(content)
    wanted = {
        "scenario_digest": scenario.digest,
        "seed": scenario.seed,
        "replication": task.replication,
        "versions": versions(GENERATOR),
    }
    if {key: manifest.get(key) for key in wanted} != wanted:
        return None
    return place.read(f"{name}/{SUMMARY}")


def row_of(batch: Batch, task: Task, summary: bytes, **more: Any) -> Row:
    """The row of a run with this `summary.json`: every number, names of nested ones joined by dots.

    What `batch.measured` finds beside them comes after.
    """
    scenario, told = batch.scenarios[task.point], json.loads(summary)
    flat = dict(_flattened("", told))
    if batch.measured is not None:
        flat |= batch.measured(batch.place, run_name(task.point, task.replication), scenario, told)
    names = tuple(flat)
    values = np.array([np.nan if value is None else value for value in flat.values()], np.float64)
    whole = np.array([isinstance(value, int) for value in flat.values()], np.bool_)
    return Row(task, scenario.seed, names, values, whole, **more)


def _flattened(prefix: str, value: Any) -> list[tuple[str, int | float | None]]:
    if isinstance(value, dict):
        return [pair for key, each in value.items() for pair in _flattened(f"{prefix}.{key}", each)]
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        return []
    return [(prefix.removeprefix("."), value)]
