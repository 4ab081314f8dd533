"""EC2 Auto Scaling policies: from a group's metrics through alarms to its desired capacity, each metric period.

For groups whose scaling no capacity provider manages (`control.capacity.managed_scaling` handles the others). Decides
by `policy.scaling.group_scaling` on the alarms of `control.scaling.alarm_table`; it must not know tasks. The wiring
calls `tick` when the metrics of the period have been updated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, assert_never

import numpy as np

from clustersim.control.capacity.capacity import CapacityController
from clustersim.control.events.scaling_activities import Origin
from clustersim.control.scaling.alarm_table import AlarmOwner, AlarmTable
from clustersim.control.scaling.cloudwatch_metrics import CloudWatchMetrics
from clustersim.control.scaling.scaling_targets import ScalingTargets
from clustersim.engine.records import new_table
from clustersim.errors import ScenarioError
from clustersim.policy.scaling.cloudwatch_metrics import GROUP_METRICS, Subject
from clustersim.policy.scaling.group_scaling import GroupSize, decide_group_capacity
from clustersim.policy.scaling.service_scaling import CapacityBounds, ProposalRow
from clustersim.policy.scaling.target_tracking import (
    HOLD,
    IN,
    LOW_SHARE_GROUP,
    OUT,
    target_tracking_capacity,
)
from clustersim.scenario.sections.scenario import AutoScalingGroup, StepScaling, TargetTracking
from clustersim.vocabulary import MS_PER_MINUTE, NEVER
from clustersim.world.state.world import World

BoundsOf = Callable[[int], CapacityBounds]
"""The desired counts between which the policies of a service may move it."""


class _GroupPolicy(NamedTuple):
    """A policy with its alarms' positions; `low` is -1 for step and simple scaling."""

    rule: TargetTracking | StepScaling
    metric: str
    high: int
    low: int
    alarm_name: str


class GroupAutoscaler:
    """All groups with scaling policies.

    Raises ScenarioError for metrics that are not simulated.
    """

    def __init__(
        self,
        world: World,
        capacity: CapacityController,
        metrics: CloudWatchMetrics,
        targets: ScalingTargets,
        service_bounds: BoundsOf,
        tick_ms: int = MS_PER_MINUTE,
    ) -> None:
        self.world = world
        self.capacity = capacity
        self._targets = targets
        self._service_bounds = service_bounds
        groups = world.scenario.groups
        self._metrics = metrics
        self._alarms = AlarmTable(metrics, tick_ms)
        self._policies: dict[int, list[_GroupPolicy]] = {}
        self._simple_until = np.full(len(groups), NEVER, np.int64)  # end of the cooldown of simple scaling
        problems: list[str] = []
        for number, group in enumerate(groups):
            for policy in group.policies:
                try:
                    self._add_policy(number, group, policy)
                except ValueError as problem:
                    problems.append(
                        f"autoScalingGroups.{group.name}.scalingPolicies.{policy.name}: {problem}"
                    )
        if problems:
            raise ScenarioError(problems)
        self._min_capacity = np.array([group.min_size for group in groups], np.int64)
        self._max_capacity = np.array([group.max_size for group in groups], np.int64)
        self._alarms.finish(self._min_capacity, self._max_capacity)

    def tick(self, now: int) -> None:
        """Evaluate the metric period that ends at `now`."""
        if not self._policies:
            return
        sizes = self._group_sizes(now)
        desired = np.array([size.desired for size in sizes], np.int64)
        warm = np.array([size.warm for size in sizes], np.int64)
        for group in self._policies:  # scheduled actions may have changed them
            bounds = self._bounds(group)
            self._min_capacity[group], self._max_capacity[group] = bounds.minimum, bounds.maximum
        for group in self._alarms.targets_of(self._alarms.evaluate(now, warm, desired)):
            self._decide(now, group, sizes[group])

    def _group_sizes(self, now: int) -> list[GroupSize]:
        """Return the present size of every group."""
        state = self.world.state
        sizes = []
        for number in range(len(self.world.scenario.groups)):
            slots = self.capacity.groups.members(number).slots
            up = np.count_nonzero(state.instances.rows["registered"][slots] >= 0)
            warm = np.count_nonzero(self._metrics.warm(slots, now))
            sizes.append(GroupSize(self.capacity.desired[number], int(up), int(warm)))
        return sizes

    def _decide(self, now: int, group: int, size: GroupSize) -> None:
        """Combine the proposals of all policies of a group that has an actionable alarm, and set its capacity."""
        policies = self._policies[group]
        proposals = new_table(ProposalRow, len(policies))
        for policy, proposal in zip(policies, proposals, strict=True):
            self._propose(policy, size, proposal, now < self._simple_until[group])
        settings = self.world.scenario.groups[group]
        decided = decide_group_capacity(size, proposals, self._bounds(group))
        if decided is None:
            return
        count, position = decided
        chosen = policies[position]
        if isinstance(chosen.rule, StepScaling) and chosen.rule.simple:
            self._simple_until[group] = now + chosen.rule.cooldown_ms
        low = chosen.low >= 0 and count < size.desired
        name = chosen.alarm_name
        if isinstance(chosen.rule, TargetTracking):
            name += "-AlarmLow" if low else "-AlarmHigh"
        cause = f"monitor alarm {name} in state ALARM triggered policy {chosen.rule.name}"
        value = self._alarms.value(chosen.low if low else chosen.high)
        origin = Origin(f"autoScalingGroup/{settings.name}", chosen.rule.name, chosen.metric, cause)
        self._targets.scale_group(now, group, size.desired, count, (origin, value))

    def _bounds(self, group: int) -> CapacityBounds:
        """Return the bounds between which the policies of a group may move its capacity."""
        settings = self.world.scenario.groups[group]
        if settings.machines is None:
            return CapacityBounds(settings.min_size, settings.max_size)
        return self._service_bounds(self.world.names.services.index(settings.machines.service))

    def _propose(self, policy: _GroupPolicy, size: GroupSize, proposal: ProposalRow, cools: bool) -> None:
        """Write the proposal of one policy by the state of its alarms, counting warm instances.

        A policy of simple scaling asks for nothing while the group cools down from one.
        """
        rule = policy.rule
        value = self._alarms.value(policy.high)
        breaching = self._alarms.in_alarm(policy.high) and not math.isnan(value)
        capacity, direction = size.desired, HOLD
        proposal["may_scale_in"] = True
        match rule:
            case TargetTracking():
                proposal["tracks_target"], proposal["may_scale_in"] = True, not rule.disable_scale_in
                if breaching:
                    direction = OUT
                elif self._alarms.in_alarm(policy.low) and not math.isnan(value):
                    direction = IN
                if direction != HOLD:
                    capacity = target_tracking_capacity(size.warm, value, rule.target, direction)
            case StepScaling():
                if breaching and not (rule.simple and cools):
                    base = size.desired if rule.simple else size.warm
                    stepped = self._alarms.capacity_after_step(policy.high, rule, base)
                    if stepped > base:
                        capacity = max(stepped, size.desired)
                    elif stepped < base:
                        capacity = min(stepped, size.desired)
                direction = (capacity > size.desired) - (capacity < size.desired)
            case _:
                assert_never(rule)
        proposal["direction"], proposal["capacity"] = direction, capacity

    def _metric_owner(
        self, number: int, group: AutoScalingGroup, policy: TargetTracking | StepScaling
    ) -> AlarmOwner:
        """Return the owner of a policy's metrics: its group, or for virtual machines their service.

        Metrics that groups do not have (requests of a load balancer, messages in a queue) are the service's.
        """
        block = policy.custom_metric if isinstance(policy, TargetTracking) else policy.alarm
        name = (block or {}).get("metricName", None if block else getattr(policy, "metric", None))
        if group.machines is None or name in GROUP_METRICS:
            return AlarmOwner(number, Subject.GROUP, number)
        return AlarmOwner(number, Subject.SERVICE, self.world.names.services.index(group.machines.service))

    def _add_policy(self, number: int, group: AutoScalingGroup, policy: TargetTracking | StepScaling) -> None:
        """Add the alarms of a policy; a step policy without an alarm never acts."""
        owner = self._metric_owner(number, group, policy)
        rows = self._policies.setdefault(number, [])
        if isinstance(policy, StepScaling):
            added = self._alarms.add_step_scaling(owner, policy)
            if added is not None:
                name = str((policy.alarm or {}).get("alarmName") or policy.name)
                rows.append(_GroupPolicy(policy, added[1], added[0], NEVER, name))
            return
        high, low, metric = self._alarms.add_target_tracking(owner, policy, MS_PER_MINUTE, LOW_SHARE_GROUP)
        rows.append(_GroupPolicy(policy, metric, high, low, f"TargetTracking-{group.name}"))
