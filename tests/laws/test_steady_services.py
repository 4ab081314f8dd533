"""Compiled code handles steady services with the same results as the service scheduler.

The scheduler is the plain twin of `world.scheduling.steady_services`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from clustersim.control.services.scheduler import Scheduler
from clustersim.control.services.service_state import ServiceRecord
from tests.harness import Block, FinishedRun, run, service, world
from tests.swarm.scenarios import draw

START = {"distribution": "lognormal", "median": "8s", "sigma": 0.4}


def _scaled_service(name: str, behavior: Block) -> Block:
    """Between 2 and 12 tasks, by CPU, with a load that rises and falls in a day."""
    tracking = {
        "targetValue": 50,
        "predefinedMetricSpecification": {"predefinedMetricType": "ECSServiceAverageCPUUtilization"},
        "scaleInCooldown": 60,
        "scaleOutCooldown": 60,
    }
    policy = {
        "policyName": "cpu",
        "policyType": "TargetTrackingScaling",
        "targetTrackingScalingPolicyConfiguration": tracking,
    }
    return service(
        name,
        4,
        behavior=behavior,
        placementStrategy=[{"type": "spread", "field": "attribute:ecs.availability-zone"}],
        autoScaling={"minCapacity": 2, "maxCapacity": 12, "policies": [policy]},
        load={
            "requestsPerSecond": {"daily": {"low": 20, "high": 150, "peak": "03:00"}},
            "cpuTimePerRequest": "20ms",
        },
    )


def _scaled() -> Block:
    """Services that scale with their load; some have tasks that fail, fail to start or are protected."""
    behaviors: list[Block] = [
        {"startupTime": START},
        {"startupTime": START, "timeToFailure": {"distribution": "exponential", "mean": "20m"}},
        {"startupTime": START, "startFailureProbability": 0.2},
        {"startupTime": START, "taskProtection": {"expiresInMinutes": 5}},
    ]
    services = [_scaled_service(f"s{number}", behavior) for number, behavior in enumerate(behaviors)]
    return world(nodes=6, duration="24h", services=[*services, service("still", 3, behavior=behaviors[1])])


def _disable_compiled_services(patch: pytest.MonkeyPatch) -> None:
    """Leave no service to compiled code."""

    def keep(self: Scheduler, record: ServiceRecord) -> None:
        pass

    patch.setattr(Scheduler, "_hand_over", keep)


def _tables_and_events(ran: FinishedRun) -> tuple[Block, list[str]]:
    """Return the digests of all tables but events, and the sorted events."""
    digests = ran.digests()
    del digests["events"]
    return digests, sorted(str(row) for row in ran.rows("events"))


@pytest.mark.slow
def test_steady_services_have_the_results_of_the_scheduler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tables are compared; events without their order, since compiled code emits them in batches."""
    steady = run(_scaled(), tmp_path / "steady", checked=False)
    _disable_compiled_services(monkeypatch)
    alone = run(_scaled(), tmp_path / "alone", checked=False)
    assert len(steady.rows("scaling_activities")) > 60
    assert _tables_and_events(steady) == _tables_and_events(alone)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(6))
def test_swarm_scenarios_have_the_results_of_the_scheduler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Six scenarios of seed 11."""
    written = draw(11, number)
    for name in ("steady", "alone"):
        (tmp_path / name).mkdir()
        written.write(tmp_path / name)
    steady = run(written.written, tmp_path / "steady", checked=False)
    _disable_compiled_services(monkeypatch)
    assert _tables_and_events(run(written.written, tmp_path / "alone", checked=False)) == _tables_and_events(
        steady
    )
