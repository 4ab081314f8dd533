"""The top level of the written file.

Decides which sections exist and their defaults; AWS blocks are free mappings here (`aws.block_validation` knows their
fields). Must not know what a section leads to. The reader validates a file with `WrittenScenario`; `Scenario` is its
resolved form.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from clustersim.scenario.sections.aws_block_schema import (
    ActionBlock,
    AlarmBlock,
    AutoScalingGroupBlock,
    CapacityProviderBlock,
    RunTaskBlock,
    ServiceBlock,
    TargetGroupBlock,
    TaskDefinitionBlock,
)
from clustersim.scenario.sections.cluster import WrittenCluster, WrittenSubnet
from clustersim.scenario.sections.compare import WrittenCompare
from clustersim.scenario.sections.failures import WrittenFailures
from clustersim.scenario.sections.images import WrittenRegistry, WrittenVersions
from clustersim.scenario.sections.pricing import WrittenPricing
from clustersim.scenario.sections.roles import WrittenRole
from clustersim.scenario.sections.sweep import WrittenSweep
from clustersim.scenario.sections.written_section import FreeMapping, WrittenSection
from clustersim.scenario.text.units import Count, DurationMs, InstantMs, PositiveDurationMs
from clustersim.vocabulary import MS_PER_DAY

DEFAULT_START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


class WrittenSampling(WrittenSection):
    """`sampling`: the widths of rows."""

    interval: PositiveDurationMs | None = None
    cost_period: PositiveDurationMs = MS_PER_DAY
    cost_per_resource: bool = False
    max_rows: Count = 50_000_000


class WrittenScenario(WrittenSection):
    """A scenario of clustersim: what is simulated, and for how long."""

    name: str | None = None
    start: InstantMs = DEFAULT_START_MS
    duration: PositiveDurationMs = MS_PER_DAY
    warm_up: DurationMs = 0
    initial_state: Literal["empty", "running"] = "empty"
    seed: Count = 0
    region: str = "us-east-1"
    availability_zones: Annotated[list[str], Field(min_length=1)] | None = None
    subnets: list[WrittenSubnet] = Field(default_factory=list)
    instance_types: list[FreeMapping] = Field(default_factory=list)
    pricing: WrittenPricing = WrittenPricing()
    cluster: WrittenCluster = WrittenCluster()
    auto_scaling_groups: list[AutoScalingGroupBlock] = Field(default_factory=list)
    capacity_providers: list[CapacityProviderBlock] = Field(default_factory=list)
    task_definitions: list[TaskDefinitionBlock] = Field(default_factory=list)
    images: dict[str, WrittenVersions] = Field(default_factory=dict)
    registries: list[WrittenRegistry] = Field(default_factory=list)
    roles: list[WrittenRole] = Field(default_factory=list)
    target_groups: list[TargetGroupBlock] = Field(default_factory=list)
    alarms: list[AlarmBlock] = Field(default_factory=list)
    services: list[ServiceBlock] = Field(default_factory=list)
    run_tasks: list[RunTaskBlock] = Field(default_factory=list)
    actions: list[ActionBlock] = Field(default_factory=list)
    failures: WrittenFailures = WrittenFailures()
    sampling: WrittenSampling = WrittenSampling()
    sweep: WrittenSweep | None = None
    compare: WrittenCompare | None = None
