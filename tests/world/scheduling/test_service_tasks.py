"""Starts and stops of services' tasks: launch tokens, events, and the steady state."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clustersim.vocabulary import EventKind, StoppedReason
from clustersim.world.scheduling.service_tasks import (
    is_settled,
    refill_launch_tokens,
    report_steady,
    stop_service_tasks,
)
from clustersim.world.state.world import World
from tests.world.small import WEB, settle, small_world, start_service


def kinds(cluster: World) -> list[EventKind]:
    """The kinds of the buffered events."""
    state = cluster.state
    return [EventKind(kind) for kind in state.outputs.events["kind"][: state.counters.events]]


def test_started_tasks_are_charged_to_the_launch_rate_and_reported_in_one_event(tmp_path: Path) -> None:
    """Three starts take three tokens; a minute later a second's worth of 500 a minute is there, and the first one.

    The rows of one event count down to the one that is written.
    """
    cluster = small_world(tmp_path)
    before = refill_launch_tokens(cluster.core, WEB, 0)
    start_service(cluster, 3)
    assert refill_launch_tokens(cluster.core, WEB, 0) == before - 3
    assert refill_launch_tokens(cluster.core, WEB, 60_000) == 1 + 500 // 60
    assert kinds(cluster)[-3:] == [EventKind.TASKS_STARTED] * 3
    count = cluster.state.counters.events
    assert cluster.state.outputs.events["merged_events"][count - 3 : count].tolist() == [2, 1, 0]


def test_a_stopped_task_that_never_ran_is_not_reported(tmp_path: Path) -> None:
    """Eight tasks fill the instance and the ninth waits: the event names the one that runs."""
    cluster = small_world(tmp_path, nodes=1)
    ran = start_service(cluster, 8)[:1]
    settle(cluster, 60_000)
    starting = start_service(cluster, 1, now=60_000)
    cluster.state.counters.events = 0
    reason = int(StoppedReason.SCALING_ACTIVITY)
    stop_service_tasks(cluster.core, 0, np.concatenate([ran, starting]), 60_000, reason)
    assert kinds(cluster) == [EventKind.TASKS_STOPPED]


def test_a_service_is_settled_with_exactly_its_desired_count_healthy(tmp_path: Path) -> None:
    """Two of two run and are healthy; a third that is desired unsettles it. The report resets with the next start."""
    cluster = small_world(tmp_path)
    cluster.state.services.rows["desired"][0] = 2
    start_service(cluster, 2)
    assert not is_settled(cluster.core, WEB)
    settle(cluster, 120_000)
    assert is_settled(cluster.core, WEB)
    report_steady(cluster.core, 0, 120_000)
    assert kinds(cluster)[-1] == EventKind.STEADY
    assert cluster.state.services.rows["steady_reported"][0] == 1
    cluster.state.services.rows["desired"][0] = 3
    assert not is_settled(cluster.core, WEB)
    start_service(cluster, 1, now=120_000)
    assert cluster.state.services.rows["steady_reported"][0] == 0
