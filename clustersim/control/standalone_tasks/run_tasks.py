"""Standalone and scheduled tasks: all RunTask calls of a run, known before the clock starts.

Turns the entries of `runTasks` into task sets, and their schedules, Poisson arrivals and traces into the sources of
`task_arrivals`, which passes them to the calendar. `world.scheduling.provisioning` decides where a task runs and
whether it waits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clustersim.control.standalone_tasks.task_arrivals import (
    ArrivalSource,
    TaskArrivals,
    TraceArrivals,
    TraceRowKinds,
    UniformArrivals,
    row_kind_keys,
)
from clustersim.engine.random_streams import stream_key
from clustersim.engine.records import Array
from clustersim.scenario.aws.schedule_expressions import fire_times
from clustersim.scenario.sections.scenario import RunTask, Scenario, TraceTable
from clustersim.vocabulary import MS_PER_HOUR, NEVER
from clustersim.world.build.task_set_specs import SetSpec, Size, entry_spec
from clustersim.world.build.task_set_tables import TaskSets
from clustersim.world.calendar import DRAWN, ENDLESS
from clustersim.world.state.world import World

POISSON_BLOCK = 4_096


@dataclass(frozen=True)
class RunTaskPlan:
    """The task sets of an entry: one, or one per group of its trace; `keys` are the kinds of trace rows of each."""

    run_task: RunTask
    specs: tuple[SetSpec, ...]
    keys: tuple[Array, ...] = ()


def plan_run_tasks(scenario: Scenario) -> list[RunTaskPlan]:
    """Return the plans of all entries, in the order of the task groups."""
    plans = []
    group = len(scenario.services)
    for entry in scenario.run_tasks:
        if entry.trace is None:
            plan = RunTaskPlan(entry, (entry_spec(scenario, entry, group, ()),))
        else:
            plan = _plan_trace(scenario, entry, entry.trace, group)
        plans.append(plan)
        group += len(plan.specs)
    return plans


def _plan_trace(scenario: Scenario, entry: RunTask, trace: TraceTable, first_group: int) -> RunTaskPlan:
    """Plan a task set for each group of a trace, with the sizes of its rows; a task definition has its own size."""
    size_count = _count_distinct_sizes(entry, trace)
    ungrouped = trace.group is None  # then every size occurs in its rows
    keys = (
        np.arange(max(1, size_count))
        if ungrouped
        else np.unique(row_kind_keys(trace, size_count, slice(None)))
    )
    groups = keys // max(1, size_count)
    specs, keys_by_group = [], []
    for position in range(len(trace.groups or ("",))):
        group_keys = keys[groups == position]
        sizes: tuple[Size, ...] = ()
        if size_count:
            sizes = tuple(
                (cpu, memory, gpus) for cpu, memory, gpus in trace.sizes[group_keys % size_count].tolist()
            )
        specs.append(entry_spec(scenario, entry, first_group + position, sizes, position))
        keys_by_group.append(group_keys)
    return RunTaskPlan(entry, tuple(specs), tuple(keys_by_group))


def _count_distinct_sizes(entry: RunTask, trace: TraceTable) -> int:
    """Return the number of sizes by which rows of a trace differ; 0 if a task definition sets the size of all."""
    return len(trace.sizes) if entry.task_definition is None else 0


def add_run_tasks(world: World, task_sets: TaskSets, plans: list[RunTaskPlan]) -> TaskArrivals:
    """Write the entries' task sets into the world and load its first arrivals."""
    sources: list[ArrivalSource] = []
    for plan in plans:
        sets = [task_sets.add(world, spec, NEVER) for spec in plan.specs]
        if plan.run_task.trace is None:
            sources.append(_uniform_arrivals(world, task_sets, plan.run_task, sets[0]))
        else:
            kinds = _trace_row_kinds(world, plan, plan.run_task.trace, sets)
            sources.append(TraceArrivals(plan.run_task.trace, world.scenario.warm_up_ms, kinds))
    arrivals = TaskArrivals(sources)
    arrivals.load_next_block(world)
    return arrivals


def _trace_row_kinds(world: World, plan: RunTaskPlan, trace: TraceTable, sets: list[int]) -> TraceRowKinds:
    """Return task set and shape of each kind of row; a size has a shape per strategy item of its set, in order."""
    shapes = []
    for row, keys in zip(sets, plan.keys, strict=True):
        items = int(world.state.sets.rows[row]["item_count"])
        shapes.append(world.first_shape[row] + items * np.arange(keys.size))
    return TraceRowKinds(
        keys=np.concatenate(plan.keys),
        sizes=_count_distinct_sizes(plan.run_task, trace),
        sets=np.repeat(sets, [keys.size for keys in plan.keys]),
        shapes=np.concatenate(shapes),
    )


def _uniform_arrivals(world: World, task_sets: TaskSets, entry: RunTask, row: int) -> UniformArrivals:
    """Return the arrivals of a schedule, of `at`, or of a Poisson process."""
    scenario = world.scenario
    first, end = scenario.warm_up_ms, scenario.warm_up_ms + scenario.duration_ms
    if entry.schedule is not None:
        start = scenario.start_ms
        times = fire_times(entry.schedule, start, start + scenario.duration_ms) - start + first
    elif entry.arrivals_per_hour is not None:
        key = stream_key(scenario.seed, task_sets.replication, f"task/{entry.name}/arrivals")
        times = draw_poisson_instants(int(key), entry.arrivals_per_hour, first, end)
    else:
        times = np.array([first + (entry.at_ms or 0)], np.int64)
    duration = DRAWN if entry.duration is not None else ENDLESS
    values = {
        "duration": duration,
        "set": row,
        "resource_shape": world.first_shape[row],
        "copies": entry.count,
    }
    return UniformArrivals(times, values)


def draw_poisson_instants(key: int, per_hour: float, first_ms: int, end_ms: int) -> Array:
    """Draw the instants (ms) of a Poisson process with `per_hour` arrivals an hour in [`first_ms`, `end_ms`)."""
    generator = np.random.Generator(np.random.Philox(key=key))
    parts = []
    at = float(first_ms)
    while per_hour > 0 and at < end_ms:
        gaps = -np.log1p(-generator.random(POISSON_BLOCK)) * (MS_PER_HOUR / per_hour)
        parts.append(at + np.cumsum(gaps))
        at = float(parts[-1][-1])
    times = np.concatenate(parts) if parts else np.zeros(0)
    return np.floor(times[times < end_ms]).astype(np.int64)
