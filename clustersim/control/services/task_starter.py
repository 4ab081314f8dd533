"""Starts tasks of services within the launch rate and the service throttle of ECS.

Decides how many of the missing tasks may start now. A plan says how many are missing, placement decides where they
run. Launches are rate-limited per service (service quotas). While tasks never reach RUNNING, launches pause for ever
longer times (service throttle logic). With a launch type that finds no room, launches are tried again once capacity was
freed.
"""

from __future__ import annotations

import numpy as np

from clustersim.control.events.service_events import EventLog
from clustersim.control.services.due_services import DueServices
from clustersim.control.services.service_state import DeploymentRecord, ServiceRecord
from clustersim.engine.compiled import Array
from clustersim.policy.tasks.deployment import throttle_delay_ms
from clustersim.vocabulary import MS_PER_SECOND, NEVER
from clustersim.world.scheduling.provisioning import find_wait_reason
from clustersim.world.scheduling.service_tasks import (
    LAUNCH_CYCLE_MS,
    refill_launch_tokens,
    start_service_task_in_zone,
    start_service_tasks,
    start_service_tasks_on_hosts,
)
from clustersim.world.state.world import World

RETRY_MS = 10 * MS_PER_SECOND  # until a service without room tries again, if capacity was freed meanwhile
THROTTLE_EVENT_AFTER = 3  # failed rounds before ECS says that it cannot consistently start tasks


class TaskStarter:
    """The launches of all services."""

    def __init__(self, world: World, events: EventLog, due: DueServices) -> None:
        self.world = world
        self.events = events
        self.due = due

    def start(self, record: ServiceRecord, deployment: DeploymentRecord, count: int, now: int) -> int:
        """Start up to `count` tasks of a deployment now, the others later; return how many started."""
        if self.is_throttled(record, deployment, now):
            return 0
        if record.no_room_epoch == int(self.world.state.counters.capacity_epoch):
            self.due.reconcile_at(record.number, now + RETRY_MS)
            return 0
        allowed = min(count, self.allowance(record, now))
        started = 0
        if allowed > 0:
            self.world.make_room(2 * allowed + 64)
            ids = np.zeros(allowed, np.int64)
            started = int(start_service_tasks(self.world.core, deployment.task_set, allowed, now, ids))
        if started < allowed:
            self._report_no_room(record, deployment, now)
        else:
            record.no_room_epoch = NEVER
            record.refusal = 0
            if count > started:
                self.continue_next_cycle(record, now)
        return started

    def start_in_zone(self, record: ServiceRecord, deployment: DeploymentRecord, zone: int, now: int) -> int:
        """Start one task in a zone; return its id, or -1 without room in the zone or launch allowance."""
        if self.is_throttled(record, deployment, now) or self.allowance(record, now) < 1:
            return NEVER
        self.world.make_room(64)
        ids = np.zeros(1, np.int64)
        if not start_service_task_in_zone(self.world.core, deployment.task_set, zone, now, ids):
            return NEVER
        return int(ids[0])

    def start_on_hosts(self, deployment: DeploymentRecord, hosts: Array, now: int) -> None:
        """Start a task of a deployment on each of `hosts` on which it fits."""
        self.world.make_room(2 * int(hosts.size) + 64)
        ids = np.zeros(hosts.size, np.int64)
        start_service_tasks_on_hosts(self.world.core, deployment.task_set, hosts, now, ids)

    def fill_hosts(self, record: ServiceRecord, deployment: DeploymentRecord, hosts: Array, now: int) -> None:
        """Start a task of a deployment on each of `hosts`: as many as allowed now, the others later."""
        if self.is_throttled(record, deployment, now):
            return
        count = min(int(hosts.size), self.allowance(record, now))
        if count > 0:
            self.start_on_hosts(deployment, hosts[:count], now)
        if count < hosts.size:
            self.continue_next_cycle(record, now)

    def allowance(self, record: ServiceRecord, now: int) -> int:
        """Return the number of tasks the launch rate allows now."""
        return int(refill_launch_tokens(self.world.core, record.number, now))

    def continue_next_cycle(self, record: ServiceRecord, now: int) -> None:
        """Reconcile the service in the next launch cycle, as the allowance of this one is used up."""
        self.due.reconcile_at(record.number, now + LAUNCH_CYCLE_MS)

    def is_throttled(self, record: ServiceRecord, deployment: DeploymentRecord, now: int) -> bool:
        """Return whether launches pause because tasks keep failing to start (service throttle logic)."""
        failures = int(self.world.state.sets.rows[deployment.task_set]["failed_starts"])
        if failures == 0:
            record.failed_rounds = record.paused_until_ms = 0
        elif failures != record.failures_seen and now >= record.paused_until_ms:
            record.failed_rounds += 1
            record.paused_until_ms = now + throttle_delay_ms(record.failed_rounds)
            if record.failed_rounds == THROTTLE_EVENT_AFTER:
                self.events.log_start_impaired(now, record.number)
        record.failures_seen = failures
        if record.failed_rounds and now < record.paused_until_ms:
            self.due.reconcile_at(record.number, record.paused_until_ms)
            return True
        return False

    def _report_no_room(self, record: ServiceRecord, deployment: DeploymentRecord, now: int) -> None:
        """Log why a task found no room (launch type EC2) or was refused (Fargate), and retry later."""
        state = self.world.state
        refused = int(state.counters.refused_sentence)
        if refused:
            state.placement.failures[refused] += 1
            if refused != record.refusal:
                self.events.log_placement_failure(now, record.number, refused, NEVER)
            record.refusal = refused
            self.due.reconcile_at(record.number, now + RETRY_MS)
            return
        first_time = record.no_room_epoch < 0
        record.no_room_epoch = int(state.counters.capacity_epoch)
        code = find_wait_reason(self.world.core, self.world.first_shape[deployment.task_set])
        host = int(state.counters.closest_host)
        if first_time:
            instance = int(state.instances.rows[host]["instance_id"]) if host >= 0 else NEVER
            self.events.log_placement_failure(now, record.number, int(code), instance)
        self.due.reconcile_at(record.number, now + RETRY_MS)
