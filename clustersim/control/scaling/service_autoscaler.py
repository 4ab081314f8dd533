"""Service Auto Scaling: from metrics through alarms and policies to desired counts, each metric period.

Keeps the bounds and cooldowns of all scalable targets; decides by `policy.scaling.service_scaling` on what the policies
of a service propose (`control.scaling.service_policies`). It must not know tasks, placement or the clock: the wiring
calls `tick` when the metrics of the period have been updated, and is called back with the decisions, once an instant.

As in AWS, a target tracking policy is two alarms (high: above the target 3 times of 3; low: below 0.9 of it for 15
minutes), a step scaling policy brings its own. An alarm in ALARM invokes its policy again at each datapoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from clustersim.control.events.scaling_activities import Origin
from clustersim.control.scaling.alarm_table import AlarmTable
from clustersim.control.scaling.cloudwatch_metrics import CloudWatchMetrics
from clustersim.control.scaling.custom_policy import KeyOf
from clustersim.control.scaling.service_policies import (
    AskedPolicy,
    AskedService,
    CustomServicePolicy,
    PolicyTables,
    TrackingPolicy,
)
from clustersim.engine.array_block import pointer
from clustersim.engine.compiled import Array
from clustersim.engine.records import Table, as_table, new_table
from clustersim.errors import ScenarioError
from clustersim.policy.scaling import service_scaling
from clustersim.policy.scaling.service_scaling import ProposalRow
from clustersim.policy.scaling.target_tracking_kernel import (
    ScalingMoveRow,
    TrackingPolicyRow,
    TrackingTables,
    decide_proposed,
    decide_target_tracking,
)
from clustersim.scenario.sections.scenario import ScheduledAction, Service
from clustersim.vocabulary import MS_PER_MINUTE, NEVER

Int64s = npt.NDArray[np.int64]

_NO_CAPACITY_LIMIT = 2**62


ApplyMoves = Callable[[int, Array, Sequence[Origin]], None]
"""The callback for the decisions of an instant (ms): rows of `ScalingMoveRow`, ascending by service, and the origins
that their field `origin` counts."""


class ServiceAutoscaler:
    """The scalable targets of a scenario.

    `tick_ms` is the metric period at which the wiring ticks; every policy's resolution must be a multiple of it.
    `key_of` gives the key of a random stream by its name. Raises ScenarioError for metrics that are not simulated.
    """

    def __init__(
        self,
        services: Sequence[Service],
        metrics: CloudWatchMetrics,
        apply_moves: ApplyMoves,
        key_of: KeyOf,
        tick_ms: int = MS_PER_MINUTE,
    ) -> None:
        self._names = [service.name for service in services]
        self._apply_moves = apply_moves
        self._min_capacity = np.zeros(len(services), np.int64)
        self._max_capacity = np.full(len(services), _NO_CAPACITY_LIMIT, np.int64)
        self._policies: dict[int, list[AskedPolicy]] = {}
        self._alarms = AlarmTable(metrics, tick_ms)
        tables = PolicyTables(self._alarms, key_of)
        problems: list[str] = []
        for index, service in enumerate(services):
            if service.auto_scaling is None:
                continue
            self._min_capacity[index] = service.auto_scaling.min_capacity
            self._max_capacity[index] = service.auto_scaling.max_capacity
            self._policies[index] = []
            for rule in service.auto_scaling.policies:
                try:
                    policy = tables.add(
                        rule, index, self._target(index), service.auto_scaling.metric_resolution_ms
                    )
                except ValueError as problem:
                    problems.append(f"services.{service.name}.autoScaling.policies.{rule.name}: {problem}")
                    continue
                self._policies[index].extend([policy] if policy is not None else [])
        if problems:
            raise ScenarioError(problems)
        self._alarms.finish(self._min_capacity, self._max_capacity)
        self.origins: list[Origin] = tables.origins  # of the alarms, in their order; others come after them
        self._build_tracking(as_table(TrackingPolicyRow, tables.tracking_rows))

    def _target(self, service: int) -> str:
        return f"service/{self._names[service]}"

    def _build_tracking(self, rows: Table[TrackingPolicyRow]) -> None:
        """Build the tables of `policy.scaling.target_tracking_kernel`.

        It decides for services whose policies all track a target; all others are decided for here.
        """
        first_policy = np.full(len(self._names), NEVER, np.int64)
        policy_count = np.zeros(len(self._names), np.int64)
        for service, policies in self._policies.items():
            tracking = [policy.row for policy in policies if isinstance(policy, TrackingPolicy)]
            if tracking and len(tracking) == len(policies):  # their rows follow each other
                first_policy[service], policy_count[service] = tracking[0], len(tracking)
        self._in_python = {service for service in self._policies if first_policy[service] < 0}
        self._custom = [
            (service, policy)
            for service, policies in self._policies.items()
            for policy in policies
            if isinstance(policy, CustomServicePolicy)
        ]
        longest = max(map(len, self._policies.values()), default=0)
        self._proposals = new_table(ProposalRow, max(1, longest))
        self._moves = new_table(ScalingMoveRow, len(self._names))
        self._tracking = pointer(
            TrackingTables(self._alarms.watch, rows, first_policy, policy_count, self._proposals, self._moves)
        )

    def tick(self, now_ms: int, running: Int64s, desired: Int64s, deploying: Int64s) -> None:
        """Evaluate the metric period that ends at `now_ms`; counts are per service, as of now.

        `deploying` is 1 for a service that has a deployment in progress: it is then not scaled in (ECS Developer Guide:
        service auto scaling and deployments).
        """
        actionable = self._alarms.evaluate(now_ms, running, desired)
        asked = {service for service, policy in self._custom if policy.is_asked_at(now_ms)}
        if actionable.size == 0 and not asked:
            return
        self._alarms.targets.deploying[:] = deploying
        moved = compiled = decide_target_tracking(self._tracking, actionable.size, now_ms)
        if self._in_python:
            asked |= self._in_python.intersection(self._alarms.targets_of(actionable))
            for service in sorted(asked):
                moved += self._decide(now_ms, service, moved)
        moves = self._moves[:moved]
        if compiled < moved:
            moves = as_table(ScalingMoveRow, moves[np.argsort(moves["target"])])
        if moved:
            self._apply_moves(now_ms, moves, self.origins)

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
        self._apply_moves(now_ms, np.array([move], ScalingMoveRow.dtype), self.origins)

    def _decide(self, now_ms: int, service: int, moves: int) -> bool:
        """Ask all policies of a service; return whether its desired count changes, by row `moves` of the moves."""
        asked = AskedService(now_ms, service, self._alarms.targets, self._tracking, self._proposals)
        policies = self._policies[service]
        for position, policy in enumerate(policies):
            policy.propose(asked, position)
        return decide_proposed(self._tracking, service, len(policies), moves, now_ms)
