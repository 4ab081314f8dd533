"""Names of CloudWatch's metrics, and metric math."""

from __future__ import annotations

import math
from typing import Any

import pytest

from clustersim.policy.scaling.cloudwatch_metrics import Metric, MetricExpression, Subject, find_metric


def stat(name: str, metric: str) -> dict[str, Any]:
    return {"id": name, "metricStat": {"metric": {"metricName": metric}, "stat": "Sum"}, "returnData": False}


QUEUE = stat("m1", "ApproximateNumberOfMessagesVisible")
TASKS = stat("m2", "RunningTaskCount")


def value(text: str, queue: float, tasks: float) -> float:
    expression = MetricExpression([QUEUE, TASKS, {"id": "e1", "expression": text, "returnData": True}])
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
    ("queries", "message"),
    [
        ([], "empty"),
        ([QUEUE], "exactly one"),
        ([QUEUE, {"id": "e", "expression": "m1 / m9"}], "m9"),
        ([QUEUE, {"id": "e", "expression": "e + 1"}], "itself"),
        ([QUEUE, {"id": "e", "expression": "m1 /"}], "not an arithmetic"),
        ([QUEUE, {"id": "e", "expression": "m1 ** 2"}], "only"),
        ([QUEUE, {"id": "e", "expression": "RATE(m1)"}], "RATE"),
        ([QUEUE, {"id": "e", "expression": "m1.real"}], "m1.real"),
        ([stat("m", "Mystery"), {"id": "e", "expression": "m"}], "Mystery"),
    ],
)
def test_unsupported_queries_are_rejected(queries: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MetricExpression(queries)


def test_the_twenty_second_metrics_are_the_same_metrics() -> None:
    assert find_metric("ECSServiceAverageCPUUtilizationHighResolution") == (
        Metric.CPU,
        Subject.SERVICE,
        None,
    )
    assert find_metric("ECSServiceAverageMemoryUtilization") == (Metric.MEMORY, Subject.SERVICE, None)
    assert find_metric("Mystery") is None


def dimension(name: str, value: str) -> list[dict[str, str]]:
    return [{"name": "ClusterName", "value": "prod"}, {"name": name, "value": value}]


def test_dimensions_name_the_owner_of_a_metric() -> None:
    """CPUUtilization exists for services, groups and the cluster; a target group is named by the end of its ARN."""
    of_service = find_metric("CPUUtilization", dimension("ServiceName", "web"))
    assert of_service == (Metric.CPU, Subject.SERVICE, "web")
    of_group = find_metric("CPUUtilization", dimension("AutoScalingGroupName", "nodes"))
    assert of_group == (Metric.CPU, Subject.GROUP, "nodes")
    cluster = [{"name": "ClusterName", "value": "prod"}]
    assert find_metric("CPUReservation", cluster) == (Metric.CPU_RESERVATION, Subject.CLUSTER, None)
    balanced = find_metric("TargetResponseTime", dimension("TargetGroup", "targetgroup/front/0a1b"))
    assert balanced == (Metric.RESPONSE_TIME, Subject.SERVICE, "front")
    assert find_metric("MemoryReservation", dimension("ServiceName", "web")) is None


def test_without_dimensions_the_owner_is_the_default() -> None:
    """A policy of a group reads the group's instances, one of a service the service's tasks."""
    assert find_metric("CPUUtilization", (), Subject.GROUP) == (Metric.CPU, Subject.GROUP, None)
    assert find_metric("CPUReservation") == (Metric.CPU_RESERVATION, Subject.CLUSTER, None)
