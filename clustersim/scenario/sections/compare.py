"""The `compare` block: which ways of running the workload are compared, at which loads, with which settings.

Decides the shape of the block and the names of the options. Must not know what becomes of a service under an
option; `options` does. A run ignores the block.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from clustersim.scenario.sections.written_section import FreeMapping, Written
from clustersim.scenario.text.overrides import closest
from clustersim.scenario.text.units import AboveZero, AtLeastOne, shown, wrong

OPTIONS = ("ec2", "ecs-ec2", "ecs-fargate", "ecs-ec2-spot", "ecs-fargate-spot")
"""Virtual machines, ECS on EC2, ECS on Fargate; the last two by Spot capacity."""
DEFAULT_OPTIONS = OPTIONS[:3]
DEFAULT_LOADS = (0.1, 0.25, 0.5, 1.0, 2.0)
DEFAULT_REPLICATIONS = 5


def option(value: Any) -> str:
    """The name of an option."""
    if value not in OPTIONS:
        raise wrong(f"there is no option {shown(value)}", closest(str(value), OPTIONS))
    return str(value)


Option = Annotated[str, BeforeValidator(option), WithJsonSchema({"enum": list(OPTIONS)})]


class Compare(Written):
    """`compare`: read by the compare command, nothing to a run."""

    options: list[Option] = Field(default_factory=lambda: list(DEFAULT_OPTIONS), min_length=1)
    loads: list[AboveZero] = Field(default_factory=lambda: list(DEFAULT_LOADS), min_length=1)
    replications: AtLeastOne = DEFAULT_REPLICATIONS
    instance_types: list[str] = Field(default_factory=list)
    """The types among which ecs-ec2 chooses; else those that the scenario names, else the default list."""
    overrides: dict[Option, FreeMapping] = Field(default_factory=dict)
    """By option: paths into the scenario that the option makes, and their values."""
