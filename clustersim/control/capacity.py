"""Auto Scaling groups: they hold their desired capacity and replace what they lose.

Launches into the Availability Zone with the fewest instances, terminates from the one with the most, oldest
first (MODEL.md). Several instance types: the first of the list is launched. Knows nothing of
tasks; its agenda wakes it when an instance is gone or a capacity has changed.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.event_words import EventLog
from clustersim.engine.agenda import Agenda
from clustersim.vocabulary import TerminationReason, instance_name
from clustersim.world.fleet import end_instance, launch_many
from clustersim.world.populate import deals_of
from clustersim.world.tables import BELL_CAPACITY, BELLS, LOST
from clustersim.world.task_sets import TaskSets
from clustersim.world.world import World


class Capacity:
    """One for all Auto Scaling groups."""

    def __init__(self, world: World, task_sets: TaskSets, events: EventLog) -> None:
        self.world = world
        self.events = events
        self.agenda: Agenda
        self.calendar: Agenda
        self._class_numbers = task_sets.class_numbers
        self._patterns = task_sets.facts
        scenario = world.scenario
        self.desired = [group.desired_capacity for group in scenario.groups]
        self._said = 0  # how many of the lost instances in the chunk have been spoken of
        self._launched = [0] * len(scenario.groups)

    def set_desired(self, group: int, count: int) -> None:
        """SetDesiredCapacity, held within the group's bounds."""
        of = self.world.scenario.groups[group]
        self.desired[group] = min(max(count, of.min_size), of.max_size)
        self.agenda.ring()

    def act(self, now: int) -> None:
        """Bring every group to its desired capacity."""
        self.say_failures()
        self.world.state.clock[BELLS] &= ~BELL_CAPACITY
        for group in range(len(self.desired)):
            slots = self.world.instances_of(group)
            short = self.desired[group] - slots.size
            if short > 0:
                self.launch(group, short, now)
            elif short < 0:
                self._terminate(slots, -short, now)
        self.calendar.ring()

    def launch(self, group: int, count: int, now: int, at_once: bool = False) -> None:
        """Request `count` instances; `at_once` registers them at this instant (the first ones of a run)."""
        if count <= 0:
            return
        self.world.make_room(64, count)
        of = self.world.scenario.groups[group]
        state = self.world.state
        zone_numbers = [self.world.names.zones.index(zone) for zone in of.zones]
        type_number = self.world.names.types.index(of.instance_types[0])
        held = state.classes["zone"][state.instances["klass"][self.world.instances_of(group)]]
        per_zone = {zone: int(np.count_nonzero(held == zone)) for zone in zone_numbers}
        deals = deals_of(of)
        klasses = np.zeros(count, np.int64)
        ordinals = np.arange(self._launched[group], self._launched[group] + count, dtype=np.int64)
        for n in range(count):
            zone = min(zone_numbers, key=per_zone.__getitem__)
            per_zone[zone] += 1
            klasses[n] = self._class_numbers[group, type_number, zone, int(ordinals[n]) % deals]
        self._launched[group] += count
        launch_many(self.world.core, klasses, ordinals, now, at_once)
        if self._patterns.patterns:
            self._write_patterns(group, count)
        if not at_once:
            self._say(now, group, "INSTANCE_LAUNCHED", f"launching {count} container instances")

    def _write_patterns(self, group: int, count: int) -> None:
        """What memberOf expressions ask about the names of the new instances."""
        state = self.world.state
        for slot in self.world.instances_of(group)[-count:]:
            for row, matches in self._patterns.matching(int(state.instances["instance_id"][slot])):
                state.hosts.facts[row, slot] = matches

    def _terminate(self, slots: np.ndarray, count: int, now: int) -> None:
        """Terminate `count` instances: from the zone with the most, the oldest first."""
        left = [int(slot) for slot in slots]
        for _ in range(count):
            state = self.world.state
            zones = [int(state.classes["zone"][state.instances["klass"][slot]]) for slot in left]
            fullest = max(sorted(set(zones)), key=zones.count)
            slot = left.pop(zones.index(fullest))
            self.world.make_room(2 * int(state.instances["task_count"][slot]) + 64, 1)
            self.say_gone(now, slot, "was terminated by its Auto Scaling group")
            end_instance(self.world.core, slot, now, int(TerminationReason.SCALE_IN))
        self.world.state.clock[BELLS] &= ~BELL_CAPACITY

    def say_gone(self, now: int, slot: int, words: str) -> None:
        """Record an instance's end as an incident."""
        identity = int(self.world.state.instances["instance_id"][slot])
        message = f"(container-instance {instance_name(identity)}) {words}."
        self.events.instance(now, "INSTANCE_TERMINATED", identity, message)

    def say_failures(self) -> None:
        """Record the instances that the calendar has seen fail since it was last asked."""
        state = self.world.state
        for row in state.lost[self._said : state.clock[LOST]]:
            if row["reason"] == TerminationReason.INSTANCE_FAILURE:
                identity = int(row["instance_id"])
                message = f"(container-instance {instance_name(identity)}) failed; its tasks are lost."
                self.events.instance(int(row["terminated"]), "INSTANCE_FAILED", identity, message)
        self._said = int(state.clock[LOST])

    def chunk_taken(self) -> None:
        """The chunk of lost instances has been emptied."""
        self._said = 0

    def _say(self, now: int, group: int, kind: str, words: str) -> None:
        name = self.world.scenario.groups[group].name
        self.events.instance(now, kind, -1, f"(auto-scaling-group {name}) {words}.")
