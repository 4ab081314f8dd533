"""`failures`: what breaks, what is taken back, and what cannot be had, as people write it.

Decides the shape and the defaults of that section. Must not know what a failure does. `raw_file` holds the section,
`resolve_failures` resolves it.

The resolved scenario's failures: what breaks, what is taken back, and what cannot be had for a while.

Decides nothing; `resolve_failures` makes these models. Must not know how a failure is carried out. `model` gives
their names on. Instants are ms since `start`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from clustersim.scenario.sections.capacity import PurchaseOption
from clustersim.scenario.sections.distributions import DurationDistribution
from clustersim.scenario.sections.resolved_section import Distribution, Resolved
from clustersim.scenario.sections.written_section import Written
from clustersim.scenario.text.overrides import closest
from clustersim.scenario.text.units import DurationMs, PositiveDurationMs, Share, shown, wrong


class InstanceFailures(Written):
    """`containerInstances`: when instances break."""

    time_to_failure: DurationDistribution


class WrittenDisconnects(Written):
    """`agentDisconnects`: when agents lose their connection, and for how long."""

    time_to_disconnect: DurationDistribution
    duration: DurationDistribution


class WrittenInterruptions(Written):
    """How Spot capacity is taken back; see `Interruptions`."""

    time_to_interruption: DurationDistribution | None = None
    monthly_share: Share | None = None
    pool_share: Share = 0.5
    pool_fraction: Share = 0.5

    @model_validator(mode="before")
    @classmethod
    def _is_sound(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise wrong(f"{shown(value)} is not known here", "catalogue, none or {timeToInterruption: ...}")
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in value:
            if key not in known:
                raise wrong(f"unknown field {key}", closest(str(key), known))
        if "timeToInterruption" in value and len(value) > 1:
            raise wrong("timeToInterruption stands alone", "monthlyShare with poolShare and poolFraction")
        if value.get("monthlyShare") in (1, 1.0):
            raise wrong("not all instances can go in a month", "a share below 1")
        if value.get("poolFraction") in (0, 0.0):
            raise wrong("an event of a pool takes somebody", "a poolFraction above 0")
        return value


def _spot(value: Any) -> Any:
    return value if value in ("catalogue", "none") else WrittenInterruptions.model_validate(value)


def _fargate_spot(value: Any) -> Any:
    return value if value in ("assumed", "none") else WrittenInterruptions.model_validate(value)


def _words_or_mapping(*words: str) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"enum": list(words)}, {"$model": "WrittenInterruptions"}]})


Spot = Annotated[Any, BeforeValidator(_spot), _words_or_mapping("catalogue", "none")]
FargateSpot = Annotated[Any, BeforeValidator(_fargate_spot), _words_or_mapping("assumed", "none")]


class WrittenZoneOutage(Written):
    """A zone that is gone for a while."""

    availability_zone: str
    at: DurationMs
    duration: PositiveDurationMs


class WrittenShortage(Written):
    """Capacity that cannot be had for a while."""

    capacity_provider: str | None = None
    instance_type: str | None = None
    purchase_option: Literal["on-demand", "spot"] | None = None
    availability_zone: str | None = None
    at: DurationMs
    duration: PositiveDurationMs
    reclaim: bool = False


class WrittenRetirement(Written):
    """`fargateTaskRetirement`: how long after its placement Fargate retires a task."""

    time_to_retirement: DurationDistribution


class WrittenFailures(Written):
    """`failures`: what breaks."""

    container_instances: InstanceFailures | None = None
    agent_disconnects: WrittenDisconnects | None = None
    spot_interruptions: Spot = "catalogue"
    fargate_spot_interruptions: FargateSpot = "assumed"
    fargate_task_retirement: WrittenRetirement | None = None
    zone_outages: list[WrittenZoneOutage] = Field(default_factory=list)
    capacity_shortages: list[WrittenShortage] = Field(default_factory=list)


class Interruptions(Resolved):
    """How Spot capacity is taken back: by a time of its own, or by the share lost in a month.

    With `time_to_interruption` each instance or task has its own time. Else `monthly_share` of them are
    reclaimed in a month (None: as the catalogue says of each type); `pool_share` of these interruptions are
    events of a whole pool, each of which takes an instance with probability `pool_fraction`.
    """

    time_to_interruption: Distribution | None = None
    monthly_share: float | None = None
    pool_share: float = 0.0
    pool_fraction: float = 1.0


class Outage(Resolved):
    """A zone that is gone from `at_ms` until `until_ms`."""

    zone: str
    at_ms: int
    until_ms: int


class Shortage(Resolved):
    """Capacity that cannot be had from `at_ms` until `until_ms`; None stands for any."""

    provider: str | None = None
    instance_type: str | None = None
    purchase_option: PurchaseOption | None = None
    zone: str | None = None
    at_ms: int
    until_ms: int
    reclaim: bool = False
    """Whether Spot capacity that runs there is taken back when it begins."""


class AgentDisconnects(Resolved):
    """When an instance's agent loses its connection, counted from registration or the last time, and for how long."""

    time_to_disconnect: Distribution
    duration: Distribution


class Failures(Resolved):
    """What breaks."""

    container_instances: Distribution | None = None
    agent_disconnects: AgentDisconnects | None = None
    spot: Interruptions | None = Interruptions()
    fargate_spot: Interruptions | None = None
    fargate_task_retirement: Distribution | None = None
    zone_outages: tuple[Outage, ...] = ()
    capacity_shortages: tuple[Shortage, ...] = ()
