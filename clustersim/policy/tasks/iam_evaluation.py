"""What an IAM role allows: the evaluation of identity policies.

Decides whether a role may carry out an action on a resource: an explicit Deny wins, then an Allow, otherwise
the request is denied implicitly (IAM User Guide: policy evaluation logic). It must not know files, places,
tasks or what ECS makes of a refusal: `scenario.aws.iam_policy_documents` reads policies,
`policy.tasks.startup_authorization` asks.

Only what a role itself allows is looked at: no resource policies, boundaries, service control policies or
session policies, and no conditions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

ALL = ("*",)

_RESOURCE_PART = 5  # an ARN is arn:partition:service:region:account:resource; the resource may hold colons


class Verdict(Enum):
    """How a request ends."""

    ALLOWED = "allowed"
    DENIED = "explicit deny"
    NOT_ALLOWED = "implicit deny"


class Statement(NamedTuple):
    """One statement of a policy; `not_actions` and `not_resources` hold what NotAction and NotResource list.

    A statement lists either side: where the `not_` tuple is not None, the other is not looked at.
    """

    allow: bool
    actions: tuple[str, ...] = ALL
    resources: tuple[str, ...] = ALL
    not_actions: tuple[str, ...] | None = None
    not_resources: tuple[str, ...] | None = None


class Call(NamedTuple):
    """A call that an application makes: at its start, or in a `share` (0 to 1) of its requests."""

    action: str
    resource: str
    at_start: bool
    share: float = 1.0


class CallOutcome(NamedTuple):
    """What a role makes of an application's calls: the call it dies of at its start, and requests that fail."""

    fatal: Call | None
    failing_share: float


def verdict(statements: Iterable[Statement], action: str, resource: str) -> Verdict:
    """What the statements of a role say to `action` (`s3:GetObject`) on `resource` (an ARN, or `*`)."""
    found = Verdict.NOT_ALLOWED
    for statement in statements:
        if not applies(statement, action, resource):
            continue
        if not statement.allow:
            return Verdict.DENIED
        found = Verdict.ALLOWED
    return found


def applies(statement: Statement, action: str, resource: str) -> bool:
    """Whether a statement speaks of `action` on `resource`."""
    if statement.not_actions is not None:
        if any(matches_action(pattern, action) for pattern in statement.not_actions):
            return False
    elif not any(matches_action(pattern, action) for pattern in statement.actions):
        return False
    if statement.not_resources is not None:
        return not any(matches_resource(pattern, resource) for pattern in statement.not_resources)
    return any(matches_resource(pattern, resource) for pattern in statement.resources)


def matches_action(pattern: str, action: str) -> bool:
    """Whether an action is meant: `*` and `?` anywhere, prefix and name in any case (IAM: Action)."""
    return _glob(pattern.lower()).fullmatch(action.lower()) is not None


def matches_resource(pattern: str, resource: str) -> bool:
    """Whether a resource is meant: case counts, `*` and `?` stay within a part of an ARN (IAM: Resource).

    A `*` that ends a part may run on beyond the colon, and in the resource itself colons are characters as
    any other.
    """
    return _arn_glob(pattern).fullmatch(resource) is not None


def outcome(calls: Sequence[Call], statements: Iterable[Statement] | None) -> CallOutcome:
    """What becomes of an application that makes `calls` with a role; None is a role that may do all.

    Calls of different kinds fall on requests independently of each other (MODEL.md: choices).
    """
    if statements is None:
        return CallOutcome(None, 0.0)
    of_role = tuple(statements)
    failing, fatal = 0.0, None
    for call in calls:
        if verdict(of_role, call.action, call.resource) is Verdict.ALLOWED:
            continue
        if call.at_start:
            fatal = fatal or call
        else:
            failing += (1.0 - failing) * call.share
    return CallOutcome(fatal, failing)


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(letter) or re.escape(letter) for letter in pattern), re.DOTALL)


@lru_cache(maxsize=4096)
def _arn_glob(pattern: str) -> re.Pattern[str]:
    text, colons = "", 0
    for place, letter in enumerate(pattern):
        free = colons >= _RESOURCE_PART or pattern[place + 1 : place + 2] in ("", ":")
        if letter == "*":
            text += ".*" if free else "[^:]*"
        elif letter == "?":
            text += "." if colons >= _RESOURCE_PART else "[^:]"
        else:
            colons += letter == ":"
            text += re.escape(letter)
    return re.compile(text, re.DOTALL)
