"""The section `roles`, and `behavior.calls`: the rights of IAM roles, and the requests of tasks and applications.

Decides their shape. A role takes the fields of IAM's CreateRole, and policies as CloudFormation writes them. Must not
know policies' contents (`aws.iam_policy_documents`) or which task uses a role; `resolve.roles` turns the written form
into the resolved one.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from clustersim.policy.tasks.iam_evaluation import Statement
from clustersim.policy.tasks.managed_iam_policies import INSTANCE_ROLE_STATEMENTS
from clustersim.policy.tasks.startup_authorization import RequiredAccess, Role
from clustersim.scenario.sections.resolved_section import ResolvedSection
from clustersim.scenario.sections.written_section import FreeMapping, WrittenSection
from clustersim.scenario.text.units import Share, quote_value, value_error

EXAMPLE_ACCOUNT = "123456789012"
"""The account of ARNs where a scenario names none: the one of AWS's own examples."""

_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9]+")


class WrittenRole(WrittenSection):
    """An IAM role: its policies as documents, as files, or as ARNs of AWS managed policies."""

    role_name: Annotated[str, Field(min_length=1)]
    policies: list[FreeMapping] = Field(default_factory=list)
    managed_policy_arns: list[str] = Field(default_factory=list)
    assume_role_policy_document: Any = None
    path: str | None = None
    description: str | None = None
    max_session_duration: int | None = None
    permissions_boundary: Any = None
    tags: Any = None


class Roles(ResolvedSection):
    """The listed roles by name; a role that is not listed may do everything."""

    listed: tuple[tuple[str, tuple[Statement, ...]], ...] = ()

    def role(self, name: str | None) -> Role | None:
        """Return the role of that name for `policy.tasks.startup_authorization`; None without a name."""
        return None if name is None else Role(name, dict(self.listed).get(name))

    def instance_role(self, name: str | None) -> Role:
        """Return the role of a group's instances; without a name ECS's own, which may pull from ECR and write logs."""
        if name is None:
            return Role("ecsInstanceRole", INSTANCE_ROLE_STATEMENTS)
        return Role(name, dict(self.listed).get(name))

    def statements(self, name: str | None) -> tuple[Statement, ...] | None:
        """Return the statements of a role for `policy.tasks.iam_evaluation`; None: the role may do everything."""
        return None if name is None else dict(self.listed).get(name)


class Access(ResolvedSection):
    """The account and roles of a task, and the rights that its start needs; a role that is None is not checked."""

    account: str = EXAMPLE_ACCOUNT
    task_role: str | None = None
    execution_role: str | None = None
    needs: tuple[RequiredAccess, ...] = ()


def _parse_action(value: Any) -> Any:
    if not isinstance(value, str) or not _ACTION.fullmatch(value):
        raise value_error(f"{quote_value(value)} is not an action", "service and name, like s3:GetObject")
    return value


def _parse_resource(value: Any) -> Any:
    if not isinstance(value, str) or not (value == "*" or value.startswith("arn:")):
        hint = "an ARN like arn:aws:s3:::bucket/key; * for actions without a resource"
        raise value_error(f"{quote_value(value)} is not a resource", hint)
    return value


class WrittenCall(WrittenSection):
    """A call of the application to AWS with its task role: once at its start, or in a share of its requests."""

    action: Annotated[str, BeforeValidator(_parse_action), WithJsonSchema({"type": "string"})]
    resource: Annotated[str, BeforeValidator(_parse_resource), WithJsonSchema({"type": "string"})]
    when: Literal["start", "request"] = "request"
    share: Share = 1.0

    @model_validator(mode="after")
    def _check_share(self) -> WrittenCall:
        if self.when == "start" and "share" in self.model_fields_set:
            raise value_error(
                "share applies to requests; a call at the start is made once", "leave share out"
            )
        return self
