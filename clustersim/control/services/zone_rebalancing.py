"""Availability Zone rebalancing: a steady service moves tasks from its fullest zone to its emptiest, one at a time.

Starts a task in the emptiest zone, waits until it is healthy, then stops one in the fullest. On EC2 only existing
instances count: none is launched for this. A deployment interrupts it. ECS Developer Guide: service rebalancing.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.services.live_tasks import healthy_tasks, stoppable_in_zone
from clustersim.control.services.plan_applier import REBALANCING_RETRY_MS
from clustersim.control.services.plans import (
    LookAgain,
    MoveToZone,
    Plan,
    ReportRebalancing,
    StopInZone,
)
from clustersim.control.services.service_state import FAILED, ServiceRecord
from clustersim.policy.placement.hosts import ELIGIBLE
from clustersim.policy.tasks.deployment import find_rebalancing_move
from clustersim.vocabulary import NEVER, InstanceState, TaskState
from clustersim.world.scheduling.steady_services import is_uneven
from clustersim.world.state.world import World


class ZoneRebalancing:
    """The zone rebalancing of all services."""

    def __init__(self, world: World) -> None:
        self.world = world

    def plan_move(self, record: ServiceRecord, now: int) -> Plan:
        """Plan to begin a move if the zones of a steady service are out of balance."""
        record.check_zones = False
        failed = record.primary.state == FAILED  # a FAILED deployment launches no tasks
        if not record.settings.zone_rebalancing or record.is_daemon or record.moving_task >= 0 or failed:
            return ()
        move = None
        if is_uneven(self.world.core, record.primary.task_set):
            move = find_rebalancing_move(self._tasks_by_zone(record))
        if move is None:
            if record.rebalanced:
                return ()
            record.rebalanced = True
            return (ReportRebalancing("COMPLETED"),)
        emptiest, fullest = move
        if not stoppable_in_zone(self.world, record, fullest, NEVER, now).size:
            record.check_zones = True  # all tasks there are protected from scale-in
            return (LookAgain(now + REBALANCING_RETRY_MS),)
        if not record.rebalanced:
            return (MoveToZone(emptiest, fullest),)
        record.rebalanced = False
        return (ReportRebalancing("STARTED"), MoveToZone(emptiest, fullest))

    def uneven_services(self) -> list[int]:
        """Return the services whose tasks differ by more than one between zones with any capacity."""
        state = self.world.state
        instances = state.instances.rows[self.world.live_instances()]
        zones = np.zeros(state.placement.zone_counts.shape[1], np.bool_)
        zones[
            state.capacity.classes["zone"][
                instances["instance_class"][instances["state"] == InstanceState.ACTIVE]
            ]
        ] = True
        counts = state.placement.zone_counts[: len(self.world.names.services)]
        if any(item["fargate"] for item in state.sets.strategy_items):
            zones[:] = True
        if zones.sum() < 2:
            return []
        spread = counts[:, zones].max(axis=1) - counts[:, zones].min(axis=1)
        return [int(service) for service in np.flatnonzero(spread > 1)]

    def plan_continuation(self, record: ServiceRecord, now: int) -> Plan:
        """Plan to stop a task in the fullest zone once the one started in the emptiest zone is healthy."""
        tasks = self.world.state.tasks.rows
        slots = np.flatnonzero(tasks["task_id"] == record.moving_task)
        if slots.size == 0 or tasks["state"][slots[0]] > TaskState.RUNNING:
            self._clear_move(record)  # it failed or was stopped; the next steady state checks the zones again
            return ()
        if not healthy_tasks(self.world, slots)[0]:
            return ()
        step = StopInZone(record.moving_from, record.moving_task)
        self._clear_move(record)
        if stoppable_in_zone(self.world, record, step.zone, step.kept_id, now).size == 0:
            return self.interrupt(record)  # task scale-in protection
        return (step,)

    def interrupt(self, record: ServiceRecord) -> Plan:
        """End rebalancing, because a deployment has begun or protected tasks are in the way."""
        self._clear_move(record)
        if record.rebalanced:
            return ()
        record.rebalanced = True
        return (ReportRebalancing("STOPPED"),)

    def _clear_move(self, record: ServiceRecord) -> None:
        record.moving_task = record.moving_from = NEVER

    def _tasks_by_zone(self, record: ServiceRecord) -> dict[int, int]:
        """Return the service's tasks in each zone it may use; on EC2, zones without an instance for it do not count."""
        state = self.world.state
        s = state.sets.rows[record.primary.task_set]
        first_item = int(s["first_item"])
        counts = state.placement.zone_counts[int(s["group"])]
        zones = np.flatnonzero(state.placement.item_zones[first_item])
        if not state.sets.strategy_items[first_item]["fargate"]:
            instances = state.instances.rows[self.world.live_instances()]
            items = range(first_item, first_item + int(s["item_count"]))
            allowed = (state.placement.eligible[list(items)] == ELIGIBLE).any(axis=0)[
                instances["instance_class"]
            ]
            instances = instances[allowed & (instances["state"] == InstanceState.ACTIVE)]
            zones = np.intersect1d(zones, state.capacity.classes["zone"][instances["instance_class"]])
        return {int(zone): int(counts[zone]) for zone in zones}
