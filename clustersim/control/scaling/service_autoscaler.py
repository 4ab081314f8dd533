"""Service Auto Scaling: from metrics through alarms and policies to desired counts, each metric period.

Keeps the bounds and cooldowns of all scalable targets; decides by `policy.scaling.service_scaling` on the alarms of
`control.scaling.alarm_table`. It must not know tasks, placement or the clock: the wiring calls `tick` when the metrics
of the period have been updated, and is called back with the decisions, once an instant.

As in AWS, a target tracking policy is two alarms (high: above the target 3 times of 3; low: below 0.9 of it for 15
minutes), a step scaling policy brings its own. An alarm in ALARM invokes its policy again at each datapoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from clustersim.control.events.scaling_activities import Origin
from clustersim.control.scaling.alarm_table import AlarmOwner, AlarmTable
from clustersim.control.scaling.cloudwatch_metrics import CloudWatchMetrics
from clustersim.engine.array_block import pointer
from clustersim.engine.compiled import Array
from clustersim.engine.records import as_table, new_table
from clustersim.errors import ScenarioError
from clustersim.policy.scaling import service_scaling
from clustersim.policy.scaling.cloudwatch_metrics import Subject
from clustersim.policy.scaling.target_tracking_kernel import (
    ScalingMoveRow,
    TrackedServiceRow,
    TrackingTables,
    decide_target_tracking,
)
from clustersim.scenario.sections.scenario import ScheduledAction, Service, StepScaling, TargetTracking
from clustersim.vocabulary import MS_PER_MINUTE, NEVER

Int64s = npt.NDArray[np.int64]

_NO_CAPACITY_LIMIT = 2**62


ApplyMoves = Callable[[int, Array], None]
"""The callback for the decisions of an instant (ms): rows of MOVE, ascending by service; `origin` is a position in
`ServiceAutoscaler.origins`."""


_Move = tuple[int, int, int, int, float]
"""A row of MOVE."""


class _ServicePolicy(NamedTuple):
    """A policy with its alarms' positions; `low` is -1 for step scaling."""

    rule: TargetTracking | StepScaling
    metric: str
    high: int
    low: int
    alarm_name: str


class ServiceAutoscaler:
    """The scalable targets of a scenario.

    `tick_ms` is the metric period at which the wiring ticks; every policy's resolution must be a multiple of it. Raises
    ScenarioError for metrics that are not simulated.
    """

    def __init__(
        self,
        services: Sequence[Service],
        metrics: CloudWatchMetrics,
        apply_moves: ApplyMoves,
        tick_ms: int = MS_PER_MINUTE,
    ) -> None:
        self._names = [service.name for service in services]
        self._apply_moves = apply_moves
        self._min_capacity = np.zeros(len(services), np.int64)
        self._max_capacity = np.full(len(services), _NO_CAPACITY_LIMIT, np.int64)
        self._in_until = np.full(len(services), NEVER, np.int64)
        self._cooldowns: dict[int, service_scaling.Cooldown] = {}
        self._policies: dict[int, list[_ServicePolicy]] = {}
        self._alarms = AlarmTable(metrics, tick_ms)
        problems: list[str] = []
        for index, service in enumerate(services):
            if service.auto_scaling is None:
                continue
            self._min_capacity[index] = service.auto_scaling.min_capacity
            self._max_capacity[index] = service.auto_scaling.max_capacity
            self._policies[index] = []
            for policy in service.auto_scaling.policies:
                try:
                    self._add_policy(index, policy, service.auto_scaling.metric_resolution_ms)
                except ValueError as problem:
                    problems.append(f"services.{service.name}.autoScaling.policies.{policy.name}: {problem}")
        if problems:
            raise ScenarioError(problems)
        self._alarms.finish(self._min_capacity, self._max_capacity, self._in_until)
        self.origins: list[Origin] = []  # those of the alarms first, in their order
        self._build_origins()
        self._build_tracking()

    def _build_origins(self) -> None:
        """Store the policy, metric and cause of each alarm's decisions."""
        of_alarm: dict[int, Origin] = {}
        for service, policies in self._policies.items():
            for rule, metric, high, low, name in policies:
                tracks = isinstance(rule, TargetTracking)
                for alarm, end in ((high, "-AlarmHigh" if tracks else ""), (low, "-AlarmLow")):
                    if alarm >= 0:
                        cause = _cause(name + end, rule.name)
                        of_alarm[alarm] = Origin(self._target(service), rule.name, metric, cause)
        self.origins = [of_alarm[alarm] for alarm in range(len(of_alarm))]

    def _target(self, service: int) -> str:
        return f"service/{self._names[service]}"

    def _build_tracking(self) -> None:
        """Build the tables of `policy.scaling.target_tracking_kernel`.

        It decides for services with a single target tracking policy; all decisions are decided here.
        """
        tracked = new_table(TrackedServiceRow, len(self._names))
        tracked["high"], tracked["out_until"] = NEVER, NEVER
        for service, policies in self._policies.items():
            if len(policies) == 1 and isinstance(rule := policies[0].rule, TargetTracking):
                one, row = policies[0], tracked[service]
                row["high"], row["low"] = one.high, one.low
                row["out_cooldown"], row["in_cooldown"] = (
                    rule.scale_out_cooldown_ms,
                    rule.scale_in_cooldown_ms,
                )
                row["scales_in"] = not rule.disable_scale_in
        self._in_python = {service for service in self._policies if tracked["high"][service] < 0}
        self._moves = new_table(ScalingMoveRow, len(self._names))
        self._deploying = np.zeros(len(self._names), np.int64)
        self._tracking = pointer(TrackingTables(self._alarms.watch, tracked, self._deploying, self._moves))

    def tick(self, now_ms: int, running: Int64s, desired: Int64s, deploying: Int64s) -> None:
        """Evaluate the metric period that ends at `now_ms`; counts are per service, as of now.

        `deploying` is 1 for a service that has a deployment in progress: it is then not scaled in (ECS Developer Guide:
        service auto scaling and deployments).
        """
        actionable = self._alarms.evaluate(now_ms, running, desired)
        if actionable.size == 0:
            return
        self._deploying[:] = deploying
        moved = decide_target_tracking(self._tracking, actionable.size, now_ms)
        moves = self._moves[:moved]
        if self._in_python:
            decisions = [
                self._decide(
                    now_ms, service, (int(running[service]), int(desired[service])), bool(deploying[service])
                )
                for service in self._in_python.intersection(self._alarms.targets(actionable))
            ]
            sizes = [move for move in decisions if move is not None]
            both = np.concatenate([moves, np.array(sizes, ScalingMoveRow.dtype)])
            moves = as_table(ScalingMoveRow, both[np.argsort(both["target"])])
        if moves.size:
            self._apply_moves(now_ms, moves)

    def bounds(self, service: int) -> service_scaling.CapacityBounds:
        """Return the capacity bounds in force; without a scalable target there are none."""
        return service_scaling.CapacityBounds(
            int(self._min_capacity[service]), int(self._max_capacity[service])
        )

    def apply_scheduled_action(
        self, now_ms: int, service: int, action: ScheduledAction, desired: int
    ) -> None:
        """Set the bounds of a scheduled action, and move the desired count into them at once."""
        bounds, count = service_scaling.apply_scheduled_action(
            self.bounds(service), action.min_capacity, action.max_capacity, desired
        )
        self._min_capacity[service] = bounds.minimum
        self._max_capacity[service] = bounds.maximum
        if count == desired:
            return
        if count > desired:
            cause = f"minimum capacity was set to {bounds.minimum}"
        else:
            cause = f"maximum capacity was set to {bounds.maximum}"
        self.origins.append(Origin(self._target(service), action.name, None, cause))
        move = (service, desired, count, len(self.origins) - 1, math.nan)
        self._apply_moves(now_ms, np.array([move], ScalingMoveRow.dtype))

    def _decide(self, now_ms: int, service: int, counts: tuple[int, int], deploying: bool) -> _Move | None:
        """Combine the proposals of all policies of a service that has an actionable alarm."""
        running, desired = counts
        policies = self._policies[service]
        proposals = [
            self._propose(position, policy, running, desired) for position, policy in enumerate(policies)
        ]
        cooldown = self._cooldowns.get(service, service_scaling.Cooldown())
        decision = service_scaling.decide_service_scaling(
            now_ms, counts, proposals, self.bounds(service), cooldown
        )
        if decision is None or (decision.count < desired and deploying):
            return None
        self._cooldowns[service] = decision.cooldown
        self._in_until[service] = decision.cooldown.in_until_ms
        chosen = policies[decision.policy]
        alarm = chosen.low if chosen.low >= 0 and decision.count < desired else chosen.high
        return service, desired, decision.count, alarm, self._alarms.value(alarm)

    def _propose(
        self, position: int, policy: _ServicePolicy, running: int, desired: int
    ) -> service_scaling.ScalingProposal:
        """Return the capacity that one policy proposes by the state of its alarms."""
        rule = policy.rule
        value = self._alarms.value(policy.high)
        breaching = self._alarms.in_alarm(policy.high)
        if isinstance(rule, StepScaling):
            capacity = self._alarms.capacity_after_step(policy.high, rule, running)
            direction = (capacity > running) - (capacity < running)
            return service_scaling.ScalingProposal(
                position, direction, capacity, rule.cooldown_ms, rule.cooldown_ms, tracks_target=False
            )
        direction = service_scaling.HOLD
        if not math.isnan(value) and (breaching or (running == 0 and desired == 0 and value > 0.0)):
            direction = service_scaling.OUT
        elif self._alarms.in_alarm(policy.low) and not math.isnan(value):
            direction = service_scaling.IN
        capacity = running
        if direction != service_scaling.HOLD:
            capacity = service_scaling.target_tracking_capacity(running, value, rule.target, direction)
        return service_scaling.ScalingProposal(
            position,
            direction,
            capacity,
            rule.scale_out_cooldown_ms,
            rule.scale_in_cooldown_ms,
            may_scale_in=not rule.disable_scale_in,
        )

    def _add_policy(self, service: int, policy: TargetTracking | StepScaling, resolution_ms: int) -> None:
        """Add the alarms of a policy; a step policy without an alarm never acts."""
        owner = AlarmOwner(service, Subject.SERVICE, service)
        if isinstance(policy, StepScaling):
            added = self._alarms.add_step_scaling(owner, policy)
            if added is not None:
                name = str((policy.alarm or {}).get("alarmName") or policy.name)
                self._policies[service].append(_ServicePolicy(policy, added[1], added[0], NEVER, name))
            return
        high, low, metric = self._alarms.add_target_tracking(
            owner, policy, resolution_ms, service_scaling.LOW_SHARE_SERVICE
        )
        name = f"TargetTracking-{self._target(service)}"
        self._policies[service].append(_ServicePolicy(policy, metric, high, low, name))


def _cause(alarm: str, policy: str) -> str:
    return f"monitor alarm {alarm} in state ALARM triggered policy {policy}"
