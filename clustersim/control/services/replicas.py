"""REPLICA services: desired counts, rolling updates, and replacement of unhealthy tasks and of tasks on draining
instances.

`policy.tasks.deployment` decides how many tasks start and stop now; the task starter and the task stopper carry that
out. Deployments that shift traffic count differently: `control.services.traffic_shifting`.
"""

from __future__ import annotations

from clustersim.control.events.service_events import EventLog
from clustersim.control.services.deployments import Deployments
from clustersim.control.services.service_state import FAILED, ServiceRecord
from clustersim.control.services.task_starter import TaskStarter
from clustersim.control.services.task_stopper import TaskStopper
from clustersim.policy.tasks.deployment import (
    DeploymentCounts,
    RollingStep,
    healthy_bounds,
    is_stuck,
    rolling_step,
)
from clustersim.world.state.world import World


class Replicas:
    """The controller of all REPLICA services."""

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

    def count_tasks(self, record: ServiceRecord) -> DeploymentCounts:
        """Count the tasks of a service as a deployment needs them."""
        state = self.world.state
        service = state.services.rows[record.number]
        primary = state.sets.rows[record.primary.task_set]
        older = [state.sets.rows[each.task_set] for each in record.deployments[:-1]]
        leaving, unwell = int(primary["leaving"]), int(primary["unhealthy"])
        live = self.deployments.count_live(record.primary)
        both, settling = self._count_unhealthy(record) if unwell else (0, 0)
        return DeploymentCounts(
            desired=int(service["desired"]),
            up_to_date=live - leaving - unwell + both,
            total=sum(self.deployments.count_live(each) for each in record.deployments),
            starting=int(service["provisioning"] + service["pending"]),
            healthy=int(service["healthy"]),
            old=sum(self.deployments.count_live(each) for each in record.deployments[:-1]),
            old_healthy=sum(int(s["healthy"]) for s in older),
            leaving=leaving,
            unhealthy=unwell,
            settling=settling,
        )

    def _count_unhealthy(self, record: ServiceRecord) -> tuple[int, int]:
        """Count, in the PRIMARY deployment, unhealthy tasks that are leaving too, and tasks that are yet to become
        healthy.
        """
        tasks = self.world.state.tasks.rows[self.stopper.candidates(record, [record.primary])]
        unwell, leaving = tasks["unhealthy"] > 0, tasks["leaving"] == 1
        return int((unwell & leaving).sum()), int((~unwell & ~leaving & (tasks["healthy"] < 0)).sum())

    def reconcile(self, record: ServiceRecord, now: int) -> None:
        """Move a service one step towards its desired count."""
        counts = self.count_tasks(record)
        if record.primary.state == FAILED:
            return  # it launches no more tasks; running ones stay (MODEL.md)
        extra = 1 if record.moving_task >= 0 else 0  # zone rebalancing starts a task before it stops one
        if counts.up_to_date > counts.desired + extra:
            surplus = counts.up_to_date - counts.desired - extra
            self.stopper.stop_surplus(record, record.primary, surplus, now)
            counts = self.count_tasks(record)
        self._step(record, counts, now)

    def _step(self, record: ServiceRecord, counts: DeploymentCounts, now: int) -> None:
        """Start and stop as many tasks as the healthy percents allow."""
        settings = record.settings.deployment
        lower, upper = healthy_bounds(
            counts.desired, settings.minimum_healthy_percent, settings.maximum_percent
        )
        replacing = counts.old > 0 or counts.leaving > 0 or counts.unhealthy > 0
        if not replacing:
            if counts.up_to_date < counts.desired:
                self.starter.start(record, record.primary, counts.desired - counts.up_to_date, now)
            return
        step = rolling_step(counts, lower, upper)
        if step.start > 0:
            self.starter.start(record, record.primary, step.start, now)
        stopped = self._stop(record, step, now)
        if step.start == 0 and not stopped and is_stuck(counts, RollingStep(), upper):
            self.events.log_deployment_blocked(now, record.number)

    def _stop(self, record: ServiceRecord, step: RollingStep, now: int) -> bool:
        """Stop the tasks of a step; return whether anything was stopped."""
        stopped = 0
        if step.stop_old > 0:
            stopped += self.stopper.stop_older(record, step.stop_old, now)
        if step.stop_unhealthy > 0:
            replaced = self.stopper.stop_unhealthy(record, record.primary, step.stop_unhealthy, now)
            self.deployments.count_replaced(record.primary, replaced)
            stopped += replaced
        if step.stop_leaving > 0:
            self.stopper.stop_leaving(record, record.primary, step.stop_leaving, now)
            stopped += step.stop_leaving
        return stopped > 0
