"""A `Custom` policy of a service: asks a function of the user once a metric period, and checks its answer.

Keeps the rows of the alarm table from which the function's metrics come. It must not know cooldowns or bounds beyond
showing them to the function: its proposal is decided on like any other (`control.scaling.service_autoscaler`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from clustersim.control.scaling.alarm_table import AlarmOwner, AlarmTable
from clustersim.engine.random_streams import draws_of
from clustersim.policy.scaling.cloudwatch_metrics import SERVICE_METRICS
from clustersim.policy.scaling.custom_scaling import ScalingRequest, check_capacity
from clustersim.policy.scaling.service_scaling import TargetTables
from clustersim.scenario.extensions.user_functions import AskedFunction
from clustersim.scenario.sections.scaling import CustomScaling

KeyOf = Callable[[str], np.uint64]
"""The key of a random stream by its name."""


class CustomPolicy:
    """The function of a policy, and the `rows` of the alarm table that measure for it.

    Raises ScenarioError if the function is not the one that the scenario was read with.
    """

    def __init__(
        self, rule: CustomScaling, owner: AlarmOwner, alarms: AlarmTable, period_ms: int, key: np.uint64
    ) -> None:
        self.rule = rule
        self.period_ms = period_ms
        self._service = owner.target
        self._alarms = alarms
        self._key = np.array([key], np.uint64)
        self._function = AskedFunction(rule.function, rule.place)
        metrics = dict.fromkeys(SERVICE_METRICS.values())
        row_of = {metric: alarms.add_datapoint(owner, metric, period_ms) for metric in metrics}
        self.rows = list(row_of.values())
        self.first_row = self.rows[0]
        self._row_by_name = np.array([row_of[metric] for metric in SERVICE_METRICS.values()], np.int64)
        self._parameters = MappingProxyType(rule.parameters)

    def is_asked_at(self, now: int) -> bool:
        """Return whether a metric period of the service ends now."""
        return now % self.period_ms == 0

    def wanted_capacity(self, now: int, targets: TargetTables) -> int | None:
        """Ask the function; return None if it asks for nothing.

        Raises ScenarioError, with the place of the policy, if the function raises or returns something else.
        """
        service = self._service
        request = ScalingRequest(
            now_ms=now,
            desired=int(targets.desired[service]),
            running=int(targets.running[service]),
            minimum=int(targets.floor[service]),
            maximum=int(targets.ceiling[service]),
            metrics=self._metrics(),
            parameters=self._parameters,
            draw=draws_of(self._key, now),
        )
        return self._function.ask(now, request, check_capacity)

    def _metrics(self) -> Mapping[str, float]:
        """Return the datapoints of the period by the name of the metric."""
        values = self._alarms.rows["value"][self._row_by_name].tolist()
        return MappingProxyType(dict(zip(SERVICE_METRICS, values, strict=True)))
