"""Laws of bad input: every problem, each with its place and what would be right, and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clustersim.errors import ScenarioError
from clustersim.scenario.reader import read_scenario

HEAD = """\
capacityProviders:
  - name: general
    autoScalingGroupProvider: {autoScalingGroup: {instanceTypes: [m6i.large], minSize: 0, maxSize: 4}}
taskDefinitions:
  - family: web
    containerDefinitions: [{name: app, image: x, memory: 64, portMappings: [{containerPort: 80}]}]
  - family: job
    networkMode: awsvpc
    requiresCompatibilities: [FARGATE]
    cpu: "256"
    memory: "512"
    containerDefinitions: [{name: app, image: x}]
"""
SERVICE = "services: [{serviceName: web, taskDefinition: web}]\n"


def read_problems(tmp_path: Path, text: str, overrides: tuple[str, ...] = ()) -> list[str]:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read_scenario(path, overrides)
    assert caught.value.problems
    return [line.replace(str(tmp_path) + "/", "") for line in caught.value.problems]


def test_all_problems_come_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Contract, principle 5."""
    text = (
        "duration: 5 fortnights\nseed: true\n"
        + HEAD
        + "services: [{serviceName: web, taskDefinition: wbe}]\n"
    )
    assert read_problems(tmp_path, text) == [
        "s.yaml:1:1: duration: '5 fortnights' is not a duration; "
        "write it like 90s, 15m, 2h30m, 7d, or plain seconds",
        "s.yaml:2:1: seed: true is not a whole number; write a whole number like 4",
        "s.yaml:15:31: services.web.taskDefinition: no task definition is named wbe; did you mean web?",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("naem: x\n", "s.yaml:13:1: naem: unknown field; did you mean name?"),
        ("name: a/b\n", "name: 'a/b' is not a valid file name"),
        ("name: ..\n", "'..' is not a valid file name"),
        ("name: 2026\n", "name: 2026 is not text; put it in quotes"),
        ("initialState: runing\n", "did you mean running?"),
        ("region: us-east1\n", "is not the name of a region"),
        ("availabilityZones: [eu-west-1a]\n", "eu-west-1a is not a zone of us-east-1"),
        ("availabilityZones: [us-east-1a, us-east-1a]\n", "is listed twice"),
        (
            "cluster: {provisioning: {limit: many}}\n",
            "cluster.provisioning.limit: 'many' is not a whole number",
        ),
        (
            "cluster: {defaultCapacityProviderStrategy: [{capacityProvider: FARGAT}]}\n",
            "did you mean FARGATE?",
        ),
        ("instanceTypes: [{name: rack, vcpus: 2}]\n", "memoryMiB, usdPerHour"),
        (
            "subnets: [{subnetId: s, availabilityZone: us-east-1z}]\n",
            "us-east-1z is not a zone of this scenario",
        ),
        ("sampling: {interval: 0s}\n", "sampling.interval: '0s' is not longer than 0s"),
        ("failures: {spotInterruptions: sometimes}\n", "catalogue, none or"),
        ("failures: {zoneOutages: [{availabilityZone: x, at: 1d, duration: 1h}]}\n", "x is not a zone"),
        ("pricing: {fargateSpotFactor: 33}\n", "write 0.33 for 33 %"),
        (
            "roles: [{roleName: a, policies: [{file: nope.json}]}]\n",
            "nope.json:1:1: roles.a.policies[0].file: no such",
        ),
        ("targetGroups: [{name: t, deregistrationDelay: 5x}]\n", "'5x' is not a duration"),
        ("services: 5\n", "services: 5 is not a list"),
        ("services: [3]\n", "services[0]: 3 is not a mapping"),
        ("actions: [{updateService: {service: web}}]\n", "actions[0]: at is missing"),
        ("actions: [{at: 1d}]\n", "names no operation"),
        ("actions: [{at: 1d, updateServic: {}}]\n", "no such operation; did you mean updateService?"),
        (
            "actions: [{at: 1d, updateService: {service: wbe}}]\n",
            "no service is named wbe; did you mean web?",
        ),
        ("actions: [{at: 1d, updateService: {service: web}, runTask: {}}]\n", "names 2 operations"),
        ("runTasks: [{name: a, taskDefinition: web, at: 1h, schedule: rate(1 hour)}]\n", "both set the time"),
        ("runTasks: [{name: a, taskDefinition: web, schedule: rate(1 hours)}]\n", "write rate(1 hour)"),
        ("runTasks: [{name: a}]\n", "runTasks.a: taskDefinition is missing"),
        ("runTasks: [{name: a, trace: nope.csv}]\n", "nope.csv:1:1: runTasks.a.trace: no such file"),
        ("runTasks: [{taskDefinition: web}]\n", "runTasks[0].name: is missing; add name"),
        ("runTasks: [{name: a, taskDefinition: web, count: true}]\n", "not a whole number"),
        ("runTasks: [{name: a, taskDefinition: web, retries: -1}]\n", "-1 is negative"),
        ("taskDefinitions: [{file: s.yaml}]\n", "the scenario includes itself"),
        ("taskDefinitions: [{file: nope.json}]\n", "nope.json:1:1: taskDefinitions[0].file: no such file"),
    ],
)
def test_an_invalid_section_is_reported(tmp_path: Path, text: str, expected: str) -> None:
    """Each mistake is named where it stands, with what would be right."""
    head = HEAD if not text.startswith("taskDefinitions") else ""
    found = read_problems(tmp_path, head + text + ("" if text.startswith("services") else SERVICE))
    assert any(expected in line for line in found), found


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("desiredCount: -1", "desiredCount: -1 is out of range"),
        ("desiredCount: '2'", "a whole number without quotes: 2"),
        ("desierdCount: 2", "unknown field; did you mean desiredCount?"),
        ("launchType: FARGAT", "launch type should be one of [EC2,FARGATE]"),
        ("launchType: EC2, capacityProviderStrategy: [{capacityProvider: general}]", "exclude each other"),
        ("capacityProviderStrategy: [{capacityProvider: generl}]", "did you mean general?"),
        ("capacityProviderStrategy: [{capacityProvider: general, weight: 0}]", "weight 0"),
        ("placementStrategy: [{type: spread, field: zone}]", "cannot spread by zone"),
        (
            "placementConstraints: [{type: memberOf, expression: 'attribute:a = b'}]",
            "cannot be read at character 13",
        ),
        (
            "deploymentConfiguration: {minimumHealthyPercent: 90, maximumPercent: 80}",
            "90 is above maximumPercent 80",
        ),
        ("loadBalancers: [{targetGroupArn: t, containerName: ap, containerPort: 80}]", "did you mean app?"),
        ("loadBalancers: [{targetGroupArn: t, containerName: app, containerPort: 81}]", "its ports are 80"),
        ("autoScaling: {minCapacity: 5, maxCapacity: 1}", "5 is above maxCapacity 1"),
        ("autoScaling: {minCapacity: 5}", "minCapacity and maxCapacity are both needed"),
        ("autoScaling: [1]", "services.web.autoScaling"),
        ("load: {requestsPerSecond: -1}", "-1 is negative"),
        ("load: {requestsPerSecond: {daily: {low: 5, high: 1}}}", "low 5 is above high 1"),
        ("load: {requestsPerSecond: {daily: {low: 5, high: 9, peak: 14}}}", "write it in quotes"),
        ("load: {requestsPerSecond: {growth: 5%}}", "is not a rate"),
        ("load: {requestsPerSecond: {constant: 5, growth: much}}", "'much' is not a number"),
        ("load: {requestsPerSecond: {constant: 5, growth: m%}}", "'m%' is not a growth; write it like 5%"),
        ("load: {requestsPerSecond: {constant: 5, growth: -100%}}", "a month is out of range"),
        ("load: {requestsPerSecond: {constant: 5, scale: 2}}", "scale is of a trace; add trace: FILE.csv"),
        ("load: {requestsPerSecond: {constant: 5, burstiness: 17}}", "burstiness 17 is out of range"),
        ("load: {requestsPerSecond: {weekly: {tuesdy: 5}}}", "'tuesdy' is not a day; did you mean tuesday?"),
        ("load: {requestsPerSecond: {weekly: {monday: [1, 2]}}}", "monday has 2 rates"),
        ("load: {requestsPerSecond: {weekly: {weekdays: 1, friday: 2}}}", "friday has rates twice"),
        ("load: {requestsPerSecond: {weekly: 5}}", "5 is not a week"),
        ("load: {requestsPerSecond: {constant: 5, spikes: [{at: 1h, factor: 2}]}}", "add for"),
        (
            "load: {messagesPerSecond: {constant: 1, burstiness: 4}, processingTime: 1s}",
            "burstiness applies to requests, not to messages",
        ),
        (
            "load: {requestsPerSecond: {trace: nope.csv}}",
            "nope.csv:1:1: services.web.load.requestsPerSecond.trace",
        ),
        ("load: {requestsPerSecond: 1, messagesPerSecond: 1}", "needs one of"),
        ("load: {messagesPerSecond: 1}", "processingTime above 0"),
        ("load: {cpuTimePerRequest: 25ms}", "needs one of requestsPerSecond"),
        ("behavior: {startFailureProbability: 50}", "write 0.5 for 50 %"),
        ("behavior: {timeToFailure: {distribution: expo, mean: 3}}", "is not a distribution"),
    ],
)
def test_an_invalid_field_of_a_service_is_reported(tmp_path: Path, fields: str, expected: str) -> None:
    text = HEAD + f"services: [{{serviceName: web, taskDefinition: web, {fields}}}]\n"
    found = read_problems(tmp_path, text)
    assert any(expected in line for line in found), found


def test_an_unlisted_subnet_is_reported(tmp_path: Path) -> None:
    text = HEAD + (
        "subnets: [{subnetId: subnet-1, availabilityZone: us-east-1a}]\n"
        "services: [{serviceName: web, taskDefinition: web,"
        " networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-9]}}}]\n"
    )
    assert "no subnet is named subnet-9; did you mean subnet-1?" in read_problems(tmp_path, text)[0]


@pytest.mark.golden(43)
def test_strategies_that_ecs_refuses(tmp_path: Path) -> None:
    """Several providers of weight 0; two with a base."""
    second = HEAD.replace("name: general", "name: second").partition("taskDefinitions")[0].partition("\n")[2]
    head = HEAD.replace("taskDefinitions:", second + "taskDefinitions:")
    for items, expected in [
        ("{capacityProvider: general}, {capacityProvider: second}", "every provider has weight 0"),
        (
            "{capacityProvider: general, weight: 1, base: 1}, {capacityProvider: second, weight: 1, base: 1}",
            "more than one provider has a base",
        ),
    ]:
        service = (
            f"services: [{{serviceName: web, taskDefinition: web, capacityProviderStrategy: [{items}]}}]\n"
        )
        assert any(expected in line for line in read_problems(tmp_path, head + service))


@pytest.mark.golden(44)
def test_strategies_do_not_mix_fargate_and_groups(tmp_path: Path) -> None:
    items = "{capacityProvider: general, weight: 1}, {capacityProvider: FARGATE, weight: 1}"
    service = f"services: [{{serviceName: web, taskDefinition: web, capacityProviderStrategy: [{items}]}}]\n"
    assert any("mixed" in line for line in read_problems(tmp_path, HEAD + service))


@pytest.mark.golden(66)
def test_fargate_sizes_are_refused_in_the_words_of_ecs(tmp_path: Path) -> None:
    text = HEAD.replace('memory: "512"', 'memory: "4096"') + SERVICE
    assert (
        "No Fargate configuration exists for given values: 256 CPU, 4096 memory."
        in read_problems(tmp_path, text)[0]
    )


def test_a_task_definition_must_support_the_launch_type(tmp_path: Path) -> None:
    """ECS: CreateService compares requiresCompatibilities and network mode."""
    for service, expected in [
        ("taskDefinition: job", "Task definition does not support launch_type EC2."),
        ("taskDefinition: web, launchType: FARGATE", "Fargate only supports network mode ‘awsvpc’"),
    ]:
        text = HEAD + f"services: [{{serviceName: web, {service}}}]\n"
        assert any(expected in line for line in read_problems(tmp_path, text))


def test_duplicate_names_are_refused(tmp_path: Path) -> None:
    text = (
        HEAD
        + "services: [{serviceName: web, taskDefinition: web}, {serviceName: web, taskDefinition: web}]\n"
    )
    assert "a second service is named web" in read_problems(tmp_path, text)[0]


def test_a_scenario_without_tasks_is_refused(tmp_path: Path) -> None:
    assert "nothing runs; add services or runTasks" in read_problems(tmp_path, HEAD)[0]
    assert "is not a mapping" in read_problems(tmp_path, "- 1\n")[0]


def test_problems_of_included_files_are_located_in_those_files(tmp_path: Path) -> None:
    """The place is where the mistake is to be mended."""
    block = '{\n  "family": "x",\n  "networkMode": "bridgee",\n  "containerDefinitions": []\n}\n'
    (tmp_path / "x.json").write_text(block)
    text = HEAD + "  - file: x.json\n    memory: lots\n" + SERVICE
    found = read_problems(tmp_path, text)
    assert found[0].startswith('x.json:3:3: taskDefinitions."x:1".networkMode: ')
    assert any(line.startswith('s.yaml:14:5: taskDefinitions."x:1".memory: ') for line in found)


def test_problems_of_overrides_name_the_override(tmp_path: Path) -> None:
    found = read_problems(
        tmp_path,
        HEAD + SERVICE,
        (
            "services.web.desiredCuont=8",
            "services.wbe.desiredCount=1",
            "duration=soon",
            "taskDefinitions.0.file=x",
        ),
    )
    assert found == [
        "--set duration: 'soon' is not a duration; write it like 90s, 15m, 2h30m, 7d, or plain seconds",
        "--set services.wbe.desiredCount: there is no item named wbe; did you mean web?",
        "--set services.web.desiredCuont: unknown field; did you mean desiredCount?",
        "--set taskDefinitions.0.file: files are included before overrides are applied; override the fields themselves",
    ]


VALID: dict[str, Any] = {
    "capacityProviders": [
        {
            "name": "general",
            "autoScalingGroupProvider": {
                "autoScalingGroup": {
                    "instanceTypes": ["m6i.large"],
                    "minSize": 0,
                    "maxSize": 4,
                    "ecsConfig": {"ECS_IMAGE_PULL_BEHAVIOR": "once", "ECS_IMAGE_CLEANUP_INTERVAL": "30m"},
                    "preloadedImages": ["x"],
                },
                "managedScaling": {"status": "ENABLED"},
            },
        }
    ],
    "taskDefinitions": [
        {
            "family": "web",
            "taskRoleArn": "r",
            "containerDefinitions": [
                {
                    "name": "app",
                    "image": "x",
                    "memory": 64,
                    "healthCheck": {},
                    "secrets": [{"name": "a", "valueFrom": "b"}],
                    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"}},
                }
            ],
            "behavior": {"calls": [{"action": "s3:GetObject", "resource": "*", "when": "start"}]},
        }
    ],
    "services": [
        {
            "serviceName": "web",
            "taskDefinition": "web",
            "capacityProviderStrategy": [{"capacityProvider": "general", "weight": 1}],
            "placementStrategy": [{"type": "binpack", "field": "cpu"}],
            "loadBalancers": [{"targetGroupArn": "web", "containerName": "app", "containerPort": 80}],
            "autoScaling": {"minCapacity": 1, "maxCapacity": 2, "policies": [], "scheduledActions": []},
            "load": {"requestsPerSecond": {"daily": {"low": 1, "high": 2, "peak": "14:00"}}},
            "behavior": {"startupTime": {"distribution": "lognormal", "median": "8s", "sigma": 0.4}},
        }
    ],
    "runTasks": [{"name": "n", "taskDefinition": "web", "schedule": "rate(1 hour)", "duration": "5m"}],
    "actions": [{"at": "1h", "updateService": {"service": "web", "desiredCount": 2}}],
    "cluster": {"provisioning": {"limit": 5, "timeout": "30m"}, "imagePulls": {"fargate": {"lazyShare": 1}}},
    "images": {
        "x": [
            {"layers": [{"digest": "a", "size": "5 MiB"}], "registry": "corp"},
            {"from": "1h", "missing": True},
        ],
        "y": {"manifest": "y.json", "history": "y.jsonl"},
    },
    "registries": [
        {"name": "corp", "bandwidth": "1 Gbps", "layerRequests": {"limit": 5, "per": "1s"}, "outages": []}
    ],
    "roles": [
        {
            "roleName": "r",
            "policies": [{"Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}]}],
            "managedPolicyArns": ["arn:aws:iam::aws:policy/AmazonS3FullAccess"],
        }
    ],
    "subnets": [{"subnetId": "s", "availabilityZone": "us-east-1a", "cidrBlock": "10.0.0.0/20"}],
    "failures": {"containerInstances": {"timeToFailure": "30d"}, "zoneOutages": []},
}
REMOVED = "\0gone"  # stands for taking the place away
ARBITRARY_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.just(10**30),
    st.text(max_size=4),
    st.just([]),
    st.just({}),
    st.just([1]),
    st.just({"a": 1}),
    st.just([[]]),
    st.just([{}]),
    st.just(REMOVED),
)


def list_paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, child in children for place in list_paths(child, (*path, key)))]


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(list_paths(VALID)), junk=ARBITRARY_VALUES)
def test_arbitrary_values_are_read_or_refused_without_a_traceback(
    tmp_path: Path, place: tuple[Any, ...], junk: Any
) -> None:
    """Whatever stands wherever in a file, the answer is a scenario or a list of problems."""
    document = json.loads(json.dumps(VALID))
    node = document
    for key in place[:-1]:
        node = node[key]
    if not place:
        document = None if junk == REMOVED else junk
    elif junk == REMOVED:
        del node[place[-1]]
    else:
        node[place[-1]] = junk
    path = tmp_path / "junk.yaml"
    path.write_text(json.dumps(document))
    try:
        read_scenario(path)
    except ScenarioError as error:
        assert all(":" in line for line in error.problems)
