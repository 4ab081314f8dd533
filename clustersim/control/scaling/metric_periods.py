"""The end of each metric period: load, metrics, alarms, scaling policies and out-of-memory kills, in this order.

Calls the controllers that act on the metrics of the period; they decide. `simulation` constructs it; its agenda calls
`act`.
"""

from __future__ import annotations

from clustersim.control.agendas import Agendas
from clustersim.control.load.oom_kills import kill_over_memory_limit
from clustersim.control.load.traffic import Traffic
from clustersim.control.scaling.cloudwatch_alarms import CloudWatchAlarms
from clustersim.control.scaling.cloudwatch_metrics import CloudWatchMetrics
from clustersim.control.scaling.group_autoscaler import GroupAutoscaler
from clustersim.control.scaling.service_autoscaler import ServiceAutoscaler
from clustersim.control.services.scheduler import Scheduler
from clustersim.scenario.sections.scenario import Scenario
from clustersim.vocabulary import MS_PER_MINUTE
from clustersim.world.state.world import World


def metric_period_ms(scenario: Scenario) -> int:
    """Return the metric period of a run, in ms: a minute, or the shortest resolution that a service asks for."""
    resolutions = [s.auto_scaling.metric_resolution_ms for s in scenario.services if s.auto_scaling]
    return min([MS_PER_MINUTE, *resolutions])


class MetricPeriods:
    """The metric periods of a run."""

    def __init__(
        self,
        world: World,
        traffic: Traffic,
        metrics: CloudWatchMetrics,
        alarms: CloudWatchAlarms,
        scheduler: Scheduler,
        autoscalers: tuple[ServiceAutoscaler, GroupAutoscaler],
        agendas: Agendas,
    ) -> None:
        self._world = world
        self._traffic = traffic
        self._metrics = metrics
        self._alarms = alarms
        self._scheduler = scheduler
        self._autoscaler, self._group_autoscaler = autoscalers
        self._agendas = agendas
        self._period_ms = metric_period_ms(world.scenario)

    def schedule_wakeups(self) -> None:
        """Schedule the end of the first period, if anything in the scenario is measured."""
        scenario = self._world.scenario
        measured = any(s.load is not None or s.auto_scaling is not None for s in scenario.services)
        if measured or scenario.alarms or any(group.policies for group in scenario.groups):
            self._agendas.metrics.wake_at(self._period_ms)

    def act(self, now: int) -> None:
        """End a metric period."""
        self.advance_load(now)
        self._metrics.update(now)
        if self._alarms.evaluate(now):
            self._scheduler.recheck_deployment_alarms()
        services = self._world.state.services.rows
        self._autoscaler.tick(now, services["running"], services["desired"], services["deploying"])
        self._group_autoscaler.tick(now)
        if kill_over_memory_limit(self._world, self._traffic, now):
            self._agendas.calendar.wake_now()
        self._agendas.metrics.wake_at(now + self._period_ms)

    def advance_load(self, now: int) -> None:
        """Advance the load since the last metric period with the tasks that were there."""
        self._traffic.tick(now, self._world.task_times(now), self._world.take_target_changes())
