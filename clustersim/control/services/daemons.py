"""DAEMON services: one task on every container instance that is ACTIVE and satisfies the constraints.

A new instance gets its daemons in the instant it registers, before any waiting task (`world.instances.lifecycle`). This
module handles everything else: instances whose daemon ended, new revisions within the healthy percents, and draining
instances, where daemons stop last. ECS Developer Guide: daemon scheduling.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.events.service_events import EventLog
from clustersim.control.services.deployments import Deployments
from clustersim.control.services.service_state import FAILED, ServiceRecord
from clustersim.control.services.task_starter import TaskStarter
from clustersim.control.services.task_stopper import TaskStopper
from clustersim.engine.compiled import Array
from clustersim.policy.placement.hosts import ELIGIBLE
from clustersim.policy.tasks.deployment import healthy_bounds
from clustersim.vocabulary import InstanceState, TaskState
from clustersim.world.state.world import World


class Daemons:
    """The controller of all DAEMON services."""

    def __init__(
        self,
        world: World,
        starter: TaskStarter,
        stopper: TaskStopper,
        deployments: Deployments,
        events: EventLog,
    ) -> None:
        self.world = world
        self.starter = starter
        self.stopper = stopper
        self.deployments = deployments
        self.events = events

    def eligible_hosts(self, record: ServiceRecord) -> Array:
        """Return the slots of the ACTIVE instances that must have a task of this service."""
        state = self.world.state
        slots = self.world.live_instances()
        instances = state.instances.rows[slots]
        item = int(state.sets.rows[record.primary.task_set]["first_item"])
        allowed = state.placement.eligible[item][instances["instance_class"]] == ELIGIBLE
        hosts: Array = slots[allowed & (instances["state"] == InstanceState.ACTIVE)]
        return hosts

    def count_desired(self, record: ServiceRecord) -> int:
        """Return the number of tasks the service should have now."""
        return int(self.eligible_hosts(record).size)

    def reconcile(self, record: ServiceRecord, now: int) -> None:
        """Move a daemon service one step towards one task of its PRIMARY deployment on each instance."""
        hosts = self.eligible_hosts(record)
        state = self.world.state
        slots = self.stopper.candidates(record, record.deployments)
        tasks = state.tasks.rows[slots]
        current = tasks["set"] == record.primary.task_set
        idle = state.instances.rows["non_daemon_tasks"][tasks["instance_slot"]] == 0
        draining = state.instances.rows["state"][tasks["instance_slot"]] == InstanceState.DRAINING
        misplaced = ~np.isin(tasks["instance_slot"], hosts) & ~draining
        self.stopper.stop_slots(record, slots[(draining & idle) | misplaced], now)
        unhealthy = int((current & (tasks["unhealthy"] > 0) & ~draining & ~misplaced).sum())
        if unhealthy:
            replaced = self.stopper.stop_unhealthy(record, record.primary, unhealthy, now)
            self.deployments.count_replaced(record.primary, replaced)
        older = slots[~current & ~draining & ~misplaced]
        if older.size:
            self._replace(record, older, hosts.size, now)
        if record.primary.state != FAILED:
            self._fill(record, hosts, now)

    def _replace(self, record: ServiceRecord, older: Array, desired: int, now: int) -> None:
        """Stop tasks of older revisions, unhealthy ones first, while the healthy count stays above the minimum."""
        settings = record.settings.deployment
        lower, _ = healthy_bounds(desired, settings.minimum_healthy_percent, settings.maximum_percent)
        state = self.world.state
        tasks = state.tasks.rows[older]
        healthy = (tasks["state"] == TaskState.RUNNING) & (tasks["healthy"] >= 0) & (tasks["unhealthy"] == 0)
        spare = max(0, int(state.services.rows[record.number]["healthy"]) - lower)
        chosen = np.concatenate([older[~healthy], older[healthy][::-1][:spare]])
        self.stopper.stop_slots(record, chosen, now)

    def _fill(self, record: ServiceRecord, hosts: Array, now: int) -> None:
        """Start a task on every instance that has none, as the launch rate and the service throttle allow."""
        empty = self.hosts_without_task(record, hosts)
        if empty.size == 0 or self.starter.is_throttled(record, record.primary, now):
            return
        count = min(int(empty.size), self.starter.allowance(record, now))
        if count > 0:
            self.starter.start_on_hosts(record.primary, empty[:count], now)
        if count < empty.size:
            self.starter.continue_next_cycle(record, now)

    def hosts_without_task(self, record: ServiceRecord, hosts: Array) -> Array:
        """Return those of `hosts` without a task of the service, of any revision and state."""
        state = self.world.state
        live = state.tasks.rows[self.world.live_tasks()]
        own = live[np.isin(live["set"], [each.task_set for each in record.deployments])]
        empty: Array = np.setdiff1d(hosts, own["instance_slot"]).astype(np.int64)
        return empty
