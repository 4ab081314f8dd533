"""What is varied, as people ask for it: `PATH=4,8,16` on the command line, a mapping in Python.

Decides how values are told apart and what is said of those that make no sense. Must not know what a path leads
to. The command line and `cs.sweep` call it; `scenario.sections.sweep` knows what may stand for a path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from clustersim.errors import ScenarioError
from clustersim.scenario.sections.sweep import Varied, varied
from clustersim.scenario.text.document import read_text
from clustersim.scenario.text.overrides import PathError, split_assignment

_OPENING, _CLOSING = "([{", ")]}"


def split_values(text: str) -> list[str]:
    """The parts between commas; those inside brackets of any kind and inside quotes do not separate."""
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
    """`PATH=V1,V2,...` or `PATH={from: 70, to: 100}` each. Raises ScenarioError with every problem."""
    found: dict[str, Any] = {}
    problems = []
    for text in texts:
        try:
            path, values = split_assignment(text)
        except PathError:
            problems.append(
                f"--vary {text}: has no `=`; write PATH=V1,V2,... like services.web.desiredCount=4,8"
            )
            continue
        if path in found:
            problems.append(f"--vary {path}: is varied twice; give all its values at once")
        documents = [read_text(part, "VALUE") if part.strip() else None for part in split_values(values)]
        faults = [document.faults[0][2] for document in documents if document and document.faults]
        problems += [f"--vary {path}: {values!r} is not YAML: {fault}; quote it" for fault in faults[:1]]
        if faults:
            continue
        read = [None if document is None else document.value for document in documents]
        if read == [None]:
            problems.append(f"--vary {path}: has no values; write {path}=V1,V2,...")
            continue
        only = read[0]
        found[path] = (
            only if len(read) == 1 and isinstance(only, dict) and {"from", "to"} & only.keys() else read
        )
    if problems:
        raise ScenarioError(problems)
    return read_vary(found)


def read_vary(vary: Mapping[str, Any]) -> dict[str, Varied]:
    """Values or a range by path, checked. Raises ScenarioError with every problem."""
    found, problems = {}, []
    for path, value in vary.items():
        try:
            found[path] = varied(value)
        except PydanticCustomError as error:
            context = error.context or {}
            problems.append(f"--vary {path}: {context['what']}; {context['right']}")
    if problems:
        raise ScenarioError(problems)
    return found
