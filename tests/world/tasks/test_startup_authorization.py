"""Roles in whole runs: the permissions checked when a task starts, and how an application reacts to a denied call."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.harness import (
    MINUTE,
    SECOND,
    Block,
    definition,
    fargate_definition,
    job,
    provider,
    run,
    service,
    world,
)

ASKED = 500  # ms until a registry has answered
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf"
IMAGES: Block = {"app": {"size": "1 GiB"}}
PULL_MS = 10_240
FARGATE_MS = 20 * SECOND
CLUSTER = {"fargateStartTime": "20s"}
LOGS = {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-stream-prefix": "p"}}
TOKEN, IMAGE = "ecr:GetAuthorizationToken", ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


def role(name: str, *actions: Any) -> Block:
    """A role that may do these things, to anything."""
    allowed = actions or ("sts:GetCallerIdentity",)
    statements = [{"Effect": "Allow", "Action": action, "Resource": "*"} for action in allowed]
    return {"roleName": name, "policies": [{"policyDocument": {"Statement": statements}}]}


def started(directory: Path, container: Block, fargate: bool = True, **keys: Any) -> Block:
    """The row of one task with `container` and the execution role `exec`."""
    make = fargate_definition if fargate else definition
    where = {"launchType": "FARGATE"} if fargate else {}
    written = world(cluster=CLUSTER, images=IMAGES, **keys)
    written["taskDefinitions"] = [make(container=container, executionRoleArn="exec")]
    return run({**written, "runTasks": [job(**where)]}, directory).tasks()[0]


@pytest.mark.parametrize(
    ("actions", "container", "at", "asked", "words"),
    [
        ([TOKEN], {}, ASKED, True, "403 Forbidden"),
        ([], {}, 0, False, "ResourceInitializationError: unable to pull secrets or registry auth"),
        (
            [TOKEN, *IMAGE],
            {"secrets": [{"name": "A", "valueFrom": SECRET}]},
            0,
            False,
            f"failed to fetch secret {SECRET}",
        ),
        ([TOKEN, *IMAGE], {"logConfiguration": LOGS}, None, True, "failed to validate logger args"),
        ([TOKEN, *IMAGE, "logs:CreateLogStream"], {"logConfiguration": LOGS}, None, True, ""),
    ],
)
def test_on_fargate_the_execution_role_is_asked_before_during_and_after_the_pull(
    actions: list[Any], container: Block, at: int | None, asked: bool, words: str, tmp_path: Path
) -> None:
    """Secrets and ECR's token before (nothing is billed then), the image with the pull, logs when it is there."""
    task = started(tmp_path, container, roles=[role("exec", *actions)])
    assert task["pull_started_at"] == (FARGATE_MS if asked else None)
    assert (task["pull_stopped_at"] is not None) == (at is None)
    if not words:
        assert task["started_at"] == task["pull_stopped_at"], "what may not write its lines runs all the same"
        return
    assert task["stopped_at"] == (task["pull_stopped_at"] if at is None else FARGATE_MS + at)
    assert words in task["stopped_reason"]
    assert (task["stop_code"], task["started_at"]) == ("TaskFailedToStart", None)
    assert (task["cost_usd"] > 0) == asked


def test_on_ec2_the_instance_role_pulls_and_the_execution_role_reads_secrets(tmp_path: Path) -> None:
    """`exec` may do nothing: that does not stop a pull, as ECS's own instance role may, but it stops a secret."""
    no_rights = [role("exec")]
    pulls = started(tmp_path / "image", {}, fargate=False, roles=no_rights)
    assert pulls["started_at"] == ASKED + PULL_MS
    secret = {"secrets": [{"name": "A", "valueFrom": SECRET}]}
    stopped = started(tmp_path / "secret", secret, fargate=False, roles=no_rights)
    assert (stopped["stopped_at"], stopped["pull_started_at"]) == (0, None)
    assert "AWS Secrets Manager" in stopped["stopped_reason"]


def test_an_instance_role_that_may_not_pull_leaves_the_cache(tmp_path: Path) -> None:
    """On a host with the image the agent falls back on it by default; on another the task stops."""
    groups = [
        provider(
            count=2,
            instanceRole="node",
            preloadedImages=["app"],
            availabilityZones=["us-east-1a"],
            ecsConfig={"ECS_IMAGE_PULL_BEHAVIOR": behavior},
        )
        for behavior in ("default", "always")
    ]
    for group, (begins, words) in zip(groups, ((ASKED, None), (None, "CannotPullECR")), strict=True):
        task = started(
            tmp_path / str(begins), {}, fargate=False, roles=[role("node")], capacityProviders=[group]
        )
        assert task["started_at"] == begins
        assert words is None or task["stopped_reason"].startswith(words)


def test_a_denied_role_throttles_a_service(tmp_path: Path) -> None:
    """As any failure to start: 10, 20, 40 s between the attempts, each after Fargate's 20 s and the refusal."""
    written = world(
        cluster=CLUSTER,
        images=IMAGES,
        roles=[role("exec", TOKEN)],
        taskDefinitions=[fargate_definition(executionRoleArn="exec")],
        services=[service("web", 1, launchType="FARGATE")],
        duration="5m",
    )
    tasks = run(written, tmp_path).tasks()
    gaps = [b["created_at"] - a["stopped_at"] for a, b in itertools.pairwise(tasks)]
    assert gaps[:3] == [10_000, 20_000, 40_000]


# --- what the application calls --------------------------------------------------------------------------

CALLS = [{"action": "s3:GetObject", "resource": "arn:aws:s3:::shop/config", "when": "start"}]


@pytest.mark.parametrize("apart", [False, True])
def test_a_call_at_the_start_that_is_denied_ends_the_application(apart: bool, tmp_path: Path) -> None:
    """It exits with its code when it would be ready, 30 s after RUNNING; a service replaces it at once, for ever."""
    behavior: Block = {"calls": CALLS, "readyTime": "30s", "exitCode": 3}
    if apart:
        behavior["containers"] = {"main": {"stopTime": "2s"}}
    ran = run(
        world(
            roles=[role("task", "s3:PutObject")],
            taskDefinitions=[definition(taskRoleArn="task")],
            services=[service("web", 1, behavior=behavior)],
            duration="10m",
        ),
        tmp_path,
    )
    first, second = ran.tasks()[:2]
    assert (first["started_at"], first["stopped_at"], first["exit_code"]) == (0, 30 * SECOND, 3)
    assert (first["stop_code"], second["created_at"]) == ("EssentialContainerExited", 30 * SECOND)
    assert first["stopped_reason"] == "Essential container in task exited"


def test_a_call_that_is_allowed_changes_nothing(tmp_path: Path) -> None:
    """The same holds for a role that is not listed: it may do everything."""
    for name in ("task", "unlisted"):
        ran = run(
            world(
                roles=[role("task", "s3:Get*")],
                taskDefinitions=[definition(taskRoleArn=name)],
                services=[service("web", 1, behavior={"calls": CALLS})],
            ),
            tmp_path / name,
        )
        assert ran.states() == {"RUNNING": 1}


def test_requests_whose_call_is_denied_fail(tmp_path: Path) -> None:
    """Half the requests read the object, and all of the quarter that write it may: 10 a second, half fail."""
    calls = [
        {"action": "s3:GetObject", "resource": "arn:aws:s3:::shop/x", "when": "request", "share": 0.5},
        {"action": "s3:PutObject", "resource": "arn:aws:s3:::shop/x", "when": "request", "share": 0.25},
    ]
    ran = run(
        world(
            roles=[role("task", "s3:PutObject")],
            taskDefinitions=[definition(taskRoleArn="task")],
            services=[
                service(
                    "web",
                    2,
                    load={"requestsPerSecond": 10, "cpuTimePerRequest": "10ms"},
                    behavior={"calls": calls},
                )
            ],
            initialState="running",
        ),
        tmp_path,
    )
    of = ran.summary["services"]["web"]
    assert of["requests"] == 2 * of["requests_failed"] > 30_000
    assert ran.series("failed_request_count")[0] == (0, pytest.approx(300.0))
    assert of["response_time_p50_s"] is not None
    assert ran.running_at(30 * MINUTE) == 2
