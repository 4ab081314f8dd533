"""Laws of reading a scenario: what the written file becomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clustersim.engine import random_streams as chance
from clustersim.errors import ScenarioError
from clustersim.scenario.reader import DEFAULTS, check_unique_names, json_schema, read_scenario
from clustersim.scenario.sections.scenario import Deployment, Scenario, StepScaling, TargetTracking
from clustersim.scenario.sections.scenario_file import WrittenScenario

SMALL: dict[str, Any] = {
    "capacityProviders": [
        {
            "name": "general",
            "autoScalingGroupProvider": {
                "autoScalingGroup": {"instanceTypes": ["m6i.large"], "minSize": 2, "maxSize": 40},
                "managedScaling": {"status": "ENABLED"},
            },
        }
    ],
    "taskDefinitions": [
        {"family": "web", "containerDefinitions": [{"name": "app", "image": "x", "cpu": 256, "memory": 512}]}
    ],
    "services": [
        {
            "serviceName": "web",
            "taskDefinition": "web",
            "desiredCount": 2,
            "capacityProviderStrategy": [{"capacityProvider": "general", "weight": 1}],
        }
    ],
}
FARGATE_TASK = {
    "family": "job",
    "networkMode": "awsvpc",
    "requiresCompatibilities": ["FARGATE"],
    "cpu": "512",
    "memory": "1024",
    "containerDefinitions": [{"name": "app", "image": "x"}],
}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes a scenario (JSON is YAML) and gives its path."""

    def writer(scenario: Any, name: str = "small.yaml") -> Path:
        path = tmp_path / name
        path.write_text(scenario if isinstance(scenario, str) else json.dumps(scenario))
        return path

    return writer


def read(write: Any, **sections: Any) -> Scenario:
    return read_scenario(write({**SMALL, **sections}))


def service(**fields: Any) -> list[dict[str, Any]]:
    return [{**SMALL["services"][0], **fields}]


def test_a_small_scenario_has_the_contracts_defaults(write: Any) -> None:
    """Contract, section 3: everything but services and runTasks has a default."""
    scenario = read(write)
    assert scenario.name == "small"
    assert scenario.start_ms == 1_767_225_600_000  # 2026-01-01T00:00:00Z
    assert (scenario.duration_ms, scenario.warm_up_ms, scenario.seed) == (86_400_000, 0, 0)
    assert scenario.zones == ("us-east-1a", "us-east-1b", "us-east-1c")
    assert (scenario.cluster.provisioning_limit, scenario.cluster.provisioning_timeout_ms) == (500, 1_800_000)
    assert scenario.cluster.fargate_quota_vcpu is None
    web = scenario.services[0]
    assert (web.deployment, web.zone_rebalancing, web.task_definition) == (Deployment(), True, "web:1")
    group = scenario.groups[0]
    assert (group.name, group.provider, group.desired_capacity, group.max_size) == (
        "general",
        "general",
        2,
        40,
    )
    assert (group.launch_time.code, group.launch_time.a, group.launch_time.b) == (
        chance.LOGNORMAL,
        90_000,
        0.3,
    )
    assert scenario.pricing.fargate == ()
    assert scenario.warnings == ()


def test_written_defaults_are_the_models_defaults() -> None:
    """`resolved` writes down what the models assume."""
    assert WrittenScenario.model_validate(dict(DEFAULTS)) == WrittenScenario()


def test_what_placement_subtracts(write: Any) -> None:
    """Task size if given, else per container the soft limit, else the hard one (ECS API)."""
    containers = [
        {"name": "a", "image": "x", "cpu": 100, "memory": 512, "memoryReservation": 128},
        {"name": "b", "image": "x", "cpu": 28, "memory": 64, "essential": False},
    ]
    bare = {"family": "bare", "containerDefinitions": containers}
    sized = {"family": "sized", "cpu": "1 vCPU", "memory": "2GB", "containerDefinitions": containers}
    found = read(write, taskDefinitions=[*SMALL["taskDefinitions"], bare, sized]).task_definitions
    assert (found[1].cpu, found[1].memory_mib, found[1].has_task_size) == (128, 192, False)
    assert (found[2].cpu, found[2].memory_mib, found[2].has_task_size) == (1024, 2048, True)


def test_revisions_count_within_a_family_and_a_family_means_its_latest(write: Any) -> None:
    second = {**SMALL["taskDefinitions"][0], "behavior": {"readyTime": "3s"}}
    seventh = {**SMALL["taskDefinitions"][0], "revision": 7}
    scenario = read(write, taskDefinitions=[*SMALL["taskDefinitions"], second, seventh])
    assert [each.key for each in scenario.task_definitions] == ["web:1", "web:2", "web:7"]
    assert scenario.services[0].task_definition == "web:7"


def test_ports_by_network_mode(write: Any) -> None:
    """ECS API, PortMapping.hostPort: dynamic in bridge mode if 0 or absent; the container's in host mode."""
    mappings = [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]
    container = {"name": "app", "image": "x", "memory": 64, "portMappings": mappings}
    bridge = {"family": "bridge", "containerDefinitions": [container]}
    host = {
        "family": "host",
        "networkMode": "host",
        "containerDefinitions": [{**container, "portMappings": [{"containerPort": 81}]}],
    }
    found = read(write, taskDefinitions=[*SMALL["taskDefinitions"], bridge, host]).task_definitions
    assert (found[1].static_ports, found[1].dynamic_ports) == ((8080,), 1)
    assert (found[2].static_ports, found[2].dynamic_ports) == ((81,), 0)


def test_the_slowest_health_check_of_a_task(write: Any) -> None:
    check = {"command": ["CMD", "true"], "interval": 10}
    containers = [
        {"name": "a", "image": "x", "memory": 64, "healthCheck": check},
        {"name": "b", "image": "x", "memory": 64, "healthCheck": {**check, "interval": 60, "retries": 2}},
    ]
    found = read(write, taskDefinitions=[{"family": "web", "containerDefinitions": containers}])
    definition = found.task_definitions[0]
    assert definition.health_check is not None
    assert (definition.health_check.interval_ms, definition.health_check.retries) == (60_000, 2)


def test_the_default_strategy_of_the_cluster_applies(write: Any) -> None:
    """Neither launch type nor strategy: the cluster's; without one, launch type EC2."""
    bare = [{"serviceName": "web", "taskDefinition": "web"}]
    cluster = {"defaultCapacityProviderStrategy": [{"capacityProvider": "general", "weight": 2, "base": 1}]}
    with_default = read(write, services=bare, cluster=cluster).services[0]
    assert (with_default.launch_type, with_default.strategy[0].weight) == (None, 2)
    assert read(write, services=bare).services[0].launch_type == "EC2"


def test_a_task_definitions_behaviour_takes_precedence_key_by_key(write: Any) -> None:
    definition = {**SMALL["taskDefinitions"][0], "behavior": {"readyTime": "9s"}}
    own = {"readyTime": "5s", "startupTime": "2s", "timeToFailure": "never", "exitCode": 3}
    found = read(write, taskDefinitions=[definition], services=service(behavior=own)).services[0]
    behavior = found.behavior("web:1")
    assert (behavior.ready_time_ms, behavior.startup_time.a, behavior.exit_code) == (9_000, 2_000, 3)
    assert behavior.time_to_failure is None


def test_a_service_knows_the_definitions_that_actions_give_it(write: Any) -> None:
    definitions = [*SMALL["taskDefinitions"], {**SMALL["taskDefinitions"][0], "behavior": {"readyTime": 1}}]
    arn = "arn:aws:ecs:us-east-1:123456789012:service/c/web"
    action = {"at": "2h", "updateService": {"service": arn, "taskDefinition": "web"}}
    scenario = read(
        write,
        taskDefinitions=definitions,
        services=service(taskDefinition="web:1"),
        actions=[action],
        warmUp="1h",
    )
    assert scenario.actions[0].at_ms == 2 * 3_600_000
    assert scenario.actions[0].input == {"service": "web", "taskDefinition": "web:2"}
    assert [key for key, _ in scenario.services[0].behaviors] == ["web:1", "web:2"]


def test_ids_of_container_instances_are_numbers(write: Any) -> None:
    """Contract: a container instance is its id."""
    action = {
        "at": 60,
        "updateContainerInstancesState": {"containerInstances": [1, "2"], "status": "DRAINING"},
    }
    group = {"at": 0, "setDesiredCapacity": {"AutoScalingGroupName": "general", "desiredCapacity": 3}}
    found = read(write, actions=[action, group]).actions
    assert found[0].input == {"containerInstances": [1, 2], "status": "DRAINING"}
    assert found[1].input == {"autoScalingGroupName": "general", "desiredCapacity": 3}


def test_daily_load_peaks_at_its_hour_whatever_the_start(write: Any) -> None:
    """A cosine between low and high, constant within each minute of the UTC clock."""
    load = {"requestsPerSecond": {"daily": {"low": 50, "high": 400, "peak": "14:00"}}}
    found = (
        read(write, services=service(load=load), start="2026-06-01T06:30:30Z", warmUp="30m").services[0].load
    )
    assert found is not None
    series = found.series
    assert series.period_ms == 86_400_000
    assert series.times_ms[:3].tolist() == [0, 30_000, 90_000]
    peak = series.times_ms[int(np.argmax(series.rates))]
    assert abs(peak - 28_770_000) <= 60_000  # 7:59:30 from 6:00:30, the first instant, to 14:00
    assert series.rates.max() == pytest.approx(400, rel=1e-5)
    assert series.rates.mean() == pytest.approx(225, rel=1e-3)  # one minute is in two parts


def test_a_request_trace_becomes_a_repeating_rate(write: Any, tmp_path: Path) -> None:
    """Counts per interval times scale: 30 in 60 s at scale 4 is 2 per second; warm-up sees the end of it."""
    (tmp_path / "shop.csv").write_text("requests\n30\n60\n90\n")
    load = {"requestsPerSecond": {"trace": "shop.csv", "column": "requests", "interval": "60s", "scale": 4}}
    scenario = read(write, services=service(load=load), warmUp="60s")
    found = scenario.services[0].load
    assert found is not None
    assert found.series.rates.tolist() == [6, 2, 4]
    assert found.series.times_ms.tolist() == [0, 60_000, 120_000]
    assert found.series.period_ms == 180_000
    assert [each.path for each in scenario.inputs] == ["small.yaml", "shop.csv"]


def test_a_queue_has_messages(write: Any) -> None:
    load = {"messagesPerSecond": 5, "processingTime": "2s", "concurrencyPerTask": 4}
    found = read(write, services=service(load=load)).services[0].load
    assert found is not None
    assert (found.kind, found.processing_time_ms, found.concurrency_per_task) == ("messages", 2_000, 4)


def test_policies_in_either_case(write: Any) -> None:
    tracking = {
        "PolicyName": "cpu",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": 60,
            "ScaleInCooldown": 60,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "ECSServiceAverageCPUUtilizationHighResolution"
            },
        },
    }
    step = {
        "policyName": "step",
        "policyType": "StepScaling",
        "stepScalingPolicyConfiguration": {
            "adjustmentType": "ChangeInCapacity",
            "stepAdjustments": [
                {"metricIntervalLowerBound": 0, "metricIntervalUpperBound": 10, "scalingAdjustment": 1},
                {"metricIntervalLowerBound": 10, "scalingAdjustment": 2},
            ],
        },
    }
    action = {
        "scheduledActionName": "night",
        "schedule": "cron(0 22 * * ? *)",
        "scalableTargetAction": {"minCapacity": 1},
    }
    scaling = {"minCapacity": 2, "maxCapacity": 9, "policies": [tracking, step], "scheduledActions": [action]}
    found = read(write, services=service(autoScaling=scaling)).services[0].auto_scaling
    assert found is not None
    cpu, steps = found.policies
    assert isinstance(cpu, TargetTracking)
    assert (cpu.metric, cpu.scale_in_cooldown_ms) == ("ECSServiceAverageCPUUtilization", 60_000)
    assert found.metric_resolution_ms == 20_000
    assert isinstance(steps, StepScaling)
    assert steps.steps == ((0.0, 10.0, 1), (10.0, None, 2))
    assert (found.scheduled[0].min_capacity, found.scheduled[0].max_capacity) == (1, None)


def test_run_tasks_set_their_time_in_one_of_four_ways(write: Any, tmp_path: Path) -> None:
    """Instants count from `start`, whatever the warm-up before it."""
    (tmp_path / "jobs.csv").write_text("submit_s,duration_s,vcpu,memory_mib\n5,1,1,100\n")
    entries = [
        {"name": "once", "taskDefinition": "web"},
        {"name": "later", "taskDefinition": "web", "at": "2h"},
        {"name": "dated", "taskDefinition": "web", "at": "2026-01-01T01:00:00Z"},
        {"name": "daily", "taskDefinition": "web", "schedule": "cron(0 3 * * ? *)", "group": "g"},
        {"name": "poisson", "taskDefinition": "web", "arrivals": {"ratePerHour": 40}, "duration": "5m"},
        {"name": "replay", "trace": "jobs.csv"},
    ]
    found = read(write, runTasks=entries, warmUp="1h").run_tasks
    assert [each.at_ms for each in found] == [0, 2 * 3_600_000, 3_600_000, None, None, None]
    assert [each.group for each in found][3:5] == ["g", "poisson"]
    assert found[4].arrivals_per_hour == 40
    assert found[5].trace is not None
    assert found[5].trace.submit_ms.tolist() == [5_000]


def test_fargate_prices_are_those_that_are_used(write: Any) -> None:
    entry = {"name": "job", "taskDefinition": "job", "launchType": "FARGATE"}
    scenario = read(write, taskDefinitions=[*SMALL["taskDefinitions"], FARGATE_TASK], runTasks=[entry])
    assert [(each.arch, each.spot, each.vcpu_usd_per_hour) for each in scenario.pricing.fargate] == [
        ("x86_64", False, 0.04048)
    ]


def test_subnets_give_zones(write: Any) -> None:
    subnets = [{"subnetId": "subnet-1", "availabilityZone": "us-east-1b"}]
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    found = read(write, subnets=subnets, services=service(networkConfiguration=network))
    assert found.services[0].zones == ("us-east-1b",)


def test_keys_beside_an_included_file_take_precedence(write: Any, tmp_path: Path) -> None:
    """A describe call's answer, with a read-only field and a null."""
    answer = {
        "taskDefinition": {**FARGATE_TASK, "taskDefinitionArn": "x", "status": "ACTIVE", "taskRoleArn": None}
    }
    (tmp_path / "job.json").write_text(json.dumps(answer))
    definitions = [
        *SMALL["taskDefinitions"],
        {"file": "job.json", "memory": "2048", "behavior": {"readyTime": 4}},
    ]
    scenario = read(write, taskDefinitions=definitions)
    assert scenario.task_definitions[1].memory_mib == 2048
    assert scenario.task_definitions[1].behavior == {"readyTime": 4}
    assert scenario.resolved["taskDefinitions"][1]["family"] == "job"
    assert [each.path for each in scenario.inputs] == ["small.yaml", "job.json"]


def test_overrides_reach_included_blocks_and_change_the_digest(write: Any, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps(FARGATE_TASK))
    path = write({**SMALL, "taskDefinitions": [*SMALL["taskDefinitions"], {"file": "job.json"}]})
    plain = read_scenario(path)
    changed = read_scenario(path, ['taskDefinitions.job.cpu="256"', "services.web.desiredCount=8"], seed=5)
    assert changed.task_definitions[1].cpu == 256
    assert (changed.services[0].desired_count, changed.seed) == (8, 5)
    assert changed.digest != plain.digest
    assert read_scenario(path).digest == plain.digest


def test_the_resolved_scenario_makes_the_same_run(write: Any, tmp_path: Path) -> None:
    """Contract, principle 6: manifest and inputs suffice."""
    (tmp_path / "job.json").write_text(json.dumps(FARGATE_TASK))
    first = read_scenario(
        write({**SMALL, "taskDefinitions": [*SMALL["taskDefinitions"], {"file": "job.json"}]})
    )
    second = read_scenario(write(first.resolved, "again.json"), seed=0)
    # Nothing is assumed where the resolved scenario says it all.
    apart = {"inputs", "digest", "assumptions"}
    left, right = first.model_dump(exclude=apart), second.model_dump(exclude=apart)
    assert left == right


def test_features_that_are_not_simulated_warn_once_with_their_place(write: Any) -> None:
    text = """\
taskDefinitions: [{family: web, containerDefinitions: [{name: app, image: x, memory: 64}]}]
services:
  - serviceName: a
    taskDefinition: web
    serviceConnectConfiguration: &sc {enabled: true}
  - {serviceName: b, taskDefinition: web, serviceConnectConfiguration: *sc}
"""
    (warning,) = read_scenario(write(text)).warnings
    assert ":".join(warning.split(":")[1:3]) == "5:39"
    assert "not simulated yet" in warning


def test_two_scenarios_of_one_name_are_refused(write: Any) -> None:
    first, second = (
        read_scenario(write(SMALL, "a.yaml")),
        read_scenario(write({**SMALL, "name": "A"}, "b.yaml")),
    )
    check_unique_names([first])
    with pytest.raises(ScenarioError, match=r"b.yaml:1:1: name: two scenarios are named A; a.yaml"):
        check_unique_names([first, second])


def test_the_schema_describes_our_keys_and_the_main_fields_of_blocks() -> None:
    schema = json_schema()
    json.dumps(schema)
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["additionalProperties"] is False
    fields = schema["properties"]["services"]["items"]["properties"]
    assert {"serviceName", "capacityProviderStrategy", "autoScaling", "load"} <= set(fields)
    assert fields["load"] == {"$ref": "#/$defs/WrittenLoad"}
    assert "readyTime" in schema["$defs"]["WrittenBehavior"]["properties"]


def test_a_thousand_services_are_read_in_linear_time(write: Any) -> None:
    """The work beside YAML: no check may look at all services for each of them."""
    import time

    def seconds(count: int) -> float:
        services = [{**SMALL["services"][0], "serviceName": f"s{index}"} for index in range(count)]
        path = write({**SMALL, "services": services})
        begin = time.process_time()
        assert len(read_scenario(path).services) == count
        return time.process_time() - begin

    seconds(10)
    assert seconds(800) < 8 * max(seconds(200), 0.1)
