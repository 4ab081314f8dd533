"""IAM policy documents: JSON of an identity policy, read into the statements that `policy.tasks.iam_evaluation`
evaluates.

Decides which documents are valid policies (IAM User Guide: grammar of the IAM JSON policy language) and which parts
are not simulated. Conditions and policy variables are rejected: their value depends on details of requests that are
not simulated, and guessing it would give wrong results silently. It must not know roles or files.
`scenario.resolve.roles` calls `parse_statements`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from clustersim.policy.tasks.iam_evaluation import ANYTHING, Statement
from clustersim.scenario.text.document import FieldPath, Problem
from clustersim.scenario.text.overrides import suggest_name
from clustersim.scenario.text.units import quote_value

VERSIONS = ("2012-10-17", "2008-10-17")
_POLICY_KEYS = ("Version", "Id", "Statement")
_STATEMENT_KEYS = (
    "Sid",
    "Effect",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
    "Principal",
    "NotPrincipal",
)
_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+|\*")
_VARIABLE = re.compile(r"\$\{(?![*?$]\})[^}]*\}")
_ESCAPED = re.compile(r"\$\{([*?$])\}")


def unwrap_policy(value: Any) -> tuple[FieldPath, Any]:
    """Return the policy document inside the output of the AWS CLI or an inline policy, and its path.

    Accepted are `aws iam get-role-policy`, `{policyName, policyDocument}`, and `aws iam get-policy-version`.
    """
    if not isinstance(value, Mapping):
        return (), value
    for path in (("PolicyDocument",), ("policyDocument",), ("PolicyVersion", "Document"), ("Document",)):
        node: Any = value
        for step in path:
            node = node.get(step) if isinstance(node, Mapping) else None
        if isinstance(node, Mapping):
            return path, node
    return (), value


def parse_statements(policy: Any) -> tuple[tuple[Statement, ...], list[Problem]]:
    """Return the statements of a policy document, and its problems."""
    problems: list[Problem] = []
    if not isinstance(policy, Mapping):
        return (), [Problem((), "is not a policy", "a JSON document with a Statement")]
    _check_keys(policy, _POLICY_KEYS, (), problems)
    version = policy.get("Version", VERSIONS[1])
    if version not in VERSIONS:
        problems.append(Problem(("Version",), f"{quote_value(version)} is not a version", f'"{VERSIONS[0]}"'))
    written = policy.get("Statement")
    items = written if isinstance(written, list) else [written]
    if written is None or not items:
        problems.append(Problem((), "is not a policy", "a JSON document with a Statement"))
        return (), problems
    statements = []
    for index, item in enumerate(items):
        path: FieldPath = ("Statement", index) if isinstance(written, list) else ("Statement",)
        statement = _parse_statement(item, path, version == VERSIONS[0], problems)
        if statement is not None:
            statements.append(statement)
    return tuple(statements), problems


def _parse_statement(
    item: Any, path: FieldPath, variables: bool, problems: list[Problem]
) -> Statement | None:
    """Return one statement; None if it has a problem."""
    problems_before = len(problems)
    if not isinstance(item, Mapping):
        problems.append(Problem(path, "is not a statement", "a mapping with Effect, Action and Resource"))
        return None
    _check_keys(item, _STATEMENT_KEYS, path, problems)
    effect = item.get("Effect")
    if effect not in ("Allow", "Deny"):
        message = f"{quote_value(effect)} is not an effect" if "Effect" in item else "has no Effect"
        problems.append(Problem((*path, *(["Effect"] if "Effect" in item else [])), message, "Allow or Deny"))
    for key in ("Principal", "NotPrincipal"):
        if key in item:
            message = "a role's policy has no principal: the principal is the role"
            problems.append(Problem((*path, key), message, f"leave {key} out"))
    if item.get("Condition"):
        message = "conditions are not simulated"
        problems.append(Problem((*path, "Condition"), message, "split the statement, or leave Condition out"))
    actions, not_actions = _read_either(item, "Action", path, problems)
    resources, not_resources = _read_either(item, "Resource", path, problems)
    for key, texts in (("Action", actions), ("NotAction", not_actions)):
        for index, action in enumerate(texts or ()):
            if not _ACTION.fullmatch(action):
                item_path = _item_path(item, key, path, index)
                problems.append(
                    Problem(
                        item_path, f"{quote_value(action)} is not an action", "like s3:GetObject, s3:* or *"
                    )
                )
    for key, texts in (("Resource", resources), ("NotResource", not_resources)):
        for index, resource in enumerate(texts or ()):
            _check_resource(resource, _item_path(item, key, path, index), variables, problems)
    if len(problems) > problems_before:
        return None
    return Statement(
        allow=effect == "Allow",
        actions=actions or ANYTHING,
        resources=_unescape(resources, variables) or ANYTHING,
        not_actions=not_actions,
        not_resources=_unescape(not_resources, variables),
    )


def _check_resource(resource: str, path: FieldPath, variables: bool, problems: list[Problem]) -> None:
    if resource != "*" and not resource.startswith("arn:"):
        problems.append(Problem(path, f"{quote_value(resource)} is not an ARN", 'an ARN, or "*"'))
    if variables and (match := _VARIABLE.search(resource)) is not None:
        message = f"the policy variable {match[0]} is not simulated"
        problems.append(Problem(path, message, "write its value, or *"))


def _unescape(patterns: tuple[str, ...] | None, variables: bool) -> tuple[str, ...] | None:
    """Remove the escapes of version 2012-10-17 from patterns; an escaped wildcard matches any one character here."""
    if patterns is None or not variables:
        return patterns
    return tuple(_ESCAPED.sub(lambda match: "$" if match[1] == "$" else "?", pattern) for pattern in patterns)


def _read_either(
    item: Mapping[str, Any], key: str, path: FieldPath, problems: list[Problem]
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Return the texts of `Action` and of `NotAction` (or Resource); exactly one of the two must be given."""
    negative = f"Not{key}"
    if (key in item) == (negative in item):
        message = f"has both {key} and {negative}" if key in item else f"has no {key}"
        problems.append(Problem(path, message, f"either {key} or {negative}"))
        return None, None
    given_key = key if key in item else negative
    written = item[given_key]
    values = written if isinstance(written, list) else [written]
    if not values or not all(isinstance(value, str) for value in values):
        problems.append(Problem((*path, given_key), "is not text", "a text, or a list of texts"))
        return None, None
    return (tuple(values), None) if given_key == key else (None, tuple(values))


def _item_path(item: Mapping[str, Any], key: str, path: FieldPath, index: int) -> FieldPath:
    return (*path, key, index) if isinstance(item.get(key), list) else (*path, key)


def _check_keys(
    item: Mapping[str, Any], known: tuple[str, ...], path: FieldPath, problems: list[Problem]
) -> None:
    """Report keys that the policy language lacks; keys are case-sensitive."""
    problems.extend(
        Problem((*path, str(key)), "unknown element", suggest_name(str(key), known))
        for key in item
        if key not in known
    )
