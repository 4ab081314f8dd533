"""Launches and terminates instances for Auto Scaling groups and Managed Instances.

Turns a choice (type, zone, purchase option) into a launched instance with random draws of its own, and terminates
instances at once or after they have drained; logs both in `events`. Knows which capacity is closed. Decides neither how
many instances nor which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from clustersim.control.capacity.capacity_closures import capacity_closures
from clustersim.control.events.service_events import EventLog
from clustersim.engine.compiled import Array
from clustersim.policy.capacity.interruption_rates import CapacityOffer, is_available
from clustersim.policy.tasks.subnet_addresses import UNLIMITED
from clustersim.vocabulary import TerminationReason
from clustersim.world.build.instance_classes import count_attribute_combinations
from clustersim.world.build.task_set_tables import TaskSets
from clustersim.world.instances.lifecycle import drain_instance, end_instance, launch_instances
from clustersim.world.state.world import World


class LaunchChoice(NamedTuple):
    """One instance to launch: numbers of its type and zone, and whether it is Spot."""

    type: int
    zone: int
    spot: bool


class InstanceLauncher:
    """The launches and terminations of all pools' instances."""

    def __init__(
        self, world: World, task_sets: TaskSets, events: EventLog, wake_at: Callable[[int], None]
    ) -> None:
        self.world = world
        self.events = events
        self.wake_at = wake_at
        self.closures = capacity_closures(world.scenario)
        self._terminating: dict[int, tuple[int, int]] = {}  # by instance id: deadline (ms) and reason
        self._class_numbers = task_sets.class_numbers
        self._patterns = task_sets.facts
        self._launched = [0] * len(world.scenario.pools)
        self._combinations = [count_attribute_combinations(pool) for pool in world.scenario.pools]
        self._bounded = any(subnet.addresses < UNLIMITED for subnet in world.scenario.subnets)

    @property
    def may_refuse(self) -> bool:
        """True if a launch may be refused now: capacity is closed somewhere, or subnets are bounded."""
        return bool(self.closures) or self._bounded

    def has_capacity(self, pool: int, choice: LaunchChoice, now: int, ahead: int = 0) -> bool:
        """Return whether a pool can launch this choice after `ahead` other launches into its zone.

        It needs EC2 capacity and a free IP address.
        """
        names = self.world.names
        provider = self.world.scenario.pools[pool].provider or ""
        offer = CapacityOffer(provider, names.types[choice.type], names.zones[choice.zone], choice.spot)
        return is_available(self.closures, offer, now) and self.full_subnet(pool, choice, ahead) is None

    def full_subnet(self, pool: int, choice: LaunchChoice, ahead: int = 0) -> str | None:
        """Return the name of a full subnet if no subnet of the zone has an address for one more instance of a pool.

        None if one has. `ahead` other instances are launched into the zone first.
        """
        if not self._bounded:
            return None
        state = self.world.state
        usable_subnets = (state.capacity.pool_subnets[pool] == 1) & (
            state.capacity.subnet_zones == choice.zone
        )
        instance_class = self._class_numbers[pool, choice.type, choice.zone, 0, choice.spot]
        if (
            int(
                (
                    state.capacity.free_addresses[usable_subnets]
                    // state.capacity.classes["addresses"][instance_class]
                ).sum()
            )
            > ahead
        ):
            return None
        usable_numbers = np.flatnonzero(usable_subnets)
        if usable_numbers.size == 0:
            return f"of {self.world.names.zones[choice.zone]}"
        return self.world.scenario.subnets[int(usable_numbers[0])].name

    def launch(self, pool: int, choices: Sequence[LaunchChoice], now: int, at_once: bool = False) -> Array:
        """Launch these instances in this order and return their slots; `at_once` registers them at this instant."""
        count = len(choices)
        self.world.make_room(64, count)
        ordinals = np.arange(self._launched[pool], self._launched[pool] + count, dtype=np.int64)
        instance_classes = np.array(
            [
                self._class_numbers[
                    pool, choice.type, choice.zone, int(n) % self._combinations[pool], choice.spot
                ]
                for choice, n in zip(choices, ordinals, strict=True)
            ],
            np.int64,
        )
        self._launched[pool] += count
        slots = np.zeros(count, np.int64)
        launch_instances(self.world.core, instance_classes, ordinals, now, at_once, slots)
        state = self.world.state
        if self._patterns.patterns:  # memberOf expressions over instance ids
            for slot in slots:
                for row, matches in self._patterns.matching(int(state.instances.rows["instance_id"][slot])):
                    state.instances.hosts.facts[row, slot] = matches
        return slots

    def terminate(self, slot: int, now: int, reason: TerminationReason, drain_ms: int | None) -> None:
        """Terminate an instance: at once (`drain_ms` None), or once it has drained, after `drain_ms` at the latest."""
        row = self.world.state.instances.rows[slot]
        if drain_ms is None or row["non_daemon_tasks"] == 0:
            self.terminate_now(slot, now, reason)
            return
        instance_id = int(row["instance_id"])
        row["terminating"] = 1
        self._terminating[instance_id] = (now + drain_ms, int(reason))
        self.wake_at(now + drain_ms)
        self.events.log_instance(now, "INSTANCE_DRAINING", instance_id, "drains before it is terminated")
        self.world.make_room(2 * int(row["task_count"]) + 64)
        drain_instance(self.world.core, slot, now)

    def terminate_drained(self, now: int) -> None:
        """Terminate the terminating instances that have drained or reached their deadline."""
        state = self.world.state
        terminating = (state.instances.rows["terminating"] == 1) & (state.instances.rows["instance_id"] >= 0)
        for slot in np.flatnonzero(terminating):
            row = self.world.state.instances.rows[slot]
            instance_id = int(row["instance_id"])
            deadline, reason = self._terminating[instance_id]
            if row["non_daemon_tasks"] == 0 or now >= deadline:
                del self._terminating[instance_id]
                self.terminate_now(int(slot), now, reason)

    def terminate_now(self, slot: int, now: int, reason: int) -> None:
        """Terminate an instance, and its tasks with it, at this instant."""
        row = self.world.state.instances.rows[slot]
        self.events.log_instance_terminated(now, int(row["instance_id"]), reason)
        assigned = int(self.world.state.counters.assigned_tasks)
        self.world.make_room(2 * int(row["task_count"]) + assigned + 64, 1)
        end_instance(self.world.core, slot, now, int(reason))

    def report(self, now: int, pool: int, kind: str, message: str) -> None:
        """Log an event about a whole pool."""
        pool_settings = self.world.scenario.pools[pool]
        noun = "auto-scaling-group" if pool < len(self.world.scenario.groups) else "capacity-provider"
        self.events.log_pool(now, kind, f"{noun} {pool_settings.name}", message)
