"""The controller of container instances: delegates to groups, managed scaling and Managed Instances.

Acts when an instance has registered, terminated or drained, when a desired capacity changed, and each minute where ECS
manages the scaling. Calls its parts in a fixed order: drained instances are terminated, managed scaling decides, groups
are brought to their desired capacity, and Managed Instances are launched for waiting tasks. The parts decide.
"""

from __future__ import annotations

from clustersim.control.agendas import Agendas
from clustersim.control.capacity.auto_scaling_groups import AutoScalingGroups
from clustersim.control.capacity.instance_launcher import InstanceLauncher
from clustersim.control.capacity.managed_instance_consolidation import ManagedInstanceConsolidation
from clustersim.control.capacity.managed_instances import ManagedInstancesController
from clustersim.control.capacity.managed_scaling import ManagedScalingController
from clustersim.control.events.scaling_activities import RecordActivity
from clustersim.control.events.service_events import EventLog
from clustersim.engine.compiled import Array
from clustersim.vocabulary import MS_PER_MINUTE, NEVER, TerminationReason
from clustersim.world.build.task_set_tables import TaskSets
from clustersim.world.state.counters import WAKE_CAPACITY
from clustersim.world.state.world import World

# Terminations that compiled code carries out; controllers report their own.
_REPORTED_BY_CALENDAR = (TerminationReason.INSTANCE_FAILURE, TerminationReason.SPOT_INTERRUPTION)


class CapacityController:
    """The controller of all Auto Scaling groups and capacity providers."""

    def __init__(
        self, world: World, task_sets: TaskSets, events: EventLog, record: RecordActivity, agendas: Agendas
    ) -> None:
        self.world = world
        self.events = events
        self._agendas = agendas
        self.launcher = InstanceLauncher(world, task_sets, events, agendas.capacity.wake_at)
        self.groups = AutoScalingGroups(world, self.launcher)
        self.managed_scaling = ManagedScalingController(world, self.groups, record)
        self.managed_instances = ManagedInstancesController(world, self.launcher)
        self.consolidation = ManagedInstanceConsolidation(world, self.launcher)
        self._next_minute = 0 if self.managed_scaling.providers or self.managed_instances.pools else NEVER
        self._reported = 0  # how many of the terminated instances in the buffer have been reported

    @property
    def desired(self) -> list[int]:
        """The desired capacity of each Auto Scaling group."""
        return self.groups.desired

    def set_desired(self, group: int, count: int) -> None:
        """Set a group's desired capacity within its bounds (SetDesiredCapacity)."""
        group_settings = self.world.scenario.groups[group]
        self.groups.desired[group] = min(max(count, group_settings.min_size), group_settings.max_size)
        self._agendas.capacity.wake_now()

    def set_refresh_extra(self, group: int, count: int) -> None:
        """Set the number of machines that an instance refresh needs beyond a group's desired capacity."""
        if self.groups.refresh_extra[group] != count:
            self.groups.refresh_extra[group] = count
            self._agendas.capacity.wake_now()

    def replace(self, group: int, hosts: Array, now: int, reason: TerminationReason) -> None:
        """Terminate these instances of a group once they have drained, so that it launches others."""
        drain_ms = self.groups.drain_ms(group)
        for host in hosts:
            if not self.world.state.instances.rows["terminating"][host]:
                self.launcher.terminate(int(host), now, reason, drain_ms)
        self._agendas.capacity.wake_now()

    def begin(self, now: int) -> None:
        """Register the groups' first instances at the first instant."""
        for group in range(len(self.world.scenario.groups)):
            self.groups.launch_initial(group, now)

    def act(self, now: int) -> None:
        """Reconcile all instances."""
        self.report_terminations()
        self.world.state.counters.controllers_to_wake &= ~WAKE_CAPACITY
        self.launcher.terminate_drained(now)
        if now == self._next_minute:
            self._next_minute += MS_PER_MINUTE
            self._agendas.capacity.wake_at(self._next_minute)
            self.managed_scaling.tick(now)
            self.consolidation.remove_unneeded(now)
        self.groups.act(now)
        self.managed_instances.launch_for_waiting(now)
        self.world.state.counters.controllers_to_wake &= ~WAKE_CAPACITY
        self._agendas.calendar.wake_now()

    def report_terminations(self) -> None:
        """Log the terminations that compiled code has carried out since the last call."""
        state = self.world.state
        for row in state.outputs.terminated_instances[self._reported : state.counters.terminated_instances]:
            if row["reason"] in _REPORTED_BY_CALENDAR:
                self.events.log_instance_terminated(
                    int(row["terminated"]), int(row["instance_id"]), int(row["reason"])
                )
        self._reported = int(state.counters.terminated_instances)

    def forget_reported(self) -> None:
        """Start over with an emptied buffer of terminated instances."""
        self._reported = 0
