"""What a task needs from IAM before its containers run, who needs it, and ECS's words when it is refused.

Decides, for a task, a launch type and roles, which right is missing first. `CHECKS` is the whole list of what is
asked: each row names the actions, the role that needs them, and the failure's words as real clusters show
them. It must not know scenarios or files: `scenario.resolve.roles` gathers a task definition's needs, the
world asks `first_refusal` once for each place where a task set may run.

Sources. Actions and roles: ECS Developer Guide, task execution role, container instance role, private registry
authentication, specifying sensitive data; AWS managed policies AmazonECSTaskExecutionRolePolicy and
AmazonEC2ContainerRegistryPullOnly. `ecr:BatchCheckLayerAvailability` stands in the former but not in the
latter, which AWS made for pulling alone, so it is not asked for. Words: as in stopped tasks that were quoted in
public (the ECS agent's sources, issues, write-ups); request ids and status codes are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clustersim.policy.tasks.iam_evaluation import Statement, Verdict, verdict

EXECUTION, INSTANCE, EITHER = "execution role", "instance role", "execution role, else instance role"
"""Whose right it must be."""


class Need(NamedTuple):
    """One thing a task's start needs: the kind is a row of `CHECKS`, the subject what messages name.

    The subject of images is their reference, of secrets their ARN, of logs their group.
    """

    kind: str
    resource: str
    subject: str
    region: str


class Check(NamedTuple):
    """A row of the table: what is asked for a kind of need, of which role, and the words of a refusal.

    Words hold `{denied}` for IAM's own sentence, and `{subject}`, `{region}`, `{host}`, `{repository}` and
    `{tag}` of the need. A check without words does not stop a task.
    """

    kind: str
    actions: tuple[str, ...]
    on_fargate: str
    on_ec2: str
    fargate_words: str
    ec2_words: str


class Role(NamedTuple):
    """A role by its name, and its statements; None is a role that may do all."""

    name: str
    statements: tuple[Statement, ...] | None = None


class Refusal(NamedTuple):
    """Why a task does not start: `stoppedReason`, and what was asked of whom."""

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
_SECRET = Check(
    "secret",
    ("secretsmanager:GetSecretValue",),
    EXECUTION,
    EXECUTION,
    f"{_RETRIEVAL}unable to retrieve secret from asm: {_ONCE}failed to fetch secret {{subject}} from secrets "
    "manager: {denied}",
    "Fetching secret data from AWS Secrets Manager in region {region}: secret {subject}: {denied}",
)

CHECKS = (
    _SECRET,
    Check(
        "parameter",
        ("ssm:GetParameters",),
        EXECUTION,
        EXECUTION,
        f"{_RETRIEVAL}unable to retrieve secrets from ssm: {_ONCE}{{denied}}",
        "Fetching secret data from SSM Parameter Store in {region}: {denied}",
    ),
    _SECRET._replace(kind="registry credentials"),
    Check(
        "registry token",
        ("ecr:GetAuthorizationToken",),
        EXECUTION,
        INSTANCE,
        f"{_RETRIEVAL}unable to retrieve ecr registry auth: {_ONCE}{{denied}}",
        "CannotPullECRContainerError: {denied}",
    ),
    Check(
        "image",
        ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
        EXECUTION,
        INSTANCE,
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {subject}: "
        "pulling from host {host} failed with status code [manifests {tag}]: 403 Forbidden",
        "CannotPullContainerError: Error response from daemon: pull access denied for {host}/{repository}, "
        "repository does not exist or may require 'docker login': denied: {denied}",
    ),
    Check(
        "log group",
        ("logs:CreateLogGroup",),
        EXECUTION,
        EITHER,
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
        "failed to create Cloudwatch log group: {denied}",
        "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: "
        "failed to create Cloudwatch log group: {denied}",
    ),
    Check(
        "log stream",
        ("logs:CreateLogStream",),
        EXECUTION,
        EITHER,
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
        "failed to create Cloudwatch log stream: {denied} : exit status 1",
        "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: "
        "failed to create Cloudwatch log stream: {denied}",
    ),
    # A task that may make its stream but not write into it runs, and its lines are lost.
    Check("log lines", ("logs:PutLogEvents",), EXECUTION, EITHER, "", ""),
)
"""Everything that is asked of IAM when a task starts, in the order in which it is asked."""

_ROLE_SESSION = "AccessDeniedException: User: arn:aws:sts::{account}:assumed-role/{role}/{session}"


def first_refusal(
    needs: Sequence[Need], fargate: bool, execution: Role | None, instance: Role | None, account: str
) -> Refusal | None:
    """What stops a task with `needs` from starting, if anything.

    A role that is None is not looked at, as if it might do all. What a role lacks without stopping the task
    is in `all_refusals`.
    """
    return next((refusal for refusal in _refusals(needs, fargate, execution, instance, account)), None)


def all_refusals(
    needs: Sequence[Need], fargate: bool, execution: Role | None, instance: Role | None, account: str
) -> tuple[Refusal, ...]:
    """Every right that is missing, in the order of asking; those with an empty reason do not stop a task."""
    return tuple(_refusals(needs, fargate, execution, instance, account, harmless=True))


def _refusals(
    needs: Sequence[Need],
    fargate: bool,
    execution: Role | None,
    instance: Role | None,
    account: str,
    harmless: bool = False,
) -> Iterable[Refusal]:
    for check in CHECKS:
        words = check.fargate_words if fargate else check.ec2_words
        role = _role_of(check.on_fargate if fargate else check.on_ec2, execution, instance)
        if role is None or role.statements is None or not (words or harmless):
            continue
        for need in needs:
            if need.kind != check.kind:
                continue
            for action in check.actions:
                found = verdict(role.statements, action, need.resource)
                if found is not Verdict.ALLOWED:
                    denied = _denied(found, role.name, action, need.resource, account, fargate)
                    reason = words.format(denied=denied, **_parts(need))
                    yield Refusal(reason, check.kind, action, need.resource, role.name)


def _role_of(whose: str, execution: Role | None, instance: Role | None) -> Role | None:
    if whose == EXECUTION:
        return execution
    return instance if whose == INSTANCE or execution is None else execution


def _denied(found: Verdict, role: str, action: str, resource: str, account: str, fargate: bool) -> str:
    """IAM's sentence about a refused request."""
    cause = (
        "with an explicit deny in an identity-based policy"
        if found is Verdict.DENIED
        else f"because no identity-based policy allows the {action} action"
    )
    session = "task" if fargate else "instance"
    user = _ROLE_SESSION.format(account=account, role=role, session=session)
    return f"{user} is not authorized to perform: {action} on resource: {resource} {cause}"


def _parts(need: Need) -> dict[str, str]:
    """What the words may name."""
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
