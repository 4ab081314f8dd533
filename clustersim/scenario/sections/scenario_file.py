"""The top level of the written file, and the sections that are all our own.

Decides which sections exist, their shape and defaults; AWS blocks are free mappings here (`aws.check_block`
knows their fields). Must not know what a section leads to. The reader validates a file with `ScenarioFile`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from clustersim.engine.random_streams import LOGNORMAL
from clustersim.scenario.sections import aws_block_schema as raw_aws
from clustersim.scenario.sections.compare import Compare
from clustersim.scenario.sections.distributions import DurationDistribution
from clustersim.scenario.sections.failures import WrittenFailures
from clustersim.scenario.sections.images import WrittenImagePulls, WrittenRegistry, WrittenVersions
from clustersim.scenario.sections.resolved_section import Distribution
from clustersim.scenario.sections.roles import WrittenRole
from clustersim.scenario.sections.sweep import Sweep
from clustersim.scenario.sections.written_section import FreeMapping, Written
from clustersim.scenario.text.units import (
    AboveZero,
    AtLeastOne,
    Count,
    DurationMs,
    InstantMs,
    Positive,
    PositiveDurationMs,
    Share,
    count,
    duration_ms,
    positive,
)
from clustersim.vocabulary import MS_PER_DAY, MS_PER_MINUTE, MS_PER_SECOND

FARGATE_START = Distribution(code=LOGNORMAL, a=20.0 * MS_PER_SECOND, b=0.2)
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def _unlimited(read: Any, description: str) -> tuple[BeforeValidator, WithJsonSchema]:
    """A quantity that may also be the word `unlimited`, which is None."""
    schema = {"type": ["string", "number"], "description": f"{description}, or unlimited"}
    return BeforeValidator(lambda value: None if value == "unlimited" else read(value)), WithJsonSchema(
        schema
    )


class Provisioning(Written):
    """Tasks waiting in PROVISIONING: how many at once, and how long."""

    limit: Annotated[int | None, *_unlimited(count, "tasks")] = 500
    timeout: Annotated[int | None, *_unlimited(duration_ms, "a duration")] = 30 * MS_PER_MINUTE


class FargateLaunchRate(Written):
    """Fargate's token bucket of task launches (ECS Developer Guide: throttling)."""

    burst: AtLeastOne = 100
    per_second: AboveZero = 20.0


class WrittenCluster(Written):
    """`cluster`: limits and latencies."""

    provisioning: Provisioning = Provisioning()
    fargate_quota_vcpu: Annotated[float | None, *_unlimited(positive, "vCPUs")] = None
    default_capacity_provider_strategy: list[raw_aws.Strategy] = Field(default_factory=list)
    awsvpc_trunking: bool = False
    fargate_launch_rate: FargateLaunchRate = FargateLaunchRate()
    eni_attach_time: DurationDistribution = Distribution(a=5.0 * MS_PER_SECOND)
    fargate_start_time: DurationDistribution = FARGATE_START
    service_launch_rate_per_minute: AboveZero = 500.0
    launch_retry_time: PositiveDurationMs = MS_PER_MINUTE
    image_pulls: WrittenImagePulls = WrittenImagePulls()


class Discount(Written):
    """Shares off the on-demand price of what a savings plan covers."""

    ec2: Share = 0.0
    fargate: Share = 0.0


class WrittenSavingsPlan(Written):
    """`savingsPlan`: a commitment per hour."""

    usd_per_hour: Positive
    discount: Discount = Discount()


class Reservation(Written):
    """An entry of `reservedInstances`: so many instances of a type, paid for whether they run or not."""

    instance_type: str
    count: AtLeastOne
    usd_per_hour: Positive


class WrittenOperations(Written):
    """`operations`: what it costs to look after servers; no part of any bill, `compare` sets it beside the bill."""

    usd_per_instance_month: Positive = 0.0


class WrittenPricing(Written):
    """`pricing`: what replaces or completes the catalogue."""

    fargate_spot_factor: Share = 0.33
    fargate: FreeMapping | None = None
    savings_plan: WrittenSavingsPlan | None = None
    reserved_instances: list[Reservation] = Field(default_factory=list)
    ebs_usd_per_gib_month: Positive = 0.08
    managed_instances_fee: Share = 0.12
    operations: WrittenOperations = WrittenOperations()


class Subnet(Written):
    """A subnet: where it is."""

    subnet_id: str
    availability_zone: str
    cidr_block: str | None = None


class WrittenSampling(Written):
    """`sampling`: widths of rows."""

    interval: PositiveDurationMs | None = None
    cost_period: PositiveDurationMs = MS_PER_DAY
    cost_per_resource: bool = False


class ScenarioFile(Written):
    """A scenario of clustersim: what is simulated, and for how long."""

    name: str | None = None
    start: InstantMs = START_MS
    duration: PositiveDurationMs = MS_PER_DAY
    warm_up: DurationMs = 0
    initial_state: Literal["empty", "running"] = "empty"
    seed: Count = 0
    region: str = "us-east-1"
    availability_zones: Annotated[list[str], Field(min_length=1)] | None = None
    subnets: list[Subnet] = Field(default_factory=list)
    instance_types: list[FreeMapping] = Field(default_factory=list)
    pricing: WrittenPricing = WrittenPricing()
    cluster: WrittenCluster = WrittenCluster()
    auto_scaling_groups: list[raw_aws.Group] = Field(default_factory=list)
    capacity_providers: list[raw_aws.Provider] = Field(default_factory=list)
    task_definitions: list[raw_aws.TaskDefinitionBlock] = Field(default_factory=list)
    images: dict[str, WrittenVersions] = Field(default_factory=dict)
    registries: list[WrittenRegistry] = Field(default_factory=list)
    roles: list[WrittenRole] = Field(default_factory=list)
    target_groups: list[raw_aws.TargetGroupBlock] = Field(default_factory=list)
    alarms: list[raw_aws.AlarmBlock] = Field(default_factory=list)
    services: list[raw_aws.ServiceBlock] = Field(default_factory=list)
    run_tasks: list[raw_aws.RunTaskBlock] = Field(default_factory=list)
    actions: list[raw_aws.ActionBlock] = Field(default_factory=list)
    failures: WrittenFailures = WrittenFailures()
    sampling: WrittenSampling = WrittenSampling()
    sweep: Sweep | None = None
    compare: Compare | None = None
