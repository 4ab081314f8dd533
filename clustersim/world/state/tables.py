"""What the world is made of: one record per task (`task_records`), container instance, lane, service ...

Each table is a numpy array of records: columns to numpy, rows to a kernel, one argument to both. A *slot* is
a row; a serial (`task_id`, `instance_id`) is an identity: slots are used again, serials never. Instants are
ms since the simulation's first instant, -1 has not happened. This module declares; `transitions` moves.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.policy.images.image_cache import Shelves, Stacks
from clustersim.policy.load.exact_tables import CHANGE
from clustersim.policy.placement.hosts import Hosts
from clustersim.world.state.image_dtypes import AGENT, LIMIT, PULL, REGISTRY, VERSION
from clustersim.world.state.task_tables import CELL, CONTAINER, TASK, TASK_SET

INSTANCE = np.dtype(
    [
        ("instance_id", np.int64),
        ("ordinal", np.int64),  # n-th of its group: the address of its luck
        ("launched", np.int64),
        ("registered", np.int64),
        ("draining", np.int64),
        ("terminated", np.int64),
        ("notice", np.int64),  # Spot: it is reclaimed two minutes later
        ("changed", np.int64),  # a task was last placed here or ended here
        ("touched", np.int64),  # the areas below reach up to this instant
        ("accrued", np.int64),
        ("cpu_area", np.int64),  # reserved CPU units x ms since registration
        ("memory_area", np.int64),  # reserved MiB x ms
        ("tasks_started", np.int64),
        ("cost", np.float64),
        ("klass", np.int64),
        ("first_task", np.int64),
        ("first_promised", np.int64),  # head of the list of tasks that wait for this very instance
        ("task_count", np.int64),
        ("working", np.int64),  # its tasks that are not of daemon services: without any it counts as empty
        ("used_cpu", np.int64),
        ("used_memory", np.int64),
        ("subnet", np.int64),  # of its addresses; -1: none
        ("state", np.int8),
        ("reason", np.int8),
        ("freed", np.int8),  # on the list of hosts that gained room at this instant
        ("terminating", np.int8),  # its group or provider has given it up: it drains, then it is gone
        ("protected", np.int8),  # from scale-in, by its group or by somebody
        ("connected", np.int8),  # its agent: without one nothing is placed, and what runs runs on
    ],
    align=True,
)

LANE = np.dtype(
    [  # a task set on one of the providers of its strategy
        ("set", np.int64),
        ("provider", np.int64),
        ("weight", np.int64),
        ("base", np.int64),
        ("live", np.int64),
        ("missed", np.int64),  # tasks it was given and refused, in the call under way
        ("provision", np.int64),  # distribution of ENI attachment or Fargate start; -1: none
        ("bucket", np.int64),  # Fargate: which launch quota (0 on-demand, 1 Spot)
        ("price", np.int64),  # Fargate: row of the Fargate prices
        ("interruption", np.int64),  # Fargate Spot: distribution of the time to a task's notice; -1: never
        ("retirement", np.int64),  # Fargate: distribution of the time to a task's retirement; -1: never
        ("program_from", np.int64),
        ("program_to", np.int64),
        (
            "short_zones",
            np.int64,
        ),  # Fargate: bits of the zones without an address since the last task that got one
        ("eni", np.int8),
        ("addresses", np.int8),  # each task takes one of a subnet
        ("fargate", np.int8),
        ("managed", np.int8),  # on ECS Managed Instances: for who waits there an instance is launched
        ("queues", np.int8),  # waits in PROVISIONING (capacity provider) or is refused (launch type)
        ("plain", np.int8),  # nothing but resources and class decides whether a host will do
    ],
    align=True,
)

SHAPE = np.dtype(
    [  # tasks of one lane with equal requirements wait in one queue
        ("lane", np.int64),
        ("cpu", np.int64),
        ("memory", np.int64),
        ("gpus", np.int64),
        ("host_ports", np.int64),
        ("head", np.int64),
        ("tail", np.int64),
        ("count", np.int64),
        ("position", np.int64),  # among the shapes that wait; -1: none waits
        ("wait", np.int64),  # the last refusal
        ("reasoned", np.int64),  # when it was found out
        ("tried", np.int64),  # the serving round in which it was found not to fit
    ],
    align=True,
)

SERVICE = np.dtype(
    [
        ("desired", np.int64),
        ("threshold", np.int64),  # ceil(desired x minimumHealthyPercent): available at or above it
        ("least_percent", np.int64),  # minimumHealthyPercent
        ("provisioning", np.int64),
        ("pending", np.int64),
        ("running", np.int64),
        ("healthy", np.int64),
        ("dirty", np.int8),
        ("touched", np.int64),
        ("running_area", np.int64),  # task x ms
        ("available", np.int64),  # ms with running >= threshold
        ("available_healthy", np.int64),
        ("ordinal", np.int64),  # tasks created so far
        ("exact", np.int8),  # its requests are simulated one by one: what befalls its targets is logged
        ("deploying", np.int8),  # its PRIMARY deployment is in progress
        ("steady", np.int8),  # it has what it wants, and ECS has said so
        ("launches", np.float64),  # that its launch rate allows now
        ("launch_rate", np.float64),  # per ms
        ("launch_most", np.float64),  # that may be saved up
        ("refilled", np.int64),
        # what `upkeep` must know of a service with which the scheduler has nothing under way
        ("calm", np.int8),
        ("balances", np.int8),  # its zones are looked at in each new steady state
        ("primary", np.int64),  # the task set of its PRIMARY deployment
        ("never_ran", np.int64),  # tasks of that set that never ran, when the scheduler last looked
    ],
    align=True,
)

PROVIDER = np.dtype(
    [
        ("provisioning", np.int64),
        ("running", np.int64),
        ("instances", np.int64),  # launched and not terminated
        ("registered", np.int64),
        ("touched", np.int64),
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

CLASS = np.dtype(
    [  # instances that nothing distinguishes: pool, type, zone, attributes, purchase option
        ("group", np.int64),  # position in the scenario's pools: its groups, then its managed instances
        ("provider", np.int64),  # row of PROVIDER; groups without a provider share the last
        ("type", np.int64),
        ("zone", np.int64),
        ("cpu", np.int64),
        ("memory", np.int64),
        ("gpus", np.int64),
        ("enis", np.int64),
        ("failure", np.int64),  # distribution of time to failure; -1: never
        ("launch", np.int64),  # distribution of the time from request to registration
        ("interruption", np.int64),  # of a Spot instance's time to its notice, taken singly; -1: never
        ("disconnect", np.int64),  # of the time until its agent loses the connection; -1: never
        ("silence", np.int64),  # of how long the agent is then gone
        ("weight", np.int64),
        ("addresses", np.int64),  # of a subnet that an instance takes for itself
        ("host_ports", np.int64),  # that tasks may have
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
    [  # what RunTask will be asked for next, in order of time
        ("at", np.int64),
        ("duration", np.int64),  # -1: drawn from the set's distribution, -2: runs until stopped
        ("ordinal", np.int64),  # of the first copy
        ("set", np.int32),
        ("shape", np.int32),  # of the set's first lane
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
    [  # a row of `events` to be: what happened, and what its sentence says
        ("at", np.int64),
        ("kind", np.int64),  # EventKind
        ("instance_id", np.int64),
        ("task_id", np.int64),
        ("service", np.int64),
        ("sentence", np.int64),  # number of the words, where they are not those of the kind; 0: they are
        ("more", np.int64),  # events right behind it that are told together with it
        ("before", np.int64),  # the desired count, where it is changed
        ("after", np.int64),
        ("name", np.int64),  # SAID: code of the event's name
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
    PROMISED,
    ZONES_CHANGED,
    AWAITED,
    TARGET_CHANGES,
    ARRIVALS_LEFT,  # behind those that lie in `arrivals`
) = range(37)
CLOCK_SIZE = 40

BELL_SCHEDULER = 1
BELL_CAPACITY = 2


class State(NamedTuple):
    """All that a kernel may see and move: the world as arrays."""

    clock: Annotated[Array, np.int64, 1]
    heap: Annotated[Array, np.int64, 2]
    tasks: Annotated[Array, TASK, 1]
    free_tasks: Annotated[Array, np.int64, 1]  # stack of free slots
    instances: Annotated[Array, INSTANCE, 1]
    free_instances: Annotated[Array, np.int64, 1]
    hosts: Hosts
    sets: Annotated[Array, TASK_SET, 1]
    lanes: Annotated[Array, LANE, 1]
    shapes: Annotated[Array, SHAPE, 1]
    services: Annotated[Array, SERVICE, 1]
    containers: Annotated[Array, CONTAINER, 1]
    dependencies: Annotated[Array, np.int64, 2]  # [row, 2]: container (position in its set), condition
    exit_codes: Annotated[Array, np.int64, 1]  # that restart policies ignore
    cells: Annotated[Array, CELL, 2]  # [task slot, container]
    providers: Annotated[Array, PROVIDER, 1]
    classes: Annotated[Array, CLASS, 1]
    buckets: Annotated[Array, BUCKET, 1]
    fargate_prices: Annotated[Array, FARGATE_PRICE, 1]
    eligible: Annotated[Array, np.uint8, 2]  # [lane, class]
    lane_zones: Annotated[Array, np.uint8, 2]  # [lane, zone]
    fargate_closed: Annotated[Array, np.int64, 2]  # [bucket, zone]: outages and shortages under way
    lane_ports: Annotated[Array, np.uint64, 2]  # [lane, word]
    chains: Annotated[Array, np.int64, 3]  # [set, rule, 2]
    program: Annotated[Array, np.int64, 2]  # [row, 3], of all lanes
    truth: Annotated[Array, np.uint8, 2]  # [leaf, class], of the programs
    zone_counts: Annotated[Array, np.int32, 2]  # [group, zone]: placed tasks
    group_first: Annotated[Array, np.int64, 1]  # [group]: head of the list of its live tasks
    fact_row: Annotated[
        Array, np.int64, 1
    ]  # [group]: row of hosts.facts that counts its tasks; -1: nobody asks
    need: Annotated[Array, np.int64, 1]  # [resource]: scratch
    arrivals: Annotated[Array, ARRIVAL, 1]
    distributions: Annotated[Array, DISTRIBUTION, 1]
    values: Annotated[Array, np.float64, 1]  # of the empirical ones
    finished: Annotated[Array, TASK, 1]  # records of finished tasks, until Python takes them
    lost: Annotated[Array, INSTANCE, 1]  # records of terminated instances
    events: Annotated[Array, EVENT, 1]  # rows of `events` to be, until they are put into words
    target_changes: Annotated[Array, CHANGE, 1]  # of exact services, until Python takes them; else no rows
    freed: Annotated[Array, np.int64, 1]  # slots of hosts that gained room at this instant
    waiting_shapes: Annotated[Array, np.int64, 1]
    daemons: Annotated[Array, np.int64, 1]  # task sets of which every instance must have a task
    dirty: Annotated[Array, np.int64, 1]  # services that the scheduler must look at
    todo: Annotated[Array, np.int64, 1]  # [service]: scratch of a look at them
    choice: Annotated[
        Array, np.int64, 2
    ]  # scratch of choosing whom to stop, `policy.placement.scale_in_victims.choice_scratch`
    refusals: Annotated[Array, np.int64, 1]  # [wait reason]: how often
    weight_ms: Annotated[Array, np.int64, 2]  # [group, class]: reserved weight x ms since the period began
    fargate_ms: Annotated[Array, np.int64, 3]  # [group, price x zone, 3]: CPU units, MiB, extra GiB x ms
    class_ms: Annotated[Array, np.int64, 1]  # [class]: billed instance x ms since the period began
    class_ports: Annotated[Array, np.uint64, 2]  # [class, word]: host ports that the agent keeps
    # images and registries
    stacks: Stacks
    shelves: Shelves  # [instance slot]
    versions: Annotated[Array, VERSION, 1]
    registries: Annotated[Array, REGISTRY, 1]
    limits: Annotated[Array, LIMIT, 1]
    windows: Annotated[Array, np.int64, 3]  # [limit, source, 2]
    outage_begins: Annotated[Array, np.int64, 1]
    outage_ends: Annotated[Array, np.int64, 1]
    served: Annotated[Array, np.float64, 1]  # [registry]: until when it has given out what was asked for
    agents: Annotated[Array, AGENT, 1]  # [class + 1]
    baked: Annotated[Array, np.int64, 1]
    pulls: Annotated[Array, PULL, 1]
    holds: Annotated[Array, np.int64, 2]  # [task slot, pull of its set]: the version it runs; -1: none yet
    seen: Annotated[Array, np.int64, 1]  # [layer]: scratch of Fargate's pulls
    # what IAM refuses: sentences, 0 where it does not; places are classes of instances, the last is Fargate
    denials: Annotated[Array, np.int64, 3]  # [lane, place, 2]: before and after the images are pulled
    pull_denials: Annotated[Array, np.int64, 2]  # [pull, place]
    # addresses
    free_addresses: Annotated[Array, np.int64, 1]  # [subnet]
    subnet_zones: Annotated[Array, np.int64, 1]
    lane_subnets: Annotated[Array, np.uint8, 2]  # [lane, subnet]
    pool_subnets: Annotated[Array, np.uint8, 2]  # [pool, subnet]
    address_words: Annotated[Array, np.int64, 2]  # [lane, zone]: the sentence when there is none
