"""The building blocks of the resolved scenario: what several of its models share.

Decides nothing and knows nothing of the sections; `model` builds them from these and gives their names on.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from clustersim.engine.random_streams import CONSTANT


class Resolved(BaseModel):
    """What all resolved models share: they are frozen, strict about keys, and may hold numpy columns."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Distribution(Resolved):
    """A row of `engine.random_streams.sample`: `(code, a, b, values)`; durations in ms."""

    code: int = CONSTANT
    a: float = 0.0
    b: float = 0.0
    values: tuple[float, ...] = ()


class InputFile(Resolved):
    """A file the scenario was read from: its path as written, and the SHA-256 of its bytes."""

    path: str
    sha256: str


class StrategyItem(Resolved):
    """One item of a capacity provider strategy (ECS API: CapacityProviderStrategyItem)."""

    capacity_provider: str
    weight: int = 0
    base: int = 0


class Constraint(Resolved):
    """A placement constraint (ECS API: PlacementConstraint)."""

    type: Literal["distinctInstance", "memberOf"]
    expression: str | None = None


class PlacementRule(Resolved):
    """A rule of a placement strategy (ECS API: PlacementStrategy)."""

    type: Literal["spread", "binpack", "random"]
    field: str | None = None
