"""The scenario's CloudWatch alarms, which deployments use.

Keeps their states; other modules decide what follows from a state. The wiring evaluates them each metric period, after
the metrics have been updated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clustersim.control.scaling.alarm_table import AlarmOwner, AlarmTable
from clustersim.control.scaling.cloudwatch_metrics import CloudWatchMetrics
from clustersim.errors import ScenarioError
from clustersim.policy.scaling.cloudwatch_metrics import Subject
from clustersim.vocabulary import NEVER

NO_TARGETS = np.zeros(0, np.int64)


class CloudWatchAlarms:
    """All alarms of a scenario.

    Raises ScenarioError for values that are not simulated.
    """

    def __init__(self, blocks: Sequence[Mapping[str, Any]], metrics: CloudWatchMetrics, tick_ms: int) -> None:
        self._table = AlarmTable(metrics, tick_ms)
        self._positions: dict[str, int] = {}
        problems = []
        for alarm in blocks:
            name = str(alarm["alarmName"])
            try:
                self._positions[name], _ = self._table.add_alarm(AlarmOwner(NEVER, Subject.SERVICE, 0), alarm)
            except ValueError as problem:
                problems.append(f"alarms.{name}: {problem}")
        if problems:
            raise ScenarioError(problems)
        self._table.finish(NO_TARGETS, NO_TARGETS)

    def evaluate(self, now_ms: int) -> bool:
        """Evaluate a metric period; return whether any alarm is in ALARM."""
        self._table.evaluate(now_ms, NO_TARGETS, NO_TARGETS)
        return any(self._table.in_alarm(position) for position in self._positions.values())

    def in_alarm(self, name: str) -> bool:
        """Return whether an alarm is in ALARM."""
        return self._table.in_alarm(self._positions[name])
