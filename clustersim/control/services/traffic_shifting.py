"""Deployments that shift traffic: blue/green, linear and canary, stage by stage.

Green is scaled to the full desired count before traffic moves; blue is kept through the bake time, so that a rollback
only switches traffic. Decides which stage comes next and how many tasks each side keeps. Lifecycle hooks return the
result given in the scenario. Plans for the tasks of a side are carried out by `plan_applier`; traffic weights are set
in `control.load.traffic`.

Sources: botocore ServiceDeploymentLifecycleStage, DeploymentLifecycleHook, DeploymentConfiguration; ECS Developer
Guide: blue/green, linear and canary deployments (24 hours a stage at most, then rollback).
"""

from __future__ import annotations

from dataclasses import dataclass

from clustersim.control.load.traffic import Traffic
from clustersim.control.services.deployments import Deployments
from clustersim.control.services.due_services import DueServices
from clustersim.control.services.live_tasks import count_live, live_tasks, unprotected
from clustersim.control.services.plan_applier import PlanApplier
from clustersim.control.services.plans import (
    Plan,
    StartTasks,
    StopLeaving,
    StopSurplus,
    StopTasks,
    StopUnhealthy,
)
from clustersim.control.services.service_state import FAILED, IN_PROGRESS, DeploymentRecord, ServiceRecord
from clustersim.policy.tasks.deployment import TrafficStep, traffic_steps
from clustersim.vocabulary import MS_PER_HOUR
from clustersim.world.state.task_tables import TaskSetRow
from clustersim.world.state.world import World

STAGES = (
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
)
MAX_STAGE_MS = 24 * MS_PER_HOUR
_STAGES_WITHOUT_LIMIT = (
    "PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
)  # their lengths are configured


@dataclass
class TrafficShift:
    """The progress of a deployment that shifts traffic."""

    blue: DeploymentRecord
    green: DeploymentRecord
    steps: tuple[TrafficStep, ...]
    stage: int = 0
    since_ms: int = 0  # when the stage (or the traffic step) began
    hooks_until_ms: int = -1  # when the hooks of this stage have returned; -1: not called yet
    hooks_fail: bool = False
    step: int = 0  # traffic steps done
    green_percent: float = 0.0  # share of production traffic on green

    @property
    def name(self) -> str:
        """The present stage."""
        return STAGES[self.stage]

    def traffic_percent_of(self, deployment: DeploymentRecord) -> float:
        """Return a deployment's percentage of the production traffic; 0 for one that was superseded meanwhile."""
        if deployment is self.green:
            return self.green_percent
        return 100.0 - self.green_percent if deployment is self.blue else 0.0


class TrafficShifting:
    """The controller of all deployments that shift traffic."""

    def __init__(
        self,
        world: World,
        applier: PlanApplier,
        deployments: Deployments,
        traffic: Traffic,
        due: DueServices,
    ) -> None:
        self.world = world
        self._applier = applier
        self.deployments = deployments
        self.traffic = traffic
        self._due = due

    def begin(self, record: ServiceRecord, now: int) -> None:
        """Begin shifting from the tasks that a service has (blue) to its new PRIMARY deployment (green)."""
        settings = record.settings.deployment
        blue = record.deployments[-2]
        green = record.primary
        if record.shift is not None:  # it supersedes a shift in progress
            blue = record.shift.blue
            self.traffic.set_weights(now, {record.shift.green.task_set: 0.0})
            self._stop_all(record, record.shift.green, now)
        steps = traffic_steps(settings.strategy, settings.step_percent, settings.step_bake_ms)
        record.shift = TrafficShift(blue, green, steps, since_ms=now)
        self._set_green_percent(record, 0.0, now)

    def reconcile(self, record: ServiceRecord, now: int) -> None:
        """Move a traffic-shifting deployment on as far as it can go now."""
        shift: TrafficShift = record.shift
        if shift.green.state == FAILED:
            self._roll_back(record, now)
            return
        while record.shift is not None and self._run_stage(record, now):
            if shift.name == "CLEAN_UP":
                self._finish(record, now)
                return
            shift.stage += 1
            shift.since_ms, shift.hooks_until_ms = now, -1
        if record.shift is not None:
            self._reconcile_sides(record, now)

    # --- stages --------------------------------------------------------------------------------------------

    def _run_stage(self, record: ServiceRecord, now: int) -> bool:
        """Carry out the present stage; return whether the next one may begin."""
        shift: TrafficShift = record.shift
        if shift.name not in _STAGES_WITHOUT_LIMIT and now - shift.since_ms >= MAX_STAGE_MS:
            self._fail(record, now, f"stage {shift.name} took longer than 24 hours")
            return False
        if not self._check_hooks(record, now):
            return False
        if shift.name == "SCALE_UP":
            self._due.reconcile_at(record.number, shift.since_ms + MAX_STAGE_MS)
            return self._has_full_count(record, shift.green)
        if shift.name == "PRODUCTION_TRAFFIC_SHIFT":
            return self._move_traffic(record, now)
        if shift.name == "BAKE_TIME":
            over = shift.since_ms + record.settings.deployment.bake_ms
            self._reconcile_later(record, over, now)
            return now >= over
        if shift.name == "CLEAN_UP":
            self._stop_all(record, shift.blue, now)
            return count_live(self.world, shift.blue) == 0
        return True

    def _check_hooks(self, record: ServiceRecord, now: int) -> bool:
        """Call the hooks of a stage when it begins; return whether all have succeeded. A failed hook rolls back."""
        shift: TrafficShift = record.shift
        if shift.hooks_until_ms < 0:
            shift.hooks_until_ms, shift.hooks_fail = shift.since_ms, False
            for hook in record.settings.deployment.hooks:
                if shift.name in hook.stages:
                    unanswered = hook.status == "IN_PROGRESS" or hook.after_ms > hook.timeout_ms
                    after = hook.timeout_ms if unanswered else hook.after_ms
                    failed = hook.timeout_action == "ROLLBACK" if unanswered else hook.status == "FAILED"
                    shift.hooks_until_ms = max(shift.hooks_until_ms, shift.since_ms + after)
                    shift.hooks_fail |= failed
        if now < shift.hooks_until_ms:
            self._reconcile_later(record, min(shift.hooks_until_ms, shift.since_ms + MAX_STAGE_MS), now)
            return False
        if shift.hooks_fail:
            self._fail(record, now, f"a lifecycle hook of stage {shift.name} failed")
            return False
        return True

    def _move_traffic(self, record: ServiceRecord, now: int) -> bool:
        """Shift production traffic step by step; return whether all of it goes to green."""
        shift: TrafficShift = record.shift
        if shift.step > 0:
            before = shift.steps[shift.step - 1]
            if now < shift.since_ms + before.then_ms:
                self._reconcile_later(record, shift.since_ms + before.then_ms, now)
                return False
        while shift.step < len(shift.steps):
            step = shift.steps[shift.step]
            shift.step += 1
            shift.since_ms = now
            self._set_green_percent(record, step.percent, now)
            if step.percent < 100.0:
                self._reconcile_later(record, now + step.then_ms, now)
                if step.then_ms > 0:
                    return False
        return True

    def _set_green_percent(self, record: ServiceRecord, percent: float, now: int) -> None:
        """Send `percent` of the production traffic to green from now on."""
        shift: TrafficShift = record.shift
        shift.green_percent = percent
        self.traffic.set_weights(
            now, {shift.blue.task_set: 1.0 - percent / 100.0, shift.green.task_set: percent / 100.0}
        )

    def _has_full_count(self, record: ServiceRecord, deployment: DeploymentRecord) -> bool:
        """Return whether a side has its full count, all of it healthy."""
        desired = int(self.world.state.services.rows[record.number]["desired"])
        return int(self.world.state.sets.rows[deployment.task_set]["healthy"]) >= desired

    def _reconcile_later(self, record: ServiceRecord, until: int, now: int) -> None:
        if until > now:
            self._due.reconcile_at(record.number, until)

    # --- tasks ---------------------------------------------------------------------------------------------

    def _reconcile_sides(self, record: ServiceRecord, now: int) -> None:
        """Reconcile the sides that the stage keeps: blue until the clean-up, green from its scale-up on."""
        shift: TrafficShift = record.shift
        desired = int(self.world.state.services.rows[record.number]["desired"])
        if shift.stage < STAGES.index("CLEAN_UP"):
            self._reconcile_side(record, shift.blue, desired, now)
        if shift.stage >= STAGES.index("SCALE_UP"):
            self._reconcile_side(record, shift.green, desired, now)

    def _reconcile_side(
        self, record: ServiceRecord, deployment: DeploymentRecord, desired: int, now: int
    ) -> None:
        """Start missing tasks of a side, stop surplus ones, and replace unhealthy and leaving ones one for one."""
        for decide in (_plan_count, _plan_unhealthy, _plan_leaving):
            plan = decide(deployment, self.world.state.sets.rows[deployment.task_set], desired)
            self._applier.apply(record, plan, now)

    def _stop_all(self, record: ServiceRecord, deployment: DeploymentRecord, now: int) -> None:
        """Stop every task of a side except those under task scale-in protection, which stop when that ends."""
        slots = unprotected(self.world, live_tasks(self.world, record, [deployment]), now)
        self._applier.apply(record, (StopTasks(slots),), now)

    # --- ends ----------------------------------------------------------------------------------------------

    def _finish(self, record: ServiceRecord, now: int) -> None:
        """Complete the deployment: blue has no tasks left."""
        green = record.shift.green
        record.shift = None
        self.deployments.drop_drained(record)
        self.deployments.complete(record, green, now)

    def _fail(self, record: ServiceRecord, now: int, reason: str) -> None:
        """Fail the deployment and send all traffic back to blue."""
        shift: TrafficShift = record.shift
        record.completed = record.completed or shift.blue
        self.deployments.fail(record, shift.green, now, f"ECS deployment failed: {reason}.", rollback=True)
        self._roll_back(record, now)

    def _roll_back(self, record: ServiceRecord, now: int) -> None:
        """Send all traffic to blue at once, make blue PRIMARY again and stop green's tasks."""
        shift: TrafficShift = record.shift
        self._set_green_percent(record, 0.0, now)
        if record.primary is not shift.blue:
            record.deployments = [each for each in record.deployments if each is not shift.blue] + [
                shift.blue
            ]
        record.shift = None
        self._stop_all(record, shift.green, now)
        if shift.blue.state == FAILED:  # blue serves production again: reset its state
            shift.blue.state, shift.blue.completed_ms = IN_PROGRESS, None
        elif shift.blue.state != IN_PROGRESS:
            record.completed = shift.blue
        self._due.reconcile_at(record.number, now)


def _plan_count(deployment: DeploymentRecord, s: TaskSetRow, desired: int) -> Plan:
    """Plan to start missing tasks of a side, or to stop surplus ones; `s` is the row of its task set."""
    surplus = int(s["provisioning"] + s["pending"] + s["running"] - s["leaving"] - s["unhealthy"]) - desired
    if surplus > 0:
        return (StopSurplus(deployment, surplus),)
    return (StartTasks(deployment, -surplus),) if surplus < 0 and deployment.state != FAILED else ()


def _plan_unhealthy(deployment: DeploymentRecord, s: TaskSetRow, desired: int) -> Plan:
    """Plan to stop unhealthy tasks of a side, each once another one is healthy in its place."""
    unhealthy = int(s["unhealthy"])
    count = min(unhealthy, int(s["healthy"]) - (desired - unhealthy))
    return (StopUnhealthy(deployment, count),) if count > 0 else ()


def _plan_leaving(deployment: DeploymentRecord, s: TaskSetRow, desired: int) -> Plan:
    """Plan to stop leaving tasks of a side, each once another one is healthy in its place."""
    count = min(int(s["leaving"]), int(s["healthy"]) - desired)
    return (StopLeaving(deployment, count),) if count > 0 else ()
