"""`summary.json`: the figures of a run under their published names.

Reads the settled world and the totals of the other controllers; decides and changes nothing. Called once, at the end of
a run.
"""

from __future__ import annotations

import math
from typing import Any

from clustersim.control.billing.cost_ledger import CostLedger
from clustersim.control.load.traffic import Traffic
from clustersim.control.results.task_table_writer import TaskTableWriter
from clustersim.record.schema import SCHEMA_VERSION
from clustersim.vocabulary import WAIT_REASON_TEXTS
from clustersim.world.state.world import World

ROUNDING = 1e-9
"""The share of the total cost below which a difference is rounding error."""


def summarise(
    world: World, task_writer: TaskTableWriter, ledger: CostLedger, traffic: Traffic
) -> dict[str, Any]:
    """Return the whole summary; None stands for figures that do not exist."""
    names, state = world.names, world.state
    providers = state.capacity.providers
    by_provider = {
        name: float(ledger.usd_by_provider[p])
        for p, name in enumerate(names.providers)
        if name and float(ledger.usd_by_provider[p]) != 0.0
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "cost_usd": ledger.billed_usd,
        "cost_usd_idle": _idle_cost(
            ledger.billed_usd, float(task_writer.cost_by_group.sum() + ledger.unoccupied_usd.sum())
        ),
        "cost_usd_by_capacity_provider": by_provider,
        "instance_hours": ledger.instance_hours,
        "fargate_vcpu_hours": ledger.fargate_vcpu_hours,
        "fargate_gb_hours": ledger.fargate_gb_hours,
        "cpu_reservation_mean": _mean_reservation(providers["cpu_area"], providers["registered_cpu_area"]),
        "memory_reservation_mean": _mean_reservation(
            providers["memory_area"], providers["registered_memory_area"]
        ),
        "tasks_created": task_writer.counts["created"],
        "tasks_started": task_writer.counts["started"],
        "tasks_stopped": task_writer.counts["stopped"],
        "tasks_failed": task_writer.counts["failed"],
        "tasks_never_placed": task_writer.counts["never_placed"],
        "placement_failures": {
            word: int(count)
            for word, count in zip(WAIT_REASON_TEXTS, state.placement.failures, strict=True)
            if word and count
        },
        "guest_os_memory_gib_hours": ledger.guest_memory_gib_hours,
        "guest_os_vcpu_hours": ledger.guest_vcpu_hours,
        "guest_os_cost_usd": ledger.guest_usd,
        "services": {
            name: _service_summary(world, task_writer, traffic, s, float(ledger.unoccupied_usd[s]))
            for s, name in enumerate(names.services)
        },
        "run_tasks": {
            entry.name: task_writer.run_task_summary(number)
            for number, entry in enumerate(world.scenario.run_tasks)
        },
    }


def _idle_cost(billed: float, paid: float) -> float:
    """Return the idle cost; differences below rounding error are reported as 0."""
    idle = billed - paid
    return 0.0 if abs(idle) < ROUNDING * billed else idle


def _mean_reservation(part: Any, whole: Any) -> float | None:
    """Return the percentage of registered amounts that was reserved, over all providers (Fargate registers none)."""
    registered = float(whole.sum())
    mask = whole > 0
    return 100.0 * float(part[mask].sum()) / registered if registered else None


def _service_summary(
    world: World, task_writer: TaskTableWriter, traffic: Traffic, service: int, unoccupied_usd: float
) -> dict[str, Any]:
    """Return one entry under `services`; `unoccupied_usd` is the cost of its virtual machines without a copy."""
    row = world.state.services.rows[service]
    length = world.scenario.duration_ms
    load = traffic.summary(service)
    return {
        "running_mean": float(row["running_area"]) / length,
        "availability": float(row["available_ms"]) / length,
        "availability_healthy": float(row["available_healthy_ms"]) / length,
        "requests": load.requests if load else None,
        "requests_failed": load.requests_failed if load else None,
        "response_time_p50_s": _none_if_nan(load.response_time_p50_s) if load else None,
        "response_time_p99_s": _none_if_nan(load.response_time_p99_s) if load else None,
        "cost_usd": float(task_writer.cost_by_group[service]) + unoccupied_usd,
    }


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
