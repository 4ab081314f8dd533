"""Dynamic memberOf constraints compiled to small programs for kernels.

The parts of an expression that depend on the class alone (attributes, agent version) are evaluated once per class and
become a row of a truth table; the parts that depend on one host (running tasks, registration, name, groups) are read
from the facts of the host at each placement. A program is postfix over a stack of bits: rows of (operation, row,
constant). The scenario's compilation calls `compile_constraints` once per distinct set of constraints;
`policy.placement.placement` calls `program_holds`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clustersim.engine.compiled import kernel
from clustersim.policy.placement.hosts import (
    AGENT_CONNECTED,
    FIRST_FREE_FACT,
    INSTANCE_ID,
    REGISTERED_AT,
    RUNNING_TASKS,
)
from clustersim.policy.placement.member_of import (
    Conjunction,
    ConstraintExpression,
    Disjunction,
    Negation,
    Predicate,
    epoch_ms,
    evaluate_static,
    is_static,
)
from clustersim.vocabulary import instance_name

Array = npt.NDArray[Any]

# Operations: a row of the truth table, six comparisons of a fact with a constant, three of logic.
FROM_TABLE, EQUAL, LESS, GREATER, NOT, AND, OR = range(7)

_INSTANCE_NAME = re.compile(r"i-([0-9a-f]{17})")
_ORDER = {"==": EQUAL, "<": LESS, ">": GREATER, "!=": EQUAL, ">=": LESS, "<=": GREATER}
_NEGATED = ("!=", ">=", "<=", "not_in", "!~")


class ConstraintProgram(NamedTuple):
    """All memberOf constraints of one kind of task, in the form of a `PlacementRequest`."""

    allowed: Array  # uint8[K]: 1 if every static constraint is met
    program: Array  # int64[P, 3]: the dynamic ones, all of which must hold; P = 0 without any
    truth: Array  # uint8[T, K]: static values that the program reads, by class


@dataclass
class FactRows:
    """The rows of `Hosts.facts` beyond the four fixed ones, which the world must keep up to date.

    `groups` maps a task group to the row that counts its tasks on each host; `patterns` maps a regular
    expression over instance names to the row that is 1 if the instance in the slot matches (written at registration).
    """

    groups: dict[str, int] = field(default_factory=dict)
    patterns: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of all rows, including the fixed ones: the `fact_rows` of `new_hosts`."""
        return FIRST_FREE_FACT + len(self.groups) + len(self.patterns)

    def group(self, name: str) -> int:
        """Return the row that counts the tasks of group `name`."""
        return self.groups.setdefault(name, self.count)

    def pattern(self, expression: str) -> int:
        """Return the row that flags the instances with names that match `expression`."""
        return self.patterns.setdefault(expression, self.count)

    def matching(self, instance_id: int) -> list[tuple[int, int]]:
        """Return `(row, 0 or 1)` of every pattern for a new instance, which the world writes to its slot."""
        name = instance_name(instance_id)
        return [(row, int(re.fullmatch(pattern, name) is not None)) for pattern, row in self.patterns.items()]


def compile_constraints(
    expressions: Sequence[ConstraintExpression],
    classes: Sequence[Mapping[str, str]],
    rows: FactRows,
    groups: Sequence[str] = (),
    first_instant_ms: int = 0,
) -> ConstraintProgram:
    """Compile the conjunction of `expressions` for `classes`, given by their attributes.

    `groups` are the task groups of the scenario, to which a regular expression on `task:group` applies;
    `first_instant_ms` is the epoch of the start of the simulation, from which REGISTERED_AT counts.
    """
    static = [expression for expression in expressions if is_static(expression)]
    dynamic = [expression for expression in expressions if not is_static(expression)]
    allowed = [
        all(evaluate_static(expression, attributes) for expression in static) for attributes in classes
    ]
    writer = _ProgramWriter(classes, rows, groups, first_instant_ms)
    if dynamic:
        writer.write(dynamic[0] if len(dynamic) == 1 else Conjunction(tuple(dynamic)))
    return ConstraintProgram(
        allowed=np.array(allowed, np.uint8),
        program=np.array(writer.program, np.int64).reshape(-1, 3),
        truth=np.array(writer.truth, np.uint8).reshape(-1, len(classes)),
    )


class _ProgramWriter:
    """Writes the program of one expression, operands with the deepest stack first, to keep the stack small."""

    def __init__(
        self,
        classes: Sequence[Mapping[str, str]],
        rows: FactRows,
        groups: Sequence[str],
        first_instant_ms: int,
    ) -> None:
        self.classes, self.rows, self.groups, self.first_instant_ms = classes, rows, groups, first_instant_ms
        self.program: list[tuple[int, int, int]] = []
        self.truth: list[list[bool]] = []

    def write(self, expression: ConstraintExpression) -> None:
        """Append the instructions that leave the value of `expression` on the stack."""
        if is_static(expression):
            self.program.append((FROM_TABLE, len(self.truth), 0))
            self.truth.append([evaluate_static(expression, attributes) for attributes in self.classes])
        elif isinstance(expression, Negation):
            self.write(expression.operand)
            self.program.append((NOT, 0, 0))
        elif isinstance(expression, Predicate):
            self._write_comparison(expression)
        else:
            operation = AND if isinstance(expression, Conjunction) else OR
            ordered = sorted(expression.operands, key=_depth, reverse=True)
            for number, operand in enumerate(ordered):
                self.write(operand)
                if number:
                    self.program.append((operation, 0, 0))

    def _write_comparison(self, comparison: Predicate) -> None:
        self._write_any(self._instructions(comparison))
        if comparison.operator in _NEGATED:
            self.program.append((NOT, 0, 0))

    def _write_any(self, instructions: list[tuple[int, int, int]]) -> None:
        """Append the disjunction of `instructions`; without any it is false."""
        if not instructions:
            self.program.append((FROM_TABLE, len(self.truth), 0))
            self.truth.append([False] * len(self.classes))
        for number, instruction in enumerate(instructions):
            self.program.append(instruction)
            if number:
                self.program.append((OR, 0, 0))

    def _instructions(self, comparison: Predicate) -> list[tuple[int, int, int]]:
        """Return the comparisons one of which must hold; the caller negates them for a negative operator."""
        subject, operator, values = comparison.subject, comparison.operator, comparison.values
        if subject == "task:group":
            names = values
            if operator in ("=~", "!~"):
                names = tuple(name for name in self.groups if re.fullmatch(values[0], name))
            return [(GREATER, self.rows.group(name), 0) for name in names]
        if subject == "ec2InstanceId":
            if operator in ("=~", "!~"):
                return [(GREATER, self.rows.pattern(values[0]), 0)]
            matches = [match for match in map(_INSTANCE_NAME.fullmatch, values) if match]
            return [
                (EQUAL, INSTANCE_ID, int(match[1], 16)) for match in matches if int(match[1], 16) < 1 << 63
            ]
        if subject == "agentConnected":
            return [(GREATER if value == "true" else EQUAL, AGENT_CONNECTED, 0) for value in values]
        if subject == "registeredAt":
            return [(_ORDER[operator], REGISTERED_AT, epoch_ms(values[0]) - self.first_instant_ms)]
        if operator in _ORDER:
            return [(_ORDER[operator], RUNNING_TASKS, int(values[0]))]
        return [(EQUAL, RUNNING_TASKS, int(value)) for value in values]


def _depth(expression: ConstraintExpression) -> int:
    """Return the stack depth, in bits, of `expression`."""
    if isinstance(expression, Negation):
        return _depth(expression.operand)
    if isinstance(expression, Conjunction | Disjunction):
        depths = sorted((_depth(operand) for operand in expression.operands), reverse=True)
        return max(depths[0], depths[1] + 1)
    return 2 if len(expression.values) > 1 else 1


@kernel
def program_holds(program: Array, truth: Array, facts: Array, instance_class: int, slot: int) -> bool:
    """Return whether the program is true for the host in `slot`, an instance of `instance_class`."""
    stack = np.int64(0)
    for step in range(program.shape[0]):
        operation, row, constant = program[step, 0], program[step, 1], program[step, 2]
        if operation == FROM_TABLE:
            stack = (stack << 1) | np.int64(truth[row, instance_class])
        elif operation == EQUAL:
            stack = (stack << 1) | np.int64(facts[row, slot] == constant)
        elif operation == LESS:
            stack = (stack << 1) | np.int64(facts[row, slot] < constant)
        elif operation == GREATER:
            stack = (stack << 1) | np.int64(facts[row, slot] > constant)
        elif operation == NOT:
            stack ^= np.int64(1)
        elif operation == AND:
            stack = (stack >> 1) & (stack | ~np.int64(1))
        elif operation == OR:
            stack = (stack >> 1) | (stack & 1)
        else:
            raise RuntimeError("unknown operation of a constraint")
    return bool(stack & 1)
