"""Roles, and what tasks need of them, resolved.

Decides which statements a role has (from documents, files and ARNs of AWS managed policies), which role a
reference means, and what a task definition's start asks of IAM: secrets, registry credentials, images in ECR,
log streams. Must not know whether it is allowed (`policy.tasks.startup_authorization`). `resolve` calls `roles`
first, and `with_access` once images are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clustersim.policy.tasks.iam_evaluation import Call, Statement
from clustersim.policy.tasks.startup_authorization import Need
from clustersim.scenario.aws.block_validation import name_in_arn
from clustersim.scenario.aws.iam_policy_documents import statements_of, unwrapped
from clustersim.scenario.images.image_references import ImageName, ecr_host, parse
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.sections.managed_iam_policies import MANAGED
from clustersim.scenario.sections.roles import ACCOUNT, WrittenCall, WrittenRole
from clustersim.scenario.sections.scenario import Access, Images, Registry, Roles, TaskDefinition
from clustersim.scenario.text.document import Document, Problem, Steps, read_document
from clustersim.scenario.text.overrides import closest

_ROLE_FIELDS = ("taskRoleArn", "executionRoleArn")
_SECRET_PARTS = 7  # arn:aws:secretsmanager:region:account:secret:name, then key, stage and version


def roles(context: Context) -> Roles:
    """All listed roles with their statements."""
    found = []
    for index, written in enumerate(context.file.roles):
        path = ("roles", index)
        context.declare("role", written.role_name, (*path, "roleName"))
        if written.permissions_boundary:
            context.findings.not_simulated((*path, "permissionsBoundary"), "permissions boundaries")
        found.append((written.role_name, tuple(_statements(context, written, path))))
    return Roles(listed=tuple(found))


def _statements(context: Context, written: WrittenRole, path: Steps) -> Iterator[Statement]:
    for number, policy in enumerate(written.policies):
        place = (*path, "policies", number)
        arn = policy.get("policyArn", policy.get("PolicyArn"))
        if "file" in policy:
            yield from _from_file(context, policy["file"], (*place, "file"))
        elif arn is not None:
            yield from _managed(context, arn, (*place, "policyArn"))
        else:
            inner, document = unwrapped(policy)
            statements, problems = statements_of(document)
            context.findings.extend((*place, *inner), problems)
            yield from statements
    for number, arn in enumerate(written.managed_policy_arns):
        yield from _managed(context, arn, (*path, "managedPolicyArns", number))


def _managed(context: Context, arn: Any, path: Steps) -> tuple[Statement, ...]:
    """The statements of an AWS managed policy."""
    found = MANAGED.get(str(arn))
    if found is None:
        right = closest(str(arn), sorted(MANAGED))
        right = right if right.startswith("did") else "give its document: policies: [{file: NAME.json}]"
        context.findings.add(path, f"what {arn} allows is not known here", right)
    return found or ()


def _from_file(context: Context, name: Any, path: Steps) -> tuple[Statement, ...]:
    """The statements of a policy in a file."""
    document = _policy_file(context, name, path)
    if document is None:
        return ()
    inner, policy = unwrapped(document.value)
    statements, problems = statements_of(policy)
    for problem in problems:
        shifted = Problem((*inner, *problem.path), problem.what, problem.right)
        context.findings.add_inside(path, document, shifted)
    return statements


def _policy_file(context: Context, name: Any, path: Steps) -> Document | None:
    if not isinstance(name, str) or not name:
        context.findings.add(path, f"{name!r} is no path", "write file: NAME.json")
        return None
    document = read_document(context.scenario.parent / name)
    if document.sha256:
        context.inputs[name] = document.sha256
    if document.faults:
        context.findings.add_text(document, path)
        return None
    return document


# --- what a task definition says ------------------------------------------------------------------------


def stated_access(context: Context, value: Mapping[str, Any]) -> Access:
    """The roles of a task definition, and what its start needs beside images."""
    task, execution = (_role_name(value.get(field)) for field in _ROLE_FIELDS)
    account = _account(value)
    needs: list[Need] = []
    for container in value.get("containerDefinitions") or ():
        logs = container.get("logConfiguration") or {}
        secrets = (*(container.get("secrets") or ()), *(logs.get("secretOptions") or ()))
        needs += (_secret(str(secret.get("valueFrom", "")), context.region, account) for secret in secrets)
        credentials = (container.get("repositoryCredentials") or {}).get("credentialsParameter")
        if isinstance(credentials, str):
            found = _secret(credentials, context.region, account)
            needs.append(found._replace(kind="registry credentials"))
        if logs.get("logDriver") == "awslogs":
            needs.extend(
                _logs(logs.get("options") or {}, str(container.get("name")), context.region, account)
            )
    return Access(
        account=account, task_role=task, execution_role=execution, needs=tuple(dict.fromkeys(needs))
    )


def _role_name(reference: Any) -> str | None:
    return name_in_arn(reference) if isinstance(reference, str) and reference else None


def _account(value: Mapping[str, Any]) -> str:
    """The account of a task definition: that of its roles' ARNs, else the example account."""
    for field in _ROLE_FIELDS:
        parts = str(value.get(field, "")).split(":")
        if len(parts) > 4 and parts[4].isdecimal():
            return parts[4]
    return ACCOUNT


def _secret(reference: str, region: str, account: str) -> Need:
    """A secret of Secrets Manager (an ARN with more parts behind it), or a parameter of Systems Manager."""
    parts = reference.split(":")
    if reference.startswith("arn:") and len(parts) > 4:
        region = parts[3] or region
        if parts[2] == "secretsmanager":
            arn = ":".join(parts[:_SECRET_PARTS])
            return Need("secret", arn, arn, region)
        return Need("parameter", reference, reference, region)
    name = reference if reference.startswith("/") else f"/{reference}"
    return Need("parameter", f"arn:aws:ssm:{region}:{account}:parameter{name}", reference, region)


def _logs(options: Mapping[str, Any], container: str, region: str, account: str) -> Iterator[Need]:
    """What the awslogs driver asks for: its stream, its lines, and the group if it is to make it."""
    group = str(options.get("awslogs-group", ""))
    region = str(options.get("awslogs-region") or region)
    arn = f"arn:aws:logs:{region}:{account}:log-group:{group}"
    prefix = options.get("awslogs-stream-prefix")
    stream = f"{prefix}/{container}/task" if prefix else "task"
    if str(options.get("awslogs-create-group", "")).lower() == "true":
        yield Need("log group", f"{arn}:log-stream:", group, region)
    yield Need("log stream", f"{arn}:log-stream:{stream}", group, region)
    yield Need("log lines", f"{arn}:log-stream:{stream}", group, region)


# --- with images ------------------------------------------------------------------------------------------


def with_access(
    context: Context,
    definitions: tuple[TaskDefinition, ...],
    images: Images,
    registries: tuple[Registry, ...],
) -> tuple[TaskDefinition, ...]:
    """The task definitions with what their images in ECR need."""
    return tuple(
        definition.model_copy(
            update={
                "access": definition.access.model_copy(
                    update={
                        "needs": definition.access.needs
                        + tuple(dict.fromkeys(_ecr_needs(context, definition, images, registries)))
                    }
                )
            }
        )
        for definition in definitions
    )


def _ecr_needs(
    context: Context, definition: TaskDefinition, images: Images, registries: tuple[Registry, ...]
) -> Iterator[Need]:
    """A token and the image for each image in ECR; unlisted ones are there only if their host says so."""
    for container in definition.containers:
        name = parse(container.image or "")
        if name is None:
            continue
        listed = images.find(name.in_full, definition.arch)
        owner = ecr_host(name.host)
        in_ecr = owner is not None if listed < 0 else registries[images.images[listed].registry].needs_iam
        if not in_ecr:
            continue
        region = owner.region if owner is not None else context.region
        account = owner.account if owner is not None else definition.access.account
        arn = f"arn:aws:ecr:{region}:{account}:repository/{name.repository}"
        yield Need("registry token", "*", "", region)
        yield Need("image", arn, _with_host(name, account, region), region)


def _with_host(name: ImageName, account: str, region: str) -> str:
    """A reference as ECR's own messages name it."""
    host = name.host or f"{account}.dkr.ecr.{region}.amazonaws.com"
    return name._replace(host=host).in_full


def note_reference(context: Context, reference: Any, path: Steps) -> None:
    """Warn of a role that a scenario with `roles` does not list: it may do all."""
    name = _role_name(reference)
    known = context.names.get("role")
    if name is None or not known or name in known:
        return
    hint = closest(name, sorted(known))
    hint = f"; {hint}" if hint.startswith("did") else ""
    context.findings.warn(path, f"role {name} is not listed, so it may do all{hint}")


def calls(written: list[WrittenCall]) -> tuple[Call, ...]:
    """The calls of an application."""
    return tuple(Call(each.action, each.resource, each.when == "start", each.share) for each in written)
