"""CloudWatch's metrics that policies and alarms may name, and arithmetic on them.

Decides which number a name means and what an expression of metric math is worth; knows no values of its own.
Called by `control.autoscaler` when it is built, and each period for the few policies with expressions.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any


class Metric(IntEnum):
    """What an alarm can read in one metric period."""

    CPU = 0
    MEMORY = 1
    REQUESTS = 2
    REQUESTS_PER_TARGET = 3
    FAILED_REQUESTS = 4
    QUEUE_DEPTH = 5
    OLDEST_AGE = 6
    RUNNING_TASKS = 7
    DESIRED_TASKS = 8


METRIC_NAMES = {
    # predefined metrics of Application Auto Scaling
    "ECSServiceAverageCPUUtilization": Metric.CPU,
    "ECSServiceAverageMemoryUtilization": Metric.MEMORY,
    "ALBRequestCountPerTarget": Metric.REQUESTS_PER_TARGET,
    # AWS/ECS and Container Insights
    "CPUUtilization": Metric.CPU,
    "MemoryUtilization": Metric.MEMORY,
    "RunningTaskCount": Metric.RUNNING_TASKS,
    "DesiredTaskCount": Metric.DESIRED_TASKS,
    # AWS/ApplicationELB; a request that times out is a 504 of the load balancer
    "RequestCount": Metric.REQUESTS,
    "RequestCountPerTarget": Metric.REQUESTS_PER_TARGET,
    "HTTPCode_ELB_5XX_Count": Metric.FAILED_REQUESTS,
    # AWS/SQS
    "NumberOfMessagesSent": Metric.REQUESTS,
    "ApproximateNumberOfMessagesVisible": Metric.QUEUE_DEPTH,
    "ApproximateAgeOfOldestMessage": Metric.OLDEST_AGE,
}

SUMMED = frozenset({Metric.REQUESTS, Metric.REQUESTS_PER_TARGET, Metric.FAILED_REQUESTS})
"""Metrics that count: a longer period holds their sum, of the others the mean."""

Reader = Callable[[Metric], float]


def metric_named(name: str) -> Metric | None:
    """The metric of a CloudWatch or predefined name; None where clustersim does not simulate it.

    The predefined metrics of 20 s resolution are those of 60 s with a longer name.
    """
    for predefined in ("ECSServiceAverageCPUUtilization", "ECSServiceAverageMemoryUtilization"):
        if name.startswith(predefined):
            return METRIC_NAMES[predefined]
    return METRIC_NAMES.get(name)


class Expression:
    """The `metrics` of a customised metric: metric statistics by id, and expressions over them.

    Arithmetic (+ - * /, parentheses), FILL, MIN, MAX, CEIL and FLOOR; one query returns data. A division by
    zero and a missing part give no datapoint (NaN), as in CloudWatch. Raises ValueError for anything else.
    """

    def __init__(self, queries: list[dict[str, Any]]) -> None:
        if not queries:
            raise ValueError("metrics is empty")
        self._metrics: dict[str, Metric] = {}
        self._formulas: dict[str, ast.expr] = {}
        returned = [query for query in queries if query.get("returnData", True)]
        if len(returned) != 1:
            raise ValueError("exactly one query of metrics must return data")
        for query in queries:
            self._define(query)
        self._result = str(returned[0]["id"])
        self.text = str(returned[0].get("expression") or returned[0].get("label") or self._result)
        self._evaluate(self._result, lambda metric: 1.0, ())

    def _define(self, query: Mapping[str, Any]) -> None:
        name = str(query.get("id"))
        if query.get("expression"):
            try:
                self._formulas[name] = ast.parse(str(query["expression"]), mode="eval").body
            except SyntaxError as problem:
                raise ValueError(f"{query['expression']!r} is no arithmetic on metrics") from problem
            return
        statistic = query.get("metricStat") or {}
        wanted = str((statistic.get("metric") or {}).get("metricName"))
        metric = metric_named(wanted)
        if metric is None:
            raise ValueError(f"metric {wanted!r} is not simulated; one of {', '.join(METRIC_NAMES)}")
        self._metrics[name] = metric

    def value(self, read: Reader) -> float:
        """The value now, `read` giving each metric's last datapoint; NaN: no datapoint."""
        return self._evaluate(self._result, read, ())

    def _evaluate(self, name: str, read: Reader, path: tuple[str, ...]) -> float:
        if name in path:
            raise ValueError(f"{name!r} is defined by itself")
        if name in self._metrics:
            return read(self._metrics[name])
        if name not in self._formulas:
            raise ValueError(f"{name!r} is not the id of a query")
        return self._node(self._formulas[name], read, (*path, name))

    def _node(self, node: ast.expr, read: Reader, path: tuple[str, ...]) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self._evaluate(name, read, path)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -self._node(inner, read, path)
            case ast.BinOp(left=left, op=operation, right=right):
                return _combine(operation, self._node(left, read, path), self._node(right, read, path))
            case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]):
                return _call(function.upper(), [self._node(argument, read, path) for argument in arguments])
            case ast.List(elts=[inner]):
                return self._node(inner, read, path)
        raise ValueError(f"{ast.unparse(node)!r} is not simulated in metric math")


def _combine(operation: ast.operator, left: float, right: float) -> float:
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


def _call(function: str, arguments: list[float]) -> float:
    match function, arguments:
        case "FILL", [value, instead]:
            return instead if math.isnan(value) else value
        case "CEIL" | "FLOOR", [value]:
            if math.isnan(value):
                return value
            return float(math.ceil(value) if function == "CEIL" else math.floor(value))
        case "MIN" | "MAX", [_, *_]:
            present = [value for value in arguments if not math.isnan(value)]
            return (min if function == "MIN" else max)(present, default=math.nan)
    raise ValueError(f"{function} of {len(arguments)} is not simulated in metric math")
