"""Tests of the rules between fields of one AWS block, except task definitions."""

from __future__ import annotations

from typing import Any

import pytest

from clustersim.scenario.aws.block_validation import validate_block
from clustersim.scenario.text.document import FieldPath

TRACKING = {
    "TargetValue": 60.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "ALBRequestCountPerTarget"},
}
METRIC = {"MetricName": "Depth", "Namespace": "Shop", "Statistic": "Average"}


def paths(operation: str, block: dict[str, Any]) -> set[FieldPath]:
    return {problem.path for problem in validate_block(operation, block).problems}


def placed(**fields: Any) -> set[FieldPath]:
    service = paths("ecs.CreateService", {"serviceName": "web", **fields})
    assert paths("ecs.RunTask", {"taskDefinition": "web", **fields}) == service
    return service


def test_launch_type_and_strategy_exclude_each_other() -> None:
    strategy = [{"capacityProvider": "general", "weight": 1}]
    assert placed(launchType="EC2", capacityProviderStrategy=strategy) == {("launchType",)}
    assert placed(launchType="EC2", capacityProviderStrategy=[]) == set()


def test_a_provider_stands_once_in_a_strategy() -> None:
    strategy = [{"capacityProvider": "a", "weight": 1}, {"capacityProvider": "a", "weight": 2}]
    assert placed(capacityProviderStrategy=strategy) == {("capacityProviderStrategy", 1, "capacityProvider")}


def test_the_two_fargate_providers_go_together() -> None:
    strategy = [{"capacityProvider": "FARGATE", "base": 1}, {"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    assert placed(capacityProviderStrategy=strategy) == set()


@pytest.mark.parametrize(
    ("rule", "valid"),
    [
        ({"type": "binpack", "field": "memory"}, True),
        ({"type": "binpack", "field": "CPU"}, True),
        ({"type": "binpack", "field": "disk"}, False),
        ({"type": "binpack"}, False),
        ({"type": "spread", "field": "instanceId"}, True),
        ({"type": "spread"}, False),
        ({"type": "random"}, True),
    ],
)
def test_strategies_have_the_field_they_need(rule: dict[str, str], valid: bool) -> None:
    assert placed(placementStrategy=[rule]) == (set() if valid else {("placementStrategy", 0, "field")})


@pytest.mark.parametrize(
    ("rule", "valid"),
    [
        ({"type": "memberOf", "expression": "attribute:disk == ssd"}, True),
        ({"type": "memberOf"}, False),
        ({"type": "distinctInstance"}, True),
        ({"type": "distinctInstance", "expression": "runningTasksCount == 1"}, False),
    ],
)
def test_constraints_have_the_expression_they_need(rule: dict[str, str], valid: bool) -> None:
    assert placed(placementConstraints=[rule]) == (
        set() if valid else {("placementConstraints", 0, "expression")}
    )


def test_fargate_takes_no_placement() -> None:
    rules: dict[str, Any] = {"placementStrategy": [{"type": "random"}], "placementConstraints": []}
    assert placed(launchType="FARGATE", **rules) == {("placementStrategy",)}


def test_zone_rebalancing_needs_room_above_100_percent() -> None:
    """Specification, section 2.8."""

    def problems(rebalancing: str, maximum: int) -> set[FieldPath]:
        deployment = {"maximumPercent": maximum}
        block = {
            "serviceName": "w",
            "availabilityZoneRebalancing": rebalancing,
            "deploymentConfiguration": deployment,
        }
        return paths("ecs.CreateService", block)

    assert problems("ENABLED", 100) == {("deploymentConfiguration", "maximumPercent")}
    assert problems("ENABLED", 101) == problems("DISABLED", 100) == set()


def test_daemons_have_one_maximum_and_no_fargate() -> None:
    deployment = {"maximumPercent": 200}
    block = {"serviceName": "w", "schedulingStrategy": "DAEMON", "deploymentConfiguration": deployment}
    assert paths("ecs.CreateService", block) == {("deploymentConfiguration", "maximumPercent")}
    block = {"serviceName": "w", "schedulingStrategy": "DAEMON", "launchType": "FARGATE"}
    assert paths("ecs.CreateService", block) == {("schedulingStrategy",)}


def test_daemons_take_no_strategies() -> None:
    """aws/containers-roadmap 692 and 1681: ECS refuses capacity provider and placement strategies of a daemon."""
    block = {"serviceName": "w", "schedulingStrategy": "DAEMON"}
    strategy = {"capacityProviderStrategy": [{"capacityProvider": "nodes", "weight": 1}]}
    assert paths("ecs.CreateService", {**block, **strategy}) == {("capacityProviderStrategy",)}
    placement = {"placementStrategy": [{"type": "random"}]}
    assert paths("ecs.CreateService", {**block, **placement}) == {("placementStrategy",)}


def test_blue_green_needs_a_bake_time() -> None:
    block: dict[str, Any] = {"serviceName": "w", "deploymentConfiguration": {"strategy": "BLUE_GREEN"}}
    assert paths("ecs.CreateService", block) == {("deploymentConfiguration", "bakeTimeInMinutes")}
    block["deploymentConfiguration"]["bakeTimeInMinutes"] = 5
    assert paths("ecs.CreateService", block) == set()


def test_a_capacity_provider_is_of_one_kind() -> None:
    assert paths("ecs.CreateCapacityProvider", {"name": "g"}) == {()}
    assert paths("ecs.CreateCapacityProvider", {"name": "FARGATE", "autoScalingGroupProvider": {}}) == {
        ("name",)
    }
    steps = {"minimumScalingStepSize": 3, "maximumScalingStepSize": 2}
    block = {"name": "g", "AutoScalingGroupProvider": {"ManagedScaling": steps}}
    expected = ("AutoScalingGroupProvider", "ManagedScaling", "minimumScalingStepSize")
    assert paths("ecs.CreateCapacityProvider", block) == {expected}


@pytest.mark.parametrize(
    ("least", "desired", "most", "place"),
    [(1, 2, 3, None), (2, 1, 3, "desired"), (1, 4, 3, "desired"), (4, 4, 3, "minsize"), (0, 0, 0, None)],
)
def test_a_groups_sizes_are_in_order(least: int, desired: int, most: int, place: str | None) -> None:
    block = {"autoScalingGroupName": "g", "minsize": least, "maxSize": most, "DesiredCapacity": desired}
    wanted = {"desired": {("DesiredCapacity",)}, "minsize": {("minsize",)}, None: set()}[place]
    assert paths("autoscaling.CreateAutoScalingGroup", block) == wanted


def test_a_scalable_targets_limits_are_in_order() -> None:
    service = "application-autoscaling"
    block = {"minCapacity": 3, "maxCapacity": 2}
    assert paths(f"{service}.RegisterScalableTarget", block) == {("minCapacity",)}
    action = {"scheduledActionName": "night", "scalableTargetAction": block}
    assert paths(f"{service}.PutScheduledAction", action) == {("scalableTargetAction", "minCapacity")}


@pytest.mark.parametrize(
    ("kind", "fields", "wanted"),
    [
        ("TargetTrackingScaling", {"TargetTrackingScalingPolicyConfiguration": TRACKING}, set()),
        ("TargetTrackingScaling", {}, {("targetTrackingScalingPolicyConfiguration",)}),
        (
            "TargetTrackingScaling",
            {
                "TargetTrackingScalingPolicyConfiguration": {
                    **TRACKING,
                    "CustomizedMetricSpecification": METRIC,
                }
            },
            {("TargetTrackingScalingPolicyConfiguration",)},
        ),
        (
            "TargetTrackingScaling",
            {"TargetTrackingScalingPolicyConfiguration": {**TRACKING, "TargetValue": 0}},
            {("TargetTrackingScalingPolicyConfiguration", "TargetValue")},
        ),
        (
            "StepScaling",
            {
                "StepScalingPolicyConfiguration": {"StepAdjustments": [{"ScalingAdjustment": 1}]},
                "TargetTrackingScalingPolicyConfiguration": TRACKING,
            },
            {("TargetTrackingScalingPolicyConfiguration",)},
        ),
    ],
)
def test_a_scaling_policy_has_the_configuration_of_its_type(
    kind: str, fields: dict[str, Any], wanted: set[FieldPath]
) -> None:
    block = {"PolicyName": "p", "PolicyType": kind, **fields}
    assert paths("application-autoscaling.PutScalingPolicy", block) == wanted


def test_a_health_check_ends_before_the_next() -> None:
    block = {"name": "web", "healthCheckIntervalSeconds": 5, "healthCheckTimeoutSeconds": 6}
    assert paths("elbv2.CreateTargetGroup", block) == {("healthCheckTimeoutSeconds",)}


@pytest.mark.parametrize(("period", "valid"), [(10, True), (30, True), (45, False), (60, True), (90, False)])
def test_alarm_periods_are_those_of_cloudwatch(period: int, valid: bool) -> None:
    assert paths("cloudwatch.PutMetricAlarm", {"period": period}) == (set() if valid else {("period",)})


def test_an_alarm_does_not_want_more_points_than_it_looks_at() -> None:
    block = {"datapointsToAlarm": 3, "evaluationPeriods": 2}
    assert paths("cloudwatch.PutMetricAlarm", block) == {("datapointsToAlarm",)}
