"""Assembles world, controllers and recorder into one run: wiring, no behaviour.

Everything is constructed whole, in the order of this file: the agendas, the world, the results, the controllers that
measure, those that decide, and the workload of the first instant. `control.agendas` has the order of concerns at one
instant. `study.single_run` and the workers of a sweep construct and run a `Simulation`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import simpy

from clustersim.control.agendas import Agendas, create_agendas
from clustersim.control.billing.cost_ledger import CostLedger
from clustersim.control.calendar_driver import CalendarDriver
from clustersim.control.capacity.capacity import CapacityController
from clustersim.control.environment.failure_timetable import FailureTimetable
from clustersim.control.environment.scripted_operations import ScriptedOperations
from clustersim.control.environment.service_quotas import exceeded_quotas
from clustersim.control.events.scaling_activities import ScalingActivityLog
from clustersim.control.events.service_events import EventLog
from clustersim.control.load.traffic import Traffic
from clustersim.control.results.run_summary import summarise
from clustersim.control.results.series_sampler import SeriesSampler
from clustersim.control.results.task_table_writer import TaskTableWriter
from clustersim.control.scaling.cloudwatch_alarms import CloudWatchAlarms
from clustersim.control.scaling.cloudwatch_metrics import CloudWatchMetrics
from clustersim.control.scaling.group_autoscaler import GroupAutoscaler
from clustersim.control.scaling.metric_periods import MetricPeriods, metric_period_ms
from clustersim.control.scaling.scaling_targets import ScalingTargets
from clustersim.control.scaling.scheduled_actions import ScheduledActions
from clustersim.control.scaling.service_autoscaler import ServiceAutoscaler
from clustersim.control.services.scheduler import Scheduler
from clustersim.control.standalone_tasks.run_tasks import RunTaskPlan, add_run_tasks, plan_run_tasks
from clustersim.control.standalone_tasks.task_arrivals import TaskArrivals
from clustersim.engine.random_streams import stream_key
from clustersim.record.recorder import Format, Recorder
from clustersim.record.schema import run_tables
from clustersim.scenario.sections.scenario import Scenario
from clustersim.world.build.build_world import empty_world, payer_groups, task_group_names
from clustersim.world.build.hazard_tables import write_hazards
from clustersim.world.build.task_set_specs import service_spec
from clustersim.world.build.task_set_tables import TaskSets
from clustersim.world.checks.invariants import InvariantChecker
from clustersim.world.scheduling.provisioning import settle_wait_reasons
from clustersim.world.state.world import World

ORDER = Agendas._fields
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
        self.agendas = create_agendas(self.env)
        plans = plan_run_tasks(scenario)
        self.world, task_sets = _build_world(scenario, replication, plans)
        self._construct_results(directory, fmt)
        self._construct_controllers(task_sets, partial(stream_key, scenario.seed, replication))
        arrivals = self._begin(task_sets, plans)
        recorders = (self._write_ended, self.events.flush)
        self.calendar_driver = CalendarDriver(
            self.world, self.env, self.end_ms, arrivals, recorders, self.agendas, checked
        )
        self.series_sampler = SeriesSampler(
            self.world, self.recorder, self.traffic, self.scheduler, self.capacity, self.agendas
        )
        self._bind_agendas()
        self._schedule_first_wakeups()

    # --- assembling ----------------------------------------------------------------------------------------

    def _construct_results(self, directory: Path, fmt: Format) -> None:
        """Construct what remembers: the tables of the run, and their writers."""
        scenario, world = self.scenario, self.world
        origin = scenario.start_ms - scenario.warm_up_ms
        vocabularies: dict[Any, Any] = TaskTableWriter.vocabularies(world)
        tables = run_tables(scenario.sampling.cost_per_resource)
        self.recorder = Recorder(directory, fmt, vocabularies, origin_ms=origin, tables=tables)
        self.events = EventLog(world, self.recorder)
        self.scaling_activities = ScalingActivityLog(self.recorder, self.events)
        self.cost_ledger = CostLedger(world, self.recorder, self.agendas)
        self.task_writer = TaskTableWriter(world, self.recorder, self.cost_ledger.savings)

    def _construct_controllers(self, task_sets: TaskSets, key_of: Callable[[str], Any]) -> None:
        """Construct the controllers; each gets those that it asks or changes."""
        scenario, world, agendas = self.scenario, self.world, self.agendas
        self.traffic = Traffic(
            scenario.services, scenario.task_definitions, scenario.roles, scenario.target_groups, key_of
        )
        self.capacity = CapacityController(
            world, task_sets, self.events, self.scaling_activities.add, agendas
        )
        period_ms = metric_period_ms(scenario)
        metrics = CloudWatchMetrics(world, self.traffic, self.capacity.managed_scaling.reservation)
        alarms = CloudWatchAlarms(scenario.alarms, metrics, period_ms)
        self.scheduler = Scheduler(
            world, task_sets, self.traffic, self.capacity, self.events, alarms.in_alarm, agendas
        )
        targets = ScalingTargets(world, self.scheduler, self.capacity, self.scaling_activities)
        autoscaler = ServiceAutoscaler(scenario.services, metrics, targets.scale_services, key_of, period_ms)
        group_autoscaler = GroupAutoscaler(
            world, self.capacity, metrics, targets, autoscaler.bounds, period_ms
        )
        self.metric_periods = MetricPeriods(
            world, self.traffic, metrics, alarms, self.scheduler, (autoscaler, group_autoscaler), agendas
        )
        self.scheduled_actions = ScheduledActions(world, autoscaler, agendas)
        self.failures = FailureTimetable(world, self.capacity.launcher, self.events, agendas)
        self.actions = ScriptedOperations(world, self.scheduler, self.capacity, agendas)

    def _begin(self, task_sets: TaskSets, plans: list[RunTaskPlan]) -> TaskArrivals:
        """Carry out the first instant: create services and entries of runTasks, and register instances."""
        scenario = self.scenario
        write_hazards(self.world, task_sets.replication, task_sets.distributions)
        for service in range(len(scenario.services)):
            self.scheduler.create_service(service, 0)
        arrivals = add_run_tasks(self.world, task_sets, plans)
        self.failures.schedule_pool_events(task_sets.replication)
        task_sets.write_distributions(self.world)
        self.capacity.begin(0)
        if scenario.initial_state == "running":
            self.capacity.managed_instances.launch_initial(self.scheduler.desired_by_task_set(), 0)
            self.scheduler.start_initial_tasks(0)
        for message in exceeded_quotas(scenario):
            self.events.log_quota(0, message)
        return arrivals

    def _bind_agendas(self) -> None:
        """Bind each agenda to the controller that it calls."""
        agendas = self.agendas
        agendas.failures.bind(self.failures.act)
        agendas.actions.bind(self.actions.act)
        agendas.calendar.bind(self.calendar_driver.act)
        agendas.metrics.bind(self.metric_periods.act)
        agendas.schedules.bind(self.scheduled_actions.act)
        agendas.scheduler.bind(self.scheduler.act)
        agendas.capacity.bind(self.capacity.act)
        agendas.costs.bind(self.cost_ledger.act)
        agendas.series.bind(self.series_sampler.act)

    def _schedule_first_wakeups(self) -> None:
        """Schedule the first wake-up of every concern; each schedules its own next one."""
        self.failures.schedule_wakeups()
        self.actions.schedule_wakeups()
        self.agendas.calendar.wake_now()
        self.agendas.scheduler.wake_now()
        self.agendas.capacity.wake_now()
        self.metric_periods.schedule_wakeups()
        self.series_sampler.schedule_wakeups()
        self.cost_ledger.schedule_wakeups()
        self.scheduled_actions.schedule_wakeups()

    # --- running -------------------------------------------------------------------------------------------

    def run(self, progress: Progress | None = None) -> Outcome:
        """Run from the first instant to the end and close the tables.

        `progress` is called with the share of the simulated time that has passed.
        """
        started = time.process_time()
        if progress is not None:
            self.env.process(self._report_progress(progress))
        if self.checked:
            self._run_checked()
        else:
            self.env.run(until=self.end_ms)
        self.world.state.clock.now = self.end_ms
        self.metric_periods.advance_load(self.end_ms)
        self.cost_ledger.close_interval(self.end_ms, end=True)
        self.series_sampler.end(self.end_ms)
        self.traffic.sample()
        self._write_ended()
        settle_wait_reasons(self.world.core, self.end_ms)
        self.task_writer.close()
        self.scheduler.write_deployments(self.recorder)
        self.events.flush()
        self.scaling_activities.flush()
        simulated = time.process_time() - started
        rows = self.recorder.close()
        summary = summarise(self.world, self.task_writer, self.cost_ledger, self.traffic)
        counts = {agenda.name: agenda.acts for agenda in self.agendas}
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

    def _write_ended(self) -> None:
        """Write out the buffers of ended tasks and terminated instances, so that they can be emptied."""
        self.capacity.report_terminations()
        self.events.flush()
        self.cost_ledger.read_ended()
        self.task_writer.write_ended()
        self.capacity.forget_reported()


def _build_world(scenario: Scenario, replication: int, plans: list[RunTaskPlan]) -> tuple[World, TaskSets]:
    """Build the fixed tables; all memberOf constraints are compiled first, as they fix the number of fact rows."""
    payers, _ = payer_groups(scenario)
    task_sets = TaskSets(scenario, replication, task_group_names(scenario))
    definitions = {d.key for d in scenario.task_definitions}
    for number, service in enumerate(scenario.services):
        for key, _ in service.behaviors:
            if key in definitions:
                task_sets.program(service_spec(scenario, service, number, key))
    for plan in plans:
        for spec in plan.specs:
            task_sets.program(spec)
    size = len(scenario.services) + len(payers) + len(scenario.actions) + 4
    return empty_world(scenario, replication, size, task_sets.facts.count), task_sets
