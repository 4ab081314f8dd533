"""Plans are carried out step by step."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from clustersim.control.services.plan_applier import REBALANCING_RETRY_MS, PlanApplier
from clustersim.control.services.plans import (
    LookAgain,
    MoveToZone,
    ReportBlocked,
    StartTasks,
    StopOlder,
    StopUnhealthy,
)
from clustersim.control.services.service_state import DeploymentRecord, ServiceRecord

OLD, NEW = (DeploymentRecord(row, row + 1, f"web:{row + 1}", 0) for row in (0, 1))


class Parts:
    """An applier whose parts keep their calls; `answers` are the results of the calls, by name."""

    def __init__(self, **answers: Any) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answers = answers
        names = SimpleNamespace(zones=["a", "b"])
        world = SimpleNamespace(names=names, state=SimpleNamespace(services=np.zeros(1, [("x", "i8")])))
        self.applier = PlanApplier(*cast(Any, (world, self, self, self, self)))
        self.applier._starter = self.applier._stopper = cast(Any, self)
        self.record = ServiceRecord(0, cast(Any, SimpleNamespace()), [OLD, NEW])

    def __getattr__(self, name: str) -> Any:
        return lambda *args: (self.calls.append((name, *args)), self.answers.get(name))[1]

    def apply(self, *plan: Any) -> list[str]:
        """Apply a plan at instant 7; return the names of the calls."""
        self.applier.apply(self.record, plan, 7)
        return [name for name, *_ in self.calls]


def test_steps_are_carried_out_in_their_order() -> None:
    """A start, a stop and a later look: each reaches the part that knows it."""
    parts = Parts(stop_older=1)
    assert parts.apply(StartTasks(NEW, 2), StopOlder(1), LookAgain(9)) == [
        "start",
        "stop_older",
        "reconcile_at",
    ]


def test_a_blocked_deployment_is_reported_only_if_nothing_was_stopped() -> None:
    """Protected tasks may keep a plan from stopping anything, which only its applier sees."""
    assert "log_deployment_blocked" in Parts(stop_older=0).apply(StopOlder(1), ReportBlocked())
    assert "log_deployment_blocked" not in Parts(stop_older=1).apply(StopOlder(1), ReportBlocked())


def test_replaced_tasks_are_counted_as_failed_where_the_plan_says_so() -> None:
    """Two unhealthy tasks were to stop and one was there: one is counted."""
    parts = Parts(stop_unhealthy=1)
    parts.apply(StopUnhealthy(NEW, 2))
    assert parts.calls[-1] == ("count_replaced", NEW, 1)
    assert "count_replaced" not in Parts(stop_unhealthy=1).apply(StopUnhealthy(OLD, 2, counted=False))


def test_a_move_into_a_zone_without_room_is_tried_again_later() -> None:
    """Rebalancing waits for the retry; with room the service remembers the task it waits for."""
    parts = Parts(start_in_zone=-1)
    parts.record.check_zones = False
    parts.apply(MoveToZone(1, 0))
    assert parts.calls[1:] == [
        ("log_zone_without_room", 7, 0, "b"),
        ("reconcile_at", 0, 7 + REBALANCING_RETRY_MS),
    ]
    assert parts.record.check_zones
    parts = Parts(start_in_zone=31)
    parts.apply(MoveToZone(1, 0))
    assert (parts.record.moving_task, parts.record.moving_from) == (31, 0)
