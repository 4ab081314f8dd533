"""Standalone and scheduled tasks: everything that RunTask will be asked for, known before the clock starts.

Entries become task sets, and their schedules, Poisson arrivals and traces the sources of `arrivals`, which
lays them before the calendar. Where a task goes, and whether it waits, is the business of
`world.scheduling.provisioning`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clustersim.control.standalone_tasks.task_arrivals import Arrivals, Kinds, Source, Timed, Traced, keys_of
from clustersim.engine.compiled import Array
from clustersim.engine.random_streams import stream_key
from clustersim.scenario.aws.schedule_expressions import instants
from clustersim.scenario.sections.scenario import RunTask, Scenario, TraceTable
from clustersim.vocabulary import MS_PER_HOUR, NEVER
from clustersim.world.build.task_set_specs import SetSpec, Size, entry_spec
from clustersim.world.build.task_set_tables import TaskSets
from clustersim.world.calendar import DRAWN, ENDLESS
from clustersim.world.state.world import World

POISSON_BLOCK = 4_096


@dataclass(frozen=True)
class Plan:
    """The task sets of an entry: one, or one for each group of its trace; `keys` are the kinds of rows of each."""

    entry: RunTask
    specs: tuple[SetSpec, ...]
    keys: tuple[Array, ...] = ()


def plan_entries(scenario: Scenario) -> list[Plan]:
    """The task sets of all entries, in the order of the groups."""
    plans = []
    group = len(scenario.services)
    for entry in scenario.run_tasks:
        if entry.trace is None:
            plan = Plan(entry, (entry_spec(scenario, entry, group, ()),))
        else:
            plan = _plan_trace(scenario, entry, entry.trace, group)
        plans.append(plan)
        group += len(plan.specs)
    return plans


def _plan_trace(scenario: Scenario, entry: RunTask, trace: TraceTable, first_group: int) -> Plan:
    """A task set for each group of a trace, with the sizes that its rows have; a task definition has its own."""
    number = _sizes_that_matter(entry, trace)
    alone = trace.group is None  # then every size is one of its rows
    keys = np.arange(max(1, number)) if alone else np.unique(keys_of(trace, number, slice(None)))
    groups = keys // max(1, number)
    specs, of_group = [], []
    for position in range(len(trace.groups or ("",))):
        own = keys[groups == position]
        sizes: tuple[Size, ...] = ()
        if number:
            sizes = tuple((cpu, memory, gpus) for cpu, memory, gpus in trace.sizes[own % number].tolist())
        specs.append(entry_spec(scenario, entry, first_group + position, sizes))
        of_group.append(own)
    return Plan(entry, tuple(specs), tuple(of_group))


def _sizes_that_matter(entry: RunTask, trace: TraceTable) -> int:
    """How many sizes tell the rows of a trace apart; a task definition says the size of all of them."""
    return len(trace.sizes) if entry.task_definition is None else 0


def add_entries(world: World, task_sets: TaskSets, plans: list[Plan]) -> Arrivals:
    """Write the entries' task sets into the world, and lay the first arrivals before its calendar."""
    sources: list[Source] = []
    for plan in plans:
        sets = [task_sets.add(world, spec, NEVER) for spec in plan.specs]
        if plan.entry.trace is None:
            sources.append(_timed(world, task_sets, plan.entry, sets[0]))
        else:
            kinds = _kinds(world, plan, plan.entry.trace, sets)
            sources.append(Traced(plan.entry.trace, world.scenario.warm_up_ms, kinds))
    arrivals = Arrivals(sources)
    arrivals.load(world)
    return arrivals


def _kinds(world: World, plan: Plan, trace: TraceTable, sets: list[int]) -> Kinds:
    """Task set and shape of each kind of row: a size is a shape for every lane of its set, lane by lane."""
    shapes = []
    for row, keys in zip(sets, plan.keys, strict=True):
        lanes = int(world.state.sets[row]["lanes"])
        shapes.append(world.first_shape[row] + lanes * np.arange(keys.size))
    return Kinds(
        keys=np.concatenate(plan.keys),
        sizes=_sizes_that_matter(plan.entry, trace),
        sets=np.repeat(sets, [keys.size for keys in plan.keys]),
        shapes=np.concatenate(shapes),
    )


def _timed(world: World, task_sets: TaskSets, entry: RunTask, row: int) -> Timed:
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
    duration = DRAWN if entry.duration is not None else ENDLESS
    values = {"duration": duration, "set": row, "shape": world.first_shape[row], "copies": entry.count}
    return Timed(times, values)


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
