"""Carries out the plans of the controllers of services.

Passes each step to the part that knows it: starts to `task_starter`, stops to `task_stopper`, machines to the
controller of capacity, reports to the event log. It must not decide how many tasks start or stop; the controllers do.
"""

from __future__ import annotations

from typing import assert_never

from clustersim.control.capacity.capacity import CapacityController
from clustersim.control.events.service_events import EventLog
from clustersim.control.services.deployments import Deployments
from clustersim.control.services.due_services import DueServices
from clustersim.control.services.plans import (
    FillHosts,
    LookAgain,
    MoveToZone,
    Plan,
    ReplaceMachines,
    ReportBlocked,
    ReportRebalancing,
    RestartOnHosts,
    SetRefreshExtra,
    StartTasks,
    StopInZone,
    StopLeaving,
    StopOlder,
    StopSurplus,
    StopTasks,
    StopUnhealthy,
)
from clustersim.control.services.service_state import ServiceRecord
from clustersim.control.services.task_starter import TaskStarter
from clustersim.control.services.task_stopper import TaskStopper
from clustersim.vocabulary import MS_PER_MINUTE
from clustersim.world.state.world import World

REBALANCING_RETRY_MS = 5 * MS_PER_MINUTE  # until a zone without room is tried again; AWS publishes no value


class PlanApplier:
    """The plans of all services, carried out."""

    def __init__(
        self,
        world: World,
        deployments: Deployments,
        capacity: CapacityController,
        events: EventLog,
        due: DueServices,
    ) -> None:
        self._world = world
        self._starter = TaskStarter(world, events, due)
        self._stopper = TaskStopper(world, events)
        self._deployments = deployments
        self._capacity = capacity
        self._events = events
        self._due = due

    def apply(self, record: ServiceRecord, plan: Plan, now: int) -> None:
        """Carry out the steps of a plan in their order."""
        stopped = 0
        for step in plan:
            match step:
                case StartTasks(deployment, count):
                    self._starter.start(record, deployment, count, now)
                case FillHosts(deployment, hosts):
                    self._starter.fill_hosts(record, deployment, hosts, now)
                case RestartOnHosts(deployment, hosts):
                    self._starter.start_on_hosts(deployment, hosts, now)
                case MoveToZone(zone, fullest):
                    self._move_to_zone(record, zone, fullest, now)
                case ReplaceMachines(hosts, reason):
                    self._capacity.replace(self._group(record), hosts, now, reason)
                    self._world.state.services.rows[record.number]["steady_reported"] = 0
                case SetRefreshExtra(count):
                    self._capacity.set_refresh_extra(self._group(record), count)
                case ReportBlocked():
                    if stopped == 0:
                        self._events.log_deployment_blocked(now, record.number)
                case ReportRebalancing(state):
                    self._events.log_rebalancing(now, record.number, state)
                case LookAgain(at_ms):
                    self._due.reconcile_at(record.number, at_ms)
                case _:
                    stopped += self._stop(record, step, now)

    def _stop(
        self,
        record: ServiceRecord,
        step: StopSurplus | StopOlder | StopUnhealthy | StopLeaving | StopTasks | StopInZone,
        now: int,
    ) -> int:
        """Stop tasks; return how many."""
        match step:
            case StopSurplus(deployment, count):
                return self._stopper.stop_surplus(record, deployment, count, now)
            case StopOlder(count):
                return self._stopper.stop_older(record, count, now)
            case StopUnhealthy(deployment, count, counted):
                replaced = self._stopper.stop_unhealthy(record, deployment, count, now)
                if counted:
                    self._deployments.count_replaced(deployment, replaced)
                return replaced
            case StopLeaving(deployment, count):
                return self._stopper.stop_leaving(record, deployment, count, now)
            case StopTasks(slots):
                return self._stopper.stop_tasks(record, slots, now)
            case StopInZone(zone, kept_id):
                return self._stopper.stop_one_in_zone(record, zone, kept_id, now)
            case _:
                assert_never(step)

    def _move_to_zone(self, record: ServiceRecord, zone: int, fullest: int, now: int) -> None:
        """Start a task in a zone; without room or launch allowance there, try again later."""
        started = self._starter.start_in_zone(record, record.primary, zone, now)
        if started < 0:
            self._events.log_zone_without_room(now, record.number, self._world.names.zones[zone])
            record.check_zones = True
            self._due.reconcile_at(record.number, now + REBALANCING_RETRY_MS)
            return
        record.moving_task, record.moving_from = started, fullest

    def _group(self, record: ServiceRecord) -> int:
        """Return the number of the group of a service's virtual machines."""
        return self._world.names.pools.index(str(record.settings.machines))
