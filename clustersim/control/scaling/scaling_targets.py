"""What scaling policies move: desired counts of services, and capacities of Auto Scaling groups.

Carries out the decisions of `service_autoscaler` and `group_autoscaler` and records them; the scheduler and the
controller of capacity do the work. The capacity of a group of virtual machines is the desired count of its service.
Decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clustersim.control.capacity.capacity import CapacityController
from clustersim.control.events.scaling_activities import Origin, ScalingActivityLog
from clustersim.control.services.scheduler import Scheduler
from clustersim.engine.compiled import Array
from clustersim.world.state.world import World


class ScalingTargets:
    """The services and groups of a run, as scaling policies change them."""

    def __init__(
        self,
        world: World,
        scheduler: Scheduler,
        capacity: CapacityController,
        activities: ScalingActivityLog,
    ) -> None:
        self._world = world
        self._scheduler = scheduler
        self._capacity = capacity
        self._activities = activities

    def scale_services(self, now: int, moves: Array, origins: Sequence[Origin]) -> None:
        """Carry out decisions of Service Auto Scaling, rows of `ScalingMoveRow` with their `origins`."""
        self._activities.add_service_scaling(now, moves, origins)
        services, counts = (np.ascontiguousarray(moves[name]) for name in ("target", "count"))
        self._scheduler.set_all_desired(services, counts, now)

    def scale_group(
        self, now: int, group: int, before: int, after: int, reading: tuple[Origin, float]
    ) -> None:
        """Carry out a decision of EC2 Auto Scaling; `reading` is its origin and the value of its metric."""
        origin, value = reading
        machines = self._world.scenario.groups[group].machines
        if machines is None:
            self._capacity.set_desired(group, after)
        else:
            service = self._world.names.services.index(machines.service)
            self._scheduler.change_desired(service, after, origin.cause, now)
        self._activities.add(now, origin, value, before, after)
