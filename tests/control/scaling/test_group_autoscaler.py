"""Scaling policies of Auto Scaling groups, as whole runs: target tracking, steps, simple scaling.

A standalone task uses all the CPU it reserves, so a group's utilisation is known to the percent: a job of 3 vCPU on
one node of 4 is 75 %.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clustersim.errors import ScenarioError
from clustersim.policy.scaling.group_scaling import GroupSize, decide_group_capacity
from clustersim.policy.scaling.service_scaling import CapacityBounds
from clustersim.policy.scaling.target_tracking import HOLD, IN, OUT
from tests.harness import (
    MINUTE,
    SECOND,
    Block,
    FinishedRun,
    definition,
    job,
    on,
    provider,
    run,
    scenario_of,
    world,
)
from tests.policy.scaling.plain_scaling import ScalingProposal, proposal_table


def tracking(target: float, **more: Any) -> Block:
    """A target tracking policy on the group's average CPU."""
    metric = {"predefinedMetricType": "ASGAverageCPUUtilization"}
    configuration = {"targetValue": target, "predefinedMetricSpecification": metric, **more}
    return {
        "policyName": "cpu",
        "policyType": "TargetTrackingScaling",
        "targetTrackingConfiguration": configuration,
    }


def alarm(threshold: float, periods: int = 1) -> Block:
    return {
        "namespace": "AWS/EC2",
        "metricName": "CPUUtilization",
        "threshold": threshold,
        "comparisonOperator": "GreaterThanOrEqualToThreshold",
        "evaluationPeriods": periods,
        "period": 60,
        "statistic": "Average",
    }


def busy(nodes: int, vcpus: float, *policies: Block, **group: Any) -> Block:
    """A group, and a task that keeps so many vCPUs of it busy for the whole run."""
    of = provider(count=nodes, most=100, launchTime="60s", scalingPolicies=list(policies), **group)
    return world(
        duration="1h",
        capacityProviders=[of],
        taskDefinitions=[definition(cpu=int(vcpus * 1024))],
        runTasks=[job(at="0s", capacityProviderStrategy=[on()])],
    )


def activities(ran: FinishedRun) -> list[tuple[int, int, int]]:
    """(instant, from, to) of every decision."""
    return [(row["time"], row["from_count"], row["to_count"]) for row in ran.rows("scaling_activities")]


def test_three_minutes_above_the_target_add_what_proportion_asks(tmp_path: Path) -> None:
    """75 % on one node, target 50: ceil(1 x 75 / 50) = 2 at minute 3, in service a minute later.

    While it warms up it does not count, so the metric stays at 75 % and asks for two again, which is no more. Then
    it is 37.5 %: above 0.7 x 50 = 35, so nothing is scaled in.
    """
    ran = run(busy(1, 3, tracking(50), defaultInstanceWarmup=120), tmp_path)
    assert activities(ran) == [(3 * MINUTE, 1, 2)]
    (row,) = ran.rows("scaling_activities")
    assert (row["target"], row["metric"], row["metric_value"]) == (
        "autoScalingGroup/nodes",
        "ASGAverageCPUUtilization",
        75.0,
    )
    assert ran.instances()[1]["registered_at"] == 3 * MINUTE + 60 * SECOND


@pytest.mark.parametrize(("vcpus", "left"), [(2.9, 2), (2.5, 2), (1.5, 1)])
def test_below_seven_tenths_of_the_target_for_fifteen_minutes(
    vcpus: float, left: int, tmp_path: Path
) -> None:
    """Two nodes, target 50: 36 % raises no alarm, 31 % asks for ceil(1.25) = 2, 19 % for ceil(0.75) = 1."""
    ran = run(busy(2, vcpus, tracking(50)), tmp_path)
    assert activities(ran) == ([] if left == 2 else [(15 * MINUTE, 2, 1)])
    assert len(ran.instances(terminated_at=None)) == left


def test_scale_in_can_be_disabled(tmp_path: Path) -> None:
    assert activities(run(busy(2, 1.5, tracking(50, disableScaleIn=True)), tmp_path)) == []


def test_bounds_of_the_group_hold(tmp_path: Path) -> None:
    ran = run(busy(1, 3.9, tracking(10), minSize=1, maxSize=3), tmp_path)
    assert max(count for _, _, count in activities(ran)) == 3
    ran = run(busy(2, 0.25, tracking(50), minSize=2), tmp_path)
    assert activities(ran) == []


def test_steps_add_only_what_does_not_yet_warm_up(tmp_path: Path) -> None:
    """60 % or more adds one, 80 % or more three; a second task lifts CPU from 75 to 97.5 % while one warms up.

    EC2 Auto Scaling User Guide: the base is the warm instance, 1 + 3 = 4 of which one is on its way.
    """
    policy = {
        "policyName": "steps",
        "policyType": "StepScaling",
        "adjustmentType": "ChangeInCapacity",
        "stepAdjustments": [
            {"metricIntervalLowerBound": 0, "metricIntervalUpperBound": 20, "scalingAdjustment": 1},
            {"metricIntervalLowerBound": 20, "scalingAdjustment": 3},
        ],
        "estimatedInstanceWarmup": 600,
        "alarm": alarm(60),
    }
    written = busy(1, 3, policy)
    written["taskDefinitions"].append(definition("more", cpu=921))
    written["runTasks"].append(job("more", at="90s", taskDefinition="more", launchType="EC2"))
    ran = run(written, tmp_path)
    assert activities(ran)[:2] == [(1 * MINUTE, 1, 2), (2 * MINUTE, 2, 4)]


def test_simple_scaling_waits_for_its_cooldown(tmp_path: Path) -> None:
    """+1 each time the alarm is in ALARM, but not within five minutes of the last: minutes 1, 6, 11."""
    policy = {
        "policyName": "simple",
        "adjustmentType": "ChangeInCapacity",
        "scalingAdjustment": 1,
        "cooldown": 300,
        "alarm": alarm(20),
    }
    ran = run(busy(1, 3, policy, defaultInstanceWarmup=0), tmp_path)
    # 75, 37.5 and 25 % of one, two and three nodes raise the alarm; 18.75 % of four does not.
    assert activities(ran) == [(1 * MINUTE, 1, 2), (6 * MINUTE, 2, 3), (11 * MINUTE, 3, 4)]


def test_features_of_ec2_auto_scaling_that_are_not_simulated_are_refused(tmp_path: Path) -> None:
    network = tracking(50)
    network["targetTrackingConfiguration"]["predefinedMetricSpecification"] = {
        "predefinedMetricType": "ASGAverageNetworkIn"
    }
    bare = {"policyName": "bare", "policyType": "StepScaling"}
    two = [tracking(50), tracking(60)]
    for policies, words in (
        ([network], "the metric ASGAverageNetworkIn is not simulated"),
        ([bare], "has no adjustmentType"),
        ([{**bare, "adjustmentType": "ChangeInCapacity"}], "has no steps"),
        ([{"policyName": "s", "adjustmentType": "ExactCapacity"}], "has no scalingAdjustment"),
        ([{"policyName": "t", "policyType": "TargetTrackingScaling"}], "has no targetTrackingConfiguration"),
        (two, "a second policy is named cpu"),
    ):
        with pytest.raises(ScenarioError, match=words):
            scenario_of(busy(1, 1, *policies), tmp_path)


def test_a_group_with_two_masters_is_warned_about(tmp_path: Path) -> None:
    written = busy(1, 1, tracking(50))
    written["capacityProviders"][0]["autoScalingGroupProvider"]["managedScaling"] = {"status": "ENABLED"}
    warnings = scenario_of(written, tmp_path).warnings
    assert any("scaling policies of its own as well" in line for line in warnings)


def test_one_policy_that_holds_keeps_all_instances() -> None:
    """EC2 Auto Scaling: in only if all that track a target agree; the largest of what they ask counts."""
    size, bounds = GroupSize(10, 10, 10), CapacityBounds(1, 20)
    goes = proposal_table([ScalingProposal(0, IN, 6), ScalingProposal(1, IN, 8)])
    assert decide_group_capacity(size, goes, bounds) == (8, 1)
    one_holds = proposal_table([ScalingProposal(0, IN, 6), ScalingProposal(1, HOLD, 10)])
    assert decide_group_capacity(size, one_holds, bounds) is None
    grows = proposal_table([ScalingProposal(0, OUT, 12), ScalingProposal(1, OUT, 15)])
    assert decide_group_capacity(size, grows, bounds) == (15, 1)
    assert decide_group_capacity(GroupSize(10, 9, 9), goes, bounds) is None
    assert decide_group_capacity(GroupSize(10, 10, 9), goes, bounds) is None
