"""Starting tasks of services: as fast as ECS would, and held back while they keep failing to start.

Decides how many of the tasks that are wanted may start now; where they go is the placer's choice, how many are
wanted the scheduler's. Launches are rate-limited per service (service quotas); while tasks never reach RUNNING they
pause ever longer (service throttle logic); a launch type that finds no room is tried again when room was made.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from clustersim.control.events.service_events import EventLog
from clustersim.control.services.service_state import Rollout, ServiceRecord
from clustersim.policy.tasks.deployment import throttle_delay_ms
from clustersim.vocabulary import MS_PER_SECOND, NEVER
from clustersim.world.scheduling.commands import start_in_zone, start_tasks
from clustersim.world.scheduling.provisioning import why_refused
from clustersim.world.scheduling.steady_services import LAUNCH_CYCLE_MS, allowance
from clustersim.world.state.tables import CAPACITY_EPOCH, CLOSEST, REFUSED
from clustersim.world.state.world import World

RETRY_MS = 10 * MS_PER_SECOND  # how soon a service that found no room looks again, if room was made meanwhile
THROTTLE_EVENT_AFTER = 3  # failed rounds before ECS says that it cannot consistently start tasks

Again = Callable[[int, int], None]


class Starter:
    """One for all services; `again(service, instant)` has the scheduler look at a service later."""

    def __init__(self, world: World, events: EventLog, again: Again) -> None:
        self.world = world
        self.events = events
        self._again = again

    def start(self, record: ServiceRecord, rollout: Rollout, count: int, now: int) -> int:
        """Start up to `count` tasks of a deployment; how many did, the others later."""
        if self.paused(record, rollout, now):
            return 0
        if record.short_since_epoch == int(self.world.state.clock[CAPACITY_EPOCH]):
            self._again(record.number, now + RETRY_MS)
            return 0
        allowed = min(count, self.allowance(record, now))
        started = 0
        if allowed > 0:
            self.world.make_room(2 * allowed + 64)
            ids = np.zeros(allowed, np.int64)
            shape = self.world.first_shape[rollout.row]
            started = int(start_tasks(self.world.core, rollout.row, shape, allowed, now, ids))
            self.have_started(record, ids[:started], now)
        if started < allowed:
            self._found_no_room(record, rollout, now)
        else:
            record.short_since_epoch = NEVER
            record.refused = 0
            if count > started:
                self.later(record, now)
        return started

    def start_in(self, record: ServiceRecord, rollout: Rollout, zone: int, now: int) -> int:
        """Start one task in a zone; its id, or -1 where the zone has no room or the launch rate none left."""
        if self.paused(record, rollout, now) or self.allowance(record, now) < 1:
            return NEVER
        self.world.make_room(64)
        ids = np.zeros(1, np.int64)
        shape = self.world.first_shape[rollout.row]
        if not start_in_zone(self.world.core, rollout.row, shape, zone, now, ids):
            return NEVER
        self.have_started(record, ids, now)
        return int(ids[0])

    def allowance(self, record: ServiceRecord, now: int) -> int:
        """How many tasks the launch rate allows now."""
        return int(allowance(self.world.core, record.number, now))

    def have_started(self, record: ServiceRecord, ids: np.ndarray, now: int) -> None:
        """These tasks were started: they count against the launch rate, and ECS says so."""
        row = self.world.state.services[record.number]
        row["launches"] -= ids.size
        row["steady"] = 0
        if ids.size:
            self.events.started(now, record.number, ids)

    def later(self, record: ServiceRecord, now: int) -> None:
        """Go on in the next cycle: the launch rate has nothing left."""
        self._again(record.number, now + LAUNCH_CYCLE_MS)

    def look_again(self, record: ServiceRecord, at_ms: int) -> None:
        """Have the scheduler look at a service at `at_ms`."""
        self._again(record.number, at_ms)

    def paused(self, record: ServiceRecord, rollout: Rollout, now: int) -> bool:
        """Whether launches are held back because tasks keep failing to start (section 2.6)."""
        failures = int(self.world.state.sets[rollout.row]["failed_starts"])
        if failures == 0:
            record.failed_rounds = record.paused_until_ms = 0
        elif failures != record.failures_seen and now >= record.paused_until_ms:
            record.failed_rounds += 1
            record.paused_until_ms = now + throttle_delay_ms(record.failed_rounds)
            if record.failed_rounds == THROTTLE_EVENT_AFTER:
                self.events.cannot_start(now, record.number)
        record.failures_seen = failures
        if record.failed_rounds and now < record.paused_until_ms:
            self._again(record.number, record.paused_until_ms)
            return True
        return False

    def _found_no_room(self, record: ServiceRecord, rollout: Rollout, now: int) -> None:
        """Launch type EC2 and nothing fits, or Fargate refuses: ECS says why, and looks again later."""
        state = self.world.state
        refused = int(state.clock[REFUSED])
        if refused:
            if refused != record.refused:
                self.events.not_placed(now, record.number, refused, NEVER)
            record.refused = refused
            self._again(record.number, now + RETRY_MS)
            return
        first_time = record.short_since_epoch < 0
        record.short_since_epoch = int(state.clock[CAPACITY_EPOCH])
        code = why_refused(self.world.core, self.world.first_shape[rollout.row])
        host = int(state.clock[CLOSEST])
        if first_time:
            instance = int(state.instances[host]["instance_id"]) if host >= 0 else NEVER
            self.events.not_placed(now, record.number, int(code), instance)
        self._again(record.number, now + RETRY_MS)
