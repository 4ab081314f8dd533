"""The lifecycle of deployments: creation, completion, failure and rollback.

Evaluates the circuit breaker and the deployment alarms, and rolls back to the last completed deployment where the
service asks for that. `control.services.replicas` decides how many tasks move at a time,
`control.services.traffic_shifting` how traffic moves. Keeps a record of every deployment and writes the table
`deployments` at the end of the run.

ECS Developer Guide: deployment circuit breaker, deployment alarms. Stage 1, while no task of the deployment has been
RUNNING, counts tasks that fail to start; stage 2 counts tasks that are replaced for failing health checks. A task that
exits by itself after RUNNING is no failure of a deployment.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from clustersim.control.events.service_events import EventLog
from clustersim.control.load.traffic import Traffic
from clustersim.control.services.live_tasks import count_live
from clustersim.control.services.service_state import (
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    DeploymentRecord,
    ServiceRecord,
)
from clustersim.policy.load.fluid_tables import BY_TARGETS
from clustersim.policy.tasks.deployment import breaker_threshold
from clustersim.record.recorder import Recorder
from clustersim.scenario.resolve.deployment import alarm_window_ms
from clustersim.world.build.task_set_specs import service_spec
from clustersim.world.build.task_set_tables import TaskSets
from clustersim.world.state.world import World

InAlarm = Callable[[str], bool]


class Deployments:
    """The deployments of all services."""

    def __init__(
        self, world: World, task_sets: TaskSets, traffic: Traffic, events: EventLog, in_alarm: InAlarm
    ) -> None:
        self.world = world
        self.task_sets = task_sets
        self.traffic = traffic
        self.events = events
        self.in_alarm = in_alarm
        self.records: list[tuple[int, DeploymentRecord]] = []  # (service, deployment), in order of creation
        self._alarms = {str(alarm["alarmName"]): alarm for alarm in world.scenario.alarms}

    # --- beginning -----------------------------------------------------------------------------------------

    def begin(self, record: ServiceRecord, definition_key: str, now: int) -> DeploymentRecord:
        """Create a new PRIMARY deployment of a service with the revision `definition_key`."""
        number = len(self.records) + 1
        spec = service_spec(self.world.scenario, record.settings, record.number, definition_key)
        row = self.task_sets.add(self.world, spec, number)
        reason = f"ECS deployment ecs-svc/{number} in progress."
        deployment = DeploymentRecord(
            row, number, definition_key, now, reason=reason, is_first=not record.deployments
        )
        if record.deployments and record.primary.state == IN_PROGRESS:
            record.primary.reason = f"ECS deployment {record.primary.name} superseded by {deployment.name}."
        alarms = record.settings.deployment.alarms
        deployment.alarms_ignored = alarms is not None and any(self.in_alarm(name) for name in alarms.names)
        record.deployments.append(deployment)
        record.failed_rounds = record.failures_seen = record.paused_until_ms = 0
        self.world.state.services.rows[record.number]["steady_reported"] = 0
        self.records.append((record.number, deployment))
        self.traffic.open_backend(record.number, row, definition_key)
        if not deployment.is_first:
            self.events.log_deployment(
                now, record.number, deployment.name, "SERVICE_DEPLOYMENT_IN_PROGRESS", "in progress"
            )
        return deployment

    def drop_drained(self, record: ServiceRecord) -> None:
        """Drop older deployments whose last task has stopped."""
        remaining = [each for each in record.deployments[:-1] if count_live(self.world, each) > 0]
        for each in record.deployments[:-1]:
            if each not in remaining:
                self.traffic.close_backend(each.task_set)
        record.deployments = [*remaining, record.primary]

    # --- evaluating -----------------------------------------------------------------------------------------

    def fail_if_unsuccessful(self, record: ServiceRecord, now: int) -> None:
        """Fail the PRIMARY deployment if an alarm or the circuit breaker says so."""
        deployment = record.primary
        self.update_counts(record)
        if deployment.state != IN_PROGRESS:
            return
        alarm = self._failing_alarm(record, deployment)
        if alarm is not None:
            alarms = record.settings.deployment.alarms
            reason = f"ECS deployment alarms: alarm {alarm} is in state ALARM."
            self.fail(record, deployment, now, reason, alarms is not None and alarms.rollback)
            return
        breaker = record.settings.deployment.circuit_breaker
        if breaker is None or record.shift is not None:  # the circuit breaker covers rolling updates only
            return
        threshold = breaker_threshold(deployment.desired, breaker.threshold_type, breaker.threshold_value)
        if deployment.failures >= threshold:
            reason = "ECS deployment circuit breaker: tasks failed to start."
            if int(self.world.state.sets.rows[deployment.task_set]["ran"]) > 0:
                reason = "ECS deployment circuit breaker: tasks failed health checks."
            self.fail(record, deployment, now, reason, breaker.rollback)

    def update_counts(self, record: ServiceRecord) -> None:
        """Update the counts in the record of the PRIMARY deployment from its task set."""
        deployment = record.primary
        deployment.desired = int(self.world.state.services.rows[record.number]["desired"])
        s = self.world.state.sets.rows[deployment.task_set]
        breaker = record.settings.deployment.circuit_breaker
        if int(s["became_healthy"]) > deployment.seen_became_healthy:
            deployment.failed_tasks = 0
            if breaker is None or breaker.reset_on_healthy_task:
                deployment.failures = 0
        failed = int(s["never_ran"]) - deployment.seen_never_ran
        if failed > 0:
            deployment.failed_tasks += failed
            if deployment.seen_ran == 0:
                deployment.failures += failed
        deployment.seen_never_ran, deployment.seen_became_healthy = (
            int(s["never_ran"]),
            int(s["became_healthy"]),
        )
        deployment.seen_ran = int(s["ran"])

    def count_replaced(self, deployment: DeploymentRecord, count: int) -> None:
        """Count `count` tasks of a deployment as replaced for failing their health checks."""
        deployment.failed_tasks += count
        if deployment.seen_ran > 0:
            deployment.failures += count

    def _failing_alarm(self, record: ServiceRecord, deployment: DeploymentRecord) -> str | None:
        """Return the alarm that fails a deployment; none does if one was in ALARM when the deployment began."""
        alarms = record.settings.deployment.alarms
        if alarms is None or deployment.alarms_ignored:
            return None
        return next((name for name in alarms.names if self.in_alarm(name)), None)

    # --- ending --------------------------------------------------------------------------------------------

    def fail(
        self, record: ServiceRecord, deployment: DeploymentRecord, now: int, reason: str, rollback: bool
    ) -> None:
        """Mark a deployment FAILED, so that it starts no more tasks; roll back if `rollback` is set and possible."""
        deployment.state, deployment.completed_ms, deployment.reason = FAILED, now, reason
        detail = reason.partition(": ")[2] or reason
        self.events.log_deployment(
            now, record.number, deployment.name, "SERVICE_DEPLOYMENT_FAILED", f"failed: {detail.rstrip('.')}"
        )
        target = record.completed
        if not rollback or target is None or target is deployment:
            return
        record.completed = None
        target.state, target.rolling_back = IN_PROGRESS, True
        target.bake_until_ms = target.completed_ms = None
        alarms = record.settings.deployment.alarms
        target.alarms_ignored = alarms is not None and any(self.in_alarm(name) for name in alarms.names)
        target.reason = f"ECS deployment circuit breaker: rolling back to deploymentId {target.name}."
        record.deployments = [each for each in record.deployments if each is not target] + [target]
        record.failed_rounds = record.paused_until_ms = 0
        record.failures_seen = int(self.world.state.sets.rows[target.task_set]["failed_starts"])
        self.traffic.open_backend(record.number, target.task_set, target.definition_key)
        self.events.log_rollback(now, record.number, target.name)

    def complete_or_bake(self, record: ServiceRecord, now: int) -> int | None:
        """Complete the PRIMARY deployment; all its tasks are healthy and no older one is left.

        With alarms it bakes first. Returns the instant (ms) at which the bake time ends, when the service must be
        reconciled again; None if there is nothing to wait for.
        """
        deployment = record.primary
        if deployment.state != IN_PROGRESS:
            return None
        alarms = record.settings.deployment.alarms
        if alarms is not None and not deployment.alarms_ignored and not deployment.is_first:
            if deployment.bake_until_ms is None:
                deployment.bake_until_ms = now + max(
                    alarm_window_ms(self._alarms[name]) for name in alarms.names
                )
            if now < deployment.bake_until_ms:
                return deployment.bake_until_ms
        self.complete(record, deployment, now)
        return None

    def meets_early_success(self, record: ServiceRecord) -> bool:
        """Return whether the early success criteria of a rolling deployment are met."""
        early = record.settings.deployment.early_success
        deployment = record.primary
        if (
            early is None
            or deployment.state != IN_PROGRESS
            or (early.blocking and len(record.deployments) > 1)
        ):
            return False
        required = math.ceil(deployment.desired * early.healthy_percent / 100)
        return int(self.world.state.sets.rows[deployment.task_set]["healthy"]) >= required

    def complete(self, record: ServiceRecord, deployment: DeploymentRecord, now: int) -> None:
        """Mark a deployment COMPLETED."""
        deployment.state, deployment.completed_ms = COMPLETED, now
        deployment.reason = f"ECS deployment {deployment.name} completed."
        record.completed = deployment
        if len(record.deployments) == 1:
            self.traffic.set_weights(now, {deployment.task_set: BY_TARGETS})
        self.events.log_deployment(
            now, record.number, deployment.name, "SERVICE_DEPLOYMENT_COMPLETED", "completed"
        )

    # --- results -------------------------------------------------------------------------------------------

    def write_table(self, recorder: Recorder) -> None:
        """Write the table of deployments."""
        names = self.world.names
        for service, deployment in self.records:
            recorder.append_row(
                "deployments",
                deployment_id=deployment.name,
                service=names.services[service],
                # on virtual machines the key ends with @ and the service
                task_definition=deployment.definition_key.partition("@")[0],
                created_at=deployment.created_ms,
                completed_at=deployment.completed_ms,
                rollout_state=deployment.state,
                rollout_state_reason=deployment.reason,
                failed_tasks=deployment.failed_tasks,
                desired_count=deployment.desired,
            )
