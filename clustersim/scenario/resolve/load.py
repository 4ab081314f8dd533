"""Behaviour and load, resolved: what tasks do, and the rate at which a service is called.

Decides how a task definition's behaviour goes over a service's (key by key), and how a daily rhythm or a
trace becomes a piecewise-constant rate. Must not know who owns them. `resolve_services` and `resolve_jobs`
call it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.roles import calls
from clustersim.scenario.sections.behavior import (
    Daily,
    Life,
    WrittenBehavior,
    WrittenContainer,
    WrittenLoad,
    WrittenMemory,
    WrittenSeries,
)
from clustersim.scenario.sections.scenario import Behavior, ContainerBehavior, Load, MemoryPerTask, Series
from clustersim.scenario.text.document import Steps
from clustersim.scenario.text.overrides import closest
from clustersim.scenario.traces.csv_columns import TraceError, read_counts, rotate, sha256_of
from clustersim.vocabulary import MS_PER_DAY, MS_PER_MINUTE, MS_PER_SECOND

NO_RATE = Series(times_ms=np.zeros(1, dtype=np.int64), rates=np.zeros(1))


def behavior(service: WrittenBehavior, definition: WrittenBehavior | None) -> Behavior:
    """The behaviour of a task: the task definition's own keys over the service's."""
    written = service
    if definition is not None:
        own: dict[str, Any] = {name: getattr(definition, name) for name in definition.model_fields_set}
        own["containers"] = {**service.containers, **definition.containers}
        written = service.model_copy(update=own)
    protection = written.task_protection
    return Behavior(
        **_life(written, written.model_fields_set),
        cpu_time_per_request_ms=written.cpu_time_per_request,
        memory_per_task=_memory(written.memory_per_task),
        protection_ms=0 if protection is None else protection.expires_in_minutes * MS_PER_MINUTE,
        containers=tuple((name, _container(each)) for name, each in written.containers.items()),
        calls=calls(written.calls),
    )


def _container(written: WrittenContainer) -> ContainerBehavior:
    """The behaviour of one container; only what is written counts as its own."""
    given = set(written.model_fields_set)
    if "duration" in given:
        return ContainerBehavior(**_life(written, given), duration=written.duration)
    return ContainerBehavior(**_life(written, given))


def _life(written: Life, given: Collection[str]) -> dict[str, Any]:
    """The fields of a resolved behaviour that are `given`."""
    names = {name: name for name in Life.model_fields} | {"ready_time": "ready_time_ms"}
    return {resolved: getattr(written, name) for name, resolved in names.items() if name in given}


def _memory(written: WrittenMemory | None) -> MemoryPerTask | None:
    if written is None:
        return None
    return MemoryPerTask(base_mib=written.base, per_concurrent_request_mib=written.per_concurrent_request)


def check_containers(context: Context, written: WrittenBehavior, known: Collection[str], path: Steps) -> None:
    """Report behaviours of containers that no task definition in question has."""
    for name in written.containers:
        if name not in known:
            place = (*path, "behavior", "containers", name)
            context.findings.add(place, f"no container is named {name}", closest(name, sorted(known)))


def load(context: Context, written: WrittenLoad, path: Steps) -> Load:
    """The load of a service, its rate in the simulation's own time."""
    key = "requestsPerSecond" if written.requests_per_second is not None else "messagesPerSecond"
    series = written.requests_per_second or written.messages_per_second
    if series is None:
        raise AssertionError("the model of `load` lets nothing through without a rate")
    by_cpu = written.model == "exact" and "concurrency_per_task" not in written.model_fields_set
    return Load(
        kind="requests" if written.requests_per_second is not None else "messages",
        series=_series(context, series, (*path, key)),
        cpu_time_ms=written.cpu_time_per_request,
        memory_base_mib=written.memory_per_task.base,
        memory_per_request_mib=written.memory_per_task.per_concurrent_request,
        timeout_ms=written.timeout,
        processing_time_ms=written.processing_time,
        concurrency_per_task=0 if by_cpu else written.concurrency_per_task,
        model=written.model,
        service_time=written.service_time,
    )


def _series(context: Context, written: WrittenSeries, path: Steps) -> Series:
    """A written rate as a series that begins at the first instant."""
    if written.constant is not None:
        return Series(times_ms=np.zeros(1, dtype=np.int64), rates=np.array([written.constant]))
    if written.daily is not None:
        return daily_series(written.daily, context.begin_ms)
    if written.trace is None:
        raise AssertionError("the model of a rate lets nothing through without a form")
    counts = _counts(context, written.trace, written.column, path)
    if counts is None:
        return NO_RATE
    times = np.arange(len(counts), dtype=np.int64) * written.interval
    rates = counts * (written.scale * MS_PER_SECOND / written.interval)
    period = len(counts) * written.interval
    times, rates = rotate(times, rates, period, -context.file.warm_up)
    return Series(times_ms=times, rates=rates, period_ms=period)


def daily_series(daily: Daily, begin_ms: int) -> Series:
    """A day's rhythm, constant within each minute of the UTC clock, as seen from `begin_ms` (epoch)."""
    minutes = np.arange(MS_PER_DAY // MS_PER_MINUTE, dtype=np.int64) * MS_PER_MINUTE
    angle = 2 * math.pi * (minutes + MS_PER_MINUTE / 2 - daily.peak) / MS_PER_DAY
    rates = daily.low + (daily.high - daily.low) * (1 + np.cos(angle)) / 2
    times, rates = rotate(minutes, rates, MS_PER_DAY, begin_ms)
    return Series(times_ms=times, rates=rates, period_ms=MS_PER_DAY)


def _counts(context: Context, name: str, column: str | None, path: Steps) -> Any:
    """The counts of a request trace, read once per file and column; None where it cannot be used."""
    if (name, column) in context.traces:
        return context.traces[name, column]
    target = context.scenario.parent / name
    counts = None
    try:
        counts = read_counts(target, column)
        context.inputs[name] = sha256_of(target)
    except TraceError as error:
        report(context, error, target, (*path, "trace"))
    context.traces[name, column] = counts
    return counts


def report(context: Context, error: TraceError, target: Path, path: Steps) -> None:
    """Report what is wrong with a trace, line by line."""
    for line, column, message in error.problems:
        text = f"column {column}: {message}" if column else message
        context.findings.add_line(path, str(target), line, text)
