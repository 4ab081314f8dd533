"""Writes `tasks` and `container_instances` rows and keeps the task counts of the summary.

Turns the buffers of ended tasks and terminated instances, which compiled code fills, into columns of these tables.
Called whenever a buffer is full and once at the end, then also with tasks and instances that are still alive. Decides
nothing. Where commitments are settled by the hour, rows wait until the hour in which they end is settled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from clustersim.control.billing.commitment_savings import CommitmentSavings
from clustersim.control.events.column_buffer import ColumnBuffer, SelectedRows
from clustersim.engine.records import Array
from clustersim.record.columns import Vocabulary
from clustersim.record.recorder import Recorder
from clustersim.vocabulary import (
    MS_PER_SECOND,
    NEVER,
    STOPPED_REASON_TEXTS,
    TERMINATION_REASON_TEXTS,
    WAIT_REASON_TEXTS,
    HealthStatus,
    LaunchType,
    StopCode,
    StoppedReason,
    TaskState,
    TerminationReason,
    WaitReason,
    instance_name,
)
from clustersim.world.state.world import World

EXITED = int(StopCode.EssentialContainerExited)
FAILED_TO_START = int(StopCode.TaskFailedToStart)


@dataclass
class RunTaskTally:
    """The sums that the summary needs of one entry of runTasks."""

    count: int = 0
    completed: int = 0
    first_created: int = -1
    last_stopped: int = -1
    turnaround_ms: int = 0
    turnarounds: int = 0
    waits_ms: list[Array] = field(default_factory=list)


class TaskTableWriter:
    """The tables `tasks` and `container_instances` of a run."""

    def __init__(self, world: World, recorder: Recorder, savings: CommitmentSavings | None) -> None:
        self.world = world
        self.recorder = recorder
        groups = len(world.names.groups)
        self.counts = dict.fromkeys(("created", "started", "stopped", "failed", "never_placed"), 0)
        self.cost_by_group = np.zeros(max(1, groups))
        self.failed_by_group = np.zeros(max(1, groups), np.int64)
        self.tallies = [RunTaskTally() for _ in world.scenario.run_tasks]
        self.savings = savings
        """What commitments take off the costs of tasks and instances; None without commitments."""
        self._unsettled: list[tuple[Array, Array]] = []
        """Tasks and instances that ended in an hour which is not settled."""
        self._on_machines = np.array([s.machines is not None for s in world.scenario.services] or [False])
        self._reference_ids = {
            number: entry.trace.reference_id
            for number, entry in enumerate(world.scenario.run_tasks)
            if entry.trace is not None and entry.trace.reference_id is not None
        }
        self._entry_of = np.array([*world.names.entries, NEVER], np.int32)
        families = list(dict.fromkeys(d.family for d in world.scenario.task_definitions))
        self._families = families
        self._family_of = np.array(
            [families.index(d.family) for d in world.scenario.task_definitions] + [NEVER], np.int32
        )
        self._revision_of = np.array(
            [d.revision for d in world.scenario.task_definitions] + [NEVER], np.int32
        )

    @staticmethod
    def vocabularies(world: World) -> dict[Any, list[str | None]]:
        """Return the words of the dictionary columns that kernels fill with numbers."""
        names = world.names
        providers: list[str | None] = [name or None for name in names.providers]
        return {
            "group": list(names.groups),
            "entry": [entry.name for entry in world.scenario.run_tasks],
            "service": list(names.services),
            "family": list(dict.fromkeys(d.family for d in world.scenario.task_definitions)),
            "launch_type": [launch_type.name for launch_type in LaunchType],
            "capacity_provider": providers,
            "availability_zone": list(names.zones),
            "last_status": [state.name for state in TaskState],
            "wait_reason": list(WAIT_REASON_TEXTS),
            "health_status": [status.name for status in HealthStatus],
            "stop_code": [None, *(code.name for code in list(StopCode)[1:])],
            "auto_scaling_group": [group.name for group in world.scenario.groups]
            + [None] * len(world.scenario.managed_instances),
            "instance_type": list(names.types),
            "purchase_option": ["on-demand", "spot"],
            "termination_reason": _termination_words(world),
        }

    def write_ended(self) -> None:
        """Write the ended tasks and terminated instances, and empty their buffers."""
        state = self.world.state
        counters = state.counters
        tasks = state.outputs.finished_tasks[: counters.finished_tasks]
        instances = state.outputs.terminated_instances[: counters.terminated_instances]
        if self.savings is None:
            self._write_tasks(tasks, ended=True)
            self._write_instances(instances, ended=True)
        else:
            self.savings.note_classes(instances)
            self.savings.note_classes(state.instances.rows[self.world.live_instances()])
            self._unsettled.append((tasks.copy(), instances.copy()))
            self._write_settled(self.savings.settled_until)
        counters.finished_tasks = counters.terminated_instances = 0

    def _write_settled(self, until: int) -> None:
        """Write the tasks and instances whose last hour is settled."""
        while self._unsettled:
            tasks, instances = self._unsettled[0]
            if np.any(tasks["stopped"] > until) or np.any(instances["terminated"] > until):
                return
            self._write_tasks(tasks, ended=True)
            self._write_instances(instances, ended=True)
            del self._unsettled[0]

    def close(self) -> None:
        """Write the last buffers, then the tasks and instances still alive, in order of id."""
        self.write_ended()
        state = self.world.state
        tasks = state.tasks.rows[self.world.live_tasks()]
        self._write_tasks(tasks[np.argsort(tasks["task_id"])], ended=False)
        instances = state.instances.rows[self.world.live_instances()]
        self._write_instances(instances[np.argsort(instances["instance_id"])], ended=False)

    # --- tasks ---------------------------------------------------------------------------------------------

    def _write_tasks(self, records: Array, *, ended: bool) -> None:
        if records.size == 0:
            return
        rows = ColumnBuffer(records)
        costs = rows["cost"] if self.savings is None else self.savings.task_costs(rows, ended)
        sets, items = self.world.state.sets.rows, self.world.state.sets.strategy_items
        set_of, item_of = rows["set"], rows["strategy_item"]
        payer = sets["payer"][set_of]
        deployment = sets["deployment"][set_of]
        definition = sets["definition"][set_of]
        columns: dict[str, Any] = {
            "task_id": rows["task_id"],
            "group": payer,
            "entry": self._entry_of[payer],
            "service": sets["service"][set_of],
            "family": self._family_of[definition],
            "revision": self._revision_of[definition],
            "deployment_id": self._deployments(deployment),
            "attempt": rows["attempt"],
            "launch_type": self._launch_types(sets["service"][set_of], items, item_of),
            "capacity_provider": np.where(items["of_provider"], items["provider"], NEVER)[item_of],
            "availability_zone": rows["zone"],
            "container_instance_id": rows["instance_id"],
            "cpu": rows["cpu"],
            "memory_mib": rows["memory"],
            "gpus": rows["gpus"],
            "last_status": rows["state"],
            "wait_reason": rows["wait_reason"],
            "stop_code": rows["stop_code"],
            "stopped_reason": self._reasons(rows, deployment),
            "exit_code": rows["exit_code"],
            "health_status": np.where(sets["check_ms"][set_of] > 0, rows["health"], NEVER).astype(np.int32),
            "cost_usd": costs,
        }
        instants = (
            "created",
            "placed",
            "admitted",
            "pull_started",
            "pull_stopped",
            "started",
            "healthy",
            "stopping",
            "stopped",
        )
        for name in instants:
            columns[f"{name}_at"] = rows[name]
        if self._reference_ids:
            columns["reference_id"] = self._references(rows, payer)
        self.recorder.append_columns("tasks", columns)
        self._add_to_counts(rows, payer, costs)

    def _deployments(self, numbers: Array) -> Array:
        """Return codes of `ecs-svc/N`, adding the words of new deployments."""
        words = self.recorder.vocabulary("tasks", "deployment_id")
        codes = np.full(numbers.size, NEVER, np.int32)
        known = numbers >= 0
        codes[known] = _codes_of(numbers[known], lambda number: words.code(f"ecs-svc/{number}"))
        return codes

    def _launch_types(self, services: Array, items: Array, item_of: Array) -> Array:
        """Return the launch type of each row's task, from its service and its strategy item."""
        types = np.where(items["managed"], LaunchType.MANAGED_INSTANCES, items["fargate"])[item_of]
        if np.any(self._on_machines):
            types[(services >= 0) & self._on_machines[services]] = LaunchType.VIRTUAL_MACHINE
        return types

    def _references(self, rows: ColumnBuffer, groups: Array) -> pa.Array:
        """Return the ids that traces give their rows; null where there is none."""
        parts, order = [], []
        for group in _distinct(groups):
            of_group = np.flatnonzero(groups == group)
            known = self._reference_ids.get(self.world.names.entries[group])
            if known is None:
                parts.append(pa.nulls(of_group.size, pa.string()))
            else:
                parts.append(known.take(_trace_row_indices(rows, of_group)))
            order.append(of_group)
        joined = pa.concat_arrays(parts)
        if len(parts) == 1:
            return joined
        inverse_order = np.argsort(np.concatenate(order))
        return joined.take(
            pa.Array.from_buffers(pa.int64(), inverse_order.size, [None, pa.py_buffer(inverse_order)])
        )

    def _reasons(self, rows: ColumnBuffer, deployments: Array) -> Array:
        """Return codes of the stopped reasons; those that name an instance or a deployment are formatted here."""
        words = self.recorder.vocabulary("tasks", "stopped_reason")
        names = self.world.names
        sentence: _Named = ("sentence", rows["sentence"], names.sentences.__getitem__)
        named: dict[StoppedReason, _Named] = {
            StoppedReason.SCALING_ACTIVITY: ("deployment", deployments, "ecs-svc/{}".format),
            StoppedReason.HOST_TERMINATED: ("instance", rows["instance_id"], instance_name),
            StoppedReason.PLACEMENT_FAILED: ("wait", rows["wait_reason"], _wait_reason_word),
            StoppedReason.ELB_HEALTH_CHECK: ("target_group", rows["set"], names.target_groups.__getitem__),
        }
        codes = np.full(rows.size, NEVER, np.int32)
        for reason in _distinct(rows["reason"]):
            template = STOPPED_REASON_TEXTS[reason]
            if template is None:
                continue
            mask = rows["reason"] == reason
            if "{" in template:
                name, values, word_of = named.get(StoppedReason(reason), sentence)
                code_of_value = partial(_reason_code, words, template, name, word_of)
                codes[mask] = _codes_of(values[mask], code_of_value)
            else:
                codes[mask] = words.code(template)
        return codes

    def _add_to_counts(self, rows: ColumnBuffer, groups: Array, costs: Array) -> None:
        """Add these tasks to the counts of the summary; only times from `start` to the end count (MODEL.md: money)."""
        clock = self.world.state.clock
        begin, end = int(clock.window_start), int(clock.end)
        created = (rows["created"] >= begin) & (rows["created"] < end)
        stopped = (rows["stopped"] >= begin) & (rows["stopped"] >= 0)
        failed = stopped & (
            (rows["stop_code"] == FAILED_TO_START) | ((rows["stop_code"] == EXITED) & (rows["exit_code"] > 0))
        )
        self.counts["created"] += int(np.count_nonzero(created))
        self.counts["started"] += int(np.count_nonzero((rows["started"] >= begin) & (rows["started"] >= 0)))
        self.counts["stopped"] += int(np.count_nonzero(stopped))
        self.counts["failed"] += int(np.count_nonzero(failed))
        self.counts["never_placed"] += int(np.count_nonzero(created & (rows["placed"] < 0)))
        size = self.cost_by_group.size
        self.cost_by_group += np.bincount(groups, weights=costs, minlength=size)
        self.failed_by_group += np.bincount(groups[failed], minlength=size)
        if not self.tallies:
            return
        entries = np.array(self.world.names.entries, np.int64)[groups]
        for number in _distinct(entries[entries >= 0]):
            self._count_run_task(self.tallies[number], rows.where((entries == number) & created))

    def _count_run_task(self, tally: RunTaskTally, rows: ColumnBuffer | SelectedRows) -> None:
        """Add the waits, turnarounds and completions of one entry's rows that were created in the window."""
        if rows.size == 0:
            return
        tally.count += int(np.count_nonzero(rows["attempt"] == 1))
        completed = (rows["stop_code"] == EXITED) & (rows["exit_code"] == 0)
        tally.completed += int(np.count_nonzero(completed))
        first = int(rows["created"].min())
        tally.first_created = first if tally.first_created < 0 else min(tally.first_created, first)
        ended = rows["stopped"] >= 0
        if np.any(ended):
            tally.last_stopped = max(tally.last_stopped, int(rows["stopped"].max()))
            tally.turnaround_ms += int((rows["stopped"] - rows["created"])[ended].sum())
            tally.turnarounds += int(np.count_nonzero(ended))
        started = rows["started"] >= 0
        waits = (rows["started"] - rows["created"])[started]
        if waits.size:  # kept until the end for the quantile, in the smallest integer type
            tally.waits_ms.append(waits.astype(np.min_scalar_type(int(waits.max()))))

    def run_task_summary(self, number: int) -> dict[str, Any]:
        """Return what `summary.run_tasks` shows of one entry."""
        tally = self.tallies[number]
        waits = np.concatenate(tally.waits_ms or [np.zeros(0, np.int64)])
        groups = [g for g, entry in enumerate(self.world.names.entries) if entry == number]
        span = tally.last_stopped - tally.first_created
        return {
            "count": tally.count,
            "completed": tally.completed,
            "wait_mean_s": float(waits.mean()) / MS_PER_SECOND if waits.size else None,
            "wait_p99_s": float(np.quantile(waits, 0.99, overwrite_input=True)) / MS_PER_SECOND
            if waits.size
            else None,
            "turnaround_mean_s": tally.turnaround_ms / tally.turnarounds / MS_PER_SECOND
            if tally.turnarounds
            else None,
            "makespan_s": span / MS_PER_SECOND if tally.last_stopped >= 0 else None,
            "cost_usd": float(self.cost_by_group[groups].sum()),
        }

    # --- instances -----------------------------------------------------------------------------------------

    def _write_instances(self, rows: Array, *, ended: bool) -> None:
        if rows.size == 0:
            return
        costs = rows["cost"] if self.savings is None else self.savings.instance_costs(rows, ended)
        state = self.world.state
        classes = state.capacity.classes[rows["instance_class"]]
        lived = (rows["integrated_until"] - rows["registered"]).astype(np.float64)
        known = (rows["registered"] >= 0) & (lived > 0)
        lived[~known] = np.nan
        self.recorder.append_columns(
            "container_instances",
            {
                "container_instance_id": rows["instance_id"],
                "auto_scaling_group": classes["pool"],
                "capacity_provider": classes["provider"],
                "instance_type": classes["type"],
                "availability_zone": classes["zone"],
                "purchase_option": classes["spot"].astype(np.int32),
                "launched_at": rows["launched"],
                "registered_at": rows["registered"],
                "draining_at": rows["draining"],
                "terminated_at": rows["terminated"],
                "termination_reason": rows["reason"].astype(np.int32),
                "registered_cpu": classes["cpu"].astype(np.int64),
                "registered_memory_mib": classes["memory"].astype(np.int64),
                "tasks_started": rows["tasks_started"],
                "cpu_reservation_mean": 100.0 * rows["cpu_area"] / lived / classes["cpu"],
                "memory_reservation_mean": 100.0 * rows["memory_area"] / lived / classes["memory"],
                "cost_usd": costs,
            },
        )


def _termination_words(world: World) -> list[str | None]:
    """Return the words of termination reasons; those of virtual machines only if the scenario has any."""
    any_machines = any(group.machines is not None for group in world.scenario.groups)
    return list(
        TERMINATION_REASON_TEXTS if any_machines else TERMINATION_REASON_TEXTS[: TerminationReason.UNHEALTHY]
    )


_Named = tuple[str, Array, Callable[[int], str]]
"""The placeholder of a stopped reason, the column with its values, and the word for a value."""


def _reason_code(
    words: Vocabulary, template: str, name: str, word_of: Callable[[int], str], value: int
) -> int:
    """Return the code of a stopped reason with a placeholder."""
    return words.code(template.format(**{name: word_of(value)}))


def _wait_reason_word(wait: int) -> str:
    return WAIT_REASON_TEXTS[wait] or WaitReason(wait).name


def _codes_of(values: Array, code_of: Callable[[int], int]) -> Array:
    """Return the code of each value; `code_of` is called once per distinct value, ascending."""
    if values.size and np.all(values == values[0]):
        return np.full(values.size, code_of(int(values[0])), np.int32)
    distinct, inverse = np.unique(values, return_inverse=True)
    return np.array([code_of(value) for value in distinct.tolist()], np.int32)[inverse]


def _distinct(values: Array) -> Array:
    """Return the distinct values, ascending; skips the sort of `np.unique` if all are equal, as they often are."""
    if values.size and np.all(values == values[0]):
        return values[:1]
    return np.unique(values)


def _trace_row_indices(rows: ColumnBuffer, positions: Array) -> pa.Array:
    """Return the trace rows of the records at `positions`, as Arrow indices."""
    indices = np.ascontiguousarray(rows["reference"][positions], np.int64)
    return pa.Array.from_buffers(pa.int64(), indices.size, [None, pa.py_buffer(indices)])
