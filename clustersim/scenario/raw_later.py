"""Sections that are read and checked, but whose features are not simulated yet.

Decides the shape of virtual machines and Spot interruptions. Must not know anything
else. A model moves away from here when its feature is simulated.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema, model_validator

from clustersim.scenario.distributions import DurationDistribution
from clustersim.scenario.raw import Written
from clustersim.scenario.units import MemoryMib, shown, wrong


class GuestSystem(Written):
    """What a virtual machine's own system takes."""

    memory: MemoryMib = 0.0


class VirtualMachines(Written):
    """`virtualMachines`: one copy of a service on each."""

    instance_type: str
    guest_os: GuestSystem = GuestSystem()


class SpotInterruptions(Written):
    """`spotInterruptions` other than by the catalogue."""

    time_to_interruption: DurationDistribution

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise wrong(f"{shown(value)} is not known here", "catalogue, none or {timeToInterruption: ...}")
        return value


def _spot(value: Any) -> Any:
    if value in ("catalogue", "none"):
        return value
    SpotInterruptions.model_validate(value)
    return value


Spot = Annotated[
    Any,
    BeforeValidator(_spot),
    WithJsonSchema({"anyOf": [{"enum": ["catalogue", "none"]}, {"type": "object"}]}),
]
