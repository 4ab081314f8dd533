"""Container instances: launched, registered, draining, terminated; and what happens to their tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clustersim.vocabulary import InstanceState, StopCode, TaskState, TerminationReason
from clustersim.world.checks.invariants import check_invariants
from clustersim.world.instances.lifecycle import (
    activate_instance,
    drain_instance,
    end_instance,
    launch_instance,
)
from tests.harness import MINUTE, SECOND
from tests.world.small import run_task, settle, small_world, start_service

FAILED = int(TerminationReason.INSTANCE_FAILURE)


def test_an_instance_offers_room_from_its_registration(tmp_path: Path) -> None:
    """Requested at 0, registered at 90 s: a waiting task is placed then, not before."""
    cluster = small_world(tmp_path, nodes=0)
    waiting = run_task(cluster)
    cluster.make_room(64, 1)
    slot = launch_instance(cluster.core, 0, 0, 0, 90 * SECOND)
    settle(cluster, 89 * SECOND)
    assert cluster.state.instances.rows[slot]["state"] == InstanceState.REGISTERING
    check_invariants(cluster)
    settle(cluster, 90 * SECOND)
    check_invariants(cluster)
    assert cluster.state.instances.rows[slot]["state"] == InstanceState.ACTIVE
    assert cluster.state.tasks.rows[waiting]["placed"] == 90 * SECOND


def test_a_draining_instance_keeps_its_tasks_and_gets_no_new_ones(tmp_path: Path) -> None:
    """RUNNING service tasks are to be replaced, standalone ones are untouched (golden 79)."""
    cluster = small_world(tmp_path, nodes=1)
    web = start_service(cluster, 2)
    alone = run_task(cluster)
    host = cluster.live_instances()[0]
    drain_instance(cluster.core, host, SECOND)
    check_invariants(cluster)
    assert cluster.state.tasks.rows["leaving"][[*web, alone]].tolist() == [1, 1, 0]
    assert cluster.state.tasks.rows["state"][[*web, alone]].tolist() == [TaskState.RUNNING] * 3
    assert cluster.state.tasks.rows[run_task(cluster, SECOND)]["state"] == TaskState.PROVISIONING


def test_an_activated_instance_takes_queued_tasks(tmp_path: Path) -> None:
    """Its service tasks may stay."""
    cluster = small_world(tmp_path, nodes=1)
    web = start_service(cluster, 2)
    host = cluster.live_instances()[0]
    drain_instance(cluster.core, host, 0)
    waiting = run_task(cluster, 1)
    settle(cluster, MINUTE - 1)
    activate_instance(cluster.core, host, MINUTE)
    settle(cluster, MINUTE)
    check_invariants(cluster)
    assert cluster.state.tasks.rows["leaving"][web].tolist() == [0, 0]
    assert cluster.state.tasks.rows[waiting]["placed"] == MINUTE
    assert cluster.state.instances.rows[host]["draining"] == -1


def test_pending_service_tasks_of_a_draining_instance_stop_at_once(tmp_path: Path) -> None:
    """botocore: UpdateContainerInstancesState."""
    from tests.harness import service

    cluster = small_world(tmp_path, nodes=1, services=[service("web", 0, behavior={"startupTime": "1m"})])
    start_service(cluster, 3)
    drain_instance(cluster.core, cluster.live_instances()[0], SECOND)
    check_invariants(cluster)
    finished = cluster.state.outputs.finished_tasks[: cluster.state.counters.finished_tasks]
    assert finished["stopped"].tolist() == [SECOND] * 3
    assert cluster.state.services.rows[0]["pending"] == 0


def test_tasks_end_with_their_instance(tmp_path: Path) -> None:
    """`Host EC2 (instance i-...) terminated.`; a task that was stopping anyway keeps its own reason."""
    cluster = small_world(tmp_path, nodes=1)
    start_service(cluster, 3)
    cluster.make_room(64, 1)
    end_instance(cluster.core, cluster.live_instances()[0], MINUTE, FAILED)
    settle(cluster, MINUTE)
    check_invariants(cluster)
    finished = cluster.state.outputs.finished_tasks[: cluster.state.counters.finished_tasks]
    assert finished["stop_code"].tolist() == [StopCode.TerminationNotice] * 3
    assert finished["stopped"].tolist() == finished["stopping"].tolist() == [MINUTE] * 3
    assert cluster.state.counters.terminated_instances == 1
    assert cluster.live_instances().size == 0


def test_when_all_instances_are_terminated_all_counts_are_zero(tmp_path: Path) -> None:
    """Providers count no instance, nothing registered, nothing reserved, no cost per hour."""
    cluster = small_world(tmp_path, nodes=5)
    start_service(cluster, 12)
    for slot in cluster.live_instances():
        cluster.make_room(256, 1)
        end_instance(cluster.core, slot, MINUTE, FAILED)
    settle(cluster, MINUTE)
    check_invariants(cluster)
    row = cluster.state.capacity.providers[0]
    names = ("instances", "registered", "registered_cpu", "registered_memory", "cpu", "memory", "running")
    assert [int(row[name]) for name in names] == [0] * 7
    assert abs(row["usd_per_hour"]) < 1e-12
    assert not np.any(cluster.state.placement.zone_counts)
