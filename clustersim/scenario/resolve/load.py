"""Behaviour and load, resolved: what tasks do, and the rate of requests or messages of a service.

Decides that a task definition's behaviour takes precedence over a service's, key by key, and reads the trace of a
rate. Must not know to which service they belong. `services` and `run_tasks` call it.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.roles import resolve_calls
from clustersim.scenario.sections.behavior import (
    Behavior,
    ContainerBehavior,
    MemoryPerTask,
    WrittenBehavior,
    WrittenContainerBehavior,
    WrittenLifecycle,
    WrittenMemoryPerTask,
)
from clustersim.scenario.sections.load import Load, Series, WrittenLoad, WrittenSeries
from clustersim.scenario.text.document import FieldPath
from clustersim.scenario.text.overrides import suggest_name
from clustersim.scenario.traces.csv_columns import TraceError, file_sha256, read_counts, rotate_series
from clustersim.scenario.traces.load_shapes import (
    MAX_BREAKPOINTS,
    ZERO_RATE,
    TooManyBreakpointsError,
    combine_shapes,
)
from clustersim.vocabulary import MS_PER_MINUTE, MS_PER_SECOND


def resolve_behavior(service: WrittenBehavior, definition: WrittenBehavior | None) -> Behavior:
    """Return the behaviour of a task: the keys of the task definition over those of the service."""
    written = service
    if definition is not None:
        own: dict[str, Any] = {name: getattr(definition, name) for name in definition.model_fields_set}
        own["containers"] = {**service.containers, **definition.containers}
        written = service.model_copy(update=own)
    protection = written.task_protection
    return Behavior(
        **_resolve_lifecycle(written, written.model_fields_set),
        cpu_time_per_request_ms=written.cpu_time_per_request,
        memory_per_task=_resolve_memory(written.memory_per_task),
        protection_ms=0 if protection is None else protection.expires_in_minutes * MS_PER_MINUTE,
        containers=tuple((name, _resolve_container(each)) for name, each in written.containers.items()),
        calls=resolve_calls(written.calls),
    )


def _resolve_container(written: WrittenContainerBehavior) -> ContainerBehavior:
    """Return the behaviour of one container; only the keys that are written are set."""
    field_names = set(written.model_fields_set)
    if "duration" in field_names:
        return ContainerBehavior(**_resolve_lifecycle(written, field_names), duration=written.duration)
    return ContainerBehavior(**_resolve_lifecycle(written, field_names))


def _resolve_lifecycle(written: WrittenLifecycle, field_names: Collection[str]) -> dict[str, Any]:
    """Return the fields of a resolved behaviour whose written names are in `field_names`."""
    names = {name: name for name in WrittenLifecycle.model_fields} | {"ready_time": "ready_time_ms"}
    return {resolved: getattr(written, name) for name, resolved in names.items() if name in field_names}


def _resolve_memory(written: WrittenMemoryPerTask | None) -> MemoryPerTask | None:
    if written is None:
        return None
    return MemoryPerTask(base_mib=written.base, per_concurrent_request_mib=written.per_concurrent_request)


def check_container_names(
    context: Context, written: WrittenBehavior, container_names: Collection[str], path: FieldPath
) -> None:
    """Report behaviours of containers that are not among `container_names`."""
    for name in written.containers:
        if name not in container_names:
            location = (*path, "behavior", "containers", name)
            context.diagnostics.add_problem(
                location, f"no container is named {name}", suggest_name(name, sorted(container_names))
            )


def resolve_load(context: Context, written: WrittenLoad, path: FieldPath) -> Load:
    """Return the load of a service, its rate in the simulation's own time."""
    key = "requestsPerSecond" if written.requests_per_second is not None else "messagesPerSecond"
    series = written.requests_per_second or written.messages_per_second
    if series is None:
        raise AssertionError("the model of `load` requires a rate")
    limited_by_cpu = written.model == "exact" and "concurrency_per_task" not in written.model_fields_set
    return Load(
        kind="requests" if written.requests_per_second is not None else "messages",
        series=_resolve_series(context, series, (*path, key)),
        cpu_time_ms=written.cpu_time_per_request,
        memory_base_mib=written.memory_per_task.base,
        memory_per_request_mib=written.memory_per_task.per_concurrent_request,
        timeout_ms=written.timeout,
        processing_time_ms=written.processing_time,
        concurrency_per_task=0 if limited_by_cpu else written.concurrency_per_task,
        model=written.model,
        service_time=written.service_time,
        burstiness=series.burstiness,
        visibility_timeout_ms=written.visibility_timeout,
    )


def _resolve_series(context: Context, written: WrittenSeries, path: FieldPath) -> Series:
    """Return a written rate as a series that begins at the first instant."""
    warm_up_ms = context.file.warm_up
    trace = None
    if written.trace is not None:
        trace = _resolve_trace(context, written, written.trace, path)
        if trace is None:
            return ZERO_RATE
    try:
        return combine_shapes(
            written, trace, context.begin_ms, warm_up_ms, warm_up_ms + context.file.duration
        )
    except TooManyBreakpointsError as error:
        context.diagnostics.add_problem(
            path,
            f"the rate has {error} over the run, more than {MAX_BREAKPOINTS:,}",
            "a shorter run, or a trace with a longer interval",
        )
        return ZERO_RATE


def _resolve_trace(context: Context, written: WrittenSeries, name: str, path: FieldPath) -> Series | None:
    """Return the trace of a rate, whose first count begins at `start`; None if it cannot be used."""
    counts = _read_trace_counts(context, name, written.column, path)
    if counts is None:
        return None
    times = np.arange(len(counts), dtype=np.int64) * written.interval
    rates = counts * (written.scale * MS_PER_SECOND / written.interval)
    period = len(counts) * written.interval
    times, rates = rotate_series(times, rates, period, -context.file.warm_up)
    return Series(times_ms=times, rates=rates, period_ms=period)


def _read_trace_counts(context: Context, name: str, column: str | None, path: FieldPath) -> Any:
    """Return the counts of a request trace, read once per file and column; None if it cannot be used."""
    if (name, column) in context.traces:
        return context.traces[name, column]
    target = context.scenario.parent / name
    counts = None
    try:
        counts = read_counts(target, column)
        context.inputs[name] = file_sha256(target)
    except TraceError as error:
        report_trace_error(context, error, target, (*path, "trace"))
    context.traces[name, column] = counts
    return counts


def report_trace_error(context: Context, error: TraceError, target: Path, path: FieldPath) -> None:
    """Report the problems of a trace, line by line."""
    for line, column, message in error.problems:
        text = f"column {column}: {message}" if column else message
        context.diagnostics.add_line_problem(path, str(target), line, text)
