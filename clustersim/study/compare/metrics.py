"""What a comparison asks of a run beside its summary: dollars a month, waiting for a start, servers, guests' memory.

Decides how these figures are made of a finished run. Must not know options. A worker calls `measured` where the run
lies, so that tables stay there and a dozen numbers travel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clustersim.policy.pricing.billed_time import HOURS_PER_MONTH
from clustersim.scenario.resolve.virtual_machines import MACHINE_GROUPS
from clustersim.scenario.sections.scenario import Scenario
from clustersim.study.execution.result_store import Place
from clustersim.vocabulary import MS_PER_HOUR, MS_PER_SECOND

PREFIX = "comparison."
OPERATIONS = "usdPerInstanceMonth"

Floats = npt.NDArray[np.float64]


def measured(
    place: Place, name: str, scenario: Scenario, summary: Mapping[str, Any]
) -> dict[str, float | None]:
    """The figures of a run, by their names in `summary.arrow`; None where there is nothing to say.

    Of several services the worst one counts. Waiting is from `created_at` to `started_at`, over the tasks that were
    created within the summary's time and started; a task that ran before it waited for nothing. The first copy on a
    virtual machine was asked for when its machine was.
    """
    hours = scenario.duration_ms / MS_PER_HOUR
    months = HOURS_PER_MONTH / hours
    servers = float(summary["instance_hours"]) / hours
    services = summary["services"].values()
    waits = _waits(place, name, scenario)
    found = {
        "cost_usd_per_month": float(summary["cost_usd"]) * months,
        "operations_usd_per_month": servers * usd_per_instance_month(scenario.resolved),
        "availability": _worst(min, [each["availability"] for each in services]),
        "response_time_p99_s": _worst(max, [each["response_time_p99_s"] for each in services]),
        "task_start_p50_s": float(np.quantile(waits, 0.5)) if len(waits) else None,
        "task_start_p99_s": float(np.quantile(waits, 0.99)) if len(waits) else None,
        "jobs_completed": _completed(summary["run_tasks"].values()),
        "cpu_reservation_mean": summary["cpu_reservation_mean"],
        "memory_reservation_mean": summary["memory_reservation_mean"],
        "servers": servers,
        "guest_os_memory_gib": float(summary["guest_os_memory_gib_hours"]) / hours,
    }
    found["total_usd_per_month"] = found["cost_usd_per_month"] + found["operations_usd_per_month"]
    return {f"{PREFIX}{key}": value for key, value in found.items()}


def usd_per_instance_month(resolved: Mapping[str, Any]) -> float:
    """What looking after an instance for a month costs, as the scenario says."""
    return float(resolved["pricing"]["operations"][OPERATIONS])


def _worst(choose: Any, values: list[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return choose(there) if there else None


def _completed(entries: Any) -> float | None:
    """The share of jobs of which an attempt ended well."""
    asked = sum(entry["count"] for entry in entries)
    return sum(entry["completed"] for entry in entries) / asked if asked else None


def _waits(place: Place, name: str, scenario: Scenario) -> Floats:
    """Seconds from request to RUNNING."""
    tasks = _table(place, name, "tasks", ("created_at", "started_at", "container_instance_id"))
    created, started = (_seconds(tasks.column(each)) for each in ("created_at", "started_at"))
    if any(service.machines is not None for service in scenario.services):
        asked = _asked_for_machines(place, name)
        hosts = tasks.column("container_instance_id").to_pylist()
        pairs = zip(hosts, created.tolist(), strict=True)
        created = np.array([asked.get(pair, pair[1]) for pair in pairs], np.float64)
    begin = scenario.start_ms / MS_PER_SECOND
    counted = (created >= begin) & (started > begin)  # NaN: has not started
    if scenario.initial_state == "running":
        counted &= created > begin  # those that were running when it began
    waits: Floats = (started - created)[counted]
    return waits


def _asked_for_machines(place: Place, name: str) -> dict[tuple[int | None, float], float]:
    """When a machine was requested, by its id and the instant at which it had booted."""
    columns = ("container_instance_id", "auto_scaling_group", "launched_at", "registered_at")
    hosts = _table(place, name, "container_instances", columns)
    groups = hosts.column("auto_scaling_group").to_pylist()
    ids = hosts.column("container_instance_id").to_pylist()
    times = (_seconds(hosts.column(each)).tolist() for each in ("launched_at", "registered_at"))
    return {
        (host, booted): requested
        for host, group, requested, booted in zip(ids, groups, *times, strict=True)
        if str(group).startswith(MACHINE_GROUPS)
    }


def _seconds(column: Any) -> Floats:
    """Instants as epoch seconds, NaN for null."""
    values = column.cast(pa.int64()).to_pylist()
    return np.array([math.nan if value is None else value / MS_PER_SECOND for value in values], np.float64)


def _table(place: Place, name: str, table: str, columns: tuple[str, ...]) -> pa.Table:
    content = place.read(f"{name}/{table}.arrow")
    reader = pa.ipc.open_file(pa.py_buffer(content))
    fields = sorted(reader.schema.get_field_index(column) for column in columns)
    options = pa.ipc.IpcReadOptions(included_fields=fields)
    return pa.ipc.open_file(pa.py_buffer(content), options=options).read_all()
