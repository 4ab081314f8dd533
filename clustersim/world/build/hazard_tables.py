"""What may befall instances and Fargate tasks, as rows of the table of distributions.

Writes into each class of instances when it fails, registers, is interrupted or loses its agent, and says the same of
Fargate's slots. Rates are those of `policy.capacity.interruption_rates`; when something happens is drawn where a life
begins. Called by `simulation` and `task_sets`.
"""

from __future__ import annotations

from clustersim.engine.compiled import Array
from clustersim.engine.random_streams import EXPONENTIAL
from clustersim.policy.capacity.interruption_rates import InterruptionRates, divided, monthly_rate
from clustersim.scenario.sections.failures import Interruptions
from clustersim.scenario.sections.scenario import Distribution, Scenario
from clustersim.vocabulary import NEVER
from clustersim.world.build.build_world import Distributions


def rates_of(of: Interruptions, share: float | None) -> InterruptionRates | None:
    """The rates of interruptions of which `share` happen in a month; None where nothing is to be drawn from rates."""
    if of.time_to_interruption is not None or not share:
        return None
    return divided(monthly_rate(share), of.pool_share, of.pool_fraction)


def single_interruptions(of: Interruptions | None, share: float | None) -> Distribution | None:
    """The time until an instance or a task is interrupted by itself; None: never."""
    if of is None:
        return None
    if of.time_to_interruption is not None:
        return of.time_to_interruption
    rates = rates_of(of, share)
    if rates is None or rates.single <= 0.0:
        return None
    return Distribution(code=EXPONENTIAL, a=1.0 / rates.single)


def share_of_type(scenario: Scenario, kind: int) -> float | None:
    """The share of a type's Spot instances that is reclaimed in a month: the scenario's, else the catalogue's."""
    of = scenario.failures.spot
    if of is not None and of.monthly_share is not None:
        return of.monthly_share
    return scenario.instance_types[kind].spot_interruption


def write_risks(scenario: Scenario, classes: Array, distributions: Distributions) -> None:
    """Fill the columns of CLASS that hold rows of distributions."""
    if not scenario.pools:
        return
    failures = scenario.failures
    agents = failures.agent_disconnects
    classes["failure"] = distributions.row(failures.container_instances)
    classes["disconnect"] = NEVER if agents is None else distributions.row(agents.time_to_disconnect)
    classes["silence"] = NEVER if agents is None else distributions.row(agents.duration)
    for pool, of in enumerate(scenario.pools):
        classes["launch"][classes["group"] == pool] = distributions.row(of.launch_time)
        if of.machines is not None:
            classes["disconnect"][classes["group"] == pool] = NEVER  # no container agent runs there
    for row in classes:
        if row["spot"]:
            share = share_of_type(scenario, int(row["type"]))
            row["interruption"] = distributions.row(single_interruptions(failures.spot, share))
