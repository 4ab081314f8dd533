"""The timetable of what happens to many at once: zones that are gone, shortages, registries, events of Spot pools.

Known before the clock starts, so that two designs meet the same outages. Applies effects: capacity is closed and
opened, what runs there is lost or gets its notice. What befalls a single instance or task was drawn with it and is
carried out by the calendar. How often pools are hit, `policy.capacity.interruption_rates` says; who launches
elsewhere is not its business.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from clustersim.control.capacity.instance_launcher import Launcher
from clustersim.control.events.service_events import EventLog
from clustersim.engine.agenda import Agenda
from clustersim.engine.compiled import Array
from clustersim.engine.random_streams import stream_key
from clustersim.policy.capacity.interruption_rates import LOST, NOTICE, Closure, Offer
from clustersim.scenario.sections.failures import Outage, Shortage
from clustersim.vocabulary import TaskState, TerminationReason
from clustersim.world.build.hazard_tables import rates_of, share_of_type
from clustersim.world.instances.interruptions import interrupt_tasks, lose_tasks, notice_classes
from clustersim.world.state.tables import CAPACITY_EPOCH, ZONES_CHANGED
from clustersim.world.state.world import World

FARGATE = ("FARGATE", "FARGATE_SPOT")  # by bucket


class _PoolEvent(NamedTuple):
    """The `number`-th event of a pool: a type in a zone, or Fargate Spot (type -1) in a zone."""

    type: int
    zone: int
    number: int
    fraction: float


class Failures:
    """Carries out the scenario's timetable."""

    def __init__(self, world: World, launcher: Launcher, events: EventLog) -> None:
        self.world = world
        self.launcher = launcher
        self.events = events
        self.agenda: Agenda
        self.calendar: Agenda
        self.capacity: Agenda
        self.scheduler: Agenda
        self._due: dict[int, list[Callable[[int], None]]] = {}
        scenario = world.scenario
        origin = scenario.warm_up_ms
        outages = [_outage(each, origin) for each in scenario.failures.zone_outages]
        shortages = [_shortage(each, origin) for each in scenario.failures.capacity_shortages]
        launcher.closures = (*outages, *shortages)
        for closure in launcher.closures:
            self._at(closure.begin, partial(self._close, closure))
            self._at(closure.end, partial(self._open, closure))
        for registry in scenario.registries:
            for begin, end in registry.outages:
                self._at(origin + begin, partial(self._say_registry, registry.name, "STARTED"))
                self._at(origin + end, partial(self._say_registry, registry.name, "ENDED"))

    def _at(self, instant: int, act: Callable[[int], None]) -> None:
        self._due.setdefault(instant, []).append(act)

    def schedule(self) -> None:
        """Set an alarm for every instant of the timetable."""
        for at_ms in sorted(self._due):
            self.agenda.wake_at(at_ms)

    def act(self, now: int) -> None:
        """Carry out what is due, in the order of the file."""
        for act in self._due.pop(now, []):
            act(now)
        self.calendar.ring()
        self.capacity.ring()

    # --- closures ------------------------------------------------------------------------------------------

    def _close(self, closure: Closure, now: int) -> None:
        """Capacity is gone; of what runs there, what the closure takes is lost or gets its notice."""
        self._count_closed(closure, 1)
        kind = "ZONE_OUTAGE_STARTED" if closure.takes == LOST else "CAPACITY_SHORTAGE_STARTED"
        self.events.pool(now, kind, *_words(closure, "is not to be had"))
        if closure.takes == LOST:
            self._lose_zone(self.world.names.zones.index(str(closure.zone)), now)
        elif closure.takes == NOTICE:
            mask = self._covered_classes(closure)
            self.world.make_room(4 * self.world.live_tasks().size + 64, self.world.live_instances().size)
            notice_classes(self.world.core, mask, 0, 1.0, now)
            zones = [z for z in range(len(self.world.names.zones)) if closure.covers(self._slot(1, z))]
            self._interrupt(zones, 0, 1.0, now)

    def _open(self, closure: Closure, now: int) -> None:
        """Capacity is there again: who waits for it may look."""
        self._count_closed(closure, -1)
        self.world.state.clock[CAPACITY_EPOCH] += 1
        if self._is_about_fargate(closure):  # where it is about EC2, its instances ring when they register
            self.world.state.clock[ZONES_CHANGED] = 1
            self.scheduler.ring()
        kind = "ZONE_OUTAGE_ENDED" if closure.takes == LOST else "CAPACITY_SHORTAGE_ENDED"
        self.events.pool(now, kind, *_words(closure, "is to be had again"))

    def _say_registry(self, name: str, phase: str, now: int) -> None:
        """A registry's outage begins or ends; who pulls from it looks at the timetable itself."""
        words = {"STARTED": "does not answer.", "ENDED": "answers again."}
        self.events.pool(now, f"REGISTRY_OUTAGE_{phase}", f"registry {name}", words[phase])

    def _slot(self, bucket: int, zone: int) -> Offer:
        return Offer(FARGATE[bucket], "", self.world.names.zones[zone], bucket == 1)

    def _is_about_fargate(self, closure: Closure) -> bool:
        """Whether Fargate, which somebody uses, has capacity again that it had not."""
        if not self.world.state.lanes["fargate"].any():
            return False
        zones = range(len(self.world.names.zones))
        return any(closure.covers(self._slot(bucket, z)) for bucket in range(len(FARGATE)) for z in zones)

    def _count_closed(self, closure: Closure, by: int) -> None:
        closed = self.world.state.fargate_closed
        for bucket in range(len(FARGATE)):
            for zone in range(len(self.world.names.zones)):
                if closure.covers(self._slot(bucket, zone)):
                    closed[bucket, zone] += by

    def _covered_classes(self, closure: Closure) -> Array:
        """The Spot classes that a closure is about."""
        names, classes = self.world.names, self.world.state.classes
        mask = np.zeros(classes.size, np.uint8)
        if self.world.scenario.pools:
            for c, row in enumerate(classes):
                of = (names.providers[row["provider"]], names.types[row["type"]], names.zones[row["zone"]])
                mask[c] = row["spot"] and closure.covers(Offer(*of, True))
        return mask

    def _lose_zone(self, zone: int, now: int) -> None:
        """Every instance and every Fargate task in the zone is gone."""
        world = self.world
        live = world.live_instances()
        there = world.state.classes["zone"][world.state.instances["klass"][live]] == zone
        for slot in live[there]:
            self.launcher.end(int(slot), now, TerminationReason.ZONE_OUTAGE)
        slots = self._fargate_tasks([zone], None)
        world.make_room(2 * slots.size + 64)
        lose_tasks(world.core, slots, now)

    def _fargate_tasks(self, zones: list[int], bucket: int | None) -> Array:
        """The slots of Fargate tasks that have a place in these zones, of one bucket or of both, by task id."""
        state = self.world.state
        slots = self.world.live_tasks()
        tasks = state.tasks[slots]
        lanes = state.lanes[tasks["lane"]]
        mask = (lanes["fargate"] == 1) & (tasks["placed"] >= 0) & np.isin(tasks["zone"], zones)
        if bucket is not None:
            mask &= (lanes["bucket"] == bucket) & (tasks["state"] <= TaskState.RUNNING)
        chosen = slots[mask]
        return np.ascontiguousarray(chosen[np.argsort(state.tasks["task_id"][chosen])])

    def _interrupt(self, zones: list[int], event: int, fraction: float, now: int) -> None:
        slots = self._fargate_tasks(zones, 1)
        self.world.make_room(2 * slots.size + 64)
        interrupt_tasks(self.world.core, slots, event, fraction, now)

    # --- pools ---------------------------------------------------------------------------------------------

    def draw_pool_events(self, replication: int) -> None:
        """The instants at which Spot pools are hit, each pool's from a stream of its own.

        Called when all task sets of the first instant are known, as they say whether Fargate Spot is used.
        """
        scenario, names = self.world.scenario, self.world.names
        classes = self.world.state.classes
        if scenario.failures.spot is not None and scenario.pools:
            pools = sorted({(int(row["type"]), int(row["zone"])) for row in classes if row["spot"]})
            for kind, zone in pools:
                rates = rates_of(scenario.failures.spot, share_of_type(scenario, kind))
                if rates is not None and rates.pool > 0:
                    stream = f"pool/{names.types[kind]}/{names.zones[zone]}"
                    self._draw_pool((kind, zone), stream, replication, (rates.pool, rates.fraction))
        of = scenario.failures.fargate_spot
        lanes = self.world.state.lanes[: self.world.lanes_used]
        if of is not None and np.any((lanes["fargate"] == 1) & (lanes["bucket"] == 1)):
            rates = rates_of(of, of.monthly_share)
            for zone in range(len(names.zones)):
                if rates is not None and rates.pool > 0:
                    stream = f"pool/FARGATE_SPOT/{names.zones[zone]}"
                    self._draw_pool((-1, zone), stream, replication, (rates.pool, rates.fraction))

    def _draw_pool(
        self, pool: tuple[int, int], stream: str, replication: int, rates: tuple[float, float]
    ) -> None:
        per_ms, fraction = rates
        scenario = self.world.scenario
        end = scenario.warm_up_ms + scenario.duration_ms
        key = int(stream_key(scenario.seed, replication, stream))
        generator = np.random.Generator(np.random.Philox(key=key))
        at, number = 0.0, 0
        while True:
            at -= np.log1p(-generator.random()) / per_ms
            if at >= end:
                return
            number += 1
            event = _PoolEvent(*pool, number=number, fraction=fraction)
            self._at(int(at), partial(self._hit, event))

    def _hit(self, event: _PoolEvent, now: int) -> None:
        """EC2 or Fargate takes back part of a pool."""
        if event.type < 0:
            self._interrupt([event.zone], event.number, event.fraction, now)
            return
        classes = self.world.state.classes
        there = (classes["type"] == event.type) & (classes["zone"] == event.zone) & (classes["spot"] == 1)
        mask = there.astype(np.uint8)
        self.world.make_room(4 * self.world.live_tasks().size + 64, self.world.live_instances().size)
        notice_classes(self.world.core, mask, event.number, event.fraction, now)


def _outage(of: Outage, origin: int) -> Closure:
    return Closure(origin + of.at_ms, origin + of.until_ms, zone=of.zone, takes=LOST)


def _shortage(of: Shortage, origin: int) -> Closure:
    return Closure(
        origin + of.at_ms,
        origin + of.until_ms,
        provider=of.provider,
        instance_type=of.instance_type,
        zone=of.zone,
        spot=None if of.purchase_option is None else of.purchase_option == "spot",
        takes=NOTICE if of.reclaim else None,
    )


def _words(closure: Closure, verb: str) -> tuple[str, str]:
    """The subject and the sentence of a closure's event."""
    if closure.takes == LOST:
        return f"availability-zone {closure.zone}", f"{verb}."
    subject = f"capacity {closure.provider or closure.instance_type}"
    parts = [closure.instance_type if closure.provider else None, closure.zone]
    parts += [None if closure.spot is None else ("Spot" if closure.spot else "On-Demand")]
    of = ", ".join(part for part in parts if part)
    return subject, f"{verb}{f' ({of})' if of else ''}."
