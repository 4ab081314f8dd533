"""The concern of capacity: what stands between what tasks want and what EC2 gives.

Wakes when an instance has come, gone or drained, when somebody changed a desired capacity, and each minute where ECS
manages the scaling. Calls its parts in a fixed order: who has drained goes, managed scaling decides, groups are
brought to their desired capacity, Managed Instances serve who waits. The parts decide; this module only leads.
"""

from __future__ import annotations

from clustersim.control.capacity.auto_scaling_groups import Groups
from clustersim.control.capacity.instance_launcher import Launcher
from clustersim.control.capacity.managed_instance_consolidation import Optimization
from clustersim.control.capacity.managed_instances import ManagedInstances
from clustersim.control.capacity.managed_scaling import ManagedScaling
from clustersim.control.events.scaling_activities import Record
from clustersim.control.events.service_events import EventLog
from clustersim.engine.agenda import Agenda
from clustersim.vocabulary import MS_PER_MINUTE, NEVER, TerminationReason
from clustersim.world.build.task_set_tables import TaskSets
from clustersim.world.state.tables import BELL_CAPACITY, BELLS, LOST
from clustersim.world.state.world import World

# Ends that happen in compiled code; of the others their controller has spoken.
_IN_THE_CALENDAR = (TerminationReason.INSTANCE_FAILURE, TerminationReason.SPOT_INTERRUPTION)


class Capacity:
    """One for all Auto Scaling groups and capacity providers."""

    def __init__(self, world: World, task_sets: TaskSets, events: EventLog, record: Record) -> None:
        self.world = world
        self.events = events
        self.agenda: Agenda
        self.calendar: Agenda
        self.launcher = Launcher(world, task_sets, events, self._wake_at)
        self.groups = Groups(world, self.launcher)
        self.scaling = ManagedScaling(world, self.groups, record)
        self.managed = ManagedInstances(world, self.launcher)
        self.optimization = Optimization(world, self.launcher)
        self._minute = 0 if self.scaling.providers or self.managed.pools else NEVER
        self._said = 0  # how many of the lost instances in the chunk have been spoken of

    def _wake_at(self, at_ms: int) -> None:
        self.agenda.wake_at(at_ms)

    @property
    def desired(self) -> list[int]:
        """The desired capacity of each Auto Scaling group."""
        return self.groups.desired

    def set_desired(self, group: int, count: int) -> None:
        """SetDesiredCapacity, held within the group's bounds."""
        of = self.world.scenario.groups[group]
        self.groups.desired[group] = min(max(count, of.min_size), of.max_size)
        self.agenda.ring()

    def begin(self, now: int) -> None:
        """The first instant: the groups' first instances are registered."""
        for group in range(len(self.world.scenario.groups)):
            self.groups.launch_first(group, now)

    def act(self, now: int) -> None:
        """Look at everything that may have changed."""
        self.say_failures()
        self.world.state.clock[BELLS] &= ~BELL_CAPACITY
        self.launcher.end_drained(now)
        if now == self._minute:
            self._minute += MS_PER_MINUTE
            self.agenda.wake_at(self._minute)
            self.scaling.tick(now)
            self.optimization.look(now)
        self.groups.act(now)
        self.managed.serve(now)
        self.world.state.clock[BELLS] &= ~BELL_CAPACITY
        self.calendar.ring()

    def say_failures(self) -> None:
        """Record what has happened in compiled code since it was last asked."""
        state = self.world.state
        for row in state.lost[self._said : state.clock[LOST]]:
            if row["reason"] in _IN_THE_CALENDAR:
                self.events.instance_gone(int(row["terminated"]), int(row["instance_id"]), int(row["reason"]))
        self._said = int(state.clock[LOST])

    def chunk_taken(self) -> None:
        """The chunk of lost instances has been emptied."""
        self._said = 0
