"""Deployments that shift traffic: blue/green, linear and canary, stage by stage, and their rollback.

Green is scaled to the full desired count before traffic moves; blue is kept through the bake time, so that a rollback
only switches traffic. Decides how many tasks each side keeps, and carries out the stages that
`policy.tasks.traffic_shift` lists. Lifecycle hooks return the result given in the scenario. Tasks are started and
stopped by the task starter and the task stopper; traffic weights are set in `control.load.traffic`.

Sources: botocore DeploymentLifecycleHook, DeploymentConfiguration; ECS Developer Guide: blue/green, linear and canary
deployments, lifecycle hooks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clustersim.control.events.service_events import EventLog
from clustersim.control.load.traffic import Traffic
from clustersim.control.services.deployments import Deployments
from clustersim.control.services.service_state import FAILED, IN_PROGRESS, DeploymentRecord, ServiceRecord
from clustersim.control.services.task_starter import TaskStarter
from clustersim.control.services.task_stopper import TaskStopper
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
from clustersim.world.state.world import World

ReconcileAt = Callable[[int, int], None]


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
    """The controller of all deployments that shift traffic; `reconcile_at(service, instant)` reconciles one later."""

    def __init__(
        self,
        world: World,
        starter: TaskStarter,
        stopper: TaskStopper,
        deployments: Deployments,
        traffic: Traffic,
        events: EventLog,
        reconcile_at: ReconcileAt,
    ) -> None:
        self.world = world
        self.starter = starter
        self.stopper = stopper
        self.deployments = deployments
        self.traffic = traffic
        self.events = events
        self._reconcile_at = reconcile_at

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
        self._reconcile_at(record.number, now + MAX_DEPLOYMENT_MS)

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
            self._reconcile_at(record.number, since + MAX_STAGE_MS)
            return self._has_full_count(record, shift.green)
        if name == "BAKE_TIME":
            return self._is_over(record, since + (record.settings.deployment.bake_ms or 0), now)
        if name == "CLEAN_UP" and not shift.rolling_back:
            self._stop_all(record, shift.blue, now)
            return self.deployments.count_live(shift.blue) == 0
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
        row = self.world.state.services[record.number]
        row["label_set"], row["label_share"] = labelled.task_set, shares[labelled.task_set]

    def _has_full_count(self, record: ServiceRecord, deployment: DeploymentRecord) -> bool:
        """Return whether a side has its full count, all of it healthy."""
        desired = int(self.world.state.services[record.number]["desired"])
        return int(self.world.state.sets[deployment.task_set]["healthy"]) >= desired

    def _is_over(self, record: ServiceRecord, until: int, now: int) -> bool:
        """Return whether `until` has come; if not, reconcile the service then."""
        if until > now:
            self._reconcile_at(record.number, until)
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
            self._reconcile_at(record.number, hook.answers_ms)
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
        desired = int(self.world.state.services[record.number]["desired"])
        if shift.rolling_back or not shift.stage.is_at_least("CLEAN_UP"):
            self._reconcile_side(record, shift.blue, desired, now)
        if shift.rolling_back or shift.stage.is_at_least("SCALE_UP"):
            self._reconcile_side(record, shift.green, desired, now)

    def _reconcile_side(
        self, record: ServiceRecord, deployment: DeploymentRecord, desired: int, now: int
    ) -> None:
        """Start missing tasks of a side, stop surplus ones, and replace unhealthy ones one for one."""
        s = self.world.state.sets[deployment.task_set]
        current = self.deployments.count_live(deployment) - int(s["leaving"]) - int(s["unhealthy"])
        if current > desired:
            self.stopper.stop_surplus(record, deployment, current - desired, now)
        elif current < desired and deployment.state != FAILED:
            self.starter.start(record, deployment, desired - current, now)
        s = self.world.state.sets[deployment.task_set]
        spare = int(s["healthy"]) - (desired - int(s["unhealthy"]))
        if s["unhealthy"] > 0 and spare > 0:
            replaced = self.stopper.stop_unhealthy(record, deployment, min(spare, int(s["unhealthy"])), now)
            self.deployments.count_replaced(deployment, replaced)
        spare = int(self.world.state.sets[deployment.task_set]["healthy"]) - desired
        if s["leaving"] > 0 and spare > 0:
            self.stopper.stop_leaving(record, deployment, min(spare, int(s["leaving"])), now)

    def _stop_all(self, record: ServiceRecord, deployment: DeploymentRecord, now: int) -> None:
        """Stop every task of a side except those under task scale-in protection, which stop when that ends."""
        slots = self.stopper.unprotected(self.stopper.candidates(record, [deployment]), now)
        self.stopper.stop_slots(record, slots, now)

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
        self._reconcile_at(record.number, now)
