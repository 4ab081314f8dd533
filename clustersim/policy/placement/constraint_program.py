"""Dynamic memberOf constraints as small programs that kernels can run.

What an expression asks of a class (attributes, agent version) is decided once per class and becomes one row
of a truth table; what it asks of one host (tasks running, registration, name, groups) is read from the
host's facts at each placement. A program is postfix over a stack of bits: rows of (operation, row,
constant). The scenario's compilation calls `compile_constraints` once per distinct set of constraints;
`policy.placement.placement` calls `holds`.
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
    Both,
    Comparison,
    Either,
    Expression,
    Negation,
    epoch_ms,
    is_static,
    static_truth,
)
from clustersim.vocabulary import instance_name

Array = npt.NDArray[Any]

# Operations: a row of the truth table, six comparisons of a fact with a constant, three of logic.
KNOWN, EQUAL, LESS, GREATER, NOT, AND, OR = range(7)

_INSTANCE_NAME = re.compile(r"i-([0-9a-f]{17})")
_ORDER = {"==": EQUAL, "<": LESS, ">": GREATER, "!=": EQUAL, ">=": LESS, "<=": GREATER}
_NEGATED = ("!=", ">=", "<=", "not_in", "!~")


class ConstraintProgram(NamedTuple):
    """All memberOf constraints of one kind of task, ready for a `Request`."""

    allowed: Array  # uint8[K]: 1 where every constraint that needs only the class is met
    program: Array  # int64[P, 3]: the others, all of which must hold; P = 0 when there are none
    truth: Array  # uint8[T, K]: what the program knows of each class


@dataclass
class FactRows:
    """Which rows of `Hosts.facts` exist beyond the four fixed ones, and what the world must keep in them.

    `groups` maps a task group to the row that counts its tasks on each host; `patterns` maps a regular
    expression over instance names to the row that is 1 where the instance in the slot matches (written at
    registration).
    """

    groups: dict[str, int] = field(default_factory=dict)
    patterns: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """All rows, the fixed ones too: what `new_hosts` must be given."""
        return FIRST_FREE_FACT + len(self.groups) + len(self.patterns)

    def group(self, name: str) -> int:
        """The row that counts the tasks of group `name`."""
        return self.groups.setdefault(name, self.count)

    def pattern(self, expression: str) -> int:
        """The row that tells which instances' names match `expression`."""
        return self.patterns.setdefault(expression, self.count)

    def matching(self, instance_id: int) -> list[tuple[int, int]]:
        """`(row, 0 or 1)` of every pattern for a new instance: the world writes them into its slot."""
        name = instance_name(instance_id)
        return [(row, int(re.fullmatch(pattern, name) is not None)) for pattern, row in self.patterns.items()]


def compile_constraints(
    expressions: Sequence[Expression],
    classes: Sequence[Mapping[str, str]],
    rows: FactRows,
    groups: Sequence[str] = (),
    first_instant_ms: int = 0,
) -> ConstraintProgram:
    """Compile the conjunction of `expressions` for `classes`, given by their attributes.

    `groups` are the task groups of the scenario, over which a regular expression on `task:group` ranges;
    `first_instant_ms` is the epoch of the simulation's first instant, from which REGISTERED_AT counts.
    """
    static = [expression for expression in expressions if is_static(expression)]
    dynamic = [expression for expression in expressions if not is_static(expression)]
    allowed = [all(static_truth(expression, attributes) for expression in static) for attributes in classes]
    writer = _Writer(classes, rows, groups, first_instant_ms)
    if dynamic:
        writer.write(dynamic[0] if len(dynamic) == 1 else Both(tuple(dynamic)))
    return ConstraintProgram(
        allowed=np.array(allowed, np.uint8),
        program=np.array(writer.program, np.int64).reshape(-1, 3),
        truth=np.array(writer.truth, np.uint8).reshape(-1, len(classes)),
    )


class _Writer:
    """Emits the program of one expression, operands with the deepest stack first, so that it stays small."""

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

    def write(self, expression: Expression) -> None:
        """Append the rows that leave the truth of `expression` on the stack."""
        if is_static(expression):
            self.program.append((KNOWN, len(self.truth), 0))
            self.truth.append([static_truth(expression, attributes) for attributes in self.classes])
        elif isinstance(expression, Negation):
            self.write(expression.operand)
            self.program.append((NOT, 0, 0))
        elif isinstance(expression, Comparison):
            self._write_comparison(expression)
        else:
            operation = AND if isinstance(expression, Both) else OR
            ordered = sorted(expression.operands, key=_depth, reverse=True)
            for number, operand in enumerate(ordered):
                self.write(operand)
                if number:
                    self.program.append((operation, 0, 0))

    def _write_comparison(self, comparison: Comparison) -> None:
        self._write_any(self._questions(comparison))
        if comparison.operator in _NEGATED:
            self.program.append((NOT, 0, 0))

    def _write_any(self, questions: list[tuple[int, int, int]]) -> None:
        """Whether one of the questions is answered with yes; no question at all is no."""
        if not questions:
            self.program.append((KNOWN, len(self.truth), 0))
            self.truth.append([False] * len(self.classes))
        for number, question in enumerate(questions):
            self.program.append(question)
            if number:
                self.program.append((OR, 0, 0))

    def _questions(self, comparison: Comparison) -> list[tuple[int, int, int]]:
        """The comparisons of facts one of which must hold; a negative operator is undone by the caller."""
        subject, operator, values = comparison.subject, comparison.operator, comparison.values
        if subject == "task:group":
            names = values
            if operator in ("=~", "!~"):
                names = tuple(name for name in self.groups if re.fullmatch(values[0], name))
            return [(GREATER, self.rows.group(name), 0) for name in names]
        if subject == "ec2InstanceId":
            if operator in ("=~", "!~"):
                return [(GREATER, self.rows.pattern(values[0]), 0)]
            known = [match for match in map(_INSTANCE_NAME.fullmatch, values) if match]
            return [(EQUAL, INSTANCE_ID, int(match[1], 16)) for match in known if int(match[1], 16) < 1 << 63]
        if subject == "agentConnected":
            return [(GREATER if value == "true" else EQUAL, AGENT_CONNECTED, 0) for value in values]
        if subject == "registeredAt":
            return [(_ORDER[operator], REGISTERED_AT, epoch_ms(values[0]) - self.first_instant_ms)]
        if operator in _ORDER:
            return [(_ORDER[operator], RUNNING_TASKS, int(values[0]))]
        return [(EQUAL, RUNNING_TASKS, int(value)) for value in values]


def _depth(expression: Expression) -> int:
    """Bits of stack that `expression` needs."""
    if isinstance(expression, Negation):
        return _depth(expression.operand)
    if isinstance(expression, Both | Either):
        depths = sorted((_depth(operand) for operand in expression.operands), reverse=True)
        return max(depths[0], depths[1] + 1)
    return 2 if len(expression.values) > 1 else 1


@kernel
def holds(program: Array, truth: Array, facts: Array, klass: int, slot: int) -> bool:
    """Whether the program is true of the host in `slot`, an instance of `klass`."""
    stack = np.int64(0)
    for step in range(program.shape[0]):
        operation, row, constant = program[step, 0], program[step, 1], program[step, 2]
        if operation == KNOWN:
            stack = (stack << 1) | np.int64(truth[row, klass])
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
        else:
            stack = (stack >> 1) | (stack & 1)
    return bool(stack & 1)
