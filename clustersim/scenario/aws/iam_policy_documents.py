"""IAM policy documents: JSON of an identity policy, read into the statements that `policy.tasks.iam_evaluation`
evaluates.

Decides what is a policy (IAM User Guide: grammar of the IAM JSON policy language) and what of it is not simulated.
Conditions and policy variables are refused: whether they hold depends on requests, which are not simulated to
that depth, and a guess would be worse than a question. It must not know roles or files. `resolve_access`
calls `statements_of`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from clustersim.policy.tasks.iam_evaluation import ALL, Statement
from clustersim.scenario.text.document import Problem, Steps
from clustersim.scenario.text.overrides import closest
from clustersim.scenario.text.units import shown

VERSIONS = ("2012-10-17", "2008-10-17")
_POLICY = ("Version", "Id", "Statement")
_ELEMENTS = (
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


def unwrapped(value: Any) -> tuple[Steps, Any]:
    """A policy document inside what the AWS CLI prints or an inline policy is written as, and where it stands.

    Known are `aws iam get-role-policy` and `{policyName, policyDocument}`, `aws iam get-policy-version`.
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


def statements_of(policy: Any) -> tuple[tuple[Statement, ...], list[Problem]]:
    """The statements of a policy document, and everything that is wrong with it."""
    problems: list[Problem] = []
    if not isinstance(policy, Mapping):
        return (), [Problem((), "holds no policy", "a JSON document with a Statement")]
    _known_keys(policy, _POLICY, (), problems)
    version = policy.get("Version", VERSIONS[1])
    if version not in VERSIONS:
        problems.append(Problem(("Version",), f"{shown(version)} is no version", f'"{VERSIONS[0]}"'))
    written = policy.get("Statement")
    items = written if isinstance(written, list) else [written]
    if written is None or not items:
        problems.append(Problem((), "holds no policy", "a JSON document with a Statement"))
        return (), problems
    found = []
    for index, item in enumerate(items):
        path: Steps = ("Statement", index) if isinstance(written, list) else ("Statement",)
        statement = _statement(item, path, version == VERSIONS[0], problems)
        if statement is not None:
            found.append(statement)
    return tuple(found), problems


def _statement(item: Any, path: Steps, variables: bool, problems: list[Problem]) -> Statement | None:
    """One statement; None if anything is wrong with it."""
    before = len(problems)
    if not isinstance(item, Mapping):
        problems.append(Problem(path, "is no statement", "a mapping with Effect, Action and Resource"))
        return None
    _known_keys(item, _ELEMENTS, path, problems)
    effect = item.get("Effect")
    if effect not in ("Allow", "Deny"):
        what = f"{shown(effect)} is no effect" if "Effect" in item else "has no Effect"
        problems.append(Problem((*path, *(["Effect"] if "Effect" in item else [])), what, "Allow or Deny"))
    for key in ("Principal", "NotPrincipal"):
        if key in item:
            what = "a role's policy has no principal: the role is it"
            problems.append(Problem((*path, key), what, f"leave {key} out"))
    if item.get("Condition"):
        what = "conditions are not simulated"
        problems.append(Problem((*path, "Condition"), what, "split the statement, or leave Condition out"))
    actions, not_actions = _either(item, "Action", path, problems)
    resources, not_resources = _either(item, "Resource", path, problems)
    for key, place in (("Action", actions), ("NotAction", not_actions)):
        for index, action in enumerate(place or ()):
            if not _ACTION.fullmatch(action):
                where = _item(item, key, path, index)
                problems.append(
                    Problem(where, f"{shown(action)} is no action", "like s3:GetObject, s3:* or *")
                )
    for key, place in (("Resource", resources), ("NotResource", not_resources)):
        for index, resource in enumerate(place or ()):
            _check_resource(resource, _item(item, key, path, index), variables, problems)
    if len(problems) > before:
        return None
    return Statement(
        allow=effect == "Allow",
        actions=actions or ALL,
        resources=_plain(resources, variables) or ALL,
        not_actions=not_actions,
        not_resources=_plain(not_resources, variables),
    )


def _check_resource(resource: str, path: Steps, variables: bool, problems: list[Problem]) -> None:
    if resource != "*" and not resource.startswith("arn:"):
        problems.append(Problem(path, f"{shown(resource)} is no ARN", 'an ARN, or "*"'))
    if variables and (match := _VARIABLE.search(resource)) is not None:
        what = f"the policy variable {match[0]} is not simulated"
        problems.append(Problem(path, what, "write what it stands for, or *"))


def _plain(patterns: tuple[str, ...] | None, variables: bool) -> tuple[str, ...] | None:
    """Patterns without the escapes of version 2012-10-17; an escaped wildcard is any one character here."""
    if patterns is None or not variables:
        return patterns
    return tuple(_ESCAPED.sub(lambda match: "$" if match[1] == "$" else "?", each) for each in patterns)


def _either(
    item: Mapping[str, Any], key: str, path: Steps, problems: list[Problem]
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """The texts of `Action` and of `NotAction` (or Resource): just one of the two must be there."""
    negative = f"Not{key}"
    if (key in item) == (negative in item):
        what = f"has both {key} and {negative}" if key in item else f"has no {key}"
        problems.append(Problem(path, what, f"either {key} or {negative}"))
        return None, None
    here = key if key in item else negative
    written = item[here]
    values = written if isinstance(written, list) else [written]
    if not values or not all(isinstance(value, str) for value in values):
        problems.append(Problem((*path, here), "is no text", "a text, or a list of texts"))
        return None, None
    return (tuple(values), None) if here == key else (None, tuple(values))


def _item(item: Mapping[str, Any], key: str, path: Steps, index: int) -> Steps:
    return (*path, key, index) if isinstance(item.get(key), list) else (*path, key)


def _known_keys(
    item: Mapping[str, Any], known: tuple[str, ...], path: Steps, problems: list[Problem]
) -> None:
    """Report keys that the policy language does not have; their case counts."""
    problems.extend(
        Problem((*path, str(key)), "unknown element", closest(str(key), known))
        for key in item
        if key not in known
    )
