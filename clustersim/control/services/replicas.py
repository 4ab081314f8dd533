"""REPLICA services: desired counts, rolling updates, and replacement of unhealthy tasks and of tasks on draining
instances.

Counts the tasks of a service and plans what starts and stops; `policy.tasks.deployment` decides how many,
`plan_applier` carries the plan out. Deployments that shift traffic count differently:
`control.services.traffic_shifting`.
"""

from __future__ import annotations

from clustersim.control.services.live_tasks import count_live, live_tasks
from clustersim.control.services.plans import (
    Plan,
    ReportBlocked,
    StartTasks,
    Step,
    StopLeaving,
    StopOlder,
    StopSurplus,
    StopUnhealthy,
)
from clustersim.control.services.service_state import FAILED, DeploymentRecord, ServiceRecord
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

    def __init__(self, world: World) -> None:
        self.world = world

    def count_tasks(self, record: ServiceRecord) -> DeploymentCounts:
        """Count the tasks of a service as a deployment needs them."""
        state = self.world.state
        service = state.services.rows[record.number]
        primary = state.sets.rows[record.primary.task_set]
        older = record.deployments[:-1]
        leaving, unwell = int(primary["leaving"]), int(primary["unhealthy"])
        live = count_live(self.world, record.primary)
        old = sum(count_live(self.world, each) for each in older)
        both, settling = self._count_unhealthy(record) if unwell else (0, 0)
        return DeploymentCounts(
            desired=int(service["desired"]),
            up_to_date=live - leaving - unwell + both,
            total=live + old,
            starting=int(service["provisioning"] + service["pending"]),
            healthy=int(service["healthy"]),
            old=old,
            old_healthy=sum(int(state.sets.rows[each.task_set]["healthy"]) for each in older),
            leaving=leaving,
            unhealthy=unwell,
            settling=settling,
        )

    def _count_unhealthy(self, record: ServiceRecord) -> tuple[int, int]:
        """Count, in the PRIMARY deployment, unhealthy tasks that are leaving too, and tasks that are yet to become
        healthy.
        """
        tasks = self.world.state.tasks.rows[live_tasks(self.world, record, [record.primary])]
        unwell, leaving = tasks["unhealthy"] > 0, tasks["leaving"] == 1
        return int((unwell & leaving).sum()), int((~unwell & ~leaving & (tasks["healthy"] < 0)).sum())

    def plan_scale_in(self, record: ServiceRecord, now: int) -> Plan:
        """Plan to stop the tasks beyond the desired count."""
        del now
        if record.primary.state == FAILED:
            return ()  # running tasks stay (MODEL.md)
        counts = self.count_tasks(record)
        extra = 1 if record.moving_task >= 0 else 0  # zone rebalancing starts a task before it stops one
        surplus = counts.up_to_date - counts.desired - extra
        return (StopSurplus(record.primary, surplus),) if surplus > 0 else ()

    def plan_step(self, record: ServiceRecord, now: int) -> Plan:
        """Plan to start missing tasks and to replace others, as far as the healthy percents allow."""
        del now
        if record.primary.state == FAILED:
            return ()  # it launches no more tasks
        settings = record.settings.deployment
        percents = (settings.minimum_healthy_percent, settings.maximum_percent)
        return plan_update(record.primary, self.count_tasks(record), percents)


def plan_update(primary: DeploymentRecord, counts: DeploymentCounts, percents: tuple[int, int]) -> Plan:
    """Plan one step of a service with these counts and (minimum, maximum) healthy percents."""
    if counts.old == 0 and counts.leaving == 0 and counts.unhealthy == 0:
        missing = counts.desired - counts.up_to_date
        return (StartTasks(primary, missing),) if missing > 0 else ()
    lower, upper = healthy_bounds(counts.desired, *percents)
    step = rolling_step(counts, lower, upper)
    plan: list[Step] = []
    if step.start > 0:
        plan.append(StartTasks(primary, step.start))
    if step.stop_old > 0:
        plan.append(StopOlder(step.stop_old))
    if step.stop_unhealthy > 0:
        plan.append(StopUnhealthy(primary, step.stop_unhealthy))
    if step.stop_leaving > 0:
        plan.append(StopLeaving(primary, step.stop_leaving))
    if step.start == 0 and is_stuck(counts, RollingStep(), upper):
        plan.append(ReportBlocked())
    return plan
