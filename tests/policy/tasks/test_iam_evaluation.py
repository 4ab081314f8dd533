"""Policy evaluation: the rules of the IAM User Guide, by example and as properties."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.tasks.iam_evaluation import (
    Call,
    PolicyDecision,
    Statement,
    evaluate_calls,
    evaluate_policies,
    matches_action,
    matches_resource,
    statement_applies,
)

BUCKET = "arn:aws:s3:::shop/photos/1.jpg"
ALLOW_S3 = Statement(True, ("s3:*",))


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("s3:GetObject", "s3:GetObject", True),
        ("S3:getobject", "s3:GetObject", True),  # prefix and name in any case
        ("s3:Get*", "s3:GetObject", True),
        ("s3:*Object", "s3:GetObjectAcl", False),
        ("s3:Get?bject", "s3:GetObject", True),
        ("s3:Get?", "s3:Get", False),
        ("*", "sqs:SendMessage", True),
        ("s3.*", "s3:GetObject", False),  # a dot is a dot
    ],
)
def test_actions(pattern: str, action: str, expected: bool) -> None:
    """IAM: Action element."""
    assert matches_action(pattern, action) is expected


@pytest.mark.parametrize(
    ("pattern", "resource", "expected"),
    [
        (BUCKET, BUCKET, True),
        ("arn:aws:s3:::SHOP/photos/1.jpg", BUCKET, False),  # case counts
        ("arn:aws:s3:::shop/*", BUCKET, True),
        ("arn:aws:s3:::shop/*/?.jpg", BUCKET, True),
        ("arn:aws:s3:::shop", BUCKET, False),
        ("*", BUCKET, True),
        ("arn:aws:s3:*", BUCKET, True),  # a * at the end covers the rest
        ("arn:aws:sqs:*:*:jobs", "arn:aws:sqs:us-east-1:123456789012:jobs", True),
        ("arn:aws:sqs:us-*-1:*:jobs", "arn:aws:sqs:us-east-1:123456789012:jobs", True),
        ("arn:aws:s*s:us-east-1:1:jobs", "arn:aws:s3:x:sqs:us-east-1:1:jobs", False),  # * stays in its part
        ("arn:aws:sqs:us?east-1:1:jobs", "arn:aws:sqs:us:east-1:1:jobs", False),  # ? is no colon
        (
            "arn:aws:logs:us-east-1:1:log-group:/ecs/*",
            "arn:aws:logs:us-east-1:1:log-group:/ecs/a:log-stream:b",
            True,
        ),
        (
            "arn:aws:logs:us-east-1:1:log-group:/ecs/a",
            "arn:aws:logs:us-east-1:1:log-group:/ecs/a:log-stream:b",
            False,
        ),
        # IAM: Resource element, the guide's own example of */test/*
        ("arn:aws:s3:::b/*/test/*", "arn:aws:s3:::b/1///test///object.jpg", True),
        ("arn:aws:s3:::b/*/test/*", "arn:aws:s3:::b/1-test/object.jpg", False),
        ("arn:aws:s3:::b/*/test/*", "arn:aws:s3:::b/1/2/test.jpg", False),
    ],
)
def test_resources(pattern: str, resource: str, expected: bool) -> None:
    """IAM: Resource element."""
    assert matches_resource(pattern, resource) is expected


def test_an_explicit_deny_wins_in_any_order() -> None:
    deny = Statement(False, ("s3:DeleteObject",))
    for statements in ((ALLOW_S3, deny), (deny, ALLOW_S3)):
        assert evaluate_policies(statements, "s3:DeleteObject", BUCKET) is PolicyDecision.DENIED
        assert evaluate_policies(statements, "s3:GetObject", BUCKET) is PolicyDecision.ALLOWED


def test_a_request_that_no_statement_allows_is_denied() -> None:
    assert evaluate_policies((), "s3:GetObject", BUCKET) is PolicyDecision.NOT_ALLOWED
    assert evaluate_policies((ALLOW_S3,), "sqs:SendMessage", "*") is PolicyDecision.NOT_ALLOWED
    assert (
        evaluate_policies((Statement(False, ("s3:*",)),), "sqs:SendMessage", "*")
        is PolicyDecision.NOT_ALLOWED
    )


def test_not_action_and_not_resource_cover_everything_else() -> None:
    """Allow all but IAM; deny all but the shop's bucket."""
    statements = (
        Statement(True, not_actions=("iam:*",)),
        Statement(False, ("s3:*",), not_resources=("arn:aws:s3:::shop/*",)),
    )
    assert evaluate_policies(statements, "iam:CreateUser", "*") is PolicyDecision.NOT_ALLOWED
    assert evaluate_policies(statements, "s3:GetObject", BUCKET) is PolicyDecision.ALLOWED
    assert evaluate_policies(statements, "s3:GetObject", "arn:aws:s3:::other/x") is PolicyDecision.DENIED


def test_calls_fail_at_the_start_or_in_their_share_of_requests() -> None:
    """Two denied calls in a half and a tenth of the requests, independent: 1 - 0.5 x 0.9 = 0.55 fail."""
    calls = [
        Call("s3:GetObject", BUCKET, at_start=True),
        Call("sqs:SendMessage", "*", at_start=True),
        Call("sqs:SendMessage", "*", False, 0.5),
        Call("sqs:ReceiveMessage", "*", False, 0.1),
        Call("s3:PutObject", BUCKET, False, 0.7),
    ]
    found = evaluate_calls(calls, (ALLOW_S3,))
    assert found.fatal == calls[1]
    assert found.failing_share == pytest.approx(0.55)
    assert evaluate_calls(calls, None) == (None, 0.0)
    assert evaluate_calls([], ()) == (None, 0.0)


TEXTS = st.text("ab:*?/", max_size=8)


@given(TEXTS, TEXTS)
def test_a_pattern_without_wildcards_means_itself(pattern: str, text: str) -> None:
    plain = pattern.replace("*", "").replace("?", "")
    assert matches_resource(plain, text) == (plain == text)
    assert matches_action(plain, text) == (plain.lower() == text.lower())


@given(TEXTS, st.text("ab:/", max_size=10))
def test_resources_match_no_more_than_plain_globbing_does(pattern: str, text: str) -> None:
    """Parts of an ARN only ever narrow what `*` and `?` mean elsewhere; in the resource they are the same."""
    glob = "".join({"*": ".*", "?": "."}.get(character) or re.escape(character) for character in pattern)
    plain = re.fullmatch(glob, text, re.DOTALL) is not None
    assert not matches_resource(pattern, text) or plain
    assert matches_resource(f"a:b:c:d:e:{pattern}", f"a:b:c:d:e:{text}") == plain


STATEMENTS = st.builds(
    Statement,
    st.booleans(),
    st.lists(st.sampled_from(["s3:*", "s3:GetObject", "*", "sqs:*"]), min_size=1, max_size=2).map(tuple),
    st.lists(st.sampled_from(["*", "arn:aws:s3:::a/*", "arn:aws:s3:::b/x"]), min_size=1, max_size=2).map(
        tuple
    ),
    st.none() | st.just(("s3:PutObject",)),
    st.none() | st.just(("arn:aws:s3:::a/*",)),
)


@given(
    st.lists(STATEMENTS, max_size=5),
    st.sampled_from(["s3:GetObject", "s3:PutObject", "sqs:SendMessage"]),
    st.sampled_from(["arn:aws:s3:::a/x", "arn:aws:s3:::b/x", "*"]),
)
def test_a_decision_is_the_sum_of_the_statements(
    statements: list[Statement], action: str, resource: str
) -> None:
    """Any Deny that applies: denied; else any Allow: allowed; else not."""
    applying = [statement.allow for statement in statements if statement_applies(statement, action, resource)]
    expected = (
        PolicyDecision.DENIED
        if False in applying
        else PolicyDecision.ALLOWED
        if applying
        else PolicyDecision.NOT_ALLOWED
    )
    assert evaluate_policies(statements, action, resource) is expected
