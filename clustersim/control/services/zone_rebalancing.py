"""Availability Zone rebalancing: a steady service moves tasks from its richest zone to its poorest, one at a time.

Starts a task in the poorest zone, waits until it is healthy, then stops one in the richest. On EC2 only instances
that are there count: none is launched for this. A deployment interrupts it. ECS Developer Guide: service
rebalancing.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.events.service_events import EventLog
from clustersim.control.services.service_state import FAILED, ServiceRecord
from clustersim.control.services.task_starter import Starter
from clustersim.control.services.task_stopper import Stopper
from clustersim.policy.placement.hosts import ELIGIBLE
from clustersim.policy.tasks.deployment import rebalancing_move
from clustersim.vocabulary import MS_PER_MINUTE, NEVER, InstanceState, TaskState
from clustersim.world.state.world import World

RETRY_MS = 5 * MS_PER_MINUTE  # how soon a zone that had no room is tried again; AWS publishes nothing


class Rebalancing:
    """One for all services."""

    def __init__(self, world: World, starter: Starter, stopper: Stopper, events: EventLog) -> None:
        self.world = world
        self.starter = starter
        self.stopper = stopper
        self.events = events

    def look(self, record: ServiceRecord, now: int) -> None:
        """A service is steady: begin a move if its zones are out of balance."""
        record.look_at_zones = False
        failed = record.primary.state == FAILED  # it launches no more tasks, not for this either
        if not record.settings.zone_rebalancing or record.daemon or record.moving_task >= 0 or failed:
            return
        move = rebalancing_move(self._tasks_by_zone(record))
        if move is None:
            if not record.rebalanced:
                record.rebalanced = True
                self.events.rebalancing(now, record.number, "COMPLETED")
            return
        poorest, richest = move
        if not self.stopper.stoppable_in(record, richest, NEVER, now).size:
            self._try_again(record, now)  # all of them are protected from scale-in
            return
        if record.rebalanced:
            record.rebalanced = False
            self.events.rebalancing(now, record.number, "STARTED")
        started = self.starter.start_in(record, record.primary, poorest, now)
        if started < 0:
            self.events.zone_full(now, record.number, self.world.names.zones[poorest])
            self._try_again(record, now)
            return
        record.moving_task, record.moving_from = started, richest

    def _try_again(self, record: ServiceRecord, now: int) -> None:
        """Look at the zones once more, later."""
        record.look_at_zones = True
        self.starter.look_again(record, now + RETRY_MS)

    def uneven(self) -> list[int]:
        """The services whose tasks differ by more than one between zones with any capacity at all."""
        state = self.world.state
        there = state.instances[self.world.live_instances()]
        zones = np.zeros(state.zone_counts.shape[1], np.bool_)
        zones[state.classes["zone"][there["klass"][there["state"] == InstanceState.ACTIVE]]] = True
        counts = state.zone_counts[: len(self.world.names.services)]
        if any(lane["fargate"] for lane in state.lanes):
            zones[:] = True
        if zones.sum() < 2:
            return []
        spread = counts[:, zones].max(axis=1) - counts[:, zones].min(axis=1)
        return [int(service) for service in np.flatnonzero(spread > 1)]

    def go_on(self, record: ServiceRecord, now: int) -> None:
        """A task was started in the poorest zone: when it is healthy, one in the richest stops."""
        tasks = self.world.state.tasks
        found = np.flatnonzero(tasks["task_id"] == record.moving_task)
        if found.size == 0 or tasks["state"][found[0]] > TaskState.RUNNING:
            self._forget(record)  # it failed, or was stopped; the next steady state looks again
            return
        slot = found[0]
        if tasks["healthy"][slot] >= 0 and tasks["unwell"][slot] == 0:
            kept, richest = record.moving_task, record.moving_from
            self._forget(record)
            if not self.stopper.stop_one_in(record, richest, kept, now):
                self.interrupt(record, now)  # task scale-in protection

    def interrupt(self, record: ServiceRecord, now: int) -> None:
        """A deployment has begun, or protected tasks are in the way: rebalancing stops."""
        if not record.rebalanced:
            record.rebalanced = True
            self.events.rebalancing(now, record.number, "STOPPED")
        self._forget(record)

    def _forget(self, record: ServiceRecord) -> None:
        record.moving_task = record.moving_from = NEVER

    def _tasks_by_zone(self, record: ServiceRecord) -> dict[int, int]:
        """The service's tasks in each zone it may use; on EC2 zones without an instance for it do not count."""
        state = self.world.state
        s = state.sets[record.primary.row]
        lane = int(s["first_lane"])
        counts = state.zone_counts[int(s["group"])]
        zones = np.flatnonzero(state.lane_zones[lane])
        if np.ptp(counts[zones]) <= 1:
            return {int(zone): int(counts[zone]) for zone in zones}  # in balance, whichever have capacity
        if not state.lanes[lane]["fargate"]:
            instances = state.instances[self.world.live_instances()]
            lanes = range(lane, lane + int(s["lanes"]))
            allowed = (state.eligible[list(lanes)] == ELIGIBLE).any(axis=0)[instances["klass"]]
            there = instances[allowed & (instances["state"] == InstanceState.ACTIVE)]
            zones = np.intersect1d(zones, state.classes["zone"][there["klass"]])
        return {int(zone): int(counts[zone]) for zone in zones}
