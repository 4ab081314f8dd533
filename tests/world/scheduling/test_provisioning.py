"""Waiting for room: who comes first, who may overtake, who is refused."""

from __future__ import annotations

from pathlib import Path

from clustersim.vocabulary import NEVER, StopCode, TaskState, WaitReason
from clustersim.world.checks.invariants import check
from clustersim.world.state.tables import FINISHED, WAITING_TASKS
from clustersim.world.state.world import World
from tests.harness import MINUTE, SECOND, definition, job, service
from tests.world.small import JOB, ask_for, settle, small_world

BIG = 2  # the second entry's task set


def _two_sizes(directory: Path, **cluster: object) -> World:
    """One instance of 8 GiB; `job` wants 1 GiB, `big` 6 GiB."""
    return small_world(
        directory,
        nodes=1,
        cluster={"provisioning": {"limit": "unlimited", "timeout": "unlimited", **cluster}},
        taskDefinitions=[definition(cpu=256), definition("big", 256, 6144)],
        runTasks=[job("job", at="59m"), job("big", at="59m", taskDefinition="big")],
    )


def _states(of: World, *slots: int) -> list[int]:
    return [int(of.state.tasks[slot]["state"]) for slot in slots]


def test_equals_are_served_in_order_of_arrival(tmp_path: Path) -> None:
    """Eight fit; of three that wait the first goes first."""
    of = _two_sizes(tmp_path)
    held = [ask_for(of, 0, MINUTE) for _ in range(8)]
    waiting = [ask_for(of, now) for now in (1, 2, 3)]
    assert _states(of, *held) == [TaskState.RUNNING] * 8
    assert _states(of, *waiting) == [TaskState.PROVISIONING] * 3
    of.state.tasks[held[0]]["duration"] = 0
    settle(of, MINUTE)
    check(of)
    assert _states(of, *waiting) == [TaskState.RUNNING] * 3
    assert of.state.tasks["placed"][waiting].tolist() == [MINUTE] * 3


def test_a_small_task_overtakes_a_big_one_that_does_not_fit(tmp_path: Path) -> None:
    """Who does not fit holds up nobody; when the room comes the big one, which is older, gets it."""
    of = _two_sizes(tmp_path)
    first = ask_for(of, 0, 10 * SECOND, BIG)
    second = ask_for(of, 1, NEVER, BIG)
    small = [ask_for(of, 2, 20 * SECOND) for _ in range(3)]
    assert _states(of, first, second) == [TaskState.RUNNING, TaskState.PROVISIONING]
    assert _states(of, *small) == [TaskState.RUNNING, TaskState.RUNNING, TaskState.PROVISIONING]
    settle(of, 10 * SECOND)
    check(of)
    assert of.state.tasks[second]["placed"] == 10 * SECOND
    assert _states(of, small[2]) == [TaskState.PROVISIONING]
    settle(of, 21 * SECOND)
    check(of)
    assert _states(of, small[2]) == [TaskState.RUNNING]


def test_the_wait_reason_is_what_is_short(tmp_path: Path) -> None:
    """2 GiB are left, 6 wanted."""
    of = _two_sizes(tmp_path)
    ask_for(of, 0, NEVER, BIG)
    slot = ask_for(of, 0, NEVER, BIG)
    assert of.state.tasks[slot]["wait"] == WaitReason.RESOURCE_MEMORY


def test_beyond_the_limit_of_waiting_tasks_one_is_refused(tmp_path: Path) -> None:
    """ECS answers with a ClientException: the task is a row that was never placed."""
    of = _two_sizes(tmp_path, limit=2)
    for _ in range(3):
        ask_for(of, 0, NEVER, BIG)
    assert of.state.clock[WAITING_TASKS] == 2
    assert ask_for(of, 0, NEVER, BIG) == NEVER
    (life,) = of.state.finished[: of.state.clock[FINISHED]]
    assert (life["wait"], life["stop_code"], life["placed"]) == (
        WaitReason.PROVISIONING_LIMIT,
        StopCode.TaskFailedToStart,
        NEVER,
    )
    check(of)


def test_after_the_timeout_a_waiting_task_gives_up(tmp_path: Path) -> None:
    """At the instant itself; one placed in time is left alone."""
    of = _two_sizes(tmp_path, timeout="5m")
    placed = ask_for(of, 0, NEVER, BIG)
    ask_for(of, 7, NEVER, BIG)
    settle(of, 5 * MINUTE + 6)
    assert of.state.clock[WAITING_TASKS] == 1
    settle(of, 5 * MINUTE + 7)
    check(of)
    assert of.state.clock[WAITING_TASKS] == 0
    assert of.state.finished[0]["stopped"] == 5 * MINUTE + 7
    assert _states(of, placed) == [TaskState.RUNNING]


def test_a_launch_type_does_not_wait(tmp_path: Path) -> None:
    """RunTask with launch type EC2 is refused at once where nothing fits."""
    of = small_world(
        tmp_path, nodes=1, runTasks=[job("job", at="59m", launchType="EC2")], services=[service("web", 0)]
    )
    assert [ask_for(of, 0, NEVER, JOB) >= 0 for _ in range(10)] == [True] * 8 + [False] * 2
    assert of.state.clock[WAITING_TASKS] == 0
    assert of.state.refusals[WaitReason.RESOURCE_CPU] == 2
