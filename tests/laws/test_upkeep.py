"""What compiled code does for calm services is what the scheduler would have done: the plain twin of
`world.scheduling.steady_services`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from clustersim.control.services.scheduler import Scheduler
from clustersim.control.services.service_state import ServiceRecord
from tests.harness import Block, Ran, run, service, world
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
    """Services that scale out and in with their load, some of whose tasks fail, start badly or are protected."""
    behaviors: list[Block] = [
        {"startupTime": START},
        {"startupTime": START, "timeToFailure": {"distribution": "exponential", "mean": "20m"}},
        {"startupTime": START, "startFailureProbability": 0.2},
        {"startupTime": START, "taskProtection": {"expiresInMinutes": 5}},
    ]
    services = [_scaled_service(f"s{number}", behavior) for number, behavior in enumerate(behaviors)]
    return world(nodes=6, duration="24h", services=[*services, service("still", 3, behavior=behaviors[1])])


def _by_the_scheduler_alone(patch: pytest.MonkeyPatch) -> None:
    """No service is ever left to compiled code."""

    def keep(self: Scheduler, record: ServiceRecord) -> None:
        pass

    patch.setattr(Scheduler, "_release", keep)


def _told(ran: Ran) -> tuple[Block, list[str]]:
    """The digests of all tables but that of events, and the events in an order of their own."""
    digests = ran.digests()
    del digests["events"]
    return digests, sorted(str(row) for row in ran.rows("events"))


def test_calm_services_fare_as_with_the_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All tables; the events as a set, since those of compiled code are told in batches."""
    calm = run(_scaled(), tmp_path / "calm", checked=False)
    _by_the_scheduler_alone(monkeypatch)
    alone = run(_scaled(), tmp_path / "alone", checked=False)
    assert len(calm.rows("scaling_activities")) > 60
    assert _told(calm) == _told(alone)


@pytest.mark.parametrize("number", range(6))
def test_so_they_do_in_scenarios_of_the_swarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Six of seed 11, whatever they draw."""
    written = draw(11, number)
    for name in ("calm", "alone"):
        (tmp_path / name).mkdir()
        written.write(tmp_path / name)
    calm = run(written.written, tmp_path / "calm", checked=False)
    _by_the_scheduler_alone(monkeypatch)
    assert _told(run(written.written, tmp_path / "alone", checked=False)) == _told(calm)
