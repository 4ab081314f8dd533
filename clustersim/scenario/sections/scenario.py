"""The resolved scenario: what the simulator reads.

Every name is resolved, every default filled in, every number in the units of the simulation: durations in
int ms, instants in ms since `start` unless said otherwise, sizes in MiB, CPU in units of 1,024 per vCPU,
money in USD. Decides nothing; it knows neither YAML nor botocore.
`reader.read_scenario` makes it, the layers above only read it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from clustersim.policy.tasks.iam_evaluation import Call
from clustersim.scenario.sections.capacity import (
    AutoScalingGroup,
    CapacityProvider,
    FargatePrice,
    InstancePool,
    InstanceType,
    Machines,
    ManagedInstances,
    Pricing,
    SavingsPlan,
)
from clustersim.scenario.sections.deployment import Deployment
from clustersim.scenario.sections.failures import Failures
from clustersim.scenario.sections.images import ImagePulls, Images, Registry
from clustersim.scenario.sections.resolved_section import (
    Constraint,
    Distribution,
    InputFile,
    PlacementRule,
    Resolved,
    StrategyItem,
)
from clustersim.scenario.sections.roles import Access, Roles, Subnet
from clustersim.scenario.sections.scaling import AutoScaling, ScheduledAction, StepScaling, TargetTracking
from clustersim.scenario.sections.trace_columns import Float64s, Int64s, TraceTable

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
    "Machines",
    "ManagedInstances",
    "MemoryPerTask",
    "PlacementRule",
    "Pricing",
    "Registry",
    "Resolved",
    "Roles",
    "Routing",
    "RunTask",
    "Sampling",
    "SavingsPlan",
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
]


class Cluster(Resolved):
    """Limits and latencies of the cluster; None lifts a limit."""

    provisioning_limit: int | None = 500
    provisioning_timeout_ms: int | None = 1_800_000
    fargate_quota_vcpu: float | None = None
    default_strategy: tuple[StrategyItem, ...] = ()
    awsvpc_trunking: bool = False
    fargate_launch_burst: int = 100
    fargate_launch_per_second: float = 20.0
    eni_attach: Distribution = Distribution(a=5_000.0)
    fargate_start: Distribution
    service_launch_per_minute: float = 500.0
    launch_retry_ms: int = 60_000
    image_pulls: ImagePulls = ImagePulls()


class HealthCheck(Resolved):
    """The container health check of the slowest essential container (ECS API: HealthCheck)."""

    interval_ms: int = 30_000
    timeout_ms: int = 5_000
    retries: int = 3
    start_period_ms: int = 0


class Container(Resolved):
    """A container definition; `cpu` in units, 0 where none is reserved; timeouts are None where the agent's hold."""

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


class TaskDefinition(Resolved):
    """A revision of a task definition; `cpu` and `memory_mib` are what placement subtracts, `task_memory_mib` is
    its own `memory`."""

    family: str
    revision: int
    key: str
    network_mode: Literal["bridge", "host", "awsvpc", "none"] = "bridge"
    requires_compatibilities: tuple[str, ...] = ()
    cpu: int
    memory_mib: int
    has_task_size: bool
    gpus: int = 0
    static_ports: tuple[int, ...] = ()
    dynamic_ports: int = 0
    placement_constraints: tuple[Constraint, ...] = ()
    arch: Literal["x86_64", "arm64"] = "x86_64"
    ephemeral_gib: int = 20
    task_memory_mib: int | None = None
    health_check: HealthCheck | None = None
    containers: tuple[Container, ...] = ()
    behavior: dict[str, Any] = Field(default_factory=dict)
    access: Access = Access()


class MemoryPerTask(Resolved):
    """What a task uses: `base_mib`, and `per_concurrent_request_mib` for each request in it."""

    base_mib: float = 0.0
    per_concurrent_request_mib: float = 0.0


class ContainerBehavior(Resolved):
    """What one container does; `duration` is of one that ends when its work is done, `ready_time_ms` None never."""

    startup_time: Distribution = Distribution()
    ready_time_ms: int | None = 0
    duration: Distribution | None = None
    time_to_failure: Distribution | None = None
    time_to_hang: Distribution | None = None
    start_failure_probability: float = 0.0
    exit_code: int = 1
    stop_time: Distribution | None = Distribution(a=1_000.0)
    stop_exit_code: int = 143


class Behavior(Resolved):
    """What the application does; a task definition's own keys win over the service's, key by key."""

    startup_time: Distribution = Distribution()
    ready_time_ms: int | None = 0
    time_to_failure: Distribution | None = None
    time_to_hang: Distribution | None = None
    protection_ms: int = 0
    containers: tuple[tuple[str, ContainerBehavior], ...] = ()
    start_failure_probability: float = 0.0
    exit_code: int = 1
    cpu_time_per_request_ms: float | None = None
    memory_per_task: MemoryPerTask | None = None
    stop_time: Distribution | None = Distribution(a=1_000.0)
    stop_exit_code: int = 143
    calls: tuple[Call, ...] = ()


class Series(Resolved):
    """A piecewise-constant rate: `rates[i]` per second from `times_ms[i]` on.

    `times_ms` counts from the first instant of the simulation, `warmUp` before `start`.

    It repeats after `period_ms`; 0 means that it does not.
    """

    times_ms: Int64s
    rates: Float64s
    period_ms: int = 0


class Load(Resolved):
    """Who calls a service and what a call costs; `messages` are of the SQS queue the service works off.

    Of exact requests `service_time` None is exponential, of the CPU time; `concurrency_per_task` 0 is as many as
    keep the task's vCPUs busy.
    """

    kind: Literal["requests", "messages"]
    series: Series
    cpu_time_ms: float = 0.0
    memory_base_mib: float = 0.0
    memory_per_request_mib: float = 0.0
    timeout_ms: int = 10_000
    processing_time_ms: float = 0.0
    concurrency_per_task: int = 1
    model: Literal["fluid", "exact"] = "fluid"
    service_time: Distribution | None = None


Routing = Literal["round_robin", "least_outstanding_requests"]


class TargetGroup(Resolved):
    """A target group of a load balancer (ELB API: CreateTargetGroup)."""

    name: str
    interval_ms: int = 30_000
    healthy_threshold: int = 5
    unhealthy_threshold: int = 2
    deregistration_delay_ms: int = 300_000
    initial_health_checks: int = 1
    routing: Routing = "round_robin"
    slow_start_ms: int = 0


class Service(Resolved):
    """A service; exactly one of `launch_type` and `strategy` says where its tasks run."""

    name: str
    task_definition: str
    desired_count: int
    launch_type: Literal["EC2", "FARGATE"] | None = None
    strategy: tuple[StrategyItem, ...] = ()
    placement_strategy: tuple[PlacementRule, ...] = ()
    placement_constraints: tuple[Constraint, ...] = ()
    scheduling_strategy: Literal["REPLICA", "DAEMON"] = "REPLICA"
    deployment: Deployment = Deployment()
    zone_rebalancing: bool = False
    target_groups: tuple[str, ...] = ()
    balanced_container: str | None = None
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
        """The behaviour of tasks of task definition `key` ('web:2') under this service."""
        return dict(self.behaviors)[key]


class RunTask(Resolved):
    """Standalone tasks; at most one of `at_ms`, `schedule`, `arrivals_per_hour` and `trace` is set.

    None of them means once, at `start` (`at_ms` is 0 then).
    """

    name: str
    task_definition: str | None = None
    count: int = 1
    at_ms: int | None = None
    schedule: str | None = None
    arrivals_per_hour: float | None = None
    trace: TraceTable | None = None
    duration: Distribution | None = None
    retries: int = 0
    launch_type: Literal["EC2", "FARGATE"] | None = None
    strategy: tuple[StrategyItem, ...] = ()
    placement_strategy: tuple[PlacementRule, ...] = ()
    placement_constraints: tuple[Constraint, ...] = ()
    zones: tuple[str, ...]
    behavior: Behavior = Behavior()
    subnets: tuple[str, ...] = ()
    public_address: bool = False
    group: str


class Action(Resolved):
    """What somebody does at `at_ms`: an AWS operation in camelCase with its input, names in place of ARNs.

    `changes` are the fields of `Service` that an UpdateService sets, resolved.
    """

    at_ms: int
    operation: str
    input: dict[str, Any]
    changes: dict[str, Any] = Field(default_factory=dict)


class Sampling(Resolved):
    """Widths of the rows of the series (None: by size) and of the cost periods."""

    interval_ms: int | None = None
    cost_period_ms: int = 86_400_000
    cost_per_resource: bool = False


class Scenario(Resolved):
    """A whole scenario, ready to be simulated."""

    name: str
    start_ms: int
    duration_ms: int
    warm_up_ms: int = 0
    initial_state: Literal["empty", "running"] = "empty"
    seed: int = 0
    region: str
    zones: tuple[str, ...]
    pricing: Pricing
    cluster: Cluster
    groups: tuple[AutoScalingGroup, ...] = ()
    managed_instances: tuple[ManagedInstances, ...] = ()
    providers: tuple[CapacityProvider, ...] = ()
    task_definitions: tuple[TaskDefinition, ...] = ()
    services: tuple[Service, ...] = ()
    run_tasks: tuple[RunTask, ...] = ()
    actions: tuple[Action, ...] = ()
    alarms: tuple[dict[str, Any], ...] = ()
    target_groups: tuple[TargetGroup, ...] = ()
    failures: Failures = Failures()
    sampling: Sampling = Sampling()
    instance_types: tuple[InstanceType, ...] = ()
    images: Images = Images()
    registries: tuple[Registry, ...] = ()
    roles: Roles = Roles()
    subnets: tuple[Subnet, ...] = ()
    inputs: tuple[InputFile, ...] = ()
    warnings: tuple[str, ...] = ()
    resolved: dict[str, Any]
    digest: str

    @property
    def pools(self) -> tuple[InstancePool, ...]:
        """Everything that launches instances: the groups, then the providers of Managed Instances."""
        return (*self.groups, *self.managed_instances)
