"""Instances requested and given up, for whoever decides that: groups and Managed Instances.

Turns a choice (type, zone, purchase option) into a launched instance with its luck, and an instance that is given
up into one that is gone, at once or when it has drained; says each in `events`. Knows which capacity is closed.
Decides neither how many nor which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from clustersim.control.events.service_events import EventLog
from clustersim.engine.compiled import Array
from clustersim.policy.capacity.interruption_rates import Closure, Offer, is_open
from clustersim.policy.tasks.subnet_addresses import ENDLESS
from clustersim.vocabulary import TerminationReason
from clustersim.world.build.build_world import deals_of
from clustersim.world.build.task_set_tables import TaskSets
from clustersim.world.instances.lifecycle import drain, end_instance, launch_many
from clustersim.world.state.tables import PROMISED
from clustersim.world.state.world import World


class Choice(NamedTuple):
    """One instance to launch: numbers of its type and zone, and whether it is Spot."""

    type: int
    zone: int
    spot: bool


class Launcher:
    """One for all pools."""

    def __init__(
        self, world: World, task_sets: TaskSets, events: EventLog, wake_at: Callable[[int], None]
    ) -> None:
        self.world = world
        self.events = events
        self.wake_at = wake_at
        self.closures: tuple[Closure, ...] = ()
        self._leaving: dict[
            int, tuple[int, int]
        ] = {}  # instance id given up -> when it goes at last, and why
        self._class_numbers = task_sets.class_numbers
        self._patterns = task_sets.facts
        self._launched = [0] * len(world.scenario.pools)
        self._deals = [deals_of(pool) for pool in world.scenario.pools]
        self._bounded = any(subnet.addresses < ENDLESS for subnet in world.scenario.subnets)

    @property
    def choosy(self) -> bool:
        """Whether anything can be refused now: capacity that is short, or addresses that end."""
        return bool(self.closures) or self._bounded

    def is_open(self, pool: int, choice: Choice, now: int, ahead: int = 0) -> bool:
        """Whether EC2 has this capacity for a pool, and an address, when `ahead` others go first into the zone."""
        names = self.world.names
        provider = self.world.scenario.pools[pool].provider or ""
        offer = Offer(provider, names.types[choice.type], names.zones[choice.zone], choice.spot)
        return is_open(self.closures, offer, now) and self.full_subnet(pool, choice, ahead) is None

    def full_subnet(self, pool: int, choice: Choice, ahead: int = 0) -> str | None:
        """A subnet that has no address for one more instance of a pool, as none of its zone has; None: one has."""
        if not self._bounded:
            return None
        state = self.world.state
        there = (state.pool_subnets[pool] == 1) & (state.subnet_zones == choice.zone)
        klass = self._class_numbers[pool, choice.type, choice.zone, 0, choice.spot]
        if int((state.free_addresses[there] // state.classes["addresses"][klass]).sum()) > ahead:
            return None
        first = np.flatnonzero(there)
        if first.size == 0:
            return f"of {self.world.names.zones[choice.zone]}"
        return self.world.scenario.subnets[int(first[0])].name

    def launch(self, pool: int, choices: Sequence[Choice], now: int, at_once: bool = False) -> Array:
        """Request these instances, in this order; their slots. `at_once` registers them at this instant."""
        count = len(choices)
        self.world.make_room(64, count)
        ordinals = np.arange(self._launched[pool], self._launched[pool] + count, dtype=np.int64)
        klasses = np.array(
            [
                self._class_numbers[pool, choice.type, choice.zone, int(n) % self._deals[pool], choice.spot]
                for choice, n in zip(choices, ordinals, strict=True)
            ],
            np.int64,
        )
        self._launched[pool] += count
        slots = np.zeros(count, np.int64)
        launch_many(self.world.core, klasses, ordinals, now, at_once, slots)
        state = self.world.state
        if self._patterns.patterns:  # what memberOf expressions ask about the names of instances
            for slot in slots:
                for row, matches in self._patterns.matching(int(state.instances["instance_id"][slot])):
                    state.hosts.facts[row, slot] = matches
        return slots

    def give_up(self, slot: int, now: int, reason: TerminationReason, drain_ms: int | None) -> None:
        """Terminate an instance: at once (`drain_ms` None), or once it has drained, at the latest after `drain_ms`."""
        row = self.world.state.instances[slot]
        if drain_ms is None or row["working"] == 0:
            self.end(slot, now, reason)
            return
        identity = int(row["instance_id"])
        row["terminating"] = 1
        self._leaving[identity] = (now + drain_ms, int(reason))
        self.wake_at(now + drain_ms)
        self.events.instance(now, "INSTANCE_DRAINING", identity, "drains before it is terminated")
        self.world.make_room(2 * int(row["task_count"]) + 64)
        drain(self.world.core, slot, now)

    def end_drained(self, now: int) -> None:
        """Terminate what was given up and has drained, or has drained for too long."""
        state = self.world.state
        given_up = (state.instances["terminating"] == 1) & (state.instances["instance_id"] >= 0)
        for slot in np.flatnonzero(given_up):
            row = self.world.state.instances[slot]
            identity = int(row["instance_id"])
            at_last, reason = self._leaving[identity]
            if row["working"] == 0 or now >= at_last:
                del self._leaving[identity]
                self.end(int(slot), now, reason)

    def end(self, slot: int, now: int, reason: int) -> None:
        """The instance is gone at this instant, and its tasks with it."""
        row = self.world.state.instances[slot]
        self.events.instance_gone(now, int(row["instance_id"]), reason)
        promised = int(self.world.state.clock[PROMISED])
        self.world.make_room(2 * int(row["task_count"]) + promised + 64, 1)
        end_instance(self.world.core, slot, now, int(reason))

    def say(self, now: int, pool: int, kind: str, words: str) -> None:
        """Record something about a whole pool."""
        of = self.world.scenario.pools[pool]
        noun = "auto-scaling-group" if pool < len(self.world.scenario.groups) else "capacity-provider"
        self.events.pool(now, kind, f"{noun} {of.name}", words)
