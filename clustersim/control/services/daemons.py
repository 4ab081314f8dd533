"""DAEMON services: one task on every container instance that is ACTIVE and satisfies the constraints.

A new instance gets its daemons in the instant it registers, before any waiting task (`world.instances.lifecycle`);
this module keeps the rest: instances that lost theirs, new revisions within the healthy percents, instances that
drain, where daemons are the last to stop. ECS Developer Guide: daemon scheduling.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.events.service_events import EventLog
from clustersim.control.services.deployments import Rollouts
from clustersim.control.services.service_state import FAILED, ServiceRecord
from clustersim.control.services.task_starter import Starter
from clustersim.control.services.task_stopper import Stopper
from clustersim.engine.compiled import Array
from clustersim.policy.placement.hosts import ELIGIBLE
from clustersim.policy.tasks.deployment import healthy_bounds
from clustersim.vocabulary import InstanceState, TaskState
from clustersim.world.scheduling.commands import start_on_hosts
from clustersim.world.state.world import World


class Daemons:
    """One for all DAEMON services."""

    def __init__(
        self, world: World, starter: Starter, stopper: Stopper, rollouts: Rollouts, events: EventLog
    ) -> None:
        self.world = world
        self.starter = starter
        self.stopper = stopper
        self.rollouts = rollouts
        self.events = events

    def eligible_hosts(self, record: ServiceRecord) -> Array:
        """The slots of the ACTIVE instances that must have a task of this service."""
        state = self.world.state
        slots = self.world.live_instances()
        instances = state.instances[slots]
        lane = int(state.sets[record.primary.row]["first_lane"])
        allowed = state.eligible[lane][instances["klass"]] == ELIGIBLE
        hosts: Array = slots[allowed & (instances["state"] == InstanceState.ACTIVE)]
        return hosts

    def desired(self, record: ServiceRecord) -> int:
        """How many tasks the service should have now."""
        return int(self.eligible_hosts(record).size)

    def keep(self, record: ServiceRecord, now: int) -> None:
        """Bring a daemon service one step nearer to one task of its PRIMARY deployment on each instance."""
        hosts = self.eligible_hosts(record)
        state = self.world.state
        slots = self.stopper.candidates(record, record.deployments)
        tasks = state.tasks[slots]
        fresh = tasks["set"] == record.primary.row
        idle = state.instances["working"][tasks["slot"]] == 0
        draining = state.instances["state"][tasks["slot"]] == InstanceState.DRAINING
        astray = ~np.isin(tasks["slot"], hosts) & ~draining
        self.stopper.stop_slots(record, slots[(draining & idle) | astray], now)
        unwell = int((fresh & (tasks["unwell"] > 0) & ~draining & ~astray).sum())
        if unwell:
            replaced = self.stopper.stop_unwell(record, record.primary, unwell, now)
            self.rollouts.count_replaced(record.primary, replaced)
        old = slots[~fresh & ~draining & ~astray]
        if old.size:
            self._replace(record, old, hosts.size, now)
        if record.primary.state != FAILED:
            self._fill(record, hosts, now)

    def _replace(self, record: ServiceRecord, old: Array, desired: int, now: int) -> None:
        """Stop tasks of older revisions while the healthy stay above the minimum; those unhealthy first."""
        of = record.settings.deployment
        lower, _ = healthy_bounds(desired, of.minimum_healthy_percent, of.maximum_percent)
        state = self.world.state
        tasks = state.tasks[old]
        well = (tasks["state"] == TaskState.RUNNING) & (tasks["healthy"] >= 0) & (tasks["unwell"] == 0)
        spare = max(0, int(state.services[record.number]["healthy"]) - lower)
        chosen = np.concatenate([old[~well], old[well][::-1][:spare]])
        self.stopper.stop_slots(record, chosen, now)

    def _fill(self, record: ServiceRecord, hosts: Array, now: int) -> None:
        """Start a task on every instance that has none, as the launch rate and the service throttle allow."""
        empty = self.empty_hosts(record, hosts)
        if empty.size == 0 or self.starter.paused(record, record.primary, now):
            return
        count = min(int(empty.size), self.starter.allowance(record, now))
        if count > 0:
            self.start_on(record, empty[:count], now)
        if count < empty.size:
            self.starter.later(record, now)

    def empty_hosts(self, record: ServiceRecord, hosts: Array) -> Array:
        """Those of `hosts` that have no task of the service, whatever its revision and state."""
        state = self.world.state
        live = state.tasks[self.world.live_tasks()]
        mine = live[np.isin(live["set"], [each.row for each in record.deployments])]
        empty: Array = np.setdiff1d(hosts, mine["slot"]).astype(np.int64)
        return empty

    def start_on(self, record: ServiceRecord, hosts: Array, now: int) -> None:
        """Start a task of the PRIMARY deployment on each of `hosts`."""
        self.world.make_room(2 * int(hosts.size) + 64)
        ids = np.zeros(hosts.size, np.int64)
        row = record.primary.row
        done = start_on_hosts(self.world.core, row, self.world.first_shape[row], hosts, now, ids)
        self.starter.have_started(record, ids[:done], now)
