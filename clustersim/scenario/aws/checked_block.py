"""AWS blocks of a scenario, validated once for the modules that resolve them.

Decides which problems of a block are reported and which of its fields may still be resolved. It must not know
the meaning of a block. The `resolve` modules call `read_blocks` for a section and read the fields of its blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clustersim.scenario.aws.block_validation import NOT_SIMULATED_PREFIX, validate_block, written_path
from clustersim.scenario.aws.included_files import OPERATIONS
from clustersim.scenario.aws.scalars import to_camel_case
from clustersim.scenario.sections.own_keys import OWN_KEYS
from clustersim.scenario.text.diagnostics import Diagnostics
from clustersim.scenario.text.document import FieldPath


@dataclass(frozen=True)
class CheckedBlock:
    """A block in the API's own case, with our keys; `valid` if it has no problem.

    `value` of an invalid block lacks the fields with problems, so that the other fields can still be checked.
    """

    path: FieldPath
    written: Mapping[str, Any]
    value: dict[str, Any]
    valid: bool

    def field_path(self, *steps: str | int) -> FieldPath:
        """Return the path of a field in the scenario, as the user wrote it; `steps` are in the API's case."""
        return self.path + written_path(self.written, steps)

    def has(self, field: str) -> bool:
        """Return whether the user wrote `field`, valid or not."""
        return any(str(key).lower() == field.lower() for key in self.written)


def read_block(
    diagnostics: Diagnostics, path: FieldPath, written: Any, kind: str, operation: str | None = None
) -> CheckedBlock:
    """Validate one block of the list `kind` at `path`, report its problems, and return it."""
    checked = validate_block(operation or OPERATIONS[kind], written, OWN_KEYS.get(kind, {}))
    diagnostics.add_problems(path, checked.problems)
    for warning in checked.warnings:
        if warning.message.startswith(NOT_SIMULATED_PREFIX):
            diagnostics.warn_not_simulated(
                path + warning.path, warning.message.removeprefix(NOT_SIMULATED_PREFIX)
            )
        else:
            text = f"{warning.message}; {warning.hint}" if warning.hint else warning.message
            diagnostics.warn(path + warning.path, text)
    if not checked.problems:
        return CheckedBlock(path, written, checked.value, True)
    invalid_fields = {str(problem.path[0]).lower() for problem in checked.problems if problem.path}
    sound = {key: value for key, value in checked.value.items() if key.lower() not in invalid_fields}
    return CheckedBlock(path, written if isinstance(written, dict) else {}, sound, False)


def read_blocks(diagnostics: Diagnostics, section: str) -> list[CheckedBlock]:
    """Validate and return all blocks of a section of the scenario."""
    items = diagnostics.data.get(section)
    if not isinstance(items, list):
        return []
    return [
        read_block(diagnostics, (section, index), item, section)
        for index, item in enumerate(items)
        if isinstance(item, dict)
    ]


def with_camel_case_keys(value: Any) -> Any:
    """Return `value` with its keys, at any depth, in camelCase."""
    if isinstance(value, dict):
        return {to_camel_case(key): with_camel_case_keys(item) for key, item in value.items()}
    return [with_camel_case_keys(item) for item in value] if isinstance(value, list) else value
