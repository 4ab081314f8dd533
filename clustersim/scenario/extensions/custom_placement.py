"""A `custom` placement strategy, resolved: the function of the user that it asks.

Decides which keys such a strategy has, and reports a function that cannot be found. Must not know when it is asked
(`world.scheduling.custom_placement`). `resolve.placement` calls it for each item of that type.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from clustersim.scenario.extensions.user_functions import UserFunctionError, find_user_function
from clustersim.scenario.sections.resolved_section import CustomPlacement
from clustersim.scenario.sections.written_section import FreeMapping, WrittenSection, validate_section
from clustersim.scenario.text.diagnostics import Diagnostics
from clustersim.scenario.text.document import FieldPath

CUSTOM = "custom"


class WrittenCustomPlacement(WrittenSection):
    """An item of `placementStrategy` that asks a function of the user."""

    type: Literal["custom"]
    policy: str
    parameters: FreeMapping = Field(default_factory=dict)


def resolve_custom_placement(
    diagnostics: Diagnostics, path: FieldPath, item: Mapping[str, Any], folder: Path
) -> CustomPlacement | None:
    """Return the strategy of a scenario in `folder`; None, with a problem reported, if it is invalid or its function
    cannot be found.
    """
    written = validate_section(WrittenCustomPlacement, dict(item), path, diagnostics)
    if written is None or diagnostics.has_problem_under(path):
        return None
    location = (*path, "policy")
    try:
        function = find_user_function(written.policy, folder)
    except UserFunctionError as error:
        diagnostics.add_problem(location, error.message, error.hint)
        return None
    return CustomPlacement(
        function=function, place=diagnostics.describe_place(location), parameters=written.parameters
    )
