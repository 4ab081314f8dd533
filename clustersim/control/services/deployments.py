"""Deployments: how they begin, when they are complete or have failed, and what a failure is followed by.

Decides with the circuit breaker and the deployment's alarms; goes back to the last completed deployment where the
service asks for that. How many tasks move at a time is `control.services.replicas`', how traffic moves
`control.services.traffic_shifting`'. Remembers every deployment and writes `deployments` at the end.

ECS Developer Guide: deployment circuit breaker, deployment alarms. Stage 1, while no task of the deployment has
been RUNNING, counts tasks that fail to start; stage 2 those that are replaced for failing health checks. What exits
by itself after RUNNING is no failure of a deployment.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from clustersim.control.events.service_events import EventLog
from clustersim.control.load.traffic import Traffic
from clustersim.control.services.service_state import COMPLETED, FAILED, IN_PROGRESS, Rollout, ServiceRecord
from clustersim.policy.load.fluid_tables import BY_TARGETS
from clustersim.policy.tasks.deployment import breaker_threshold
from clustersim.record.recorder import Recorder
from clustersim.scenario.resolve.deployment import alarm_ms
from clustersim.world.build.task_set_specs import service_spec
from clustersim.world.build.task_set_tables import TaskSets
from clustersim.world.state.world import World

InAlarm = Callable[[str], bool]


class Rollouts:
    """One for all services."""

    def __init__(
        self, world: World, task_sets: TaskSets, traffic: Traffic, events: EventLog, in_alarm: InAlarm
    ) -> None:
        self.world = world
        self.task_sets = task_sets
        self.traffic = traffic
        self.events = events
        self.in_alarm = in_alarm
        self.all: list[tuple[int, Rollout]] = []  # (service, deployment), in order of creation
        self._alarms = {str(alarm["alarmName"]): alarm for alarm in world.scenario.alarms}

    # --- beginning -----------------------------------------------------------------------------------------

    def begin(self, record: ServiceRecord, key: str, now: int) -> Rollout:
        """A new PRIMARY deployment of a service with a revision."""
        number = len(self.all) + 1
        spec = service_spec(self.world.scenario, record.settings, record.number, key)
        row = self.task_sets.add(self.world, spec, number)
        words = f"ECS deployment ecs-svc/{number} in progress."
        rollout = Rollout(row, number, key, now, reason=words, first=not record.deployments)
        if record.deployments and record.primary.state == IN_PROGRESS:
            record.primary.reason = f"ECS deployment {record.primary.name} superseded by {rollout.name}."
        alarms = record.settings.deployment.alarms
        rollout.alarms_off = alarms is not None and any(self.in_alarm(name) for name in alarms.names)
        record.deployments.append(rollout)
        record.failed_rounds = record.failures_seen = record.paused_until_ms = 0
        self.world.state.services[record.number]["steady"] = 0
        self.all.append((record.number, rollout))
        self.traffic.open(record.number, row, key)
        if not rollout.first:
            self.events.deployment(
                now, record.number, rollout.name, "SERVICE_DEPLOYMENT_IN_PROGRESS", "in progress"
            )
        return rollout

    def forget_drained(self, record: ServiceRecord) -> None:
        """Drop older deployments whose last task has left."""
        kept = [each for each in record.deployments[:-1] if self.live(each) > 0]
        for each in record.deployments[:-1]:
            if each not in kept:
                self.traffic.close(each.row)
        record.deployments = [*kept, record.primary]

    def live(self, rollout: Rollout) -> int:
        """The tasks of a deployment that are not stopping."""
        s = self.world.state.sets[rollout.row]
        return int(s["provisioning"] + s["pending"] + s["running"])

    # --- judging -------------------------------------------------------------------------------------------

    def judge(self, record: ServiceRecord, now: int) -> None:
        """Look at how the PRIMARY deployment has gone since the last look; it may have failed."""
        rollout = record.primary
        self.catch_up(record)
        if rollout.state != IN_PROGRESS:
            return
        alarm = self._alarm_of(record, rollout)
        if alarm is not None:
            alarms = record.settings.deployment.alarms
            words = f"ECS deployment alarms: alarm {alarm} is in state ALARM."
            self.fail(record, rollout, now, words, alarms is not None and alarms.rollback)
            return
        breaker = record.settings.deployment.circuit_breaker
        if breaker is None or record.shift is not None:  # only of rolling updates
            return
        threshold = breaker_threshold(rollout.desired, breaker.threshold_type, breaker.threshold_value)
        if rollout.failures >= threshold:
            words = "ECS deployment circuit breaker: tasks failed to start."
            if int(self.world.state.sets[rollout.row]["ran"]) > 0:
                words = "ECS deployment circuit breaker: tasks failed health checks."
            self.fail(record, rollout, now, words, breaker.rollback)

    def catch_up(self, record: ServiceRecord) -> None:
        """Bring what is remembered of the PRIMARY deployment up to date with its task set."""
        rollout = record.primary
        rollout.desired = int(self.world.state.services[record.number]["desired"])
        s = self.world.state.sets[rollout.row]
        breaker = record.settings.deployment.circuit_breaker
        if int(s["settled"]) > rollout.seen_settled:
            rollout.failed_tasks = 0
            if breaker is None or breaker.reset_on_healthy_task:
                rollout.failures = 0
        failed = int(s["never_ran"]) - rollout.seen_never_ran
        if failed > 0:
            rollout.failed_tasks += failed
            if rollout.seen_ran == 0:
                rollout.failures += failed
        rollout.seen_never_ran, rollout.seen_settled = int(s["never_ran"]), int(s["settled"])
        rollout.seen_ran = int(s["ran"])

    def count_replaced(self, rollout: Rollout, count: int) -> None:
        """So many tasks of a deployment are replaced for failing their health checks."""
        rollout.failed_tasks += count
        if rollout.seen_ran > 0:
            rollout.failures += count

    def _alarm_of(self, record: ServiceRecord, rollout: Rollout) -> str | None:
        """The alarm that fails a deployment; one that was in ALARM at its beginning turns all of them off."""
        alarms = record.settings.deployment.alarms
        if alarms is None or rollout.alarms_off:
            return None
        return next((name for name in alarms.names if self.in_alarm(name)), None)

    # --- ending --------------------------------------------------------------------------------------------

    def fail(self, record: ServiceRecord, rollout: Rollout, now: int, words: str, rollback: bool) -> None:
        """A deployment has FAILED: it starts no more tasks; the service goes back if it may."""
        rollout.state, rollout.completed_ms, rollout.reason = FAILED, now, words
        detail = words.partition(": ")[2] or words
        self.events.deployment(
            now, record.number, rollout.name, "SERVICE_DEPLOYMENT_FAILED", f"failed: {detail.rstrip('.')}"
        )
        back = record.completed
        if not rollback or back is None or back is rollout:
            return
        record.completed = None
        back.state, back.rolling_back = IN_PROGRESS, True
        back.bake_until_ms = back.completed_ms = None
        alarms = record.settings.deployment.alarms
        back.alarms_off = alarms is not None and any(self.in_alarm(name) for name in alarms.names)
        back.reason = f"ECS deployment circuit breaker: rolling back to deploymentId {back.name}."
        record.deployments = [each for each in record.deployments if each is not back] + [back]
        record.failed_rounds = record.paused_until_ms = 0
        record.failures_seen = int(self.world.state.sets[back.row]["failed_starts"])
        self.traffic.open(record.number, back.row, back.key)
        self.events.rolling_back(now, record.number, back.name)

    def note_settled(self, record: ServiceRecord, now: int) -> int | None:
        """All tasks of the PRIMARY deployment are healthy, and no older one is left: it is COMPLETED.

        With alarms it bakes first: the instant at which that is over, to be looked at again; else None.
        """
        rollout = record.primary
        if rollout.state != IN_PROGRESS:
            return None
        alarms = record.settings.deployment.alarms
        if alarms is not None and not rollout.alarms_off and not rollout.first:
            if rollout.bake_until_ms is None:
                rollout.bake_until_ms = now + max(alarm_ms(self._alarms[name]) for name in alarms.names)
            if now < rollout.bake_until_ms:
                return rollout.bake_until_ms
        self.complete(record, rollout, now)
        return None

    def settles_early(self, record: ServiceRecord) -> bool:
        """Whether the early success criteria of a rolling deployment are met."""
        early = record.settings.deployment.early_success
        rollout = record.primary
        if early is None or rollout.state != IN_PROGRESS or (early.blocking and len(record.deployments) > 1):
            return False
        enough = math.ceil(rollout.desired * early.healthy_percent / 100)
        return int(self.world.state.sets[rollout.row]["healthy"]) >= enough

    def complete(self, record: ServiceRecord, rollout: Rollout, now: int) -> None:
        """A deployment is COMPLETED."""
        rollout.state, rollout.completed_ms = COMPLETED, now
        rollout.reason = f"ECS deployment {rollout.name} completed."
        record.completed = rollout
        if len(record.deployments) == 1:
            self.traffic.shift(now, {rollout.row: BY_TARGETS})
        self.events.deployment(now, record.number, rollout.name, "SERVICE_DEPLOYMENT_COMPLETED", "completed")

    # --- remembering ---------------------------------------------------------------------------------------

    def write(self, recorder: Recorder) -> None:
        """The table of deployments."""
        names = self.world.names
        for service, rollout in self.all:
            recorder.append_row(
                "deployments",
                deployment_id=rollout.name,
                service=names.services[service],
                task_definition=rollout.key.partition("@")[0],  # on virtual machines it says whose
                created_at=rollout.created_ms,
                completed_at=rollout.completed_ms,
                rollout_state=rollout.state,
                rollout_state_reason=rollout.reason,
                failed_tasks=rollout.failed_tasks,
                desired_count=rollout.desired,
            )
