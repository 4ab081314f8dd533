"""Services on virtual machines, as whole runs: one copy on each, whole instances on the bill.

`test.node` has 4 vCPU and 8,192 MiB at 0.36 USD an hour, so 0.01 cents a second; volumes are free here, so that bills
are instance hours times 0.36. The guest takes 64 CPU units and 400 MiB unless a test says otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.harness import HOUR, MINUTE, SECOND, Block, definition, run, service, world

FREE_VOLUMES = {"ebsUsdPerGibMonth": 0}


def machines(count: int = 4, duration: str = "2h", machine: Block | None = None, **more: Any) -> Block:
    """A service `web` on virtual machines that boot in 90 s, and what `more` adds to it; `keys` go to the scenario."""
    keys = more.pop("keys", {})
    web = {
        "serviceName": "web",
        "taskDefinition": "app:1",
        "desiredCount": count,
        "virtualMachines": {"instanceType": "test.node", "bootTime": "90s", **(machine or {})},
        **more,
    }
    written = world(0, duration, taskDefinitions=[definition(), definition()], services=[web])
    return {**written, "capacityProviders": [], "pricing": FREE_VOLUMES, **keys}


def test_each_copy_boots_a_machine_of_its_own_and_pays_for_all_of_it(tmp_path: Path) -> None:
    """Four machines are requested at 0, boot for 90 s, then start: 8 instance hours of 0.36 USD are the service's."""
    ran = run(machines(), tmp_path)
    tasks, hosts = ran.tasks(), ran.instances()
    assert [task["container_instance_id"] for task in tasks] == [1, 2, 3, 4]
    assert {task["launch_type"] for task in tasks} == {"VIRTUAL_MACHINE"}
    assert {task["started_at"] for task in tasks} == {90 * SECOND}
    assert {task["pull_started_at"] for task in tasks} == {None}
    assert {host["launched_at"] for host in hosts} == {0}
    assert {host["auto_scaling_group"] for host in hosts} == {"virtualMachines/web"}
    assert ran.summary["instance_hours"] == pytest.approx(8)
    assert ran.summary["cost_usd"] == pytest.approx(8 * 0.36)
    assert ran.summary["services"]["web"]["cost_usd"] == pytest.approx(8 * 0.36)
    assert ran.summary["cost_usd_idle"] == pytest.approx(0)
    held = 8 - 4 * 90 / 3600
    assert sum(task["cost_usd"] for task in tasks) == pytest.approx(held * 0.36)
    assert {row["x_Service"] for row in ran.rows("costs")} == {"web"}
    assert ran.summary["services"]["web"]["availability"] == pytest.approx(1 - 90 / 7200)


def test_a_copy_has_what_the_guest_leaves(tmp_path: Path) -> None:
    """4,096 - 96 units and 8,192 - 192 MiB; of the price the guest has (96 / 1,024 x 9 + 192 / 1,024) / (4 x 9 + 8)."""
    ran = run(machines(1, "1h", {"guestOs": {"cpu": 96, "memory": "192 MiB"}}), tmp_path)
    (task,) = ran.tasks()
    assert (task["cpu"], task["memory_mib"]) == (4000, 8000)
    assert ran.summary["guest_os_vcpu_hours"] == pytest.approx(96 / 1024)
    assert ran.summary["guest_os_memory_gib_hours"] == pytest.approx(192 / 1024)
    share = (96 / 1024 * 9 + 192 / 1024) / (4 * 9 + 8)
    assert ran.summary["guest_os_cost_usd"] == pytest.approx(share * 0.36)


def test_ecs_on_ec2_has_one_guest_for_all_tasks_of_an_instance(tmp_path: Path) -> None:
    """The agent registers 7,168 of 8,192 MiB and all CPU: 1 GiB an hour, 1 of (4 x 9 + 8) parts of the price."""
    node = {
        "name": "test.node",
        "vcpus": 4,
        "memoryMiB": 8192,
        "registeredMemoryMiB": 7168,
        "usdPerHour": 0.36,
    }
    ran = run(world(1, instanceTypes=[node], services=[service(count=4)], pricing=FREE_VOLUMES), tmp_path)
    assert ran.summary["guest_os_memory_gib_hours"] == pytest.approx(1)
    assert ran.summary["guest_os_vcpu_hours"] == 0
    assert ran.summary["guest_os_cost_usd"] == pytest.approx(0.36 / 44)


def test_running_begins_with_machines_that_have_booted(tmp_path: Path) -> None:
    ran = run(machines(3, "1h", keys={"initialState": "running"}), tmp_path)
    assert {(task["started_at"], task["healthy_at"]) for task in ran.tasks()} == {(0, 0)}
    assert [task["container_instance_id"] for task in ran.tasks()] == [1, 2, 3]
    assert ran.summary["services"]["web"]["availability"] == 1


def test_a_new_desired_count_is_the_desired_capacity(tmp_path: Path) -> None:
    """Two more at 30 min run 90 s later; three fewer at 60 min are gone when their copies have stopped (1 s)."""
    updates = [
        {"at": "30m", "updateService": {"service": "web", "desiredCount": 6}},
        {"at": "60m", "updateService": {"service": "web", "desiredCount": 3}},
    ]
    ran = run(machines(4, keys={"actions": updates}), tmp_path)
    assert [task["started_at"] for task in ran.tasks()[4:]] == [30 * MINUTE + 90 * SECOND] * 2
    gone = ran.instances(termination_reason="scale-in")
    assert [host["terminated_at"] for host in gone] == [HOUR + SECOND] * 3
    assert ran.states() == {"RUNNING": 3, "STOPPED": 3}
    lived = [(host["terminated_at"] or 2 * HOUR) - host["launched_at"] for host in ran.instances()]
    assert ran.summary["services"]["web"]["cost_usd"] == pytest.approx(sum(lived) / HOUR * 0.36)
    assert ran.series("desired_count")[-1][1] == 3


def test_a_machine_that_is_lost_is_replaced(tmp_path: Path) -> None:
    loss = {"at": "10m", "terminateInstances": {"instanceIds": ["2"]}}
    ran = run(machines(keys={"actions": [loss]}), tmp_path)
    assert sorted(t["container_instance_id"] for t in ran.tasks(last_status="RUNNING")) == [1, 3, 4, 5]
    assert ran.tasks()[-1]["started_at"] == 10 * MINUTE + 90 * SECOND


def test_a_copy_that_crashes_is_started_again_on_its_machine(tmp_path: Path) -> None:
    """Its supervisor does that at once (Restart=always): the machine stays, and nothing boots."""
    ran = run(machines(1, "1h", behavior={"timeToFailure": "20m"}), tmp_path)
    starts = [task["started_at"] for task in ran.tasks()]
    assert starts == [90 * SECOND, 21 * MINUTE + 30 * SECOND, 41 * MINUTE + 30 * SECOND]
    assert len(ran.instances()) == 1
    assert ran.tasks()[0]["exit_code"] == 1


def test_a_machine_whose_copy_hangs_is_replaced(tmp_path: Path) -> None:
    """Health checks of type ELB: two failed checks of 30 s, then another machine is launched and this one drains."""
    groups = [{"name": "web", "deregistrationDelay": "10s", "healthCheckIntervalSeconds": 30}]
    balanced = [{"targetGroupArn": "web", "containerName": "main", "containerPort": 80}]
    written = machines(
        1,
        "40m",
        loadBalancers=balanced,
        behavior={"timeToHang": {"distribution": "uniform", "low": "30m", "high": "31m"}},
        keys={
            "targetGroups": groups,
            "taskDefinitions": [definition(container={"portMappings": [{"containerPort": 80}]})],
        },
    )
    ran = run(written, tmp_path)
    first, second = ran.instances()
    assert first["termination_reason"] == "failed health checks"
    assert second["launched_at"] < first["terminated_at"]
    assert first["terminated_at"] - second["launched_at"] <= 12 * SECOND
    assert ran.states() == {"RUNNING": 1, "STOPPED": 1}


def test_the_tasks_of_others_never_go_there(tmp_path: Path) -> None:
    """A service of launch type EC2 finds no container instance, though four machines are nearly empty."""
    written = machines()
    written["services"].append(service("other", 1, launchType="EC2"))
    ran = run(written, tmp_path)
    assert ran.tasks(service="other") == []
    assert ran.messages("SERVICE_TASK_PLACEMENT_FAILURE") != []
