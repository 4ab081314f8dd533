"""The section `failures`: breakdowns, Spot interruptions, zone outages and shortages of capacity.

Decides its shape and defaults, and how fields are resolved that need no other section; `resolve.failures` turns the
rest of the written form into the resolved one. Instants of the resolved form are ms since `start`. Must not know how a
failure is carried out.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from clustersim.scenario.sections.distributions import DurationDistribution
from clustersim.scenario.sections.resolved_section import Distribution, PurchaseOption, ResolvedSection
from clustersim.scenario.sections.written_section import WrittenSection
from clustersim.scenario.text.assumptions import (
    assume,
    loses_capacity,
    uses_fargate_spot,
    uses_spot_instances,
)
from clustersim.scenario.text.overrides import suggest_name
from clustersim.scenario.text.units import DurationMs, PositiveDurationMs, Share, quote_value, value_error


class WrittenInstanceFailures(WrittenSection):
    """`containerInstances`: the time until an instance breaks."""

    time_to_failure: DurationDistribution


class WrittenAgentDisconnects(WrittenSection):
    """`agentDisconnects`: the time until an agent loses its connection, and how long it is disconnected."""

    time_to_disconnect: DurationDistribution
    duration: DurationDistribution


class AgentDisconnects(ResolvedSection):
    """The time until an instance's agent loses its connection, from registration or from the last disconnect, and how
    long it is disconnected."""

    time_to_disconnect: Distribution
    duration: Distribution


class WrittenSpotInterruptions(WrittenSection):
    """The interruptions of Spot capacity: by a time to each interruption, or by the share lost in a month."""

    time_to_interruption: DurationDistribution | None = None
    monthly_share: Share | None = None
    pool_share: Share = 0.5
    pool_fraction: Share = 0.5

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise value_error(
                f"{quote_value(value)} is not known here", "catalogue, none or {timeToInterruption: ...}"
            )
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in value:
            if key not in known:
                raise value_error(f"unknown field {key}", suggest_name(str(key), known))
        if "timeToInterruption" in value and len(value) > 1:
            raise value_error(
                "timeToInterruption excludes other keys", "monthlyShare with poolShare and poolFraction"
            )
        if value.get("monthlyShare") in (1, 1.0):
            raise value_error("monthlyShare must be below 1", "a share like 0.075")
        if value.get("poolFraction") in (0, 0.0):
            raise value_error("poolFraction must be above 0", "a share like 0.5")
        return value


class SpotInterruptions(ResolvedSection):
    """The interruptions of Spot capacity: by a time to each interruption, or by the share lost in a month.

    With `time_to_interruption` each instance or task has its own time. Else `monthly_share` of them are
    reclaimed in a month (None: the catalogue's share of each type); `pool_share` of these interruptions are
    events of a whole pool, each of which takes an instance with probability `pool_fraction`.
    """

    time_to_interruption: Distribution | None = None
    monthly_share: float | None = None
    pool_share: float = 0.0
    pool_fraction: float = 1.0


def _parse_ec2_spot(value: Any) -> Any:
    return value if value in ("catalogue", "none") else WrittenSpotInterruptions.model_validate(value)


def _parse_fargate_spot(value: Any) -> Any:
    return value if value in ("assumed", "none") else WrittenSpotInterruptions.model_validate(value)


def _words_or_mapping(*words: str) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"enum": list(words)}, {"$model": "WrittenSpotInterruptions"}]})


Ec2SpotInterruptions = Annotated[
    Any, BeforeValidator(_parse_ec2_spot), _words_or_mapping("catalogue", "none")
]
FargateSpotInterruptions = Annotated[
    Any, BeforeValidator(_parse_fargate_spot), _words_or_mapping("assumed", "none")
]


class WrittenZoneOutage(WrittenSection):
    """An entry of `zoneOutages`: a zone fails for a while."""

    availability_zone: str
    at: DurationMs
    duration: PositiveDurationMs


class ZoneOutage(ResolvedSection):
    """A zone that has failed from `at_ms` until `until_ms`."""

    zone: str
    at_ms: int
    until_ms: int


class WrittenCapacityShortage(WrittenSection):
    """An entry of `capacityShortages`: capacity is unavailable for a while."""

    capacity_provider: str | None = None
    instance_type: str | None = None
    purchase_option: PurchaseOption | None = None
    availability_zone: str | None = None
    at: DurationMs
    duration: PositiveDurationMs
    reclaim: bool = False


class CapacityShortage(ResolvedSection):
    """Capacity that is unavailable from `at_ms` until `until_ms`; None stands for any."""

    provider: str | None
    instance_type: str | None
    purchase_option: PurchaseOption | None
    zone: str | None
    at_ms: int
    until_ms: int
    reclaim: bool
    """Running Spot capacity of this kind is reclaimed when the shortage begins."""


class WrittenTaskRetirement(WrittenSection):
    """`fargateTaskRetirement`: how long after its placement Fargate retires a task."""

    time_to_retirement: DurationDistribution


class WrittenFailures(WrittenSection):
    """`failures`: breakdowns, interruptions, outages and shortages."""

    container_instances: WrittenInstanceFailures | None = None
    agent_disconnects: WrittenAgentDisconnects | None = None
    spot_interruptions: Ec2SpotInterruptions = "catalogue"
    fargate_spot_interruptions: FargateSpotInterruptions = "assumed"
    fargate_task_retirement: WrittenTaskRetirement | None = None
    zone_outages: list[WrittenZoneOutage] = Field(default_factory=list)
    capacity_shortages: list[WrittenCapacityShortage] = Field(default_factory=list)

    def resolved_alone(self) -> dict[str, Any]:
        """Return the fields of `Failures` that need no other section of the scenario."""
        instances, agents = self.container_instances, self.agent_disconnects
        retirement = self.fargate_task_retirement
        return {
            "container_instances": None if instances is None else instances.time_to_failure,
            "agent_disconnects": None if agents is None else AgentDisconnects(**dict(agents)),
            "fargate_task_retirement": None if retirement is None else retirement.time_to_retirement,
        }


class Failures(ResolvedSection):
    """The failures of a scenario; None: that kind of failure never happens."""

    container_instances: Distribution | None
    agent_disconnects: AgentDisconnects | None
    spot: SpotInterruptions | None
    fargate_spot: SpotInterruptions | None
    fargate_task_retirement: Distribution | None
    zone_outages: tuple[ZoneOutage, ...]
    capacity_shortages: tuple[CapacityShortage, ...]


assume(
    "fargate-spot-interruptions",
    "7.5 % a month",
    lambda scenario: uses_fargate_spot(scenario) and scenario.failures.fargate_spot is not None,
    setting="failures.fargateSpotInterruptions",
    source="the middle of 5 to 10 %",
)
assume(
    "spot-pool-events",
    "half of the interruptions, each of which takes half of a pool",
    lambda scenario: uses_spot_instances(scenario) and scenario.failures.spot is not None,
    setting="failures.spotInterruptions",
)
assume("detection-at-once", "lost instances and tasks are noticed at once", loses_capacity)
