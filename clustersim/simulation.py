"""Assembles world, controllers and recorder into one run: wiring, no behaviour.

`ORDER` is the order of concerns at one instant: first external influences on the cluster, then routine task lifecycles,
then observations, then decisions from the broadest to the narrowest; last the results, which read the settled instant.
`study.single_run` and the workers of a sweep construct and run a `Simulation`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import simpy

from clustersim.control.billing.cost_ledger import CostLedger
from clustersim.control.calendar_driver import CalendarDriver
from clustersim.control.capacity.capacity import CapacityController
from clustersim.control.environment.failure_timetable import FailureTimetable
from clustersim.control.environment.scripted_operations import ScriptedOperations
from clustersim.control.environment.service_quotas import exceeded_quotas
from clustersim.control.events.scaling_activities import ScalingActivityLog
from clustersim.control.events.service_events import EventLog
from clustersim.control.load.oom_kills import kill_over_memory_limit
from clustersim.control.load.traffic import Traffic
from clustersim.control.results.run_summary import summarise
from clustersim.control.results.series_sampler import SeriesSampler
from clustersim.control.results.task_table_writer import TaskTableWriter
from clustersim.control.scaling.cloudwatch_alarms import CloudWatchAlarms
from clustersim.control.scaling.cloudwatch_metrics import CloudWatchMetrics
from clustersim.control.scaling.group_autoscaler import GroupAutoscaler
from clustersim.control.scaling.service_autoscaler import ServiceAutoscaler
from clustersim.control.services.scheduler import Scheduler
from clustersim.control.standalone_tasks.run_tasks import add_run_tasks, plan_run_tasks
from clustersim.engine.agenda import Agenda
from clustersim.engine.compiled import Array
from clustersim.engine.random_streams import stream_key
from clustersim.policy.scaling.service_scaling import CapacityBounds
from clustersim.record.recorder import Format, Recorder
from clustersim.record.schema import run_tables
from clustersim.scenario.aws.schedule_expressions import fire_times
from clustersim.scenario.sections.scenario import Scenario
from clustersim.vocabulary import MS_PER_MINUTE
from clustersim.world.build.build_world import empty_world, payer_groups
from clustersim.world.build.hazard_tables import write_hazards
from clustersim.world.build.task_set_specs import service_spec
from clustersim.world.build.task_set_tables import TaskSets
from clustersim.world.checks.invariants import InvariantChecker
from clustersim.world.scheduling.provisioning import refresh_wait_reasons
from clustersim.world.state.world import World

ORDER = (
    "failures",
    "actions",
    "calendar",
    "metrics",
    "schedules",
    "scheduler",
    "capacity",
    "costs",
    "series",
)
FIRST_RANK = 10  # SimPy reserves priorities 0 and 1
PROGRESS_STEPS = 200

Progress = Callable[[float], None]


@dataclass
class Outcome:
    """The figures of a run: summary, row counts of its tables, timings (s) and work counters."""

    summary: dict[str, Any]
    rows: dict[str, int]
    timings: dict[str, float]
    counts: dict[str, int]


class Simulation:
    """One run of one scenario with the random numbers of one replication.

    `checked` verifies the world's invariants at every instant.
    """

    def __init__(
        self,
        scenario: Scenario,
        directory: Path,
        fmt: Format = "arrow",
        replication: int = 0,
        checked: bool = False,
    ) -> None:
        self.scenario = scenario
        self.checked = checked
        self.end_ms = scenario.warm_up_ms + scenario.duration_ms
        self.env = simpy.Environment()
        self.world, task_sets = self._build_world(replication)
        origin = scenario.start_ms - scenario.warm_up_ms
        vocabularies: dict[Any, Any] = TaskTableWriter.vocabularies(self.world)
        tables = run_tables(scenario.sampling.cost_per_resource)
        self.recorder = Recorder(directory, fmt, vocabularies, origin_ms=origin, tables=tables)
        self.events = EventLog(self.world, self.recorder)
        self.scaling_activities = ScalingActivityLog(self.recorder, self.events)
        self.task_writer = TaskTableWriter(self.world, self.recorder)
        key_of = partial(stream_key, scenario.seed, replication)
        load_sections = (scenario.services, scenario.task_definitions, scenario.roles, scenario.target_groups)
        self.traffic = Traffic(*load_sections, key_of)
        self.capacity = CapacityController(self.world, task_sets, self.events, self.scaling_activities.add)
        self.scheduler = Scheduler(
            self.world, task_sets, self.traffic, self.capacity, self.events, self._in_alarm
        )
        self.calendar_driver = CalendarDriver(
            self.world, self.env, self.end_ms, (self._flush_ended, self.events.flush), checked
        )
        self.failures = FailureTimetable(self.world, self.capacity.launcher, self.events)
        self.actions = ScriptedOperations(self.world, self.scheduler, self.capacity, self.events)
        resolutions = [s.auto_scaling.metric_resolution_ms for s in scenario.services if s.auto_scaling]
        self.metric_ms = min([MS_PER_MINUTE, *resolutions])
        self.metrics = CloudWatchMetrics(self.world, self.traffic, self.capacity.managed_scaling.reservation)
        self.alarms = CloudWatchAlarms(scenario.alarms, self.metrics, self.metric_ms)
        self.autoscaler = ServiceAutoscaler(
            scenario.services, self.metrics, self._scale_services, key_of, self.metric_ms
        )
        self.group_autoscaler = GroupAutoscaler(
            self.world,
            self.capacity,
            self.metrics,
            (self._set_capacity, self._bounds, self.scaling_activities.add),
            self.metric_ms,
        )
        self._scheduled_actions: dict[int, list[tuple[int, Any]]] = {}
        self._connect_agendas()
        self._start(task_sets)
        self.series_sampler = SeriesSampler(
            self.world, self.recorder, self.traffic, self.scheduler, self.capacity
        )
        self.cost_ledger = CostLedger(self.world, self.recorder)
        self._schedule_first_wakeups()

    # --- assembling ----------------------------------------------------------------------------------------

    def _build_world(self, replication: int) -> tuple[World, TaskSets]:
        """Build the fixed tables; all memberOf constraints are compiled first, as they fix the number of fact rows."""
        scenario = self.scenario
        self._plans = plan_run_tasks(scenario)
        groups, _ = payer_groups(scenario)
        task_sets = TaskSets(scenario, replication, groups)
        definitions = {d.key for d in scenario.task_definitions}
        for number, service in enumerate(scenario.services):
            for key, _ in service.behaviors:
                if key in definitions:
                    task_sets.program(service_spec(scenario, service, number, key))
        for plan in self._plans:
            for spec in plan.specs:
                task_sets.program(spec)
        size = len(scenario.services) + len(groups) + len(scenario.actions) + 4
        return empty_world(scenario, replication, size, task_sets.facts.count), task_sets

    def _connect_agendas(self) -> None:
        """Create an agenda per concern, in the order of `ORDER`, and give controllers those they wake."""
        acts: dict[str, Callable[[int], None]] = {
            "failures": self.failures.act,
            "actions": self.actions.act,
            "calendar": self.calendar_driver.act,
            "metrics": self._end_metric_period,
            "schedules": self._apply_scheduled_actions,
            "scheduler": self.scheduler.act,
            "capacity": self.capacity.act,
            "costs": self._close_cost_interval,
            "series": self._sample_series,
        }
        self.agendas = {
            name: Agenda(self.env, FIRST_RANK + rank, name, acts[name]) for rank, name in enumerate(ORDER)
        }
        for controller in (self.failures, self.actions, self.scheduler, self.capacity):
            controller.calendar = self.agendas["calendar"]
        self.failures.agenda = self.agendas["failures"]
        self.failures.capacity = self.agendas["capacity"]
        self.failures.scheduler = self.agendas["scheduler"]
        self.actions.agenda = self.agendas["actions"]
        self.scheduler.agenda = self.agendas["scheduler"]
        self.capacity.agenda = self.agendas["capacity"]
        self.calendar_driver.agenda = self.agendas["calendar"]
        self.calendar_driver.scheduler = self.agendas["scheduler"]
        self.calendar_driver.capacity = self.agendas["capacity"]

    def _start(self, task_sets: TaskSets) -> None:
        """Carry out the first instant: register instances, create services and entries of runTasks."""
        scenario = self.scenario
        write_hazards(self.world, task_sets.replication, task_sets.distributions)
        for service in range(len(scenario.services)):
            self.scheduler.create_service(service, 0)
        self.calendar_driver.arrivals = add_run_tasks(self.world, task_sets, self._plans)
        self.failures.schedule_pool_events(task_sets.replication)
        self._plans = []
        table, values = task_sets.distributions.arrays()
        self.world.state = self.world.state._replace(distributions=table, distribution_values=values)
        self.capacity.begin(0)
        if scenario.initial_state == "running":
            self.capacity.managed_instances.launch_initial(self.scheduler.desired_by_task_set(), 0)
            self.scheduler.start_initial_tasks(0)
        for message in exceeded_quotas(scenario):
            self.events.log_quota(0, message)

    def _schedule_first_wakeups(self) -> None:
        """Schedule the first wake-up of every concern; each schedules its own next one."""
        scenario = self.scenario
        self.failures.schedule_wakeups()
        self.actions.schedule_wakeups()
        self.agendas["calendar"].wake_now()
        self.agendas["scheduler"].wake_now()
        self.agendas["capacity"].wake_now()
        has_metrics = any(s.load is not None or s.auto_scaling is not None for s in scenario.services)
        if has_metrics or scenario.alarms or any(group.policies for group in scenario.groups):
            self.agendas["metrics"].wake_at(self.metric_ms)
        self.agendas["series"].wake_at(scenario.warm_up_ms)
        if scenario.warm_up_ms:
            self.agendas["series"].wake_at(scenario.warm_up_ms - 1)
        self.agendas["costs"].wake_at(min(self.end_ms, scenario.warm_up_ms + self.cost_ledger.interval_ms))
        for number, service in enumerate(scenario.services):
            for action in service.auto_scaling.scheduled if service.auto_scaling else ():
                origin = scenario.start_ms - scenario.warm_up_ms
                for at in fire_times(action.schedule, origin, origin + self.end_ms, action.timezone):
                    self._scheduled_actions.setdefault(int(at) - origin, []).append((number, action))
        for at in sorted(self._scheduled_actions):
            self.agendas["schedules"].wake_at(at)

    # --- running -------------------------------------------------------------------------------------------

    def run(self, progress: Progress | None = None) -> Outcome:
        """Run from the first instant to the end and close the tables.

        `progress` is load_sections with the share of the simulated time that has passed.
        """
        started = time.process_time()
        if progress is not None:
            self.env.process(self._report_progress(progress))
        if self.checked:
            self._run_checked()
        else:
            self.env.run(until=self.end_ms)
        self.world.state.clock.now = self.end_ms
        self._advance_load(self.end_ms)
        self.cost_ledger.close_interval(self.end_ms, end=True)
        self.series_sampler.end(self.end_ms)
        self.traffic.sample()
        self._flush_ended()
        refresh_wait_reasons(self.world.core, self.end_ms)
        self.task_writer.close()
        self.scheduler.write_deployments(self.recorder)
        self.events.flush()
        self.scaling_activities.flush()
        simulated = time.process_time() - started
        rows = self.recorder.close()
        summary = summarise(self.world, self.task_writer, self.cost_ledger, self.traffic)
        counts = {name: agenda.acts for name, agenda in self.agendas.items()}
        counts["entries"] = int(self.world.state.counters.entries_done)
        timings = {
            "simulation_cpu_s": simulated,
            "write_cpu_s": self.recorder.write_cpu_s,
        }
        return Outcome(summary, rows, timings, counts)

    def _run_checked(self) -> None:
        """Run with the invariants checked at every instant."""
        checker = InvariantChecker(self.world)
        while self.env.peek() < self.end_ms:
            self.env.step()
            if self.env.peek() > self.env.now:
                checker.check()

    def _report_progress(self, progress: Progress) -> Any:
        """Report the share of simulated time that has passed; a SimPy process."""
        step = max(1, self.end_ms // PROGRESS_STEPS)
        while True:
            yield self.env.timeout(step)
            progress(float(self.env.now) / self.end_ms)

    def _flush_ended(self) -> None:
        self.capacity.report_terminations()
        self.events.flush()
        self.cost_ledger.read_ended()
        self.task_writer.write_ended()
        self.capacity.forget_reported()

    # --- concerns that are only wiring ---------------------------------------------------------------------

    def _end_metric_period(self, now: int) -> None:
        """End a metric period: advance the load, then update the metrics, alarms and scaling policies that use it."""
        self._advance_load(now)
        self.metrics.update(now)
        if self.alarms.evaluate(now):
            self.scheduler.recheck_deployment_alarms()
        services = self.world.state.services
        self.autoscaler.tick(now, services["running"], services["desired"], services["deploying"])
        self.group_autoscaler.tick(now)
        if kill_over_memory_limit(self.world, self.traffic, now):
            self.agendas["calendar"].wake_now()
        self.agendas["metrics"].wake_at(now + self.metric_ms)

    def _advance_load(self, now: int) -> None:
        """Advance the load since the last metric period with the tasks that were there."""
        self.traffic.tick(now, self.world.task_times(now), self.world.take_target_changes())

    def _in_alarm(self, name: str) -> bool:
        return self.alarms.in_alarm(name)

    def _apply_scheduled_actions(self, now: int) -> None:
        for service, action in self._scheduled_actions.pop(now, []):
            desired = int(self.world.state.services[service]["desired"])
            self.autoscaler.apply_scheduled_action(now, service, action, desired)

    def _close_cost_interval(self, now: int) -> None:
        self.cost_ledger.close_interval(now, end=False)
        self.agendas["costs"].wake_at(now + self.cost_ledger.interval_ms)

    def _sample_series(self, now: int) -> None:
        if (
            now < self.scenario.warm_up_ms
        ):  # the last instant of the warm-up: placement failures from `start` on count
            self.world.state.placement_failures[:] = 0
            return
        if now == self.scenario.warm_up_ms:
            self.traffic.sample()
            self.traffic.begin_summary()
            self.series_sampler.begin(now)
        else:
            self.series_sampler.sample(now)
        self.agendas["series"].wake_at(now + self.series_sampler.interval_ms)

    def _set_desired(self, service: int, count: int, cause: str) -> None:
        now = int(self.env.now)
        before = int(self.world.state.services[service]["desired"])
        self.events.log_desired_count(now, service, before, count, cause)
        self.scheduler.set_desired(service, count, now)

    def _scale_services(self, now: int, moves: Array) -> None:
        """Carry out the decisions of Service Auto Scaling."""
        self.scaling_activities.add_service_scaling(now, moves, self.autoscaler.origins)
        services, counts = (np.ascontiguousarray(moves[name]) for name in ("target", "count"))
        self.scheduler.set_all_desired(services, counts, now)

    def _set_capacity(self, group: int, count: int, cause: str) -> None:
        """Set a group's capacity for a scaling policy; for virtual machines, their service's desired count."""
        machines = self.scenario.groups[group].machines
        if machines is None:
            self.capacity.set_desired(group, count)
        else:
            self._set_desired(self.world.names.services.index(machines.service), count, cause)

    def _bounds(self, group: int) -> CapacityBounds:
        """Return the bounds between which the policies of a group may move its capacity."""
        settings = self.scenario.groups[group]
        if settings.machines is None:
            return CapacityBounds(settings.min_size, settings.max_size)
        return self.autoscaler.bounds(self.world.names.services.index(settings.machines.service))
