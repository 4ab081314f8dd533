"""Container instances: launched, registered, draining, gone; and what becomes of their tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clustersim.vocabulary import InstanceState, StopCode, TaskState, TerminationReason
from clustersim.world.checks.invariants import check
from clustersim.world.instances.lifecycle import activate, drain, end_instance, launch
from clustersim.world.state.tables import FINISHED, LOST
from tests.harness import MINUTE, SECOND
from tests.world.small import ask_for, settle, small_world, start_service

FAILED = int(TerminationReason.INSTANCE_FAILURE)


def test_an_instance_offers_room_from_its_registration(tmp_path: Path) -> None:
    """Requested at 0, registered at 90 s: a task that waits is placed then, not before."""
    of = small_world(tmp_path, nodes=0)
    waiting = ask_for(of)
    of.make_room(64, 1)
    slot = launch(of.core, 0, 0, 0, 90 * SECOND)
    settle(of, 89 * SECOND)
    assert of.state.instances[slot]["state"] == InstanceState.REGISTERING
    check(of)
    settle(of, 90 * SECOND)
    check(of)
    assert of.state.instances[slot]["state"] == InstanceState.ACTIVE
    assert of.state.tasks[waiting]["placed"] == 90 * SECOND


def test_a_draining_instance_keeps_its_tasks_and_gets_no_new_ones(tmp_path: Path) -> None:
    """RUNNING service tasks are to be replaced, standalone ones are untouched (golden 79)."""
    of = small_world(tmp_path, nodes=1)
    web = start_service(of, 2)
    alone = ask_for(of)
    host = of.live_instances()[0]
    drain(of.core, host, SECOND)
    check(of)
    assert of.state.tasks["leaving"][[*web, alone]].tolist() == [1, 1, 0]
    assert of.state.tasks["state"][[*web, alone]].tolist() == [TaskState.RUNNING] * 3
    assert of.state.tasks[ask_for(of, SECOND)]["state"] == TaskState.PROVISIONING


def test_activated_again_it_serves_those_who_waited(tmp_path: Path) -> None:
    """Its service tasks may stay."""
    of = small_world(tmp_path, nodes=1)
    web = start_service(of, 2)
    host = of.live_instances()[0]
    drain(of.core, host, 0)
    waiting = ask_for(of, 1)
    settle(of, MINUTE - 1)
    activate(of.core, host, MINUTE)
    settle(of, MINUTE)
    check(of)
    assert of.state.tasks["leaving"][web].tolist() == [0, 0]
    assert of.state.tasks[waiting]["placed"] == MINUTE
    assert of.state.instances[host]["draining"] == -1


def test_pending_service_tasks_of_a_draining_instance_stop_at_once(tmp_path: Path) -> None:
    """botocore: UpdateContainerInstancesState."""
    from tests.harness import service

    of = small_world(tmp_path, nodes=1, services=[service("web", 0, behavior={"startupTime": "1m"})])
    start_service(of, 3)
    drain(of.core, of.live_instances()[0], SECOND)
    check(of)
    lives = of.state.finished[: of.state.clock[FINISHED]]
    assert lives["stopped"].tolist() == [SECOND] * 3
    assert of.state.services[0]["pending"] == 0


def test_with_an_instance_go_its_tasks(tmp_path: Path) -> None:
    """`Host EC2 (instance i-...) terminated.`; a task that was stopping anyway keeps its own reason."""
    of = small_world(tmp_path, nodes=1)
    start_service(of, 3)
    of.make_room(64, 1)
    end_instance(of.core, of.live_instances()[0], MINUTE, FAILED)
    settle(of, MINUTE)
    check(of)
    lives = of.state.finished[: of.state.clock[FINISHED]]
    assert lives["stop_code"].tolist() == [StopCode.TerminationNotice] * 3
    assert lives["stopped"].tolist() == lives["stopping"].tolist() == [MINUTE] * 3
    assert of.state.clock[LOST] == 1
    assert of.live_instances().size == 0


def test_when_all_are_gone_nothing_is_left_of_them(tmp_path: Path) -> None:
    """Providers count no instance, nothing registered, nothing reserved, no cost per hour."""
    of = small_world(tmp_path, nodes=5)
    start_service(of, 12)
    for slot in of.live_instances():
        of.make_room(256, 1)
        end_instance(of.core, slot, MINUTE, FAILED)
    settle(of, MINUTE)
    check(of)
    row = of.state.providers[0]
    names = ("instances", "registered", "registered_cpu", "registered_memory", "cpu", "memory", "running")
    assert [int(row[name]) for name in names] == [0] * 7
    assert abs(row["usd_per_hour"]) < 1e-12
    assert not np.any(of.state.zone_counts)
