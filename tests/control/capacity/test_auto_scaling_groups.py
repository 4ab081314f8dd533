"""Auto Scaling groups, as whole runs: launches by zone and type, terminations, and draining."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.harness import HOUR, MINUTE, NODE, Block, FinishedRun, job, provider, run, service, world

CHEAP = {"spotUsdPerHour": 0.1}
SMALL = {**NODE, "name": "test.small", "vcpus": 2, "usdPerHour": 0.2, **CHEAP}
QUIET = {"spotInterruptions": "none"}


def set_capacity(at: str, count: int, group: str = "nodes") -> Block:
    """SetDesiredCapacity at an instant."""
    return {"at": at, "setDesiredCapacity": {"autoScalingGroupName": group, "desiredCapacity": count}}


def group(count: int = 1, **keys: Any) -> Block:
    """A world whose only group has these keys; a launch takes 100 s."""
    of = provider(count=count, most=keys.pop("most", 100), launchTime="100s", **keys)
    return {"capacityProviders": [of], "instanceTypes": [{**NODE, **CHEAP}, SMALL], "failures": QUIET}


def zones_at(ran: FinishedRun, instant: int) -> dict[str, int]:
    """The instances launched and not terminated at an instant, by the last letter of their zone."""
    return dict(
        Counter(
            each["availability_zone"][-1]
            for each in ran.instances()
            if each["launched_at"] <= instant
            and (each["terminated_at"] is None or each["terminated_at"] > instant)
        )
    )


# --- purchase options and types ----------------------------------------------------------------------------


def mixed(base: int, percent: int, *types: str, **more: Any) -> Block:
    """A mixed instances policy."""
    shares = {"onDemandBaseCapacity": base, "onDemandPercentageAboveBaseCapacity": percent, **more}
    overrides = [{"instanceType": name} for name in types or ("test.node",)]
    return {"instancesDistribution": shares, "launchTemplate": {"overrides": overrides}}


def mixed_group(count: int, policy: Block, **keys: Any) -> Block:
    """A group with a mixed instances policy in place of `instanceTypes`."""
    of: Block = group(count, mixedInstancesPolicy=policy, **keys)
    of["capacityProviders"][0]["autoScalingGroupProvider"]["autoScalingGroup"].pop("instanceTypes")
    return of


def test_base_and_percentage_divide_a_group(tmp_path: Path) -> None:
    """Seven with a base of two and 50 %: 2 + ceil(5 / 2) = 5 on-demand, 2 Spot; each pays its own price."""
    ran = run(world(services=[service(count=0)], **mixed_group(7, mixed(2, 50))), tmp_path)
    options = Counter(each["purchase_option"] for each in ran.instances())
    assert options == {"on-demand": 5, "spot": 2}
    volume = 0.08 * 30 / 730
    prices = {each["purchase_option"]: each["cost_usd"] for each in ran.instances()}
    assert prices["on-demand"] == pytest.approx(0.36 + volume)
    assert prices["spot"] == pytest.approx(0.1 + volume)
    skus = {row["SkuId"] for row in ran.rows("costs")}
    assert {"BoxUsage:test.node", "SpotUsage:test.node"} <= skus


def test_scale_in_keeps_the_division(tmp_path: Path) -> None:
    """From seven (5 on-demand, 2 Spot) to four: 2 + ceil(2 / 2) = 3 on-demand and 1 Spot stay."""
    written = world(services=[service(count=0)], actions=[set_capacity("5m", 4)])
    ran = run({**written, **mixed_group(7, mixed(2, 50))}, tmp_path)
    left = [each for each in ran.instances() if each["terminated_at"] is None]
    assert Counter(each["purchase_option"] for each in left) == {"on-demand": 3, "spot": 1}


@pytest.mark.parametrize(
    ("strategy", "first"),
    [({}, "test.node"), ({"onDemandAllocationStrategy": "lowest-price"}, "test.small")],
    ids=["prioritized", "lowest price"],
)
def test_allocation_strategy_decides_the_type(tmp_path: Path, strategy: Block, first: str) -> None:
    """The default takes the first type of the list, `lowest-price` the cheapest (0.20 against 0.36)."""
    policy = mixed(0, 100, "test.node", "test.small", **strategy)
    ran = run(world(services=[service(count=0)], **mixed_group(3, policy)), tmp_path)
    assert {each["instance_type"] for each in ran.instances()} == {first}


# --- launch failures ---------------------------------------------------------------------------------------


def short(**of: Any) -> Block:
    """A shortage from the second minute on, for ten."""
    return {**QUIET, "capacityShortages": [{"at": "2m", "duration": "10m", **of}]}


def test_next_type_is_tried_before_the_next_zone(tmp_path: Path) -> None:
    """The first type has no capacity in zone a: the second is launched there, and balance is kept."""
    lack = short(instanceType="test.node", availabilityZone="us-east-1a")
    written = world(services=[service(count=0)], actions=[set_capacity("3m", 3)])
    written |= mixed_group(0, mixed(0, 100, "test.node", "test.small"))
    ran = run({**written, "failures": lack}, tmp_path)
    found = {each["availability_zone"][-1]: each["instance_type"] for each in ran.instances()}
    assert found == {"a": "test.small", "b": "test.node", "c": "test.node"}
    assert ran.messages("INSTANCE_LAUNCH_FAILED") == []


def test_next_zone_is_tried_where_no_type_is_left(tmp_path: Path) -> None:
    """No capacity in zone a: all three are launched into b and c."""
    lack = short(instanceType="test.node", availabilityZone="us-east-1a")
    written = world(services=[service(count=0)], actions=[set_capacity("3m", 3)])
    ran = run({**written, **group(0), "failures": lack}, tmp_path)
    assert zones_at(ran, 4 * MINUTE) == {"b": 2, "c": 1}


def test_balanced_only_stays_in_its_zone(tmp_path: Path) -> None:
    """AvailabilityZoneDistribution balanced-only: the launch for zone a waits for zone a."""
    only = {"capacityDistributionStrategy": "balanced-only"}
    lack = short(instanceType="test.node", availabilityZone="us-east-1a")
    written = world(services=[service(count=0)], actions=[set_capacity("3m", 3)])
    ran = run({**written, **group(0, availabilityZoneDistribution=only), "failures": lack}, tmp_path)
    assert zones_at(ran, 11 * MINUTE) == {}
    assert zones_at(ran, 13 * MINUTE) == {"a": 1, "b": 1, "c": 1}


def test_a_failed_launch_is_reported_once_and_retried_each_minute(tmp_path: Path) -> None:
    """No capacity from minute 2 to 12; asked for at 3:30, the retry at 12:30 is the first that succeeds."""
    written = world(services=[service(count=0)], actions=[set_capacity("210s", 2)])
    ran = run({**written, **group(0), "failures": short(capacityProvider="nodes")}, tmp_path)
    assert [each["launched_at"] for each in ran.instances()] == [12 * MINUTE + 30_000] * 2
    (message,) = ran.messages("INSTANCE_LAUNCH_FAILED")
    assert message.startswith(
        "(auto-scaling-group nodes) We currently do not have sufficient test.node capacity"
    )
    assert "(us-east-1a)" in message


def test_unavailable_spot_is_not_replaced_by_on_demand(tmp_path: Path) -> None:
    """ECS and EC2 keep the options apart: on-demand gets its half, Spot's half waits."""
    lack = short(instanceType="test.node", purchaseOption="spot")
    written = world(services=[service(count=0)], actions=[set_capacity("3m", 4)])
    ran = run({**written, **mixed_group(0, mixed(0, 50)), "failures": lack}, tmp_path)
    early = [each["purchase_option"] for each in ran.instances() if each["launched_at"] < 10 * MINUTE]
    assert early == ["on-demand"] * 2
    late = [each for each in ran.instances() if each["launched_at"] >= 10 * MINUTE]
    assert [(each["purchase_option"], each["launched_at"]) for each in late] == [("spot", 12 * MINUTE)] * 2
    assert "There is no Spot capacity available" in ran.messages("INSTANCE_LAUNCH_FAILED")[0]


# --- termination -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policies", "kept"),
    [(["OldestInstance"], 2), (["NewestInstance"], 1), (["Default"], 1), (["ClosestToNextInstanceHour"], 1)],
    ids=str,
)
def test_termination_policy_decides_which_instance_goes(
    tmp_path: Path, policies: list[str], kept: int
) -> None:
    """One instance of the first instant, one of minute 20, in one zone. At minute 70 their next billing hours begin
    in 50 and in 10 minutes, so that the default policy takes the second."""
    actions = [set_capacity("20m", 2), set_capacity("70m", 1)]
    one_zone = {"availabilityZones": ["us-east-1a"], "terminationPolicies": policies}
    written = world(duration="2h", services=[service(count=0)], actions=actions, **group(1, **one_zone))
    left = [each for each in run(written, tmp_path).instances() if each["terminated_at"] is None]
    assert [each["container_instance_id"] for each in left] == [kept]


def test_protected_instances_are_not_scaled_in(tmp_path: Path) -> None:
    """NewInstancesProtectedFromScaleIn: the desired capacity falls, the instances stay, and one event says why."""
    written = world(services=[service(count=0)], actions=[set_capacity("5m", 1), set_capacity("10m", 0)])
    ran = run({**written, **group(3, newInstancesProtectedFromScaleIn=True)}, tmp_path)
    assert all(each["terminated_at"] is None for each in ran.instances())
    (message,) = ran.messages("INSTANCES_PROTECTED")
    assert "all remaining instances are protected from scale-in" in message


def test_protection_can_be_taken_away(tmp_path: Path) -> None:
    """SetInstanceProtection on one of three: the group, which has one too many, terminates just that."""
    free = {"instanceIds": ["2"], "autoScalingGroupName": "nodes", "protectedFromScaleIn": False}
    actions = [set_capacity("5m", 2), {"at": "10m", "setInstanceProtection": free}]
    written = world(services=[service(count=0)], actions=actions)
    ran = run({**written, **group(3, newInstancesProtectedFromScaleIn=True)}, tmp_path)
    gone = {each["container_instance_id"]: each["terminated_at"] for each in ran.instances()}
    assert gone == {1: None, 2: 10 * MINUTE, 3: None}


# --- draining ----------------------------------------------------------------------------------------------


def test_managed_draining_replaces_tasks_before_the_instance_goes(tmp_path: Path) -> None:
    """The default of a provider: the task on the terminating instance is started elsewhere, healthy after 40 s, and
    only then stopped (1 s); then the instance is terminated."""
    ran = run(world(services=[service(count=2)], actions=[set_capacity("10m", 1)], **group(2)), tmp_path)
    stays, goes = sorted(ran.instances(), key=lambda each: each["terminated_at"] is not None)
    assert (goes["draining_at"], goes["termination_reason"]) == (10 * MINUTE, "scale-in")
    assert goes["terminated_at"] == 10 * MINUTE + 41_000
    assert stays["terminated_at"] is None
    assert all(ran.running_at(instant) >= 2 for instant in range(MINUTE, 20 * MINUTE, 1000))
    assert ran.summary["services"]["web"]["availability"] > 0.99


def test_a_standalone_task_holds_up_a_draining_instance(tmp_path: Path) -> None:
    """It runs to its end at minute 25, and the instance goes with it."""
    written = world(runTasks=[job(at="0s", duration="25m")], actions=[set_capacity("10m", 0)], **group(1))
    ran = run(written, tmp_path)
    (task,), (instance,) = ran.tasks(), ran.instances()
    assert (task["stopped_at"], task["exit_code"]) == (25 * MINUTE, 0)
    assert (instance["draining_at"], instance["terminated_at"]) == (10 * MINUTE, 25 * MINUTE)


def test_draining_ends_at_the_limit_of_the_lifecycle_hook(tmp_path: Path) -> None:
    """48 hours, or `managedDrainingTimeout`: then the instance is terminated with whatever still runs."""
    keys = group(1)
    keys["capacityProviders"][0]["autoScalingGroupProvider"]["managedDrainingTimeout"] = "5m"
    written = world(runTasks=[job(at="0s", duration="25m")], actions=[set_capacity("10m", 0)], **keys)
    ran = run(written, tmp_path)
    (task,), (instance,) = ran.tasks(), ran.instances()
    assert instance["terminated_at"] == task["stopped_at"] == 15 * MINUTE
    assert task["stopped_reason"].startswith("Host EC2 (instance i-")


def test_without_managed_draining_scale_in_kills_tasks(tmp_path: Path) -> None:
    """The instance is gone at once, and its task with it."""
    keys = group(1)
    keys["capacityProviders"][0]["autoScalingGroupProvider"]["managedDraining"] = "DISABLED"
    written = world(runTasks=[job(at="0s", duration="25m")], actions=[set_capacity("10m", 0)], **keys)
    ran = run(written, tmp_path)
    (task,), (instance,) = ran.tasks(), ran.instances()
    assert instance["terminated_at"] == task["stopped_at"] == 10 * MINUTE
    assert (instance["draining_at"], task["stop_code"]) == (None, "TerminationNotice")


# --- balance -----------------------------------------------------------------------------------------------


def test_group_balances_its_zones_again_when_one_is_back(tmp_path: Path) -> None:
    """Zone a is gone from minute 10 to 30: its two of six are launched in b and c. Then one at a time (10 % of a
    maximum of 10) is launched in a before one elsewhere goes, so that six run all the time."""
    out = {**QUIET, "zoneOutages": [{"availabilityZone": "us-east-1a", "at": "10m", "duration": "20m"}]}
    written = world(duration="1h", services=[service(count=0)], **group(6, most=10))
    ran = run({**written, "failures": out}, tmp_path)
    assert zones_at(ran, 9 * MINUTE) == {"a": 2, "b": 2, "c": 2}
    assert zones_at(ran, 29 * MINUTE) == {"b": 3, "c": 3}
    assert zones_at(ran, HOUR) == {"a": 2, "b": 2, "c": 2}
    assert {sum(zones_at(ran, at).values()) for at in range(12 * MINUTE, HOUR, 5_000)} == {6, 7}
    gone = Counter(each["termination_reason"] for each in ran.instances())
    assert gone == {None: 6, "zone outage": 2, "Availability Zone rebalancing": 2}
