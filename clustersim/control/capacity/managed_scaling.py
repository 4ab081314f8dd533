"""Managed scaling of capacity providers: takes a datapoint each minute and scales groups by its alarms.

Counts demand once a minute for all providers in one call; `policy.scaling.capacity_provider_reservation` does the
arithmetic. A datapoint is the reservation at the beginning of its minute and is evaluated at its end, as CloudWatch
sees a period when it is over. Sets desired capacities and nothing else: never a group's bounds, never an instance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clustersim.control.capacity.auto_scaling_groups import AutoScalingGroups
from clustersim.control.events.scaling_activities import Origin, RecordActivity
from clustersim.engine.compiled import Array
from clustersim.engine.records import new_table
from clustersim.policy.scaling.capacity_provider_reservation import (
    LOW_DATAPOINTS,
    Datapoint,
    ProviderCounts,
    is_high,
    is_low,
    reservation_datapoint,
    scale_in_step,
    target_capacity,
)
from clustersim.policy.scaling.service_scaling import clamp_to_bounds
from clustersim.policy.scaling.target_tracking import IN, OUT
from clustersim.scenario.sections.capacity import ManagedScaling as Settings
from clustersim.vocabulary import NEVER, RESOURCES
from clustersim.world.scheduling.capacity_demand import ProviderDemandRow, count_provider_demand
from clustersim.world.state.world import World

METRIC = "CapacityProviderReservation"


@dataclass
class _ScaledProvider:
    """One provider: its settings, its group, and the state of its alarms."""

    name: str
    group: int
    settings: Settings
    point: Datapoint | None = None
    low_datapoints: int = 0  # low datapoints in a row
    newest: int = NEVER


class ManagedScalingController:
    """The controller of all providers with managed scaling."""

    def __init__(self, world: World, groups: AutoScalingGroups, record: RecordActivity) -> None:
        self.world = world
        self.groups = groups
        self.record = record
        names = world.names
        self.providers = [
            _ScaledProvider(each.name, names.pools.index(each.group or ""), each.managed_scaling)
            for each in world.scenario.providers
            if each.managed_scaling is not None
        ]
        self._rows = new_table(ProviderDemandRow, len(self.providers))
        self._of_pool = np.full(max(1, len(names.pools)), NEVER, np.int64)
        self._of_provider = np.full(len(names.providers), NEVER, np.int64)
        for row, provider in enumerate(self.providers):
            self._of_pool[provider.group] = row
            self._of_provider[names.providers.index(provider.name)] = row
        self._sizes = self._size_bounds()

    def _size_bounds(self) -> Array:
        """Return the smallest and the largest of each group's types, resource by resource."""
        sizes = np.zeros((len(self.providers), 2, RESOURCES), np.int64)
        classes = self.world.state.capacity.classes
        for row, provider in enumerate(self.providers):
            group_classes = classes[classes["pool"] == provider.group]
            amounts = np.array(
                [
                    group_classes["cpu"],
                    group_classes["memory"],
                    group_classes["gpus"],
                    group_classes["enis"],
                    group_classes["host_ports"],
                ]
            )
            sizes[row, 0], sizes[row, 1] = amounts.min(axis=1), amounts.max(axis=1)
        return sizes

    def reservation(self, provider: str) -> float:
        """Return the latest CapacityProviderReservation; NaN where ECS publishes none."""
        point = next((each.point for each in self.providers if each.name == provider), None)
        return float("nan") if point is None else point.percent

    def tick(self, now: int) -> None:
        """Evaluate the datapoints of the minute that ends now, and take those of the next.

        The new datapoints see the cluster before the groups carry out the decisions made here.
        """
        if not self.providers:
            return
        for provider in self.providers:
            if provider.point is not None:
                self._evaluate_alarms(provider, provider.point, now)
        count_provider_demand(self.world.core, self._rows, self._of_pool, self._of_provider, self._sizes)
        for provider, row in zip(self.providers, self._rows, strict=True):
            settings = provider.settings
            counts = ProviderCounts(
                int(row["running"]), int(row["busy"]), int(row["needed"]), bool(row["unplaceable"])
            )
            provider.point = reservation_datapoint(
                counts, settings.minimum_step, settings.maximum_step, settings.target_capacity
            )
            provider.newest = int(row["newest"])

    def _evaluate_alarms(self, provider: _ScaledProvider, point: Datapoint, now: int) -> None:
        """Scale a provider's group by its latest datapoint.

        One high datapoint scales out at once, unless an instance is still warming up; 15 low ones in a row scale in,
        step by step.
        """
        target = provider.settings.target_capacity
        group = self.world.scenario.groups[provider.group]
        bounds = group.min_size, group.max_size
        desired = self.groups.desired[provider.group]
        wanted = target_capacity(point, target)
        provider.low_datapoints = provider.low_datapoints + 1 if is_low(point, target) else 0
        if is_high(point, target):
            warming = provider.newest >= 0 and now - provider.newest < provider.settings.warmup_ms
            wanted = clamp_to_bounds(desired, wanted, OUT, *bounds)
            if not warming and wanted > desired:
                self._set_desired(provider, point, wanted, "AlarmHigh", now)
        elif provider.low_datapoints >= LOW_DATAPOINTS:
            wanted = clamp_to_bounds(desired, scale_in_step(desired, wanted), IN, *bounds)
            if wanted < desired:
                self._set_desired(provider, point, wanted, "AlarmLow", now)

    def _set_desired(
        self, provider: _ScaledProvider, point: Datapoint, count: int, alarm: str, now: int
    ) -> None:
        before = self.groups.desired[provider.group]
        self.groups.desired[provider.group] = count
        policy = f"ECSManagedAutoScalingPolicy-{provider.name}"
        cause = f"monitor alarm {policy}-{alarm} in state ALARM triggered policy {policy}"
        origin = Origin(f"capacityProvider/{provider.name}", policy, METRIC, cause)
        self.record(now, origin, point.percent, before, count)
