"""RunTask: each copy has random numbers of its own, and tasks belong to the task groups of ECS."""

from __future__ import annotations

from pathlib import Path

import pytest

from clustersim.errors import ScenarioError
from clustersim.scenario.reader import read_scenario
from clustersim.simulation import Simulation
from tests.harness import Block, definition, job, on, provider, run, scenario_of, service, world

TRACE = "submit_s,duration_s,cpu,memory_mib,instances,group\n0,1,256,64,3,a\n0,1,256,64,2,b\n1,1,256,64,2,a\n"


def test_no_two_copies_of_a_trace_share_their_random_numbers(tmp_path: Path) -> None:
    """Rows of 3, 2 and 2 copies begin at 0, 3 and 5, whatever group they belong to: seven addresses in all."""
    (tmp_path / "jobs.csv").write_text(TRACE)
    (tmp_path / "jobs.yaml").write_text(
        "duration: 1h\nrunTasks: [{name: jobs, trace: jobs.csv, launchType: EC2}]\n"
    )
    (tmp_path / "out").mkdir()
    arrivals = Simulation(
        read_scenario(tmp_path / "jobs.yaml"), tmp_path / "out"
    ).world.state.calendar.arrivals
    assert [(int(a["ordinal"]), int(a["copies"])) for a in arrivals] == [(0, 3), (3, 2), (5, 2)]


APART = {"placementConstraints": [{"type": "distinctInstance"}]}


@pytest.mark.parametrize(
    ("first", "second", "hosts"),
    [
        ({}, {}, 2),
        ({"group": "batch"}, {"group": "batch"}, 2),
        ({"group": "batch"}, {}, 1),
        ({"group": "a"}, {"group": "b"}, 1),
        ({}, {"taskDefinition": "other"}, 1),
        ({"group": "family:other"}, {"taskDefinition": "other"}, 2),
    ],
)
def test_entries_of_one_family_are_one_task_group(
    tmp_path: Path, first: Block, second: Block, hosts: int
) -> None:
    """distinctInstance: without `group` ECS puts the tasks into family:FAMILY, so two entries share it."""
    rules = {**APART, "placementStrategy": [{"type": "binpack", "field": "memory"}]}
    ran = run(
        world(
            nodes=2,
            taskDefinitions=[definition(), definition("other")],
            runTasks=[job("one", at="1m", **rules, **first), job("two", at="2m", **rules, **second)],
        ),
        tmp_path,
    )
    assert len({task["container_instance_id"] for task in ran.tasks()}) == hosts
    assert [task["entry"] for task in ran.tasks()] == ["one", "two"]
    labels = [of.get("group", name) for of, name in ((first, "one"), (second, "two"))]
    assert [task["group"] for task in ran.tasks()] == labels


def test_a_group_is_one_across_entries(tmp_path: Path) -> None:
    """A trace's labels and an entry's `group`: the third task of `batch` finds both instances taken."""
    (tmp_path / "trace.csv").write_text(
        "submit_s,duration_s,cpu,memory_mib,group\n60,3600,512,512,batch\n120,3600,512,512,batch\n"
    )
    trace = {"name": "trace", "trace": "trace.csv", "capacityProviderStrategy": [on()], **APART}
    entry = job("job", at="3m", group="batch", **APART)
    ran = run(world(capacityProviders=[provider(count=2, most=2)], runTasks=[trace, entry]), tmp_path)
    assert [task["placed_at"] is not None for task in ran.tasks()] == [True, True, False]
    assert {task["entry"] for task in ran.tasks()} == {"trace", "job"}


def test_tasks_of_services_have_no_entry(tmp_path: Path) -> None:
    assert {task["entry"] for task in run(world(services=[service()]), tmp_path).tasks()} == {None}


def test_a_group_of_a_service_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ScenarioError, match="group: service:web is the group of a service; a name of its own"
    ):
        scenario_of(world(runTasks=[job(group="service:web")]), tmp_path)
