"""Stops tasks of services: selects the tasks, sets the stop reason and logs the event.

A plan says how many tasks of which kind stop. This module finds the candidates, leaves out those under task scale-in
protection, lets `world.resources.scale_in_choice` choose among equals and stops them. ECS Developer Guide:
task placement strategies (which task to stop), task scale-in protection.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.events.service_events import EventLog
from clustersim.control.services.live_tasks import live_tasks, stoppable_in_zone
from clustersim.control.services.service_state import DeploymentRecord, ServiceRecord
from clustersim.engine.compiled import Array
from clustersim.vocabulary import NEVER, StoppedReason, TaskState
from clustersim.world.resources.scale_in_choice import CHOSEN, choose_settled_tasks, choose_surplus_tasks
from clustersim.world.scheduling.service_tasks import stop_service_tasks
from clustersim.world.state.world import World

SCALING_ACTIVITY = int(StoppedReason.SCALING_ACTIVITY)
UNHEALTHY_REASONS = {
    1: int(StoppedReason.CONTAINER_HEALTH_CHECK),
    2: int(StoppedReason.ELB_HEALTH_CHECK),
}


class TaskStopper:
    """The stops of all services' tasks."""

    def __init__(self, world: World, events: EventLog) -> None:
        self.world = world
        self.events = events

    def stop_surplus(self, record: ServiceRecord, deployment: DeploymentRecord, count: int, now: int) -> int:
        """Stop up to `count` tasks of a deployment that are neither leaving nor unhealthy.

        Tasks that do not run yet go first, then those the strategy selects. Protected tasks stay, which is logged.
        Returns how many were stopped.
        """
        return self._stop_surplus(record, deployment, NEVER, count, now)

    def stop_older(self, record: ServiceRecord, count: int, now: int) -> int:
        """Stop up to `count` tasks of the deployments before the PRIMARY one, in the same order; return how many."""
        return self._stop_surplus(record, record.deployments[-2], record.primary.task_set, count, now)

    def _stop_surplus(
        self, record: ServiceRecord, deployment: DeploymentRecord, newer_set: int, count: int, now: int
    ) -> int:
        self._reserve_choice_rows(record)
        stopped = int(choose_surplus_tasks(self.world.core, deployment.task_set, newer_set, now, count))
        if stopped < count:
            self.events.log_tasks_protected(now, record.number, deployment.number)
        self._stop(record, self.world.state.placement.choice[CHOSEN, :stopped].copy(), now, SCALING_ACTIVITY)
        return stopped

    def _reserve_choice_rows(self, record: ServiceRecord) -> None:
        row = self.world.state.services.rows[record.number]
        self.world.make_room_to_choose(int(row["provisioning"] + row["pending"] + row["running"]))

    def stop_leaving(self, record: ServiceRecord, deployment: DeploymentRecord, count: int, now: int) -> int:
        """Stop tasks that are to be replaced (on draining instances, or retired), oldest first; return how many."""
        slots = live_tasks(self.world, record, [deployment])
        leaving = slots[self.world.state.tasks.rows["leaving"][slots] == 1]
        return self.stop_tasks(record, leaving[::-1][:count], now)

    def stop_unhealthy(
        self, record: ServiceRecord, deployment: DeploymentRecord, count: int, now: int
    ) -> int:
        """Stop unhealthy tasks, longest running first; return how many."""
        state = self.world.state
        slots = live_tasks(self.world, record, [deployment])
        unhealthy = slots[
            (state.tasks.rows["unhealthy"][slots] > 0)
            & (state.tasks.rows["state"][slots] == TaskState.RUNNING)
        ]
        chosen = np.ascontiguousarray(unhealthy[::-1][:count])
        for kind, reason in UNHEALTHY_REASONS.items():
            of_kind = chosen[state.tasks.rows["unhealthy"][chosen] == kind]
            self._stop(record, np.ascontiguousarray(of_kind), now, reason)
        return int(chosen.size)

    def stop_one_in_zone(self, record: ServiceRecord, zone: int, kept_id: int, now: int) -> int:
        """Stop one running task in a zone other than the one with id `kept_id`; return how many there were."""
        stoppable = stoppable_in_zone(self.world, record, zone, kept_id, now)
        if stoppable.size == 0:
            return 0
        self._reserve_choice_rows(record)
        chosen = np.zeros(1, np.int64)
        choose_settled_tasks(self.world.core, record.primary.task_set, stoppable, chosen)
        return self.stop_tasks(record, stoppable[chosen], now)

    def stop_tasks(self, record: ServiceRecord, slots: Array, now: int) -> int:
        """Stop these tasks as part of a deployment or of scaling in; return how many."""
        self._stop(record, np.ascontiguousarray(slots, np.int64), now, SCALING_ACTIVITY)
        return int(slots.size)

    def _stop(self, record: ServiceRecord, slots: Array, now: int, reason: int) -> None:
        """Stop these tasks and log the service event."""
        if slots.size == 0:
            return
        self.world.make_room(2 * int(slots.size) + 64)
        stop_service_tasks(self.world.core, record.number, slots, now, reason)
