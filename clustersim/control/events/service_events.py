"""Service events and incidents, in the words ECS uses.

Turns what a controller did into an event, in the order in which it happens. Kinds are the event names of ECS's
EventBridge events where there is one (Developer Guide: service action events); messages follow the service event
messages of the Developer Guide (MODEL.md). Decides nothing.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.events.event_buffer import EventRows
from clustersim.control.events.failure_events import (
    PLACEMENT_FAILURE,
    about_instance,
    about_task,
    not_placed_for,
)
from clustersim.engine.compiled import Array
from clustersim.policy.placement.placement_failure import refusal_words
from clustersim.record.recorder import Recorder
from clustersim.vocabulary import NEVER, EventKind, TerminationReason, instance_name
from clustersim.world.events.service_messages import REPEAT_AFTER_MS
from clustersim.world.state.world import World

_GONE = {
    TerminationReason.INSTANCE_FAILURE: ("INSTANCE_FAILED", "failed; its tasks are lost"),
    TerminationReason.SCALE_IN: ("INSTANCE_TERMINATED", "was terminated by its Auto Scaling group"),
    TerminationReason.USER: ("INSTANCE_TERMINATED", "was terminated by a user"),
    TerminationReason.SPOT_INTERRUPTION: ("SPOT_INTERRUPTION", "was reclaimed by EC2 Spot"),
    TerminationReason.ZONE_OUTAGE: ("INSTANCE_FAILED", "was lost with its Availability Zone"),
    TerminationReason.REBALANCING: (
        "INSTANCE_TERMINATED",
        "was terminated to balance the zones of its group",
    ),
    TerminationReason.IDLE: ("INSTANCE_TERMINATED", "was idle and has been terminated"),
    TerminationReason.UNDERUTILIZED: ("INSTANCE_TERMINATED", "was underutilized and has been terminated"),
    TerminationReason.LIFETIME: ("INSTANCE_TERMINATED", "was terminated at the end of its lifetime"),
    TerminationReason.UNHEALTHY: ("INSTANCE_TERMINATED", "was taken out of service for failed health checks"),
    TerminationReason.INSTANCE_REFRESH: ("INSTANCE_TERMINATED", "was replaced by an instance refresh"),
}


class EventLog:
    """Writes `events`."""

    def __init__(self, world: World, recorder: Recorder) -> None:
        self._rows = EventRows(world, recorder)
        self._services = world.names.services
        self._said: dict[tuple[int, str], tuple[int, str]] = {}

    def empty(self) -> None:
        """Write what has been told since the last time."""
        self._rows.empty()

    def started(self, now: int, service: int, task_ids: Array) -> None:
        """Tasks were started."""
        self._rows.add_tasks(now, service, EventKind.TASKS_STARTED, task_ids)

    def stopped(self, now: int, service: int, task_ids: Array) -> None:
        """Running tasks were stopped."""
        if task_ids.size:
            self._rows.add_tasks(now, service, EventKind.TASKS_STOPPED, task_ids)

    def steady(self, now: int, service: int) -> None:
        """The service has what it wants."""
        self._rows.add_steady(now, service)

    def cannot_start(self, now: int, service: int) -> None:
        """Tasks fail to start again and again."""
        words = "is unable to consistently start tasks successfully."
        self._once(now, service, "SERVICE_TASK_START_IMPAIRED", words)

    def deployment_blocked(self, now: int, service: int) -> None:
        """The healthy percents leave no room to move."""
        words = (
            "was unable to stop or start tasks during a deployment because of the service deployment "
            "configuration. Update the minimumHealthyPercent or maximumPercent value and try again."
        )
        self._once(now, service, "SERVICE_TASK_CONFIGURATION_FAILURE", words)

    def deployment(self, now: int, service: int, name: str, kind: str, words: str) -> None:
        """A deployment began, is complete, or has failed."""
        message = f"(service {self._services[service]}) (deployment {name}) deployment {words}."
        self._write(now, service, kind, message)

    def rolling_back(self, now: int, service: int, name: str) -> None:
        """A failed deployment is followed by the last that was completed."""
        message = f"(service {self._services[service]}) rolling back to deployment {name}."
        self._write(now, service, "SERVICE_DEPLOYMENT_IN_PROGRESS", message)

    def protected(self, now: int, service: int, task_set: int) -> None:
        """Tasks under scale-in protection are in the way."""
        words = (
            f"was unable to reach steady state because task set (ecs-svc/{task_set}) was unable to scale in. "
            "Reason: The number of protected tasks are more than the desired count of tasks."
        )
        self._once(now, service, "SERVICE_TASK_PROTECTED", words)

    def unhealthy(self, now: int, service: int, task_id: int, instance_id: int, target_group: str) -> None:
        """A target was found unhealthy by its load balancer."""
        where = f"(instance {instance_name(instance_id)}) " if instance_id >= 0 else ""
        message = (
            f"(service {self._services[service]}) {where}is unhealthy in (target-group {target_group}) "
            "due to (reason Health checks failed)"
        )
        self._write(now, service, "SERVICE_TASK_UNHEALTHY", message, task_id, instance_id)

    def rebalancing(self, now: int, service: int, state: str) -> None:
        """Availability Zone rebalancing STARTED, COMPLETED or STOPPED."""
        words = {
            "STARTED": "has started Availability Zone rebalancing.",
            "COMPLETED": "is balanced across Availability Zones.",
            "STOPPED": "has stopped Availability Zone rebalancing.",
        }
        message = f"(service {self._services[service]}) {words[state]}"
        self._write(now, service, f"SERVICE_REBALANCING_{state}", message)

    def zone_full(self, now: int, service: int, zone: str) -> None:
        """Rebalancing found no room in a zone."""
        self._once(now, service, "SERVICE_TASK_PLACEMENT_FAILURE", f"was unable to place a task in {zone}.")

    def not_placed(self, now: int, service: int, code: int, instance_id: int) -> None:
        """No container instance met the requirements of a task."""
        name = instance_name(instance_id) if instance_id >= 0 else None
        message = refusal_words(self._services[service], code, name)
        self._write(now, service, PLACEMENT_FAILURE, message, instance_id=instance_id)

    def not_placed_for(self, now: int, service: int, task_id: int, reason: str) -> None:
        """A task found its place and then no network there."""
        message = not_placed_for(self._name(service), reason)
        self._write(now, service, PLACEMENT_FAILURE, message, task_id=task_id)

    def instance(self, now: int, kind: str, instance_id: int, words: str) -> None:
        """Something happened to a container instance."""
        self._write(now, NEVER, kind, about_instance(instance_id, words), instance_id=instance_id)

    def instance_gone(self, now: int, instance_id: int, reason: int) -> None:
        """A container instance was terminated."""
        kind, words = _GONE[TerminationReason(reason)]
        self.instance(now, kind, instance_id, words)

    def pool(self, now: int, kind: str, pool: str, words: str) -> None:
        """Something happened to an Auto Scaling group or a provider of Managed Instances."""
        self._write(now, NEVER, kind, f"({pool}) {words}")

    def task(self, now: int, kind: str, service: int, task_id: int, words: str) -> None:
        """Something happened to a task."""
        self._write(now, service, kind, about_task(self._name(service), task_id, words), task_id=task_id)

    def quota(self, now: int, message: str) -> None:
        """An AWS quota that does not stop the run was exceeded."""
        self._write(now, NEVER, "QUOTA_EXCEEDED", message)

    def desired_count(self, now: int, service: int, before: int, after: int, cause: str) -> None:
        """Somebody changed the desired count."""
        one = [np.array([number]) for number in (service, before, after, self.cause(cause))]
        self._rows.add_desired(now, *one)

    def desired_counts(self, now: int, services: Array, before: Array, after: Array, causes: Array) -> None:
        """Desired counts were changed; causes are numbers that `cause` gave."""
        self._rows.add_desired(now, services, before, after, causes)

    def cause(self, words: str) -> int:
        """The number of a cause; the same words have the same number."""
        return self._rows.number(words)

    def _name(self, service: int) -> str | None:
        return self._services[service] if service >= 0 else None

    def _once(self, now: int, service: int, kind: str, words: str) -> None:
        """Write an event unless the service's last one of its kind said the same within six hours."""
        message = f"(service {self._services[service]}) {words}"
        last = self._said.get((service, kind))
        if last is not None and last[1] == message and now - last[0] < REPEAT_AFTER_MS:
            return
        self._said[service, kind] = (now, message)
        self._write(now, service, kind, message)

    def _write(
        self, now: int, service: int, kind: str, message: str, task_id: int = NEVER, instance_id: int = NEVER
    ) -> None:
        self._rows.say(now, service, kind, message, task_id, instance_id)
