"""The calendar: the order at one instant, and the provider on which a task is created."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from clustersim.vocabulary import NEVER, TaskState
from clustersim.world.calendar import CONTROLLER_DUE, FOREVER, IDLE, advance
from clustersim.world.resources.provider_strategy import choose_strategy_item
from tests.harness import MINUTE, SECOND, job, on, provider, service
from tests.world.small import JOB, WEB, run_task, settle, small_world, start_service


def test_what_ends_at_an_instant_makes_room_for_what_arrives_at_it(tmp_path: Path) -> None:
    """Eight tasks end at 10 s, eight arrive at 10 s: none waits (contract: after tasks that end then)."""
    cluster = small_world(tmp_path, nodes=1, runTasks=[job("job", 8, at="10s", duration="1m")])
    for _ in range(8):
        run_task(cluster, 0, 10 * SECOND)
    settle(cluster, 10 * SECOND)
    tasks = cluster.state.tasks.rows[cluster.live_tasks()]
    assert tasks["created"].tolist() == tasks["placed"].tolist() == [10 * SECOND] * 8


def test_queued_tasks_are_placed_before_arrivals(tmp_path: Path) -> None:
    """Room for one task becomes free at 10 s: the task that has waited since 1 s gets it."""
    cluster = small_world(tmp_path, nodes=1, runTasks=[job("job", 1, at="10s", duration="1m")])
    run_task(cluster, 0, 10 * SECOND)
    for _ in range(7):
        run_task(cluster, 0)
    waited = run_task(cluster, SECOND)
    settle(cluster, 10 * SECOND)
    assert cluster.state.tasks.rows[waited]["placed"] == 10 * SECOND
    assert Counter(cluster.state.tasks.rows["state"][cluster.live_tasks()].tolist()) == {
        TaskState.RUNNING: 8,
        TaskState.PROVISIONING: 1,
    }


def test_it_runs_to_the_limit_and_returns_the_next_instant(tmp_path: Path) -> None:
    """Standalone tasks need no controller: everything before the limit is processed in one call."""
    cluster = small_world(tmp_path)
    for n in range(5):
        run_task(cluster, 0, (n + 1) * SECOND)
    assert advance(cluster.core, 0, 3 * SECOND + 1) == IDLE
    assert (cluster.state.clock.now, cluster.state.clock.reached) == (3 * SECOND, 4 * SECOND)
    assert cluster.live_tasks().size == 2


def test_it_stops_at_the_end_of_the_instant_at_which_a_controller_must_react(tmp_path: Path) -> None:
    """A service task starts at 5 s: the scheduler must run before anything later happens."""
    cluster = small_world(tmp_path, services=[service("web", 0, behavior={"startupTime": "5s"})])
    start_service(cluster, 2)
    late = run_task(cluster, 0, 6 * SECOND)
    assert advance(cluster.core, 0, MINUTE) == CONTROLLER_DUE
    assert cluster.state.clock.reached == 5 * SECOND
    assert cluster.state.services.rows[0]["running"] == 2
    assert cluster.state.tasks.rows[late]["state"] == TaskState.RUNNING
    cluster.state.counters.controllers_to_wake = cluster.state.counters.dirty_services = 0
    cluster.state.services.rows["dirty"] = 0
    assert advance(cluster.core, 5 * SECOND, MINUTE) == CONTROLLER_DUE  # healthy, 40 s after RUNNING
    assert cluster.state.clock.reached == 45 * SECOND


def test_with_nothing_due_the_next_instant_is_never(tmp_path: Path) -> None:
    """An idle cluster costs no further events."""
    cluster = small_world(tmp_path, runTasks=[])
    assert advance(cluster.core, 0, MINUTE) == IDLE
    assert cluster.state.clock.reached == FOREVER


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
    cluster = small_world(
        tmp_path,
        capacityProviders=[provider(), provider("more")],
        services=[service("web", 0, capacityProviderStrategy=items)],
    )
    first = int(cluster.state.sets.rows[WEB]["first_item"])
    for _ in range(count):
        cluster.state.sets.strategy_items[choose_strategy_item(cluster.core, WEB)]["live"] += 1
    assert cluster.state.sets.strategy_items["live"][first : first + 2].tolist() == shares


def test_entries_of_an_ended_task_are_dropped(tmp_path: Path) -> None:
    """The entry of the first task in the slot would end the second, five seconds too early."""
    cluster = small_world(tmp_path)
    from clustersim.vocabulary import StopCode, StoppedReason
    from clustersim.world.scheduling.commands import stop_tasks

    first = run_task(cluster, 0, 30 * SECOND)
    stop_tasks(
        cluster.core, cluster.live_tasks(), 0, int(StopCode.UserInitiated), int(StoppedReason.STOPPED_BY_USER)
    )
    settle(cluster, 25 * SECOND)
    second = run_task(cluster, 25 * SECOND, 30 * SECOND)
    assert first == second
    settle(cluster, 54 * SECOND)
    assert cluster.state.tasks.rows[second]["state"] == TaskState.RUNNING
    settle(cluster, 55 * SECOND)
    assert cluster.state.tasks.rows[second]["task_id"] == NEVER
    assert cluster.state.sets.rows[JOB]["running"] == 0
