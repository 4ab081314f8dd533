"""The cluster query language of ECS: text to a tree, or an error that knows its column.

Grammar, subjects and operators are those of the ECS Developer Guide ("cluster query language"): `subject
operator [argument]`, joined by and, or, not in both spellings, with parentheses around comparisons. The
module only reads; what a tree means is said in `policy.placement.member_of`, which passes these names on and is
what others import.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import NoReturn

LONGEST = 2_000  # characters of an expression (botocore: PlacementConstraint.expression)
DEEPEST = 100  # parentheses and negations around one another: ours, so that reading stays bounded

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
    """An expression that cannot be read: `column` counts from 1; `problem` says what would be right."""

    def __init__(self, column: int, problem: str) -> None:
        self.column, self.problem = column, problem
        super().__init__(f"column {column}: {problem}")


@dataclass(frozen=True)
class Comparison:
    """One subject held against values: one of them but for `in` and `not_in`, none for `exists`."""

    subject: str
    operator: str
    values: tuple[str, ...]
    column: int = field(compare=False, default=1)


@dataclass(frozen=True)
class Negation:
    """True where the operand is false."""

    operand: Expression


@dataclass(frozen=True)
class Both:
    """True where every operand is."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Either:
    """True where one operand is."""

    operands: tuple[Expression, ...]


Expression = Comparison | Negation | Both | Either


def parse(text: str) -> Expression:
    """The tree of an expression such as `attribute:ecs.instance-type =~ g2.* and runningTasksCount < 3`."""
    if len(text) > LONGEST:
        raise ConstraintError(
            LONGEST + 1, f"an expression has at most {LONGEST} characters; this one has {len(text)}"
        )
    return _Parser(text).whole()


def epoch_ms(text: str) -> int:
    """Milliseconds since 1970 of an ISO date (its midnight) or date and time, in UTC unless it says so."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000)


def version_numbers(text: str) -> tuple[int, ...]:
    """The numbers of a dotted version without trailing zeros: 1.14 is 1.14.0."""
    numbers = [int(number) for number in text.removeprefix("v").split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


class _Parser:
    """Recursive descent over `text`; `at` is the offset of the next character."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def whole(self) -> Expression:
        """The expression that fills the text."""
        expression = self._either()
        if self.at < len(self.text):
            word = re.compile(r"\S+").match(self.text, self.at)
            self._fail(f"'and', 'or' or the end is expected, not {word[0] if word else ''!r}")
        return expression

    def _either(self) -> Expression:
        operands = [self._both()]
        while self._accepts("||", "or"):
            operands.append(self._both())
        return operands[0] if len(operands) == 1 else Either(tuple(operands))

    def _both(self) -> Expression:
        operands = [self._single()]
        while self._accepts("&&", "and"):
            operands.append(self._single())
        return operands[0] if len(operands) == 1 else Both(tuple(operands))

    def _single(self) -> Expression:
        self.depth += 1
        if self.depth > DEEPEST:
            self._fail(f"an expression is nested at most {DEEPEST} deep")
        if self._accepts("!", "not"):
            expression: Expression = Negation(self._single())
        elif self._accepts("("):
            opening = self.at
            expression = self._either()
            if not self._accepts(")"):
                self._fail(f"')' is expected here for the parenthesis of column {opening}")
        else:
            expression = self._comparison()
        self.depth -= 1
        return expression

    def _comparison(self) -> Comparison:
        self._skip()
        column = self.at + 1
        subject = self._subject()
        operator = self._operator(subject)
        if operator in ("exists", "!exists"):
            values: tuple[str, ...] = ()
        elif operator in ("in", "not_in"):
            values = self._list(subject)
        else:
            values = (self._value(subject, operator),)
        self._skip()
        return Comparison(subject, operator, values, column)

    def _subject(self) -> str:
        found = _SUBJECT.match(self.text, self.at)
        if found is None:
            self._fail(f"a subject is expected, one of {_among(SUBJECTS)}")
        name = found[0]
        short = name.removeprefix("attribute:")
        if name.startswith("attribute:"):
            near = get_close_matches(short, BUILT_IN_ATTRIBUTES, 1, 0.8)
            if short.startswith("ecs.") and short not in BUILT_IN_ATTRIBUTES and near:
                self._fail(f"no built-in attribute is called {short!r}; did you mean {near[0]!r}?")
        elif name in BUILT_IN_ATTRIBUTES:
            self._fail(f"an attribute is written 'attribute:{name}'")
        elif name not in OPERATORS or name == "attribute":
            self._fail(f"unknown subject {name!r}; {_suggestion(name, SUBJECTS)}")
        self.at = found.end()
        return name

    def _operator(self, subject: str) -> str:
        self._skip()
        found = _OPERATOR.match(self.text, self.at)
        if found is None:
            self._fail(f"an operator is expected after {subject!r}, such as ==")
        operator = _SPELLINGS.get(found[0])
        if operator is None:
            slip = found[0] == "="
            self._fail(
                f"unknown operator {found[0]!r}; {_suggestion('==' if slip else found[0], _SPELLINGS)}"
            )
        allowed = OPERATORS["attribute" if subject.startswith("attribute:") else subject]
        if operator not in allowed:
            self._fail(f"{subject} does not take {found[0]!r}; it takes {_among(allowed)}")
        self.at = found.end()
        return operator

    def _list(self, subject: str) -> tuple[str, ...]:
        """The values between brackets, each bare or in quotes."""
        if not self._accepts("["):
            self._fail("a list in brackets is expected, such as [a, b]")
        values = [self._value(subject, "in")]
        while self._accepts(","):
            values.append(self._value(subject, "in"))
        if not self._accepts("]"):
            self._fail("',' or ']' is expected")
        return tuple(values)

    def _value(self, subject: str, operator: str) -> str:
        self._skip()
        start = self.at
        if self.text[start : start + 1] in ("'", '"'):
            end = self.text.find(self.text[start], start + 1)
            if end < 0:
                self._fail("this quote is not closed")
            value, self.at = self.text[start + 1 : end], end + 1
        else:
            value = self.text[start : self._end_of_word(operator)]
            self.at = start + len(value)
        problem = _problem_of(subject, operator, value)
        if problem:
            self.at = start
            self._fail(problem)
        return value

    def _end_of_word(self, operator: str) -> int:
        """Where a bare argument ends: at a blank, `&&`, `||`, or a parenthesis or bracket not its own.

        Parentheses and classes in brackets belong to a regular expression; nothing else may hold them.
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
                self._fail("parentheses stand around whole comparisons, never inside one")
            elif char in "()" and not in_class:
                opened += 1 if char == "(" else -1
                if opened < 0:
                    break
            at += 1
        return min(at, len(self.text))

    def _accepts(self, sign: str, word: str = "") -> bool:
        """Step over `sign` or over `word` as a whole word, if one of them is next."""
        self._skip()
        if self.text.startswith(sign, self.at):
            self.at += len(sign)
        elif word and re.compile(rf"{word}(?![A-Za-z0-9_:])").match(self.text, self.at):
            self.at += len(word)
        else:
            return False
        self._skip()
        return True

    def _skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _fail(self, problem: str) -> NoReturn:
        raise ConstraintError(self.at + 1, problem)


def _problem_of(subject: str, operator: str, value: str) -> str | None:
    """What is wrong with `value` as an argument, or None."""
    if not value:
        return "a value is expected"
    if operator in ("=~", "!~"):
        try:
            re.compile(value)
        except re.error as error:
            return f"{value!r} is no regular expression: {error}"
    elif subject == "agentVersion" and not _VERSION.fullmatch(value):
        return f"{value!r} is no version such as 1.86.0"
    elif subject == "runningTasksCount" and not re.fullmatch("[0-9]{1,9}", value):
        return f"{value!r} is no number of tasks"
    elif subject == "agentConnected" and value not in ("true", "false"):
        return f"agentConnected is 'true' or 'false', not {value!r}"
    elif subject == "registeredAt":
        try:
            epoch_ms(value)
        except (ValueError, OverflowError):
            return f"{value!r} is no ISO date or date and time such as 2026-01-31 or 2026-01-31T12:00:00Z"
    return None


def _suggestion(word: str, known: Iterable[str]) -> str:
    """The nearest known word, or all of them."""
    words = list(known)
    folded = {known_word.lower(): known_word for known_word in reversed(words)}
    near = get_close_matches(word.lower(), folded, 1)
    return f"did you mean {folded[near[0]]!r}?" if near else f"right would be {_among(words)}"


def _among(words: Iterable[str]) -> str:
    return ", ".join(words)
