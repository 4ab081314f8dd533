"""AWS blocks of a scenario, checked once and handed to the modules that resolve them.

Decides what is reported of a block that AWS would refuse, and which blocks may be resolved at all. Must not
know what a block means. The resolving modules ask for a section's blocks and read their fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clustersim.scenario.aws.block_validation import as_written, check_block
from clustersim.scenario.aws.included_files import OPERATIONS
from clustersim.scenario.aws.scalars import camel
from clustersim.scenario.sections.own_keys import OWN_KEYS
from clustersim.scenario.text.diagnostics import Findings
from clustersim.scenario.text.document import Steps

_NOT_YET = "not simulated yet: "


@dataclass(frozen=True)
class Block:
    """A block in the API's own case, with our keys beside; `sound` if nothing was wrong with it.

    Fields of an unsound block with something wrong in them are left out of `value`, so that what else is
    wrong can be found.
    """

    path: Steps
    written: Mapping[str, Any]
    value: dict[str, Any]
    sound: bool

    def at(self, *steps: str | int) -> Steps:
        """The place of a field of the API's own path, as the user wrote it."""
        return self.path + as_written(self.written, steps)

    def has(self, field: str) -> bool:
        """Whether the user wrote a field, right or wrong."""
        return any(str(key).lower() == field.lower() for key in self.written)


def check(findings: Findings, path: Steps, written: Any, kind: str, operation: str | None = None) -> Block:
    """Check one block of the list `kind` at `path`, and report what is wrong with it."""
    checked = check_block(operation or OPERATIONS[kind], written, OWN_KEYS.get(kind, {}))
    findings.extend(path, checked.problems)
    for warning in checked.warnings:
        if warning.what.startswith(_NOT_YET):
            findings.not_simulated(path + warning.path, warning.what.removeprefix(_NOT_YET))
        else:
            text = f"{warning.what}; {warning.right}" if warning.right else warning.what
            findings.warn(path + warning.path, text)
    if not checked.problems:
        return Block(path, written, checked.value, True)
    faulty = {str(problem.path[0]).lower() for problem in checked.problems if problem.path}
    sound = {key: value for key, value in checked.value.items() if key.lower() not in faulty}
    return Block(path, written if isinstance(written, dict) else {}, sound, False)


def check_all(findings: Findings, section: str) -> list[Block]:
    """All blocks of a section of the scenario."""
    items = findings.data.get(section)
    if not isinstance(items, list):
        return []
    return [
        check(findings, (section, index), item, section)
        for index, item in enumerate(items)
        if isinstance(item, dict)
    ]


def in_camel_case(value: Any) -> Any:
    """A value whose fields, at any depth, are in camelCase, whichever case the API has."""
    if isinstance(value, dict):
        return {camel(key): in_camel_case(item) for key, item in value.items()}
    return [in_camel_case(item) for item in value] if isinstance(value, list) else value
