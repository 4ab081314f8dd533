"""Standalone and scheduled tasks: everything that RunTask will be asked for, known before the clock starts.

Schedules, Poisson arrivals and traces become one list of arrivals in order of time; the calendar takes them
from there. Rows of one instant keep their order: entries in the order of the file, a trace's rows in its own.
Where a task goes, and whether it waits, is the business of `world.waiting`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clustersim.engine.chance import stream_key
from clustersim.engine.compiled import Array
from clustersim.scenario.model import RunTask, Scenario
from clustersim.scenario.schedule import instants
from clustersim.vocabulary import MS_PER_HOUR, NEVER
from clustersim.world.calendar import DRAWN, ENDLESS
from clustersim.world.set_specs import SetSpec, Size, entry_spec
from clustersim.world.tables import ARRIVAL
from clustersim.world.task_sets import TaskSets
from clustersim.world.world import World

POISSON_BLOCK = 4_096


@dataclass(frozen=True)
class Plan:
    """One task set of an entry: its spec, and of a trace the rows that are its, with the number of each row's size."""

    entry: RunTask
    spec: SetSpec
    rows: Array | slice | None = None
    size_numbers: Array | None = None


def plan_entries(scenario: Scenario) -> list[Plan]:
    """The task sets of all entries, in the order of the groups."""
    plans = []
    group = len(scenario.services)
    for entry in scenario.run_tasks:
        for rows in _rows_by_group(entry):
            sizes: tuple[Size, ...] = ()
            numbers = None
            if rows is not None and entry.task_definition is None:
                sizes, numbers = trace_sizes(entry, rows)
            plans.append(Plan(entry, entry_spec(scenario, entry, group, sizes), rows, numbers))
            group += 1
    return plans


def _rows_by_group(entry: RunTask) -> list[Array | slice | None]:
    """The rows of the trace for each of its groups; one None for an entry without a trace."""
    if entry.trace is None:
        return [None]
    if entry.trace.group is None or len(entry.trace) == 0:
        return [slice(None)]
    labels = np.array(entry.trace.group, dtype=object)
    return [np.flatnonzero(labels == label) for label in dict.fromkeys(entry.trace.group)]


def trace_sizes(entry: RunTask, rows: Array | slice) -> tuple[tuple[Size, ...], Array]:
    """The different sizes in these rows of a trace, and the number of each row's size."""
    assert entry.trace is not None
    columns = (entry.trace.cpu[rows], entry.trace.memory_mib[rows], entry.trace.gpus[rows])
    if columns[0].size == 0:
        return ((0, 1, 0),), np.zeros(0, np.int32)
    limits = [int(column.max()) + 1 for column in columns]
    packed = (columns[0].astype(np.int64) * limits[1] + columns[1]) * limits[2] + columns[2]
    _, first, number = np.unique(packed, return_index=True, return_inverse=True)
    sizes = tuple((int(columns[0][i]), int(columns[1][i]), int(columns[2][i])) for i in first)
    return sizes, number.astype(np.int32)


def add_entries(world: World, task_sets: TaskSets, plans: list[Plan]) -> None:
    """Write the entries' task sets and the list of arrivals into the world."""
    blocks = []
    for plan in plans:
        row = task_sets.add(world, plan.spec, NEVER)
        blocks.append(
            _timed(world, task_sets, plan.entry, row) if plan.rows is None else _trace(world, plan, row)
        )
    arrivals = np.concatenate(blocks) if len(blocks) > 1 else (blocks or [np.zeros(0, ARRIVAL)])[0]
    if np.any(np.diff(arrivals["at"]) < 0):
        arrivals = arrivals[np.argsort(arrivals["at"], kind="stable")]
    world.state = world.state._replace(arrivals=arrivals)


def _trace(world: World, plan: Plan, row: int) -> Array:
    """Arrivals of a trace's rows; the trace counts from `start`. The address of a copy's luck is its
    number in the whole trace, whatever group it belongs to."""
    trace = plan.entry.trace
    assert trace is not None
    rows = np.arange(len(trace), dtype=np.int64)[plan.rows]
    block = np.zeros(rows.size, ARRIVAL)
    block["at"] = trace.submit_ms[plan.rows]
    block["at"] += world.scenario.warm_up_ms
    block["duration"] = trace.duration_ms[plan.rows]
    block["set"] = row
    block["shape"] = world.first_shape[row]
    if plan.size_numbers is not None:
        block["shape"] += plan.size_numbers * np.int32(world.state.sets[row]["lanes"])
    block["copies"] = trace.instances[plan.rows]
    block["reference"] = rows
    block["ordinal"] = (np.cumsum(trace.instances) - trace.instances)[plan.rows]
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
    block["ordinal"] = np.arange(times.size) * entry.count
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
