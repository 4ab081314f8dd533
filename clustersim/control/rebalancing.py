"""Availability Zone rebalancing: a steady service moves tasks from its richest zone to its poorest, one at a time.

Starts a task in the poorest zone, waits until it is healthy, then stops one in the richest. On EC2 only instances
that are there count: none is launched for this. A deployment interrupts it. ECS Developer Guide: service
rebalancing.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.event_words import EventLog
from clustersim.control.services import ServiceRecord
from clustersim.control.starting import Starter
from clustersim.control.stopping import Stopper
from clustersim.policy.deployment import rebalancing_move
from clustersim.policy.hosts import ELIGIBLE
from clustersim.vocabulary import MS_PER_MINUTE, NEVER, InstanceState, TaskState
from clustersim.world.world import World

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
        if not record.settings.zone_rebalancing or record.daemon or record.moving_task >= 0:
            return
        move = rebalancing_move(self._tasks_by_zone(record))
        if move is None:
            if not record.rebalanced:
                record.rebalanced = True
                self.events.rebalancing(now, record.number, "COMPLETED")
            return
        poorest, richest = move
        if record.rebalanced:
            record.rebalanced = False
            self.events.rebalancing(now, record.number, "STARTED")
        started = self.starter.start_in(record, record.primary, poorest, now)
        if started < 0:
            self.events.zone_full(now, record.number, self.world.names.zones[poorest])
            self.starter.look_again(record, now + RETRY_MS)
            return
        record.moving_task, record.moving_from = started, richest

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
            self.stopper.stop_one_in(record, richest, kept, now)

    def interrupt(self, record: ServiceRecord, now: int) -> None:
        """A deployment has begun: rebalancing stops."""
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
        if not state.lanes[lane]["fargate"]:
            instances = state.instances[self.world.live_instances()]
            lanes = range(lane, lane + int(s["lanes"]))
            allowed = (state.eligible[list(lanes)] == ELIGIBLE).any(axis=0)[instances["klass"]]
            there = instances[allowed & (instances["state"] == InstanceState.ACTIVE)]
            zones = np.intersect1d(zones, state.classes["zone"][there["klass"]])
        return {int(zone): int(counts[zone]) for zone in zones}
