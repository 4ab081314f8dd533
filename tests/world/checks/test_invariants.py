"""The second reading of the world: every rule is broken by a corruption of its own, and a sound world passes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clustersim.engine import program
from clustersim.errors import InvariantViolation
from clustersim.simulation import Simulation
from clustersim.vocabulary import CPU, ENI, GPU, HOST_PORTS, MEMORY, NEVER
from clustersim.world.checks.all_rules import first_broken
from clustersim.world.checks.invariants import SecondReading, check
from clustersim.world.checks.rules import PROVIDER_SUMS, STAMPS, TASK_COUNTS, WORDS
from clustersim.world.instances.lifecycle import drain
from clustersim.world.state.tables import DISCONNECTED, FREE_TASKS, HEAP_SIZE, PROMISED, WAITING_TASKS
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
from tests.world.small import WEB, ask_for, small_world, start_service

Corruption = Callable[[World], None]
FAR = 10_000  # no table of these worlds has so many rows
HUGE = 2**41  # more addresses than a subnet without a cidrBlock has


def crowded(directory: Path) -> World:
    """Two full instances, one of them draining, and a task that waits."""
    made = small_world(directory)
    start_service(made, 16)
    ask_for(made)
    drain(made.core, made.live_instances()[1], 0)
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


def task(of: World) -> Any:
    """A task that runs on an instance."""
    slots = of.live_tasks()
    return of.state.tasks[int(slots[of.state.tasks["slot"][slots] >= 0][0])]


def host(of: World) -> int:
    return int(of.live_instances()[0])


def class_of(of: World) -> Any:
    return of.state.classes[int(of.state.instances[host(of)]["klass"])]


def waiting(of: World) -> Any:
    """The task that waits for a place."""
    return of.state.tasks[int(of.live_tasks()[of.state.tasks["waiting"][of.live_tasks()] == 1][0])]


ROWS: dict[str, Callable[[World], Any]] = {
    "task": task,
    "waiting task": waiting,
    "last task": lambda of: of.state.tasks[int(of.live_tasks()[-1])],
    "set": lambda of: of.state.sets[WEB],
    "service": lambda of: of.state.services[0],
    "lane": lambda of: of.state.lanes[int(task(of)["lane"])],
    "shape": lambda of: of.state.shapes[int(task(of)["shape"])],
    "waiting shape": lambda of: of.state.shapes[int(waiting(of)["shape"])],
    "host": lambda of: of.state.instances[host(of)],
    "class": class_of,
    "agent": lambda of: of.state.agents[int(of.state.instances[host(of)]["klass"])],
    "provider": lambda of: of.state.providers[0],
    "bucket": lambda of: of.state.buckets[0],
}


def put(row: str, **columns: int) -> Corruption:
    """Write these values into a row."""

    def corrupt(of: World) -> None:
        for column, value in columns.items():
            ROWS[row](of)[column] = value

    return corrupt


def add(row: str, column: str, change: int = 1) -> Corruption:
    def corrupt(of: World) -> None:
        ROWS[row](of)[column] += change

    return corrupt


def tick(scalar: int, change: int = 1) -> Corruption:
    """Change a scalar of the clock."""

    def corrupt(of: World) -> None:
        of.state.clock[scalar] += change

    return corrupt


def shelf(column: str, position: int | None, value: int, by: bool = False) -> Corruption:
    """Write into, or add to, what the first instance has of images."""

    def corrupt(of: World) -> None:
        array = getattr(of.state.shelves, column)
        at = host(of) if position is None else (host(of), position)
        array[at] = array[at] + value if by else value

    return corrupt


def window(began: int, used: int) -> Corruption:
    def corrupt(of: World) -> None:
        of.state.windows[0, 0] = began, used

    return corrupt


def _free(resource: int, of: World) -> None:
    of.state.hosts.free[resource, host(of)] += 1


def _overcommit(resource: int, column: str, of: World) -> None:
    class_of(of)[column] -= FAR
    of.state.hosts.free[resource, host(of)] -= FAR


def _disorder(name: str, of: World) -> None:
    """Only this stamp and the one before it are known, and they are the wrong way round."""
    order = ("created", *STAMPS)
    for stamp in STAMPS:
        task(of)[stamp] = NEVER
    task(of)[order[order.index(name) - 1]] = 7
    task(of)[name] = 5


def _take_a_live_slot(of: World) -> None:
    of.state.free_tasks[0] = of.live_tasks()[0]


def _share_an_id(of: World) -> None:
    of.state.tasks["task_id"][of.live_tasks()[:2]] = 7


def _place_who_waits(of: World) -> None:
    put("waiting task", placed=0, zone=0, slot=host(of))(of)


def _promise_what_runs(of: World) -> None:
    task(of)["promised"] = host(of)


def _take_a_port(of: World) -> None:
    of.state.hosts.ports[host(of), 0] = 1


def _open_a_draining_host(of: World) -> None:
    of.state.hosts.klass[of.live_instances()[1]] = 0


def _move_to_another_zone(of: World) -> None:
    task(of)["zone"] = (task(of)["zone"] + 1) % 3


def _swap_the_subnets(of: World) -> None:
    of.state.subnet_zones[:] = of.state.subnet_zones[::-1].copy()


def _close_the_subnets(of: World) -> None:
    of.state.lane_subnets[:] = 0


def _take_too_many_addresses(of: World) -> None:
    class_of(of)["addresses"] += HUGE
    of.state.free_addresses[of.state.instances[host(of)]["subnet"]] -= HUGE


def _count_an_address_twice(of: World) -> None:
    of.state.free_addresses[1] -= 1


def _run_without_an_image(of: World) -> None:
    of.state.holds[of.live_tasks()[0]] = NEVER


RESOURCES = {CPU: "cpu", MEMORY: "memory", GPU: "gpus", ENI: "enis", HOST_PORTS: "host_ports"}

CROWDED: list[tuple[str, Corruption]] = [
    ("a row of tasks names what is not there", put("task", set=FAR)),
    ("a row of tasks names what is not there", put("task", slot=FAR)),
    ("a row of tasks names what is not there", put("task", shape=NEVER)),
    ("a row of tasks names what is not there", put("task", promised=FAR)),
    ("a row of instances names what is not there", put("host", klass=FAR)),
    ("a row of sets names what is not there", put("set", group=FAR)),
    ("a row of sets names what is not there", put("set", pulls=FAR)),
    ("a row of lanes names what is not there", put("lane", provider=FAR)),
    ("a row of shapes names what is not there", put("shape", lane=FAR)),
    ("a task is placed on an instance that is not there", put("host", instance_id=NEVER)),
    ("a task is placed on an instance that is not there", put("task", slot=NEVER)),
    ("task slots are lost", put("last task", task_id=NEVER)),
    ("task slots are lost", tick(FREE_TASKS, -1)),
    ("a task slot is live and free", _take_a_live_slot),
    ("two tasks share an id", _share_an_id),
    ("the heap is out of bounds", tick(HEAP_SIZE, -FAR)),
    *((f"a task has {name} before what must precede it", partial(_disorder, name)) for name in STAMPS),
    ("a live task has a stopped stamp", put("task", stopped=0)),
    ("a task runs that never started", put("task", started=NEVER)),
    ("a task in PROVISIONING has a place", _place_who_waits),
    ("a task answers and does not answer", put("task", ready=1, hung=1)),
    ("a task is promised to an instance that is not being launched", _promise_what_runs),
    *((f"free resource {number} is not what is left", partial(_free, number)) for number in RESOURCES),
    *(
        (f"an instance is over-committed in resource {number}", partial(_overcommit, number, column))
        for number, column in RESOURCES.items()
    ),
    ("the taken ports are not those of the tasks", _take_a_port),
    ("an instance's task count is not the number of its tasks", add("host", "task_count", -1)),
    ("an instance's working tasks are not those that are no daemons", add("host", "working")),
    ("an instance's working tasks are not those that are no daemons", put("set", daemon=1)),
    (
        "an instance is open that is not ACTIVE and connected, or the other way round",
        _open_a_draining_host,
    ),
    (
        "an instance is open that is not ACTIVE and connected, or the other way round",
        put("host", connected=0),
    ),
    ("disconnected agents are miscounted", tick(DISCONNECTED)),
    *((f"a task set miscounts its {name} tasks", add("set", name)) for name in TASK_COUNTS),
    ("a task set miscounts its running tasks", put("task", state=5)),
    *((f"a service miscounts its {name} tasks", add("service", name, -1)) for name in TASK_COUNTS[:4]),
    ("a lane miscounts its tasks", add("lane", "live")),
    ("a group miscounts its tasks per zone", _move_to_another_zone),
    *((f"a provider miscounts its {name}", add("provider", name)) for name in PROVIDER_SUMS),
    ("a provider miscounts who waits", add("provider", "provisioning")),
    ("Fargate miscounts its CPU units", add("bucket", "cpu", 1_024)),
    ("the waiting tasks are miscounted", tick(WAITING_TASKS)),
    ("the waiting tasks are miscounted", put("waiting task", waiting=0)),
    ("the promised tasks are miscounted", tick(PROMISED)),
]

PULLING: list[tuple[str, Corruption]] = [
    ("a task has an address too many or too few", put("task", subnet=NEVER)),
    ("a task's address is in another zone", _swap_the_subnets),
    ("a task's address is in a subnet that is not its own", _close_the_subnets),
    ("a subnet miscounts its addresses", _count_an_address_twice),
    ("a subnet has given more addresses than it has", _take_too_many_addresses),
    ("a host miscounts the containers of an image", shelf("containers", 0, 1, by=True)),
    ("a host miscounts its read/write layers", shelf("written", None, 1, by=True)),
    ("a host miscounts who stands on a layer", shelf("standing", 0, 1, by=True)),
    ("a layer is there for nobody, or missing", shelf("there_at", 2, 0)),
    ("a layer is there for nobody, or missing", shelf("there_at", 0, NEVER)),
    ("a disk does not hold its layers", shelf("stored", None, -1, by=True)),
    ("a disk holds more than it can", put("agent", disk=0)),
    ("a tag means what is not there", shelf("held", 0, 1)),
    ("a tag means what is not there", shelf("held", 0, FAR)),
    ("a tag means another image's version", shelf("held", 1, 0)),
    ("a pull has no time", shelf("pulled_at", 0, -7)),
    ("a task pulls that has nothing to pull", put("set", pulls=0)),
    ("a task runs before its pull is over", put("task", pull_stopped=NEVER)),
    ("a task runs without its image", _run_without_an_image),
    ("Fargate bills before the pull, or not after it", put("last task", accrued=0)),
    ("a window has let fewer than none through", window(0, -1)),
    ("a pull waits longer than it may", window(0, 10**9)),
    ("a pull waits longer than it may", window(HUGE, 1)),
]


def _raises(of: World, corrupt: Corruption, words: str) -> None:
    check(of)
    corrupt(of)
    with pytest.raises(InvariantViolation, match=f"^at {of.now} ms: {re.escape(words)}$"):
        check(of)


@pytest.mark.parametrize(("words", "corrupt"), CROWDED)
def test_a_planted_corruption_of_counts_is_seen(words: str, corrupt: Corruption, tmp_path: Path) -> None:
    """A check that never fails proves nothing: each of these must stop a checked run, in the right words."""
    _raises(crowded(tmp_path), corrupt, words)


@pytest.mark.parametrize(("words", "corrupt"), PULLING)
def test_a_planted_corruption_of_images_is_seen(words: str, corrupt: Corruption, tmp_path: Path) -> None:
    """The same for what is looked at only where there are images and subnets."""
    _raises(pulling(tmp_path), corrupt, words)


def test_a_task_that_waits_although_it_fits_is_seen(tmp_path: Path) -> None:
    """On a full instance there is room for one that asks for nothing; the words name its shape."""
    of = crowded(tmp_path)
    shape = int(waiting(of)["shape"])
    nothing = put("waiting shape", cpu=0, memory=0)
    _raises(of, nothing, f"a task of shape {shape} waits although it fits somewhere")


def test_every_rule_has_a_corruption_that_breaks_it() -> None:
    """Whoever adds a rule shows that it can fail, for each thing that it may be about."""
    known = {
        words.text.format(name)
        for words in WORDS[1:]
        for name in words.names or (range(len(RESOURCES)) if "{}" in words.text else ("",))
        if "shape {}" not in words.text
    }
    assert {words for words, _ in CROWDED + PULLING} == known


@pytest.mark.parametrize("name", WORLDS)
def test_a_reader_starts_anew_each_time(name: str, tmp_path: Path) -> None:
    """Its columns are kept; what an earlier reading added up must not be in them, nor be missed when they grow."""
    of = WORLDS[name](tmp_path)
    reader = SecondReading(of)
    for _ in range(3):
        reader.check()
    of.make_room(lives=3 * of.state.tasks.size, instances=2 * of.state.instances.size)
    reader.check()


def test_only_a_checked_run_loads_the_program_of_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So nobody else waits until it is compiled, and none of its kernels is in the program of a run."""

    def refuse(symbol: str, name: str) -> int:
        raise AssertionError(f"{symbol} of {name} was asked for")

    run(world(runTasks=[job()]), tmp_path / "warm", checked=False)
    monkeypatch.setattr(program, "address", refuse)
    monkeypatch.setattr(first_broken, "_native", None)
    run(world(runTasks=[job()]), tmp_path / "plain", checked=False)
    with pytest.raises(AssertionError, match="first_broken of checks was asked for"):
        run(world(runTasks=[job()]), tmp_path / "checked")
    both = set(program.kernel_modules(program.KERNELS)) & set(program.kernel_modules(program.CHECKS))
    assert both == set()
