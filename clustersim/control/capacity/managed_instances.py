"""ECS Managed Instances: launches instances for waiting tasks.

Waiting tasks are spread over the zones, packed into instances that are launching already, and for the rest
`policy.capacity.managed_instance_packing` chooses instances; each task is assigned to the instance launched for it.
`control.capacity.managed_instance_consolidation` removes instances. `control.capacity.capacity` calls it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from clustersim.control.capacity.instance_launcher import InstanceLauncher, LaunchChoice
from clustersim.engine.compiled import Array
from clustersim.policy.capacity.managed_instance_packing import (
    PackedInstance,
    TaskDemand,
    count_that_fit,
    pack_cheapest,
    sort_heaviest_first,
)
from clustersim.policy.placement.hosts import ELIGIBLE
from clustersim.world.instances.lifecycle import REGISTERING
from clustersim.world.scheduling.instance_assignments import assign_to_instance
from clustersim.world.state.world import World

_NO_TYPE = "no instance type meets the requirements of the waiting tasks."
_NO_CAPACITY = "has no capacity for the waiting tasks; launches are retried."


@dataclass
class _LaunchingInstance:
    """An instance being launched, and the resources it has left beside its assigned tasks."""

    slot: int
    zone: int
    instance_class: int
    room: Array
    shapes: set[int] = field(default_factory=set)  # of its assigned tasks


@dataclass
class _PoolState:
    """A provider of Managed Instances."""

    number: int
    provider: int
    classes: Array  # numbers of its instance classes
    sizes: Array  # int64[resource, class], before daemons
    launching: dict[int, _LaunchingInstance] = field(default_factory=dict)  # by instance id
    reported: str = ""  # the last reported launch failure


class ManagedInstancesController:
    """The controller of all providers of ECS Managed Instances."""

    def __init__(self, world: World, launcher: InstanceLauncher) -> None:
        self.world = world
        self.launcher = launcher
        first = len(world.scenario.groups)
        self.pools = [
            self._pool(first + position) for position in range(len(world.scenario.managed_instances))
        ]

    def _pool(self, number: int) -> _PoolState:
        classes = self.world.state.capacity.classes
        pool_classes = np.flatnonzero(classes["pool"] == number)
        rows = classes[pool_classes]
        sizes = np.array([rows[name] for name in ("cpu", "memory", "gpus", "enis", "host_ports")], np.int64)
        return _PoolState(number, int(rows["provider"][0]), pool_classes, sizes)

    # --- waiting tasks -------------------------------------------------------------------------------------

    def launch_for_waiting(self, now: int) -> None:
        """Launch instances for all waiting tasks that are not assigned to one."""
        for pool in self.pools:
            demands = self._waiting_demands(pool)
            if demands:
                self._launch_for_pool(pool, demands, now)

    def _waiting_demands(self, pool: _PoolState) -> list[TaskDemand]:
        """Return the tasks that wait for this provider, by shape."""
        state = self.world.state
        waiting = state.placement.waiting_shapes[: self.world.state.counters.waiting_shapes]
        items = state.sets.shapes["strategy_item"][waiting]
        own_shapes = sorted(
            int(shape) for shape in waiting[state.sets.strategy_items["provider"][items] == pool.provider]
        )
        return [self.demand(pool, shape, int(state.sets.shapes["count"][shape])) for shape in own_shapes]

    def demand(self, pool: _PoolState, shape: int, count: int) -> TaskDemand:
        """Return `count` tasks of a shape as a packing request."""
        state = self.world.state
        item = int(state.sets.shapes[shape]["strategy_item"])
        alone = bool(
            state.sets.rows[state.sets.strategy_items[item]["set"]]["distinct"]
            or np.any(state.placement.item_ports[item])
        )
        need = self.world.need_of(shape)
        return TaskDemand(shape, need, count, alone, state.placement.eligible[item, pool.classes] == ELIGIBLE)

    def _launch_for_pool(self, pool: _PoolState, demands: list[TaskDemand], now: int) -> None:
        state = self.world.state
        for instance_id, each in list(pool.launching.items()):
            row = state.instances.rows[each.slot]
            if row["instance_id"] != instance_id or row["state"] != REGISTERING:
                del pool.launching[instance_id]
        open_classes = self._open_classes(pool, now)
        message = ""
        for zone, zone_demands in self._by_zone(pool, demands, open_classes).items():
            left = self._fill_launching(pool, zone, zone_demands)
            offers = np.flatnonzero(
                open_classes & (self.world.state.capacity.classes["zone"][pool.classes] == zone)
            )
            packed, unpackable = self._pack(pool, left, offers)
            message = _NO_TYPE if unpackable else message
            if self._launch(pool, packed, now) < len(packed):
                message = _NO_CAPACITY
        unplaceable = [demand for demand in demands if not np.any(demand.allowed & open_classes)]
        if unplaceable:
            message = _NO_CAPACITY if any(np.any(demand.allowed) for demand in unplaceable) else _NO_TYPE
        if message and message != pool.reported:
            self.launcher.report(now, pool.number, "INSTANCE_LAUNCH_FAILED", message)
        if message == _NO_CAPACITY:
            self.launcher.wake_at(now + self.world.scenario.cluster.launch_retry_ms)
        pool.reported = message

    def _open_classes(self, pool: _PoolState, now: int) -> Array:
        """Return which of the provider's classes EC2 has capacity and an address for."""
        if not self.launcher.may_refuse:
            return np.ones(pool.classes.size, np.bool_)
        classes = self.world.state.capacity.classes[pool.classes]
        return np.array(
            [
                self.launcher.has_capacity(
                    pool.number, LaunchChoice(int(row["type"]), int(row["zone"]), bool(row["spot"])), now
                )
                for row in classes
            ],
            np.bool_,
        )

    def _by_zone(
        self, pool: _PoolState, demands: list[TaskDemand], open_classes: Array
    ) -> dict[int, list[TaskDemand]]:
        """Divide the requests over the zones: each task goes to the zone with the fewest tasks of its group."""
        state = self.world.state
        zone_of = state.capacity.classes["zone"][pool.classes]
        divided: dict[int, list[TaskDemand]] = {}
        counts = {}
        assigned = state.tasks.rows[
            (state.tasks.rows["assigned_instance"] >= 0) & (state.tasks.rows["task_id"] >= 0)
        ]
        for demand in demands:
            group = int(
                state.sets.rows[
                    state.sets.strategy_items[state.sets.shapes[demand.key]["strategy_item"]]["set"]
                ]["group"]
            )
            zones = [int(zone) for zone in np.unique(zone_of[open_classes & demand.allowed])]
            if group not in counts:
                counts[group] = state.placement.zone_counts[group].astype(np.int64)
                instances = assigned["assigned_instance"][state.sets.rows["group"][assigned["set"]] == group]
                zone_numbers = state.capacity.classes["zone"][
                    state.instances.rows["instance_class"][instances]
                ]
                counts[group] += np.bincount(zone_numbers, minlength=counts[group].size)
            shares = dict.fromkeys(zones, 0)
            for _ in range(demand.count if zones else 0):
                zone = min(zones, key=lambda each: (counts[group][each], each))
                counts[group][zone] += 1
                shares[zone] += 1
            for zone, count in shares.items():
                if count:
                    divided.setdefault(zone, []).append(
                        TaskDemand(demand.key, demand.need, count, demand.alone, demand.allowed)
                    )
        return dict(sorted(divided.items()))

    def _fill_launching(self, pool: _PoolState, zone: int, demands: list[TaskDemand]) -> list[TaskDemand]:
        """Assign tasks to launching instances that have room; return the requests that are left."""
        left = []
        for demand in sort_heaviest_first(demands):
            count = demand.count
            for each in pool.launching.values():
                column = int(np.searchsorted(pool.classes, each.instance_class))
                if (
                    each.zone != zone
                    or not demand.allowed[column]
                    or (demand.alone and demand.key in each.shapes)
                ):
                    continue
                fits = min(
                    count,
                    int(count_that_fit(demand.need, each.room[:, None])[0]),
                    1 if demand.alone else count,
                )
                if fits > 0:
                    self._assign(each, demand, fits)
                    count -= fits
            if count:
                left.append(TaskDemand(demand.key, demand.need, count, demand.alone, demand.allowed))
        return left

    def _assign(self, launching: _LaunchingInstance, demand: TaskDemand, count: int) -> None:
        assign_to_instance(self.world.core, demand.key, count, launching.slot)
        launching.room = launching.room - count * demand.need
        launching.shapes.add(demand.key)

    def _pack(
        self, pool: _PoolState, demands: list[TaskDemand], offers: Array
    ) -> tuple[list[PackedInstance], list[int]]:
        """Return the cheapest instances for these tasks among the offered classes (positions in the pool's classes),
        and the shapes that fit none.
        """
        if not demands:
            return [], []
        prices = self.world.state.capacity.classes["usd_per_hour"][pool.classes[offers]]
        among = [
            TaskDemand(demand.key, demand.need, demand.count, demand.alone, demand.allowed[offers])
            for demand in demands
        ]
        packed, unpackable = pack_cheapest(among, self._sizes(pool)[:, offers], prices)
        return [
            PackedInstance(int(offers[instance.offer]), instance.tasks) for instance in packed
        ], unpackable

    def _sizes(self, pool: _PoolState) -> Array:
        """Return the resources of the classes that daemons leave for tasks."""
        sizes: Array = pool.sizes.copy()
        state = self.world.state
        for row in state.services.daemons:
            s = state.sets.rows[row]
            daemon = self.demand(pool, int(s["first_shape"]), 1)
            sizes -= daemon.allowed * daemon.need[:, None]
        return sizes

    def _launch(self, pool: _PoolState, packed: list[PackedInstance], now: int, at_once: bool = False) -> int:
        """Launch the packed instances that have an address, and assign their tasks to them; return how many."""
        packed, choices = self._with_address(pool, packed)
        if not packed:
            return 0
        slots = self.launcher.launch(pool.number, choices, now, at_once)
        if at_once:
            return len(packed)
        message = f"launching {len(packed)} container instances."
        self.launcher.report(now, pool.number, "INSTANCE_LAUNCHED", message)
        sizes = self._sizes(pool)
        state = self.world.state
        for slot, instance, choice in zip(slots, packed, choices, strict=True):
            launching = _LaunchingInstance(
                int(slot), choice.zone, int(pool.classes[instance.offer]), sizes[:, instance.offer].copy()
            )
            pool.launching[int(state.instances.rows["instance_id"][slot])] = launching
            for key, count in instance.tasks:
                self._assign(launching, self.demand(pool, key, count), count)
        return len(packed)

    def _with_address(
        self, pool: _PoolState, packed: list[PackedInstance]
    ) -> tuple[list[PackedInstance], list[LaunchChoice]]:
        """Return the first of these packed instances that their zones have addresses for, and their launch choices."""
        launched, choices = [], []
        ahead: Counter[int] = Counter()
        for instance in packed:
            row = self.world.state.capacity.classes[pool.classes[instance.offer]]
            choice = LaunchChoice(int(row["type"]), int(row["zone"]), bool(row["spot"]))
            if self.launcher.full_subnet(pool.number, choice, ahead[choice.zone]) is None:
                ahead[choice.zone] += 1
                launched.append(instance)
                choices.append(choice)
        return launched, choices

    def _shares(self, row: int, count: int) -> dict[int, int]:
        """Divide `count` tasks of a set over its strategy items according to its strategy; return counts by shape."""
        state = self.world.state
        s = state.sets.rows[row]
        items = state.sets.strategy_items[s["first_item"] : s["first_item"] + s["item_count"]]
        shares_by_item = [0] * items.size
        for _ in range(count if items["managed"].any() else 0):
            below_base = [n for n in range(items.size) if shares_by_item[n] < items["base"][n]]
            deficits = items["weight"] / (np.array(shares_by_item) - items["base"] + 1.0)
            shares_by_item[below_base[0] if below_base else int(np.argmax(deficits))] += 1
        first = self.world.first_shape[row]
        return {first + n: share for n, share in enumerate(shares_by_item) if share}

    # --- the first instant ---------------------------------------------------------------------------------

    def launch_initial(self, counts_by_set: dict[int, int], now: int) -> None:
        """Launch and register instances for so many tasks of these task sets (`initialState: running`)."""
        state = self.world.state
        counts_by_shape = {
            shape: share
            for row, count in counts_by_set.items()
            for shape, share in self._shares(row, count).items()
        }
        for pool in self.pools:
            demands = [
                self.demand(pool, shape, count)
                for shape, count in sorted(counts_by_shape.items())
                if state.sets.strategy_items[state.sets.shapes[shape]["strategy_item"]]["provider"]
                == pool.provider
            ]
            open_classes = self._open_classes(pool, now)
            for zone, zone_demands in self._by_zone(pool, demands, open_classes).items():
                offers = np.flatnonzero(
                    open_classes & (self.world.state.capacity.classes["zone"][pool.classes] == zone)
                )
                packed, _ = self._pack(pool, zone_demands, offers)
                self._launch(pool, packed, now, at_once=True)
