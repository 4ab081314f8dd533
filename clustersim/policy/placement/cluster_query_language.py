"""The cluster query language of ECS: parses an expression into a tree.

Grammar, subjects and operators are those of the ECS Developer Guide ("cluster query language"): `subject
operator [argument]`, combined with and, or, not in both spellings, with parentheses around comparisons. This module
only parses; `policy.placement.member_of` evaluates trees and re-exports these names, and is what others import.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import NoReturn

MAX_LENGTH = 2_000  # characters of an expression (botocore: PlacementConstraint.expression)
MAX_DEPTH = 100  # nested parentheses and negations: our limit, so that parsing stays bounded

BUILT_IN_ATTRIBUTES = (
    "ecs.ami-id",
    "ecs.availability-zone",
    "ecs.instance-type",
    "ecs.os-type",
    "ecs.os-family",
    "ecs.cpu-architecture",
    "ecs.vpc-id",
    "ecs.subnet-id",
    "ecs.awsvpc-trunk-id",
    "ecs.outpost-arn",
    "ecs.capability.external",
)
OPERATOR_WORDS = {
    "equals": "==",
    "not_equals": "!=",
    "greater_than": ">",
    "greater_than_equal": ">=",
    "less_than": "<",
    "less_than_equal": "<=",
    "exists": "exists",
    "not_exists": "!exists",
    "in": "in",
    "not_in": "not_in",
    "matches": "=~",
    "not_matches": "!~",
}
_SPELLINGS = {**OPERATOR_WORDS, "!exists": "!exists", "!in": "not_in"}
_SPELLINGS |= {sign: sign for sign in ("==", "!=", ">=", "<=", "=~", "!~", ">", "<")}
_EQUALITY = ("==", "!=", "in", "not_in", "=~", "!~")
_ORDER = ("==", "!=", ">", ">=", "<", "<=")
OPERATORS = {
    "attribute": (*_EQUALITY, "exists", "!exists"),
    "agentConnected": _EQUALITY[:4],
    "agentVersion": (*_EQUALITY, ">", ">=", "<", "<="),
    "ec2InstanceId": _EQUALITY,
    "registeredAt": _ORDER,
    "runningTasksCount": (*_ORDER, "in", "not_in"),
    "task:group": _EQUALITY,
}
SUBJECTS = (*(subject for subject in OPERATORS if subject != "attribute"), "attribute:NAME")

_SUBJECT = re.compile(r"attribute:[A-Za-z0-9_.\-/\\]{1,128}|task:group|[A-Za-z0-9_:.\-]+")
_OPERATOR = re.compile(r"==|!=|>=|<=|=~|!~|>|<|!exists\b|!in\b|[A-Za-z_]+|[=!&|~]+")
_VERSION = re.compile(r"v?\d+(\.\d+)*")


class ConstraintError(ValueError):
    """An invalid expression: `column` counts from 1; `problem` says what is expected."""

    def __init__(self, column: int, problem: str) -> None:
        self.column, self.problem = column, problem
        super().__init__(f"column {column}: {problem}")


@dataclass(frozen=True)
class Predicate:
    """A comparison of a subject with values: one, several for `in` and `not_in`, none for `exists`."""

    subject: str
    operator: str
    values: tuple[str, ...]
    column: int = field(compare=False, default=1)


@dataclass(frozen=True)
class Negation:
    """True if the operand is false."""

    operand: ConstraintExpression


@dataclass(frozen=True)
class Conjunction:
    """True if every operand is."""

    operands: tuple[ConstraintExpression, ...]


@dataclass(frozen=True)
class Disjunction:
    """True if any operand is."""

    operands: tuple[ConstraintExpression, ...]


ConstraintExpression = Predicate | Negation | Conjunction | Disjunction


def parse_constraint(text: str) -> ConstraintExpression:
    """Parse an expression such as `attribute:ecs.instance-type =~ g2.* and runningTasksCount < 3`.

    Raises ConstraintError if it is invalid.
    """
    if len(text) > MAX_LENGTH:
        raise ConstraintError(
            MAX_LENGTH + 1, f"an expression may have at most {MAX_LENGTH} characters, not {len(text)}"
        )
    return _Parser(text).parse_all()


def epoch_ms(text: str) -> int:
    """Return the ms since 1970 of an ISO date (its midnight) or date and time; UTC unless it has an offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000)


def version_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a dotted version without trailing zeros: 1.14 equals 1.14.0."""
    numbers = [int(number) for number in text.removeprefix("v").split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


class _Parser:
    """Recursive descent over `text`; `at` is the offset of the next character."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def parse_all(self) -> ConstraintExpression:
        """Parse the whole text as one expression."""
        expression = self._parse_disjunction()
        if self.at < len(self.text):
            word = re.compile(r"\S+").match(self.text, self.at)
            self._fail(f"expected 'and', 'or' or the end, not {word[0] if word else ''!r}")
        return expression

    def _parse_disjunction(self) -> ConstraintExpression:
        operands = [self._parse_conjunction()]
        while self._accept("||", "or"):
            operands.append(self._parse_conjunction())
        return operands[0] if len(operands) == 1 else Disjunction(tuple(operands))

    def _parse_conjunction(self) -> ConstraintExpression:
        operands = [self._parse_single()]
        while self._accept("&&", "and"):
            operands.append(self._parse_single())
        return operands[0] if len(operands) == 1 else Conjunction(tuple(operands))

    def _parse_single(self) -> ConstraintExpression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self._fail(f"expressions may be nested at most {MAX_DEPTH} deep")
        if self._accept("!", "not"):
            expression: ConstraintExpression = Negation(self._parse_single())
        elif self._accept("("):
            opening = self.at
            expression = self._parse_disjunction()
            if not self._accept(")"):
                self._fail(f"expected ')' for the parenthesis in column {opening}")
        else:
            expression = self._parse_predicate()
        self.depth -= 1
        return expression

    def _parse_predicate(self) -> Predicate:
        self._skip_blanks()
        column = self.at + 1
        subject = self._parse_subject()
        operator = self._parse_operator(subject)
        if operator in ("exists", "!exists"):
            values: tuple[str, ...] = ()
        elif operator in ("in", "not_in"):
            values = self._parse_list(subject)
        else:
            values = (self._parse_value(subject, operator),)
        self._skip_blanks()
        return Predicate(subject, operator, values, column)

    def _parse_subject(self) -> str:
        match = _SUBJECT.match(self.text, self.at)
        if match is None:
            self._fail(f"expected a subject, one of {_join_words(SUBJECTS)}")
        name = match[0]
        short = name.removeprefix("attribute:")
        if name.startswith("attribute:"):
            suggestions = get_close_matches(short, BUILT_IN_ATTRIBUTES, 1, 0.8)
            if short.startswith("ecs.") and short not in BUILT_IN_ATTRIBUTES and suggestions:
                self._fail(f"unknown built-in attribute {short!r}; did you mean {suggestions[0]!r}?")
        elif name in BUILT_IN_ATTRIBUTES:
            self._fail(f"attributes are written 'attribute:{name}'")
        elif name not in OPERATORS or name == "attribute":
            self._fail(f"unknown subject {name!r}; {_suggestion(name, SUBJECTS)}")
        self.at = match.end()
        return name

    def _parse_operator(self, subject: str) -> str:
        self._skip_blanks()
        match = _OPERATOR.match(self.text, self.at)
        if match is None:
            self._fail(f"expected an operator after {subject!r}, such as ==")
        operator = _SPELLINGS.get(match[0])
        if operator is None:
            is_assignment = match[0] == "="
            self._fail(
                f"unknown operator {match[0]!r}; {_suggestion('==' if is_assignment else match[0], _SPELLINGS)}"
            )
        allowed = OPERATORS["attribute" if subject.startswith("attribute:") else subject]
        if operator not in allowed:
            self._fail(f"{subject} does not take {match[0]!r}; it takes {_join_words(allowed)}")
        self.at = match.end()
        return operator

    def _parse_list(self, subject: str) -> tuple[str, ...]:
        """Parse the values in brackets, each bare or quoted."""
        if not self._accept("["):
            self._fail("expected a list in brackets, such as [a, b]")
        values = [self._parse_value(subject, "in")]
        while self._accept(","):
            values.append(self._parse_value(subject, "in"))
        if not self._accept("]"):
            self._fail("expected ',' or ']'")
        return tuple(values)

    def _parse_value(self, subject: str, operator: str) -> str:
        self._skip_blanks()
        start = self.at
        if self.text[start : start + 1] in ("'", '"'):
            end = self.text.find(self.text[start], start + 1)
            if end < 0:
                self._fail("missing closing quote")
            value, self.at = self.text[start + 1 : end], end + 1
        else:
            value = self.text[start : self._end_of_word(operator)]
            self.at = start + len(value)
        problem = _check_value(subject, operator, value)
        if problem:
            self.at = start
            self._fail(problem)
        return value

    def _end_of_word(self, operator: str) -> int:
        """Return the end of a bare argument: a blank, `&&`, `||`, or a parenthesis or bracket that is not part of it.

        Only a regular expression may contain parentheses and classes in brackets.
        """
        at, opened, in_class = self.at, 0, False
        matches = operator in ("=~", "!~")
        while at < len(self.text):
            char = self.text[at]
            if (
                char.isspace()
                or self.text.startswith(("&&", "||"), at)
                or (operator == "in" and char in ",]")
            ):
                break
            if matches and char == "\\":
                at += 2
                continue
            if matches and char in "[]":
                in_class = char == "["
            elif char == "(" and not matches:
                self.at = at
                self._fail("parentheses may enclose whole comparisons only")
            elif char in "()" and not in_class:
                opened += 1 if char == "(" else -1
                if opened < 0:
                    break
            at += 1
        return min(at, len(self.text))

    def _accept(self, sign: str, word: str = "") -> bool:
        """Skip `sign`, or `word` as a whole word, if one of them is next; return whether it was."""
        self._skip_blanks()
        if self.text.startswith(sign, self.at):
            self.at += len(sign)
        elif word and re.compile(rf"{word}(?![A-Za-z0-9_:])").match(self.text, self.at):
            self.at += len(word)
        else:
            return False
        self._skip_blanks()
        return True

    def _skip_blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _fail(self, problem: str) -> NoReturn:
        raise ConstraintError(self.at + 1, problem)


def _check_value(subject: str, operator: str, value: str) -> str | None:
    """Return the problem of `value` as an argument, or None."""
    if not value:
        return "expected a value"
    if operator in ("=~", "!~"):
        try:
            re.compile(value)
        except re.error as error:
            return f"{value!r} is not a regular expression: {error}"
    elif subject == "agentVersion" and not _VERSION.fullmatch(value):
        return f"{value!r} is not a version such as 1.86.0"
    elif subject == "runningTasksCount" and not re.fullmatch("[0-9]{1,9}", value):
        return f"{value!r} is not a number of tasks"
    elif subject == "agentConnected" and value not in ("true", "false"):
        return f"agentConnected must be 'true' or 'false', not {value!r}"
    elif subject == "registeredAt":
        try:
            epoch_ms(value)
        except (ValueError, OverflowError):
            return f"{value!r} is not an ISO date or date and time such as 2026-01-31 or 2026-01-31T12:00:00Z"
    return None


def _suggestion(word: str, known: Iterable[str]) -> str:
    """Return a suggestion of the nearest known word, or of all of them."""
    words = list(known)
    folded = {known_word.lower(): known_word for known_word in reversed(words)}
    suggestions = get_close_matches(word.lower(), folded, 1)
    return (
        f"did you mean {folded[suggestions[0]]!r}?"
        if suggestions
        else f"expected one of {_join_words(words)}"
    )


def _join_words(words: Iterable[str]) -> str:
    return ", ".join(words)
