"""The invariant checker: every rule is broken by a corruption of its own, and a sound world passes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clustersim.engine import program, sources
from clustersim.errors import InvariantViolation
from clustersim.simulation import Simulation
from clustersim.vocabulary import CPU, ENI, GPU, HOST_PORTS, MEMORY, NEVER
from clustersim.world.checks.all_rules import find_broken_rule
from clustersim.world.checks.invariants import InvariantChecker, check_invariants
from clustersim.world.checks.rules import INSTANTS, PROVIDER_SUMS, RULE_TEXTS, TASK_COUNTS
from clustersim.world.instances.lifecycle import drain_instance
from clustersim.world.state.world import World
from tests.harness import (
    MINUTE,
    SECOND,
    definition,
    fargate_definition,
    job,
    run,
    scenario_of,
    service,
    world,
)
from tests.world.small import WEB, run_task, small_world, start_service

Corruption = Callable[[World], None]
FAR = 10_000  # no table of these worlds has so many rows
HUGE = 2**41  # more addresses than a subnet without a cidrBlock has


def crowded(directory: Path) -> World:
    """Two full instances, one of them draining, and a task that waits."""
    made = small_world(directory)
    start_service(made, 16)
    run_task(made)
    drain_instance(made.core, made.live_instances()[1], 0)
    return made


def pulling(directory: Path) -> World:
    """Two tasks of `app` run on an instance, two of `worker` on Fargate; a third there has not begun its pull."""
    base = {"digest": "base", "size": "1 GiB"}
    own = {"subnets": ["subnet-a"]}
    later = {"launchType": "FARGATE", "taskDefinition": "worker"}
    written = world(
        cluster={"fargateStartTime": "20s", "serviceLaunchRatePerMinute": 60_000},
        images={name: {"layers": [base, {"digest": name, "size": "9 MiB"}]} for name in ("app", "worker")},
        subnets=[{"subnetId": f"subnet-{zone}", "availabilityZone": f"us-east-1{zone}"} for zone in "ab"],
        taskDefinitions=[definition(networkMode="awsvpc"), fargate_definition("worker")],
        services=[service("web", 2, networkConfiguration={"awsvpcConfiguration": own})],
        runTasks=[job("now", 2, **later), job("late", at="5m", **later)],
    )
    simulation = Simulation(scenario_of(written, directory), directory)
    simulation.env.run(until=5 * MINUTE + 10 * SECOND)
    return simulation.world


WORLDS = {"crowded": crowded, "pulling": pulling}


def task(cluster: World) -> Any:
    """A task that runs on an instance."""
    slots = cluster.live_tasks()
    return cluster.state.tasks.rows[int(slots[cluster.state.tasks.rows["instance_slot"][slots] >= 0][0])]


def host(cluster: World) -> int:
    return int(cluster.live_instances()[0])


def class_of(cluster: World) -> Any:
    return cluster.state.capacity.classes[int(cluster.state.instances.rows[host(cluster)]["instance_class"])]


def waiting(cluster: World) -> Any:
    """The task that waits to be placed."""
    return cluster.state.tasks.rows[
        int(cluster.live_tasks()[cluster.state.tasks.rows["waiting"][cluster.live_tasks()] == 1][0])
    ]


ROWS: dict[str, Callable[[World], Any]] = {
    "task": task,
    "waiting task": waiting,
    "last task": lambda cluster: cluster.state.tasks.rows[int(cluster.live_tasks()[-1])],
    "set": lambda cluster: cluster.state.sets.rows[WEB],
    "service": lambda cluster: cluster.state.services.rows[0],
    "strategy_item": lambda cluster: cluster.state.sets.strategy_items[int(task(cluster)["strategy_item"])],
    "resource_shape": lambda cluster: cluster.state.sets.shapes[int(task(cluster)["resource_shape"])],
    "waiting shape": lambda cluster: cluster.state.sets.shapes[int(waiting(cluster)["resource_shape"])],
    "host": lambda cluster: cluster.state.instances.rows[host(cluster)],
    "class": class_of,
    "agent": lambda cluster: cluster.state.images.agents[
        int(cluster.state.instances.rows[host(cluster)]["instance_class"])
    ],
    "provider": lambda cluster: cluster.state.capacity.providers[0],
    "bucket": lambda cluster: cluster.state.capacity.fargate_quotas[0],
}


def put(row: str, **columns: int) -> Corruption:
    """Write these values into a row."""

    def corrupt(cluster: World) -> None:
        for column, value in columns.items():
            ROWS[row](cluster)[column] = value

    return corrupt


def add(row: str, column: str, change: int = 1) -> Corruption:
    def corrupt(cluster: World) -> None:
        ROWS[row](cluster)[column] += change

    return corrupt


def tick(counter: str, change: int = 1) -> Corruption:
    """Change a counter."""

    def corrupt(cluster: World) -> None:
        counters = cluster.state.counters
        setattr(counters, counter, getattr(counters, counter) + change)

    return corrupt


def cached_image(column: str, position: int | None, value: int, by: bool = False) -> Corruption:
    """Write into, or add to, the image cache of the first instance."""

    def corrupt(cluster: World) -> None:
        array = getattr(cluster.state.images.cache, column)
        at = host(cluster) if position is None else (host(cluster), position)
        array[at] = array[at] + value if by else value

    return corrupt


def window(began: int, used: int) -> Corruption:
    def corrupt(cluster: World) -> None:
        cluster.state.images.windows[0, 0] = began, used

    return corrupt


def _free(resource: int, cluster: World) -> None:
    cluster.state.instances.hosts.free[resource, host(cluster)] += 1


def _overcommit(resource: int, column: str, cluster: World) -> None:
    class_of(cluster)[column] -= FAR
    cluster.state.instances.hosts.free[resource, host(cluster)] -= FAR


def _swap_instants(name: str, cluster: World) -> None:
    """Only this instant and the one before it are known, in the wrong order."""
    order = ("created", *INSTANTS)
    for stamp in INSTANTS:
        task(cluster)[stamp] = NEVER
    task(cluster)[order[order.index(name) - 1]] = 7
    task(cluster)[name] = 5


def _take_a_live_slot(cluster: World) -> None:
    cluster.state.tasks.free[0] = cluster.live_tasks()[0]


def _share_an_id(cluster: World) -> None:
    cluster.state.tasks.rows["task_id"][cluster.live_tasks()[:2]] = 7


def _place_a_waiting_task(cluster: World) -> None:
    put("waiting task", placed=0, zone=0, instance_slot=host(cluster))(cluster)


def _assign_a_running_task(cluster: World) -> None:
    task(cluster)["assigned_instance"] = host(cluster)


def _take_a_port(cluster: World) -> None:
    cluster.state.instances.hosts.ports[host(cluster), 0] = 1


def _open_a_draining_host(cluster: World) -> None:
    cluster.state.instances.hosts.instance_class[cluster.live_instances()[1]] = 0


def _move_to_another_zone(cluster: World) -> None:
    task(cluster)["zone"] = (task(cluster)["zone"] + 1) % 3


def _swap_the_subnets(cluster: World) -> None:
    cluster.state.capacity.subnet_zones[:] = cluster.state.capacity.subnet_zones[::-1].copy()


def _close_the_subnets(cluster: World) -> None:
    cluster.state.placement.item_subnets[:] = 0


def _take_too_many_addresses(cluster: World) -> None:
    class_of(cluster)["addresses"] += HUGE
    cluster.state.capacity.free_addresses[cluster.state.instances.rows[host(cluster)]["subnet"]] -= HUGE


def _count_an_address_twice(cluster: World) -> None:
    cluster.state.capacity.free_addresses[1] -= 1


def _run_without_an_image(cluster: World) -> None:
    cluster.state.tasks.pulled_versions[cluster.live_tasks()[0]] = NEVER


RESOURCES = {CPU: "cpu", MEMORY: "memory", GPU: "gpus", ENI: "enis", HOST_PORTS: "host_ports"}

CROWDED: list[tuple[str, Corruption]] = [
    ("a row of tasks refers to a missing row", put("task", set=FAR)),
    ("a row of tasks refers to a missing row", put("task", instance_slot=FAR)),
    ("a row of tasks refers to a missing row", put("task", resource_shape=NEVER)),
    ("a row of tasks refers to a missing row", put("task", assigned_instance=FAR)),
    ("a row of instances refers to a missing row", put("host", instance_class=FAR)),
    ("a row of task sets refers to a missing row", put("set", group=FAR)),
    ("a row of task sets refers to a missing row", put("set", pulls=FAR)),
    ("a row of strategy items refers to a missing row", put("strategy_item", provider=FAR)),
    ("a row of shapes refers to a missing row", put("resource_shape", strategy_item=FAR)),
    ("a task is placed on a missing instance", put("host", instance_id=NEVER)),
    ("a task is placed on a missing instance", put("task", instance_slot=NEVER)),
    ("task slots are neither live nor free", put("last task", task_id=NEVER)),
    ("task slots are neither live nor free", tick("free_tasks", -1)),
    ("a task slot is both live and free", _take_a_live_slot),
    ("two tasks share an id", _share_an_id),
    ("the heap is out of bounds", tick("heap_size", -FAR)),
    *(
        (f"a task has {name} before the instant that must precede it", partial(_swap_instants, name))
        for name in INSTANTS
    ),
    ("a live task has an instant of being stopped", put("task", stopped=0)),
    ("a running task has never started", put("task", started=NEVER)),
    ("a task in PROVISIONING is placed", _place_a_waiting_task),
    ("a task is both ready and hung", put("task", ready=1, hung=1)),
    ("a task is assigned to an instance that is not being launched", _assign_a_running_task),
    *(
        (f"free resource {number} is not registered minus reserved", partial(_free, number))
        for number in RESOURCES
    ),
    *(
        (f"an instance is over-committed in resource {number}", partial(_overcommit, number, column))
        for number, column in RESOURCES.items()
    ),
    ("the taken host ports are not those of the tasks", _take_a_port),
    ("an instance miscounts its tasks", add("host", "task_count", -1)),
    ("an instance miscounts its tasks that are not daemons", add("host", "non_daemon_tasks")),
    ("an instance miscounts its tasks that are not daemons", put("set", daemon=1)),
    (
        "an instance is not open for placement exactly while it is ACTIVE and connected",
        _open_a_draining_host,
    ),
    (
        "an instance is not open for placement exactly while it is ACTIVE and connected",
        put("host", connected=0),
    ),
    ("disconnected agents are miscounted", tick("disconnected_agents")),
    *((f"a task set miscounts its {name} tasks", add("set", name)) for name in TASK_COUNTS),
    ("a task set miscounts its running tasks", put("task", state=5)),
    *((f"a service miscounts its {name} tasks", add("service", name, -1)) for name in TASK_COUNTS[:4]),
    ("a strategy item miscounts its tasks", add("strategy_item", "live")),
    ("a group miscounts its tasks per zone", _move_to_another_zone),
    *((f"a provider miscounts its {name}", add("provider", name)) for name in PROVIDER_SUMS),
    ("a provider miscounts its waiting tasks", add("provider", "provisioning")),
    ("Fargate miscounts its CPU units", add("bucket", "cpu", 1_024)),
    ("the waiting tasks are miscounted", tick("waiting_tasks")),
    ("the waiting tasks are miscounted", put("waiting task", waiting=0)),
    ("the assigned tasks are miscounted", tick("assigned_tasks")),
]

PULLING: list[tuple[str, Corruption]] = [
    ("a task does not have exactly the address it needs", put("task", subnet=NEVER)),
    ("a task's address is in another zone", _swap_the_subnets),
    ("a task's address is in a subnet that it may not use", _close_the_subnets),
    ("a subnet miscounts its addresses", _count_an_address_twice),
    ("a subnet has assigned more addresses than it has", _take_too_many_addresses),
    ("a host miscounts the containers of an image", cached_image("containers", 0, 1, by=True)),
    ("a host miscounts its read/write layers", cached_image("container_bytes", None, 1, by=True)),
    ("a host miscounts the references to a layer", cached_image("references", 0, 1, by=True)),
    ("a layer is cached without a reference, or missing", cached_image("available_at", 2, 0)),
    ("a layer is cached without a reference, or missing", cached_image("available_at", 0, NEVER)),
    ("a disk does not hold exactly its layers", cached_image("stored_bytes", None, -1, by=True)),
    ("a disk holds more than it can", put("agent", disk=0)),
    ("a tag refers to a version that is not cached", cached_image("current_version", 0, 1)),
    ("a tag refers to a version that is not cached", cached_image("current_version", 0, FAR)),
    ("a tag refers to a version of another image", cached_image("current_version", 1, 0)),
    ("a cached version has no pull time", cached_image("pulled_at", 0, -7)),
    ("a task without images pulls", put("set", pulls=0)),
    ("a task runs before its pull has ended", put("task", pull_stopped=NEVER)),
    ("a task runs without its image", _run_without_an_image),
    ("Fargate bills before the pull begins, or not from then on", put("last task", accrued_until=0)),
    ("a rate limit window has admitted a negative number", window(0, -1)),
    ("a pull waits longer than it may", window(0, 10**9)),
    ("a pull waits longer than it may", window(HUGE, 1)),
]


def _raises(cluster: World, corrupt: Corruption, message: str) -> None:
    check_invariants(cluster)
    corrupt(cluster)
    with pytest.raises(InvariantViolation, match=f"^at {cluster.now} ms: {re.escape(message)}$"):
        check_invariants(cluster)


@pytest.mark.parametrize(("message", "corrupt"), CROWDED)
def test_a_planted_corruption_of_counts_is_detected(
    message: str, corrupt: Corruption, tmp_path: Path
) -> None:
    """A check that never fails proves nothing: each corruption must stop a checked run, with the right message."""
    _raises(crowded(tmp_path), corrupt, message)


@pytest.mark.parametrize(("message", "corrupt"), PULLING)
def test_a_planted_corruption_of_images_is_detected(
    message: str, corrupt: Corruption, tmp_path: Path
) -> None:
    """The same for rules that are checked only where there are images and subnets."""
    _raises(pulling(tmp_path), corrupt, message)


def test_a_task_that_waits_although_it_fits_is_detected(tmp_path: Path) -> None:
    """A full instance has room for a task that needs nothing; the message names its shape."""
    cluster = crowded(tmp_path)
    shape = int(waiting(cluster)["resource_shape"])
    nothing = put("waiting shape", cpu=0, memory=0)
    _raises(cluster, nothing, f"a task of shape {shape} waits although it fits on a host")


def test_every_rule_has_a_corruption_that_breaks_it() -> None:
    """A new rule needs a corruption that breaks it, for each detail that it may have."""
    known = {
        rule.text.format(name)
        for rule in RULE_TEXTS[1:]
        for name in rule.names or (range(len(RESOURCES)) if "{}" in rule.text else ("",))
        if "shape {}" not in rule.text
    }
    assert {message for message, _ in CROWDED + PULLING} == known


@pytest.mark.parametrize("name", WORLDS)
def test_each_check_starts_from_zero(name: str, tmp_path: Path) -> None:
    """Its columns are kept; sums of an earlier check must not remain in them, nor be missing when they grow."""
    cluster = WORLDS[name](tmp_path)
    checker = InvariantChecker(cluster)
    for _ in range(3):
        checker.check()
    cluster.make_room(
        tasks=3 * cluster.state.tasks.rows.size, instances=2 * cluster.state.instances.rows.size
    )
    checker.check()


@pytest.mark.compiled
def test_only_a_checked_run_loads_the_program_of_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So no other run waits until it is compiled, and none of its kernels is in the program of a run."""

    def refuse(symbol: str, name: str) -> int:
        raise AssertionError(f"{symbol} of {name} was asked for")

    run(world(runTasks=[job()]), tmp_path / "warm", checked=False)
    monkeypatch.setattr(program, "address", refuse)
    monkeypatch.setattr(find_broken_rule, "_native", None)
    run(world(runTasks=[job()]), tmp_path / "plain", checked=False)
    with pytest.raises(AssertionError, match="find_broken_rule of checks was asked for"):
        run(world(runTasks=[job()]), tmp_path / "checked")
    both = set(sources.kernel_modules(sources.KERNELS)) & set(sources.kernel_modules(sources.CHECKS))
    assert both == set()
