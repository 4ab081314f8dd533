"""`load: {model: exact}` and how a target group deals requests out: what is read, refused and warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from clustersim.errors import ScenarioError
from clustersim.scenario.reader import read_scenario
from clustersim.scenario.sections.scenario import Scenario

TEXT = """\
taskDefinitions:
  - family: web
    networkMode: awsvpc
    requiresCompatibilities: [FARGATE]
    cpu: "256"
    memory: "512"
    containerDefinitions: [{name: app, image: x, portMappings: [{containerPort: 80}]}]
targetGroups:
  - {name: web, GROUP}
services:
  - serviceName: web
    taskDefinition: web
    launchType: FARGATE
    loadBalancers: [{targetGroupArn: web, containerName: app, containerPort: 80}]
    load: {LOAD}
"""


def read(tmp_path: Path, load: str, group: str = "healthCheckIntervalSeconds: 30") -> Scenario:
    path = tmp_path / "s.yaml"
    path.write_text(TEXT.replace("LOAD", load).replace("GROUP", group))
    return read_scenario(path)


EXACT = "model: exact, requestsPerSecond: 10, cpuTimePerRequest: 20ms"
FLUID = "requestsPerSecond: 10, cpuTimePerRequest: 20ms"


def test_the_defaults(tmp_path: Path) -> None:
    """As many at work as the CPU carries, exponential service times; a load without `model` is a fluid."""
    load = read(tmp_path, EXACT).services[0].load
    assert load is not None
    assert (load.model, load.concurrency_per_task, load.service_time) == ("exact", 0, None)
    load = read(tmp_path, FLUID).services[0].load
    assert load is not None and load.model == "fluid"
    (group,) = read(tmp_path, EXACT).target_groups
    assert (group.routing, group.slow_start_ms) == ("round_robin", 0)


def test_every_key(tmp_path: Path) -> None:
    written = (
        f"{EXACT}, concurrencyPerTask: 8, serviceTime: {{distribution: lognormal, mean: 80ms, sigma: 1}}"
    )
    scenario = read(tmp_path, written, "slowStart: 2m")
    load = scenario.services[0].load
    assert load is not None and load.service_time is not None
    assert (load.concurrency_per_task, load.service_time.b) == (8, 1.0)
    assert scenario.target_groups[0].slow_start_ms == 120_000
    least = read(tmp_path, EXACT, "loadBalancingAlgorithmType: least_outstanding_requests")
    assert least.target_groups[0].routing == "least_outstanding_requests"
    assert (*scenario.warnings, *least.warnings) == ()


@pytest.mark.parametrize(
    ("load", "group", "expected"),
    [
        (
            "model: exakt, requestsPerSecond: 1",
            "",
            ".model: 'exakt' is not one of its values; did you mean exact?",
        ),
        (
            "model: exact, messagesPerSecond: 1, processingTime: 1s",
            "",
            "load: model: exact applies to requests, not to messages; leave model out, or write requestsPerSecond",
        ),
        (
            f"{FLUID}, visibilityTimeout: 30s",
            "",
            "load: visibilityTimeout applies to messages, not to requests; leave it out, or write messagesPerSecond",
        ),
        (
            "messagesPerSecond: 1, processingTime: 1s, serviceTime: 2s",
            "",
            "load: serviceTime applies to requests, not to messages; leave it out, or write requestsPerSecond",
        ),
        (
            f"{EXACT}, serviceTime: 5ms",
            "",
            "load: serviceTime is 5 ms on average, and 20 ms of it are CPU (cpuTimePerRequest); "
            "a request uses one vCPU at most: a serviceTime of at least 20ms",
        ),
        (
            f"{EXACT}, concurrencyPerTask: 5000",
            "",
            "load: concurrencyPerTask 5,000 is too large; at most 1,024 exact requests",
        ),
        (f"{EXACT}, concurrencyPerTask: 0", "", "concurrencyPerTask: 0 is less than 1; at least 1"),
        (
            EXACT,
            "loadBalancingAlgorithmType: roundRobin",
            "loadBalancingAlgorithmType: 'roundRobin' is not one of its values; did you mean round_robin?",
        ),
        (EXACT, "slowStart: 10s", "slowStart: 10 s is out of range; 30s to 900s, or 0s for none"),
        (
            EXACT,
            "slowStart: 60s, loadBalancingAlgorithmType: least_outstanding_requests",
            "slowStart applies to round_robin only; leave slowStart or loadBalancingAlgorithmType out",
        ),
    ],
)
def test_problems_have_a_location_and_a_hint(tmp_path: Path, load: str, group: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, load, group or "healthCheckIntervalSeconds: 30")
    (problem,) = caught.value.problems
    assert problem.startswith(str(tmp_path / "s.yaml") + ":")
    assert expected in problem


def test_keys_without_effect_are_warned_of(tmp_path: Path) -> None:
    """A fluid deals out evenly, so slow start changes nothing there."""
    (warning,) = read(tmp_path, FLUID, "slowStart: 60s").warnings
    assert "services.web.load" in warning
    assert "add model: exact" in warning


@pytest.mark.parametrize("routing", ["round_robin", "least_outstanding_requests", "weighted_random"])
@pytest.mark.parametrize("load", [EXACT, FLUID])
def test_both_models_know_the_three_algorithms(tmp_path: Path, routing: str, load: str) -> None:
    scenario = read(tmp_path, load, f"loadBalancingAlgorithmType: {routing}")
    assert scenario.warnings == ()
    assert scenario.target_groups[0].routing == routing


def test_a_fluid_takes_a_service_time_and_bursts(tmp_path: Path) -> None:
    written = "requestsPerSecond: {constant: 10, burstiness: 4}, cpuTimePerRequest: 20ms, serviceTime: 50ms"
    load = read(tmp_path, written).services[0].load
    assert load is not None and load.service_time is not None
    assert (load.model, load.burstiness, load.service_time.a) == ("fluid", 4.0, 50.0)
