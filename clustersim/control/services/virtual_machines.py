"""Services on virtual machines: one copy of the application on each instance of a group of their own.

The service's desired count is the group's desired capacity; a machine that has booted starts its copy
(`world.instances.lifecycle`). This module keeps the rest: a copy that has ended is started again on its machine, a
machine whose copy fails its health checks is replaced, and a new revision comes with new machines (an instance
refresh). Launching and terminating is the group's business (`control.capacity.auto_scaling_groups`); it must not know
scaling policies.

Sources: EC2 Auto Scaling User Guide, health checks for instances in an Auto Scaling group (ELB type) and instance
refresh; Docker, restart policies. MODEL.md says what of it is a choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clustersim.control.capacity.capacity import Capacity
from clustersim.control.services.daemons import Daemons
from clustersim.control.services.service_state import FAILED, ServiceRecord
from clustersim.engine.compiled import Array
from clustersim.policy.capacity.instance_refresh import refresh_step
from clustersim.policy.tasks.restart_backoff import restart_delay_ms
from clustersim.vocabulary import NEVER, TaskState, TerminationReason
from clustersim.world.state.world import World


@dataclass
class _Copy:
    """The copy on one machine, to its supervisor: when it was started last, and when it will be started again."""

    began: int
    delay: int = 0
    due: int = NEVER


class Machines:
    """One for all services on virtual machines."""

    def __init__(self, world: World, capacity: Capacity, daemons: Daemons) -> None:
        self.world = world
        self.capacity = capacity
        self.daemons = daemons
        self.stopper = daemons.stopper
        self.rollouts = daemons.rollouts
        self._copies: dict[
            int, dict[int, _Copy]
        ] = {}  # by service and instance id, those that have ended once

    def group_of(self, record: ServiceRecord) -> int:
        """The number of the group of a service's machines."""
        return self.world.names.pools.index(str(record.settings.machines))

    def resize(self, record: ServiceRecord, count: int) -> None:
        """The service wants so many machines."""
        self.capacity.set_desired(self.group_of(record), count)

    def keep(self, record: ServiceRecord, now: int) -> None:
        """Bring a service one step nearer to one copy of its PRIMARY deployment on each of its machines."""
        state = self.world.state
        slots = self.stopper.candidates(record, record.deployments)
        leaving = state.tasks["leaving"][slots] == 1
        self.stopper.stop_slots(record, slots[leaving], now)
        slots = slots[~leaving]
        unwell = (state.tasks["unwell"][slots] > 0) & (state.tasks["state"][slots] == TaskState.RUNNING)
        if np.any(unwell):
            hosts = state.tasks["slot"][slots[unwell]].copy()
            for rollout in record.deployments:
                stopped = self.stopper.stop_unwell(record, rollout, hosts.size, now)
                if rollout is record.primary:
                    self.rollouts.count_replaced(rollout, stopped)
            self._give_up(record, hosts, now, TerminationReason.UNHEALTHY)
        if record.primary.state == FAILED:  # what is replaced for another reason gets it all the same
            self._set_extra(record, 0)
        else:
            self._refresh(record, slots[~unwell], now)
        self._supervise(record, now)

    def _supervise(self, record: ServiceRecord, now: int) -> None:
        """Start copies that have ended again, each after the delay of its machine's supervisor."""
        state = self.world.state
        known = self._copies.setdefault(record.number, {})
        hosts = self.daemons.eligible_hosts(record)
        due = []
        for host in self.daemons.empty_hosts(record, hosts):
            identity = int(state.instances["instance_id"][host])
            copy = known.setdefault(identity, _Copy(int(state.instances["registered"][host])))
            if copy.due < 0:
                copy.delay = restart_delay_ms(copy.delay, now - copy.began)
                copy.due = now + copy.delay
                self.daemons.starter.look_again(record, copy.due)
            elif copy.due <= now:
                copy.began, copy.due = now, NEVER
                due.append(host)
        if due:
            self.daemons.start_on(record, np.array(due, np.int64), now)
        if len(known) > 2 * hosts.size + 64:
            alive = set(state.instances["instance_id"][hosts].tolist())
            self._copies[record.number] = {key: copy for key, copy in known.items() if key in alive}

    def _refresh(self, record: ServiceRecord, slots: Array, now: int) -> None:
        """Replace machines that run an older revision, as far as the healthy percents allow."""
        state = self.world.state
        old = slots[state.tasks["set"][slots] != record.primary.row]
        if old.size == 0:
            self._set_extra(record, 0)
            return
        of = record.settings.deployment
        service = state.services[record.number]
        well = state.tasks["healthy"][old] >= 0
        step = refresh_step(
            int(service["desired"]),
            int(service["healthy"]),
            (int(well.sum()), int((~well).sum())),
            (of.minimum_healthy_percent, of.maximum_percent),
        )
        self._set_extra(record, step.extra)
        chosen = np.concatenate([old[~well][: step.unhealthy], old[well][::-1][: step.healthy]])
        if chosen.size:
            self._give_up(record, state.tasks["slot"][chosen], now, TerminationReason.INSTANCE_REFRESH)

    def _set_extra(self, record: ServiceRecord, count: int) -> None:
        """A refresh wants so many machines beyond the desired capacity."""
        extra, group = self.capacity.groups.extra, self.group_of(record)
        if extra[group] != count:
            extra[group] = count
            self.capacity.agenda.ring()

    def _give_up(self, record: ServiceRecord, hosts: Array, now: int, reason: TerminationReason) -> None:
        """Give up these machines; their group launches others."""
        drain_ms = self.capacity.groups.drain_ms(self.group_of(record))
        for host in hosts:
            if not self.world.state.instances["terminating"][host]:
                self.capacity.launcher.give_up(int(host), now, reason, drain_ms)
        self.world.state.services[record.number]["steady"] = 0
        self.capacity.agenda.ring()
