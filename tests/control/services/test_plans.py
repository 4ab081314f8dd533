"""Plans are values: equal steps are equal, so that a test can state a whole plan."""

from __future__ import annotations

import dataclasses

import pytest

from clustersim.control.services.plans import StartTasks, StopOlder
from clustersim.control.services.service_state import DeploymentRecord

PRIMARY = DeploymentRecord(task_set=1, number=2, definition_key="web:2", created_ms=0)


def test_steps_are_values() -> None:
    """They compare by content, differ by kind, and cannot be changed between decision and application."""
    step = StartTasks(PRIMARY, 2)
    assert step == StartTasks(PRIMARY, 2)
    assert step != StopOlder(2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        step.count = 3  # type: ignore[misc]
