"""Hazards of instances and Fargate tasks, as rows of the table of distributions.

It writes into each instance class when instances fail, register, are interrupted or lose their agent, and determines
the same for Fargate tasks. `policy.capacity.interruption_rates` has the rates; the times are drawn when an instance
or a task starts. Called by `simulation` and `task_set_tables`.
"""

from __future__ import annotations

from clustersim.engine.compiled import Array
from clustersim.engine.random_streams import EXPONENTIAL
from clustersim.policy.capacity.interruption_rates import InterruptionRates, monthly_rate, split_rate
from clustersim.scenario.sections.failures import SpotInterruptions
from clustersim.scenario.sections.scenario import Distribution, Scenario
from clustersim.vocabulary import NEVER
from clustersim.world.build.distribution_table import Distributions


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


def write_hazards(scenario: Scenario, classes: Array, distributions: Distributions) -> None:
    """Fill the columns of INSTANCE_CLASS that refer to distributions."""
    if not scenario.pools:
        return
    failures = scenario.failures
    agents = failures.agent_disconnects
    classes["failure"] = distributions.row(failures.container_instances)
    classes["disconnect"] = NEVER if agents is None else distributions.row(agents.time_to_disconnect)
    classes["disconnect_duration"] = NEVER if agents is None else distributions.row(agents.duration)
    for pool, of in enumerate(scenario.pools):
        classes["launch"][classes["pool"] == pool] = distributions.row(of.launch_time)
        if of.machines is not None:
            classes["disconnect"][classes["pool"] == pool] = NEVER  # no container agent runs there
    for row in classes:
        if row["spot"]:
            share = monthly_share_of_type(scenario, int(row["type"]))
            row["interruption"] = distributions.row(time_to_single_interruption(failures.spot, share))
