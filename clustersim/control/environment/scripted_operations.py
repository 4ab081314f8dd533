"""What somebody does, and when: scripted AWS operations.

Translates the input of an operation into what a controller is asked for. Knows operations and names, not how
services or groups react.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from clustersim.control.capacity.capacity import Capacity
from clustersim.control.events.service_events import EventLog
from clustersim.control.services.scheduler import Scheduler
from clustersim.engine.agenda import Agenda
from clustersim.scenario.sections.scenario import Action
from clustersim.vocabulary import StopCode, StoppedReason, TerminationReason
from clustersim.world.instances.lifecycle import activate, drain
from clustersim.world.scheduling.commands import stop_tasks
from clustersim.world.state.world import World

USER_INITIATED = int(StopCode.UserInitiated)
STOPPED_BY_USER = int(StoppedReason.STOPPED_BY_USER)


class Actions:
    """Carries out the scenario's `actions` in order of time, then of the file."""

    def __init__(self, world: World, scheduler: Scheduler, capacity: Capacity, events: EventLog) -> None:
        self.world = world
        self.scheduler = scheduler
        self.capacity = capacity
        self.events = events
        self.agenda: Agenda
        self.calendar: Agenda
        first = world.scenario.warm_up_ms
        self._due: dict[int, list[Action]] = {}
        for action in world.scenario.actions:
            self._due.setdefault(action.at_ms + first, []).append(action)

    def schedule(self) -> None:
        """Set an alarm for every instant with an action."""
        for at_ms in sorted(self._due):
            self.agenda.wake_at(at_ms)

    def act(self, now: int) -> None:
        """Carry out what is scripted for this instant."""
        verbs: dict[str, Callable[[Mapping[str, Any], int], None]] = {
            "updateContainerInstancesState": self._update_instances,
            "setDesiredCapacity": self._set_desired_capacity,
            "setInstanceProtection": self._protect_instances,
            "terminateInstances": self._terminate_instances,
            "stopTask": self._stop_task,
        }
        for action in self._due.pop(now, []):
            verb = verbs.get(action.operation)
            if action.operation == "updateService":
                self._update_service(action, now)
            elif verb is not None:
                verb(action.input, now)
        self.calendar.ring()

    def _update_service(self, action: Action, now: int) -> None:
        """UpdateService: a new revision, other providers or forceNewDeployment deploy, a desired count only counts."""
        given = action.input
        service = self.world.names.services.index(str(given["service"]))
        if action.changes:
            self.scheduler.update_service(service, action.changes)
        current = self.scheduler.definition_of(service)
        wanted = self._revision(str(given.get("taskDefinition") or current))
        if wanted != current or given.get("forceNewDeployment") or "strategy" in action.changes:
            self.scheduler.deploy(service, wanted, now)
        if given.get("desiredCount") is not None:
            count = int(given["desiredCount"])
            before = int(self.world.state.services[service]["desired"])
            self.events.desired_count(now, service, before, count, "UpdateService")
            self.scheduler.set_desired(service, count, now)

    def _revision(self, name: str) -> str:
        """`web:2` as it is; a family is its latest revision."""
        if ":" in name:
            return name
        revisions = [d for d in self.world.scenario.task_definitions if d.family == name]
        return max(revisions, key=lambda d: d.revision).key

    def _slots(self, identities: Any) -> list[int]:
        """The slots of container instances given by id; those that are gone are passed over."""
        wanted = identities if isinstance(identities, list) else [identities]
        by_id = {
            int(self.world.state.instances["instance_id"][s]): int(s) for s in self.world.live_instances()
        }
        return [by_id[int(identity)] for identity in wanted if int(identity) in by_id]

    def _update_instances(self, given: Mapping[str, Any], now: int) -> None:
        """UpdateContainerInstancesState: DRAINING or ACTIVE."""
        for slot in self._slots(given["containerInstances"]):
            self.world.make_room(2 * int(self.world.state.instances["task_count"][slot]) + 64)
            if given["status"] == "DRAINING":
                drain(self.world.core, slot, now)
            else:
                activate(self.world.core, slot, now)

    def _terminate_instances(self, given: Mapping[str, Any], now: int) -> None:
        """TerminateInstances: gone at once; a group replaces what it lost."""
        for slot in self._slots(given["instanceIds"]):
            self.capacity.launcher.end(slot, now, TerminationReason.USER)

    def _protect_instances(self, given: Mapping[str, Any], now: int) -> None:
        """SetInstanceProtection: from scale-in, or no longer."""
        del now
        for slot in self._slots(given["instanceIds"]):
            self.world.state.instances["protected"][slot] = bool(given["protectedFromScaleIn"])
        self.capacity.agenda.ring()

    def _set_desired_capacity(self, given: Mapping[str, Any], now: int) -> None:
        """SetDesiredCapacity of an Auto Scaling group."""
        del now
        group = self.world.names.pools.index(str(given["autoScalingGroupName"]))
        self.capacity.set_desired(group, int(given["desiredCapacity"]))

    def _stop_task(self, given: Mapping[str, Any], now: int) -> None:
        """StopTask by task id: SIGTERM, then SIGKILL after stopTimeout."""
        wanted = int(given["task"])
        slots = np.flatnonzero(self.world.state.tasks["task_id"] == wanted)
        self.world.make_room()
        stop_tasks(self.world.core, slots, now, USER_INITIATED, STOPPED_BY_USER)
