"""The sections `cluster` and `subnets`: limits and latencies of the cluster, and the network that it runs in.

Decides their shape and defaults. Must not know services or capacity. `resolve.scenario` and `resolve.subnets` turn the
written form into the resolved one.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from clustersim.engine.random_streams import LOGNORMAL
from clustersim.policy.tasks.subnet_addresses import UNLIMITED
from clustersim.scenario.sections.aws_block_schema import StrategyItemBlock
from clustersim.scenario.sections.distributions import DurationDistribution
from clustersim.scenario.sections.images import ImagePulls, WrittenImagePulls
from clustersim.scenario.sections.resolved_section import Distribution, ResolvedSection, StrategyItem
from clustersim.scenario.sections.written_section import WrittenSection
from clustersim.scenario.text.assumptions import (
    assume,
    uses_fargate,
    uses_interfaces,
    uses_providers_that_queue,
)
from clustersim.scenario.text.units import (
    AboveZero,
    AtLeastOne,
    PositiveDurationMs,
    parse_count,
    parse_duration_ms,
    parse_non_negative,
)
from clustersim.vocabulary import MS_PER_MINUTE, MS_PER_SECOND

FARGATE_START_TIME = Distribution(code=LOGNORMAL, a=20.0 * MS_PER_SECOND, b=0.2)


def _or_unlimited(parse: Any, description: str) -> tuple[BeforeValidator, WithJsonSchema]:
    """Return the annotations of a quantity that may also be the word `unlimited`, which becomes None."""
    schema = {"type": ["string", "number"], "description": f"{description}, or unlimited"}
    validator = BeforeValidator(lambda value: None if value == "unlimited" else parse(value))
    return validator, WithJsonSchema(schema)


class WrittenProvisioning(WrittenSection):
    """Tasks waiting in PROVISIONING: how many at once, and how long."""

    limit: Annotated[int | None, *_or_unlimited(parse_count, "tasks")] = 500
    timeout: Annotated[int | None, *_or_unlimited(parse_duration_ms, "a duration")] = 30 * MS_PER_MINUTE


class WrittenFargateLaunchRate(WrittenSection):
    """Fargate's token bucket of task launches (ECS Developer Guide: throttling)."""

    burst: AtLeastOne = 100
    per_second: AboveZero = 20.0


class WrittenStoppingTasks(WrittenSection):
    """What a task on a container instance keeps for ECS while it stops: its CPU, memory, GPUs and ports are free."""

    hold_network_interfaces: bool = True
    """Its network interface counts until it is STOPPED."""
    protect_instances: bool = True
    """Its instance is protected from scale-in, and drains, until it is STOPPED."""


class WrittenCluster(WrittenSection):
    """`cluster`: limits and latencies."""

    provisioning: WrittenProvisioning = WrittenProvisioning()
    fargate_quota_vcpu: Annotated[float | None, *_or_unlimited(parse_non_negative, "vCPUs")] = None
    default_capacity_provider_strategy: list[StrategyItemBlock] = Field(default_factory=list)
    awsvpc_trunking: bool = False
    fargate_launch_rate: WrittenFargateLaunchRate = WrittenFargateLaunchRate()
    eni_attach_time: DurationDistribution = Distribution(a=5.0 * MS_PER_SECOND)
    fargate_start_time: DurationDistribution = FARGATE_START_TIME
    service_launch_rate_per_minute: AboveZero = 500.0
    launch_retry_time: PositiveDurationMs = MS_PER_MINUTE
    image_pulls: WrittenImagePulls = WrittenImagePulls()
    stopping_tasks: WrittenStoppingTasks = WrittenStoppingTasks()


class Cluster(ResolvedSection):
    """Limits and latencies of the cluster; a limit that is None does not apply."""

    provisioning_limit: int | None
    provisioning_timeout_ms: int | None
    fargate_quota_vcpu: float | None
    default_strategy: tuple[StrategyItem, ...]
    awsvpc_trunking: bool
    fargate_launch_burst: int
    fargate_launch_per_second: float
    eni_attach: Distribution
    fargate_start: Distribution
    service_launch_per_minute: float
    launch_retry_ms: int
    image_pulls: ImagePulls
    stopping_tasks_hold_interfaces: bool
    stopping_tasks_protect_instances: bool


class WrittenSubnet(WrittenSection):
    """An entry of `subnets`: its zone and its addresses."""

    subnet_id: str
    availability_zone: str
    cidr_block: str | None = None


class Subnet(ResolvedSection):
    """A subnet of a zone, and the number of its addresses."""

    name: str
    zone: str
    addresses: int = UNLIMITED


assume(
    "provisioning-limit",
    "500 tasks in PROVISIONING",
    uses_providers_that_queue,
    setting="cluster.provisioning.limit",
    source="public quota lists; older ones say 300 and 100",
)
assume(
    "provisioning-timeout",
    "30 min in PROVISIONING",
    uses_providers_that_queue,
    setting="cluster.provisioning.timeout",
    source="one public account",
)
assume(
    "interface-attach-time",
    "5 s",
    uses_interfaces,
    setting="cluster.eniAttachTime",
    source="several seconds (ECS Best Practices Guide)",
)
assume(
    "fargate-start-time",
    "lognormal, median 20 s, sigma 0.2",
    uses_fargate,
    setting="cluster.fargateStartTime",
    source="AWS's scale benchmark of 2026 leaves 23 s",
)
