"""REPLICA services: the desired count kept, rolling updates, unhealthy tasks and draining instances replaced.

Decides with `policy.tasks.deployment` how many tasks start and stop now, and has that done by the starter and the
stopper. Deployments that shift traffic have their own way of counting: `control.services.traffic_shifting`.
"""

from __future__ import annotations

from clustersim.control.events.service_events import EventLog
from clustersim.control.services.deployments import Rollouts
from clustersim.control.services.service_state import FAILED, ServiceRecord
from clustersim.control.services.task_starter import Starter
from clustersim.control.services.task_stopper import Stopper
from clustersim.policy.tasks.deployment import Counts, Step, healthy_bounds, is_stuck, rolling_step
from clustersim.world.state.world import World


class Replicas:
    """One for all REPLICA services."""

    def __init__(
        self, world: World, starter: Starter, stopper: Stopper, rollouts: Rollouts, events: EventLog
    ) -> None:
        self.world = world
        self.starter = starter
        self.stopper = stopper
        self.rollouts = rollouts
        self.events = events

    def counts(self, record: ServiceRecord) -> Counts:
        """The tasks of a service as a deployment sees them."""
        state = self.world.state
        service = state.services[record.number]
        primary = state.sets[record.primary.row]
        older = [state.sets[each.row] for each in record.deployments[:-1]]
        leaving, unwell = int(primary["leaving"]), int(primary["unwell"])
        live = self.rollouts.live(record.primary)
        both, settling = self._unwell(record) if unwell else (0, 0)
        return Counts(
            desired=int(service["desired"]),
            fresh=live - leaving - unwell + both,
            total=sum(self.rollouts.live(each) for each in record.deployments),
            starting=int(service["provisioning"] + service["pending"]),
            healthy=int(service["healthy"]),
            old=sum(self.rollouts.live(each) for each in record.deployments[:-1]),
            old_healthy=sum(int(s["healthy"]) for s in older),
            leaving=leaving,
            unwell=unwell,
            settling=settling,
        )

    def _unwell(self, record: ServiceRecord) -> tuple[int, int]:
        """Of the PRIMARY deployment: unhealthy tasks that are leaving too, and those that are yet to be healthy."""
        tasks = self.world.state.tasks[self.stopper.candidates(record, [record.primary])]
        unwell, leaving = tasks["unwell"] > 0, tasks["leaving"] == 1
        return int((unwell & leaving).sum()), int((~unwell & ~leaving & (tasks["healthy"] < 0)).sum())

    def keep(self, record: ServiceRecord, now: int) -> None:
        """Bring a service one step nearer to its desired count."""
        counts = self.counts(record)
        if record.primary.state == FAILED:
            return  # it launches no more tasks, and what runs stays (MODEL.md)
        extra = 1 if record.moving_task >= 0 else 0  # zone rebalancing starts before it stops
        if counts.fresh > counts.desired + extra:
            surplus = counts.fresh - counts.desired - extra
            self.stopper.stop_surplus(record, record.primary, surplus, now)
            counts = self.counts(record)
        self._step(record, counts, now)

    def _step(self, record: ServiceRecord, counts: Counts, now: int) -> None:
        """Start and stop what the healthy percents allow."""
        of = record.settings.deployment
        lower, upper = healthy_bounds(counts.desired, of.minimum_healthy_percent, of.maximum_percent)
        replacing = counts.old > 0 or counts.leaving > 0 or counts.unwell > 0
        if not replacing:
            if counts.fresh < counts.desired:
                self.starter.start(record, record.primary, counts.desired - counts.fresh, now)
            return
        step = rolling_step(counts, lower, upper)
        if step.start > 0:
            self.starter.start(record, record.primary, step.start, now)
        stopped = self._stop(record, step, now)
        if step.start == 0 and not stopped and is_stuck(counts, Step(), upper):
            self.events.deployment_blocked(now, record.number)

    def _stop(self, record: ServiceRecord, step: Step, now: int) -> bool:
        """Stop what a step says; whether anything was stopped."""
        stopped = 0
        if step.stop_old > 0:
            stopped += self.stopper.stop_older(record, step.stop_old, now)
        if step.stop_unwell > 0:
            replaced = self.stopper.stop_unwell(record, record.primary, step.stop_unwell, now)
            self.rollouts.count_replaced(record.primary, replaced)
            stopped += replaced
        if step.stop_leaving > 0:
            self.stopper.stop_leaving(record, record.primary, step.stop_leaving, now)
            stopped += step.stop_leaving
        return stopped > 0
