"""Deployments that shift traffic: blue/green, linear and canary, stage by stage.

Green is scaled to the full desired count before traffic moves; blue is kept through the bake time, so that going
back is a flip of traffic. Decides which stage comes next and how many tasks each side keeps; lifecycle hooks answer
what the scenario says they will. Tasks are started and stopped by the starter and the stopper, shares of traffic
set in `control.load.traffic`.

Sources: botocore ServiceDeploymentLifecycleStage, DeploymentLifecycleHook, DeploymentConfiguration; ECS Developer
Guide: blue/green, linear and canary deployments (24 hours a stage at most, then rollback).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from clustersim.control.load.traffic import Traffic
from clustersim.control.services.deployments import Rollouts
from clustersim.control.services.service_state import FAILED, IN_PROGRESS, Rollout, ServiceRecord
from clustersim.control.services.task_starter import Starter
from clustersim.control.services.task_stopper import Stopper
from clustersim.policy.tasks.deployment import TrafficStep, traffic_steps
from clustersim.vocabulary import MS_PER_HOUR
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
LONGEST_STAGE_MS = 24 * MS_PER_HOUR
_WITHOUT_LIMIT = ("PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP")  # they have lengths of their own

Again = Callable[[int, int], None]


@dataclass
class Shift:
    """Where a deployment that shifts traffic has got to."""

    blue: Rollout
    green: Rollout
    steps: tuple[TrafficStep, ...]
    stage: int = 0
    since_ms: int = 0  # when the stage (or the step of traffic) began
    hooks_until_ms: int = -1  # when the hooks of this stage have answered; -1: not called yet
    hooks_fail: bool = False
    step: int = 0  # shifts of production traffic done
    percent: float = 0.0  # of production traffic on green
    told: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The present stage."""
        return STAGES[self.stage]

    def percent_of(self, rollout: Rollout) -> float:
        """A deployment's part of the production traffic; one that was superseded on the way has none."""
        if rollout is self.green:
            return self.percent
        return 100.0 - self.percent if rollout is self.blue else 0.0


class Shifts:
    """One for all services with such a strategy; `again(service, instant)` has one looked at later."""

    def __init__(
        self,
        world: World,
        starter: Starter,
        stopper: Stopper,
        rollouts: Rollouts,
        traffic: Traffic,
        again: Again,
    ) -> None:
        self.world = world
        self.starter = starter
        self.stopper = stopper
        self.rollouts = rollouts
        self.traffic = traffic
        self._again = again

    def begin(self, record: ServiceRecord, now: int) -> None:
        """A new PRIMARY deployment of a service that has tasks: they are blue, it is green."""
        of = record.settings.deployment
        blue = record.deployments[-2]
        green = record.primary
        if record.shift is not None:  # it takes the place of one under way
            blue = record.shift.blue
            self.traffic.shift(now, {record.shift.green.row: 0.0})
            self._stop_all(record, record.shift.green, now)
        steps = traffic_steps(of.strategy, of.step_percent, of.step_bake_ms)
        record.shift = Shift(blue, green, steps, since_ms=now)
        self._send(record, 0.0, now)

    def keep(self, record: ServiceRecord, now: int) -> None:
        """One look at a service whose traffic is being shifted."""
        shift: Shift = record.shift
        if shift.green.state == FAILED:
            self._go_back(record, now)
            return
        while record.shift is not None and self._stage_is_over(record, now):
            if shift.name == "CLEAN_UP":
                self._finish(record, now)
                return
            shift.stage += 1
            shift.since_ms, shift.hooks_until_ms = now, -1
        if record.shift is not None:
            self._keep_counts(record, now)

    # --- stages --------------------------------------------------------------------------------------------

    def _stage_is_over(self, record: ServiceRecord, now: int) -> bool:
        """Do what the present stage asks for, and say whether the next one may begin."""
        shift: Shift = record.shift
        if shift.name not in _WITHOUT_LIMIT and now - shift.since_ms >= LONGEST_STAGE_MS:
            self._give_up(record, now, f"stage {shift.name} took longer than 24 hours")
            return False
        if not self._hooks_have_answered(record, now):
            return False
        if shift.name == "SCALE_UP":
            self._again(record.number, shift.since_ms + LONGEST_STAGE_MS)
            return self._is_scaled(record, shift.green)
        if shift.name == "PRODUCTION_TRAFFIC_SHIFT":
            return self._move_traffic(record, now)
        if shift.name == "BAKE_TIME":
            over = shift.since_ms + record.settings.deployment.bake_ms
            self._wait(record, over, now)
            return now >= over
        if shift.name == "CLEAN_UP":
            self._stop_all(record, shift.blue, now)
            return self.rollouts.live(shift.blue) == 0
        return True

    def _hooks_have_answered(self, record: ServiceRecord, now: int) -> bool:
        """Call the hooks of a stage when it begins; when the slowest has answered, go on, or back."""
        shift: Shift = record.shift
        if shift.hooks_until_ms < 0:
            shift.hooks_until_ms, shift.hooks_fail = shift.since_ms, False
            for hook in record.settings.deployment.hooks:
                if shift.name in hook.stages:
                    never = hook.status == "IN_PROGRESS" or hook.after_ms > hook.timeout_ms
                    after = hook.timeout_ms if never else hook.after_ms
                    failed = hook.timeout_action == "ROLLBACK" if never else hook.status == "FAILED"
                    shift.hooks_until_ms = max(shift.hooks_until_ms, shift.since_ms + after)
                    shift.hooks_fail |= failed
        if now < shift.hooks_until_ms:
            self._wait(record, min(shift.hooks_until_ms, shift.since_ms + LONGEST_STAGE_MS), now)
            return False
        if shift.hooks_fail:
            self._give_up(record, now, f"a lifecycle hook of stage {shift.name} failed")
            return False
        return True

    def _move_traffic(self, record: ServiceRecord, now: int) -> bool:
        """Shift production traffic step by step; whether all of it is on green."""
        shift: Shift = record.shift
        if shift.step > 0:
            before = shift.steps[shift.step - 1]
            if now < shift.since_ms + before.then_ms:
                self._wait(record, shift.since_ms + before.then_ms, now)
                return False
        while shift.step < len(shift.steps):
            step = shift.steps[shift.step]
            shift.step += 1
            shift.since_ms = now
            self._send(record, step.percent, now)
            if step.percent < 100.0:
                self._wait(record, now + step.then_ms, now)
                if step.then_ms > 0:
                    return False
        return True

    def _send(self, record: ServiceRecord, percent: float, now: int) -> None:
        """So much of the production traffic goes to green from now on."""
        shift: Shift = record.shift
        shift.percent = percent
        self.traffic.shift(now, {shift.blue.row: 1.0 - percent / 100.0, shift.green.row: percent / 100.0})

    def _is_scaled(self, record: ServiceRecord, rollout: Rollout) -> bool:
        """Whether a side has its full count, all of it healthy."""
        desired = int(self.world.state.services[record.number]["desired"])
        return int(self.world.state.sets[rollout.row]["healthy"]) >= desired

    def _wait(self, record: ServiceRecord, until: int, now: int) -> None:
        if until > now:
            self._again(record.number, until)

    # --- tasks ---------------------------------------------------------------------------------------------

    def _keep_counts(self, record: ServiceRecord, now: int) -> None:
        """Each side keeps what its stage asks for: blue until the clean-up, green from its scale-up on."""
        shift: Shift = record.shift
        desired = int(self.world.state.services[record.number]["desired"])
        if shift.stage < STAGES.index("CLEAN_UP"):
            self._keep_side(record, shift.blue, desired, now)
        if shift.stage >= STAGES.index("SCALE_UP"):
            self._keep_side(record, shift.green, desired, now)

    def _keep_side(self, record: ServiceRecord, rollout: Rollout, wanted: int, now: int) -> None:
        """Start what a side lacks, stop what it has too much, replace what is unhealthy one for one."""
        s = self.world.state.sets[rollout.row]
        fresh = self.rollouts.live(rollout) - int(s["leaving"]) - int(s["unwell"])
        if fresh > wanted:
            self.stopper.stop_surplus(record, rollout, fresh - wanted, now)
        elif fresh < wanted and rollout.state != FAILED:
            self.starter.start(record, rollout, wanted - fresh, now)
        s = self.world.state.sets[rollout.row]
        spare = int(s["healthy"]) - (wanted - int(s["unwell"]))
        if s["unwell"] > 0 and spare > 0:
            replaced = self.stopper.stop_unwell(record, rollout, min(spare, int(s["unwell"])), now)
            self.rollouts.count_replaced(rollout, replaced)
        spare = int(self.world.state.sets[rollout.row]["healthy"]) - wanted
        if s["leaving"] > 0 and spare > 0:
            self.stopper.stop_leaving(record, rollout, min(spare, int(s["leaving"])), now)

    def _stop_all(self, record: ServiceRecord, rollout: Rollout, now: int) -> None:
        """Stop every task of a side but those under task scale-in protection: they stop when it ends."""
        slots = self.stopper.unprotected(self.stopper.candidates(record, [rollout]), now)
        self.stopper.stop_slots(record, slots, now)

    # --- ends ----------------------------------------------------------------------------------------------

    def _finish(self, record: ServiceRecord, now: int) -> None:
        """Blue is gone: the deployment is COMPLETED."""
        green = record.shift.green
        record.shift = None
        self.rollouts.forget_drained(record)
        self.rollouts.complete(record, green, now)

    def _give_up(self, record: ServiceRecord, now: int, words: str) -> None:
        """The deployment fails; traffic flips back to blue."""
        shift: Shift = record.shift
        record.completed = record.completed or shift.blue
        self.rollouts.fail(record, shift.green, now, f"ECS deployment failed: {words}.", rollback=True)
        self._go_back(record, now)

    def _go_back(self, record: ServiceRecord, now: int) -> None:
        """All traffic on blue at once, green's tasks stop; blue is PRIMARY again."""
        shift: Shift = record.shift
        self._send(record, 0.0, now)
        if record.primary is not shift.blue:
            record.deployments = [each for each in record.deployments if each is not shift.blue] + [
                shift.blue
            ]
        record.shift = None
        self._stop_all(record, shift.green, now)
        if shift.blue.state == FAILED:  # it is what production has: it gets another chance
            shift.blue.state, shift.blue.completed_ms = IN_PROGRESS, None
        elif shift.blue.state != IN_PROGRESS:
            record.completed = shift.blue
        self._again(record.number, now)
