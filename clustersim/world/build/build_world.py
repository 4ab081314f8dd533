"""How a scenario becomes a world: names turn into numbers here, once.

Builds the tables that stay (classes, providers, zones, prices, services) and an empty cluster. Task sets come
from `task_sets`, arrivals from `control.standalone_tasks.run_tasks`, tasks and instances from the controllers. Called
by `simulation`.
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
from clustersim.policy.load.exact_tables import CHANGE
from clustersim.policy.placement.hosts import INDEX_FROM, new_hosts
from clustersim.policy.placement.scale_in_victims import choice_scratch
from clustersim.policy.tasks.subnet_addresses import addresses_of_instance
from clustersim.scenario.sections.capacity import InstancePool
from clustersim.scenario.sections.scenario import Distribution, InstanceType, Scenario
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
from clustersim.world.state import tables
from clustersim.world.state import task_tables as task_records
from clustersim.world.state.tables import State
from clustersim.world.state.world import Names, World, push_free

HOURS_PER_MONTH = 730  # what AWS divides a month's price by
CHUNK_ROWS = 65_536
EVENT_ROWS = 16_384
ARCHITECTURES = ("x86_64", "arm64")
CPU_UNITS = 1_024
ENTRIES_OF_ONE_LIFE = 6  # what the calendar may hold of a task of one life
CANDIDATES = 256  # of those that may be stopped, for whom there is room at first
HOST_PORTS = 100  # of an instance, those that the agent keeps included (MODEL.md)


def group_names(scenario: Scenario) -> tuple[list[str], list[int]]:
    """The groups who pay, `service:NAME` first, then the labels of runTasks; and the entry of each (-1: service)."""
    names = [f"service:{service.name}" for service in scenario.services]
    entries = [-1] * len(names)
    for number, entry in enumerate(scenario.run_tasks):
        labels = [entry.group]
        if entry.trace is not None and entry.trace.groups is not None:
            labels = list(entry.trace.groups)
        names.extend(labels)
        entries.extend([number] * len(labels))
    return names, entries


def names_of(scenario: Scenario) -> Names:
    """The numbering of everything that the scenario names."""
    groups, entries = group_names(scenario)
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


def deals_of(pool: InstancePool) -> int:
    """How many different sets of attribute values the pool deals out in turn."""
    return math.lcm(1, *(len(values) for _, values in pool.attributes))


def class_attributes(pool: InstancePool, kind: InstanceType, zone: str, deal: int) -> dict[str, str]:
    """The built-in and custom attributes of an instance (Developer Guide: task placement constraints)."""
    attributes = {
        "ecs.availability-zone": zone,
        "ecs.instance-type": kind.name,
        "ecs.os-type": "linux",
        "ecs.os-family": "linux",
        "ecs.cpu-architecture": kind.arch,
    }
    for name, values in pool.attributes:
        attributes[name] = values[deal % len(values)]
    return attributes


def classes_of(
    scenario: Scenario, names: Names
) -> tuple[Array, list[dict[str, str]], dict[tuple[int, ...], int]]:
    """The classes of instances, their attributes, and the class of (pool, type, zone, deal, whether Spot)."""
    kinds = {kind.name: kind for kind in scenario.instance_types}
    rows: list[tuple[InstancePool, InstanceType, str, int]] = []
    numbers: dict[tuple[int, ...], int] = {}
    pools, spots = [], []
    for p, pool in enumerate(scenario.pools):
        for type_name, zone, deal, option in itertools.product(
            pool.instance_types, pool.zones, range(deals_of(pool)), pool.purchase_options
        ):
            spot = option == "spot"
            numbers[p, names.types.index(type_name), names.zones.index(zone), deal, int(spot)] = len(rows)
            rows.append((pool, kinds[type_name], zone, deal))
            pools.append(p)
            spots.append(spot)
    classes = np.zeros(max(1, len(rows)), tables.CLASS)
    classes["weight"] = 1
    for c, (pool, kind, zone, _) in enumerate(rows):
        row = classes[c]
        row["group"], row["spot"] = pools[c], spots[c]
        row["drains_on_notice"] = pool.spot_draining
        row["provider"] = names.providers.index(pool.provider or "")
        row["type"], row["zone"] = names.types.index(kind.name), names.zones.index(zone)
        row["cpu"], row["memory"] = room_of(pool, kind)
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
        for luck in ("failure", "launch", "interruption", "disconnect", "silence"):
            row[luck] = NEVER
    attributes = [class_attributes(*row) for row in rows] or [{}]
    return classes, attributes, numbers


def room_of(pool: InstancePool, kind: InstanceType) -> tuple[int, int]:
    """CPU units and MiB of an instance for tasks: what the agent registers, or what a machine's guest leaves."""
    if pool.machines is None:
        return kind.registered_cpu, max(0, kind.registered_memory_mib - pool.agent.reserved_memory_mib)
    return kind.vcpus * CPU_UNITS - pool.machines.guest_cpu, kind.memory_mib - pool.machines.guest_memory_mib


def guest_of(pool: InstancePool, kind: InstanceType) -> tuple[int, int]:
    """CPU units and MiB of an instance that no task gets: the guest operating system, and who works for it."""
    cpu, memory = room_of(pool, kind)
    return max(0, kind.vcpus * CPU_UNITS - cpu), max(0, kind.memory_mib - memory)


def instance_usd_per_hour(kind: InstanceType, spot: bool) -> float:
    """The instance's own price: on-demand, or the Spot price."""
    return kind.spot_usd_per_hour if spot and kind.spot_usd_per_hour is not None else kind.usd_per_hour


def volume_usd_per_hour(scenario: Scenario, pool: InstancePool) -> float:
    """The price of the EBS root volume (gp3) of one instance."""
    return scenario.pricing.ebs_usd_per_gib_month * pool.root_volume_gib / HOURS_PER_MONTH


def spread_attributes(scenario: Scenario) -> list[str]:
    """The attributes that some strategy spreads over, the Availability Zone always first."""
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
    """Value numbers, int32[attribute, class]; -1 where a class lacks the attribute."""
    values = np.full((len(spread), len(attributes)), NEVER, np.int32)
    for a, name in enumerate(spread):
        known = list(zones) if a == 0 else []
        for c, of_class in enumerate(attributes):
            word = of_class.get(name)
            if word is not None:
                if word not in known:
                    known.append(word)
                values[a, c] = known.index(word)
    return values


def fargate_prices(scenario: Scenario) -> Array:
    """Rows (architecture, on-demand then Spot); zero where the scenario uses no such price."""
    prices = np.zeros(2 * len(ARCHITECTURES), tables.FARGATE_PRICE)
    for price in scenario.pricing.fargate:
        row = prices[2 * ARCHITECTURES.index(price.arch) + int(price.spot)]
        row["usd_per_cpu_ms"] = price.vcpu_usd_per_hour / CPU_UNITS / MS_PER_HOUR
        row["usd_per_mib_ms"] = price.gb_usd_per_hour / MIB_PER_GIB / MS_PER_HOUR
        row["usd_per_gib_ms"] = price.ephemeral_gb_usd_per_hour / MS_PER_HOUR
    return prices


def fargate_buckets(scenario: Scenario) -> Array:
    """The launch quota of Fargate on-demand and of Fargate Spot."""
    buckets = np.zeros(2, tables.BUCKET)
    buckets["interval_us"] = round(1_000_000 / scenario.cluster.fargate_launch_per_second)
    buckets["burst"] = scenario.cluster.fargate_launch_burst
    quota = scenario.cluster.fargate_quota_vcpu
    buckets["cpu_limit"] = NEVER if quota is None else round(quota * CPU_UNITS)
    return buckets


class Distributions:
    """Interns distributions as rows of `State.distributions`."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, float, float, tuple[float, ...]], int] = {}

    def row(self, distribution: Distribution | None) -> int:
        """The row of `distribution`, -1 for None."""
        if distribution is None:
            return NEVER
        key = (distribution.code, distribution.a, distribution.b, distribution.values)
        return self._rows.setdefault(key, len(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    def arrays(self) -> tuple[Array, Array]:
        """(`State.distributions`, `State.values`)."""
        table = np.zeros(max(1, len(self._rows)), tables.DISTRIBUTION)
        values: list[float] = []
        for r, (code, a, b, empirical) in enumerate(self._rows):
            first = len(values)
            values.extend(empirical)
            table[r] = (code, a, b, first, len(values))
        return table, np.array(values or [0.0], np.float64)


def empty_world(scenario: Scenario, replication: int, task_sets: int, fact_rows: int) -> World:
    """A world with all fixed tables, nothing running, and room for `task_sets` sets."""
    lanes, shapes = 2 * task_sets, 2 * task_sets
    names = names_of(scenario)
    classes, attributes, _ = classes_of(scenario, names)
    _write_keys(scenario, replication, classes)
    values = attribute_values(attributes, spread_attributes(scenario), names.zones)
    instances = sum(group.desired_capacity for group in scenario.groups) + 64
    tasks = sum(service.desired_count for service in scenario.services) + 1_024
    ports = sorted({port for definition in scenario.task_definitions for port in definition.static_ports})
    words = max(1, -(-len(ports) // 64))
    groups = max(1, len(names.groups))
    zones = len(names.zones)
    clock = _first_clock(scenario)
    hosts = new_hosts(instances, classes.size, values, words, fact_rows, instances - 64 >= INDEX_FROM)
    state = State(
        clock=clock,
        heap=new_heap(4 * (tasks + instances)),
        tasks=_free_rows(tasks, task_records.TASK, "task_id"),
        free_tasks=np.zeros(tasks, np.int64),
        instances=_free_rows(instances, tables.INSTANCE, "instance_id", "klass"),
        free_instances=np.zeros(instances, np.int64),
        hosts=hosts,
        sets=np.zeros(task_sets, task_records.TASK_SET),
        lanes=np.zeros(lanes, tables.LANE),
        shapes=np.zeros(shapes, tables.SHAPE),
        **_of_services(scenario),
        **_no_containers(tasks),
        providers=np.zeros(len(names.providers), tables.PROVIDER),
        classes=classes,
        buckets=fargate_buckets(scenario),
        fargate_prices=fargate_prices(scenario),
        eligible=np.zeros((lanes, classes.size), np.uint8),
        lane_zones=np.zeros((lanes, zones), np.uint8),
        fargate_closed=np.zeros((2, zones), np.int64),
        lane_ports=np.zeros((lanes, words), np.uint64),
        chains=np.zeros((task_sets, 8, 2), np.int64),
        program=np.zeros((0, 3), np.int64),
        truth=np.zeros((1, classes.size), np.uint8),
        zone_counts=np.zeros((groups, zones), np.int32),
        group_first=np.full(groups, NEVER, np.int64),
        fact_row=np.full(groups, NEVER, np.int64),
        need=np.zeros(RESOURCES, np.int64),
        arrivals=np.zeros(0, tables.ARRIVAL),
        distributions=np.zeros(1, tables.DISTRIBUTION),
        values=np.zeros(1, np.float64),
        finished=np.zeros(CHUNK_ROWS, task_records.TASK),
        lost=np.zeros(1_024, tables.INSTANCE),
        events=np.zeros(EVENT_ROWS, tables.EVENT),
        freed=np.zeros(instances, np.int64),
        waiting_shapes=np.zeros(shapes, np.int64),
        daemons=np.zeros(0, np.int64),
        choice=choice_scratch(hosts, CANDIDATES, zones),
        refusals=np.zeros(len(WaitReason), np.int64),
        **_no_use(groups, classes.size, zones),
        **_of_images(scenario, names, classes, ports, (tasks, instances, lanes)),
    )
    push_free(state.free_tasks, clock, tables.FREE_TASKS, 0, tasks)
    push_free(state.free_instances, clock, tables.FREE_INSTANCES, 0, instances)
    return World(scenario, names, state)


def _of_services(scenario: Scenario) -> dict[str, Any]:
    """The table of services, lists of them, and the log of their targets, which has rows only for exact requests."""
    services = np.zeros(len(scenario.services), tables.SERVICE)
    rate = scenario.cluster.service_launch_per_minute / MS_PER_MINUTE
    services["launches"], services["launch_rate"] = 1.0, rate
    # A cycle's worth, and the part of a task that the cycle before could not launch.
    services["launch_most"] = 1.0 + rate * LAUNCH_CYCLE_MS
    services["primary"] = NEVER
    services["exact"] = [each.load is not None and each.load.model == "exact" for each in scenario.services]
    rows = CHUNK_ROWS if services["exact"].any() else 0
    return {
        "services": services,
        "dirty": np.zeros(max(1, services.size), np.int64),
        "todo": np.zeros(max(1, services.size), np.int64),
        "target_changes": np.zeros(rows, CHANGE),
    }


def _of_images(
    scenario: Scenario, names: Names, classes: Array, ports: list[int], room: tuple[int, int, int]
) -> dict[str, Any]:
    """What tasks and instances take from registries, agents and subnets; `room` is for tasks, instances, lanes."""
    tasks, instances, lanes = room
    kinds = {kind.name: kind for kind in scenario.instance_types}
    built = [
        (scenario.pools[row["group"]], kinds[names.types[row["type"]]])
        for row in (classes if scenario.pools else ())
    ]
    of_images = image_tables(scenario, names, built, instances)
    return {
        **of_images,
        "class_ports": _kept_ports(built, ports),
        "holds": np.zeros((tasks, 0), np.int64),
        "denials": np.zeros((lanes, of_images["agents"].size, 2), np.int64),
        **subnet_tables(scenario),
        "lane_subnets": np.zeros((lanes, len(scenario.subnets)), np.uint8),
        "address_words": np.zeros((lanes, len(scenario.zones)), np.int64),
    }


def _kept_ports(kinds: Sequence[tuple[InstancePool, InstanceType]], ports: list[int]) -> Array:
    """The host ports that the agent of each class keeps, a bit for each static port of the scenario."""
    kept = np.zeros((max(1, len(kinds)), max(1, -(-len(ports) // 64))), np.uint64)
    for row, (pool, _) in zip(kept, kinds, strict=False):
        for bit, port in enumerate(ports):
            if port in pool.agent.reserved_ports:
                row[bit // 64] |= np.uint64(1 << (bit % 64))
    return kept


def _no_use(groups: int, classes: int, zones: int) -> dict[str, Any]:
    """What is billed or reserved in a cost period, before the first."""
    return {
        "weight_ms": np.zeros((groups, classes), np.int64),
        "fargate_ms": np.zeros((groups, 2 * len(ARCHITECTURES) * zones, 3), np.int64),
        "class_ms": np.zeros(classes, np.int64),
    }


def _no_containers(tasks: int) -> dict[str, Any]:
    """The tables of containers with lives of their own; `container_rows` makes them longer."""
    return {
        "containers": np.zeros(0, task_records.CONTAINER),
        "dependencies": np.zeros((0, 2), np.int64),
        "exit_codes": np.zeros(0, np.int64),
        "cells": np.zeros((tasks, 0), task_records.CELL),
    }


def _write_keys(scenario: Scenario, replication: int, classes: Array) -> None:
    """Where the luck of each pool's instances lives."""
    for p, pool in enumerate(scenario.pools):
        for luck in ("failure", "launch", "interruption", "pool", "agent"):
            key = stream_key(scenario.seed, replication, f"group/{pool.name}/{luck}")
            classes[f"{luck}_key"][classes["group"] == p] = key


def _first_clock(scenario: Scenario) -> Array:
    """The scalars of a world in which nothing has happened."""
    clock = np.zeros(tables.CLOCK_SIZE, np.int64)
    clock[tables.NEXT_TASK] = clock[tables.NEXT_INSTANCE] = 1
    clock[tables.WINDOW_START] = scenario.warm_up_ms
    clock[tables.END] = scenario.warm_up_ms + scenario.duration_ms
    clock[tables.ENTRIES_PER_LIFE] = ENTRIES_OF_ONE_LIFE
    limit, timeout = scenario.cluster.provisioning_limit, scenario.cluster.provisioning_timeout_ms
    clock[tables.PROVISIONING_LIMIT] = NEVER if limit is None else limit
    clock[tables.PROVISIONING_TIMEOUT] = NEVER if timeout is None else timeout
    return clock


def _free_rows(size: int, dtype: np.dtype[np.void], *identities: str) -> Array:
    """A table whose rows are all free."""
    table = np.zeros(size, dtype)
    for identity in identities:
        table[identity] = NEVER
    return table
