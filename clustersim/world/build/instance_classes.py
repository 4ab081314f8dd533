"""The instance classes of a scenario: container instances that nothing distinguishes, their capacity and price.

A class is a pool, an instance type, a zone, a combination of custom attributes and a purchase option. Decides nothing
about instances; called by `build_world` and `task_set_tables`, and by what creates or bills instances.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from clustersim.engine.random_streams import stream_key
from clustersim.engine.records import Array, Table, new_table
from clustersim.policy.placement.placement_strategies import SPREAD_ATTRIBUTE, STRATEGIES
from clustersim.policy.pricing.billed_time import HOURS_PER_MONTH
from clustersim.policy.tasks.subnet_addresses import addresses_of_instance
from clustersim.scenario.sections.capacity import InstancePool, ManagedInstancesProvider
from clustersim.scenario.sections.scenario import CustomPlacement, InstanceType, Scenario
from clustersim.vocabulary import CPU_UNITS_PER_VCPU, NEVER, WEIGHT_PER_CPU_UNIT, WEIGHT_PER_MIB
from clustersim.world.state.instance_tables import InstanceClassRow
from clustersim.world.state.world import Names

HOST_PORTS = 100  # of an instance, including those reserved by the agent (MODEL.md)


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
    drained = {provider.name for provider in scenario.providers if provider.managed_draining}
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
        row["drains_on_notice"] = pool.spot_draining or pool.provider in drained
        row["provider"] = names.providers.index(pool.provider or "")
        row["type"], row["zone"] = names.types.index(kind.name), names.zones.index(zone)
        row["cpu"], row["memory"] = pool.task_capacity(kind)
        row["gpus"] = kind.gpus
        row["host_ports"] = max(0, HOST_PORTS - len(pool.agent.reserved_ports))
        always = isinstance(pool, ManagedInstancesProvider)  # Managed Instances have a trunk interface always
        trunked = (scenario.cluster.awsvpc_trunking or always) and kind.eni_trunk_limit > 0
        row["enis"] = kind.eni_trunk_limit if trunked else kind.eni_task_limit
        row["addresses"] = addresses_of_instance(trunked)
        row["weight"] = WEIGHT_PER_CPU_UNIT * row["cpu"] + WEIGHT_PER_MIB * row["memory"]
        row["usd_per_hour"] = (
            instance_usd_per_hour(kind, spots[c])
            + volume_usd_per_hour(scenario, pool)
            + pool.fee(kind.name) * kind.usd_per_hour
        )
        row["launch"] = NEVER
    attributes = [class_attributes(*row) for row in rows] or [{}]
    return classes, attributes, numbers


def guest_capacity(pool: InstancePool, kind: InstanceType) -> tuple[int, int]:
    """Return the CPU units and MiB of an instance that no task gets: of the guest operating system and its services."""
    cpu, memory = pool.task_capacity(kind)
    return max(0, kind.vcpus * CPU_UNITS_PER_VCPU - cpu), max(0, kind.memory_mib - memory)


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
            if (
                isinstance(rule, CustomPlacement)
                or STRATEGIES[rule.type].code(rule.field) != SPREAD_ATTRIBUTE
            ):
                continue
            name = str(rule.field).removeprefix("attribute:")
            if name not in names:
                names.append(name)
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


def write_keys(scenario: Scenario, replication: int, classes: Array) -> None:
    """Write the random keys of the instances of each pool."""
    for p, pool in enumerate(scenario.pools):
        for purpose in ("launch", "pool"):
            key = stream_key(scenario.seed, replication, f"group/{pool.name}/{purpose}")
            classes[f"{purpose}_key"][classes["pool"] == p] = key


def reserved_ports(kinds: Sequence[tuple[InstancePool, InstanceType]], ports: list[int]) -> Array:
    """Return the host ports that the agent of each class reserves, one bit for each static port of the scenario."""
    reserved = np.zeros((max(1, len(kinds)), max(1, -(-len(ports) // 64))), np.uint64)
    for row, (pool, _) in zip(reserved, kinds, strict=False):
        for bit, port in enumerate(ports):
            if port in pool.agent.reserved_ports:
                row[bit // 64] |= np.uint64(1 << (bit % 64))
    return reserved
