"""Names of CloudWatch's metrics, and metric math."""

from __future__ import annotations

import math
from typing import Any

import pytest

from clustersim.policy.metrics import Expression, Metric, metric_named


def stat(name: str, metric: str) -> dict[str, Any]:
    return {"id": name, "metricStat": {"metric": {"metricName": metric}, "stat": "Sum"}, "returnData": False}


QUEUE = stat("m1", "ApproximateNumberOfMessagesVisible")
TASKS = stat("m2", "RunningTaskCount")


def value(text: str, queue: float, tasks: float) -> float:
    expression = Expression([QUEUE, TASKS, {"id": "e1", "expression": text, "returnData": True}])
    return expression.value(lambda metric: queue if metric == Metric.QUEUE_DEPTH else tasks)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m1 / m2", 25.0),
        ("(m1 + 20) / (m2 * 2) - -1", 16.0),
        ("MAX([m1]) * 0 + MIN(m2, 3)", 3.0),
        ("CEIL(m1 / 3) + FLOOR(m1 / 3)", 67.0),
    ],
)
def test_arithmetic_on_metrics(text: str, expected: float) -> None:
    """100 messages, 4 tasks: backlog per task 25 (AWS: scaling on SQS)."""
    assert value(text, 100.0, 4.0) == expected


def test_a_division_by_zero_and_missing_data_give_no_datapoint() -> None:
    assert math.isnan(value("m1 / m2", 100.0, 0.0))
    assert math.isnan(value("CEIL(m1)", math.nan, 1.0))
    assert value("FILL(m1, 7)", math.nan, 1.0) == 7.0
    assert value("FILL(m1, 7)", 3.0, 1.0) == 3.0
    assert value("MAX(m1, m2)", math.nan, 1.0) == 1.0


@pytest.mark.parametrize(
    ("queries", "said"),
    [
        ([], "empty"),
        ([QUEUE], "exactly one"),
        ([QUEUE, {"id": "e", "expression": "m1 / m9"}], "m9"),
        ([QUEUE, {"id": "e", "expression": "e + 1"}], "itself"),
        ([QUEUE, {"id": "e", "expression": "m1 /"}], "no arithmetic"),
        ([QUEUE, {"id": "e", "expression": "m1 ** 2"}], "only"),
        ([QUEUE, {"id": "e", "expression": "RATE(m1)"}], "RATE"),
        ([QUEUE, {"id": "e", "expression": "m1.real"}], "m1.real"),
        ([stat("m", "Mystery"), {"id": "e", "expression": "m"}], "Mystery"),
    ],
)
def test_what_is_not_simulated_is_said(queries: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Expression(queries)


def test_the_twenty_second_metrics_are_the_same_metrics() -> None:
    assert metric_named("ECSServiceAverageCPUUtilizationHighResolution") == Metric.CPU
    assert metric_named("ECSServiceAverageMemoryUtilization") == Metric.MEMORY
    assert metric_named("Mystery") is None
