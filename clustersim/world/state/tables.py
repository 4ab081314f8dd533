"""The tables of the world: one record per task (`task_tables`), container instance, strategy item, service and so on.

Each table is a numpy structured array: numpy code reads columns, kernels read rows, and both get the same single
argument. A *slot* is a row number; a serial (`task_id`, `instance_id`) is an identity: slots are reused, serials
never. Instants are ms since the first instant of the simulation; -1 means that the event has not happened. This
module only declares; `task_states` changes the states of tasks.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.policy.images.image_cache import ImageCache, ImageLayers
from clustersim.policy.load.exact_tables import CHANGE
from clustersim.policy.placement.hosts import Hosts
from clustersim.world.state.image_dtypes import AGENT, IMAGE_VERSION, PULL, PULL_LIMIT, REGISTRY
from clustersim.world.state.task_tables import CONTAINER, CONTAINER_STATE, TASK, TASK_SET

INSTANCE = np.dtype(
    [
        ("instance_id", np.int64),
        ("ordinal", np.int64),  # n-th of its group: the entity of its random draws
        ("launched", np.int64),
        ("registered", np.int64),
        ("draining", np.int64),
        ("terminated", np.int64),
        ("notice_at", np.int64),  # Spot: when the interruption notice came, two minutes before the end
        ("last_task_change", np.int64),  # when a task was last placed here or ended here
        ("integrated_until", np.int64),  # the areas below reach up to this instant
        ("accrued_until", np.int64),  # so does the accrued cost
        ("cpu_area", np.int64),  # reserved CPU units x ms since registration
        ("memory_area", np.int64),  # reserved MiB x ms
        ("tasks_started", np.int64),
        ("cost", np.float64),
        ("instance_class", np.int64),  # row of INSTANCE_CLASS
        ("first_task", np.int64),
        ("first_assigned", np.int64),  # head of the list of tasks that wait for this instance
        ("task_count", np.int64),
        ("non_daemon_tasks", np.int64),  # without any the instance counts as empty
        ("used_cpu", np.int64),
        ("used_memory", np.int64),
        ("subnet", np.int64),  # of its addresses; -1: none
        ("state", np.int8),
        ("reason", np.int8),
        ("gained_room", np.int8),  # in the list of hosts that gained room at this instant
        ("terminating", np.int8),  # to be terminated by its group or provider once it has drained
        ("protected", np.int8),  # from scale-in
        ("connected", np.int8),  # its agent; without one nothing is placed, and running tasks continue
    ],
    align=True,
)

STRATEGY_ITEM = np.dtype(
    [  # a task set on one capacity provider of its strategy (ECS API: CapacityProviderStrategyItem)
        ("set", np.int64),
        ("provider", np.int64),
        ("weight", np.int64),
        ("base", np.int64),
        ("live", np.int64),  # tasks that have not ended
        ("refused", np.int64),  # tasks chosen for it and refused in the current call
        ("provision", np.int64),  # distribution of ENI attachment or Fargate start; -1: none
        ("bucket", np.int64),  # Fargate: which launch quota (0 on-demand, 1 Spot)
        ("price", np.int64),  # Fargate: row of the Fargate prices
        ("interruption", np.int64),  # Fargate Spot: distribution of the time to a task's notice; -1: never
        ("retirement", np.int64),  # Fargate: distribution of the time to a task's retirement; -1: never
        ("program_from", np.int64),
        ("program_to", np.int64),
        (
            "zones_without_address",
            np.int64,
        ),  # Fargate: bits of the zones where tasks lacked an address since the last success
        ("eni", np.int8),
        ("addresses", np.int8),  # each task takes one of a subnet
        ("fargate", np.int8),
        ("managed", np.int8),  # on ECS Managed Instances: an instance is launched for tasks that wait
        ("can_wait", np.int8),  # tasks wait in PROVISIONING (capacity provider) or are refused (launch type)
        ("resources_only", np.int8),  # resources and instance class alone decide whether a task fits
    ],
    align=True,
)

RESOURCE_SHAPE = np.dtype(
    [  # tasks of one strategy item with equal requirements, which share a queue
        ("strategy_item", np.int64),
        ("cpu", np.int64),
        ("memory", np.int64),
        ("gpus", np.int64),
        ("host_ports", np.int64),
        ("head", np.int64),
        ("tail", np.int64),
        ("count", np.int64),  # waiting tasks
        ("position", np.int64),  # in State.waiting_shapes; -1: no task waits
        ("wait_reason", np.int64),  # the last placement failure
        ("wait_reason_at", np.int64),  # when it was determined
        ("tried_round", np.int64),  # the placement round in which it was found not to fit
    ],
    align=True,
)

SERVICE = np.dtype(
    [
        ("desired", np.int64),
        ("threshold", np.int64),  # ceil(desired x minimumHealthyPercent): the service is available from it on
        ("minimum_healthy_percent", np.int64),
        ("provisioning", np.int64),
        ("pending", np.int64),
        ("running", np.int64),
        ("healthy", np.int64),
        ("dirty", np.int8),
        ("integrated_until", np.int64),
        ("running_area", np.int64),  # task x ms
        ("available_ms", np.int64),  # ms with running >= threshold
        ("available_healthy_ms", np.int64),  # ms with healthy >= threshold
        ("ordinal", np.int64),  # tasks created so far
        ("exact", np.int8),  # its requests are simulated one by one, and changes of its targets are logged
        ("deploying", np.int8),  # its PRIMARY deployment is in progress
        ("steady_reported", np.int8),  # the event of the current steady state has been emitted
        ("launch_tokens", np.float64),  # tasks that its launch rate allows now
        ("launch_rate", np.float64),  # tokens per ms
        ("launch_burst", np.float64),  # the most that can be saved up
        ("launch_refilled_at", np.int64),
        (
            "steady",
            np.int8,
        ),  # the scheduler has nothing under way: `scheduling.steady_services` keeps its desired count
        ("rebalances_zones", np.int8),  # the spread over zones is checked at each new steady state
        ("primary", np.int64),  # the task set of its PRIMARY deployment
        ("never_ran", np.int64),  # tasks of that set that never ran, at the scheduler's last look
    ],
    align=True,
)

PROVIDER = np.dtype(
    [
        ("provisioning", np.int64),
        ("running", np.int64),
        ("instances", np.int64),  # launched and not terminated
        ("registered", np.int64),
        ("integrated_until", np.int64),
        ("cpu", np.int64),  # reserved now, on registered instances
        ("memory", np.int64),
        ("registered_cpu", np.int64),
        ("registered_memory", np.int64),
        ("cpu_area", np.int64),
        ("memory_area", np.int64),
        ("registered_cpu_area", np.int64),
        ("registered_memory_area", np.int64),
        ("instance_area", np.int64),
        ("usd_per_hour", np.float64),  # of what is billed now
    ],
    align=True,
)

INSTANCE_CLASS = np.dtype(
    [  # instances that nothing distinguishes: same pool, type, zone, attributes and purchase option
        ("pool", np.int64),  # position in the scenario's pools: its groups, then its managed instances
        ("provider", np.int64),  # row of PROVIDER; groups without a provider share the last
        ("type", np.int64),
        ("zone", np.int64),
        ("cpu", np.int64),
        ("memory", np.int64),
        ("gpus", np.int64),
        ("enis", np.int64),
        ("failure", np.int64),  # distribution of the time to failure; -1: never
        ("launch", np.int64),  # distribution of the time from request to registration
        (
            "interruption",
            np.int64,
        ),  # distribution of a Spot instance's time to a single interruption; -1: never
        ("disconnect", np.int64),  # distribution of the time until its agent disconnects; -1: never
        ("disconnect_duration", np.int64),  # distribution of the time until its agent reconnects
        ("weight", np.int64),
        ("addresses", np.int64),  # of a subnet that an instance itself takes
        ("host_ports", np.int64),  # available to tasks
        ("usd_per_hour", np.float64),  # instance, root volume and fee
        ("failure_key", np.uint64),
        ("launch_key", np.uint64),
        ("interruption_key", np.uint64),
        ("pool_key", np.uint64),
        ("agent_key", np.uint64),
        ("spot", np.int8),
        ("drains_on_notice", np.int8),  # ECS_ENABLE_SPOT_INSTANCE_DRAINING
    ],
    align=True,
)

BUCKET = np.dtype(
    [  # Fargate launch rate and vCPU quota, on-demand and Spot
        ("interval_us", np.int64),
        ("burst", np.int64),
        ("next_us", np.int64),
        ("cpu_limit", np.int64),  # CPU units; -1: unlimited
        ("cpu", np.int64),
    ],
    align=True,
)

FARGATE_PRICE = np.dtype(
    [("usd_per_cpu_ms", np.float64), ("usd_per_mib_ms", np.float64), ("usd_per_gib_ms", np.float64)],
    align=True,
)

ARRIVAL = np.dtype(
    [  # a call of RunTask that is due, in order of time
        ("at", np.int64),
        ("duration", np.int64),  # -1: drawn from the set's distribution, -2: runs until stopped
        ("ordinal", np.int64),  # of the first copy
        ("set", np.int32),
        ("resource_shape", np.int32),  # of the set's first strategy item
        ("copies", np.int32),
        ("reference", np.int32),
    ],
    align=True,
)

DISTRIBUTION = np.dtype(
    [
        ("code", np.int64),
        ("a", np.float64),
        ("b", np.float64),
        ("first", np.int64),
        ("last", np.int64),
    ],
    align=True,
)

EVENT = np.dtype(
    [  # a row of `events` that is not yet formatted
        ("at", np.int64),
        ("kind", np.int64),  # EventKind
        ("instance_id", np.int64),
        ("task_id", np.int64),
        ("service", np.int64),
        ("sentence", np.int64),  # number of its message, if the kind does not determine it; 0: it does
        ("merged_events", np.int64),  # number of rows right behind it that are reported together with it
        ("desired_before", np.int64),  # the desired count, for events that change it
        ("desired_after", np.int64),
        ("name", np.int64),  # code of the event's name, if it has a message of its own
    ],
    align=True,
)

# Scalars of the world: positions in `State.clock`.
(
    NOW,
    REACHED,
    HEAP_SIZE,
    SEQUENCE,
    NEXT_TASK,
    NEXT_INSTANCE,
    FREE_TASKS,
    FREE_INSTANCES,
    FINISHED,
    LOST,
    FREED,
    WAITING_SHAPES,
    WAITING_TASKS,
    DIRTY,
    BELLS,
    ROUND,
    CAPACITY_EPOCH,
    NEXT_ARRIVAL,
    ARRIVAL_COPY,
    WINDOW_START,
    END,
    PROVISIONING_LIMIT,
    PROVISIONING_TIMEOUT,
    ENTRIES_DONE,
    KERNEL_CALLS,
    STOPPED_SETS,
    CLOSEST,
    ENTRIES_PER_LIFE,
    SETS_USED,
    EVENTS,
    DISCONNECTED,
    REFUSED,
    ASSIGNED,
    ZONES_CHANGED,
    AWAITED,
    TARGET_CHANGES,
    ARRIVALS_LEFT,  # that are not yet in `arrivals`
) = range(37)
CLOCK_SIZE = 40

WAKE_SCHEDULER = 1
WAKE_CAPACITY = 2


class State(NamedTuple):
    """All arrays that a kernel may read and change."""

    clock: Annotated[Array, np.int64, 1]
    heap: Annotated[Array, np.int64, 2]
    tasks: Annotated[Array, TASK, 1]
    free_tasks: Annotated[Array, np.int64, 1]  # stack of free slots
    instances: Annotated[Array, INSTANCE, 1]
    free_instances: Annotated[Array, np.int64, 1]
    hosts: Hosts
    sets: Annotated[Array, TASK_SET, 1]
    strategy_items: Annotated[Array, STRATEGY_ITEM, 1]
    shapes: Annotated[Array, RESOURCE_SHAPE, 1]
    services: Annotated[Array, SERVICE, 1]
    containers: Annotated[Array, CONTAINER, 1]
    dependencies: Annotated[Array, np.int64, 2]  # [row, 2]: container (position in its set), condition
    exit_codes: Annotated[Array, np.int64, 1]  # ignored by restart policies
    container_states: Annotated[Array, CONTAINER_STATE, 2]  # [task slot, container]
    providers: Annotated[Array, PROVIDER, 1]
    classes: Annotated[Array, INSTANCE_CLASS, 1]
    buckets: Annotated[Array, BUCKET, 1]
    fargate_prices: Annotated[Array, FARGATE_PRICE, 1]
    eligible: Annotated[Array, np.uint8, 2]  # [strategy item, class]
    item_zones: Annotated[Array, np.uint8, 2]  # [strategy item, zone]
    fargate_closed: Annotated[Array, np.int64, 2]  # [bucket, zone]: current outages and capacity shortages
    item_ports: Annotated[Array, np.uint64, 2]  # [strategy item, word]
    chains: Annotated[Array, np.int64, 3]  # [set, rule, 2]: placement strategies
    program: Annotated[Array, np.int64, 2]  # [row, 3]: constraint programs of all strategy items
    truth: Annotated[Array, np.uint8, 2]  # [leaf, class]: constant leaves of these programs
    zone_counts: Annotated[Array, np.int32, 2]  # [group, zone]: placed tasks
    group_first: Annotated[Array, np.int64, 1]  # [group]: head of the list of its live tasks
    fact_row: Annotated[
        Array, np.int64, 1
    ]  # [group]: row of hosts.facts that counts its tasks; -1: not counted
    need: Annotated[Array, np.int64, 1]  # [resource]: scratch
    arrivals: Annotated[Array, ARRIVAL, 1]
    distributions: Annotated[Array, DISTRIBUTION, 1]
    distribution_values: Annotated[Array, np.float64, 1]  # of the empirical distributions
    finished_tasks: Annotated[Array, TASK, 1]  # records of finished tasks, until Python takes them
    terminated_instances: Annotated[Array, INSTANCE, 1]  # records of terminated instances, likewise
    events: Annotated[Array, EVENT, 1]  # rows of `events`, until they are formatted
    target_changes: Annotated[Array, CHANGE, 1]  # of exact services, until Python takes them; else no rows
    hosts_with_new_room: Annotated[Array, np.int64, 1]  # slots of hosts that gained room at this instant
    waiting_shapes: Annotated[Array, np.int64, 1]  # shapes of which tasks wait
    daemons: Annotated[Array, np.int64, 1]  # task sets of which every instance runs a task
    dirty: Annotated[Array, np.int64, 1]  # services that the scheduler must reconcile
    todo: Annotated[Array, np.int64, 1]  # [service]: scratch, the services being reconciled
    choice: Annotated[
        Array, np.int64, 2
    ]  # scratch for choosing tasks to stop, see `policy.placement.scale_in_victims`
    placement_failures: Annotated[Array, np.int64, 1]  # [wait reason]: how often
    weight_ms: Annotated[Array, np.int64, 2]  # [group, class]: reserved weight x ms since the period began
    fargate_ms: Annotated[Array, np.int64, 3]  # [group, price x zone, 3]: CPU units, MiB, extra GiB x ms
    class_ms: Annotated[Array, np.int64, 1]  # [class]: billed instance x ms since the period began
    class_ports: Annotated[Array, np.uint64, 2]  # [class, word]: host ports reserved by the agent
    # images and registries
    image_layers: ImageLayers
    image_cache: ImageCache  # [instance slot]
    versions: Annotated[Array, IMAGE_VERSION, 1]
    registries: Annotated[Array, REGISTRY, 1]
    limits: Annotated[Array, PULL_LIMIT, 1]
    windows: Annotated[Array, np.int64, 3]  # [limit, source, 2]
    outage_begins: Annotated[Array, np.int64, 1]
    outage_ends: Annotated[Array, np.int64, 1]
    registry_busy_until: Annotated[
        Array, np.float64, 1
    ]  # [registry]: when it will have delivered all requested bytes
    agents: Annotated[Array, AGENT, 1]  # [class + 1], the last for Fargate
    preloaded: Annotated[Array, np.int64, 1]
    pulls: Annotated[Array, PULL, 1]
    pulled_versions: Annotated[
        Array, np.int64, 2
    ]  # [task slot, pull of its set]: the image version it runs; -1: none yet
    layer_scratch: Annotated[Array, np.int64, 1]  # [layer]: scratch of Fargate's pulls
    # denials by IAM: numbers of sentences, 0: allowed; a place is an instance class, the last is Fargate
    denials: Annotated[
        Array, np.int64, 3
    ]  # [strategy item, place, 2]: before and after the images are pulled
    pull_denials: Annotated[Array, np.int64, 2]  # [pull, place]
    # addresses
    free_addresses: Annotated[Array, np.int64, 1]  # [subnet]
    subnet_zones: Annotated[Array, np.int64, 1]
    item_subnets: Annotated[Array, np.uint8, 2]  # [strategy item, subnet]
    pool_subnets: Annotated[Array, np.uint8, 2]  # [pool, subnet]
    address_words: Annotated[
        Array, np.int64, 2
    ]  # [strategy item, zone]: the sentence when there is no address
