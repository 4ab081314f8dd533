"""ECS Managed Instances given up: idle, underutilized, or at the end of their lifetime.

Looks once a minute. An idle instance is terminated; an underutilized one, whose tasks would all find room on others
of its zone, drains, one at a time; one that has lived for 14 days drains, whatever it does. One with a standalone task
is never consolidated (ECS Developer Guide: infrastructure optimization, patching). `control.capacity.capacity` calls
it.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.capacity.instance_launcher import Launcher
from clustersim.engine.compiled import Array
from clustersim.scenario.sections.scenario import ManagedInstances
from clustersim.vocabulary import NEVER, RESOURCES, StopCode, StoppedReason, TerminationReason
from clustersim.world.scheduling.commands import stop_tasks
from clustersim.world.scheduling.consolidation_candidates import RESTED, count_rested, dispensable, rested_of
from clustersim.world.state.tables import CAPACITY_EPOCH
from clustersim.world.state.world import World

_TERMINATION_NOTICE = int(StopCode.TerminationNotice)
_DRAINING = int(StoppedReason.INSTANCE_DRAINING)


class Optimization:
    """All providers of ECS Managed Instances."""

    def __init__(self, world: World, launcher: Launcher) -> None:
        self.world = world
        self.launcher = launcher
        self._first = len(world.scenario.groups)
        self.pools = world.scenario.managed_instances
        self._counted = np.zeros(len(self.pools), RESTED)
        for row, of in zip(self._counted, self.pools, strict=True):
            row["after"] = NEVER if of.scale_in_after_ms is None else of.scale_in_after_ms
            row["lifetime"] = of.drains_at_ms
        self._moving = [NEVER] * len(self.pools)  # id of the instance that is being emptied
        self._seen = [(NEVER, 0)] * len(self.pools)  # when the last look found nothing to consolidate

    def look(self, now: int) -> None:
        """Give up what is not worth keeping."""
        if not self.pools:
            return
        count_rested(self.world.core, self._counted, self._first, now)
        for number, (of, row) in enumerate(zip(self.pools, self._counted, strict=True)):
            if row["aged"]:
                for slot in self._kept(number):
                    if now - self.world.state.instances["launched"][slot] >= of.drains_at_ms:
                        self._retire(int(slot), of, now)
            if row["idle"]:
                self._end_idle(number, now)
            if row["rested"] > row["idle"]:
                self._consolidate(number, of, int(row["rested"]), now)

    def _kept(self, number: int) -> Array:
        """The slots of instances that nobody has given up."""
        slots = self.world.instances_of(self._first + number)
        kept: Array = slots[self.world.state.instances["terminating"][slots] == 0]
        return kept

    def _rested(self, number: int, now: int) -> Array:
        """The slots of ACTIVE instances on which no task has started or stopped for long enough."""
        out = np.zeros(int(self._counted["rested"][number]), np.int64)
        after = int(self._counted["after"][number])
        return out[: rested_of(self.world.core, self._first + number, after, now, out)]

    def _retire(self, slot: int, of: ManagedInstances, now: int) -> None:
        """The day has come: the instance drains, and its standalone tasks are stopped."""
        tasks = self._tasks_on(slot)
        standalone = tasks[self.world.state.sets["service"][self.world.state.tasks["set"][tasks]] < 0]
        self.launcher.give_up(slot, now, TerminationReason.LIFETIME, of.ends_at_ms - of.drains_at_ms)
        if standalone.size:
            self.world.make_room(2 * standalone.size + 64)
            stop_tasks(self.world.core, standalone, now, _TERMINATION_NOTICE, _DRAINING)

    def _end_idle(self, number: int, now: int) -> None:
        for slot in self._rested(number, now):
            if self.world.state.instances["working"][slot] == 0:
                self.launcher.give_up(int(slot), now, TerminationReason.IDLE, None)

    def _consolidate(self, number: int, of: ManagedInstances, rested: int, now: int) -> None:
        """Drain an instance that the others of its zone can do without; one at a time.

        Where nothing was found, nothing will be before room was made or another instance has rested.
        """
        state = self.world.state
        seen = (int(state.clock[CAPACITY_EPOCH]), rested)
        moving = np.any(state.instances["instance_id"] == self._moving[number])
        if (moving and self._moving[number] >= 0) or seen == self._seen[number]:
            return
        room = np.empty((RESOURCES, state.instances.size), np.int64)
        after = int(self._counted["after"][number])
        slot = dispensable(self.world.core, self._first + number, after, now, room)
        self._seen[number] = seen
        if slot >= 0:
            self._moving[number] = int(state.instances["instance_id"][slot])
            drain_ms = of.ends_at_ms - of.drains_at_ms
            self.launcher.give_up(slot, now, TerminationReason.UNDERUTILIZED, drain_ms)

    def _tasks_on(self, slot: int) -> Array:
        """The slots of the tasks on an instance, daemons left out."""
        state = self.world.state
        found = []
        task = int(state.instances["first_task"][slot])
        while task >= 0:
            if not state.sets[state.tasks[task]["set"]]["daemon"]:
                found.append(task)
            task = int(state.tasks[task]["next_on_host"])
        return np.array(found, np.int64)
