"""The first permission a task lacks at start: which role lacks it, and the message."""

from __future__ import annotations

import pytest

from clustersim.policy.images.pull_error_messages import PulledImage, PullFault, pull_error_message
from clustersim.policy.tasks.iam_evaluation import Statement
from clustersim.policy.tasks.startup_authorization import (
    ACCESS_CHECKS,
    RequiredAccess,
    Role,
    all_denials,
    first_denial,
)

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf"
STREAM = "arn:aws:logs:us-east-1:123456789012:log-group:/ecs/web:log-stream:web/app/task"
NEEDS = (
    RequiredAccess("log stream", STREAM, "/ecs/web", "us-east-1"),
    RequiredAccess("log lines", STREAM, "/ecs/web", "us-east-1"),
    RequiredAccess("secret", SECRET, SECRET, "us-east-1"),
    RequiredAccess("registry token", "*", "", "us-east-1"),
    RequiredAccess(
        "image", "arn:aws:ecr:us-east-1:123456789012:repository/web", f"{HOST}/web:1", "us-east-1"
    ),
)
PULL = ("ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")
ALL_RIGHTS = ("secretsmanager:GetSecretValue", *PULL, *LOGS)


def role(*actions: str, name: str = "exec") -> Role:
    return Role(name, (Statement(True, actions),) if actions else ())


def reason(fargate: bool, execution: Role | None, instance: Role | None = None) -> str:
    found = first_denial(NEEDS, fargate, execution, instance, "123456789012")
    return "" if found is None else found.reason


def test_with_all_rights_a_task_starts() -> None:
    assert reason(True, role(*ALL_RIGHTS)) == ""
    assert reason(False, role("secretsmanager:*", *LOGS), role(*PULL)) == ""


def test_a_role_that_is_not_listed_or_not_named_has_all_permissions() -> None:
    """Contract, section 3: roles."""
    assert reason(True, Role("exec")) == ""
    assert reason(True, None) == ""
    assert reason(False, None, None) == ""


def test_on_fargate_the_execution_role_needs_everything() -> None:
    """In the order of the checks: secrets, registry, image, logs; each with the message of a stopped task."""
    head = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
    session = "arn:aws:sts::123456789012:assumed-role/exec/task"
    user = f"AccessDeniedException: User: {session} is not authorized to perform: "
    assert reason(True, role()) == (
        f"{head}unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret "
        f"{SECRET} from secrets manager: {user}secretsmanager:GetSecretValue on resource: {SECRET} because no "
        "identity-based policy allows the secretsmanager:GetSecretValue action"
    )
    assert reason(True, role("secretsmanager:*")) == (
        f"{head}unable to retrieve ecr registry auth: service call has been retried 1 time(s): {user}"
        "ecr:GetAuthorizationToken on resource: * because no identity-based policy allows the "
        "ecr:GetAuthorizationToken action"
    )
    assert reason(True, role("secretsmanager:*", "ecr:GetAuthorizationToken")) == (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
        f"{HOST}/web:1: pulling from host {HOST} failed with status code [manifests 1]: 403 Forbidden"
    )
    assert reason(True, role("secretsmanager:*", "ecr:*")).startswith(
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
    )


def test_on_ec2_the_instance_role_pulls_and_the_execution_role_reads_secrets() -> None:
    """Pulls need the instance role; secrets and registry credentials need the execution role."""
    assert reason(False, role(), role(*PULL, name="node")).startswith(
        f"Fetching secret data from AWS Secrets Manager in region us-east-1: secret {SECRET}: AccessDenied"
    )
    found = first_denial(NEEDS, False, role(*ALL_RIGHTS), role(name="node"), "1")
    assert found is not None
    assert (found.action, found.role) == ("ecr:GetAuthorizationToken", "node")
    assert found.reason.startswith(
        "CannotPullECRContainerError: AccessDeniedException: User: arn:aws:sts::1:"
    )
    assert reason(False, role("secretsmanager:*", *LOGS), role("ecr:GetAuthorizationToken")).startswith(
        f"CannotPullContainerError: Error response from daemon: pull access denied for {HOST}/web, repository does"
    )


def test_logs_on_ec2_need_the_execution_role_or_else_the_instance_role() -> None:
    message = "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: "
    assert reason(False, role("secretsmanager:*"), role(*PULL, *LOGS)).startswith(message)
    assert reason(False, None, role(*PULL)).startswith(message)
    assert reason(False, None, role(*PULL, *LOGS)) == ""


def test_an_explicit_deny_is_named() -> None:
    denied = Role("exec", (Statement(True), Statement(False, ("ecr:GetAuthorizationToken",))))
    assert reason(True, denied).endswith("with an explicit deny in an identity-based policy")


def test_log_lines_that_cannot_be_written_are_reported_but_stop_no_task() -> None:
    no_log_lines = role("secretsmanager:*", *PULL, "logs:CreateLogStream")
    assert reason(True, no_log_lines) == ""
    found = all_denials(NEEDS, True, no_log_lines, None, "1")
    assert [(denial.action, denial.reason) for denial in found] == [("logs:PutLogEvents", "")]


def test_every_check_has_both_messages_or_neither() -> None:
    assert all(bool(check.fargate_message) == bool(check.ec2_message) for check in ACCESS_CHECKS)
    assert len({check.kind for check in ACCESS_CHECKS}) == len(ACCESS_CHECKS)


IMAGE = PulledImage(HOST, "web", "1")


@pytest.mark.parametrize("fault", [fault for fault in PullFault if fault])
@pytest.mark.parametrize("fargate", [True, False])
def test_every_pull_fault_has_a_message(fault: PullFault, fargate: bool) -> None:
    """ECS Developer Guide: all are CannotPullContainerError, except a pull that times out on an instance."""
    message = pull_error_message(fault, IMAGE, fargate)
    timeout = fault is PullFault.TIMEOUT and not fargate
    assert message.startswith("ContainerRuntimeTimeoutError" if timeout else "CannotPullContainerError: ")
    assert "{" not in message


def test_messages_of_a_missing_image_and_a_rate_limit() -> None:
    assert pull_error_message(PullFault.NO_IMAGE, IMAGE, True) == (
        "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref "
        f"{HOST}/web:1: not found"
    )
    hub = PulledImage("registry-1.docker.io", "library/nginx", "sha256:ab", docker_hub=True)
    assert pull_error_message(PullFault.TOO_MANY_REQUESTS, hub, False) == (
        "CannotPullContainerError: Error response from daemon: toomanyrequests: You have reached your unauthenticated "
        "pull rate limit. https://www.docker.com/increase-rate-limit"
    )
    assert "library/nginx@sha256:ab" in pull_error_message(PullFault.NO_IMAGE, hub, True)
