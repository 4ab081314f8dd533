"""The section `compare`: the ways of running the workload that are compared, at which loads, with which settings.

Decides the shape of the block and the names of the options. Must not know what a service becomes under an option;
`variants.launch_options` does. A run ignores the block.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from clustersim.scenario.sections.written_section import FreeMapping, WrittenSection
from clustersim.scenario.text.overrides import suggest_name
from clustersim.scenario.text.units import AboveZero, AtLeastOne, quote_value, value_error

OPTIONS = ("ec2", "ecs-ec2", "ecs-fargate", "ecs-ec2-spot", "ecs-fargate-spot")
"""Virtual machines, ECS on EC2, ECS on Fargate; the last two by Spot capacity."""
DEFAULT_OPTIONS = OPTIONS[:3]
DEFAULT_LOADS = (0.1, 0.25, 0.5, 1.0, 2.0)
DEFAULT_REPLICATIONS = 5


def parse_option(value: Any) -> str:
    """Return the name of an option; any other value is an error."""
    if value not in OPTIONS:
        raise value_error(f"there is no option {quote_value(value)}", suggest_name(str(value), OPTIONS))
    return str(value)


OptionName = Annotated[str, BeforeValidator(parse_option), WithJsonSchema({"enum": list(OPTIONS)})]


class WrittenCompare(WrittenSection):
    """`compare`: read by the compare command, ignored by a run."""

    options: list[OptionName] = Field(default_factory=lambda: list(DEFAULT_OPTIONS), min_length=1)
    loads: list[AboveZero] = Field(default_factory=lambda: list(DEFAULT_LOADS), min_length=1)
    replications: AtLeastOne = DEFAULT_REPLICATIONS
    instance_types: list[str] = Field(default_factory=list)
    """The types among which ecs-ec2 chooses; else those that the scenario names, else the default list."""
    overrides: dict[OptionName, FreeMapping] = Field(default_factory=dict)
    """By option: paths into the scenario that the option makes, and their values."""
