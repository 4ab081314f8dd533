"""Truth of memberOf constraints in plain Python: of an instance's class, or of one described instance.

`static_truth` decides what depends on attributes alone, once per class of instances; `truth` decides
anything and is the twin of the compiled programs. The language itself is in
`policy.placement.cluster_query_language`, whose names are given on here. The module knows nothing of hosts or
kernels; the scenario's reader and `policy.placement.constraint_program` call it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from clustersim.policy.placement.cluster_query_language import (
    Both,
    Comparison,
    ConstraintError,
    Either,
    Expression,
    Negation,
    epoch_ms,
    parse,
    version_numbers,
)

__all__ = [
    "AGENT_VERSION",
    "Both",
    "Comparison",
    "ConstraintError",
    "Either",
    "Expression",
    "Instance",
    "Negation",
    "epoch_ms",
    "is_static",
    "parse",
    "static_truth",
    "truth",
]

AGENT_VERSION = "1.86.0"
"""`agentVersion` of simulated instances unless their attributes say otherwise: our choice."""


@dataclass(frozen=True)
class Instance:
    """One container instance as the language sees it, beyond its attributes."""

    name: str
    registered_at_ms: int  # epoch
    running_tasks: int = 0
    agent_connected: bool = True
    groups: frozenset[str] = frozenset()


def is_static(expression: Expression) -> bool:
    """Whether the truth of `expression` depends on the class of an instance alone."""
    if isinstance(expression, Comparison):
        return expression.subject.startswith("attribute:") or expression.subject == "agentVersion"
    if isinstance(expression, Negation):
        return is_static(expression.operand)
    return all(is_static(operand) for operand in expression.operands)


def static_truth(expression: Expression, attributes: Mapping[str, str]) -> bool:
    """Whether a class with `attributes` satisfies an expression for which `is_static` holds."""
    return truth(expression, attributes, None)


def truth(expression: Expression, attributes: Mapping[str, str], instance: Instance | None) -> bool:
    """Whether `instance`, of a class with `attributes`, satisfies `expression`."""
    if isinstance(expression, Negation):
        return not truth(expression.operand, attributes, instance)
    if isinstance(expression, Both):
        return all(truth(operand, attributes, instance) for operand in expression.operands)
    if isinstance(expression, Either):
        return any(truth(operand, attributes, instance) for operand in expression.operands)
    if expression.subject.startswith("attribute:"):
        value = attributes.get(expression.subject.removeprefix("attribute:"))
        return _compares(expression, () if value is None else (value,))
    if expression.subject == "agentVersion":
        return _compares_in_order(expression, attributes.get("agentVersion", AGENT_VERSION))
    if instance is None:
        raise ValueError(f"{expression.subject} is not known of a class")
    return _truth_of_instance(expression, instance)


def _truth_of_instance(comparison: Comparison, instance: Instance) -> bool:
    if comparison.subject == "task:group":
        return _compares(comparison, tuple(instance.groups))
    if comparison.subject == "ec2InstanceId":
        return _compares(comparison, (instance.name,))
    if comparison.subject == "agentConnected":
        return _compares(comparison, ("true" if instance.agent_connected else "false",))
    if comparison.subject == "registeredAt":
        return _ordered(instance.registered_at_ms - epoch_ms(comparison.values[0]), comparison.operator)
    if comparison.operator in ("in", "not_in"):
        among = instance.running_tasks in map(int, comparison.values)
        return among == (comparison.operator == "in")
    return _ordered(instance.running_tasks - int(comparison.values[0]), comparison.operator)


def _compares(comparison: Comparison, held: tuple[str, ...]) -> bool:
    """Whether one of the `held` values fits; a negative operator is the opposite, so true of nothing held."""
    operator, values = comparison.operator, comparison.values
    if operator in ("exists", "!exists"):
        return bool(held) == (operator == "exists")
    if operator in ("=~", "!~"):
        return any(re.fullmatch(values[0], value) for value in held) == (operator == "=~")
    return any(value in values for value in held) == (operator in ("==", "in"))


def _compares_in_order(comparison: Comparison, version: str) -> bool:
    """Compare versions number by number, so that 1.9.0 is below 1.14.5."""
    operator = comparison.operator
    if operator in ("=~", "!~"):
        return _compares(comparison, (version,))
    held, wanted = version_numbers(version), [version_numbers(value) for value in comparison.values]
    if operator in ("in", "not_in"):
        return (held in wanted) == (operator == "in")
    return _ordered((held > wanted[0]) - (held < wanted[0]), operator)


def _ordered(difference: int, operator: str) -> bool:
    """Whether the sign of left minus right is what `operator` asks for."""
    if operator in ("==", "!="):
        return (difference == 0) == (operator == "==")
    if operator in ("<", ">="):
        return (difference < 0) == (operator == "<")
    return (difference > 0) == (operator == ">")
