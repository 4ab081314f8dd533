"""The tables of the world: one record per task (`task_tables`), container instance, strategy item, service and so on.

Each table is a numpy structured array: numpy code reads columns, kernels read rows, and both get the same single
argument, a `State`, whose parts hold the tables that are read together. A *slot* is a row number; a serial (`task_id`,
`instance_id`) is an identity: slots are reused, serials never. Instants are ms since the first instant of the
simulation; -1 means that the event has not happened. This module only declares; `task_states` changes the states of
tasks.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.array_block import Part
from clustersim.engine.records import (
    Array,
    Flag,
    Float64,
    Int32,
    Int64,
    Milliseconds,
    Record,
    Table,
    Table2D,
)
from clustersim.policy.images.image_cache import ImageCache, ImageLayers
from clustersim.policy.load.exact_tables import TargetChangeRow
from clustersim.policy.placement.hosts import Hosts
from clustersim.world.state.counters import Clock, Counters
from clustersim.world.state.image_dtypes import AgentRow, ImageVersionRow, PullLimitRow, PullRow, RegistryRow
from clustersim.world.state.instance_tables import HazardRow, InstanceClassRow, InstanceRow
from clustersim.world.state.task_tables import ContainerRow, ContainerStateRow, TaskRow, TaskSetRow


class StrategyItemRow(Record):
    """A task set on one capacity provider of its strategy (ECS API: CapacityProviderStrategyItem)."""

    set: Int64
    provider: Int64
    weight: Int64
    base: Int64
    live: Int64
    """Tasks that have not ended."""
    refused: Int64
    """Tasks chosen for it and refused in the current call."""
    provision: Int64
    """Distribution of ENI attachment or Fargate start; -1: none."""
    bucket: Int64
    """Fargate: which launch quota (0 on-demand, 1 Spot)."""
    price: Int64
    """Fargate: row of the Fargate prices."""
    interruption: Int64
    """Fargate Spot: distribution of the time to a task's notice; -1: never."""
    retirement: Int64
    """Fargate: distribution of the time to a task's retirement; -1: never."""
    program_from: Int64
    program_to: Int64
    zones_without_address: Int64
    """Fargate: bits of the zones where tasks lacked an address since the last success."""
    eni: Flag
    addresses: Flag
    """Each task takes one of a subnet."""
    fargate: Flag
    managed: Flag
    """On ECS Managed Instances: an instance is launched for tasks that wait."""
    of_provider: Flag
    """An item of a capacity provider strategy, not a launch type."""
    can_wait: Flag
    """Tasks without room wait in PROVISIONING; by launch type or without managed scaling they are refused."""
    resources_only: Flag
    """Resources and instance class alone decide whether a task fits."""


class ResourceShapeRow(Record):
    """Tasks of one strategy item with equal requirements, which share a queue."""

    strategy_item: Int64
    cpu: Int64
    memory: Int64
    gpus: Int64
    host_ports: Int64
    head: Int64
    tail: Int64
    count: Int64
    """Waiting tasks."""
    position: Int64
    """In State.placement.waiting_shapes; -1: no task waits."""
    wait_reason: Int64
    """The last placement failure."""
    wait_reason_at: Int64
    """When it was determined."""
    tried_round: Int64
    """The placement round in which it was found not to fit."""


class ServiceRow(Record):
    """A row of the table of services."""

    desired: Int64
    threshold: Int64
    """Ceil(desired x minimumHealthyPercent): the service is available from it on."""
    minimum_healthy_percent: Int64
    provisioning: Int64
    pending: Int64
    running: Int64
    healthy: Milliseconds
    dirty: Flag
    integrated_until: Milliseconds
    running_area: Int64
    """Task x ms."""
    available_ms: Milliseconds
    """Ms with running >= threshold."""
    available_healthy_ms: Milliseconds
    """Ms with healthy >= threshold."""
    ordinal: Int64
    """Tasks created so far."""
    exact: Flag
    """Its requests are simulated one by one, and changes of its targets are logged."""
    deploying: Flag
    """Its PRIMARY deployment is in progress."""
    steady_reported: Flag
    """The event of the current steady state has been emitted."""
    launch_tokens: Float64
    """Tasks that its launch rate allows now."""
    launch_rate: Float64
    """Tokens per ms."""
    launch_burst: Float64
    """The most that can be saved up."""
    launch_refilled_at: Int64
    steady: Flag
    """The scheduler has nothing under way: `scheduling.steady_services` keeps its desired count."""
    rebalances_zones: Flag
    """The spread over zones is checked at each new steady state."""
    primary: Int64
    """The task set of its PRIMARY deployment."""
    never_ran: Int64
    """Tasks of that set that never ran, at the scheduler's last look."""
    label_set: Int64
    """The task set behind the target group that an ALBRequestCountPerTarget policy names; -1: all of the service."""
    label_share: Float64
    """Share (0 to 1) of the production traffic that this target group gets."""


class ProviderRow(Record):
    """A row of the table of providers."""

    provisioning: Int64
    running: Int64
    instances: Int64
    """Launched and not terminated."""
    registered: Milliseconds
    integrated_until: Milliseconds
    cpu: Int64
    """Reserved now, on registered instances."""
    memory: Int64
    registered_cpu: Int64
    registered_memory: Int64
    cpu_area: Float64
    """Reserved CPU units x ms; a whole number, exact up to 2^53, as the three below."""
    memory_area: Float64
    """Reserved MiB x ms."""
    registered_cpu_area: Float64
    registered_memory_area: Float64
    usd_per_hour: Float64
    """Of what is billed now."""


class FargateQuotaRow(Record):
    """Fargate launch rate and vCPU quota, on-demand and Spot."""

    interval_us: Int64
    burst: Int64
    next_us: Int64
    cpu_limit: Int64
    """CPU units; -1: unlimited."""
    cpu: Int64


class FargatePriceRow(Record):
    """A row of the table of fargate prices."""

    usd_per_cpu_ms: Float64
    usd_per_mib_ms: Float64
    usd_per_gib_ms: Float64


class ArrivalRow(Record):
    """A call of RunTask that is due, in order of time."""

    at: Milliseconds
    duration: Milliseconds
    """-1: drawn from the set's distribution, -2: runs until stopped."""
    ordinal: Int64
    """Of the first copy."""
    set: Int32
    resource_shape: Int32
    """Of the set's first strategy item."""
    copies: Int32
    reference: Int32


class DistributionRow(Record):
    """A row of the table of distributions."""

    code: Int64
    a: Float64
    b: Float64
    first: Int64
    last: Int64


class EventRow(Record):
    """A row of `events` that is not yet formatted."""

    at: Milliseconds
    kind: Int64
    """EventKind."""
    instance_id: Int64
    task_id: Int64
    service: Int64
    sentence: Int64
    """Number of its message, if the kind does not determine it; 0: it does."""
    merged_events: Int64
    """Number of rows right behind it that are reported together with it."""
    desired_before: Int64
    """The desired count, for events that change it."""
    desired_after: Int64
    name: Int64
    """Code of the event's name, if it has a message of its own."""


class CalendarTables(NamedTuple):
    """What is due: entries of the heap, arrivals of tasks, and the distributions that delays are drawn from."""

    heap: Annotated[Array, np.int64, 2]
    arrivals: Table[ArrivalRow]
    distributions: Table[DistributionRow]
    distribution_values: Annotated[Array, np.float64, 1]  # of the empirical distributions


class TaskTables(NamedTuple):
    """The live tasks, by slot."""

    rows: Table[TaskRow]
    free: Annotated[Array, np.int64, 1]  # stack of free slots
    container_states: Table2D[ContainerStateRow]  # [task slot, container]
    pulled_versions: Annotated[
        Array, np.int64, 2
    ]  # [task slot, pull of its set]: the image version it runs; -1: none yet
    group_first: Annotated[Array, np.int64, 1]  # [group]: head of the list of its live tasks


class TaskSetTables(NamedTuple):
    """What equal tasks share: their sets, strategy items, shapes and container definitions.

    Denials by IAM are numbers of sentences, 0: allowed; a place is an instance class, the last is Fargate.
    """

    rows: Table[TaskSetRow]
    strategy_items: Table[StrategyItemRow]
    shapes: Table[ResourceShapeRow]
    containers: Table[ContainerRow]
    dependencies: Annotated[Array, np.int64, 2]  # [row, 2]: container (position in its set), condition
    exit_codes: Annotated[Array, np.int64, 1]  # ignored by restart policies
    denials: Annotated[
        Array, np.int64, 3
    ]  # [strategy item, place, 2]: before and after the images are pulled
    address_words: Annotated[
        Array, np.int64, 2
    ]  # [strategy item, zone]: the sentence when there is no address


class PlacementTables(NamedTuple):
    """What decides where a task may run and which task stops, with the scratch arrays of these decisions."""

    eligible: Annotated[Array, np.uint8, 2]  # [strategy item, class]
    item_zones: Annotated[Array, np.uint8, 2]  # [strategy item, zone]
    item_ports: Annotated[Array, np.uint64, 2]  # [strategy item, word]
    item_subnets: Annotated[Array, np.uint8, 2]  # [strategy item, subnet]
    chains: Annotated[Array, np.int64, 3]  # [set, rule, 2]: placement strategies
    program: Annotated[Array, np.int64, 2]  # [row, 3]: constraint programs of all strategy items
    truth: Annotated[Array, np.uint8, 2]  # [leaf, class]: constant leaves of these programs
    zone_counts: Annotated[Array, np.int32, 2]  # [group, zone]: placed tasks
    fact_row: Annotated[
        Array, np.int64, 1
    ]  # [group]: row of hosts.facts that counts its tasks; -1: not counted
    waiting_shapes: Annotated[Array, np.int64, 1]  # shapes of which tasks wait
    failures: Annotated[Array, np.int64, 1]  # [wait reason]: how often
    need: Annotated[Array, np.int64, 1]  # [resource]: scratch
    choice: Annotated[
        Array, np.int64, 2
    ]  # scratch for choosing tasks to stop, see `policy.placement.scale_in_victims`


class ServiceTables(NamedTuple):
    """The services, and those that the scheduler must look at."""

    rows: Table[ServiceRow]
    dirty: Annotated[Array, np.int64, 1]  # services that the scheduler must reconcile
    todo: Annotated[Array, np.int64, 1]  # [service]: scratch, the services being reconciled
    daemons: Annotated[Array, np.int64, 1]  # task sets of which every instance runs a task


class InstanceTables(NamedTuple):
    """The container instances, by slot, and what is free on them."""

    rows: Table[InstanceRow]
    free: Annotated[Array, np.int64, 1]  # stack of free slots
    hosts: Hosts
    hosts_with_new_room: Annotated[Array, np.int64, 1]  # slots of hosts that gained room at this instant


class CapacityTables(NamedTuple):
    """What capacity there is to ask for: providers, instance classes, Fargate, and addresses of subnets."""

    providers: Table[ProviderRow]
    classes: Table[InstanceClassRow]
    hazards: Table2D[HazardRow]  # [class, kind of entry]
    class_ports: Annotated[Array, np.uint64, 2]  # [class, word]: host ports reserved by the agent
    fargate_quotas: Table[FargateQuotaRow]
    fargate_prices: Table[FargatePriceRow]
    fargate_closed: Annotated[Array, np.int64, 2]  # [quota, zone]: current outages and capacity shortages
    free_addresses: Annotated[Array, np.int64, 1]  # [subnet]
    subnet_zones: Annotated[Array, np.int64, 1]
    pool_subnets: Annotated[Array, np.uint8, 2]  # [pool, subnet]


class ImageTables(NamedTuple):
    """Images, the registries and agents they come through, and what each container pulls."""

    layers: ImageLayers
    cache: ImageCache  # [instance slot]
    versions: Table[ImageVersionRow]
    registries: Table[RegistryRow]
    limits: Table[PullLimitRow]
    windows: Annotated[Array, np.int64, 3]  # [limit, source, 2]
    outage_begins: Annotated[Array, np.int64, 1]
    outage_ends: Annotated[Array, np.int64, 1]
    registry_busy_until: Annotated[
        Array, np.float64, 1
    ]  # [registry]: when it will have delivered all requested bytes
    agents: Table[AgentRow]  # [class + 1], the last for Fargate
    preloaded: Annotated[Array, np.int64, 1]
    pulls: Table[PullRow]
    pull_denials: Annotated[Array, np.int64, 2]  # [pull, place], see `TaskSetTables`
    layer_scratch: Annotated[Array, np.int64, 1]  # [layer]: scratch of Fargate's pulls


class OutputTables(NamedTuple):
    """What kernels have recorded since Python last took it: rows, and sums of the billing period."""

    finished_tasks: Table[TaskRow]
    terminated_instances: Table[InstanceRow]
    events: Table[EventRow]  # not yet formatted
    target_changes: Table[TargetChangeRow]  # of exact services; without any, no rows
    weight_ms: Annotated[Array, np.float64, 2]  # [payer, class]: reserved weight x ms
    fargate_ms: Annotated[Array, np.int64, 3]  # [payer, price x zone, 3]: CPU units, MiB, extra GiB x ms
    class_ms: Annotated[Array, np.int64, 1]  # [class]: billed instance x ms


class State(NamedTuple):
    """All arrays that a kernel may read and change, in parts that are read together."""

    clock: Clock
    counters: Counters
    calendar: Part[CalendarTables]
    tasks: Part[TaskTables]
    sets: Part[TaskSetTables]
    placement: Part[PlacementTables]
    services: Part[ServiceTables]
    instances: Part[InstanceTables]
    capacity: Part[CapacityTables]
    images: Part[ImageTables]
    outputs: Part[OutputTables]
