"""The cluster query language: every form of the Developer Guide, its errors, programs against plain truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.policy.placement.constraint_program import FactRows, compile_constraints, program_holds
from clustersim.policy.placement.hosts import AGENT_CONNECTED, INSTANCE_ID, REGISTERED_AT, RUNNING_TASKS
from clustersim.policy.placement.member_of import (
    Conjunction,
    ConstraintError,
    ConstraintExpression,
    DescribedInstance,
    Disjunction,
    Negation,
    Predicate,
    epoch_ms,
    evaluate_constraint,
    evaluate_static,
    is_static,
    parse_constraint,
)
from clustersim.vocabulary import instance_name

ZONE_A = {"ecs.instance-type": "g2.2xlarge", "ecs.availability-zone": "us-east-1a", "agentVersion": "1.9.0"}
ZONE_D = {"ecs.instance-type": "g2.8xlarge", "ecs.availability-zone": "us-east-1d", "agentVersion": "1.14.5"}
IDLE = DescribedInstance("i-abcd1234", epoch_ms("2018-02-12T23:59:59Z"), 0)
BUSY = DescribedInstance("i-00000000000000007", epoch_ms("2018-02-13"), 1, groups=frozenset({"database"}))


@pytest.mark.golden(37)
@pytest.mark.parametrize(
    ("text", "of_a", "of_d"),
    [
        (
            "attribute:ecs.instance-type =~ g2.* and attribute:ecs.availability-zone != us-east-1d",
            True,
            False,
        ),
        ("attribute:ecs.availability-zone in [us-east-1a, us-east-1b]", True, False),
        ("agentVersion < 1.14.5", True, False),
    ],
)
def test_examples_on_classes(text: str, of_a: bool, of_d: bool) -> None:
    """The Developer Guide's examples; versions compare number by number, so 1.9.0 is below 1.14.5."""
    expression = parse_constraint(text)
    assert is_static(expression)
    assert evaluate_static(expression, ZONE_A) is of_a
    assert evaluate_static(expression, ZONE_D) is of_d


@pytest.mark.golden(37)
@pytest.mark.parametrize(
    ("text", "of_idle", "of_busy"),
    [
        ("not(task:group == database)", True, False),
        ("runningTasksCount == 1", False, True),
        ("registeredAt < 2018-02-13", True, False),
        ("ec2InstanceId in ['i-abcd1234','i-wxyx7890']", True, False),
    ],
)
def test_examples_on_instances(text: str, of_idle: bool, of_busy: bool) -> None:
    """The Developer Guide's examples about one instance; a date is its midnight in UTC."""
    expression = parse_constraint(text)
    assert not is_static(expression)
    assert evaluate_constraint(expression, {}, IDLE) is of_idle
    assert evaluate_constraint(expression, {}, BUSY) is of_busy


@pytest.mark.parametrize(
    ("words", "signs"),
    [
        ("attribute:a equals x", "attribute:a==x"),
        ("attribute:a not_equals x", "attribute:a != x"),
        ("runningTasksCount greater_than 3", "runningTasksCount>3"),
        ("runningTasksCount greater_than_equal 3", "runningTasksCount >= 3"),
        ("runningTasksCount less_than 3", "runningTasksCount < 3"),
        ("runningTasksCount less_than_equal 3", "runningTasksCount<=3"),
        ("attribute:a not_exists", "attribute:a !exists"),
        ("attribute:a not_in [x,y]", "attribute:a !in ['x', \"y\"]"),
        ("attribute:a matches x.*", "attribute:a =~ x.*"),
        ("attribute:a not_matches x", "attribute:a !~ x"),
        (
            "attribute:a exists and not attribute:b exists or attribute:c exists",
            "((attribute:a exists&&!attribute:b exists)||attribute:c exists)",
        ),
        ("attribute:a =~ t2.(micro|small)", "(attribute:a =~ 't2.(micro|small)')"),
    ],
)
def test_both_spellings_are_one_tree(words: str, signs: str) -> None:
    """Every operator has a word and a sign; parentheses and quotes change nothing."""
    assert parse_constraint(words) == parse_constraint(signs)


def test_and_binds_before_or() -> None:
    """a or b and c is a or (b and c); not binds first of all."""
    a, b, c = (Predicate(f"attribute:{name}", "exists", ()) for name in "abc")
    text = "attribute:a exists or not attribute:b exists and attribute:c exists"
    assert parse_constraint(text) == Disjunction((a, Conjunction((Negation(b), c))))


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("runningTaskCount == 1", 1, "did you mean 'runningTasksCount'"),
        ("attribute:a exist", 13, "did you mean 'exists'"),
        ("attribute:a = x", 13, "did you mean '=='"),
        ("ecs.instance-type == x", 1, "attribute:ecs.instance-type"),
        ("attribute:ecs.availabilty-zone == x", 1, "did you mean 'ecs.availability-zone'"),
        ("attribute:a == (x)", 16, "whole comparisons only"),
        ("attribute:a in [x, y", 21, "expected ',' or ']'"),
        ("attribute:a in x", 16, "brackets"),
        ("attribute:a == 'x", 16, "closing quote"),
        ("(attribute:a exists", 20, "column 1"),
        ("attribute:a exists)", 19, "expected 'and'"),
        ("attribute:a exists AND attribute:b exists", 20, "'and', 'or'"),
        ("attribute:a exists and", 23, "expected a subject"),
        ("attribute:a", 12, "expected an operator"),
        ("attribute:a > 3", 13, "does not take"),
        ("agentConnected == yes", 19, "'true' or 'false'"),
        ("runningTasksCount == many", 22, "not a number"),
        ("registeredAt < yesterday", 16, "not an ISO date"),
        ("agentVersion < new", 16, "not a version"),
        ("attribute:a =~ x(", 16, "not a regular expression"),
        ("(" * 200, 101, "nested"),
        ("x" * 2_001, 2_001, "at most 2000"),
        ("", 1, "expected a subject"),
    ],
)
def test_errors_have_column_and_problem(text: str, column: int, message: str) -> None:
    """An error names its column, and what is expected there."""
    with pytest.raises(ConstraintError) as caught:
        parse_constraint(text)
    assert caught.value.column == column
    assert message in caught.value.problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("attribute:missing != x", True),
        ("attribute:missing not_in [x]", True),
        ("attribute:missing == x", False),
        ("attribute:ecs.instance-type =~ g2", False),
        ("agentVersion == 1.9", True),
        ("agentVersion in [1.9.0, 1.10.0]", True),
        ("agentVersion =~ '1\\.9\\..*'", True),
    ],
)
def test_values_of_corner_cases(text: str, expected: bool) -> None:
    """A missing attribute equals nothing; a regular expression matches the whole value; 1.9 equals 1.9.0."""
    assert evaluate_static(parse_constraint(text), ZONE_A) is expected


CLASSES: list[dict[str, str]] = [{"disk": "ssd"}, {"disk": "hdd"}, {}]
GROUPS = ("database", "web", "service:api")
LEAVES = st.sampled_from(
    [
        "attribute:disk == ssd",
        "attribute:disk !exists",
        "agentVersion >= 1.2",
        "runningTasksCount < 2",
        "runningTasksCount >= 1",
        "runningTasksCount in [0, 2]",
        "runningTasksCount != 1",
        "registeredAt > 2026-01-01T00:00:01Z",
        "registeredAt <= 2026-01-01T00:00:01Z",
        "task:group == web",
        "task:group not_in [web, database]",
        "task:group =~ service:.*",
        "task:group !~ service:.*",
        f"ec2InstanceId in [{instance_name(1)}, {instance_name(2)}, i-abcd]",
        "ec2InstanceId == i-abcd",
        "ec2InstanceId !~ .*2",
        "agentConnected == true",
        "agentConnected != true",
    ]
)
TEXTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "||"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda text: f"not({text})"),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3), st.data())
def test_programs_equal_plain_evaluation(texts: list[str], data: Any) -> None:
    """A compiled set of constraints is true of a host exactly when each expression is in plain Python."""
    expressions: list[ConstraintExpression] = [parse_constraint(text) for text in texts]
    rows = FactRows()
    start = epoch_ms("2026-01-01")
    compiled = compile_constraints(expressions, CLASSES, rows, GROUPS, start)
    facts = np.zeros((rows.count, 1), np.int64)
    instance_class = data.draw(st.integers(0, 2))
    number, registered, running = (data.draw(st.integers(0, maximum)) for maximum in (3, 2, 3))
    connected = data.draw(st.booleans())
    member_groups = data.draw(st.sets(st.sampled_from(GROUPS)))
    facts[INSTANCE_ID], facts[REGISTERED_AT] = number, registered * 1_000
    facts[RUNNING_TASKS], facts[AGENT_CONNECTED] = running, connected
    for group, row in rows.groups.items():
        facts[row] = 2 * (group in member_groups)
    for row, matches in rows.matching(number):
        facts[row] = matches
    instance = DescribedInstance(
        instance_name(number), start + registered * 1_000, running, connected, frozenset(member_groups)
    )
    program_result = compiled.allowed[instance_class] == 1 and (
        len(compiled.program) == 0
        or program_holds(compiled.program, compiled.truth, facts, instance_class, 0)
    )
    assert program_result == all(
        evaluate_constraint(expression, CLASSES[instance_class], instance) for expression in expressions
    )


def test_deep_alternation_needs_little_stack() -> None:
    """Forty nested levels of and within or fit the program's stack of bits."""
    text = "runningTasksCount == 5"
    for level in range(40):
        text = f"(runningTasksCount == {level} {'and' if level % 2 else 'or'} {text})"
    compiled = compile_constraints([parse_constraint(text)], [{}], FactRows())
    depth = maximum = 0
    for operation, _, _ in compiled.program:
        depth += 1 if operation < 4 else 0 if operation == 4 else -1
        maximum = max(maximum, depth)
    assert (depth, maximum) == (1, 2)
