"""Roles, registries, subnets and the agent's settings as a file writes them, and what is wrong with them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from clustersim.errors import ScenarioError
from clustersim.policy.images.image_pulls import PREFER_CACHED
from clustersim.policy.tasks.iam_evaluation import Call, PolicyDecision, evaluate_calls, evaluate_policies
from clustersim.policy.tasks.startup_authorization import ACCESS_CHECKS, first_denial
from clustersim.policy.tasks.subnet_addresses import UNLIMITED
from clustersim.scenario.reader import json_schema, read_scenario
from clustersim.scenario.sections.scenario import Registry, Scenario

ALLOW = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
POLICY = {"Version": "2012-10-17", "Statement": [ALLOW]}
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf"
EXECUTION_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"


def scenario(
    container: dict[str, Any] | None = None, task: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """One Fargate service of one container; `more` are sections and keys of the service's `behavior`."""
    behavior = more.pop("behavior", {})
    definition = {
        "family": "web",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "containerDefinitions": [{"name": "app", "image": "web", **(container or {})}],
        **(task or {}),
    }
    service = {"serviceName": "web", "taskDefinition": "web", "launchType": "FARGATE", "behavior": behavior}
    service |= more.pop("service", {})
    return {"taskDefinitions": [definition], "services": [service], **more}


def group(**own: Any) -> list[dict[str, Any]]:
    sizes = {"autoScalingGroupName": "g", "instanceTypes": ["m6i.large"], "minSize": 0, "maxSize": 1}
    return [{**sizes, **own}]


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def reader(written: dict[str, Any]) -> Scenario:
        path = tmp_path / "s.yaml"
        path.write_text(json.dumps(written))
        return read_scenario(path)

    return reader


def read_problems(read: Any, written: dict[str, Any]) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        read(written)
    return [line.rpartition("/s.yaml")[2] for line in caught.value.problems]


# --- roles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [
        POLICY,
        {"policyName": "s3", "policyDocument": POLICY},
        {"PolicyName": "s3", "PolicyDocument": {"Statement": ALLOW}},
        {"policyArn": "arn:aws:iam::aws:policy/AmazonS3FullAccess"},
        {"file": "policy.json"},
        {"file": "get-role-policy.json"},
        {"file": "get-policy-version.json"},
    ],
)
def test_policies_in_every_form(read: Any, tmp_path: Path, policy: Any) -> None:
    """A document, IAM's PutRolePolicy, an ARN that AWS manages, files of documents and of the AWS CLI's answers."""
    (tmp_path / "policy.json").write_text(json.dumps(POLICY))
    answer = {"RoleName": "shop", "PolicyName": "s3", "PolicyDocument": POLICY}
    (tmp_path / "get-role-policy.json").write_text(json.dumps(answer))
    version = {"PolicyVersion": {"Document": POLICY, "VersionId": "v1", "IsDefaultVersion": True}}
    (tmp_path / "get-policy-version.json").write_text(json.dumps(version))
    found = read(scenario(roles=[{"roleName": "shop", "policies": [policy]}]))
    statements = found.roles.statements("shop")
    assert statements is not None
    assert evaluate_policies(statements, "s3:GetObject", "arn:aws:s3:::a/b") is PolicyDecision.ALLOWED
    assert evaluate_policies(statements, "sqs:SendMessage", "*") is PolicyDecision.NOT_ALLOWED
    assert [each.path for each in found.inputs] == ["s.yaml", *([policy["file"]] if "file" in policy else [])]


def test_an_unlisted_role_may_do_everything_and_is_warned_of(read: Any) -> None:
    task = {"taskRoleArn": "arn:aws:iam::111122223333:role/shpo", "executionRoleArn": "exec"}
    roles = [{"roleName": "shop"}, {"roleName": "exec", "managedPolicyArns": [EXECUTION_POLICY]}]
    found = read(scenario(task=task, roles=roles))
    assert found.roles.statements("shpo") is None
    assert found.task_definitions[0].access.task_role == "shpo"
    (warned,) = (line for line in found.warnings if "not listed" in line)
    assert warned.endswith("role shpo is not listed, so it may do everything; did you mean shop?")
    assert not any("not listed" in line for line in read(scenario(task=task)).warnings)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (
            {"Statement": {**ALLOW, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}},
            "Condition: conditions are",
        ),
        (
            {"Statement": [{**ALLOW, "Efect": "Allow"}]},
            "Statement[0].Efect: unknown element; did you mean Effect?",
        ),
        ({"Statement": {**ALLOW, "Effect": "allow"}}, "Effect: 'allow' is not an effect; Allow or Deny"),
        (
            {"Statement": {"Effect": "Allow", "Resource": "*"}},
            "Statement: has no Action; either Action or NotAction",
        ),
        ({"Statement": {**ALLOW, "NotAction": "*"}}, "has both Action and NotAction"),
        ({"Statement": {"Effect": "Allow", "Action": "*"}}, "has no Resource"),
        (
            {"Statement": {**ALLOW, "Action": ["s3:Get", "GetObject"]}},
            "Action[1]: 'GetObject' is not an action; like s3",
        ),
        ({"Statement": {**ALLOW, "Resource": "my-bucket"}}, "Resource: 'my-bucket' is not an ARN"),
        ({"Statement": {**ALLOW, "Principal": "*"}}, "Principal: a role's policy has no principal"),
        ({"Statement": {**ALLOW, "Action": 5}}, "Action: is not text"),
        ({"Statement": 5}, "Statement: is not a statement"),
        ({"Version": "2012", "Statement": ALLOW}, "Version: '2012' is not a version; \"2012-10-17\""),
        ({"Version": "2012-10-17"}, "is not a policy; a JSON document with a Statement"),
        (
            {"Version": "2012-10-17", "Statement": {**ALLOW, "Resource": "arn:aws:s3:::${aws:username}/*"}},
            "the policy variable ${aws:username} is not simulated",
        ),
        (
            {"policyArn": "arn:aws:iam::aws:policy/AmazonS3FullAcces"},
            "did you mean arn:aws:iam::aws:policy/AmazonS3Full",
        ),
        ({"policyArn": "arn:aws:iam::111122223333:policy/own"}, "is not known here; give its document"),
        ({"file": "nope.json"}, "no such file"),
        ({"file": 5}, "5 is not a path"),
    ],
)
def test_an_invalid_policy_is_reported(read: Any, tmp_path: Path, policy: Any, expected: str) -> None:
    """In the scenario and in a file alike, at its place there."""
    found = read_problems(read, scenario(roles=[{"roleName": "shop", "policies": [policy]}]))
    assert any(expected in line for line in found), found
    if "Statement" in policy:
        (tmp_path / "bad.json").write_text(json.dumps(policy))
        with pytest.raises(ScenarioError) as caught:
            read(scenario(roles=[{"roleName": "shop", "policies": [{"file": "bad.json"}]}]))
        assert any("bad.json:1:" in line and expected in line for line in caught.value.problems)


def test_variables_are_plain_text_in_the_old_version(read: Any) -> None:
    """IAM: policy variables are of version 2012-10-17; ${*} is an escaped wildcard there."""
    old = {"Statement": {**ALLOW, "Resource": "arn:aws:s3:::${aws:username}/x"}}
    statements = read(scenario(roles=[{"roleName": "r", "policies": [old]}])).roles.statements("r")
    assert (
        evaluate_policies(statements, "s3:GetObject", "arn:aws:s3:::${aws:username}/x")
        is PolicyDecision.ALLOWED
    )
    new = {"Version": "2012-10-17", "Statement": {**ALLOW, "Resource": "arn:aws:s3:::a/${*}"}}
    statements = read(scenario(roles=[{"roleName": "r", "policies": [new]}])).roles.statements("r")
    assert evaluate_policies(statements, "s3:GetObject", "arn:aws:s3:::a/*") is PolicyDecision.ALLOWED
    assert evaluate_policies(statements, "s3:GetObject", "arn:aws:s3:::a/long") is PolicyDecision.NOT_ALLOWED


# --- what a task needs -----------------------------------------------------------------------------------


def test_rights_that_the_start_of_a_task_needs(read: Any) -> None:
    """Secrets of both kinds, credentials of a registry, the log stream, and the image in ECR."""
    logs = {
        "logDriver": "awslogs",
        "options": {"awslogs-group": "/ecs/web", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "x"},
        "secretOptions": [{"name": "k", "valueFrom": "plain-parameter"}],
    }
    container = {
        "image": "111122223333.dkr.ecr.us-west-2.amazonaws.com/shop/web:1",
        "secrets": [{"name": "a", "valueFrom": f"{SECRET}:key::"}, {"name": "b", "valueFrom": "/shop/db"}],
        "repositoryCredentials": {"credentialsParameter": SECRET},
        "logConfiguration": logs,
    }
    task = {"taskRoleArn": "arn:aws:iam::111122223333:role/shop", "executionRoleArn": "exec"}
    access = read(scenario(container, task)).task_definitions[0].access
    assert (access.account, access.task_role, access.execution_role) == ("111122223333", "shop", "exec")
    assert [(need.kind, need.resource) for need in access.needs] == [
        ("secret", SECRET),
        ("parameter", "arn:aws:ssm:us-east-1:111122223333:parameter/shop/db"),
        ("parameter", "arn:aws:ssm:us-east-1:111122223333:parameter/plain-parameter"),
        ("registry credentials", SECRET),
        ("log stream", "arn:aws:logs:eu-west-1:111122223333:log-group:/ecs/web:log-stream:x/app/task"),
        ("log lines", "arn:aws:logs:eu-west-1:111122223333:log-group:/ecs/web:log-stream:x/app/task"),
        ("registry token", "*"),
        ("image", "arn:aws:ecr:us-west-2:111122223333:repository/shop/web"),
    ]
    assert {need.kind for need in access.needs} <= {check.kind for check in ACCESS_CHECKS}


def test_an_image_is_in_ecr_if_it_is_listed_there_or_its_host_says_so(read: Any) -> None:
    """Contract: `images` is in ECR by default. An image that is not listed is not pulled, so no right is needed."""
    kinds = lambda found: [need.kind for need in found.task_definitions[0].access.needs]  # noqa: E731
    assert kinds(read(scenario())) == []
    assert kinds(read(scenario(images={"web": {"size": 1}}))) == ["registry token", "image"]
    assert kinds(read(scenario(images={"web": {"size": 1, "registry": "docker-hub"}}))) == []


def test_a_task_of_a_role_with_the_managed_policy_starts(read: Any) -> None:
    """AmazonECSTaskExecutionRolePolicy is enough for ECR and awslogs, not for secrets."""
    logs = {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-region": "us-east-1"}}
    roles = [{"roleName": "exec", "managedPolicyArns": [EXECUTION_POLICY]}]
    plain = {"logConfiguration": logs}
    secret = {**plain, "secrets": [{"name": "a", "valueFrom": SECRET}]}
    for container, expected in ((plain, None), (secret, "secretsmanager:GetSecretValue")):
        written = scenario(container, {"executionRoleArn": "exec"}, images={"web": {"size": 1}}, roles=roles)
        found = read(written)
        access = found.task_definitions[0].access
        refusal = first_denial(access.needs, True, found.roles.role("exec"), None, access.account)
        assert (refusal and refusal.action) == expected


def test_without_a_name_instances_have_ecss_own_role(read: Any) -> None:
    """Issue: the instance role may pull from ECR by default; an unlisted role may do everything."""
    found = read(scenario(images={"web": {"size": 1}}))
    access = found.task_definitions[0].access
    assert first_denial(access.needs, False, None, found.roles.instance_role(None), access.account) is None
    assert found.roles.instance_role("node").statements is None
    empty = read(scenario(images={"web": {"size": 1}}, roles=[{"roleName": "node"}]))
    refusal = first_denial(access.needs, False, None, empty.roles.instance_role("node"), access.account)
    assert refusal is not None


def test_calls_of_an_application(read: Any) -> None:
    calls = [
        {"action": "s3:GetObject", "resource": "arn:aws:s3:::a/b", "when": "start"},
        {"action": "sqs:SendMessage", "resource": "*", "share": 0.25},
    ]
    found = read(
        scenario(task={"taskRoleArn": "shop"}, behavior={"calls": calls}, roles=[{"roleName": "shop"}])
    )
    made = found.services[0].behavior("web:1").calls
    assert made == (
        Call("s3:GetObject", "arn:aws:s3:::a/b", at_start=True),
        Call("sqs:SendMessage", "*", at_start=False, share=0.25),
    )
    assert evaluate_calls(made, found.roles.statements("shop")) == (made[0], 0.25)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"action": "GetObject", "resource": "*"}, "calls[0].action: 'GetObject' is not an action"),
        ({"action": "s3:Get*", "resource": "*"}, "'s3:Get*' is not an action"),
        ({"action": "s3:GetObject", "resource": "bucket"}, "calls[0].resource: 'bucket' is not a resource"),
        ({"action": "s3:GetObject"}, "calls[0].resource: is missing"),
        ({"action": "s3:GetObject", "resource": "*", "when": "begin"}, "'begin' is not one of its values"),
        (
            {"action": "s3:GetObject", "resource": "*", "when": "start", "share": 1},
            "share applies to requests",
        ),
        ({"action": "s3:GetObject", "resource": "*", "share": 20}, "write 0.2 for 20 %"),
    ],
)
def test_an_invalid_call_is_reported(read: Any, call: Any, expected: str) -> None:
    found = read_problems(read, scenario(behavior={"calls": [call]}))
    assert any(expected in line for line in found), found


# --- registries --------------------------------------------------------------------------------------------


def registry(scenario: Scenario, name: str) -> Registry:
    return next(each for each in scenario.registries if each.name == name)


def test_builtin_registries(read: Any) -> None:
    """Published limits: Docker Hub 100 and 200 in 6 h, ECR Public 1 and 10 a second, ECR by its request quotas."""
    found = read(scenario())
    assert [each.name for each in found.registries] == ["ecr", "ecr-public", "docker-hub"]
    limits = {
        (name, credentials): (limit.limit, limit.per_ms, limit.by)
        for name in ("ecr", "ecr-public", "docker-hub")
        for credentials in (False, True)
        if (limit := registry(found, name).pull_limit(credentials)) is not None
    }
    assert limits == {
        ("ecr", False): (2_000, 1_000, "account"),
        ("ecr", True): (2_000, 1_000, "account"),
        ("ecr-public", False): (10, 1_000, "account"),
        ("ecr-public", True): (10, 1_000, "account"),
        ("docker-hub", False): (100, 21_600_000, "zone"),
        ("docker-hub", True): (200, 21_600_000, "account"),
    }
    anonymous = read(scenario(registries=[{"name": "ecr-public", "authentication": "never"}]))
    limit = registry(anonymous, "ecr-public").pull_limit(True)
    assert limit is not None
    assert (limit.limit, limit.per_ms) == (1, 1_000)


def test_an_entry_changes_only_its_keys(read: Any) -> None:
    entries = [
        {
            "name": "docker-hub",
            "anonymousPulls": {"limit": 5, "per": "1h"},
            "authenticatedPulls": "unlimited",
        },
        {
            "name": "corp",
            "host": "registry.corp.example:5000",
            "private": True,
            "bandwidth": "400 Mbps",
            "totalBandwidth": "1 GB/s",
            "latency": "50ms",
            "timeout": "5s",
            "outages": [{"at": "2h", "duration": "1h"}, {"at": "0s", "duration": "5m"}],
        },
    ]
    images = {"registry.corp.example:5000/web": {"size": 1}, "ghcr.io/a/b": {"size": 1}, "nginx": {"size": 1}}
    images |= {"docker.io/library/redis": {"size": 1}, "public.ecr.aws/a/b": {"size": 1}}
    found = read(scenario(registries=entries, images=images))
    hub, corp = registry(found, "docker-hub"), registry(found, "corp")
    limit = hub.pull_limit(False)
    assert limit is not None
    assert (limit.limit, limit.by, hub.pull_limit(True), hub.bandwidth) == (5, "account", None, 50_000.0)
    assert (corp.bandwidth, corp.total_bandwidth, corp.latency_ms, corp.timeout_ms) == (
        50_000.0,
        1e6,
        50,
        5_000,
    )
    assert corp.outages == ((0, 300_000), (7_200_000, 10_800_000))
    assert corp.private
    names = [found.registries[image.registry].name for image in found.images.images]
    assert names == ["corp", "ghcr.io", "ecr", "docker-hub", "ecr-public"], "by host; without one it is ECR"
    assert math.isinf(registry(found, "ghcr.io").bandwidth)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"name": "hub", "bandwith": 5}, "registries.hub.bandwith: unknown field; did you mean bandwidth?"),
        ({"name": "hub", "bandwidth": "fast"}, "'fast' is not a rate of data; write it like 400 Mbps"),
        ({"name": "hub", "bandwidth": "400"}, "write 400 Mbps"),
        ({"name": "hub", "bandwidth": 0}, "0 is less than a byte per second"),
        ({"name": "hub", "anonymousPulls": 5}, "registries.hub.anonymousPulls: 5 is not a mapping"),
        ({"name": "hub", "anonymousPulls": {"limit": 5}}, "anonymousPulls.per: is missing"),
        ({"name": "hub", "anonymousPulls": {"limit": 5, "per": 1, "by": "zon"}}, "did you mean zone?"),
        (
            {"name": "hub", "outages": [{"at": 0, "duration": 9}, {"at": 5, "duration": 9}]},
            "two outages overlap",
        ),
        ({"host": "x"}, "registries[0].name: is missing"),
    ],
)
def test_an_invalid_registry_is_reported(read: Any, entry: Any, expected: str) -> None:
    found = read_problems(read, scenario(registries=[entry]))
    assert any(expected in line for line in found), found


# --- the agent ------------------------------------------------------------------------------------------------


def test_the_agents_defaults_and_settings(read: Any) -> None:
    """ECS agent README: 30 min, 1 h, 5 images; a file's lines as they stand, numbers and switches as text."""
    plain = read(scenario(autoScalingGroups=group())).groups[0].agent
    assert (plain.pull_behavior, plain.cleanup, plain.cleanup_interval_ms, plain.minimum_age_ms) == (
        0,
        True,
        1_800_000,
        3_600_000,
    )
    assert (plain.images_per_cycle, plain.container_wait_ms, plain.pull_timeout_ms) == (
        5,
        10_800_000,
        7_200_000,
    )
    config = {
        "ECS_CLUSTER": "shop",
        "ECS_IMAGE_PULL_BEHAVIOR": "prefer-cached",
        "ECS_IMAGE_CLEANUP_INTERVAL": "5m",
        "ECS_NUM_IMAGES_DELETE_PER_CYCLE": "10",
        "ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE": "false",
        "ECS_ENGINE_AUTH_DATA": "{}",
        "ECS_RESERVED_MEMORY": "256",
        "ECS_RESERVED_PORTS": "[22, 8080, 22]",
        "ECS_INSTANCE_ATTRIBUTES": '{"disk": "ssd", "spare": true}',
        "ECS_CONTAINER_STOP_TIMEOUT": "90s",
        "ECS_CONTAINER_START_TIMEOUT": "10s",
        "ECS_ENABLE_SPOT_INSTANCE_DRAINING": "true",
        "ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT": "true",
        "ECS_WARM_POOLS_CHECK": "true",
    }
    own = group(
        ecsConfig=config,
        systemDisk="8 GiB",
        instanceRole="node",
        preloadedImages=["shop/wbe", "shop/web:1"],
        attributes={"rack": "r1", "disk": "hdd"},
    )
    found = read(scenario(autoScalingGroups=own, images={"shop/web:1": {"size": 1}, "web": {"size": 1}}))
    agent = found.groups[0].agent
    assert (agent.pull_behavior, agent.cleanup, agent.images_per_cycle) == (PREFER_CACHED, False, 10)
    assert agent.cleanup_interval_ms == 1_800_000, "less than 10 minutes is ignored"
    assert (agent.logs_by_execution_role, agent.registry_credentials, agent.system_disk_gib) == (
        False,
        True,
        8,
    )
    assert (agent.preloaded, found.groups[0].instance_role) == (("shop/wbe:latest", "shop/web:1"), "node")
    assert (agent.reserved_memory_mib, agent.reserved_ports, agent.stop_timeout_ms) == (
        256,
        (22, 8080),
        90_000,
    )
    assert agent.start_timeout_ms == 180_000, "less than 45 s is ignored"
    assert (agent.pulls_upfront, found.groups[0].spot_draining) == (True, True)
    assert found.groups[0].attributes == (("rack", ("r1",)), ("disk", ("ssd",)), ("spare", ("true",)))
    assert next(line for line in found.warnings if "not simulated" in line).endswith(
        "ECS_WARM_POOLS_CHECK: warm pools is not simulated yet; the run goes on without it"
    )
    assert any("preloadedImages[0]: shop/wbe is not listed in images" in line for line in found.warnings)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"ECS_IMAGE_PULL_BEHAVIOUR": "once"}, "unknown field; did you mean ECS_IMAGE_PULL_BEHAVIOR?"),
        (
            {"ECS_IMAGE_PULL_BEHAVIOR": "cached"},
            "'cached' is not one of its values; did you mean prefer-cached?",
        ),
        ({"ECS_RESERVED_PORTS": "22, 8080"}, "'22, 8080' is not JSON"),
        ({"ECS_RESERVED_PORTS": [70_000]}, "70000 is not a port"),
        ({"ECS_INSTANCE_ATTRIBUTES": "[1]"}, "'[1]' is not a mapping of attributes"),
        ({"ECS_DISABLE_IMAGE_CLEANUP": "no"}, "'no' is not true or false"),
        ({"ECS_IMAGE_CLEANUP_INTERVAL": "soon"}, "'soon' is not a duration"),
        ({"ECS_NUM_IMAGES_DELETE_PER_CYCLE": "few"}, "'few' is not a whole number"),
    ],
)
def test_invalid_agent_settings_are_reported(read: Any, config: Any, expected: str) -> None:
    found = read_problems(read, scenario(autoScalingGroups=group(ecsConfig=config)))
    assert any("autoScalingGroups.g.ecsConfig" in line and expected in line for line in found), found


# --- subnets -------------------------------------------------------------------------------------------------


def test_addresses_of_a_subnets_block(read: Any) -> None:
    subnets = [
        {"subnetId": "a", "availabilityZone": "us-east-1a", "cidrBlock": "10.0.0.0/28"},
        {"subnetId": "b", "availabilityZone": "us-east-1b"},
    ]
    network = {"awsvpcConfiguration": {"subnets": ["a"], "assignPublicIp": "ENABLED"}}
    own = group(VPCZoneIdentifier="arn:aws:ec2:us-east-1:1:subnet/a, b")
    written = scenario(subnets=subnets, service={"networkConfiguration": network}, autoScalingGroups=own)
    found = read(written)
    assert [(subnet.name, subnet.zone, subnet.addresses) for subnet in found.subnets] == [
        ("a", "us-east-1a", 11),
        ("b", "us-east-1b", UNLIMITED),
    ]
    assert (found.services[0].subnets, found.services[0].public_address) == (("a",), True)
    assert (found.groups[0].subnets, found.groups[0].zones) == (("a", "b"), ("us-east-1a", "us-east-1b"))


def test_without_subnets_each_zone_has_an_unlimited_one(read: Any) -> None:
    """Contract, section 3: subnets."""
    found = read(scenario())
    assert [(subnet.zone, subnet.addresses) for subnet in found.subnets] == [
        (zone, UNLIMITED) for zone in found.zones
    ]
    assert found.services[0].subnets == ()


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        (["10.0.0.0/15"], "subnets.s0.cidrBlock: a subnet cannot have the size /15; /16 to /28"),
        (["10.0.0.0/29"], "a subnet cannot have the size /29"),
        (["10.0.0.5/24"], "10.0.0.5/24 is not the first address of a block; 10.0.0.0/24"),
        (["10.0.0.0"], "10.0.0.0 is not the first address of a block"),
        (["ten"], "'ten' is not a CIDR block; like 10.0.0.0/20"),
        (["10.0.0.0/33"], "is not a CIDR block"),
        (["10.0.0.0/16", "10.0.128.0/20"], "subnets.s1.cidrBlock: 10.0.128.0/20 overlaps with s0"),
    ],
)
def test_an_invalid_cidr_block_is_reported(read: Any, blocks: list[str], expected: str) -> None:
    subnets = [
        {"subnetId": f"s{n}", "availabilityZone": "us-east-1a", "cidrBlock": block}
        for n, block in enumerate(blocks)
    ]
    found = read_problems(read, scenario(subnets=subnets))
    assert any(expected in line for line in found), found


# --- the schema ----------------------------------------------------------------------------------------------


def test_the_schema_describes_images_registries_and_roles() -> None:
    schema = json_schema()
    image = schema["properties"]["images"]["additionalProperties"]["anyOf"]
    assert image[0] == {"$ref": "#/$defs/WrittenImage"}
    assert {"from", "layers", "manifest", "history", "readWriteLayer"} <= set(
        schema["$defs"]["WrittenImage"]["properties"]
    )
    assert "ECS_IMAGE_PULL_BEHAVIOR" in schema["$defs"]["WrittenEcsConfig"]["properties"]
    assert "anonymousPulls" in schema["$defs"]["WrittenRegistry"]["properties"]
    assert {"policies", "managedPolicyArns"} <= set(schema["$defs"]["WrittenRole"]["properties"])
    references = {part.split('"')[0] for part in json.dumps(schema).split('"#/$defs/')[1:]}
    assert references <= set(schema["$defs"]), "every reference leads somewhere"
