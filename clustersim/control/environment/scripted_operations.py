"""Scripted AWS operations: carries out the scenario's `actions` at their instants.

Translates the input of an operation into calls of the controllers. Knows operations and names, not how services or
groups react.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from clustersim.control.agendas import Agendas
from clustersim.control.capacity.capacity import CapacityController
from clustersim.control.services.scheduler import Scheduler
from clustersim.scenario.sections.scenario import Action
from clustersim.vocabulary import StopCode, StoppedReason, TerminationReason
from clustersim.world.instances.lifecycle import activate_instance, drain_instance
from clustersim.world.scheduling.commands import stop_tasks
from clustersim.world.state.world import World

USER_INITIATED = int(StopCode.UserInitiated)
STOPPED_BY_USER = int(StoppedReason.STOPPED_BY_USER)


class ScriptedOperations:
    """The scenario's `actions`, in order of time, then of the file."""

    def __init__(
        self, world: World, scheduler: Scheduler, capacity: CapacityController, agendas: Agendas
    ) -> None:
        self.world = world
        self.scheduler = scheduler
        self.capacity = capacity
        self._agendas = agendas
        first = world.scenario.warm_up_ms
        self._due: dict[int, list[Action]] = {}
        for action in world.scenario.actions:
            self._due.setdefault(action.at_ms + first, []).append(action)

    def schedule_wakeups(self) -> None:
        """Schedule every instant with an action."""
        for at_ms in sorted(self._due):
            self._agendas.actions.wake_at(at_ms)

    def act(self, now: int) -> None:
        """Carry out the actions scripted for this instant."""
        handlers: dict[str, Callable[[Mapping[str, Any], int], None]] = {
            "updateContainerInstancesState": self._update_instances,
            "setDesiredCapacity": self._set_desired_capacity,
            "setInstanceProtection": self._protect_instances,
            "terminateInstances": self._terminate_instances,
            "stopTask": self._stop_task,
        }
        for action in self._due.pop(now, []):
            handler = handlers.get(action.operation)
            if action.operation == "updateService":
                self._update_service(action, now)
            elif handler is not None:
                handler(action.input, now)
        self._agendas.calendar.wake_now()

    def _update_service(self, action: Action, now: int) -> None:
        """UpdateService: a revision, other providers or forceNewDeployment deploy; a desired count alone does not."""
        request = action.input
        service = self.world.names.services.index(str(request["service"]))
        if action.changes:
            self.scheduler.update_service(service, action.changes)
        current = self.scheduler.primary_definition(service)
        revision = self._revision(str(request.get("taskDefinition") or current))
        if revision != current or request.get("forceNewDeployment") or "strategy" in action.changes:
            self.scheduler.deploy(service, revision, now)
        if request.get("desiredCount") is not None:
            self.scheduler.change_desired(service, int(request["desiredCount"]), "UpdateService", now)

    def _revision(self, name: str) -> str:
        """Return the key of a task definition; a family alone means its latest revision."""
        if ":" in name:
            return name
        revisions = [d for d in self.world.scenario.task_definitions if d.family == name]
        return max(revisions, key=lambda d: d.revision).key

    def _slots(self, instance_ids: Any) -> list[int]:
        """Return the slots of container instances given by id, without those already terminated."""
        requested = instance_ids if isinstance(instance_ids, list) else [instance_ids]
        by_id = {
            int(self.world.state.instances.rows["instance_id"][s]): int(s)
            for s in self.world.live_instances()
        }
        return [by_id[int(instance_id)] for instance_id in requested if int(instance_id) in by_id]

    def _update_instances(self, request: Mapping[str, Any], now: int) -> None:
        """UpdateContainerInstancesState: DRAINING or ACTIVE."""
        for slot in self._slots(request["containerInstances"]):
            self.world.make_room(2 * int(self.world.state.instances.rows["task_count"][slot]) + 64)
            if request["status"] == "DRAINING":
                drain_instance(self.world.core, slot, now)
            else:
                activate_instance(self.world.core, slot, now)

    def _terminate_instances(self, request: Mapping[str, Any], now: int) -> None:
        """TerminateInstances: at once; a group replaces them."""
        for slot in self._slots(request["instanceIds"]):
            self.capacity.launcher.terminate_now(slot, now, TerminationReason.USER)

    def _protect_instances(self, request: Mapping[str, Any], now: int) -> None:
        """SetInstanceProtection: protects from scale-in, or no longer."""
        del now
        for slot in self._slots(request["instanceIds"]):
            self.world.state.instances.rows["protected"][slot] = bool(request["protectedFromScaleIn"])
        self._agendas.capacity.wake_now()

    def _set_desired_capacity(self, request: Mapping[str, Any], now: int) -> None:
        """SetDesiredCapacity of an Auto Scaling group."""
        del now
        group = self.world.names.pools.index(str(request["autoScalingGroupName"]))
        self.capacity.set_desired(group, int(request["desiredCapacity"]))

    def _stop_task(self, request: Mapping[str, Any], now: int) -> None:
        """StopTask by task id: SIGTERM, then SIGKILL after stopTimeout."""
        task_id = int(request["task"])
        slots = np.flatnonzero(self.world.state.tasks.rows["task_id"] == task_id)
        self.world.make_room()
        stop_tasks(self.world.core, slots, now, USER_INITIATED, STOPPED_BY_USER)
