"""Tests of the validation of AWS blocks: valid blocks are accepted in any case, problems use the user's spelling."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.scenario.aws import api_rules as aws_rules
from clustersim.scenario.aws import block_validation as aws
from clustersim.scenario.aws.block_validation import (
    ValidationResult,
    name_from_arn,
    validate_block,
    written_path,
)
from clustersim.scenario.text.document import Problem

SERVICE: dict[str, Any] = {"serviceName": "web", "taskDefinition": "web:1", "desiredCount": 4}
CONTAINER: dict[str, Any] = {"name": "app", "image": "shop/web:1"}
TASK: dict[str, Any] = {"family": "web", "cpu": "512", "memory": "1024", "containerDefinitions": [CONTAINER]}


def found(checked: ValidationResult) -> dict[tuple[str | int, ...], Problem]:
    return {problem.path: problem for problem in checked.problems}


def only(operation: str, block: dict[str, Any], **own: Any) -> Problem:
    """Return the only problem of a block."""
    problems = validate_block(operation, block, own).problems
    assert len(problems) == 1, problems
    return problems[0]


def service(**fields: Any) -> dict[str, Any]:
    return {**SERVICE, **fields}


def task(**fields: Any) -> dict[str, Any]:
    return {**copy.deepcopy(TASK), **fields}


# --- fields


def test_field_case_is_folded_to_the_api_at_every_depth() -> None:
    """Contract, section 1: the case of a field is free."""
    checked = validate_block(
        "autoscaling.CreateAutoScalingGroup",
        {
            "minSize": 1,
            "MAXSIZE": 2,
            "mixedInstancesPolicy": {"launchTemplate": {"overrides": [{"instancetype": "x"}]}},
        },
    )
    assert not checked.problems
    assert checked.value == {
        "MinSize": 1,
        "MaxSize": 2,
        "MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": [{"InstanceType": "x"}]}},
    }


def test_pascal_case_of_cloudformation_is_taken_for_ecs() -> None:
    checked = validate_block("ecs.CreateService", {"ServiceName": "web", "DesiredCount": 2})
    assert checked == ValidationResult({"serviceName": "web", "desiredCount": 2})


def test_keys_of_free_maps_keep_their_case() -> None:
    """Labels and options are the user's own words, not fields."""
    container = {**CONTAINER, "DockerLabels": {"Team": "shop", "team": "web"}}
    value = validate_block("ecs.RegisterTaskDefinition", task(containerDefinitions=[container])).value
    assert value["containerDefinitions"][0]["dockerLabels"] == {"Team": "shop", "team": "web"}


def test_one_field_in_two_cases_is_a_problem() -> None:
    problem = only("ecs.CreateService", service(DesiredCount=5))
    assert problem.path == ("DesiredCount",)
    assert problem.message == "given twice, in different cases"


def test_unknown_field_has_a_suggestion_at_the_users_spelling() -> None:
    block = {"Family": "web", "ContainerDefinitions": [{**CONTAINER, "Memory": 64, "memoyReservation": 32}]}
    problem = only("ecs.RegisterTaskDefinition", block)
    assert problem.path == ("ContainerDefinitions", 0, "memoyReservation")
    assert (problem.message, problem.hint) == ("unknown field", "did you mean memoryReservation?")


def test_suggestions_know_own_keys() -> None:
    problem = only("ecs.CreateService", service(laod={}), load=None)
    assert problem.hint == "did you mean load?"


def test_null_is_a_field_left_out() -> None:
    """Generated JSON is full of nulls; the API takes them as absent."""
    assert validate_block("ecs.CreateService", service(role=None)) == ValidationResult(SERVICE)


def test_all_problems_come_together() -> None:
    block = service(desiredCount="2", launchType="fargate", nonsense=1, tags={"a": 1})
    del block["serviceName"]
    paths = found(validate_block("ecs.CreateService", block))
    assert set(paths) == {("desiredCount",), ("launchType",), ("nonsense",), ("tags",), ("serviceName",)}


@pytest.mark.parametrize("block", [None, [], "web", 3, [SERVICE]])
def test_what_is_no_block_is_a_problem_not_a_crash(block: Any) -> None:
    checked = validate_block("ecs.CreateService", block)
    assert checked.value == {}
    assert [problem.path for problem in checked.problems] == [()]


def test_a_missing_field_is_named() -> None:
    problem = only("ecs.RegisterTaskDefinition", {"containerDefinitions": [{**CONTAINER, "memory": 64}]})
    assert problem == Problem(("family",), "missing", "RegisterTaskDefinition needs it")


# --- own keys


def test_own_keys_pass_untouched() -> None:
    load = {"requestsPerSecond": {"DAILY": [1, None]}}
    checked = validate_block("ecs.CreateService", service(Load=load), {"load": None})
    assert checked.value == {**SERVICE, "load": load}
    assert checked.value["load"] is load
    assert not checked.problems


def test_own_keys_inside_aws_blocks_pass_untouched() -> None:
    group = {"instanceTypes": ["m6i.large"], "minSize": "left to another check"}
    checked = validate_block(
        "ecs.CreateCapacityProvider",
        {"name": "general", "autoscalinggroupprovider": {"autoScalingGroup": group}},
        {"autoScalingGroupProvider": {"autoScalingGroup": None}},
    )
    assert checked == ValidationResult(
        {"name": "general", "autoScalingGroupProvider": {"autoScalingGroup": group}}
    )


def test_own_keys_reach_every_item_of_a_list() -> None:
    block = task(containerDefinitions=[{**CONTAINER, "behavior": {"x": 1}}])
    checked = validate_block(
        "ecs.RegisterTaskDefinition", block, {"containerDefinitions": {"behavior": None}}
    )
    assert not checked.problems
    assert checked.value["containerDefinitions"][0]["behavior"] == {"x": 1}


# --- scalars


def test_numbers_become_text_where_the_api_wants_text() -> None:
    """YAML reads `cpu: 256` as a number; the API's task-level cpu is a string."""
    checked = validate_block("ecs.RegisterTaskDefinition", task(cpu=256, memory=512))
    assert not checked.problems
    assert (checked.value["cpu"], checked.value["memory"]) == ("256", "512")


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("2", "a whole number without quotes: 2"),
        (2.0, "a whole number: 2"),
        (2.5, "a whole number"),
        (True, "a whole number"),
        ([2], "a whole number"),
    ],
)
def test_only_whole_numbers_are_whole_numbers(value: Any, right: str) -> None:
    assert only("ecs.CreateService", service(desiredCount=value)).hint == right


@pytest.mark.parametrize("value", [1.4, True])
def test_text_that_yaml_could_garble_has_to_be_quoted(value: Any) -> None:
    """`1.10` and `1.1` are one number, but two versions."""
    assert "quotes" in only("ecs.CreateService", service(platformVersion=value)).hint


def test_booleans_in_quotes_are_refused() -> None:
    assert (
        only("ecs.CreateService", service(enableExecuteCommand="true")).hint
        == "true or false, without quotes"
    )


def test_a_single_value_where_a_list_belongs() -> None:
    problem = only("ecs.RegisterTaskDefinition", task(requiresCompatibilities="EC2"))
    assert problem == Problem(("requiresCompatibilities",), 'the text "EC2", not a list', "a list: [EC2]")


# --- values and ranges


def test_enums_are_checked_with_a_suggestion() -> None:
    """botocore's own validator lets `bridgee` pass: only the service looks at enums."""
    problem = only("ecs.RegisterTaskDefinition", task(networkMode="bridgee"))
    assert (problem.path, problem.hint) == (("networkMode",), "did you mean bridge?")


def test_launch_type_in_the_words_of_ecs() -> None:
    problem = only("ecs.CreateService", service(launchType="EXTERNAL"))
    assert problem.hint == "launch type should be one of [EC2,FARGATE]"


def test_metrics_of_other_services_are_refused() -> None:
    configuration = {
        "targetValue": 60,
        "predefinedMetricSpecification": {"predefinedMetricType": "DynamoDBReadCapacityUtilization"},
    }
    block = {
        "policyName": "p",
        "policyType": "TargetTrackingScaling",
        "targetTrackingScalingPolicyConfiguration": configuration,
    }
    assert len(validate_block("application-autoscaling.PutScalingPolicy", block).problems) == 1
    configuration["predefinedMetricSpecification"] = {
        "predefinedMetricType": "ECSServiceAverageCPUUtilizationHighResolution"
    }
    assert not validate_block("application-autoscaling.PutScalingPolicy", block).problems


@pytest.mark.golden(74)
@pytest.mark.parametrize(
    ("percent", "valid"), [(2.9, False), (3.0, True), (3, True), (3.05, False), (25, True), (100.1, False)]
)
def test_linear_steps_are_3_to_100_percent_in_tenths(percent: float, valid: bool) -> None:
    deployment = {"strategy": "LINEAR", "linearConfiguration": {"stepPercent": percent}}
    checked = validate_block("ecs.CreateService", service(deploymentConfiguration=deployment))
    assert (not checked.problems) is valid


@pytest.mark.parametrize(("percent", "valid"), [(0, False), (0.1, True), (5, True), (0.15, False)])
def test_canaries_are_a_tenth_to_100_percent(percent: float, valid: bool) -> None:
    deployment = {"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": percent}}
    checked = validate_block("ecs.CreateService", service(deploymentConfiguration=deployment))
    assert (not checked.problems) is valid


@pytest.mark.parametrize(
    ("field", "low", "high"), [("interval", 5, 300), ("timeout", 2, 60), ("retries", 1, 10)]
)
def test_container_health_checks_have_ranges(field: str, low: int, high: int) -> None:
    """Specification, section 1.2."""
    for value, valid in ((low - 1, False), (low, True), (high, True), (high + 1, False)):
        container = {**CONTAINER, "healthCheck": {"command": ["true"], field: value}}
        checked = validate_block("ecs.RegisterTaskDefinition", task(containerDefinitions=[container]))
        assert (not checked.problems) is valid


@pytest.mark.parametrize(("target", "valid"), [(0, False), (1, True), (100, True), (101, False)])
def test_target_capacity_is_1_to_100(target: int, valid: bool) -> None:
    provider = {"managedScaling": {"targetCapacity": target}}
    checked = validate_block(
        "ecs.CreateCapacityProvider", {"name": "g", "autoScalingGroupProvider": provider}
    )
    assert (not checked.problems) is valid


@pytest.mark.golden(43)
def test_strategies_need_a_weight_and_take_one_base() -> None:
    def problem(*items: dict[str, Any]) -> str:
        return only("ecs.CreateService", service(capacityProviderStrategy=list(items))).message

    assert (
        problem({"capacityProvider": "a"}, {"capacityProvider": "b", "weight": 0})
        == "every provider has weight 0"
    )
    both = [{"capacityProvider": name, "weight": 1, "base": 1} for name in "ab"]
    assert problem(*both) == "more than one provider has a base"


@pytest.mark.golden(44)
def test_strategies_do_not_mix_kinds_nor_exceed_20() -> None:
    mixed = [{"capacityProvider": "FARGATE", "weight": 1}, {"capacityProvider": "general"}]
    assert "mixed" in only("ecs.RunTask", {"capacityProviderStrategy": mixed}).message
    many = [{"capacityProvider": f"p{n}", "weight": 1} for n in range(21)]
    problem = only("ecs.RunTask", {"capacityProviderStrategy": many})
    assert (problem.message, problem.hint) == ("21 items is out of range", "at most 20 items")


def test_arns_of_the_world_outside_may_be_left_out() -> None:
    """Contract, section 1: required ARNs of what is not simulated may be left out."""
    provider = {"managedScaling": {"status": "DISABLED"}}
    assert not validate_block(
        "ecs.CreateCapacityProvider", {"name": "g", "autoScalingGroupProvider": provider}
    ).problems
    assert not validate_block("application-autoscaling.RegisterScalableTarget", {"minCapacity": 1}).problems
    network = {"awsvpcConfiguration": {"assignPublicIp": "ENABLED"}}
    assert not validate_block("ecs.CreateService", service(networkConfiguration=network)).problems


def test_an_entry_may_ask_for_more_tasks_than_one_call_starts() -> None:
    assert not validate_block("ecs.RunTask", {"taskDefinition": "report", "count": 20}).problems


# --- newer than botocore


def test_newer_circuit_breaker_fields_are_known_to_an_older_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Announced 2026-07-01: a botocore of before that has neither field."""
    from botocore.loaders import Loader

    load = Loader.load_service_model

    def older(self: Any, service_name: str, *rest: Any) -> Any:
        description = load(self, service_name, *rest)
        for name, members in aws_rules.NEWER_MEMBERS.get(service_name, {}).items():
            for member in members:
                del description["shapes"][name]["members"][member]
        for name in aws_rules.NEWER_SHAPES.get(service_name, {}):
            del description["shapes"][name]
        return description

    monkeypatch.setattr(Loader, "load_service_model", older)
    aws.service_model.cache_clear()
    aws._operation_input.cache_clear()
    try:
        breaker = {
            "enable": True,
            "rollback": True,
            "resetOnHealthyTask": False,
            "thresholdConfiguration": {"type": "COUNT", "value": 5},
        }
        monitoring = {"metricConfigurations": [{"metricNames": ["CPUUtilization"], "resolutionSeconds": 20}]}
        deployment = {"deploymentCircuitBreaker": breaker}
        checked = validate_block(
            "ecs.CreateService", service(deploymentConfiguration=deployment, monitoring=monitoring)
        )
        assert not checked.problems
        breaker["thresholdConfiguration"] = {"type": "PERCENT", "value": 5}
        assert (
            len(validate_block("ecs.CreateService", service(deploymentConfiguration=deployment)).problems)
            == 1
        )
    finally:
        aws.service_model.cache_clear()
        aws._operation_input.cache_clear()


# --- not simulated


@pytest.mark.parametrize(
    ("operation", "block", "words"),
    [
        ("ecs.CreateService", service(serviceConnectConfiguration={"enabled": True}), "Service Connect"),
        (
            "ecs.RegisterTaskDefinition",
            task(inferenceAccelerators=[{"deviceName": "d", "deviceType": "eia1.medium"}]),
            "Elastic Inference accelerators",
        ),
    ],
)
def test_what_is_not_simulated_is_said(operation: str, block: dict[str, Any], words: str) -> None:
    """A field that would change behaviour is accepted with a warning that names the feature."""
    checked = validate_block(operation, block)
    assert not checked.problems
    assert [warning.message for warning in checked.warnings] == [aws.NOT_SIMULATED_PREFIX + words]


def test_features_switched_off_are_silent() -> None:
    """describe-services prints every feature, off or empty."""
    deployment = {
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
        "alarms": {"alarmNames": [], "enable": False, "rollback": False},
        "strategy": "ROLLING",
        "lifecycleHooks": [],
    }
    checked = validate_block(
        "ecs.CreateService", service(deploymentConfiguration=deployment, volumeConfigurations=[])
    )
    assert checked.problems == checked.warnings == ()


def test_every_rule_names_a_field_that_exists() -> None:
    """A misspelled path would never match."""
    tables: tuple[dict[str, Any], ...] = (
        aws_rules.RANGES,
        aws_rules.MULTIPLES,
        aws_rules.VALUES,
        aws_rules.VALUE_HINTS,
        aws_rules.NOT_SIMULATED,
        {operation: dict.fromkeys(paths) for operation, paths in aws_rules.OPTIONAL_FIELDS.items()},
    )
    for table in tables:
        for operation, rows in table.items():
            for path in rows:
                shape = (
                    aws.service_model(operation.split(".")[0])
                    .operation_model(operation.split(".")[1])
                    .input_shape
                )
                for step in path.replace("[]", ".[]").split(".") if path else ():
                    assert step == "[]" or step in shape.members, f"{operation}: {path}"
                    shape = shape.member if step == "[]" else shape.members[step]
                features = [row for row in (rows[path],) if isinstance(row, aws_rules.Feature)]
                for value in (value for row in features for value in row.trigger_values or ()):
                    assert not getattr(shape, "enum", ()) or value in shape.enum, (
                        f"{operation}: {path}: {value}"
                    )


# --- names


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("web:2", "web:2"),
        ("arn:aws:ecs:us-east-1:123456789012:task-definition/web:7", "web:7"),
        ("arn:aws:ecs:us-east-1:123456789012:capacity-provider/general", "general"),
        ("arn:aws:ecs:us-east-1:123456789012:service/shop/web", "web"),
        ("arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/6d0ecf831eec9f09", "web"),
        (
            "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:5c1f:autoScalingGroupName/ecs-asg",
            "ecs-asg",
        ),
        ("arn:aws:iam::123456789012:role/team/shop", "shop"),
        ("arn:aws:cloudwatch:us-east-1:123456789012:alarm:errors", "errors"),
    ],
)
def test_an_arn_means_the_name_at_its_end(reference: str, name: str) -> None:
    assert name_from_arn(reference) == name


def test_paths_are_spelled_as_the_user_wrote_them() -> None:
    block = {"MINSIZE": 1, "list": [{"VALUE": 2}]}
    assert written_path(block, ("MinSize",)) == ("MINSIZE",)
    assert written_path(block, ("List", 0, "Value")) == ("list", 0, "VALUE")
    assert written_path(block, ("VPCZoneIdentifier",)) == ("vpcZoneIdentifier",)


# --- laws


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
_FIELDS = (
    "family",
    "cpu",
    "memory",
    "containerDefinitions",
    "networkMode",
    "requiresCompatibilities",
    "name",
)
_CONTAINERS = st.lists(
    st.dictionaries(
        st.sampled_from(["name", "memory", "dependsOn", "portMappings", "essential"]), _JSON, max_size=4
    ),
    max_size=3,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON | _CONTAINERS))
def test_no_block_makes_it_crash(block: dict[str, Any]) -> None:
    """Contract, section 1: bad input never gives a traceback."""
    for operation in ("ecs.RegisterTaskDefinition", "ecs.CreateService", "elbv2.CreateTargetGroup"):
        validate_block(operation, block)


def test_a_thousand_services_take_less_than_a_second() -> None:
    """Validation must stay cheap: about 0.1 ms per block on one core."""
    block = service(
        placementStrategy=[{"type": "spread", "field": "attribute:ecs.availability-zone"}],
        deploymentConfiguration={"minimumHealthyPercent": 50, "maximumPercent": 200},
        loadBalancers=[{"targetGroupArn": "web", "containerName": "app", "containerPort": 8080}],
        capacityProviderStrategy=[{"capacityProvider": "general", "weight": 1}],
    )
    validate_block("ecs.CreateService", block)
    began = time.perf_counter()
    for _ in range(1000):
        validate_block("ecs.CreateService", block)
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize("value", [2**31, 2**63, -(2**31) - 1])
def test_a_whole_number_beyond_the_bits_of_the_api_is_an_error(value: int) -> None:
    """It would overflow where it is stored."""
    problem = only(
        "ecs.RegisterTaskDefinition", task(containerDefinitions=[{**CONTAINER, "stopTimeout": value}])
    )
    assert "32 bits" in problem.message
