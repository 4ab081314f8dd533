"""Roles, and the rights that tasks need, resolved.

Decides which statements a role has (from documents, files and ARNs of AWS managed policies), which role a
reference means, and which rights the start of a task needs: secrets, registry credentials, images in ECR, log
streams. Must not know whether they are granted (`policy.tasks.startup_authorization`). `resolve.scenario` calls
`resolve_roles` first, and `add_image_needs` once images are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clustersim.policy.tasks.iam_evaluation import Call, Statement
from clustersim.policy.tasks.managed_iam_policies import MANAGED_POLICIES
from clustersim.policy.tasks.startup_authorization import RequiredAccess
from clustersim.scenario.aws.block_validation import name_from_arn
from clustersim.scenario.aws.iam_policy_documents import parse_statements, unwrap_policy
from clustersim.scenario.images.image_references import ImageReference, parse_ecr_host, parse_reference
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.sections.roles import EXAMPLE_ACCOUNT, WrittenCall, WrittenRole
from clustersim.scenario.sections.scenario import Access, Images, Registry, Roles, TaskDefinition
from clustersim.scenario.text.document import Document, FieldPath, Problem, read_document
from clustersim.scenario.text.overrides import suggest_name

_ROLE_FIELDS = ("taskRoleArn", "executionRoleArn")
_SECRET_PARTS = 7  # arn:aws:secretsmanager:region:account:secret:name, then key, stage and version


def resolve_roles(context: Context) -> Roles:
    """Return all listed roles with their statements."""
    listed = []
    for index, written in enumerate(context.file.roles):
        path = ("roles", index)
        context.declare_name("role", written.role_name, (*path, "roleName"))
        if written.permissions_boundary:
            context.diagnostics.warn_not_simulated((*path, "permissionsBoundary"), "permissions boundaries")
        listed.append((written.role_name, tuple(_read_statements(context, written, path))))
    return Roles(listed=tuple(listed))


def _read_statements(context: Context, written: WrittenRole, path: FieldPath) -> Iterator[Statement]:
    for number, policy in enumerate(written.policies):
        location = (*path, "policies", number)
        arn = policy.get("policyArn", policy.get("PolicyArn"))
        if "file" in policy:
            yield from _read_policy_file(context, policy["file"], (*location, "file"))
        elif arn is not None:
            yield from _look_up_managed_policy(context, arn, (*location, "policyArn"))
        else:
            inner, document = unwrap_policy(policy)
            statements, problems = parse_statements(document)
            context.diagnostics.add_problems((*location, *inner), problems)
            yield from statements
    for number, arn in enumerate(written.managed_policy_arns):
        yield from _look_up_managed_policy(context, arn, (*path, "managedPolicyArns", number))


def _look_up_managed_policy(context: Context, arn: Any, path: FieldPath) -> tuple[Statement, ...]:
    """Return the statements of an AWS managed policy."""
    statements = MANAGED_POLICIES.get(str(arn))
    if statements is None:
        hint = suggest_name(str(arn), sorted(MANAGED_POLICIES))
        hint = hint if hint.startswith("did") else "give its document: policies: [{file: NAME.json}]"
        context.diagnostics.add_problem(path, f"the policy {arn} is not known here", hint)
    return statements or ()


def _read_policy_file(context: Context, name: Any, path: FieldPath) -> tuple[Statement, ...]:
    """Return the statements of a policy in a file."""
    document = _read_policy_document(context, name, path)
    if document is None:
        return ()
    inner, policy = unwrap_policy(document.value)
    statements, problems = parse_statements(policy)
    for problem in problems:
        shifted = Problem((*inner, *problem.path), problem.message, problem.hint)
        context.diagnostics.add_file_problem(path, document, shifted)
    return statements


def _read_policy_document(context: Context, name: Any, path: FieldPath) -> Document | None:
    if not isinstance(name, str) or not name:
        context.diagnostics.add_problem(path, f"{name!r} is not a path", "write file: NAME.json")
        return None
    document = read_document(context.scenario.parent / name)
    if document.sha256:
        context.inputs[name] = document.sha256
    if document.errors:
        context.diagnostics.add_text_errors(document, path)
        return None
    return document


# --- task definitions ----------------------------------------------------------------------------------


def resolve_access(context: Context, value: Mapping[str, Any]) -> Access:
    """Return the roles of a task definition, and the rights that its start needs besides images."""
    task, execution = (_parse_role_name(value.get(field)) for field in _ROLE_FIELDS)
    account = _find_account(value)
    needs: list[RequiredAccess] = []
    for container in value.get("containerDefinitions") or ():
        logs = container.get("logConfiguration") or {}
        secrets = (*(container.get("secrets") or ()), *(logs.get("secretOptions") or ()))
        needs += (
            _secret_access(str(secret.get("valueFrom", "")), context.region, account) for secret in secrets
        )
        credentials = (container.get("repositoryCredentials") or {}).get("credentialsParameter")
        if isinstance(credentials, str):
            access = _secret_access(credentials, context.region, account)
            needs.append(access._replace(kind="registry credentials"))
        if logs.get("logDriver") == "awslogs":
            needs.extend(
                _iter_log_access(
                    logs.get("options") or {}, str(container.get("name")), context.region, account
                )
            )
    return Access(
        account=account, task_role=task, execution_role=execution, needs=tuple(dict.fromkeys(needs))
    )


def _parse_role_name(reference: Any) -> str | None:
    return name_from_arn(reference) if isinstance(reference, str) and reference else None


def _find_account(value: Mapping[str, Any]) -> str:
    """Return the account of a task definition: that of its roles' ARNs, else the example account."""
    for field in _ROLE_FIELDS:
        parts = str(value.get(field, "")).split(":")
        if len(parts) > 4 and parts[4].isdecimal():
            return parts[4]
    return EXAMPLE_ACCOUNT


def _secret_access(reference: str, region: str, account: str) -> RequiredAccess:
    """Return the right to read a secret of Secrets Manager (its ARN may have more parts) or a parameter."""
    parts = reference.split(":")
    if reference.startswith("arn:") and len(parts) > 4:
        region = parts[3] or region
        if parts[2] == "secretsmanager":
            arn = ":".join(parts[:_SECRET_PARTS])
            return RequiredAccess("secret", arn, arn, region)
        return RequiredAccess("parameter", reference, reference, region)
    name = reference if reference.startswith("/") else f"/{reference}"
    return RequiredAccess("parameter", f"arn:aws:ssm:{region}:{account}:parameter{name}", reference, region)


def _iter_log_access(
    options: Mapping[str, Any], container: str, region: str, account: str
) -> Iterator[RequiredAccess]:
    """Yield the rights of the awslogs driver: its stream, its lines, and the group if it creates it."""
    group = str(options.get("awslogs-group", ""))
    region = str(options.get("awslogs-region") or region)
    arn = f"arn:aws:logs:{region}:{account}:log-group:{group}"
    prefix = options.get("awslogs-stream-prefix")
    stream = f"{prefix}/{container}/task" if prefix else "task"
    if str(options.get("awslogs-create-group", "")).lower() == "true":
        yield RequiredAccess("log group", f"{arn}:log-stream:", group, region)
    yield RequiredAccess("log stream", f"{arn}:log-stream:{stream}", group, region)
    yield RequiredAccess("log lines", f"{arn}:log-stream:{stream}", group, region)


# --- images ------------------------------------------------------------------------------------------------


def add_image_needs(
    context: Context,
    definitions: tuple[TaskDefinition, ...],
    images: Images,
    registries: tuple[Registry, ...],
) -> tuple[TaskDefinition, ...]:
    """Return the task definitions with the rights that their images in ECR need."""
    return tuple(
        definition.model_copy(
            update={
                "access": definition.access.model_copy(
                    update={
                        "needs": definition.access.needs
                        + tuple(dict.fromkeys(_iter_ecr_access(context, definition, images, registries)))
                    }
                )
            }
        )
        for definition in definitions
    )


def _iter_ecr_access(
    context: Context, definition: TaskDefinition, images: Images, registries: tuple[Registry, ...]
) -> Iterator[RequiredAccess]:
    """Yield the rights for a token and for each image in ECR; an unlisted image is there only if its host says so."""
    for container in definition.containers:
        name = parse_reference(container.image or "")
        if name is None:
            continue
        listed = images.find(name.canonical, definition.arch)
        ecr_host = parse_ecr_host(name.host)
        in_ecr = ecr_host is not None if listed < 0 else registries[images.images[listed].registry].needs_iam
        if not in_ecr:
            continue
        region = ecr_host.region if ecr_host is not None else context.region
        account = ecr_host.account if ecr_host is not None else definition.access.account
        arn = f"arn:aws:ecr:{region}:{account}:repository/{name.repository}"
        yield RequiredAccess("registry token", "*", "", region)
        yield RequiredAccess("image", arn, _full_ecr_reference(name, account, region), region)


def _full_ecr_reference(name: ImageReference, account: str, region: str) -> str:
    """Return a reference as ECR's own messages name it."""
    host = name.host or f"{account}.dkr.ecr.{region}.amazonaws.com"
    return name._replace(host=host).canonical


def warn_of_unlisted_role(context: Context, reference: Any, path: FieldPath) -> None:
    """Warn of a role that a scenario with `roles` does not list: it may do everything."""
    name = _parse_role_name(reference)
    listed = context.names.get("role")
    if name is None or not listed or name in listed:
        return
    hint = suggest_name(name, sorted(listed))
    hint = f"; {hint}" if hint.startswith("did") else ""
    context.diagnostics.warn(path, f"role {name} is not listed, so it may do everything{hint}")


def resolve_calls(written: list[WrittenCall]) -> tuple[Call, ...]:
    """Return the calls of an application."""
    return tuple(Call(each.action, each.resource, each.when == "start", each.share) for each in written)
