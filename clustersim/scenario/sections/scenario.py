"""The resolved scenario: the form of a scenario that the simulator reads.

Every name is resolved, every default filled in, every number in the units of the simulation: durations in
int ms, instants in ms since `start` unless said otherwise, sizes in MiB, CPU in units of 1,024 per vCPU,
money in USD. Task definitions, services, target groups, run-task entries and actions are AWS blocks as written, with
the keys of `own_keys`; their resolved forms and the defaults of their AWS fields stand here. Decides nothing else, and
must not know YAML or botocore. `reader.read_scenario` makes a `Scenario`; the layers above only read it.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy.typing as npt
from pydantic import Field

from clustersim.scenario.sections.behavior import Behavior, ContainerBehavior, MemoryPerTask
from clustersim.scenario.sections.capacity import (
    AutoScalingGroup,
    CapacityProvider,
    InstancePool,
    InstanceType,
    ManagedInstancesProvider,
)
from clustersim.scenario.sections.cluster import Cluster, Subnet
from clustersim.scenario.sections.deployment import Deployment
from clustersim.scenario.sections.failures import Failures
from clustersim.scenario.sections.images import ImagePulls, Images, Registry
from clustersim.scenario.sections.load import Load, Series
from clustersim.scenario.sections.pricing import FargatePrice, Pricing
from clustersim.scenario.sections.resolved_section import (
    Architecture,
    Constraint,
    CustomPlacement,
    Distribution,
    InputFile,
    Int32s,
    Int64s,
    PlacementRule,
    ResolvedSection,
    StrategyItem,
)
from clustersim.scenario.sections.roles import Access, Roles
from clustersim.scenario.sections.scaling import AutoScaling, ScheduledAction, StepScaling, TargetTracking
from clustersim.scenario.sections.virtual_machines import VirtualMachines
from clustersim.scenario.text.assumptions import Assumption
from clustersim.scenario.text.findings import Finding
from clustersim.vocabulary import MS_PER_SECOND

__all__ = [
    "Access",
    "Action",
    "AutoScaling",
    "AutoScalingGroup",
    "Behavior",
    "CapacityProvider",
    "Cluster",
    "Constraint",
    "Container",
    "ContainerBehavior",
    "CustomPlacement",
    "Deployment",
    "Distribution",
    "Failures",
    "FargatePrice",
    "HealthCheck",
    "ImagePulls",
    "Images",
    "InputFile",
    "InstancePool",
    "InstanceType",
    "Load",
    "ManagedInstancesProvider",
    "MemoryPerTask",
    "PlacementRule",
    "Pricing",
    "Registry",
    "ResolvedSection",
    "Roles",
    "Routing",
    "RunTask",
    "Sampling",
    "Scenario",
    "ScheduledAction",
    "Series",
    "Service",
    "StepScaling",
    "StrategyItem",
    "Subnet",
    "TargetGroup",
    "TargetTracking",
    "TaskDefinition",
    "TraceTable",
    "VirtualMachines",
]

LaunchTypeName = Literal["EC2", "FARGATE"]
NetworkMode = Literal["bridge", "host", "awsvpc", "none"]
Routing = Literal["round_robin", "least_outstanding_requests", "weighted_random"]

DEFAULT_NETWORK_MODE: NetworkMode = "bridge"  # botocore: RegisterTaskDefinition.networkMode, on Linux
DEFAULT_ROUTING: Routing = "round_robin"

# --- task definitions --------------------------------------------------------------------------------------


class HealthCheck(ResolvedSection):
    """The container health check of the slowest essential container (ECS API: HealthCheck)."""

    interval_ms: int = 30 * MS_PER_SECOND
    timeout_ms: int = 5 * MS_PER_SECOND
    retries: int = 3
    start_period_ms: int = 0


class Container(ResolvedSection):
    """A container definition; `cpu` in units, 0: none is reserved; a timeout that is None is the agent's."""

    name: str
    essential: bool = True
    image: str | None = None
    cpu: int = 0
    memory_mib: int | None = None
    memory_reservation_mib: int | None = None
    gpus: int = 0
    start_timeout_ms: int | None = None
    stop_timeout_ms: int | None = None
    container_ports: tuple[int, ...] = ()
    depends_on: tuple[tuple[str, str], ...] = ()
    health_check: HealthCheck | None = None
    restart_policy: dict[str, Any] | None = None
    credentials: str | None = None
    version_consistency: bool = True


class TaskDefinition(ResolvedSection):
    """A revision of a task definition.

    `cpu` and `memory_mib` are the amounts that placement subtracts, `task_memory_mib` is its own `memory`.
    """

    family: str
    revision: int
    key: str
    network_mode: NetworkMode = DEFAULT_NETWORK_MODE
    requires_compatibilities: tuple[str, ...] = ()
    cpu: int
    memory_mib: int
    has_task_size: bool
    gpus: int = 0
    static_ports: tuple[int, ...] = ()
    dynamic_ports: int = 0
    placement_constraints: tuple[Constraint, ...] = ()
    arch: Architecture = "x86_64"
    ephemeral_gib: int
    task_memory_mib: int | None = None
    health_check: HealthCheck | None = None
    containers: tuple[Container, ...] = ()
    behavior: dict[str, Any] = Field(default_factory=dict)
    access: Access = Access()


# --- services ----------------------------------------------------------------------------------------------


class TargetGroup(ResolvedSection):
    """A target group of a load balancer (ELB API: CreateTargetGroup)."""

    name: str
    interval_ms: int = 30 * MS_PER_SECOND
    healthy_threshold: int = 5
    unhealthy_threshold: int = 2
    deregistration_delay_ms: int
    initial_health_checks: int
    routing: Routing
    slow_start_ms: int
    network: bool = False
    """Of a Network Load Balancer."""


class Service(ResolvedSection):
    """A service; exactly one of `launch_type` and `strategy` says where its tasks run."""

    name: str
    task_definition: str
    desired_count: int
    launch_type: LaunchTypeName | None = None
    strategy: tuple[StrategyItem, ...] = ()
    placement_strategy: tuple[PlacementRule | CustomPlacement, ...] = ()
    placement_constraints: tuple[Constraint, ...] = ()
    scheduling_strategy: Literal["REPLICA", "DAEMON"] = "REPLICA"
    deployment: Deployment = Deployment()
    zone_rebalancing: bool = False
    target_groups: tuple[str, ...] = ()
    balanced_container: str | None = None
    network_balancer: bool = False
    """A Network Load Balancer is in front of it."""
    alternate_label: bool = False
    """Its ALBRequestCountPerTarget policy names the alternate target group of its deployments."""
    health_check_grace_ms: int = 0
    zones: tuple[str, ...]
    auto_scaling: AutoScaling | None = None
    load: Load | None = None
    subnets: tuple[str, ...] = ()
    public_address: bool = False
    behaviors: tuple[tuple[str, Behavior], ...] = ()
    machines: str | None = None
    """The Auto Scaling group of its virtual machines, one for each copy; None: ECS runs its tasks."""

    def behavior(self, key: str) -> Behavior:
        """Return the behaviour of tasks of task definition `key` ('web:2') under this service."""
        return dict(self.behaviors)[key]


# --- standalone tasks --------------------------------------------------------------------------------------


class TraceTable(ResolvedSection):
    """The rows of a task trace as columns, sorted by `submit_ms` (ms since `start`).

    Rows of one instant keep the order of the file. Columns of codes and durations are of the narrowest type
    that holds them: a trace may have millions of rows.
    """

    submit_ms: Int64s
    duration_ms: npt.NDArray[Any]
    sizes: Int32s
    """[size, 3]: CPU units, MiB and GPUs, ascending."""
    size: npt.NDArray[Any]
    """Of each row, its row of `sizes`."""
    instances: Int32s
    groups: tuple[str, ...] | None = None
    """The labels of rows, in the order of their first rows; None: the trace has none."""
    group: npt.NDArray[Any] | None = None
    """Of each row, its position in `groups`."""
    reference_id: Any = None  # Arrow strings, or None

    def __len__(self) -> int:
        return len(self.submit_ms)


class RunTask(ResolvedSection):
    """Standalone tasks; at most one of `at_ms`, `schedule`, `arrivals_per_hour` and `trace` is set.

    None of them means once, at `start` (`at_ms` is 0 then).
    """

    name: str
    task_definition: str | None
    count: int = 1
    at_ms: int | None
    schedule: str | None
    arrivals_per_hour: float | None
    trace: TraceTable | None
    duration: Distribution | None
    retries: int
    launch_type: LaunchTypeName | None = None
    strategy: tuple[StrategyItem, ...] = ()
    placement_strategy: tuple[PlacementRule | CustomPlacement, ...] = ()
    placement_constraints: tuple[Constraint, ...] = ()
    zones: tuple[str, ...]
    behavior: Behavior
    subnets: tuple[str, ...] = ()
    public_address: bool = False
    group: str
    """The label of its tasks: `group` as written, or its name."""
    task_group: str
    """The task group of ECS: `group` as written, or `family:FAMILY`."""


class Action(ResolvedSection):
    """An AWS operation that is called at `at_ms`, in camelCase with its input, names in place of ARNs.

    `changes` are the fields of `Service` that an UpdateService sets, resolved.
    """

    at_ms: int
    operation: str
    input: dict[str, Any]
    changes: dict[str, Any] = Field(default_factory=dict)


# --- the whole ---------------------------------------------------------------------------------------------


class Sampling(ResolvedSection):
    """Widths of the rows of the series (None: by size) and of the cost periods; written as `WrittenSampling`."""

    interval_ms: int | None
    cost_period_ms: int
    cost_per_resource: bool


class Scenario(ResolvedSection):
    """A whole scenario, ready to be simulated; written as `WrittenScenario`."""

    name: str
    start_ms: int
    duration_ms: int
    warm_up_ms: int
    initial_state: Literal["empty", "running"]
    seed: int
    region: str
    zones: tuple[str, ...]
    pricing: Pricing
    cluster: Cluster
    groups: tuple[AutoScalingGroup, ...]
    managed_instances: tuple[ManagedInstancesProvider, ...]
    providers: tuple[CapacityProvider, ...]
    task_definitions: tuple[TaskDefinition, ...]
    services: tuple[Service, ...]
    run_tasks: tuple[RunTask, ...]
    actions: tuple[Action, ...]
    alarms: tuple[dict[str, Any], ...]
    target_groups: tuple[TargetGroup, ...]
    failures: Failures
    sampling: Sampling
    instance_types: tuple[InstanceType, ...]
    images: Images
    registries: tuple[Registry, ...]
    roles: Roles
    subnets: tuple[Subnet, ...]
    inputs: tuple[InputFile, ...]
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]
    assumptions: tuple[Assumption, ...] = ()
    resolved: dict[str, Any]
    digest: str

    @property
    def pools(self) -> tuple[InstancePool, ...]:
        """All sources of instances: the groups, then the providers of Managed Instances."""
        return (*self.groups, *self.managed_instances)
