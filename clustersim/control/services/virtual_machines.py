"""Services on virtual machines: one copy of the application on each instance of a group of their own.

The service's desired count is the group's desired capacity; a machine that has booted starts its copy
(`world.instances.lifecycle`). This module plans to restart a copy that has ended on its machine, to replace a machine
if its copy fails health checks, and to bring a new revision with new machines (an instance refresh).
`control.capacity.auto_scaling_groups` launches and terminates machines; this module must not know scaling policies.

Sources: EC2 Auto Scaling User Guide, health checks for instances in an Auto Scaling group (ELB type) and instance
refresh; Docker, restart policies. MODEL.md says which parts are modelling choices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clustersim.control.services.daemons import Daemons
from clustersim.control.services.live_tasks import live_tasks
from clustersim.control.services.plans import (
    LookAgain,
    Plan,
    ReplaceMachines,
    RestartOnHosts,
    SetRefreshExtra,
    Step,
    StopTasks,
    StopUnhealthy,
)
from clustersim.control.services.service_state import FAILED, ServiceRecord
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

    def __init__(self, world: World, daemons: Daemons) -> None:
        self.world = world
        self.daemons = daemons
        # By service and instance id; only copies that have ended before.
        self._copies: dict[int, dict[int, _CopyRestarts]] = {}

    def plan_removals(self, record: ServiceRecord, now: int) -> Plan:
        """Plan to stop copies on machines that leave, and to replace the machines of unhealthy ones."""
        del now
        tasks = self.world.state.tasks.rows
        slots = live_tasks(self.world, record, record.deployments)
        leaving = tasks["leaving"][slots] == 1
        plan: list[Step] = [StopTasks(slots[leaving])]
        slots = slots[~leaving]
        unhealthy = (tasks["unhealthy"][slots] > 0) & (tasks["state"][slots] == TaskState.RUNNING)
        if np.any(unhealthy):
            hosts = tasks["instance_slot"][slots[unhealthy]]
            plan += [
                StopUnhealthy(each, hosts.size, counted=each is record.primary) for each in record.deployments
            ]
            plan.append(ReplaceMachines(hosts, TerminationReason.UNHEALTHY))
        return plan

    def plan_restarts(self, record: ServiceRecord, now: int) -> Plan:
        """Plan to restart copies that have ended, each after its restart backoff."""
        state = self.world.state
        copies = self._copies.setdefault(record.number, {})
        hosts = self.daemons.eligible_hosts(record)
        plan: list[Step] = []
        to_restart = []
        for host in self.daemons.hosts_without_task(record, hosts):
            instance_id = int(state.instances.rows["instance_id"][host])
            copy = copies.setdefault(
                instance_id, _CopyRestarts(int(state.instances.rows["registered"][host]))
            )
            if copy.restart_at_ms < 0:
                copy.delay_ms = restart_delay_ms(copy.delay_ms, now - copy.started_ms)
                copy.restart_at_ms = now + copy.delay_ms
                plan.append(LookAgain(copy.restart_at_ms))
            elif copy.restart_at_ms <= now:
                copy.started_ms, copy.restart_at_ms = now, NEVER
                to_restart.append(host)
        if to_restart:
            plan.append(RestartOnHosts(record.primary, np.array(to_restart, np.int64)))
        if len(copies) > 2 * hosts.size + 64:
            live = set(state.instances.rows["instance_id"][hosts].tolist())
            self._copies[record.number] = {key: copy for key, copy in copies.items() if key in live}
        return plan

    def plan_refresh(self, record: ServiceRecord, now: int) -> Plan:
        """Plan to replace machines that run an older revision, as far as the healthy percents allow."""
        del now
        state = self.world.state
        slots = live_tasks(self.world, record, record.deployments)
        older = slots[state.tasks.rows["set"][slots] != record.primary.task_set]
        if older.size == 0 or record.primary.state == FAILED:
            return (SetRefreshExtra(0),)  # machines replaced for another reason still get the new revision
        settings = record.settings.deployment
        service = state.services.rows[record.number]
        healthy = state.tasks.rows["healthy"][older] >= 0
        step = refresh_step(
            int(service["desired"]),
            int(service["healthy"]),
            (int(healthy.sum()), int((~healthy).sum())),
            (settings.minimum_healthy_percent, settings.maximum_percent),
        )
        chosen = np.concatenate([older[~healthy][: step.unhealthy], older[healthy][::-1][: step.healthy]])
        if chosen.size == 0:
            return (SetRefreshExtra(step.extra),)
        hosts = state.tasks.rows["instance_slot"][chosen]
        return (SetRefreshExtra(step.extra), ReplaceMachines(hosts, TerminationReason.INSTANCE_REFRESH))
