"""Decisions of scaling policies reach services and groups, and are recorded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from clustersim.control.events.scaling_activities import Origin
from clustersim.control.scaling.scaling_targets import ScalingTargets


class Recorder:
    """Keeps the calls of any method."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.calls.append((name, *args))


def test_the_capacity_of_virtual_machines_is_the_desired_count_of_their_service() -> None:
    """A group of its own gets its capacity set; a group of machines has the count of service 1 changed."""
    groups = (SimpleNamespace(machines=None), SimpleNamespace(machines=SimpleNamespace(service="shop")))
    world = SimpleNamespace(
        scenario=SimpleNamespace(groups=groups), names=SimpleNamespace(services=["web", "shop"])
    )
    scheduler, capacity, activities = Recorder(), Recorder(), Recorder()
    targets = ScalingTargets(*cast(Any, (world, scheduler, capacity, activities)))
    origin = Origin("autoScalingGroup/g", "cpu", "CPUUtilization", "an alarm")
    targets.scale_group(60, 0, 2, 5, (origin, 90.0))
    targets.scale_group(60, 1, 2, 3, (origin, 90.0))
    assert capacity.calls == [("set_desired", 0, 5)]
    assert scheduler.calls == [("change_desired", 1, 3, "an alarm", 60)]
    assert activities.calls == [("add", 60, origin, 90.0, 2, after) for after in (5, 3)]
