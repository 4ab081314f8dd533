"""The calendar: the order of one instant, and which provider a task goes to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from clustersim.vocabulary import NEVER, TaskState
from clustersim.world.calendar import BELL, FOREVER, IDLE, advance
from clustersim.world.resources.provider_strategy import choose_lane
from clustersim.world.state.tables import BELLS, DIRTY, NOW, REACHED
from tests.harness import MINUTE, SECOND, job, on, provider, service
from tests.world.small import JOB, WEB, ask_for, settle, small_world, start_service


def test_what_ends_at_an_instant_makes_room_for_what_arrives_at_it(tmp_path: Path) -> None:
    """Eight tasks end at 10 s, eight arrive at 10 s: nobody waits (contract: after tasks that end then)."""
    of = small_world(tmp_path, nodes=1, runTasks=[job("job", 8, at="10s", duration="1m")])
    for _ in range(8):
        ask_for(of, 0, 10 * SECOND)
    settle(of, 10 * SECOND)
    tasks = of.state.tasks[of.live_tasks()]
    assert tasks["created"].tolist() == tasks["placed"].tolist() == [10 * SECOND] * 8


def test_who_waits_is_served_before_who_arrives(tmp_path: Path) -> None:
    """One place becomes free at 10 s: the task that has waited since 1 s gets it."""
    of = small_world(tmp_path, nodes=1, runTasks=[job("job", 1, at="10s", duration="1m")])
    ask_for(of, 0, 10 * SECOND)
    for _ in range(7):
        ask_for(of, 0)
    waited = ask_for(of, SECOND)
    settle(of, 10 * SECOND)
    assert of.state.tasks[waited]["placed"] == 10 * SECOND
    assert Counter(of.state.tasks["state"][of.live_tasks()].tolist()) == {
        TaskState.RUNNING: 8,
        TaskState.PROVISIONING: 1,
    }


def test_it_runs_to_the_limit_and_says_what_is_next(tmp_path: Path) -> None:
    """Standalone tasks ring no bell: all before the limit is carried out at one call."""
    of = small_world(tmp_path)
    for n in range(5):
        ask_for(of, 0, (n + 1) * SECOND)
    assert advance(of.core, 0, 3 * SECOND + 1) == IDLE
    assert (of.state.clock[NOW], of.state.clock[REACHED]) == (3 * SECOND, 4 * SECOND)
    assert of.live_tasks().size == 2


def test_it_stops_at_the_end_of_the_instant_at_which_a_controller_is_wanted(tmp_path: Path) -> None:
    """A service task starts at 5 s: the scheduler is rung before anything later happens."""
    of = small_world(tmp_path, services=[service("web", 0, behavior={"startupTime": "5s"})])
    start_service(of, 2)
    late = ask_for(of, 0, 6 * SECOND)
    assert advance(of.core, 0, MINUTE) == BELL
    assert of.state.clock[REACHED] == 5 * SECOND
    assert of.state.services[0]["running"] == 2
    assert of.state.tasks[late]["state"] == TaskState.RUNNING
    of.state.clock[BELLS] = of.state.clock[DIRTY] = 0
    of.state.services["dirty"] = 0
    assert advance(of.core, 5 * SECOND, MINUTE) == BELL  # healthy, 40 s after RUNNING
    assert of.state.clock[REACHED] == 45 * SECOND


def test_with_nothing_due_the_next_instant_is_never(tmp_path: Path) -> None:
    """A cluster at rest costs no more events."""
    of = small_world(tmp_path, runTasks=[])
    assert advance(of.core, 0, MINUTE) == IDLE
    assert of.state.clock[REACHED] == FOREVER


@pytest.mark.parametrize(
    ("items", "count", "shares"),
    [
        ([on("nodes", 1), on("more", 1)], 10, [5, 5]),
        ([on("nodes", 1), on("more", 3)], 12, [3, 9]),
        ([on("nodes", 1, 4), on("more", 3)], 4, [4, 0]),
        ([on("nodes", 1, 4), on("more", 3)], 12, [6, 6]),
        ([on("nodes", 0, 2), on("more", 1)], 9, [2, 7]),
    ],
)
def test_base_first_then_by_weight(tmp_path: Path, items: list[dict], count: int, shares: list[int]) -> None:
    """ECS Developer Guide, capacity providers: the base is filled, the rest split in the ratio of the weights."""
    of = small_world(
        tmp_path,
        capacityProviders=[provider(), provider("more")],
        services=[service("web", 0, capacityProviderStrategy=items)],
    )
    first = int(of.state.sets[WEB]["first_lane"])
    for _ in range(count):
        of.state.lanes[choose_lane(of.core, WEB)]["live"] += 1
    assert of.state.lanes["live"][first : first + 2].tolist() == shares


def test_what_was_due_for_a_task_that_has_ended_is_dropped(tmp_path: Path) -> None:
    """The entry of the first life would end the second, five seconds too early."""
    of = small_world(tmp_path)
    from clustersim.vocabulary import StopCode, StoppedReason
    from clustersim.world.scheduling.commands import stop_tasks

    first = ask_for(of, 0, 30 * SECOND)
    stop_tasks(of.core, of.live_tasks(), 0, int(StopCode.UserInitiated), int(StoppedReason.STOPPED_BY_USER))
    settle(of, 25 * SECOND)
    second = ask_for(of, 25 * SECOND, 30 * SECOND)
    assert first == second
    settle(of, 54 * SECOND)
    assert of.state.tasks[second]["state"] == TaskState.RUNNING
    settle(of, 55 * SECOND)
    assert of.state.tasks[second]["task_id"] == NEVER
    assert of.state.sets[JOB]["running"] == 0
