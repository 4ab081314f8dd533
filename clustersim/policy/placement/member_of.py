"""Evaluation of memberOf constraints in plain Python, for an instance class or for one described instance.

`evaluate_static` decides what depends on attributes alone, once per instance class; `evaluate_constraint` evaluates
any expression and is the plain-Python twin of the compiled programs. The language itself is in
`policy.placement.cluster_query_language`, whose names are re-exported here. This module must not know hosts or
kernels; the scenario's reader and `policy.placement.constraint_program` call it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from clustersim.policy.placement.cluster_query_language import (
    Conjunction,
    ConstraintError,
    ConstraintExpression,
    Disjunction,
    Negation,
    Predicate,
    epoch_ms,
    parse_constraint,
    version_numbers,
)

__all__ = [
    "AGENT_VERSION",
    "Conjunction",
    "ConstraintError",
    "ConstraintExpression",
    "DescribedInstance",
    "Disjunction",
    "Negation",
    "Predicate",
    "epoch_ms",
    "evaluate_constraint",
    "evaluate_static",
    "is_static",
    "parse_constraint",
]

AGENT_VERSION = "1.86.0"
"""The `agentVersion` of simulated instances without such an attribute: our choice."""


@dataclass(frozen=True)
class DescribedInstance:
    """A container instance as the query language sees it, beyond its attributes."""

    name: str
    registered_at_ms: int  # epoch
    running_tasks: int = 0
    agent_connected: bool = True
    groups: frozenset[str] = frozenset()


def is_static(expression: ConstraintExpression) -> bool:
    """Return whether the value of `expression` depends on the instance class alone."""
    if isinstance(expression, Predicate):
        return expression.subject.startswith("attribute:") or expression.subject == "agentVersion"
    if isinstance(expression, Negation):
        return is_static(expression.operand)
    return all(is_static(operand) for operand in expression.operands)


def evaluate_static(expression: ConstraintExpression, attributes: Mapping[str, str]) -> bool:
    """Return whether a class with `attributes` satisfies an expression for which `is_static` holds."""
    return evaluate_constraint(expression, attributes, None)


def evaluate_constraint(
    expression: ConstraintExpression, attributes: Mapping[str, str], instance: DescribedInstance | None
) -> bool:
    """Return whether `instance`, of a class with `attributes`, satisfies `expression`.

    Raises ValueError if `instance` is None and the expression is not static.
    """
    if isinstance(expression, Negation):
        return not evaluate_constraint(expression.operand, attributes, instance)
    if isinstance(expression, Conjunction):
        return all(evaluate_constraint(operand, attributes, instance) for operand in expression.operands)
    if isinstance(expression, Disjunction):
        return any(evaluate_constraint(operand, attributes, instance) for operand in expression.operands)
    if expression.subject.startswith("attribute:"):
        value = attributes.get(expression.subject.removeprefix("attribute:"))
        return _compare(expression, () if value is None else (value,))
    if expression.subject == "agentVersion":
        return _compare_versions(expression, attributes.get("agentVersion", AGENT_VERSION))
    if instance is None:
        raise ValueError(f"{expression.subject} is not defined for an instance class")
    return _evaluate_instance(expression, instance)


def _evaluate_instance(predicate: Predicate, instance: DescribedInstance) -> bool:
    if predicate.subject == "task:group":
        return _compare(predicate, tuple(instance.groups))
    if predicate.subject == "ec2InstanceId":
        return _compare(predicate, (instance.name,))
    if predicate.subject == "agentConnected":
        return _compare(predicate, ("true" if instance.agent_connected else "false",))
    if predicate.subject == "registeredAt":
        return _compare_order(instance.registered_at_ms - epoch_ms(predicate.values[0]), predicate.operator)
    if predicate.operator in ("in", "not_in"):
        is_listed = instance.running_tasks in map(int, predicate.values)
        return is_listed == (predicate.operator == "in")
    return _compare_order(instance.running_tasks - int(predicate.values[0]), predicate.operator)


def _compare(predicate: Predicate, actual_values: tuple[str, ...]) -> bool:
    """Return whether one of the actual values matches; a negative operator is the opposite, so true without values."""
    operator, values = predicate.operator, predicate.values
    if operator in ("exists", "!exists"):
        return bool(actual_values) == (operator == "exists")
    if operator in ("=~", "!~"):
        return any(re.fullmatch(values[0], value) for value in actual_values) == (operator == "=~")
    return any(value in values for value in actual_values) == (operator in ("==", "in"))


def _compare_versions(predicate: Predicate, version: str) -> bool:
    """Compare versions number by number, so that 1.9.0 is below 1.14.5."""
    operator = predicate.operator
    if operator in ("=~", "!~"):
        return _compare(predicate, (version,))
    actual_values, expected = version_numbers(version), [version_numbers(value) for value in predicate.values]
    if operator in ("in", "not_in"):
        return (actual_values in expected) == (operator == "in")
    return _compare_order((actual_values > expected[0]) - (actual_values < expected[0]), operator)


def _compare_order(difference: int, operator: str) -> bool:
    """Return whether `operator` holds for the sign of left minus right."""
    if operator in ("==", "!="):
        return (difference == 0) == (operator == "==")
    if operator in ("<", ">="):
        return (difference < 0) == (operator == "<")
    return (difference > 0) == (operator == ">")
