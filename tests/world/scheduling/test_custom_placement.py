"""Placement strategies of the user's own, as whole runs: what the function is given, and what becomes of its answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clustersim.engine.backends import BackEnd
from clustersim.engine.compiled import using
from clustersim.errors import ScenarioError
from tests.harness import (
    MINUTE,
    Block,
    FinishedRun,
    definition,
    job,
    provider,
    run,
    service,
    world,
)

CUSTOM = {"type": "custom", "policy": "mine:choose"}
WORST_FIT = """
def choose(question):
    return question.hosts.free_memory_mib.argmax()
"""
BEST_FIT = """
def choose(question):
    return int(question.hosts.free_memory_mib.argmin())
"""


def save(folder: Path, source: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.py").write_text(source)
    return folder


def jobs(count: int = 4, **more: Any) -> Block:
    """Tasks of 1 GiB and half a vCPU that run for ever, on two nodes of 8 GiB and 4 vCPU."""
    rules = more.pop("placementStrategy", [CUSTOM])
    return world(nodes=2, runTasks=[job(count=count, placementStrategy=rules, at="1m", **more)])


def places(ran: FinishedRun) -> list[int | None]:
    return [row["container_instance_id"] for row in ran.rows("tasks")]


def test_worst_fit_takes_the_host_with_the_most_free_memory(tmp_path: Path) -> None:
    """Each host in turn, the older one where both have as much."""
    assert places(run(jobs(), save(tmp_path, WORST_FIT))) == [1, 2, 1, 2]


def busy_world(strategy: list[Block]) -> Block:
    """Queues, a deployment, crashes with retries, constraints and scale-in, all placed by one strategy."""
    update = {"at": "20m", "updateService": {"service": "web", "taskDefinition": "app:2", "desiredCount": 3}}
    behavior = {
        "startupTime": "20s",
        "timeToFailure": {"distribution": "lognormal", "median": "8m", "sigma": 1},
    }
    batch = job(
        "batch",
        1,
        arrivals={"ratePerHour": 300},
        duration={"distribution": "exponential", "mean": "6m"},
        retries=2,
        behavior=behavior,
    )
    lone = job("lone", 3, at="5m", duration="9m", placementConstraints=[{"type": "distinctInstance"}])
    web = service("web", 6, placementStrategy=strategy)
    return world(
        taskDefinitions=[definition(), definition(memory=1536)],
        capacityProviders=[provider(count=4, maxSize=4)],
        services=[web],
        runTasks=[each | {"placementStrategy": strategy} for each in (batch, lone)],
        actions=[update],
    )


def tables_of(ran: FinishedRun) -> dict[str, list[Any]]:
    return {name: ran.rows(name) for name in ("tasks", "container_instances", "events", "service_series")}


def test_the_same_rule_as_a_function_gives_the_same_run(tmp_path: Path) -> None:
    """Best fit on memory is ECS's binpack on memory: queues, constraints, deployments and retries are the same."""
    own = run(busy_world([CUSTOM]), save(tmp_path / "own", BEST_FIT))
    ecs = run(busy_world([{"type": "binpack", "field": "memory"}]), tmp_path / "ecs")
    # Which task stops on scale-in differs (binpack empties hosts), so the comparison ends with the deployment.
    columns = ("task_id", "created_at", "placed_at", "container_instance_id")
    placed = [
        sorted(
            tuple(row[name] for name in columns)
            for row in ran.rows("tasks")
            if row["created_at"] < 20 * MINUTE and (row["placed_at"] or 0) < 20 * MINUTE
        )
        for ran in (own, ecs)
    ]
    assert placed[0] == placed[1]
    assert len(placed[0]) > 60
    assert sum(1 for _, created, at, _ in placed[0] if at is not None and at > created) > 10


@pytest.mark.parametrize("back_end", [BackEnd.PYTHON, BackEnd.PROGRAM])
def test_all_back_ends_ask_the_same_questions(tmp_path: Path, back_end: BackEnd) -> None:
    expected = run(busy_world([CUSTOM]), save(tmp_path / "first", WORST_FIT), checked=False)
    with using(back_end):
        ran = run(busy_world([CUSTOM]), save(tmp_path / "second", WORST_FIT), checked=False)
    assert tables_of(ran) == tables_of(expected)


def test_what_the_function_is_given(tmp_path: Path) -> None:
    """The third task, when a host has one of 1 GiB and the other has none, in columns as long as there are hosts."""
    source = """
import dataclasses, json
def choose(question):
    hosts = {name: column.tolist() for name, column in vars(question.hosts).items()}
    seen = [question.now_ms, question.group, question.task, dataclasses.asdict(question.need), len(question.hosts)]
    with open(question.parameters["log"], "a") as log:
        print(json.dumps([seen, hosts]), file=log)
    return 0
"""
    log = tmp_path / "log"
    rule = {**CUSTOM, "parameters": {"log": str(log)}}
    run(jobs(2, placementStrategy=[rule]), save(tmp_path, source))
    seen, hosts = json.loads(log.read_text().splitlines()[1])
    need = {"cpu": 512, "memory_mib": 1024, "gpus": 0, "network_interfaces": 0, "host_ports": 0}
    assert seen == [60_000, "job", 1, need, 2]
    assert hosts.pop("registered_at_ms")[0] >= 0
    assert hosts == {
        "container_instance_id": [1, 2],
        "free_cpu": [3584, 4096],
        "free_memory_mib": [7168, 8192],
        "free_gpus": [0, 0],
        "free_network_interfaces": hosts["free_network_interfaces"],
        "free_host_ports": hosts["free_host_ports"],
        "registered_cpu": [4096, 4096],
        "registered_memory_mib": [8192, 8192],
        "tasks": [1, 0],
        "tasks_of_group": [1, 0],
        "instance_type": ["test.node", "test.node"],
        "availability_zone": hosts["availability_zone"],
        "capacity_provider": ["nodes", "nodes"],
    }
    assert sorted(hosts["availability_zone"]) == ["us-east-1a", "us-east-1b"]


def test_only_hosts_that_may_take_the_task_are_offered(tmp_path: Path) -> None:
    """With distinctInstance the second task has one host left, so the function is not asked for it."""
    source = "asked = []\ndef choose(question):\n    assert question.task == 0\n    return 1\n"
    ran = run(jobs(2, placementConstraints=[{"type": "distinctInstance"}]), save(tmp_path, source))
    assert places(ran) == [2, 1]


def test_an_earlier_strategy_narrows_the_hosts(tmp_path: Path) -> None:
    """Spread over instances first: the function only decides among those with the fewest tasks."""
    rules = [{"type": "spread", "field": "instanceId"}, CUSTOM]
    source = "def choose(question):\n    assert len(set(question.hosts.tasks_of_group)) == 1\n    return 1\n"
    assert places(run(jobs(4, placementStrategy=rules), save(tmp_path, source))) == [2, 1, 2, 1]


def test_random_numbers_are_drawn_by_address(tmp_path: Path) -> None:
    """The same for the same seed, group, task and ordinal, however many are drawn."""
    once = "def choose(question):\n    return int(2 * question.draw(1))\n"
    many = "def choose(question):\n    return [int(2 * question.draw(n)) for n in (0, 7, 1)][-1]\n"
    first, second = (
        places(run(jobs(12), save(tmp_path / name, source))) for name, source in (("a", once), ("b", many))
    )
    assert first == second
    assert set(first) == {1, 2}


@pytest.mark.parametrize("back_end", [BackEnd.PYTHON, BackEnd.PROGRAM])
@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ("2", "returned 2; return the position of a host, 0 to 1"),
        ("-1", "returned -1; return the position of a host, 0 to 1"),
        ("None", "returned None of type NoneType; return the position of a host, 0 to 1"),
        ("1.0", "returned 1.0 of type float"),
        ("True", "returned True; "),
        ("1 / 0", "raised ZeroDivisionError: division by zero"),
        ("question.draw(-1)", "raised ValueError: draw\\(-1\\): ordinals count from 0"),
    ],
)
def test_a_wrong_answer_ends_the_run_with_place_function_and_instant(
    tmp_path: Path, returned: str, words: str, back_end: BackEnd
) -> None:
    """Whichever kernel asked: the calendar for a task of RunTask, the scheduler's command for one of a service."""
    source = f"def choose(question):\n    return {returned}\n"
    for name, written, at in (
        ("jobs", jobs(), 60_000),
        ("services", world(nodes=2, services=[service(placementStrategy=[CUSTOM])]), "[0-9]+"),
    ):
        with using(back_end), pytest.raises(ScenarioError, match=words) as caught:
            run(written, save(tmp_path / name, source))
        (line,) = caught.value.problems
        assert "scenario.yaml:1:" in line
        assert ".placementStrategy[0].policy: at " in line
        assert (str(at) in line) == isinstance(at, int)
        assert not (tmp_path / name / "out").exists()


def test_parameters_can_be_varied(tmp_path: Path) -> None:
    source = "def choose(question):\n    return question.parameters['at']\n"
    rule = {**CUSTOM, "parameters": {"at": 0}}
    folder = save(tmp_path, source)
    ran = run(jobs(3, placementStrategy=[rule]), folder, "runTasks.job.placementStrategy[0].parameters.at=1")
    assert places(ran) == [2, 2, 2]
