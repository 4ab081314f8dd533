"""Permissions that a task needs before its containers run, and the messages of ECS when one is denied.

Decides, for a task, a launch type and roles, which permission is missing first. `ACCESS_CHECKS` is the complete list
of checks: each row names the actions, the role that needs them, and the messages as real clusters show them. It must
not know scenarios or files: `scenario.resolve.roles` collects the access that a task definition requires, the world
calls `first_denial` once for each place where a task set may run.

Sources. Actions and roles: ECS Developer Guide, task execution role, container instance role, private registry
authentication, specifying sensitive data; AWS managed policies AmazonECSTaskExecutionRolePolicy and
AmazonEC2ContainerRegistryPullOnly. `ecr:BatchCheckLayerAvailability` is in the former but not in the latter, which AWS
made for pulling alone, so it is not required. Messages: as in publicly quoted stopped tasks (the ECS agent's sources,
issues, articles), without request ids and status codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clustersim.policy.tasks.iam_evaluation import PolicyDecision, Statement, evaluate_policies

EXECUTION, INSTANCE, EITHER = "execution role", "instance role", "execution role, else instance role"
"""The role that must have the permission."""


class RequiredAccess(NamedTuple):
    """An access that the start of a task requires.

    `kind` is that of a row of `ACCESS_CHECKS`; `subject` is named in messages: the reference of an image, the ARN of a
    secret, the group of logs.
    """

    kind: str
    resource: str
    subject: str
    region: str


class AccessCheck(NamedTuple):
    """A row of the table: the actions for a kind of access, the role that needs them, and the messages of a denial.

    Messages contain `{denied}` for IAM's own sentence, and `{subject}`, `{region}`, `{host}`, `{repository}` and
    `{tag}` of the required access. A check without messages does not stop a task.
    """

    kind: str
    actions: tuple[str, ...]
    fargate_role: str
    ec2_role: str
    fargate_message: str
    ec2_message: str


class Role(NamedTuple):
    """A role by name, and its statements; None is a role with all permissions."""

    name: str
    statements: tuple[Statement, ...] | None = None


class AccessDenial(NamedTuple):
    """The reason a task does not start: its `stoppedReason`, and the denied action, resource and role."""

    reason: str
    kind: str
    action: str
    resource: str
    role: str


_RETRIEVAL = (
    "ResourceInitializationError: unable to pull secrets or registry auth: "
    "execution resource retrieval failed: "
)
_ONCE = "service call has been retried 1 time(s): "
_SECRET = AccessCheck(
    "secret",
    ("secretsmanager:GetSecretValue",),
    EXECUTION,
    EXECUTION,
    f"{_RETRIEVAL}unable to retrieve secret from asm: {_ONCE}failed to fetch secret {{subject}} from secrets "
    "manager: {denied}",
    "Fetching secret data from AWS Secrets Manager in region {region}: secret {subject}: {denied}",
)

ACCESS_CHECKS = (
    _SECRET,
    AccessCheck(
        "parameter",
        ("ssm:GetParameters",),
        EXECUTION,
        EXECUTION,
        f"{_RETRIEVAL}unable to retrieve secrets from ssm: {_ONCE}{{denied}}",
        "Fetching secret data from SSM Parameter Store in {region}: {denied}",
    ),
    _SECRET._replace(kind="registry credentials"),
    AccessCheck(
        "registry token",
        ("ecr:GetAuthorizationToken",),
        EXECUTION,
        INSTANCE,
        f"{_RETRIEVAL}unable to retrieve ecr registry auth: {_ONCE}{{denied}}",
        "CannotPullECRContainerError: {denied}",
    ),
    AccessCheck(
        "image",
        ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
        EXECUTION,
        INSTANCE,
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {subject}: "
        "pulling from host {host} failed with status code [manifests {tag}]: 403 Forbidden",
        "CannotPullContainerError: Error response from daemon: pull access denied for {host}/{repository}, "
        "repository does not exist or may require 'docker login': denied: {denied}",
    ),
    AccessCheck(
        "log group",
        ("logs:CreateLogGroup",),
        EXECUTION,
        EITHER,
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
        "failed to create Cloudwatch log group: {denied}",
        "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: "
        "failed to create Cloudwatch log group: {denied}",
    ),
    AccessCheck(
        "log stream",
        ("logs:CreateLogStream",),
        EXECUTION,
        EITHER,
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
        "failed to create Cloudwatch log stream: {denied} : exit status 1",
        "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: "
        "failed to create Cloudwatch log stream: {denied}",
    ),
    # A task that may create its log stream but not write to it runs, and its log lines are lost.
    AccessCheck("log lines", ("logs:PutLogEvents",), EXECUTION, EITHER, "", ""),
)
"""All IAM checks when a task starts, in the order in which they are made."""

_ROLE_SESSION = "AccessDeniedException: User: arn:aws:sts::{account}:assumed-role/{role}/{session}"


def first_denial(
    needs: Sequence[RequiredAccess],
    fargate: bool,
    execution: Role | None,
    instance: Role | None,
    account: str,
) -> AccessDenial | None:
    """Return the first denial that stops a task with `needs` from starting, or None.

    A role that is None is not checked, as if it had all permissions. Denials that do not stop a task are in
    `all_denials`.
    """
    return next((denial for denial in _denials(needs, fargate, execution, instance, account)), None)


def all_denials(
    needs: Sequence[RequiredAccess],
    fargate: bool,
    execution: Role | None,
    instance: Role | None,
    account: str,
) -> tuple[AccessDenial, ...]:
    """Return every denial in the order of the checks; those with an empty reason do not stop a task."""
    return tuple(_denials(needs, fargate, execution, instance, account, include_harmless=True))


def _denials(
    needs: Sequence[RequiredAccess],
    fargate: bool,
    execution: Role | None,
    instance: Role | None,
    account: str,
    include_harmless: bool = False,
) -> Iterable[AccessDenial]:
    for check in ACCESS_CHECKS:
        message = check.fargate_message if fargate else check.ec2_message
        role = _select_role(check.fargate_role if fargate else check.ec2_role, execution, instance)
        if role is None or role.statements is None or not (message or include_harmless):
            continue
        for need in needs:
            if need.kind != check.kind:
                continue
            for action in check.actions:
                decision = evaluate_policies(role.statements, action, need.resource)
                if decision is not PolicyDecision.ALLOWED:
                    denied = _denial_sentence(decision, role.name, action, need.resource, account, fargate)
                    reason = message.format(denied=denied, **_message_fields(need))
                    yield AccessDenial(reason, check.kind, action, need.resource, role.name)


def _select_role(required_role: str, execution: Role | None, instance: Role | None) -> Role | None:
    if required_role == EXECUTION:
        return execution
    return instance if required_role == INSTANCE or execution is None else execution


def _denial_sentence(
    decision: PolicyDecision, role: str, action: str, resource: str, account: str, fargate: bool
) -> str:
    """Return the sentence of IAM about a denied request."""
    cause = (
        "with an explicit deny in an identity-based policy"
        if decision is PolicyDecision.DENIED
        else f"because no identity-based policy allows the {action} action"
    )
    session = "task" if fargate else "instance"
    user = _ROLE_SESSION.format(account=account, role=role, session=session)
    return f"{user} is not authorized to perform: {action} on resource: {resource} {cause}"


def _message_fields(need: RequiredAccess) -> dict[str, str]:
    """Return the fields that a message may name."""
    host, _, rest = need.subject.partition("/")
    repository, _, digest = rest.partition("@")
    repository, _, tag = repository.partition(":")
    return {
        "subject": need.subject,
        "region": need.region,
        "host": host,
        "repository": repository,
        "tag": digest or tag or "latest",
    }
