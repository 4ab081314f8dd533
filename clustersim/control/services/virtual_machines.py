"""Services on virtual machines: one copy of the application on each instance of a group of their own.

The service's desired count is the group's desired capacity; a machine that has booted starts its copy
(`world.instances.lifecycle`). This module restarts a copy that has ended on its machine, replaces a machine if its copy
fails health checks, and brings a new revision with new machines (an instance refresh).
`control.capacity.auto_scaling_groups` launches and terminates machines; this module must not know scaling policies.

Sources: EC2 Auto Scaling User Guide, health checks for instances in an Auto Scaling group (ELB type) and instance
refresh; Docker, restart policies. MODEL.md says which parts are modelling choices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clustersim.control.capacity.capacity import CapacityController
from clustersim.control.services.daemons import Daemons
from clustersim.control.services.service_state import FAILED, ServiceRecord
from clustersim.engine.compiled import Array
from clustersim.policy.capacity.instance_refresh import refresh_step
from clustersim.policy.tasks.restart_backoff import restart_delay_ms
from clustersim.vocabulary import NEVER, TaskState, TerminationReason
from clustersim.world.state.world import World


@dataclass
class _CopyRestarts:
    """The restarts of the copy on one machine: its last start, and its next one (-1: none is due)."""

    started_ms: int
    delay_ms: int = 0
    restart_at_ms: int = NEVER


class VirtualMachineServices:
    """The controller of all services on virtual machines."""

    def __init__(self, world: World, capacity: CapacityController, daemons: Daemons) -> None:
        self.world = world
        self.capacity = capacity
        self.daemons = daemons
        self.stopper = daemons.stopper
        self.deployments = daemons.deployments
        # By service and instance id; only copies that have ended before.
        self._copies: dict[int, dict[int, _CopyRestarts]] = {}

    def group_number(self, record: ServiceRecord) -> int:
        """Return the number of the group of a service's machines."""
        return self.world.names.pools.index(str(record.settings.machines))

    def resize(self, record: ServiceRecord, count: int) -> None:
        """Set the number of machines of a service."""
        self.capacity.set_desired(self.group_number(record), count)

    def reconcile(self, record: ServiceRecord, now: int) -> None:
        """Move a service one step towards one copy of its PRIMARY deployment on each of its machines."""
        state = self.world.state
        slots = self.stopper.candidates(record, record.deployments)
        leaving = state.tasks.rows["leaving"][slots] == 1
        self.stopper.stop_slots(record, slots[leaving], now)
        slots = slots[~leaving]
        unhealthy = (state.tasks.rows["unhealthy"][slots] > 0) & (
            state.tasks.rows["state"][slots] == TaskState.RUNNING
        )
        if np.any(unhealthy):
            hosts = state.tasks.rows["instance_slot"][slots[unhealthy]].copy()
            for deployment in record.deployments:
                stopped = self.stopper.stop_unhealthy(record, deployment, hosts.size, now)
                if deployment is record.primary:
                    self.deployments.count_replaced(deployment, stopped)
            self._replace(record, hosts, now, TerminationReason.UNHEALTHY)
        if record.primary.state == FAILED:  # machines replaced for another reason still get the new revision
            self._set_extra(record, 0)
        else:
            self._refresh_instances(record, slots[~unhealthy], now)
        self._restart_ended_copies(record, now)

    def _restart_ended_copies(self, record: ServiceRecord, now: int) -> None:
        """Restart copies that have ended, each after its restart backoff."""
        state = self.world.state
        copies = self._copies.setdefault(record.number, {})
        hosts = self.daemons.eligible_hosts(record)
        to_restart = []
        for host in self.daemons.hosts_without_task(record, hosts):
            instance_id = int(state.instances.rows["instance_id"][host])
            copy = copies.setdefault(
                instance_id, _CopyRestarts(int(state.instances.rows["registered"][host]))
            )
            if copy.restart_at_ms < 0:
                copy.delay_ms = restart_delay_ms(copy.delay_ms, now - copy.started_ms)
                copy.restart_at_ms = now + copy.delay_ms
                self.daemons.starter.due.reconcile_at(record.number, copy.restart_at_ms)
            elif copy.restart_at_ms <= now:
                copy.started_ms, copy.restart_at_ms = now, NEVER
                to_restart.append(host)
        if to_restart:
            self.daemons.starter.start_on_hosts(record.primary, np.array(to_restart, np.int64), now)
        if len(copies) > 2 * hosts.size + 64:
            live = set(state.instances.rows["instance_id"][hosts].tolist())
            self._copies[record.number] = {key: copy for key, copy in copies.items() if key in live}

    def _refresh_instances(self, record: ServiceRecord, slots: Array, now: int) -> None:
        """Replace machines that run an older revision, as far as the healthy percents allow."""
        state = self.world.state
        older = slots[state.tasks.rows["set"][slots] != record.primary.task_set]
        if older.size == 0:
            self._set_extra(record, 0)
            return
        settings = record.settings.deployment
        service = state.services.rows[record.number]
        healthy = state.tasks.rows["healthy"][older] >= 0
        step = refresh_step(
            int(service["desired"]),
            int(service["healthy"]),
            (int(healthy.sum()), int((~healthy).sum())),
            (settings.minimum_healthy_percent, settings.maximum_percent),
        )
        self._set_extra(record, step.extra)
        chosen = np.concatenate([older[~healthy][: step.unhealthy], older[healthy][::-1][: step.healthy]])
        if chosen.size:
            self._replace(
                record, state.tasks.rows["instance_slot"][chosen], now, TerminationReason.INSTANCE_REFRESH
            )

    def _set_extra(self, record: ServiceRecord, count: int) -> None:
        """Set the number of machines that a refresh needs beyond the desired capacity."""
        self.capacity.set_refresh_extra(self.group_number(record), count)

    def _replace(self, record: ServiceRecord, hosts: Array, now: int, reason: TerminationReason) -> None:
        """Terminate these machines, so that their group launches others."""
        self.capacity.replace(self.group_number(record), hosts, now, reason)
        self.world.state.services.rows[record.number]["steady_reported"] = 0
