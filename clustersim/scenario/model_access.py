"""The resolved scenario's roles and subnets, and what tasks need of them.

Decides nothing; `resolve_access` and `resolve_subnets` make these models. Must not know services. `model`
gives their names on.
"""

from __future__ import annotations

from clustersim.policy.addresses import ENDLESS
from clustersim.policy.permissions import Statement
from clustersim.policy.start_checks import Need, Role
from clustersim.scenario.managed_policies import INSTANCE_ROLE
from clustersim.scenario.model_base import Resolved

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
        """The role of that name, for `policy.start_checks`; None where none is named."""
        return None if name is None else Role(name, dict(self.listed).get(name))

    def instance_role(self, name: str | None) -> Role:
        """The role of a group's instances; without a name ECS's own, which may pull from ECR and write logs."""
        if name is None:
            return Role("ecsInstanceRole", INSTANCE_ROLE)
        return Role(name, dict(self.listed).get(name))

    def statements(self, name: str | None) -> tuple[Statement, ...] | None:
        """The statements of a role, for `policy.permissions.outcome`; None is a role that may do all."""
        return None if name is None else dict(self.listed).get(name)


class Subnet(Resolved):
    """A subnet of a zone, and the addresses it can give."""

    name: str
    zone: str
    addresses: int = ENDLESS
