"""Construction of an empty world from a scenario; names become numbers here, once.

It builds the tables that stay fixed (instance classes, providers, zones, prices, services) and an empty cluster. Task
sets come from `task_set_tables`, arrivals from `control.standalone_tasks.run_tasks`, tasks and instances from the
controllers. Called by `simulation`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.engine.heap import new_heap
from clustersim.engine.random_streams import stream_key
from clustersim.engine.records import R, Table, new_table, new_table_2d
from clustersim.policy.load.exact_tables import TargetChangeRow
from clustersim.policy.placement.hosts import INDEX_FROM, new_hosts
from clustersim.policy.placement.scale_in_victims import new_choice_scratch
from clustersim.policy.tasks.subnet_addresses import addresses_of_instance
from clustersim.scenario.sections.capacity import InstancePool
from clustersim.scenario.sections.scenario import InstanceType, Scenario
from clustersim.vocabulary import (
    MIB_PER_GIB,
    MS_PER_HOUR,
    MS_PER_MINUTE,
    NEVER,
    RESOURCES,
    WEIGHT_PER_CPU_UNIT,
    WEIGHT_PER_MIB,
    WaitReason,
)
from clustersim.world.build.image_tables import image_tables, subnet_tables
from clustersim.world.scheduling.steady_services import LAUNCH_CYCLE_MS
from clustersim.world.state import tables, task_tables
from clustersim.world.state.counters import Clock, Counters
from clustersim.world.state.instance_tables import InstanceClassRow, InstanceRow
from clustersim.world.state.tables import State
from clustersim.world.state.world import Names, World, push_free

HOURS_PER_MONTH = 730  # AWS divides monthly prices by it
CHUNK_ROWS = 65_536
EVENT_ROWS = 16_384
ARCHITECTURES = ("x86_64", "arm64")
CPU_UNITS = 1_024
ENTRIES_PER_TASK = 7  # most calendar entries of a task without container lifecycles
CANDIDATES = 256  # tasks to choose from when some stop: the initial room
HOST_PORTS = 100  # of an instance, including those reserved by the agent (MODEL.md)


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


def build_names(scenario: Scenario) -> Names:
    """Return the numbering of everything that the scenario names."""
    groups, entries = payer_groups(scenario)
    return Names(
        services=[service.name for service in scenario.services],
        groups=groups,
        entries=entries,
        definitions=[definition.key for definition in scenario.task_definitions],
        providers=[provider.name for provider in scenario.providers] + ["FARGATE", "FARGATE_SPOT", ""],
        pools=[pool.name for pool in scenario.pools],
        types=[kind.name for kind in scenario.instance_types],
        zones=list(scenario.zones),
    )


def count_attribute_combinations(pool: InstancePool) -> int:
    """Return how many combinations of attribute values the instances of a pool cycle through."""
    return math.lcm(1, *(len(values) for _, values in pool.attributes))


def class_attributes(pool: InstancePool, kind: InstanceType, zone: str, combination: int) -> dict[str, str]:
    """Return the built-in and custom attributes of an instance (Developer Guide: task placement constraints)."""
    attributes = {
        "ecs.availability-zone": zone,
        "ecs.instance-type": kind.name,
        "ecs.os-type": "linux",
        "ecs.os-family": "linux",
        "ecs.cpu-architecture": kind.arch,
    }
    for name, values in pool.attributes:
        attributes[name] = values[combination % len(values)]
    return attributes


def build_instance_classes(
    scenario: Scenario, names: Names
) -> tuple[Table[InstanceClassRow], list[dict[str, str]], dict[tuple[int, ...], int]]:
    """Return the instance classes, their attributes, and the numbers of the classes.

    The numbers are by (pool, type, zone, attribute combination, is Spot).
    """
    kinds = {kind.name: kind for kind in scenario.instance_types}
    rows: list[tuple[InstancePool, InstanceType, str, int]] = []
    numbers: dict[tuple[int, ...], int] = {}
    pools, spots = [], []
    for p, pool in enumerate(scenario.pools):
        for type_name, zone, combination, option in itertools.product(
            pool.instance_types, pool.zones, range(count_attribute_combinations(pool)), pool.purchase_options
        ):
            spot = option == "spot"
            numbers[p, names.types.index(type_name), names.zones.index(zone), combination, int(spot)] = len(
                rows
            )
            rows.append((pool, kinds[type_name], zone, combination))
            pools.append(p)
            spots.append(spot)
    classes = new_table(InstanceClassRow, max(1, len(rows)))
    classes["weight"] = 1
    for c, (pool, kind, zone, _) in enumerate(rows):
        row = classes[c]
        row["pool"], row["spot"] = pools[c], spots[c]
        row["drains_on_notice"] = pool.spot_draining
        row["provider"] = names.providers.index(pool.provider or "")
        row["type"], row["zone"] = names.types.index(kind.name), names.zones.index(zone)
        row["cpu"], row["memory"] = task_capacity(pool, kind)
        row["gpus"] = kind.gpus
        row["host_ports"] = max(0, HOST_PORTS - len(pool.agent.reserved_ports))
        trunked = scenario.cluster.awsvpc_trunking and kind.eni_trunk_limit > 0
        row["enis"] = kind.eni_trunk_limit if trunked else kind.eni_task_limit
        row["addresses"] = addresses_of_instance(trunked)
        row["weight"] = WEIGHT_PER_CPU_UNIT * row["cpu"] + WEIGHT_PER_MIB * row["memory"]
        row["usd_per_hour"] = (
            instance_usd_per_hour(kind, spots[c])
            + volume_usd_per_hour(scenario, pool)
            + pool.fee * kind.usd_per_hour
        )
        for column in ("failure", "launch", "interruption", "disconnect", "disconnect_duration"):
            row[column] = NEVER
    attributes = [class_attributes(*row) for row in rows] or [{}]
    return classes, attributes, numbers


def task_capacity(pool: InstancePool, kind: InstanceType) -> tuple[int, int]:
    """Return the CPU units and MiB of an instance for tasks.

    The agent registers them, or the guest operating system of a virtual machine leaves them.
    """
    if pool.machines is None:
        return kind.registered_cpu, max(0, kind.registered_memory_mib - pool.agent.reserved_memory_mib)
    return kind.vcpus * CPU_UNITS - pool.machines.guest_cpu, kind.memory_mib - pool.machines.guest_memory_mib


def guest_capacity(pool: InstancePool, kind: InstanceType) -> tuple[int, int]:
    """Return the CPU units and MiB of an instance that no task gets: of the guest operating system and its services."""
    cpu, memory = task_capacity(pool, kind)
    return max(0, kind.vcpus * CPU_UNITS - cpu), max(0, kind.memory_mib - memory)


def instance_usd_per_hour(kind: InstanceType, spot: bool) -> float:
    """Return the price of the instance itself: on-demand, or the Spot price."""
    return kind.spot_usd_per_hour if spot and kind.spot_usd_per_hour is not None else kind.usd_per_hour


def volume_usd_per_hour(scenario: Scenario, pool: InstancePool) -> float:
    """Return the price of the EBS root volume (gp3) of one instance."""
    return scenario.pricing.ebs_usd_per_gib_month * pool.root_volume_gib / HOURS_PER_MONTH


def spread_attributes(scenario: Scenario) -> list[str]:
    """Return the attributes that some strategy spreads over; the Availability Zone is always first."""
    names = ["ecs.availability-zone"]
    strategies = [each.placement_strategy for each in scenario.services]
    strategies += [each.placement_strategy for each in scenario.run_tasks]
    for strategy in strategies:
        for rule in strategy:
            field = (rule.field or "").removeprefix("attribute:")
            if rule.type == "spread" and field not in ("instanceId", "host") and field not in names:
                names.append(field)
    return names


def attribute_values(attributes: list[dict[str, str]], spread: list[str], zones: list[str]) -> Array:
    """Return value numbers, int32[attribute, class]; -1 where a class lacks the attribute."""
    values = np.full((len(spread), len(attributes)), NEVER, np.int32)
    for a, name in enumerate(spread):
        known = list(zones) if a == 0 else []
        for c, of_class in enumerate(attributes):
            value = of_class.get(name)
            if value is not None:
                if value not in known:
                    known.append(value)
                values[a, c] = known.index(value)
    return values


def fargate_prices(scenario: Scenario) -> Table[tables.FargatePriceRow]:
    """Return the Fargate prices, one row per architecture, on-demand then Spot; zero if unused."""
    prices = new_table(tables.FargatePriceRow, 2 * len(ARCHITECTURES))
    for price in scenario.pricing.fargate:
        row = prices[2 * ARCHITECTURES.index(price.arch) + int(price.spot)]
        row["usd_per_cpu_ms"] = price.vcpu_usd_per_hour / CPU_UNITS / MS_PER_HOUR
        row["usd_per_mib_ms"] = price.gb_usd_per_hour / MIB_PER_GIB / MS_PER_HOUR
        row["usd_per_gib_ms"] = price.ephemeral_gb_usd_per_hour / MS_PER_HOUR
    return prices


def fargate_buckets(scenario: Scenario) -> Table[tables.FargateQuotaRow]:
    """Return the launch quotas of Fargate on-demand and of Fargate Spot."""
    buckets = new_table(tables.FargateQuotaRow, 2)
    buckets["interval_us"] = round(1_000_000 / scenario.cluster.fargate_launch_per_second)
    buckets["burst"] = scenario.cluster.fargate_launch_burst
    quota = scenario.cluster.fargate_quota_vcpu
    buckets["cpu_limit"] = NEVER if quota is None else round(quota * CPU_UNITS)
    return buckets


def empty_world(scenario: Scenario, replication: int, task_sets: int, fact_rows: int) -> World:
    """Return a world with all fixed tables, nothing running, and room for `task_sets` task sets."""
    items, shapes = 2 * task_sets, 2 * task_sets
    names = build_names(scenario)
    classes, attributes, _ = build_instance_classes(scenario, names)
    _write_keys(scenario, replication, classes)
    values = attribute_values(attributes, spread_attributes(scenario), names.zones)
    instances = sum(group.desired_capacity for group in scenario.groups) + 64
    tasks = sum(service.desired_count for service in scenario.services) + 1_024
    ports = sorted({port for definition in scenario.task_definitions for port in definition.static_ports})
    words = max(1, -(-len(ports) // 64))
    groups = max(1, len(names.groups))
    zones = len(names.zones)
    hosts = new_hosts(instances, classes.size, values, words, fact_rows, instances - 64 >= INDEX_FROM)
    state = State(
        **_initial_scalars(scenario),
        heap=new_heap(4 * (tasks + instances)),
        tasks=_free_rows(task_tables.TaskRow, tasks, "task_id"),
        free_tasks=np.zeros(tasks, np.int64),
        instances=_free_rows(InstanceRow, instances, "instance_id", "instance_class"),
        free_instances=np.zeros(instances, np.int64),
        hosts=hosts,
        sets=new_table(task_tables.TaskSetRow, task_sets),
        strategy_items=new_table(tables.StrategyItemRow, items),
        shapes=new_table(tables.ResourceShapeRow, shapes),
        **_service_tables(scenario),
        **_container_tables(tasks),
        providers=new_table(tables.ProviderRow, len(names.providers)),
        classes=classes,
        buckets=fargate_buckets(scenario),
        fargate_prices=fargate_prices(scenario),
        eligible=np.zeros((items, classes.size), np.uint8),
        item_zones=np.zeros((items, zones), np.uint8),
        fargate_closed=np.zeros((2, zones), np.int64),
        item_ports=np.zeros((items, words), np.uint64),
        chains=np.zeros((task_sets, 8, 2), np.int64),
        program=np.zeros((0, 3), np.int64),
        truth=np.zeros((1, classes.size), np.uint8),
        zone_counts=np.zeros((groups, zones), np.int32),
        group_first=np.full(groups, NEVER, np.int64),
        fact_row=np.full(groups, NEVER, np.int64),
        need=np.zeros(RESOURCES, np.int64),
        arrivals=new_table(tables.ArrivalRow, 0),
        distributions=new_table(tables.DistributionRow, 1),
        distribution_values=np.zeros(1, np.float64),
        finished_tasks=new_table(task_tables.TaskRow, CHUNK_ROWS),
        terminated_instances=new_table(InstanceRow, 1_024),
        events=new_table(tables.EventRow, EVENT_ROWS),
        hosts_with_new_room=np.zeros(instances, np.int64),
        waiting_shapes=np.zeros(shapes, np.int64),
        daemons=np.zeros(0, np.int64),
        choice=new_choice_scratch(hosts, CANDIDATES, zones),
        placement_failures=np.zeros(len(WaitReason), np.int64),
        **_usage_tables(groups, classes.size, zones),
        **_image_tables(scenario, names, classes, ports, (tasks, instances, items)),
    )
    state.counters.free_tasks = push_free(state.free_tasks, 0, range(tasks))
    state.counters.free_instances = push_free(state.free_instances, 0, range(instances))
    return World(scenario, names, state)


def _service_tables(scenario: Scenario) -> dict[str, Any]:
    """Return the table of services, lists of services, and the log of target changes.

    The log has rows only if requests of some service are simulated one by one.
    """
    services = new_table(tables.ServiceRow, len(scenario.services))
    rate = scenario.cluster.service_launch_per_minute / MS_PER_MINUTE
    services["launch_tokens"], services["launch_rate"] = 1.0, rate
    # The tokens of one cycle, and the fraction of a task left over from the cycle before.
    services["launch_burst"] = 1.0 + rate * LAUNCH_CYCLE_MS
    services["primary"] = NEVER
    services["exact"] = [each.load is not None and each.load.model == "exact" for each in scenario.services]
    rows = CHUNK_ROWS if services["exact"].any() else 0
    return {
        "services": services,
        "dirty": np.zeros(max(1, services.size), np.int64),
        "todo": np.zeros(max(1, services.size), np.int64),
        "target_changes": new_table(TargetChangeRow, rows),
    }


def _image_tables(
    scenario: Scenario, names: Names, classes: Array, ports: list[int], room: tuple[int, int, int]
) -> dict[str, Any]:
    """Return the tables of registries, agents and subnets.

    `room` is the number of tasks, instances and strategy items.
    """
    tasks, instances, items = room
    kinds = {kind.name: kind for kind in scenario.instance_types}
    built = [
        (scenario.pools[row["pool"]], kinds[names.types[row["type"]]])
        for row in (classes if scenario.pools else ())
    ]
    of_images = image_tables(scenario, names, built, instances)
    return {
        **of_images,
        "class_ports": _reserved_ports(built, ports),
        "pulled_versions": np.zeros((tasks, 0), np.int64),
        "denials": np.zeros((items, of_images["agents"].size, 2), np.int64),
        **subnet_tables(scenario),
        "item_subnets": np.zeros((items, len(scenario.subnets)), np.uint8),
        "address_words": np.zeros((items, len(scenario.zones)), np.int64),
    }


def _reserved_ports(kinds: Sequence[tuple[InstancePool, InstanceType]], ports: list[int]) -> Array:
    """Return the host ports that the agent of each class reserves, one bit for each static port of the scenario."""
    reserved = np.zeros((max(1, len(kinds)), max(1, -(-len(ports) // 64))), np.uint64)
    for row, (pool, _) in zip(reserved, kinds, strict=False):
        for bit, port in enumerate(ports):
            if port in pool.agent.reserved_ports:
                row[bit // 64] |= np.uint64(1 << (bit % 64))
    return reserved


def _usage_tables(groups: int, classes: int, zones: int) -> dict[str, Any]:
    """Return the usage of a cost period, all zero."""
    return {
        "weight_ms": np.zeros((groups, classes)),
        "fargate_ms": np.zeros((groups, 2 * len(ARCHITECTURES) * zones, 3), np.int64),
        "class_ms": np.zeros(classes, np.int64),
    }


def _container_tables(tasks: int) -> dict[str, Any]:
    """Return the empty tables of containers with lifecycles of their own; `container_tables` extends them."""
    return {
        "containers": new_table(task_tables.ContainerRow, 0),
        "dependencies": np.zeros((0, 2), np.int64),
        "exit_codes": np.zeros(0, np.int64),
        "container_states": new_table_2d(task_tables.ContainerStateRow, tasks, 0),
    }


def _write_keys(scenario: Scenario, replication: int, classes: Array) -> None:
    """Write the random keys of the instances of each pool."""
    for p, pool in enumerate(scenario.pools):
        for purpose in ("failure", "launch", "interruption", "pool", "agent"):
            key = stream_key(scenario.seed, replication, f"group/{pool.name}/{purpose}")
            classes[f"{purpose}_key"][classes["pool"] == p] = key


def _initial_scalars(scenario: Scenario) -> dict[str, Any]:
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
    return {"clock": clock, "counters": counters}


def _free_rows(record: type[R], size: int, *identities: str) -> Table[R]:
    """Return a table whose rows are all free."""
    table = new_table(record, size)
    for identity in identities:
        table[identity] = NEVER
    return table
