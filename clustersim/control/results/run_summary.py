"""`summary.json`: what a run comes to, in its published names.

Reads the settled world and the books of the other controllers; decides and changes nothing. Called once, at
the end.
"""

from __future__ import annotations

import math
from typing import Any

from clustersim.control.billing.cost_ledger import Ledger
from clustersim.control.load.traffic import Traffic
from clustersim.control.results.task_table_writer import Journal
from clustersim.record.schema import SCHEMA_VERSION
from clustersim.vocabulary import WAIT_REASON_WORDS
from clustersim.world.state.world import World

ROUNDING = 1e-9
"""The share of a bill below which a remainder is the rounding of sums."""


def summarise(world: World, journal: Journal, ledger: Ledger, traffic: Traffic) -> dict[str, Any]:
    """The whole summary; None where there is nothing to say."""
    names, state = world.names, world.state
    providers = state.providers
    by_provider = {
        name: float(ledger.by_provider[p])
        for p, name in enumerate(names.providers)
        if name and float(ledger.by_provider[p]) != 0.0
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "cost_usd": ledger.billed,
        "cost_usd_idle": _idle(ledger.billed, float(journal.cost_by_group.sum() + ledger.unheld_usd.sum())),
        "cost_usd_by_capacity_provider": by_provider,
        "instance_hours": ledger.instance_hours,
        "fargate_vcpu_hours": ledger.fargate_vcpu_hours,
        "fargate_gb_hours": ledger.fargate_gb_hours,
        "cpu_reservation_mean": _share(providers["cpu_area"], providers["registered_cpu_area"]),
        "memory_reservation_mean": _share(providers["memory_area"], providers["registered_memory_area"]),
        "tasks_created": journal.counts["created"],
        "tasks_started": journal.counts["started"],
        "tasks_stopped": journal.counts["stopped"],
        "tasks_failed": journal.counts["failed"],
        "tasks_never_placed": journal.counts["never_placed"],
        "placement_failures": {
            word: int(count)
            for word, count in zip(WAIT_REASON_WORDS, state.refusals, strict=True)
            if word and count
        },
        "guest_os_memory_gib_hours": ledger.guest_memory_gib_hours,
        "guest_os_vcpu_hours": ledger.guest_vcpu_hours,
        "guest_os_cost_usd": ledger.guest_usd,
        "services": {
            name: _service(world, journal, traffic, s, float(ledger.unheld_usd[s]))
            for s, name in enumerate(names.services)
        },
        "run_tasks": {
            entry.name: journal.entry_summary(number) for number, entry in enumerate(world.scenario.run_tasks)
        },
    }


def _idle(billed: float, paid: float) -> float:
    """What nobody pays for; what sums of floats leave over is nothing."""
    idle = billed - paid
    return 0.0 if abs(idle) < ROUNDING * billed else idle


def _share(part: Any, whole: Any) -> float | None:
    """Percent of registered that was reserved, over the instances of all providers (Fargate registers none)."""
    registered = float(whole.sum())
    mask = whole > 0
    return 100.0 * float(part[mask].sum()) / registered if registered else None


def _service(
    world: World, journal: Journal, traffic: Traffic, service: int, unheld_usd: float
) -> dict[str, Any]:
    """One entry under `services`; `unheld_usd` is what its virtual machines cost while they had no copy."""
    row = world.state.services[service]
    length = world.scenario.duration_ms
    load = traffic.summary(service)
    return {
        "running_mean": float(row["running_area"]) / length,
        "availability": float(row["available"]) / length,
        "availability_healthy": float(row["available_healthy"]) / length,
        "requests": load.requests if load else None,
        "requests_failed": load.requests_failed if load else None,
        "response_time_p50_s": _number(load.response_time_p50_s) if load else None,
        "response_time_p99_s": _number(load.response_time_p99_s) if load else None,
        "cost_usd": float(journal.cost_by_group[service]) + unheld_usd,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
