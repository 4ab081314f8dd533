"""The written section `roles`, and `behavior.calls`: what IAM allows, and what an application asks for.

Decides their shape. Must not know policies' contents (`iam_documents`) or who refers to a role;
`resolve_access` puts them together. A role takes the fields of IAM's CreateRole, and policies as
CloudFormation writes them.

The resolved scenario's roles and subnets, and what tasks need of them.

Decides nothing; `resolve_access` and `resolve_subnets` make these models. Must not know services. `model`
gives their names on.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from clustersim.policy.tasks.iam_evaluation import Statement
from clustersim.policy.tasks.startup_authorization import Need, Role
from clustersim.policy.tasks.subnet_addresses import ENDLESS
from clustersim.scenario.sections.managed_iam_policies import INSTANCE_ROLE
from clustersim.scenario.sections.resolved_section import Resolved
from clustersim.scenario.sections.written_section import FreeMapping, Written
from clustersim.scenario.text.units import Share, shown, wrong

_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9]+")


class WrittenRole(Written):
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


def _action(value: Any) -> Any:
    if not isinstance(value, str) or not _ACTION.fullmatch(value):
        raise wrong(f"{shown(value)} is no action", "service and name, like s3:GetObject")
    return value


def _resource(value: Any) -> Any:
    if not isinstance(value, str) or not (value == "*" or value.startswith("arn:")):
        right = "an ARN like arn:aws:s3:::bucket/key; * for actions that know no resource"
        raise wrong(f"{shown(value)} is no resource", right)
    return value


class WrittenCall(Written):
    """A call of the application to AWS with its task role: once at its start, or in a share of its requests."""

    action: Annotated[str, BeforeValidator(_action), WithJsonSchema({"type": "string"})]
    resource: Annotated[str, BeforeValidator(_resource), WithJsonSchema({"type": "string"})]
    when: Literal["start", "request"] = "request"
    share: Share = 1.0

    @model_validator(mode="after")
    def _share_of_requests(self) -> WrittenCall:
        if self.when == "start" and "share" in self.model_fields_set:
            raise wrong("share is of requests; a call at the start is made once", "leave share out")
        return self


ACCOUNT = "123456789012"
"""The account of ARNs where a scenario names none: the one of AWS's own examples."""


class Access(Resolved):
    """Who a task is to IAM, and what its start needs; a role that is None is not looked at."""

    account: str = ACCOUNT
    task_role: str | None = None
    execution_role: str | None = None
    needs: tuple[Need, ...] = ()


class Roles(Resolved):
    """The listed roles by name; what is not listed may do all."""

    listed: tuple[tuple[str, tuple[Statement, ...]], ...] = ()

    def role(self, name: str | None) -> Role | None:
        """The role of that name, for `policy.tasks.startup_authorization`; None where none is named."""
        return None if name is None else Role(name, dict(self.listed).get(name))

    def instance_role(self, name: str | None) -> Role:
        """The role of a group's instances; without a name ECS's own, which may pull from ECR and write logs."""
        if name is None:
            return Role("ecsInstanceRole", INSTANCE_ROLE)
        return Role(name, dict(self.listed).get(name))

    def statements(self, name: str | None) -> tuple[Statement, ...] | None:
        """The statements of a role, for `policy.tasks.iam_evaluation.outcome`; None is a role that may do all."""
        return None if name is None else dict(self.listed).get(name)


class Subnet(Resolved):
    """A subnet of a zone, and the addresses it can give."""

    name: str
    zone: str
    addresses: int = ENDLESS
