"""Stopping tasks of services: which ones, why, and what is said of it.

The scheduler says how many of which kind; this module finds the candidates, leaves out those under task scale-in
protection, lets `world.resources.scale_in_choice` choose among equals and gives the order. ECS Developer Guide: task
placement strategies (which task to stop), task scale-in protection.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.events.service_events import EventLog
from clustersim.control.services.service_state import Rollout, ServiceRecord
from clustersim.engine.compiled import Array
from clustersim.vocabulary import NEVER, StopCode, StoppedReason, TaskState
from clustersim.world.resources.scale_in_choice import CHOSEN, choose_surplus, pick_victims
from clustersim.world.scheduling.commands import stop_tasks, tasks_of_group
from clustersim.world.state.world import World
from clustersim.world.tasks.health import BY_TARGET

SCHEDULER_INITIATED = int(StopCode.ServiceSchedulerInitiated)
SCALING_ACTIVITY = int(StoppedReason.SCALING_ACTIVITY)
BY_REASON = {
    1: int(StoppedReason.CONTAINER_HEALTH_CHECK),
    2: int(StoppedReason.ELB_HEALTH_CHECK),
}


class Stopper:
    """One for all services."""

    def __init__(self, world: World, events: EventLog) -> None:
        self.world = world
        self.events = events

    def candidates(self, record: ServiceRecord, rollouts: list[Rollout]) -> Array:
        """The slots of the tasks of these deployments that are not stopping, newest first."""
        state = self.world.state
        live = state.services[record.number]
        out = np.zeros(int(live["provisioning"] + live["pending"] + live["running"]), np.int64)
        slots = out[: tasks_of_group(self.world.core, record.number, out)]
        return slots[np.isin(state.tasks["set"][slots], [rollout.row for rollout in rollouts])]

    def unprotected(self, slots: Array, now: int) -> Array:
        """Those of `slots` that may be stopped by scale-in or a deployment."""
        return slots[self.world.state.tasks["protected_until"][slots] <= now]

    def stop_surplus(self, record: ServiceRecord, rollout: Rollout, count: int, now: int) -> int:
        """Stop `count` tasks of a deployment that were to stay: neither leaving nor unhealthy.

        Those that do not run yet go first, then as the strategy says. How many were stopped: protected tasks stay,
        and then ECS says so.
        """
        return self._stop_surplus(record, rollout, NEVER, count, now)

    def stop_older(self, record: ServiceRecord, count: int, now: int) -> int:
        """Stop `count` tasks of the deployments before the PRIMARY one, in the same order; how many were."""
        return self._stop_surplus(record, record.deployments[-2], record.primary.row, count, now)

    def _stop_surplus(
        self, record: ServiceRecord, rollout: Rollout, others_than: int, count: int, now: int
    ) -> int:
        self._room_to_choose(record)
        found = int(choose_surplus(self.world.core, rollout.row, others_than, now, count))
        if found < count:
            self.events.protected(now, record.number, rollout.number)
        self._stop(record, self.world.state.choice[CHOSEN, :found].copy(), now, SCALING_ACTIVITY)
        return found

    def _room_to_choose(self, record: ServiceRecord) -> None:
        row = self.world.state.services[record.number]
        self.world.make_room_to_choose(int(row["provisioning"] + row["pending"] + row["running"]))

    def stop_leaving(self, record: ServiceRecord, rollout: Rollout, count: int, now: int) -> None:
        """Stop tasks that are to be replaced (on draining instances, or retired), oldest first."""
        slots = self.candidates(record, [rollout])
        leaving = slots[self.world.state.tasks["leaving"][slots] == 1]
        self._stop(record, np.ascontiguousarray(leaving[::-1][:count]), now, SCALING_ACTIVITY)

    def stop_unwell(self, record: ServiceRecord, rollout: Rollout, count: int, now: int) -> int:
        """Stop unhealthy tasks, longest running first; how many."""
        state = self.world.state
        slots = self.candidates(record, [rollout])
        unwell = slots[
            (state.tasks["unwell"][slots] > 0) & (state.tasks["state"][slots] == TaskState.RUNNING)
        ]
        chosen = np.ascontiguousarray(unwell[::-1][:count])
        for kind, reason in BY_REASON.items():
            of_kind = chosen[state.tasks["unwell"][chosen] == kind]
            self._stop(record, np.ascontiguousarray(of_kind), now, reason)
        return int(chosen.size)

    def stop_one_in(self, record: ServiceRecord, zone: int, kept: int, now: int) -> bool:
        """Stop one running task in a zone, not the one with id `kept`; whether there was one to stop."""
        there = self.stoppable_in(record, zone, kept, now)
        if there.size == 0:
            return False
        self._room_to_choose(record)
        victim = np.zeros(1, np.int64)
        pick_victims(self.world.core, record.primary.row, there, victim)
        self._stop(record, there[victim], now, SCALING_ACTIVITY)
        return True

    def stoppable_in(self, record: ServiceRecord, zone: int, kept: int, now: int) -> Array:
        """The slots of running tasks in a zone that may be stopped, without the one with id `kept`."""
        slots = self.unprotected(self.candidates(record, [record.primary]), now)
        tasks = self.world.state.tasks[slots]
        here = (tasks["zone"] == zone) & (tasks["task_id"] != kept) & (tasks["state"] == TaskState.RUNNING)
        return np.ascontiguousarray(slots[here])

    def stop_slots(self, record: ServiceRecord, slots: Array, now: int) -> None:
        """Stop these tasks as part of a deployment or of scaling in."""
        self._stop(record, np.ascontiguousarray(slots, np.int64), now, SCALING_ACTIVITY)

    def tell_unwell(self, record: ServiceRecord, now: int) -> None:
        """Say of each target that is newly unhealthy what ECS says."""
        state = self.world.state
        if sum(int(state.sets[each.row]["unwell"]) for each in record.deployments) == 0:
            record.told_unwell.clear()
            return
        slots = self.candidates(record, record.deployments)
        for slot in slots[state.tasks["unwell"][slots] == BY_TARGET][::-1]:
            t = state.tasks[slot]
            identity = int(t["task_id"])
            if identity not in record.told_unwell:
                record.told_unwell.add(identity)
                group = self.world.names.target_groups[int(t["set"])]
                self.events.unhealthy(now, record.number, identity, int(t["instance_id"]), group)

    def _stop(self, record: ServiceRecord, slots: Array, now: int, reason: int) -> None:
        """Give the order and say so."""
        if slots.size == 0:
            return
        self.world.make_room(2 * int(slots.size) + 64)
        state = self.world.state
        ids = state.tasks["task_id"][slots]
        running = state.tasks["state"][slots] == TaskState.RUNNING
        stop_tasks(self.world.core, slots, now, SCHEDULER_INITIATED, reason)
        self.world.state.services[record.number]["steady"] = 0
        self.events.stopped(now, record.number, ids[running])
