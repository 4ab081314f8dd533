"""Closures in run time: the scenario's instants are counted from `start`, the run's from the begin of the warm-up."""

from __future__ import annotations

from pathlib import Path

from clustersim.control.capacity.capacity_closures import capacity_closures
from clustersim.policy.capacity.interruption_rates import LOST, NOTICE
from tests.harness import HOUR, MINUTE, scenario_of, service, world


def test_closures_are_shifted_by_the_warm_up(tmp_path: Path) -> None:
    """An outage from 5 to 15 minutes after `start`, a shortage that reclaims Spot, and a warm-up of one hour."""
    failures = {
        "zoneOutages": [{"availabilityZone": "us-east-1a", "at": "5m", "duration": "10m"}],
        "capacityShortages": [
            {
                "instanceType": "test.node",
                "at": "20m",
                "duration": "5m",
                "purchaseOption": "spot",
                "reclaim": True,
            }
        ],
    }
    scenario = scenario_of(world(services=[service()], warmUp="1h", failures=failures), tmp_path)
    outage, shortage = capacity_closures(scenario)
    assert (outage.begin, outage.end, outage.takes) == (HOUR + 5 * MINUTE, HOUR + 15 * MINUTE, LOST)
    assert (shortage.begin, shortage.spot, shortage.takes) == (HOUR + 20 * MINUTE, True, NOTICE)
