"""The service scheduler: desired against actual, and the difference acted upon.

Looks at services that rang (a task started, stopped, became healthy; a desired count changed) and starts or
stops tasks within the deployment's limits. It decides how many; where a task goes is the placer's choice, which
task is stopped that of `policy.victims`. Launches are rate-limited, and held back step by step while tasks fail
to start (MODEL.md). Knows nothing of load or money.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from clustersim.control.event_words import EventLog
from clustersim.engine.agenda import Agenda
from clustersim.engine.compiled import Array
from clustersim.policy.victims import scratch_for
from clustersim.vocabulary import MS_PER_MINUTE, MS_PER_SECOND, StopCode, StoppedReason, TaskState
from clustersim.world.accounts import touch_service
from clustersim.world.orders import pick_victims, start_healthy, start_tasks, stop_tasks, tasks_of_group
from clustersim.world.tables import BELL_SCHEDULER, BELLS, CAPACITY_EPOCH, CLOSEST, DIRTY, REFUSED
from clustersim.world.task_sets import TaskSets, service_spec
from clustersim.world.waiting import why_refused
from clustersim.world.world import World

CYCLE_MS = MS_PER_SECOND  # ECS publishes no cycle length; the launch rate is dealt out once a second
RETRY_MS = 10 * MS_PER_SECOND  # how soon a service that found no room looks again, if room was made meanwhile
THROTTLE_FIRST_MS = 10 * MS_PER_SECOND
THROTTLE_LONGEST_MS = 27 * MS_PER_MINUTE  # Developer Guide: service throttle logic
THROTTLE_EVENT_AFTER = 3  # failed rounds before ECS says that it cannot consistently start tasks

SCHEDULER_INITIATED = int(StopCode.ServiceSchedulerInitiated)
SCALING_ACTIVITY = int(StoppedReason.SCALING_ACTIVITY)


def throttle_delay_ms(failed_rounds: int) -> int:
    """How long launches pause after so many rounds in which tasks failed to start.

    AWS publishes only the longest pause, 27 minutes; doubling from 10 s is our choice (MODEL.md).
    """
    if failed_rounds <= 0:
        return 0
    return min(THROTTLE_FIRST_MS << min(failed_rounds - 1, 20), THROTTLE_LONGEST_MS)


def healthy_bounds(desired: int, minimum_percent: int, maximum_percent: int) -> tuple[int, int]:
    """(lower, upper) bound of the task count during a deployment: ceil and floor.

    Source: botocore, DeploymentConfiguration.
    """
    return math.ceil(desired * minimum_percent / 100), math.floor(desired * maximum_percent / 100)


@dataclass
class ServiceRecord:
    """What the scheduler remembers of one service between its looks."""

    tokens: float = 1.0  # launches allowed now
    refilled_ms: int = 0
    failed_rounds: int = 0
    failures_seen: int = 0
    paused_until_ms: int = 0
    short_since_epoch: int = -1  # the capacity epoch in which it found no room; -1: it has room
    refused: int = 0  # why Fargate refused its last task; 0: it did not
    steady: bool = False
    deployments: list[int] = field(default_factory=list)  # sets with live tasks, the PRIMARY last


class Scheduler:
    """One for all services; `act` is called by its agenda."""

    def __init__(
        self,
        world: World,
        task_sets: TaskSets,
        events: EventLog,
        on_deployment: Callable[[int, int, str], None],
    ) -> None:
        self.world = world
        self.task_sets = task_sets
        self.events = events
        self.on_deployment = on_deployment
        self.agenda: Agenda
        self.calendar: Agenda
        self.records = [ServiceRecord() for _ in world.scenario.services]
        self.next_deployment = 1
        self._waiting: set[int] = set()
        self._later: dict[int, set[int]] = {}
        rate = world.scenario.cluster.service_launch_per_minute
        self._tokens_per_ms = rate / MS_PER_MINUTE
        # A cycle's worth, and the part of a task that the cycle before could not launch.
        self._most_tokens = 1.0 + rate / MS_PER_MINUTE * CYCLE_MS

    # --- what others ask for -------------------------------------------------------------------------------

    def create_service(self, service: int, now: int) -> None:
        """CreateService: the first deployment of a service."""
        self.deploy(service, self.world.scenario.services[service].task_definition, now)
        self.set_desired(service, self.world.scenario.services[service].desired_count, now)

    def deploy(self, service: int, definition_key: str, now: int) -> None:
        """A new PRIMARY deployment with a revision; older ones are replaced under the healthy percents."""
        number = self.next_deployment
        self.next_deployment += 1
        row = self.task_sets.add(
            self.world, service_spec(self.world.scenario, service, definition_key), number
        )
        record = self.records[service]
        record.deployments.append(row)
        record.failed_rounds = record.failures_seen = record.paused_until_ms = 0
        record.steady = False
        self.on_deployment(row, now, "IN_PROGRESS")
        self.look_at(service)

    def set_desired(self, service: int, count: int, now: int) -> None:
        """A new desired count, whoever asked for it."""
        touch_service(self.world.core, service, now)
        row = self.world.state.services[service]
        row["desired"] = count
        percent = self.world.scenario.services[service].minimum_healthy_percent
        row["threshold"] = math.ceil(count * percent / 100)
        self.records[service].steady = False
        self.look_at(service)

    def definition_of(self, service: int) -> str:
        """The task definition of the PRIMARY deployment, `web:2`."""
        row = self.records[service].deployments[-1]
        return self.world.names.definitions[int(self.world.state.sets[row]["definition"])]

    def look_at(self, service: int) -> None:
        """Reconcile this service at the present instant."""
        self._waiting.add(service)
        self.agenda.ring()

    def start_running(self, now: int) -> None:
        """`initialState: running`: every service at its desired count, healthy, at the first instant."""
        for service, record in enumerate(self.records):
            row = record.deployments[-1]
            desired = int(self.world.state.services[service]["desired"])
            self.world.make_room(2 * desired + 64)
            start_healthy(self.world.core, row, self.world.first_shape[row], desired, now)

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
        todo = sorted(rang | self._waiting | self._later.pop(now, set()))
        self._waiting.clear()
        for service in todo:
            self._reconcile(service, now)
        self.calendar.ring()

    def _reconcile(self, service: int, now: int) -> None:
        """Bring one service one step nearer to its desired count."""
        record = self.records[service]
        self._forget_drained(record)
        state = self.world.state
        desired = int(state.services[service]["desired"])
        primary = state.sets[record.deployments[-1]]
        fresh = int(primary["provisioning"] + primary["pending"] + primary["running"] - primary["leaving"])
        total = sum(self._live(row) for row in record.deployments)
        if fresh > desired:
            self._stop(service, [record.deployments[-1]], fresh - desired, now, keep_leaving=True)
        elif total > fresh:
            self._roll(service, record, desired, fresh, total, now)
        elif fresh < desired:
            self._start(service, record, desired - fresh, now)
        self._note_steady(service, record, desired, now)

    def _live(self, row: int) -> int:
        s = self.world.state.sets[row]
        return int(s["provisioning"] + s["pending"] + s["running"])

    def _forget_drained(self, record: ServiceRecord) -> None:
        """Drop older deployments whose last task has left."""
        if len(record.deployments) > 1:
            kept = [row for row in record.deployments[:-1] if self._live(row) > 0]
            record.deployments = [*kept, record.deployments[-1]]

    def _roll(
        self, service: int, record: ServiceRecord, desired: int, fresh: int, total: int, now: int
    ) -> None:
        """One step of a rolling update, or of replacing tasks on draining instances (section 3.1).

        Start while the total stays within floor(maximum); stop what is old while the healthy stay at or above
        ceil(minimum). Old tasks that are not healthy go first: they hold nothing up.
        """
        of = self.world.scenario.services[service]
        lower, upper = healthy_bounds(desired, of.minimum_healthy_percent, of.maximum_percent)
        if fresh < desired and total < upper:
            self._start(service, record, min(desired - fresh, upper - total), now)
        state = self.world.state
        old_sets = record.deployments[:-1]
        old_healthy = sum(int(state.sets[row]["healthy"]) for row in old_sets)
        old = sum(self._live(row) for row in old_sets)
        leaving = int(state.sets[record.deployments[-1]]["leaving"])
        all_healthy = int(state.services[service]["healthy"])
        spare = max(0, all_healthy - lower)
        stoppable = min(old, (old - old_healthy) + min(old_healthy, spare))
        if stoppable > 0:
            self._stop(service, old_sets, stoppable, now, keep_leaving=False)
            spare -= min(spare, stoppable)
        if leaving > 0 and spare > 0:
            self._stop_leaving(service, record.deployments[-1], min(leaving, spare), now)
        blocked = stoppable == 0 and min(leaving, spare) == 0 and total >= upper and fresh < desired
        if blocked and all_healthy >= total and lower >= total:
            self.events.deployment_blocked(now, service)

    # --- starting ------------------------------------------------------------------------------------------

    def _start(self, service: int, record: ServiceRecord, count: int, now: int) -> None:
        """Start up to `count` tasks of the PRIMARY deployment, as fast as ECS would."""
        row = record.deployments[-1]
        if self._pause(service, record, row, now):
            return
        if record.short_since_epoch == int(self.world.state.clock[CAPACITY_EPOCH]):
            self._again(service, now + RETRY_MS)
            return
        passed = now - record.refilled_ms
        record.tokens = min(self._most_tokens, record.tokens + passed * self._tokens_per_ms)
        record.refilled_ms = now
        allowed = min(count, int(record.tokens))
        started = 0
        if allowed > 0:
            self.world.make_room(2 * allowed + 64)
            ids = np.zeros(allowed, np.int64)
            started = int(start_tasks(self.world.core, row, self.world.first_shape[row], allowed, now, ids))
            record.tokens -= started
            record.steady = False
            if started:
                self.events.started(now, service, ids[:started])
        if started < allowed:
            self._found_no_room(service, record, row, now)
        else:
            record.short_since_epoch = -1
            record.refused = 0
            if count > started:
                self._again(service, now + CYCLE_MS)

    def _pause(self, service: int, record: ServiceRecord, row: int, now: int) -> bool:
        """Whether launches are held back because tasks keep failing to start (section 2.6)."""
        failures = int(self.world.state.sets[row]["failed_starts"])
        if failures == 0:
            record.failed_rounds = 0
        elif failures != record.failures_seen and now >= record.paused_until_ms:
            record.failed_rounds += 1
            record.paused_until_ms = now + throttle_delay_ms(record.failed_rounds)
            if record.failed_rounds == THROTTLE_EVENT_AFTER:
                self.events.cannot_start(now, service)
        record.failures_seen = failures
        if record.failed_rounds and now < record.paused_until_ms:
            self._again(service, record.paused_until_ms)
            return True
        return False

    def _found_no_room(self, service: int, record: ServiceRecord, row: int, now: int) -> None:
        """Launch type EC2 and nothing fits, or Fargate refuses: ECS says why, and looks again later."""
        state = self.world.state
        refused = int(state.clock[REFUSED])
        if refused:
            if refused != record.refused:
                self.events.not_placed(now, service, refused, -1)
            record.refused = refused
            self._again(service, now + RETRY_MS)
            return
        first_time = record.short_since_epoch < 0
        record.short_since_epoch = int(state.clock[CAPACITY_EPOCH])
        code = why_refused(self.world.core, self.world.first_shape[row])
        host = int(state.clock[CLOSEST])
        if first_time:
            instance = int(state.instances[host]["instance_id"]) if host >= 0 else -1
            self.events.not_placed(now, service, int(code), instance)
        self._again(service, now + RETRY_MS)

    def _again(self, service: int, at_ms: int) -> None:
        """Look at this service again at `at_ms`."""
        self._later.setdefault(at_ms, set()).add(service)
        self.agenda.wake_at(at_ms)

    # --- stopping ------------------------------------------------------------------------------------------

    def _candidates(self, service: int, sets: list[int], keep_leaving: bool) -> Array:
        """The slots of the service's tasks of `sets` that are not stopping."""
        state = self.world.state
        live = state.services[service]
        out = np.zeros(int(live["provisioning"] + live["pending"] + live["running"]), np.int64)
        slots = out[: tasks_of_group(self.world.core, service, out)]
        tasks = state.tasks[slots]
        mask = np.isin(tasks["set"], sets)
        if keep_leaving:
            mask &= tasks["leaving"] == 0
        return slots[mask]

    def _stop(self, service: int, sets: list[int], count: int, now: int, keep_leaving: bool) -> None:
        """Stop `count` tasks of `sets`: not yet running ones first, then as the strategy says (section 2.4)."""
        state = self.world.state
        slots = self._candidates(service, sets, keep_leaving)
        tasks = state.tasks[slots]
        starting = slots[tasks["state"] < TaskState.RUNNING]
        chosen = list(starting[:count])
        unwell = slots[(tasks["state"] == TaskState.RUNNING) & (tasks["healthy"] < 0)]
        chosen += list(unwell[: count - len(chosen)])
        left = count - len(chosen)
        if left > 0:
            settled = slots[(tasks["state"] == TaskState.RUNNING) & (tasks["healthy"] >= 0)]
            chosen += list(settled[self._victims(service, sets[-1], settled, left)])
        self._stop_slots(service, np.array(chosen, np.int64), now)

    def _victims(self, service: int, row: int, slots: Array, count: int) -> Array:
        """Which of the tasks in `slots` the placement strategy gives up first."""
        state = self.world.state
        victims = np.zeros(min(count, slots.size), np.int64)
        places = np.zeros((2, slots.size), np.int64)
        work = scratch_for(state.hosts, slots.size, state.zone_counts.shape[1])
        ordinal = int(state.services[service]["ordinal"])
        pick_victims(self.world.core, row, ordinal, slots, places, victims, work)
        return victims

    def _stop_leaving(self, service: int, row: int, count: int, now: int) -> None:
        """Stop tasks on draining instances, oldest first."""
        slots = self._candidates(service, [row], keep_leaving=False)
        leaving = slots[self.world.state.tasks[slots]["leaving"] == 1]
        self._stop_slots(service, np.ascontiguousarray(leaving[::-1][:count]), now)

    def _stop_slots(self, service: int, slots: Array, now: int) -> None:
        """Give the order and say so."""
        if slots.size == 0:
            return
        self.world.make_room(2 * int(slots.size) + 64)
        state = self.world.state
        ids = state.tasks["task_id"][slots]
        running = state.tasks["state"][slots] == TaskState.RUNNING
        stop_tasks(self.world.core, slots, now, SCHEDULER_INITIATED, SCALING_ACTIVITY)
        self.records[service].steady = False
        self.events.stopped(now, service, ids[running])

    # --- steady state --------------------------------------------------------------------------------------

    def _note_steady(self, service: int, record: ServiceRecord, desired: int, now: int) -> None:
        """Say, once, that a service has reached a steady state; its deployment is then COMPLETED."""
        if record.steady or len(record.deployments) > 1:
            return
        state = self.world.state
        s = state.sets[record.deployments[-1]]
        settled = int(s["running"]) == desired == int(s["healthy"]) and s["provisioning"] + s["pending"] == 0
        if settled and s["leaving"] == 0:
            record.steady = True
            self.events.steady(now, service)
            self.on_deployment(record.deployments[-1], now, "COMPLETED")
