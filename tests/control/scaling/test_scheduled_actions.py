"""Scheduled actions of scalable targets as a whole run."""

from __future__ import annotations

from pathlib import Path

from tests.harness import MINUTE, run, service, world


def test_a_scheduled_action_moves_the_count_into_its_bounds_at_its_instant(tmp_path: Path) -> None:
    """At 00:20 the minimum becomes 3, so the single task gets two more; the warm-up does not shift it."""
    scheduled = [
        {
            "scheduledActionName": "open",
            "schedule": "at(2026-01-01T00:20:00)",
            "scalableTargetAction": {"minCapacity": 3},
        }
    ]
    scaling = {"minCapacity": 1, "maxCapacity": 4, "scheduledActions": scheduled}
    ran = run(world(2, warmUp="30m", services=[service(autoScaling=scaling)]), tmp_path)
    desired = dict(ran.series("desired_count"))
    assert (desired[19 * MINUTE], desired[20 * MINUTE]) == (1, 3)
