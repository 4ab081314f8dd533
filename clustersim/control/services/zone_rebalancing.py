"""Availability Zone rebalancing: a steady service moves tasks from its fullest zone to its emptiest, one at a time.

Starts a task in the emptiest zone, waits until it is healthy, then stops one in the fullest. On EC2 only existing
instances count: none is launched for this. A deployment interrupts it. ECS Developer Guide: service rebalancing.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.events.service_events import EventLog
from clustersim.control.services.service_state import FAILED, ServiceRecord
from clustersim.control.services.task_starter import TaskStarter
from clustersim.control.services.task_stopper import TaskStopper
from clustersim.policy.placement.hosts import ELIGIBLE
from clustersim.policy.tasks.deployment import find_rebalancing_move
from clustersim.vocabulary import MS_PER_MINUTE, NEVER, InstanceState, TaskState
from clustersim.world.scheduling.steady_services import is_uneven
from clustersim.world.state.world import World

RETRY_MS = 5 * MS_PER_MINUTE  # until a zone without room is tried again; AWS publishes no value


class ZoneRebalancing:
    """The zone rebalancing of all services."""

    def __init__(self, world: World, starter: TaskStarter, stopper: TaskStopper, events: EventLog) -> None:
        self.world = world
        self.starter = starter
        self.stopper = stopper
        self.events = events

    def rebalance(self, record: ServiceRecord, now: int) -> None:
        """Begin a move if the zones of a steady service are out of balance."""
        record.check_zones = False
        failed = record.primary.state == FAILED  # a FAILED deployment launches no tasks
        if not record.settings.zone_rebalancing or record.is_daemon or record.moving_task >= 0 or failed:
            return
        move = None
        if is_uneven(self.world.core, record.primary.task_set):
            move = find_rebalancing_move(self._tasks_by_zone(record))
        if move is None:
            if not record.rebalanced:
                record.rebalanced = True
                self.events.log_rebalancing(now, record.number, "COMPLETED")
            return
        emptiest, fullest = move
        if not self.stopper.stoppable_in_zone(record, fullest, NEVER, now).size:
            self._retry_later(record, now)  # all tasks there are protected from scale-in
            return
        if record.rebalanced:
            record.rebalanced = False
            self.events.log_rebalancing(now, record.number, "STARTED")
        started = self.starter.start_in_zone(record, record.primary, emptiest, now)
        if started < 0:
            self.events.log_zone_without_room(now, record.number, self.world.names.zones[emptiest])
            self._retry_later(record, now)
            return
        record.moving_task, record.moving_from = started, fullest

    def _retry_later(self, record: ServiceRecord, now: int) -> None:
        """Check the zones again later."""
        record.check_zones = True
        self.starter.due.reconcile_at(record.number, now + RETRY_MS)

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

    def continue_move(self, record: ServiceRecord, now: int) -> None:
        """Stop a task in the fullest zone once the one started in the emptiest zone is healthy."""
        tasks = self.world.state.tasks.rows
        slots = np.flatnonzero(tasks["task_id"] == record.moving_task)
        if slots.size == 0 or tasks["state"][slots[0]] > TaskState.RUNNING:
            self._clear_move(record)  # it failed or was stopped; the next steady state checks the zones again
            return
        slot = slots[0]
        if tasks["healthy"][slot] >= 0 and tasks["unhealthy"][slot] == 0:
            kept_id, fullest = record.moving_task, record.moving_from
            self._clear_move(record)
            if not self.stopper.stop_one_in_zone(record, fullest, kept_id, now):
                self.interrupt(record, now)  # task scale-in protection

    def interrupt(self, record: ServiceRecord, now: int) -> None:
        """Stop rebalancing, because a deployment has begun or protected tasks are in the way."""
        if not record.rebalanced:
            record.rebalanced = True
            self.events.log_rebalancing(now, record.number, "STOPPED")
        self._clear_move(record)

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
