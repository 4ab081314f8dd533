"""Deployments that shift traffic: blue/green, linear and canary, stage by stage, and their rollback.

Green is scaled to the full desired count before traffic moves; blue is kept through the bake time, so that a rollback
only switches traffic. Decides how many tasks each side keeps, and carries out the stages that
`policy.tasks.traffic_shift` lists. Lifecycle hooks return the result given in the scenario. Plans for the tasks of a
side are carried out by `plan_applier`; traffic weights are set in `control.load.traffic`.

Sources: botocore DeploymentLifecycleHook, DeploymentConfiguration; ECS Developer Guide: blue/green, linear and canary
deployments, lifecycle hooks.
"""

from __future__ import annotations

from dataclasses import dataclass

from clustersim.control.events.service_events import EventLog
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
from clustersim.policy.tasks.traffic_shift import (
    MAX_DEPLOYMENT_MS,
    MAX_STAGE_MS,
    Stage,
    deployment_stages,
    hook_answer,
    rollback_stages,
    traffic_steps,
)
from clustersim.vocabulary import NEVER
from clustersim.world.state.task_tables import TaskSetRow
from clustersim.world.state.world import World


@dataclass
class HookCall:
    """A call of a lifecycle hook, and its answer, which the scenario gives."""

    answers_ms: int
    outcome: str  # SUCCEEDED, FAILED or TIMED_OUT
    fails: bool
    paused: bool
    answered: bool = False


@dataclass
class TrafficShift:
    """The progress of a deployment that shifts traffic, or of its rollback."""

    blue: DeploymentRecord
    green: DeploymentRecord
    stages: tuple[Stage, ...]
    moves_traffic: bool  # a load balancer is in front of the service
    at: int = 0  # position of the present stage
    since_ms: int = 0  # when it began
    hooks: tuple[HookCall, ...] | None = None  # of the stage; None: not called yet
    moved_ms: int = NEVER  # when the traffic of its step moved
    green_percent: float = 0.0  # share of production traffic on green
    rolling_back: bool = False

    @property
    def stage(self) -> Stage:
        """The present stage."""
        return self.stages[self.at]

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
        events: EventLog,
        due: DueServices,
    ) -> None:
        self.world = world
        self._applier = applier
        self.deployments = deployments
        self.traffic = traffic
        self._due = due
        self.events = events

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
        stages = deployment_stages(steps, record.settings.network_balancer)
        moves_traffic = bool(record.settings.target_groups)
        record.shift = TrafficShift(blue, green, stages, moves_traffic, since_ms=now)
        self._set_green_percent(record, 0.0, now)
        self._due.reconcile_at(record.number, now + MAX_DEPLOYMENT_MS)

    def reconcile(self, record: ServiceRecord, now: int) -> None:
        """Move a traffic-shifting deployment, or its rollback, on as far as it can go now."""
        while record.shift is not None:
            shift: TrafficShift = record.shift
            if shift.green.state == FAILED and not shift.rolling_back:
                self._begin_rollback(record, now)
            if self._run_stage(record, now):
                self._begin_next_stage(record, now)
            elif shift.green.state != FAILED or shift.rolling_back:
                self._reconcile_sides(record, now)
                return

    # --- stages --------------------------------------------------------------------------------------------

    def _begin_next_stage(self, record: ServiceRecord, now: int) -> None:
        """Begin the stage after the present one; end the deployment or the rollback after the last one."""
        shift: TrafficShift = record.shift
        if shift.at + 1 < len(shift.stages):
            shift.at += 1
            shift.since_ms, shift.hooks, shift.moved_ms = now, None, NEVER
        elif shift.rolling_back:
            self._finish_rollback(record, now)
        else:
            self._finish(record, now)

    def _run_stage(self, record: ServiceRecord, now: int) -> bool:
        """Carry out the present stage; return whether the next one may begin."""
        shift: TrafficShift = record.shift
        name, since = shift.stage.name, shift.since_ms
        paused = any(hook.paused for hook in shift.hooks or ())  # a pause may last 14 days
        if not shift.rolling_back:
            if now - shift.green.created_ms >= MAX_DEPLOYMENT_MS:
                return self._fail(record, now, "it took longer than 30 days")
            if shift.stage.is_limited and not paused and now - since >= MAX_STAGE_MS:
                return self._fail(record, now, f"stage {name} took longer than 24 hours")
        if not self._check_hooks(record, now):
            return False
        moves_at = max([since, *(hook.answers_ms for hook in shift.hooks or ())]) + shift.stage.delay_ms
        if not self._is_over(record, moves_at, now):
            return False
        if name == "SCALE_UP":
            self._due.reconcile_at(record.number, since + MAX_STAGE_MS)
            return self._has_full_count(record, shift.green)
        if name == "BAKE_TIME":
            return self._is_over(record, since + (record.settings.deployment.bake_ms or 0), now)
        if name == "CLEAN_UP" and not shift.rolling_back:
            self._stop_all(record, shift.blue, now)
            return count_live(self.world, shift.blue) == 0
        return self._move_traffic(record, now)

    def _move_traffic(self, record: ServiceRecord, now: int) -> bool:
        """Shift the production traffic of the stage's step, if it has one; return whether its bake time is over."""
        shift: TrafficShift = record.shift
        step = shift.stage.step
        if shift.stage.name != "PRODUCTION_TRAFFIC_SHIFT" or step is None:
            return True
        if shift.moved_ms < 0:
            shift.moved_ms = now
            self._set_green_percent(record, step.percent, now)
        return self._is_over(record, shift.moved_ms + step.then_ms, now)

    def _set_green_percent(self, record: ServiceRecord, percent: float, now: int) -> None:
        """Send `percent` of the production traffic to green from now on; without a load balancer no traffic moves."""
        shift: TrafficShift = record.shift
        if not shift.moves_traffic:
            return
        shift.green_percent = percent
        shares = {shift.blue.task_set: 1.0 - percent / 100.0, shift.green.task_set: percent / 100.0}
        self.traffic.set_weights(now, shares)
        labelled = shift.blue if record.settings.alternate_label == record.on_alternate else shift.green
        row = self.world.state.services.rows[record.number]
        row["label_set"], row["label_share"] = labelled.task_set, shares[labelled.task_set]

    def _has_full_count(self, record: ServiceRecord, deployment: DeploymentRecord) -> bool:
        """Return whether a side has its full count, all of it healthy."""
        desired = int(self.world.state.services.rows[record.number]["desired"])
        return int(self.world.state.sets.rows[deployment.task_set]["healthy"]) >= desired

    def _is_over(self, record: ServiceRecord, until: int, now: int) -> bool:
        """Return whether `until` has come; if not, reconcile the service then."""
        if until > now:
            self._due.reconcile_at(record.number, until)
        return until <= now

    # --- hooks ---------------------------------------------------------------------------------------------

    def _check_hooks(self, record: ServiceRecord, now: int) -> bool:
        """Call the hooks of a stage when it begins; return whether all have succeeded.

        A failed hook rolls the deployment back; in a rollback it has no effect but its time.
        """
        shift: TrafficShift = record.shift
        if shift.hooks is None:
            shift.hooks = self._call_hooks(record, now)
        for number, hook in enumerate(shift.hooks):
            if hook.answers_ms <= now and not hook.answered:
                hook.answered = True
                self._log_hook(record, now, hook.outcome, number)
        open_hooks = [hook for hook in shift.hooks if not hook.answered]
        if not shift.rolling_back and any(hook.answered and hook.fails for hook in shift.hooks):
            return self._fail(record, now, f"a lifecycle hook of stage {shift.stage.name} failed")
        for hook in open_hooks:
            self._due.reconcile_at(record.number, hook.answers_ms)
        if open_hooks and shift.stage.is_limited and not shift.rolling_back:
            self._is_over(record, shift.since_ms + MAX_STAGE_MS, now)
        return not open_hooks

    def _call_hooks(self, record: ServiceRecord, now: int) -> tuple[HookCall, ...]:
        """Call the hooks of the present stage, all at once."""
        shift: TrafficShift = record.shift
        calls = []
        for hook in record.settings.deployment.hooks:
            if shift.stage.name not in hook.stages:
                continue
            paused = hook.call_back_ms == 0
            answer = hook_answer(hook.status, hook.after_ms, hook.call_back_ms, hook.timeout_ms)
            rolls_back = answer.outcome == "TIMED_OUT" and hook.timeout_action == "ROLLBACK"
            fails = rolls_back or answer.outcome == "FAILED"
            calls.append(HookCall(shift.since_ms + answer.after_ms, answer.outcome, fails, paused))
            self._log_hook(record, now, "AWAITING_ACTION" if paused else "IN_PROGRESS", len(calls) - 1)
        return tuple(calls)

    def _log_hook(self, record: ServiceRecord, now: int, status: str, number: int) -> None:
        shift: TrafficShift = record.shift
        self.events.log_hook(now, record.number, shift.green.name, shift.stage.name, status, number + 1)

    # --- tasks ---------------------------------------------------------------------------------------------

    def _reconcile_sides(self, record: ServiceRecord, now: int) -> None:
        """Reconcile the sides that the stage keeps: blue until the clean-up, green from its scale-up on."""
        shift: TrafficShift = record.shift
        desired = int(self.world.state.services.rows[record.number]["desired"])
        if shift.rolling_back or not shift.stage.is_at_least("CLEAN_UP"):
            self._reconcile_side(record, shift.blue, desired, now)
        if shift.rolling_back or shift.stage.is_at_least("SCALE_UP"):
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
        record.on_alternate ^= record.shift.moves_traffic
        record.shift = None
        self.deployments.drop_drained(record)
        self.deployments.complete(record, green, now)

    def _fail(self, record: ServiceRecord, now: int, reason: str) -> bool:
        """Fail the deployment, which is then rolled back; return False: its stage does not end."""
        shift: TrafficShift = record.shift
        record.completed = record.completed or shift.blue
        self.deployments.fail(record, shift.green, now, f"ECS deployment failed: {reason}.", rollback=True)
        return False

    def _begin_rollback(self, record: ServiceRecord, now: int) -> None:
        """Send all traffic to blue at once and make blue PRIMARY again; green stays until the hooks have answered."""
        shift: TrafficShift = record.shift
        self._set_green_percent(record, 0.0, now)
        if record.primary is not shift.blue:
            others = [each for each in record.deployments if each is not shift.blue]
            record.deployments = [*others, shift.blue]
        shift.stages = rollback_stages(shift.stage, record.settings.network_balancer)
        shift.rolling_back = True
        shift.at, shift.since_ms, shift.hooks, shift.moved_ms = 0, now, None, NEVER

    def _finish_rollback(self, record: ServiceRecord, now: int) -> None:
        """Stop green's tasks; blue is the service's deployment again."""
        shift: TrafficShift = record.shift
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
