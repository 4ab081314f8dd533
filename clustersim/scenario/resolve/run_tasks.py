"""Entries of `runTasks`, resolved: what is run, how often and when.

Decides the one way in which an entry says when (`at`, `schedule`, `arrivals` or `trace`; none of them means
once, at the start). Must not know how tasks are started. The reader calls it when capacity and task
definitions are known.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticCustomError

from clustersim.scenario.aws.checked_block import Block, check_all
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.load import behavior, report
from clustersim.scenario.resolve.placement import where
from clustersim.scenario.resolve.service_scaling import check_schedule
from clustersim.scenario.sections.own_keys import OwnRunTask, own_part
from clustersim.scenario.sections.scenario import RunTask, TraceTable
from clustersim.scenario.sections.written_section import validate
from clustersim.scenario.text.document import Steps
from clustersim.scenario.text.units import duration_ms, instant_ms
from clustersim.scenario.traces.csv_columns import TraceError, sha256_of
from clustersim.scenario.traces.task_traces import read_tasks, unread_columns

_WHEN = ("at", "schedule", "arrivals", "trace")


def run_tasks(context: Context) -> tuple[RunTask, ...]:
    """All sound entries."""
    found = []
    traces: dict[str, TraceTable | None] = {}
    for block in check_all(context.findings, "runTasks"):
        own = validate(OwnRunTask, own_part(OwnRunTask, block.value), block.path, context.findings)
        if own is None:
            continue
        context.declare("run-task entry", own.name, block.at("name"))
        given = [name for name in _WHEN if name in own.model_fields_set]
        if len(given) > 1:
            what = f"{' and '.join(given)} both say when"
            context.findings.add(block.at(given[1]), what, "one of at, schedule, arrivals and trace")
            continue
        entry = _entry(context, block, own, traces)
        if entry is not None:
            found.append(entry)
    return tuple(found)


def _entry(
    context: Context, block: Block, own: OwnRunTask, traces: dict[str, TraceTable | None]
) -> RunTask | None:
    """One entry that says when in one way at most."""
    key = _definition_key(context, block, own)
    definition = context.definitions.get(key or "")
    table = None
    if own.trace is not None:
        if own.trace not in traces:
            traces[own.trace] = _trace(context, own.trace, block.at("trace"))
        table = traces[own.trace]
        for name in ("duration", "count"):
            if name in block.value:
                context.findings.warn(block.at(name), "has no effect beside a trace; the trace says it")
    if own.schedule is not None:
        check_schedule(context, own.schedule, block.at("schedule"))
    at_ms = read_at(context, own.at, block.at("at")) if "at" in own.model_fields_set else None
    if not any(name in own.model_fields_set for name in _WHEN):
        at_ms = 0
    lost = (own.trace is None) == (definition is None) if key is None else definition is None
    place = where(context, block, definition)
    if not block.sound or lost or (own.trace is not None and table is None):
        return None
    return RunTask(
        name=own.name,
        task_definition=key,
        count=block.value.get("count", 1),
        at_ms=at_ms,
        schedule=own.schedule,
        arrivals_per_hour=None if own.arrivals is None else own.arrivals.rate_per_hour,
        trace=table,
        duration=own.duration,
        retries=own.retries,
        behavior=behavior(own.behavior, context.definition_behaviors.get(key or "")),
        group=block.value.get("group", own.name),
        **place.fields(),
    )


def _definition_key(context: Context, block: Block, own: OwnRunTask) -> str | None:
    """The key of the entry's task definition; only a trace can do without one."""
    reference = block.value.get("taskDefinition")
    if isinstance(reference, str):
        return context.find_definition(reference, block.at("taskDefinition"))
    if not block.has("trace") and not block.has("taskDefinition"):
        context.findings.add(
            block.path, "taskDefinition is missing", "add taskDefinition: FAMILY, or a trace"
        )
    return None


def read_at(context: Context, value: Any, path: Steps) -> int | None:
    """An `at` as ms since `start`: a duration after it, or an instant."""
    try:
        if isinstance(value, str) and value[:4].isdecimal() and value[4:5] == "-":
            after_start = instant_ms(value) - context.file.start
            if after_start < 0:
                context.findings.add(path, f"{value} is before start", "an instant after start")
                return None
        else:
            after_start = duration_ms(value)
    except PydanticCustomError as error:
        detail = error.context or {}
        context.findings.add(path, str(detail["what"]), str(detail["right"]))
        return None
    if after_start > context.file.duration:
        context.findings.warn(path, "is after the end of the simulation; it never happens")
    return after_start


def _trace(context: Context, name: str, path: Steps) -> TraceTable | None:
    """A task trace; None if it cannot be used."""
    target = context.scenario.parent / name
    try:
        table = read_tasks(target)
        context.inputs[name] = sha256_of(target)
        unread = unread_columns(target)
    except TraceError as error:
        report(context, error, target, path)
        return None
    if unread:
        context.findings.warn(path, f"columns {', '.join(unread)} are not read")
    return table
