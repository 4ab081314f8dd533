"""Queued tasks: their order, overtaking, and placement failures; which tasks count when a host is chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clustersim.engine.compiled import Array
from clustersim.vocabulary import NEVER, StopCode, StoppedReason, TaskState, WaitReason
from clustersim.world.checks.invariants import check_invariants
from clustersim.world.scheduling.commands import stop_tasks
from clustersim.world.state.world import World
from tests.harness import MINUTE, SECOND, Block, definition, job, service
from tests.world.small import JOB, run_task, settle, small_world, start_service

BIG = 2  # the second entry's task set


def _two_sizes(directory: Path, **cluster: object) -> World:
    """Return one instance of 8 GiB; `job` needs 1 GiB, `big` 6 GiB."""
    return small_world(
        directory,
        nodes=1,
        cluster={"provisioning": {"limit": "unlimited", "timeout": "unlimited", **cluster}},
        taskDefinitions=[definition(cpu=256), definition("big", 256, 6144)],
        runTasks=[job("job", at="59m"), job("big", at="59m", taskDefinition="big")],
    )


def _states(cluster: World, *slots: int) -> list[int]:
    return [int(cluster.state.tasks.rows[slot]["state"]) for slot in slots]


def test_equal_tasks_are_placed_in_order_of_arrival(tmp_path: Path) -> None:
    """Eight fit; of three queued tasks the first is placed first."""
    cluster = _two_sizes(tmp_path)
    held = [run_task(cluster, 0, MINUTE) for _ in range(8)]
    waiting = [run_task(cluster, now) for now in (1, 2, 3)]
    assert _states(cluster, *held) == [TaskState.RUNNING] * 8
    assert _states(cluster, *waiting) == [TaskState.PROVISIONING] * 3
    cluster.state.tasks.rows[held[0]]["duration"] = 0
    settle(cluster, MINUTE)
    check_invariants(cluster)
    assert _states(cluster, *waiting) == [TaskState.RUNNING] * 3
    assert cluster.state.tasks.rows["placed"][waiting].tolist() == [MINUTE] * 3


def test_a_small_task_overtakes_a_big_one_that_does_not_fit(tmp_path: Path) -> None:
    """A task that does not fit blocks no other; when there is room for the big one, which is older, it gets it."""
    cluster = _two_sizes(tmp_path)
    first = run_task(cluster, 0, 10 * SECOND, BIG)
    second = run_task(cluster, 1, NEVER, BIG)
    small = [run_task(cluster, 2, 20 * SECOND) for _ in range(3)]
    assert _states(cluster, first, second) == [TaskState.RUNNING, TaskState.PROVISIONING]
    assert _states(cluster, *small) == [TaskState.RUNNING, TaskState.RUNNING, TaskState.PROVISIONING]
    settle(cluster, 10 * SECOND)
    check_invariants(cluster)
    assert cluster.state.tasks.rows[second]["placed"] == 10 * SECOND
    assert _states(cluster, small[2]) == [TaskState.PROVISIONING]
    settle(cluster, 21 * SECOND)
    check_invariants(cluster)
    assert _states(cluster, small[2]) == [TaskState.RUNNING]


def test_the_wait_reason_is_what_is_short(tmp_path: Path) -> None:
    """2 GiB are left, 6 wanted."""
    cluster = _two_sizes(tmp_path)
    run_task(cluster, 0, NEVER, BIG)
    slot = run_task(cluster, 0, NEVER, BIG)
    assert cluster.state.tasks.rows[slot]["wait_reason"] == WaitReason.RESOURCE_MEMORY


def test_beyond_the_limit_of_waiting_tasks_one_is_refused(tmp_path: Path) -> None:
    """ECS answers with a ClientException: the row of the task was never placed."""
    cluster = _two_sizes(tmp_path, limit=2)
    for _ in range(3):
        run_task(cluster, 0, NEVER, BIG)
    assert cluster.state.counters.waiting_tasks == 2
    assert run_task(cluster, 0, NEVER, BIG) == NEVER
    (task,) = cluster.state.outputs.finished_tasks[: cluster.state.counters.finished_tasks]
    assert (task["wait_reason"], task["stop_code"], task["placed"]) == (
        WaitReason.PROVISIONING_LIMIT,
        StopCode.TaskFailedToStart,
        NEVER,
    )
    check_invariants(cluster)


def test_after_the_timeout_a_waiting_task_stops(tmp_path: Path) -> None:
    """It stops at the instant itself; a task placed in time is unaffected."""
    cluster = _two_sizes(tmp_path, timeout="5m")
    placed = run_task(cluster, 0, NEVER, BIG)
    run_task(cluster, 7, NEVER, BIG)
    settle(cluster, 5 * MINUTE + 6)
    assert cluster.state.counters.waiting_tasks == 1
    settle(cluster, 5 * MINUTE + 7)
    check_invariants(cluster)
    assert cluster.state.counters.waiting_tasks == 0
    assert cluster.state.outputs.finished_tasks[0]["stopped"] == 5 * MINUTE + 7
    assert _states(cluster, placed) == [TaskState.RUNNING]


def test_a_launch_type_does_not_wait(tmp_path: Path) -> None:
    """RunTask with launch type EC2 fails at once where nothing fits."""
    cluster = small_world(
        tmp_path, nodes=1, runTasks=[job("job", at="59m", launchType="EC2")], services=[service("web", 0)]
    )
    assert [run_task(cluster, 0, NEVER, JOB) >= 0 for _ in range(10)] == [True] * 8 + [False] * 2
    assert cluster.state.counters.waiting_tasks == 0
    assert cluster.state.placement.failures[WaitReason.RESOURCE_CPU] == 2


DISTINCT = {"placementConstraints": [{"type": "distinctInstance"}]}
SPREAD = {"placementStrategy": [{"type": "spread", "field": "instanceId"}]}
BY_SCHEDULER = int(StopCode.ServiceSchedulerInitiated), int(StoppedReason.SCALING_ACTIVITY)


def _hosts(cluster: World, slots: Array) -> list[int]:
    return [int(host) for host in cluster.state.tasks.rows["instance_slot"][slots]]


@pytest.mark.parametrize("strategy", [SPREAD, {}], ids=["spread", "default"])
def test_a_stopping_task_does_not_count_for_the_spread_over_instances(
    strategy: Block, tmp_path: Path
) -> None:
    """Of two tasks on each of two instances of a zone one instance's stop: the next two tasks start there."""
    cluster = small_world(
        tmp_path, 2, availabilityZones=["us-east-1a"], services=[service("web", 0, **strategy)]
    )
    slots = start_service(cluster, 4)
    hosts = _hosts(cluster, slots)
    last = max(hosts)  # on a tie the first is chosen
    assert sorted(hosts) == [min(hosts)] * 2 + [last] * 2
    stopping = slots[np.array(hosts) == last]
    stop_tasks(cluster.core, stopping, 0, *BY_SCHEDULER)
    assert _states(cluster, *stopping) == [TaskState.STOPPING] * 2
    assert _hosts(cluster, start_service(cluster, 2)) == [last] * 2


def test_a_stopping_task_does_not_count_for_distinct_instance(tmp_path: Path) -> None:
    """While the only task of the service stops, its instance takes the next; a third has to wait for that one."""
    cluster = small_world(tmp_path, 1, services=[service("web", 0, **DISTINCT)])
    first = start_service(cluster, 1)
    stop_tasks(cluster.core, first, 0, *BY_SCHEDULER)
    second = start_service(cluster, 1)
    assert _hosts(cluster, second) == _hosts(cluster, first)
    assert _states(cluster, *start_service(cluster, 1)) == [TaskState.PROVISIONING]
