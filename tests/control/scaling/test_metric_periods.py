"""The metric period of a run."""

from __future__ import annotations

from pathlib import Path

from clustersim.control.scaling.metric_periods import metric_period_ms
from tests.harness import MINUTE, SECOND, Block, scenario_of, service, world


def scaled(name: str, **scaling: object) -> Block:
    return service(name, autoScaling={"minCapacity": 1, "maxCapacity": 4, **scaling})


def test_the_shortest_resolution_is_the_period_of_all(tmp_path: Path) -> None:
    """Metrics are taken each minute, or as often as one service needs."""
    assert metric_period_ms(scenario_of(world(services=[scaled("web")]), tmp_path)) == MINUTE
    services = [scaled("web"), scaled("api", metricResolution="20s")]
    assert metric_period_ms(scenario_of(world(services=services), tmp_path)) == 20 * SECOND
