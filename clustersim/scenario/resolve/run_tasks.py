"""Entries of `runTasks`, resolved: what is run, how often and when.

Checks that an entry sets its time in one way (`at`, `schedule`, `arrivals` or `trace`; none of them means
once, at the start). Must not know how tasks are started. `resolve.scenario` calls it when capacity and task
definitions are known.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticCustomError

from clustersim.scenario.aws.checked_block import CheckedBlock, read_blocks
from clustersim.scenario.resolve.context import Context, pick_fields
from clustersim.scenario.resolve.load import report_trace_error, resolve_behavior
from clustersim.scenario.resolve.placement import resolve_placement
from clustersim.scenario.resolve.service_scaling import report_bad_schedule
from clustersim.scenario.sections.own_keys import OwnRunTaskKeys, pick_own_keys
from clustersim.scenario.sections.scenario import RunTask, TaskDefinition, TraceTable
from clustersim.scenario.sections.written_section import validate_section
from clustersim.scenario.text.document import FieldPath
from clustersim.scenario.text.units import parse_duration_ms, parse_instant_ms
from clustersim.scenario.traces.csv_columns import TraceError, file_sha256
from clustersim.scenario.traces.task_traces import read_task_trace, unused_columns

_TIME_KEYS = ("at", "schedule", "arrivals", "trace")


def resolve_run_tasks(context: Context) -> tuple[RunTask, ...]:
    """Return all valid entries."""
    entries = []
    traces: dict[str, TraceTable | None] = {}
    for block in read_blocks(context.diagnostics, "runTasks"):
        own = validate_section(
            OwnRunTaskKeys, pick_own_keys(OwnRunTaskKeys, block.value), block.path, context.diagnostics
        )
        if own is None:
            continue
        context.declare_name("run-task entry", own.name, block.field_path("name"))
        time_keys = [name for name in _TIME_KEYS if name in own.model_fields_set]
        if len(time_keys) > 1:
            problem = f"{' and '.join(time_keys)} both set the time"
            context.diagnostics.add_problem(
                block.field_path(time_keys[1]), problem, "one of at, schedule, arrivals and trace"
            )
            continue
        entry = _resolve_entry(context, block, own, traces)
        if entry is not None:
            entries.append(entry)
    return tuple(entries)


def _resolve_entry(
    context: Context, block: CheckedBlock, own: OwnRunTaskKeys, traces: dict[str, TraceTable | None]
) -> RunTask | None:
    """Return one entry; None if it is invalid."""
    key = _find_definition_key(context, block, own)
    definition = context.definitions.get(key or "")
    table = None
    if own.trace is not None:
        if own.trace not in traces:
            traces[own.trace] = _read_trace(context, own.trace, block.field_path("trace"))
        table = traces[own.trace]
        for name in ("duration", "count"):
            if name in block.value:
                context.diagnostics.warn(
                    block.field_path(name), "has no effect beside a trace, which sets it itself"
                )
    if own.schedule is not None:
        report_bad_schedule(context, own.schedule, block.field_path("schedule"))
    at_ms = parse_at(context, own.at, block.field_path("at")) if "at" in own.model_fields_set else None
    if not any(name in own.model_fields_set for name in _TIME_KEYS):
        at_ms = 0
    has_no_definition = (own.trace is None) == (definition is None) if key is None else definition is None
    placement = resolve_placement(context, block, definition)
    if not block.valid or has_no_definition or (own.trace is not None and table is None):
        return None
    return RunTask(
        name=own.name,
        task_definition=key,
        at_ms=at_ms,
        schedule=own.schedule,
        arrivals_per_hour=None if own.arrivals is None else own.arrivals.rate_per_hour,
        trace=table,
        duration=own.duration,
        retries=own.retries,
        behavior=resolve_behavior(own.behavior, context.definition_behaviors.get(key or "")),
        group=block.value.get("group", own.name),
        task_group=_task_group(context, block, own.name, definition),
        **pick_fields(block.value, {"count": "count"}),
        **placement.fields(),
    )


def _task_group(context: Context, block: CheckedBlock, name: str, definition: TaskDefinition | None) -> str:
    """Return the task group of ECS: as written, else the family's (ECS API: RunTask.group)."""
    written = block.value.get("group")
    if written is not None:
        if str(written).startswith("service:"):
            context.diagnostics.add_problem(
                block.field_path("group"), f"{written} is the group of a service", "a name of its own"
            )
        return str(written)
    return f"family:{definition.family}" if definition is not None else name


def _find_definition_key(context: Context, block: CheckedBlock, own: OwnRunTaskKeys) -> str | None:
    """Return the key of the entry's task definition; only a trace can do without one."""
    reference = block.value.get("taskDefinition")
    if isinstance(reference, str):
        return context.find_task_definition(reference, block.field_path("taskDefinition"))
    if not block.has("trace") and not block.has("taskDefinition"):
        context.diagnostics.add_problem(
            block.path, "taskDefinition is missing", "add taskDefinition: FAMILY, or a trace"
        )
    return None


def parse_at(context: Context, value: Any, path: FieldPath) -> int | None:
    """Return an `at` as ms since `start`: a duration after it, or an instant."""
    try:
        if isinstance(value, str) and value[:4].isdecimal() and value[4:5] == "-":
            after_start = parse_instant_ms(value) - context.file.start
            if after_start < 0:
                context.diagnostics.add_problem(path, f"{value} is before start", "an instant after start")
                return None
        else:
            after_start = parse_duration_ms(value)
    except PydanticCustomError as error:
        detail = error.context or {}
        context.diagnostics.add_problem(path, str(detail["message"]), str(detail["hint"]))
        return None
    if after_start > context.file.duration:
        context.diagnostics.warn(path, "is after the end of the simulation; it never happens")
    return after_start


def _read_trace(context: Context, name: str, path: FieldPath) -> TraceTable | None:
    """Return a task trace; None if it cannot be used."""
    target = context.scenario.parent / name
    try:
        table = read_task_trace(target)
        context.inputs[name] = file_sha256(target)
        unread = unused_columns(target)
    except TraceError as error:
        report_trace_error(context, error, target, path)
        return None
    if unread:
        context.diagnostics.warn(path, f"columns {', '.join(unread)} are not read")
    return table
