"""The service scheduler: looks at every service that rang and brings it nearer to what is wanted.

A service rings when a task started, stopped, became healthy or unhealthy, and when somebody changed what is wanted
of it. This module decides who looks at it (replicas, daemons, a shift of traffic, zone rebalancing) and in which
order, and when the service is steady. Knows nothing of load or money.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clustersim.control.capacity.capacity import Capacity
from clustersim.control.events.service_events import EventLog
from clustersim.control.load.traffic import Traffic
from clustersim.control.services.daemons import Daemons
from clustersim.control.services.deployments import InAlarm, Rollouts
from clustersim.control.services.replicas import Replicas
from clustersim.control.services.service_state import COMPLETED, FAILED, IN_PROGRESS, ServiceRecord
from clustersim.control.services.task_starter import Starter
from clustersim.control.services.task_stopper import Stopper
from clustersim.control.services.traffic_shifting import Shifts
from clustersim.control.services.virtual_machines import Machines
from clustersim.control.services.zone_rebalancing import Rebalancing
from clustersim.engine.agenda import Agenda
from clustersim.engine.compiled import Array
from clustersim.record.recorder import Recorder
from clustersim.world.build.task_set_tables import TaskSets
from clustersim.world.scheduling.commands import set_desired, start_healthy
from clustersim.world.scheduling.steady_services import look_at_calm
from clustersim.world.state.tables import BELL_SCHEDULER, BELLS, DIRTY, ZONES_CHANGED
from clustersim.world.state.world import World


class Scheduler:
    """One for all services; `act` is called by its agenda."""

    def __init__(
        self,
        world: World,
        task_sets: TaskSets,
        traffic: Traffic,
        capacity: Capacity,
        events: EventLog,
        in_alarm: InAlarm,
    ) -> None:
        self.world = world
        self.events = events
        self.agenda: Agenda
        self.calendar: Agenda
        self.records = [ServiceRecord(n, service) for n, service in enumerate(world.scenario.services)]
        self.starter = Starter(world, events, self._again)
        self.stopper = Stopper(world, events)
        self.rollouts = Rollouts(world, task_sets, traffic, events, in_alarm)
        parts = (world, self.starter, self.stopper, self.rollouts)
        self.replicas = Replicas(*parts, events)
        self.daemons = Daemons(*parts, events)
        self.machines = Machines(world, capacity, self.daemons)
        self.shifts = Shifts(*parts, traffic, self._again)
        self.rebalancing = Rebalancing(world, self.starter, self.stopper, events)
        for record in self.records:
            self._write_percent(record)
        self._any_machines = any(record.on_machines for record in self.records)
        self._waiting: set[int] = set()
        self._later: dict[int, set[int]] = {}

    # --- what others ask for -------------------------------------------------------------------------------

    def create_service(self, service: int, now: int) -> None:
        """CreateService: the first deployment of a service."""
        self.deploy(service, self.world.scenario.services[service].task_definition, now)
        self.set_desired(service, self.world.scenario.services[service].desired_count, now)

    def update_service(self, service: int, changes: Mapping[str, Any]) -> None:
        """UpdateService: fields of the service that change; a deployment is asked for by `deploy`."""
        record = self.records[service]
        record.settings = record.settings.model_copy(update=dict(changes))
        self._write_percent(record)
        if "health_check_grace_ms" in changes:
            for rollout in record.deployments:
                self.world.state.sets[rollout.row]["grace_ms"] = changes["health_check_grace_ms"]
        self.world.state.services[service]["steady"] = 0
        self.look_at(service)

    def deploy(self, service: int, definition_key: str, now: int) -> None:
        """A new PRIMARY deployment with a revision; older ones are replaced as the strategy says."""
        record = self.records[service]
        self.rebalancing.interrupt(record, now)
        shifting = record.settings.deployment.strategy != "ROLLING" and self._has_tasks(record)
        self.rollouts.begin(record, definition_key, now)
        if shifting:
            self.shifts.begin(record, now)
        self.world.state.services[service]["deploying"] = 1
        self.look_at(service)

    def set_desired(self, service: int, count: int, now: int) -> None:
        """A new desired count, whoever asked for it."""
        self.set_all_desired(np.array([service]), np.array([count]), now)

    def set_all_desired(self, services: Array, counts: Array, now: int) -> None:
        """New desired counts of several services. A calm one stays calm: compiled code can count."""
        set_desired(self.world.core, services, counts, now)
        if self._any_machines:
            for service, count in zip(services.tolist(), counts.tolist(), strict=True):
                if self.records[service].on_machines:
                    self.machines.resize(self.records[service], count)
        self._waiting.update(services.tolist())
        self.agenda.ring()

    def definition_of(self, service: int) -> str:
        """The task definition of the PRIMARY deployment, `web:2`."""
        return self.records[service].primary.key

    def wanted(self) -> dict[int, int]:
        """By the task set of each PRIMARY deployment: the service's desired count."""
        services = self.world.state.services
        return {record.primary.row: int(services[record.number]["desired"]) for record in self.records}

    def look_at(self, service: int) -> None:
        """Reconcile this service at the present instant."""
        self.world.state.services[service]["calm"] = 0  # this look is the scheduler's own
        self._waiting.add(service)
        self.agenda.ring()

    def look_at_watched(self) -> None:
        """A metric period is over: services look whose deployment an alarm may fail."""
        for record in self.records:
            if record.settings.deployment.alarms is not None and record.primary.state == IN_PROGRESS:
                self.look_at(record.number)

    def start_running(self, now: int) -> None:
        """`initialState: running`: every service at its desired count, healthy, at the first instant."""
        for record in self.records:
            if record.daemon:
                continue
            row = record.primary.row
            desired = int(self.world.state.services[record.number]["desired"])
            self.world.make_room(2 * desired + 64)
            start_healthy(self.world.core, row, self.world.first_shape[row], desired, now)

    def write(self, recorder: Recorder) -> None:
        """The table of deployments, as all of them stand at the end."""
        for record in self.records:
            self.rollouts.catch_up(record)
        self.rollouts.write(recorder)

    def _write_percent(self, record: ServiceRecord) -> None:
        """From which share of the desired count on a service is available; it counts from the next one on."""
        percent = record.settings.deployment.minimum_healthy_percent
        self.world.state.services[record.number]["least_percent"] = percent

    def _has_tasks(self, record: ServiceRecord) -> bool:
        return any(self.rollouts.live(each) > 0 for each in record.deployments)

    def _note_daemons(self) -> None:
        """Which task sets a new instance must have a task of, as far as it takes them; a daemon's FAILED deployment
        starts nothing."""
        rows = [
            record.primary.row
            for record in self.records
            if record.deployments
            and (record.on_machines or (record.daemon and record.primary.state != FAILED))
        ]
        if rows != self.world.state.daemons.tolist():
            self.world.state = self.world.state._replace(daemons=np.array(rows, np.int64))

    def _again(self, service: int, at_ms: int) -> None:
        """Look at this service again at `at_ms`."""
        self._later.setdefault(at_ms, set()).add(service)
        self.agenda.wake_at(at_ms)

    # --- acting --------------------------------------------------------------------------------------------

    def act(self, now: int) -> None:
        """Reconcile every service that rang, in the order of the file."""
        state = self.world.state
        clock = state.clock
        rang = {int(service) for service in state.dirty[: clock[DIRTY]]}
        for service in rang:
            state.services[service]["dirty"] = 0
        clock[DIRTY] = 0
        clock[BELLS] &= ~BELL_SCHEDULER
        wanted = rang | self._waiting | self._later.pop(now, set()) | self._unbalanced()
        todo = np.array(sorted(wanted), np.int64)
        self._waiting.clear()
        position = 0
        while True:
            position = look_at_calm(self.world.core, todo, position, now)
            if position == todo.size:
                break
            record = self.records[todo[position]]
            self._reconcile(record, now)
            self._release(record)
            position += 1
        self.calendar.ring()

    def _unbalanced(self) -> set[int]:
        """If a zone has capacity that it had not: the steady services that may now be spread more evenly."""
        clock = self.world.state.clock
        if not clock[ZONES_CHANGED]:
            return set()
        clock[ZONES_CHANGED] = 0
        services = self.world.state.services
        found = {n for n in self.rebalancing.uneven() if services[n]["steady"]}
        for service in found:
            self.records[service].look_at_zones = True
            services[service]["calm"] = 0
        return found

    def _reconcile(self, record: ServiceRecord, now: int) -> None:
        """Bring one service one step nearer to what is wanted of it."""
        self.stopper.tell_unwell(record, now)
        self.rollouts.judge(record, now)
        if record.shift is None:
            self.rollouts.forget_drained(record)
        if record.shift is not None:
            self.shifts.keep(record, now)
        elif record.daemon:
            self._note_daemons()
            self._count_daemons(record, now)
            self.daemons.keep(record, now)
        elif record.on_machines:
            self._note_daemons()
            self.machines.keep(record, now)
        else:
            if record.moving_task >= 0:
                self.rebalancing.go_on(record, now)
            self.replicas.keep(record, now)
        self._note_steady(record, now)
        deploying = record.primary.state == IN_PROGRESS
        self.world.state.services[record.number]["deploying"] = deploying

    def _release(self, record: ServiceRecord) -> None:
        """Leave a service with which nothing is under way to compiled code (`world.scheduling.steady_services`),
        until a look is asked for.

        All that it needs to know is in the world then; what it cannot know must be as if it were not there.
        """
        row = self.world.state.services[record.number]
        primary = record.primary
        undisturbed = record.shift is None and len(record.deployments) == 1 and primary.state == COMPLETED
        at_rest = record.moving_task < 0 and record.rebalanced and not record.look_at_zones
        row["calm"] = (
            undisturbed
            and at_rest
            and not record.daemon
            and not record.on_machines
            and primary.seen_ran > 0
            and record.failed_rounds == record.failures_seen == record.refused == 0
            and record.short_since_epoch < 0
            and not record.told_unwell
            and not self._may_be_refused(primary.row)
        )
        row["balances"] = record.settings.zone_rebalancing
        row["primary"], row["never_ran"] = primary.row, primary.seen_never_ran

    def _may_be_refused(self, row: int) -> bool:
        """Whether one of several lanes of a task set may refuse a task while another takes one."""
        state = self.world.state
        s = state.sets[row]
        lanes = state.lanes[s["first_lane"] : s["first_lane"] + s["lanes"]]
        return lanes.size > 1 and bool(lanes["fargate"].any())

    def _count_daemons(self, record: ServiceRecord, now: int) -> None:
        """A daemon service's desired count is that of the instances it runs on."""
        count = self.daemons.desired(record)
        if count != int(self.world.state.services[record.number]["desired"]):
            self.set_desired(record.number, count, now)
            self._waiting.discard(record.number)

    def _note_steady(self, record: ServiceRecord, now: int) -> None:
        """Say, once, that a service has reached a steady state; its deployment is then COMPLETED."""
        if record.shift is not None:
            return
        if self.rollouts.settles_early(record):
            self.rollouts.complete(record, record.primary, now)
        if len(record.deployments) > 1 or record.moving_task >= 0:
            return
        s = self.world.state.sets[record.primary.row]
        service = self.world.state.services[record.number]
        desired = int(service["desired"])
        settled = int(s["running"]) == desired == int(s["healthy"]) and s["provisioning"] + s["pending"] == 0
        if not settled or s["leaving"] > 0:
            return
        until = self.rollouts.note_settled(record, now)
        if until is not None:
            self._again(record.number, until)
        if until is not None:
            return
        if not service["steady"]:
            service["steady"] = record.look_at_zones = True
            self.events.steady(now, record.number)
        if record.look_at_zones:
            self.rebalancing.look(record, now)
