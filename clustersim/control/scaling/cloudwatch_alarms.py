"""The scenario's CloudWatch alarms, which deployments look at.

They only have a state; what follows from it is decided by whoever looks. The wiring evaluates them each metric
period, after the measures have been taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clustersim.control.scaling.alarm_table import AlarmTable, Owner
from clustersim.control.scaling.cloudwatch_metrics import Measures
from clustersim.errors import ScenarioError
from clustersim.policy.scaling.cloudwatch_metrics import Subject
from clustersim.vocabulary import NEVER

NO_TARGETS = np.zeros(0, np.int64)


class AlarmBoard:
    """One for all alarms of a scenario. Raises ScenarioError for what is not simulated."""

    def __init__(self, written: Sequence[Mapping[str, Any]], measures: Measures, tick_ms: int) -> None:
        self._table = AlarmTable(measures, tick_ms)
        self._positions: dict[str, int] = {}
        problems = []
        for alarm in written:
            name = str(alarm["alarmName"])
            try:
                self._positions[name], _ = self._table.add_alarm(Owner(NEVER, Subject.SERVICE, 0), alarm)
            except ValueError as problem:
                problems.append(f"alarms.{name}: {problem}")
        if problems:
            raise ScenarioError(problems)
        self._table.seal(NO_TARGETS, NO_TARGETS, NO_TARGETS)

    def evaluate(self, now_ms: int) -> bool:
        """Take in a metric period; whether any alarm is in ALARM."""
        self._table.evaluate(now_ms, NO_TARGETS, NO_TARGETS)
        return any(self._table.in_alarm(position) for position in self._positions.values())

    def in_alarm(self, name: str) -> bool:
        """Whether an alarm is in ALARM."""
        return self._table.in_alarm(self._positions[name])
