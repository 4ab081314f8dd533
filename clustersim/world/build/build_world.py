"""Construction of an empty world from a scenario; names become numbers here, once.

It builds the tables that stay fixed (instance classes, providers, zones, prices, services) and an empty cluster. Task
sets come from `task_set_tables`, arrivals from `control.standalone_tasks.run_tasks`, tasks and instances from the
controllers. Called by `simulation`.
"""

from __future__ import annotations

import numpy as np

from clustersim.engine.heap import new_heap
from clustersim.engine.records import Array, R, Table, new_table, new_table_2d
from clustersim.policy.load.exact_tables import TargetChangeRow
from clustersim.policy.placement.hosts import INDEX_FROM, Hosts, new_hosts
from clustersim.policy.placement.scale_in_victims import new_choice_scratch
from clustersim.scenario.sections.capacity import InstancePool
from clustersim.scenario.sections.scenario import InstanceType, Scenario
from clustersim.vocabulary import (
    CPU_UNITS_PER_VCPU,
    MIB_PER_GIB,
    MS_PER_HOUR,
    MS_PER_MINUTE,
    NEVER,
    RESOURCES,
    WaitReason,
)
from clustersim.world.build.hazard_tables import no_hazards
from clustersim.world.build.image_tables import image_tables, pool_subnets
from clustersim.world.build.instance_classes import (
    attribute_values,
    build_instance_classes,
    reserved_ports,
    spread_attributes,
    write_keys,
)
from clustersim.world.build.task_set_specs import count_labels, task_group_of_entry
from clustersim.world.scheduling.service_tasks import LAUNCH_CYCLE_MS
from clustersim.world.state import tables, task_tables
from clustersim.world.state.counters import Clock, Counters
from clustersim.world.state.instance_tables import InstanceClassRow, InstanceRow
from clustersim.world.state.world import Names, World, push_free

SPARE_TASKS = 1_024
SPARE_INSTANCES = 64
CHUNK_ROWS = 65_536
INSTANCE_CHUNK_ROWS = 1_024
EVENT_ROWS = 16_384
ARCHITECTURES = ("x86_64", "arm64")
ENTRIES_PER_TASK = 7  # most calendar entries of a task without container lifecycles
CANDIDATES = 256  # tasks to choose from when some stop: the initial room


def payer_groups(scenario: Scenario) -> tuple[list[str], list[int]]:
    """Return the names of the groups that pay for tasks, and the runTasks entry of each.

    `service:NAME` of every service (entry -1) comes first, then the labels of runTasks.
    """
    names = [f"service:{service.name}" for service in scenario.services]
    entries = [-1] * len(names)
    for number, entry in enumerate(scenario.run_tasks):
        labels = [entry.group]
        if entry.trace is not None and entry.trace.groups is not None:
            labels = list(entry.trace.groups)
        names.extend(labels)
        entries.extend([number] * len(labels))
    return names, entries


def task_group_names(scenario: Scenario) -> list[str]:
    """Return the task groups of ECS, of which placement counts the tasks: first that of each service.

    Entries of runTasks with one group, or without one and of one family, share a group (ECS API: RunTask.group).
    """
    names = [f"service:{service.name}" for service in scenario.services]
    for entry in scenario.run_tasks:
        names += [task_group_of_entry(entry, position) for position in range(count_labels(entry))]
    return list(dict.fromkeys(names))


def build_names(scenario: Scenario) -> Names:
    """Return the numbering of everything that the scenario names."""
    groups, entries = payer_groups(scenario)
    return Names(
        services=[service.name for service in scenario.services],
        groups=groups,
        entries=entries,
        task_groups=task_group_names(scenario),
        definitions=[definition.key for definition in scenario.task_definitions],
        providers=[provider.name for provider in scenario.providers] + ["FARGATE", "FARGATE_SPOT", ""],
        pools=[pool.name for pool in scenario.pools],
        types=[kind.name for kind in scenario.instance_types],
        zones=list(scenario.zones),
    )


def fargate_prices(scenario: Scenario) -> Table[tables.FargatePriceRow]:
    """Return the Fargate prices, one row per architecture, on-demand then Spot; zero if unused."""
    prices = new_table(tables.FargatePriceRow, 2 * len(ARCHITECTURES))
    for price in scenario.pricing.fargate:
        row = prices[2 * ARCHITECTURES.index(price.arch) + int(price.spot)]
        row["usd_per_cpu_ms"] = price.vcpu_usd_per_hour / CPU_UNITS_PER_VCPU / MS_PER_HOUR
        row["usd_per_mib_ms"] = price.gb_usd_per_hour / MIB_PER_GIB / MS_PER_HOUR
        row["usd_per_gib_ms"] = price.ephemeral_gb_usd_per_hour / MS_PER_HOUR
    return prices


def fargate_quotas(scenario: Scenario) -> Table[tables.FargateQuotaRow]:
    """Return the launch quotas of Fargate on-demand and of Fargate Spot."""
    quotas = new_table(tables.FargateQuotaRow, 2)
    quotas["interval_us"] = round(1_000_000 / scenario.cluster.fargate_launch_per_second)
    quotas["burst"] = scenario.cluster.fargate_launch_burst
    quota = scenario.cluster.fargate_quota_vcpu
    quotas["cpu_limit"] = NEVER if quota is None else round(quota * CPU_UNITS_PER_VCPU)
    return quotas


def empty_world(scenario: Scenario, replication: int, task_sets: int, fact_rows: int) -> World:
    """Return a world with all fixed tables, nothing running, and room for `task_sets` task sets."""
    names = build_names(scenario)
    classes, attributes, _ = build_instance_classes(scenario, names)
    write_keys(scenario, replication, classes)
    values = attribute_values(attributes, spread_attributes(scenario), names.zones)
    desired = sum(group.desired_capacity for group in scenario.groups)
    instances = desired + SPARE_INSTANCES
    tasks = sum(service.desired_count for service in scenario.services) + SPARE_TASKS
    groups, payers, items = max(1, len(names.task_groups)), max(1, len(names.groups)), 2 * task_sets
    ports = sorted({port for definition in scenario.task_definitions for port in definition.static_ports})
    words = max(1, -(-len(ports) // 64))
    built = _classes_of_pools(scenario, names, classes)
    images = image_tables(scenario, names, built, instances)
    hosts = new_hosts(instances, classes.size, values, words, fact_rows, desired >= INDEX_FROM)
    clock, counters = _initial_scalars(scenario)
    state = tables.State(
        clock=clock,
        counters=counters,
        calendar=_empty_calendar(tasks, instances),
        tasks=_empty_tasks(tasks, groups),
        sets=_empty_sets(task_sets, items, images.agents.size, len(scenario.zones)),
        placement=_placement_tables(scenario, hosts, (task_sets, items, classes.size, words, groups)),
        services=_service_tables(scenario),
        instances=tables.InstanceTables(
            rows=_free_rows(InstanceRow, instances, "instance_id", "instance_class"),
            free=np.zeros(instances, np.int64),
            hosts=hosts,
            hosts_with_new_room=np.zeros(instances, np.int64),
        ),
        capacity=_capacity_tables(scenario, names, classes, reserved_ports(built, ports)),
        images=images,
        outputs=_empty_outputs(scenario, payers, classes.size),
    )
    counters.free_tasks = push_free(state.tasks.free, 0, range(tasks))
    counters.free_instances = push_free(state.instances.free, 0, range(instances))
    return World(scenario, names, state)


def _initial_scalars(scenario: Scenario) -> tuple[Clock, Counters]:
    """Return the scalars of a world in which nothing has happened."""
    clock = Clock(window_start=scenario.warm_up_ms, end=scenario.warm_up_ms + scenario.duration_ms)
    limit, timeout = scenario.cluster.provisioning_limit, scenario.cluster.provisioning_timeout_ms
    counters = Counters(
        next_task_id=1,
        next_instance_id=1,
        entries_per_task=ENTRIES_PER_TASK,
        holds_interfaces=int(scenario.cluster.stopping_tasks_hold_interfaces),
        provisioning_limit=NEVER if limit is None else limit,
        provisioning_timeout=NEVER if timeout is None else timeout,
    )
    return clock, counters


def _classes_of_pools(
    scenario: Scenario, names: Names, classes: Table[InstanceClassRow]
) -> list[tuple[InstancePool, InstanceType]]:
    """Return the pool and the instance type of each class; nothing if there are no pools."""
    kinds = {kind.name: kind for kind in scenario.instance_types}
    return [
        (scenario.pools[row["pool"]], kinds[names.types[row["type"]]])
        for row in (classes if scenario.pools else ())
    ]


def _empty_calendar(tasks: int, instances: int) -> tables.CalendarTables:
    return tables.CalendarTables(
        heap=new_heap(4 * (tasks + instances)),
        arrivals=new_table(tables.ArrivalRow, 0),
        distributions=new_table(tables.DistributionRow, 1),
        distribution_values=np.zeros(1, np.float64),
    )


def _empty_tasks(tasks: int, groups: int) -> tables.TaskTables:
    """Return the tables of `tasks` free slots; `container_tables` and `pull_tables` widen them."""
    return tables.TaskTables(
        rows=_free_rows(task_tables.TaskRow, tasks, "task_id"),
        free=np.zeros(tasks, np.int64),
        container_states=new_table_2d(task_tables.ContainerStateRow, tasks, 0),
        pulled_versions=np.zeros((tasks, 0), np.int64),
        group_first=np.full(groups, NEVER, np.int64),
    )


def _empty_sets(task_sets: int, items: int, places: int, zones: int) -> tables.TaskSetTables:
    """Return tables without task sets; `task_set_tables` fills them."""
    return tables.TaskSetTables(
        rows=new_table(task_tables.TaskSetRow, task_sets),
        strategy_items=new_table(tables.StrategyItemRow, items),
        shapes=new_table(tables.ResourceShapeRow, items),
        containers=new_table(task_tables.ContainerRow, 0),
        dependencies=np.zeros((0, 2), np.int64),
        exit_codes=np.zeros(0, np.int64),
        denials=np.zeros((items, places, 2), np.int64),
        address_words=np.zeros((items, zones), np.int64),
    )


def _placement_tables(
    scenario: Scenario, hosts: Hosts, sizes: tuple[int, int, int, int, int]
) -> tables.PlacementTables:
    """Return the tables of placement before any task set.

    `sizes` are the numbers of sets, strategy items, classes, port words and groups.
    """
    task_sets, items, classes, words, groups = sizes
    zones = len(scenario.zones)
    return tables.PlacementTables(
        eligible=np.zeros((items, classes), np.uint8),
        item_zones=np.zeros((items, zones), np.uint8),
        item_ports=np.zeros((items, words), np.uint64),
        item_subnets=np.zeros((items, len(scenario.subnets)), np.uint8),
        chains=np.zeros((task_sets, 8, 2), np.int64),
        program=np.zeros((0, 3), np.int64),
        truth=np.zeros((1, classes), np.uint8),
        zone_counts=np.zeros((groups, zones), np.int32),
        fact_row=np.full(groups, NEVER, np.int64),
        waiting_shapes=np.zeros(items, np.int64),
        failures=np.zeros(len(WaitReason), np.int64),
        need=np.zeros(RESOURCES, np.int64),
        choice=new_choice_scratch(hosts, CANDIDATES, zones),
    )


def _service_tables(scenario: Scenario) -> tables.ServiceTables:
    """Return the table of services and the lists of services."""
    services = new_table(tables.ServiceRow, len(scenario.services))
    rate = scenario.cluster.service_launch_per_minute / MS_PER_MINUTE
    services["label_set"], services["label_share"] = NEVER, 1.0
    services["launch_tokens"], services["launch_rate"] = 1.0, rate
    # The tokens of one cycle, and the fraction of a task left over from the cycle before.
    services["launch_burst"] = 1.0 + rate * LAUNCH_CYCLE_MS
    services["primary"] = NEVER
    services["exact"] = [each.load is not None and each.load.model == "exact" for each in scenario.services]
    return tables.ServiceTables(
        rows=services,
        dirty=np.zeros(max(1, services.size), np.int64),
        todo=np.zeros(max(1, services.size), np.int64),
        daemons=np.zeros(0, np.int64),
    )


def _capacity_tables(
    scenario: Scenario, names: Names, classes: Table[InstanceClassRow], ports: Array
) -> tables.CapacityTables:
    """Return the tables of providers, instance classes, Fargate and subnets; `ports`: reserved by each class."""
    return tables.CapacityTables(
        providers=new_table(tables.ProviderRow, len(names.providers)),
        classes=classes,
        hazards=no_hazards(classes.size),
        class_ports=ports,
        fargate_quotas=fargate_quotas(scenario),
        fargate_prices=fargate_prices(scenario),
        fargate_closed=np.zeros((2, len(names.zones)), np.int64),
        free_addresses=np.array([subnet.addresses for subnet in scenario.subnets], np.int64),
        subnet_zones=np.array([scenario.zones.index(subnet.zone) for subnet in scenario.subnets], np.int64),
        pool_subnets=pool_subnets(scenario),
    )


def _empty_outputs(scenario: Scenario, payers: int, classes: int) -> tables.OutputTables:
    """Return empty chunks and sums.

    Target changes have rows only if requests of some service are simulated one by one.
    """
    exact = any(each.load is not None and each.load.model == "exact" for each in scenario.services)
    zones = len(scenario.zones)
    return tables.OutputTables(
        finished_tasks=new_table(task_tables.TaskRow, CHUNK_ROWS),
        terminated_instances=new_table(InstanceRow, INSTANCE_CHUNK_ROWS),
        events=new_table(tables.EventRow, EVENT_ROWS),
        target_changes=new_table(TargetChangeRow, CHUNK_ROWS if exact else 0),
        weight_ms=np.zeros((payers, classes)),
        fargate_ms=np.zeros((payers, 2 * len(ARCHITECTURES) * zones, 3), np.int64),
        class_ms=np.zeros(classes, np.int64),
    )


def _free_rows(record: type[R], size: int, *identities: str) -> Table[R]:
    """Return a table whose rows are all free."""
    table = new_table(record, size)
    for identity in identities:
        table[identity] = NEVER
    return table
