"""Addresses of subnets in whole runs: their use, their exhaustion, and zones without a subnet.

A /28 has 11 addresses to give: 16 less the five that AWS keeps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.harness import (
    MINUTE,
    SECOND,
    Block,
    FinishedRun,
    definition,
    fargate_definition,
    job,
    provider,
    run,
    service,
    world,
)

ADDRESSES = 11
SHORT = "InsufficientFreeAddressesInSubnet"
CLUSTER = {"fargateStartTime": "20s", "serviceLaunchRatePerMinute": 60_000}


def subnet(zone: str, block: str | None = None) -> Block:
    of: Block = {"subnetId": f"subnet-{zone}", "availabilityZone": f"us-east-1{zone}"}
    return of if block is None else {**of, "cidrBlock": block}


SMALL = subnet("a", "10.0.0.0/28")
LARGE = subnet("b", "10.0.1.0/24")


def on_fargate(directory: Path, *subnets: Block, **keys: Any) -> FinishedRun:
    return run(
        world(
            nodes=0, cluster=CLUSTER, subnets=list(subnets), taskDefinitions=[fargate_definition()], **keys
        ),
        directory,
    )


def test_an_exhausted_subnet_stops_fargate_tasks_with_its_own_message(tmp_path: Path) -> None:
    """RunTask has accepted them; the interface cannot be created, and the row says so, without a placement."""
    many = job("many", ADDRESSES + 2, launchType="FARGATE")
    public = {"subnets": ["subnet-a"], "assignPublicIp": "ENABLED"}
    ran = on_fargate(
        tmp_path, SMALL, runTasks=[{**many, "networkConfiguration": {"awsvpcConfiguration": public}}]
    )
    assert ran.states() == {"RUNNING": ADDRESSES, "STOPPED": 2}
    last = ran.tasks()[-1]
    words = (
        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled"
    )
    assert last["stopped_reason"] == f"{words} in subnet 'subnet-a': {SHORT}"
    assert (last["stop_code"], last["placed_at"], last["wait_reason"]) == ("TaskFailedToStart", None, SHORT)
    assert ran.summary["placement_failures"] == {SHORT: 2}
    assert len(ran.messages("SERVICE_TASK_PLACEMENT_FAILURE")) == 2


def test_an_address_is_free_again_when_its_task_has_stopped(tmp_path: Path) -> None:
    """Eleven tasks of a minute and 20 s; those that come at 2 min find all addresses free."""
    entries = [job(f"at-{m}", ADDRESSES, launchType="FARGATE", at=f"{m}m", duration="1m") for m in (0, 1, 2)]
    ran = on_fargate(tmp_path, SMALL, runTasks=entries)
    started = [sum(t["started_at"] is not None for t in ran.tasks(group=e["name"])) for e in entries]
    assert started == [ADDRESSES, 0, ADDRESSES]


def test_a_service_gets_its_tasks_elsewhere_and_some_fail_on_the_way(tmp_path: Path) -> None:
    """Fargate spreads without looking at addresses; after a task that found none the next one goes elsewhere."""
    ran = on_fargate(tmp_path, SMALL, LARGE, services=[service("web", 30, launchType="FARGATE")])
    assert ran.running_at(10 * MINUTE, availability_zone="us-east-1a") == ADDRESSES
    assert ran.running_at(10 * MINUTE, availability_zone="us-east-1b") == 30 - ADDRESSES
    failed = ran.tasks(stop_code="TaskFailedToStart")
    assert failed
    assert all(SHORT in task["stopped_reason"] for task in failed)
    reasons = {
        message.partition(". Reason: ")[2] for message in ran.messages("SERVICE_TASK_PLACEMENT_FAILURE")
    }
    assert f"{failed[0]['stopped_reason']}." in reasons


def test_a_service_on_one_full_subnet_is_throttled(tmp_path: Path) -> None:
    """As by any failure to start: 10 s; anew when tasks run, at 20 and at 21 s, and then 10, 20, 40 s."""
    ran = on_fargate(tmp_path, SMALL, services=[service("web", ADDRESSES + 1, launchType="FARGATE")])
    failed = [task["created_at"] // SECOND for task in ran.tasks(stop_code="TaskFailedToStart")]
    assert ran.running_at(10 * MINUTE) == ADDRESSES
    assert failed[:7] == [1, 11, 20, 21, 31, 51, 91]


@pytest.mark.parametrize(("mode", "runs"), [("awsvpc", ADDRESSES - 1), ("bridge", 14)])
def test_only_awsvpc_tasks_take_addresses_on_ec2(mode: str, runs: int, tmp_path: Path) -> None:
    """One instance takes one of 11; ten awsvpc tasks fit beside it, bridge tasks need none."""
    ran = run(
        world(
            subnets=[SMALL],
            taskDefinitions=[definition(cpu=128, memory=128, networkMode=mode)],
            runTasks=[job("many", 14)],
        ),
        tmp_path,
    )
    assert ran.states().get("RUNNING") == runs


@pytest.mark.parametrize(("trunking", "instances"), [(False, ADDRESSES), (True, ADDRESSES // 2)])
def test_an_exhausted_subnet_stops_launches(trunking: bool, instances: int, tmp_path: Path) -> None:
    """An instance takes an address, two with a trunk interface; the group says why there are no more."""
    ran = run(
        world(
            cluster={"awsvpcTrunking": trunking},
            subnets=[SMALL],
            capacityProviders=[provider(count=14, kind="m6i.large")],
            services=[service("web", 1)],
            duration="10m",
        ),
        tmp_path,
    )
    assert len(ran.instances()) == instances
    (message,) = ran.messages("INSTANCE_LAUNCH_FAILED")
    assert message == (
        "(auto-scaling-group nodes) There are not enough free addresses in subnet 'subnet-a' to satisfy the "
        "requested number of instances. Launching EC2 instance failed."
    )


def test_a_group_launches_into_the_zone_that_has_addresses(tmp_path: Path) -> None:
    """Eleven go into the small subnet, the rest into the other."""
    ran = run(world(30, subnets=[SMALL, LARGE], services=[service("web", 1)], duration="5m"), tmp_path)
    zones = [row["availability_zone"] for row in ran.instances()]
    assert (zones.count("us-east-1a"), zones.count("us-east-1b")) == (ADDRESSES, 19)


def test_a_terminated_instance_leaves_its_address(tmp_path: Path) -> None:
    """The group, full at eleven, replaces the one that is lost."""
    ran = run(
        world(
            subnets=[SMALL],
            capacityProviders=[provider(count=12, launchTime="30s")],
            services=[service("web", 1)],
            actions=[{"at": "5m", "terminateInstances": {"instanceIds": ["3"]}}],
            duration="10m",
        ),
        tmp_path,
    )
    assert [row["launched_at"] for row in ran.instances()] == [0] * ADDRESSES + [5 * MINUTE]


def test_groups_and_awsvpc_tasks_stay_in_zones_that_have_a_subnet(tmp_path: Path) -> None:
    """Subnets in two zones of three: nothing is launched or placed in the third."""
    ran = run(
        world(
            6,
            subnets=[subnet("a"), subnet("b")],
            cluster=CLUSTER,
            taskDefinitions=[fargate_definition()],
            services=[service("web", 6), service("far", 6, launchType="FARGATE")],
        ),
        tmp_path,
    )
    used = {row["availability_zone"] for row in (*ran.instances(), *ran.tasks())}
    assert used == {"us-east-1a", "us-east-1b"}


def test_a_lost_zone_frees_the_addresses_of_its_subnets(tmp_path: Path) -> None:
    """Instances and Fargate tasks of a closed zone are lost, and their addresses are free when it opens."""
    ran = run(
        world(
            4,
            subnets=[SMALL, LARGE],
            cluster=CLUSTER,
            taskDefinitions=[fargate_definition()],
            services=[service("web", 4), service("far", 8, launchType="FARGATE")],
            failures={"zoneOutages": [{"availabilityZone": "us-east-1a", "at": "10m", "duration": "10m"}]},
            capacityProviders=[provider(count=4, launchTime="30s")],
        ),
        tmp_path,
    )
    gone = [row for row in ran.instances() if row["terminated_at"] == 10 * MINUTE]
    assert {row["availability_zone"] for row in gone} == {"us-east-1a"}
    lost = ran.tasks(stopped_reason="The Availability Zone of the task is impaired")
    assert {task["availability_zone"] for task in lost} == {"us-east-1a"}
    assert ran.running_at(15 * MINUTE, availability_zone="us-east-1a") == 0
    assert ran.running_at(15 * MINUTE, service="far") == 8
