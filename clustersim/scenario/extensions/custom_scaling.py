"""A `Custom` scaling policy of a service, resolved: the function of the user that it asks.

Decides which keys such a policy has, and reports a function that cannot be found. Must not know when it is asked
(`control.scaling.custom_policy`). `resolve.service_scaling` calls it for each policy that `is_custom`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clustersim.scenario.aws.scalars import to_camel_case
from clustersim.scenario.extensions.user_functions import UserFunctionError, find_user_function
from clustersim.scenario.sections.scaling import CUSTOM, CustomScaling, WrittenCustomScaling
from clustersim.scenario.sections.written_section import validate_section
from clustersim.scenario.text.diagnostics import Diagnostics
from clustersim.scenario.text.document import FieldPath

_AWS_FIELDS = ("policyname", "policytype")
"""The fields that a policy of any type has; their case is free, as in every AWS block."""


def is_custom(item: Any) -> bool:
    """Return whether a policy is of our own type."""
    return isinstance(item, Mapping) and any(
        str(key).lower() == "policytype" and str(value).lower() == CUSTOM.lower()
        for key, value in item.items()
    )


def resolve_custom_scaling(
    diagnostics: Diagnostics, path: FieldPath, item: Mapping[str, Any], folder: Path
) -> CustomScaling | None:
    """Return the policy of a scenario in `folder`; None, with a problem reported, if it is invalid or its function
    cannot be found.
    """
    block = {to_camel_case(key) if str(key).lower() in _AWS_FIELDS else key: item[key] for key in item}
    written = validate_section(WrittenCustomScaling, block, path, diagnostics)
    if written is None or diagnostics.has_problem_under(path):
        return None
    location = (*path, "policy")
    try:
        function = find_user_function(written.policy, folder)
    except UserFunctionError as error:
        diagnostics.add_problem(location, error.message, error.hint)
        return None
    return CustomScaling(
        name=written.policy_name,
        function=function,
        place=diagnostics.describe_place(location),
        parameters=written.parameters,
        scale_out_cooldown_ms=written.scale_out_cooldown,
        scale_in_cooldown_ms=written.scale_in_cooldown,
    )
