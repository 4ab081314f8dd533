"""Hazards of instances and Fargate tasks, as rows of the table of distributions.

Lists what may befall instances of each class (`hazards_of_class`), writes it into a table, and determines the same for
Fargate tasks. `policy.capacity.interruption_rates` has the rates; the times are drawn when an instance or a task
starts, and `world.instances.interruptions` carries out what is due. Called by `simulation` and `task_set_tables`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from clustersim.engine.random_streams import EXPONENTIAL, stream_key
from clustersim.engine.records import Table2D, new_table_2d
from clustersim.policy.capacity.interruption_rates import InterruptionRates, monthly_rate, split_rate
from clustersim.scenario.sections.capacity import InstancePool
from clustersim.scenario.sections.failures import SpotInterruptions
from clustersim.scenario.sections.scenario import Distribution, Scenario
from clustersim.vocabulary import AGENT_DISCONNECTS, ENTRY_KINDS, INSTANCE_FAILS, NEVER, SPOT_NOTICE_DUE
from clustersim.world.build.distribution_table import Distributions
from clustersim.world.state.instance_tables import HazardRow
from clustersim.world.state.world import World


def interruption_rates(interruptions: SpotInterruptions, share: float | None) -> InterruptionRates | None:
    """Return the interruption rates for `share` interruptions a month; None where no rates apply."""
    if interruptions.time_to_interruption is not None or not share:
        return None
    return split_rate(monthly_rate(share), interruptions.pool_share, interruptions.pool_fraction)


def time_to_single_interruption(
    interruptions: SpotInterruptions | None, share: float | None
) -> Distribution | None:
    """Return the time until an instance or a task is interrupted by itself; None: never."""
    if interruptions is None:
        return None
    if interruptions.time_to_interruption is not None:
        return interruptions.time_to_interruption
    rates = interruption_rates(interruptions, share)
    if rates is None or rates.single <= 0.0:
        return None
    return Distribution(code=EXPONENTIAL, a=1.0 / rates.single)


def monthly_share_of_type(scenario: Scenario, kind: int) -> float | None:
    """Return the share of a type's Spot instances reclaimed in a month: the scenario's, else the catalogue's."""
    spot = scenario.failures.spot
    if spot is not None and spot.monthly_share is not None:
        return spot.monthly_share
    return scenario.instance_types[kind].spot_interruption


class Hazard(NamedTuple):
    """What may befall the instances of a pool: the kind of its entry in the calendar, and when it is due.

    `stream` is the name of its random draws within the pool. `lasts` is for what lasts a while.
    """

    kind: int
    stream: str
    time: Distribution | None
    lasts: Distribution | None = None
    from_launch: bool = False


def hazards_of_class(scenario: Scenario, pool: InstancePool, instance_class: Any) -> list[Hazard]:
    """Return what may befall the instances of a class."""
    failures = scenario.failures
    hazards = [Hazard(INSTANCE_FAILS, "failure", failures.container_instances)]
    agents = failures.agent_disconnects
    if agents is not None and pool.machines is None:  # on a virtual machine of a service there is no agent
        hazards.append(Hazard(AGENT_DISCONNECTS, "agent", agents.time_to_disconnect, agents.duration))
    if instance_class["spot"]:
        share = monthly_share_of_type(scenario, int(instance_class["type"]))
        time = time_to_single_interruption(failures.spot, share)
        hazards.append(Hazard(SPOT_NOTICE_DUE, "interruption", time, from_launch=True))
    return hazards


def no_hazards(classes: int) -> Table2D[HazardRow]:
    """Return the hazards of classes that nothing befalls."""
    table = new_table_2d(HazardRow, classes, ENTRY_KINDS)
    table["time"] = table["lasts"] = NEVER
    return table


def write_hazards(world: World, replication: int, distributions: Distributions) -> None:
    """Fill the table of hazards, and the time from request to registration of each instance class."""
    scenario, capacity = world.scenario, world.state.capacity
    if not scenario.pools:
        return
    for row, hazards in zip(capacity.classes, capacity.hazards, strict=True):
        pool = scenario.pools[row["pool"]]
        row["launch"] = distributions.row(pool.launch_time)
        for hazard in hazards_of_class(scenario, pool, row):
            key = stream_key(scenario.seed, replication, f"group/{pool.name}/{hazard.stream}")
            times = distributions.row(hazard.time), distributions.row(hazard.lasts)
            hazards[hazard.kind] = (*times, key, hazard.from_launch)
