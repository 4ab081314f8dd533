"""The ECS service scheduler: reconciles each service that was marked dirty.

A service is marked dirty when one of its tasks started, stopped, became healthy or unhealthy, and when its settings or
desired count changed. This module decides which controller reconciles it (replicas, daemons, virtual machines, traffic
shifting, zone rebalancing), in which order, and when the service is steady. Knows nothing of load or cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from clustersim.control.agendas import Agendas
from clustersim.control.capacity.capacity import CapacityController
from clustersim.control.events.service_events import EventLog
from clustersim.control.load.traffic import Traffic
from clustersim.control.services.daemons import Daemons
from clustersim.control.services.deployments import Deployments, InAlarm
from clustersim.control.services.due_services import DueServices
from clustersim.control.services.live_tasks import count_live, live_tasks
from clustersim.control.services.plan_applier import PlanApplier
from clustersim.control.services.plans import Plan
from clustersim.control.services.replicas import Replicas
from clustersim.control.services.service_state import COMPLETED, FAILED, IN_PROGRESS, ServiceRecord
from clustersim.control.services.traffic_shifting import TrafficShifting
from clustersim.control.services.virtual_machines import VirtualMachineServices
from clustersim.control.services.zone_rebalancing import ZoneRebalancing
from clustersim.engine.compiled import Array
from clustersim.record.recorder import Recorder
from clustersim.world.build.task_set_tables import TaskSets
from clustersim.world.scheduling.commands import create_healthy_tasks, set_desired
from clustersim.world.scheduling.service_tasks import is_settled, report_steady
from clustersim.world.scheduling.steady_services import reconcile_steady
from clustersim.world.state.world import World
from clustersim.world.tasks.health import BY_TARGET

Decider = Callable[[ServiceRecord, int], Plan]
"""What plans the next step of a service at an instant (ms)."""


class Scheduler:
    """The scheduler of all services; its agenda calls `act`."""

    def __init__(
        self,
        world: World,
        task_sets: TaskSets,
        traffic: Traffic,
        capacity: CapacityController,
        events: EventLog,
        in_alarm: InAlarm,
        agendas: Agendas,
    ) -> None:
        self.world = world
        self.events = events
        self._calendar = agendas.calendar
        self.due = DueServices(world, agendas)
        self.records = [ServiceRecord(n, service) for n, service in enumerate(world.scenario.services)]
        self.capacity = capacity
        self.deployments = Deployments(world, task_sets, traffic, events, in_alarm)
        self.applier = PlanApplier(world, self.deployments, capacity, events, self.due)
        self.replicas = Replicas(world)
        self.daemons = Daemons(world)
        self.virtual_machines = VirtualMachineServices(world, self.daemons)
        self.traffic_shifting = TrafficShifting(world, self.applier, self.deployments, traffic, self.due)
        self.rebalancing = ZoneRebalancing(world)
        for record in self.records:
            self._store_minimum_percent(record)
        self._any_on_virtual_machines = any(record.on_virtual_machines for record in self.records)

    # --- requests ------------------------------------------------------------------------------------------

    def create_service(self, service: int, now: int) -> None:
        """Create a service with its first deployment (CreateService)."""
        self.deploy(service, self.world.scenario.services[service].task_definition, now)
        self.set_desired(service, self.world.scenario.services[service].desired_count, now)

    def update_service(self, service: int, changes: Mapping[str, Any]) -> None:
        """Change fields of a service (UpdateService); `deploy` creates a deployment."""
        record = self.records[service]
        record.settings = record.settings.model_copy(update=dict(changes))
        self._store_minimum_percent(record)
        if "health_check_grace_ms" in changes:
            for deployment in record.deployments:
                self.world.state.sets.rows[deployment.task_set]["grace_ms"] = changes["health_check_grace_ms"]
        self.world.state.services.rows[service]["steady_reported"] = 0
        self.due.mark_dirty(service)

    def deploy(self, service: int, definition_key: str, now: int) -> None:
        """Begin a PRIMARY deployment of a revision; older ones are replaced according to the deployment strategy."""
        record = self.records[service]
        self.applier.apply(record, self.rebalancing.interrupt(record), now)
        shifting = record.settings.deployment.strategy != "ROLLING" and self._has_tasks(record)
        self.deployments.begin(record, definition_key, now)
        if shifting:
            self.traffic_shifting.begin(record, now)
        self.world.state.services.rows[service]["deploying"] = 1
        self.due.mark_dirty(service)

    def change_desired(self, service: int, count: int, cause: str, now: int) -> None:
        """Change the desired count of a service, and log the cause."""
        before = int(self.world.state.services.rows[service]["desired"])
        self.events.log_desired_count(now, service, before, count, cause)
        self.set_desired(service, count, now)

    def set_desired(self, service: int, count: int, now: int) -> None:
        """Set the desired count of a service."""
        self.set_all_desired(np.array([service]), np.array([count]), now)

    def set_all_desired(self, services: Array, counts: Array, now: int) -> None:
        """Set the desired counts of several services.

        A steady service stays with the compiled code, which can change counts.
        """
        set_desired(self.world.core, services, counts, now)
        if self._any_on_virtual_machines:
            for service, count in zip(services.tolist(), counts.tolist(), strict=True):
                if self.records[service].on_virtual_machines:
                    group = self.world.names.pools.index(str(self.records[service].settings.machines))
                    self.capacity.set_desired(group, count)
        self.due.mark(services)

    def primary_definition(self, service: int) -> str:
        """Return the task definition of the PRIMARY deployment, such as `web:2`."""
        return self.records[service].primary.definition_key

    def desired_by_task_set(self) -> dict[int, int]:
        """Return each service's desired count by the task set of its PRIMARY deployment."""
        services = self.world.state.services.rows
        return {record.primary.task_set: int(services[record.number]["desired"]) for record in self.records}

    def recheck_deployment_alarms(self) -> None:
        """Mark dirty the services with a deployment in progress that an alarm may fail."""
        for record in self.records:
            if record.settings.deployment.alarms is not None and record.primary.state == IN_PROGRESS:
                self.due.mark_dirty(record.number)

    def start_initial_tasks(self, now: int) -> None:
        """Start every service at its desired count, healthy, at the first instant (`initialState: running`)."""
        for record in self.records:
            if record.is_daemon:
                continue
            row = record.primary.task_set
            desired = int(self.world.state.services.rows[record.number]["desired"])
            self.world.make_room(2 * desired + 64)
            create_healthy_tasks(self.world.core, row, self.world.first_shape[row], desired, now)

    def write_deployments(self, recorder: Recorder) -> None:
        """Write the table of deployments with their final state."""
        for record in self.records:
            self.deployments.update_counts(record)
        self.deployments.write_table(recorder)

    def _store_minimum_percent(self, record: ServiceRecord) -> None:
        """Store the share of the desired count from which a service is available, for the next desired count on."""
        percent = record.settings.deployment.minimum_healthy_percent
        self.world.state.services.rows[record.number]["minimum_healthy_percent"] = percent

    def _has_tasks(self, record: ServiceRecord) -> bool:
        return any(count_live(self.world, each) > 0 for each in record.deployments)

    def _update_daemon_sets(self) -> None:
        """Store the task sets of which every eligible new instance gets a task.

        The FAILED deployment of a daemon service starts nothing.
        """
        rows = [
            record.primary.task_set
            for record in self.records
            if record.deployments
            and (record.on_virtual_machines or (record.is_daemon and record.primary.state != FAILED))
        ]
        if rows != self.world.state.services.daemons.tolist():
            state = self.world.state
            self.world.state = state._replace(
                services=state.services._replace(daemons=np.array(rows, np.int64))
            )

    # --- acting --------------------------------------------------------------------------------------------

    def act(self, now: int) -> None:
        """Reconcile every dirty service, in the order of the scenario file."""
        order = np.array(sorted(self.due.take(now) | self._find_uneven()), np.int64)
        position = 0
        while True:
            position = reconcile_steady(self.world.core, order, position, now)
            if position == order.size:
                break
            record = self.records[order[position]]
            self._reconcile(record, now)
            self._hand_over(record)
            position += 1
        self._calendar.wake_now()

    def _find_uneven(self) -> set[int]:
        """Return the steady services that capacity new to a zone allows to spread more evenly."""
        counters = self.world.state.counters
        if not counters.zones_changed:
            return set()
        counters.zones_changed = 0
        services = self.world.state.services.rows
        uneven = {n for n in self.rebalancing.uneven_services() if services[n]["steady_reported"]}
        for service in uneven:
            self.records[service].check_zones = True
            services[service]["steady"] = 0
        return uneven

    def _reconcile(self, record: ServiceRecord, now: int) -> None:
        """Move one service one step towards its desired state."""
        self._report_unhealthy_targets(record, now)
        self.deployments.fail_if_unsuccessful(record, now)
        if record.shift is None:
            self.deployments.drop_drained(record)
        if record.shift is not None:
            self.traffic_shifting.reconcile(record, now)
        elif record.is_daemon:
            self._update_daemon_sets()
            self._update_daemon_desired(record, now)
            self._carry_out(record, now, self.daemons.plan_stops, self.daemons.plan_starts)
        elif record.on_virtual_machines:
            self._update_daemon_sets()
            machines = self.virtual_machines
            self._carry_out(
                record, now, machines.plan_removals, machines.plan_refresh, machines.plan_restarts
            )
        else:
            if record.moving_task >= 0:
                self._carry_out(record, now, self.rebalancing.plan_continuation)
            self._carry_out(record, now, self.replicas.plan_scale_in, self.replicas.plan_step)
        self._update_steady_state(record, now)
        deploying = record.primary.state == IN_PROGRESS
        self.world.state.services.rows[record.number]["deploying"] = deploying

    def _report_unhealthy_targets(self, record: ServiceRecord, now: int) -> None:
        """Log a service event for each target that has newly become unhealthy."""
        state = self.world.state
        if sum(int(state.sets.rows[each.task_set]["unhealthy"]) for each in record.deployments) == 0:
            record.reported_unhealthy.clear()
            return
        slots = live_tasks(self.world, record, record.deployments)
        for slot in slots[state.tasks.rows["unhealthy"][slots] == BY_TARGET][::-1]:
            t = state.tasks.rows[slot]
            task_id = int(t["task_id"])
            if task_id not in record.reported_unhealthy:
                record.reported_unhealthy.add(task_id)
                group = self.world.names.target_groups[int(t["set"])]
                self.events.log_target_unhealthy(now, record.number, task_id, int(t["instance_id"]), group)

    def _carry_out(self, record: ServiceRecord, now: int, *deciders: Decider) -> None:
        """Carry out the plans of these deciders; each sees what the plans before it have done."""
        for decide in deciders:
            self.applier.apply(record, decide(record, now), now)

    def _hand_over(self, record: ServiceRecord) -> None:
        """Hand a service with nothing in progress to compiled code until it is marked dirty.

        `world.scheduling.steady_services` handles it. The world then holds everything that code needs; state that only
        the controllers hold must be empty.
        """
        row = self.world.state.services.rows[record.number]
        primary = record.primary
        no_deployment = record.shift is None and len(record.deployments) == 1 and primary.state == COMPLETED
        balanced = record.moving_task < 0 and record.rebalanced and not record.check_zones
        row["steady"] = (
            no_deployment
            and balanced
            and not record.is_daemon
            and not record.on_virtual_machines
            and primary.seen_ran > 0
            and record.failed_rounds == record.failures_seen == record.refusal == 0
            and record.no_room_epoch < 0
            and not record.reported_unhealthy
            and not self._fargate_may_refuse(primary.task_set)
        )
        row["rebalances_zones"] = record.settings.zone_rebalancing
        row["primary"], row["never_ran"] = primary.task_set, primary.seen_never_ran

    def _fargate_may_refuse(self, row: int) -> bool:
        """Return whether one of several strategy items of a task set may refuse a task that another accepts."""
        state = self.world.state
        s = state.sets.rows[row]
        items = state.sets.strategy_items[s["first_item"] : s["first_item"] + s["item_count"]]
        return items.size > 1 and bool(items["fargate"].any())

    def _update_daemon_desired(self, record: ServiceRecord, now: int) -> None:
        """Set a daemon service's desired count to the number of instances it runs on."""
        count = self.daemons.count_desired(record)
        if count != int(self.world.state.services.rows[record.number]["desired"]):
            self.set_desired(record.number, count, now)
            self.due.unmark(record.number)

    def _update_steady_state(self, record: ServiceRecord, now: int) -> None:
        """Log once that a service has reached a steady state, and complete its deployment."""
        if record.shift is not None:
            return
        if self.deployments.meets_early_success(record):
            self.deployments.complete(record, record.primary, now)
        if len(record.deployments) > 1 or record.moving_task >= 0:
            return
        row = record.primary.task_set
        if not is_settled(self.world.core, row) or self.world.state.sets.rows[row]["leaving"] > 0:
            return
        until = self.deployments.complete_or_bake(record, now)
        if until is not None:
            self.due.reconcile_at(record.number, until)
            return
        if not self.world.state.services.rows[record.number]["steady_reported"]:
            record.check_zones = True
            self.world.make_room_for_events(1)
            report_steady(self.world.core, record.number, now)
        if record.check_zones:
            self._carry_out(record, now, self.rebalancing.plan_move)
