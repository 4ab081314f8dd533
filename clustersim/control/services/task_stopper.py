"""Stops tasks of services: selects the tasks, sets the stop reason and logs the event.

The scheduler decides how many tasks of which kind stop. This module finds the candidates, leaves out those under task
scale-in protection, lets `world.resources.scale_in_choice` choose among equals and stops them. ECS Developer Guide:
task placement strategies (which task to stop), task scale-in protection.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.events.service_events import EventLog
from clustersim.control.services.service_state import DeploymentRecord, ServiceRecord
from clustersim.engine.compiled import Array
from clustersim.vocabulary import NEVER, StoppedReason, TaskState
from clustersim.world.resources.scale_in_choice import CHOSEN, choose_settled_tasks, choose_surplus_tasks
from clustersim.world.scheduling.commands import list_tasks_of_group
from clustersim.world.scheduling.service_tasks import stop_service_tasks
from clustersim.world.state.world import World
from clustersim.world.tasks.health import BY_TARGET

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

    def candidates(self, record: ServiceRecord, deployments: list[DeploymentRecord]) -> Array:
        """Return the slots of the tasks of these deployments that are not stopping, newest first."""
        state = self.world.state
        live = state.services.rows[record.number]
        out = np.zeros(int(live["provisioning"] + live["pending"] + live["running"]), np.int64)
        slots = out[: list_tasks_of_group(self.world.core, record.number, out)]
        return slots[
            np.isin(state.tasks.rows["set"][slots], [deployment.task_set for deployment in deployments])
        ]

    def unprotected(self, slots: Array, now: int) -> Array:
        """Return those of `slots` that scale-in or a deployment may stop."""
        return slots[self.world.state.tasks.rows["protected_until"][slots] <= now]

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

    def stop_leaving(self, record: ServiceRecord, deployment: DeploymentRecord, count: int, now: int) -> None:
        """Stop tasks that are to be replaced (on draining instances, or retired), oldest first."""
        slots = self.candidates(record, [deployment])
        leaving = slots[self.world.state.tasks.rows["leaving"][slots] == 1]
        self._stop(record, np.ascontiguousarray(leaving[::-1][:count]), now, SCALING_ACTIVITY)

    def stop_unhealthy(
        self, record: ServiceRecord, deployment: DeploymentRecord, count: int, now: int
    ) -> int:
        """Stop unhealthy tasks, longest running first; return how many."""
        state = self.world.state
        slots = self.candidates(record, [deployment])
        unhealthy = slots[
            (state.tasks.rows["unhealthy"][slots] > 0)
            & (state.tasks.rows["state"][slots] == TaskState.RUNNING)
        ]
        chosen = np.ascontiguousarray(unhealthy[::-1][:count])
        for kind, reason in UNHEALTHY_REASONS.items():
            of_kind = chosen[state.tasks.rows["unhealthy"][chosen] == kind]
            self._stop(record, np.ascontiguousarray(of_kind), now, reason)
        return int(chosen.size)

    def stop_one_in_zone(self, record: ServiceRecord, zone: int, kept_id: int, now: int) -> bool:
        """Stop one running task in a zone other than the one with id `kept_id`; return whether there was one."""
        stoppable = self.stoppable_in_zone(record, zone, kept_id, now)
        if stoppable.size == 0:
            return False
        self._reserve_choice_rows(record)
        chosen = np.zeros(1, np.int64)
        choose_settled_tasks(self.world.core, record.primary.task_set, stoppable, chosen)
        self._stop(record, stoppable[chosen], now, SCALING_ACTIVITY)
        return True

    def stoppable_in_zone(self, record: ServiceRecord, zone: int, kept_id: int, now: int) -> Array:
        """Return the slots of running tasks in a zone that may be stopped, without the one with id `kept_id`."""
        slots = self.unprotected(self.candidates(record, [record.primary]), now)
        tasks = self.world.state.tasks.rows[slots]
        selected = (
            (tasks["zone"] == zone) & (tasks["task_id"] != kept_id) & (tasks["state"] == TaskState.RUNNING)
        )
        return np.ascontiguousarray(slots[selected])

    def stop_slots(self, record: ServiceRecord, slots: Array, now: int) -> None:
        """Stop these tasks as part of a deployment or of scaling in."""
        self._stop(record, np.ascontiguousarray(slots, np.int64), now, SCALING_ACTIVITY)

    def report_unhealthy_targets(self, record: ServiceRecord, now: int) -> None:
        """Log a service event for each target that has newly become unhealthy."""
        state = self.world.state
        if sum(int(state.sets.rows[each.task_set]["unhealthy"]) for each in record.deployments) == 0:
            record.reported_unhealthy.clear()
            return
        slots = self.candidates(record, record.deployments)
        for slot in slots[state.tasks.rows["unhealthy"][slots] == BY_TARGET][::-1]:
            t = state.tasks.rows[slot]
            task_id = int(t["task_id"])
            if task_id not in record.reported_unhealthy:
                record.reported_unhealthy.add(task_id)
                group = self.world.names.target_groups[int(t["set"])]
                self.events.log_target_unhealthy(now, record.number, task_id, int(t["instance_id"]), group)

    def _stop(self, record: ServiceRecord, slots: Array, now: int, reason: int) -> None:
        """Stop these tasks and log the service event."""
        if slots.size == 0:
            return
        self.world.make_room(2 * int(slots.size) + 64)
        stop_service_tasks(self.world.core, record.number, slots, now, reason)
