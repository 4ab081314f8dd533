"""The policies of services, one class per kind: the alarms of a policy, and what it proposes.

A policy writes its proposal to a row; it must not know the other policies of its service,
cooldowns or bounds. `PolicyTables.add` is the one place that lists the kinds; `service_autoscaler` calls it, and asks
all policies of a service that is to be decided for.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, assert_never

from clustersim.control.events.scaling_activities import Origin
from clustersim.control.scaling.alarm_table import AlarmOwner, AlarmTable
from clustersim.control.scaling.custom_policy import CustomPolicy, KeyOf
from clustersim.engine.records import Table
from clustersim.policy.scaling.cloudwatch_metrics import Subject
from clustersim.policy.scaling.service_scaling import ProposalRow, TargetTables
from clustersim.policy.scaling.target_tracking import HOLD, LOW_SHARE_SERVICE
from clustersim.policy.scaling.target_tracking_kernel import TrackingTables, propose_target_tracking
from clustersim.scenario.sections.scaling import CustomScaling, ServicePolicy, StepScaling, TargetTracking


class AskedService(NamedTuple):
    """A service that is being decided for: the instant (ms), its number, and the tables that are read and written."""

    now: int
    service: int
    targets: TargetTables
    tracking: TrackingTables  # a pointer
    proposals: Table[ProposalRow]


class AskedPolicy(Protocol):
    """A policy of a service."""

    def propose(self, asked: AskedService, position: int) -> None:
        """Write its proposal to row `position` of the proposals."""


class TrackingPolicy:
    """A target tracking policy; `row` is its position in the table of target tracking policies."""

    def __init__(self, row: int) -> None:
        self.row = row

    def propose(self, asked: AskedService, position: int) -> None:
        """Write its proposal by the state of its alarms."""
        propose_target_tracking(asked.tracking, asked.service, self.row, position)


class SteppingPolicy:
    """A step scaling policy with the position of its alarm."""

    def __init__(self, rule: StepScaling, alarm: int, alarms: AlarmTable) -> None:
        self._rule = rule
        self._alarm = alarm
        self._alarms = alarms

    def propose(self, asked: AskedService, position: int) -> None:
        """Write the capacity after the step of the breach."""
        rule, running = self._rule, int(asked.targets.running[asked.service])
        capacity = self._alarms.capacity_after_step(self._alarm, rule, running)
        direction = (capacity > running) - (capacity < running)
        cooldowns = rule.cooldown_ms, rule.cooldown_ms
        asked.proposals[position] = (direction, capacity, *cooldowns, False, True, self._alarm)


class CustomServicePolicy:
    """A policy that asks a function of the user."""

    def __init__(self, policy: CustomPolicy) -> None:
        self._policy = policy

    def is_asked_at(self, now: int) -> bool:
        """Return whether a metric period of the service ends now."""
        return self._policy.is_asked_at(now)

    def propose(self, asked: AskedService, position: int) -> None:
        """Write the capacity that the function wants; without one, or between metric periods, nothing.

        An answer counts like that of target tracking: where one wants no fewer tasks, the others do not scale in.
        """
        rule, desired = self._policy.rule, int(asked.targets.desired[asked.service])
        wanted = (
            self._policy.wanted_capacity(asked.now, asked.targets) if self.is_asked_at(asked.now) else None
        )
        capacity = desired if wanted is None else wanted
        direction = HOLD if wanted is None else (wanted > desired) - (wanted < desired)
        cooldowns = rule.scale_out_cooldown_ms, rule.scale_in_cooldown_ms
        answers, row = wanted is not None, self._policy.first_row
        asked.proposals[position] = (direction, capacity, *cooldowns, answers, True, row)


class PolicyTables:
    """What the policies of all services share: the alarms, their origins, and the rows of target tracking policies."""

    def __init__(self, alarms: AlarmTable, key_of: KeyOf) -> None:
        self._alarms = alarms
        self._key_of = key_of
        self.tracking_rows: list[tuple[int, int, int, int, bool]] = []
        self._origins: dict[int, Origin] = {}

    @property
    def origins(self) -> list[Origin]:
        """The origins of the decisions of each row of the alarm table."""
        return [self._origins[row] for row in range(len(self._origins))]

    def add(self, rule: ServicePolicy, service: int, target: str, resolution_ms: int) -> AskedPolicy | None:
        """Add the alarms of a policy of the service `target`; None if nothing ever triggers it.

        Raises ValueError for metrics that are not simulated.
        """
        owner = AlarmOwner(service, Subject.SERVICE, service)
        match rule:
            case TargetTracking():
                return self._add_target_tracking(rule, owner, target, resolution_ms)
            case StepScaling():
                return self._add_step_scaling(rule, owner, target)
            case CustomScaling():
                return self._add_custom(rule, owner, target, resolution_ms)
            case _:
                assert_never(rule)

    def _add_target_tracking(
        self, rule: TargetTracking, owner: AlarmOwner, target: str, resolution_ms: int
    ) -> TrackingPolicy:
        high, low, metric = self._alarms.add_target_tracking(owner, rule, resolution_ms, LOW_SHARE_SERVICE)
        for alarm, end in ((high, "AlarmHigh"), (low, "AlarmLow")):
            cause = _alarm_cause(f"TargetTracking-{target}-{end}", rule.name)
            self._origins[alarm] = Origin(target, rule.name, metric, cause)
        cooldowns = rule.scale_out_cooldown_ms, rule.scale_in_cooldown_ms
        self.tracking_rows.append((high, low, *cooldowns, not rule.disable_scale_in))
        return TrackingPolicy(len(self.tracking_rows) - 1)

    def _add_step_scaling(self, rule: StepScaling, owner: AlarmOwner, target: str) -> SteppingPolicy | None:
        added = self._alarms.add_step_scaling(owner, rule)
        if added is None:
            return None
        alarm, metric = added
        name = str((rule.alarm or {}).get("alarmName") or rule.name)
        self._origins[alarm] = Origin(target, rule.name, metric, _alarm_cause(name, rule.name))
        return SteppingPolicy(rule, alarm, self._alarms)

    def _add_custom(
        self, rule: CustomScaling, owner: AlarmOwner, target: str, resolution_ms: int
    ) -> CustomServicePolicy:
        key = self._key_of(f"scaling policy {target}/{rule.name}")
        policy = CustomPolicy(rule, owner, self._alarms, resolution_ms, key)
        cause = f"{rule.function.reference} returned this capacity to policy {rule.name}"
        self._origins.update(dict.fromkeys(policy.rows, Origin(target, rule.name, None, cause)))
        return CustomServicePolicy(policy)


def _alarm_cause(alarm: str, policy: str) -> str:
    return f"monitor alarm {alarm} in state ALARM triggered policy {policy}"
