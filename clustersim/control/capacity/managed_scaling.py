"""Managed scaling of capacity providers: a datapoint each minute, and what its alarms make of the group.

Counts once a minute for all providers, in one call; the arithmetic is
`policy.scaling.capacity_provider_reservation`'s. A datapoint is the reservation at the beginning of its minute and is
judged at the end of it, as CloudWatch sees a period when it is over. It sets desired capacities and nothing else:
never a group's bounds, and never an instance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clustersim.control.capacity.auto_scaling_groups import Groups
from clustersim.control.events.scaling_activities import Origin, Record
from clustersim.engine.compiled import Array
from clustersim.policy.scaling.capacity_provider_reservation import (
    LOW_DATAPOINTS,
    Counted,
    Datapoint,
    datapoint,
    is_high,
    is_low,
    scale_in_to,
    target_capacity,
)
from clustersim.scenario.sections.capacity import ManagedScaling as Settings
from clustersim.vocabulary import NEVER, RESOURCES
from clustersim.world.scheduling.capacity_demand import COUNTED, count_providers
from clustersim.world.state.world import World

METRIC = "CapacityProviderReservation"


@dataclass
class _Tracked:
    """One provider: its settings, its group, and what its alarms remember."""

    name: str
    group: int
    settings: Settings
    point: Datapoint | None = None
    low: int = 0  # low datapoints in a row
    newest: int = NEVER


class ManagedScaling:
    """All providers whose scaling ECS manages."""

    def __init__(self, world: World, groups: Groups, record: Record) -> None:
        self.world = world
        self.groups = groups
        self.record = record
        names = world.names
        self.providers = [
            _Tracked(provider.name, names.pools.index(provider.group or ""), provider.managed_scaling)
            for provider in world.scenario.providers
            if provider.managed_scaling is not None
        ]
        self._rows = np.zeros(len(self.providers), COUNTED)
        self._of_pool = np.full(max(1, len(names.pools)), NEVER, np.int64)
        self._of_provider = np.full(len(names.providers), NEVER, np.int64)
        for row, tracked in enumerate(self.providers):
            self._of_pool[tracked.group] = row
            self._of_provider[names.providers.index(tracked.name)] = row
        self._sizes = self._extremes()

    def _extremes(self) -> Array:
        """The least and the greatest of each group's types, resource by resource."""
        sizes = np.zeros((len(self.providers), 2, RESOURCES), np.int64)
        classes = self.world.state.classes
        for row, tracked in enumerate(self.providers):
            of = classes[classes["group"] == tracked.group]
            amounts = np.array([of["cpu"], of["memory"], of["gpus"], of["enis"], of["host_ports"]])
            sizes[row, 0], sizes[row, 1] = amounts.min(axis=1), amounts.max(axis=1)
        return sizes

    def reservation(self, provider: str) -> float:
        """The latest CapacityProviderReservation; NaN where ECS publishes none."""
        point = next((each.point for each in self.providers if each.name == provider), None)
        return float("nan") if point is None else point.percent

    def tick(self, now: int) -> None:
        """A minute is over: its datapoints go to the alarms, and those of the next are taken.

        They see the cluster as the minute found it, before the groups do what has just been decided.
        """
        if not self.providers:
            return
        for tracked in self.providers:
            if tracked.point is not None:
                self._judge(tracked, tracked.point, now)
        count_providers(self.world.core, self._rows, self._of_pool, self._of_provider, self._sizes)
        for tracked, row in zip(self.providers, self._rows, strict=True):
            of = tracked.settings
            counted = Counted(int(row["running"]), int(row["busy"]), int(row["needed"]), bool(row["stuck"]))
            tracked.point = datapoint(counted, of.minimum_step, of.maximum_step, of.target_capacity)
            tracked.newest = int(row["newest"])

    def _judge(self, tracked: _Tracked, point: Datapoint, now: int) -> None:
        """High once: out at once, unless an instance is still warming up; low 15 times in a row: in, step by step."""
        target = tracked.settings.target_capacity
        group = self.world.scenario.groups[tracked.group]
        desired = self.groups.desired[tracked.group]
        wanted = target_capacity(point, target)
        tracked.low = tracked.low + 1 if is_low(point, target) else 0
        if is_high(point, target):
            warming = tracked.newest >= 0 and now - tracked.newest < tracked.settings.warmup_ms
            wanted = min(wanted, group.max_size)
            if not warming and wanted > desired:
                self._set(tracked, point, wanted, "AlarmHigh", now)
        elif tracked.low >= LOW_DATAPOINTS:
            wanted = max(scale_in_to(desired, wanted), group.min_size)
            if wanted < desired:
                self._set(tracked, point, wanted, "AlarmLow", now)

    def _set(self, tracked: _Tracked, point: Datapoint, count: int, alarm: str, now: int) -> None:
        before = self.groups.desired[tracked.group]
        self.groups.desired[tracked.group] = count
        policy = f"ECSManagedAutoScalingPolicy-{tracked.name}"
        cause = f"monitor alarm {policy}-{alarm} in state ALARM triggered policy {policy}"
        origin = Origin(f"capacityProvider/{tracked.name}", policy, METRIC, cause)
        self.record(now, origin, point.percent, before, count)
