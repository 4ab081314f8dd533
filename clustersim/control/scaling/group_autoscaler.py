"""EC2 Auto Scaling policies: each metric period, from a group's metrics through alarms to its desired capacity.

For groups whose scaling no capacity provider manages (`control.capacity.managed_scaling` does that for the others).
Decides by `policy.scaling.group_scaling` on the alarms of `control.scaling.alarm_table`; it must not know tasks. The
wiring calls `tick` when the measures of the metric period have been taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from clustersim.control.capacity.capacity import Capacity
from clustersim.control.events.scaling_activities import Origin, Record
from clustersim.control.scaling.alarm_table import AlarmTable, Owner
from clustersim.control.scaling.cloudwatch_metrics import Measures
from clustersim.errors import ScenarioError
from clustersim.policy.scaling import service_scaling as scaling
from clustersim.policy.scaling.cloudwatch_metrics import GROUP_METRICS, Subject
from clustersim.policy.scaling.group_scaling import Size, decide_group
from clustersim.scenario.sections.scenario import AutoScalingGroup, StepScaling, TargetTracking
from clustersim.vocabulary import MS_PER_MINUTE, NEVER
from clustersim.world.state.world import World

SetCapacity = Callable[[int, int, str], None]
"""(group, desired capacity, cause)."""
BoundsOf = Callable[[int], scaling.Bounds]
"""The capacities between which the policies of a group may move it."""


class _Policy(NamedTuple):
    """A policy with its alarms' positions; `low` is -1 for step and simple scaling."""

    rule: TargetTracking | StepScaling
    metric: str
    high: int
    low: int
    alarm_name: str


class GroupScaling:
    """All groups with scaling policies. Raises ScenarioError for metrics that are not simulated."""

    def __init__(
        self,
        world: World,
        capacity: Capacity,
        measures: Measures,
        callbacks: tuple[SetCapacity, BoundsOf, Record],
        tick_ms: int = MS_PER_MINUTE,
    ) -> None:
        self.world = world
        self.capacity = capacity
        self._set_capacity, self._bounds, self.record = callbacks
        groups = world.scenario.groups
        self._measures = measures
        self._alarms = AlarmTable(measures, tick_ms)
        self._policies: dict[int, list[_Policy]] = {}
        self._simple_until = np.full(len(groups), NEVER, np.int64)  # simple scaling waits for its cooldown
        problems: list[str] = []
        for number, group in enumerate(groups):
            for policy in group.policies:
                try:
                    self._add(number, group, policy)
                except ValueError as problem:
                    problems.append(
                        f"autoScalingGroups.{group.name}.scalingPolicies.{policy.name}: {problem}"
                    )
        if problems:
            raise ScenarioError(problems)
        self._floor = np.array([group.min_size for group in groups], np.int64)
        self._ceiling = np.array([group.max_size for group in groups], np.int64)
        self._alarms.seal(self._floor, self._ceiling, np.full(len(groups), NEVER, np.int64))

    def tick(self, now: int) -> None:
        """Take in the metric period that ends at `now`."""
        if not self._policies:
            return
        sizes = self._sizes(now)
        desired = np.array([size.desired for size in sizes], np.int64)
        warm = np.array([size.warm for size in sizes], np.int64)
        for group in self._policies:  # scheduled actions may have moved them
            bounds = self._bounds(group)
            self._floor[group], self._ceiling[group] = bounds.minimum, bounds.maximum
        for group in self._alarms.targets(self._alarms.evaluate(now, warm, desired)):
            self._act(now, group, sizes[group])

    def _sizes(self, now: int) -> list[Size]:
        """Every group as it stands."""
        state = self.world.state
        found = []
        for number in range(len(self.world.scenario.groups)):
            slots = self.capacity.groups.members(number).slots
            up = np.count_nonzero(state.instances["registered"][slots] >= 0)
            warm = np.count_nonzero(self._measures.warm(slots, now))
            found.append(Size(self.capacity.desired[number], int(up), int(warm)))
        return found

    def _act(self, now: int, group: int, size: Size) -> None:
        """Ask all policies of a group one of whose alarms calls, and do what they agree on."""
        policies = self._policies[group]
        proposals = [
            self._proposal(position, policy, size)
            for position, policy in enumerate(policies)
            if not (
                isinstance(policy.rule, StepScaling)
                and policy.rule.simple
                and now < self._simple_until[group]
            )
        ]
        of = self.world.scenario.groups[group]
        decided = decide_group(size, proposals, self._bounds(group))
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
        self._set_capacity(group, count, cause)
        origin = Origin(f"autoScalingGroup/{of.name}", chosen.rule.name, chosen.metric, cause)
        self.record(now, origin, value, size.desired, count)

    def _proposal(self, position: int, policy: _Policy, size: Size) -> scaling.Proposal:
        """What one policy wants by the state of its alarms, counting on instances that are warm."""
        rule = policy.rule
        value = self._alarms.value(policy.high)
        ringing = self._alarms.in_alarm(policy.high) and not math.isnan(value)
        if isinstance(rule, StepScaling):
            capacity = size.desired
            if ringing:
                base = size.desired if rule.simple else size.warm
                wanted = self._alarms.stepped(policy.high, rule, base)
                if wanted > base:
                    capacity = max(wanted, size.desired)
                elif wanted < base:
                    capacity = min(wanted, size.desired)
            direction = (capacity > size.desired) - (capacity < size.desired)
            return scaling.Proposal(position, direction, capacity, tracks_target=False)
        direction = scaling.HOLD
        if ringing:
            direction = scaling.OUT
        elif self._alarms.in_alarm(policy.low) and not math.isnan(value):
            direction = scaling.IN
        capacity = size.desired
        if direction != scaling.HOLD:
            capacity = scaling.target_tracking(size.warm, value, rule.target, direction)
        return scaling.Proposal(position, direction, capacity, may_scale_in=not rule.disable_scale_in)

    def _owner(self, number: int, group: AutoScalingGroup, policy: TargetTracking | StepScaling) -> Owner:
        """Whose metrics a policy means: its group's, or for virtual machines those of their service that a group has
        not (requests of its load balancer, messages in its queue)."""
        own = policy.custom_metric if isinstance(policy, TargetTracking) else policy.alarm
        name = (own or {}).get("metricName", None if own else getattr(policy, "metric", None))
        if group.machines is None or name in GROUP_METRICS:
            return Owner(number, Subject.GROUP, number)
        return Owner(number, Subject.SERVICE, self.world.names.services.index(group.machines.service))

    def _add(self, number: int, group: AutoScalingGroup, policy: TargetTracking | StepScaling) -> None:
        """Make the alarms of a policy; a step policy without an alarm never acts."""
        owner = self._owner(number, group, policy)
        rows = self._policies.setdefault(number, [])
        if isinstance(policy, StepScaling):
            added = self._alarms.add_step(owner, policy)
            if added is not None:
                name = str((policy.alarm or {}).get("alarmName") or policy.name)
                rows.append(_Policy(policy, added[1], added[0], NEVER, name))
            return
        high, low, metric = self._alarms.add_tracking(owner, policy, MS_PER_MINUTE, scaling.LOW_SHARE_GROUP)
        rows.append(_Policy(policy, metric, high, low, f"TargetTracking-{group.name}"))
