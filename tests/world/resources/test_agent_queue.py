"""The queue of the agent: what ECS counts as free and the host still holds, against a plain twin of both counts."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from clustersim.vocabulary import CPU, NEVER, WAIT_REASON_TEXTS, StopCode, StoppedReason, TaskState
from clustersim.world.checks.invariants import check_invariants
from clustersim.world.instances.lifecycle import drain_instance
from clustersim.world.scheduling.commands import start_task_batch, stop_tasks
from clustersim.world.state.world import World
from tests.harness import MINUTE, SECOND, definition, job, run, service, world
from tests.world.small import JOB, run_task, settle, small_world, start_service

CODE, REASON = int(StopCode.UserInitiated), int(StoppedReason.STOPPED_BY_USER)
SLOW = {"behavior": {"stopTime": "never"}}
"""Tasks that ignore SIGTERM, so that they stop for `stopTimeout`: 30 s."""


def full(directory: Path) -> tuple[World, list[int]]:
    """An instance that eight tasks fill, which stop slowly."""
    cluster = small_world(directory, 1, services=[service("web", 0, **SLOW)])
    return cluster, start_service(cluster, 8).tolist()


def stop(cluster: World, slots: list[int], now: int) -> None:
    cluster.make_room(256)
    stop_tasks(cluster.core, np.array(slots, np.int64), now, CODE, REASON)


def reason(cluster: World, slot: int) -> str | None:
    return WAIT_REASON_TEXTS[int(cluster.state.tasks.rows[slot]["wait_reason"])]


def test_a_task_takes_the_place_of_a_stopping_one_and_waits_for_its_room(tmp_path: Path) -> None:
    """ECS places it at once; the agent holds it in PENDING until the host has the room (What's New 2023-06-30)."""
    cluster, slots = full(tmp_path)
    stop(cluster, slots[:1], SECOND)
    (new,) = start_service(cluster, 1, SECOND).tolist()
    check_invariants(cluster)
    t = cluster.state.tasks.rows[new]
    assert (t["placed"], t["admitted"], t["state"]) == (SECOND, NEVER, TaskState.PENDING)
    assert reason(cluster, new) == "HOST:CPU"
    assert cluster.state.instances.hosts.free[CPU, t["instance_slot"]] == 0
    settle(cluster, 31 * SECOND)
    check_invariants(cluster)
    assert (t["admitted"], t["started"]) == (31 * SECOND, 31 * SECOND)


def test_a_large_head_blocks_a_small_task_behind_it(tmp_path: Path) -> None:
    """First in, first out, also where the one behind would fit (the agent's host resource manager)."""
    big = {**definition("big", cpu=1024, memory=2048)}
    cluster = small_world(
        tmp_path,
        1,
        taskDefinitions=[definition(), big],
        services=[service("web", 0, **SLOW)],
        runTasks=[job("job", 1, at="59m", duration="10s", taskDefinition="big")],
    )
    slots = start_service(cluster, 8).tolist()
    stop(cluster, slots[:2], 0)
    head = run_task(cluster, 0, row=JOB)
    stop(cluster, slots[2:3], 5 * SECOND)
    (behind,) = start_service(cluster, 1, 5 * SECOND).tolist()
    assert (reason(cluster, head), reason(cluster, behind)) == ("HOST:CPU", "HOST:QUEUE")
    stop(cluster, slots[3:4], 6 * SECOND)
    settle(cluster, 30 * SECOND)
    check_invariants(cluster)
    admitted = cluster.state.tasks.rows["admitted"][[head, behind]].tolist()
    assert admitted == [30 * SECOND, NEVER]
    settle(cluster, 35 * SECOND)
    assert cluster.state.tasks.rows["admitted"][behind] == 35 * SECOND


def test_a_held_task_that_is_stopped_lets_the_next_one_in(tmp_path: Path) -> None:
    """It leaves the queue from any position, and what ECS counts for it is free again at once."""
    cluster, slots = full(tmp_path)
    stop(cluster, slots[:1], 0)
    (first,) = start_service(cluster, 1).tolist()
    stop(cluster, slots[1:2], SECOND)
    (second,) = start_service(cluster, 1, SECOND).tolist()
    stop(cluster, [first], 2 * SECOND)
    check_invariants(cluster)
    settle(cluster, 30 * SECOND)
    check_invariants(cluster)
    assert cluster.state.tasks.rows["admitted"][second] == 30 * SECOND


def test_a_held_task_has_pulled_nothing(tmp_path: Path) -> None:
    """Its row was another task's before: what that one had pulled must not be released when it is stopped."""
    images = {"app": {"layers": [{"digest": "app", "size": "9 MiB"}]}}
    cluster = small_world(tmp_path, 1, images=images, services=[service("web", 0, **SLOW)])
    slots = start_service(cluster, 8).tolist()
    settle(cluster, MINUTE)
    stop(cluster, slots[:4], MINUTE)
    settle(cluster, 2 * MINUTE)
    stop(cluster, slots[4:], 2 * MINUTE)
    held = start_service(cluster, 8, 2 * MINUTE).tolist()
    check_invariants(cluster)
    assert int((cluster.state.tasks.rows["admitted"][held] < 0).sum()) == 4
    stop(cluster, held, 2 * MINUTE + SECOND)
    check_invariants(cluster)
    settle(cluster, 4 * MINUTE)
    check_invariants(cluster)


def test_a_host_that_drains_stops_its_held_service_tasks_and_keeps_held_standalone_ones(
    tmp_path: Path,
) -> None:
    """botocore, UpdateContainerInstancesState: PENDING service tasks stop; standalone tasks are left alone."""
    cluster, slots = full(tmp_path)
    stop(cluster, slots[:2], 0)
    (held,) = start_service(cluster, 1).tolist()
    alone = run_task(cluster, 0, row=JOB)
    identity = int(cluster.state.tasks.rows["task_id"][held])
    cluster.make_room(256)
    drain_instance(cluster.core, cluster.live_instances()[0], SECOND)
    assert cluster.state.tasks.rows["task_id"][held] != identity
    settle(cluster, 30 * SECOND)
    check_invariants(cluster)
    assert cluster.state.tasks.rows["admitted"][alone] == 30 * SECOND


@pytest.mark.parametrize("hold", [True, False])
def test_a_network_interface_is_held_until_stopped_unless_the_setting_says_otherwise(
    tmp_path: Path, hold: bool
) -> None:
    """An instance with one interface for tasks: the next task is placed when the first is STOPPED, or stops."""
    node = {"name": "test.node", "vcpus": 4, "memoryMiB": 8192, "registeredMemoryMiB": 8192, "maxEnis": 2}
    written = world(
        cluster={"stoppingTasks": {"holdNetworkInterfaces": hold}, "eniAttachTime": 0},
        instanceTypes=[{**node, "usdPerHour": 0.36}],
        taskDefinitions=[definition(networkMode="awsvpc")],
        services=[service("web", 1, **SLOW)],
        runTasks=[job("next", at="11m", duration="1m")],
        actions=[{"at": "11m", "updateService": {"service": "web", "desiredCount": 0}}],
    )
    ran = run(written, tmp_path)
    (following,) = ran.tasks(group="next")
    stopped = 11 * MINUTE + 30 * SECOND
    assert following["placed_at"] == (stopped if hold else 11 * MINUTE)
    assert following["admitted_at"] == stopped
    assert following["wait_reason"] == ("RESOURCE:ENI" if hold else "HOST:ENI")


def test_a_static_port_is_free_for_ecs_at_once_and_on_the_host_when_stopped(tmp_path: Path) -> None:
    """The second task with the port is placed beside the stopping one, and starts when that has gone."""
    ports = {"portMappings": [{"containerPort": 80, "hostPort": 80}]}
    written = world(
        taskDefinitions=[definition(cpu=128, memory=128, networkMode="bridge", container=ports)],
        services=[service("web", 1, **SLOW)],
        runTasks=[job("next", at="11m", duration="1m")],
        actions=[{"at": "11m", "updateService": {"service": "web", "desiredCount": 0}}],
    )
    (following,) = run(written, tmp_path).tasks(group="next")
    assert (following["placed_at"], following["admitted_at"]) == (
        11 * MINUTE,
        11 * MINUTE + 30 * SECOND,
    )
    assert following["wait_reason"] == "HOST:PORTS"


@dataclass
class PlainTask:
    """A task of the plain twin."""

    slot: int
    cpu: int
    placed: int
    admitted: int | None = None
    stopping: int | None = None


@dataclass
class PlainHost:
    """An instance of 4,096 CPU units with both counts and the queue, in the words of the rule."""

    tasks: list[PlainTask] = field(default_factory=list)

    def free_for_ecs(self) -> int:
        return 4_096 - sum(task.cpu for task in self.tasks if task.stopping is None)

    def free_on_host(self) -> int:
        return 4_096 - sum(task.cpu for task in self.tasks if task.admitted is not None)

    def serve(self, now: int) -> None:
        """End what has stopped for 30 s, then admit held tasks in their order, as long as the first fits."""
        self.tasks = [
            task for task in self.tasks if task.stopping is None or task.stopping + 30 * SECOND > now
        ]
        for task in [task for task in self.tasks if task.admitted is None]:
            if task.cpu > self.free_on_host():
                break
            task.admitted = now


@pytest.mark.parametrize("seed", range(4))
def test_two_counts_equal_a_plain_twin(tmp_path: Path, seed: int) -> None:
    """Random starts and stops of tasks of two sizes: the same tasks are held for the same time."""
    draw = random.Random(f"agent queue {seed}")
    sizes = {"web": 512, "big": 1_536}
    cluster = small_world(
        tmp_path,
        1,
        taskDefinitions=[definition(memory=64), definition("big", cpu=1_536, memory=64)],
        services=[service("web", 0, **SLOW), service("big", 0, taskDefinition="big", **SLOW)],
        runTasks=[],
    )
    host = PlainHost()
    for second in range(1, 120):
        now = second * SECOND
        settle(cluster, now)
        host.serve(now)
        running = [task for task in host.tasks if task.stopping is None]
        if running and draw.random() < 0.4:
            task = draw.choice(running)
            stop(cluster, [task.slot], now)
            if task.admitted is None:
                host.tasks.remove(task)
            task.stopping = now
            settle(cluster, now)
            host.serve(now)
        name = draw.choice(("web", "big"))
        if draw.random() < 0.6 and sizes[name] <= host.free_for_ecs():
            row = ("web", "big").index(name)
            (slot,) = start_row(cluster, row, now)
            host.tasks.append(PlainTask(slot, sizes[name], now))
            settle(cluster, now)
            host.serve(now)
        check_invariants(cluster)
        known = {task.slot: NEVER if task.admitted is None else task.admitted for task in host.tasks}
        assert {
            slot: int(cluster.state.tasks.rows["admitted"][slot]) for slot in cluster.live_tasks()
        } == known


def start_row(cluster: World, row: int, now: int) -> list[int]:
    """Start one task of set `row` and return its slot."""
    cluster.make_room(256)
    ids = np.zeros(1, np.int64)
    assert start_task_batch(cluster.core, row, cluster.first_shape[row], 1, now, ids) == 1
    return [int(slot) for slot in cluster.live_tasks() if cluster.state.tasks.rows["task_id"][slot] == ids[0]]
