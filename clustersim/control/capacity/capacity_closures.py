"""The closures of capacity that a scenario announces: outages of zones and shortages.

Turns the sections of the scenario file into the closures that `policy.capacity.interruption_rates` describes, in run
time. The instance launcher refuses what they cover; `control.environment.failure_timetable` carries out their effects
on what runs there. Decides nothing.
"""

from __future__ import annotations

from clustersim.policy.capacity.interruption_rates import LOST, NOTICE, Closure
from clustersim.scenario.sections.failures import CapacityShortage, ZoneOutage
from clustersim.scenario.sections.scenario import Scenario


def capacity_closures(scenario: Scenario) -> tuple[Closure, ...]:
    """Return all closures of a scenario, in the order of its file: outages, then shortages."""
    origin = scenario.warm_up_ms
    outages = [_outage_closure(each, origin) for each in scenario.failures.zone_outages]
    shortages = [_shortage_closure(each, origin) for each in scenario.failures.capacity_shortages]
    return (*outages, *shortages)


def _outage_closure(outage: ZoneOutage, origin: int) -> Closure:
    return Closure(origin + outage.at_ms, origin + outage.until_ms, zone=outage.zone, takes=LOST)


def _shortage_closure(shortage: CapacityShortage, origin: int) -> Closure:
    return Closure(
        origin + shortage.at_ms,
        origin + shortage.until_ms,
        provider=shortage.provider,
        instance_type=shortage.instance_type,
        zone=shortage.zone,
        spot=None if shortage.purchase_option is None else shortage.purchase_option == "spot",
        takes=NOTICE if shortage.reclaim else None,
    )
