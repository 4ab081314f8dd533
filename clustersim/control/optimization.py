"""ECS Managed Instances given up: idle, underutilized, or at the end of their lifetime.

Looks once a minute. An idle instance is terminated; an underutilized one, whose tasks would all find room on others
of its zone, drains, one at a time; one that has lived for 14 days drains, whatever it does. One with a standalone task
is never consolidated (ECS Developer Guide: infrastructure optimization, patching). `control.capacity` calls it.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.launching import Launcher
from clustersim.engine.compiled import Array
from clustersim.policy.hosts import ELIGIBLE
from clustersim.policy.packing import weight
from clustersim.scenario.model import ManagedInstances
from clustersim.vocabulary import (
    MEMORY,
    NEVER,
    InstanceState,
    StopCode,
    StoppedReason,
    TaskState,
    TerminationReason,
)
from clustersim.world.orders import stop_tasks
from clustersim.world.world import World

_TERMINATION_NOTICE = int(StopCode.TerminationNotice)
_DRAINING = int(StoppedReason.INSTANCE_DRAINING)


class Optimization:
    """All providers of ECS Managed Instances."""

    def __init__(self, world: World, launcher: Launcher) -> None:
        self.world = world
        self.launcher = launcher
        first = len(world.scenario.groups)
        self.pools = {first + n: of for n, of in enumerate(world.scenario.managed_instances)}
        self._moving = dict.fromkeys(self.pools, NEVER)  # by pool: id of the instance that is being emptied

    def look(self, now: int) -> None:
        """Give up what is not worth keeping."""
        for pool, of in self.pools.items():
            for slot in self._kept(pool):
                if now - self.world.state.instances["launched"][slot] >= of.drains_at_ms:
                    self._retire(int(slot), of, now)
            if of.scale_in_after_ms is not None:
                self._end_idle(pool, of.scale_in_after_ms, now)
                self._consolidate(pool, of, now)

    def _kept(self, pool: int) -> Array:
        """The slots of instances that nobody has given up."""
        slots = self.world.instances_of(pool)
        kept: Array = slots[self.world.state.instances["terminating"][slots] == 0]
        return kept

    def _rested(self, pool: int, after_ms: int, now: int) -> Array:
        """The slots of ACTIVE instances on which no task has started or stopped for `after_ms`."""
        rows = self.world.state.instances
        slots = self._kept(pool)
        since = np.maximum(rows["changed"][slots], rows["registered"][slots])
        rested = (rows["state"][slots] == InstanceState.ACTIVE) & (now - since >= after_ms)
        chosen: Array = slots[rested & (rows["notice"][slots] < 0)]
        return chosen

    def _retire(self, slot: int, of: ManagedInstances, now: int) -> None:
        """The day has come: the instance drains, and its standalone tasks are stopped."""
        tasks = self._tasks_on(slot)
        standalone = tasks[self.world.state.sets["service"][self.world.state.tasks["set"][tasks]] < 0]
        self.launcher.give_up(slot, now, TerminationReason.LIFETIME, of.ends_at_ms - of.drains_at_ms)
        if standalone.size:
            self.world.make_room(2 * standalone.size + 64)
            stop_tasks(self.world.core, standalone, now, _TERMINATION_NOTICE, _DRAINING)

    def _end_idle(self, pool: int, after_ms: int, now: int) -> None:
        for slot in self._rested(pool, after_ms, now):
            if self.world.state.instances["working"][slot] == 0:
                self.launcher.give_up(int(slot), now, TerminationReason.IDLE, None)

    # --- underutilized -------------------------------------------------------------------------------------

    def _consolidate(self, pool: int, of: ManagedInstances, now: int) -> None:
        """Drain the least used instance whose tasks fit on others of its zone; one at a time."""
        state = self.world.state
        if np.any(state.instances["instance_id"] == self._moving[pool]):
            return
        self._moving[pool] = NEVER
        assert of.scale_in_after_ms is not None
        rows = state.instances
        rested = self._rested(pool, of.scale_in_after_ms, now)
        used = rows["used_cpu"][rested] / state.classes["cpu"][rows["klass"][rested]]
        for slot in rested[np.argsort(used, kind="stable")]:
            if self._fits_elsewhere(pool, int(slot)):
                self._moving[pool] = int(rows["instance_id"][slot])
                drain_ms = of.ends_at_ms - of.drains_at_ms
                self.launcher.give_up(int(slot), now, TerminationReason.UNDERUTILIZED, drain_ms)
                return

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

    def _fits_elsewhere(self, pool: int, slot: int) -> bool:
        """Whether all tasks of an instance are a service's, running, and would find room in its zone."""
        state = self.world.state
        tasks = state.tasks[self._tasks_on(slot)]
        lanes = state.lanes[tasks["lane"]]
        sets = state.sets[tasks["set"]]
        if tasks.size == 0 or np.any(tasks["state"] != TaskState.RUNNING):
            return False
        if np.any(sets["service"] < 0) or not np.all(lanes["plain"] == 1):
            return False
        zone = state.classes["zone"][state.instances["klass"][slot]]
        others = self._kept(pool)
        rows = state.instances[others]
        there = state.classes["zone"][rows["klass"]] == zone
        others = others[there & (rows["state"] == InstanceState.ACTIVE) & (rows["connected"] == 1)]
        others = others[others != slot]
        free = state.hosts.free[:, others].copy()
        klasses = state.instances["klass"][others]
        needs = [self.world.need_of(int(shape)) for shape in tasks["shape"]]
        for number in sorted(range(tasks.size), key=lambda n: -weight(needs[n])):
            room = np.all(free >= needs[number][:, None], axis=0)
            room &= state.eligible[tasks["lane"][number], klasses] == ELIGIBLE
            if not np.any(room):
                return False
            best = int(np.flatnonzero(room)[np.argmin(free[MEMORY, room])])
            free[:, best] -= needs[number]
        return True
