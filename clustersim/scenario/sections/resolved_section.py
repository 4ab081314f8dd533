"""Building blocks of the resolved scenario that several sections share.

Decides nothing and knows no section. All resolved models derive from `ResolvedSection`.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from clustersim.engine.random_streams import CONSTANT

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]

Architecture = Literal["x86_64", "arm64"]
PurchaseOption = Literal["on-demand", "spot"]


class ResolvedSection(BaseModel):
    """Base of all resolved models: frozen, without unknown fields; fields may be numpy arrays."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Distribution(ResolvedSection):
    """A distribution as `engine.random_streams.sample` takes it: `(code, a, b, values)`; durations in ms."""

    code: int = CONSTANT
    a: float = 0.0
    b: float = 0.0
    values: tuple[float, ...] = ()


class InputFile(ResolvedSection):
    """A file that the scenario was read from: its path as written, and the SHA-256 of its bytes."""

    path: str
    sha256: str


class UserFunction(ResolvedSection):
    """A function of the user, `mypackage.module:function`, and the folder of the scenario that names it.

    `inputs` are the sources that were loaded for it; `extensions.user_functions` makes and loads it.
    """

    reference: str
    folder: str
    inputs: tuple[InputFile, ...] = ()


class StrategyItem(ResolvedSection):
    """An item of a capacity provider strategy (ECS API: CapacityProviderStrategyItem)."""

    capacity_provider: str
    weight: int = 0
    base: int = 0


class Constraint(ResolvedSection):
    """A placement constraint (ECS API: PlacementConstraint)."""

    type: Literal["distinctInstance", "memberOf"]
    expression: str | None = None


class PlacementRule(ResolvedSection):
    """An item of a placement strategy (ECS API: PlacementStrategy)."""

    type: str
    """A name of `policy.placement.placement_strategies.STRATEGIES`."""
    field: str | None = None


class CustomPlacement(ResolvedSection):
    """An item of a placement strategy that asks a function of the user; `place` is where the file names it."""

    function: UserFunction
    place: str
    parameters: dict[str, Any] = Field(default_factory=dict)
