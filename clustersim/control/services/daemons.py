"""DAEMON services: one task on every container instance that is ACTIVE and satisfies the constraints.

A new instance gets its daemons in the instant it registers, before any waiting task (`world.instances.lifecycle`). This
module plans everything else: instances whose daemon ended, new revisions within the healthy percents, and draining
instances, where daemons stop last. ECS Developer Guide: daemon scheduling.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.services.live_tasks import healthy_tasks, live_tasks
from clustersim.control.services.plans import FillHosts, Plan, Step, StopTasks, StopUnhealthy
from clustersim.control.services.service_state import FAILED, ServiceRecord
from clustersim.engine.compiled import Array
from clustersim.policy.placement.hosts import ELIGIBLE
from clustersim.policy.tasks.deployment import healthy_bounds
from clustersim.vocabulary import InstanceState
from clustersim.world.state.world import World


class Daemons:
    """The controller of all DAEMON services."""

    def __init__(self, world: World) -> None:
        self.world = world

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

    def plan_stops(self, record: ServiceRecord, now: int) -> Plan:
        """Plan to stop tasks on the wrong instances, unhealthy ones, and those of older revisions."""
        del now
        state = self.world.state
        hosts = self.eligible_hosts(record)
        slots = live_tasks(self.world, record, record.deployments)
        tasks = state.tasks.rows[slots]
        current = tasks["set"] == record.primary.task_set
        idle = state.instances.rows["non_daemon_tasks"][tasks["instance_slot"]] == 0
        draining = state.instances.rows["state"][tasks["instance_slot"]] == InstanceState.DRAINING
        misplaced = ~np.isin(tasks["instance_slot"], hosts) & ~draining
        ending = slots[(draining & idle) | misplaced]
        plan: list[Step] = [StopTasks(ending)]
        unhealthy = int((current & (tasks["unhealthy"] > 0) & ~draining & ~misplaced).sum())
        if unhealthy:
            plan.append(StopUnhealthy(record.primary, unhealthy))
        older = slots[~current & ~draining & ~misplaced]
        if older.size:
            healthy = int(state.services.rows[record.number]["healthy"])
            healthy -= int(healthy_tasks(self.world, ending).sum())
            plan.append(StopTasks(self._replaceable(record, older, hosts.size, healthy)))
        return plan

    def _replaceable(self, record: ServiceRecord, older: Array, desired: int, healthy_count: int) -> Array:
        """Return the tasks of older revisions that may stop, unhealthy ones first, while the healthy count stays above
        the minimum.
        """
        settings = record.settings.deployment
        lower, _ = healthy_bounds(desired, settings.minimum_healthy_percent, settings.maximum_percent)
        healthy = healthy_tasks(self.world, older)
        spare = max(0, healthy_count - lower)
        return np.concatenate([older[~healthy], older[healthy][::-1][:spare]])

    def plan_starts(self, record: ServiceRecord, now: int) -> Plan:
        """Plan to start a task on every instance that has none; a FAILED deployment starts nothing."""
        del now
        if record.primary.state == FAILED:
            return ()
        empty = self.hosts_without_task(record, self.eligible_hosts(record))
        return (FillHosts(record.primary, empty),) if empty.size else ()

    def hosts_without_task(self, record: ServiceRecord, hosts: Array) -> Array:
        """Return those of `hosts` without a task of the service, of any revision and state."""
        state = self.world.state
        live = state.tasks.rows[self.world.live_tasks()]
        own = live[np.isin(live["set"], [each.task_set for each in record.deployments])]
        empty: Array = np.setdiff1d(hosts, own["instance_slot"]).astype(np.int64)
        return empty
