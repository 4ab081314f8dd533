"""The timetable of failures that affect many at once: zone outages, shortages, registry outages, Spot pool events.

Known before the clock starts (closures: `control.capacity.capacity_closures`), so that two designs meet the same
outages. Applies their effects: closes and reopens capacity, terminates what runs there or gives it notice.
Interruptions of a single instance or task are drawn with it and carried out by the calendar.
`policy.capacity.interruption_rates` says how often pools are hit; this module does not decide where replacements are
launched.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from clustersim.control.agendas import Agendas
from clustersim.control.capacity.instance_launcher import InstanceLauncher
from clustersim.control.events.service_events import EventLog
from clustersim.engine.compiled import Array
from clustersim.engine.random_streams import stream_key
from clustersim.policy.capacity.interruption_rates import LOST, NOTICE, CapacityOffer, Closure
from clustersim.vocabulary import TaskState, TerminationReason
from clustersim.world.build.hazard_tables import interruption_rates, monthly_share_of_type
from clustersim.world.instances.interruptions import (
    end_tasks_of_lost_zone,
    give_notice_to_classes,
    interrupt_tasks,
)
from clustersim.world.state.world import World

FARGATE = ("FARGATE", "FARGATE_SPOT")  # by bucket


class _SpotPoolEvent(NamedTuple):
    """The `number`-th event of a pool: a type in a zone, or Fargate Spot (type -1) in a zone."""

    type: int
    zone: int
    number: int
    fraction: float


class FailureTimetable:
    """The failures of the scenario, carried out at their instants."""

    def __init__(self, world: World, launcher: InstanceLauncher, events: EventLog, agendas: Agendas) -> None:
        self.world = world
        self.launcher = launcher
        self.events = events
        self._agendas = agendas
        self._due: dict[int, list[Callable[[int], None]]] = {}
        scenario = world.scenario
        origin = scenario.warm_up_ms
        for closure in launcher.closures:
            self._schedule(closure.begin, partial(self._begin_closure, closure))
            self._schedule(closure.end, partial(self._end_closure, closure))
        for registry in scenario.registries:
            for begin, end in registry.outages:
                self._schedule(origin + begin, partial(self._log_registry_outage, registry.name, "STARTED"))
                self._schedule(origin + end, partial(self._log_registry_outage, registry.name, "ENDED"))

    def _schedule(self, instant: int, act: Callable[[int], None]) -> None:
        self._due.setdefault(instant, []).append(act)

    def schedule_wakeups(self) -> None:
        """Schedule every instant of the timetable."""
        for at_ms in sorted(self._due):
            self._agendas.failures.wake_at(at_ms)

    def act(self, now: int) -> None:
        """Carry out the failures due now, in the order of the scenario file."""
        for act in self._due.pop(now, []):
            act(now)
        self._agendas.calendar.wake_now()
        self._agendas.capacity.wake_now()

    # --- closures ------------------------------------------------------------------------------------------

    def _begin_closure(self, closure: Closure, now: int) -> None:
        """Close capacity; instances and tasks that run on it are lost or get notice, as the closure says."""
        self._add_closures(closure, 1)
        kind = "ZONE_OUTAGE_STARTED" if closure.takes == LOST else "CAPACITY_SHORTAGE_STARTED"
        self.events.log_pool(now, kind, *_closure_message(closure, "is unavailable"))
        if closure.takes == LOST:
            self._lose_zone(self.world.names.zones.index(str(closure.zone)), now)
        elif closure.takes == NOTICE:
            mask = self._covered_classes(closure)
            self.world.make_room(4 * self.world.live_tasks().size + 64, self.world.live_instances().size)
            give_notice_to_classes(self.world.core, mask, 0, 1.0, now)
            zones = [
                z for z in range(len(self.world.names.zones)) if closure.covers(self._fargate_offer(1, z))
            ]
            self._interrupt_fargate(zones, 0, 1.0, now)

    def _end_closure(self, closure: Closure, now: int) -> None:
        """Open capacity again, and wake the controllers that may use it."""
        self._add_closures(closure, -1)
        self.world.state.counters.capacity_epoch += 1
        if self._affects_fargate(closure):  # on EC2, instances wake the scheduler when they register
            self.world.state.counters.zones_changed = 1
            self._agendas.scheduler.wake_now()
        kind = "ZONE_OUTAGE_ENDED" if closure.takes == LOST else "CAPACITY_SHORTAGE_ENDED"
        self.events.log_pool(now, kind, *_closure_message(closure, "is available again"))

    def _log_registry_outage(self, name: str, phase: str, now: int) -> None:
        """Log the beginning or end of a registry outage; image pulls read the timetable themselves."""
        messages = {"STARTED": "is unavailable.", "ENDED": "is available again."}
        self.events.log_pool(now, f"REGISTRY_OUTAGE_{phase}", f"registry {name}", messages[phase])

    def _fargate_offer(self, bucket: int, zone: int) -> CapacityOffer:
        return CapacityOffer(FARGATE[bucket], "", self.world.names.zones[zone], bucket == 1)

    def _affects_fargate(self, closure: Closure) -> bool:
        """Return whether the closure affects a Fargate pool that the scenario uses."""
        if not self.world.state.sets.strategy_items["fargate"].any():
            return False
        zones = range(len(self.world.names.zones))
        return any(
            closure.covers(self._fargate_offer(bucket, z)) for bucket in range(len(FARGATE)) for z in zones
        )

    def _add_closures(self, closure: Closure, by: int) -> None:
        closed = self.world.state.capacity.fargate_closed
        for bucket in range(len(FARGATE)):
            for zone in range(len(self.world.names.zones)):
                if closure.covers(self._fargate_offer(bucket, zone)):
                    closed[bucket, zone] += by

    def _covered_classes(self, closure: Closure) -> Array:
        """Return the mask of the Spot classes that a closure covers."""
        names, classes = self.world.names, self.world.state.capacity.classes
        mask = np.zeros(classes.size, np.uint8)
        if self.world.scenario.pools:
            for c, row in enumerate(classes):
                labels = (
                    names.providers[row["provider"]],
                    names.types[row["type"]],
                    names.zones[row["zone"]],
                )
                mask[c] = row["spot"] and closure.covers(CapacityOffer(*labels, True))
        return mask

    def _lose_zone(self, zone: int, now: int) -> None:
        """Terminate every instance and every Fargate task in a zone."""
        world = self.world
        live = world.live_instances()
        covered = (
            world.state.capacity.classes["zone"][world.state.instances.rows["instance_class"][live]] == zone
        )
        for slot in live[covered]:
            self.launcher.terminate_now(int(slot), now, TerminationReason.ZONE_OUTAGE)
        slots = self._fargate_tasks([zone], None)
        world.make_room(2 * slots.size + 64)
        end_tasks_of_lost_zone(world.core, slots, now)

    def _fargate_tasks(self, zones: list[int], bucket: int | None) -> Array:
        """Return the slots of placed Fargate tasks in these zones, of one bucket or of both, by task id."""
        state = self.world.state
        slots = self.world.live_tasks()
        tasks = state.tasks.rows[slots]
        items = state.sets.strategy_items[tasks["strategy_item"]]
        mask = (items["fargate"] == 1) & (tasks["placed"] >= 0) & np.isin(tasks["zone"], zones)
        if bucket is not None:
            mask &= (items["bucket"] == bucket) & (tasks["state"] <= TaskState.RUNNING)
        chosen = slots[mask]
        return np.ascontiguousarray(chosen[np.argsort(state.tasks.rows["task_id"][chosen])])

    def _interrupt_fargate(self, zones: list[int], event: int, fraction: float, now: int) -> None:
        slots = self._fargate_tasks(zones, 1)
        self.world.make_room(2 * slots.size + 64)
        interrupt_tasks(self.world.core, slots, event, fraction, now)

    # --- pools ---------------------------------------------------------------------------------------------

    def schedule_pool_events(self, replication: int) -> None:
        """Draw and schedule the events of all Spot pools, each pool's from a random stream of its own.

        Call it when all task sets of the first instant are known, as they say whether Fargate Spot is used.
        """
        scenario, names = self.world.scenario, self.world.names
        classes = self.world.state.capacity.classes
        if scenario.failures.spot is not None and scenario.pools:
            pools = sorted({(int(row["type"]), int(row["zone"])) for row in classes if row["spot"]})
            for instance_type, zone in pools:
                rates = interruption_rates(
                    scenario.failures.spot, monthly_share_of_type(scenario, instance_type)
                )
                if rates is not None and rates.pool > 0:
                    stream = f"pool/{names.types[instance_type]}/{names.zones[zone]}"
                    self._schedule_pool(
                        (instance_type, zone), stream, replication, (rates.pool, rates.fraction)
                    )
        fargate_spot = scenario.failures.fargate_spot
        items = self.world.state.sets.strategy_items[: self.world.strategy_items_used]
        if fargate_spot is not None and np.any((items["fargate"] == 1) & (items["bucket"] == 1)):
            rates = interruption_rates(fargate_spot, fargate_spot.monthly_share)
            for zone in range(len(names.zones)):
                if rates is not None and rates.pool > 0:
                    stream = f"pool/FARGATE_SPOT/{names.zones[zone]}"
                    self._schedule_pool((-1, zone), stream, replication, (rates.pool, rates.fraction))

    def _schedule_pool(
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
            event = _SpotPoolEvent(*pool, number=number, fraction=fraction)
            self._schedule(int(at), partial(self._interrupt_pool, event))

    def _interrupt_pool(self, event: _SpotPoolEvent, now: int) -> None:
        """Reclaim part of a Spot pool of EC2 or Fargate."""
        if event.type < 0:
            self._interrupt_fargate([event.zone], event.number, event.fraction, now)
            return
        classes = self.world.state.capacity.classes
        covered = (classes["type"] == event.type) & (classes["zone"] == event.zone) & (classes["spot"] == 1)
        mask = covered.astype(np.uint8)
        self.world.make_room(4 * self.world.live_tasks().size + 64, self.world.live_instances().size)
        give_notice_to_classes(self.world.core, mask, event.number, event.fraction, now)


def _closure_message(closure: Closure, status: str) -> tuple[str, str]:
    """Return the subject and the sentence of a closure's event."""
    if closure.takes == LOST:
        return f"availability-zone {closure.zone}", f"{status}."
    subject = f"capacity {closure.provider or closure.instance_type}"
    parts = [closure.instance_type if closure.provider else None, closure.zone]
    parts += [None if closure.spot is None else ("Spot" if closure.spot else "On-Demand")]
    scope = ", ".join(part for part in parts if part)
    return subject, f"{status}{f' ({scope})' if scope else ''}."
