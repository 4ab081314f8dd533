"""Plans of services: what is to start and to stop follows from counts alone, without a world."""

from __future__ import annotations

from clustersim.control.services.plans import (
    ReportBlocked,
    StartTasks,
    StopLeaving,
    StopOlder,
    StopUnhealthy,
)
from clustersim.control.services.replicas import plan_update
from clustersim.control.services.service_state import DeploymentRecord
from clustersim.policy.tasks.deployment import DeploymentCounts

PRIMARY = DeploymentRecord(task_set=1, number=2, definition_key="web:2", created_ms=0)


def counts(**changes: int) -> DeploymentCounts:
    """Four healthy tasks of the PRIMARY deployment, except for `changes`."""
    full = {"desired": 4, "up_to_date": 4, "total": 4, "starting": 0, "healthy": 4}
    return DeploymentCounts(**{**full, "old": 0, "old_healthy": 0, "leaving": 0, "unhealthy": 0, **changes})


def test_a_service_with_its_desired_count_has_nothing_to_do() -> None:
    """An empty plan: the scheduler then reports the steady state."""
    assert list(plan_update(PRIMARY, counts(), (100, 200))) == []


def test_missing_tasks_start_whatever_the_maximum() -> None:
    """Outside a deployment the healthy percents do not limit starts: one of four is missing."""
    plan = plan_update(PRIMARY, counts(up_to_date=3, total=3, healthy=3), (100, 100))
    assert list(plan) == [StartTasks(PRIMARY, 1)]


def test_an_update_starts_up_to_the_maximum_and_stops_down_to_the_minimum() -> None:
    """50/150 of 4: two new tasks make six; two of the four old ones stop, so that two stay."""
    plan = plan_update(PRIMARY, counts(up_to_date=0, old=4, old_healthy=4), (50, 150))
    assert list(plan) == [StartTasks(PRIMARY, 2), StopOlder(2)]


def test_percents_that_allow_nothing_are_reported() -> None:
    """100/100: no task may stop before another is healthy, and none may start beside it."""
    plan = plan_update(PRIMARY, counts(up_to_date=0, old=4, old_healthy=4), (100, 100))
    assert list(plan) == [ReportBlocked()]


def test_leaving_and_unhealthy_tasks_stop_once_others_are_healthy() -> None:
    """Two of six: their replacements are healthy, so both go, the unhealthy one first."""
    plan = plan_update(PRIMARY, counts(up_to_date=4, total=6, healthy=5, leaving=1, unhealthy=1), (100, 200))
    assert list(plan) == [StopUnhealthy(PRIMARY, 1), StopLeaving(PRIMARY, 1)]
