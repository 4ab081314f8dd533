"""ECS Managed Instances: instances launched for the tasks that wait, and given up when they are no longer worth it.

Whoever waits is spread over the zones, packed into what is being launched already, and for the rest instances are
chosen by `policy.capacity.managed_instance_packing`; each task is promised to the instance that is launched for it.
Once a minute idle and underutilized instances are looked for, and those that have reached the end of their lifetime.
`control.capacity.capacity` calls it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from clustersim.control.capacity.instance_launcher import Choice, Launcher
from clustersim.engine.compiled import Array
from clustersim.policy.capacity.managed_instance_packing import (
    Ask,
    Load,
    cheapest_packing,
    largest_first,
    room_for,
)
from clustersim.policy.placement.hosts import ELIGIBLE
from clustersim.world.instances.lifecycle import REGISTERING
from clustersim.world.scheduling.instance_assignments import promise
from clustersim.world.state.tables import WAITING_SHAPES
from clustersim.world.state.world import World

_NO_TYPE = "no instance type meets the requirements of the tasks that wait."
_NO_CAPACITY = "has no capacity for the tasks that wait; launches are tried again."


@dataclass
class _Coming:
    """An instance that has been requested: what it will have left when its promises are kept."""

    slot: int
    zone: int
    klass: int
    room: Array
    holds: set[int] = field(default_factory=set)  # shapes of which it takes no second task


@dataclass
class _Pool:
    """A provider of Managed Instances."""

    number: int
    provider: int
    classes: Array  # its classes
    sizes: Array  # int64[resource, class], less what daemons take
    coming: dict[int, _Coming] = field(default_factory=dict)  # by instance id
    said: str = ""  # why tasks could not be served, when last told


class ManagedInstances:
    """All providers of ECS Managed Instances."""

    def __init__(self, world: World, launcher: Launcher) -> None:
        self.world = world
        self.launcher = launcher
        first = len(world.scenario.groups)
        self.pools = [
            self._pool(first + position) for position in range(len(world.scenario.managed_instances))
        ]

    def _pool(self, number: int) -> _Pool:
        classes = self.world.state.classes
        mine = np.flatnonzero(classes["group"] == number)
        of = classes[mine]
        sizes = np.array([of[name] for name in ("cpu", "memory", "gpus", "enis", "host_ports")], np.int64)
        return _Pool(number, int(of["provider"][0]), mine, sizes)

    # --- who waits -----------------------------------------------------------------------------------------

    def serve(self, now: int) -> None:
        """Launch for all tasks that wait and are promised to nobody."""
        for pool in self.pools:
            asks = self._asks(pool)
            if asks:
                self._serve(pool, asks, now)

    def _asks(self, pool: _Pool) -> list[Ask]:
        """What waits for this provider, by shape."""
        state = self.world.state
        waiting = state.waiting_shapes[: self.world.state.clock[WAITING_SHAPES]]
        lanes = state.shapes["lane"][waiting]
        mine = sorted(int(shape) for shape in waiting[state.lanes["provider"][lanes] == pool.provider])
        return [self.ask(pool, shape, int(state.shapes["count"][shape])) for shape in mine]

    def ask(self, pool: _Pool, shape: int, count: int) -> Ask:
        """`count` tasks of a shape, as the packing is asked for them."""
        state = self.world.state
        lane = int(state.shapes[shape]["lane"])
        alone = bool(state.sets[state.lanes[lane]["set"]]["distinct"] or np.any(state.lane_ports[lane]))
        need = self.world.need_of(shape)
        return Ask(shape, need, count, alone, state.eligible[lane, pool.classes] == ELIGIBLE)

    def _serve(self, pool: _Pool, asks: list[Ask], now: int) -> None:
        state = self.world.state
        for identity, each in list(pool.coming.items()):
            row = state.instances[each.slot]
            if row["instance_id"] != identity or row["state"] != REGISTERING:
                del pool.coming[identity]
        usable = self._open_classes(pool, now)
        told = ""
        for zone, of_zone in self._by_zone(pool, asks, usable).items():
            left = self._fill_coming(pool, zone, of_zone)
            offers = np.flatnonzero(usable & (self.world.state.classes["zone"][pool.classes] == zone))
            loads, unserved = self._pack(pool, left, offers)
            told = _NO_TYPE if unserved else told
            if self._launch(pool, loads, now) < len(loads):
                told = _NO_CAPACITY
        homeless = [ask for ask in asks if not np.any(ask.allowed & usable)]
        if homeless:
            told = _NO_CAPACITY if any(np.any(ask.allowed) for ask in homeless) else _NO_TYPE
        if told and told != pool.said:
            self.launcher.say(now, pool.number, "INSTANCE_LAUNCH_FAILED", told)
        if told == _NO_CAPACITY:
            self.launcher.wake_at(now + self.world.scenario.cluster.launch_retry_ms)
        pool.said = told

    def _open_classes(self, pool: _Pool, now: int) -> Array:
        """Which of the provider's classes EC2 has capacity and an address for."""
        if not self.launcher.choosy:
            return np.ones(pool.classes.size, np.bool_)
        classes = self.world.state.classes[pool.classes]
        return np.array(
            [
                self.launcher.is_open(
                    pool.number, Choice(int(of["type"]), int(of["zone"]), bool(of["spot"])), now
                )
                for of in classes
            ],
            np.bool_,
        )

    def _by_zone(self, pool: _Pool, asks: list[Ask], usable: Array) -> dict[int, list[Ask]]:
        """The asks divided over the zones: each task to the zone that holds the fewest of its group."""
        state = self.world.state
        zone_of = state.classes["zone"][pool.classes]
        divided: dict[int, list[Ask]] = {}
        counts = {}
        promised = state.tasks[(state.tasks["promised"] >= 0) & (state.tasks["task_id"] >= 0)]
        for ask in asks:
            group = int(state.sets[state.lanes[state.shapes[ask.key]["lane"]]["set"]]["group"])
            zones = [int(zone) for zone in np.unique(zone_of[usable & ask.allowed])]
            if group not in counts:
                counts[group] = state.zone_counts[group].astype(np.int64)
                mine = promised["promised"][state.sets["group"][promised["set"]] == group]
                hosts = state.classes["zone"][state.instances["klass"][mine]]
                counts[group] += np.bincount(hosts, minlength=counts[group].size)
            shares = dict.fromkeys(zones, 0)
            for _ in range(ask.count if zones else 0):
                zone = min(zones, key=lambda each: (counts[group][each], each))
                counts[group][zone] += 1
                shares[zone] += 1
            for zone, count in shares.items():
                if count:
                    divided.setdefault(zone, []).append(Ask(ask.key, ask.need, count, ask.alone, ask.allowed))
        return dict(sorted(divided.items()))

    def _fill_coming(self, pool: _Pool, zone: int, asks: list[Ask]) -> list[Ask]:
        """Promise what fits to instances that are on their way; what is left."""
        left = []
        for ask in largest_first(asks):
            count = ask.count
            for each in pool.coming.values():
                column = int(np.searchsorted(pool.classes, each.klass))
                if each.zone != zone or not ask.allowed[column] or (ask.alone and ask.key in each.holds):
                    continue
                fits = min(count, int(room_for(ask.need, each.room[:, None])[0]), 1 if ask.alone else count)
                if fits > 0:
                    self._promise(each, ask, fits)
                    count -= fits
            if count:
                left.append(Ask(ask.key, ask.need, count, ask.alone, ask.allowed))
        return left

    def _promise(self, coming: _Coming, ask: Ask, count: int) -> None:
        promise(self.world.core, ask.key, count, coming.slot)
        coming.room = coming.room - count * ask.need
        coming.holds.add(ask.key)

    def _pack(self, pool: _Pool, asks: list[Ask], offers: Array) -> tuple[list[Load], list[int]]:
        """The cheapest instances for these tasks among the offered classes, as positions in the pool's classes."""
        if not asks:
            return [], []
        prices = self.world.state.classes["usd_per_hour"][pool.classes[offers]]
        among = [Ask(ask.key, ask.need, ask.count, ask.alone, ask.allowed[offers]) for ask in asks]
        loads, unserved = cheapest_packing(among, self._sizes(pool)[:, offers], prices)
        return [Load(int(offers[load.offer]), load.tasks) for load in loads], unserved

    def _sizes(self, pool: _Pool) -> Array:
        """What the classes have for tasks, once daemons have taken theirs."""
        sizes: Array = pool.sizes.copy()
        state = self.world.state
        for row in state.daemons:
            s = state.sets[row]
            daemon = self.ask(pool, int(s["first_shape"]), 1)
            sizes -= daemon.allowed * daemon.need[:, None]
        return sizes

    def _launch(self, pool: _Pool, loads: list[Load], now: int, at_once: bool = False) -> int:
        """Request an instance for each load that there is an address for, and promise it its tasks; how many."""
        loads, choices = self._with_address(pool, loads)
        if not loads:
            return 0
        slots = self.launcher.launch(pool.number, choices, now, at_once)
        if at_once:
            return len(loads)
        words = f"launching {len(loads)} container instances."
        self.launcher.say(now, pool.number, "INSTANCE_LAUNCHED", words)
        sizes = self._sizes(pool)
        state = self.world.state
        for slot, load, choice in zip(slots, loads, choices, strict=True):
            coming = _Coming(
                int(slot), choice.zone, int(pool.classes[load.offer]), sizes[:, load.offer].copy()
            )
            pool.coming[int(state.instances["instance_id"][slot])] = coming
            for key, count in load.tasks:
                self._promise(coming, self.ask(pool, key, count), count)
        return len(loads)

    def _with_address(self, pool: _Pool, loads: list[Load]) -> tuple[list[Load], list[Choice]]:
        """The first of these loads that the subnets of their zones have addresses for, and what each launches."""
        kept, choices = [], []
        ahead: Counter[int] = Counter()
        for load in loads:
            of = self.world.state.classes[pool.classes[load.offer]]
            choice = Choice(int(of["type"]), int(of["zone"]), bool(of["spot"]))
            if self.launcher.full_subnet(pool.number, choice, ahead[choice.zone]) is None:
                ahead[choice.zone] += 1
                kept.append(load)
                choices.append(choice)
        return kept, choices

    def _shares(self, row: int, count: int) -> dict[int, int]:
        """`count` tasks of a set divided over its lanes as its strategy says, by shape."""
        state = self.world.state
        s = state.sets[row]
        lanes = state.lanes[s["first_lane"] : s["first_lane"] + s["lanes"]]
        given = [0] * lanes.size
        for _ in range(count if lanes["managed"].any() else 0):
            short = [n for n in range(lanes.size) if given[n] < lanes["base"][n]]
            deficits = lanes["weight"] / (np.array(given) - lanes["base"] + 1.0)
            given[short[0] if short else int(np.argmax(deficits))] += 1
        first = self.world.first_shape[row]
        return {first + n: share for n, share in enumerate(given) if share}

    # --- the first instant ---------------------------------------------------------------------------------

    def launch_first(self, wanted_of: dict[int, int], now: int) -> None:
        """`initialState: running`: instances, registered at once, for so many tasks of these task sets."""
        state = self.world.state
        wanted = {
            shape: share
            for row, count in wanted_of.items()
            for shape, share in self._shares(row, count).items()
        }
        for pool in self.pools:
            asks = [
                self.ask(pool, shape, count)
                for shape, count in sorted(wanted.items())
                if state.lanes[state.shapes[shape]["lane"]]["provider"] == pool.provider
            ]
            usable = self._open_classes(pool, now)
            for zone, of_zone in self._by_zone(pool, asks, usable).items():
                offers = np.flatnonzero(usable & (self.world.state.classes["zone"][pool.classes] == zone))
                loads, _ = self._pack(pool, of_zone, offers)
                self._launch(pool, loads, now, at_once=True)
