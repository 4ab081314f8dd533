"""Assembles world, controllers and recorder, and runs them: wiring, no behaviour.

`ORDER` is the written order of concerns at one instant: first what happens to the cluster, then what routine
life does with it, then what is observed, then decisions from the broadest to the narrowest; last the meter,
which sees the settled instant.
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

from clustersim.control.billing.cost_ledger import Ledger
from clustersim.control.calendar_driver import Routine
from clustersim.control.capacity.capacity import Capacity
from clustersim.control.environment.failure_timetable import Failures
from clustersim.control.environment.scripted_operations import Actions
from clustersim.control.environment.service_quotas import exceeded_quotas
from clustersim.control.events.scaling_activities import ActivityLog
from clustersim.control.events.service_events import EventLog
from clustersim.control.load.oom_kills import kill_beyond_memory
from clustersim.control.load.traffic import Traffic
from clustersim.control.results.run_summary import summarise
from clustersim.control.results.series_sampler import Meter
from clustersim.control.results.task_table_writer import Journal
from clustersim.control.scaling.cloudwatch_alarms import AlarmBoard
from clustersim.control.scaling.cloudwatch_metrics import Measures
from clustersim.control.scaling.group_autoscaler import GroupScaling
from clustersim.control.scaling.service_autoscaler import Autoscaler
from clustersim.control.services.scheduler import Scheduler
from clustersim.control.standalone_tasks.run_tasks import add_entries, plan_entries
from clustersim.engine.agenda import Agenda
from clustersim.engine.compiled import Array
from clustersim.engine.random_streams import stream_key
from clustersim.policy.scaling.service_scaling import Bounds
from clustersim.record.recorder import Format, Recorder
from clustersim.record.schema import tables_of
from clustersim.scenario.aws.schedule_expressions import instants
from clustersim.scenario.sections.scenario import Scenario
from clustersim.vocabulary import MS_PER_MINUTE
from clustersim.world.build.build_world import empty_world, group_names
from clustersim.world.build.hazard_tables import write_risks
from clustersim.world.build.task_set_specs import service_spec
from clustersim.world.build.task_set_tables import TaskSets
from clustersim.world.checks.invariants import SecondReading
from clustersim.world.scheduling.provisioning import renew_reasons
from clustersim.world.state.tables import ENTRIES_DONE, NOW
from clustersim.world.state.world import World

ORDER = (
    "failures",
    "actions",
    "calendar",
    "metrics",
    "schedules",
    "scheduler",
    "capacity",
    "ledger",
    "meter",
)
FIRST_RANK = 10  # SimPy keeps 0 and 1 for itself
PROGRESS_STEPS = 200

Progress = Callable[[float], None]


@dataclass
class Outcome:
    """What a run leaves beside its tables."""

    summary: dict[str, Any]
    rows: dict[str, int]
    timings: dict[str, float]
    counts: dict[str, int]


class Simulation:
    """One run of one scenario with one replication's luck."""

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
        self.world, task_sets = self._populate(replication)
        origin = scenario.start_ms - scenario.warm_up_ms
        words: dict[Any, Any] = Journal.vocabularies(self.world)
        tables = tables_of(scenario.sampling.cost_per_resource)
        self.recorder = Recorder(directory, fmt, words, origin_ms=origin, tables=tables)
        self.events = EventLog(self.world, self.recorder)
        self.activities = ActivityLog(self.recorder, self.events)
        self.journal = Journal(self.world, self.recorder)
        luck = partial(stream_key, scenario.seed, replication)
        called = (scenario.services, scenario.task_definitions, scenario.roles, scenario.target_groups)
        self.traffic = Traffic(*called, luck)
        self.capacity = Capacity(self.world, task_sets, self.events, self.activities.add)
        self.scheduler = Scheduler(
            self.world, task_sets, self.traffic, self.capacity, self.events, self._in_alarm
        )
        self.routine = Routine(
            self.world, self.env, self.end_ms, (self._take_chunks, self.events.empty), checked
        )
        self.failures = Failures(self.world, self.capacity.launcher, self.events)
        self.actions = Actions(self.world, self.scheduler, self.capacity, self.events)
        resolutions = [s.auto_scaling.metric_resolution_ms for s in scenario.services if s.auto_scaling]
        self.metric_ms = min([MS_PER_MINUTE, *resolutions])
        self.measures = Measures(self.world, self.traffic, self.capacity.scaling.reservation)
        self.alarm_board = AlarmBoard(scenario.alarms, self.measures, self.metric_ms)
        self.autoscaler = Autoscaler(scenario.services, self.measures, self._scale_services, self.metric_ms)
        self.group_scaling = GroupScaling(
            self.world,
            self.capacity,
            self.measures,
            (self._set_capacity, self._bounds, self.activities.add),
            self.metric_ms,
        )
        self._schedules: dict[int, list[tuple[int, Any]]] = {}
        self._wire()
        self._begin(task_sets)
        self.meter = Meter(self.world, self.recorder, self.traffic, self.scheduler, self.capacity)
        self.ledger = Ledger(self.world, self.recorder)
        self._set_alarms()

    # --- assembling ----------------------------------------------------------------------------------------

    def _populate(self, replication: int) -> tuple[World, TaskSets]:
        """The fixed tables; all memberOf constraints are compiled first, as they fix the rows of facts."""
        scenario = self.scenario
        self._plans = plan_entries(scenario)
        groups, _ = group_names(scenario)
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

    def _wire(self) -> None:
        """An agenda per concern, in the written order."""
        acts: dict[str, Callable[[int], None]] = {
            "failures": self.failures.act,
            "actions": self.actions.act,
            "calendar": self.routine.act,
            "metrics": self._measure,
            "schedules": self._apply_schedules,
            "scheduler": self.scheduler.act,
            "capacity": self.capacity.act,
            "ledger": self._read_accounts,
            "meter": self._sample,
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
        self.routine.agenda = self.agendas["calendar"]
        self.routine.scheduler = self.agendas["scheduler"]
        self.routine.capacity = self.agendas["capacity"]

    def _begin(self, task_sets: TaskSets) -> None:
        """The first instant: instances are registered, services and entries created."""
        scenario = self.scenario
        write_risks(scenario, self.world.state.classes, task_sets.distributions)
        for service in range(len(scenario.services)):
            self.scheduler.create_service(service, 0)
        self.routine.arrivals = add_entries(self.world, task_sets, self._plans)
        self.failures.draw_pool_events(task_sets.replication)
        self._plans = []
        table, values = task_sets.distributions.arrays()
        self.world.state = self.world.state._replace(distributions=table, values=values)
        self.capacity.begin(0)
        if scenario.initial_state == "running":
            self.capacity.managed.launch_first(self.scheduler.wanted(), 0)
            self.scheduler.start_running(0)
        for message in exceeded_quotas(scenario):
            self.events.quota(0, message)

    def _set_alarms(self) -> None:
        """The first alarm of every concern; each sets its own next one."""
        scenario = self.scenario
        self.failures.schedule()
        self.actions.schedule()
        self.agendas["calendar"].ring()
        self.agendas["scheduler"].ring()
        self.agendas["capacity"].ring()
        watched = any(s.load is not None or s.auto_scaling is not None for s in scenario.services)
        if watched or scenario.alarms or any(group.policies for group in scenario.groups):
            self.agendas["metrics"].wake_at(self.metric_ms)
        self.agendas["meter"].wake_at(scenario.warm_up_ms)
        if scenario.warm_up_ms:
            self.agendas["meter"].wake_at(scenario.warm_up_ms - 1)
        self.agendas["ledger"].wake_at(min(self.end_ms, scenario.warm_up_ms + self.ledger.step_ms))
        for number, service in enumerate(scenario.services):
            for action in service.auto_scaling.scheduled if service.auto_scaling else ():
                origin = scenario.start_ms - scenario.warm_up_ms
                for at in instants(action.schedule, origin, origin + self.end_ms, action.timezone):
                    self._schedules.setdefault(int(at) - origin, []).append((number, action))
        for at in sorted(self._schedules):
            self.agendas["schedules"].wake_at(at)

    # --- running -------------------------------------------------------------------------------------------

    def run(self, progress: Progress | None = None) -> Outcome:
        """Run from the first instant to the end and close the tables."""
        begun = time.process_time()
        if progress is not None:
            self.env.process(self._tell(progress))
        if self.checked:
            self._run_checked()
        else:
            self.env.run(until=self.end_ms)
        self.world.state.clock[NOW] = self.end_ms
        self._carry_load(self.end_ms)
        self.ledger.step(self.end_ms, end=True)
        self.meter.end(self.end_ms)
        self.traffic.sample()
        self._take_chunks()
        renew_reasons(self.world.core, self.end_ms)
        self.journal.close()
        self.scheduler.write(self.recorder)
        self.events.empty()
        self.activities.empty()
        simulated = time.process_time() - begun
        rows = self.recorder.close()
        summary = summarise(self.world, self.journal, self.ledger, self.traffic)
        counts = {name: agenda.acts for name, agenda in self.agendas.items()}
        counts["entries"] = int(self.world.state.clock[ENTRIES_DONE])
        timings = {
            "simulation_cpu_s": simulated,
            "write_cpu_s": self.recorder.write_cpu_s,
        }
        return Outcome(summary, rows, timings, counts)

    def _run_checked(self) -> None:
        """Run with the invariants checked at every instant."""
        reading = SecondReading(self.world)
        while self.env.peek() < self.end_ms:
            self.env.step()
            if self.env.peek() > self.env.now:
                reading.check()

    def _tell(self, progress: Progress) -> Any:
        """A SimPy process that reports how far the clock has come."""
        step = max(1, self.end_ms // PROGRESS_STEPS)
        while True:
            yield self.env.timeout(step)
            progress(float(self.env.now) / self.end_ms)

    def _take_chunks(self) -> None:
        self.capacity.say_failures()
        self.events.empty()
        self.ledger.take_chunks()
        self.journal.take_chunks()
        self.capacity.chunk_taken()

    # --- concerns that are only wiring ---------------------------------------------------------------------

    def _measure(self, now: int) -> None:
        """A metric period has ended: load first, then the policies that look at it."""
        self._carry_load(now)
        self.measures.take(now)
        if self.alarm_board.evaluate(now):
            self.scheduler.look_at_watched()
        services = self.world.state.services
        self.autoscaler.tick(now, services["running"], services["desired"], services["deploying"])
        self.group_scaling.tick(now)
        if kill_beyond_memory(self.world, self.traffic, now):
            self.agendas["calendar"].ring()
        self.agendas["metrics"].wake_at(now + self.metric_ms)

    def _carry_load(self, now: int) -> None:
        """What was asked since the last metric period, answered by the tasks there were."""
        self.traffic.tick(now, self.world.task_times(now), self.world.take_target_changes())

    def _in_alarm(self, name: str) -> bool:
        return self.alarm_board.in_alarm(name)

    def _apply_schedules(self, now: int) -> None:
        for service, action in self._schedules.pop(now, []):
            desired = int(self.world.state.services[service]["desired"])
            self.autoscaler.apply_scheduled(now, service, action, desired)

    def _read_accounts(self, now: int) -> None:
        self.ledger.step(now, end=False)
        self.agendas["ledger"].wake_at(now + self.ledger.step_ms)

    def _sample(self, now: int) -> None:
        if now < self.scenario.warm_up_ms:  # its last instant: refusals at `start` itself count
            self.world.state.refusals[:] = 0
            return
        if now == self.scenario.warm_up_ms:
            self.traffic.sample()
            self.traffic.begin_summary()
            self.meter.begin(now)
        else:
            self.meter.sample(now)
        self.agendas["meter"].wake_at(now + self.meter.interval_ms)

    def _set_desired(self, service: int, count: int, cause: str) -> None:
        now = int(self.env.now)
        before = int(self.world.state.services[service]["desired"])
        self.events.desired_count(now, service, before, count, cause)
        self.scheduler.set_desired(service, count, now)

    def _scale_services(self, now: int, moves: Array) -> None:
        """Service Auto Scaling has decided."""
        self.activities.scaled(now, moves, self.autoscaler.origins)
        services, counts = (np.ascontiguousarray(moves[name]) for name in ("target", "count"))
        self.scheduler.set_all_desired(services, counts, now)

    def _set_capacity(self, group: int, count: int, cause: str) -> None:
        """A scaling policy wants another capacity of a group; of virtual machines it is their service's count."""
        machines = self.scenario.groups[group].machines
        if machines is None:
            self.capacity.set_desired(group, count)
        else:
            self._set_desired(self.world.names.services.index(machines.service), count, cause)

    def _bounds(self, group: int) -> Bounds:
        """Between which capacities the policies of a group may move."""
        of = self.scenario.groups[group]
        if of.machines is None:
            return Bounds(of.min_size, of.max_size)
        return self.autoscaler.bounds(self.world.names.services.index(of.machines.service))
