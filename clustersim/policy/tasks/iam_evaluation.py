"""Evaluation of the identity policies of an IAM role.

Decides whether a role may carry out an action on a resource: an explicit Deny wins, then an Allow, otherwise the
request is denied implicitly (IAM User Guide: policy evaluation logic). This module must not know files, tasks or how
ECS reacts to a denial: `scenario.aws.iam_policy_documents` reads policies, `policy.tasks.startup_authorization` and
`world.build.fatal_misconfiguration` call it.

Only the statements of the role itself are evaluated: no resource policies, permissions boundaries, service control
policies or session policies, and no conditions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

ANYTHING = ("*",)

_RESOURCE_PART = 5  # an ARN is arn:partition:service:region:account:resource; the resource may hold colons


class PolicyDecision(Enum):
    """The result of evaluating a request."""

    ALLOWED = "allowed"
    DENIED = "explicit deny"
    NOT_ALLOWED = "implicit deny"


class Statement(NamedTuple):
    """One statement of a policy; `not_actions` and `not_resources` are its NotAction and NotResource lists.

    A statement has one list of each pair: where the `not_` tuple is not None, the other is ignored.
    """

    allow: bool
    actions: tuple[str, ...] = ANYTHING
    resources: tuple[str, ...] = ANYTHING
    not_actions: tuple[str, ...] | None = None
    not_resources: tuple[str, ...] | None = None


class Call(NamedTuple):
    """An AWS call of an application: at its start, or in a `share` (0 to 1) of its requests."""

    action: str
    resource: str
    at_start: bool
    share: float = 1.0


class CallEvaluation(NamedTuple):
    """The effect of a role on an application's calls.

    `fatal` is the denied call that ends the application at its start, `failing_share` the share of requests that fail.
    """

    fatal: Call | None
    failing_share: float


def evaluate_policies(statements: Iterable[Statement], action: str, resource: str) -> PolicyDecision:
    """Evaluate the statements of a role for `action` (`s3:GetObject`) on `resource` (an ARN, or `*`)."""
    decision = PolicyDecision.NOT_ALLOWED
    for statement in statements:
        if not statement_applies(statement, action, resource):
            continue
        if not statement.allow:
            return PolicyDecision.DENIED
        decision = PolicyDecision.ALLOWED
    return decision


def statement_applies(statement: Statement, action: str, resource: str) -> bool:
    """Return whether a statement covers `action` on `resource`."""
    if statement.not_actions is not None:
        if any(matches_action(pattern, action) for pattern in statement.not_actions):
            return False
    elif not any(matches_action(pattern, action) for pattern in statement.actions):
        return False
    if statement.not_resources is not None:
        return not any(matches_resource(pattern, resource) for pattern in statement.not_resources)
    return any(matches_resource(pattern, resource) for pattern in statement.resources)


def matches_action(pattern: str, action: str) -> bool:
    """Return whether a pattern matches an action: `*` and `?` anywhere, case-insensitive (IAM: Action)."""
    return _glob(pattern.lower()).fullmatch(action.lower()) is not None


def matches_resource(pattern: str, resource: str) -> bool:
    """Return whether a pattern matches a resource (IAM: Resource): case-sensitive, wildcards within one part of an ARN.

    A `*` that ends a part may extend beyond the colon, and in the resource part colons are ordinary characters.
    """
    return _arn_glob(pattern).fullmatch(resource) is not None


def evaluate_calls(calls: Sequence[Call], statements: Iterable[Statement] | None) -> CallEvaluation:
    """Evaluate an application's `calls` for a role; None is a role with all permissions.

    Calls of different kinds occur in requests independently of each other (MODEL.md: choices).
    """
    if statements is None:
        return CallEvaluation(None, 0.0)
    role_statements = tuple(statements)
    failing_share, fatal = 0.0, None
    for call in calls:
        if evaluate_policies(role_statements, call.action, call.resource) is PolicyDecision.ALLOWED:
            continue
        if call.at_start:
            fatal = fatal or call
        else:
            failing_share += (1.0 - failing_share) * call.share
    return CallEvaluation(fatal, failing_share)


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile(
        "".join(parts.get(character) or re.escape(character) for character in pattern), re.DOTALL
    )


@lru_cache(maxsize=4096)
def _arn_glob(pattern: str) -> re.Pattern[str]:
    text, colons = "", 0
    for position, character in enumerate(pattern):
        unbounded = colons >= _RESOURCE_PART or pattern[position + 1 : position + 2] in ("", ":")
        if character == "*":
            text += ".*" if unbounded else "[^:]*"
        elif character == "?":
            text += "." if colons >= _RESOURCE_PART else "[^:]"
        else:
            colons += character == ":"
            text += re.escape(character)
    return re.compile(text, re.DOTALL)
