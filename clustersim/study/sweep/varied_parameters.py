"""The varied parameters as users write them: `PATH=4,8,16` on the command line, a mapping in Python.

Decides how values are separated and how invalid ones are reported. Must not know what a path refers to. The command
line and `cs.sweep` call it; `scenario.sections.sweep` validates values and ranges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from clustersim.errors import ScenarioError
from clustersim.scenario.sections.sweep import Varied, parse_varied
from clustersim.scenario.text.document import parse_document
from clustersim.scenario.text.overrides import PathError, split_assignment

_OPENING, _CLOSING = "([{", ")]}"


def split_values(text: str) -> list[str]:
    """Split a text at its commas, except those inside brackets of any kind or inside quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
        if letter == "," and not quote and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def parse_vary(texts: Sequence[str]) -> dict[str, Varied]:
    """Parse texts like `PATH=V1,V2,...` or `PATH={from: 70, to: 100}`. Raises ScenarioError with every problem."""
    vary: dict[str, Any] = {}
    problems = []
    for text in texts:
        try:
            path, values = split_assignment(text)
        except PathError:
            problems.append(
                f"--vary {text}: has no `=`; write PATH=V1,V2,... like services.web.desiredCount=4,8"
            )
            continue
        if path in vary:
            problems.append(f"--vary {path}: is varied twice; list all its values at once")
        documents = [parse_document(part, "VALUE") if part.strip() else None for part in split_values(values)]
        errors = [document.errors[0][2] for document in documents if document and document.errors]
        problems += [f"--vary {path}: {values!r} is not YAML: {error}; quote it" for error in errors[:1]]
        if errors:
            continue
        values_read = [None if document is None else document.value for document in documents]
        if values_read == [None]:
            problems.append(f"--vary {path}: has no values; write {path}=V1,V2,...")
            continue
        only = values_read[0]
        vary[path] = (
            only
            if len(values_read) == 1 and isinstance(only, dict) and {"from", "to"} & only.keys()
            else values_read
        )
    if problems:
        raise ScenarioError(problems)
    return check_vary(vary)


def check_vary(vary: Mapping[str, Any]) -> dict[str, Varied]:
    """Validate the values or the range of each path. Raises ScenarioError with every problem."""
    checked, problems = {}, []
    for path, value in vary.items():
        try:
            checked[path] = parse_varied(value)
        except PydanticCustomError as error:
            context = error.context or {}
            problems.append(f"--vary {path}: {context['message']}; {context['hint']}")
    if problems:
        raise ScenarioError(problems)
    return checked
