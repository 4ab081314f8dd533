"""Standalone and scheduled tasks: everything that RunTask will be asked for, known before the clock starts.

Schedules, Poisson arrivals and traces become one list of arrivals in order of time; the calendar takes them
from there. Rows of one instant keep their order: entries in the order of the file, a trace's rows in its own.
Where a task goes, and whether it waits, is the business of `world.waiting`.
"""

from __future__ import annotations

import numpy as np

from clustersim.engine.chance import stream_key
from clustersim.engine.compiled import Array
from clustersim.scenario.model import RunTask, Scenario
from clustersim.scenario.schedule import instants
from clustersim.vocabulary import MS_PER_HOUR, NEVER
from clustersim.world.calendar import DRAWN, ENDLESS
from clustersim.world.tables import ARRIVAL
from clustersim.world.task_sets import SetSpec, Size, TaskSets, entry_spec
from clustersim.world.world import World

POISSON_BLOCK = 4_096


def entry_specs(scenario: Scenario) -> list[SetSpec]:
    """The task sets of all entries, in the order of the groups."""
    specs = []
    group = len(scenario.services)
    for entry in scenario.run_tasks:
        for rows in _rows_by_group(entry):
            sizes = trace_sizes(entry, rows)[0] if rows is not None and entry.task_definition is None else ()
            specs.append(entry_spec(scenario, entry, group, sizes))
            group += 1
    return specs


def _rows_by_group(entry: RunTask) -> list[Array | None]:
    """The rows of the trace for each of its groups; one None for an entry without a trace."""
    if entry.trace is None:
        return [None]
    if entry.trace.group is None or len(entry.trace) == 0:
        return [np.arange(len(entry.trace))]
    labels = np.array(entry.trace.group, dtype=object)
    return [np.flatnonzero(labels == label) for label in dict.fromkeys(entry.trace.group)]


def trace_sizes(entry: RunTask, rows: Array) -> tuple[tuple[Size, ...], Array]:
    """The different sizes in these rows of a trace, and the number of each row's size."""
    assert entry.trace is not None
    columns = (entry.trace.cpu[rows], entry.trace.memory_mib[rows], entry.trace.gpus[rows])
    if rows.size == 0:
        return ((0, 1, 0),), rows
    limits = [int(column.max()) + 1 for column in columns]
    packed = (columns[0] * limits[1] + columns[1]) * limits[2] + columns[2]
    _, first, number = np.unique(packed, return_index=True, return_inverse=True)
    sizes = tuple((int(columns[0][i]), int(columns[1][i]), int(columns[2][i])) for i in first)
    return sizes, number


def add_entries(world: World, task_sets: TaskSets, specs: list[SetSpec]) -> None:
    """Write the entries' task sets and the list of arrivals into the world."""
    blocks = []
    spec = iter(specs)
    for entry in world.scenario.run_tasks:
        known = 0
        for rows in _rows_by_group(entry):
            row = task_sets.add(world, next(spec), NEVER)
            block = (
                _trace(world, entry, row, rows) if rows is not None else _timed(world, task_sets, entry, row)
            )
            if rows is None or len(_rows_by_group(entry)) == 1:
                block["ordinal"] = known + np.cumsum(block["copies"]) - block["copies"]
            known += int(block["copies"].sum())
            blocks.append(block)
    arrivals = np.concatenate(blocks) if blocks else np.zeros(0, ARRIVAL)
    if len(blocks) > 1 or (arrivals.size and np.any(np.diff(arrivals["at"]) < 0)):
        arrivals = arrivals[np.argsort(arrivals["at"], kind="stable")]
    world.state = world.state._replace(arrivals=arrivals)


def _trace(world: World, entry: RunTask, row: int, rows: Array) -> Array:
    """Arrivals of a trace's rows; the trace counts from `start`."""
    trace = entry.trace
    assert trace is not None
    block = np.zeros(rows.size, ARRIVAL)
    block["at"] = trace.submit_ms[rows] + world.scenario.warm_up_ms
    block["duration"] = trace.duration_ms[rows]
    block["set"] = row
    lanes = int(world.state.sets[row]["lanes"])
    number = trace_sizes(entry, rows)[1] if entry.task_definition is None else np.zeros(rows.size, np.int64)
    block["shape"] = world.first_shape[row] + number * lanes
    block["copies"] = trace.instances[rows]
    block["reference"] = rows
    block["ordinal"] = rows
    return block


def _timed(world: World, task_sets: TaskSets, entry: RunTask, row: int) -> Array:
    """Arrivals of a schedule, of `at`, or of a Poisson process."""
    scenario = world.scenario
    first, end = scenario.warm_up_ms, scenario.warm_up_ms + scenario.duration_ms
    if entry.schedule is not None:
        start = scenario.start_ms
        times = instants(entry.schedule, start, start + scenario.duration_ms) - start + first
    elif entry.arrivals_per_hour is not None:
        key = stream_key(scenario.seed, task_sets.replication, f"task/{entry.name}/arrivals")
        times = poisson_instants(int(key), entry.arrivals_per_hour, first, end)
    else:
        times = np.array([first + (entry.at_ms or 0)], np.int64)
    block = np.zeros(times.size, ARRIVAL)
    block["at"] = times
    block["duration"] = DRAWN if entry.duration is not None else ENDLESS
    block["set"] = row
    block["shape"] = world.first_shape[row]
    block["copies"] = entry.count
    block["reference"] = NEVER
    return block


def poisson_instants(key: int, per_hour: float, first_ms: int, end_ms: int) -> Array:
    """The instants (ms) of a Poisson process with `per_hour` arrivals an hour in [first, end)."""
    generator = np.random.Generator(np.random.Philox(key=key))
    parts = []
    at = float(first_ms)
    while per_hour > 0 and at < end_ms:
        gaps = -np.log1p(-generator.random(POISSON_BLOCK)) * (MS_PER_HOUR / per_hour)
        parts.append(at + np.cumsum(gaps))
        at = float(parts[-1][-1])
    times = np.concatenate(parts) if parts else np.zeros(0)
    return np.floor(times[times < end_ms]).astype(np.int64)
