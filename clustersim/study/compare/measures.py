"""The measures of a comparison beside the summary: USD per month, start waits, servers, memory of guest systems.

Decides how they are computed from a finished run. Must not know options. A worker calls `measure_run` where the run
is stored, so that only a dozen numbers are transferred and not the tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clustersim.policy.pricing.billed_time import HOURS_PER_MONTH
from clustersim.record.schema import TABLES
from clustersim.scenario.resolve.virtual_machines import MACHINE_GROUP_PREFIX
from clustersim.scenario.sections.scenario import Scenario
from clustersim.study.execution.result_store import ResultStore
from clustersim.vocabulary import MS_PER_HOUR, MS_PER_SECOND

PREFIX = "comparison."
OPERATIONS = "usdPerInstanceMonth"

Floats = npt.NDArray[np.float64]


def measure_run(
    store: ResultStore, name: str, scenario: Scenario, summary: Mapping[str, Any]
) -> dict[str, float | None]:
    """Return the measures of a run by their names in `summary.arrow`; None if they do not apply.

    Of several services the worst one counts. Start waits are from `created_at` to `started_at`, in seconds, over the
    tasks that were created within the summary's time and started; tasks that were running at the start are not
    counted. The wait of the first copy on a virtual machine begins with the request for its machine.
    """
    hours = scenario.duration_ms / MS_PER_HOUR
    months = HOURS_PER_MONTH / hours
    servers = float(summary["instance_hours"]) / hours
    services = summary["services"].values()
    waits = _start_waits_s(store, name, scenario)
    figures = {
        "cost_usd_per_month": float(summary["cost_usd"]) * months,
        "operations_usd_per_month": servers * operations_usd_per_instance_month(scenario.resolved),
        "availability": _worst(min, [each["availability"] for each in services]),
        "response_time_p99_s": _worst(max, [each["response_time_p99_s"] for each in services]),
        "task_start_p50_s": float(np.quantile(waits, 0.5)) if len(waits) else None,
        "task_start_p99_s": float(np.quantile(waits, 0.99)) if len(waits) else None,
        "jobs_completed": _completed_share(summary["run_tasks"].values()),
        "cpu_reservation_mean": summary["cpu_reservation_mean"],
        "memory_reservation_mean": summary["memory_reservation_mean"],
        "servers": servers,
        "guest_os_memory_gib": float(summary["guest_os_memory_gib_hours"]) / hours,
    }
    figures["total_usd_per_month"] = figures["cost_usd_per_month"] + figures["operations_usd_per_month"]
    return {f"{PREFIX}{key}": value for key, value in figures.items()}


def operations_usd_per_instance_month(resolved: Mapping[str, Any]) -> float:
    """Return the scenario's price of operating an instance, in USD per month."""
    return float(resolved["pricing"]["operations"][OPERATIONS])


def _worst(choose: Any, values: list[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return choose(present) if present else None


def _completed_share(entries: Any) -> float | None:
    """Return the share of jobs with a successful attempt; None without jobs."""
    count = sum(entry["count"] for entry in entries)
    return sum(entry["completed"] for entry in entries) / count if count else None


def _start_waits_s(store: ResultStore, name: str, scenario: Scenario) -> Floats:
    """Return the start wait of each counted task, in seconds from its request to RUNNING."""
    tasks = _table(store, name, "tasks", ("created_at", "started_at", "container_instance_id"))
    created, started = (_seconds(tasks.column(each)) for each in ("created_at", "started_at"))
    if any(service.machines is not None for service in scenario.services):
        requested_at = _machine_request_times(store, name)
        hosts = tasks.column("container_instance_id").to_pylist()
        pairs = zip(hosts, created.tolist(), strict=True)
        created = np.array([requested_at.get(pair, pair[1]) for pair in pairs], np.float64)
    begin = scenario.start_ms / MS_PER_SECOND
    counted = (created >= begin) & (started > begin)  # NaN: has not started
    if scenario.initial_state == "running":
        counted &= created > begin  # without the tasks that were running at the start
    waits: Floats = (started - created)[counted]
    return waits


def _machine_request_times(store: ResultStore, name: str) -> dict[tuple[int | None, float], float]:
    """Return when each virtual machine was requested, by its id and the instant when it had booted."""
    columns = ("container_instance_id", "auto_scaling_group", "launched_at", "registered_at")
    hosts = _table(store, name, "container_instances", columns)
    groups = hosts.column("auto_scaling_group").to_pylist()
    ids = hosts.column("container_instance_id").to_pylist()
    times = (_seconds(hosts.column(each)).tolist() for each in ("launched_at", "registered_at"))
    return {
        (host, booted): requested
        for host, group, requested, booted in zip(ids, groups, *times, strict=True)
        if str(group).startswith(MACHINE_GROUP_PREFIX)
    }


def _seconds(column: Any) -> Floats:
    """Return instants as epoch seconds; NaN for null."""
    values = column.cast(pa.int64()).to_pylist()
    return np.array([math.nan if value is None else value / MS_PER_SECOND for value in values], np.float64)


def _table(store: ResultStore, name: str, table: str, columns: tuple[str, ...]) -> pa.Table:
    content = store.read(f"{name}/{table}.arrow")
    if content is None:
        return TABLES[table].empty().select(columns)
    written = pa.ipc.open_file(pa.py_buffer(content)).schema
    fields = [written.get_field_index(column) for column in columns if column in written.names]
    options = pa.ipc.IpcReadOptions(included_fields=fields)
    read = pa.ipc.open_file(pa.py_buffer(content), options=options).read_all()
    return TABLES[table].completed(read, columns)
