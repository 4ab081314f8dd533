"""Names of CloudWatch's metrics, and metric math."""

from __future__ import annotations

import math
from typing import Any

import pytest

from clustersim.policy.scaling.cloudwatch_metrics import Expression, Metric, Subject, metric_named


def stat(name: str, metric: str) -> dict[str, Any]:
    return {"id": name, "metricStat": {"metric": {"metricName": metric}, "stat": "Sum"}, "returnData": False}


QUEUE = stat("m1", "ApproximateNumberOfMessagesVisible")
TASKS = stat("m2", "RunningTaskCount")


def value(text: str, queue: float, tasks: float) -> float:
    expression = Expression([QUEUE, TASKS, {"id": "e1", "expression": text, "returnData": True}])
    return expression.value(lambda named: queue if named.metric == Metric.QUEUE_DEPTH else tasks)


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
    assert metric_named("ECSServiceAverageCPUUtilizationHighResolution") == (
        Metric.CPU,
        Subject.SERVICE,
        None,
    )
    assert metric_named("ECSServiceAverageMemoryUtilization") == (Metric.MEMORY, Subject.SERVICE, None)
    assert metric_named("Mystery") is None


def dimension(name: str, value: str) -> list[dict[str, str]]:
    return [{"name": "ClusterName", "value": "prod"}, {"name": name, "value": value}]


def test_dimensions_say_whose_metric_it_is() -> None:
    """CPUUtilization is a service's, a group's or the cluster's; a target group is named by the end of its ARN."""
    of_service = metric_named("CPUUtilization", dimension("ServiceName", "web"))
    assert of_service == (Metric.CPU, Subject.SERVICE, "web")
    of_group = metric_named("CPUUtilization", dimension("AutoScalingGroupName", "nodes"))
    assert of_group == (Metric.CPU, Subject.GROUP, "nodes")
    cluster = [{"name": "ClusterName", "value": "prod"}]
    assert metric_named("CPUReservation", cluster) == (Metric.CPU_RESERVATION, Subject.CLUSTER, None)
    balanced = metric_named("TargetResponseTime", dimension("TargetGroup", "targetgroup/front/0a1b"))
    assert balanced == (Metric.RESPONSE_TIME, Subject.SERVICE, "front")
    assert metric_named("MemoryReservation", dimension("ServiceName", "web")) is None


def test_without_dimensions_it_is_ones_own() -> None:
    """A policy of a group means the group's instances, one of a service the service's tasks."""
    assert metric_named("CPUUtilization", (), Subject.GROUP) == (Metric.CPU, Subject.GROUP, None)
    assert metric_named("CPUReservation") == (Metric.CPU_RESERVATION, Subject.CLUSTER, None)
