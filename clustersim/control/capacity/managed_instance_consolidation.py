"""Removes ECS Managed Instances that are idle, underutilized, or at the end of their lifetime.

Runs once a minute. An idle instance is terminated. An underutilized one drains if all its tasks fit on other instances
of its zone; one at a time. An instance that has run for 14 days drains under any load. An instance with a standalone
task is never consolidated (ECS Developer Guide: infrastructure optimization, patching). `control.capacity.capacity`
calls it.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.capacity.instance_launcher import InstanceLauncher
from clustersim.engine.compiled import Array
from clustersim.engine.records import new_table
from clustersim.scenario.sections.scenario import ManagedInstancesProvider
from clustersim.vocabulary import NEVER, RESOURCES, StopCode, StoppedReason, TerminationReason
from clustersim.world.scheduling.commands import stop_tasks
from clustersim.world.scheduling.consolidation_candidates import (
    ConsolidationCountsRow,
    count_candidates,
    find_candidates,
    find_removable_instance,
)
from clustersim.world.state.world import World

_TERMINATION_NOTICE = int(StopCode.TerminationNotice)
_DRAINING = int(StoppedReason.INSTANCE_DRAINING)


class ManagedInstanceConsolidation:
    """The consolidation of all providers of ECS Managed Instances."""

    def __init__(self, world: World, launcher: InstanceLauncher) -> None:
        self.world = world
        self.launcher = launcher
        self._first = len(world.scenario.groups)
        self.pools = world.scenario.managed_instances
        self._candidates = new_table(ConsolidationCountsRow, len(self.pools))
        for row, settings in zip(self._candidates, self.pools, strict=True):
            row["candidate_after"] = (
                NEVER if settings.scale_in_after_ms is None else settings.scale_in_after_ms
            )
            row["lifetime"] = settings.drain_after_ms
        self._draining_id = [NEVER] * len(self.pools)  # id of the instance that drains
        # Capacity epoch and number of candidates at the last search for a removable instance.
        self._last_search = [(NEVER, 0)] * len(self.pools)

    def remove_unneeded(self, now: int) -> None:
        """Remove instances that are past their lifetime, idle or dispensable."""
        if not self.pools:
            return
        count_candidates(self.world.core, self._candidates, self._first, now)
        for number, (settings, row) in enumerate(zip(self.pools, self._candidates, strict=True)):
            if row["past_lifetime"]:
                for slot in self._not_terminating(number):
                    if now - self.world.state.instances.rows["launched"][slot] >= settings.drain_after_ms:
                        self._retire(int(slot), settings, now)
            if row["empty"]:
                self._end_idle(number, now)
            if row["candidates"] > row["empty"]:
                self._consolidate(number, settings, int(row["candidates"]), now)

    def _not_terminating(self, number: int) -> Array:
        """Return the slots of a provider's instances that are not terminating."""
        slots = self.world.instances_of(self._first + number)
        remaining: Array = slots[self.world.state.instances.rows["terminating"][slots] == 0]
        return remaining

    def _idle_slots(self, number: int, now: int) -> Array:
        """Return the slots of ACTIVE instances on which no task has started or stopped for long enough."""
        out = np.zeros(int(self._candidates["candidates"][number]), np.int64)
        after = int(self._candidates["candidate_after"][number])
        return out[: find_candidates(self.world.core, self._first + number, after, now, out)]

    def _retire(self, slot: int, settings: ManagedInstancesProvider, now: int) -> None:
        """Drain an instance at the end of its lifetime, and stop its standalone tasks."""
        tasks = self._tasks_on(slot)
        standalone = tasks[
            self.world.state.sets.rows["service"][self.world.state.tasks.rows["set"][tasks]] < 0
        ]
        self.launcher.terminate(
            slot, now, TerminationReason.LIFETIME, settings.terminate_after_ms - settings.drain_after_ms
        )
        if standalone.size:
            self.world.make_room(2 * standalone.size + 64)
            stop_tasks(self.world.core, standalone, now, _TERMINATION_NOTICE, _DRAINING)

    def _end_idle(self, number: int, now: int) -> None:
        for slot in self._idle_slots(number, now):
            if self.world.state.instances.rows["non_daemon_tasks"][slot] == 0:
                self.launcher.terminate(int(slot), now, TerminationReason.IDLE, None)

    def _consolidate(
        self, number: int, settings: ManagedInstancesProvider, candidates: int, now: int
    ) -> None:
        """Drain an instance if all its tasks fit on others of its zone; one at a time.

        If the last search found none, the next one waits until capacity was freed or another instance is a candidate.
        """
        state = self.world.state
        search = (int(state.counters.capacity_epoch), candidates)
        still_draining = np.any(state.instances.rows["instance_id"] == self._draining_id[number])
        if (still_draining and self._draining_id[number] >= 0) or search == self._last_search[number]:
            return
        room = np.empty((RESOURCES, state.instances.rows.size), np.int64)
        after = int(self._candidates["candidate_after"][number])
        slot = find_removable_instance(self.world.core, self._first + number, after, now, room)
        self._last_search[number] = search
        if slot >= 0:
            self._draining_id[number] = int(state.instances.rows["instance_id"][slot])
            drain_ms = settings.terminate_after_ms - settings.drain_after_ms
            self.launcher.terminate(slot, now, TerminationReason.UNDERUTILIZED, drain_ms)

    def _tasks_on(self, slot: int) -> Array:
        """Return the slots of the tasks on an instance, daemons left out."""
        state = self.world.state
        tasks = []
        task = int(state.instances.rows["first_task"][slot])
        while task >= 0:
            if not state.sets.rows[state.tasks.rows[task]["set"]]["daemon"]:
                tasks.append(task)
            task = int(state.tasks.rows[task]["next_on_host"])
        return np.array(tasks, np.int64)
