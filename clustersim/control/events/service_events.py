"""The event log of a run, with the names and messages that ECS uses.

Turns actions of controllers into events, in the order in which they happen. Kinds are the names of ECS's EventBridge
events where there is one (Developer Guide: service action events); messages follow the service event messages of the
Developer Guide (MODEL.md). Decides nothing; every controller calls it.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.events.event_buffer import EventBuffer
from clustersim.control.events.failure_events import (
    PLACEMENT_FAILURE,
    instance_message,
)
from clustersim.engine.records import Array
from clustersim.policy.placement.placement_failure import placement_failure_message
from clustersim.record.recorder import Recorder
from clustersim.vocabulary import NEVER, TERMINATION_EVENT_TEXTS, TerminationReason, instance_name
from clustersim.world.events.service_messages import REPEAT_AFTER_MS
from clustersim.world.state.world import World


class EventLog:
    """The table `events` of a run."""

    def __init__(self, world: World, recorder: Recorder) -> None:
        self._buffer = EventBuffer(world, recorder)
        self._services = world.names.services
        self._uses_provider = [service.launch_type is None for service in world.scenario.services]
        self._last_logged: dict[tuple[int, str], tuple[int, str]] = {}

    def flush(self) -> None:
        """Write the events logged since the last call."""
        self._buffer.flush()

    def log_start_impaired(self, now: int, service: int) -> None:
        """Log that tasks of a service repeatedly fail to start."""
        text = "is unable to consistently start tasks successfully."
        self._once(now, service, "SERVICE_TASK_START_IMPAIRED", text)

    def log_deployment_blocked(self, now: int, service: int) -> None:
        """Log that the healthy percents block a deployment."""
        text = (
            "was unable to stop or start tasks during a deployment because of the service deployment "
            "configuration. Update the minimumHealthyPercent or maximumPercent value and try again."
        )
        self._once(now, service, "SERVICE_TASK_CONFIGURATION_FAILURE", text)

    def log_deployment(self, now: int, service: int, name: str, kind: str, text: str) -> None:
        """Log that a deployment began, completed or failed."""
        message = f"(service {self._services[service]}) (deployment {name}) deployment {text}."
        self._write(now, service, kind, message)

    def log_hook(self, now: int, service: int, name: str, stage: str, status: str, number: int) -> None:
        """Log that a lifecycle hook of a stage was called, or how it ended (Developer Guide: pause hooks)."""
        hook = f"lifecycle hook {number} of {stage}: {status}."
        message = f"(service {self._services[service]}) (deployment {name}) {hook}"
        self._write(now, service, f"HOOK_{status}", message)

    def log_rollback(self, now: int, service: int, name: str) -> None:
        """Log that a failed deployment is rolled back to the last completed one."""
        message = f"(service {self._services[service]}) rolling back to deployment {name}."
        self._write(now, service, "SERVICE_DEPLOYMENT_IN_PROGRESS", message)

    def log_tasks_protected(self, now: int, service: int, task_set: int) -> None:
        """Log that tasks under scale-in protection prevent scaling in."""
        text = (
            f"was unable to reach steady state because task set (ecs-svc/{task_set}) was unable to scale in. "
            "Reason: The number of protected tasks are more than the desired count of tasks."
        )
        self._once(now, service, "SERVICE_TASK_PROTECTED", text)

    def log_target_unhealthy(
        self, now: int, service: int, task_id: int, instance_id: int, target_group: str
    ) -> None:
        """Log that a load balancer found a target unhealthy."""
        where = f"(instance {instance_name(instance_id)}) " if instance_id >= 0 else ""
        message = (
            f"(service {self._services[service]}) {where}is unhealthy in (target-group {target_group}) "
            "due to (reason Health checks failed)"
        )
        self._write(now, service, "SERVICE_TASK_UNHEALTHY", message, task_id, instance_id)

    def log_rebalancing(self, now: int, service: int, state: str) -> None:
        """Log that Availability Zone rebalancing STARTED, COMPLETED or STOPPED."""
        text = {
            "STARTED": "has started Availability Zone rebalancing.",
            "COMPLETED": "is balanced across Availability Zones.",
            "STOPPED": "has stopped Availability Zone rebalancing.",
        }
        message = f"(service {self._services[service]}) {text[state]}"
        self._write(now, service, f"SERVICE_REBALANCING_{state}", message)

    def log_zone_without_room(self, now: int, service: int, zone: str) -> None:
        """Log that rebalancing found no room in a zone."""
        self._once(now, service, "SERVICE_TASK_PLACEMENT_FAILURE", f"was unable to place a task in {zone}.")

    def log_placement_failure(self, now: int, service: int, code: int, instance_id: int) -> None:
        """Log that no container instance met the requirements of a task."""
        name = instance_name(instance_id) if instance_id >= 0 else None
        place = "capacity provider" if self._uses_provider[service] else "cluster"
        message = placement_failure_message(self._services[service], code, name, place)
        self._write(now, service, PLACEMENT_FAILURE, message, instance_id=instance_id)

    def log_instance(self, now: int, kind: str, instance_id: int, text: str) -> None:
        """Log an event of a container instance."""
        self._write(now, NEVER, kind, instance_message(instance_id, text), instance_id=instance_id)

    def log_instance_terminated(self, now: int, instance_id: int, reason: int) -> None:
        """Log that a container instance was terminated."""
        kind, text = TERMINATION_EVENT_TEXTS[TerminationReason(reason)]
        self.log_instance(now, kind, instance_id, text)

    def log_pool(self, now: int, kind: str, pool: str, text: str) -> None:
        """Log an event of an Auto Scaling group or a provider of Managed Instances."""
        self._write(now, NEVER, kind, f"({pool}) {text}")

    def log_quota(self, now: int, message: str) -> None:
        """Log that an AWS quota that does not stop the run was exceeded."""
        self._write(now, NEVER, "QUOTA_EXCEEDED", message)

    def log_desired_count(self, now: int, service: int, before: int, after: int, cause: str) -> None:
        """Log that a service's desired count was changed."""
        one = [np.array([number]) for number in (service, before, after, self.cause_number(cause))]
        self._buffer.add_desired_counts(now, *one)

    def log_desired_counts(
        self, now: int, services: Array, before: Array, after: Array, causes: Array
    ) -> None:
        """Log that desired counts were changed; `causes` are numbers from `cause_number`."""
        self._buffer.add_desired_counts(now, services, before, after, causes)

    def cause_number(self, text: str) -> int:
        """Return the number of a cause; equal texts have equal numbers."""
        return self._buffer.text_number(text)

    def _service_name(self, service: int) -> str | None:
        return self._services[service] if service >= 0 else None

    def _once(self, now: int, service: int, kind: str, text: str) -> None:
        """Log an event unless the service's last one of its kind said the same within six hours."""
        message = f"(service {self._services[service]}) {text}"
        last = self._last_logged.get((service, kind))
        if last is not None and last[1] == message and now - last[0] < REPEAT_AFTER_MS:
            return
        self._last_logged[service, kind] = (now, message)
        self._write(now, service, kind, message)

    def _write(
        self, now: int, service: int, kind: str, message: str, task_id: int = NEVER, instance_id: int = NEVER
    ) -> None:
        self._buffer.add_message(now, service, kind, message, task_id, instance_id)
