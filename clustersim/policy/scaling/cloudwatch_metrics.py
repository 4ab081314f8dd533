"""The CloudWatch metrics that policies and alarms may name, and metric math.

Decides which metric a name means, which resource owns it, and the value of a metric math expression; it holds no values
itself. The scenario's compilation validates names here; `control.scaling.cloudwatch_metrics` fills a column per
`Metric`, and `control.scaling.alarm_table` resolves the metrics of alarms.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple


class Metric(IntEnum):
    """The metrics of a metric period: the rows of the metrics matrix."""

    CPU = 0
    MEMORY = 1
    REQUESTS = 2
    REQUESTS_PER_TARGET = 3
    FAILED_REQUESTS = 4
    QUEUE_DEPTH = 5
    OLDEST_AGE = 6
    RUNNING_TASKS = 7
    DESIRED_TASKS = 8
    PENDING_TASKS = 9
    RESPONSE_TIME = 10
    HEALTHY_TARGETS = 11
    UNHEALTHY_TARGETS = 12
    DEPLOYMENTS = 13
    MESSAGES_DELETED = 14
    CPU_RESERVED = 15
    CPU_USED = 16
    MEMORY_RESERVED = 17
    MEMORY_USED = 18
    CPU_RESERVATION = 19
    MEMORY_RESERVATION = 20
    DESIRED_CAPACITY = 21
    IN_SERVICE_INSTANCES = 22
    PROVIDER_RESERVATION = 23
    MESSAGES_IN_FLIGHT = 24


class Subject(IntEnum):
    """The kind of resource that owns a metric."""

    SERVICE = 0
    GROUP = 1
    CLUSTER = 2
    PROVIDER = 3


SERVICE_METRICS = {
    # predefined metrics of Application Auto Scaling
    "ECSServiceAverageCPUUtilization": Metric.CPU,
    "ECSServiceAverageMemoryUtilization": Metric.MEMORY,
    "ALBRequestCountPerTarget": Metric.REQUESTS_PER_TARGET,
    # AWS/ECS and Container Insights
    "CPUUtilization": Metric.CPU,
    "MemoryUtilization": Metric.MEMORY,
    "RunningTaskCount": Metric.RUNNING_TASKS,
    "DesiredTaskCount": Metric.DESIRED_TASKS,
    "PendingTaskCount": Metric.PENDING_TASKS,
    "DeploymentCount": Metric.DEPLOYMENTS,
    "CpuReserved": Metric.CPU_RESERVED,
    "CpuUtilized": Metric.CPU_USED,
    "MemoryReserved": Metric.MEMORY_RESERVED,
    "MemoryUtilized": Metric.MEMORY_USED,
    # AWS/ApplicationELB; a request that times out is a 504 of the load balancer
    "RequestCount": Metric.REQUESTS,
    "RequestCountPerTarget": Metric.REQUESTS_PER_TARGET,
    "HTTPCode_ELB_5XX_Count": Metric.FAILED_REQUESTS,
    "TargetResponseTime": Metric.RESPONSE_TIME,
    "HealthyHostCount": Metric.HEALTHY_TARGETS,
    "UnHealthyHostCount": Metric.UNHEALTHY_TARGETS,
    # AWS/SQS
    "NumberOfMessagesSent": Metric.REQUESTS,
    "NumberOfMessagesDeleted": Metric.MESSAGES_DELETED,
    "ApproximateNumberOfMessagesVisible": Metric.QUEUE_DEPTH,
    "ApproximateNumberOfMessagesNotVisible": Metric.MESSAGES_IN_FLIGHT,
    "ApproximateAgeOfOldestMessage": Metric.OLDEST_AGE,
}
GROUP_METRICS = {
    "ASGAverageCPUUtilization": Metric.CPU,
    "CPUUtilization": Metric.CPU,
    "GroupDesiredCapacity": Metric.DESIRED_CAPACITY,
    "GroupInServiceInstances": Metric.IN_SERVICE_INSTANCES,
}
CLUSTER_METRICS = {
    "CPUReservation": Metric.CPU_RESERVATION,
    "MemoryReservation": Metric.MEMORY_RESERVATION,
    "CPUUtilization": Metric.CPU,
    "MemoryUtilization": Metric.MEMORY,
    "TaskCount": Metric.RUNNING_TASKS,
    "ContainerInstanceCount": Metric.IN_SERVICE_INSTANCES,
}
PROVIDER_METRICS = {"CapacityProviderReservation": Metric.PROVIDER_RESERVATION}
METRICS = {
    Subject.SERVICE: SERVICE_METRICS,
    Subject.GROUP: GROUP_METRICS,
    Subject.CLUSTER: CLUSTER_METRICS,
    Subject.PROVIDER: PROVIDER_METRICS,
}
METRIC_NAMES = sorted({name for names in METRICS.values() for name in names})

SUMMED = frozenset(
    {Metric.REQUESTS, Metric.REQUESTS_PER_TARGET, Metric.FAILED_REQUESTS, Metric.MESSAGES_DELETED}
)
"""Counting metrics: aggregated over a longer period by their sum, the others by their mean."""

_DIMENSIONS = {
    "ServiceName": Subject.SERVICE,
    "QueueName": Subject.SERVICE,
    "TargetGroup": Subject.SERVICE,
    "AutoScalingGroupName": Subject.GROUP,
    "CapacityProviderName": Subject.PROVIDER,
}


class MetricReference(NamedTuple):
    """A reference to a metric: which one, the kind of its owner, and the name of the owner (None: the default)."""

    metric: Metric
    subject: Subject
    owner: str | None


def find_owner(dimensions: Any) -> tuple[Subject, str] | None:
    """Return the owner of a metric by its CloudWatch dimensions; None if they name only the cluster."""
    for dimension in dimensions or ():
        subject = _DIMENSIONS.get(str(dimension.get("name")))
        if subject is not None:
            value = str(dimension.get("value"))
            # A target group is given as the end of its ARN: targetgroup/NAME/ID.
            return subject, value.split("/")[1] if value.startswith("targetgroup/") else value
    return None


def find_metric(
    name: str, dimensions: Any = (), default_subject: Subject = Subject.SERVICE
) -> MetricReference | None:
    """Return the metric of a CloudWatch or predefined name; None if clustersim does not simulate it.

    Without dimensions it belongs to the service or group itself (`default_subject`), unless only the cluster has such
    a metric. The predefined metrics of 20 s resolution are those of 60 s with a longer name.
    """
    name = name.removesuffix("HighResolution")
    owner = find_owner(dimensions)
    if owner is not None:
        metric = METRICS[owner[0]].get(name)
        return None if metric is None else MetricReference(metric, owner[0], owner[1])
    only_cluster = any(str(dimension.get("name")) == "ClusterName" for dimension in dimensions or ())
    order = (Subject.CLUSTER,) if only_cluster else (default_subject, Subject.CLUSTER)
    for subject in order:
        if name in METRICS[subject]:
            return MetricReference(METRICS[subject][name], subject, None)
    return None


MetricReader = Callable[[MetricReference], float]


class MetricExpression:
    """The `metrics` of a customised metric: metric statistics by id, and expressions over them.

    Arithmetic (+ - * /, parentheses), FILL, MIN, MAX, CEIL and FLOOR; one query returns data. A division by zero or a
    missing operand gives no datapoint (NaN), as in CloudWatch. Raises ValueError for anything else.
    """

    def __init__(self, queries: list[dict[str, Any]], default_subject: Subject = Subject.SERVICE) -> None:
        if not queries:
            raise ValueError("metrics is empty")
        self._default_subject = default_subject
        self._metrics: dict[str, MetricReference] = {}
        self._formulas: dict[str, ast.expr] = {}
        returned = [query for query in queries if query.get("returnData", True)]
        if len(returned) != 1:
            raise ValueError("exactly one query of metrics must return data")
        for query in queries:
            self._define(query)
        self._result = str(returned[0]["id"])
        self.text = str(returned[0].get("expression") or returned[0].get("label") or self._result)
        self._evaluate(self._result, lambda reference: 1.0, ())

    def _define(self, query: Mapping[str, Any]) -> None:
        name = str(query.get("id"))
        if query.get("expression"):
            try:
                self._formulas[name] = ast.parse(str(query["expression"]), mode="eval").body
            except SyntaxError as problem:
                raise ValueError(
                    f"{query['expression']!r} is not an arithmetic expression on metrics"
                ) from problem
            return
        statistic = query.get("metricStat") or {}
        metric_spec = statistic.get("metric") or {}
        metric_name = str(metric_spec.get("metricName"))
        reference = find_metric(metric_name, metric_spec.get("dimensions"), self._default_subject)
        if reference is None:
            raise ValueError(
                f"metric {metric_name!r} is not simulated; expected one of {', '.join(METRIC_NAMES)}"
            )
        self._metrics[name] = reference

    @property
    def references(self) -> list[MetricReference]:
        """The metrics that it reads."""
        return list(self._metrics.values())

    def value(self, read: MetricReader) -> float:
        """Return the current value; `read` gives each metric's last datapoint; NaN: no datapoint."""
        return self._evaluate(self._result, read, ())

    def _evaluate(self, name: str, read: MetricReader, path: tuple[str, ...]) -> float:
        if name in path:
            raise ValueError(f"{name!r} refers to itself")
        if name in self._metrics:
            return read(self._metrics[name])
        if name not in self._formulas:
            raise ValueError(f"{name!r} is not the id of a query")
        return self._node(self._formulas[name], read, (*path, name))

    def _node(self, node: ast.expr, read: MetricReader, path: tuple[str, ...]) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self._evaluate(name, read, path)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -self._node(inner, read, path)
            case ast.BinOp(left=left, op=operation, right=right):
                return _apply_operator(operation, self._node(left, read, path), self._node(right, read, path))
            case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]):
                return _apply_function(
                    function.upper(), [self._node(argument, read, path) for argument in arguments]
                )
            case ast.List(elts=[inner]):
                return self._node(inner, read, path)
        raise ValueError(f"{ast.unparse(node)!r} is not simulated in metric math")


def _apply_operator(operation: ast.operator, left: float, right: float) -> float:
    match operation:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right if right != 0.0 else math.nan
    raise ValueError("only + - * / are simulated in metric math")


def _apply_function(function: str, arguments: list[float]) -> float:
    match function, arguments:
        case "FILL", [value, replacement]:
            return replacement if math.isnan(value) else value
        case "CEIL" | "FLOOR", [value]:
            if math.isnan(value):
                return value
            return float(math.ceil(value) if function == "CEIL" else math.floor(value))
        case "MIN" | "MAX", [_, *_]:
            present = [value for value in arguments if not math.isnan(value)]
            return (min if function == "MIN" else max)(present, default=math.nan)
    raise ValueError(f"{function} of {len(arguments)} is not simulated in metric math")
